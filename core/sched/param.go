package sched

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/spelling"
)

// ParamType says how a parameter is written.
type ParamType string

// Types of parameters.
const (
	Boolean  ParamType = "boolean"  // true or false
	Integer  ParamType = "integer"  // a count
	Number   ParamType = "number"   // with or without a fraction
	Duration ParamType = "duration" // with a unit: 200ms
	Choice   ParamType = "choice"   // one of a few words
	Node     ParamType = "node"     // the number of a node, from 0
	Matrix   ParamType = "matrix"   // a list of lists of numbers
	Words    ParamType = "words"    // a list of different ones of a few words
)

// Param describes one parameter of an algorithm.
type Param struct {
	Name     string
	Type     ParamType
	Unit     string   // what it counts; "" where the type says it
	Default  string   // as a scenario file would spell it; "" where Required
	Required bool     // there is no default
	Min, Max string   // bounds, inclusive; "" = none
	Choices  []string // of a Choice and of Words
	Flags    []string `json:",omitempty"` // of a Choice where v1 had a flag: the flag, for each of Choices; nil otherwise
	Doc      string
}

// ParamError is a problem with one parameter of a scheduler.
type ParamError struct {
	Scheduler string
	Param     string // as it was given
	Err       error
}

// Error implements error.
func (e *ParamError) Error() string { return e.Scheduler + ": " + e.Param + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the parameter.
func (e *ParamError) Unwrap() error { return e.Err }

// field is a parameter and the struct field that holds it.
type field struct {
	Param
	index    []int   // as reflect counts, through embedded structs
	min, max float64 // of durations in nanoseconds
}

var types = []struct {
	of   reflect.Type
	name ParamType
}{
	{reflect.TypeFor[bool](), Boolean},
	{reflect.TypeFor[int](), Integer},
	{reflect.TypeFor[float64](), Number},
	{reflect.TypeFor[time.Duration](), Duration},
	{reflect.TypeFor[string](), Choice},
	{reflect.TypeFor[core.NodeID](), Node},
	{reflect.TypeFor[[][]float64](), Matrix},
	{reflect.TypeFor[[]string](), Words},
}

// fieldsOf reads the parameters from the tags of a struct that holds the defaults.
func fieldsOf(v reflect.Value) ([]field, error) {
	var fs []field
	for _, sf := range reflect.VisibleFields(v.Type()) {
		if !sf.IsExported() || sf.Anonymous {
			continue
		}
		f, err := fieldOf(sf, v.FieldByIndex(sf.Index))
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", sf.Name, err)
		}
		if slices.ContainsFunc(fs, func(g field) bool { return g.Name == f.Name }) {
			return nil, fmt.Errorf("field %s: there are two parameters %q", sf.Name, f.Name)
		}
		f.index = sf.Index
		fs = append(fs, f)
	}
	return fs, nil
}

func fieldOf(sf reflect.StructField, v reflect.Value) (field, error) {
	tag := sf.Tag
	f := field{min: math.Inf(-1), max: math.Inf(1)}
	f.Name, f.Unit, f.Doc = tag.Get("param"), tag.Get("unit"), tag.Get("doc")
	f.Min, f.Max, f.Required = tag.Get("min"), tag.Get("max"), tag.Get("required") == "true"
	for _, t := range types {
		if t.of == sf.Type {
			f.Type = t.name
		}
	}
	if s := tag.Get("oneof"); s != "" {
		f.Choices = strings.Split(s, "|")
	}
	if s := tag.Get("positional"); s != "" {
		f.Flags = strings.Split(s, "|")
	}
	switch {
	case f.Name == "" || strings.Trim(f.Name, strings.ToLower(letters)+"0123456789_") != "":
		return f, errors.New("an exported field needs a tag `param` in snake case")
	case slices.Contains(CommonKeys, f.Name):
		return f, fmt.Errorf("%q is a key of every algorithm", f.Name)
	case f.Doc == "":
		return f, errors.New("a parameter needs a tag `doc`")
	case f.Type == "":
		return f, fmt.Errorf("a parameter cannot be a %v", sf.Type)
	case f.Type == Integer && f.Unit == "":
		return f, errors.New("a count needs a tag `unit`")
	case (f.Type == Choice || f.Type == Words) != (f.Choices != nil):
		return f, errors.New("the tag `oneof` belongs to strings, and strings need it")
	case f.Flags != nil && (len(f.Flags) != len(f.Choices) || !slices.Contains(f.Flags, "true") || !slices.Contains(f.Flags, "false")):
		return f, errors.New("the tag `positional` says true or false for each choice, and both")
	}
	if f.Type == Node {
		f.min = 0
	}
	for _, b := range []struct {
		tag string
		at  *float64
	}{{f.Min, &f.min}, {f.Max, &f.max}} {
		if b.tag == "" {
			continue
		}
		if err := f.bound(b.tag, b.at); err != nil {
			return f, fmt.Errorf("bound %q: %w", b.tag, err)
		}
	}
	if f.Required {
		return f, nil
	}
	f.Default = text(v)
	if _, err := f.decode(plain(v)); err != nil {
		return f, fmt.Errorf("default: %w", err)
	}
	return f, nil
}

func (f *field) bound(s string, at *float64) (err error) {
	if f.Type == Duration {
		var d time.Duration
		d, err = time.ParseDuration(s)
		*at = float64(d)
		return err
	}
	*at, err = strconv.ParseFloat(s, 64)
	return err
}

// text spells a value as a scenario file would.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []string:
		return "[" + strings.Join(x, ", ") + "]"
	case [][]float64:
		rows := make([]string, len(x))
		for i, row := range x {
			cells := make([]string, len(row))
			for j, c := range row {
				cells[j] = strconv.FormatFloat(c, 'g', -1, 64)
			}
			rows[i] = "[" + strings.Join(cells, ", ") + "]"
		}
		return "[" + strings.Join(rows, ", ") + "]"
	default:
		return fmt.Sprint(x)
	}
}

// plain returns a value in the form in which Parse takes it.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case core.NodeID:
		return int(x)
	default:
		return x
	}
}

// decode converts what a scenario file says into the value of the field.
func (f *field) decode(v any) (reflect.Value, error) {
	var x any
	var err error
	switch f.Type {
	case Boolean:
		b, ok := v.(bool)
		if !ok {
			err = fmt.Errorf("must be true or false, is %s", spelled(v))
		}
		x = b
	case Integer:
		x, err = f.count(v)
	case Node:
		var n int
		n, err = f.count(v)
		if n > math.MaxInt32 {
			err = fmt.Errorf("must be the number of a node, is %d", n)
		}
		x = core.NodeID(n)
	case Number:
		x, err = f.number(v)
	case Duration:
		x, err = f.duration(v)
	case Choice:
		s, ok := v.(string)
		if !ok || !slices.Contains(f.Choices, s) {
			err = fmt.Errorf("must be one of %s, is %s", strings.Join(spelling.Nearest(s, f.Choices), ", "), spelled(v))
		}
		x = s
	case Matrix:
		x, err = f.matrix(v)
	case Words:
		x, err = f.words(v)
	}
	return reflect.ValueOf(x), err
}

// decodeString converts one of v1's parameters, which are all strings.
func (f *field) decodeString(s string) (reflect.Value, error) {
	if f.Flags != nil { // a choice where v1 had a flag
		b, err := strconv.ParseBool(s)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("must be true or false, is %q", s)
		}
		return f.decode(f.Choices[slices.Index(f.Flags, strconv.FormatBool(b))])
	}
	switch f.Type {
	case Boolean:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("must be true or false, is %q", s)
		}
		return f.decode(b)
	case Integer, Node:
		n, err := strconv.Atoi(s)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("must be a whole number, is %q", s)
		}
		return f.decode(n)
	case Number:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return reflect.Value{}, fmt.Errorf("must be a number, is %q", s)
		}
		return f.decode(x)
	default:
		return f.decode(s)
	}
}

func (f *field) words(v any) ([]string, error) {
	list, ok := v.([]string)
	if some, any := v.([]any); any {
		ok = true
		for _, w := range some {
			s, isText := w.(string)
			ok = ok && isText
			list = append(list, s)
		}
	}
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("must be a list of words, as [%s]; is %s", strings.Join(f.Choices[:1], ", "), spelled(v))
	}
	for i, w := range list {
		if !slices.Contains(f.Choices, w) {
			return nil, fmt.Errorf("has %q: use %s", w, strings.Join(spelling.Nearest(w, f.Choices), ", "))
		}
		if slices.Contains(list[:i], w) {
			return nil, fmt.Errorf("has %q twice", w)
		}
	}
	return list, nil
}

func (f *field) count(v any) (int, error) {
	var n int
	switch x := v.(type) {
	case int:
		n = x
	case int64:
		n = int(x)
	case uint64:
		if x > math.MaxInt {
			return 0, fmt.Errorf("is too large: %d", x)
		}
		n = int(x)
	case float64:
		if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			return 0, fmt.Errorf("must be a whole number, is %s", spelled(v))
		}
		n = int(x)
	default:
		return 0, fmt.Errorf("must be a whole number, is %s", spelled(v))
	}
	return n, f.within(float64(n), spelled(v))
}

func (f *field) number(v any) (float64, error) {
	x, ok := finite(v)
	if !ok {
		return 0, fmt.Errorf("must be a number, is %s", spelled(v))
	}
	return x, f.within(x, spelled(v))
}

// finite converts any of a decoder's numbers, if it is finite.
func finite(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, !math.IsNaN(x) && !math.IsInf(x, 0)
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	}
	return 0, false
}

func (f *field) duration(v any) (time.Duration, error) {
	s, ok := v.(string)
	if _, err := strconv.ParseFloat(s, 64); !ok || err == nil {
		return 0, fmt.Errorf("needs a unit, as in 200ms or 1.5s; is %s", spelled(v))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("must be a duration, as 200ms or 1.5s; is %q", s)
	}
	return d, f.within(float64(d), s)
}

// within checks the bounds; negative durations are always out of them.
func (f *field) within(x float64, is string) error {
	switch {
	case x < f.min:
		return fmt.Errorf("must be at least %s, is %s", cmp.Or(f.Min, "0"), is)
	case x > f.max:
		return fmt.Errorf("must be at most %s, is %s", f.Max, is)
	case f.Type == Duration && x < 0:
		return fmt.Errorf("must not be negative, is %s", is)
	}
	return nil
}

func (f *field) matrix(v any) ([][]float64, error) {
	if m, ok := v.([][]float64); ok {
		rows := make([]any, len(m))
		for i, r := range m {
			row := make([]any, len(r))
			for j, x := range r {
				row[j] = x
			}
			rows[i] = row
		}
		v = rows
	}
	rows, ok := v.([]any)
	if !ok || len(rows) == 0 {
		return nil, fmt.Errorf("must be a list of rows, as [[0.5, 0.5], [0, 1]]; is %s", spelled(v))
	}
	m := make([][]float64, len(rows))
	var problems []error
	for i, r := range rows {
		row, ok := r.([]any)
		if !ok {
			problems = append(problems, fmt.Errorf("row %d must be a list of numbers, is %s", i, spelled(r)))
			continue
		}
		m[i] = make([]float64, len(row))
		for j, c := range row {
			x, ok := finite(c)
			if !ok {
				problems = append(problems, fmt.Errorf("row %d, column %d must be a number, is %s", i, j, spelled(c)))
			} else if err := f.within(x, spelled(c)); err != nil {
				problems = append(problems, fmt.Errorf("row %d, column %d %w", i, j, err))
			}
			m[i][j] = x
		}
	}
	return m, errors.Join(problems...)
}

// spelled is how a message quotes a value of a scenario file.
func spelled(v any) string {
	switch x := v.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	default:
		return fmt.Sprint(x)
	}
}
