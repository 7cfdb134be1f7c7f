package membership

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// Campaign is a measurement: clusters that differ by their seed, each with nodes that crash, leave and come back.
type Campaign struct {
	Nodes    int
	Seeds    int
	Seed     uint64        // of the first cluster
	Duration time.Duration // virtual, of each; every two minutes something happens
	Net      Net
	Workers  int
	Progress func(done int) // called after each cluster, by one goroutine at a time
}

// Figures are what a campaign measured.
type Figures struct {
	Count
	NodeSeconds float64
	Busiest     float64 // messages per second that the busiest node of all sent
	Cases       [cases]Delays
	FalseSeeds  []uint64 // clusters with a false death
}

// Case is something that happens to nodes, and what is measured then.
type Case int

// Cases, in the order in which they happen.
const (
	Crash  Case = iota // one crashes, until the last list has lost it
	Crash5             // five crash at once
	Leave              // one says goodbye
	Return             // those come back, with no memory, until the last list has them
	Full               // until they have everybody in their own lists
	Blip               // one crashes and is back after three seconds, until every list has it and it has everybody
	cases
)

var caseNames = [...]string{"one crashes", "five crash at once", "one leaves", "those come back", "their own lists full",
	"away for 3 s"}

// String says what happens.
func (c Case) String() string { return caseNames[c] }

// Bound is the longest that the case may take.
func (c Case) Bound() time.Duration { return 10 * time.Second }

// Delays are durations measured.
type Delays []time.Duration

// Quantile returns the smallest delay that a share q of all does not exceed; 0 where there is none.
func (d Delays) Quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// Mean returns the mean; 0 where there is none.
func (d Delays) Mean() time.Duration {
	sum := time.Duration(0)
	for _, x := range d {
		sum += x
	}
	return sum / time.Duration(max(1, len(d)))
}

const (
	warmUp = 60 * time.Second
	pause  = 60 * time.Second // between two things that happen
	giveUp = 50 * time.Second // a delay that has not ended by then
)

// Run measures. The figures do not depend on Workers.
func (c Campaign) Run(ctx context.Context) (Figures, error) {
	if c.Nodes < 10 || c.Seeds < 1 || c.Workers < 1 || c.Duration < warmUp+6*pause {
		return Figures{}, fmt.Errorf("a campaign needs 10 nodes, 1 seed, 1 worker and %v at least; it has %d, %d, %d and %v",
			warmUp+6*pause, c.Nodes, c.Seeds, c.Workers, c.Duration)
	}
	all := make([]Figures, c.Seeds)
	var next, done atomic.Int64
	var progress sync.Mutex
	var workers sync.WaitGroup
	for range c.Workers {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < c.Seeds && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				all[i] = c.cluster(c.Seed + uint64(i))
				n := done.Add(1)
				if c.Progress != nil {
					progress.Lock()
					c.Progress(int(n))
					progress.Unlock()
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return Figures{}, ctx.Err()
	}
	var sum Figures
	for _, f := range all {
		sum.Sent += f.Sent
		sum.Received += f.Received
		sum.Bytes += f.Bytes
		sum.Entries += f.Entries
		sum.False += f.False
		sum.Largest = max(sum.Largest, f.Largest)
		sum.NodeSeconds += f.NodeSeconds
		sum.Busiest = max(sum.Busiest, f.Busiest)
		sum.FalseSeeds = append(sum.FalseSeeds, f.FalseSeeds...)
		for i := range sum.Cases {
			sum.Cases[i] = append(sum.Cases[i], f.Cases[i]...)
		}
	}
	return sum, nil
}

// cluster measures one.
func (c Campaign) cluster(seed uint64) Figures {
	w := NewWorld(c.Nodes, c.Net, seed)
	rng := rand.New(random.Stream(seed, 0, random.Faults, -1))
	seeds := []core.NodeID{0, 1, 2}
	for i := range c.Nodes {
		w.Start(i, seeds...)
	}
	w.Run(w.now.Add(warmUp), nil)
	f := Figures{}
	until := func(what Case, done func() bool) {
		began := w.now
		w.Run(began.Add(giveUp), done)
		f.Cases[what] = append(f.Cases[what], w.now.Sub(began))
	}
	for round := 0; w.now.Add(3*pause) <= core.Time(c.Duration); round++ {
		victims := rng.Perm(c.Nodes)[:1]
		began := w.now
		what := []Case{Crash, Leave, Crash5, Blip}[round%4]
		if what == Crash5 {
			victims = rng.Perm(c.Nodes)[:5]
		}
		if what == Leave {
			w.Leave(victims[0])
		} else {
			for _, v := range victims {
				w.Crash(v)
			}
		}
		if what == Blip {
			w.Run(began.Add(3*time.Second), nil)
		} else {
			until(what, func() bool { return all(victims, func(v int) bool { return w.Lists(v) == 0 }) })
			w.Run(began.Add(pause), nil)
		}
		began = w.now
		for _, v := range victims {
			w.Start(v, seeds...)
		}
		listed := func(v int) bool { return w.Lists(v) == c.Nodes-1 }
		full := func(v int) bool { return w.Listed(v) == c.Nodes-1 }
		if what == Blip {
			until(Blip, func() bool { return listed(victims[0]) && full(victims[0]) })
		} else {
			until(Return, func() bool { return all(victims, listed) })
			back := w.now
			w.Run(began.Add(giveUp), func() bool { return all(victims, full) })
			f.Cases[Full] = append(f.Cases[Full], max(w.now, back).Sub(began))
		}
		w.Run(began.Add(pause), nil)
	}
	w.Run(core.Time(c.Duration), nil)
	f.Count = w.Count
	f.NodeSeconds = float64(float64(c.Nodes) * c.Duration.Seconds())
	f.Busiest = float64(w.Busiest()) / c.Duration.Seconds()
	if w.False > 0 {
		f.FalseSeeds = []uint64{seed}
	}
	return f
}

func all(ids []int, holds func(int) bool) bool {
	for _, id := range ids {
		if !holds(id) {
			return false
		}
	}
	return true
}

// Verdict is one row of what a campaign says.
type Verdict struct {
	What  string
	Value string
	Bound string // empty: there is none
	OK    bool
}

// MaxRate bounds the messages that a node sends, and that it receives, per second.
const MaxRate = 10

// Verdicts compares the figures with the bounds.
func (f Figures) Verdicts() []Verdict {
	rows := []Verdict{{"false deaths", fmt.Sprintf("%d in %.0f node hours", f.False, f.NodeSeconds/3600), "0", f.False == 0}}
	for i, d := range f.Cases {
		c := Case(i)
		most := d.Quantile(1)
		rows = append(rows, Verdict{c.String(), fmt.Sprintf("max %.2f s, p99 %.2f s, mean %.2f s (%d times)", most.Seconds(),
			d.Quantile(0.99).Seconds(), d.Mean().Seconds(), len(d)), fmt.Sprintf("%v", c.Bound()), len(d) > 0 && most <= c.Bound()})
	}
	rate := func(what string, x float64) {
		rows = append(rows, Verdict{what, fmt.Sprintf("%.2f per node and second", x), fmt.Sprintf("%d", MaxRate), x <= MaxRate})
	}
	rate("messages sent", float64(f.Sent)/f.NodeSeconds)
	rate("messages received", float64(f.Received)/f.NodeSeconds)
	rate("sent by the busiest node", f.Busiest)
	return append(rows, Verdict{"size of a message", fmt.Sprintf("mean %.0f B, max %d B; %.2f entries", float64(f.Bytes)/float64(f.Sent),
		f.Largest, float64(f.Entries)/float64(f.Sent)), "1200 B", f.Largest <= 1200})
}
