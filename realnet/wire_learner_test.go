package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"
)

// The learner service's routes, its parameters and its file (wire page, section 3).
func TestWireLearner(t *testing.T) {
	data := t.TempDir()
	_, url := openLearner(t, data)
	checkMethods(t, url, [][]string{
		{"/", "GET"}, {"/act", "GET"}, {"/train", "GET"}, {"/train_batch", "POST"}, {"/learner/parameters", "GET POST"},
		{"/learner/stats", "GET"}, {"/learner/weights", "GET"}, {"/learner/reset", "GET"},
	})
	state := func(s string) []string { return []string{"X-P2pfaas-Learning-State", s} }
	entry := func(eid, s, action, reward string) []string {
		return []string{"X-P2pfaas-Learning-Eid", eid, "X-P2pfaas-Learning-State", s, "X-P2pfaas-Learning-Action", action, "X-P2pfaas-Learning-Reward", reward}
	}
	parameters := func(alpha, beta, window, start, patience string) string {
		return regexp.QuoteMeta(`{"name":"SarsaQTable","parameters":{"actions_n":2,"alpha":` + alpha + `,"beta":` + beta +
			`,"entry_missing_max_attempts":` + patience + `,"epsilon_decay":0.99,"epsilon_decay_enabled":true,"epsilon_min":0.1,"epsilon_start":` +
			start + `,"window_size":` + window + `}}`)
	}
	stats := func(inferences, trained, epsilon, episodes, pending, highest, last string) string {
		return `\{.*"eid_last_trained":` + last + `,"eid_max_seen":` + highest + `,.*"episodes":` + episodes + `,"epsilon":` + epsilon +
			`,"inferences":` + inferences + `,"pending_entries":` + pending + `,"trained_items":` + trained + `\}`
	}
	checkAll(t, url, []exchange{
		{"3.1 GET /", "", nil, 200, `This is p2pfaas-learner v0\.0\.1b\.`, nil},
		{"3.1 GET /nowhere", "", nil, 404, ".*404.*", nil},
		{"3.3 GET /learner/parameters: the defaults", "", nil, 200, parameters("0.01", "0.01", "5", "0.9", "100"), jsonAnswer},
		{"3.1 GET /learner/stats: nothing yet", "", nil, 200, stats("0", "0", `0\.9`, "0", "0", "0", "0"), jsonAnswer},
		{"3.1 GET /learner/weights: nothing yet", "", nil, 200, `\{"actions_map":\{"0":0,"1":1\},"states_map":\{\},"table":\[\]\}`, jsonAnswer},

		{"3.1 GET /act", "", state("0.000000,1.000000"), 200, "[01]", []string{"X-P2pfaas-Eps", `0\.9`}},
		{"3.4 GET /act: epsilon falls with every act", "", state("0,1"), 200, "[01]", []string{"X-P2pfaas-Eps", `0\.891`}},
		{"3.1 GET /act: missing", "", nil, 500, "", []string{"X-P2pfaas-Eps", ""}},
		{"3.1 GET /act: bad", "", state("0,x"), 500, "", nil},
		{"3.1 GET /act: empty numbers", "", state("0,,1"), 500, "", nil},
		{"3.1 GET /act: no number", "", state("NaN,0"), 500, "", nil},

		{"3.1 GET /train", "", entry("1", "0.000000,1.000000", "1.0000", "1.0000"), 200, "ok", nil},
		{"3.1 GET /train: the action is cut", "", entry("2", "0,1", "1.9", "-1"), 200, "ok", nil},
		{"3.1 GET /train: missing", "", state("0,1"), 500, "", nil},
		{"3.1 GET /train: a bad EID", "", entry("one", "0,1", "1", "1"), 500, "", nil},
		{"3.1 GET /train: a bad state", "", entry("3", "0;1", "1", "1"), 500, "", nil},
		{"3.1 GET /train: a bad action", "", entry("3", "0,1", "local", "1"), 500, "", nil},
		{"3.1 GET /train: an action that there is not", "", entry("3", "0,1", "2", "1"), 500, "", nil},
		{"3.1 GET /train: a bad reward", "", entry("3", "0,1", "1", ""), 500, "", nil},
		{"3.1 GET /train: a reward of which two have no sum", "", entry("3", "0,1", "1", "1.7e308"), 500, "", nil},

		{"3.1 POST /train_batch: as the Go client does", `[{"eid":"3","state":"0.000000,1.000000","action":"1.000000","reward":1}]`, jsonHeader, 200, "ok", nil},
		{"3.1 POST /train_batch: as numbers", `[{"eid":4,"state":"0,1","action":0,"reward":0.5},{"eid":5,"state":"0,1","action":1,"reward":-1}]`, jsonHeader, 200, "ok", nil},
		{"3.1 POST /train_batch: as strings", `[{"eid":"6","state":"0,1","action":"0","reward":"0.5"}]`, jsonHeader, 200, "ok", nil},
		{"3.1 POST /train_batch: empty", `[]`, jsonHeader, 500, ".*", nil},
		{"3.1 POST /train_batch: a bad entry", `[{"eid":7,"state":"0,1","action":0,"reward":0},{"eid":8}]`, jsonHeader, 500, ".*", nil},
		{"3.1 POST /train_batch: no JSON", `eid`, jsonHeader, 500, ".*", nil},
		{"3.1 POST /train_batch: nothing", ``, jsonHeader, 500, ".*", nil},
		{"3.1 POST /train_batch: no array", `{"eid":7,"state":"0,1","action":0,"reward":0}`, jsonHeader, 500, ".*", nil},
		{"3.1 GET /learner/stats: two acts, six entries", "", nil, 200, stats("2", "[4-6]", `0\.88209`, "[12]", "[0-2]", "6", "[56]"), nil},
		{"3.1 GET /learner/weights: one state", "", nil, 200,
			`\{"actions_map":\{"0":0,"1":1\},"states_map":\{"0,1":0\},"table":\[\[` + signed + `,` + signed + `\]\]\}`, nil},

		{"3.1 POST /learner/parameters: no JSON", `{"alpha":0.5}`, nil, 415, ".*", nil},
		{"3.1 POST /learner/parameters: text", `{"alpha":0.5}`, []string{"Content-Type", "text/plain"}, 415, ".*", nil},
		{"3.1 POST /learner/parameters: null", `null`, jsonHeader, 500, ".*", nil},
		{"3.1 POST /learner/parameters: nothing wrong is taken", `{"alpha":"much","beta":0.5}`, jsonHeader, 500, ".*", nil},
		{"3.1 GET /learner/parameters: unchanged", "", nil, 200, parameters("0.01", "0.01", "5", "0.9", "100"), nil},
		{"3.1 POST /learner/parameters: an unknown key", `{"colour":"red"}`, jsonHeader, 200, "", nil},
		{"3.1 POST /learner/parameters: none", `{}`, jsonHeader, 200, "", nil},
		{"3.1 POST /learner/parameters: some", `{"alpha":0.001,"beta":0.1,"window_size":10,"entry_missing_max_attempts":50}`,
			[]string{"Content-Type", "application/json; charset=utf-8"}, 200, "", nil},
		{"3.1 GET /learner/parameters: merged", "", nil, 200, parameters("0.001", "0.1", "10", "0.9", "50"), nil},

		{"3.1 GET /learner/reset", "", nil, 200, "", nil},
		{"3.1 GET /learner/stats: cleared", "", nil, 200, stats("0", "0", `0\.9`, "0", "0", "0", "0"), nil},
		{"3.1 GET /learner/weights: cleared", "", nil, 200, `\{"actions_map":\{"0":0,"1":1\},"states_map":\{\},"table":\[\]\}`, nil},
		{"3.1 GET /learner/parameters: kept", "", nil, 200, parameters("0.001", "0.1", "10", "0.9", "50"), nil},
		{"3.4 GET /act: epsilon begins anew", "", state("0,1"), 200, "[01]", []string{"X-P2pfaas-Eps", `0\.9`}},
	})
	t.Run("3.3 the file, and a learner that starts with it", func(t *testing.T) {
		// All that the script sends.
		if status, text, _ := say(t, "POST", url+"/learner/parameters", `{"actions_n":14,"alpha":0.001,"beta":0.1,"window_size":10,"epsilon":0.9,`+
			`"epsilon_min":0.05,"epsilon_decay":0.9995,"epsilon_decay_enabled":true,"entry_missing_max_attempts":50}`, jsonHeader...); status != 200 {
			t.Error(status, text)
		}
		file, err := os.ReadFile(filepath.Join(data, "p2pfaas_learner.json"))
		var kept struct {
			Name       string         `json:"learner_name"`
			Parameters map[string]any `json:"learner_parameters"`
		}
		if err != nil || json.Unmarshal(file, &kept) != nil || kept.Name != "SarsaQTable" || len(kept.Parameters) != 9 || kept.Parameters["actions_n"] != 14.0 {
			t.Errorf("%s, %v", file, err)
		}
		_, again := openLearner(t, data)
		_, before, _ := say(t, "GET", url+"/learner/parameters", "")
		if _, after, _ := say(t, "GET", again+"/learner/parameters", ""); after != before || !strings.Contains(after, `"epsilon_decay":0.9995`) {
			t.Errorf("%s, before the restart %s", after, before)
		}
	})
}

// signed is a number in JSON.
const signed = `-?[0-9.]+(?:e-?\d+)?`

// The learner's websocket (wire page, section 3.2).
func TestWireLearnerWebsocket(t *testing.T) {
	l, url := openLearner(t, "")
	s := httptest.NewServer(l.Websocket())
	defer s.Close()
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	open := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open()
	for i, epsilon := range []string{"0.90000", "0.89100", "0.88209"} {
		question := []string{`[0,1,0,0,0]`, `[0.0, 1.0, 0, 0, 0]`}[min(i, 1)]
		if err := c.Write(ctx, websocket.MessageText, []byte(question)); err != nil {
			t.Fatal(err)
		}
		kind, answer, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageText || !regexp.MustCompile(`^[01]\.00000,`+regexp.QuoteMeta(epsilon)+`$`).Match(answer) {
			t.Errorf("3.2 %s is answered with %v %q, %v", question, kind, answer, err)
		}
	}
	for _, question := range []string{`hello`, `{"state":[0]}`, `["a"]`} {
		c := open()
		if err := c.Write(ctx, websocket.MessageText, []byte(question)); err != nil {
			t.Fatal(err)
		}
		if _, answer, err := c.Read(ctx); websocket.CloseStatus(err) == -1 {
			t.Errorf("3.2 %s is answered with %q, %v: it must close the connection", question, answer, err)
		}
	}
	if err := c.Write(ctx, websocket.MessageText, []byte(`[1]`)); err != nil {
		t.Error("3.2 an error of one connection closes another:", err)
	}
	if _, _, err := c.Read(ctx); err != nil {
		t.Error("3.2 an error of one connection closes another:", err)
	}
	if _, text, _ := say(t, "GET", url+"/learner/stats", ""); !strings.Contains(text, `"inferences":4`) {
		t.Errorf("3.1 actions by websocket are not counted: %s", text)
	}
}
