package calibrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/process"
)

// usage is processor time of the groups of processes.
type usage struct{ generator, nodes, functions time.Duration }

func (u usage) total() time.Duration { return u.generator + u.nodes + u.functions }

func (u usage) plus(v usage) usage {
	return usage{u.generator + v.generator, u.nodes + v.nodes, u.functions + v.functions}
}

func (u usage) minus(v usage) usage {
	return usage{u.generator - v.generator, u.nodes - v.nodes, u.functions - v.functions}
}

// times is f times as much.
func (u usage) times(f float64) usage {
	by := func(d time.Duration) time.Duration { return time.Duration(float64(d) * f) }
	return usage{by(u.generator), by(u.nodes), by(u.functions)}
}

// processes are those whose processor time is measured.
type processes struct {
	nodes     []int
	functions []int // their descendants, as found last
}

// find looks for the functions.
func (p *processes) find(ctx context.Context) error {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return fmt.Errorf("listing the processes: %w", err)
	}
	children := map[int][]int{}
	for _, x := range all {
		if parent, err := x.PpidWithContext(ctx); err == nil { // otherwise it has ended
			children[int(parent)] = append(children[int(parent)], int(x.Pid))
		}
	}
	p.functions = nil
	for open := slices.Clone(p.nodes); len(open) > 0; {
		below := children[open[0]]
		p.functions, open = append(p.functions, below...), append(open[1:], below...)
	}
	return nil
}

// read is what the processes have used since they began.
func (p *processes) read() (u usage, err error) {
	for _, group := range []struct {
		of []int
		to *time.Duration
	}{{[]int{os.Getpid()}, &u.generator}, {p.nodes, &u.nodes}, {p.functions, &u.functions}} {
		for _, pid := range group.of {
			t, err := processorTime(pid)
			if err != nil {
				return u, err
			}
			*group.to += t
		}
	}
	return u, nil
}

// machineTime is how long the processors of this machine have been busy since it began, all together, with whatever.
func machineTime() (time.Duration, error) {
	all, err := cpu.Times(false)
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of the machine: %w", err)
	}
	if len(all) == 0 {
		return 0, errors.New("the system does not tell the processor time of the machine")
	}
	t := &all[0]
	busy := t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal // a guest's time is its user's
	return time.Duration(busy * float64(time.Second)), nil
}
