package precise

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// Nobody wakes before the instant, whoever comes and goes meanwhile.
func TestNeverEarly(t *testing.T) {
	c := New()
	defer c.Close()
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			until := time.Now().Add(time.Duration(i*37%100) * time.Millisecond / 4)
			if err := c.Sleep(t.Context(), until); err != nil {
				t.Error(err)
			}
			if now := time.Now(); now.Before(until) {
				t.Errorf("woke %v early", until.Sub(now))
			}
		})
	}
	all.Wait()
}

func TestOrder(t *testing.T) {
	c := New()
	defer c.Close()
	for ahead := 10 * time.Millisecond; ; ahead *= 2 {
		first := time.Now().Add(ahead)
		var got []int
		done := make(chan struct{})
		for _, i := range []int{3, 1, 4, 2, 5} {
			c.After(first.Add(time.Duration(10*i)*time.Millisecond), func() {
				if got = append(got, i); len(got) == 5 {
					close(done)
				}
			})
		}
		intime := time.Now().Before(first)
		if <-done; slices.Equal(got, []int{1, 2, 3, 4, 5}) {
			break
		}
		if intime { // otherwise the machine is so busy that not all waited when the first was due
			t.Fatalf("called in the order %d", got)
		}
	}
}

func TestCancel(t *testing.T) {
	c := New()
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := c.Sleep(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait ends with %v", err)
	}
	if err := c.Sleep(ctx, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was cancelled before ends with %v", err)
	}
	stop := c.After(time.Now().Add(time.Hour), func() { t.Error("called although stopped") })
	if !stop() || stop() {
		t.Error("a function is stopped once")
	}
	if n := len(c.waits); n != 0 {
		t.Errorf("%d waits are left", n)
	}
}

func TestClose(t *testing.T) {
	c := New()
	waiting := make(chan error)
	go func() { waiting <- c.Sleep(context.Background(), time.Now().Add(time.Hour)) }()
	c.After(time.Now().Add(10*time.Millisecond), func() {})
	time.Sleep(20 * time.Millisecond)
	c.Close()
	c.Close()
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("a wait on a clock that is closed ends with %v", err)
	}
	if err := c.Sleep(context.Background(), time.Now()); !errors.Is(err, ErrClosed) {
		t.Errorf("a wait on a closed clock ends with %v", err)
	}
	if stop := c.After(time.Now(), func() { t.Error("called on a closed clock") }); stop() {
		t.Error("there was nothing to stop")
	}
}

// How late a wait of 300 us ends, here and with package time, in turn.
func BenchmarkOvershoot(b *testing.B) {
	c := New()
	defer c.Close()
	var here, there []time.Duration
	for b.Loop() {
		until := time.Now().Add(300 * time.Microsecond)
		if err := c.Sleep(context.Background(), until); err != nil {
			b.Fatal(err)
		}
		here = append(here, time.Since(until))
		until = time.Now().Add(300 * time.Microsecond)
		time.Sleep(300 * time.Microsecond)
		there = append(there, time.Since(until))
	}
	for name, late := range map[string][]time.Duration{"precise": here, "time": there} {
		slices.Sort(late)
		b.ReportMetric(float64(late[len(late)/2].Microseconds()), name+"-p50-us")
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), name+"-p99-us")
	}
}
