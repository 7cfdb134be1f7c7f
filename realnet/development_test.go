package realnet

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/learner"
)

// v1's routes under /dev are there in a development environment alone (wire page, section 1.2).
func TestDevelopment(t *testing.T) {
	l, err := OpenLearner(LearnerServiceOptions{Config: learner.Default()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	production := openNodes(t, 1, NodeOptions{Learner: l})
	development := openNodes(t, 1, NodeOptions{Learner: l, Development: true, Limits: Limits{Body: 10}})
	alone := openNodes(t, 1, NodeOptions{Development: true})
	entry := []string{headerLearnEID, "1", headerLearnState, "0,0,0", headerLearnAction, "1", headerLearnReward, "1"}
	for _, x := range []struct {
		method, path, body string
		header             []string
		status             int
		says               string
		alone              int // status where there is no learner
	}{
		{"GET", "/dev/learning/act", "", nil, 200, `"eps":`, 500},
		{"GET", "/dev/learning/act_ws", "", []string{headerLearnState, "0,1,2"}, 200, `"action":`, 500},
		{"GET", "/dev/learning/act", "", []string{headerLearnState, "much"}, 400, `"code":4,`, 400},
		{"GET", "/dev/learning/train", "", entry, 200, "ok", 500},
		{"GET", "/dev/learning/train", "", nil, 400, `"code":4,`, 400},
		{"GET", "/dev/http/get", "", nil, 200, "OK", 200},
		{"POST", "/dev/http/post", "echo", []string{"Content-Type", "text/plain"}, 200, "echo", 200},
		{"GET", "/dev/test/parallel?seconds=0.01", "", nil, 200, "", 200},
		{"GET", "/dev/test/parallel?seconds=-1", "", nil, 400, `"code":4,`, 400},
		{"GET", "/dev/test/parallel?seconds=1e9", "", nil, 400, `"code":4,`, 400},
		{"GET", "/dev/nowhere", "", nil, 404, "404", 404},
	} {
		if r := development.ask(0, x.method, x.path, x.body, x.header...); r.status != x.status || !strings.Contains(r.body, x.says) {
			t.Errorf("%s %s %v: %d %q, want %d with %q", x.method, x.path, x.header, r.status, r.body, x.status, x.says)
		}
		if r := alone.ask(0, x.method, x.path, x.body, x.header...); r.status != x.alone {
			t.Errorf("%s %s %v without a learner: %d %q, want %d", x.method, x.path, x.header, r.status, r.body, x.alone)
		}
		if r := production.ask(0, x.method, x.path, x.body, x.header...); r.status != 404 {
			t.Errorf("%s %s in production: %d", x.method, x.path, r.status)
		}
	}
	if r := development.ask(0, "POST", "/dev/http/post", "more than ten"); r.status != 413 || !strings.Contains(r.body, `"code":408,`) {
		t.Errorf("an echo beyond the limit: %d %q", r.status, r.body)
	}
	began := time.Now()
	development.ask(0, "GET", "/dev/test/parallel?seconds=0.05", "")
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("50 ms took %v", took)
	}
}
