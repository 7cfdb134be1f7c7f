package scenarios

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
)

const ms = time.Millisecond

// networkOf is the network of plain's four nodes with what a test says of their links.
func networkOf(t *testing.T, cluster string) *Network {
	t.Helper()
	files := fstest.MapFS{"xy.csv": {Data: []byte("0,0\n3,4\n0,10\n0,0\n")},
		"m.csv": {Data: []byte("0,1,2,3\n4,0,5,6\n7,8,0,9\n1,1,1,0\n")}}
	text := strings.Replace(plain, "nodes: 4", "nodes: 4, "+cluster, 1)
	text = strings.Replace(text, "NoScheduler", "NoScheduler, probe_timeout: 1s, answer_timeout: 1s", 1)
	f, err := Parse("test.yaml", []byte(text), files)
	if err != nil {
		t.Fatal(err)
	}
	return pointsOf(t, f)[0].Scenario.Cluster.Network()
}

// What is drawn, in which order: the digests of the library hang on it.
func TestTransit(t *testing.T) {
	const noisy = "{latency: {distribution: exponential, mean: 2ms}, jitter: {distribution: uniform, min: 0s, max: 1ms}, " +
		"bandwidth: 8Mbit/s, loss: 0.5}"
	for _, x := range []struct {
		cluster  string
		from, to core.NodeID
		bytes    int
		want     time.Duration // < 0: it is drawn
	}{
		{"links: {latency: 3ms}", 0, 1, 1000, 3 * ms},
		{"links: {latency: 3ms, bandwidth: 8Mbit/s}", 0, 1, 1000, 4 * ms},
		{"links: {latency: 3ms, bandwidth: 8Mbit/s}", 0, 1, 0, 3 * ms},
		{"links: {latency_matrix: {file: m.csv}}", 1, 3, 0, 6 * ms},
		{"links: {latency_matrix: {file: m.csv}, jitter: 1ms}", 3, 1, 0, 2 * ms},
		{"links: {coordinates: {file: xy.csv, per_km: 2ms}}", 0, 1, 0, 10 * ms},
		{"links: {coordinates: {file: xy.csv}}, cloud: {link: {latency: 40ms}}", 0, 4, 0, 40 * ms},
		{"links: {latency_matrix: {file: m.csv}}, cloud: {link: {latency: 40ms, bandwidth: 8Mbit/s}}", 4, 2, 1000, 41 * ms},
		{"links: " + noisy, 2, 0, 2000, -1},
		{"links: {latency: 1ms}, cloud: {link: " + noisy + "}", 2, 4, 2000, -1},
	} {
		n := networkOf(t, x.cluster)
		if !n.Has(x.from, x.to) {
			t.Errorf("%s: there is no link from %d to %d", x.cluster, x.from, x.to)
		}
		r, same := rand.New(random.Stream(1, 0, random.Network, 0)), rand.New(random.Stream(1, 0, random.Network, 0))
		losses := 0
		for range 100 {
			got, lost := n.Transit(x.from, x.to, x.bytes, r)
			want, wantLost := x.want, false
			if want < 0 {
				if wantLost = same.Float64() < 0.5; wantLost {
					losses++
					want = 0
				} else {
					want = random.Duration(random.NewExponential(0.002), same)
					want += random.Duration(random.NewUniform(0, 0.001), same) + 2*ms
				}
			}
			if got != want || lost != wantLost {
				t.Fatalf("%s from %d to %d: %v, lost %v; want %v, %v", x.cluster, x.from, x.to, got, lost, want, wantLost)
			}
		}
		if x.want < 0 && (losses < 30 || losses > 70) {
			t.Errorf("%s: %d of 100 messages were lost", x.cluster, losses)
		}
	}
}

func TestConstantNetworks(t *testing.T) {
	for cluster, want := range map[string]time.Duration{"links: {latency: 3ms}": 3 * ms, "links: {}": 0,
		"links: {latency: 3ms, jitter: 1ms}": -1, "links: {latency: 3ms, bandwidth: 1Gbit/s}": -1,
		"links: {latency: 3ms, loss: 0.1}":                            -1,
		"links: {latency: 3ms}, cloud: {link: {latency: 3ms}}":        -1,
		"links: {latency: {distribution: exponential, mean: 3ms}}":    -1,
		"links: {latency_matrix: {file: m.csv}}":                      -1,
		"links: {coordinates: {file: xy.csv}}":                        -1,
		"links: {latency: 0s}, cloud: {link: {latency: 0s, loss: 0}}": -1} {
		latency, ok := networkOf(t, cluster).Constant()
		if ok != (want >= 0) || ok && latency != want {
			t.Errorf("%s: constant %v, %v", cluster, latency, ok)
		}
	}
}

// Machines that are not of the cluster have the link that all have, and none where each pair has its own.
func TestLinksOfStrangers(t *testing.T) {
	for cluster, want := range map[string]bool{"links: {latency: 3ms}": true, "links: {latency_matrix: {file: m.csv}}": false,
		"links: {coordinates: {file: xy.csv}}": false} {
		n := networkOf(t, cluster+", cloud: {link: {latency: 3ms}}")
		if n.Has(0, 7) != want || n.Has(7, 0) != want || !n.Has(0, 4) || !n.Has(3, 0) || n.Has(core.NoNode, 1) != want {
			t.Errorf("%s: node 7 has a link: %v, %v; the cloud: %v; node 3: %v", cluster, n.Has(0, 7), n.Has(7, 0), n.Has(0, 4), n.Has(3, 0))
		}
	}
}

// Networks that differ say so.
func TestNetworkStrings(t *testing.T) {
	seen := map[string]string{}
	for _, cluster := range []string{"links: {latency: 3ms}", "links: {latency: 4ms}", "links: {latency: 3ms, jitter: 1ms}",
		"links: {latency: 3ms, bandwidth: 1Gbit/s}", "links: {latency: 3ms, loss: 0.1}", "links: {latency_matrix: {file: m.csv}}",
		"links: {latency_matrix: {file: m.csv, unit: us}}", "links: {coordinates: {file: xy.csv}}",
		"links: {coordinates: {file: xy.csv, per_km: 1ms}}", "links: {latency: 3ms}, cloud: {link: {latency: 3ms}}",
		"links: {latency: 3ms}, cloud: {link: {latency: 3ms, loss: 0.1}}"} {
		s := networkOf(t, cluster).String()
		if before, twice := seen[s]; twice {
			t.Errorf("%s and %s are both %q", before, cluster, s)
		}
		if seen[s] = cluster; s != networkOf(t, cluster).String() {
			t.Errorf("%s is %q and not", cluster, s)
		}
	}
}
