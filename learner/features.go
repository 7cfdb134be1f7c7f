package learner

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/p2pfaas/p2pfaas/core/random"
)

// Dim is one number of a state.
type Dim struct {
	Name string `json:"name"`
	// Lo and Hi bound what the number is expected to be; what lies outside is taken as the nearer bound, by all but the
	// table. Both zero: no bounds are known.
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
	// Category says that the number only tells things apart (a task type): 2 is not between 1 and 3.
	Category bool `json:"category,omitempty"`
}

// scaled maps x to [0, 1] between the bounds.
func (d *Dim) scaled(x float64) float64 {
	if d.Hi <= d.Lo {
		return x
	}
	return min(1, max(0, (x-d.Lo)/(d.Hi-d.Lo)))
}

// category is the number of the category that x is.
func (d *Dim) category(x float64) int { return int(min(d.Hi, max(d.Lo, x)) - d.Lo) }

// categories is how many there are.
func (d *Dim) categories() int { return int(d.Hi-d.Lo) + 1 }

// feature is one of the features of a state that are not zero.
type feature struct {
	index int
	value float64
}

// features describe a state by numbers most of which are zero.
type features interface {
	// of returns the features of s; the slice is valid until the next call. Where grow is set, a state that was never
	// seen gets a place of its own; otherwise it may have no features.
	of(s []float64, grow bool) []feature
	// size is how many features there are by now.
	size() int
	// norm is what a step of the weights is divided by: the sum of the squares of a state's features where that is the same
	// for all states, so that the value moves by alpha times the error; otherwise 1, as gradient descent has it.
	norm() float64
}

// rows gives every state one feature of its own. States are told apart by all their bits, so that no two are taken for
// one another.
type rows struct {
	index map[string]int
	keys  []string // by index
	max   int      // how many states there may be
	full  uint64   // how often there was no place for one more
	key   []byte
	one   [1]feature
	joint bool // v1's key: the whole parts of the numbers, written one after the other
}

func newRows(dims, most int) *rows {
	return &rows{index: make(map[string]int), max: most, key: make([]byte, 0, 8*dims)}
}

func (r *rows) size() int { return len(r.keys) }

func (*rows) norm() float64 { return 1 }

func (r *rows) of(s []float64, grow bool) []feature {
	i, ok := r.index[string(r.keyOf(s))]
	if !ok {
		if !grow {
			return nil
		}
		if len(r.keys) >= r.max {
			r.full++
			return nil
		}
		i = r.add(string(r.key))
	}
	r.one[0] = feature{i, 1}
	return r.one[:]
}

// add gives a key the next index.
func (r *rows) add(key string) int {
	i := len(r.keys)
	r.index[key] = i
	r.keys = append(r.keys, key)
	return i
}

// keyOf writes the key of s into the scratch space.
func (r *rows) keyOf(s []float64) []byte {
	k := r.key[:0]
	for _, x := range s {
		if r.joint {
			k = strconv.AppendInt(k, int64(x), 10)
			continue
		}
		if x == 0 {
			x = 0 // minus zero is zero
		}
		k = binary.LittleEndian.AppendUint64(k, math.Float64bits(x))
	}
	r.key = k
	return k
}

// state is what keyOf wrote.
func (r *rows) state(i int) []float64 {
	k := []byte(r.keys[i])
	s := make([]float64, len(k)/8)
	for d := range s {
		s[d] = math.Float64frombits(binary.LittleEndian.Uint64(k[8*d:]))
	}
	return s
}

// tiles are tile coding: each tiling covers the state space with a grid, shifted against the others, and exactly one
// tile of each is active. Categories are not shifted: each has grids of its own.
//
// Source: Sutton and Barto, Reinforcement Learning, 2nd ed. 2018, section 9.5.4, with displacements 1, 3, 5, ...
type tiles struct {
	dims    []Dim
	tilings int
	per     []int // tiles of each dimension
	cells   int   // of one tiling
	hash    int   // how many weights; 0 = one for each tile
	active  []feature
}

func newTiles(dims []Dim, tilings int, per []int, hash int) *tiles {
	t := &tiles{dims: dims, tilings: tilings, per: per, cells: 1, hash: hash, active: make([]feature, tilings)}
	for d := range dims {
		t.cells *= t.cellsOf(d)
	}
	return t
}

// cellsOf is how many coordinates a dimension has: a shifted grid sticks out by one tile.
func (t *tiles) cellsOf(d int) int {
	if t.dims[d].Category {
		return t.dims[d].categories()
	}
	return t.per[d] + 1
}

func (t *tiles) size() int {
	if t.hash > 0 {
		return t.hash
	}
	return t.tilings * t.cells
}

func (t *tiles) norm() float64 { return float64(t.tilings) }

func (t *tiles) of(s []float64, _ bool) []feature {
	for i := range t.tilings {
		cell, shift := i, 1
		for d := range t.dims {
			c := 0
			if dim := &t.dims[d]; dim.Category {
				c = dim.category(s[d])
			} else {
				x := float64(dim.scaled(s[d]) * float64(t.per[d]))
				c = int(math.Floor(x + float64(i*shift%t.tilings)/float64(t.tilings)))
				shift += 2
			}
			cell = cell*t.cellsOf(d) + c
		}
		if t.hash > 0 {
			cell = int(random.Mix(uint64(cell)) % uint64(t.hash))
		}
		t.active[i] = feature{cell, 1}
	}
	return t.active
}

// plain features are the numbers of the state themselves, between 0 and 1, after a constant 1; a category has one for
// each of its values.
type plain struct {
	dims   []Dim
	count  int
	active []feature
}

func newPlain(dims []Dim) *plain {
	p := &plain{dims: dims, count: 1}
	for d := range dims {
		if dims[d].Category {
			p.count += dims[d].categories()
		} else {
			p.count++
		}
	}
	return p
}

func (p *plain) size() int { return p.count }

func (*plain) norm() float64 { return 1 }

func (p *plain) of(s []float64, _ bool) []feature {
	p.active = append(p.active[:0], feature{0, 1})
	at := 1
	for d := range p.dims {
		if dim := &p.dims[d]; dim.Category {
			p.active = append(p.active, feature{at + dim.category(s[d]), 1})
			at += dim.categories()
		} else {
			p.active = append(p.active, feature{at, dim.scaled(s[d])})
			at++
		}
	}
	return p.active
}
