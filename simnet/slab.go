package simnet

// slab holds what events refer to by index: what has been taken out makes room for what comes.
type slab[T any] struct {
	items []T
	free  []uint32
}

// put stores x and returns its index.
func (s *slab[T]) put(x T) uint32 {
	if k := len(s.free); k > 0 {
		i := s.free[k-1]
		s.free = s.free[:k-1]
		s.items[i] = x
		return i
	}
	s.items = append(s.items, x)
	return uint32(len(s.items) - 1)
}

// take removes the item with index i.
func (s *slab[T]) take(i uint32) (x T) {
	x, s.items[i] = s.items[i], x
	s.free = append(s.free, i)
	return x
}
