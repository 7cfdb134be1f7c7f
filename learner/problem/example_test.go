package problem_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/p2pfaas/p2pfaas/learner/problem"
)

// What it costs to accept every customer, and what it costs to explore.
func Example() {
	p, err := problem.Parse("ACCESS", "servers=10;p_free=0.06;prios=1/2/4/8;probs=uniform;assigned_can_free_same_step=1")
	if err != nil {
		fmt.Println(err)
		return
	}
	m := p.(problem.Finite).Model()
	all := func([]float64) int { return 1 }
	fmt.Printf("optimum    %.3f\n", m.Solve().Gain)
	fmt.Printf("explore    %.3f\n", m.EpsilonGreedy(0.1).Gain)
	fmt.Printf("accept all %.3f\n", m.Evaluate(m.Deterministic(all)).Gain)

	r := rand.New(rand.NewPCG(1, 2))
	s := make([]float64, p.Dim())
	sum, steps := 0.0, 1000000
	p.Reset(r)
	for range steps {
		p.State(s)
		reward, _, _ := p.Step(all(s), r)
		sum += reward
	}
	fmt.Printf("simulated  %.1f\n", sum/float64(steps))
	// Output:
	// optimum    2.748
	// explore    2.647
	// accept all 2.181
	// simulated  2.2
}
