package sched

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestRedundancyDrawsDistinctNodes(t *testing.T) {
	s := with(t, "Redundancy", nil)
	w := coretest.NewScript(0, 5, 0, 0)
	pairs := make([]int, 3)
	for range 20000 {
		var a, b core.NodeID
		v := s.Schedule(w, task())
		if _, err := fmt.Sscanf(v.String(), "replicate to [%d %d]", &a, &b); err != nil || a == b {
			t.Fatalf("got %s", v)
		}
		pairs[a+b-1]++ // {0,1}, {0,2}, {1,2}
	}
	wantShares(t, pairs, 1./3, 1./3, 1./3)
	wantShares(t, shares(t, 20000, 3, with(t, "Redundancy", params{"d": 1}), w), 1./3, 1./3, 1./3)
	wantVerdict(t, s.Schedule(coretest.NewScript(0, 3), task()), core.Execute())
}

func TestRedundancyCancels(t *testing.T) {
	for _, c := range []struct {
		cancel string
		at     core.CancelAt
	}{{"completion", core.CancelOnCompletion}, {"start", core.CancelOnStart}} {
		got := with(t, "Redundancy", params{"cancel": c.cancel, "d": 9}).Schedule(coretest.NewScript(0, 0, 0), task())
		a, b := core.Replicate(c.at, 0, 1), core.Replicate(c.at, 1, 0)
		if !reflect.DeepEqual(got, a) && !reflect.DeepEqual(got, b) {
			t.Errorf("%s: got %#v, want %#v in any order", c.cancel, got, a)
		}
		if !strings.HasPrefix(got.String(), "replicate") {
			t.Errorf("%s: got %s", c.cancel, got)
		}
	}
}
