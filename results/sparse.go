package results

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// FewestBeyond is how many requests of a replication have to be beyond a percentile, lest it be the luck of these few.
const FewestBeyond = 5

// Reaches reports whether so many of n requests are beyond the percentile of a share: above it or, of one below the median, below.
func Reaches(n int, share float64) bool { return float64(n)*min(share, 1-share) >= FewestBeyond-1e-9 }

// Sparse warns of percentiles among the metrics, those of a table where none are named, beyond which a replication has too few
// requests, or a batch of the only one, so that they have no interval.
func (r *Run) Sparse(metrics ...string) []string {
	if len(metrics) == 0 {
		metrics = r.tableMetrics()
	}
	var of, ofBatches sparse
	for _, m := range metrics {
		if !of.add(r, m, (*Point).fewest) {
			ofBatches.add(r, m, (*Point).inABatch)
		}
	}
	var notes []string
	if len(of.which) > 0 {
		notes = append(notes, fmt.Sprintf("Fewer than %d requests of a replication are beyond %s. Such a percentile is the luck of a few: let the run "+
			"last longer, or take one nearer to the median.", FewestBeyond, of.list())+r.places(of.where))
	}
	if len(ofBatches.which) > 0 {
		notes = append(notes, fmt.Sprintf("On average fewer than %d requests of a batch are beyond %s, so that there is no interval. Take several replications, or "+
			"let the only one last longer.", FewestBeyond, ofBatches.list())+r.places(ofBatches.where))
	}
	return notes
}

// sparse are percentiles that something has too few requests for, and the points where.
type sparse struct{ which, where []string }

// add looks at the requests that all points have for a metric, and reports whether one has too few.
func (s *sparse) add(r *Run, metric string, of func(*Point, string) int) bool {
	fewest := math.MaxInt
	for _, p := range r.Points {
		if n := of(p, metric); tooFew(metric, n) {
			fewest = min(fewest, n)
			if label := r.Label(p); !slices.Contains(s.where, label) {
				s.where = append(s.where, label)
			}
		}
	}
	if fewest == math.MaxInt {
		return false
	}
	share, _ := shareOf(metric)
	s.which = append(s.which, fmt.Sprintf("%s (%d completed, %.0f are wanted)", metric, fewest, math.Ceil(FewestBeyond/min(share, 1-share)-1e-9)))
	return true
}

func (s *sparse) list() string {
	const shown = 5
	which := s.which
	if n := len(which) - shown; n > 0 {
		which = append(which[:shown:shown], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(which, ", ")
}

// tooFew reports whether n completed requests are too few for a metric, which is a percentile then.
func tooFew(metric string, n int) bool {
	share, isPercentile := shareOf(metric)
	return isPercentile && !Reaches(n, share)
}

// fewest is how many requests have completed in the replication with fewest, of those that have the metric.
func (p *Point) fewest(metric string) int {
	fewest := math.MaxInt
	for _, rep := range p.Replications {
		if s, _, known := rep.Tally.of(metric); known && s.completed() > 0 {
			fewest = min(fewest, int(s.completed()))
		}
	}
	return fewest
}

// inABatch is how many requests have completed in a batch of the only replication, on average; as good as any number where
// intervals are not taken over batches.
func (p *Point) inABatch(metric string) int {
	if len(p.Replications) != 1 || len(p.Replications[0].Batches) < 2 {
		return math.MaxInt
	}
	return p.Replications[0].inABatch(metric)
}

func (r *Replication) inABatch(metric string) int {
	sum := 0
	for _, t := range r.Batches {
		if s, _, known := t.of(metric); known {
			sum += int(s.completed())
		}
	}
	return sum / len(r.Batches)
}

// shareOf is the share that a percentile's name means; not of the 100th, the longest of all, which nothing is beyond.
func shareOf(metric string) (share float64, ok bool) {
	base, _, _ := cutFunction(metric)
	_, p, ok := percentileOf(base)
	return p / 100, ok && p < 100
}
