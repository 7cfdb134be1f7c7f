package cmd_test

import (
	"context"
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
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/cmd"
)

// The clients and the configuration scripts of the first P2PFaaS, as the wire sees them: what they send, what they read,
// and what they give up on.

// v1Client speaks to three nodes on the standard ports.
type v1Client struct {
	t     *testing.T
	hosts []string
	http  *http.Client // without keep-alive, as theirs
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
	for i, host := range c.hosts {
		c.ask(200, "GET", host, 19000, "/reset", "")
		c.ask(200, "POST", host, 19000, "/configuration", fmt.Sprintf(`{"machine_ip":%q,"machine_id":"pi-%d",`+
			`"machine_group_name":"cluster00","init_servers":[%q]}`, host, i, c.hosts[0]), asJSON, isJSON)
		words, err := json.Marshal(parameters)
		if err != nil {
			c.t.Fatal(err)
		}
		c.ask(200, "POST", host, 18080, "/configuration/scheduler", fmt.Sprintf(`{"name":%q,"parameters":%s}`, scheduler, words), asJSON, isJSON)
		c.ask(200, "POST", host, 18080, "/configuration",
			`{"parallel_running_functions_max":3,"queue_length_max":2,"queue_enabled":false}`, asJSON, isJSON)
		c.ask(200, "POST", host, 19020, "/learner/parameters", `{"actions_n":5,"alpha":0.001,"beta":0.1,"window_size":10,"epsilon":0.9,`+
			`"epsilon_min":0.05,"epsilon_decay":0.9995,"epsilon_decay_enabled":true,"entry_missing_max_attempts":50}`, asJSON, isJSON)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		known := 0
		for _, host := range c.hosts {
			var list []struct{ Alive bool }
			text, _ := c.ask(200, "GET", host, 19000, "/list", "")
			if err := json.Unmarshal([]byte(text), &list); err != nil {
				c.t.Fatalf("/list is %q: %v", text, err)
			}
			known += len(list)
		}
		if known == len(c.hosts)*(len(c.hosts)-1) {
			return
		}
		if time.Since(began) > 20*time.Second {
			c.t.Fatal("the machines do not find each other")
		}
	}
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

// request sends a request as the clients do, and reads the answer as they do.
func (c *v1Client) request(node, i int, learning bool) (e v1Entry, status int) {
	began := time.Now()
	status, text, h := c.try("POST", c.hosts[node], 18080, "/function/fn", "\xff\xd8\xff\xe0 a picture", "Content-Type", "image/jpeg",
		"X-P2pfaas-Scheduler-Learning-Task-Type", "0", "X-P2pfaas-Scheduler-Task-Tracing-Id", fmt.Sprintf("n%dt%d", node, i))
	list := func(name string) (times []float64) {
		if err := json.Unmarshal([]byte(h.Get(name)), &times); err != nil || len(times) == 0 {
			c.t.Errorf("%s is %q: %v", name, h.Get(name), err)
		}
		return times
	}
	switch status {
	case 200:
		totals := list("X-P2pfaas-Timing-Total-Seconds-List")
		if n := len(list("X-P2pfaas-Timing-Scheduling-Seconds-List")); n != len(totals) {
			c.t.Errorf("%d totals and %d scheduling times", len(totals), n)
		}
		if x, err := strconv.ParseFloat(h.Get("X-P2pfaas-Timing-Execution-Time-Seconds"), 64); err != nil || x <= 0 {
			c.t.Errorf("the execution time is %q", h.Get("X-P2pfaas-Timing-Execution-Time-Seconds"))
		}
		if h.Get("X-P2pfaas-Externally-Executed") == "True" {
			list("X-P2pfaas-Timing-Probing-Seconds-List")
			var ips []string
			if err := json.Unmarshal([]byte(h.Get("X-P2pfaas-Peers-List-Ip")), &ips); err != nil || len(ips) != len(totals) ||
				ips[0] != c.hosts[node] || !slices.Contains(c.hosts, ips[len(ips)-1]) {
				c.t.Errorf("peers %q of %d totals: %v", h.Get("X-P2pfaas-Peers-List-Ip"), len(totals), err)
			}
		}
	case 500, 503:
		var failure struct{ Code int }
		if err := json.Unmarshal([]byte(text), &failure); err != nil || failure.Code < 400 || failure.Code > 405 {
			c.t.Errorf("status %d with %q: %v", status, text, err)
		}
	default:
		c.t.Errorf("status %d: %s", status, text)
	}
	if !learning {
		return e, status
	}
	e = v1Entry{EID: h.Get("X-P2pfaas-Scheduler-Learning-Eid"), State: h.Get("X-P2pfaas-Scheduler-Learning-State"),
		Action: h.Get("X-P2pfaas-Scheduler-Learning-Action")}
	if e.EID == "" || e.State == "" || e.Action == "" || h.Get("X-P2pfaas-Scheduler-Learning-Eps") == "" {
		c.t.Errorf("status %d without learning headers %v: the client ends here", status, h)
	}
	if status == 200 && time.Since(began) < 300*time.Millisecond {
		e.Reward = 1
	}
	return e, status
}

// benchmark sends requests to each node, at exponential gaps; each takes the answers of a node, in any order.
func (c *v1Client) benchmark(requests int, learning bool, each func(node int, e v1Entry)) {
	statuses := make([]map[int]int, len(c.hosts))
	var nodes sync.WaitGroup
	for node := range c.hosts {
		nodes.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(node)))
			answers := make(chan func(), requests)
			for i := range requests {
				time.Sleep(time.Duration(random.ExpFloat64() * float64(8*time.Millisecond)))
				go func() {
					e, status := c.request(node, i, learning)
					answers <- func() {
						statuses[node][status]++
						each(node, e)
					}
				}()
			}
			statuses[node] = map[int]int{}
			for range requests {
				(<-answers)()
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
	c := &v1Client{t: t, hosts: []string{"127.82.0.1", "127.82.0.2", "127.82.0.3"},
		http: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	if l, err := net.Listen("tcp", c.hosts[2]+":18080"); err != nil {
		t.Skip("this system has one loopback address")
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, host := range c.hosts {
		said := &output{}
		running.Go(func() {
			if status := cmd.Run(ctx, []string{"node", "--bind", host, "--function", "fn=sleep:5ms"}, io.Discard, said); status != 0 {
				t.Errorf("node %s: exit status %d: %s", host, status, said)
			}
		})
		for began := time.Now(); !strings.Contains(said.String(), "discovery on"); time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("node %s does not start: %s", host, said)
			}
		}
	}

	t.Run("Go, learning", func(t *testing.T) {
		c.t = t
		c.configure("LearningScheduler", "1")
		c.check()
		open := make([][]v1Entry, len(c.hosts))
		c.benchmark(80, true, func(node int, e v1Entry) {
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
		}
	})

	t.Run("Python, learning", func(t *testing.T) {
		c.t = t
		c.configure("LearningScheduler", "1")
		c.check()
		c.benchmark(40, true, func(node int, e v1Entry) {
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
			c.t = t
			c.configure(scheduler[0], scheduler[1:]...)
			c.check()
			c.benchmark(40, false, func(int, v1Entry) {})
		})
	}

	// The master is configured otherwise than the others, which the client's check does not let pass: wire page, 4.1.
	t.Run("RoundRobinWithMasterScheduler", func(t *testing.T) {
		c.t = t
		c.configure("RoundRobinWithMasterScheduler", "false", c.hosts[0], "true")
		c.ask(200, "POST", c.hosts[0], 18080, "/configuration/scheduler", fmt.Sprintf(
			`{"name":"RoundRobinWithMasterScheduler","parameters":["true",%q,"true"]}`, c.hosts[0]), asJSON, isJSON)
		status, text, h := c.try("POST", c.hosts[1], 18080, "/function/fn", "x")
		if status != 200 || h.Get("X-P2pfaas-Hops") != "2" || !strings.Contains(h.Get("X-P2pfaas-Peers-List-Ip"), c.hosts[0]) {
			t.Errorf("%d %q, %s hops over %s, want two over the master", status, text, h.Get("X-P2pfaas-Hops"), h.Get("X-P2pfaas-Peers-List-Ip"))
		}
	})
}
