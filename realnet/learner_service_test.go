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
