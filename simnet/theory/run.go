package theory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// tables say how to simulate the cases of each table, and how to measure their values.
var tables = map[string]func(*params) []model{
	"MM1": mm1, "MMCK": mmck, "ERLB": erlangB, "MMC": mmc, "MG1": mg1, "MG1LN": mg1Lognormal, "MG1K": mg1k, "GIM1": gim1,
	"GIM1K": gim1k, "GIMCC": gimcc, "RR": roundRobin, "MDC": mdc, "MMPP": mmpp, "PRIO": priorities, "SRPT": sizeBased,
	"PAT": patience, "DEADL": deadlines, "COLD": coldStarts, "ROUTE": routing, "FWD": forwarding, "NHPP": curves,
	"MTINF": infinite, "JSQD": jsq, "JSQDK": jsqBounded, "REFINED": jsqRefined, "LLS": ll, "LLP": ll, "LLF": ll,
	"LLSMALL": ll, "LLHET": llClasses, "LLDEL": llDelayed, "REFLLS": llRefined, "REFLLP": llRefined, "REFLLF": llRefined,
	"JIQ": idleQueues, "WS": stealingOnce, "WSR": stealingAgain, "RED": redundancy, "STALEP": stalePeriodic,
	"STALEI": staleExponential, "FN-JSQ": jsqFinite, "FN-LL": llFinite,
}

// Tables are the names of the tables.
func Tables() []string { return slices.Sorted(maps.Keys(tables)) }

// quick are the cases of the fast subset: one of every table at least.
var quick = []string{"MM1-P005", "MMCK-P013", "MMCK-P031", "ERLB-P013", "MMC-P008", "MDC-P002", "MG1-P008", "MG1-P011",
	"MG1LN-P001", "MG1K-P007", "GIM1-P004", "GIM1-P006", "GIM1K-P005", "GIMCC-P006", "RR-P006", "MMPP-P003", "PRIO-P003",
	"PRIO-P004", "SRPT-P001", "PAT-P003", "DEADL-P001", "COLD-P004", "ROUTE-P001", "FWD-P001", "NHPP-P001", "MTINF-P001",
	"JSQD-P007", "JSQDK-P014", "REFINED-P007", "LLS-P025", "LLP-P037", "LLF-P014", "LLSMALL-P005", "LLSMALL-P011",
	"LLHET-P002", "LLDEL-P005", "REFLLS-P025", "REFLLP-P037", "REFLLF-P008", "JIQ-P002", "WS-P001", "WSR-P002", "RED-P011",
	"STALEP-P006", "STALEI-P002", "FN-JSQ-P008", "FN-LL-P031", "FN-LL-P046"}

// Options say what to validate.
type Options struct {
	Cases    []Case                    // nil: Cases()
	Select   string                    // patterns as of path.Match on tables and cases, separated by commas; "": all
	Fast     bool                      // short runs, and where nothing is selected one case or two of every table
	Workers  int                       // replications at a time
	Traffic  string                    // folder of the first P2PFaaS's traffic_node_0.csv and so on; "": without NHPP
	Seed     uint64                    // added to the seeds of the scenarios
	Progress func(done, total float64) // told by how many requests of how many; from several goroutines
}

// experiment is a scenario and what is to be measured in it. Equal ones of different cases are one.
type experiment struct {
	text       string
	scenario   *scenarios.Scenario
	estimators []estimator
	values     [][]float64 // by estimator and replication
	rows       []int       // by estimator
}

// plan is what a run has to do.
type plan struct {
	rows        []Row
	experiments []*experiment
	byBody      map[string]*experiment
	comparisons int
}

// InputError says that what was asked for cannot be planned: nothing is selected, a case lacks a parameter.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// Run simulates the cases and compares. The rows are in the order of the cases. The error is an *InputError, or tells
// what went wrong in a simulation.
func Run(ctx context.Context, o Options) ([]Row, error) {
	p, err := newPlan(o)
	if err != nil {
		return nil, &InputError{err}
	}
	if err := p.simulate(ctx, o); err != nil {
		return nil, err
	}
	for _, x := range p.experiments {
		for i, row := range x.rows {
			p.rows[row].judge(x.values[i], x.estimators[i].share, p.comparisons)
		}
	}
	return p.rows, nil
}

// Scenarios are the scenario files that a case is measured with.
func (c *Case) Scenarios() ([]string, error) {
	p, err := newPlan(Options{Cases: []Case{*c}})
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, x := range p.experiments {
		texts = append(texts, x.text)
	}
	return texts, nil
}

func newPlan(o Options) (*plan, error) {
	cases := o.Cases
	if cases == nil {
		cases = Cases()
	}
	if err := o.checkSelect(cases); err != nil {
		return nil, err
	}
	p := &plan{byBody: map[string]*experiment{}}
	var problems []error
	for i := range cases {
		if c := &cases[i]; o.wants(c) {
			problems = append(problems, p.add(c, o))
		}
	}
	return p, errors.Join(problems...)
}

// checkSelect refuses patterns that match nothing: a misspelt one among others would leave out what was meant.
func (o *Options) checkSelect(cases []Case) error {
	if o.Select == "" {
		return nil
	}
	var problems []error
	for pattern := range strings.SplitSeq(o.Select, ",") {
		if _, err := path.Match(pattern, ""); err != nil {
			problems = append(problems, fmt.Errorf("%q is not a pattern: write one such as MM1 or LLS-P0*", pattern))
		} else if !slices.ContainsFunc(cases, func(c Case) bool { return c.matches(pattern) }) {
			problems = append(problems, fmt.Errorf("%q matches no table and no case: the nearest are %s; the tables are %s",
				pattern, strings.Join(nearest(pattern, cases), ", "), strings.Join(tablesOf(cases), ", ")))
		}
	}
	return errors.Join(problems...)
}

// tablesOf are the names of the tables that the cases are of.
func tablesOf(cases []Case) []string {
	names := map[string]bool{}
	for _, c := range cases {
		names[c.Table] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// nearest are the few tables and cases that a pattern was most likely meant to be.
func nearest(pattern string, cases []Case) []string {
	names := tablesOf(cases)
	for _, c := range cases {
		names = append(names, c.ID)
	}
	return spelling.Nearest(pattern, names)[:min(3, len(names))]
}

func (c *Case) matches(pattern string) bool {
	for _, name := range []string{c.ID, c.Table} {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

func (o *Options) wants(c *Case) bool {
	if o.Select == "" {
		return !o.Fast || o.Cases != nil || slices.Contains(quick, c.ID)
	}
	return slices.ContainsFunc(strings.Split(o.Select, ","), c.matches)
}

// add plans the experiments of a case.
func (p *plan) add(c *Case, o Options) error {
	of := newParams(c)
	of.traffic = o.Traffic
	todo := map[string]Value{}
	for _, v := range c.Values {
		if reason := leftOut(of, v); reason != "" {
			p.rows = append(p.rows, Row{Case: c.ID, Table: c.Table, Metric: v.Metric, Expected: v.Value, Verdict: Skipped,
				Reason: reason})
			continue
		}
		todo[v.Metric] = v
	}
	build := tables[c.Table]
	if build == nil {
		return fmt.Errorf("%s: there is no table %q: write one of %s", c.ID, c.Table, strings.Join(Tables(), ", "))
	}
	if len(todo) == 0 {
		return nil
	}
	models := build(of)
	if err := of.err(); err != nil {
		return err
	}
	for i := range models {
		if err := p.measure(c, &models[i], todo, o); err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	for _, v := range c.Values {
		if _, left := todo[v.Metric]; left && !p.measures(c, v.Metric) {
			return fmt.Errorf("%s: nothing measures %s", c.ID, v.Metric)
		}
	}
	return nil
}

func (p *plan) measures(c *Case, metric string) bool {
	return slices.ContainsFunc(p.rows, func(r Row) bool { return r.Case == c.ID && r.Metric == metric })
}

// measure plans one experiment of a case.
func (p *plan) measure(c *Case, m *model, todo map[string]Value, o Options) error {
	e := full
	if o.Fast {
		e = fast
	}
	body := m.body(e, o.Seed)
	x := p.byBody[body]
	for _, v := range c.Values {
		estimate, ok := m.measures[v.Metric]
		if _, wanted := todo[v.Metric]; !ok || !wanted {
			continue
		}
		if x == nil {
			var err error
			if x, err = newExperiment(c, m, body); err != nil {
				return err
			}
			p.byBody[body] = x
			p.experiments = append(p.experiments, x)
		}
		x.estimators = append(x.estimators, estimate)
		x.values = append(x.values, make([]float64, x.scenario.Replications))
		x.rows = append(x.rows, len(p.rows))
		p.rows = append(p.rows, Row{Case: c.ID, Table: c.Table, Variant: m.variant, Metric: v.Metric, Expected: v.Value,
			Scenario: x.text})
		p.comparisons++
	}
	return nil
}

// disk opens files of traces anywhere.
type disk struct{}

func (disk) Open(name string) (fs.File, error) { return os.Open(name) }

func newExperiment(c *Case, m *model, body string) (*experiment, error) {
	about := c.Model + "; " + c.Params
	if m.variant != "" {
		about += "; " + m.variant
	}
	x := &experiment{text: fmt.Sprintf("name: %s\ndescription: %q\n%s", c.ID, about, body)}
	f, err := scenarios.Parse(c.ID+".yaml", []byte(x.text), disk{})
	if err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, x.text)
	}
	points, err := f.Points()
	if err != nil {
		return nil, err
	}
	x.scenario = points[0].Scenario
	return x, nil
}

// recorded is how many requests of a replication are looked at one by one, where an estimator needs that.
const recorded = 20_000

// simulate runs all replications of all experiments, the longest first.
func (p *plan) simulate(ctx context.Context, o Options) error {
	type job struct {
		x           *experiment
		replication int
	}
	var jobs []job
	total := 0.0
	for _, x := range p.experiments {
		for i := range x.scenario.Replications {
			jobs = append(jobs, job{x, i})
			total += x.scenario.ExpectedTasks()
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int {
		return cmp.Compare(b.x.scenario.ExpectedTasks(), a.x.scenario.ExpectedTasks())
	})
	var mu sync.Mutex
	next, done := 0, 0.0
	var failure error
	var workers sync.WaitGroup
	for range max(1, o.Workers) {
		workers.Go(func() {
			for {
				mu.Lock()
				if failure == nil && ctx.Err() != nil {
					failure = ctx.Err()
				}
				if failure != nil || next == len(jobs) {
					mu.Unlock()
					return
				}
				j := jobs[next]
				next++
				mu.Unlock()
				n, err := j.x.replicate(ctx, j.replication)
				mu.Lock()
				done += float64(n)
				if err != nil && failure == nil {
					failure = err
				}
				if o.Progress != nil {
					o.Progress(done, total)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return failure
}

// replicate runs one replication and keeps nothing of it but what is to be measured.
func (x *experiment) replicate(ctx context.Context, replication int) (jobs uint64, err error) {
	var o simnet.Options
	if slices.ContainsFunc(x.estimators, func(e estimator) bool { return e.records }) {
		o.Sample = recorded
	}
	w, err := simnet.New(x.scenario, replication, o)
	if err != nil {
		return 0, err
	}
	r, err := w.Run(func() bool { return ctx.Err() != nil })
	if err != nil {
		return 0, err
	}
	for i, e := range x.estimators {
		x.values[i][replication] = e.of(r)
	}
	return r.Jobs, nil
}
