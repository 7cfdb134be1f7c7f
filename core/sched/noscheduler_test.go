package sched

import (
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/coretest"
)

func TestNoScheduler(t *testing.T) {
	for _, c := range []struct {
		gloss string
		loss  bool
		own   int
		want  core.Verdict
	}{
		{"a free slot", false, 0, core.Execute()},
		{"it waits", false, 3, core.Execute()},
		{"loss with a free slot", true, 0, core.Execute()},
		{"loss without", true, 1, core.Reject(core.NoRoom)},
	} {
		w := coretest.NewScript(0, c.own, 0)
		if got := with(t, "NoScheduler", params{"loss": c.loss}).Schedule(w, task()); got.String() != c.want.String() {
			t.Errorf("%s: %s, want %s", c.gloss, got, c.want)
		}
	}
}
