package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/ui"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// testToken is what tests know each other by.
const testToken = "0123456789abcdef0123456789abcdef"

func testCredentials(t testing.TB, token string) *Credentials {
	t.Helper()
	c, err := NewCredentials(token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// allRoutes are those of all services with everything switched on.
func allRoutes(t *testing.T, c *Credentials) map[string]*routes {
	t.Helper()
	n, err := OpenNode(NodeOptions{Scheduler: Descriptor{Name: "NoScheduler", Parameters: []string{"true"}}, Slots: 1, Development: true, Credentials: c,
		Feed: http.NotFoundHandler(), Faults: faultyNode(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Shutdown(t.Context()) })
	d, err := OpenDiscovery(DiscoveryOptions{Identity: Identity{IP: "127.94.1.1"}, Bind: netip.MustParseAddr("127.94.1.1"), Membership: membership.DefaultOptions(0), Credentials: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	l, err := OpenLearner(LearnerServiceOptions{Config: learner.Default(), Credentials: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return map[string]*routes{"scheduler": n.routes(), "discovery": d.routes(), "learner": l.routes(), "websocket": l.websocketRoutes(),
		"profile": profileRoutes(c)}
}

// openRoutes are all that nobody needs a token for, by service.
var openRoutes = func() map[string][]string {
	open := map[string][]string{"scheduler": {"GET /function/:function", "POST /function/:function", "GET /", "POST /"}, "discovery": {"GET /"}, "learner": {"GET /"}}
	for _, path := range ui.Paths() {
		open["scheduler"] = append(open["scheduler"], "GET "+path)
	}
	return open
}()

func TestEveryRouteButThoseOfFunctionsWantsTheToken(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for what is let in
	seen := 0
	for service, s := range allRoutes(t, testCredentials(t, testToken)) {
		for _, route := range s.engine.Routes() {
			seen++
			name := route.Method + " " + route.Path
			path := strings.NewReplacer(":function", "f", "*path", "x").Replace(route.Path)
			if s.rights[name] == 0 {
				t.Errorf("%s: %s has been added without its right", service, name)
			}
			if open := slices.Contains(openRoutes[service], name); open != (s.rights[name] == toCall) {
				t.Errorf("%s: %s is open: %v, and should be: %v", service, name, !open, open)
			} else if open {
				continue
			}
			for _, x := range []struct {
				name, header, value string
				refused             string // what the answer says; empty: it is let in
			}{
				{"nothing", "X-None", "x", "No token was given"},
				{"another token", "Authorization", "Bearer " + strings.Repeat("x", len(testToken)), "The token given is not this cluster's"},
				{"a part of the token", "Authorization", "Bearer " + testToken[:31], "The token given is not this cluster's"},
				{"the token and more", "Authorization", "Bearer " + testToken + "0", "The token given is not this cluster's"},
				{"an empty token", "Authorization", "Bearer ", "No token was given"},
				{"the token without its scheme", "Authorization", testToken, "No token was given"},
				{"the token in another scheme", "Authorization", "Basic " + testToken, "No token was given"},
				{"the token", "Authorization", "Bearer " + testToken, ""},
				{"the token of a node", headerCredentials, "bearer " + testToken, ""},
			} {
				r := httptest.NewRequestWithContext(gone, route.Method, path, nil)
				r.Header.Set(x.header, x.value)
				r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", seen/200, seen) // each has a limit of its own
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if x.refused == "" {
					if w.Code == http.StatusUnauthorized {
						t.Errorf("%s: %s with %s is answered %d %s", service, name, x.name, w.Code, w.Body)
					}
					continue
				}
				var f wire.Failure
				if err := json.Unmarshal(w.Body.Bytes(), &f); w.Code != http.StatusUnauthorized || err != nil || f.Code != wire.CodeCredentials || !strings.HasPrefix(f.Message, x.refused+": ") || strings.Contains(f.Message, testToken[:8]) ||
					w.Header().Get("WWW-Authenticate") != `Bearer realm="p2pfaas"` || w.Header().Get("Content-Type") != wire.ContentTypeJSON {
					t.Errorf("%s: %s with %s is answered %d %v %s", service, name, x.name, w.Code, w.Header(), w.Body)
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("there are %d routes: some service has been forgotten", seen)
	}
}
