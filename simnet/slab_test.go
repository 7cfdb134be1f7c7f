package simnet

import "testing"

func TestSlab(t *testing.T) {
	var s slab[*int]
	values := [4]int{}
	index := map[uint32]*int{}
	put := func(v *int) {
		i := s.put(v)
		if index[i] != nil {
			t.Fatalf("place %d is given twice", i)
		}
		index[i] = v
	}
	for round := range 100 {
		put(&values[round%4])
		put(&values[(round+1)%4])
		for i, want := range index {
			if got := s.take(i); got != want || s.items[i] != nil {
				t.Fatalf("place %d has %p, want %p; it keeps %p", i, got, want, s.items[i])
			}
			delete(index, i)
			break
		}
		if round%10 == 9 {
			for i, want := range index {
				if s.take(i) != want {
					t.Fatal(i)
				}
				delete(index, i)
			}
		}
	}
	if len(s.items) > 12 {
		t.Errorf("%d places for 11 items at most", len(s.items))
	}
}
