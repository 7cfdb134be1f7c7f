package compare

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/p2pfaas/p2pfaas/results"
)

// Table prints the relative differences and verdicts, a row per point, and what explains the gaps; with colours, framed for a
// terminal.
func Table(w io.Writer, c *Comparison, colours bool) error {
	var b strings.Builder
	a, z := c.sideNames()
	fmt.Fprintf(&b, "%s\n", oneLine(c.headline()))
	for _, n := range c.warnings() {
		fmt.Fprintf(&b, "Note: %s\n", oneLine(n))
	}
	columns := c.columns()
	t := results.TextTable{Header: []string{"point", "verdict"}, Keys: 2}
	for _, metric := range columns {
		t.Header = append(t.Header, oneLine(shortTitle(metric)))
	}
	for i := range c.Points {
		p := &c.Points[i]
		row := []string{oneLine(p.Label), painted(p.verdict(), colours, string(p.verdict()))}
		for _, metric := range columns {
			m := p.metric(metric)
			if m == nil {
				row = append(row, "-")
				continue
			}
			row = append(row, m.reading().Difference+" "+painted(m.Verdict, colours, m.Verdict.symbolOrSpace()))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		b.WriteString(t.Render(colours))
		fmt.Fprintf(&b, "difference of %s from %s: %s\n", oneLine(z), oneLine(a), legend)
	}
	if text := c.marginsText(); text != "" {
		fmt.Fprintf(&b, "margins: %s\n", oneLine(text))
	}
	for _, says := range []string{c.restsOn(), c.floorSays()} {
		if says != "" {
			fmt.Fprintln(&b, oneLine(says))
		}
	}
	for i := range c.Points {
		p := &c.Points[i]
		if !p.gapped() {
			continue
		}
		fmt.Fprintf(&b, "\n%s: %s\n", oneLine(p.Label), p.verdictOr("not compared with a margin"))
		for _, line := range c.shortly(p) {
			fmt.Fprintf(&b, "  %s\n", oneLine(line))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const legend = "= equivalent, ≠ different, ? undecided"

// shortly are the explanations of a point's gap without those of any but the first cause.
func (c *Comparison) shortly(p *Point) []string {
	if len(p.Causes) == 0 {
		return c.explanations(p)
	}
	first := *p
	first.Causes = []Cause{p.Causes[0]}
	first.Causes[0].Explains = p.Causes[0].Explains[:min(1, len(p.Causes[0].Explains))]
	return c.explanations(&first)
}

// symbolOrSpace keeps columns in line.
func (v Verdict) symbolOrSpace() string {
	if s := v.symbol(); s != "" {
		return s
	}
	return " "
}

func (p *Point) verdictOr(otherwise string) string {
	if v := p.verdict(); v != "" {
		return string(v)
	}
	return otherwise
}

// painted is a text in the colour of a verdict.
func painted(v Verdict, colours bool, s string) string {
	colour, ok := map[Verdict]text.Color{Equivalent: text.FgGreen, Different: text.FgRed, Undecided: text.FgYellow}[v]
	if !colours || !ok {
		return s
	}
	return colour.Sprint(s)
}
