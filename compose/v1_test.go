package compose

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// v1 is three machines as the clients and the scripts of the first P2PFaaS see them.
type v1 struct {
	t     *testing.T
	hosts []string
}

// ask wants an answer with a status.
func (v *v1) ask(status int, method, host string, port int, path, body string, header ...string) (string, http.Header) {
	v.t.Helper()
	got, text, h, err := call(v.t.Context(), method, fmt.Sprintf("http://%s:%d%s", host, port, path), body, header...)
	if err != nil || got != status {
		v.t.Fatalf("%s %s:%d%s %s: %d %.300s, %v, want %d", method, host, port, path, body, got, text, err, status)
	}
	return text, h
}

// configure does what the scripts do for a scheduler service.
func (v *v1) configure(k, q int, queue bool, scheduler string, parameters ...string) {
	v.t.Helper()
	words, err := json.Marshal(parameters)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, host := range v.hosts {
		for path, body := range map[string]string{
			"/configuration/scheduler": fmt.Sprintf(`{"name":%q,"parameters":%s}`, scheduler, words),
			"/configuration":           fmt.Sprintf(`{"parallel_running_functions_max":%d,"queue_length_max":%d,"queue_enabled":%t}`, k, q, queue),
		} {
			if text, _ := v.ask(200, "POST", host, 18080, path, body, "Content-Type", "application/json"); text != "" {
				v.t.Errorf("%s%s answers %q", host, path, text)
			}
			if text, _ := v.ask(200, "GET", host, 18080, path, ""); text != body {
				v.t.Errorf("%s%s is %s, want %s", host, path, text, body)
			}
		}
	}
}

// failure wants an error of the table.
func (v *v1) failure(text string, code int, message string) {
	v.t.Helper()
	var f struct {
		Code    int
		Message string
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil || f.Code != code || !strings.Contains(f.Message, message) {
		v.t.Errorf("the error is %s, want %d, %q", text, code, message)
	}
}

// atOnce sends the first machine so many requests at once, and counts the answers by status.
func (v *v1) atOnce(n int, demand float64) map[int]int {
	v.t.Helper()
	type answer struct {
		status int
		text   string
	}
	answers := make(chan answer, n)
	for range n {
		go func() {
			status, text, _, err := call(v.t.Context(), "POST", "http://"+v.hosts[0]+":18080/function/fn", "x", "X-P2pfaas-Task-Demand-Seconds",
				fmt.Sprint(demand))
			if err != nil {
				v.t.Error(err)
			}
			answers <- answer{status, text}
		}()
	}
	counts := map[int]int{}
	for range n {
		a := <-answers
		if counts[a.status]++; a.status != 200 {
			v.failure(a.text, 400, "Job cannot be scheduled: ")
		}
	}
	return counts
}

// list reads a header that is a list in JSON.
func list[T any](t *testing.T, h http.Header, name string) (all []T) {
	t.Helper()
	if err := json.Unmarshal([]byte(h.Get(name)), &all); err != nil {
		t.Errorf("%s is %q: %v", name, h.Get(name), err)
	}
	return all
}

// Three containers are made a cluster by the requests of the scripts of the first P2PFaaS, and answer its clients as its wire has it. They
// have the image's own command, and find the function by its name, which is that of its container.
func TestV1(t *testing.T) {
	t.Parallel()
	b := newBridge(t, false)
	if _, err := start(t, b, b.at(100), spec{image: tag(image.Sleep), alias: "fn",
		command: []string{"function", "sleep", "--bind", "0.0.0.0", "--service", "50ms"}}); err != nil {
		t.Fatal(err)
	}
	v := &v1{t: t}
	for _, m := range startAll(t, 3, func(i int) (*machine, error) {
		return start(t, b, b.at(10+i), spec{image: tag(image.Node), command: []string{"node", "--bind", "0.0.0.0", "--insecure"}})
	}) {
		m.answers(t)
		v.hosts = append(v.hosts, m.address)
	}
	first := v.hosts[0]

	// Discovery.
	for i, host := range v.hosts {
		v.ask(200, "GET", host, 19000, "/reset", "")
		configuration := fmt.Sprintf(`{"machine_ip":%q,"machine_id":"pi-%d","machine_group_name":"cluster00","init_servers":[%q]}`, host, i, first)
		v.ask(200, "POST", host, 19000, "/configuration", configuration)
		if text, _ := v.ask(200, "GET", host, 19000, "/configuration", ""); text != configuration {
			t.Errorf("the configuration of discovery is %s, want %s", text, configuration)
		}
	}
	for i, host := range v.hosts {
		await(t, bound, func() error {
			text, _ := v.ask(200, "GET", host, 19000, "/list", "")
			var machines []struct {
				IP    string
				Name  string
				Group string `json:"group_name"`
				Alive bool
			}
			if err := json.Unmarshal([]byte(text), &machines); err != nil {
				return err
			}
			var ips []string
			for _, m := range machines {
				if ips = append(ips, m.IP); m.Name != m.IP || m.Group != "cluster00" || !m.Alive {
					return fmt.Errorf("%s lists %+v", host, m)
				}
			}
			if want := slices.Delete(slices.Clone(v.hosts), i, i+1); !slices.Equal(ips, want) {
				return fmt.Errorf("%s lists %q, want %q", host, ips, want)
			}
			return nil
		})
	}
	for _, x := range []struct {
		port int
		text string
	}{
		{18080, `{"name":"p2pfaas-scheduler","version":"0.3.0b","version_commit":"xxx"}`},
		{19000, "Welcome to the p2p-fog discovery service v0.0.4b!"},
		{19020, "This is p2pfaas-learner v0.0.1b."},
	} {
		if text, _ := v.ask(200, "GET", first, x.port, "/", ""); text != x.text {
			t.Errorf("port %d says %q, want %q", x.port, text, x.text)
		}
	}

	// A request that stays, and one that goes.
	v.configure(3, 2, false, "PowerOfNScheduler", "1", "2", "true", "1")
	_, h := v.ask(200, "POST", first, 18080, "/function/fn", "x", "X-P2pfaas-Scheduler-Task-Tracing-Id", "n0t1")
	totals, schedulings := list[float64](t, h, "X-P2pfaas-Timing-Total-Seconds-List"), list[float64](t, h, "X-P2pfaas-Timing-Scheduling-Seconds-List")
	execution, err := strconv.ParseFloat(h.Get("X-P2pfaas-Timing-Execution-Time-Seconds"), 64)
	if len(totals) != 1 || len(schedulings) != 1 || err != nil || execution < 0.05 || totals[0] < execution-1e-6 || schedulings[0] > totals[0] ||
		h.Get("X-P2pfaas-Version") != "0.3.0b" || h.Get("X-P2pfaas-Scheduler") != "PowerOfNScheduler(1, 2, true, 1)" ||
		h.Get("X-P2pfaas-Externally-Executed") != "" || h.Get("X-P2pfaas-Hops") != "" || h.Get("X-P2pfaas-Peers-List-Ip") != "" {
		t.Errorf("a request that stays is answered with %v", h)
	}
	_, h = v.ask(200, "POST", first, 18080, "/function/fn", "x", "X-P2pfaas-Scheduler-Forward", "true")
	totals = list[float64](t, h, "X-P2pfaas-Timing-Total-Seconds-List")
	ips, ids := list[string](t, h, "X-P2pfaas-Peers-List-Ip"), list[string](t, h, "X-P2pfaas-Peers-List-Id")
	probings := list[float64](t, h, "X-P2pfaas-Timing-Probing-Seconds-List")
	if len(totals) != 2 || totals[0] < totals[1] || len(probings) != 2 || h.Get("X-P2pfaas-Externally-Executed") != "True" || h.Get("X-P2pfaas-Hops") != "1" ||
		len(ips) != 2 || ips[0] != first || !slices.Contains(v.hosts[1:], ips[1]) || len(ids) != 2 || ids[0] != "pi-0" ||
		ids[1] != fmt.Sprintf("pi-%d", slices.Index(v.hosts, ips[1])) {
		t.Errorf("a request that goes is answered with %v", h)
	}
	if _, h = v.ask(200, "GET", first, 18080, "/function/fn", "", "X-P2pfaas-Scheduler-Bypass", "1"); h.Get("X-P2pfaas-Scheduler") != "NoScheduler" {
		t.Errorf("bypassed, the scheduler is %q", h.Get("X-P2pfaas-Scheduler"))
	}
	await(t, bound, func() error { // what a node says of its load is that of a moment after it answers
		_, h := v.ask(200, "GET", first, 18080, "/monitoring/load", "")
		if h.Get("X-P2pfaas-Load") != "0" || h.Get("X-P2pfaas-Maxload") != "3" || h.Get("X-P2pfog-Queue-Length") != "0" {
			return fmt.Errorf("the load is %v", h)
		}
		return nil
	})

	// Errors.
	text, _ := v.ask(503, "POST", first, 18080, "/function/fn", "x", "X-P2pfaas-Scheduler-Reject", "1")
	v.failure(text, 401, "Job has been deliberately rejected")
	text, _ = v.ask(500, "POST", first, 18080, "/function/nobody", "x", "X-P2pfaas-Scheduler-Bypass", "1")
	v.failure(text, 1, "")
	v.ask(405, "PUT", first, 18080, "/function/fn", "x")
	v.ask(404, "GET", first, 18080, "/nothing", "")
	text, _ = v.ask(500, "POST", first, 18080, "/peer/function/fn", "{}")
	v.failure(text, 1, "")
	text, _ = v.ask(400, "POST", first, 18080, "/configuration/scheduler", "{")
	v.failure(text, 4, "")
	text, _ = v.ask(500, "POST", first, 18080, "/configuration/scheduler", `{"name":"Nonsense","parameters":[]}`)
	v.failure(text, 1, "Bad passed parameters for scheduler")

	// No more than K run, and no more than Q wait. All have to come before the first has ended, for which a busy machine may need longer.
	for _, queue := range []bool{false, true} {
		v.configure(3, 2, queue, "NoScheduler", strconv.FormatBool(!queue)) // its parameter: only free slots are taken
		served := 3
		if queue {
			served = 5
		}
		const n = 12
		for demand := 1.5; ; demand *= 6 {
			counts := v.atOnce(n, demand)
			if counts[200] == served && counts[500] == n-served {
				break
			}
			if demand > 5 {
				t.Fatalf("with a queue: %t: of %d requests at once, by status: %v", queue, n, counts)
			}
		}
	}

	// Learning.
	for _, host := range v.hosts {
		v.ask(200, "POST", host, 19020, "/learner/parameters", `{"actions_n":5,"alpha":0.001,"beta":0.1,"window_size":2,"epsilon":0.9,`+
			`"epsilon_min":0.05,"epsilon_decay":0.9995,"epsilon_decay_enabled":true,"entry_missing_max_attempts":50}`, "Content-Type", "application/json")
		v.ask(200, "GET", host, 19020, "/learner/reset", "")
	}
	v.configure(3, 2, false, "LearningScheduler", "2")
	var entries []string
	for i := range 4 {
		status, text, h, err := call(t.Context(), "POST", "http://"+first+":18080/function/fn", "x", "X-P2pfaas-Scheduler-Learning-Task-Type", "1")
		if err != nil || status != 200 && status != 503 {
			t.Fatal(status, text, err)
		}
		get := func(name string) string { return h.Get("X-P2pfaas-Scheduler-Learning-" + name) }
		number := `\d+\.\d{6}`
		for name, form := range map[string]string{"Eid": `\d+`, "State": "1.000000(," + number + "){4}", "Action": number, "Eps": `0\.\d{6}`} {
			if !regexp.MustCompile("^" + form + "$").MatchString(get(name)) {
				t.Errorf("request %d is answered with %v", i, h)
			}
		}
		if rejected := get("Action") == "0.000000"; rejected != (status == 503) {
			t.Errorf("action %s has the status %d", get("Action"), status)
		}
		entries = append(entries, fmt.Sprintf(`{"eid":%q,"state":%q,"action":%q,"reward":1}`, get("Eid"), get("State"), get("Action")))
	}
	if text, _ := v.ask(200, "POST", first, 19020, "/train_batch", "["+strings.Join(entries, ",")+"]", "Content-Type", "application/json"); text != "ok" {
		t.Errorf("/train_batch answers %q", text)
	}
	var stats struct {
		Trained    int `json:"trained_items"`
		Inferences int
	}
	askJSON(t, "http://"+first+":19020/learner/stats", &stats)
	if stats.Inferences != 4 || stats.Trained < 3 {
		t.Errorf("of 4 entries the learner says %+v", stats)
	}
}
