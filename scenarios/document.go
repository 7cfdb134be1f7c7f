package scenarios

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core/sched"
)

// document is a scenario file but for its sweep.
type document struct {
	Name         *label        `key:"name"`
	Description  *text         `key:"description"`
	Seed         seed          `key:"seed" default:"1"`
	Duration     duration      `key:"duration" over:"0" eg:"200s"`
	Warmup       portion       `key:"warmup" default:"10%"`
	Replications count         `key:"replications" default:"10" min:"1" max:"1000000"`
	Precision    *precisionDoc `key:"precision"`
	Records      choice        `key:"records" oneof:"auto none sample all" default:"auto"`
	Cluster      clusterDoc    `key:"cluster" eg:"{nodes: 12}"`
	Functions    []functionDoc `key:"functions" need:"true" eg:"[{name: f, service: 300ms}]"`
	Workload     workloadDoc   `key:"workload" eg:"{rate: 8/s}"`
	Client       clientDoc     `key:"client" default:"{}"`
	Scheduler    schedulerDoc  `key:"scheduler" eg:"{name: NoScheduler}"`
	Learner      *learnerDoc   `key:"learner"`
	Real         *realDoc      `key:"real"`

	Faults      []faultDoc          `key:"faults" empty:"true"`
	Hosts       []hostDoc           `key:"hosts"`
	Calibration *calibrationFileDoc `key:"calibration"`
}

// realDoc is what is otherwise in a run on real nodes, whose time is that of the wall.
type realDoc struct {
	Duration     *duration `key:"duration" over:"0"`
	Replications *count    `key:"replications" min:"1" max:"1000000"`
}

type precisionDoc struct {
	Metric       metric `key:"metric"`
	Relative     share  `key:"relative" over:"0"`
	Confidence   share  `key:"confidence" default:"0.95" over:"0" max:"0.999999"`
	Replications count  `key:"max_replications" default:"1000" min:"2" max:"1000000"`
}

type clientDoc struct {
	Link    linkDoc   `key:"link" default:"{}"`
	Timeout *duration `key:"timeout" over:"0"`
}

// patience is how long a client waits; 0: for ever. Where there are faults nobody does.
func (c *clientDoc) patience(faults []Fault) time.Duration {
	switch {
	case c.Timeout != nil:
		return time.Duration(*c.Timeout)
	case faults != nil:
		return time.Minute
	}
	return 0
}

// resolve turns a document into the scenario of one point.
func (doc *document) resolve(b *builder) *Scenario {
	s := &Scenario{
		Name:         b.name,
		Seed:         uint64(doc.Seed),
		Duration:     time.Duration(doc.Duration),
		Warmup:       time.Duration(doc.Warmup.in(doc.Duration)),
		Replications: int(doc.Replications),
		Records:      string(doc.Records),
		Client:       Client{Link: doc.Client.Link.resolve(b)},
	}
	if doc.Name != nil {
		s.Name = string(*doc.Name)
	}
	if doc.Description != nil {
		s.Description = string(*doc.Description)
	}
	if s.Warmup >= s.Duration && s.Duration > 0 {
		b.wrong(&doc.Warmup, "the warm-up of %s is not shorter than the duration of %s: "+
			"nothing is left to measure, write less", doc.Warmup, doc.Duration)
	}
	if p := doc.Precision; p != nil {
		s.Precision = &Precision{Metric: string(p.Metric), Relative: float64(p.Relative), Confidence: float64(p.Confidence),
			Replications: int(p.Replications)}
		if p.Replications < doc.Replications {
			b.wrong(&p.Replications, "at most %d replications, but %d are asked for: write %d or more", p.Replications,
				doc.Replications, doc.Replications)
		}
	}
	s.Cluster = doc.Cluster.resolve(b, s)
	s.Calibration = doc.Calibration.resolve(b)
	s.Functions = resolveFunctions(b, doc, s)
	doc.Calibration.fits(b, s)
	s.Hosts = resolveHosts(b, doc.Hosts, s)
	s.Scheduler = doc.Scheduler.resolve(b, &s.Cluster, len(s.Functions))
	doc.checkTimeouts(b, s)
	doc.resolveLearner(b, s)
	s.Faults = resolveFaults(b, doc.Faults, s)
	s.Client.Timeout = doc.Client.patience(s.Faults)
	s.Workload = doc.Workload.resolve(b, s)
	if len(b.problems) == 0 && len(b.missing) == 0 {
		if n := s.ExpectedTasks(); n > taskLimit {
			b.wrong(&doc.Workload, "a run has about %.3g tasks: write lower rates, fewer nodes or a shorter duration", n)
		}
	}
	return s
}

// resolveLearner makes the learner, which an algorithm that asks one needs.
func (doc *document) resolveLearner(b *builder, s *Scenario) {
	if doc.Learner != nil {
		s.Learner = doc.Learner.resolve(b, s, worldOf(&s.Cluster, s.Scheduler.Forwarding.MaxHops, len(s.Functions)))
		return
	}
	if s.Scheduler.Label == "" {
		return
	}
	if _, asks := s.Scheduler.Spec.New().(sched.Learning); asks {
		b.wrong(&doc.Scheduler, "%s asks the learner of its node, and there is none: write learner: {}, or more",
			s.Scheduler.Label)
	}
}

// taskLimit bounds the tasks of a run: at a million per second, these take twelve days.
const taskLimit = 1e12

// checkTimeouts refuses links that lose messages where nobody would notice.
func (doc *document) checkTimeouts(b *builder, s *Scenario) {
	for _, l := range []*linkDoc{&doc.Cluster.Links.linkDoc, doc.Cluster.cloudLink()} {
		if l == nil || l.Loss == 0 {
			continue
		}
		f := &s.Scheduler.Forwarding
		if f.ProbeTimeout == 0 || f.AnswerTimeout == 0 {
			b.wrong(&l.Loss, "messages get lost, but the scheduler waits for them for ever: "+
				"write scheduler.probe_timeout and scheduler.answer_timeout, like 1s and 30s")
		}
	}
}
