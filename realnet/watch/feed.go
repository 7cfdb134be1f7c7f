package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Bounds of a Feed.
const (
	mostReaders = 64 // of /ui/events, at once
	linger      = 10 // intervals that the Watcher goes on after the last one has gone
)

// Feed serves what the page of a node (package ui) asks for. What a Watcher sees: GET /ui/cluster a Cluster as JSON, and GET /ui/events server-sent events named cluster, one for
// each look, with the same as data. All readers share one Watcher, which runs only while somebody reads: it begins with the first
// and goes on for ten intervals after the last, so that whoever asks for /ui/cluster again and again gets rates.
type Feed struct {
	options Options
	client  *http.Client // for what is asked besides the looks
	mux     *http.ServeMux
	life    context.Context
	die     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	stop    context.CancelFunc // ends the Watcher; nil: none runs
	last    []byte             // what it saw last, as JSON; nil: nothing yet
	seen    chan struct{}      // closed when it has seen something else
	readers int                // of events
	until   time.Time          // the Watcher goes on without readers

	past struct {
		sync.Mutex           // held while the nodes are asked: who comes meanwhile has the same answer
		at         time.Time // when they had answered
		requests   Requests
	}
}

// NewFeed returns a Feed that nobody reads yet. The error is about the addresses.
func NewFeed(o Options) (*Feed, error) {
	w, err := New(o)
	if err != nil {
		return nil, err
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	f := &Feed{options: o, client: w.client, mux: http.NewServeMux(), seen: make(chan struct{})}
	f.life, f.die = context.WithCancel(context.Background())
	f.mux.HandleFunc("GET /ui/cluster", f.cluster)
	f.mux.HandleFunc("GET /ui/events", f.events)
	f.mux.HandleFunc("GET /ui/requests", f.requests)
	f.mux.HandleFunc("GET /ui/schedulers", schedulers)
	f.mux.HandleFunc("GET /ui/source", source)
	f.mux.HandleFunc("POST /ui/configuration", f.configuration)
	return f, nil
}

// ServeHTTP implements http.Handler.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

// Close ends all events, and the Watcher, and returns when it has ended.
func (f *Feed) Close() {
	f.mu.Lock() // from now on none is started
	f.die()
	f.mu.Unlock()
	f.running.Wait()
	f.client.CloseIdleConnections()
}

// enter adds a reader of events, unless there are too many.
func (f *Feed) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers >= mostReaders {
		return false
	}
	f.readers++
	return true
}

func (f *Feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
}

// attend has the Watcher run, and returns what it saw last and what tells of the next.
func (f *Feed) attend() (last []byte, next <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = time.Now().Add(linger * f.options.Interval)
	if f.stop == nil && f.life.Err() == nil {
		var ctx context.Context
		ctx, f.stop = context.WithCancel(f.life)
		f.running.Go(func() { f.watch(ctx) })
	}
	return f.last, f.seen
}

// watch runs a Watcher until nobody reads any more.
func (f *Feed) watch(ctx context.Context) {
	w, err := New(f.options)
	if err != nil {
		panic(err) // NewFeed has tried it
	}
	defer w.Close()
	w.Run(ctx, func(c *Cluster) {
		text, err := json.Marshal(c)
		if err != nil { // of what some node said
			slog.Error("what is seen of the cluster cannot be told: the page stays as it is", "error", err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if err == nil {
			f.last = text
			close(f.seen)
			f.seen = make(chan struct{})
		}
		if f.readers == 0 && time.Now().After(f.until) {
			f.stop() // what is asked for from here on starts another one
			f.stop, f.last = nil, nil
		}
	})
}

// await returns what was seen last, once there is something.
func (f *Feed) await(ctx context.Context) ([]byte, error) {
	last, next := f.attend()
	for last == nil {
		select {
		case <-next:
			last, next = f.attend()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-f.life.Done():
			return nil, errors.New("the node is shutting down")
		}
	}
	return last, nil
}

func (f *Feed) cluster(w http.ResponseWriter, r *http.Request) {
	last, err := f.await(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	head(w, "application/json")
	_, _ = w.Write(last) // where it fails, the reader has gone
}

func head(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
}

func (f *Feed) events(w http.ResponseWriter, r *http.Request) {
	if !f.enter() {
		http.Error(w, fmt.Sprintf("%d readers have events already, and there can be no more", mostReaders), http.StatusServiceUnavailable)
		return
	}
	defer f.leave()
	last, next := f.attend()
	head(w, "text/event-stream")
	out := http.NewResponseController(w)
	for {
		if last != nil {
			if _, err := fmt.Fprintf(w, "event: cluster\ndata: %s\n\n", last); err != nil {
				return
			}
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-next:
			last, next = f.attend()
		case <-r.Context().Done():
			return
		case <-f.life.Done():
			return
		}
	}
}
