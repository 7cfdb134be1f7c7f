package realnet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
)

// Status is what a node says of itself at /monitoring/node, beyond v1.
type Status struct {
	ID       string      `json:"machine_id"`
	IP       string      `json:"machine_ip"`
	Began    time.Time   `json:"began"`             // by the node's clock: another instant is another life of the node
	Number   core.NodeID `json:"number"`            // the node's own, in its log
	Cluster  int         `json:"cluster,omitempty"` // machines that had numbers when it began, those of a scenario; 0: none
	Peers    []string    `json:"peers"`             // addresses of the neighbours
	Members  []Member    `json:"members,omitempty"` // what the discovery of its own process believes; nil: it follows none
	Running  int32       `json:"running"`
	Queued   int32       `json:"queued"`
	Slots    int32       `json:"slots"`
	Room     int32       `json:"room"`     // places of the waiting room, Q; 0: it is closed
	Requests int         `json:"requests"` // in hand, those of peers included
	// Scheduler is the algorithm as /configuration/scheduler says it, and Label as answers announce it.
	Scheduler Descriptor `json:"scheduler"`
	Label     string     `json:"label"`
	// Forwarding is what the node does around its algorithm, whether its settings say so or the scheduler's descriptor.
	Forwarding *core.Forwarding `json:"forwarding,omitempty"`
	Messages   Messages         `json:"messages"`
	Counts     Counts           `json:"counts"`
	// Latency is that of clients' requests that were completed, by function.
	Latency   map[string][]LatencyBucket `json:"latency,omitempty"`
	Functions []FunctionStatus           `json:"functions"`
	Links     *LinkStatus                `json:"links,omitempty"`   // emulated ones; nil: there are none
	Learner   *LearnerStatus             `json:"learner,omitempty"` // nil: there is none
}

// Member is a machine as another one's discovery sees it.
type Member struct {
	Address string        `json:"address"` // of its scheduler service
	State   string        `json:"state"`   // alive, suspect, dead or left
	For     time.Duration `json:"for_ns"`  // since it came into the state, there
}

// Messages counts what a node exchanged with its peers since it began, tasks and their answers included.
type Messages struct {
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
	Lost     int64 `json:"lost"` // of those sent: drawn by the emulated links, or there was nobody to take them, or too many waited
}

// Status is what the node says of itself.
func (n *Node) Status() Status {
	s := Status{Number: n.options.Number, Cluster: len(n.options.Cluster), Links: n.peers.links.status(), Learner: n.learner.said(),
		Functions: n.options.Backend.status(n.began), Began: n.began, Counts: n.counts(), Latency: n.metrics.latency()}
	if d := n.discovery.Load(); d != nil {
		s.Members = d.Members()
	}
	s.Running, s.Queued, s.Slots = n.mailbox.Load()
	s.Messages = Messages{n.peers.sent.Load(), n.peers.received.Load(), n.peers.lost.Load()}
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.forwarding(n.scheduler)
	s.Forwarding = &f
	s.ID, s.IP = n.identity.ID, n.identity.IP
	s.Peers, s.Requests, s.Room = slices.Clone(n.neighbours), len(n.requests), n.settings.room()
	s.Scheduler, s.Label = n.scheduler.descriptor, n.scheduler.label
	return s
}

func (n *Node) getStatus(c *gin.Context) { c.JSON(http.StatusOK, n.Status()) }

// AskStatus asks the node whose scheduler service is at address, IP:PORT, what it says of itself.
func AskStatus(ctx context.Context, client *http.Client, address string) (Status, error) {
	var s Status
	return s, GetJSON(ctx, client, "http://"+address+"/monitoring/node", &s)
}

// AskLoad asks the same for its load, which nodes of the first P2PFaaS say, too. It does not know the places of the waiting room.
func AskLoad(ctx context.Context, client *http.Client, address string) (core.Load, error) {
	return askLoad(ctx, client, "http://"+address+"/monitoring/load", "")
}

// AwaitPeers waits until the node whose scheduler service is at address, IP:PORT, knows as many peers as wanted. Where the
// context's time is up before, the error says what the node lacks; where it ends otherwise, the error is its cause.
func AwaitPeers(ctx context.Context, client *http.Client, address string, wanted int) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	lacks := errors.New("it has not answered")
	for {
		s, err := AskStatus(ctx, client, address)
		switch {
		case err == nil && len(s.Peers) >= wanted:
			return nil
		case err == nil:
			lacks = fmt.Errorf("it knows %d peers of %d", len(s.Peers), wanted)
		case ctx.Err() == nil:
			lacks = err
		}
		select {
		case <-ctx.Done():
			if why := context.Cause(ctx); !errors.Is(why, context.DeadlineExceeded) {
				return why
			}
			return lacks
		case <-ticker.C:
		}
	}
}
