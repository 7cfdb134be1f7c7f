package scenarios

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"
)

// scalar is a value that a file writes as one word: a number with its unit, a name, a choice. Its String is what parse
// reads, and it parses to the same value.
type scalar interface {
	parse(n *yaml.Node) error
	String() string
	schema() *jsonschema.Schema
}

// magnitude is a scalar that can be compared with a bound, in the unit of its String's base.
type magnitude interface{ magnitude() float64 }

// dimension is a family of units.
type dimension struct {
	what    string // "a duration"
	example string
	limit   float64 // in the first unit
	units   []unit
}

type unit struct {
	name   string
	factor float64
}

// longest is the longest duration of a file, ten years in ns.
const longest = 3650 * 24 * float64(time.Hour)

// The factors lead to ns, arrivals per second, bytes, bytes per second, watts, joules per byte.
var (
	durations = dimension{"a duration", "200ms", longest, []unit{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9},
		{"min", 6e10},
		{"h", 3.6e12}, {"d", 8.64e13}}}
	rates      = dimension{"a rate", "8/s", 1e9, []unit{{"/s", 1}, {"/min", 1.0 / 60}, {"/h", 1.0 / 3600}}}
	byteCounts = dimension{"a number of bytes", "28kB", 1<<31 - 1, []unit{{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}}
	memories   = dimension{"an amount of memory", "512MiB", 1 << 50, byteCounts.units}
	bandwidths = dimension{"a bandwidth", "100Mbit/s", 1e15, []unit{
		{"bit/s", 1. / 8}, {"kbit/s", 1e3 / 8}, {"Mbit/s", 1e6 / 8},
		{"Gbit/s", 1e9 / 8}, {"B/s", 1}, {"kB/s", 1e3}, {"MB/s", 1e6}, {"GB/s", 1e9}}}
	powers           = dimension{"a power", "2.5W", 1e9, []unit{{"W", 1}, {"mW", 1e-3}, {"kW", 1e3}}}
	energiesPerBytes = dimension{"an energy per byte", "50nJ/B", 1e6, []unit{{"J/B", 1}, {"mJ/B", 1e-3}, {"uJ/B", 1e-6},
		{"nJ/B", 1e-9}}}
)

var number = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?`)

// split takes a number and its unit apart.
func (q *dimension) split(s string) (x float64, rest string, err error) {
	m := number.FindString(s)
	if m == "" {
		return 0, "", fmt.Errorf("%q is not %s: write a number and a unit, like %s", short(s), q.what, q.example)
	}
	x, err = strconv.ParseFloat(m, 64)
	if err != nil {
		return 0, "", fmt.Errorf("%s is out of range: write a smaller number", short(m))
	}
	return x, strings.TrimLeft(s[len(m):], " "), nil
}

// parse returns the value of s in base units.
func (q *dimension) parse(s string) (float64, error) {
	x, name, err := q.split(s)
	if err != nil {
		return 0, err
	}
	f, err := q.factor(s, name)
	if err != nil {
		return 0, err
	}
	if x < 0 {
		return 0, fmt.Errorf("%s is negative: write %s of 0 or more", short(s), q.what)
	}
	v := x * f
	if !(v <= q.limit) {
		return 0, fmt.Errorf("%s is out of range: %s is at most %s", short(s), q.what, q.format(q.limit))
	}
	return v, nil
}

func (q *dimension) factor(s, name string) (float64, error) {
	for _, u := range q.units {
		if u.name == name {
			return u.factor, nil
		}
	}
	names := make([]string, len(q.units))
	for i, u := range q.units {
		names[i] = u.name
	}
	switch {
	case name == "m" && q == &durations:
		return 0, fmt.Errorf("%s may mean minutes or milliseconds: write min or ms", short(s))
	case name == "":
		return 0, fmt.Errorf("%s has no unit: write %s with one of %s, like %s", short(s), q.what,
			strings.Join(names, " "), q.example)
	}
	return 0, fmt.Errorf("%q is not a unit of %s: %s", short(name),
		strings.TrimPrefix(strings.TrimPrefix(q.what, "a "), "an "),
		suggest(name, names))
}

// format returns a short text that parses to v, without a fraction where that is not much longer.
func (q *dimension) format(v float64) string {
	best, least := "", 0
	for i, u := range q.units {
		text := strconv.FormatFloat(v/u.factor, 'f', -1, 64)
		if x, err := q.parse(text + u.name); i > 0 && (err != nil || x != v) {
			continue
		}
		text += u.name
		cost := len(text)
		if strings.Contains(text, ".") {
			cost += 2
		}
		if best == "" || cost < least {
			best, least = text, cost
		}
	}
	return best
}

// seconds is a unit of time, by name, in seconds.
func (q *dimension) seconds(name string) float64 {
	f, err := q.factor(name, name)
	if err != nil {
		panic(err)
	}
	return f / 1e9
}

func (q *dimension) schema() *jsonschema.Schema {
	names := make([]string, len(q.units))
	for i, u := range q.units {
		names[i] = regexp.QuoteMeta(u.name)
	}
	return &jsonschema.Schema{Type: "string", Description: q.what + ", like " + q.example,
		Pattern: `^\+?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)? *(` + strings.Join(names, "|") + `)$`}
}

// short is s as an error message quotes it.
func short(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:37], "") + "..."
	}
	return s
}

type duration time.Duration

func (d *duration) parse(n *yaml.Node) error {
	v, err := durations.parse(n.Value)
	if err != nil {
		return err
	}
	ns := math.Round(v)
	if v > 0 && ns == 0 {
		return fmt.Errorf("%s is shorter than 1ns: write 0s or 1ns", short(n.Value))
	}
	*d = duration(ns)
	return nil
}

func (d duration) String() string             { return durations.format(float64(d)) }
func (d duration) schema() *jsonschema.Schema { return durations.schema() }
func (d duration) magnitude() float64         { return float64(d) / 1e9 }
func (d duration) seconds() float64           { return time.Duration(d).Seconds() }

type rate float64 // per second

func (r *rate) parse(n *yaml.Node) (err error) {
	v, err := rates.parse(n.Value)
	*r = rate(v)
	return err
}
func (r rate) String() string             { return rates.format(float64(r)) }
func (r rate) schema() *jsonschema.Schema { return rates.schema() }
func (r rate) magnitude() float64         { return float64(r) }

// memory is a number of bytes that need not fit into an int of 32 bits.
type memory int64

func (m *memory) parse(n *yaml.Node) error {
	v, err := memories.parse(n.Value)
	*m = memory(v)
	return err
}
func (m memory) String() string             { return memories.format(float64(m)) }
func (m memory) schema() *jsonschema.Schema { return memories.schema() }
func (m memory) magnitude() float64         { return float64(m) }

type byteCount int

// ParseBytes reads a number of bytes as it stands in a scenario file: 28kB.
func ParseBytes(text string) (int64, error) {
	v, err := byteCounts.parse(text)
	if err == nil && v != math.Trunc(v) {
		err = fmt.Errorf("%s is not a whole number of bytes: write %.0fB", short(text), math.Round(v))
	}
	return int64(v), err
}

// FormatBytes writes a number of bytes as a scenario file has it.
func FormatBytes(n int64) string { return byteCounts.format(float64(n)) }

func (b *byteCount) parse(n *yaml.Node) error {
	v, err := ParseBytes(n.Value)
	if err == nil {
		*b = byteCount(v)
	}
	return err
}
func (b byteCount) String() string             { return byteCounts.format(float64(b)) }
func (b byteCount) schema() *jsonschema.Schema { return byteCounts.schema() }

type bandwidth float64 // bytes per second

func (b *bandwidth) parse(n *yaml.Node) error {
	v, err := bandwidths.parse(n.Value)
	*b = bandwidth(v)
	return err
}
func (b bandwidth) String() string             { return bandwidths.format(float64(b)) }
func (b bandwidth) schema() *jsonschema.Schema { return bandwidths.schema() }
func (b bandwidth) magnitude() float64         { return float64(b) }

// shift is a duration that is not 0, and may be negative.
type shift time.Duration

func (x *shift) parse(n *yaml.Node) error {
	text, back := strings.CutPrefix(n.Value, "-")
	var d duration
	if strings.HasPrefix(text, "-") {
		return fmt.Errorf("%q is not a duration: write a number and a unit, like -1h", short(n.Value))
	} else if err := d.parse(&yaml.Node{Value: text}); err != nil {
		return err
	} else if d == 0 {
		return fmt.Errorf("%s changes nothing: write a duration like -1h or 10min", short(n.Value))
	}
	if *x = shift(d); back {
		*x = -*x
	}
	return nil
}
func (x shift) String() string {
	if x < 0 {
		return "-" + duration(-x).String()
	}
	return duration(x).String()
}
func (x shift) schema() *jsonschema.Schema {
	s := durations.schema()
	s.Description = "a duration, which may be negative, like -1h"
	s.Pattern = strings.Replace(s.Pattern, "^", "^-?", 1)
	return s
}

type watts float64

func (w *watts) parse(n *yaml.Node) error {
	v, err := powers.parse(n.Value)
	*w = watts(v)
	return err
}
func (w watts) String() string             { return powers.format(float64(w)) }
func (w watts) schema() *jsonschema.Schema { return powers.schema() }

type joulesPerByte float64

func (j *joulesPerByte) parse(n *yaml.Node) error {
	v, err := energiesPerBytes.parse(n.Value)
	*j = joulesPerByte(v)
	return err
}
func (j joulesPerByte) String() string             { return energiesPerBytes.format(float64(j)) }
func (j joulesPerByte) schema() *jsonschema.Schema { return energiesPerBytes.schema() }

// unquoted is the text of a number or a truth value, which has no quotes.
func unquoted(n *yaml.Node) (string, error) {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return "", fmt.Errorf("%q is a text: write it without quotes", short(n.Value))
	}
	return n.Value, nil
}

var wholeNumber = regexp.MustCompile(`^[0-9]+$`)

// whole parses a whole number that is not negative.
func whole(n *yaml.Node, limit uint64) (uint64, error) {
	s, err := unquoted(n)
	if err != nil {
		return 0, err
	}
	if wholeNumber.MatchString(s) {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil || v > limit {
			return 0, fmt.Errorf("%s is too large: write at most %d", short(s), limit)
		}
		return v, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		return 0, fmt.Errorf("%q is not a whole number: write digits only, like 4", short(s))
	case x < 0:
		return 0, fmt.Errorf("%s is negative: write a whole number of 0 or more", short(s))
	case x != math.Trunc(x) && x < 1e15:
		return 0, fmt.Errorf("%s is not a whole number: write %.0f or %.0f", short(s), math.Floor(x), math.Ceil(x))
	}
	return 0, fmt.Errorf("%s is not written as a whole number: write digits only, like 4", short(s))
}

type count int

const countLimit = 1 << 30

func (c *count) parse(n *yaml.Node) error {
	v, err := whole(n, countLimit)
	*c = count(v)
	return err
}
func (c count) String() string     { return strconv.Itoa(int(c)) }
func (c count) magnitude() float64 { return float64(c) }
func (c count) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Minimum: jsonschema.Ptr(0.0)}
}

// bound is a count, or "unlimited".
type bound int

func (b *bound) parse(n *yaml.Node) error {
	if n.Value == "unlimited" {
		*b = Unlimited
		return nil
	}
	v, err := whole(n, Unlimited-1)
	if err != nil {
		return fmt.Errorf("%w, or unlimited", err)
	}
	*b = bound(v)
	return nil
}
func (b bound) String() string {
	if b >= Unlimited {
		return "unlimited"
	}
	return strconv.Itoa(int(b))
}
func (b bound) magnitude() float64 { return float64(b) }
func (b bound) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{count(0).schema(), {Const: jsonschema.Ptr[any]("unlimited")}}}
}

type seed uint64

func (s *seed) parse(n *yaml.Node) error {
	v, err := whole(n, math.MaxUint64)
	*s = seed(v)
	return err
}
func (s seed) String() string             { return strconv.FormatUint(uint64(s), 10) }
func (s seed) schema() *jsonschema.Schema { return count(0).schema() }

// real is a number without a unit.
type real float64

func (r *real) parse(n *yaml.Node) error {
	s, err := unquoted(n)
	if err != nil {
		return err
	}
	if number.FindString(s) != s || s == "" {
		return fmt.Errorf("%q is not a number: write one, like 1.5, without a unit", short(s))
	}
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return fmt.Errorf("%s is out of range: write a smaller number", short(s))
	case v < 0:
		return fmt.Errorf("%s is negative: write a number of 0 or more", short(s))
	}
	*r = real(v)
	return nil
}
func (r real) String() string     { return strconv.FormatFloat(float64(r), 'g', -1, 64) }
func (r real) magnitude() float64 { return float64(r) }
func (r real) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "number", Minimum: jsonschema.Ptr(0.0)}
}

// signed is a number without a unit, which may be negative.
type signed float64

func (x *signed) parse(n *yaml.Node) error {
	s, err := unquoted(n)
	if err != nil {
		return err
	}
	v, err := strconv.ParseFloat(s, 64)
	if number.FindString(s) != s || s == "" || err != nil {
		return fmt.Errorf("%q is not a number: write one, like -1.5, without a unit", short(s))
	}
	*x = signed(v)
	return nil
}
func (x signed) String() string             { return strconv.FormatFloat(float64(x), 'g', -1, 64) }
func (x signed) schema() *jsonschema.Schema { return &jsonschema.Schema{Type: "number"} }

// share is a number from 0 to 1, which may be written in percent.
type share float64

func (r *share) parse(n *yaml.Node) error {
	v, err := percent(n.Value)
	switch {
	case err != nil:
		return err
	case v < 0:
		return fmt.Errorf("%s is negative: write a number from 0 to 1, or 0%% to 100%%", short(n.Value))
	case v > 1:
		return fmt.Errorf("%s is more than 1: write a number from 0 to 1, or 0%% to 100%%", short(n.Value))
	}
	*r = share(v)
	return nil
}

func percent(s string) (float64, error) {
	digits := strings.TrimRight(strings.TrimSuffix(s, "%"), " ")
	v, err := strconv.ParseFloat(digits, 64)
	if number.FindString(digits) != digits || err != nil {
		return 0, fmt.Errorf("%q is not a share: write a number from 0 to 1, or 0%% to 100%%", short(s))
	}
	if digits != s {
		v /= 100
	}
	return v, nil
}
func (r share) String() string     { return strconv.FormatFloat(float64(r), 'f', -1, 64) }
func (r share) magnitude() float64 { return float64(r) }
func (r share) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "number", Minimum: jsonschema.Ptr(0.0), Maximum: jsonschema.Ptr(1.0)},
		{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? *%$`}}}
}

// busy is a share, or "auto".
type busy struct {
	share share
	given bool
}

func (b *busy) parse(n *yaml.Node) error {
	*b = busy{given: n.Value != "auto"}
	if !b.given {
		return nil
	}
	if err := b.share.parse(n); err != nil {
		return fmt.Errorf("%w, or auto", err)
	}
	return nil
}
func (b busy) String() string {
	if !b.given {
		return "auto"
	}
	return b.share.String()
}
func (b busy) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: append(b.share.schema().AnyOf, &jsonschema.Schema{Const: jsonschema.Ptr[any]("auto")})}
}

// portion is a duration, or a percentage of another one.
type portion struct {
	of       duration
	percent  float64
	relative bool
}

func (p *portion) parse(n *yaml.Node) error {
	*p = portion{relative: strings.HasSuffix(n.Value, "%")}
	if !p.relative {
		if err := p.of.parse(n); err != nil {
			return fmt.Errorf("%w, or a percentage like 10%%", err)
		}
		return nil
	}
	digits := strings.TrimRight(strings.TrimSuffix(n.Value, "%"), " ")
	v, err := strconv.ParseFloat(digits, 64)
	if number.FindString(digits) != digits || err != nil || v < 0 || v >= 100 {
		return fmt.Errorf("%q is not a percentage below 100%%: write one like 10%%", short(n.Value))
	}
	p.percent = v
	return nil
}

// in is the portion of whole.
func (p portion) in(whole duration) duration {
	if !p.relative {
		return p.of
	}
	return duration(math.Round(float64(p.percent*float64(whole)) / 100))
}
func (p portion) String() string {
	if !p.relative {
		return p.of.String()
	}
	return strconv.FormatFloat(p.percent, 'f', -1, 64) + "%"
}
func (p portion) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{durations.schema(),
		{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? *%$`}}}
}

// instant is a point in time, to the nanosecond.
type instant time.Time

func (t *instant) parse(n *yaml.Node) error {
	v, err := time.Parse(time.RFC3339Nano, n.Value)
	if y := v.UTC().Year(); err != nil || y < 0 || y > 9999 {
		return fmt.Errorf("%q is not a time: write one like 2026-11-28T19:00:00Z", short(n.Value))
	}
	*t = instant(v.UTC())
	return nil
}
func (t instant) String() string { return time.Time(t).UTC().Format(time.RFC3339Nano) }
func (t instant) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Format: "date-time"}
}

// text is free text.
type text string

func (t *text) parse(n *yaml.Node) error {
	if len(n.Value) > 1<<16 {
		return errors.New("the text is longer than 64 KiB: write less")
	}
	*t = text(n.Value)
	return nil
}
func (t text) String() string { return string(t) }
func (t text) schema() *jsonschema.Schema {
	// A text that looks like a number is one to YAML.
	return &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
}

// label is the name of something, fit for tables, file names and dotted keys.
type label string

var labels = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

func (l *label) parse(n *yaml.Node) error {
	if !labels.MatchString(n.Value) || len(n.Value) > 80 {
		return fmt.Errorf("%q is not a name: write letters, digits, - and _ only, 80 at most", short(n.Value))
	}
	*l = label(n.Value)
	return nil
}
func (l label) String() string { return string(l) }
func (l label) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "integer"}, Pattern: labels.String()}
}

// metric names a column of a summary.
type metric string

// Metrics are the names that a stopping rule may have; percentiles of the latency and the wait may be others than these
// (latency.p75). They are those of package results, but for counts and maxima, which grow with the length of the run.
var Metrics = []string{"throughput", "latency.mean", "latency.std", "latency.p50", "latency.p90", "latency.p95",
	"latency.p99", "latency.p99.9", "client.mean", "scheduling.mean", "probing.mean", "forwarding.mean", "waiting.mean",
	"waiting.p50", "waiting.p95", "waiting.p99", "executing.mean", "returning.mean", "drop_rate", "rejected_rate",
	"no_room_rate", "no_function_rate", "expired_rate", "lost_rate", "deadline_share", "reward.mean", "forwarded_share", "probing_share",
	"probes_per_request", "messages_per_request", "hops.mean", "retry_rate", "cold_share", "cold_start.mean", "utilisation", "fairness",
	"load.mean", "energy", "energy_per_request", "energy_per_completed"}

var percentiles = regexp.MustCompile(`^(latency|waiting)\.p(0*[1-9][0-9]?(\.[0-9]+)?|0+\.0*[1-9][0-9]*)$`)

func (m *metric) parse(n *yaml.Node) error {
	if !slices.Contains(Metrics, n.Value) && !percentiles.MatchString(n.Value) {
		return fmt.Errorf("%q is not a metric: %s", short(n.Value), suggest(n.Value, Metrics))
	}
	*m = metric(n.Value)
	return nil
}
func (m metric) String() string { return string(m) }
func (m metric) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", AnyOf: []*jsonschema.Schema{enum(Metrics), {Pattern: percentiles.String()}}}
}

// boolean is true or false.
type boolean bool

func (f *boolean) parse(n *yaml.Node) error {
	s, err := unquoted(n)
	if err != nil {
		return err
	}
	if s != "true" && s != "false" {
		return fmt.Errorf("%q is neither true nor false: write true or false", short(s))
	}
	*f = s == "true"
	return nil
}
func (f boolean) String() string             { return strconv.FormatBool(bool(f)) }
func (f boolean) schema() *jsonschema.Schema { return &jsonschema.Schema{Type: "boolean"} }

// digest is the SHA-256 of a data file, in hexadecimal.
type digest string

func (d *digest) parse(n *yaml.Node) error {
	if b, err := hex.DecodeString(n.Value); err != nil || len(b) != 32 {
		return fmt.Errorf("%q is not a SHA-256 digest: write 64 hexadecimal digits, or leave it out", short(n.Value))
	}
	*d = digest(strings.ToLower(n.Value))
	return nil
}
func (d digest) String() string { return string(d) }
func (d digest) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: "^[0-9a-fA-F]{64}$"}
}
