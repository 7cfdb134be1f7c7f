// Command cost measures what a node adds to a function: the same small function called directly, through a node, and
// through a node that records, probes, forwards, or asks a learner, in turn, in one process. Run it with make cost.
//
// Requests come at a constant rate and do not wait for one another. What a case adds is the difference of its quantile to
// that of the case that it is compared with, in the same run: machines differ, ratios less.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
)

// bound is what a case may add at a quantile.
type bound struct {
	quantile float64
	most     time.Duration
}

// measured is a way of calling the function.
type measured struct {
	name   string
	url    string
	beside string // the case that it is compared with
	bounds []bound

	took []time.Duration
}

func main() {
	rate := flag.Int("rate", 500, "requests per second")
	rounds := flag.Int("rounds", 3, "times that each case is measured, in turn")
	each := flag.Duration("time", 4*time.Second, "how long, each time")
	load := flag.Int("load", 5000, "requests per second of a function that sleeps for 1 ms, in the end; 0: none")
	flag.Parse()
	if err := run(*rate, *rounds, *each, *load); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func run(rate, rounds int, each time.Duration, load int) (err error) {
	b := &bench{clock: precise.New(), http: &http.Client{Transport: &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096}}}
	defer func() { err = errors.Join(err, b.close()) }()
	cases, err := b.cases()
	if err != nil {
		return err
	}
	for range rounds {
		for _, c := range cases {
			took, failed := b.call(c.url, rate, each)
			if c.took = append(c.took, took...); failed != nil {
				return fmt.Errorf("%s: %w", c.name, failed)
			}
		}
	}
	missed := report(cases)
	if load > 0 {
		began := time.Now()
		took, failed := b.call(b.sleeping, load, 10*time.Second)
		fmt.Printf("\n%d requests/s of a function that sleeps for 1 ms: %d answered in %.1f s, half within %v, 99 %% within %v, first error: %v\n",
			load, len(took), time.Since(began).Seconds(), quantile(took, 0.5), quantile(took, 0.99), failed)
		missed = missed || failed != nil
	}
	if missed {
		return errors.New("a bound was not kept")
	}
	return nil
}

// report prints what each case adds, and says whether one adds too much.
func report(cases []*measured) (missed bool) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\tmedian\t99 %\tof direct\tadded to\tmedian\tat most\t99 %\tat most\t")
	for _, c := range cases {
		fmt.Fprintf(w, "%s\t%v\t%v\t%.2f\t", c.name, quantile(c.took, 0.5), quantile(c.took, 0.99),
			float64(quantile(c.took, 0.5))/float64(quantile(cases[0].took, 0.5)))
		if i := slices.IndexFunc(cases, func(o *measured) bool { return o.name == c.beside }); i >= 0 {
			fmt.Fprintf(w, "%s\t", c.beside)
			for _, x := range c.bounds {
				added := quantile(c.took, x.quantile) - quantile(cases[i].took, x.quantile)
				fmt.Fprintf(w, "%v\t%v\t", added, x.most)
				missed = missed || added > x.most
			}
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return missed
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))].Round(time.Microsecond)
}

// bench is what is measured.
type bench struct {
	clock    *precise.Clock
	http     *http.Client
	sleeping string // URL of a function that sleeps, through a node
	closers  []func() error
}

func (b *bench) close() error {
	var problems []error
	for _, c := range slices.Backward(b.closers) {
		problems = append(problems, c())
	}
	b.clock.Close()
	return errors.Join(problems...)
}

// serve serves h on a loopback address, and returns it.
func (b *bench) serve(ip string, h func(address string) (http.Handler, error)) (string, error) {
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		return "", err
	}
	handler, err := h(l.Addr().String())
	if err != nil {
		return "", err
	}
	s := realnet.DefaultServerLimits().Server(handler)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	b.closers = append(b.closers, func() error {
		if err := s.Close(); err != nil {
			return err
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return l.Addr().String(), nil
}

// node serves a node whose function is at that URL, and which is otherwise as o says, and returns its address.
func (b *bench) node(ip, function string, o realnet.NodeOptions, peers ...string) (string, error) {
	return b.serve(ip, func(address string) (http.Handler, error) {
		o.Identity, o.Bind = realnet.Identity{ID: address, IP: address}, net.ParseIP(ip)
		o.Slots, o.Room, o.Queue = 64, 1024, true
		o.Backend = realnet.Backend{URL: function}
		o.Forwarding = core.Forwarding{ProbeTimeout: time.Second, AnswerTimeout: time.Minute}
		n, err := realnet.OpenNode(o)
		if err != nil {
			return nil, err
		}
		b.closers = append(b.closers, func() error { return n.Shutdown(context.Background()) })
		n.SetPeers(peers)
		return n.SchedulerHandler(), nil
	})
}

// cases opens all that is called.
func (b *bench) cases() ([]*measured, error) {
	at := func(address string) string { return "http://" + address + "/function/f" }
	var problems []error
	must := func(address string, err error) string {
		problems = append(problems, err)
		return address
	}
	quick := must(b.serve("127.0.0.1", func(string) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		}), nil
	}))
	slow := must(b.serve("127.0.0.1", func(string) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
			time.Sleep(time.Millisecond)
		}), nil
	}))
	local := realnet.NodeOptions{Scheduler: realnet.Descriptor{Name: "NoScheduler", Parameters: []string{"false"}}}
	direct := "http://" + quick + "/"
	peer := must(b.node("127.0.0.3", direct, local))
	here := must(b.node("127.0.0.2", direct, local, peer))
	recorded := local
	var err error
	if recorded.Record, err = os.MkdirTemp("", "cost"); err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() error { return os.RemoveAll(recorded.Record) })
	recording := must(b.node("127.0.0.2", direct, recorded, peer))
	probing := must(b.node("127.0.0.2", direct, realnet.NodeOptions{Scheduler: realnet.Descriptor{Name: "PowerOfNScheduler",
		Named: map[string]any{"fanout": 1, "threshold": 0, "strict": true}}}, peer))
	forwarding := must(b.node("127.0.0.2", direct, realnet.NodeOptions{Scheduler: realnet.Descriptor{Name: "ForwardScheduler",
		Parameters: []string{"1"}}}, peer))
	service, err := realnet.OpenLearner(realnet.LearnerServiceOptions{Config: learner.Default(), Frozen: true,
		Stream: *random.Stream(1, 0, random.Learner, 0)})
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() error { service.Close(); return nil })
	websocket := must(b.serve("127.0.0.2", func(string) (http.Handler, error) { return service.Websocket(), nil }))
	remote := realnet.NewRemoteLearner(realnet.LearnerOptions{Act: "ws://" + websocket})
	b.closers = append(b.closers, remote.Close)
	learning := must(b.node("127.0.0.2", direct, realnet.NodeOptions{Learner: remote, Scheduler: realnet.Descriptor{
		Name: "LearningScheduler", Named: map[string]any{"actions": []any{"local"}}}}, peer))
	b.sleeping = at(must(b.node("127.0.0.2", "http://"+slow+"/", local)))
	return []*measured{
		{name: "direct", url: direct},
		{name: "local", url: at(here), beside: "direct", bounds: []bound{{0.5, 250 * time.Microsecond}, {0.99, time.Millisecond}}},
		{name: "record", url: at(recording), beside: "local", bounds: []bound{{0.5, 100 * time.Microsecond}, {0.99, time.Millisecond}}},
		{name: "probe", url: at(probing), beside: "local", bounds: []bound{{0.5, 300 * time.Microsecond}}},
		{name: "forward", url: at(forwarding), beside: "local", bounds: []bound{{0.5, 600 * time.Microsecond}}},
		{name: "act", url: at(learning), beside: "local", bounds: []bound{{0.5, 150 * time.Microsecond}}},
	}, errors.Join(problems...)
}

// call sends requests at a constant rate, and returns how long each took from when it was sent, and the first failure.
func (b *bench) call(url string, rate int, d time.Duration) (took []time.Duration, failed error) {
	var mu sync.Mutex
	var calls sync.WaitGroup
	began := time.Now()
	for i := range int(float64(rate) * d.Seconds()) {
		if err := b.clock.Sleep(context.Background(), began.Add(time.Duration(i)*time.Second/time.Duration(rate))); err != nil {
			return took, err
		}
		calls.Go(func() {
			sent := time.Now()
			err := b.ask(url)
			t := time.Since(sent)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, t); failed == nil {
				failed = err
			}
		})
	}
	calls.Wait()
	return took, failed
}

func (b *bench) ask(url string) error {
	a, err := b.http.Post(url, "text/plain", strings.NewReader("hello"))
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", a.Status, text)
	}
	return err
}
