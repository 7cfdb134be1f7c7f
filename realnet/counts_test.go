package realnet

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What a node says that it has counted is what its clients have seen.
func TestCounts(t *testing.T) {
	c := openNodes(t, 2, NodeOptions{Scheduler: Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}})
	for range 5 {
		if r := c.ask(0, "POST", "/function/mirror", "sleep 20ms"); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	c.ask(0, "POST", "/function/mirror", "", wire.HeaderReject, "true")
	c.ask(0, "POST", "/function/"+"%20", "")
	s := c.nodes[0].Status()
	n := &s.Counts
	if n.Arrived != 7 || n.Refused != 1 || len(n.Outcomes) != 2 || n.Outcomes[core.Completed] != 5 || n.Outcomes[core.Rejected] != 1 {
		t.Errorf("%+v", n)
	}
	if len(n.Forwarded) != 1 || n.Forwarded[s.Peers[0]] != 5 || n.Executed != 0 {
		t.Errorf("to %v: %+v", s.Peers, n)
	}
	if other := c.nodes[1].Status().Counts; other.Received != 5 || other.Executed != 5 || other.Arrived != 0 {
		t.Errorf("%+v", other)
	}
	requests := int64(0)
	for _, b := range s.Latency["mirror"] {
		if requests += b.Count; b.Around < .019 {
			t.Errorf("%v s, and the function sleeps for 20 ms", b.Around)
		}
	}
	if requests != 5 || len(s.Latency) != 1 {
		t.Errorf("%v", s.Latency)
	}
	if s.Label != "ForwardScheduler(1)" || s.Scheduler.Name != "ForwardScheduler" || s.Room != 4 || time.Since(s.Began) > time.Minute {
		t.Errorf("%+v", s)
	}
	c.ask(0, "POST", "/function/mirror", "status 500")
	if a, b := c.nodes[0].Status().Counts, c.nodes[1].Status().Counts; n.Faulty != 0 || a.Faulty != 1 || a.Outcomes[core.Completed] != 6 || b.Faulty != 0 {
		t.Errorf("a function's error: %+v, %+v", a, b)
	}
}

// The bucket of a time is within 2.2 % of it, and no time is lost.
func TestLatencyBuckets(t *testing.T) {
	h := latencies(prometheus.NewRegistry(), "h", "h", "l").WithLabelValues("x").(prometheus.Metric)
	times := []float64{1e-6, 1e-6, .00012, .25, .3, .3000001, 1, 7, 60, 86400}
	for _, x := range times {
		h.(prometheus.Observer).Observe(x)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, b := range buckets(m.GetHistogram()) {
		for range b.Count {
			if i < len(times) && math.Abs(b.Around/times[i]-1) > .0222 {
				t.Errorf("%v is said to be %v", times[i], b.Around)
			}
			i++
		}
	}
	if i != len(times) {
		t.Errorf("%d times, not %d", i, len(times))
	}
}
