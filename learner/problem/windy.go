package problem

import "math/rand/v2"

// Windy is the windy gridworld: a way from a start to a goal across a grid on which a wind blows upwards. A move goes to
// a neighbouring cell, and so many rows further up as the wind of the column that it leaves is strong; the edges of the
// grid stop it. It brings -1. The state is the row, from 0 at the top, and the column.
//
// The actions are up, right, down and left; with 8 of them, also up-right, down-right, down-left and up-left (King's
// moves); with 9, also to stay and be moved by the wind alone.
//
// Source: Sutton and Barto 2018, example 6.5 and exercise 6.9, with 7 rows, wind 0001112210, from (3, 0) to (3, 7).
type Windy struct {
	Rows        int   // rows
	Wind        []int // wind: of each column, in rows
	Start, Goal Cell  // start, goal
	Moves       int   // moves: 4, 8 or 9

	at Cell
}

func (p *Windy) Name() string      { return "windy gridworld" }
func (p *Windy) Actions() int      { return p.Moves }
func (p *Windy) Dim() int          { return 2 }
func (p *Windy) State(s []float64) { s[0], s[1] = float64(p.at.Row), float64(p.at.Col) }
func (p *Windy) Reset(*rand.Rand)  { p.at = p.Start }

func (p *Windy) Range(d int) (lo, hi float64) {
	if d == 0 {
		return 0, float64(p.Rows - 1)
	}
	return 0, float64(len(p.Wind) - 1)
}

func (p *Windy) Step(a int, _ *rand.Rand) (reward, dt float64, ended bool) {
	p.at, reward = p.move(p.at, a)
	return reward, 1, p.at == p.Goal
}

func (p *Windy) move(c Cell, a int) (Cell, float64) {
	d := moves[a]
	d.Row -= p.Wind[c.Col]
	return c.by(d, p.Rows, len(p.Wind)), -1
}

// Model numbers the cells row by row.
func (p *Windy) Model() *Model {
	return gridModel(p.Rows, len(p.Wind), p.Moves, p.Start, p.Goal, p.move)
}

// Validate implements Problem.
func (p *Windy) Validate() error {
	inside := func(name string, c Cell) error {
		return check(c.Row >= 0 && c.Row < p.Rows && c.Col >= 0 && c.Col < len(p.Wind), name, c, "a cell of the grid")
	}
	return all(count("rows", p.Rows, 30), count("columns of wind", len(p.Wind), 30), inside("start", p.Start), inside("goal", p.Goal),
		check(p.Start != p.Goal, "goal", p.Goal, "another cell than start"),
		check(p.Moves == 4 || p.Moves == 8 || p.Moves == 9, "moves", p.Moves, "4, 8 (King's moves) or 9 (and to stay)"))
}
