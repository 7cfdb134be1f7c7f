package realnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// What befalls a node on purpose, inside it. What befalls it from outside, that it is ended or stands still, and when something begins
// and ends, is with who generates the load (package loadgen).

// Lying is an occurrence of a fault that lies on a node, or on links, at the moment.
type Lying struct {
	Fault int                 `json:"fault"` // index in scenarios.Scenario.Faults
	Kind  scenarios.FaultKind `json:"kind"`
	Nodes []core.NodeID       `json:"nodes,omitempty"` // that it befalls, as scenarios.FaultEvent has them
}

// Equal reports whether both are the same occurrence on the same nodes.
func (l Lying) Equal(x Lying) bool { return l.Fault == x.Fault && slices.Equal(l.Nodes, x.Nodes) }

// Faults is what befalls a node of a scenario's cluster inside it: a run says what lies on it (PUT /dev/faults), and its services ask here whether
// something does. It may be used by several goroutines. Nil: nothing ever does.
type Faults struct {
	scenario *scenarios.Scenario
	number   core.NodeID
	cluster  []string // addresses of scheduler services, by number

	mu       sync.Mutex
	lying    []Lying // on this node itself
	links    *scenarios.Disturbances
	messages *rand.Rand // what becomes of them
	failures *rand.Rand // of executions
	share    float64    // of the node's speed at which executions go
	worked   time.Duration
	since    time.Time     // worked is what an execution would have done until then, from the beginning on
	changed  chan struct{} // closed when share changes
}

// NewFaults returns those of node number of a scenario's cluster at these addresses: at first there are none.
func NewFaults(s *scenarios.Scenario, replication int, number core.NodeID, cluster []string) *Faults {
	f := &Faults{scenario: s, number: number, links: s.Disturbances(), share: 1, since: time.Now(), changed: make(chan struct{}),
		messages: rand.New(random.Stream(s.Seed, replication, random.Disturbance, int(number))),
		failures: rand.New(random.Stream(s.Seed, replication, random.Failure, int(number)))}
	for _, a := range cluster {
		f.cluster = append(f.cluster, CanonicalAddress(a))
	}
	return f
}

// maxLying bounds the body of what lies on a node, in bytes.
const maxLying = 1 << 20

// put is the route by which a run says what lies on the node, all of it: a node that has been started again is told anew.
func (f *Faults) put(c *gin.Context) {
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxLying))
	var lying []Lying
	if err == nil {
		err = json.Unmarshal(text, &lying)
	}
	if err == nil {
		err = f.set(lying)
	}
	if err != nil {
		answerFailure(c, wire.NewV1Failure(wire.CodeInput, "%v", err))
		return
	}
	c.Status(http.StatusOK)
}

// set makes these occurrences what lies on the node.
func (f *Faults) set(lying []Lying) error {
	links, share := f.scenario.Disturbances(), 1.0
	var own []Lying
	words := []string{}
	for i := range lying {
		l := &lying[i]
		if l.Fault < 0 || l.Fault >= len(f.scenario.Faults) || f.scenario.Faults[l.Fault].Kind != l.Kind {
			return fmt.Errorf("fault %d, %s: the node's scenario has no such fault: its run and its nodes need the same one", l.Fault, l.Kind)
		}
		if l.Kind == scenarios.Crash || l.Kind == scenarios.Pause {
			return fmt.Errorf("fault %d, %s: a node does not do that to itself", l.Fault, l.Kind)
		}
		for k, n := range l.Nodes {
			if n < 0 || int(n) >= f.scenario.Cluster.Nodes() || k > 0 && n <= l.Nodes[k-1] {
				return fmt.Errorf("fault %d, %s: the nodes are not numbers of the scenario's, in ascending order: %v", l.Fault, l.Kind, l.Nodes)
			}
		}
		words = append(words, f.scenario.Faults[l.Fault].Upon(l.Nodes))
		links.Change(scenarios.FaultEvent{Fault: l.Fault, Begin: true, Nodes: l.Nodes})
		if slices.Contains(l.Nodes, f.number) {
			own = append(own, *l)
			if l.Kind == scenarios.Slow {
				share /= f.scenario.Faults[l.Fault].Factor
			}
		}
	}
	slog.Info("what lies on this node, by a fault of the scenario", "faults", words)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lying, f.links = own, links
	if share != f.share {
		now := time.Now()
		f.worked, f.since, f.share = f.work(now), now, share
		close(f.changed)
		f.changed = make(chan struct{})
	}
	return nil
}

// lies is the first fault of a kind that lies on this node and is about a function; nil: there is none.
func (f *Faults) lies(kind scenarios.FaultKind, about func(*scenarios.Fault) bool) *scenarios.Fault {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.lying {
		if x := &f.scenario.Faults[f.lying[i].Fault]; x.Kind == kind && (about == nil || about(x)) {
			return x
		}
	}
	return nil
}

// transit says what becomes of a message to another node, beyond what its link is.
func (f *Faults) transit(to core.NodeID) (more time.Duration, lost bool) {
	if f == nil {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.links.Transit(f.number, to, f.messages)
}

// numberOf is the number of the machine with that scheduler service; false where it is none of the cluster: then nothing befalls what is sent to it.
func (f *Faults) numberOf(address string) (core.NodeID, bool) {
	if f == nil {
		return 0, false
	}
	i := slices.Index(f.cluster, CanonicalAddress(address))
	return core.NodeID(i), i >= 0
}

// carry has a datagram to the machine with that scheduler service written: at once, later, twice or never.
func (f *Faults) carry(address string, write func()) {
	to, known := f.numberOf(address)
	if !known {
		write()
		return
	}
	times := 1
	if f.twice(to) {
		times++
	}
	for range times {
		switch more, lost := f.transit(to); {
		case lost:
		case more > 0:
			time.AfterFunc(more, write)
		default:
			write()
		}
	}
}

// twice says whether a message to another node arrives twice.
func (f *Faults) twice(to core.NodeID) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.links.Twice(f.number, to, f.messages)
}

// hesitates is how much later an answer to a peer leaves.
func (f *Faults) hesitates() time.Duration {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.links.Hesitation(f.number, f.messages)
}

// delay returns when a message to the machine with that scheduler service would be there, or, with an error, where it is lost: then ctx has ended.
func (f *Faults) delay(ctx context.Context, address string) error {
	to, known := f.numberOf(address)
	if !known {
		return nil
	}
	more, lost := f.transit(to)
	if more == 0 && !lost {
		return nil
	}
	var there <-chan time.Time // never, where it is lost
	if !lost {
		timer := time.NewTimer(more)
		defer timer.Stop()
		there = timer.C
	}
	select {
	case <-there:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the message is lost, by a fault of the scenario: %w", ctx.Err())
	}
}

// garbage makes of an answer to a peer what nobody can use, where that lies on the node.
func (f *Faults) garbage(answer []byte) []byte {
	if f.lies(scenarios.Garbage, nil) == nil {
		return answer
	}
	spoilt := make([]byte, len(answer))
	for i, b := range answer {
		spoilt[i] = ^b
	}
	return spoilt
}

// errFullDisk is what a write to a disk fails with that is full by a fault.
var errFullDisk = fmt.Errorf("%w, by a fault of the scenario", syscall.ENOSPC)

// faultyDisk is a file on a disk that may be full.
type faultyDisk struct {
	*os.File
	faults *Faults
}

// Write implements io.Writer.
func (d *faultyDisk) Write(p []byte) (int, error) {
	if d.faults.lies(scenarios.FullDisk, nil) != nil {
		return 0, fmt.Errorf("writing %s: %w", d.Name(), errFullDisk)
	}
	return d.File.Write(p)
}

// wall is an instant by the wall clock of the node, which may be off.
func (f *Faults) wall(t time.Time) time.Time {
	if f == nil {
		return t
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.lying {
		if x := &f.scenario.Faults[f.lying[i].Fault]; x.Kind == scenarios.ClockStep {
			t = t.Add(x.By)
		}
	}
	return t
}

// errLearnerDown is what an algorithm sees of a learner that does not answer.
var errLearnerDown = errors.New("the learner is down, by a fault of the scenario")

// learnerDown reports whether the node's learner does not answer.
func (f *Faults) learnerDown() bool { return f.lies(scenarios.LearnerDown, nil) != nil }

// The execution of a function.

var errHangs = errors.New("the function hangs, by a fault of the scenario")

// execute runs a function of a type: it may hang, until ctx ends or a call has taken so long (0: without end), take longer, or fail.
func (f *Faults) execute(ctx context.Context, t core.TaskType, patience time.Duration, run func() (*answer, time.Duration, error)) (*answer, time.Duration, error) {
	if f == nil {
		return run()
	}
	of := func(x *scenarios.Fault) bool { return x.Of(t) }
	if f.lies(scenarios.FunctionHangs, of) != nil {
		if patience > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, patience)
			defer cancel()
		}
		<-ctx.Done()
		return nil, 0, errHangs
	}
	f.mu.Lock()
	began := time.Now()
	done := f.work(began)
	f.mu.Unlock()
	a, cold, err := run()
	if err == nil {
		err = f.await(ctx, done+time.Since(began))
	}
	if err == nil {
		if x := f.fails(of); x != nil {
			why := wire.NewV1Failure(wire.CodeGeneric, "the function fails, by a fault of the scenario")
			why.HTTPStatus = x.Status
			return nil, cold, why
		}
	}
	return a, cold, err
}

// work is what an execution at the pace of this node would have done until now. f.mu is held.
func (f *Faults) work(now time.Time) time.Duration {
	return f.worked + time.Duration(float64(now.Sub(f.since))*f.share)
}

// await returns when so much work would be done.
func (f *Faults) await(ctx context.Context, wanted time.Duration) error {
	for {
		f.mu.Lock()
		left, share, changed := wanted-f.work(time.Now()), f.share, f.changed
		f.mu.Unlock()
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(time.Duration(float64(left) / share))
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// fails draws by which fault an execution that ends fails; nil: by none.
func (f *Faults) fails(of func(*scenarios.Fault) bool) *scenarios.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.lying {
		if x := &f.scenario.Faults[f.lying[i].Fault]; x.Kind == scenarios.FunctionFails && of(x) && f.failures.Float64() < x.Probability {
			return x
		}
	}
	return nil
}
