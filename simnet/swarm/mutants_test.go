package swarm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutant is a mistake that somebody might make in the sources, and the invariant that finds it.
type mutant struct {
	name      string
	file      string // from the root of the module
	old, new  string
	invariant Invariant
}

var mutants = []mutant{
	{"a task that fails at a peer is forgotten", "core/forward.go",
		"case f == FallbackFail:\n\t\tn.end(t, o)", "case f == FallbackFail:\n\t\tn.cfg.eng.Free(t)", Conservation},
	{"a task that fails at a peer never ends", "core/forward.go",
		"case f == FallbackFail:\n\t\tn.end(t, o)", "case f == FallbackFail:", OneOutcome},
	{"a request that its client gave up is counted once more", "simnet/client.go",
		"return // it was counted when its client gave up", "_ = t", OneOutcome},
	{"one task more runs than there are slots", "core/queue.go",
		"case n.running < c.Slots:", "case n.running <= c.Slots:", Bounds},
	{"one task more waits than there is room", "core/queue.go",
		"case n.queued < c.Room:", "case n.queued <= c.Room:", Bounds},
	{"an execution that was given up still counts as running", "core/cancel.go",
		"t.Timing.Executing += e.now.Sub(t.since)\n\t\tn.running--", "t.Timing.Executing += e.now.Sub(t.since)", Bounds},
	{"a forward does not count as a hop", "core/forward.go",
		"\tc.Hops++\n\treturn c", "\treturn c", Hops},
	{"a crash leaves executions going on", "core/node.go",
		"e.host.Stop(n.id, t)", "_ = e", Dead},
	{"a crash lets decisions go on", "core/node.go",
		"n.down = true\n\tn.kill(activitySchedule)", "n.down = true", Dead},
	{"a refused connection counts as an answer", "simnet/faults.go",
		"Item: m.Item, Outcome: core.LostNodeDown,", "Item: m.Item, Outcome: core.Completed,", Dead},
	{"who is held dead does not object", "core/membership/member.go",
		"m.defend(e)\n\t\treturn true", "return true", Membership},
	{"a window waits for what is missing for ever", "learner/window.go",
		"case w.pending-w.run >= w.patience, w.begins():", "case w.begins():", Window},
	{"a window that is flushed keeps what is behind a gap", "learner/window.go",
		"for w.pending > 0 {\n\t\tw.skip(out)", "if w.pending > 0 {\n\t\tw.skip(out)", Window},
	{"the way back takes no time", "core/forward.go",
		"t.Timing.Returning += max(0, rest)", "t.Timing.Returning += 0", Time},
	{"what a node that stood still has missed comes before it goes on", "simnet/faults.go",
		"f.world.calendar.push(f.world.now,", "f.world.calendar.push(f.world.now-1,", Time},
	{"algorithms draw from a stream that no seed gives", "simnet/world.go",
		"rng := random.Stream(w.scenario.Seed, w.replication, random.Algorithm, int(id))", "rng := rand.NewPCG(rand.Uint64(), uint64(len(random.Algorithm)))", Determinism},
	{"a list is read behind its end", "core/sched/roundrobin.go",
		"i := s.next % turns", "i := s.next", Sound},
}

// TestMutants: each invariant catches a source that is broken on purpose. A mutant is compiled with an overlay, and TestSeeds is to find it.
func TestMutants(t *testing.T) {
	if os.Getenv("P2PFAAS_MUTANTS") != "1" {
		t.Skip("it compiles the simulator once for each mutant, which takes minutes: make mutants does, and so does CI")
	}
	for _, i := range Invariants {
		if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.invariant == i }) {
			t.Errorf("no mutant violates %s", i)
		}
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			began := time.Now()
			said := m.swarm(t)
			found := fmt.Sprintf(" fails: %s at ", m.invariant)
			i := strings.Index(said, found)
			if i < 0 {
				t.Fatalf("no seed%s: the swarm says\n%s", found, said)
			}
			line := said[strings.LastIndexByte(said[:i], '\n')+1:]
			line, _, _ = strings.Cut(line, "\n")
			t.Logf("%s (%v)", strings.TrimSpace(line), time.Since(began).Round(time.Second))
		})
	}
}

// swarm runs TestSeeds with the mutant in the place of the source, and returns what it says.
func (m *mutant) swarm(t *testing.T) string {
	path, err := filepath.Abs(filepath.Join("..", "..", filepath.FromSlash(m.file)))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("%s has %d times what the mutant changes, %q: change the mutant with the source", m.file, n, m.old)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{changed: strings.Replace(string(source), m.old, m.new, 1), overlay: string(list)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=20m", "-vet=off", "-overlay", overlay, "-run", "^TestSeeds$", ".").CombinedOutput()
	if err == nil {
		t.Fatalf("nothing fails")
	}
	return string(out)
}
