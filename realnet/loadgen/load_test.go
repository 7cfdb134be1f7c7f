package loadgen

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// Where the command is interrupted while the nodes are asked, that is said, not that they do not answer.
func TestReadyIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		interrupt()
		<-r.Context().Done()
	}))
	defer node.Close()
	err := Ready(ctx, Options{Scenario: &scenarios.Scenario{}, Targets: []Target{{Scheduler: node.Listener.Addr().String()}}})
	if err != context.Canceled {
		t.Errorf("%v", err)
	}
}

// Learners that do not answer hold up the end of a run once, not one after the other, and one that is interrupted not at all.
func TestTeachersAreDismissed(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does it see that the caller gives up
		<-r.Context().Done()
	}))
	defer silent.Close()
	l := &load{Options: Options{Scenario: &scenarios.Scenario{Learner: &scenarios.Learner{}}}}
	hire := func() {
		l.teachers = nil
		for i := range 30 {
			x := newTeacher(l, i, realnet.LearnerOptions{Train: silent.URL, Timeout: l.Timeout})
			x.open = []learner.Entry{{EID: 1, State: []float64{0}}}
			l.teachers = append(l.teachers, x)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, x := range []struct {
		ctx           context.Context
		timeout, most time.Duration
	}{{t.Context(), time.Second, 15 * time.Second}, {ended, time.Minute, 15 * time.Second}} {
		l.Timeout = x.timeout
		hire()
		began := time.Now()
		if l.dismiss(x.ctx); time.Since(began) > x.most {
			t.Errorf("the end of the run takes %v, at most %v are for it", time.Since(began), x.most)
		}
	}
}

// Where more requests wait than can be kept, the run ends at once with what to do, and not when the last of them has been waited for.
func TestNodesThatAnswerNothing(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, _ = io.Copy(io.Discard, r.Body); {
		case strings.HasPrefix(r.URL.Path, "/function/"):
			<-r.Context().Done()
		case r.URL.Path == "/monitoring/load":
			for _, name := range []string{wire.HeaderLoad, wire.HeaderQueueLength, wire.HeaderMaxLoad} {
				w.Header().Set(name, "1")
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer node.Close()
	defer func(most int) { maxUnderWay = most }(maxUnderWay)
	maxUnderWay = 20
	s := scenariotest.One(t, "{duration: 60s, cluster: {nodes: 1}, functions: [{name: f, service: 1ms}], workload: {rate: 100/s}, "+
		"scheduler: {name: NoScheduler}}")
	began := time.Now()
	_, err := Generate(t.Context(), Options{Scenario: s, Targets: []Target{{Scheduler: node.Listener.Addr().String()}}})
	if err == nil || !strings.Contains(err.Error(), "20 requests wait") || !strings.Contains(err.Error(), "workload.rate") || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
