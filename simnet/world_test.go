package simnet

import (
	"testing"
	"time"
)

// Power of two choices with threshold 2 at load 0.9, 10 ms per message: independent simulators agree on a mean sojourn
// time of 2.73 and 38 % forwarded at N = 100.
func TestPowerOfTwo(t *testing.T) {
	w, err := New(powerOfTwo(t, 100, 5000*time.Second), 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Run(never)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		metric    string
		low, high float64
	}{{"latency.mean", 2.69, 2.77}, {"forwarded_share", 0.375, 0.385}, {"drop_rate", 0, 1e-4}, {"probing.mean", 0.0143, 0.0155}} {
		if v, ok := r.Tally.Metric(c.metric); !ok || v < c.low || v > c.high {
			t.Errorf("%s = %v (%v), want it between %v and %v", c.metric, v, ok, c.low, c.high)
		}
	}
	if perJob := float64(r.Events) / float64(r.Jobs); perJob < 4.2 || perJob > 4.3 {
		t.Errorf("%.3f events per job, want 4.25", perJob)
	}
	if r.InFlight != 0 || r.Submitted != r.Ended {
		t.Errorf("%d submitted, %d ended, %d in flight", r.Submitted, r.Ended, r.InFlight)
	}
}
