package function

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// ask calls a function, and returns its answer with how long that took.
func ask(t *testing.T, url, method, body string, header ...string) (*http.Response, string, time.Duration) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(text), time.Since(began)
}

// timedFunctions are sleep and loop.
func timedFunctions(t *testing.T, o Options) map[string]*httptest.Server {
	t.Helper()
	clock := precise.New()
	t.Cleanup(clock.Close)
	servers := map[string]*httptest.Server{"sleep": httptest.NewServer(Sleep(o, clock)), "loop": httptest.NewServer(Loop(o))}
	for _, s := range servers {
		t.Cleanup(s.Close)
	}
	return servers
}

// The header says how long the function takes; it comes before the query, which comes before the flag. The speed is that
// of the node already in the header, and not in the others.
func TestServiceTime(t *testing.T) {
	o := Options{Service: random.NewConstant(0.006), Speed: 2, Max: 100 * time.Millisecond}
	for name, s := range timedFunctions(t, o) {
		for _, x := range []struct {
			query, header string
			want          time.Duration
		}{
			{"", "0.025000000", 25 * time.Millisecond},
			{"?service=90ms", "0.002", 2 * time.Millisecond},
			{"?service=90ms", "0", 0},
			{"?service=10ms", "", 5 * time.Millisecond},
			{"", "", 3 * time.Millisecond},
			{"", "0.1", 100 * time.Millisecond},
		} {
			for _, method := range []string{"GET", "POST", "HEAD"} {
				a, text, took := ask(t, s.URL+"/"+x.query, method, "body", wire.HeaderService, x.header)
				said, err := strconv.ParseFloat(a.Header.Get("X-Service-Seconds"), 64)
				if a.StatusCode != 200 || err != nil || said != x.want.Seconds() || took < x.want {
					t.Errorf("%s, %s %q, header %q: %s, %v s said, %v taken, want %v", name, method, x.query, x.header, a.Status, said, took, x.want)
				}
				if has := text != ""; has != (method != "HEAD") {
					t.Errorf("%s, %s: the answer is %q", name, method, text)
				}
			}
		}
	}
}

// What nobody says is drawn, in order, from the stream of the seed.
func TestDrawnServiceTime(t *testing.T) {
	d, err := scenarios.ParseDistribution("test", "{distribution: exponential, mean: 2ms}")
	if err != nil {
		t.Fatal(err)
	}
	stream := *random.Stream(7, 0, random.Demand, 0)
	for name, s := range timedFunctions(t, Options{Service: d, Stream: stream, Speed: 1, Max: time.Second}) {
		same := stream
		r := rand.New(&same)
		for range 5 {
			want := strconv.FormatFloat(random.Duration(d, r).Seconds(), 'f', 9, 64)
			if a, _, _ := ask(t, s.URL, "POST", ""); a.Header.Get("X-Service-Seconds") != want {
				t.Errorf("%s: %s s, want %s", name, a.Header.Get("X-Service-Seconds"), want)
			}
		}
	}
}

func TestServiceTimeRefused(t *testing.T) {
	for name, s := range timedFunctions(t, Options{Speed: 1, Max: time.Second}) {
		for _, x := range []struct{ query, header, says string }{
			{"", "", "nobody says how long this takes"},
			{"", "-1", "write seconds"},
			{"", "NaN", "write seconds"},
			{"", "soon", "write seconds"},
			{"", "1.5", "longer than 1s"},
			{"?service=3", "", "write a duration"},
			{"?service=-3s", "", "write a duration"},
			{"?service=1h", "", "longer than 1s"},
		} {
			if a, text, _ := ask(t, s.URL+"/"+x.query, "GET", "", wire.HeaderService, x.header); a.StatusCode != 400 ||
				!strings.Contains(text, x.says) {
				t.Errorf("%s, %q, header %q: %s %q, want 400 and %q", name, x.query, x.header, a.Status, text, x.says)
			}
		}
		if a, _, _ := ask(t, s.URL+"/healthz", "GET", ""); a.StatusCode != 200 {
			t.Errorf("%s: its health is answered with %s", name, a.Status)
		}
	}
}

// An answer has as many bytes as it is told to.
func TestReplyBytes(t *testing.T) {
	for name, s := range timedFunctions(t, Options{Speed: 1, Max: time.Second, Reply: 100_000}) {
		if _, text, _ := ask(t, s.URL+"/?service=0s", "GET", ""); len(text) != 100_000 {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
}
