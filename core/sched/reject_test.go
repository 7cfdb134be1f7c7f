package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestRejectScheduler(t *testing.T) {
	w := coretest.NewScript(0, 0, 0)
	wantVerdict(t, with(t, "RejectScheduler", nil).Schedule(w, task()), core.Reject(core.Rejected))
}
