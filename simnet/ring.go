package simnet

// ring is a first-in first-out queue whose items stay where they are until they leave.
type ring[T any] struct {
	buf  []T // length a power of two, or 0
	head uint32
	tail uint32
}

func (r *ring[T]) empty() bool { return r.head == r.tail }

func (r *ring[T]) len() int { return int(r.tail - r.head) }

// front is the oldest item.
func (r *ring[T]) front() *T { return &r.buf[r.head&uint32(len(r.buf)-1)] }

// at is the i-th item from the front.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+uint32(i))&uint32(len(r.buf)-1)] }

// push returns the place of a new item, to be filled in.
func (r *ring[T]) push() *T {
	if int(r.tail-r.head) == len(r.buf) {
		buf := make([]T, max(64, 2*len(r.buf)))
		n := r.tail - r.head
		for i := uint32(0); i < n; i++ {
			buf[i] = r.buf[(r.head+i)&uint32(len(r.buf)-1)]
		}
		r.buf, r.head, r.tail = buf, 0, n
	}
	p := &r.buf[r.tail&uint32(len(r.buf)-1)]
	r.tail++
	return p
}

// drop removes the oldest item.
func (r *ring[T]) drop() { r.head++ }
