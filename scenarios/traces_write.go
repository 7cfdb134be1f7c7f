package scenarios

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// TraceTask is a task of a trace that a replay reads.
type TraceTask struct {
	At       core.Time     // since the run began
	Node     core.NodeID   // that the client calls; core.NoNode: not known
	Function string        // empty: not known
	Demand   time.Duration // on a node of speed 1; negative: not known
	Deadline time.Duration // relative to At, 0 = none; negative: not known
}

// WriteTrace writes tasks as the file of a trace (arrivals: replay), times in seconds to the nanosecond: a replay has the tasks
// as they are here. They are to be in order of time. What is not known is an empty cell.
func WriteTrace(w io.Writer, tasks []TraceTask) error {
	var problems []error
	names := map[string]bool{}
	for i := range tasks {
		t := &tasks[i]
		if t.Function != "" && !names[t.Function] && !labels.MatchString(t.Function) {
			problems = append(problems, fmt.Errorf("task %d: %.80q can be no function of a scenario", i, t.Function))
		}
		names[t.Function] = true
		if t.At < 0 || i > 0 && t.At < tasks[i-1].At {
			return fmt.Errorf("task %d, at %v, comes after one at %v: sort the tasks by time", i, t.At, tasks[max(0, i-1)].At)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, strings.Join(replayColumns[:], ","))
	for i := range tasks {
		t := &tasks[i]
		node := ""
		if t.Node != core.NoNode {
			node = fmt.Sprint(t.Node)
		}
		fmt.Fprintf(b, "%s,%s,%s,%s,%s\n", exactSeconds(time.Duration(t.At)), node, t.Function, exactSeconds(t.Demand), exactSeconds(t.Deadline))
	}
	return b.Flush() // it keeps the first error
}

// exactSeconds writes a duration to the nanosecond; nothing where it is negative.
func exactSeconds(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
}
