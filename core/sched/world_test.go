package sched

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

// task returns a task of a client, without a deadline.
func task() *core.Task { return &core.Task{Deadline: core.Never} }

// fromPeer returns a task that has made so many hops.
func fromPeer(hops uint8) *core.Task {
	t := task()
	t.Hops = hops
	return t
}

// target is the node that a verdict sends the task to, here being the node that decides.
func target(t testing.TB, v core.Verdict, here core.NodeID) core.NodeID {
	t.Helper()
	var p core.NodeID
	if v.String() == "execute" {
		return here
	}
	if _, err := fmt.Sscanf(v.String(), "forward to %d", &p); err != nil {
		t.Fatalf("the verdict is %q, want execute or forward", v)
	}
	return p
}

// shares counts how often each of the nodes gets the task in n decisions.
func shares(t testing.TB, n, nodes int, s core.Scheduler, env *coretest.Script) []int {
	t.Helper()
	counts := make([]int, nodes)
	for range n {
		counts[target(t, s.Schedule(env, task()), env.ID)]++
	}
	return counts
}

// wantShares fails where a count is not within 4.5 standard deviations of what is expected: one failure in 10^5 cases.
func wantShares(t testing.TB, got []int, want ...float64) {
	t.Helper()
	n := 0
	for _, c := range got {
		n += c
	}
	for i, p := range want {
		mean, sd := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
		if d := float64(got[i]) - mean; math.Abs(d) > 4.5*sd {
			t.Errorf("node %d got %d of %d tasks, want a share of %.4f: %v", i, got[i], n, p, got)
		}
	}
}

// wantVerdict compares verdicts with their alternatives and all.
func wantVerdict(t testing.TB, got, want core.Verdict) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s (%#v), want %s (%#v)", got, got, want, want)
	}
}

// with returns an algorithm with its defaults but for the parameters given.
func with(t testing.TB, name string, named params) core.Scheduler {
	t.Helper()
	s, err := Parse(name, named)
	if err != nil {
		t.Fatal(err)
	}
	return s.New()
}

// params abbreviates the parameters of a test.
type params = map[string]any
