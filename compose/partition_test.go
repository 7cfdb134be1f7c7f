package compose

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// Twelve nodes are parted into two halves under load. Each half learns that it is alone, and goes on: all requests complete. Healed, all
// know all again. There are two networks, from which no way leads to the other; a node is known by its address in that of its half, and has a
// second one in the other, which is taken away.
func TestPartition(t *testing.T) {
	t.Parallel()
	const n = 12
	networks := [2]*bridge{newBridge(t, true), newBridge(t, true)}
	half := func(i int) int { return i * 2 / n }
	c := &cluster{nodes: startAll(t, n, func(i int) (*machine, error) {
		own, other := networks[half(i)], networks[1-half(i)]
		m, err := start(t, own, own.at(10+i), spec{image: tag(image.Node), command: slices.Concat([]string{"node", "--bind", "0.0.0.0", "--insecure",
			"--init-servers", networks[0].at(10) + "," + networks[1].at(10+n-1), "--function", "work=sleep"}, eager)})
		if err == nil {
			err = m.connect(t.Context(), other, other.at(10+i)) // the second interface: it is not the first one that began
		}
		return m, err
	})}
	meet(t, c.nodes)
	for length := 36 * time.Second; !parted(t, c, networks, length); length *= 3 { // on a busy machine nodes learn it late
		if length > bound {
			t.Fatalf("to part and to join them took as long as a load of %v", length)
		}
	}
}

// parted parts and joins the halves of a cluster under a load of so long, and reports whether that was long enough.
func parted(t *testing.T, c *cluster, networks [2]*bridge, length time.Duration) bool {
	t.Helper()
	n := len(c.nodes)
	half := func(i int) int { return i * 2 / n }
	l := c.load(t, steadyFor(t, length, n))
	l.sleep(2 * time.Second)
	all := func(change func(i int, other *bridge) error) {
		t.Helper()
		problems := make([]error, n)
		var changing sync.WaitGroup
		for i := range n {
			changing.Go(func() { problems[i] = change(i, networks[1-half(i)]) })
		}
		changing.Wait()
		if err := errors.Join(problems...); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	all(func(i int, other *bridge) error { return c.nodes[i].disconnect(t.Context(), other) })
	cut := time.Since(began)
	meet(t, c.nodes[:n/2])
	meet(t, c.nodes[n/2:])
	alone := time.Since(began)
	from := l.since()
	time.Sleep(length / 7)
	until := l.since()
	began = time.Now()
	all(func(i int, other *bridge) error { return c.nodes[i].connect(t.Context(), other, other.at(10+i)) })
	joined := time.Since(began)
	meet(t, c.nodes)
	healed := time.Since(began)
	t.Logf("cutting took %v, the halves knew after %v; joining took %v, all knew all after %v", cut.Round(time.Millisecond),
		alone.Round(time.Millisecond), joined.Round(time.Millisecond), healed.Round(time.Millisecond))
	whole := l.since()
	under := whole < length-3*time.Second
	records := l.wait()
	l.only("all", records, core.Completed)
	var served [2]int
	across := 0
	for _, r := range records {
		at := time.Duration(r.Arrival)
		away := r.Executor != core.NoNode && half(int(r.Executor)) != half(int(r.Node))
		if at > from && at+r.Latency < until {
			if served[half(int(r.Node))]++; away {
				t.Errorf("request %d of node %d was executed by node %d of the other half", r.ID, r.Node, r.Executor)
			}
		} else if at > whole && away {
			across++
		}
	}
	if under && (served[0] < 20 || served[1] < 20) { // 240 each, on a machine that never stands still
		t.Errorf("the halves served %d requests while they were alone", served)
	}
	if under && across == 0 {
		t.Error("healed, no half executed a request of the other")
	}
	return under
}
