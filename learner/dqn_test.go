package learner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// smallDQN is for problems of one number between 0 and hi, and two actions.
func smallDQN(hi float64) dqnConfig {
	return dqnConfig{
		network: networkConfig{dims: []Dim{{Hi: hi}}, hidden: []int{16, 16}, actions: 2, activation: "tanh",
			optimizer: adam(0.003)},
		capacity: 2000, batch: 16, every: 2, warmup: 100, target: 50,
	}
}

// A chain of five states: action 1 goes right, action 0 left or nowhere, and to go right from the last state brings 1 and
// ends the episode. So the value of state i is 0.9^(4-i) on the right way and 0.9 times that of the left neighbour on the
// other one: learned from what chance does, to within 0.05.
func TestDQNChain(t *testing.T) {
	for _, double := range []bool{false, true} {
		for _, clip := range []float64{0, 1} {
			c := smallDQN(4)
			c.gamma, c.double, c.clip = 0.9, double, clip
			r := rand.New(rand.NewPCG(1, 8))
			d := newDQN(c, r)
			for range 800 {
				at, a := 0, r.IntN(2)
				d.start([]float64{0}, a)
				for at+a < 5 {
					at = max(0, at+2*a-1)
					a = r.IntN(2)
					d.step(0, []float64{float64(at)}, a)
				}
				d.end(1)
			}
			for i := range 5 {
				q := d.values([]float64{float64(i)})
				right := math.Pow(0.9, float64(4-i))
				left := 0.9 * math.Pow(0.9, float64(4-max(0, i-1)))
				if math.Abs(q[1]-right) > 0.05 || math.Abs(q[0]-left) > 0.05 {
					t.Errorf("double %v, clip %g: state %d has %.3f and %.3f, want %.3f and %.3f", double, clip, i, q[0], q[1],
						left, right)
				}
			}
			if d.averageReward() != 0 {
				t.Errorf("the average of discounted rewards is %g", d.averageReward())
			}
		}
	}
}

// Two states: action 0 stays, which brings 1 in state 0 and 2 in state 1, but in half of the cases state 1 is left all the
// same; action 1 goes to the other state, for nothing. The best gain is 4/3: go to state 1 and stay, which is where two
// thirds of the time are spent. From that the differential values follow: state 1 is worth 4/3 more than state 0, in which
// to stay is worth 1/3 less than to go; in state 1 it is worth 8/3 more. The actions are drawn: their own gain is 0.7. What the differences are
// known to is a matter of the minibatches; 0.15 holds for most seeds.
func TestDQNAverageReward(t *testing.T) {
	for _, double := range []bool{false, true} {
		c := smallDQN(1)
		c.network.optimizer, c.capacity = adam(0.001), 10_000
		c.average, c.beta, c.double = true, 0.02, double
		r := rand.New(rand.NewPCG(2, 8))
		d := newDQN(c, r)
		at, a := 0, 0
		d.start([]float64{0}, 0)
		for range 20_000 {
			reward, next := 0.0, at
			switch {
			case a == 1:
				next = 1 - at
			case at == 0:
				reward = 1
			default:
				reward, next = 2, r.IntN(2)
			}
			at, a = next, r.IntN(2)
			d.step(reward, []float64{float64(at)}, a)
		}
		low := slices.Clone(d.values([]float64{0}))
		high := d.values([]float64{1})
		for what, c := range map[string]struct{ got, want, within float64 }{
			"the gain":           {d.averageReward(), 4. / 3, 0.05},
			"state 1 over 0":     {high[0] - low[1], 4. / 3, 0.15},
			"to stay in state 0": {low[0] - low[1], -1. / 3, 0.15},
			"to stay in state 1": {high[0] - high[1], 8. / 3, 0.15},
		} {
			if math.Abs(c.got-c.want) > c.within {
				t.Errorf("double %v: %s is %.3f, want %.3f", double, what, c.got, c.want)
			}
		}
	}
}

// A full memory forgets the oldest transition, and keeps what it has whole.
func TestDQNMemory(t *testing.T) {
	const capacity = 7
	m := newMemory(capacity, 2)
	for i := range 40 {
		x := float64(i)
		var next []float64
		if i%3 > 0 {
			next = []float64{x + 1, -x - 1}
		}
		m.add([]float64{x, -x}, i, x/2, next)
		if m.n != min(i+1, capacity) {
			t.Fatalf("after %d transitions there are %d", i+1, m.n)
		}
		var held []int
		for k := range m.n {
			tr := m.at(k)
			x := float64(tr.action)
			ok := slices.Equal(tr.state, []float64{x, -x}) && tr.reward == x/2 && tr.ended == (tr.action%3 == 0) &&
				(tr.ended || slices.Equal(tr.next, []float64{x + 1, -x - 1}))
			if !ok {
				t.Fatalf("after %d transitions: %+v", i+1, tr)
			}
			held = append(held, tr.action)
		}
		slices.Sort(held)
		if held[0] != max(0, i+1-capacity) || held[len(held)-1] != i {
			t.Fatalf("after %d transitions those from %d to %d are held", i+1, held[0], held[len(held)-1])
		}
	}
}

// Of a trajectory that was cut, all transitions are remembered but the one whose successor is unknown; the next trajectory
// is not joined to it.
func TestDQNCut(t *testing.T) {
	d := newDQN(smallDQN(9), rand.New(rand.NewPCG(3, 8)))
	at := func(i int) []float64 { return []float64{float64(i)} }
	d.start(at(0), 0)
	d.step(10, at(1), 1)
	d.step(11, at(2), 0)
	d.cut()
	d.start(at(5), 1)
	d.step(15, at(6), 0)
	d.end(16)
	d.start(at(8), 1)
	d.cut()
	want := "[{[0] [1] 0 10 false} {[1] [2] 1 11 false} {[5] [6] 1 15 false} {[6] [0] 0 16 true}]"
	var held []transition
	for i := range d.memory.n {
		held = append(held, d.memory.at(i))
	}
	if got := fmt.Sprint(held); got != want {
		t.Errorf("the memory holds\n%s, want\n%s", got, want)
	}
}

// After the warm-up every third transition is followed by an update, and every fourth update by a copy to the target network.
func TestDQNSchedule(t *testing.T) {
	c := smallDQN(9)
	c.warmup, c.every, c.target = 10, 3, 4
	r := rand.New(rand.NewPCG(4, 8))
	d := newDQN(c, r)
	d.start([]float64{0}, 0)
	for i := 1; i <= 60; i++ {
		before, old := bitsOf(d.online.w), bitsOf(d.target.w)
		d.step(r.Float64(), []float64{float64(r.IntN(10))}, r.IntN(2))
		learns := i >= 10 && i%3 == 0
		if changed := bitsOf(d.online.w) != before; changed != learns {
			t.Errorf("transition %d: it learns: %v", i, changed)
		}
		copies := learns && d.updates%4 == 0
		if changed := bitsOf(d.target.w) != old; changed != copies {
			t.Errorf("transition %d, update %d: the target network changes: %v", i, d.updates, changed)
		}
	}
	if d.updates != 17 {
		t.Errorf("there were %d updates, want 17", d.updates)
	}
}

// Double DQN values the action that is best in the network as the target network does.
func TestDQNDouble(t *testing.T) {
	c := smallDQN(1)
	c.network.hidden, c.gamma = nil, 0.5
	for double, want := range map[bool]float64{false: 0.5 * 9, true: 0.5 * 4} {
		c.double = double
		d := newDQN(c, rand.New(rand.NewPCG(5, 8)))
		copy(d.online.w, []float64{0, 0, 1, 2})
		copy(d.target.w, []float64{0, 0, 9, 4})
		if v := d.ahead([]float64{0}); v != want {
			t.Errorf("double %v: the value ahead is %g, want %g", double, v, want)
		}
	}
}

// A clipped error moves the weights and the average reward by no more than the bound.
func TestDQNClip(t *testing.T) {
	c := smallDQN(1)
	c.network.hidden, c.network.optimizer = nil, sgd(0.1)
	c.average, c.beta, c.clip, c.batch, c.every, c.warmup = true, 0.01, 2, 4, 1, 0
	for reward, want := range map[float64]float64{100: 2, -100: -2, 1: 1} {
		d := newDQN(c, rand.New(rand.NewPCG(6, 8)))
		clear(d.online.w)
		d.start([]float64{0.5}, 0)
		d.end(reward)
		if bias := d.online.layers[0].b[0]; math.Abs(bias-0.1*want) > 1e-15 || math.Abs(d.rbar-0.01*want) > 1e-15 {
			t.Errorf("the reward %g moves the value by %g and the average by %g", reward, bias, d.rbar)
		}
	}
}

// What is taken over from another learner is in the target network too.
func TestDQNAssume(t *testing.T) {
	d := newDQN(smallDQN(1), rand.New(rand.NewPCG(7, 8)))
	for k := range d.online.w {
		d.online.w[k] = float64(k)
	}
	d.assume(0.75)
	if d.averageReward() != 0.75 || !slices.Equal(d.online.w, d.target.w) {
		t.Errorf("the average reward is %g; the target network is the same: %v", d.averageReward(),
			slices.Equal(d.online.w, d.target.w))
	}
}

// The same on every machine.
func TestDQNGolden(t *testing.T) {
	for _, c := range []struct {
		average, double bool
		want            string
	}{
		{false, false, "a0b5219bed84e2ac"},
		{false, true, "734c8ff50c7d89f9"},
		{true, false, "cc30a3ca8216769c"},
		{true, true, "927bd8a8f620c5ff"},
	} {
		d, r := cityDQN(c.average, c.double)
		d.start(randomState(r), 0)
		for i := range 300 {
			s, a := randomState(r), r.IntN(14)
			if i%50 == 49 {
				d.end(1)
				d.start(s, a)
			} else {
				d.step(float64(a%3)-s[1]/4, s, a)
			}
		}
		if got := bitsOf(append(d.online.w, d.rbar)); got != c.want {
			t.Errorf("average %v, double %v: the weights are %s, want %s", c.average, c.double, got, c.want)
		}
	}
}

// cityDQN learns in every transition, after the first hundred.
func cityDQN(average, double bool) (*dqn, *rand.Rand) {
	r := rand.New(rand.NewPCG(8, 8))
	return newDQN(dqnConfig{network: cityNetwork("tanh", adam(0.001)), capacity: 700, batch: 32, every: 1, warmup: 100,
		target: 100, double: double, clip: 1, gamma: 0.9, average: average, beta: 0.01}, r), r
}

func TestDQNAllocations(t *testing.T) {
	d, r := cityDQN(true, true)
	s := randomState(r)
	d.start(s, 0)
	for range 200 {
		d.step(1, s, 1)
	}
	if a := testing.AllocsPerRun(100, func() {
		d.values(s)
		d.step(1, s, 2)
		d.end(0)
		d.start(s, 1)
		d.cut()
		d.start(s, 1)
	}); a != 0 {
		t.Errorf("%g allocations", a)
	}
}

// A step with its minibatch of 32.
func BenchmarkDQNStep(b *testing.B) {
	for _, double := range []bool{false, true} {
		b.Run(fmt.Sprintf("double=%v", double), func(b *testing.B) {
			d, _ := cityDQN(true, double)
			states, _ := states()
			d.start(states[0], 0)
			for i := range 100 {
				d.step(1, states[i&255], i%14)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				d.step(1, states[i&255], i%14)
			}
		})
	}
}
