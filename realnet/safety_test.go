package realnet

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What an attacker would try (docs/guide/threats.md).

// oneNode is a node whose only function notes what it is asked.
func oneNode(t *testing.T, edit func(*NodeOptions)) (n *Node, asked func() []*http.Request) {
	t.Helper()
	var mu sync.Mutex
	var all []*http.Request
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		mu.Lock()
		all = append(all, r)
		mu.Unlock()
	}))
	t.Cleanup(f.Close)
	o := NodeOptions{Identity: Identity{ID: "node", IP: "127.94.2.1"}, Slots: 2, Room: 4, Queue: true, Backend: Backend{URL: f.URL},
		Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}}}
	if edit != nil {
		edit(&o)
	}
	n, err := OpenNode(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return n, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func limited(t *testing.T, h http.Handler, limits ServerLimits) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config = limits.Server(h)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// raw sends bytes as they are, and returns what comes back until the connection ends or nothing comes any more.
func raw(t *testing.T, address, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	buffer := make([]byte, 64<<10)
	for patience := 20 * time.Second; ; patience = 300 * time.Millisecond { // what comes comes together
		_ = c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(buffer)
		if answer = append(answer, buffer[:n]...); err != nil {
			return string(answer)
		}
	}
}

// A browser that shows a page of somebody else's must not change a node on its machine's loopback, nor read what it says.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	n, asked := oneNode(t, nil)
	l, err := OpenLearner(LearnerServiceOptions{Config: learner.Default()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	node, teacher := limited(t, n.SchedulerHandler(), DefaultServerLimits()), limited(t, l.Handler(), DefaultServerLimits())
	socket := limited(t, l.Websocket(), DefaultServerLimits())
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		server       *httptest.Server
		method, path string
		host         string
		header       []string
		status       int
	}{
		{node, "POST", "/configuration", "", []string{"Origin", "http://evil.example"}, 403},
		{node, "POST", "/configuration", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{node, "POST", "/configuration", "", []string{"Origin", "null"}, 403},
		{node, "POST", "/configuration", "evil.example:18080", []string{"Origin", "http://evil.example:18080"}, 403}, // DNS rebinding
		{node, "GET", "/configuration", "evil.example", nil, 403},
		{node, "GET", "/monitoring/node", "evil.example", nil, 403},
		{node, "GET", "/monitoring/node", "127.0.0.1.evil.example", nil, 403},
		{node, "GET", "/monitoring/node", "localhost:18080", nil, 200},
		{node, "GET", "/monitoring/node", "[::1]:18080", nil, 200},
		{node, "GET", "/monitoring/node", own + ":18080", nil, 200},
		{node, "GET", "/monitoring/node", "node-3:18080", nil, 403},                           // whose name that is, the network's name server says
		{node, "GET", "/monitoring/node", "", []string{"Origin", "http://evil.example"}, 200}, // which the browser does not let the page read
		{node, "GET", "/configuration", "", nil, 200},
		{teacher, "GET", "/learner/reset", "", []string{"Sec-Fetch-Site", "cross-site"}, 403}, // as of <img src=...>
		{teacher, "GET", "/learner/reset", "", []string{"Sec-Fetch-Site", "none"}, 200},
		{teacher, "GET", "/train", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{socket, "GET", "/", "", []string{"Origin", "http://evil.example", "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}, 403},
		{node, "GET", "/function/f", "evil.example", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, 200},
	} {
		r, err := http.NewRequest(x.method, x.server.URL+x.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = x.host
		for k := 0; k < len(x.header); k += 2 {
			r.Header.Set(x.header[k], x.header[k+1])
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != x.status {
			t.Errorf("%s %s of host %q with %q is answered %d, want %d", x.method, x.path, x.host, x.header, a.StatusCode, x.status)
		}
		if h := a.Header.Get("Access-Control-Allow-Origin"); h != "" {
			t.Errorf("%s lets %s read it", x.path, h)
		}
	}
	if len(asked()) != 1 {
		t.Errorf("the function was called %d times", len(asked()))
	}
}

// Who is refused again and again is answered shortly, and does not keep those from in who have the token.
func TestRefusalsAreBounded(t *testing.T) {
	s := newRoutes(testCredentials(t, testToken))
	s.handle(toWatch, "GET", "/status", (&Node{}).hello)
	statuses := map[int]int{}
	call := func(token string) int {
		r := httptest.NewRequest("GET", "/status", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	for range 1000 {
		statuses[call("wrong")]++
		if got := call(testToken); got != 200 {
			t.Fatalf("the token is answered %d while others are refused", got)
		}
	}
	if statuses[401] < refusalsOfACaller || statuses[429] == 0 || statuses[401]+statuses[429] != 1000 {
		t.Errorf("1000 refusals are %v", statuses)
	}
	var log bytes.Buffer
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(was)
	began := time.Now()
	for i := range 1000 {
		r := httptest.NewRequest("GET", "/status", nil)
		r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	if lines, seconds := strings.Count(log.String(), "\n"), int(time.Since(began).Seconds())+2; lines == 0 || lines > seconds*refusalsLogged {
		t.Errorf("the log has %d lines of 1000 callers in %d s", lines, seconds)
	}
	for i := range 3 * mostRefusedCallers {
		if n, callers := s.refusals.count(fmt.Sprint(i), time.Unix(1, 0)); i < mostRefusedCallers && (n != 1 || callers != i+1) {
			t.Fatalf("refusal %d is number %d of its caller, and there are %d callers", i, n, callers)
		}
	}
	if len(s.refusals.counts) > mostRefusedCallers+1 {
		t.Errorf("%d callers are counted apart", len(s.refusals.counts))
	}
}

// Few requests configure a service at once, however many ask to.
func TestConfiguringIsBounded(t *testing.T) {
	s := newRoutes(nil)
	entered, leave := make(chan bool, mostConfiguring), make(chan bool)
	s.handle(toConfigure, "POST", "/", func(*gin.Context) { entered <- true; <-leave })
	var working sync.WaitGroup
	for range mostConfiguring {
		working.Go(func() { s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)) })
	}
	for range mostConfiguring {
		<-entered
	}
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, httptest.NewRequest("POST", "/", nil)); w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one more is answered %d %v", w.Code, w.Header())
	}
	close(leave)
	working.Wait()
	w = httptest.NewRecorder()
	if s.ServeHTTP(w, httptest.NewRequest("POST", "/", nil)); w.Code != 200 {
		t.Errorf("a later one is answered %d", w.Code)
	}
}

// A node whose page has as many configure it as may be is not kept from it by the page itself.
func TestThePageConfiguresItsOwnNode(t *testing.T) {
	var together sync.WaitGroup
	together.Add(mostConfiguring)
	var node *httptest.Server
	n, _ := oneNode(t, func(o *NodeOptions) {
		o.Feed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			together.Done()
			together.Wait() // all of them are in hand
			if err := SendChange(r.Context(), http.DefaultClient, node.Listener.Addr().String(), Change{Slots: new(2)}); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		})
	})
	node = limited(t, n.SchedulerHandler(), DefaultServerLimits())
	var working sync.WaitGroup
	for range mostConfiguring {
		working.Go(func() {
			a, err := http.Post(node.URL+"/ui/configuration", wire.ContentTypeJSON, nil)
			if err != nil {
				t.Error(err)
				return
			}
			a.Body.Close()
			if a.StatusCode != 200 {
				t.Errorf("it is answered %s", a.Status)
			}
		})
	}
	working.Wait()
}

// A client that sends a header, or a body, a byte now and then is cut off; one whose body is long is not.
func TestSlowClients(t *testing.T) {
	n, asked := oneNode(t, nil)
	limits := DefaultServerLimits()
	limits.HeaderTimeout = time.Second
	r := n.routes()
	r.patience = 1500 * time.Millisecond
	s := limited(t, r, limits)
	drip := func(first, byteByByte string) (answer string, took time.Duration) {
		began := time.Now()
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			return err.Error(), 0
		}
		defer c.Close()
		_, _ = io.WriteString(c, first)
		ended := make(chan string, 1)
		go func() {
			text, _ := io.ReadAll(c)
			ended <- string(text)
		}()
		for i := 0; ; i++ {
			select {
			case text := <-ended:
				return text, time.Since(began)
			case <-time.After(50 * time.Millisecond):
				_, _ = io.WriteString(c, byteByByte[i%len(byteByByte):][:1])
			}
			if time.Since(began) > 20*time.Second {
				return "nothing", time.Since(began)
			}
		}
	}
	var dripping sync.WaitGroup
	for name, x := range map[string]struct{ first, then, answer string }{
		"header":        {"GET /function/f HTTP/1.1\r\nHost: n\r\n", "X-A: b\r\n", ""},
		"body":          {"POST /function/f HTTP/1.1\r\nHost: n\r\nContent-Length: 100000\r\n\r\n", "x", "HTTP/1.1 408 "},
		"chunks":        {"POST /function/f HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", "HTTP/1.1 408 "},
		"configuration": {"POST /configuration HTTP/1.1\r\nHost: n\r\nContent-Length: 100000\r\n\r\n", " ", "HTTP/1.1 "},
	} {
		dripping.Go(func() {
			if answer, took := drip(x.first, x.then); answer == "nothing" || !strings.HasPrefix(answer, x.answer) {
				t.Errorf("a slow %s is answered %q after %v", name, answer, took)
			}
		})
	}
	dripping.Wait()
	if len(asked()) > 2 { // it is called with what there is of the body
		t.Errorf("the function was called %d times", len(asked()))
	}
	// More time in all than the patience, and none of it spent waiting for long: where the machine stood still meanwhile, it is tried again.
	for tries := 0; ; tries++ {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		const pieces, piece = 10, 2000
		_, _ = fmt.Fprintf(c, "POST /function/f HTTP/1.1\r\nHost: n\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", pieces*piece)
		longest := time.Duration(0)
		for range pieces {
			began := time.Now()
			time.Sleep(200 * time.Millisecond)
			_, _ = io.WriteString(c, strings.Repeat("x", piece))
			longest = max(longest, time.Since(began))
		}
		text, err := io.ReadAll(c)
		c.Close()
		if err == nil && strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
			break
		}
		if longest < r.patience/2 || tries == 20 {
			t.Fatalf("a body in pieces, the longest after %v, is answered %q, %v", longest, text, err)
		}
	}
}

// answered is what a node answers: a v1 peer finds that in JSON.
func answered(t *testing.T, r *http.Request) (status int, said string) {
	t.Helper()
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v1 wire.PeerResponse
	if json.Unmarshal(text, &v1) == nil && v1.Status != 0 {
		text = v1.Body
	}
	return a.StatusCode, string(text)
}

// The bodies of all requests in hand have a bound together: whether a request says its length or not, it is refused where its own has
// no place, and not once others have ended.
func TestBodiesAreBounded(t *testing.T) {
	c := openNodes(t, 1, NodeOptions{Limits: Limits{Body: 1000, Bodies: 1500}})
	n, url := c.nodes[0], c.servers[0].URL+"/function/f"
	held, write := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if a, err := http.Post(url, "text/plain", held); err == nil {
			a.Body.Close()
		}
	}()
	text := strings.Repeat("x", 1000)
	_, _ = io.WriteString(write, text)
	eventually(t, "the first body is in hand", func() bool { return n.bodies.used.Load() == 1000 })
	asks := func(want int) {
		t.Helper()
		for path, text := range map[string]string{
			"/function/f": text, "/peer/function/f": `{"function_name":"f","hops":1,"more":"` + text + `"}`, // of which nothing is for the function
		} {
			for what, body := range map[string]io.Reader{"a length": strings.NewReader(text), "none": io.MultiReader(strings.NewReader(text))} {
				r, err := http.NewRequest(http.MethodPost, c.servers[0].URL+path, body)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("User-Agent", wire.UserAgentNode)
				if status, said := answered(t, r); status != want || want != 200 && !strings.Contains(said, `"code":409`) {
					t.Errorf("%s: a body with %s: %d %s, want %d", path, what, status, said, want)
				}
			}
		}
	}
	asks(503)
	eventually(t, "the first body alone is in hand", func() bool { return n.bodies.used.Load() == 1000 })
	write.Close()
	<-ended
	asks(200)
	eventually(t, "no body is in hand", func() bool { return n.bodies.used.Load() == 0 })
}

// slowReader is a client that takes nothing of an answer until it is told to.
type slowReader struct {
	*httptest.ResponseRecorder
	takes chan struct{}
}

func (r slowReader) Write(b []byte) (int, error) {
	<-r.takes
	return r.ResponseRecorder.Write(b)
}

// Answers that are not taken have that bound, too: who asks meanwhile, its client or a peer of either kind, is told that there is no place.
func TestAnswersAreBounded(t *testing.T) {
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1000)) }))
	defer f.Close()
	c := openNodes(t, 2, NodeOptions{Limits: Limits{Body: 1000, Bodies: 1500}, Backend: Backend{URL: f.URL}})
	n := c.nodes[1]
	slow := slowReader{httptest.NewRecorder(), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.SchedulerHandler().ServeHTTP(slow, httptest.NewRequest(http.MethodGet, "/function/f", nil))
	}()
	eventually(t, "the first answer is in hand", func() bool { return n.bodies.used.Load() == 1000 })
	asks := func(want int) {
		t.Helper()
		for _, x := range []struct {
			what, method, url, body string
			header                  []string
		}{
			{"a client", http.MethodGet, c.servers[1].URL + "/function/f", "", nil},
			{"a v1 peer", http.MethodPost, c.servers[1].URL + "/peer/function/f", `{"function_name":"f","hops":1}`, []string{"User-Agent", wire.UserAgentNode}},
			{"a peer", http.MethodGet, c.servers[0].URL + "/function/f", "", []string{wire.HeaderForward, "true"}},
		} {
			r, err := http.NewRequest(x.method, x.url, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(x.header); i += 2 {
				r.Header.Set(x.header[i], x.header[i+1])
			}
			status, said := answered(t, r)
			if status != want || want == 200 && len(said) != 1000 || want != 200 && !strings.Contains(said, `"code":409`) {
				t.Errorf("%s: %d %.200s, want %d", x.what, status, said, want)
			}
		}
	}
	asks(503)
	eventually(t, "the first answer alone is in hand", func() bool { return n.bodies.used.Load() == 1000 })
	close(slow.takes)
	<-ended
	if slow.Body.Len() != 1000 {
		t.Errorf("an answer of %d bytes", slow.Body.Len())
	}
	asks(200)
	eventually(t, "no answer is in hand", func() bool { return n.bodies.used.Load() == 0 && c.nodes[0].bodies.used.Load() == 0 })
}

// A client that does not take an answer loses its connection, whatever it has asked for.
func TestSlowReaders(t *testing.T) {
	limits := DefaultServerLimits()
	limits.TakeTimeout = 100 * time.Millisecond
	l, err := limits.Listen("127.94.4.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	answer := make([]byte, 1<<10)
	s := limits.Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(answer); err != nil {
				wrote <- err
				return
			}
		}
	}))
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: n\r\n\r\n")
	select {
	case err := <-wrote:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("writing ends with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("an answer that nobody takes is waited with for ever")
	}
}

// What redirects who configures or trains it does not get the token.
func TestTheTokenFollowsNoRedirection(t *testing.T) {
	shown := make(chan string, 100)
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown <- r.Header.Get(headerCredentials) }))
	defer evil.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(evil.URL, http.StatusFound))
	defer redirecting.Close()
	c := testCredentials(t, testToken)
	for name, call := range map[string]func() error{
		"configuring": func() error {
			return SendChange(t.Context(), c.Client(&http.Transport{}), redirecting.Listener.Addr().String(), Change{Slots: new(1)})
		},
		"training": func() error {
			l := NewRemoteLearner(LearnerOptions{Train: redirecting.URL, Credentials: c})
			defer l.Close()
			return l.Train(t.Context(), learner.Entry{State: []float64{1}})
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "302") || len(shown) > 0 {
			t.Errorf("%s by way of a redirection: %v, and %d calls of another server", name, err, len(shown))
		}
	}
	t.Setenv("HTTP_PROXY", evil.URL)
	if l := NewRemoteLearner(LearnerOptions{Train: "http://learner.example", Credentials: c}); l.http.Transport.(*showing).to.Proxy != nil {
		t.Error("the token goes by way of a proxy")
	}
}

// What a function answers is no page of the node's own, whatever it says itself.
func TestFunctionsHaveNoOrigin(t *testing.T) {
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "sandbox allow-same-origin allow-scripts")
		_, _ = io.WriteString(w, "<script>fetch('/configuration')</script>")
	}))
	defer f.Close()
	n, _ := oneNode(t, func(o *NodeOptions) { o.Backend = Backend{URL: f.URL} })
	s := limited(t, n.SchedulerHandler(), DefaultServerLimits())
	a, err := http.Get(s.URL + "/function/f")
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	got := a.Header.Values("Content-Security-Policy")
	if len(got) != 2 || got[1] != ownOrigin || strings.Contains(ownOrigin, "same-origin") {
		t.Errorf("the answer has the policies %q", got)
	}
}

// Where anybody may ask, a page of another site may not, be its name said to be this machine's.
func TestRebindingIsRefused(t *testing.T) {
	s := httptest.NewServer(WithoutRebinding(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer s.Close()
	for host, want := range map[string]int{"evil.example": 403, "evil": 403, "localhost:80": 200, "127.0.0.1": 200} {
		r, err := http.NewRequest("GET", s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("%s is answered %d, want %d", host, a.StatusCode, want)
		}
	}
}

// A compressed body stays as it is: what is small on the way in is small in memory, and the function gets what its client sent.
func TestBodiesAreNotDecompressed(t *testing.T) {
	n, asked := oneNode(t, func(o *NodeOptions) { o.Limits.Body = 64 << 10 })
	s := limited(t, n.SchedulerHandler(), DefaultServerLimits())
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, _ = w.Write(make([]byte, 16<<20))
	_ = w.Close()
	for path, want := range map[string]int{"/function/f": 200, "/configuration": 500, "/configuration/scheduler": 400} {
		r, err := http.NewRequest("POST", s.URL+path, bytes.NewReader(bomb.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Encoding", "gzip")
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("POST %s of %d compressed bytes is answered %d, want %d", path, bomb.Len(), a.StatusCode, want)
		}
	}
	got, _ := io.ReadAll(asked()[0].Body)
	if !bytes.Equal(got, bomb.Bytes()) || asked()[0].Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the function got %d bytes of %d, and %v", len(got), bomb.Len(), asked()[0].Header)
	}
}

// Requests in which two readers could see different ends are refused, or end the connection: no second request is hidden in a first.
func TestRequestsAreNotSmuggled(t *testing.T) {
	n, asked := oneNode(t, nil)
	s := limited(t, n.SchedulerHandler(), DefaultServerLimits())
	const hidden = "GET /function/hidden HTTP/1.1\r\nHost: n\r\n\r\n"
	for name, x := range map[string]string{
		"two lengths":         "POST /function/f HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\nContent-Length: 42\r\n\r\n" + hidden,
		"length list":         "POST /function/f HTTP/1.1\r\nHost: n\r\nContent-Length: 0, 42\r\n\r\n" + hidden,
		"length with a sign":  "POST /function/f HTTP/1.1\r\nHost: n\r\nContent-Length: +0\r\n\r\n" + hidden,
		"two encodings":       "POST /function/f HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"another encoding":    "POST /function/f HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"space before colon":  "POST /function/f HTTP/1.1\r\nHost: n\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunk size":          "POST /function/f HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + hidden,
		"huge chunk":          "POST /function/f HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + hidden,
		"length and encoding": "POST /function/f HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx" + hidden,
		"no host":             "POST /function/f HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"two hosts":           "GET /function/f HTTP/1.1\r\nHost: n\r\nHost: m\r\n\r\n",
		"null in a header":    "GET /function/f HTTP/1.1\r\nHost: n\r\nX-A: a\x00b\r\n\r\n",
		"bare CR in a header": "GET /function/f HTTP/1.1\r\nHost: n\r\nX-A: a\rX-B: b\r\n\r\n",
		"header without name": "GET /function/f HTTP/1.1\r\nHost: n\r\n: a\r\n\r\n",
	} {
		before := len(asked())
		answer := raw(t, s.Listener.Addr().String(), x)
		for _, r := range asked()[before:] {
			if strings.Contains(r.URL.Path, "hidden") || r.Header.Get("X-B") != "" {
				t.Errorf("%s: the function was asked for %s with %v", name, r.URL, r.Header)
			}
		}
		if name == "length and encoding" { // the encoding counts, and what follows is xGET, which is no method
			if strings.Count(answer, "HTTP/1.1 200 ") > 1 {
				t.Errorf("%s is answered %q", name, answer)
			}
			continue
		}
		if strings.Count(answer, "HTTP/1.1 ") > 1 || !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 50") {
			t.Errorf("%s is answered %q", name, answer)
		}
	}
}

// What goes on to functions has no header of one connection, nor the framework's, nor the token; what a v1 peer says in JSON cannot become
// a header line of its own.
func TestHeadersAreNotInjected(t *testing.T) {
	n, asked := oneNode(t, func(o *NodeOptions) { o.Credentials = testCredentials(t, testToken) })
	s := limited(t, n.SchedulerHandler(), DefaultServerLimits())
	raw(t, s.Listener.Addr().String(), "GET /function/f?a=%0d%0aX-C:%20c HTTP/1.1\r\nHost: n\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n"+
		"Proxy-Authorization: Basic x\r\nAuthorization: Bearer "+testToken+"\r\nX-P2pfaas-Authorization: Bearer "+testToken+"\r\nX-P2pfaas-Peer: 10.0.0.1\r\nP2pfaas-A: 1\r\nX-Own: kept\r\n\r\n")
	raw(t, s.Listener.Addr().String(), "GET /function/f HTTP/1.1\r\nHost: n\r\nConnection: close\r\nAuthorization: Bearer the client's own\r\n\r\n")
	if len(asked()) != 2 {
		t.Fatalf("the function was asked %d times", len(asked()))
	}
	got := asked()[0].Header
	for name := range got {
		switch name {
		case "X-Own", "Accept-Encoding", "User-Agent":
		default:
			t.Errorf("the function got %s: %v", name, got[name])
		}
	}
	if got.Get("X-Own") != "kept" || asked()[1].Header.Get("Authorization") != "Bearer the client's own" {
		t.Errorf("the function got %v and %v", got, asked()[1].Header)
	}
	for _, body := range []string{`{"content_type":"a\r\nX-B: b","payload":""}`, `{"service_id_tracing":"a\nX-B: b"}`, `{"content_type":"a\u0000"}`} {
		answer := raw(t, s.Listener.Addr().String(), fmt.Sprintf("POST /peer/function/f HTTP/1.1\r\nHost: n\r\nUser-Agent: Machine\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"+
			"Content-Length: %d\r\n\r\n%s", testToken, len(body), body))
		if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "cannot stand in a header") {
			t.Errorf("%s is answered %q", body, answer)
		}
	}
}

// A name that is none of a function is refused wherever a route takes one, before it gets into a URL, a path or the name of a container.
func TestNamesOfFunctionsAreChecked(t *testing.T) {
	n, asked := oneNode(t, nil)
	s := limited(t, n.SchedulerHandler(), DefaultServerLimits())
	names := []string{"..", "%2e%2e", "%2E%2E%2Fetc", "..%2f..%2fetc%2fpasswd", "a..b", ".a", "-rf", "a%2Fb", "%2Fetc", "a%5Cb", "a%00", "a%0d%0aX:1", "a%20b", "%C3%A9",
		"a%E2%80%AEb", "a;b", "a$(b)", "a'b", "a%22b", "a%3Fb", "a%23b", "a@b", "a:1", strings.Repeat("a", 254), strings.Repeat("%61", 10000)}
	for _, route := range []struct{ method, path, body string }{
		{"GET", "/function/", ""}, {"POST", "/function/", "x"}, {"GET", "/peer/task/", ""}, {"POST", "/peer/function/", "{}"},
		{"PUT", "/functions/", `{"url":"` + s.URL + `"}`}, {"DELETE", "/functions/", ""}, {"GET", "/system/function/", ""},
		{"POST", "/system/scale-function/", `{"replicas":1}`}, {"GET", "/monitoring/scale-delay/", ""},
	} {
		for _, name := range names {
			answer := raw(t, s.Listener.Addr().String(), fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: n\r\nUser-Agent: Machine\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", route.method,
				route.path, name, len(route.body), route.body))
			if !strings.HasPrefix(answer, "HTTP/1.1 4") {
				t.Errorf("%s %s%.40s is answered %.100q", route.method, route.path, name, answer)
			}
		}
	}
	if len(asked()) > 0 {
		t.Errorf("the function was asked for %v", asked()[0].URL)
	}
}

// A cluster of certificates: nodes forward to each other by TLS, functions are open to whoever has no certificate, and the rest is not; a
// certificate of another authority is none.
func TestCertificates(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "certs"), filepath.Join(t.TempDir(), "other")
	hosts := []string{"127.0.0.2", "127.0.0.3", "node_1.example"}
	for _, d := range []string{dir, other} {
		if _, err := MakeCertificates(d, hosts, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	c := testCredentials(t, "")
	if err := c.SetCertificate(filepath.Join(dir, hosts[0]+".pem"), filepath.Join(dir, hosts[0]+".key"), filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, x := range []struct {
		ip    string
		now   time.Time
		wrong string // empty: nothing is
	}{{hosts[0], now.Add(-60 * 24 * time.Hour), ""}, {"", now.Add(-60 * 24 * time.Hour), ""}, {hosts[0], now, "it is good until "}, {hosts[1], now, "not 127.0.0.3"}} {
		if err := c.CheckCertificate(x.ip, x.now); err == nil != (x.wrong == "") || err != nil && !strings.Contains(err.Error(), x.wrong) {
			t.Errorf("a certificate of %s is at %s at %v: %v", hosts[0], x.ip, x.now, err)
		}
	}
	if made, err := MakeCertificates(dir, append(hosts, "10.0.0.9"), time.Hour); err != nil || len(made) != 2 {
		t.Errorf("a further host made %v, %v", made, err)
	}
	for _, bad := range []string{"../x", "a/b", "", "ca", "client", "-x", "a b", "192.168.1", "a.", strings.Repeat("a", 300)} {
		if _, err := MakeCertificates(dir, []string{bad}, time.Hour); err == nil {
			t.Errorf("the host %.20q gets a certificate", bad)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if at, err := f.Info(); err != nil || at.Mode().Perm()&0o077 != 0 && filepath.Ext(f.Name()) != ".pem" {
			t.Errorf("%s has the mode %v, %v", f.Name(), at.Mode(), err)
		}
	}
	of := func(dir, name string) *Credentials {
		c, err := NewCredentials("")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetCertificate(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.pem")); err != nil {
			t.Fatal(err)
		}
		return c
	}
	m := &mesh{nodes: &nodes{t: t}}
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") }))
	defer f.Close()
	for i := range 2 {
		ip := fmt.Sprintf("127.0.0.%d", i+2)
		c := of(dir, ip)
		l, err := DefaultServerLimits().Listen(ip+":0", c)
		if err != nil {
			t.Fatal(err)
		}
		o := NodeOptions{Identity: Identity{ID: ip, IP: l.Addr().String()}, Bind: net.ParseIP(ip), Slots: 2, Room: 2, Queue: true, Backend: Backend{URL: f.URL},
			Scheduler: forwardAll, Credentials: c}
		n, err := OpenNode(o)
		if err != nil {
			t.Fatal(err)
		}
		s := DefaultServerLimits().Server(n.SchedulerHandler())
		go func() { _ = s.Serve(l) }()
		m.addresses, m.nodes.nodes = append(m.addresses, l.Addr().String()), append(m.nodes.nodes, n)
		defer s.Close()
		defer func() { _ = n.Shutdown(t.Context()) }()
	}
	for _, n := range m.nodes.nodes {
		n.SetPeers(m.addresses)
	}
	client := func(c *Credentials) *http.Client {
		client := c.Client(&http.Transport{})
		client.Timeout = time.Minute
		return client
	}
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: of(dir, "client").authority}}}
	eventually(t, "a task makes a hop between nodes", func() bool { // the link is being opened
		a, err := stranger.Get("https://" + m.addresses[0] + "/function/f")
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode == 200 && a.Header.Get(wire.HeaderHops) == "1"
	})
	if a, err := stranger.Get("https://" + m.addresses[0] + "/monitoring/node"); err != nil || a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("a client without a certificate is answered %v, %v", a, err)
	}
	if s, err := AskStatus(t.Context(), client(of(dir, "client")), m.addresses[0]); err != nil || s.Slots != 2 {
		t.Errorf("a client with a certificate is answered %+v, %v", s, err)
	}
	mixed := of(other, "client")
	mixed.authority = of(dir, "client").authority
	if _, err := AskStatus(t.Context(), client(mixed), m.addresses[0]); err == nil {
		t.Error("a certificate of another authority is good")
	}
	if _, err := AskStatus(t.Context(), client(of(other, "client")), m.addresses[0]); err == nil {
		t.Error("a node of another authority is believed")
	}
	if answer := raw(t, m.addresses[0], "GET /function/f HTTP/1.1\r\nHost: n\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 400 ") {
		t.Errorf("without TLS it answers %q", answer)
	}
}

// Machines with another token, or none, are not taken for members, whatever they send.
func TestMembershipWantsTheSeal(t *testing.T) {
	open := func(ip, token string, init ...string) *DiscoveryService {
		o := DiscoveryOptions{Identity: Identity{IP: ip}, Bind: netip.MustParseAddr(ip), Port: 19094, Membership: membership.DefaultOptions(0),
			InitServers: init, PollTime: 100 * time.Millisecond}
		if token != "" {
			o.Credentials = testCredentials(t, token)
		}
		d, err := OpenDiscovery(o)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", ip+":19094")
		if err != nil {
			t.Fatal(err)
		}
		s := DefaultServerLimits().Server(d.Handler())
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close(); _ = d.Close() })
		return d
	}
	first := open("127.94.3.1", testToken)
	friend := open("127.94.3.2", testToken, "127.94.3.1:19094")
	open("127.94.3.3", "", "127.94.3.1:19094")
	open("127.94.3.4", strings.Repeat("z", 32), "127.94.3.1:19094")
	members := func(d *DiscoveryService) []string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.known()
	}
	of := func(d *DiscoveryService, other string) bool { return slices.Contains(members(d), other+":19094") }
	eventually(t, "machines with the same token know each other", func() bool { return of(first, "127.94.3.2") && of(friend, "127.94.3.1") })
	time.Sleep(500 * time.Millisecond) // the others go on trying
	if got := members(first); len(got) > 1 {
		t.Errorf("the first machine knows %v, and one has its token", got)
	}
	c, text := testCredentials(t, testToken), []byte("a datagram")
	sealed := append(bytes.Clone(text), c.seal(text)...)
	if got, ok := c.unseal(sealed); !ok || !bytes.Equal(got, text) {
		t.Errorf("what was sealed is %q, %v", got, ok)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, ok := c.unseal(broken); ok {
			t.Errorf("byte %d may be another one", i)
		}
		if _, ok := c.unseal(sealed[:i]); ok {
			t.Errorf("%d bytes are enough", i)
		}
	}
}

// The token is in no line of the log, at any level, and in nothing that a node or its credentials say.
func TestTheTokenIsNotTold(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	record := t.TempDir()
	credentials := testCredentials(t, testToken)
	m := openMesh(t, 2, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Header) }, func(i int, o *NodeOptions) {
		o.Credentials, o.Scheduler = credentials, forwardAll
		if i == 0 {
			o.Record = record
		}
	})
	var said strings.Builder
	for _, header := range []string{"Authorization", headerCredentials} {
		for _, path := range []string{"/function/f", "/function/none.such", "/monitoring/node", "/metrics", "/configuration", "/peer/link", "/peer/task/f", "/nowhere"} {
			a := m.ask(0, "GET", path, "", header, "Bearer "+testToken)
			fmt.Fprint(&said, a.header, a.body)
		}
	}
	m.ask(0, "GET", "/monitoring/node", "", "Authorization", "Bearer "+testToken[1:])
	m.stop(0)
	m.stop(1)
	fmt.Fprintf(&said, "%v %+v %#v %s", credentials, credentials, credentials, credentials)
	slog.Debug("credentials", "are", credentials)
	mu.Lock()
	said.Write(log.Bytes())
	mu.Unlock()
	files, err := filepath.Glob(filepath.Join(record, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no record: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		said.Write(text)
	}
	if text := said.String(); strings.Contains(text, testToken[1:]) {
		i := strings.Index(text, testToken[1:])
		t.Errorf("the token is told: %q", text[max(0, i-200):i+32])
	}
	if !strings.Contains(said.String(), "a task is decided about") {
		t.Error("the log has no line of level debug")
	}
}

// lockedWriter is a writer of several goroutines.
type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(text)
}
