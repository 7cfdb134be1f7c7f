package realnet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/core/random"
)

// discoveryAt is a discovery service on the standard port of a loopback address, with its server.
type discoveryAt struct {
	*DiscoveryService
	server *httptest.Server
}

func (d *discoveryAt) end() {
	d.server.CloseClientConnections()
	d.server.Close()
	_ = d.Close()
}

// crash ends the service, of whose goodbye nobody hears.
func (d *discoveryAt) crash() {
	_ = d.conn.Close()
	d.end()
}

func listenAt(t *testing.T, ip string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, fmt.Sprint(DiscoveryPort)))
	if err != nil {
		t.Skipf("%s cannot be bound here: %v", ip, err)
	}
	return l
}

// listenAnywhere listens on a port that UDP has free, too.
func listenAnywhere(t *testing.T, ip string) net.Listener {
	t.Helper()
	for {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			c.Close()
			return l
		}
		defer l.Close() // when another one has been found
	}
}

// serveAt serves h at a listener.
func serveAt(l net.Listener, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	return s
}

func startDiscovery(t *testing.T, l net.Listener, change func(*DiscoveryOptions)) *discoveryAt {
	t.Helper()
	at := netip.MustParseAddrPort(l.Addr().String())
	o := DiscoveryOptions{Identity: Identity{IP: at.Addr().String()}, Bind: at.Addr(), Port: int(at.Port()), Group: "cluster00",
		Membership: membership.DefaultOptions(0), Stream: *random.Stream(1, 0, random.Membership, 0)}
	if change != nil {
		change(&o)
	}
	s, err := OpenDiscovery(o)
	if err != nil {
		l.Close()
		t.Fatal(err)
	}
	return &discoveryAt{DiscoveryService: s, server: serveAt(l, s.Handler())}
}

// say asks a service, with headers in pairs.
func say(t *testing.T, method, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text), a.Header
}

// within waits until something is so, on however busy a machine, and returns how long that took.
func within(t *testing.T, what string, so func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !so() {
		if time.Since(began) > time.Minute {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// list are the peers that the service knows.
func (d *discoveryAt) list() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers()
}

func lists(d *discoveryAt, wanted ...string) func() bool {
	slices.Sort(wanted)
	return func() bool { return slices.Equal(d.list(), wanted) }
}

// v1Discovery answers as v1's discovery does.
type v1Discovery struct {
	server *httptest.Server
	polls  atomic.Int32
}

func startV1(t *testing.T, ip string, gossip ...string) *v1Discovery {
	t.Helper()
	v := &v1Discovery{}
	v.server = serveAt(listenAt(t, ip), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != "Machine" || r.Header.Get("p2pfaas-machine-ip") == "" || r.URL.Path != "/list" {
			t.Errorf("a v1 machine is asked %s with %v", r.URL, r.Header)
		}
		v.polls.Add(1)
		w.Header().Set("p2pfaas-machine-ip", ip)
		w.Header().Set("p2pfaas-machine-name", ip)
		w.Header().Set("p2pfaas-machine-group-name", "old")
		list := []listed{}
		for i, m := range gossip {
			list = append(list, listed{ID: i, IP: quietText(m), Name: quietText(m), Ping: 0.1, LastUpdate: 1, Alive: true})
		}
		_ = json.NewEncoder(w).Encode(list)
	}))
	return v
}

// TestWeakness11Service: the identity follows the configuration, and is never an empty one; v1's file keeps it.
func TestWeakness11Service(t *testing.T) {
	data := t.TempDir()
	empty := func(o *DiscoveryOptions) { o.Identity, o.Data = Identity{}, data }
	d := startDiscovery(t, listenAt(t, "127.41.2.1"), empty)
	status, text, _ := say(t, "GET", d.server.URL+"/configuration", "")
	if status != 500 || text != `{"code":100,"message":"Configuration not ready"}` {
		t.Errorf("without an IP: %d %q", status, text)
	}
	told := make(chan Identity, 4)
	d.Subscribe(func(me Identity, _ []string) { told <- me })
	say(t, "POST", d.server.URL+"/configuration", `{"machine_ip":"127.41.2.1","machine_id":"m"}`)
	select {
	case me := <-told:
		if me != (Identity{ID: "m", IP: "127.41.2.1"}) {
			t.Errorf("the node is told %v", me)
		}
	case <-time.After(time.Minute):
		t.Error("the node is not told who it is")
	}
	d.end()
	d = startDiscovery(t, listenAt(t, "127.41.2.1"), empty)
	defer d.end()
	if _, text, _ := say(t, "GET", d.server.URL+"/configuration", ""); !strings.Contains(text, `"machine_id":"m"`) {
		t.Errorf("after a restart: %s", text)
	}
	file, err := os.ReadFile(filepath.Join(data, "p2p_faas-discovery.json"))
	if err != nil || !bytes.Contains(file, []byte(`"machine_ip": "127.41.2.1"`)) {
		t.Errorf("the file is %s, %v", file, err)
	}
}

// TestWeakness19: no fixed port, IPv6, and no machine hidden because its address begins like those of Docker's network.
func TestWeakness19(t *testing.T) {
	addresses := []string{"127.0.0.1"}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		addresses = append(addresses, "::1")
	} else {
		t.Log("this machine has no IPv6, which is not tried here: ", err)
	}
	for _, ip := range addresses {
		l := listenAnywhere(t, ip)
		a := startDiscovery(t, l, func(o *DiscoveryOptions) { o.SchedulerPort = 9 })
		first := l.Addr().String()
		b := startDiscovery(t, listenAnywhere(t, ip), func(o *DiscoveryOptions) { o.SchedulerPort, o.InitServers = 10, []string{first} })
		within(t, "both have found each other", func() bool {
			return lists(a, net.JoinHostPort(ip, "10"))() && lists(b, net.JoinHostPort(ip, "9"))()
		})
		a.end()
		b.end()
	}
	d := startDiscovery(t, listenAt(t, "127.41.3.1"), nil)
	defer d.end()
	d.mu.Lock()
	defer d.mu.Unlock()
	if id := d.meet(netip.MustParseAddrPort("127.170.0.1:1")); id < 1 {
		t.Error("127.170.0.1 is hidden")
	}
	if docker.Contains(netip.MustParseAddr("172.170.0.1")) {
		t.Error("172.170.0.1 is hidden")
	}
	if id := d.meet(netip.MustParseAddrPort("172.17.0.2:19000")); id >= 0 {
		t.Error("172.17.0.2 is met, an address that every machine has")
	}
}

// TestWeakness2: with v1's gossip all the time, a dead machine leaves the lists in seconds, wherever its name sorts, and
// stays away; a dead v1 machine comes back when it answers again.
func TestWeakness2(t *testing.T) {
	const v1, first, second, third = "127.41.4.1", "127.41.4.2", "127.41.4.3", "127.41.4.4"
	start := func(ip string) *discoveryAt {
		return startDiscovery(t, listenAt(t, ip), func(o *DiscoveryOptions) {
			o.InitServers, o.PollTime = []string{v1}, 100*time.Millisecond
		})
	}
	old := startV1(t, v1, first, second, third, "127.41.4.9")
	a, b, c := start(second), start(third), start(first)
	defer a.end()
	defer b.end()
	within(t, "all know all through v1's gossip", func() bool {
		return lists(a, v1, first, third)() && lists(b, v1, first, second)() && lists(c, v1, second, third)()
	})
	c.crash()
	t.Logf("the dead one has left after %v", within(t, "who is dead leaves the lists", func() bool {
		return lists(a, v1, third)() && lists(b, v1, second)()
	}))
	for polls := old.polls.Load(); old.polls.Load() < polls+10; time.Sleep(20 * time.Millisecond) {
		if list := a.list(); slices.Contains(list, first) {
			t.Fatalf("gossip resurrects the dead: %v", list)
		}
	}
	old.server.Close()
	within(t, "v1's dead machine leaves the lists", func() bool { return lists(a, third)() && lists(b, second)() })
	old = startV1(t, v1)
	defer old.server.Close()
	within(t, "v1's machine comes back", func() bool { return lists(a, v1, third)() && lists(b, v1, second)() })
}

// TestWeakness22: fifty machines that accept and never answer delay nobody else's poll, and being polled says nothing
// about the time to a machine.
func TestWeakness22(t *testing.T) {
	var gossip []string
	for i := range 50 {
		ip := fmt.Sprintf("127.41.5.%d", 100+i)
		defer listenAt(t, ip).Close()
		gossip = append(gossip, ip)
	}
	old := startV1(t, "127.41.5.1", gossip...)
	defer old.server.Close()
	d := startDiscovery(t, listenAt(t, "127.41.5.2"), func(o *DiscoveryOptions) {
		o.InitServers, o.PollTime, o.PollTimeout = []string{"127.41.5.1"}, 100*time.Millisecond, 5*time.Second
	})
	defer d.end()
	within(t, "the v1 machine is listed", lists(d, "127.41.5.1"))
	polls := old.polls.Load()
	within(t, "it is polled on", func() bool { return old.polls.Load() >= polls+10 })
	say(t, "GET", d.server.URL+"/list", "", "User-Agent", "Machine", "p2pfaas-machine-ip", "127.41.5.1")
	var list []listed
	_, text, _ := say(t, "GET", d.server.URL+"/list", "")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || list[0].Ping <= 0 {
		t.Errorf("the list is %s, %v", text, err)
	}
}

// v1's script configures five services, one after the other; one is killed, leaves every list, and comes back.
func TestDiscoveryCluster(t *testing.T) {
	before := runtime.NumGoroutine()
	var all []*discoveryAt
	var ips []string
	for i := range 5 {
		ips = append(ips, fmt.Sprintf("127.41.6.%d", i+1))
		all = append(all, startDiscovery(t, listenAt(t, ips[i]), func(o *DiscoveryOptions) { o.Identity = Identity{} }))
	}
	configure := func() {
		for i, d := range all {
			say(t, "GET", d.server.URL+"/reset", "")
			status, text, _ := say(t, "POST", d.server.URL+"/configuration", fmt.Sprintf(
				`{"machine_ip":%q,"machine_id":"n%d","machine_group_name":"cluster00","init_servers":["127.41.6.1"]}`, ips[i], i))
			if status != 200 {
				t.Fatal(status, text)
			}
		}
	}
	whole := func(without int) func() bool {
		return func() bool {
			for i, d := range all {
				others := slices.DeleteFunc(slices.Clone(ips), func(ip string) bool {
					return ip == ips[i] || without >= 0 && ip == ips[without]
				})
				if i != without && !lists(d, others...)() {
					return false
				}
			}
			return true
		}
	}
	configure()
	t.Logf("all know all after %v", within(t, "all know all", whole(-1)))
	configure() // a script may be run twice
	t.Logf("and again after %v", within(t, "all know all after another configuration", whole(-1)))
	all[0].crash()
	t.Logf("the dead one has left after %v", within(t, "the dead one leaves every list", whole(0)))
	all[0] = startDiscovery(t, listenAt(t, ips[0]), func(o *DiscoveryOptions) { o.InitServers = ips[1:2] })
	t.Logf("it is back after %v", within(t, "it comes back", whole(-1)))
	all[4].end()
	t.Logf("who said goodbye has left after %v", within(t, "who says goodbye leaves", whole(4)))
	for _, d := range all[:4] {
		d.end()
	}
	within(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

func sampleDatagram() datagram {
	six, four := netip.MustParseAddrPort("[2001:db8::1]:19000"), netip.MustParseAddrPort("192.0.2.1:1900")
	d := datagram{kind: membership.Ask, sequence: 7, incarnation: 9, from: six, scheduler: 18080, about: four}
	for i := range membership.MaxEntries {
		d.entries = append(d.entries, datagramEntry{state: membership.Suspect, v1: i%2 == 1, incarnation: 1 << 31, member: six,
			scheduler: 1, by: six})
	}
	return d
}

func TestDatagram(t *testing.T) {
	d := sampleDatagram()
	b := d.append(nil)
	if len(b) > maxDatagram {
		t.Errorf("the longest datagram has %d bytes", len(b))
	}
	back, err := parseDatagram(b)
	if err != nil || !reflect.DeepEqual(d, back) {
		t.Errorf("%+v comes back as %+v, %v", d, back, err)
	}
	for n := range b {
		if _, err := parseDatagram(b[:n]); err == nil {
			t.Fatalf("the first %d bytes are taken for a datagram", n)
		}
	}
	if _, err := parseDatagram(append(b, 0)); err == nil {
		t.Error("a byte too many is not seen")
	}
	s := startDiscovery(t, listenAt(t, "127.41.7.1"), nil)
	defer s.end()
	c, err := net.Dial("udp", "127.41.7.1:19000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	within(t, "the malformed datagram is counted", func() bool { return s.Malformed() == 1 })
}

// FuzzDatagram: what is taken for a datagram is exactly one.
func FuzzDatagram(f *testing.F) {
	d := sampleDatagram()
	f.Add(d.append(nil))
	d.about, d.entries = netip.AddrPort{}, nil
	f.Add(d.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseDatagram(b); err == nil && !bytes.Equal(d.append(nil), b) {
			t.Errorf("%x is read as %+v", b, d)
		}
	})
}

// Who ended in good order and starts again under its address, knowing nobody, comes back, also where the others are enough
// for each other.
func TestDiscoveryGoodbyeAndBack(t *testing.T) {
	const here, there, third = "127.41.9.1", "127.41.9.2", "127.41.9.5"
	a := startDiscovery(t, listenAt(t, here), nil)
	init := func(o *DiscoveryOptions) { o.InitServers = []string{here} }
	b := startDiscovery(t, listenAt(t, there), init)
	defer b.end()
	c := startDiscovery(t, listenAt(t, third), init)
	defer c.end()
	whole := func() bool { return lists(a, there, third)() && lists(b, here, third)() && lists(c, here, there)() }
	within(t, "they meet", whole)
	a.end()
	within(t, "it leaves", func() bool { return lists(b, third)() && lists(c, there)() })
	a = startDiscovery(t, listenAt(t, here), nil)
	defer a.end()
	t.Logf("back after %v", within(t, "it comes back", whole))
}

// A disk that takes its time keeps the configuration waiting, and neither clients nor other machines.
func TestDiscoveryOnASlowDisk(t *testing.T) {
	data := t.TempDir()
	a := startDiscovery(t, listenAt(t, "127.41.9.8"), func(o *DiscoveryOptions) { o.Data = data })
	defer a.end()
	pipe := filepath.Join(data, discoveryFile+".new") // writing waits until somebody reads
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	configured := make(chan int, 1)
	go func() {
		status, _, _ := say(t, "POST", a.server.URL+"/configuration", `{"machine_group_name":"other"}`)
		configured <- status
	}()
	within(t, "it is being configured", func() bool {
		free := a.configuring.TryLock()
		if free {
			a.configuring.Unlock()
		}
		return !free
	})
	for _, path := range []string{"/list", "/configuration"} {
		if status, text, _ := say(t, "GET", a.server.URL+path, ""); status != 200 || strings.Contains(text, "other") {
			t.Errorf("meanwhile %s: %d %s", path, status, text)
		}
	}
	reader, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if status := <-configured; status != 200 {
		t.Errorf("configuring: %d", status)
	}
	if _, text, _ := say(t, "GET", a.server.URL+"/configuration", ""); !strings.Contains(text, `"machine_group_name":"other"`) {
		t.Errorf("afterwards: %s", text)
	}
}

// An init server that does not answer is told of once, and that it does, when it does; so is every change of the peers.
func TestDiscoveryTells(t *testing.T) {
	const here, there = "127.41.9.6", "127.41.9.7"
	log := said(t)
	count := func(what string) int { return strings.Count(log(), what) }
	quick := func(o *DiscoveryOptions) { o.PollTime, o.InitServers = 50*time.Millisecond, []string{there} }
	a := startDiscovery(t, listenAt(t, here), quick)
	defer a.end()
	const missed, answers = "an init server does not answer", "an init server answers now machine=" + there + ":19000"
	within(t, "it is told", func() bool { return count(missed) == 1 })
	if !strings.Contains(log(), "machine="+there+":19000 error=") || !strings.Contains(log(), "connection refused") {
		t.Errorf("it does not say which and why: %s", log())
	}
	time.Sleep(500 * time.Millisecond) // ten polls
	b := startDiscovery(t, listenAt(t, there), nil)
	within(t, "they meet", func() bool { return lists(a, there)() && lists(b, here)() })
	came := func(who string) func() bool {
		return func() bool { return count(`the peers have changed came=[`+who+"] gone=[] peers=1") == 1 }
	}
	within(t, "who comes is told", func() bool { return came(there)() && came(here)() })
	b.end()
	within(t, "who goes is told", func() bool {
		return count(`the peers have changed came=[] gone=[`+there+"] peers=0") == 1
	})
	if count(missed) != 1 || count(answers) != 1 || count("the peers have changed") != 3 {
		t.Errorf("the log is %s", log())
	}
}

// A scheduler on a port of its own finds those on the standard one.
func TestDiscoveryMixedSchedulerPorts(t *testing.T) {
	const here, there = "127.41.9.3", "127.41.9.4"
	a := startDiscovery(t, listenAt(t, here), nil)
	defer a.end()
	b := startDiscovery(t, listenAt(t, there), func(o *DiscoveryOptions) { o.InitServers, o.SchedulerPort = []string{here}, 18081 })
	defer b.end()
	within(t, "each says what the other needs", func() bool {
		return len(a.list()) == 1 && a.list()[0] == there+":18081" && len(b.list()) == 1 && b.list()[0] == here
	})
}
