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
// requests.
func (r *Run) Sparse(metrics ...string) []string {
	if len(metrics) == 0 {
		metrics = r.tableMetrics()
	}
	var which, where []string
	for _, m := range metrics {
		fewest := math.MaxInt
		for _, p := range r.Points {
			if n, ok := p.sparse(m); ok {
				fewest = min(fewest, n)
				if label := r.Label(p); !slices.Contains(where, label) {
					where = append(where, label)
				}
			}
		}
		if fewest < math.MaxInt {
			share, _ := shareOf(m)
			which = append(which, fmt.Sprintf("%s (%d completed, %.0f are wanted)", m, fewest,
				math.Ceil(FewestBeyond/min(share, 1-share)-1e-9)))
		}
	}
	if len(which) == 0 {
		return nil
	}
	const shown = 5
	if n := len(which) - shown; n > 0 {
		which = append(which[:shown], fmt.Sprintf("and %d more", n))
	}
	return []string{fmt.Sprintf("Fewer than %d requests of a replication are beyond %s. Such a percentile is the luck of a few: let the run last "+
		"longer, or take one nearer to the median.", FewestBeyond, strings.Join(which, ", ")) + r.places(where)}
}

// sparse is how many requests have completed in the replication with fewest, of those that have a percentile; ok is false where they
// are enough for it.
func (p *Point) sparse(metric string) (fewest int, ok bool) {
	share, isPercentile := shareOf(metric)
	fewest = math.MaxInt
	for _, rep := range p.Replications {
		if s, _, known := rep.Tally.of(metric); known && s.completed() > 0 {
			fewest = min(fewest, int(s.completed()))
		}
	}
	return fewest, isPercentile && !Reaches(fewest, share)
}

// shareOf is the share that a percentile's name means; not of the 100th, the longest of all, which nothing is beyond.
func shareOf(metric string) (share float64, ok bool) {
	base, _, _ := cutFunction(metric)
	_, p, ok := percentileOf(base)
	return p / 100, ok && p < 100
}
