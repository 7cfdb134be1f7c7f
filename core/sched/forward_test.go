package sched

import (
	"reflect"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestForwardScheduler(t *testing.T) {
	s := with(t, "ForwardScheduler", nil)
	for _, c := range []struct {
		tasks []int
		want  []float64
	}{
		{[]int{9}, []float64{1}},
		{[]int{0, 9}, []float64{0, 1}},
		{[]int{0, 9, 0}, []float64{0, .5, .5}},
		{[]int{0, 0, 1, 2, 3}, []float64{0, .25, .25, .25, .25}},
	} {
		wantShares(t, shares(t, 20000, len(c.tasks), s, coretest.NewScript(0, c.tasks...)), c.want...)
	}
}

func TestForwardSchedulerNamesAlternatives(t *testing.T) {
	s := with(t, "ForwardScheduler", params{"alternatives": 2})
	// Two peers: one is chosen, the other is all there is to try next.
	got := s.Schedule(coretest.NewScript(0, 0, 0, 0), task())
	if a, b := core.Forward(1, 2), core.Forward(2, 1); !reflect.DeepEqual(got, a) && !reflect.DeepEqual(got, b) {
		t.Errorf("got %#v", got)
	}
}
