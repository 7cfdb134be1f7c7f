package deploy

import (
	"net/http"
	"strings"
	"testing"
)

// pausing is an engine whose containers pause and resume once, as all do, and die only while they run.
func pausing(names ...string) *fakeEngine {
	f := &fakeEngine{api: "1.44", arch: "amd64", answers: map[string]http.HandlerFunc{}}
	done := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	for _, name := range names {
		paused := false
		change := func(wanted bool) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if paused == wanted {
					refuse(http.StatusInternalServerError, "it is so already")(w, r)
					return
				}
				paused = wanted
				done(w, r)
			}
		}
		at := "/containers/" + name
		f.answers["POST "+at+"/pause"], f.answers["POST "+at+"/unpause"], f.answers["POST "+at+"/start"] = change(true), change(false), done
		f.answers["POST "+at+"/kill"] = func(w http.ResponseWriter, r *http.Request) {
			if paused {
				refuse(http.StatusConflict, "it is paused")(w, r)
				return
			}
			done(w, r)
		}
		f.answers["GET "+at+"/json"] = func(w http.ResponseWriter, r *http.Request) {
			give(map[string]any{"State": map[string]any{"Running": true, "Paused": paused}})(w, r)
		}
	}
	return f
}

// A node that crashes is killed and started by itself; one that stands still does so with its functions, and goes on with them, also before it
// crashes. What is so already is no error, and one container that fails does not keep the others as they are.
func TestMachines(t *testing.T) {
	f := pausing("x-node-1", "x-node-1-f", "x-node-2", "x-node-2-g").start(t)
	t.Setenv("DOCKER_HOST", "unix://"+f.socket)
	e, err := ThisMachine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	containers := func(names ...string) (n Node) {
		for _, name := range names {
			n.Containers = append(n.Containers, Container{Name: name})
		}
		return n
	}
	m := e.Machines(&Plan{Nodes: []Node{containers("x-node-0"), containers("x-node-1", "x-node-1-f"), containers("x-node-2", "x-node-2-f", "x-node-2-g")}})
	ctx := t.Context()
	for k, err := range []error{m.Crash(ctx, 1), m.Restart(ctx, 1), m.Pause(ctx, 1), m.Pause(ctx, 1), m.Resume(ctx, 1), m.Resume(ctx, 1),
		m.Pause(ctx, 1), m.Resume(ctx, 1), m.Crash(ctx, 1), m.Restart(ctx, 1), m.Pause(ctx, 1), m.Resume(ctx, 1)} {
		if err != nil {
			t.Errorf("step %d: %v", k, err)
		}
	}
	for c, times := range map[string]int{"x-node-1/kill": 2, "x-node-1/start": 2, "x-node-1/pause": 4, "x-node-1-f/pause": 4, "x-node-1-f/unpause": 4,
		"x-node-1-f/kill": 0, "x-node-1-f/start": 0} {
		if n := f.count("POST /containers/" + c); n != times {
			t.Errorf("%s was called %d times, not %d", c, n, times)
		}
	}
	if err := m.Crash(ctx, 0); err == nil || !strings.Contains(err.Error(), "killing the container x-node-0") {
		t.Errorf("of a container that is not there: %v", err)
	}
	for doing, err := range map[string]error{"pausing": m.Pause(ctx, 2), "resuming": m.Resume(ctx, 2)} {
		if err == nil || !strings.Contains(err.Error(), doing+" the container x-node-2-f") || strings.Count(err.Error(), doing) != 1 {
			t.Errorf("of a node that lacks a container: %v", err)
		}
	}
	if err := m.Crash(ctx, 2); err != nil || f.count("POST /containers/x-node-2-g/unpause") != 1 {
		t.Errorf("a node that was resumed stands still: %v", err)
	}
}
