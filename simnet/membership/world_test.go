package membership

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

var lossy = Net{Loss: 0.05, MinLatency: time.Millisecond, MaxLatency: 20 * time.Millisecond}

func campaign(workers int) Campaign {
	return Campaign{Nodes: 100, Seeds: 4, Seed: 1, Duration: 10 * time.Minute, Net: lossy, Workers: workers}
}

// The short form of `make membership`: every bound holds, and the figures do not depend on the number of cores.
func TestCampaign(t *testing.T) {
	f, err := campaign(2).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range f.Verdicts() {
		if !v.OK {
			t.Errorf("%s: %s, bound %s", v.What, v.Value, v.Bound)
		}
	}
	one, err := campaign(1).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, one) {
		t.Errorf("two workers measure\n%+v\none\n%+v", f.Count, one.Count)
	}
}

// A campaign sees what breaks a bound: nine messages of ten lost are too many for a cluster of ten.
func TestCampaignSeesDeaths(t *testing.T) {
	c := campaign(2)
	c.Nodes, c.Seeds, c.Net.Loss = 10, 1, 0.9
	f, err := c.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if v := f.Verdicts()[0]; v.OK || f.False == 0 || len(f.FalseSeeds) != 1 {
		t.Errorf("at 90 %% loss: %+v", v)
	}
}

// The halves of a partition lose each other, and find each other when it heals, without a false death.
func TestPartition(t *testing.T) {
	const n = 60
	for seed := range uint64(3) {
		w := NewWorld(n, lossy, seed)
		for i := range n {
			w.Start(i, 0, 1)
		}
		within := func(what string, d time.Duration, lists int) {
			t.Helper()
			began := w.Now()
			done := func() bool {
				for i := range n {
					if w.Lists(i) != lists {
						return false
					}
				}
				return true
			}
			w.Run(began.Add(d), done)
			if !done() {
				t.Fatalf("seed %d: not %s within %v", seed, what, d)
			}
		}
		within("together", 20*time.Second, n-1)
		w.Run(core.Time(time.Minute), nil)
		w.Partition(func(id int) int { return id % 2 })
		within("parted", 20*time.Second, n/2-1)
		w.Run(w.Now().Add(time.Minute), nil)
		w.Partition(nil)
		within("healed", 30*time.Second, n-1)
		if w.False > 0 {
			t.Errorf("seed %d: %d false deaths", seed, w.False)
		}
	}
}

// Two nodes are enough: the one finds out about the other, and has it back.
func TestTwoNodes(t *testing.T) {
	for seed := range uint64(20) {
		w := NewWorld(2, lossy, seed)
		w.Start(0)
		w.Start(1, 0)
		w.Run(core.Time(10*time.Minute), nil)
		if w.False > 0 || w.Lists(0) != 1 || w.Lists(1) != 1 {
			t.Fatalf("seed %d: %d false deaths, in %d and %d lists", seed, w.False, w.Lists(0), w.Lists(1))
		}
		w.Crash(1)
		w.Run(w.Now().Add(10*time.Second), nil)
		if w.Lists(1) != 0 {
			t.Errorf("seed %d: not dead after 10 s", seed)
		}
		w.Start(1) // it knows nobody; the other asks it now and then
		w.Run(w.Now().Add(10*time.Second), nil)
		if w.Lists(1) != 1 || w.Lists(0) != 1 {
			t.Errorf("seed %d: not back after 10 s", seed)
		}
	}
}

func BenchmarkWorld(b *testing.B) {
	w := NewWorld(100, lossy, 1)
	for i := range 100 {
		w.Start(i, 0, 1, 2)
	}
	w.Run(core.Time(time.Minute), nil)
	b.ReportAllocs()
	before := w.Sent
	for b.Loop() {
		w.Run(w.Now().Add(time.Second), nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(w.Sent-before), "ns/message")
}
