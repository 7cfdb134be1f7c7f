package results

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// realPoint is a point of one real replication whose requests took 100 ms.
func realPoint(reality Reality) *Point {
	p := pointOf(100)
	for range Batches {
		b := NewTally("f")
		b.Add(completed(0, 100*ms))
		p.Replications[0].Batches = append(p.Replications[0].Batches, b)
	}
	p.Replications[0].Reality = &reality
	return p
}

// notes are the warnings of a run of these points, of whose percentiles nothing is shown.
func notes(points ...*Point) string {
	return strings.Join((&Run{World: "real", Points: points}).Warnings(), "\n")
}

// The generator is called late where more than 1 % of the requests were, and that is no luck: one of few is no reason.
func TestLateVerdict(t *testing.T) {
	for _, x := range []struct {
		requests, late int
		is             bool
	}{
		{36, 1, false}, {36, 4, false}, {36, 5, true}, {4, 4, false}, {5, 5, true}, {500, 9, false}, {500, 10, true},
		{10_000, 100, false}, {10_000, 117, false}, {10_000, 118, true}, {1_000_000, 10_500, true},
	} {
		of := NewPunctuality()
		for i := range x.requests {
			if i < x.late {
				of.Add(20 * ms) // 2 ms are tolerated
			} else {
				of.Add(100 * time.Microsecond)
			}
		}
		for what, r := range map[string]Reality{"generator was late": {Sent: of.Lateness()},
			"links were late": {Links: &Links{Lateness: of.Lateness()}}} {
			if is := strings.Contains(notes(realPoint(r)), what); is != x.is {
				t.Errorf("%d of %d late: %s: %v", x.late, x.requests, what, is)
			}
		}
	}
}

// What happened to requests is told once for a run, the most frequent first, and no more of it than can be read.
func TestRealityNotes(t *testing.T) {
	a := realPoint(Reality{
		Faulty: []Faulty{{"f", 500, 1, "late"}},
		Losses: []Loss{{core.LostNodeDown, "refused", 2, []core.NodeID{1}, false}, {core.LostNoAnswer, "slow", 9, []core.NodeID{0, 1, 2, 5}, false}},
	})
	b := realPoint(Reality{
		Faulty: []Faulty{{"f", 400, 3, "no picture"}, {"f", 500, 1, "later"}},
		Losses: []Loss{{core.LostNodeDown, "refused", 8, []core.NodeID{2}, false}, {core.NoRoom, "shutting down.", 1, []core.NodeID{3}, false}},
		Gone:   []Address{{2, "10.0.0.2:18080"}, {1, "10.0.0.1:18080"}},
	})
	a.Index, a.Scheduler, b.Index, b.Scheduler = 0, "A", 1, "B"
	all := notes(a, b)
	for _, want := range []string{
		"end of the run, and did before: node 1 at 10.0.0.1:18080, node 2 at 10.0.0.2:18080. At B.",
		"20 requests were lost or turned away, not by the decision of an algorithm: " +
			"10 of nodes 1-2 (lost-node-down): refused; 9 of nodes 0-2, 5 (lost-no-answer): slow; 1 of node 3 (no-room): shutting down.",
		`3 of 2 answers of function f had status 400 (the first said: "no picture"); 2 of 2 answers of function f had status 500 ` +
			`(the first said: "late"). They count as completed.`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %q in:\n%s", want, all)
		}
	}
	many := realPoint(Reality{})
	for i := range 40 {
		many.Replications[0].Reality.Losses = append(many.Replications[0].Reality.Losses,
			Loss{core.LostNodeDown, fmt.Sprint("reason ", i), 1, []core.NodeID{core.NodeID(2 * i)}, false})
	}
	if said := notes(many); !strings.Contains(said, "reason 4; and 35 more.") || strings.Contains(said, "reason 5") {
		t.Error(said)
	}
	if said := notes(realPoint(Reality{})); said != "" {
		t.Errorf("of a run without events: %s", said)
	}
	data, err := json.Marshal(b.Replications[0])
	var back Replication
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil || !reflect.DeepEqual(back.Reality, b.Replications[0].Reality) {
		t.Errorf("from a file comes %+v, %v", back.Reality, err)
	}
}

// What the scenario had go wrong is no reason for doubt: losses that its faults explain are told with how they went, and only the others are warned of.
func TestLossesByFaults(t *testing.T) {
	late := NewPunctuality()
	late.Add(ms)
	r := &Run{World: "real", Points: []*Point{realPoint(Reality{Faults: &Faults{Late: late.Lateness()},
		Losses: []Loss{{core.LostNodeDown, "refused", 40, []core.NodeID{1}, true}}})}}
	if said := r.Befallen(); !strings.HasSuffix(said, "; they explain 40 requests that were lost: 40 of node 1 (lost-node-down): refused") {
		t.Errorf("of faults: %s", said)
	}
	if w := r.Warnings(); len(w) > 0 {
		t.Errorf("a warning of what the scenario says: %q", w)
	}
	more := &r.Points[0].Replications[0].Reality.Losses
	*more = append(*more, Loss{core.LostNodeDown, "refused", 2, []core.NodeID{3}, false})
	if w := r.Warnings(); len(w) != 1 || w[0] != "2 requests were lost or turned away, not by the decision of an algorithm, nor by a fault of the scenario: "+
		"2 of node 3 (lost-node-down): refused." {
		t.Errorf("of what no fault explains: %q", w)
	}
}

// Nodes that emulate other links than the scenario's are not said to emulate none, and the advice is for what has it.
func TestNotesSayWhatIs(t *testing.T) {
	const none, other = "do not emulate links", "emulate other links"
	for _, x := range []struct {
		links       Links
		none, other bool
	}{{Links{}, false, false}, {Links{Others: 2}, true, false}, {Links{Others: 2, Unlike: 2}, false, true}, {Links{Others: 2, Unlike: 1}, true, true}} {
		said := notes(realPoint(Reality{Links: &x.links}))
		if strings.Contains(said, none) != x.none || strings.Contains(said, other) != x.other {
			t.Errorf("%+v: %s", x.links, said)
		}
	}
	for world, advice := range map[string]bool{"sim": true, "real": false} {
		p := pointOf(100, 101, 99, 100, 100)
		p.Wanted = 7
		said := strings.Join((&Run{World: world, Points: []*Point{p}}).Warnings(), " ")
		if !strings.Contains(said, "2 replications are missing") || strings.Contains(said, "--resume") != advice {
			t.Errorf("%s: %s", world, said)
		}
	}
}

// Runs that begin within one second have directories of their own.
func TestDefaultDir(t *testing.T) {
	t.Chdir(t.TempDir())
	at := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, want := range []string{"", "-2", "-3"} {
		dir, err := DefaultDir("x", at)
		if want = "runs/x-20300506-070809" + want; err != nil || filepath.ToSlash(dir) != want {
			t.Errorf("%s, %v; want %s", dir, err, want)
		}
	}
}
