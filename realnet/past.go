package realnet

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What a node remembers of requests that have ended, for whoever wants to know where one of them has been.

const (
	mostPast      = 512 // requests that a node remembers, those of peers included
	usualPast     = 100 // that it tells of unless it is asked for another number
	mostPastPeers = 64  // peers that are named of one request
)

// PastRequest is what a node tells at /monitoring/requests of a request that has ended there: a client's, or the task of a peer.
// Durations are of the node's own clock.
type PastRequest struct {
	Request  string        `json:"request"`            // its id in the logs of all nodes
	Node     string        `json:"node"`               // address of the node that tells it
	Function string        `json:"function"`           // as it was asked for
	From     string        `json:"from,omitempty"`     // address of the peer that sent it; empty: a client did
	Arrived  time.Time     `json:"arrived"`            // by the wall clock of the node's machine
	Took     time.Duration `json:"took_ns"`            // from its arrival to its end, here
	Outcome  string        `json:"outcome"`            // as in the records of a run
	Decided  time.Duration `json:"decided_ns"`         // after its arrival; 0: nobody decided here
	Verdict  string        `json:"verdict,omitempty"`  // execute, forward, replicate or reject; empty: nobody decided here
	Asked    []string      `json:"asked,omitempty"`    // addresses of the peers that the decision asked
	Sent     []string      `json:"sent,omitempty"`     // addresses of the peers that it was sent to, in order; the last one is that which counts
	Executor string        `json:"executor,omitempty"` // address of the node that executed it; empty: none did
	Hops     int           `json:"hops"`               // from its entry to its executor
	Probes   int           `json:"probes"`             // peers that were asked, on all of its way
	Retries  int           `json:"retries"`            // forwards that were refused or not answered, on all of its way
	Cold     time.Duration `json:"cold_start_ns"`      // part of the execution
	Parts    PastParts     `json:"parts_ns"`           // where the time went, from its arrival here on
}

// PastParts are the parts of core.Timing.
type PastParts struct {
	Scheduling time.Duration `json:"scheduling"`
	Probing    time.Duration `json:"probing"`
	Forwarding time.Duration `json:"forwarding"`
	Waiting    time.Duration `json:"waiting"`
	Executing  time.Duration `json:"executing"`
	Returning  time.Duration `json:"returning"`
}

// past is what a request in hand collects for that.
type past struct {
	verdict     string
	asked, sent []core.NodeID
}

// pastRequest is a request that has ended, with the node's numbers for its peers.
type pastRequest struct {
	PastRequest
	from core.NodeID
	past
}

// pastRequests are the last ones.
type pastRequests struct {
	mu     sync.Mutex
	ring   []pastRequest
	oldest int // index, where the ring is full
}

func (p *pastRequests) add(r pastRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ring) < mostPast {
		p.ring = append(p.ring, r)
		return
	}
	p.ring[p.oldest] = r
	p.oldest = (p.oldest + 1) % mostPast
}

// last are those that are wanted, the newest first.
func (p *pastRequests) last(most int, wanted func(*pastRequest) bool) (found []pastRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.ring {
		r := &p.ring[(p.oldest+len(p.ring)-1-i)%len(p.ring)]
		if len(found) < most && wanted(r) {
			found = append(found, *r)
		}
	}
	return found
}

// appendPeer adds a peer to those of a request.
func appendPeer(peers []core.NodeID, id core.NodeID) []core.NodeID {
	if len(peers) >= mostPastPeers {
		return peers
	}
	return append(peers, id)
}

// asks notes that the algorithm asks a peer about the task that it decides about. On the mailbox's goroutine.
func (n *Node) asks(m *core.Parcel) {
	if t := n.mailbox.engine.Deciding(); t != nil {
		if r := n.find(n.keyOf(t)); r != nil {
			r.note(func() { r.past.asked = appendPeer(r.past.asked, m.To) })
			n.spans.asks(r, m)
		}
	}
}

// verb is what a verdict does: "forward to 3" forwards.
func verb(v core.Verdict) string {
	word, _, _ := strings.Cut(v.String(), " ")
	return strings.TrimSuffix(word, ":")
}

// remember keeps what is to be told of a request that ends. r.mu is held.
func (n *Node) remember(r *request) {
	outcome := r.outcome
	if outcome == core.Completed && r.answer == nil {
		outcome = core.LostNoAnswer // of its function
	}
	p := pastRequest{from: r.key.from, past: r.past, PastRequest: PastRequest{Request: strings.Clone(r.id), Function: strings.Clone(r.call.function),
		Arrived: r.arrived, Took: r.ended.Sub(r.arrived), Outcome: outcome.String(), Decided: r.decided, Verdict: r.past.verdict}}
	var t core.Timing
	switch {
	case r.report != nil:
		p.Executor, p.Hops, p.Probes, p.Retries, p.Cold, t = r.report.Executor, r.report.Hops, r.report.Probes, r.report.Retries, r.report.ColdStart, r.report.Timing
	case r.task != nil:
		if r.task.Trip.Executor != core.NoNode {
			p.Executor = n.addressOf(r.task.Trip.Executor)
		}
		p.Hops, p.Probes, p.Retries, p.Cold, t = int(r.task.Hops), int(r.task.Probes), int(r.task.Retries), r.task.Trip.ColdStart, r.task.Timing
	default:
		t = r.base // it was lost with its node
	}
	p.Parts = PastParts{t.Scheduling - r.base.Scheduling, t.Probing - r.base.Probing, t.Forwarding - r.base.Forwarding,
		t.Waiting - r.base.Waiting, t.Executing - r.base.Executing, t.Returning - r.base.Returning}
	n.past.add(p)
}

// PastRequests are the last requests that have ended at this node, the newest first: at most so many, with that id, or all where
// it is empty.
func (n *Node) PastRequests(id string, most int) []PastRequest {
	found := n.past.last(most, func(r *pastRequest) bool { return id == "" || r.Request == id })
	told := make([]PastRequest, len(found))
	for i := range found {
		r := &found[i]
		r.Node = n.Identity().IP
		if r.from != core.NoNode {
			r.From = n.addressOf(r.from)
		}
		r.Asked, r.Sent = n.addresses(r.asked), n.addresses(r.sent)
		told[i] = r.PastRequest
	}
	return told
}

func (n *Node) addresses(of []core.NodeID) (found []string) {
	for _, id := range of {
		found = append(found, n.addressOf(id))
	}
	return slices.Compact(found)
}

// AskPastRequests asks the node whose scheduler service is at address, IP:PORT, for the same.
func AskPastRequests(ctx context.Context, client *http.Client, address, id string, most int) ([]PastRequest, error) {
	var told []PastRequest
	query := url.Values{"request": {id}, "most": {strconv.Itoa(most)}}
	err := GetJSON(ctx, client, "http://"+address+"/monitoring/requests?"+query.Encode(), &told)
	return told, err
}

func (n *Node) getPastRequests(c *gin.Context) {
	most := usualPast
	if text := c.Query("most"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil || most < 1 || most > mostPast {
			answerFailure(c, wire.NewV1Failure(wire.CodeInput, "most is %.40q: write a number from 1 to %d", text, mostPast))
			return
		}
	}
	c.JSON(http.StatusOK, n.PastRequests(c.Query("request"), most))
}
