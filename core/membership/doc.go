// Package membership finds out which machines of a cluster are there. It is a second state machine beside core.Node: no
// I/O, no clock, no goroutine; its host carries its messages, wakes it, and makes the peers of a node from its events.
//
// # What a host does
//
//	m := membership.New(membership.DefaultOptions(0), host, rand.New(random.Stream(...)))
//	m.Join(now, seeds)             // and, in the end, m.Leave(now)
//	m.Receive(now, from, &message) // a message has come
//	m.Fire(now)                    // the instant m.Next() has come
//
// After every input it reads Next and sets its timer. Members are numbers below Options.Members, which the host gives to
// addresses; on the wire it writes the addresses. A number may be used again when Changed has said Unknown. A host's
// methods are called during inputs and never call the machine.
//
// The list of peers has the members whose state is Alive or Suspect.
//
// # The protocol
//
// SWIM (Das, Gupta and Motivala, DSN 2002) with ideas of Lifeguard (Dadgar, Phillips and Currey, 2018).
//
// Once a period a machine pings one member. Two pings of three go to its two successors on a ring of the members' keys,
// in turn, so that everybody is watched by two members and a dead one is asked within three periods by both; every third
// goes to a random order of all. Where no Ack comes within the timeout, helpers ask in its name; where no
// answer has come at the end of the period, it suspects the member.
//
// What changed spreads on all messages: each machine sends a piece of news 3 log2(n) times, the newest first. A member
// that is not Alive finds what is believed of it as the first entry of every message to it. It refutes by a higher
// incarnation; of two entries the higher incarnation holds, and of one incarnation the greater state.
//
// Who suspects a member, or hears that others do, asks it directly, once a period: so nobody declares dead whom he has not
// asked himself. Two questions in vain make a witness. A suspicion lasts Options.SuspectMax; with three witnesses more,
// SuspectMin. Then the member is dead, and that spreads. Whoever hears of it believes it.
//
// The dead are remembered for Options.Keep, and one of them is pinged every eighth period, and whoever is dead to us and
// alive to others in the next one: so the halves of a partition that has healed find each other, and a member that
// comes back with no memory of its incarnation hears with the first message that it has to refute.
//
// Whole lists are compared when joining, and now and then with a random member, page by page: who gets a Page asks for
// the next one.
//
// A machine does not trust itself blindly. A probe during which nothing at all was heard is repeated before it counts. One
// that was not woken in time (its process was stopped) adds the time to its suspicions, and drops its probe.
//
// # Machines of the first P2PFaaS
//
// They do not speak this protocol. The host polls them and says so by Report; they are gossiped as v1 members, so that
// everybody knows of them and polls them too. They are forgotten like others when they have been dead for long.
//
// # Bounds
//
// A message has at most MaxEntries entries, a table Options.Members; probes, questions to suspects and questions to the
// dead are bounded per period, and every other message is the answer to one. Nothing is authenticated here.
package membership
