package simnet

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// trace writes one line per event: the time in seconds, the node with its load (running+queued), what happened, and
// to which task.
type trace struct {
	out *bufio.Writer
	w   *World
}

func newTrace(out io.Writer, w *World) *trace {
	t := &trace{out: bufio.NewWriter(out), w: w}
	w.engine.OnVerdict = func(_ core.Time, n core.NodeID, k *core.Task, v core.Verdict) {
		t.line(n, "decide", k, v.String())
	}
	return t
}

func (t *trace) line(n core.NodeID, what string, k *core.Task, detail string) {
	task := ""
	if k != nil {
		task = fmt.Sprintf("#%d", k.ID)
		if k.Copy > 0 {
			task += fmt.Sprintf("/%d", k.Copy)
		}
	}
	l := t.w.nodes[n].Load()
	s := fmt.Sprintf("%13.9f  n%-4d %2d+%-2d  %-9s %-8s %s", t.w.now.Seconds(), n, l.Running, l.Queued, what, task, detail)
	fmt.Fprintln(t.out, strings.TrimRight(s, " "))
}

func (t *trace) submit(n core.NodeID, k *core.Task) {
	t.line(n, "arrive", k, fmt.Sprintf("%s, demand %v", t.w.scenario.Functions[k.Type].Name, k.Demand))
}

func (t *trace) send(m *core.Msg, d time.Duration, lost bool) {
	detail := fmt.Sprintf("%v to n%d, %v on the way", m.Kind, m.To, d)
	if lost {
		detail = fmt.Sprintf("%v to n%d is lost", m.Kind, m.To)
	}
	t.line(m.From, "send", m.Task, detail)
}

func (t *trace) deliver(m *core.Msg) {
	detail := fmt.Sprintf("%v from n%d", m.Kind, m.From)
	switch m.Kind {
	case core.MsgReply:
		detail += fmt.Sprintf(", load %d+%d", m.Load.Running, m.Load.Queued)
	case core.MsgAnswer:
		detail += ", " + m.Outcome.String()
	}
	t.line(m.To, "receive", m.Task, detail)
}

func (t *trace) start(n core.NodeID, k *core.Task)  { t.line(n, "execute", k, "") }
func (t *trace) stop(n core.NodeID, k *core.Task)   { t.line(n, "stop", k, "") }
func (t *trace) finish(n core.NodeID, k *core.Task) { t.line(n, "finish", k, "") }

func (t *trace) fire(n core.NodeID) { t.line(n, "timer", nil, "") }

func (t *trace) done(n core.NodeID, k *core.Task, o core.Outcome) {
	t.line(n, "done", k, fmt.Sprintf("%v after %v", o, t.w.now.Sub(k.Arrived)))
}
