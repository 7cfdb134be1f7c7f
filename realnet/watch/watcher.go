package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

const (
	mostNodes = 1024 // that are looked at
	atOnce    = 64   // that are asked at once

	leastPatience = time.Second
	mostPatience  = 2 * time.Second
)

// Options are what a Watcher is made of.
type Options struct {
	Addresses []string      // of the scheduler services of nodes to begin with: IPs or host names, with a port where that is not 18080
	Interval  time.Duration // between the beginnings of two looks; 0: 1 s
	Window    int           // looks before the last one that rates and latencies are since; 0: 5
	Patience  time.Duration // that a look has in all; 0: Interval, but one second at least and two at most
	// Credentials are shown to the nodes; nil: they want none.
	Credentials *realnet.Credentials
}

// Watcher looks at a cluster. One goroutine may use it.
type Watcher struct {
	options Options
	client  *http.Client
	nodes   map[string]*node // by address
	looks   []time.Time      // when the last ones began, oldest first
	left    map[string]bool  // addresses of nodes that are not looked at
}

// node is what is known of a node.
type node struct {
	address  string
	dial     string // host:port
	state    State
	since    time.Time
	restarts int
	err      error           // of the last look; nil: it has answered
	said     *realnet.Status // the last that it said; nil: nothing
	load     *core.Load      // the same of a node of the first P2PFaaS; nil: it is none
	samples  []sample        // what it has counted, oldest first
}

// sample is what a node had counted at an instant.
type sample struct {
	at      time.Time
	counts  realnet.Counts
	latency map[string][]realnet.LatencyBucket
	learner *realnet.LearnerStatus
}

// patience is that of a look, or of another question to all nodes.
func (o *Options) patience() time.Duration {
	return cmp.Or(o.Patience, min(max(o.Interval, leastPatience), mostPatience))
}

// New returns a Watcher that has not looked yet. The error is about the addresses.
func New(o Options) (*Watcher, error) {
	o.Interval, o.Window = cmp.Or(o.Interval, time.Second), cmp.Or(o.Window, 5)
	o.Patience = o.patience()
	w := &Watcher{options: o, nodes: map[string]*node{}, left: map[string]bool{}, client: o.Credentials.Client(
		&http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute})}
	var problems []error
	for _, a := range o.Addresses {
		at, err := place(a)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		w.meet(at.Address(), at.Dial())
	}
	if len(o.Addresses) == 0 {
		problems = append(problems, errors.New("there is no address of a node to begin with"))
	}
	return w, errors.Join(problems...)
}

// place reads an address.
func place(text string) (realnet.Place, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = text, strconv.Itoa(realnet.SchedulerPort)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if ip, bad := netip.ParseAddr(host); bad == nil {
		host = ip.Unmap().String()
	}
	if at := net.JoinHostPort(host, port); err != nil || number == 0 || host == "" || !validURL(at) {
		return realnet.Place{}, fmt.Errorf("%.80q is no address of a node: write an IP or a host name, with a port where that is not %d", text,
			realnet.SchedulerPort)
	}
	return realnet.Place{IP: host, Scheduler: int(number)}, nil
}

// validURL reports whether an address can stand in a URL.
func validURL(at string) bool {
	r, err := http.NewRequest(http.MethodGet, "http://"+at+"/", nil)
	return err == nil && r.URL.Host == at
}

// meet has a node looked at from now on.
func (w *Watcher) meet(address, dial string) {
	switch {
	case w.nodes[address] != nil:
	case len(w.nodes) >= mostNodes:
		w.left[address] = true
	default:
		w.nodes[address] = &node{address: address, dial: dial}
	}
}

// Run looks at the cluster at once, if it has not looked yet, and then at every interval, and shows what it sees, until ctx ends.
func (w *Watcher) Run(ctx context.Context, show func(*Cluster)) {
	ticker := time.NewTicker(w.options.Interval)
	defer ticker.Stop()
	if len(w.looks) == 0 {
		show(w.Look(ctx))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if c := w.Look(ctx); ctx.Err() == nil { // else it was broken off
			show(c)
		}
	}
}

// Close closes connections that nobody uses.
func (w *Watcher) Close() { w.client.CloseIdleConnections() }

// Look asks all nodes once, those too that the others tell of.
func (w *Watcher) Look(ctx context.Context) *Cluster {
	ctx, cancel := context.WithTimeout(ctx, w.options.Patience)
	defer cancel()
	now := time.Now()
	w.looks = append(w.looks, now)
	w.looks = w.looks[max(0, len(w.looks)-w.options.Window-1):]
	clear(w.left)
	asked := map[*node]bool{}
	for {
		var next []*node
		for _, x := range w.nodes {
			if !asked[x] {
				next = append(next, x)
				asked[x] = true
			}
		}
		if len(next) == 0 {
			break
		}
		slices.SortFunc(next, func(a, b *node) int { // a silent one takes nobody's turn that answers
			if silent := cmp.Compare(silence(a), silence(b)); silent != 0 {
				return silent
			}
			return byAddress(a.address, b.address)
		})
		w.ask(ctx, next)
		for _, x := range next {
			w.told(x)
		}
	}
	return w.cluster(now)
}

func silence(x *node) int {
	if x.err == nil {
		return 0
	}
	return 1
}

// byAddress orders addresses as people number machines: 127.0.0.10 is after 127.0.0.9.
func byAddress(a, b string) int {
	x, err := place(a)
	y, err2 := place(b)
	i, err3 := netip.ParseAddr(x.IP)
	k, err4 := netip.ParseAddr(y.IP)
	if errors.Join(err, err2, err3, err4) != nil {
		return cmp.Compare(a, b)
	}
	return cmp.Or(i.Compare(k), cmp.Compare(x.Scheduler, y.Scheduler))
}

// ask asks nodes for what they say.
func (w *Watcher) ask(ctx context.Context, nodes []*node) {
	places := make(chan struct{}, atOnce)
	var asking sync.WaitGroup
	for _, x := range nodes {
		places <- struct{}{} // it comes free when ctx ends, at the latest
		asking.Go(func() {
			defer func() { <-places }()
			x.ask(ctx, w.client, &w.options)
		})
	}
	asking.Wait()
}

func (x *node) ask(ctx context.Context, client *http.Client, o *Options) {
	s, err := realnet.AskStatus(ctx, client, x.dial)
	if errors.Is(err, wire.ErrNotFound) {
		var l core.Load
		if l, err = realnet.AskLoad(ctx, client, x.dial); err == nil {
			x.load, x.said, x.samples, x.err = &l, nil, nil, nil
			return
		}
	}
	if x.err = shortened(err, o.Patience); err != nil {
		return
	}
	if x.said != nil && !x.said.Began.Equal(s.Began) {
		x.restarts++
		x.samples = nil
	}
	x.said, x.load = &s, nil
	x.samples = append(x.samples, sample{time.Now(), s.Counts, s.Latency, s.Learner})
}

// shortened is an error without what everybody sees who reads of which node it is.
func shortened(err error, patience time.Duration) error {
	var call *url.Error
	var dial *net.OpError
	var said *wire.Failure
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", patience)
	case errors.As(err, &dial):
		return dial.Err
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &said):
		return said
	}
	return err
}

// told meets the nodes that one tells of, and calls that itself as its peers do.
func (w *Watcher) told(x *node) {
	if x.err != nil || x.said == nil {
		return
	}
	if at, err := place(x.said.IP); err == nil && at.Address() != x.address && w.given(x.address) {
		switch y := w.nodes[at.Address()]; {
		case y == nil:
			delete(w.nodes, x.address)
			x.address = at.Address()
			w.nodes[x.address] = x
		case y.said != nil && y.said.ID == x.said.ID && y.said.Began.Equal(x.said.Began):
			delete(w.nodes, x.address) // two of its addresses were given
		}
	}
	for _, a := range x.said.Peers {
		w.toldOf(a)
	}
	for _, m := range x.said.Members {
		w.toldOf(m.Address)
	}
}

func (w *Watcher) toldOf(address string) {
	if at, err := place(address); err == nil {
		w.meet(at.Address(), at.Dial())
	}
}

// given reports whether an address is one that the Watcher began with.
func (w *Watcher) given(address string) bool {
	return slices.ContainsFunc(w.options.Addresses, func(a string) bool {
		at, err := place(a)
		return err == nil && at.Address() == address
	})
}

// held is for how long those that answer have held a node to be in a state, at most.
func (w *Watcher) held(address string, s State) time.Duration {
	longest := time.Duration(0)
	for _, x := range w.nodes {
		if x.err != nil || x.said == nil {
			continue
		}
		for _, m := range x.said.Members {
			if m.Address == address && m.State == string(s) {
				longest = max(longest, m.For)
			}
		}
	}
	return longest
}

// cluster puts together what was seen.
func (w *Watcher) cluster(now time.Time) *Cluster {
	c := &Cluster{At: now.UTC(), Window: now.Sub(w.looks[0]).Seconds(), Nodes: []Node{}, Forwards: []Forward{}, LeftOut: len(w.left)}
	believed := w.believed()
	all := tally{}
	for _, a := range slices.SortedFunc(maps.Keys(w.nodes), byAddress) {
		x := w.nodes[a]
		x.samples = slices.DeleteFunc(x.samples, func(s sample) bool { return s.at.Before(w.looks[0]) }) // one that was silent has older ones
		if s := x.judge(believed[a]); s != x.state {
			x.since = now.UTC()
			if x.state == "" { // what was before the first look, others may know
				x.since = x.since.Add(-w.held(a, s))
			}
			x.state = s
		}
		c.States.Count(x.state)
		n := Node{Address: a, State: x.state, Since: x.since, Believed: believed[a], Restarts: x.restarts, V1: x.load != nil, Functions: []Function{}}
		x.describe(&n)
		if x.err == nil && len(x.samples) > 1 {
			x.rates(&n, all)
			c.Rates.Add(&n.Rates)
			c.Forwards = append(c.Forwards, x.forwards()...)
		}
		c.Nodes = append(c.Nodes, n)
	}
	c.Latency = all.latency()
	return c
}

// believed says what those that answer believe of each node.
func (w *Watcher) believed() map[string]Believed {
	all := map[string]Believed{}
	for _, x := range w.nodes {
		if x.err != nil || x.said == nil {
			continue
		}
		for _, m := range x.said.Members {
			b := all[m.Address]
			switch State(m.State) {
			case Alive:
				b.Alive++
			case Suspect:
				b.Suspect++
			case Dead:
				b.Dead++
			case Left:
				b.Left++
			}
			all[m.Address] = b
		}
	}
	return all
}

// judge says what is to be thought of the node.
func (x *node) judge(b Believed) State {
	answers, gone := x.err == nil, b.Dead+b.Left
	switch {
	case gone > 0 && b.Alive+b.Suspect+b.Dead == 0:
		return Left
	case answers && b.Suspect+gone > 0:
		return Suspect
	case answers:
		return Alive
	case b.Suspect > 0 || b.Alive > 0 && gone > 0:
		return Suspect
	case gone > 0:
		return Dead
	case b.Alive == 0 && (x.state == Dead || x.state == Left):
		return x.state // those who knew have forgotten it, or do not answer either
	}
	return Unreachable
}

// describe writes what the node has said.
func (x *node) describe(n *Node) {
	answers := x.err == nil
	if !answers {
		n.Error = x.err.Error()
	}
	if l := x.load; l != nil && answers {
		n.Slots, n.Running, n.Queued = int(l.Slots), int(l.Running), int(l.Queued)
	}
	s := x.said
	if s == nil {
		return
	}
	began := s.Began
	n.ID, n.Began, n.Scheduler, n.Label = s.ID, &began, &s.Scheduler, s.Label
	if answers {
		n.Slots, n.Running, n.Queued, n.Room = int(s.Slots), int(s.Running), int(s.Queued), int(s.Room)
		n.Requests, n.Peers = s.Requests, len(s.Peers)
	}
}
