package compare

import (
	"strings"
	"testing"
)

func TestMarkdownGolden(t *testing.T) {
	got := written(t, WriteMarkdown, madeUp())
	golden(t, "summary.md", got)
	checkMarkdownTable(t, got, 15)
}

// checkMarkdownTable checks that the table has as many rows as there are points, each with as many cells.
func checkMarkdownTable(t *testing.T, text string, points int) {
	t.Helper()
	rows, cells := 0, 0
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if rows > 0 && n != cells {
			t.Errorf("a row of %d cells after one of %d: %s", n-1, cells-1, line)
		}
		rows, cells = rows+1, n
	}
	if rows != points+2 {
		t.Errorf("%d rows of %d points", rows, points)
	}
}

func TestEscaped(t *testing.T) {
	for text, want := range map[string]string{"JSQ(2)": "JSQ(2)", "a|b\\|c": `a\|b\\\|c`, "<b>&": "&lt;b&gt;&amp;", "a\nb\tc": "a b c",
		"x_y*z": `x\_y\*z`, "@you": "@\u200byou"} {
		if got := escaped(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// Of a comparison without margins, points are explained whose means differ.
func TestMarkdownWithoutMargins(t *testing.T) {
	c := madeUp()
	c.Margins = nil
	for i := range c.Points {
		for k := range c.Points[i].Metrics {
			c.Points[i].Metrics[k].Verdict = ""
		}
	}
	text := written(t, WriteMarkdown, c)
	if !strings.Contains(text, "15 points are compared without a margin") || !strings.Contains(text, "\n**workload.load = 0.9, LearningScheduler**\n") ||
		strings.Contains(text, "\n**workload.load = 0.9, RoundRobin(master)**\n") || strings.Contains(text, "equivalent") {
		t.Errorf("without margins:\n%s", text)
	}
	checkMarkdownTable(t, text, 15)
}
