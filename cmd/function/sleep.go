package function

import (
	"net/http"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/precise"
)

// Sleep is a function that waits, exactly, and takes no processor: any number of them run at once on one machine without
// disturbing each other, as in a simulation with dedicated slots. The clock is to be closed after its last use.
func Sleep(o Options, clock *precise.Clock) http.Handler {
	return newTimed(o, func(r *http.Request, d time.Duration) error {
		return clock.Sleep(r.Context(), time.Now().Add(d))
	})
}
