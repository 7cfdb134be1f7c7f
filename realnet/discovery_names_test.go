package realnet

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// names is a resolver with the addresses of one name.
type names struct {
	mu    sync.Mutex
	all   []netip.Addr
	asked int
}

func (n *names) set(all ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = nil
	for _, a := range all {
		n.all = append(n.all, netip.MustParseAddr(a))
	}
}

func (n *names) resolve(_ context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if host != "nodes.test" || network != "ip4" || len(n.all) == 0 {
		return nil, errors.New("no such host")
	}
	return n.all, nil
}

// A name stands for machines that come later than whoever looks it up, one after the other.
func TestInitServerNames(t *testing.T) {
	ips := []string{"127.42.1.1", "127.42.1.2", "127.42.1.3"}
	var n names
	named := func(o *DiscoveryOptions) {
		o.InitServers, o.Resolve, o.PollTime = []string{"nodes.test"}, n.resolve, 50*time.Millisecond
	}
	a := startDiscovery(t, listenAt(t, ips[0]), named)
	defer a.end()
	within(t, "the name is looked up on, though it has no address", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.asked > 2
	})
	n.set(ips[0], ips[1]) // itself is among them
	b := startDiscovery(t, listenAt(t, ips[1]), nil)
	defer b.end()
	within(t, "the second is met", lists(a, ips[1]))
	within(t, "the second knows the first", lists(b, ips[0]))
	n.set(ips...)
	c := startDiscovery(t, listenAt(t, ips[2]), nil)
	defer c.end()
	within(t, "the third is met", lists(a, ips[1], ips[2]))

	// What a client resets stays so until it configures init servers again, as with addresses.
	n.set(ips...)
	for _, d := range []*discoveryAt{b, c} {
		d.end()
	}
	within(t, "the others have said goodbye", lists(a))
	b = startDiscovery(t, listenAt(t, ips[1]), nil)
	defer b.end()
	within(t, "one that starts again is met again", lists(a, ips[1]))
	if status, text, _ := say(t, "GET", a.server.URL+"/reset", ""); status != 200 {
		t.Fatal(status, text)
	}
	n.mu.Lock()
	before := n.asked
	n.mu.Unlock()
	time.Sleep(200 * time.Millisecond)
	n.mu.Lock()
	if n.asked > before+1 { // one may have been under way
		t.Error("the name is looked up after the reset")
	}
	n.mu.Unlock()
	status, text, _ := say(t, "POST", a.server.URL+"/configuration", `{"init_servers":["nodes.test:19000"]}`)
	if status != 200 {
		t.Fatal(status, text)
	}
	within(t, "a client configures the name", lists(a, ips[1]))
}

func TestCheckInitServer(t *testing.T) {
	for text, good := range map[string]bool{"10.0.0.1": true, "10.0.0.1:19001": true, "::1": true, "[::1]:19000": true, "discovery": true,
		"nodes.default.svc.cluster.local.": true, "my_node:19001": true, "pi-3.local": true,
		"": false, "192.168.1": false, "192.168.1.256": false, "a b": false, "-a": false, "a..b": false, "http://a": false, "a:0": false,
		"a:x": false, "a:70000": false, "10.0.0.1:0": false, "a:1:2": false, "a/b": false} {
		if err := CheckInitServer(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
