package learner

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// Answer is what a client knows when its request has ended. Durations are in seconds, energy in joules.
type Answer struct {
	Completed bool    `expr:"completed"` // executed, and the answer came back
	InTime    bool    `expr:"in_time"`   // completed within the deadline, or completed and had none
	Rejected  bool    `expr:"rejected"`  // refused, by the algorithm or for lack of room
	Forwarded bool    `expr:"forwarded"` // executed at another node than the one that was called
	Latency   float64 `expr:"latency"`
	Deadline  float64 `expr:"deadline"` // relative to the arrival; 0 = none
	Energy    float64 `expr:"energy"`   // above idle, that the request cost
	Hops      int     `expr:"hops"`
	Type      int     `expr:"type"`     // number of the function
	Function  string  `expr:"function"` // its name
	Action    int     `expr:"action"`   // the learner's; -1 where none was asked
}

// answerNames are what a formula may refer to.
var answerNames = func() (names []string) {
	t := reflect.TypeFor[Answer]()
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("expr"))
	}
	return names
}()

// Reward says what an answer is worth.
type Reward struct {
	// Kind is one of RewardKinds:
	//
	//	deadline  1 in time, 0 otherwise: v1's
	//	latency   minus the latency; Penalty where the request did not complete
	//	energy    minus the energy; Penalty where the request did not complete
	//	formula   Formula
	Kind    string  `json:"kind"`
	Penalty float64 `json:"penalty,omitempty"`
	// Formula is an expression over the fields of Answer, as "in_time ? 1 : -latency", in the language of
	// github.com/expr-lang/expr, with abs, min, max, floor, ceil and round.
	Formula string `json:"formula,omitempty"`
	// Weights multiply the reward, by function; nil: 1 each.
	Weights []float64 `json:"weights,omitempty"`

	program *vm.Program
	machine *vm.VM
}

// RewardKinds are the names of the kinds.
var RewardKinds = []string{"deadline", "latency", "energy", "formula"}

// Compile prepares the reward, and reports what is wrong with it.
func (r *Reward) Compile() error {
	if !slices.Contains(RewardKinds, r.Kind) {
		return fmt.Errorf("reward %q: use %s", r.Kind, strings.Join(spelling.Nearest(r.Kind, RewardKinds), ", "))
	}
	if !finite(r.Penalty) {
		return fmt.Errorf("the penalty of the reward must be finite")
	}
	if r.Kind != "formula" {
		return nil
	}
	if strings.TrimSpace(r.Formula) == "" {
		return fmt.Errorf("a reward of kind formula needs one, such as in_time ? 1 : -latency")
	}
	p, err := expr.Compile(r.Formula, expr.Env(Answer{}), expr.AsFloat64())
	if err != nil {
		what, _, _ := strings.Cut(err.Error(), "\n") // what follows points at the place, over several lines
		return fmt.Errorf("the formula %q of the reward: %s: write an expression over %s", r.Formula, what,
			strings.Join(answerNames, ", "))
	}
	r.program, r.machine = p, &vm.VM{}
	return nil
}

// Of is what an answer is worth. It may be no finite number, where a formula gives none: a learner refuses that. An
// error is a formula that failed.
func (r *Reward) Of(a *Answer) (float64, error) {
	x := 0.0
	switch r.Kind {
	case "deadline":
		if a.InTime {
			x = 1
		}
	case "latency":
		x = -a.Latency
	case "energy":
		x = -a.Energy
	case "formula":
		v, err := r.machine.Run(r.program, *a)
		if err != nil {
			return math.NaN(), fmt.Errorf("the formula %q of the reward: %w", r.Formula, err)
		}
		x = v.(float64)
	}
	if !a.Completed && (r.Kind == "latency" || r.Kind == "energy") {
		x = r.Penalty
	}
	if a.Type < len(r.Weights) {
		x = float64(x * r.Weights[a.Type])
	}
	return x, nil
}
