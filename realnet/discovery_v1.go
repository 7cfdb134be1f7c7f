package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/membership"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// How machines are met, and how v1's are watched: by asking for their lists.

const (
	firstPoll   = 50 * time.Millisecond // to the second poll of a machine that did not answer the first; then it doubles
	mutePolls   = 5                     // answers over HTTP without a datagram after which the log says so
	deadSlower  = 10                    // times slower are dead machines polled
	maxListSize = 4 << 20               // bytes of a machine's list
)

// docker is the network of containers that is the same on every machine: its addresses lead nowhere.
var docker = netip.MustParsePrefix("172.17.0.0/16")

// meet makes a machine one that is asked, unless it is known. It is listed when it has answered. The number is NoNode
// where there is none for it.
func (s *DiscoveryService) meet(at netip.AddrPort) core.NodeID {
	if s.machine == nil || at == s.members[0].address ||
		docker.Contains(at.Addr()) && !docker.Contains(s.members[0].address.Addr()) {
		return core.NoNode
	}
	_, known := s.numbers[at]
	id := s.number(at)
	if id != core.NoNode && !known {
		s.members[id].next = time.Now()
		kick(s.due)
	}
	return id
}

// called takes note of a machine that asks for our list: it is there, whatever we believed.
func (s *DiscoveryService) called(at netip.AddrPort) {
	id := s.meet(at)
	if id == core.NoNode {
		return
	}
	if x := &s.members[id]; x.state >= membership.Dead && !x.ask {
		x.ask, x.tries, x.next = true, 0, time.Time{}
		kick(s.due)
	}
}

// polled says whether a member is to be asked over HTTP. Who has said goodbye is, too: nobody else would notice that it has
// started again and knows no one.
func (x *member) polled() bool {
	return x.address.IsValid() && (x.v1 || x.ask || x.state == membership.Unknown || x.state == membership.Left)
}

// poll asks machines, each when it is due, all at once.
func (s *DiscoveryService) poll() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-timer.C:
		case <-s.due:
		}
		s.mu.Lock()
		now := time.Now()
		next := now.Add(time.Minute)
		for i := 1; i < len(s.members); i++ {
			x := &s.members[i]
			if !x.polled() || x.polling {
				continue
			}
			if x.next.After(now) {
				if x.next.Before(next) {
					next = x.next
				}
				continue
			}
			select {
			case s.polls <- struct{}{}:
				x.polling = true
				generation, at, scheduler, says := s.generation, x.address, x.schedulerAddress(), s.says()
				s.work.Go(func() { s.ask(generation, core.NodeID(i), at, scheduler, says) })
			default: // one that ends wakes us
			}
		}
		s.mu.Unlock()
		timer.Reset(time.Until(next))
	}
}

// answerOf is what a machine answered.
type answerOf struct {
	ours        bool // it speaks the membership protocol
	name, group string
	list        []machine
	took        time.Duration
}

// ask asks a machine for its list, and takes note of what comes.
func (s *DiscoveryService) ask(generation uint64, id core.NodeID, at netip.AddrPort, scheduler string, says map[string]string) {
	a, err := s.fetch(at, scheduler, says)
	<-s.polls
	kick(s.due) // somebody may have waited for the place
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.generation != generation || s.members[id].address != at {
		return // the machine has been forgotten meanwhile
	}
	x := &s.members[id]
	x.polling = false
	switch {
	case err != nil:
		s.silent(id, err)
	case a.ours:
		x.answers()
		x.ping, x.heard, x.name, x.group = a.took, time.Now(), a.name, a.group
		x.tries, x.deadPolls, x.ask = 0, 0, false
		x.next = time.Now().Add(s.options.PollTime)
		if x.mute++; x.mute == mutePolls {
			slog.Warn("a machine answers over HTTP, but no datagram of it comes: is UDP blocked? Until then it is not listed",
				"machine", at)
		}
		if x.v1 || x.state == membership.Unknown || x.state >= membership.Dead {
			s.machine.Join(s.now(), []core.NodeID{id})
		}
	default:
		x.answers()
		x.ping, x.heard, x.name, x.group = a.took, time.Now(), a.name, a.group
		x.tries, x.deadPolls, x.ask = 0, 0, false
		x.next = time.Now().Add(s.options.PollTime)
		s.machine.Report(s.now(), id, true)
		for _, m := range a.list {
			// Of v1's gossip only the names of machines are taken: whether they are there, we find out ourselves.
			if ip, err := netip.ParseAddr(m.IP); err == nil {
				s.meet(netip.AddrPortFrom(ip.Unmap().WithZone(""), DiscoveryPort))
			}
		}
	}
	s.settle()
	kick(s.changed)
}

// silent takes note of a poll in vain.
func (s *DiscoveryService) silent(id core.NodeID, why error) {
	x := &s.members[id]
	x.deadPolls++
	wait := s.options.PollTime
	if x.state == membership.Unknown || x.ask {
		wait = min(wait, firstPoll<<min(x.tries, 20))
		x.tries++
	}
	// A machine that has never answered is given as much time as one that has.
	late := x.deadPolls >= s.options.DeadPolls && (x.v1 || wait == s.options.PollTime)
	switch {
	case late && x.v1:
		x.ask = false
		s.machine.Report(s.now(), id, false)
		wait *= deadSlower
	case late && x.ask:
		x.ask = false
	case late && x.state == membership.Unknown && !x.seed:
		s.release(id)
		return
	case late && x.state == membership.Unknown && !x.missed:
		x.missed = true
		slog.Warn("an init server does not answer: is the address right, and discovery running there? It is asked on",
			"machine", x.address, "error", why)
	}
	x.next = time.Now().Add(wait)
}

// answers takes note of a machine that is there.
func (x *member) answers() {
	if x.missed {
		x.missed = false
		slog.Info("an init server answers now", "machine", x.address)
	}
}

// fetch asks for a list in v1's way.
func (s *DiscoveryService) fetch(at netip.AddrPort, scheduler string, says map[string]string) (a answerOf, err error) {
	patience, cancel := context.WithTimeout(s.life, s.options.PollTimeout)
	defer cancel()
	if err := s.options.Faults.delay(patience, scheduler); err != nil {
		return a, err
	}
	r, err := http.NewRequestWithContext(s.life, http.MethodGet, "http://"+at.String()+"/list", nil)
	if err != nil {
		return a, err
	}
	r.Header.Set("User-Agent", wire.UserAgentNode)
	for k, v := range says {
		r.Header.Set(k, v)
	}
	began := time.Now()
	answer, err := s.client.Do(r)
	if err != nil {
		return a, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxListSize))
	if err != nil {
		return a, err
	}
	a.took = time.Since(began)
	if answer.StatusCode != http.StatusOK {
		return a, wire.Unexpected(at.String(), answer, text)
	}
	a.ours = answer.Header.Get(headerMembership) != ""
	a.name, a.group = bounded(answer.Header.Get(headerMachineName)), bounded(answer.Header.Get(headerMachineGroup))
	if err := json.Unmarshal(text, &a.list); err != nil {
		return a, fmt.Errorf("%s answers what is no list: %w", at, err)
	}
	return a, nil
}

func bounded(name string) string { return name[:min(len(name), maxName)] }
