package sched

import (
	"errors"
	"fmt"
	"math"

	"github.com/p2pfaas/p2pfaas/core"
)

// ProbabilisticSplit routes tasks by given probabilities: a task that arrives at node i goes to node j with probability
// Matrix[i][j]. A matrix of one row holds for all nodes. One more column than there are nodes is the cloud.
//
// Source: static load balancing of Tantawi and Towsley, Optimal static load balancing in distributed computer systems,
// J. ACM 32(2), 1985; the optimal split of parallel M/M/1 nodes: Bell and Stidham, Management Science 29(7), 1983.
type ProbabilisticSplit struct {
	Matrix [][]float64 `param:"matrix" min:"0" max:"1" required:"true" doc:"row i: where tasks that arrive at node i go"`
}

// Validate reports rows that are no distributions.
func (s *ProbabilisticSplit) Validate() error {
	var problems []error
	for i, row := range s.Matrix {
		sum := 0.0
		for _, p := range row {
			sum += p
		}
		if math.Abs(sum-1) > 1e-6 {
			problems = append(problems, fmt.Errorf("matrix: row %d must add up to 1, is %g", i, sum))
		}
		if len(row) != len(s.Matrix[0]) {
			problems = append(problems, fmt.Errorf("matrix: row %d has %d columns, row 0 has %d", i, len(row), len(s.Matrix[0])))
		}
	}
	return errors.Join(problems...)
}

// Check reports a matrix that is not of the cluster's size.
func (s *ProbabilisticSplit) Check(w World) error {
	rows, columns := len(s.Matrix), len(s.Matrix[0])
	if rows != 1 && rows != w.Nodes {
		return fmt.Errorf("matrix has %d rows: there must be %d, one per node, or one for all", rows, w.Nodes)
	}
	if columns != w.Nodes && (columns != w.Nodes+1 || !w.Cloud) {
		return fmt.Errorf("matrix has %d columns: there must be %d, one per node, and one more for the cloud if there is one",
			columns, w.Nodes)
	}
	if w.Linked == nil {
		return nil
	}
	for from := range core.NodeID(w.Nodes) {
		for to, p := range s.row(from)[:w.Nodes] {
			if to := core.NodeID(to); p > 0 && to != from && !w.Linked(from, to) {
				return fmt.Errorf("matrix sends tasks of node %d to node %d, which is no neighbour of it", from, to)
			}
		}
	}
	return nil
}

// row is where tasks go that arrive at a node.
func (s *ProbabilisticSplit) row(n core.NodeID) []float64 {
	if len(s.Matrix) == 1 {
		return s.Matrix[0]
	}
	return s.Matrix[n]
}

// Schedule implements core.Scheduler.
func (s *ProbabilisticSplit) Schedule(env core.Env, _ *core.Task) core.Verdict {
	u := env.Rand().Float64()
	to := env.Self()
	for j, p := range s.row(env.Self()) {
		if p == 0 {
			continue
		}
		to = core.NodeID(j)
		if u -= p; u < 0 {
			break
		}
	}
	return give(env, to)
}

func init() {
	Register(Entry{
		Name:    "ProbabilisticSplit",
		Summary: "send tasks to nodes with given probabilities",
		Doc: "A static split of the traffic by a matrix of probabilities, row by row. It ignores loads and asks " +
			"nobody, and realises any flow that was computed beforehand: the social optimum, the Wardrop equilibrium, a " +
			"linear program's solution. It is as good as the rates that it was computed for.",
		Source:    "Tantawi and Towsley, J. ACM 32(2), 1985; Bell and Stidham, Management Science 29(7), 1983",
		Stateless: true,
		New:       func() core.Scheduler { return &ProbabilisticSplit{} },
	})
}
