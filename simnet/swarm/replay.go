package swarm

import (
	"bytes"
	"context"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Replay checks the replications of a scenario, until one violates an invariant, and returns the last lines of the
// trace of the last one that it has come to, up to the violation or the end of the run.
func Replay(ctx context.Context, s *scenarios.Scenario, lines int) (v *Violation, events []string, err error) {
	for r := 0; r < s.Replications && v == nil && err == nil; r++ {
		t := tail{most: lines}
		v, err = Check(ctx, s, r, true, &t)
		events = t.lines
	}
	return v, events, err
}

// tail keeps the last lines that are written to it.
type tail struct {
	most  int
	lines []string
	rest  []byte // of a line that has not ended
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	for {
		line, rest, ended := bytes.Cut(t.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		t.lines = append(t.lines, string(line))
		if len(t.lines) > t.most {
			t.lines = t.lines[1:]
		}
		t.rest = rest
	}
}
