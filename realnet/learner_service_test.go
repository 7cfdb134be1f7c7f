package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
)

func openLearner(t *testing.T, data string) (*LearnerService, string) {
	t.Helper()
	l, err := OpenLearner(LearnerServiceOptions{Config: learner.Default(), Data: data,
		Stream: *random.Stream(1, 0, random.Learner, 0)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(l.Handler())
	t.Cleanup(func() { l.Close(); s.Close() })
	return l, s.URL
}

func fetch(t *testing.T, method, url, content string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for k := 0; k < len(header); k += 2 {
		r.Header.Set(header[k], header[k+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text), a.Header
}

// The routes one by one (wire page, section 3.1).
func TestWireLearner(t *testing.T) {
	dir := t.TempDir()
	_, url := openLearner(t, dir)
	state := []string{headerLearnState, "0.000000,1.000000"}
	entry := func(eid string) []string {
		return append([]string{headerLearnEID, eid, headerLearnAction, "1.0000", headerLearnReward, "1.0000"}, state...)
	}
	for _, x := range []struct {
		method, path, body string
		header             []string
		status             int
		says               string
	}{
		{"GET", "/", "", nil, 200, "This is p2pfaas-learner v0.0.1b."},
		{"GET", "/act", "", state, 200, ""},
		{"GET", "/act", "", nil, 500, ""},
		{"GET", "/act", "", []string{headerLearnState, "0,x"}, 500, ""},
		{"GET", "/act", "", []string{headerLearnState, "NaN,0"}, 500, ""},
		{"GET", "/train", "", entry("1"), 200, "ok"},
		{"GET", "/train", "", entry("-1"), 500, ""},
		{"GET", "/train", "", state, 500, ""},
		{"POST", "/train_batch", `[{"eid":"2","state":"0.000000,1.000000","action":"1.000000","reward":1},{"eid":3,"state":"0,1","action":0,"reward":"0.5"}]`, nil, 200, "ok"},
		{"POST", "/train_batch", `[]`, nil, 500, ""},
		{"POST", "/train_batch", `x`, nil, 500, ""},
		{"POST", "/train_batch", `[{"eid":4}]`, nil, 500, ""},
		{"GET", "/learner/parameters", "", nil, 200, `"name":"SarsaQTable"`},
		{"POST", "/learner/parameters", `{"alpha":0.5}`, nil, 415, ""},
		{"POST", "/learner/parameters", `null`, []string{"Content-Type", "application/json"}, 500, ""},
		{"POST", "/learner/parameters", `{"alpha":"x"}`, []string{"Content-Type", "application/json"}, 500, ""},
		{"POST", "/learner/parameters", `{"alpha":-1}`, []string{"Content-Type", "application/json"}, 500, ""},
		{"POST", "/learner/parameters", `{"alpha":0.001,"window_size":10,"epsilon":0.8,"unknown":1,"entry_missing_max_attempts":50}`,
			[]string{"Content-Type", "application/json; charset=utf-8"}, 200, ""},
		{"GET", "/learner/parameters", "", nil, 200, `"alpha":0.001`},
		{"GET", "/learner/parameters", "", nil, 200, `"epsilon_start":0.8`},
		{"POST", "/learner/parameters", `{"actions_n":14}`, []string{"Content-Type", "application/json"}, 200, ""},
		{"GET", "/learner/weights", "", nil, 200, `"13":13`},
		{"GET", "/learner/stats", "", nil, 200, `"pending_entries":0`},
		{"GET", "/learner/reset", "", nil, 200, ""},
		{"PUT", "/learner/reset", "", nil, 405, ""},
	} {
		status, text, _ := fetch(t, x.method, url+x.path, x.body, x.header...)
		if status != x.status || !strings.Contains(text, x.says) {
			t.Errorf("%s %s %s %v: %d %q, want %d with %q", x.method, x.path, x.body, x.header, status, text, x.status, x.says)
		}
	}
	// The parameters outlive the process.
	_, again := openLearner(t, dir)
	if _, text, _ := fetch(t, "GET", again+"/learner/parameters", ""); !strings.Contains(text, `"actions_n":14`) {
		t.Errorf("after a restart: %s", text)
	}
}

// Weaknesses 13 and 14: entries that are missing, or come twice, stall the training for ever. Here they do not.
func TestWeakness13And14(t *testing.T) {
	_, url := openLearner(t, "")
	if s, text, _ := fetch(t, "POST", url+"/learner/parameters", `{"entry_missing_max_attempts":2,"window_size":10}`,
		"Content-Type", "application/json"); s != 200 {
		t.Fatal(text)
	}
	for eid := range 2000 {
		if eid%20 == 7 {
			continue
		}
		entry := fmt.Sprintf(`{"eid":%d,"state":"0,1","action":1,"reward":1}`, eid)
		if s, text, _ := fetch(t, "POST", url+"/train_batch", "["+entry+","+entry+"]"); s != 200 {
			t.Fatalf("entry %d: %s", eid, text)
		}
	}
	_, text, _ := fetch(t, "GET", url+"/learner/stats", "")
	var stats struct {
		Trained int `json:"trained_items"`
		Pending int `json:"pending_entries"`
		Max     int `json:"eid_max_seen"`
	}
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		t.Fatal(err)
	}
	if stats.Trained < 1790 || stats.Pending > 100 || stats.Max != 1999 {
		t.Errorf("%s: 1900 entries have come in 101 runs, the last of each has no successor: at least 1790 must have been learned from", text)
	}
}

// A node with the LearningScheduler asks its learner by websocket and tells its client what it answered; when the
// learner is gone, tasks execute where they are (weakness 3), and when it is back, it is asked again.
func TestWeakness3(t *testing.T) {
	l, _ := openLearner(t, "")
	socket := httptest.NewServer(l.Websocket())
	defer socket.Close()
	url := "ws" + strings.TrimPrefix(socket.URL, "http")
	remote, err := DialLearner(context.Background(), LearnerOptions{Act: url, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	c := openNodes(t, 1, NodeOptions{Scheduler: Descriptor{Name: "LearningScheduler", Parameters: []string{"2"}}, Learner: remote,
		Types: 2})
	asked := 0
	for i := range 20 {
		r := c.ask(0, "POST", "/function/f", "hello", headerTaskType, "1.000000")
		if r.header.Get(headerEID) != fmt.Sprint(i) || !strings.HasPrefix(r.header.Get(headerState), "1.000000,") {
			t.Errorf("answer %d, status %d: EID %q, state %q", i, r.status, r.header.Get(headerEID), r.header.Get(headerState))
		}
		switch a := r.header.Get(headerAction); {
		case a == "0.000000" && r.status == 503, a == "1.000000" && r.status == 200:
			asked++
		}
	}
	if asked != 20 {
		t.Errorf("%d of 20 answers do as the learner said", asked)
	}
	l.Close()
	for range 3 {
		if r := c.ask(0, "POST", "/function/f", "hello"); r.status != 200 || r.header.Get(headerEID) != "" {
			t.Errorf("without the learner: %d, EID %q, want 200 from this node and no EID", r.status, r.header.Get(headerEID))
		}
	}
	again, _ := openLearner(t, "")
	socket.Config.Handler = again.Websocket()
	if r := c.ask(0, "POST", "/function/f", "hello"); r.header.Get(headerEID) != "20" {
		t.Errorf("with the learner back: %d, EID %q, want 20", r.status, r.header.Get(headerEID))
	}
}
