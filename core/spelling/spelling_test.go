package spelling

import (
	"slices"
	"testing"
)

func TestMeant(t *testing.T) {
	known := []string{"queue", "slots", "speed", "nodes"}
	for word, want := range map[string]string{"quue": "queue", "queu": "queue", "Slots": "slots", "sped": "speed",
		"spedd": "speed", "nodse": "nodes", "colour": "", "q": "", "": "", "que": "queue", "qu": ""} {
		if got := Meant(word, known); got != want {
			t.Errorf("%q is taken for %q, want %q", word, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"ForwardScheduler", "JSQ", "NoScheduler", "PowerOfNScheduler"}
	for word, want := range map[string][]string{
		"powerofn":   {"PowerOfNScheduler"},
		"jqs":        {"JSQ"},
		"NoSheduler": {"NoScheduler"},
		"":           {"JSQ", "NoScheduler", "ForwardScheduler", "PowerOfNScheduler"},
	} {
		got := Nearest(word, known)
		if len(got) != len(known) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("nearest to %q are %v, want %v first", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "acbd", 1},
		{"ca", "abc", 3}, {string(make([]byte, 70)), "a", longest}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
