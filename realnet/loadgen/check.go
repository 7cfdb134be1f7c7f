package loadgen

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/results"
)

// Are the nodes what the scenario says? They are asked before the first request.

// The settings that are compared.
const (
	whatSlots      = "slots"
	whatQueue      = "queue"
	whatScheduler  = "scheduler"
	whatMaxHops    = "max_hops"
	whatForwarding = "forwarding"
	whatNumber     = "number"
	whatFunctions  = "functions"
)

// compare asks every node for its settings, and returns those that are not the scenario's, nodes that are alike together.
func (l *load) compare(ctx context.Context) (all []results.Unlike) {
	found := make([][]results.Unlike, len(l.Targets))
	var asking sync.WaitGroup
	for i := range l.Targets {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			var said *realnet.Status
			if s, err := realnet.AskStatus(ctx, l.http, l.Targets[i].Scheduler); err == nil {
				said = &s
			}
			found[i] = slices.Concat(l.compareSettings(ctx, i), l.compareScheduler(ctx, i, said), l.compareNeighbours(i, said),
				l.compareFunctions(i, said))
			if said != nil && said.Cluster > 0 { // a node of a scenario
				found[i] = append(found[i], differs(i, whatNumber, strconv.Itoa(int(said.Number)), strconv.Itoa(i))...)
			}
		})
	}
	asking.Wait()
	for _, u := range slices.Concat(found...) {
		i := slices.IndexFunc(all, func(a results.Unlike) bool {
			each := u.What == results.Neighbours && a.Has != "" && u.Has != "" // every node has others: one is an example
			return a.What == u.What && (each || a.Has == u.Has && a.Wants == u.Wants)
		})
		if i < 0 {
			all = append(all, u)
		} else {
			all[i].Nodes = append(all[i].Nodes, u.Nodes...)
		}
	}
	return all
}

// differs is what node i has otherwise than wanted; an empty has stands for a node that does not say.
func differs(i int, what, has, wants string) []results.Unlike {
	if has == wants {
		return nil
	}
	return []results.Unlike{{What: what, Nodes: []core.NodeID{core.NodeID(i)}, Has: has, Wants: wants}}
}

func (l *load) compareSettings(ctx context.Context, i int) []results.Unlike {
	g := l.Scenario.Cluster.GroupOf(core.NodeID(i))
	slots, queue := "", ""
	var s struct { // a field that is missing is not 0
		Slots *int  `json:"parallel_running_functions_max"`
		Room  *int  `json:"queue_length_max"`
		Queue *bool `json:"queue_enabled"`
	}
	if realnet.GetJSON(ctx, l.http, "http://"+l.Targets[i].Scheduler+"/configuration", &s) == nil &&
		s.Slots != nil && s.Room != nil && s.Queue != nil {
		slots, queue = strconv.Itoa(*s.Slots), "0"
		if *s.Queue {
			queue = strconv.Itoa(*s.Room)
		}
	}
	return slices.Concat(differs(i, whatSlots, slots, strconv.Itoa(g.Slots)), differs(i, whatQueue, queue, strconv.Itoa(g.Queue)))
}

func (l *load) compareScheduler(ctx context.Context, i int, said *realnet.Status) []results.Unlike {
	spec, forwarding := l.Scenario.Scheduler.Spec, l.Scenario.Scheduler.Forwarding
	var d realnet.Descriptor
	if realnet.GetJSON(ctx, l.http, "http://"+l.Targets[i].Scheduler+"/configuration/scheduler", &d) != nil || d.Name == "" {
		return differs(i, whatScheduler, "", spec.String())
	}
	has, maxHops, err := d.Spec(func(address string) (core.NodeID, error) {
		if n, known := l.numbers[realnet.CanonicalAddress(address)]; known {
			return n, nil
		}
		return 0, fmt.Errorf("%s is no node of the scenario", address)
	})
	if err != nil {
		return differs(i, whatScheduler, d.String(), spec.String())
	}
	found := differs(i, whatScheduler, has.String(), spec.String())
	if len(found) > 0 || forwarding.MaxHops == 0 {
		return found
	}
	found = differs(i, whatMaxHops, strconv.Itoa(maxHops), strconv.Itoa(forwarding.MaxHops))
	around := ""
	if said != nil && said.Forwarding != nil {
		own := *said.Forwarding
		own.MaxHops = forwarding.MaxHops // compared above
		around = rules(own)
	}
	return append(found, differs(i, whatForwarding, around, rules(forwarding))...)
}

// rules are what a node does around its algorithm, in words.
func rules(f core.Forwarding) string {
	return fmt.Sprintf("at_hop_limit %v, on_refusal %v, on_failure %v, probe_timeout %v, answer_timeout %v", f.AtLimit, f.OnRefusal,
		f.OnFailure, f.ProbeTimeout, f.AnswerTimeout)
}

// compareFunctions looks for the functions that are placed on a node. Where all have all, a node that does not say what it has
// may have them.
func (l *load) compareFunctions(i int, said *realnet.Status) []results.Unlike {
	placed := l.Scenario.Holders() != nil
	if said == nil || said.Functions == nil {
		if !placed {
			return nil
		}
		said = &realnet.Status{}
	}
	var has, wants []string
	for k := range l.Scenario.Functions {
		f := &l.Scenario.Functions[k]
		if f.On(core.NodeID(i), &l.Scenario.Cluster) {
			wants = append(wants, f.Name)
		}
		if serves(said.Functions, f.Name) {
			has = append(has, f.Name)
		}
	}
	if said.Functions == nil {
		return differs(i, whatFunctions, "", firstOf(wants))
	}
	return differs(i, whatFunctions, firstOf(has), firstOf(wants))
}

// serves reports whether a node that has these functions has one of that name: it may be any (*).
func serves(has []realnet.FunctionStatus, name string) bool {
	return slices.ContainsFunc(has, func(s realnet.FunctionStatus) bool { return s.Name == name || s.Name == "*" })
}

// lack asks every node for its functions, and returns which of those that the scenario places on it a node does not have. Nodes that do not say what
// they have, as those of the first P2PFaaS, may have all.
func (l *load) lack(ctx context.Context) []error {
	problems := make([]error, len(l.Targets))
	var asking sync.WaitGroup
	for i, t := range l.Targets {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			said, err := realnet.AskFunctions(ctx, l.http, t.Scheduler)
			if err != nil {
				return
			}
			var has, lacks []string
			for _, s := range said {
				has = append(has, s.Name)
			}
			for k := range l.Scenario.Functions {
				if f := &l.Scenario.Functions[k]; f.On(core.NodeID(i), &l.Scenario.Cluster) && !serves(said, f.Name) {
					lacks = append(lacks, f.Name)
				}
			}
			if len(lacks) > 0 {
				problems[i] = fmt.Errorf("node %d at %s lacks %s (it has %s): deploy what is missing (p2pfaas function deploy %s=URL --hosts %[2]s), "+
					"or start the node with p2pfaas node --scenario", i, t.Scheduler, firstOf(lacks), firstOf(has), lacks[0])
			}
		})
	}
	asking.Wait()
	return problems
}

func (l *load) compareNeighbours(i int, said *realnet.Status) []results.Unlike {
	var wants []string
	for k, t := range l.Targets {
		row, id := l.Scenario.Cluster.Topology.Neighbours(core.NodeID(i)), core.NodeID(k)
		if k != i && (row == nil || slices.Contains(row, id)) {
			wants = append(wants, realnet.CanonicalAddress(t.Scheduler))
		}
	}
	if said == nil {
		return differs(i, results.Neighbours, "", firstOf(wants))
	}
	slices.Sort(wants)
	slices.Sort(said.Peers)
	if slices.Equal(said.Peers, wants) {
		return nil
	}
	return differs(i, results.Neighbours, firstOf(said.Peers), firstOf(wants))
}

// firstOf names the first of many.
func firstOf(all []string) string {
	const most = 5
	switch n := len(all); {
	case n == 0:
		return "none"
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), n-most)
	}
	return strings.Join(all, ", ")
}
