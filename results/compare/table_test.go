package compare

import (
	"io"
	"strings"
	"testing"
)

func plainTable(t *testing.T, c *Comparison) string {
	t.Helper()
	return written(t, func(w io.Writer, c *Comparison) error { return Table(w, c, false) }, c)
}

func TestTableGolden(t *testing.T) {
	c := madeUp()
	got := plainTable(t, c)
	golden(t, "table.txt", got)
	if strings.ContainsAny(got, "\x1b│") {
		t.Error("a pipe gets colours or frames")
	}
	coloured := written(t, func(w io.Writer, c *Comparison) error { return Table(w, c, true) }, c)
	if !strings.Contains(coloured, "\x1b[31mdifferent\x1b[0m") || !strings.Contains(coloured, "\x1b[32m=\x1b[0m") {
		t.Error("a terminal gets no colours")
	}
}

// What has no margin has no symbol, and what a point lacks is a dash.
func TestTableWithoutMargins(t *testing.T) {
	c := &Comparison{A: Side{Name: "a"}, B: Side{Name: "b"}, Points: []Point{{Label: "JSQ", Metrics: []Metric{
		{Name: "latency.mean", Unit: "s", A: 0.1, B: 0.11, Difference: 0.01, Lo: 0.009, Hi: 0.011}}}}}
	want := `1 point is compared without a margin, hence without a verdict.
 point  verdict  mean latency  p50 latency  p95 latency  drop rate
 JSQ                +10.0 %              -            -          -
difference of b from a: = equivalent, ≠ different, ? undecided

JSQ: not compared with a margin
`
	if got := plainTable(t, c); got != want {
		t.Errorf("got:\n%s", got)
	}
}
