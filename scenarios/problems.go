package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/p2pfaas/p2pfaas/core/spelling"
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
	seen := make(map[Problem]bool, len(ps))
	return slices.DeleteFunc(ps, func(p Problem) bool {
		again := seen[p]
		seen[p] = true
		return again
	})
}

// suggest says which of the known words to write in place of word.
func suggest(word string, known []string) string {
	list := strings.Join(known, ", ")
	if n := spelling.Meant(word, known); n != "" {
		return fmt.Sprintf("did you mean %s? (known: %s)", n, list)
	}
	return "write one of " + list
}
