package membership

import "github.com/p2pfaas/p2pfaas/core"

// State is what a machine believes of a member.
type State uint8

// States of a member. Of two entries of one incarnation, the one with the greater state holds.
const (
	Unknown State = iota // never heard of, or forgotten
	Alive
	Suspect // did not answer; in the lists until it is dead
	Dead
	Left // said goodbye
)

var stateNames = [...]string{"unknown", "alive", "suspect", "dead", "left"}

// String names the state.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "invalid"
	}
	return stateNames[s]
}

// Kind is what a message wants.
type Kind uint8

// Kinds of messages.
const (
	Ping   Kind = iota + 1 // answer me: Ack
	Ack                    // to a Ping, with its Sequence
	Ask                    // ping About for me: Probe
	Probe                  // answer me on behalf of About: Answer
	Answer                 // to a Probe, with its Sequence and About; who gets it sends Relay to About
	Relay                  // About has answered the Probe of this Sequence
	Pull                   // send me the members from cursor Sequence on: Page
	Page                   // to a Pull: members, and in Sequence the cursor of the next page; 0: this was the last
	Gossip                 // nothing but its entries
	kinds
)

var kindNames = [...]string{"invalid", "ping", "ack", "ask", "probe", "answer", "relay", "pull", "page", "gossip"}

// String names the kind.
func (k Kind) String() string {
	if k >= kinds {
		k = 0
	}
	return kindNames[k]
}

// MaxEntries bounds the entries of a message. An entry is two addresses and 6 bytes; with IPv6 addresses and ports
// (19 bytes), 24 of them and the head stay below 1,200 bytes.
const MaxEntries = 24

// Message is what machines send each other. A host writes addresses in place of the member numbers, and reads its own
// numbers for them.
type Message struct {
	Kind        Kind
	Sequence    uint32      // of the probe; of a Pull and a Page, a cursor
	Incarnation uint32      // of the sender
	About       core.NodeID // of Ask, Probe, Answer and Relay; NoNode in the others
	Entries     []Entry     // at most MaxEntries
}

// Entry is what somebody believes of a member.
type Entry struct {
	Member      core.NodeID
	State       State
	V1          bool        // speaks only the first P2PFaaS's protocol: nobody probes it here
	Incarnation uint32      // which one of the member the belief is about
	By          core.NodeID // of a Suspect: who had no answer; NoNode in the others
}
