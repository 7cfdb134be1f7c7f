package cmd_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// v1Machine is a machine of the first P2PFaaS as the wire page describes it, with its weaknesses: what would end one of its
// processes there fails the test.
type v1Machine struct {
	t        *testing.T
	ip       string
	function string // URL
	http     *http.Client

	life    context.Context
	end     context.CancelFunc
	polls   sync.WaitGroup
	servers []*httptest.Server

	mu            sync.Mutex
	configuration v1Configuration
	machines      map[string]*v1Listed
	deadPolls     int // in vain, after which it forgets a machine
	scheduler     v1Scheduler
	next          int // RoundRobinWithMasterScheduler
	slots         int
	running       int
	saw           v1Seen
}

// v1Seen is what a machine has seen of the others.
type v1Seen struct {
	registered map[string]http.Header // of who asked for its list, by IP
	probes     int                    // that it answered
	loads      map[string]int         // that it was told when it probed, by IP
	hops       map[string]int         // of tasks that came, by body
}

// forgets says after how many polls in vain the machine forgets another one.
func (v *v1Machine) forgets(polls int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.deadPolls = polls
}

// seen is what the machine has seen so far.
func (v *v1Machine) seen() v1Seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v1Seen{maps.Clone(v.saw.registered), v.saw.probes, maps.Clone(v.saw.loads), maps.Clone(v.saw.hops)}
}

type v1Configuration struct {
	IP          string   `json:"machine_ip"`
	ID          string   `json:"machine_id"`
	Group       string   `json:"machine_group_name"`
	InitServers []string `json:"init_servers"`
}

type v1Scheduler struct {
	Name       string   `json:"name"`
	Parameters []string `json:"parameters"`
}

func (s v1Scheduler) number(i int) int {
	x, _ := strconv.Atoi(s.Parameters[i])
	return x
}

// v1Task is what a peer asks for, v1Result what it is answered.
type v1Task struct {
	Request     uint64            `json:"service_id_request"`
	Tracing     string            `json:"service_id_tracing"`
	Function    string            `json:"function_name"`
	Hops        int               `json:"hops"`
	Peers       []v1Hop           `json:"peers_list"`
	Payload     []byte            `json:"payload"`
	ContentType string            `json:"content_type"`
	Headers     map[string]string `json:"headers"`
}

type v1Result struct {
	Peers  []v1Hop `json:"peers_list"` // the executing one first
	Body   []byte  `json:"body"`
	Status int     `json:"status_code"`
}

type v1Hop struct {
	ID      string `json:"machine_id"`
	IP      string `json:"machine_ip"`
	Timings struct {
		Execution  float64 `json:"execution_time,omitempty"`
		Total      float64 `json:"total_time,omitempty"`
		Scheduling float64 `json:"scheduling_time,omitempty"`
		Probing    float64 `json:"probing_time,omitempty"`
	} `json:"timings"`
}

// v1Error is an error of the table of 1.5.
type v1Error struct {
	status, code int
	message      string
}

func (e *v1Error) body() []byte {
	return fmt.Appendf(nil, `{"code":%d,"message":%q}`, e.code, e.message)
}

const (
	v1Poll  = 100 * time.Millisecond
	machine = "Machine"
)

func newV1Machine(t *testing.T, ip, function string) *v1Machine {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return &v1Machine{t: t, ip: ip, function: function, slots: 4, machines: map[string]*v1Listed{}, deadPolls: 10,
		scheduler: v1Scheduler{"PowerOfNScheduler", []string{"1", "2", "true", "1"}},
		saw:       v1Seen{registered: map[string]http.Header{}, loads: map[string]int{}, hops: map[string]int{}},
		http:      &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}}
}

// start serves on the standard ports, and polls.
func (v *v1Machine) start() {
	v.t.Helper()
	v.life, v.end = context.WithCancel(v.t.Context())
	discovery, scheduler := http.NewServeMux(), http.NewServeMux()
	discovery.HandleFunc("GET /list", v.getList)
	discovery.HandleFunc("GET /reset", func(http.ResponseWriter, *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		clear(v.machines)
	})
	discovery.HandleFunc("POST /configuration", v.postConfiguration)
	scheduler.HandleFunc("GET /monitoring/load", v.getLoad)
	scheduler.HandleFunc("POST /configuration", v.postResources)
	scheduler.HandleFunc("POST /configuration/scheduler", v.postScheduler)
	scheduler.HandleFunc("POST /function/{function}", v.postFunction)
	scheduler.HandleFunc("POST /peer/function/{function}", v.postPeerFunction)
	v.servers = nil
	for port, routes := range map[int]http.Handler{19000: discovery, 18080: scheduler} {
		s := httptest.NewUnstartedServer(routes)
		s.Listener.Close()
		var err error
		if s.Listener, err = net.Listen("tcp", net.JoinHostPort(v.ip, strconv.Itoa(port))); err != nil {
			v.t.Fatal(err)
		}
		s.Config.SetKeepAlivesEnabled(false)
		s.Start()
		v.servers = append(v.servers, s)
	}
	v.polls.Go(v.poll)
}

// die ends the machine as a power cut does: what it has in hand is never answered.
func (v *v1Machine) die() {
	v.end()
	for _, s := range v.servers {
		s.CloseClientConnections()
		s.Close()
	}
	v.polls.Wait()
}

// Discovery.

// add takes note of a machine. v.mu is held.
func (v *v1Machine) add(m v1Listed) {
	if m.IP == v.configuration.IP || strings.HasPrefix(m.IP, "172.17") {
		return
	}
	m.ID = len(v.machines) + 1
	if before := v.machines[m.IP]; before != nil {
		m.ID = before.ID
	}
	m.Alive, m.DeadPolls, m.LastUpdate = true, 0, time.Now().Unix()
	v.machines[m.IP] = &m
}

// alive are the machines in the list, by name. v.mu is held.
func (v *v1Machine) alive() []v1Listed {
	list := []v1Listed{}
	for _, m := range v.machines {
		if m.Alive {
			list = append(list, *m)
		}
	}
	slices.SortFunc(list, func(a, b v1Listed) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// registers says who this machine is. v.mu is held.
func (v *v1Machine) registers(h http.Header) {
	h.Set("p2pfaas-machine-ip", v.configuration.IP)
	h.Set("p2pfaas-machine-name", v.configuration.IP)
	h.Set("p2pfaas-machine-group-name", v.configuration.Group)
}

func (v *v1Machine) getList(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if ip := r.Header.Get("p2pfaas-machine-ip"); r.UserAgent() == machine {
		v.saw.registered[ip] = r.Header
		v.add(v1Listed{IP: ip, Name: r.Header.Get("p2pfaas-machine-name"), Group: r.Header.Get("p2pfaas-machine-group-name")})
	}
	v.registers(w.Header())
	v.answer(w, 200, v.alive())
}

func (v *v1Machine) answer(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", isJSON)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(what); err != nil && v.life.Err() == nil {
		v.t.Errorf("%s cannot answer: %v", v.ip, err)
	}
}

// read reads what a script configures; v1 merges it over what there is.
func (v *v1Machine) read(r *http.Request, to any) {
	if err := json.NewDecoder(r.Body).Decode(to); err != nil {
		v.t.Errorf("%s %s: %v", v.ip, r.URL, err)
	}
}

func (v *v1Machine) postConfiguration(_ http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read(r, &v.configuration)
	for _, ip := range v.configuration.InitServers {
		v.add(v1Listed{IP: ip})
	}
}

// poll asks the machines for their lists, one after the other.
func (v *v1Machine) poll() {
	for v.life.Err() == nil {
		v.mu.Lock()
		list := v.alive()
		v.mu.Unlock()
		for _, m := range list {
			v.ask(m.IP)
		}
		select {
		case <-time.After(v1Poll):
		case <-v.life.Done():
		}
	}
}

func (v *v1Machine) ask(ip string) {
	v.mu.Lock()
	header := http.Header{"User-Agent": {machine}}
	v.registers(header)
	v.mu.Unlock()
	began := time.Now()
	status, text, h, err := v.call("GET", "http://"+ip+":19000/list", nil, header)
	if v.life.Err() != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	m := v.machines[ip]
	if m == nil {
		return // a reset
	}
	if err != nil {
		if m.DeadPolls++; m.DeadPolls >= v.deadPolls {
			m.Alive = false
		}
		return
	}
	var list []v1Listed
	if err := json.Unmarshal(text, &list); err != nil || status != 200 || h.Get("p2pfaas-machine-ip") != ip {
		v.t.Errorf("%s asks %s for its list: %d %q %v: %v", v.ip, ip, status, text, h, err)
		return
	}
	v.add(v1Listed{IP: ip, Name: h.Get("p2pfaas-machine-name"), Group: h.Get("p2pfaas-machine-group-name"), Ping: time.Since(began).Seconds()})
	for _, x := range list {
		v.add(x)
	}
}

// call makes a request, for as long as the machine lives.
func (v *v1Machine) call(method, url string, body []byte, header http.Header) (int, []byte, http.Header, error) {
	r, err := http.NewRequestWithContext(v.life, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header = header
	a, err := v.http.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return a.StatusCode, text, a.Header, err
}

// Scheduler.

// postResources is configured by scripts, that switch the queue off.
func (v *v1Machine) postResources(_ http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	x := struct {
		Slots int  `json:"parallel_running_functions_max"`
		Queue bool `json:"queue_enabled"`
	}{v.slots, true}
	if v.read(r, &x); x.Queue {
		v.t.Error("this machine has no queue")
	}
	v.slots = x.Slots
}

func (v *v1Machine) postScheduler(_ http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read(r, &v.scheduler)
}

func (v *v1Machine) getLoad(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.UserAgent() == machine {
		v.saw.probes++
	}
	w.Header().Set("X-P2pfaas-Load", strconv.Itoa(v.running))
	w.Header().Set("X-P2pfaas-Maxload", strconv.Itoa(v.slots))
	w.Header().Set("X-P2pfog-Queue-Length", "0")
}

// postFunction serves a client (1.4, 1.5).
func (v *v1Machine) postFunction(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	v.mu.Lock()
	s := v.scheduler
	v.mu.Unlock()
	if r.Header.Get("X-P2pfaas-Scheduler-Bypass") != "" {
		s = v1Scheduler{"NoScheduler", []string{"true"}}
	}
	result, failed := v.serve(s, v1Task{Function: r.PathValue("function"), Payload: body, ContentType: r.Header.Get("Content-Type"),
		Tracing: r.Header.Get("X-P2pfaas-Scheduler-Task-Tracing-Id")}, false)
	if v.life.Err() != nil {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("X-P2pfaas-Version", "0.3.0b")
	h.Set("X-P2pfaas-Scheduler", s.Name)
	if failed != nil {
		h.Set("Content-Type", isJSON)
		w.WriteHeader(failed.status)
		_, _ = w.Write(failed.body())
		return
	}
	slices.Reverse(result.Peers)
	set := func(name string, value func(v1Hop) any) {
		var list []any
		for _, p := range result.Peers {
			list = append(list, value(p))
		}
		text, err := json.Marshal(list)
		if err != nil {
			v.t.Error(err)
		}
		h.Set(name, string(text))
	}
	last := len(result.Peers) - 1
	set("X-P2pfaas-Timing-Total-Seconds-List", func(p v1Hop) any { return p.Timings.Total })
	set("X-P2pfaas-Timing-Scheduling-Seconds-List", func(p v1Hop) any { return p.Timings.Scheduling })
	if last > 0 || result.Peers[0].Timings.Probing > 0 {
		set("X-P2pfaas-Timing-Probing-Seconds-List", func(p v1Hop) any { return p.Timings.Probing })
	}
	if x := result.Peers[last].Timings.Execution; x > 0 {
		h.Set("X-P2pfaas-Timing-Execution-Time-Seconds", fmt.Sprintf("%f", x))
	}
	if last > 0 {
		h.Set("X-P2pfaas-Externally-Executed", "True")
		h.Set("X-P2pfaas-Hops", strconv.Itoa(last))
		set("X-P2pfaas-Peers-List-Ip", func(p v1Hop) any { return p.IP })
		set("X-P2pfaas-Peers-List-Id", func(p v1Hop) any { return p.ID })
	}
	w.WriteHeader(result.Status)
	_, _ = w.Write(result.Body)
}

// postPeerFunction serves a peer (1.6).
func (v *v1Machine) postPeerFunction(w http.ResponseWriter, r *http.Request) {
	var task v1Task
	v.read(r, &task)
	v.mu.Lock()
	s := v.scheduler
	v.saw.hops[string(task.Payload)] = task.Hops
	v.mu.Unlock()
	if r.UserAgent() != machine || r.Header.Get("Content-Type") != isJSON || task.Function != r.PathValue("function") ||
		task.Hops < 1 || task.Peers != nil || task.Headers != nil {
		v.t.Errorf("%s gets %+v with %v", v.ip, task, r.Header)
	}
	result, failed := v.serve(s, task, true)
	switch {
	case v.life.Err() != nil || failed != nil && failed.code == 1:
		panic(http.ErrAbortHandler)
	case failed != nil:
		result.Body, result.Status = failed.body(), failed.status
	}
	v.answer(w, result.Status, result)
}

// serve decides about a task and has it executed, here or by a peer; external: it comes from a peer.
func (v *v1Machine) serve(s v1Scheduler, task v1Task, external bool) (result v1Result, failed *v1Error) {
	began := time.Now()
	var own v1Hop
	v.mu.Lock()
	own.ID, own.IP = v.configuration.ID, v.configuration.IP
	v.mu.Unlock()
	peer, failed := v.decide(s, task, external, &own)
	own.Timings.Scheduling = time.Since(began).Seconds()
	switch {
	case failed != nil:
	case peer == "":
		result, failed = v.execute(task, &own)
	default:
		result, failed = v.forward(peer, task)
	}
	own.Timings.Total = time.Since(began).Seconds()
	result.Peers = append(result.Peers, own)
	return result, failed
}

// decide says which peer is to have a task; empty: none (1.12).
func (v *v1Machine) decide(s v1Scheduler, task v1Task, external bool, own *v1Hop) (peer string, failed *v1Error) {
	v.mu.Lock()
	var list []string
	for _, m := range v.alive() {
		list = append(list, m.IP)
	}
	load := v.running
	v.mu.Unlock()
	master := s.Name == "RoundRobinWithMasterScheduler" && s.Parameters[0] == "true"
	switch {
	case s.Name == "NoScheduler":
	case s.Name == "ForwardScheduler":
		if len(list) > 0 && !(external && task.Hops >= s.number(0)) {
			peer = list[rand.IntN(len(list))]
		}
	case s.Name == "PowerOfNScheduler":
		if load < s.number(1) || external && task.Hops >= s.number(3) {
			return "", nil
		}
		if s.number(0) != len(list) {
			v.t.Errorf("%s has %d peers, not those to be probed", v.ip, len(list))
		}
		began := time.Now()
		peer = v.least(list, load)
		own.Timings.Probing = time.Since(began).Seconds()
	case master && !external:
		return "", &v1Error{500, 400, "Job cannot be scheduled: "}
	case master:
		v.mu.Lock()
		peer = list[v.next%len(list)]
		v.next++
		v.mu.Unlock()
	case !external:
		peer = s.Parameters[1]
	}
	return peer, nil
}

// least probes all peers, and draws one of those that have no more than the own load, if one has less. A peer that does not
// answer has none.
func (v *v1Machine) least(list []string, own int) string {
	loads := make([]int, len(list))
	var probes sync.WaitGroup
	for i, ip := range list {
		probes.Go(func() {
			_, _, h, err := v.call("GET", "http://"+ip+":18080/monitoring/load", nil, http.Header{"User-Agent": {machine}})
			if err != nil {
				return
			}
			running, err := strconv.Atoi(h.Get("X-P2pfaas-Load"))
			queued, err2 := strconv.Atoi(h.Get("X-P2pfog-Queue-Length"))
			if most := h.Get("X-P2pfaas-Maxload"); most != "3" || err != nil || err2 != nil {
				v.t.Errorf("%s probes %s: %v", v.ip, ip, h)
			}
			loads[i] = running + queued
		})
	}
	probes.Wait()
	var candidates []string
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, ip := range list {
		if v.saw.loads[ip] = loads[i]; loads[i] <= own {
			candidates = append(candidates, ip)
		}
	}
	if slices.Min(loads) >= own {
		return ""
	}
	return candidates[rand.IntN(len(candidates))]
}

func (v *v1Machine) execute(task v1Task, own *v1Hop) (result v1Result, failed *v1Error) {
	v.mu.Lock()
	if v.running >= v.slots {
		v.mu.Unlock()
		return result, &v1Error{500, 400, "Job cannot be scheduled: "}
	}
	v.running++
	v.mu.Unlock()
	began := time.Now()
	status, text, _, err := v.call("POST", v.function, task.Payload, http.Header{"Content-Type": {task.ContentType}})
	own.Timings.Execution = time.Since(began).Seconds()
	v.mu.Lock()
	v.running--
	v.mu.Unlock()
	if err != nil || status/100 != 2 {
		return result, &v1Error{500, 1, "[R#1,T" + task.Tracing + "] jobResult.Response is nil"}
	}
	return v1Result{Body: text, Status: 200}, nil
}

// forward takes a task to a peer: hops, peers and headers are not carried on.
func (v *v1Machine) forward(ip string, task v1Task) (result v1Result, failed *v1Error) {
	task.Hops, task.Peers, task.Headers = 1, nil, nil
	text, err := json.Marshal(task)
	if err != nil {
		v.t.Error(err)
	}
	status, text, _, err := v.call("POST", "http://"+ip+":18080/peer/function/"+task.Function, text,
		http.Header{"User-Agent": {machine}, "Content-Type": {isJSON}, "X-P2pfaas-Scheduler-Task-Tracing-Id": {task.Tracing}})
	if err != nil {
		return result, &v1Error{500, 403, fmt.Sprintf("Job cannot be forwarded to neighbor %s: %v", ip, err)}
	}
	if err := json.Unmarshal(text, &result); err != nil || result.Status != status || len(result.Peers) == 0 {
		v.t.Errorf("%s gets %d %q from %s: its scheduler ends here: %v", v.ip, status, text, ip, err)
		return result, &v1Error{500, 403, "an answer that ends the scheduler"}
	}
	return result, nil
}

// work is the function of all machines: it answers what it is asked, and knows who has executed what.
type work struct {
	*httptest.Server
	mu   sync.Mutex
	ran  map[string][]string // IPs of the machines, by body
	held map[string]chan struct{}
}

func startWork(t *testing.T) *work {
	w := &work{ran: map[string][]string{}, held: map[string]chan struct{}{}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("the function is called with %s %v: %v", r.Method, r.Header, err)
		}
		body := string(text)
		w.mu.Lock()
		w.ran[body] = append(w.ran[body], r.URL.Path[1:])
		held := w.held[body]
		w.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
		_, _ = a.Write(text)
	}))
	t.Cleanup(w.Close)
	return w
}

// by says who has executed a body.
func (w *work) by(body string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ran[body])
}

// hold has the executions of a body last until release is called.
func (w *work) hold(body string) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := make(chan struct{})
	w.held[body] = held
	return func() { close(held) }
}

// runs waits until a body is executed for the nth time.
func (w *work) runs(t *testing.T, body string, n int) {
	t.Helper()
	for began := time.Now(); len(w.by(body)) < n; time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%q is executed %d times, want %d", body, len(w.by(body)), n)
		}
	}
}

// Machines of the first P2PFaaS and ours, in one cluster.
func TestMixedCluster(t *testing.T) {
	const deadPolls = 10
	const v1a, ours1, v1b, ours2 = "127.83.0.1", "127.83.0.2", "127.83.0.3", "127.83.0.4"
	c := newV1Client(t, v1a, ours1, v1b, ours2)
	f := startWork(t)
	for _, ip := range []string{ours1, ours2} {
		startMachine(t, ip, "--function", "fn="+f.URL+"/"+ip, "--poll-time", v1Poll.String(), "--dead-polls", strconv.Itoa(deadPolls),
			"--probe-timeout", patience.String())
	}
	old := map[string]*v1Machine{}
	for _, ip := range []string{v1a, v1b} {
		old[ip] = newV1Machine(t, ip, f.URL+"/"+ip)
		old[ip].start()
		t.Cleanup(old[ip].die)
	}
	node := func(ip string) int { return slices.Index(c.hosts, ip) }
	all := "" // all bytes that there are
	for i := range 256 {
		all += string([]byte{byte(i)})
	}
	messages := func(ip string) (sent, received int) {
		c.t.Helper()
		var status struct{ Messages struct{ Sent, Received int } }
		text, _ := c.ask(200, "GET", ip, 18080, "/monitoring/node", "")
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			c.t.Error(err)
		}
		return status.Messages.Sent, status.Messages.Received
	}
	// reported is what a machine of ours says beyond v1.
	reported := func(a v1Answer) (r struct{ Probes, Retries int }) {
		if err := json.Unmarshal([]byte(a.header.Get("X-P2pfaas-Task")), &r); err != nil {
			c.t.Error(err)
		}
		return r
	}
	// served sends a request, which must be executed once, by the last machine on its way.
	serial := 0
	served := func(entry string) v1Answer {
		c.t.Helper()
		serial++
		body := fmt.Sprint(serial, all)
		a := c.request(node(entry), body)
		if by := f.by(body); a.status != 200 || a.body != body || !slices.Equal(by, a.path[len(a.path)-1:]) {
			c.t.Errorf("%d with %d bytes, of %d, over %q, executed by %q", a.status, len(a.body), len(body), a.path, by)
		}
		return a
	}

	t.Run("they meet", func(t *testing.T) {
		c.t = t
		c.introduce()
		for _, v := range old {
			for _, other := range c.hosts {
				for began := time.Now(); other != v.ip; time.Sleep(20 * time.Millisecond) {
					h := v.seen().registered[other]
					if h.Get("p2pfaas-machine-name") == other && h.Get("p2pfaas-machine-group-name") == "cluster00" {
						break
					}
					if time.Since(began) > patience {
						t.Fatalf("%s registers at %s with %v", other, v.ip, h)
					}
				}
			}
		}
	})

	t.Run("they forward", func(t *testing.T) {
		c.t = t
		for _, ip := range c.hosts {
			c.schedule(ip, "ForwardScheduler", "1")
		}
		for _, entry := range c.hosts {
			ways := map[string]int{}
			for range 40 {
				ways[strings.Join(served(entry).path, " ")]++
			}
			for _, ip := range c.hosts {
				if ip != entry && ways[entry+" "+ip] == 0 || len(ways) != len(c.hosts)-1 {
					t.Errorf("requests to %s go %v", entry, ways)
				}
			}
		}
	})

	for _, x := range []struct{ entry, idle string }{{v1a, ours2}, {ours1, v1b}} {
		t.Run("they probe: "+x.entry, func(t *testing.T) {
			c.t = t
			var clients sync.WaitGroup
			defer clients.Wait()
			for _, ip := range c.hosts {
				c.schedule(ip, "PowerOfNScheduler", "3", "0", "true", "1")
				n, known := map[string]int{x.entry: 1, x.idle: 0}[ip]
				if !known {
					n = 2
				}
				for i := range n {
					body := fmt.Sprintf("%s has %d, asked by %s", ip, i, x.entry)
					defer f.hold(body)()
					clients.Go(func() { c.request(node(ip), body, "X-P2pfaas-Scheduler-Bypass", "true") })
					f.runs(t, body, 1)
				}
			}
			before := map[string]int{v1a: old[v1a].seen().probes, v1b: old[v1b].seen().probes}
			sent, received := messages(ours1)
			a := served(x.entry)
			if !slices.Equal(a.path, []string{x.entry, x.idle}) || a.probing[0] <= 0 {
				t.Errorf("over %q after probing for %v, want %+v", a.path, a.probing, x)
			}
			for ip, n := range before {
				if now := old[ip].seen().probes; ip != x.entry && now != n+1 {
					t.Errorf("%s has answered %d probes, want one", ip, now-n)
				}
			}
			if v := old[x.entry]; v != nil {
				if loads, want := v.seen().loads, map[string]int{ours1: 2, v1b: 2, ours2: 0}; !maps.Equal(loads, want) {
					t.Errorf("%s was told the loads %v, want %v", v.ip, loads, want)
				}
				return
			}
			// Three probes and a task, each answered.
			if s, r := messages(x.entry); reported(a).Probes != 3 || s != sent+4 || r != received+4 {
				t.Errorf("%d probes, %d messages sent, %d received", reported(a).Probes, s-sent, r-received)
			}
		})
	}

	t.Run("two hops", func(t *testing.T) {
		c.t = t
		c.schedule(v1a, "RoundRobinWithMasterScheduler", "false", ours1, "true")
		c.schedule(ours1, "ForwardScheduler", "2")
		c.schedule(v1b, "ForwardScheduler", "2")
		c.schedule(ours2, "ForwardScheduler", "2")
		last := map[string]int{}
		for range 40 {
			a := served(v1a)
			if len(a.path) != 3 || a.path[1] != ours1 {
				t.Fatalf("over %q, want two hops over %s", a.path, ours1)
			}
			last[a.path[2]]++
			if v := old[a.path[2]]; v != nil && v.seen().hops[a.body] != 2 {
				t.Errorf("%s is told %d hops", v.ip, v.seen().hops[a.body])
			}
		}
		if last[v1a] == 0 || last[v1b] == 0 || last[ours2] == 0 {
			t.Errorf("requests end at %v", last)
		}
		for _, x := range []struct{ entry, master string }{{v1a, ours1}, {ours1, v1b}} {
			for _, ip := range c.hosts {
				c.schedule(ip, "RoundRobinWithMasterScheduler", strconv.FormatBool(ip == x.master), x.master, "true")
			}
			executors := map[string]bool{x.master: true}
			for range 3 { // to each slave in turn, the entry node included
				a := served(x.entry)
				if len(a.path) != 3 || a.path[1] != x.master || executors[a.path[2]] {
					t.Errorf("over %q, after %v", a.path, executors)
				}
				executors[a.path[len(a.path)-1]] = true
			}
		}
	})

	t.Run("one dies", func(t *testing.T) {
		c.t = t
		c.schedule(v1a, "ForwardScheduler", "1")
		c.schedule(v1b, "NoScheduler", "true")
		inHand := make(chan v1Answer, 1)
		release := sync.OnceFunc(f.hold("in hand"))
		defer release()
		go func() { inHand <- c.request(node(ours1), "in hand") }()
		f.runs(t, "in hand", 1)
		old[v1a].forgets(math.MaxInt)
		died := time.Now()
		old[v1b].die()
		c.schedule(ours1, "ForwardScheduler", "2")
		f.runs(t, "in hand", 2)
		release()
		if a, by := <-inHand, f.by("in hand"); a.status != 200 || a.body != "in hand" || !slices.Equal(by, []string{v1b, ours1}) || len(a.path) != 1 {
			t.Errorf("what %s had in hand: %d %q over %q, executed by %q", v1b, a.status, a.body, a.path, by)
		}

		ended := make(chan struct{})
		var clients sync.WaitGroup
		var inVain atomic.Int64 // requests that v1a sent to the dead machine
		stop := sync.OnceFunc(func() { close(ended); clients.Wait() })
		defer stop()
		for _, entry := range []string{v1a, ours1, ours2} {
			clients.Go(func() {
				tried := 0 // again
				for i := 0; ; i++ {
					select {
					case <-ended:
						if entry == ours2 && tried == 0 { // the dead machine is its master; the others draw
							t.Errorf("of %d requests to %s none came to the dead machine", i, entry)
						}
						return
					case <-time.After(5 * time.Millisecond):
					}
					body := fmt.Sprint(entry, i, all)
					a := c.request(node(entry), body)
					switch by, executor := f.by(body), a.path[len(a.path)-1]; {
					case entry == v1a && a.status == 500 && a.code == 403 && len(by) == 0 && strings.Contains(a.body, "neighbor "+v1b):
						inVain.Add(1) // v1 does not try again
					case a.status != 200 || a.body != body || executor == v1b || !slices.Equal(by, []string{executor}):
						t.Errorf("%s: %d %.200q over %q, executed by %q", entry, a.status, a.body, a.path, by)
					case entry != v1a:
						tried += reported(a).Retries
					}
				}
			})
		}
		gone := map[string]time.Time{}
		for began := time.Now(); len(gone) < 3; time.Sleep(20 * time.Millisecond) {
			for _, ip := range []string{v1a, ours1, ours2} {
				listed, before := slices.Contains(c.list(ip), v1b), !gone[ip].IsZero()
				if listed && before {
					t.Errorf("%s lists the dead machine again", ip)
				}
				if !listed && !before {
					gone[ip] = time.Now()
				}
			}
			if len(gone) == 2 && inVain.Load() > 0 { // ours leave it out although v1 tells of it
				old[v1a].forgets(1)
			}
			if time.Since(began) > patience {
				t.Fatalf("the dead machine has left the lists %v", gone)
			}
		}
		stop()
		for _, ip := range []string{ours1, ours2} { // after so many polls in vain
			if gone[ip].Sub(died) < (deadPolls-1)*v1Poll || gone[ip].After(gone[v1a]) {
				t.Errorf("the machine that died at %v left the lists at %v", died, gone)
			}
		}
		for range 20 {
			served(v1a)
			served(ours1)
		}
	})

	t.Run("it comes back", func(t *testing.T) {
		c.t = t
		old[v1b].start()
		c.meet()
		c.schedule(ours1, "RoundRobinWithMasterScheduler", "false", v1b, "true")
		eventually(t, "it is given tasks", func() bool { return slices.Equal(served(ours1).path, []string{ours1, v1b}) }) // ours1 may leave it alone for 2 s
	})
}

// Where the two kinds of machines say less to each other, or other things, than to their own.
func TestMixedClusterEdges(t *testing.T) {
	const v1a, ours1, v1b = "127.83.0.1", "127.83.0.2", "127.83.0.3"
	c := newV1Client(t, v1a, ours1, v1b)
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		status := 0
		if _, _ = fmt.Sscan(string(b), &status); status > 0 {
			w.WriteHeader(status)
		}
		_, _ = fmt.Fprint(w, "done")
	}))
	defer f.Close()
	startMachine(t, ours1, "--function", "fn="+f.URL, "--max-body", "1kB", "--poll-time", "100ms")
	old := map[string]*v1Machine{}
	for _, ip := range []string{v1a, v1b} {
		old[ip] = newV1Machine(t, ip, f.URL)
		old[ip].start()
		t.Cleanup(old[ip].die)
	}
	c.introduce()
	node := func() (s struct{ Messages struct{ Sent, Received int } }) {
		text, _ := c.ask(200, "GET", ours1, 18080, "/monitoring/node", "")
		_ = json.Unmarshal([]byte(text), &s)
		return s
	}
	report := func(h http.Header) (r struct {
		Outcome, Executor string
		Hops              int
	}) {
		_ = json.Unmarshal([]byte(h.Get("X-P2pfaas-Task")), &r)
		return r
	}
	c.schedule(v1a, "RoundRobinWithMasterScheduler", "false", ours1, "true")
	c.schedule(ours1, "NoScheduler", "true")

	t.Run("1 no content", func(t *testing.T) {
		c.t, old[v1a].t = t, t
		for _, body := range []string{"201", "204", "304"} {
			if status, text, _ := c.try("POST", v1a, 18080, "/function/fn", body); status != 200 {
				t.Errorf("the function answers %s: the client of v1 gets %d %q, want 200", body, status, text)
			}
		}
	})
	t.Run("2 too long", func(t *testing.T) {
		c.t, old[v1a].t = t, t
		status, text, _ := c.try("POST", v1a, 18080, "/function/fn", strings.Repeat("x", 2_000_000))
		if status != 413 || !strings.Contains(text, `"code":408`) {
			t.Errorf("the client of v1 gets %d %q, want 413 and the reason", status, text)
		}
	})
	t.Run("3 probes are messages", func(t *testing.T) {
		before := node()
		c.t = t
		c.ask(200, "GET", ours1, 18080, "/monitoring/load", "", "User-Agent", "Machine")
		if now := node(); now.Messages.Received != before.Messages.Received+1 || now.Messages.Sent != before.Messages.Sent+1 {
			t.Errorf("%+v, before %+v", now, before)
		}
	})
	t.Run("4 executor and hops beyond a v1 node", func(t *testing.T) {
		c.t = t
		c.schedule(v1b, "RoundRobinWithMasterScheduler", "true", v1b, "true")
		c.schedule(ours1, "RoundRobinWithMasterScheduler", "false", v1b, "true")
		for range 2 {
			_, _, h := c.try("POST", ours1, 18080, "/function/fn", "x")
			var ips []string
			_ = json.Unmarshal([]byte(h.Get("X-P2pfaas-Peers-List-Ip")), &ips)
			if r := report(h); r.Executor != ips[len(ips)-1] || r.Hops != len(ips)-1 {
				t.Errorf("over %q, reported %+v", ips, r)
			}
		}
	})
	t.Run("5 what a v1 peer could not do", func(t *testing.T) {
		old[v1a].t = t
		old[v1a].die()
		defer old[v1a].start()
		for range 2 {
			status, text, h := c.try("POST", ours1, 18080, "/function/fn", "x")
			if r := report(h); status != 200 && slices.Contains([]string{"completed"}, r.Outcome) {
				t.Errorf("%d %.60q: reported %+v", status, text, r)
			}
		}
	})
}
