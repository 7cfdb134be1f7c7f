package play

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/ui"
	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

// Source is what the page is told of a run. Times are in seconds since the run began.
type Source struct {
	Kind   string  `json:"kind"` // run
	Name   string  `json:"name"`
	World  string  `json:"world"`
	Label  string  `json:"label"`
	From   float64 `json:"from"` // the end of the warm-up: earlier requests have no records
	To     float64 `json:"to"`
	Points []Point `json:"points"`
	Faults []Mark  `json:"faults"`
}

// Point is what charts show of the time up to At. Nil: nothing ended in it.
type Point struct {
	At        float64  `json:"at"`
	P50       *float64 `json:"p50"` // seconds
	P95       *float64 `json:"p95"`
	Completed float64  `json:"completed"` // per second, as the others
	Rejected  float64  `json:"rejected"`
	Expired   float64  `json:"expired"`
	Lost      float64  `json:"lost"`
	Reward    *float64 `json:"reward"` // mean
}

// Mark is a fault on the time line.
type Mark struct {
	Name  string   `json:"name"`
	At    float64  `json:"at"`
	Until *float64 `json:"until"` // nil: the end of the run
}

// Source describes the time line.
func (t *Timeline) Source() Source {
	s := Source{Kind: "run", Name: t.Name, World: t.World, Label: t.Label, From: t.From.Seconds(), To: t.To.Seconds(), Faults: []Mark{}}
	for i, before := 1, t.From; i <= points; i++ {
		at := t.From.Add(t.To.Sub(t.From) * time.Duration(i) / points)
		f := t.frame(at, at.Sub(before))
		before = at
		p := Point{At: at.Seconds(), Completed: f.Rates.Completed, Rejected: f.Rates.Rejected, Expired: f.Rates.Expired, Lost: f.Rates.Lost}
		if l := f.Latency; l != nil {
			p.P50, p.P95 = &l.P50, &l.P95
		}
		p.Reward = reward(f.Nodes)
		s.Points = append(s.Points, p)
	}
	for _, o := range t.faults {
		m := Mark{Name: o.name, At: o.from.Seconds()}
		if o.to != core.Never {
			until := o.to.Seconds()
			m.Until = &until
		}
		s.Faults = append(s.Faults, m)
	}
	return s
}

// reward is the mean over nodes that had some.
func reward(nodes []watch.Node) *float64 {
	sum, k := 0.0, 0
	for i := range nodes {
		if l := nodes[i].Learner; l != nil {
			sum += l.Mean
			k++
		}
	}
	if k == 0 {
		return nil
	}
	sum /= float64(k)
	return &sum
}

// Handler serves the page of the run.
func (t *Timeline) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range ui.Paths() {
		mux.HandleFunc("GET "+path, ui.Serve)
	}
	mux.Handle("GET /{$}", http.RedirectHandler(ui.Root, http.StatusFound))
	source := t.Source()
	mux.HandleFunc("GET /ui/source", func(w http.ResponseWriter, _ *http.Request) { write(w, source) })
	mux.HandleFunc("GET /ui/cluster", func(w http.ResponseWriter, r *http.Request) {
		if at, ok := t.asked(w, r); ok {
			write(w, t.At(at))
		}
	})
	mux.HandleFunc("GET /ui/requests", func(w http.ResponseWriter, r *http.Request) {
		if at, ok := t.asked(w, r); ok {
			write(w, t.Requests(at, r.URL.Query().Get("request")))
		}
	})
	return mux
}

// asked is the instant that is asked for.
func (t *Timeline) asked(w http.ResponseWriter, r *http.Request) (core.Time, bool) {
	text := r.URL.Query().Get("at")
	at, err := strconv.ParseFloat(text, 64)
	if err != nil || !(at >= t.From.Seconds() && at <= t.To.Seconds()) {
		http.Error(w, fmt.Sprintf("at is %.40q: write seconds from %g to %g", text, t.From.Seconds(), t.To.Seconds()), http.StatusBadRequest)
		return 0, false
	}
	return core.Time(at * 1e9), true
}

func write(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("play: an answer has no JSON: %v", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // where it fails, the reader has gone
}
