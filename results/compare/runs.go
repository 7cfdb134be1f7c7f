package compare

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/results"
)

// Options say how to compare.
type Options struct {
	Margins   []Margin // nil: DefaultMargins
	Points    []string // labels of the points to compare (results.Run.Label); nil: all that both runs have
	Resamples int      // of the bootstrap; 0: 1000
	Seed      uint64   // of the bootstrap: the same seed gives the same intervals
}

const (
	defaultResamples = 1000
	// fewestResamples leave something beyond each end of the intervals of causes, which are of 99 %.
	fewestResamples = 400
)

func (o *Options) complete() error {
	var problems []error
	if o.Margins == nil {
		o.Margins = DefaultMargins()
	}
	for _, m := range o.Margins {
		problems = append(problems, checkMetric(m.Metric))
	}
	if o.Resamples == 0 {
		o.Resamples = defaultResamples
	}
	if o.Resamples < fewestResamples {
		problems = append(problems, fmt.Errorf("%d resamples say nothing about the ends of an interval: take %d or more",
			o.Resamples, fewestResamples))
	}
	return errors.Join(problems...)
}

// Runs compares run b with run a, the reference. Points are those that have the same label in both, the scheduler and the
// values of the swept keys. Both runs need a directory with the records of all their requests.
func Runs(a, b *results.Run, o Options) (*Comparison, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	c := &Comparison{A: sideOf(a), B: sideOf(b), Margins: o.Margins, Notes: notes(a, b)}
	x, y, unmatched, err := match(a, b, o.Points)
	if err != nil {
		return nil, err
	}
	c.Unmatched = unmatched
	var functions names
	first, errA := read(a, x, &functions)
	second, errB := read(b, y, &functions)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	c.Points = make([]Point, len(x))
	var work sync.WaitGroup
	cores := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, p := range x {
		cores <- struct{}{}
		work.Go(func() {
			defer func() { <-cores }()
			pair := align(first[p.Index], second[y[i].Index], functions)
			c.Points[i] = o.compare(pair, rand.New(random.Stream(o.Seed, p.Index, "bootstrap", 0)))
			q := &c.Points[i]
			q.Label, q.Scheduler, q.Values = a.Label(p), p.Scheduler, p.Values
			inA, inB := p.Replications, y[i].Replications
			if pair.paired {
				inA, inB = results.Common(p, y[i])
			}
			for _, r := range inB {
				q.Replications = append(q.Replications, r.Index)
			}
			q.Nodes, q.Load = nodesOf(inA, inB), loadOf(inA, inB)
		})
	}
	work.Wait()
	return c, nil
}

func sideOf(r *results.Run) Side {
	return Side{Name: r.Name, World: r.World, Dir: r.Dir, Host: r.Host, Version: r.Version, Algorithms: r.Algorithms, Seed: r.Seed,
		Started: r.Started}
}

// notes are what a reader of a comparison has to know of the runs.
func notes(a, b *results.Run) []string {
	var notes []string
	if a.Algorithms != b.Algorithms {
		notes = append(notes, "The code of the algorithms is not the same in both runs.")
	}
	for i, r := range []*results.Run{a, b} {
		side := "AB"[i : i+1]
		if r.State != results.Complete {
			notes = append(notes, fmt.Sprintf("Run %s is not complete: what it lacks is not compared.", side))
		}
		if slices.ContainsFunc(r.Points, func(p *results.Point) bool {
			return slices.ContainsFunc(p.Replications, func(r *results.Replication) bool { return r.Reality != nil && r.Reality.Share != "" })
		}) {
			notes = append(notes, fmt.Sprintf("In run %s other load generators sent a part of the requests, of which it knows nothing.", side))
		}
	}
	if a.Name != b.Name {
		notes = append(notes, fmt.Sprintf("The scenarios have different names: %s in run A, %s in run B. What they have in common is compared.", a.Name, b.Name))
	}
	for i, r := range []*results.Run{a, b} {
		if r.World == "sim" {
			continue // what its warnings are about does not happen there, or stands in the intervals
		}
		for _, w := range r.Warnings() {
			notes = append(notes, fmt.Sprintf("Of run %s: %s", "AB"[i:i+1], w))
		}
	}
	return notes
}

// match finds the points that both runs have and that are wanted, in the order of A.
func match(a, b *results.Run, wanted []string) (x, y []*results.Point, unmatched []string, err error) {
	labels := func(r *results.Run) (list []string) {
		for _, p := range r.Points {
			list = append(list, r.Label(p))
		}
		return list
	}
	inA, inB := labels(a), labels(b)
	all := slices.Concat(inA, inB)
	var problems []error
	for _, label := range wanted {
		if !slices.Contains(all, label) {
			problems = append(problems, fmt.Errorf("neither run has a point %q: the nearest is %q", label, spelling.Nearest(label, all)[0]))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, nil, nil, err
	}
	want := func(label string) bool { return wanted == nil || slices.Contains(wanted, label) }
	for i, label := range inA {
		switch j := slices.Index(inB, label); {
		case !want(label):
		case j < 0:
			unmatched = append(unmatched, label+" (only in A)")
		default:
			x, y = append(x, a.Points[i]), append(y, b.Points[j])
		}
	}
	for _, label := range inB {
		if want(label) && !slices.Contains(inA, label) {
			unmatched = append(unmatched, label+" (only in B)")
		}
	}
	if len(x) == 0 {
		return nil, nil, nil, fmt.Errorf("the runs have no point in common: %s has %s; %s has %s. Compare runs of one scenario",
			a.Dir, strings.Join(inA, "; "), b.Dir, strings.Join(inB, "; "))
	}
	return x, y, unmatched, nil
}

// compare compares the two sides of a point.
func (o *Options) compare(p *pair, rng *rand.Rand) Point {
	q := Point{Paired: p.paired, RequestsA: p.a.requests(), RequestsB: p.b.requests(), Common: p.common, Notes: p.notes}
	if q.RequestsA == 0 || q.RequestsB == 0 {
		q.Notes = append(q.Notes, "A side has no requests: there is nothing to compare.")
		none := math.NaN()
		for _, m := range o.Margins {
			q.Metrics = append(q.Metrics, Metric{Name: m.Metric, Unit: unitOf(m.Metric), A: none, B: none, Difference: none, Lo: none, Hi: none,
				Margin: none, Verdict: Undecided})
		}
		return q
	}
	a, b := newLedger(p.a), newLedger(p.b)
	metrics := slices.Clone(standardMetrics)
	for _, m := range o.Margins {
		if !slices.Contains(metrics, m.Metric) {
			metrics = append(metrics, m.Metric)
		}
	}
	pooled := pool(a, b)
	looking := detectors(p, a, b)
	estimators := []estimator{figures(metrics, a, b), figures(partMetrics, a, b), pooled.estimator()}
	for _, d := range looking {
		estimators = append(estimators, d.estimator())
	}
	q.Block = blockLength(p)
	e := bootstrap(p, q.Block, o.Resamples, rng, estimators)
	q.Metrics = metricsOf(metrics, &e[0], a, b)
	for i := range q.Metrics {
		q.Metrics[i].judge(o.Margins)
	}
	q.Parts = partsOf(&e[1])
	q.Distances = distancesOf(&e[2])
	q.Decisions, q.Quantiles = decisionsOf(p), quantilesOf(a, b)
	for i, d := range looking {
		q.Causes = append(q.Causes, d.causes(&e[3+i])...)
	}
	if q.Causes == nil {
		q.Causes = decided(metrics, &e[0])
	}
	drops := q.Metrics[slices.Index(metrics, "drop_rate")].Difference * q.Metrics[0].A
	q.Causes = ranked(q.Causes, q.Parts[waiting].Difference, drops)
	return q
}
