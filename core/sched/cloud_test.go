package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestCloudOffload(t *testing.T) {
	for _, c := range []struct {
		gloss string
		named params
		tasks []int
		cloud bool
		want  core.Verdict
	}{
		{"below the threshold", params{"threshold": 2}, []int{1, 0}, true, core.Execute()},
		{"at the threshold, nobody is asked", params{"threshold": 2}, []int{2, 0}, true, core.Forward(2)},
		{"a peer first", params{"threshold": 2, "fanout": 1}, []int{2, 1}, true, core.Forward(1)},
		{"if it is below, too", params{"threshold": 2, "fanout": 1}, []int{5, 2}, true, core.Forward(2)},
		{"the least of those asked", params{"threshold": 3, "fanout": 3}, []int{5, 2, 1, 9}, true, core.Forward(2, 1)},
		{"everything", params{"threshold": 0}, []int{0, 0}, true, core.Forward(2)},
		{"no cloud", params{"threshold": 0}, []int{0, 0}, false, core.Execute()},
		{"alone", params{"threshold": 1, "fanout": 1}, []int{1}, true, core.Forward(1)},
	} {
		w := coretest.NewScript(0, c.tasks...)
		if c.cloud {
			w.Far = core.NodeID(len(c.tasks))
		}
		t.Run(c.gloss, func(t *testing.T) {
			wantVerdict(t, with(t, "CloudOffload", c.named).Schedule(w, task()), c.want)
		})
	}
	s, err := Parse("CloudOffload", nil)
	if err != nil || s.Check(World{Nodes: 2, Cloud: true}) != nil || s.Check(World{Nodes: 2}) == nil {
		t.Error("it must have a cloud")
	}
}
