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
		if !of.add(r, m, (*Point).tallies) {
			ofBatches.add(r, m, (*Point).batches)
		}
	}
	var notes []string
	if len(of.which) > 0 {
		notes = append(notes, fmt.Sprintf("Fewer than %d requests of a replication are beyond %s. Such a percentile is the luck of a few: let the run "+
			"last longer, or take one nearer to the median.", FewestBeyond, of.list())+r.places(of.where))
	}
	if len(ofBatches.which) > 0 {
		notes = append(notes, fmt.Sprintf("Fewer than %d requests of a batch are beyond %s, so that there is no interval. Take several replications, or "+
			"let the only one last longer.", FewestBeyond, ofBatches.list())+r.places(ofBatches.where))
	}
	return notes
}

// sparse are percentiles that something has too few requests for, and the points where.
type sparse struct{ which, where []string }

// add looks at the tallies of a metric at all points, and reports whether one has too few requests.
func (s *sparse) add(r *Run, metric string, of func(*Point) []*Tally) bool {
	fewest := math.MaxInt
	for _, p := range r.Points {
		if n, ok := tooFew(metric, of(p)); ok {
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

// tooFew is how many requests have completed in the tally with fewest, of those that have a percentile; ok is false where they are
// enough for it.
func tooFew(metric string, tallies []*Tally) (fewest int, ok bool) {
	share, isPercentile := shareOf(metric)
	fewest = math.MaxInt
	for _, t := range tallies {
		if s, _, known := t.of(metric); known && s.completed() > 0 {
			fewest = min(fewest, int(s.completed()))
		}
	}
	return fewest, isPercentile && !Reaches(fewest, share)
}

func (p *Point) tallies() []*Tally {
	all := make([]*Tally, len(p.Replications))
	for i, r := range p.Replications {
		all[i] = r.Tally
	}
	return all
}

// batches are those that intervals are taken over; nil: there are several replications, or no batches.
func (p *Point) batches() []*Tally {
	if len(p.Replications) != 1 || len(p.Replications[0].Batches) < 2 {
		return nil
	}
	return p.Replications[0].Batches
}

// shareOf is the share that a percentile's name means; not of the 100th, the longest of all, which nothing is beyond.
func shareOf(metric string) (share float64, ok bool) {
	base, _, _ := cutFunction(metric)
	_, p, ok := percentileOf(base)
	return p / 100, ok && p < 100
}
