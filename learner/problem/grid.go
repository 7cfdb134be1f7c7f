package problem

// Cell is a place on a grid; rows count downwards from 0, columns to the right.
type Cell struct{ Row, Col int }

// moves are those of a king in chess; the first four are those along rows and columns, and the last is to stay.
var moves = [...]Cell{{-1, 0}, {0, 1}, {1, 0}, {0, -1}, {-1, 1}, {1, 1}, {1, -1}, {-1, -1}, {0, 0}}

// by is the cell that lies so far from c, or where the edge of a grid stops it.
func (c Cell) by(d Cell, rows, cols int) Cell {
	return Cell{min(rows-1, max(0, c.Row+d.Row)), min(cols-1, max(0, c.Col+d.Col))}
}

// gridModel numbers the cells row by row. A move leads to a cell and brings a reward; at a goal, the episode ends.
func gridModel(rows, cols, actions int, start, goal Cell, move func(c Cell, a int) (Cell, float64)) *Model {
	m := &Model{Start: []Transition{{start.Row*cols + start.Col, 1}}}
	for row := range rows {
		for col := range cols {
			c := Cell{row, col}
			m.States = append(m.States, []float64{float64(row), float64(col)})
			outcomes := make([]Outcome, actions)
			for a := range outcomes {
				if c == goal { // no decision is made there
					outcomes[a] = Outcome{Time: 1, End: 1}
					continue
				}
				to, reward := move(c, a)
				outcomes[a] = Outcome{Reward: reward, Time: 1}
				if to == goal {
					outcomes[a].End = 1
				} else {
					outcomes[a].Next = []Transition{{to.Row*cols + to.Col, 1}}
				}
			}
			m.Outcomes = append(m.Outcomes, outcomes)
		}
	}
	return m
}
