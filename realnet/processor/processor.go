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

// Within is u where it is from 0 to most, and otherwise the nearer of these, group by group.
func (u Usage) Within(most Usage) Usage {
	by := func(d, most time.Duration) time.Duration { return max(0, min(d, most)) }
	return Usage{by(u.Generator, most.Generator), by(u.Nodes, most.Nodes), by(u.Functions, most.Functions)}
}

// Processes are those whose processor time is measured: this one, which generates the load, nodes, and what they have started.
type Processes struct {
	Nodes     []int  // process ids; they may become others, which have taken the place of those that were killed
	Killed    Killed // during a watch
	functions []int  // descendants of the nodes, as found last
}

// Killed are processes that were ended at once, with their nodes, so that nobody knows afterwards what they used.
type Killed struct {
	functions []int
	used      time.Duration
}

// Add reads what a node and its functions have used, all of which stand still and are about to be killed.
func (k *Killed) Add(node int, functions []int) error {
	k.functions = append(k.functions, functions...)
	if !knowsEnded {
		functions = append(slices.Clone(functions), node)
	}
	for _, pid := range functions {
		t, err := processorTime(pid)
		if err != nil {
			return err
		}
		k.used += t
	}
	return nil
}

// Find looks for the functions.
func (p *Processes) Find(ctx context.Context) (err error) {
	p.functions, err = Descendants(ctx, p.Nodes...)
	return err
}

// Descendants are the processes that these have started, and those that they have started in turn.
func Descendants(ctx context.Context, of ...int) (below []int, err error) {
	all, err := process.ProcessesWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	children := map[int][]int{}
	for _, x := range all {
		if parent, err := x.PpidWithContext(ctx); err == nil { // otherwise it has ended
			children[int(parent)] = append(children[int(parent)], int(x.Pid))
		}
	}
	for open := slices.Clone(of); len(open) > 0; {
		next := children[open[0]]
		below, open = append(below, next...), append(open[1:], next...)
	}
	return below, nil
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
// cores they kept busy meanwhile, a hypervisor's other guests included. It is an error where a process of a function has ended in between that was
// not killed with its node, or another one has begun at a node that was there before, since what these used is not known.
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
		return machine - own.Total() - p.Killed.used, err
	}
	before, err := others()
	if err != nil {
		return nil, err
	}
	began, nodes, same := time.Now(), slices.Clone(p.Nodes), slices.Clone(p.functions)
	return func() (float64, error) {
		stayed := slices.DeleteFunc(slices.Clone(p.Nodes), func(pid int) bool { return !slices.Contains(nodes, pid) })
		functions, err := Descendants(ctx, stayed...)
		if err != nil {
			return 0, err
		}
		same = slices.DeleteFunc(same, func(pid int) bool { return slices.Contains(p.Killed.functions, pid) })
		if slices.Sort(same); !slices.Equal(slices.Sorted(slices.Values(functions)), same) {
			return 0, errors.New("processes of functions have begun or ended")
		}
		if err := p.Find(ctx); err != nil {
			return 0, err
		}
		after, err := others()
		return max(0, (after-before).Seconds()/time.Since(began).Seconds()), err
	}, nil
}
