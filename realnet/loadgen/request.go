package loadgen

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// One request of the load generator, and what its answer says.

// request sends a request that is due, and counts what became of it.
func (l *load) request(ctx context.Context, a *scenarios.Arrival, id core.TaskID, due time.Time) {
	r := results.Record{Replication: l.Replication, ID: id, Node: a.Node, Function: a.Type, Arrival: a.At, Demand: a.Demand,
		Deadline: a.Deadline, Executor: core.NoNode, Late: max(0, time.Since(due))}
	said, err := l.ask(ctx, a, id, due)
	if ctx.Err() != nil {
		return
	}
	ended := time.Now()
	r.Latency = ended.Sub(due)
	var lesson *wire.LessonReport
	if err != nil {
		r.Outcome, said.remark = lostBy(err), reasonOf(err)
		if errors.Is(err, context.DeadlineExceeded) {
			said.remark = fmt.Sprintf("no answer within %v", l.Timeout)
		}
	} else {
		lesson = said.report.Lesson
		r.Outcome = outcomeOf(said.report.Outcome)
		r.Hops, r.Probes, r.Retries, r.Timing = said.report.Hops, said.report.Probes, said.report.Retries, said.report.Timing
		r.Cold, r.ColdStart = said.report.Cold, said.report.ColdStart
		if n, known := l.numbers[said.report.Executor]; known {
			r.Executor = n
		}
	}
	r.Client = r.Latency - r.Timing.Total()
	r.EnergyJ = l.count.energy(&r)
	byFault := r.Outcome != core.Completed && l.befalling.explain(&r, due, err != nil && r.Outcome == core.LostNoAnswer)
	entry := l.count.add(&r, lesson, said.status, said.remark, byFault)
	if entry != nil && l.teachers != nil {
		l.teachers[a.Node].teach(ctx, *entry)
	}
}

// lostBy is the outcome of a request that was not answered.
func lostBy(err error) core.Outcome {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return core.LostNoAnswer
	}
	return core.LostNodeDown
}

// outcomeOf is the outcome with that name.
func outcomeOf(name string) core.Outcome {
	for o := range core.Outcome(core.NumOutcomes) {
		if o.String() == name {
			return o
		}
	}
	return core.LostNodeDown // no outcome of ours
}

// response is what came back for a request.
type response struct {
	report *wire.TaskReport
	status int    // of HTTP; 0: no answer
	remark string // the beginning of an answer that is an error, or why there is none; empty where an algorithm decided so
}

// ask sends the request and reads its answer, to the end.
func (l *load) ask(ctx context.Context, a *scenarios.Arrival, id core.TaskID, due time.Time) (response, error) {
	ctx, cancel := context.WithDeadline(ctx, due.Add(l.Timeout))
	defer cancel()
	f := &l.Scenario.Functions[a.Type]
	content := l.payload(a, id)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, l.urls[a.Node][a.Type], bytes.NewReader(content))
	if err != nil {
		return response{}, err
	}
	h := q.Header
	h.Set("Content-Type", http.DetectContentType(content))
	h.Set(wire.HeaderTaskType, strconv.Itoa(int(a.Type)))
	h.Set(wire.HeaderTracing, fmt.Sprintf("n%dt%d", a.Node, id))
	h.Set(wire.HeaderDemand, wire.FormatSeconds(a.Demand))
	if a.Deadline > 0 {
		h.Set(wire.HeaderDeadline, wire.FormatSeconds(max(0, a.Deadline-time.Since(due))))
	}
	if f.Priority > 0 {
		h.Set(wire.HeaderPriority, strconv.Itoa(f.Priority))
	}
	answer, err := l.http.Do(q)
	if err != nil {
		return response{}, err
	}
	defer answer.Body.Close()
	var kept bytes.Buffer // an error's body, for a node that says no more
	if _, err := io.Copy(io.Discard, io.TeeReader(answer.Body, &limitedBuffer{&kept, 4096})); err != nil {
		return response{}, err
	}
	report, err := readReport(answer.StatusCode, answer.Header, kept.Bytes())
	if err != nil {
		return response{}, err
	}
	return response{report, answer.StatusCode, remarkOf(report, answer.StatusCode, kept.Bytes())}, nil
}

// remarkOf is what an answer says that is an error, in so few words that they can be counted.
func remarkOf(r *wire.TaskReport, status int, body []byte) string {
	if status < http.StatusBadRequest {
		return ""
	}
	var f wire.Failure
	o := outcomeOf(r.Outcome)
	if o != core.Completed {
		_ = json.Unmarshal(body, &f) // where it is none, it is words
		if !o.Lost() && f.Code != wire.CodeUnavailable {
			return ""
		}
	}
	return wire.OneLine(cmp.Or(f.Reason, f.Message, string(body)))
}

// reasonOf is why there is no answer.
func reasonOf(err error) string { return wire.OneLine(shortened(err).Error()) }

// shortened is an error of a call without its addresses: the node is known.
func shortened(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if o := (*net.OpError)(nil); errors.As(err, &o) {
		err = o.Err
	}
	return err
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct {
	to   *bytes.Buffer
	room int
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.to.Write(p[:min(len(p), b.room)])
	b.room -= min(len(p), b.room)
	return len(p), nil
}

// readReport is what a node says of a request: in its own words or, a node of the first P2PFaaS, in the headers and
// error codes of that.
func readReport(status int, h http.Header, body []byte) (*wire.TaskReport, error) {
	if text := h.Get(wire.HeaderTask); text != "" {
		r := &wire.TaskReport{}
		if err := json.Unmarshal([]byte(text), r); err != nil {
			return nil, fmt.Errorf("the answer's header %s is %.200q: %w", wire.HeaderTask, text, err)
		}
		return r, nil
	}
	r := &wire.TaskReport{Outcome: core.Completed.String()}
	if lesson, err := readLesson(h); err == nil {
		r.Lesson = lesson
	}
	if status >= http.StatusBadRequest {
		var f wire.Failure
		_ = json.Unmarshal(body, &f) // where there is no code, it is not one of those below
		r.Outcome = core.LostNodeDown.String()
		switch f.Code {
		case wire.CodeRejected:
			r.Outcome = core.Rejected.String()
		case wire.CodeNoRoom, wire.CodeUnavailable:
			r.Outcome = core.NoRoom.String()
		case wire.CodeGeneric: // above all of a function that did not answer
			r.Outcome = core.LostNoAnswer.String()
		}
		return r, nil
	}
	var totals, schedulings, probings []float64
	var ips []string
	for _, x := range []struct {
		header string
		to     any
	}{{wire.HeaderTotalTimes, &totals}, {wire.HeaderSchedulingTimes, &schedulings}, {wire.HeaderProbingTimes, &probings}, {wire.HeaderPeersIP, &ips}} {
		if text := h.Get(x.header); text != "" {
			if err := json.Unmarshal([]byte(text), x.to); err != nil {
				return nil, fmt.Errorf("the answer's header %s is %.200q: %w", x.header, text, err)
			}
		}
	}
	fromLists(r, h.Get(wire.HeaderExecution), totals, schedulings, probings, ips)
	return r, nil
}

// fromLists takes apart v1's lists, the entry node first, the executing node last.
func fromLists(r *wire.TaskReport, execution string, totals, schedulings, probings []float64, ips []string) {
	at := func(xs []float64, i int) time.Duration {
		if i < 0 || i >= len(xs) {
			return 0
		}
		return wire.DurationOf(&xs[i])
	}
	last := len(totals) - 1
	t := &r.Timing
	seconds, _ := strconv.ParseFloat(execution, 64) // absent: 0
	t.Executing = wire.DurationOf(&seconds)
	for i := range schedulings {
		t.Probing += at(probings, i)
		t.Scheduling += max(0, at(schedulings, i)-at(probings, i))
	}
	t.Waiting = max(0, at(totals, last)-max(at(schedulings, last), at(probings, last))-t.Executing)
	r.Hops = max(0, last)
	if len(ips) > 0 {
		r.Executor = ips[len(ips)-1]
	}
	// What is left of the total is the way there and back, which v1 does not tell apart.
	t.Forwarding = max(0, at(totals, 0)-t.Total())
}

// readLesson reads v1's headers of what the learner decided.
func readLesson(h http.Header) (*wire.LessonReport, error) {
	if h.Get(wire.HeaderEID) == "" {
		return nil, nil
	}
	l := &wire.LessonReport{}
	eid, err1 := strconv.ParseUint(h.Get(wire.HeaderEID), 10, 64)
	state, err2 := wire.ParseState(h.Get(wire.HeaderState))
	action, err3 := strconv.ParseFloat(h.Get(wire.HeaderAction), 64)
	epsilon, err4 := strconv.ParseFloat(h.Get(wire.HeaderEpsilon), 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	l.EID, l.State, l.Action, l.Epsilon = eid, state, int(action), epsilon
	return l, nil
}
