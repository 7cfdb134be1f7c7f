package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// The wire of the first P2PFaaS, sentence by sentence. The names of the cases begin with the section of the wire page.
// Where this project does otherwise on purpose (its weaknesses are not ours), a test named after the weakness says so.

// exchange is a request and what the answer to it must be.
type exchange struct {
	name    string   // section, method and path, and what is special about it: "1.2 GET /configuration: the default"
	body    string   // of the request
	header  []string // of the request, in pairs
	status  int
	answer  string   // the whole body, as a regular expression
	headers []string // of the answer, in pairs: the whole value as a regular expression; empty: it is not there
}

// json is the header of a request with JSON.
var jsonHeader = []string{"Content-Type", "application/json"}

// errorBody is the body of an error, whose message is exactly this; how the reason is told beside it is ours.
func errorBody(code int, message string) string {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`\{"code":%d,"message":%s(,"reason":".*")?\}`, code, regexp.QuoteMeta(string(text)))
}

// check makes the request to the service at url.
func (x *exchange) check(t *testing.T, url string) {
	t.Helper()
	words := strings.SplitN(x.name, " ", 4)
	method, path := words[1], strings.TrimSuffix(words[2], ":")
	r, err := http.NewRequest(method, url+path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(x.header); i += 2 {
		r.Header.Set(x.header[i], x.header[i+1])
	}
	client := http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	if a.StatusCode != x.status || !regexp.MustCompile(`^(?s:`+x.answer+`)$`).Match(text) {
		t.Errorf("%d %q, want %d and %s", a.StatusCode, text, x.status, x.answer)
	}
	for i := 0; i < len(x.headers); i += 2 {
		values := a.Header.Values(x.headers[i])
		switch pattern := x.headers[i+1]; {
		case pattern == "" && len(values) == 0:
		case len(values) != 1 || !regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(values[0]):
			t.Errorf("%s is %q, want %q", x.headers[i], values, pattern)
		}
	}
}

// checkAll makes the requests one after the other.
func checkAll(t *testing.T, url string, exchanges []exchange) {
	t.Helper()
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) { x.check(t, url) })
	}
}

// checkMethods asks each path with each method: those that it does not have are answered with 405 and nothing.
func checkMethods(t *testing.T, url string, paths [][]string) {
	t.Helper()
	for _, p := range paths {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
			t.Run("1.1 "+method+" "+p[0], func(t *testing.T) {
				status, text, _ := say(t, method, url+p[0], "")
				has := strings.Contains(" "+p[1]+" ", " "+method+" ")
				if has == (status == 404 || status == 405) || !has && (status != 405 || text != "") {
					t.Errorf("%d %q; the path has the methods %s", status, text, p[1])
				}
			})
		}
	}
}

// Values of headers.
const (
	fixed  = `\d+\.\d{6}`               // a number as "%f" spells it
	number = `\d+(?:\.\d+)?(?:e-\d\d)?` // a number in JSON, which has an exponent below 1e-6: a fast machine schedules within a microsecond
)

// Headers of answers that are there together or not at all.
var (
	untimed  = []string{wire.HeaderExecution, "", wire.HeaderTotalTimes, "", wire.HeaderSchedulingTimes, "", wire.HeaderProbingTimes, ""}
	local    = []string{wire.HeaderExternallyExecuted, "", wire.HeaderHops, "", wire.HeaderPeersIP, "", wire.HeaderPeersID, ""}
	timed    = []string{wire.HeaderExecution, fixed, wire.HeaderTotalTimes, `\[` + fixed + `\]`, wire.HeaderSchedulingTimes, `\[` + fixed + `\]`}
	untaught = []string{wire.HeaderEID, "", wire.HeaderState, "", wire.HeaderAction, "", wire.HeaderEpsilon, ""}
)

// refused are the headers of an error: nothing is said of times and peers.
func refused(scheduler string) []string {
	return join(by(scheduler), untimed, local, []string{"Content-Type", "application/json"})
}

// by are the headers of each answer to an invocation.
func by(scheduler string) []string {
	return []string{wire.HeaderVersion, `0\.3\.0b`, wire.HeaderScheduler, regexp.QuoteMeta(scheduler)}
}

func join(headers ...[]string) (all []string) {
	for _, h := range headers {
		all = append(all, h...)
	}
	return all
}

const hello = `\{"name":"p2pfaas-scheduler","version":"0\.3\.0b","version_commit":"xxx"\}`

// The routes, their methods, and the configuration.
func TestWireScheduler(t *testing.T) {
	data := t.TempDir()
	c := openNodes(t, 1, NodeOptions{Data: data})
	url := c.servers[0].URL
	checkMethods(t, url, [][]string{
		{"/", "GET POST"}, {"/function/f", "GET POST"}, {"/peer/function/f", "POST"}, {"/monitoring/load", "GET"},
		{"/monitoring/scale-delay/f", "GET"}, {"/configuration", "GET POST"}, {"/configuration/scheduler", "GET POST"},
		{"/system/functions", "GET POST PUT DELETE"}, {"/system/function/f", "GET"}, {"/system/scale-function/f", "POST"},
	})
	development := openNodes(t, 1, NodeOptions{Development: true})
	checkMethods(t, development.servers[0].URL, [][]string{
		{"/dev/learning/act", "GET"}, {"/dev/learning/act_ws", "GET"}, {"/dev/learning/train", "GET"}, {"/dev/http/get", "GET"},
		{"/dev/http/post", "POST"}, {"/dev/test/parallel?seconds=0", "GET"},
	})
	four := `\{"parallel_running_functions_max":4,"queue_length_max":4,"queue_enabled":true\}`
	powerOfN := `\{"name":"PowerOfNScheduler","parameters":\["1","2","true","1"\]\}`
	bad := errorBody(1, "Bad passed parameters for scheduler")
	checkAll(t, url, []exchange{
		{"1.1 GET /nowhere", "", nil, 404, ".*404.*", []string{"Content-Type", "text/plain.*"}},
		{"1.1 GET /configuration/: a slash more", "", nil, 404, ".*404.*", nil},
		{"1.1 POST /function/f/: a slash more", "", nil, 404, ".*404.*", nil},
		{"1.2 POST /function/a/b: two segments", "", nil, 404, ".*404.*", nil},
		{"1.2 GET /function: no segment", "", nil, 404, ".*404.*", nil},
		{"1.2 GET /dev/http/get: in production", "", nil, 404, ".*404.*", nil},
		{"1.2 GET /dev/test/parallel: in production", "", nil, 404, ".*404.*", nil},
		{"1.2 GET /", "", nil, 200, hello, []string{"Content-Type", "text/plain.*"}},
		{"1.2 POST /", "", nil, 200, hello, []string{"Content-Type", "text/plain.*"}},
		{"1.2 PUT /system/functions: a stub", "", nil, 200, "", nil},
		{"1.2 DELETE /system/functions: a stub", "", nil, 200, "", nil},

		{"1.7 GET /monitoring/load", "", nil, 200, "", []string{wire.HeaderLoad, "0", wire.HeaderMaxLoad, "4", wire.HeaderQueueLength, "0"}},
		{"1.7 GET /monitoring/load: of a peer", "", []string{"User-Agent", "Machine"}, 200, "", []string{wire.HeaderLoad, "0"}},

		{"1.8 GET /configuration: the default", "", nil, 200, four, jsonAnswer},
		{"1.8 POST /configuration: no JSON", `{`, nil, 500, errorBody(1, "Generic Error"), jsonAnswer},
		{"1.8 POST /configuration: a wrong type", `{"queue_length_max":"4"}`, nil, 500, errorBody(1, "Generic Error"), jsonAnswer},
		{"1.8 POST /configuration: another wrong type", `{"queue_enabled":1}`, nil, 500, errorBody(1, "Generic Error"), nil},
		{"1.8 POST /configuration: nothing", ``, nil, 500, errorBody(1, "Generic Error"), nil},
		{"1.8 GET /configuration: unchanged", "", nil, 200, four, nil},
		{"1.8 POST /configuration: an unknown key", `{"running_functions_max":9}`, nil, 200, "", nil},
		{"1.8 POST /configuration: a part", `{"queue_length_max":7}`, nil, 200, "", nil},
		{"1.8 GET /configuration: merged", "", nil, 200, strings.Replace(four, `max":4,"queue_e`, `max":7,"queue_e`, 1), nil},
		{"1.8 POST /configuration: as the script does", `{"parallel_running_functions_max":3,"queue_length_max":2,"queue_enabled":false}`, jsonHeader, 200, "", nil},
		{"1.8 GET /configuration: all of it", "", nil, 200, `\{"parallel_running_functions_max":3,"queue_length_max":2,"queue_enabled":false\}`, nil},
		{"1.7 GET /monitoring/load: K has changed", "", nil, 200, "", []string{wire.HeaderMaxLoad, "3"}},

		{"1.8 GET /configuration/scheduler: the default", "", nil, 200, powerOfN, jsonAnswer},
		{"1.8 POST /configuration/scheduler: no JSON", `{`, nil, 400, errorBody(4, "Passed input is not correct or malformed"), jsonAnswer},
		{"1.8 POST /configuration/scheduler: nothing", ``, nil, 400, errorBody(4, "Passed input is not correct or malformed"), nil},
		{"1.8 POST /configuration/scheduler: an unknown name", `{"name":"PowerOfN","parameters":["1","2","true","1"]}`, nil, 500, bad, jsonAnswer},
		{"1.8 POST /configuration/scheduler: too few", `{"name":"PowerOfNScheduler","parameters":["1","2","true"]}`, nil, 500, bad, nil},
		{"1.8 POST /configuration/scheduler: none", `{"name":"ForwardScheduler"}`, nil, 500, bad, nil},
		{"1.8 POST /configuration/scheduler: no number", `{"name":"PowerOfNScheduler","parameters":["x","2","true","1"]}`, nil, 500, bad, nil},
		{"1.8 POST /configuration/scheduler: below 0", `{"name":"ForwardScheduler","parameters":["-1"]}`, nil, 500, bad, nil},
		{"1.8 POST /configuration/scheduler: no bool", `{"name":"NoScheduler","parameters":["perhaps"]}`, nil, 500, bad, nil},
		{"1.8 POST /configuration/scheduler: no duration", `{"name":"PowerOfNSchedulerTau","parameters":["1","2","true","1","200"]}`, nil, 500, bad, nil},
		{"1.8 GET /configuration/scheduler: unchanged", "", nil, 200, powerOfN, nil},
	})

	// 1.12: what is posted is what is shown, and what answers announce.
	for _, x := range []struct{ name, posted, shown, announced string }{
		{"NoScheduler", `["true"]`, `["true"]`, "NoScheduler"},
		{"NoScheduler", `["false","and","more"]`, `["false"]`, "NoScheduler"},
		{"ForwardScheduler", `["1"]`, `["1"]`, "ForwardScheduler(1)"},
		{"ForwardScheduler", `["2"]`, `["2"]`, "ForwardScheduler(2)"},
		{"PowerOfNScheduler", `["2","0","false","0"]`, `["2","0","false","0"]`, "PowerOfNScheduler(2, 0, false, 0)"},
		{"PowerOfNScheduler", `["3","10","true","1","more"]`, `["3","10","true","1"]`, "PowerOfNScheduler(3, 10, true, 1)"},
		{"PowerOfNSchedulerTau", `["1","2","true","1","200ms"]`, `["1","2","true","1","200ms"]`, "PowerOfNSchedulerTau(1, 2, true, 1, 200ms)"},
		{"PowerOfNSchedulerTau", `["1","2","true","1","1.5s"]`, `["1","2","true","1","1500ms"]`, "PowerOfNSchedulerTau(1, 2, true, 1, 1500ms)"},
		{"RoundRobinWithMasterScheduler", `["false","127.0.0.9","true"]`, `["false","127.0.0.9","true"]`, "RoundRobinWithMasterScheduler(false, 127.0.0.9, true)"},
		{"LearningScheduler", `["2"]`, `["2"]`, "LearningScheduler(2)"},
		{"PowerOfNScheduler", `["1","2","true","1"]`, `["1","2","true","1"]`, "PowerOfNScheduler(1, 2, true, 1)"},
	} {
		t.Run("1.12 "+x.announced, func(t *testing.T) {
			at := "/configuration/scheduler"
			if r := c.ask(0, "POST", at, fmt.Sprintf(`{"name":%q,"parameters":%s}`, x.name, x.posted), jsonHeader...); r.status != 200 || r.body != "" {
				t.Errorf("posting %s: %d %q", x.posted, r.status, r.body)
			}
			if r, want := c.ask(0, "GET", at, ""), fmt.Sprintf(`{"name":%q,"parameters":%s}`, x.name, x.shown); r.body != want {
				t.Errorf("%s, want %s", r.body, want)
			}
			if r := c.ask(0, "POST", "/function/f", ""); r.header.Get(wire.HeaderScheduler) != x.announced {
				t.Errorf("answers announce %q", r.header.Get(wire.HeaderScheduler))
			}
			file, err := os.ReadFile(filepath.Join(data, "p2p_faas-scheduler-config.json"))
			var kept Descriptor
			if err != nil || json.Unmarshal(file, &kept) != nil || kept.Name != x.name || !strings.Contains(string(file), "\n  \"parameters\": [\n") {
				t.Errorf("the file says %s, %v", file, err)
			}
		})
	}

	t.Run("1.8 the files, and a node that starts with them", func(t *testing.T) {
		file, err := os.ReadFile(filepath.Join(data, "p2p_faas-scheduler.json"))
		want := "{\n  \"parallel_running_functions_max\": 3,\n  \"queue_length_max\": 2,\n  \"queue_enabled\": false\n}"
		if err != nil || strings.TrimSpace(string(file)) != want {
			t.Errorf("p2p_faas-scheduler.json is %s, %v", file, err)
		}
		c.ask(0, "POST", "/configuration/scheduler", `{"name":"ForwardScheduler","parameters":["1"]}`)
		again := openNodes(t, 1, NodeOptions{Data: data})
		checkAll(t, again.servers[0].URL, []exchange{
			{"1.8 GET /configuration: kept", "", nil, 200, `\{"parallel_running_functions_max":3,"queue_length_max":2,"queue_enabled":false\}`, nil},
			{"1.8 GET /configuration/scheduler: kept", "", nil, 200, `\{"name":"ForwardScheduler","parameters":\["1"\]\}`, nil},
		})
	})
}

var jsonAnswer = []string{"Content-Type", "application/json.*"}

// Invocations that end at the node that the client called.
func TestWireInvocation(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{})
	here := join(timed, local, untaught, []string{wire.HeaderProbingTimes, ""})
	powerOfN := join(by("PowerOfNScheduler(1, 2, true, 1)"), here)
	rejected := errorBody(401, "Job has been deliberately rejected")
	checkAll(t, c.servers[0].URL, []exchange{
		{"1.4 POST /function/f", "hello", nil, 200, "POST  hello .*", powerOfN},
		{"1.4 GET /function/f", "", nil, 200, "GET .*", powerOfN},
		{"1.4 POST /function/f.g-h_1: dots", "hello", nil, 200, "POST  hello .*", powerOfN},
		{"1.4 POST /function/f: a header of the function", "", nil, 200, ".*", []string{"X-Function", "mirror"}},
		{"1.3 POST /function/f: bypass", "", []string{wire.HeaderBypass, "0"}, 200, "POST .*", join(by("NoScheduler"), here)},
		{"1.3 POST /function/f: forward, without a peer", "", []string{wire.HeaderForward, "x"}, 200, "POST .*", join(by("ForwardScheduler(1)"), here)},
		{"1.3 POST /function/f: reject", "", []string{wire.HeaderReject, "x"}, 503, rejected, join(refused("RejectScheduler"), untaught)},
		{"1.3 POST /function/f: bypass before forward and reject", "", []string{wire.HeaderReject, "x", wire.HeaderForward, "x", wire.HeaderBypass, "x"}, 200, ".*", by("NoScheduler")},
		{"1.3 POST /function/f: forward before reject", "", []string{wire.HeaderReject, "x", wire.HeaderForward, "x"}, 200, ".*", by("ForwardScheduler(1)")},
		{"1.3 POST /function/f: an empty value is none", "", []string{wire.HeaderReject, "", wire.HeaderBypass, ""}, 200, ".*", powerOfN},
		{"1.3 POST /function/f: tracing and type", "", []string{wire.HeaderTracing, "n1t2", wire.HeaderTaskType, "1.9"}, 200, ".*", powerOfN},
		{"1.3 POST /function/f: a type that is none", "", []string{wire.HeaderTaskType, "face"}, 200, ".*", powerOfN},
		{"1.5 POST /function/a:1: no name of a function", "", nil, 400, errorBody(100, "Passed service is not valid"), refused("PowerOfNScheduler(1, 2, true, 1)")},
	})

	// Beyond v1: a bound for what is sent, and names that would lead elsewhere.
	bounded := openNodes(t, 1, NodeOptions{Limits: Limits{Body: 1000}})
	checkAll(t, bounded.servers[0].URL, []exchange{
		{"1.1 POST /function/f: as long as it may be", strings.Repeat("x", 1000), nil, 200, ".*", nil},
		{"1.1 POST /function/f: too long", strings.Repeat("x", 1001), nil, 413, errorBody(408, "The body of the request is longer than 1000 bytes"), nil},
		{"1.2 POST /function/..%2Fetc", "", nil, 404, ".*404.*", nil},
	})

	// R# counts from 1, whatever an invocation asks for; what cannot be called is an error of its own.
	down := openNodes(t, 1, NodeOptions{Backend: Backend{URL: "http://127.0.0.1:1"}})
	for i, steered := range []string{wire.HeaderBypass, wire.HeaderForward, wire.HeaderReject} {
		if r := down.ask(0, "POST", "/function/f", "", steered, "x"); r.status != map[string]int{wire.HeaderReject: 503}[steered] && r.status != 500 {
			t.Errorf("request %d: %d", i, r.status)
		}
	}
	checkAll(t, down.servers[0].URL, []exchange{
		{"1.5 POST /function/f: it cannot be called", "", []string{wire.HeaderTracing, "n0t9"}, 500,
			errorBody(1, "[R#4,Tn0t9] jobResult.Response is nil"), join(refused("PowerOfNScheduler(1, 2, true, 1)"), untaught)},
		{"1.5 GET /function/f: nor can it without a tracing id", "", nil, 500, errorBody(1, "[R#5,T] jobResult.Response is nil"), nil},
	})
}

// occupy keeps a slot of node i busy until the function that it returns is called, with a task that has these headers.
func (c *nodes) occupy(i int, header ...string) (free func()) {
	c.t.Helper()
	end := c.hold(i, append(slices.Clone(header), wire.HeaderBypass, "x")...)
	return func() { end() }
}

// hold has node i execute a request with these headers until the function that it returns is called, which returns the answer: its client has
// not sent the end of the body before.
func (c *nodes) hold(i int, header ...string) (end func() reply) {
	c.t.Helper()
	c.nodes[i].mailbox.sync() // an answer is there before the load is shown that its task leaves
	before, _, _ := c.nodes[i].mailbox.Load()
	release := make(chan struct{})
	body, write := io.Pipe()
	r, err := http.NewRequest("POST", c.servers[i].URL+"/function/f", body)
	if err != nil {
		c.t.Fatal(err)
	}
	for k := 0; k < len(header); k += 2 {
		r.Header.Set(header[k], header[k+1])
	}
	ended := make(chan reply, 1)
	go func() {
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			ended <- reply{header: http.Header{}}
			return
		}
		text, _ := io.ReadAll(a.Body)
		a.Body.Close()
		ended <- reply{a.StatusCode, a.Header, string(text)}
	}()
	go func() {
		defer write.Close()
		more := time.NewTicker(time.Second)
		defer more.Stop()
		late := time.After(time.Minute) // what waits for the slot, and should not, is not to wait for ever
		for {
			select {
			case <-release:
				return
			case <-late:
				return
			case <-more.C: // a body of which nothing comes is not waited for
				if _, err := write.Write(make([]byte, 2000)); err != nil {
					return
				}
			}
		}
	}()
	eventually(c.t, "a slot is taken", func() bool { now, _, _ := c.nodes[i].mailbox.Load(); return now == before+1 })
	return sync.OnceValue(func() reply { close(release); return <-ended })
}

// Slots and the waiting room.
func TestWireQueue(t *testing.T) {
	noRoom := `{"code":400,"message":"Job cannot be scheduled: "}`
	for _, x := range []struct {
		name          string
		configuration string
		scheduler     Descriptor
		served        int
	}{
		{"1.11 K = 4 and Q = 4: 12 at once", `{}`, DefaultScheduler(), 8},
		{"1.11 queue_enabled: false", `{"queue_enabled":false}`, DefaultScheduler(), 4},
		{"1.11 NoScheduler true: no free slot, and room", `{}`, Descriptor{Name: "NoScheduler", Parameters: []string{"true"}}, 4},
		{"1.11 NoScheduler false", `{}`, Descriptor{Name: "NoScheduler", Parameters: []string{"false"}}, 8},
		{"1.11 the flag loss of PowerOfNScheduler", `{}`, Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"1", "0", "true", "1"}}, 8},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			function, open := gated(t)
			c := openNodes(t, 1, NodeOptions{Scheduler: x.scheduler, Backend: Backend{URL: function}})
			if r := c.ask(0, "POST", "/configuration", x.configuration); r.status != 200 {
				t.Fatal(r)
			}
			if by := c.crowd(12, 12-x.served, open); by[200] != x.served || by[500] != 12-x.served {
				t.Errorf("answers by status: %v, want %d of 200", by, x.served)
			}
		})
	}
	t.Run("1.5 code 400", func(t *testing.T) {
		c := openNodes(t, 1, NodeOptions{Slots: 1, Room: 1, Queue: true, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}}})
		free := c.occupy(0)
		checkAll(t, c.servers[0].URL, []exchange{
			{"1.5 POST /function/f: no slot", "", nil, 500, regexp.QuoteMeta(noRoom), join(refused("NoScheduler"), untaught)},
			{"1.7 GET /monitoring/load: one runs", "", nil, 200, "", []string{wire.HeaderLoad, "1", wire.HeaderMaxLoad, "1", wire.HeaderQueueLength, "0"}},
		})
		c.ask(0, "POST", "/configuration/scheduler", `{"name":"NoScheduler","parameters":["false"]}`)
		var waiting sync.WaitGroup
		waiting.Go(func() { c.ask(0, "POST", "/function/f", "") })
		eventually(t, "one waits", func() bool { _, queued, _ := c.nodes[0].mailbox.Load(); return queued == 1 })
		checkAll(t, c.servers[0].URL, []exchange{
			{"1.7 GET /monitoring/load: one waits", "", nil, 200, "", []string{wire.HeaderLoad, "1", wire.HeaderQueueLength, "1"}},
		})
		free()
		waiting.Wait()
	})
}

// v1Node is a scheduler of the first P2PFaaS as a peer sees it. It keeps what it was asked.
type v1Node struct {
	*httptest.Server
	answer string // to a forward; empty: it breaks the connection off
	status int
	load   [2]string // running, queued

	mu       sync.Mutex
	probes   []http.Header
	forwards []http.Header
	bodies   []string
}

func startV1Node(t *testing.T, status int, answer string) *v1Node {
	t.Helper()
	v := &v1Node{status: status, answer: answer, load: [2]string{"0", "0"}}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		defer v.mu.Unlock()
		switch r.Method + " " + r.URL.Path {
		case "GET /monitoring/load":
			v.probes = append(v.probes, r.Header)
			w.Header().Set("X-P2pfaas-Load", v.load[0])
			w.Header().Set("X-P2pfaas-Maxload", "4")
			w.Header().Set("X-P2pfog-Queue-Length", v.load[1])
		case "POST /peer/function/f":
			v.forwards, v.bodies = append(v.forwards, r.Header), append(v.bodies, string(text))
			if v.answer == "" {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(v.status)
			_, _ = io.WriteString(w, v.answer)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *v1Node) address() string { return strings.TrimPrefix(v.URL, "http://") }

// v1Answer is the answer of a v1 node to a forward.
func v1Answer(status int, body string) string {
	execution := ""
	if status == 200 {
		execution = `"execution_time":0.05,`
	}
	return fmt.Sprintf(`{"peers_list":[{"machine_id":"old","machine_ip":"10.0.0.2","timings":{%s"total_time":0.06,"scheduling_time":0.000002}}],`+
		`"body":%q,"status_code":%d}`, execution, base64.StdEncoding.EncodeToString([]byte(body)), status)
}

// Invocations that a peer executes, or that no peer takes. How the peer speaks makes no difference to the client.
func TestWireForwarded(t *testing.T) {
	two := `\[` + number + `,` + number + `\]`
	away := join(by("ForwardScheduler(1)"), untaught, []string{wire.HeaderExternallyExecuted, "True", wire.HeaderHops, "1", wire.HeaderTotalTimes, two,
		wire.HeaderSchedulingTimes, two, wire.HeaderProbingTimes, `\[0,0\]`})
	toOurs := join(away, []string{wire.HeaderPeersIP, `\["127\.0\.0\.1","127\.0\.0\.2"\]`, wire.HeaderPeersID, `\["node-0","node-1"\]`})
	toV1 := join(away, []string{wire.HeaderPeersIP, `\["127\.0\.0\.1","10\.0\.0\.2"\]`, wire.HeaderPeersID, `\["node-0","old"\]`})
	ran := []string{wire.HeaderExecution, fixed}
	sniffed := []string{wire.HeaderExecution, "", "Content-Type", "text/plain.*"}

	ours := openNodes(t, 2, NodeOptions{Scheduler: forwardAll, Slots: 1, Forwarding: core.Forwarding{OnRefusal: core.FallbackFail, OnFailure: core.FallbackFail}})
	url := ours.servers[0].URL
	checkAll(t, url, []exchange{
		{"1.4 POST /function/f: at a peer", "hello", []string{wire.HeaderTracing, "n0t1"}, 200, "POST  hello .*", join(toOurs, ran)},
		{"1.4 GET /function/f: at a peer", "", nil, 200, "GET .*", join(toOurs, ran)},
		{"1.3 POST /function/f: bypass", "", []string{wire.HeaderBypass, "x"}, 200, ".*", join(by("NoScheduler"), local)},
	})
	t.Run("1.4 the entry node first, the executing one last", func(t *testing.T) {
		r := ours.ask(0, "POST", "/function/f", "sleep 50ms")
		var totals []float64
		execution, err := strconv.ParseFloat(r.header.Get(wire.HeaderExecution), 64)
		if json.Unmarshal([]byte(r.header.Get(wire.HeaderTotalTimes)), &totals) != nil || err != nil || len(totals) != 2 ||
			!(totals[0] > totals[1] && totals[1] >= execution-1e-6 && execution >= 0.05) {
			t.Errorf("totals %s, execution %s", r.header.Get(wire.HeaderTotalTimes), r.header.Get(wire.HeaderExecution))
		}
	})
	ours.ask(1, "POST", "/configuration/scheduler", `{"name":"NoScheduler","parameters":["true"]}`)
	free := ours.occupy(1)
	checkAll(t, url, []exchange{{"1.5 POST /function/f: the peer has no slot", "", nil, 500,
		`\{"code":400,"message":"Job cannot be scheduled: "\}`, join(toOurs, sniffed)}})
	free()
	ours.ask(1, "POST", "/configuration/scheduler", `{"name":"RejectScheduler","parameters":[]}`)
	checkAll(t, url, []exchange{{"1.5 POST /function/f: the peer rejects", "", nil, 503,
		`\{"code":401,"message":"Job has been deliberately rejected"\}`, join(toOurs, sniffed)}})

	for _, x := range []struct {
		fallback core.Fallback
		status   int // of the peer
		answer   string
		exchange
	}{
		{core.FallbackExecute, 200, v1Answer(200, "done"), exchange{"1.4 POST /function/f: at a v1 peer", "", nil, 200, "done", join(toV1, []string{
			wire.HeaderExecution, `0\.050000`, wire.HeaderTotalTimes, `\[` + number + `,0\.06\]`, wire.HeaderSchedulingTimes, `\[` + number + `,0\.000002\]`,
			"Content-Type", "text/plain.*"})}},
		{core.FallbackFail, 500, v1Answer(500, `{"code":400,"message":"Job cannot be scheduled: "}`), exchange{"1.5 POST /function/f: a v1 peer has no room",
			"", nil, 500, `\{"code":400,"message":"Job cannot be scheduled: "\}`, join(toV1, sniffed)}},
		{core.FallbackFail, 503, v1Answer(503, `{"code":401,"message":"Job has been deliberately rejected"}`), exchange{"1.5 POST /function/f: a v1 peer rejects",
			"", nil, 503, `\{"code":401,"message":"Job has been deliberately rejected"\}`, join(toV1, sniffed)}},
		{core.FallbackExecute, 500, v1Answer(500, `{"code":400,"message":"Job cannot be scheduled: "}`), exchange{"1.5 POST /function/f: a v1 peer has no room, and this node some",
			"", nil, 200, "POST .*", join(local, timed)}},
		{core.FallbackFail, 200, "", exchange{"1.5 POST /function/f: a v1 peer breaks off", "", nil, 500,
			`\{"code":403,"message":"Job cannot be forwarded to neighbor 127\.0\.0\.1:\d+: .*EOF"\}`, refused("ForwardScheduler(1)")}},
		{core.FallbackFail, 200, "<html>", exchange{"1.5 POST /function/f: a v1 peer answers nonsense", "", nil, 500,
			`\{"code":403,"message":"Job cannot be forwarded to neighbor 127\.0\.0\.1:\d+: .+"\}`, refused("ForwardScheduler(1)")}},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := openNodes(t, 1, NodeOptions{Scheduler: forwardAll, Forwarding: core.Forwarding{OnRefusal: x.fallback, OnFailure: x.fallback}})
			c.nodes[0].SetPeers([]string{startV1Node(t, x.status, x.answer).address()})
			x.check(t, c.servers[0].URL)
		})
	}
	dead := openNodes(t, 1, NodeOptions{Scheduler: forwardAll, Forwarding: core.Forwarding{OnRefusal: core.FallbackFail, OnFailure: core.FallbackFail}})
	dead.nodes[0].SetPeers([]string{"127.0.0.1:1"})
	checkAll(t, dead.servers[0].URL, []exchange{{"1.5 POST /function/f: the peer is dead", "", nil, 500,
		`\{"code":403,"message":"Job cannot be forwarded to neighbor 127\.0\.0\.1:1: .+"\}`, refused("ForwardScheduler(1)")}})
}

// What a node asks of v1 peers, and what it answers them.
func TestWirePeers(t *testing.T) {
	t.Run("1.6 a probe and a forward", func(t *testing.T) {
		v := startV1Node(t, 200, v1Answer(200, "done"))
		c := openNodes(t, 1, NodeOptions{Scheduler: Descriptor{Name: "PowerOfNScheduler", Parameters: []string{"1", "1", "true", "1"}}})
		c.nodes[0].SetPeers([]string{v.address()})
		if r := c.ask(0, "POST", "/function/f", ""); r.header.Get(wire.HeaderHops) != "" || len(v.probes) > 0 {
			t.Errorf("below the threshold: %v hops, %d probes", r.header.Get(wire.HeaderHops), len(v.probes))
		}
		defer c.occupy(0)()
		for _, x := range []struct {
			load [2]string
			hops string
		}{{[2]string{"1", "0"}, ""}, {[2]string{"0", "1"}, ""}, {[2]string{"0", "0"}, "1"}} {
			v.load = x.load
			r := c.ask(0, "POST", "/function/f", "hello", wire.HeaderTracing, "n1t2", "Content-Type", "image/jpeg", "X-Client", "me")
			var probing []float64
			err := json.Unmarshal([]byte(r.header.Get(wire.HeaderProbingTimes)), &probing)
			if r.status != 200 || r.header.Get(wire.HeaderHops) != x.hops || err != nil || probing[0] <= 0 {
				t.Errorf("the peer has %v: %d, %q hops, probing %q", x.load, r.status, r.header.Get(wire.HeaderHops), r.header.Get(wire.HeaderProbingTimes))
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if len(v.probes) != 3 || v.probes[0].Get("User-Agent") != "Machine" {
			t.Errorf("%d probes: %v", len(v.probes), v.probes)
		}
		if len(v.forwards) != 1 {
			t.Fatalf("%d forwards", len(v.forwards))
		}
		h := v.forwards[0]
		if h.Get("User-Agent") != "Machine" || h.Get("Content-Type") != "application/json" || h.Get(wire.HeaderTracing) != "n1t2" {
			t.Errorf("the headers of a forward are %v", h)
		}
		// Three requests and the one that occupies came before.
		want := `{"service_id_request":5,"service_id_tracing":"n1t2","function_name":"f","hops":1,"peers_list":null,` +
			`"payload":"aGVsbG8=","content_type":"image/jpeg","headers":null}`
		if v.bodies[0] != want {
			t.Errorf("a forward is %s, want %s", v.bodies[0], want)
		}
	})

	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if string(text) == "fail" {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"), text)
	}))
	defer f.Close()
	c := openNodes(t, 1, NodeOptions{Slots: 1, Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}},
		Backend: Backend{URL: f.URL + "/{function}"}})
	machine := []string{"User-Agent", "Machine", "Content-Type", "application/json", wire.HeaderTracing, "n1t2"}
	forward := func(payload string) string {
		return fmt.Sprintf(`{"service_id_request":7,"service_id_tracing":"n1t2","function_name":"other","hops":1,"peers_list":null,`+
			`"payload":%q,"content_type":"image/jpeg","headers":null}`, base64.StdEncoding.EncodeToString([]byte(payload)))
	}
	answered := func(timings string, status int, body string) string {
		return fmt.Sprintf(`\{"peers_list":\[\{"machine_id":"node-0","machine_ip":"127\.0\.0\.1","timings":\{%s\}\}\],"body":"%s","status_code":%d\}`,
			timings, regexp.QuoteMeta(base64.StdEncoding.EncodeToString([]byte(body))), status)
	}
	seconds := `[0-9.e-]+`
	executed := `"execution_time":` + seconds + `,"total_time":` + seconds + `,"scheduling_time":` + seconds
	waited := `"total_time":` + seconds + `,"scheduling_time":` + seconds
	malformed := errorBody(4, "Passed input is not correct or malformed")
	checkAll(t, c.servers[0].URL, []exchange{
		{"1.6 POST /peer/function/f: the URL decides the function", forward("hello"), machine, 200,
			answered(executed, 200, "POST /f image/jpeg hello"), jsonAnswer},
		{"1.6 POST /peer/function/f: no payload", `{"function_name":"f","hops":1}`, machine, 200, answered(executed, 200, "POST /f  "), nil},
		{"1.6 POST /peer/function/f: no machine", forward("hello"), nil, 500, errorBody(1, "Generic Error"), jsonAnswer},
		{"1.6 POST /peer/function/f: no machine, exactly", forward("hello"), []string{"User-Agent", "machine"}, 500, errorBody(1, "Generic Error"), nil},
		{"1.6 POST /peer/function/f: malformed", `{`, machine, 400, malformed, jsonAnswer},
		{"1.6 POST /peer/function/f: malformed payload", `{"payload":"%"}`, machine, 400, malformed, nil},
		{"1.6 POST /peer/function/f: nothing", ``, machine, 400, malformed, nil},
	})
	free := c.occupy(0)
	checkAll(t, c.servers[0].URL, []exchange{{"1.6 POST /peer/function/f: a scheduling error", forward("hello"), machine, 500,
		answered(waited, 500, `{"code":400,"message":"Job cannot be scheduled: "}`), jsonAnswer}})
	free()
	c.ask(0, "POST", "/configuration/scheduler", `{"name":"RejectScheduler","parameters":[]}`)
	checkAll(t, c.servers[0].URL, []exchange{{"1.6 POST /peer/function/f: rejected", forward("hello"), machine, 503,
		answered(waited, 503, `{"code":401,"message":"Job has been deliberately rejected"}`), jsonAnswer}})

	t.Run("1.6 a task that goes on: the executing node first", func(t *testing.T) {
		v := startV1Node(t, 200, v1Answer(200, "done"))
		c.nodes[0].SetPeers([]string{v.address()})
		c.ask(0, "POST", "/configuration/scheduler", `{"name":"RoundRobinWithMasterScheduler","parameters":["true","127.0.0.1","true"]}`)
		r := c.ask(0, "POST", "/peer/function/f", forward("hello"), machine...)
		var a struct {
			Peers []struct {
				IP      string             `json:"machine_ip"`
				Timings map[string]float64 `json:"timings"`
			} `json:"peers_list"`
			Body []byte `json:"body"`
		}
		if err := json.Unmarshal([]byte(r.body), &a); err != nil || r.status != 200 || string(a.Body) != "done" || len(a.Peers) != 2 ||
			a.Peers[0].IP != "10.0.0.2" || a.Peers[1].IP != "127.0.0.1" || a.Peers[0].Timings["total_time"] != 0.06 ||
			a.Peers[1].Timings["total_time"] <= 0 {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
}

// What the algorithms do that is seen from outside only on several nodes.
func TestWireAlgorithms(t *testing.T) {
	t.Run("1.12 RoundRobinWithMasterScheduler", func(t *testing.T) {
		c := openNodes(t, 3, NodeOptions{})
		master := strings.TrimPrefix(c.servers[0].URL, "http://")
		for i := range 3 {
			c.ask(i, "POST", "/configuration/scheduler",
				fmt.Sprintf(`{"name":"RoundRobinWithMasterScheduler","parameters":["%t",%q,"true"]}`, i == 0, master))
		}
		if r := c.ask(0, "POST", "/function/f", ""); r.status != 500 || r.body != `{"code":400,"message":"Job cannot be scheduled: "}` {
			t.Errorf("a client of the master: %d %q", r.status, r.body)
		}
		for i := range 4 {
			r := c.ask(1, "POST", "/function/f", "hello")
			var way []string
			if err := json.Unmarshal([]byte(r.header.Get(wire.HeaderPeersIP)), &way); err != nil || r.status != 200 || r.header.Get(wire.HeaderHops) != "2" ||
				len(way) != 3 || way[0] != "127.0.0.2" || way[1] != "127.0.0.1" || way[2] != fmt.Sprintf("127.0.0.%d", 2+i%2) {
				t.Errorf("request %d: %d, %s hops on the way %q", i, r.status, r.header.Get(wire.HeaderHops), r.header.Get(wire.HeaderPeersIP))
			}
		}
	})
	t.Run("1.12 PowerOfNSchedulerTau", func(t *testing.T) {
		c := openNodes(t, 2, NodeOptions{Scheduler: Descriptor{Name: "PowerOfNSchedulerTau", Parameters: []string{"1", "0", "true", "1", "200ms"}}})
		r := c.ask(0, "POST", "/function/f", "")
		var scheduling, probing []float64
		if json.Unmarshal([]byte(r.header.Get(wire.HeaderSchedulingTimes)), &scheduling) != nil || json.Unmarshal([]byte(r.header.Get(wire.HeaderProbingTimes)), &probing) != nil ||
			len(scheduling) != 1 || scheduling[0] < 0.2 || probing[0] <= 0 || probing[0] > scheduling[0] {
			t.Errorf("scheduling took %s, probing %s", r.header.Get(wire.HeaderSchedulingTimes), r.header.Get(wire.HeaderProbingTimes))
		}
		checkAll(t, c.servers[0].URL, []exchange{{"1.4 POST /function/f: probed, and executed here", "", nil, 200, ".*",
			join(timed, local, []string{wire.HeaderProbingTimes, `\[` + fixed + `\]`})}})
	})
}

// v1Learner is a learner that answers each question on the websocket with the next of its answers, the last for ever.
func v1Learner(t *testing.T, answers ...string) (l *RemoteLearner, questions func() []string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, question, err := c.Read(r.Context())
			if err != nil {
				return
			}
			mu.Lock()
			asked = append(asked, fmt.Sprintf("%v %s %s", kind, r.URL.Path, question))
			answer := answers[min(len(asked), len(answers))-1]
			mu.Unlock()
			if c.Write(r.Context(), websocket.MessageText, []byte(answer)) != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	l = NewRemoteLearner(LearnerOptions{Act: "ws" + strings.TrimPrefix(s.URL, "http"), Timeout: time.Minute})
	t.Cleanup(func() { _ = l.Close() })
	return l, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), asked...)
	}
}

// The LearningScheduler, its learner, and what clients are told to teach it.
func TestWireLearning(t *testing.T) {
	l, questions := v1Learner(t, "0.00000,0.89955", "1.00000,0.50000", "2.00000,0.00000", "3.00000,0.10000", "4.00000,0.10000", "1.00000,0.00000")
	c := openNodes(t, 3, NodeOptions{Scheduler: Descriptor{Name: "LearningScheduler", Parameters: []string{"2"}}, Learner: l, Types: 2, Slots: 1,
		Room: 1, Queue: true})
	taught := func(state, action, epsilon string) []string {
		return []string{wire.HeaderEID, `\d+`, wire.HeaderState, regexp.QuoteMeta(state), wire.HeaderAction, regexp.QuoteMeta(action), wire.HeaderEpsilon, regexp.QuoteMeta(epsilon)}
	}
	idle := "0.000000,0.000000,0.000000,0.000000,0.000000"
	typed := []string{wire.HeaderTaskType, "1.000000"}
	who := by("LearningScheduler(2)")
	checkAll(t, c.servers[0].URL, []exchange{
		{"1.13 POST /function/f: action 0, reject", "", nil, 503, errorBody(401, "Job has been deliberately rejected"),
			join(who, untimed, local, taught(idle, "0.000000", "0.899550"))},
		{"1.13 POST /function/f: action 1, local", "", typed, 200, "POST .*",
			join(who, timed, local, taught("1"+idle[1:], "1.000000", "0.500000"), []string{wire.HeaderProbingTimes, ""})},
		{"1.13 POST /function/f: action 2, probe, where no peer has less", "", nil, 200, "POST .*",
			join(who, timed, local, taught(idle, "2.000000", "0.000000"), []string{wire.HeaderProbingTimes, `\[` + fixed + `\]`})},
		{"1.13 POST /function/f: action 3, the first peer", "", nil, 200, "POST .*",
			join(who, taught(idle, "3.000000", "0.100000"), []string{wire.HeaderHops, "1", wire.HeaderPeersID, `\["node-0","node-[12]"\]`})},
		{"1.13 POST /function/f: action 4, the second peer", "", nil, 200, "POST .*",
			join(who, taught(idle, "4.000000", "0.100000"), []string{wire.HeaderHops, "1", wire.HeaderPeersID, `\["node-0","node-[12]"\]`})},
		{"1.13 POST /function/f: bypass asks no learner", "", []string{wire.HeaderBypass, "x"}, 200, ".*", untaught},
	})
	free := c.occupy(0, wire.HeaderTaskType, "1")
	var waiting sync.WaitGroup
	waiting.Go(func() { c.ask(0, "POST", "/function/f", "") })
	eventually(t, "one waits", func() bool { _, queued, _ := c.nodes[0].mailbox.Load(); return queued == 1 })
	checkAll(t, c.servers[0].URL, []exchange{
		{"1.13 POST /function/f: no room", "", typed, 500, `\{"code":400,"message":"Job cannot be scheduled: "\}`,
			join(who, untimed, local, taught("1.000000,0.000000,1.000000,1.000000,0.000000", "1.000000", "0.000000"))},
	})
	free()
	waiting.Wait()
	if q := questions(); len(q) != 7 || q[0] != "MessageText / [0,0,0,0,0]" || q[1] != "MessageText / [1,0,0,0,0]" || q[6] != "MessageText / [1,0,1,1,0]" {
		t.Errorf("the learner was asked %q", q)
	}
	// The EIDs are numbers that follow each other: nothing but a decision by the learner takes one.
	eids := []string{}
	for range 3 {
		eids = append(eids, c.ask(0, "POST", "/function/f", "").header.Get(wire.HeaderEID))
		c.ask(0, "POST", "/function/f", "", wire.HeaderBypass, "x")
	}
	first, _ := strconv.Atoi(eids[0])
	if eids[1] != strconv.Itoa(first+1) || eids[2] != strconv.Itoa(first+2) {
		t.Errorf("EIDs %q", eids)
	}
}
