package problem

import "math/rand/v2"

// Cliff is cliff walking: a way along the bottom row of a grid of 4 rows and 12 columns, from its left end to its right
// one, between which there is a cliff. The actions are up, right, down and left; each brings -1, and one that leads
// into the cliff -100 and back to the start. The state is the row, from 0 at the top, and the column.
//
// The shortest way runs along the edge; who explores does better to keep away from it.
//
// Source: Sutton and Barto 2018, example 6.6.
type Cliff struct {
	at Cell
}

const cliffRows, cliffCols = 4, 12

var cliffStart, cliffGoal = Cell{cliffRows - 1, 0}, Cell{cliffRows - 1, cliffCols - 1}

func (p *Cliff) Name() string      { return "cliff walking" }
func (p *Cliff) Actions() int      { return 4 }
func (p *Cliff) Dim() int          { return 2 }
func (p *Cliff) State(s []float64) { s[0], s[1] = float64(p.at.Row), float64(p.at.Col) }
func (p *Cliff) Reset(*rand.Rand)  { p.at = cliffStart }
func (p *Cliff) Validate() error   { return nil }

func (p *Cliff) Range(d int) (lo, hi float64) {
	if d == 0 {
		return 0, cliffRows - 1
	}
	return 0, cliffCols - 1
}

func (p *Cliff) Step(a int, _ *rand.Rand) (reward, dt float64, ended bool) {
	p.at, reward = p.move(p.at, a)
	return reward, 1, p.at == cliffGoal
}

func (p *Cliff) move(c Cell, a int) (Cell, float64) {
	to := c.by(moves[a], cliffRows, cliffCols)
	if to.Row == cliffRows-1 && to.Col > 0 && to.Col < cliffCols-1 {
		return cliffStart, -100
	}
	return to, -1
}

// Model numbers the cells row by row, those of the cliff included, where nobody ever stands.
func (p *Cliff) Model() *Model {
	return gridModel(cliffRows, cliffCols, 4, cliffStart, cliffGoal, p.move)
}
