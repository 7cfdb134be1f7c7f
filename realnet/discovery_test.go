package realnet

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A node takes its identity and its peers from discovery, also where discovery is configured only later (weakness 11: v1
// reads an error answer as an empty identity, once and for all), and keeps its peers while discovery is down.
func TestWeakness11(t *testing.T) {
	c := openNodes(t, 2, NodeOptions{Scheduler: Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}})
	c.nodes[0].SetPeers(nil)
	var state atomic.Int32 // 0: not configured, 1: works, 2: down
	d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case state.Load() == 0:
			http.Error(w, `{"code":100,"message":"Configuration not ready"}`, http.StatusInternalServerError)
		case state.Load() == 2:
			http.Error(w, "bad gateway", http.StatusBadGateway)
		case r.URL.Path == "/configuration":
			fmt.Fprint(w, `{"machine_ip":"10.0.0.7","machine_id":"seven","machine_group_name":"g","init_servers":[]}`)
		default:
			fmt.Fprintf(w, `[{"_id":1,"ip":%q,"name":"x","alive":true},{"ip":"10.0.0.7"}]`, strings.TrimPrefix(c.servers[1].URL, "http://"))
		}
	}))
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		c.nodes[0].FollowDiscovery(ctx, d.URL)
	}()
	time.Sleep(50 * time.Millisecond)
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 200 || r.header.Get(headerHops) != "" || c.nodes[0].Identity().ID != "node-0" {
		t.Errorf("before discovery is configured: %d with hops %q, as %v", r.status, r.header.Get(headerHops), c.nodes[0].Identity())
	}
	state.Store(1)
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if r := c.ask(0, "POST", "/function/f", ""); r.header.Get(headerPeersID) == `["seven","node-1"]` {
			break
		} else if time.Since(begun) > 10*time.Second {
			t.Fatalf("the peer does not become known: %v", r)
		}
	}
	state.Store(2)
	time.Sleep(2 * askDiscoveryEvery)
	if r := c.ask(0, "POST", "/function/f", ""); r.header.Get(headerHops) != "1" {
		t.Errorf("while discovery is down: hops %q, want 1", r.header.Get(headerHops))
	}
	cancel()
	<-followed
}
