// Package processor reads the processor time of the processes of a cluster on this machine, and of the machine.
package processor

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

// Usage is processor time of the groups of processes.
type Usage struct {
	Generator time.Duration // this process
	Nodes     time.Duration
	Functions time.Duration // the processes that the nodes have started
}

// Total is that of all processes.
func (u Usage) Total() time.Duration { return u.Generator + u.Nodes + u.Functions }

// Plus is the sum.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.Generator + v.Generator, u.Nodes + v.Nodes, u.Functions + v.Functions}
}

// Minus is the difference.
func (u Usage) Minus(v Usage) Usage {
	return Usage{u.Generator - v.Generator, u.Nodes - v.Nodes, u.Functions - v.Functions}
}

// Times is f times as much.
func (u Usage) Times(f float64) Usage {
	by := func(d time.Duration) time.Duration { return time.Duration(float64(d) * f) }
	return Usage{by(u.Generator), by(u.Nodes), by(u.Functions)}
}

// Processes are those whose processor time is measured: this one, which generates the load, nodes, and what they have started.
type Processes struct {
	Nodes     []int // process ids
	functions []int // their descendants, as found last
}

// Find looks for the functions.
func (p *Processes) Find(ctx context.Context) error {
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
	for open := slices.Clone(p.Nodes); len(open) > 0; {
		below := children[open[0]]
		p.functions, open = append(p.functions, below...), append(open[1:], below...)
	}
	return nil
}

// Read is what the processes have used since they began.
func (p *Processes) Read() (u Usage, err error) {
	for _, group := range []struct {
		of []int
		to *time.Duration
	}{{[]int{os.Getpid()}, &u.Generator}, {p.Nodes, &u.Nodes}, {p.functions, &u.Functions}} {
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

// MachineTime is how long the processors of this machine have been busy since it began, all together, with whatever.
func MachineTime() (time.Duration, error) {
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

// Watch begins to measure what the other programs of this machine do, beside these processes. What it returns ends that: it says how many
// cores they kept busy meanwhile, a hypervisor's other guests included. It is an error where a process of a function has ended in between, or
// another one has begun, since what these used is not known.
func (p *Processes) Watch(ctx context.Context) (end func() (cores float64, err error), err error) {
	if err := p.Find(ctx); err != nil {
		return nil, err
	}
	others := func() (time.Duration, error) {
		own, err := p.Read()
		if err != nil {
			return 0, err
		}
		machine, err := MachineTime()
		return machine - own.Total(), err
	}
	before, err := others()
	if err != nil {
		return nil, err
	}
	began, same := time.Now(), slices.Clone(p.functions)
	return func() (float64, error) {
		if err := p.Find(ctx); err != nil {
			return 0, err
		}
		if !slices.Equal(p.functions, same) {
			return 0, errors.New("processes of functions have begun or ended")
		}
		after, err := others()
		return max(0, (after-before).Seconds()/time.Since(began).Seconds()), err
	}, nil
}
