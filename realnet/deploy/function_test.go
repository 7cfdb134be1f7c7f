package deploy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// A node that has been told of other functions since is told what its plan says, functions at URLs included, and nothing else.
func TestSettle(t *testing.T) {
	p, err := New(options(t, planned))
	if err != nil {
		t.Fatal(err)
	}
	n := &p.Nodes[0]
	if !slices.Equal(n.Functions, []string{"resize", "hello", "far"}) {
		t.Fatalf("the node has %q", n.Functions)
	}
	has := []realnet.FunctionStatus{{Name: "resize", URL: n.url("resize")}, {Name: "hello", URL: "http://192.0.2.9/"}, {Name: "far", URL: "http://192.0.2.9/"},
		{Name: "more", URL: "http://192.0.2.9/"}, {Name: "*", URL: "http://192.0.2.9/"}}
	var mu sync.Mutex
	var told []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			reply(w, http.StatusOK, has)
			return
		}
		text, _ := io.ReadAll(r.Body)
		told = append(told, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, text))
		reply(w, http.StatusOK, realnet.FunctionStatus{})
	}))
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n.Place.IP = host
	if n.Place.Scheduler, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	e := &Engine{nodes: s.Client()}
	if err := e.settle(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	want := []string{`PUT /functions/hello {"url":"` + n.url("hello") + `"}`, `PUT /functions/far {"url":"http://192.0.2.1:8080/"}`, "DELETE /functions/more "}
	if !slices.Equal(told, want) {
		t.Errorf("it is told %q, want %q", told, want)
	}
	told, has = nil, []realnet.FunctionStatus{{Name: "far", URL: n.url("far")}, {Name: "hello", URL: n.url("hello")}, {Name: "resize", URL: n.url("resize")}}
	if err := e.settle(t.Context(), n); err != nil || told != nil {
		t.Errorf("as it should be, it is told %q, %v", told, err)
	}
}
