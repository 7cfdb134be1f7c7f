package simnet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// Each node draws what becomes of its messages from its own stream, in the order in which it sends them: real nodes do
// the same.
func TestTransitsAreOfTheSendersStream(t *testing.T) {
	s := scenariotest.One(t, `{duration: 20s, seed: 5, cluster: {nodes: 3, slots: 1, links: {loss: 0.1,
latency: {distribution: exponential, mean: 5ms}, jitter: {distribution: uniform, min: 0s, max: 2ms}}},
functions: [{name: f, service: {distribution: exponential, mean: 100ms}}], workload: {rate: 8/s},
scheduler: {name: PowerOfNScheduler, threshold: 1, probe_timeout: 1s, answer_timeout: 5s}}`)
	const replication = 2
	var trace bytes.Buffer
	w, err := New(s, replication, Options{Trace: &trace})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Run(never); err != nil {
		t.Fatal(err)
	}
	network := s.Cluster.Network()
	var streams []*rand.Rand
	for i := range 3 {
		streams = append(streams, rand.New(random.Stream(s.Seed, replication, random.Network, i)))
	}
	sent := map[bool]int{}
	for line := range strings.Lines(trace.String()) {
		fields := strings.Fields(line)
		if fields[3] != "send" {
			continue
		}
		_, way, _ := strings.Cut(strings.TrimSpace(line), " to n")
		var from, to core.NodeID
		fmt.Sscanf(fields[1], "n%d", &from)
		fmt.Sscanf(way, "%d", &to)
		d, lost := network.Transit(from, to, 0, streams[from])
		want := fmt.Sprintf("%d, %v on the way", to, d)
		if lost {
			want = fmt.Sprintf("%d is lost", to)
		}
		if way != want {
			t.Fatalf("%q: want %q", line, want)
		}
		sent[lost]++
	}
	if sent[false] < 500 || sent[true] < 20 {
		t.Errorf("%d messages arrived, %d were lost: too few to tell", sent[false], sent[true])
	}
}
