package core

import (
	"slices"
	"testing"
)

func TestVerdictTo(t *testing.T) {
	for _, x := range []struct {
		verdict Verdict
		want    []NodeID
	}{
		{Execute(), nil},
		{Reject(NoRoom), nil},
		{Forward(3), []NodeID{3}},
		{Forward(3, 4), []NodeID{3}}, // 4 is tried where 3 does not take it
		{Replicate(CancelOnStart, 5, 6), []NodeID{5, 6}},
	} {
		if got := x.verdict.To(); !slices.Equal(got, x.want) {
			t.Errorf("%v goes to %v, want %v", x.verdict, got, x.want)
		}
	}
}
