package core

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// How values are written where people and JSON read them.

// word is the name of one of the values 0, 1, 2, ... that have names.
func word[T ~uint8](names []string, x T) string {
	if int(x) < len(names) {
		return names[x]
	}
	return "unknown"
}

// unmarshalWord reads such a name.
func unmarshalWord[T ~uint8](what string, names []string, text []byte, to *T) error {
	for i, name := range names {
		if string(text) == name {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("unknown %s %.20q: use one of %s", what, text, strings.Join(names, ", "))
}

// JSON has no number for an infinite float, or for one that is none: what has floats is written as words.

// IsZero reports whether n says nothing: a negative zero does, to whoever looks at its sign. It is left out where n is written.
func (n Note) IsZero() bool { return n.Kind == 0 && n.Int == 0 && math.Float64bits(n.Float) == 0 }

// MarshalText implements encoding.TextMarshaler: "kind int float".
func (n Note) MarshalText() ([]byte, error) { return []byte(n.text()), nil }

func (n Note) text() string {
	b := strconv.AppendUint(nil, uint64(n.Kind), 10)
	b = strconv.AppendInt(append(b, ' '), n.Int, 10)
	return string(strconv.AppendFloat(append(b, ' '), n.Float, 'g', -1, 64))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Note) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), " ")
	if len(parts) != 3 {
		return fmt.Errorf("note %q: want \"kind int float\"", text)
	}
	kind, err1 := strconv.ParseUint(parts[0], 10, 32)
	number, err2 := strconv.ParseInt(parts[1], 10, 64)
	float, err3 := strconv.ParseFloat(parts[2], 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("note %q: %w", text, err)
	}
	*n = Note{uint32(kind), number, float}
	return nil
}

// MarshalText implements encoding.TextMarshaler: "running queued slots room speed".
func (l Load) MarshalText() ([]byte, error) {
	var b []byte
	for _, x := range [...]int32{l.Running, l.Queued, l.Slots, l.Room} {
		b = append(strconv.AppendInt(b, int64(x), 10), ' ')
	}
	return strconv.AppendFloat(b, float64(l.Speed), 'g', -1, 32), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Load) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), " ")
	if len(parts) != 5 {
		return fmt.Errorf("load %q: want \"running queued slots room speed\"", text)
	}
	var counts [4]int32
	var problems []error
	for i := range counts {
		x, err := strconv.ParseInt(parts[i], 10, 32)
		counts[i], problems = int32(x), append(problems, err)
	}
	speed, err := strconv.ParseFloat(parts[4], 32)
	if err := errors.Join(append(problems, err)...); err != nil {
		return fmt.Errorf("load %q: %w", text, err)
	}
	*l = Load{counts[0], counts[1], Capacity{counts[2], counts[3], float32(speed)}}
	return nil
}

// MarshalText implements encoding.TextMarshaler: "index epsilon".
func (a Action) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(append(strconv.AppendInt(nil, int64(a.Index), 10), ' '), a.Epsilon, 'g', -1, 64), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Action) UnmarshalText(text []byte) error {
	index, epsilon, _ := strings.Cut(string(text), " ")
	i, err1 := strconv.Atoi(index)
	e, err2 := strconv.ParseFloat(epsilon, 64)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("action %q: want \"index epsilon\": %w", text, err)
	}
	*a = Action{i, e}
	return nil
}
