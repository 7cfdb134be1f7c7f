package compare

import "math"

// decisionsOf is how often both sides did the same with the same task; nil where they are not paired.
func decisionsOf(p *pair) *Decisions {
	if !p.paired {
		return nil
	}
	tasks, outcomes, executors, hops, both := 0, 0, 0, 0, 0
	for i, r := range p.a.at {
		s := p.b.at[i]
		if r == nil || s == nil {
			continue
		}
		tasks++
		if r.outcome == s.outcome {
			outcomes++
		}
		if r.completed() && s.completed() {
			both++
			if r.executor == s.executor {
				executors++
			}
			if r.hops == s.hops {
				hops++
			}
		}
	}
	return &Decisions{Outcome: ratio(outcomes, tasks), Executor: ratio(executors, both), Hops: ratio(hops, both)}
}

// ratio is NaN where there is nothing to divide by.
func ratio(n, of int) float64 {
	if of == 0 {
		return math.NaN()
	}
	return float64(n) / float64(of)
}
