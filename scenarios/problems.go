package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a scenario or in a data file that it names.
type Problem struct {
	File         string // as the user wrote it; "--set KEY=VALUE" for a value from the command line
	Line, Column int    // from 1; 0 = not known
	Key          string // dotted path of the key concerned, may be empty
	Message      string // what is wrong, and what to write instead
}

func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all the mistakes that were found, in order of the file.
type Problems []Problem

// Error has one line per problem, each FILE:LINE:COLUMN: KEY: MESSAGE.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// err returns the problems sorted and without repetitions, or nil.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Compact(ps)
}

// nearest returns the known word that word is most likely a misspelling of, or "".
func nearest(word string, known []string) string {
	best, least := "", max(min(2, len(word)/2), len(word)/3)+1
	if len(word) < 3 {
		least = 1 // only its capitals are wrong
	}
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before, last, row [65]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// suggest says which of the known words to write in place of word.
func suggest(word string, known []string) string {
	list := strings.Join(known, ", ")
	if n := nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %s? (known: %s)", n, list)
	}
	return "write one of " + list
}
