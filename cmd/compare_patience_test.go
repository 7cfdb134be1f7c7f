package cmd

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Simulated clients wait as long as the real ones that they are compared with.
func TestComparePatience(t *testing.T) {
	for _, x := range []struct {
		more  string
		flag  time.Duration // --request-timeout
		waits []time.Duration
	}{
		{"", 0, []time.Duration{time.Minute}},
		{"", 5 * time.Second, []time.Duration{5 * time.Second}},
		{"client: {timeout: 20s}", 0, []time.Duration{20 * time.Second}},
		{"client: {timeout: 20s}", 5 * time.Second, []time.Duration{5 * time.Second}},
		{"sweep: {client.timeout: [10s, 20s]}", 0, []time.Duration{10 * time.Second, 20 * time.Second}},
		{"sweep: {workload.rate: [1/s, 2/s]}", 0, []time.Duration{time.Minute, time.Minute}},
	} {
		file, err := scenarios.Parse("x.yaml", []byte("{duration: 10s, cluster: {nodes: 2}, functions: [{name: f, service: 1s}], "+
			"workload: {rate: 1/s}, scheduler: {name: NoScheduler}, "+x.more+"}"), fstest.MapFS{})
		if err != nil {
			t.Fatal(err)
		}
		before, err := file.Points()
		if err != nil {
			t.Fatal(err)
		}
		c := comparison{flags: &compareFlags{}}
		c.flags.timeout = x.flag
		if err := c.patience(file, before); err != nil {
			t.Fatal(err)
		}
		after, err := file.Points()
		if err != nil || len(after) != len(x.waits) {
			t.Fatalf("%q: %d points, %v", x.more, len(after), err)
		}
		for i := range after {
			if got := after[i].Scenario.Client.Timeout; got != x.waits[i] {
				t.Errorf("%q, --request-timeout %v: point %d has clients that wait for %v, want %v", x.more, x.flag, i, got, x.waits[i])
			}
		}
	}
}
