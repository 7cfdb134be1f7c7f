package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/realnet"
)

// What a browser asks all nodes for by the one that it has the page of: requests that have ended, and changes of the configuration.

const (
	toldRequests = 100     // that are told of, unless one is asked for
	mostChange   = 1 << 16 // bytes of a change
)

// Requests are those that nodes remember.
type Requests struct {
	Requests []realnet.PastRequest `json:"requests"` // the last ones first
	Silent   []string              `json:"silent"`   // addresses of nodes that do not answer, or know nothing of such questions
}

// Change is one of all nodes, or of some.
type Change struct {
	Nodes     []string `json:"nodes"`     // addresses; empty: all that answer
	Scheduler string   `json:"scheduler"` // as realnet.ParseDescriptor reads it, "JSQ d=3" or JSON with its forwarding; empty: as it is
	Slots     *int     `json:"slots"`     // K; null: as they are
	Queue     *int     `json:"queue"`     // Q, 0 closes the waiting room; null: as it is
}

// Changed is what became of a change at a node.
type Changed struct {
	Address string `json:"address"`
	Error   string `json:"error"` // empty: the node has it
}

// seenNodes are the nodes of the last look; the first one is waited for.
func (f *Feed) seenNodes(ctx context.Context) ([]Node, error) {
	last, err := f.await(ctx)
	if err != nil {
		return nil, err
	}
	var c Cluster
	if err := json.Unmarshal(last, &c); err != nil {
		panic(fmt.Sprintf("watch: a cluster cannot be read: %v", err))
	}
	return c.Nodes, nil
}

// each calls a node each, so many at once, and waits for all.
func (f *Feed) each(ctx context.Context, nodes []Node, call func(ctx context.Context, i int, dial string)) {
	ctx, cancel := context.WithTimeout(ctx, f.options.patience())
	defer cancel()
	places := make(chan struct{}, atOnce)
	var calling sync.WaitGroup
	for i := range nodes {
		at, err := place(nodes[i].Address)
		if err != nil {
			panic(fmt.Sprintf("watch: %s has been looked at, and is no address: %v", nodes[i].Address, err))
		}
		places <- struct{}{}
		calling.Go(func() {
			defer func() { <-places }()
			call(ctx, i, at.Dial())
		})
	}
	calling.Wait()
}

func (f *Feed) requests(w http.ResponseWriter, r *http.Request) {
	gather := f.lastRequests
	if id := r.URL.Query().Get("request"); id != "" {
		gather = func() (Requests, error) { return f.gather(r.Context(), id) }
	}
	all, err := gather()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, all)
}

// lastRequests are the last requests of clients, as they were an interval ago at most: all pages share what the nodes are asked.
func (f *Feed) lastRequests() (Requests, error) {
	f.past.Lock()
	defer f.past.Unlock()
	if time.Since(f.past.at) < f.options.Interval {
		return f.past.requests, nil
	}
	limit := f.options.Interval + 2*f.options.patience() // of a look and of the questions
	ctx, cancel := context.WithTimeoutCause(f.life, limit, fmt.Errorf("the nodes have not been looked at within %v", limit))
	defer cancel()
	all, err := f.gather(ctx, "") // whoever asked first may have gone
	if err == nil {
		f.past.requests, f.past.at = all, time.Now()
	}
	return all, err
}

// gather asks the nodes for what they remember of a request or, without an id, for the last ones of clients.
func (f *Feed) gather(ctx context.Context, id string) (Requests, error) {
	nodes, err := f.seenNodes(ctx)
	if err != nil {
		return Requests{}, err
	}
	nodes = slices.DeleteFunc(nodes, func(n Node) bool { return n.V1 })
	told, problems := make([][]realnet.PastRequest, len(nodes)), make([]error, len(nodes))
	f.each(ctx, nodes, func(ctx context.Context, i int, dial string) {
		if nodes[i].Error != "" { // it is not waited for
			problems[i] = errors.New(nodes[i].Error)
			return
		}
		told[i], problems[i] = realnet.AskPastRequests(ctx, f.client, dial, id, toldRequests)
	})
	all := Requests{Requests: slices.Concat(told...), Silent: []string{}}
	for i, err := range problems {
		if err != nil {
			all.Silent = append(all.Silent, nodes[i].Address)
		}
	}
	slices.SortFunc(all.Requests, func(a, b realnet.PastRequest) int { return b.Arrived.Compare(a.Arrived) })
	if id == "" { // of clients alone: where one of them has been is asked for by its id
		all.Requests = slices.DeleteFunc(all.Requests, func(r realnet.PastRequest) bool { return r.From != "" })
	}
	all.Requests = append([]realnet.PastRequest{}, all.Requests[:min(len(all.Requests), toldRequests)]...)
	return all, nil
}

// configuration changes nodes.
func (f *Feed) configuration(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostChange))
	var c Change
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	var change realnet.Change
	if err == nil {
		change, err = c.understood()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seen, err := f.seenNodes(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	var nodes []Node
	for _, n := range seen {
		if len(c.Nodes) == 0 && n.Error == "" && !n.V1 || slices.Contains(c.Nodes, n.Address) {
			nodes = append(nodes, n)
		}
	}
	for _, a := range c.Nodes { // no node is called that the cluster does not tell of
		if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Address == a }) {
			http.Error(w, fmt.Sprintf("%.80q is no node of this cluster: nothing is changed", a), http.StatusBadRequest)
			return
		}
	}
	done := struct {
		Nodes []Changed `json:"nodes"`
	}{make([]Changed, len(nodes))}
	f.each(r.Context(), nodes, func(ctx context.Context, i int, dial string) {
		done.Nodes[i].Address = nodes[i].Address
		if err := realnet.SendChange(ctx, f.client, dial, change); err != nil {
			done.Nodes[i].Error = err.Error()
		}
	})
	writeJSON(w, done)
}

// understood is the change as nodes take it.
func (c *Change) understood() (realnet.Change, error) {
	change := realnet.Change{Slots: c.Slots, Room: c.Queue}
	if c.Scheduler != "" {
		d, err := realnet.ParseDescriptor(c.Scheduler, core.Forwarding{})
		if err != nil {
			return change, err
		}
		// JSON goes on as it came: what its forwarding leaves out is each node's own to say.
		if change.Scheduler = json.RawMessage(c.Scheduler); !json.Valid(change.Scheduler) {
			change.Scheduler = json.RawMessage(d.String())
		}
	}
	if change.Scheduler == nil && change.Slots == nil && change.Room == nil {
		return change, errors.New("nothing is to be changed: write scheduler, slots or queue")
	}
	return change, nil
}

// Algorithm is one that nodes may be given.
type Algorithm struct {
	Name       string      `json:"name"`
	Summary    string      `json:"summary"`
	Positional []string    `json:"positional"` // names of its parameters in v1's order; null: it has none
	MaxHops    int         `json:"max_hops"`   // forwards of one task that the rule needs: the default
	Parameters []Parameter `json:"parameters"`
}

// Parameter is one of an algorithm; sched.Param says what its fields are.
type Parameter struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Unit     string   `json:"unit"`
	Default  string   `json:"default"`
	Required bool     `json:"required"`
	Min      string   `json:"min"`
	Max      string   `json:"max"`
	Choices  []string `json:"choices"`
	Flags    []string `json:"flags"` // what v1's list says for each of the choices; null: the same
	Doc      string   `json:"doc"`
}

func schedulers(w http.ResponseWriter, _ *http.Request) {
	all := []Algorithm{}
	for _, name := range sched.Names() {
		e, err := sched.Lookup(name)
		if err != nil {
			panic(fmt.Sprintf("watch: %s has a name and no entry: %v", name, err))
		}
		a := Algorithm{Name: e.Name, Summary: e.Summary, Positional: e.Positional, MaxHops: e.MaxHops, Parameters: []Parameter{}}
		for _, p := range e.Parameters() {
			a.Parameters = append(a.Parameters, Parameter{p.Name, string(p.Type), p.Unit, p.Default, p.Required, p.Min, p.Max, p.Choices, p.Flags, p.Doc})
		}
		all = append(all, a)
	}
	writeJSON(w, all)
}

func source(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"kind": "live"}) }

func writeJSON(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("watch: an answer has no JSON: %v", err))
	}
	head(w, "application/json")
	_, _ = w.Write(text) // where it fails, the reader has gone
}
