package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// TaskReport is what a node says of a client's request when it has ended, exactly: for records that are those of a
// simulation.
type TaskReport struct {
	Outcome   string        `json:"outcome"`
	Executor  string        `json:"executor,omitempty"` // address
	Hops      int           `json:"hops"`
	Probes    int           `json:"probes"`
	Retries   int           `json:"retries"`
	Cold      bool          `json:"cold,omitempty"`
	ColdStart time.Duration `json:"cold_start_ns,omitempty"` // part of Timing.Executing
	Timing    core.Timing   `json:"timing"`                  // nanoseconds
	Lesson    *LessonReport `json:"lesson,omitempty"`
}

// LessonReport is a core.Lesson on the wire, its state exactly.
type LessonReport struct {
	EID     uint64    `json:"eid"`
	State   []float64 `json:"state"`
	Action  int       `json:"action"`
	Epsilon float64   `json:"epsilon"`
}

// NewTaskReport is the report of a task that has ended; executor is the address of who executed it.
func NewTaskReport(t *core.Task, o core.Outcome, executor string) *TaskReport {
	return &TaskReport{Outcome: o.String(), Executor: executor, Hops: int(t.Hops), Probes: int(t.Probes),
		Retries: int(t.Retries), Cold: t.Cold(), ColdStart: t.ColdStart(), Timing: t.Timing}
}

// SetHeader writes the report, with what the learner decided.
func (r *TaskReport) SetHeader(h http.Header, l *core.Lesson) {
	if l != nil {
		r.Lesson = &LessonReport{l.EID, l.State, l.Action.Index, l.Action.Epsilon}
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("wire: a report of a task has no JSON: %v", err))
	}
	h.Set(HeaderTask, string(b))
	if r.Cold {
		h.Set(HeaderColdStart, FormatSeconds(r.ColdStart))
	}
}

// FormatSeconds writes a duration exactly.
func FormatSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 9, 64) }

// ParseSeconds reads what a client says of its request: not negative, and below 146 years.
func ParseSeconds(h http.Header, name string) (d time.Duration, given bool, err error) {
	s := h.Get(name)
	if s == "" {
		return 0, false, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0 && x*1e9 < 1<<62) {
		return 0, false, fmt.Errorf("%s is %.40q: write seconds, from 0", name, s)
	}
	return time.Duration(math.Round(x * 1e9)), true, nil
}

// SetLessonHeaders writes what the client needs for teaching the learner.
func SetLessonHeaders(h http.Header, l *core.Lesson) {
	if l == nil {
		return
	}
	state := make([]string, len(l.State))
	for i, x := range l.State {
		state[i] = strconv.FormatFloat(x, 'f', 6, 64)
	}
	h.Set(HeaderEID, strconv.FormatUint(l.EID, 10))
	h.Set(HeaderState, strings.Join(state, ","))
	h.Set(HeaderAction, strconv.FormatFloat(float64(l.Action.Index), 'f', 6, 64))
	h.Set(HeaderEpsilon, strconv.FormatFloat(l.Action.Epsilon, 'f', 6, 64))
}

// ParseState reads a state as SetLessonHeaders writes it.
func ParseState(text string) ([]float64, error) {
	if text == "" {
		return nil, errors.New("there is no state")
	}
	var state []float64
	for part := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("the state %.80q is no list of numbers", text)
		}
		state = append(state, x)
	}
	return state, nil
}
