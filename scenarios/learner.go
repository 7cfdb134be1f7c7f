package scenarios

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/learner"
)

// learnerDoc is what learns, and how it learns of what its decisions were worth. v1's parameters have v1's names.
type learnerDoc struct {
	Algorithm choice  `key:"algorithm" default:"sarsa" oneof:"sarsa expected-sarsa q-learning double-q dqn sample-average ucb1 linucb thompson"`
	Actions   *count  `key:"actions_n" min:"1" max:"4096"`
	Alpha     share   `key:"alpha" default:"0.01" over:"0"`
	Beta      share   `key:"beta" default:"0.01"`
	Average   boolean `key:"average_reward" default:"true"`
	Gamma     share   `key:"gamma" default:"0.9"`
	Steps     count   `key:"steps" default:"1" min:"1" max:"4096"`
	Lambda    share   `key:"lambda" default:"0"`

	Function   choice  `key:"function" default:"table" oneof:"table tiles linear network"`
	Initial    real    `key:"initial" default:"0"`
	States     count   `key:"states" default:"1000000" min:"1" max:"16777216"`
	Tilings    count   `key:"tilings" default:"8" min:"1" max:"1024"`
	Tiles      []count `key:"tiles"`
	Hash       count   `key:"hash" default:"0" max:"134217728"`
	Hidden     []count `key:"hidden"`
	Activation choice  `key:"activation" default:"tanh" oneof:"tanh relu"`
	Optimizer  choice  `key:"optimizer" default:"adam" oneof:"adam sgd"`
	Clip       real    `key:"clip" default:"1" min:"0"`

	Policy           choice  `key:"policy" default:"epsilon-greedy" oneof:"epsilon-greedy softmax"`
	Epsilon          choice  `key:"epsilon" default:"geometric" oneof:"constant geometric linear harmonic"`
	EpsilonStart     share   `key:"epsilon_start" default:"0.9"`
	EpsilonMin       share   `key:"epsilon_min" default:"0.1"`
	EpsilonDecay     real    `key:"epsilon_decay" default:"0.99" over:"0"`
	EpsilonDecays    boolean `key:"epsilon_decay_enabled" default:"true"`
	Temperature      choice  `key:"temperature" default:"constant" oneof:"constant geometric linear harmonic"`
	TemperatureStart real    `key:"temperature_start" default:"0.1" min:"0"`
	TemperatureMin   real    `key:"temperature_min" default:"0.01" min:"0"`
	TemperatureDecay real    `key:"temperature_decay" default:"10000" over:"0"`

	PerState boolean   `key:"per_state" default:"false"`
	C        real      `key:"c" default:"1.4142135623730951" min:"0"`
	Scale    real      `key:"scale" default:"0" min:"0"`
	Replay   replayDoc `key:"replay" default:"{}"`

	Window    count            `key:"window_size" default:"5" min:"1" max:"16777216"`
	Patience  count            `key:"entry_missing_max_attempts" default:"100" min:"1" max:"16777216"`
	Capacity  count            `key:"capacity" default:"10000" min:"2" max:"16777216"`
	V1        boolean          `key:"v1_compat" default:"false"`
	Train     boolean          `key:"train" default:"true"`
	Weights   *text            `key:"weights"`
	Reward    rewardDoc        `key:"reward" default:"deadline"`
	Inference *distributionDoc `key:"inference"`
	Entries   entriesDoc       `key:"entries" default:"{}"`
	External  *externalDoc     `key:"external"`
}

type replayDoc struct {
	Capacity count   `key:"capacity" default:"10000" min:"1" max:"16777216"`
	Batch    count   `key:"batch" default:"32" min:"1" max:"16777216"`
	Every    count   `key:"every" default:"4" min:"1"`
	Warmup   count   `key:"warmup" default:"500"`
	Target   count   `key:"target" default:"250" min:"1"`
	Double   boolean `key:"double" default:"true"`
}

type rewardDoc struct {
	Kind    choice `key:"kind" oneof:"deadline latency energy formula" kind:"true"`
	Penalty real   `key:"penalty" default:"0"`
	Formula *text  `key:"formula"`
	Weights []real `key:"weights"`
}

func (*rewardDoc) expand(n *yaml.Node) *yaml.Node { return expansion(n, "kind", n.Value) }
func (*rewardDoc) short() *jsonschema.Schema      { return text("").schema() }

type entriesDoc struct {
	Delay *distributionDoc `key:"delay"`
	Loss  share            `key:"loss" default:"0"`
	Batch count            `key:"batch" default:"1" min:"1" max:"100000"`
}

type externalDoc struct {
	Act     text     `key:"act"`
	Train   *text    `key:"train"`
	Timeout duration `key:"timeout" default:"5s" over:"0"`
}

// Learner is what the nodes of a scenario learn with.
type Learner struct {
	Config    learner.Config
	Reward    learner.Reward
	Train     bool               // false: frozen
	Weights   []*learner.Weights // to begin with: none, one for all nodes, or one for each
	Inference random.Dist        // seconds that a decision waits for the learner; nil: none
	Delay     random.Dist        // seconds that an entry takes from the client to the learner; nil: none
	Loss      float64            // probability that a message with entries gets lost
	Batch     int                // entries that a client sends in one message
	External  *External          // the learner is outside the process; nil: it is not
}

// External is where a learner outside the process is.
type External struct {
	Act     string // URL of its websocket
	Train   string // URL of its HTTP service; empty: it is told nothing
	Timeout time.Duration
}

// Of is where the learner of a node is: {node} is its number.
func (e *External) Of(n core.NodeID) (act, train string) {
	number := strconv.Itoa(int(n))
	return strings.ReplaceAll(e.Act, "{node}", number), strings.ReplaceAll(e.Train, "{node}", number)
}

// resolve makes the learner of the scenario. Its algorithm says what states and actions there are; where that asks no
// learner, only the reward counts, so that algorithms can be compared by it.
func (doc *learnerDoc) resolve(b *builder, s *Scenario, w sched.World) *Learner {
	l := &Learner{Train: bool(doc.Train), Loss: float64(doc.Entries.Loss), Batch: int(doc.Entries.Batch)}
	if doc.Inference != nil {
		l.Inference = doc.Inference.resolve(b)
	}
	if doc.Entries.Delay != nil {
		l.Delay = doc.Entries.Delay.resolve(b)
	}
	l.Reward = doc.Reward.resolve(b, s.Functions)
	if e := doc.External; e != nil {
		e.check(b, s)
		l.External = &External{Act: string(e.Act), Timeout: time.Duration(e.Timeout)}
		if e.Train != nil {
			l.External.Train = string(*e.Train)
		}
	}
	if !b.sound(doc) || s.Scheduler.Label == "" {
		return l
	}
	l.Config = doc.config()
	doc.checkExploration(b)
	if asks, ok := s.Scheduler.Spec.New().(sched.Learning); ok {
		dims, actions := asks.Learns(w)
		for _, d := range dims {
			l.Config.Dims = append(l.Config.Dims, learner.Dim(d))
		}
		l.Config.Actions, l.Config.Names = len(actions), actions
		if n := doc.Actions; n != nil && int(*n) != len(actions) {
			b.wrong(n, "%s has %d actions here (%s), not %d: leave the key out", s.Scheduler.Label, len(actions),
				strings.Join(actions, ", "), *n)
		}
	} else if doc.Actions != nil {
		l.Config.Actions = int(*doc.Actions)
	}
	if l.Config.Actions == 0 {
		return l
	}
	if err := l.Config.Check(); err != nil {
		b.wrong(doc, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return l
	}
	if doc.Weights != nil {
		l.Weights = doc.load(b, &l.Config, s.Cluster.Nodes())
	}
	return l
}

// checkExploration refuses what would have an algorithm explore twice. Defaults stand in every resolved file, and say nothing.
func (doc *learnerDoc) checkExploration(b *builder) {
	if !learner.Explores(string(doc.Algorithm)) {
		return
	}
	standard := learner.Default().Policy
	for _, key := range []struct {
		of    any
		given bool
	}{
		{&doc.Policy, string(doc.Policy) != standard.Kind},
		{&doc.Epsilon, string(doc.Epsilon) != standard.Epsilon.Kind},
		{&doc.EpsilonStart, float64(doc.EpsilonStart) != standard.Epsilon.Start},
		{&doc.EpsilonMin, float64(doc.EpsilonMin) != standard.Epsilon.Min},
		{&doc.EpsilonDecay, float64(doc.EpsilonDecay) != standard.Epsilon.Decay},
		{&doc.EpsilonDecays, !bool(doc.EpsilonDecays)},
	} {
		if key.given {
			b.wrong(key.of, "%s explores by itself, and takes the action of the highest value: leave the key out", doc.Algorithm)
		}
	}
}

// check refuses what would mix up learners, or make a run depend on the one before.
func (e *externalDoc) check(b *builder, s *Scenario) {
	nodes := s.Cluster.Nodes()
	for _, url := range []*text{&e.Act, e.Train} {
		if url != nil && nodes > 1 && !strings.Contains(string(*url), "{node}") {
			b.wrong(url, "%q is one learner for %d nodes, whose entries are numbered node by node: write {node} where the "+
				"number of the node belongs, as in ws://127.0.0.1:870{node}", short(string(*url)), nodes)
		}
	}
	if s.Replications != 1 || s.Precision != nil {
		b.wrong(e, "a learner outside the process goes on from where it is, so that replications would depend on one "+
			"another: write replications: 1")
	}
}

// Asks reports whether the nodes have learners, which their algorithm asks.
func (l *Learner) Asks() bool { return l != nil && l.Config.Actions > 0 }

func (doc *learnerDoc) config() learner.Config {
	c := learner.Default()
	c.Algorithm, c.Alpha, c.Beta, c.Average = string(doc.Algorithm), float64(doc.Alpha), float64(doc.Beta), bool(doc.Average)
	c.Gamma, c.Steps, c.Lambda = float64(doc.Gamma), int(doc.Steps), float64(doc.Lambda)
	c.Function = learner.Function{Kind: string(doc.Function), Initial: float64(doc.Initial), States: int(doc.States),
		Tilings: int(doc.Tilings), Tiles: ints(doc.Tiles, c.Function.Tiles), Hash: int(doc.Hash),
		Hidden: ints(doc.Hidden, c.Function.Hidden), Activation: string(doc.Activation),
		Optimizer: string(doc.Optimizer), Clip: float64(doc.Clip)}
	c.Policy = learner.Policy{Kind: string(doc.Policy),
		Epsilon: learner.Schedule{Kind: string(doc.Epsilon), Start: float64(doc.EpsilonStart), Min: float64(doc.EpsilonMin),
			Decay: float64(doc.EpsilonDecay)},
		Temperature: learner.Schedule{Kind: string(doc.Temperature), Start: float64(doc.TemperatureStart),
			Min: float64(doc.TemperatureMin), Decay: float64(doc.TemperatureDecay)}}
	if !doc.EpsilonDecays {
		c.Policy.Epsilon.Kind = "constant"
	}
	if learner.Explores(c.Algorithm) {
		c.Policy.Epsilon = learner.Schedule{Kind: "constant"}
	}
	c.Bandit = learner.Bandit{PerState: bool(doc.PerState), C: float64(doc.C), Scale: float64(doc.Scale)}
	c.Replay = learner.Replay{Capacity: int(doc.Replay.Capacity), Batch: int(doc.Replay.Batch), Every: int(doc.Replay.Every),
		Warmup: int(doc.Replay.Warmup), Target: int(doc.Replay.Target), Double: bool(doc.Replay.Double)}
	c.Window, c.Patience, c.Capacity = int(doc.Window), int(doc.Patience), int(doc.Capacity)
	if doc.V1 {
		c.V1 = learner.V1
	}
	return c
}

// load reads the weights that nodes begin with, which must fit their learner: a file for all of them, or a directory
// with one for each.
func (doc *learnerDoc) load(b *builder, c *learner.Config, nodes int) (all []*learner.Weights) {
	path := string(*doc.Weights)
	if st, err := fs.Stat(b.dir, path); err != nil || !st.IsDir() {
		return append(all, doc.read(b, c, path))
	}
	for n := range nodes {
		w := doc.read(b, c, fmt.Sprintf("%s/node-%d.json", strings.TrimRight(path, "/"), n))
		if all = append(all, w); w == nil {
			break // the others would be missing too
		}
	}
	return all
}

func (doc *learnerDoc) read(b *builder, c *learner.Config, path string) *learner.Weights {
	f, err := b.dir.Open(path)
	if err != nil {
		b.wrong(doc.Weights, "cannot open the weights %s: %v: write the path, relative to the scenario, of a file for "+
			"all nodes or of a directory with node-0.json and so on", short(path), cause(err))
		return nil
	}
	defer f.Close()
	b.opened[path] = true
	w, err := learner.ReadWeights(f)
	if err == nil {
		var l *learner.Learner
		if l, err = learner.New(*c, *rand.NewPCG(0, 0)); err == nil {
			err = l.Load(w)
		}
	}
	if err != nil {
		b.wrong(doc.Weights, "%s: %s", b.shown(path), strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil
	}
	return w
}

func (doc *rewardDoc) resolve(b *builder, functions []Function) learner.Reward {
	r := learner.Reward{Kind: string(doc.Kind), Penalty: float64(doc.Penalty)}
	if doc.Formula != nil {
		r.Formula = string(*doc.Formula)
	}
	if !b.sound(doc) {
		return r
	}
	if err := r.Compile(); err != nil {
		b.wrong(doc, "%s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if len(doc.Weights) > 0 {
		if len(doc.Weights) != len(functions) {
			b.wrong(&doc.Weights, "there are %d weights for %d functions: write one for each", len(doc.Weights), len(functions))
		}
		for _, w := range doc.Weights {
			r.Weights = append(r.Weights, float64(w))
		}
	}
	return r
}

func ints(cs []count, otherwise []int) []int {
	if len(cs) == 0 {
		return otherwise
	}
	n := make([]int, len(cs))
	for i, c := range cs {
		n[i] = int(c)
	}
	return n
}
