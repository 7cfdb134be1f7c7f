package realnet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// A node takes its identity and its peers from discovery, also where discovery is configured only later (weakness 11: v1
// reads an error answer as an empty identity, once and for all), and keeps its peers while discovery is down.
func TestWeakness11(t *testing.T) {
	c := openNodes(t, 2, NodeOptions{Scheduler: Descriptor{Name: "ForwardScheduler", Parameters: []string{"1"}}})
	c.nodes[0].SetPeers(nil)
	var state atomic.Int32    // 0: not configured, 1: works, 2: down
	var asked [3]atomic.Int32 // times, by state
	d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := state.Load()
		asked[now].Add(1)
		switch {
		case now == 0:
			http.Error(w, `{"code":100,"message":"Configuration not ready"}`, http.StatusInternalServerError)
		case now == 2:
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
	eventually(t, "discovery is asked", func() bool { return asked[0].Load() > 0 })
	if r := c.ask(0, "POST", "/function/f", ""); r.status != 200 || r.header.Get(wire.HeaderHops) != "" || c.nodes[0].Identity().ID != "node-0" {
		t.Errorf("before discovery is configured: %d with hops %q, as %v", r.status, r.header.Get(wire.HeaderHops), c.nodes[0].Identity())
	}
	state.Store(1)
	eventually(t, "the peer becomes known", func() bool {
		return c.ask(0, "POST", "/function/f", "").header.Get(wire.HeaderPeersID) == `["seven","node-1"]`
	})
	state.Store(2)
	eventually(t, "it has been asked in vain", func() bool { return asked[2].Load() > 1 })
	if r := c.ask(0, "POST", "/function/f", ""); r.header.Get(wire.HeaderHops) != "1" {
		t.Errorf("while discovery is down: hops %q, want 1", r.header.Get(wire.HeaderHops))
	}
	cancel()
	<-followed
}

// A node on a port of its own, whose machine has another node on the standard one, knows who of the list is itself, and
// announces its port.
func TestFollowDiscoveryShiftedPort(t *testing.T) {
	n, err := OpenNode(NodeOptions{Identity: Identity{IP: "10.0.0.7:18081"}, Port: 18081, Slots: 1, Scheduler: DefaultScheduler()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Shutdown(t.Context())
	d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/configuration" {
			fmt.Fprint(w, `{"machine_ip":"10.0.0.7","machine_id":"seven"}`)
			return
		}
		fmt.Fprint(w, `[{"ip":"10.0.0.7"},{"ip":"10.0.0.7:18081"},{"ip":"10.0.0.8:18080"},{"ip":""}]`)
	}))
	defer d.Close()
	peers, err := n.askDiscovery(t.Context(), http.DefaultClient, d.URL)
	if err != nil || !slices.Equal(peers, []string{"10.0.0.7", "10.0.0.8"}) {
		t.Errorf("the peers are %q, %v; want 10.0.0.7 and 10.0.0.8", peers, err)
	}
	if me := n.Identity(); me != (Identity{"seven", "10.0.0.7:18081"}) || n.address() != me.IP {
		t.Errorf("the node is %v, reached at %s", me, n.address())
	}
}

// That discovery takes the node for another machine is told, once: peers would look for it there.
func TestFollowDiscoveryOfAnother(t *testing.T) {
	log := said(t)
	n, err := OpenNode(NodeOptions{Identity: Identity{IP: "127.0.0.3"}, Bind: net.IPv4(127, 0, 0, 3), Slots: 1, Scheduler: DefaultScheduler()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Shutdown(t.Context())
	for ip, warned := range map[string]int{"127.0.0.1": 1, "127.0.0.3": 0} {
		var asked atomic.Int32
		d := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/configuration" {
				fmt.Fprintf(w, `{"machine_ip":%q,"machine_id":"it"}`, ip)
				return
			}
			asked.Add(1)
			fmt.Fprint(w, `[]`)
		}))
		defer d.Close()
		ctx, cancel := context.WithCancel(t.Context())
		followed := make(chan struct{})
		go func() {
			defer close(followed)
			n.FollowDiscovery(ctx, d.URL)
		}()
		eventually(t, "discovery is asked twice", func() bool { return asked.Load() > 1 })
		cancel()
		<-followed
		if is := strings.Count(log(), "url="+d.URL+" machine_ip="+ip+" bind=127.0.0.3"); is != warned {
			t.Errorf("of %s it is warned %d times, want %d: %s", ip, is, warned, log())
		}
	}
}
