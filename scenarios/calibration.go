package scenarios

import (
	"time"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Calibration is what was measured of real nodes by p2pfaas calibrate, for a simulation of them (docs/adr/0015).
type Calibration struct {
	Measured Measured
	Cores    int     // of the machine
	Timer    Spread  // lateness of an exact wait: what a load generator and a sleeping function add
	Link     Spread  // round trip between two nodes on the bare network
	Idle     float64 // cores that a node keeps busy by itself, without a request
	Costs    Costs
	// Functions are those that were measured, by name: what is not among them costs as Costs say, and takes its service time.
	Functions map[string]CalibratedFunction
}

// Measured says where a calibration comes from.
type Measured struct {
	At       time.Time
	Host     string // as run.json has it
	Version  string // of the program
	Scenario string // name of the scenario whose nodes were measured
	Target   string // local, compose, hosts, or nodes for those that somebody else runs
	Seed     uint64 // of the micro-experiments
	Requests int    // that were sent for it
	// Notes cast doubt on what was measured: other programs were busy, say.
	Notes []string
}

// Costs are what the parts of a request cost beyond links, waiting and the function itself.
type Costs struct {
	Client  Cost // between a client and its node, both ways together, the generator's lateness included
	Probe   Cost // a round of probes, there and back
	Forward Cost // a request's way to a peer
	Return  Cost // the answer's way back
	Act     Cost // of asking the node's learner, beyond its inference
	Call    Cost // of a function, beyond its service time
}

// Cost is what a part of a request takes where nothing is to be waited for.
type Cost struct {
	Time Spread        // on the clock
	CPU  time.Duration // processor time of all processes, mean
}

// Spread is an empirical distribution: equally likely values, ascending. No values stand for 0.
type Spread []time.Duration

// CalibratedFunction is a function as it was measured.
type CalibratedFunction struct {
	// Stretch is the service time over the demand, where the function is told its demand; 1 where it is exact.
	Stretch float64
	// Service is the service time where nobody tells the function its demand; empty: the demand is told.
	Service Spread
	Fits    []Fit   // families for Service, the best by AIC first
	Call    Cost    // in place of Costs.Call
	CPU     float64 // share of the service time during which it keeps a core busy
	// Slowdown is how long so many executions at once took on one machine, over one by itself.
	Slowdown []Slowdown
	// Nodes are factors of the service time by node, where nodes differ; empty: they do not.
	Nodes []float64
}

// Slowdown is that of AtOnce executions at once.
type Slowdown struct {
	AtOnce int
	Factor float64 // measured
	Model  float64 // what processor sharing with CPU, Cores and the costs of requests says
}

// Fit is a family of distributions, fitted by maximum likelihood.
type Fit struct {
	Distribution string  // as a scenario writes it: {distribution: lognormal, mean: 80ms, scv: 0.3}
	AIC          float64 // Akaike's criterion: less is better
	KS           float64 // distance of Kolmogorov and Smirnov to what was measured
	P            float64 // of that distance, by parametric bootstrap: below 0.05 the family does not fit
}

// Mean of the spread.
func (s Spread) Mean() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sum := time.Duration(0)
	for _, v := range s {
		sum += v
	}
	return sum / time.Duration(len(s))
}

// Dist is the spread as a distribution in seconds.
func (s Spread) Dist() random.Dist {
	if len(s) == 0 {
		return random.NewConstant(0)
	}
	values := make([]float64, len(s))
	for i, v := range s {
		values[i] = v.Seconds()
	}
	return random.NewEmpirical(values, nil)
}
