package cmd_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
)

// The clients and the configuration scripts of the first P2PFaaS, as the wire sees them: what they send, what they read,
// and what they give up on.

// startMachine runs a node with all its services on the standard ports of a loopback address, until the test ends.
func startMachine(t *testing.T, host string, args ...string) {
	t.Helper()
	if l, err := net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		t.Skip("v1's clients know the standard ports alone, so that each machine needs a loopback address of its own, and this system "+
			"has one; on macOS, ifconfig lo0 alias adds others: ", err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	said := &output{}
	ended := make(chan int, 1)
	go func() {
		ended <- cmd.Run(t.Context(), append([]string{"node", "--bind", host}, args...), io.Discard, said)
	}()
	t.Cleanup(func() {
		if status := <-ended; status != 0 {
			t.Errorf("node %s: exit status %d: %s", host, status, said)
		}
	})
	for began := time.Now(); !strings.Contains(said.String(), "discovery on"); time.Sleep(5 * time.Millisecond) {
		if len(ended) > 0 || time.Since(began) > patience {
			t.Fatalf("node %s does not start: %s", host, said)
		}
	}
}

// v1Client speaks to machines on the standard ports.
type v1Client struct {
	t     *testing.T
	hosts []string
	http  *http.Client // without keep-alive, as theirs
	types int          // of tasks that the LearningScheduler tells apart; 0: another scheduler decides
	sent  atomic.Int64 // requests

	mu     sync.Mutex
	chosen map[string]string // executor by node and action of the learner
}

func newV1Client(t *testing.T, hosts ...string) *v1Client {
	return &v1Client{t: t, hosts: hosts, chosen: map[string]string{},
		http: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// ask returns an answer, which must have the status.
func (c *v1Client) ask(status int, method, host string, port int, path, body string, header ...string) (string, http.Header) {
	c.t.Helper()
	got, text, h := c.try(method, host, port, path, body, header...)
	if got != status {
		c.t.Fatalf("%s %s:%d%s %s: status %d, want %d: %s", method, host, port, path, body, got, status, text)
	}
	return text, h
}

func (c *v1Client) try(method, host string, port int, path, body string, header ...string) (status int, text string, h http.Header) {
	r, err := http.NewRequest(method, "http://"+net.JoinHostPort(host, strconv.Itoa(port))+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return 0, "", nil
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := c.http.Do(r)
	if err != nil {
		c.t.Error(err)
		return 0, "", nil
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Error(err)
	}
	return a.StatusCode, string(b), a.Header
}

const asJSON, isJSON = "Content-Type", "application/json"

// same wants the same answer of all hosts, byte for byte.
func (c *v1Client) same(port int, path string) string {
	c.t.Helper()
	first := ""
	for i, host := range c.hosts {
		text, _ := c.ask(200, "GET", host, port, path, "")
		if i == 0 {
			first = text
		} else if text != first {
			c.t.Errorf("%s:%d%s: %q, and %q at %s: the client refuses to begin", host, port, path, text, first, c.hosts[0])
		}
	}
	return first
}

// configure is what the scripts do (wire page, section 5).
func (c *v1Client) configure(scheduler string, parameters ...string) {
	c.t.Helper()
	for _, host := range c.hosts {
		c.schedule(host, scheduler, parameters...)
		c.ask(200, "POST", host, 19020, "/learner/parameters", fmt.Sprintf(`{"actions_n":%d,"alpha":0.001,"beta":0.1,"window_size":10,`+
			`"epsilon":0.9,"epsilon_min":0.05,"epsilon_decay":0.9995,"epsilon_decay_enabled":true,"entry_missing_max_attempts":50}`,
			firstPeer+len(c.hosts)-1), asJSON, isJSON)
	}
	c.introduce()
}

// schedule configures the scheduler of a machine.
func (c *v1Client) schedule(host, scheduler string, parameters ...string) {
	c.t.Helper()
	words, err := json.Marshal(parameters)
	if err != nil {
		c.t.Fatal(err)
	}
	c.ask(200, "POST", host, 18080, "/configuration/scheduler", fmt.Sprintf(`{"name":%q,"parameters":%s}`, scheduler, words), asJSON, isJSON)
	c.ask(200, "POST", host, 18080, "/configuration",
		`{"parallel_running_functions_max":3,"queue_length_max":2,"queue_enabled":false}`, asJSON, isJSON)
}

// introduce makes the machines a cluster, by the first of them.
func (c *v1Client) introduce() {
	c.t.Helper()
	for i, host := range c.hosts {
		c.ask(200, "GET", host, 19000, "/reset", "")
		c.ask(200, "POST", host, 19000, "/configuration", fmt.Sprintf(`{"machine_ip":%q,"machine_id":"pi-%d",`+
			`"machine_group_name":"cluster00","init_servers":[%q]}`, host, i, c.hosts[0]), asJSON, isJSON)
	}
	c.meet()
}

// meet waits until each machine lists all others.
func (c *v1Client) meet() {
	c.t.Helper()
	for i, host := range c.hosts {
		others := slices.Delete(slices.Clone(c.hosts), i, i+1)
		for began := time.Now(); !slices.Equal(c.list(host), others); time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > patience {
				c.t.Fatalf("%s lists %q, want %q", host, c.list(host), others)
			}
		}
	}
}

// v1Listed is a machine in a list of discovery.
type v1Listed struct {
	ID         int     `json:"_id"`
	IP         string  `json:"ip"`
	Name       string  `json:"name"`
	Group      string  `json:"group_name"`
	Ping       float64 `json:"ping"`
	LastUpdate int64   `json:"last_update"`
	Alive      bool    `json:"alive"`
	DeadPolls  int     `json:"dead_polls"`
}

// list are the IPs in the list of a machine.
func (c *v1Client) list(host string) (ips []string) {
	c.t.Helper()
	text, _ := c.ask(200, "GET", host, 19000, "/list", "")
	var list []v1Listed
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		c.t.Fatalf("/list is %q: %v", text, err)
	}
	for _, m := range list {
		if m.Name == "" || m.Group == "" {
			continue // an init server, of which v1 has not heard yet; one of which others of ours have heard
		}
		if ips = append(ips, m.IP); m.Name != m.IP || m.Group != "cluster00" || !m.Alive || m.LastUpdate == 0 {
			c.t.Errorf("%s lists %+v", host, m)
		}
	}
	return ips
}

// check is what the Go client wants before it begins (4.1).
func (c *v1Client) check() {
	c.t.Helper()
	for _, path := range []string{"/", "/configuration", "/configuration/scheduler"} {
		c.same(18080, path)
	}
	for _, path := range []string{"/", "/learner/parameters"} {
		c.same(19020, path)
	}
	for i, host := range c.hosts {
		c.ask(200, "GET", host, 18080, "/function/fn", "", "X-P2pfaas-Scheduler-Bypass", "true")
		if text, _ := c.ask(200, "GET", host, 19000, "/list", ""); i > 0 && strings.Count(text, "alive") != len(c.hosts)-1 {
			c.t.Errorf(`"alive" is %d times in the list of %s: %s`, strings.Count(text, "alive"), host, text)
		}
		c.ask(200, "GET", host, 19020, "/learner/reset", "")
	}
}

// v1Entry is what the Go client sends to a learner: all of it as text, but for the reward.
type v1Entry struct {
	EID    string  `json:"eid"`
	State  string  `json:"state"`
	Action string  `json:"action"`
	Reward float64 `json:"reward"`
}

// v1Answer is what a client reads in an answer.
type v1Answer struct {
	status  int
	code    int // of an error
	body    string
	header  http.Header
	path    []string // IPs of the machines that had the request, its entry node first
	probing []float64
	entry   v1Entry
}

// request sends a request as the clients do, and reads the answer as they do.
func (c *v1Client) request(node int, body string, header ...string) v1Answer {
	i, began := int(c.sent.Add(1)), time.Now()
	kind := i % max(1, c.types)
	status, text, h := c.try("POST", c.hosts[node], 18080, "/function/fn", body, append(header, "Content-Type", "image/jpeg",
		"X-P2pfaas-Scheduler-Learning-Task-Type", strconv.Itoa(kind), "X-P2pfaas-Scheduler-Task-Tracing-Id", fmt.Sprintf("n%dt%d", node, i))...)
	a := v1Answer{status: status, body: text, header: h, path: []string{c.hosts[node]}}
	read := func(name string, to any) {
		if err := json.Unmarshal([]byte(h.Get(name)), to); err != nil {
			c.t.Errorf("%s is %q: %v", name, h.Get(name), err)
		}
	}
	away := h.Get("X-P2pfaas-Externally-Executed") == "True"
	if away {
		var ids []string
		read("X-P2pfaas-Peers-List-Ip", &a.path)
		read("X-P2pfaas-Peers-List-Id", &ids)
		for k, ip := range a.path {
			if machine := slices.Index(c.hosts, ip); machine < 0 || len(ids) != len(a.path) || ids[k] != fmt.Sprintf("pi-%d", machine) {
				c.t.Errorf("the peers are %q and %q", a.path, ids)
				break
			}
		}
		if len(a.path) < 2 || a.path[0] != c.hosts[node] || h.Get("X-P2pfaas-Hops") != strconv.Itoa(len(a.path)-1) {
			c.t.Errorf("%q hops from %s over %q", h.Get("X-P2pfaas-Hops"), c.hosts[node], a.path)
		}
	}
	if away || h.Get("X-P2pfaas-Timing-Probing-Seconds-List") != "" {
		read("X-P2pfaas-Timing-Probing-Seconds-List", &a.probing)
	}
	switch status {
	case 200:
		var totals, schedulings []float64
		read("X-P2pfaas-Timing-Total-Seconds-List", &totals)
		read("X-P2pfaas-Timing-Scheduling-Seconds-List", &schedulings)
		x, err := strconv.ParseFloat(h.Get("X-P2pfaas-Timing-Execution-Time-Seconds"), 64)
		// v1 rounds to microseconds.
		if n := len(a.path); err != nil || x <= 0 || len(totals) != n || len(schedulings) != n || totals[n-1] < x-1e-6 ||
			!slices.IsSortedFunc(totals, func(a, b float64) int { return cmp.Compare(b, a) }) {
			c.t.Errorf("executed for %q, scheduled for %v, in all %v, on the way %q",
				h.Get("X-P2pfaas-Timing-Execution-Time-Seconds"), schedulings, totals, a.path)
		}
	case 500, 503:
		var failure struct{ Code int }
		if err := json.Unmarshal([]byte(text), &failure); err != nil || failure.Code < 400 || failure.Code > 405 {
			c.t.Errorf("status %d with %q: %v", status, text, err)
		}
		a.code = failure.Code
	default:
		c.t.Errorf("status %d: %s", status, text)
	}
	if c.types > 0 {
		c.lesson(&a, kind)
		if status == 200 && time.Since(began) < 300*time.Millisecond {
			a.entry.Reward = 1
		}
	}
	return a
}

// firstPeer is the action by which the LearningScheduler forwards to the first peer: before it are reject, local and probe.
const firstPeer = 3

// lesson reads what there is to learn from an answer: the state, and the action, which must be what happened (1.13).
func (c *v1Client) lesson(a *v1Answer, kind int) {
	e := v1Entry{EID: a.header.Get("X-P2pfaas-Scheduler-Learning-Eid"), State: a.header.Get("X-P2pfaas-Scheduler-Learning-State"),
		Action: a.header.Get("X-P2pfaas-Scheduler-Learning-Action")}
	number := func(text string) float64 {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || text != fmt.Sprintf("%f", x) {
			c.t.Errorf("status %d with %q in the learning headers %+v: the client ends here", a.status, text, e)
		}
		return x
	}
	if _, err := strconv.ParseUint(e.EID, 10, 64); err != nil {
		c.t.Errorf("status %d with the EID %q: the client ends here", a.status, e.EID)
	}
	if epsilon := number(a.header.Get("X-P2pfaas-Scheduler-Learning-Eps")); epsilon <= 0 || epsilon > 0.9 {
		c.t.Errorf("epsilon is %f", epsilon)
	}
	state := strings.Split(e.State, ",")
	for _, x := range state {
		number(x)
	}
	if len(state) != 1+2*c.types || state[0] != fmt.Sprintf("%d.000000", kind) {
		c.t.Errorf("the state of a task of type %d of %d is %s", kind, c.types, e.State)
	}
	action, executor := number(e.Action), a.path[len(a.path)-1]
	served := a.status == 200 || a.status == 500 && a.code == 400 // there was no room
	switch {
	case action == 0:
		served = a.status == 503 && a.code == 401 && len(a.path) == 1
	case action == 1:
		served = served && len(a.path) == 1 && a.probing == nil
	case action == 2:
		served = served && len(a.path) <= 2 && (a.status != 200 || len(a.probing) > 0 && a.probing[0] > 0)
	default:
		served = served && len(a.path) == 2 && action < float64(firstPeer+len(c.hosts)-1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Which peer has which action is the node's to say; that stays.
	key := a.path[0] + " " + e.Action
	if before, ok := c.chosen[key]; !served || ok && action != 2 && before != executor {
		c.t.Errorf("action %s of %s: status %d, code %d, probing %v, by %q, before by %q", e.Action, a.path[0], a.status, a.code, a.probing, a.path, before)
	}
	c.chosen[key] = executor
	a.entry = e
}

// benchmark sends requests to each node, at exponential gaps; each takes the answers of a node, in any order.
func (c *v1Client) benchmark(requests int, each func(node int, e v1Entry)) {
	clear(c.chosen)
	statuses := make([]map[int]int, len(c.hosts))
	var nodes sync.WaitGroup
	for node := range c.hosts {
		nodes.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(node)))
			answers := make(chan v1Answer, requests)
			for range requests {
				time.Sleep(time.Duration(random.ExpFloat64() * float64(8*time.Millisecond)))
				go func() { answers <- c.request(node, "\xff\xd8\xff\xe0 a picture") }()
			}
			statuses[node] = map[int]int{}
			for range requests {
				a := <-answers
				statuses[node][a.status]++
				each(node, a.entry)
			}
		})
	}
	nodes.Wait()
	for node, s := range statuses {
		if s[200]+s[500]+s[503] != requests || s[200] == 0 {
			c.t.Errorf("node %d: answers by status: %v", node, s)
		}
	}
}

// trained is how many entries the learner of a node has learned from.
func (c *v1Client) trained(host string) int {
	var stats struct {
		Trained int `json:"trained_items"`
	}
	text, _ := c.ask(200, "GET", host, 19020, "/learner/stats", "")
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		c.t.Errorf("/learner/stats is %q: %v", text, err)
	}
	return stats.Trained
}

// The clients and scripts of the first P2PFaaS work against these nodes.
func TestV1Clients(t *testing.T) {
	c := newV1Client(t, "127.82.0.1", "127.82.0.2", "127.82.0.3")
	for _, host := range c.hosts {
		startMachine(t, host, "--function", "fn=sleep:5ms")
	}

	t.Run("Go, learning", func(t *testing.T) {
		c.t, c.types = t, 2
		c.configure("LearningScheduler", "2")
		c.check()
		open := make([][]v1Entry, len(c.hosts))
		c.benchmark(80, func(node int, e v1Entry) {
			if open[node] = append(open[node], e); len(open[node]) < 10 {
				return
			}
			text, err := json.Marshal(open[node])
			if err != nil {
				t.Error(err)
			}
			if status, text, _ := c.try("POST", c.hosts[node], 19020, "/train_batch", string(text), asJSON, isJSON); status != 200 || text != "ok" {
				t.Errorf("/train_batch: %d %q", status, text)
			}
			open[node] = nil
		})
		for _, host := range c.hosts {
			if n := c.trained(host); n < 50 {
				t.Errorf("the learner of %s has learned from %d of 80 entries", host, n)
			}
			peers := map[string]bool{}
			for action := range firstPeer + len(c.hosts) - 1 {
				executor, ok := c.chosen[fmt.Sprintf("%s %d.000000", host, action)]
				if !ok {
					t.Errorf("%s has not done action %d", host, action)
				}
				if action >= firstPeer {
					peers[executor] = true
				}
			}
			if len(peers) != len(c.hosts)-1 || peers[host] {
				t.Errorf("the actions of %s forward to %v", host, peers)
			}
		}
	})

	t.Run("Python, learning", func(t *testing.T) {
		c.t, c.types = t, 2
		c.configure("LearningScheduler", "2")
		c.check()
		c.benchmark(40, func(node int, e v1Entry) {
			action, err := strconv.ParseFloat(e.Action, 64)
			if err != nil {
				t.Error(err)
			}
			if status, text, _ := c.try("GET", c.hosts[node], 19020, "/train", "", "X-P2pfaas-Learning-Eid", e.EID,
				"X-P2pfaas-Learning-State", e.State, "X-P2pfaas-Learning-Action", fmt.Sprintf("%.4f", action),
				"X-P2pfaas-Learning-Reward", fmt.Sprintf("%.4f", e.Reward)); status != 200 || text != "ok" {
				t.Errorf("/train: %d %q", status, text)
			}
		})
		for _, host := range c.hosts {
			if n := c.trained(host); n < 20 {
				t.Errorf("the learner of %s has learned from %d of 40 entries", host, n)
			}
		}
	})

	for _, scheduler := range [][]string{{"NoScheduler", "true"}, {"ForwardScheduler", "1"}, {"PowerOfNScheduler", "1", "1", "true", "1"},
		{"PowerOfNSchedulerTau", "1", "1", "true", "1", "20ms"}} {
		t.Run(scheduler[0], func(t *testing.T) {
			c.t, c.types = t, 0
			c.configure(scheduler[0], scheduler[1:]...)
			c.check()
			c.benchmark(40, func(int, v1Entry) {})
		})
	}

	// The master is configured otherwise than the others, which the client's check does not let pass: wire page, 4.1.
	t.Run("RoundRobinWithMasterScheduler", func(t *testing.T) {
		c.t = t
		c.configure("RoundRobinWithMasterScheduler", "false", c.hosts[0], "true")
		c.schedule(c.hosts[0], "RoundRobinWithMasterScheduler", "true", c.hosts[0], "true")
		if a := c.request(1, "x"); a.status != 200 || len(a.path) != 3 || a.path[1] != c.hosts[0] {
			t.Errorf("%d %q over %q, want two hops over the master", a.status, a.body, a.path)
		}
	})
}
