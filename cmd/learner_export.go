package cmd

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/p2pfaas/p2pfaas/learner"
)

// maybe is a number that JSON has null for where there is none.
type maybe float64

// MarshalJSON implements json.Marshaler.
func (x maybe) MarshalJSON() ([]byte, error) {
	if v := float64(x); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeJSON writes what show prints: the rows of the table, or those of a map that are known.
func (k *knowledge) writeJSON(w io.Writer, m *plane) error {
	type jsonRow struct {
		State  []float64 `json:"state"`
		Key    string    `json:"key,omitempty"`
		Best   []string  `json:"best"` // several, if they are equal
		Margin maybe     `json:"margin"`
		Values []maybe   `json:"values"`
		Pulls  []float64 `json:"pulls,omitempty"`
	}
	type jsonMap struct {
		X  string    `json:"x"`
		Y  string    `json:"y,omitempty"`
		At []float64 `json:"at"` // a state, of which x and y count for nothing
	}
	c := &k.weights.Config
	out := struct {
		Algorithm     string        `json:"algorithm"`
		Function      string        `json:"function"`
		Actions       []string      `json:"actions"`
		Dims          []learner.Dim `json:"dims"`
		Decisions     uint64        `json:"decisions"`
		Trained       uint64        `json:"trained"`
		AverageReward float64       `json:"average_reward"`
		Epsilon       float64       `json:"epsilon"`
		Map           *jsonMap      `json:"map,omitempty"`
		Rows          []jsonRow     `json:"rows"`
	}{c.Algorithm, k.function(), k.actions, c.Dims, k.weights.Decisions, k.weights.Trained, k.weights.AverageReward,
		k.weights.Epsilon, nil, []jsonRow{}}
	rows := k.rows
	if m != nil {
		out.Map = &jsonMap{m.grid.X.Label, m.grid.Y.Label, m.at}
		rows = m.known()
	}
	for _, r := range rows {
		j := jsonRow{r.state, r.key, []string{}, maybe(r.margin), maybes(r.values), r.pulls}
		for _, a := range r.ranked[:r.ties] {
			j.Best = append(j.Best, k.actions[a])
		}
		out.Rows = append(out.Rows, j)
	}
	return encode(w, out)
}

func maybes(values []float64) []maybe {
	out := make([]maybe, len(values))
	for i, v := range values {
		out[i] = maybe(v)
	}
	return out
}

func (k *knowledge) exportCSV(w io.Writer) error {
	names := k.stateNames()
	header := append(slices.Clone(names), "action", "value")
	if k.bandit() {
		header = append(header, "tried")
	}
	out := csv.NewWriter(w)
	_ = out.Write(header) // Error tells
	for _, r := range k.rows {
		for a, v := range r.values {
			value := ""
			if !math.IsNaN(v) {
				value = strconv.FormatFloat(v, 'g', -1, 64)
			}
			line := append(r.stateCells(len(names)), k.actions[a], value)
			if k.bandit() {
				line = append(line, fmt.Sprint(r.pulls[a]))
			}
			_ = out.Write(line)
		}
	}
	out.Flush()
	return out.Error()
}

func (k *knowledge) exportJSON(w io.Writer) error {
	type one struct {
		State  []float64 `json:"state"`
		Key    string    `json:"key,omitempty"`
		Action string    `json:"action"`
		Value  maybe     `json:"value"`
		Tried  *float64  `json:"tried,omitempty"`
	}
	all := []one{}
	for _, r := range k.rows {
		for a, v := range r.values {
			o := one{State: r.state, Key: r.key, Action: k.actions[a], Value: maybe(v)}
			if r.pulls != nil {
				o.Tried = &r.pulls[a]
			}
			all = append(all, o)
		}
	}
	return encode(w, all)
}
