package compare

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// WriteMarkdown writes a summary in GitHub's Markdown, as for a pull request: the verdicts, what explains the points that are
// not equivalent, how repeatable the reference is, and where it all comes from.
func WriteMarkdown(w io.Writer, c *Comparison) error {
	var b strings.Builder
	a, z := c.sideNames()
	fmt.Fprintf(&b, "### %s\n\n%s\n\n", escaped(c.heading()), escaped(c.headline()))
	for _, n := range c.warnings() {
		fmt.Fprintf(&b, "> %s\n", escaped(n))
	}
	if len(c.warnings()) > 0 {
		b.WriteString("\n")
	}
	if len(c.Points) > 0 {
		columns := c.columns()
		header, rule := []string{"point"}, []string{"---"}
		for _, metric := range columns {
			header, rule = append(header, escaped(shortTitle(metric))), append(rule, "---:")
		}
		row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
		row(append(header, "verdict"))
		row(append(rule, "---"))
		for i := range c.Points {
			p := &c.Points[i]
			cells := []string{escaped(p.Label)}
			for _, metric := range columns {
				cells = append(cells, markdownCell(p.metric(metric)))
			}
			row(append(cells, bold(p.verdict())))
		}
		note := fmt.Sprintf("Each cell: the difference of %s from %s, and its verdict%s.", z, a, c.withinMargins())
		fmt.Fprintf(&b, "\n%s\n", escaped(note))
	}
	for i := range c.Points {
		p := &c.Points[i]
		if !p.gapped() {
			continue
		}
		fmt.Fprintf(&b, "\n**%s**\n\n", escaped(p.Label))
		for _, line := range c.explanations(p) {
			fmt.Fprintf(&b, "- %s\n", escaped(line))
		}
	}
	for _, says := range []string{c.restsOn(), c.floorSays()} {
		if says != "" {
			fmt.Fprintf(&b, "\n%s\n", escaped(says))
		}
	}
	fmt.Fprintf(&b, "\n<sub>%s</sub>\n", escaped(c.provenance()))
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownCell is a difference with its verdict.
func markdownCell(m *Metric) string {
	if m == nil {
		return "-"
	}
	return strings.TrimSpace(escaped(m.reading().Difference + " " + string(m.Verdict)))
}

// bold sets off what is not equivalent.
func bold(v Verdict) string {
	switch v {
	case "":
		return "-"
	case Equivalent:
		return string(v)
	}
	return "**" + escaped(string(v)) + "**"
}

func (c *Comparison) withinMargins() string {
	if len(c.Margins) == 0 {
		return ""
	}
	return " by a 90 % interval (margins: " + c.marginsText() + ")"
}

// explanations are what can be told of a point's gap: the part that explains it, then the causes, the largest first.
func (c *Comparison) explanations(p *Point) (lines []string) {
	gap := p.gap()
	switch {
	case gap != "":
		lines = append(lines, capital(gap)+".")
	case p.mayBeEqual():
		lines = append(lines, "The mean latencies may be equal: the interval of their difference contains 0.")
	}
	for i := range p.Causes {
		x := &p.Causes[i]
		line := capital(c.named(x.Says)) + "."
		if text := x.explained(); text != "" {
			line += " " + text
		} else if text := x.direct(); text != "" {
			line += " That is " + text + " of the mean latency by itself."
		}
		lines = append(lines, line)
	}
	if len(p.Causes) == 0 && (gap != "" || p.verdict() == Different) {
		lines = append(lines, "No cause can be told from the records.")
	}
	return lines
}

// provenance says in one line where the numbers come from.
func (c *Comparison) provenance() string {
	a, b := c.sideNames()
	var list []string
	for _, s := range []struct {
		name string
		Side
	}{{a, c.A}, {b, c.B}} {
		list = append(list, fmt.Sprintf("%s: %s, %s, %s, seed %d, %s", s.name, s.Dir, s.Version, s.Host, s.Seed, when(s.Started)))
	}
	if p := c.Calibration; p != nil {
		list = append(list, fmt.Sprintf("calibration: %s, %s, seed %d, %s", p.File, p.Host, p.Seed, when(p.At)))
	}
	if text := c.replaysSay(); text != "" {
		list = append(list, strings.TrimSuffix(text, "."))
	}
	return strings.Join(list, " · ")
}

// escaped is a text whose characters mean nothing to Markdown or HTML, in one line.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '@': // nobody is to be told
			b.WriteString("@\u200b")
		case strings.ContainsRune("\\`*_[]~|#$", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oneLine is a text without line breaks and other characters that steer a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
}
