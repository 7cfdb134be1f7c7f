// Package function has the sample functions, which p2pfaas function serves: sleep and loop execute tasks that take as long
// as somebody says, face-detect is a real one.
//
// Sleep and Loop take a service time from the request: the header wire.HeaderService, which a node sets where the task's
// demand is known, so that a real run executes exactly the tasks of a simulation, or the query ?service=50ms. Without
// either they draw it.
package function

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Options are what Sleep and Loop are made of.
type Options struct {
	Service random.Dist // seconds, of requests that do not say it
	Stream  rand.PCG
	Speed   float64       // what the query says, or is drawn, is divided by it
	Reply   int           // bytes of the answer, at least
	Max     time.Duration // longest service time that a request may ask for
}

// timed is a function that takes a time.
type timed struct {
	Options
	mu   sync.Mutex
	rand *rand.Rand
	work func(*http.Request, time.Duration) error
}

func newTimed(o Options, work func(*http.Request, time.Duration) error) http.Handler {
	f := &timed{Options: o, work: work}
	f.rand = rand.New(&f.Stream)
	return withHealth(f)
}

// withHealth answers at /healthz, where a node asks whether the function has started.
func withHealth(f http.Handler) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	m.Handle("/", f)
	return m
}

// ServeHTTP implements http.Handler.
func (f *timed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, err := f.service(r)
	if err == nil && d > f.Max {
		err = fmt.Errorf("a service time of %v is longer than %v", d, f.Max)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.work(r, d); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("X-Service-Seconds", strconv.FormatFloat(d.Seconds(), 'f', 9, 64))
	said := fmt.Sprintf("executed for %v\n", d)
	w.Header().Set("Content-Length", strconv.Itoa(max(len(said), f.Reply)))
	_, _ = w.Write([]byte(said)) // where that fails, the client has gone
	var filler [32 << 10]byte
	for left := f.Reply - len(said); left > 0; left -= len(filler) {
		if _, err := w.Write(filler[:min(left, len(filler))]); err != nil {
			return
		}
	}
}

// service is how long a request takes.
func (f *timed) service(r *http.Request) (time.Duration, error) {
	if s := r.Header.Get(wire.HeaderService); s != "" {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !(x >= 0 && x < math.MaxInt64/1e9) {
			return 0, fmt.Errorf("the header %s is %.40q: write seconds, from 0", wire.HeaderService, s)
		}
		return time.Duration(math.Round(x * 1e9)), nil
	}
	if s := r.URL.Query().Get("service"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("?service=%.40s: write a duration, as in ?service=50ms", s)
		}
		return time.Duration(float64(d) / f.Speed), nil
	}
	if f.Service == nil {
		return 0, errors.New("nobody says how long this takes: ask with ?service=50ms, or start the function with --service")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(float64(random.Duration(f.Service, f.rand)) / f.Speed), nil
}
