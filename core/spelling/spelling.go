// Package spelling finds what somebody meant who misspelt a name, so that an error can say what to write.
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns the known words with those first that word was most likely meant to be: those that it begins or that
// begin it, then by the letters that differ.
func Nearest(word string, known []string) []string {
	w := strings.ToLower(word)
	far := func(k string) int {
		k = strings.ToLower(k)
		if w != "" && (strings.HasPrefix(k, w) || strings.HasPrefix(w, k)) {
			return 0
		}
		return distance(w, k)
	}
	sorted := slices.Clone(known)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(far(a), far(b)) })
	return sorted
}

// Meant returns the known word that word is a misspelling or the beginning of, and "" where none is near: at most a third
// of the letters may differ, or two.
func Meant(word string, known []string) string {
	best, least := "", max(min(2, len(word)/2), len(word)/3)+1
	if len(word) < 3 {
		least = 1 // only its capitals are wrong
	}
	w := strings.ToLower(word)
	for _, known := range known {
		k := strings.ToLower(known)
		d := distance(w, k)
		if len(w) >= 3 && strings.HasPrefix(k, w) {
			d = min(d, 1)
		}
		if d < least {
			best, least = known, d
		}
	}
	return best
}

// longest is the length from which on words are not compared.
const longest = 64

// distance is the number of letters to insert, delete, replace or swap with their neighbour that make b of a (optimal
// string alignment).
func distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var before, last, row [longest + 1]int
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
