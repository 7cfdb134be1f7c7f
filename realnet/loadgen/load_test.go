package loadgen

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/scenarios"
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
			x := newTeacher(l, i, silent.URL)
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
