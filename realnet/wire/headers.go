package wire

import (
	"net/http"
	"strings"
)

// SchedulerVersion is what v1's clients expect a scheduler to announce.
const SchedulerVersion = "0.3.0b"

// The headers of requests.
const (
	HeaderBypass   = "X-P2pfaas-Scheduler-Bypass"
	HeaderForward  = "X-P2pfaas-Scheduler-Forward"
	HeaderReject   = "X-P2pfaas-Scheduler-Reject"
	HeaderTracing  = "X-P2pfaas-Scheduler-Task-Tracing-Id"
	HeaderTaskType = "X-P2pfaas-Scheduler-Learning-Task-Type"
)

// What a client may say of its request beyond what v1 knows, and what the node says to the function.
const (
	HeaderDemand   = "X-P2pfaas-Task-Demand-Seconds"   // service demand on a node of speed 1
	HeaderDeadline = "X-P2pfaas-Task-Deadline-Seconds" // after the arrival
	HeaderPriority = "X-P2pfaas-Task-Priority"         // 0 is the most urgent
	// HeaderService is what a node says to the function: the demand divided by its speed.
	HeaderService = "X-P2pfaas-Task-Service-Seconds"
)

// The headers of answers to clients.
const (
	HeaderVersion            = "X-P2pfaas-Version"
	HeaderScheduler          = "X-P2pfaas-Scheduler"
	HeaderExecution          = "X-P2pfaas-Timing-Execution-Time-Seconds"
	HeaderColdStart          = "X-P2pfaas-Timing-Cold-Start-Seconds" // part of the execution; none: it began warm
	HeaderTotalTimes         = "X-P2pfaas-Timing-Total-Seconds-List"
	HeaderSchedulingTimes    = "X-P2pfaas-Timing-Scheduling-Seconds-List"
	HeaderProbingTimes       = "X-P2pfaas-Timing-Probing-Seconds-List"
	HeaderExternallyExecuted = "X-P2pfaas-Externally-Executed"
	HeaderHops               = "X-P2pfaas-Hops"
	HeaderPeersIP            = "X-P2pfaas-Peers-List-Ip"
	HeaderPeersID            = "X-P2pfaas-Peers-List-Id"
	HeaderEID                = "X-P2pfaas-Scheduler-Learning-Eid"
	HeaderState              = "X-P2pfaas-Scheduler-Learning-State"
	HeaderAction             = "X-P2pfaas-Scheduler-Learning-Action"
	HeaderEpsilon            = "X-P2pfaas-Scheduler-Learning-Eps"
	HeaderLoad               = "X-P2pfaas-Load"
	HeaderMaxLoad            = "X-P2pfaas-Maxload"
	HeaderQueueLength        = "X-P2pfog-Queue-Length"
	HeaderTask               = "X-P2pfaas-Task" // a TaskReport
)

// The headers between nodes of this project (docs/wire/peers.md).
const (
	HeaderPeer          = FrameworkPrefix + "Peer"            // address of the node that calls
	HeaderPeerTask      = FrameworkPrefix + "Peer-Task"       // a task on its way
	HeaderPeerAnswer    = FrameworkPrefix + "Peer-Answer"     // what became of it
	HeaderPeerFunctions = FrameworkPrefix + "Peer-Functions"  // version of what the node says about its functions; on both sides of a link's handshake
	HeaderPeerAgent     = FrameworkPrefix + "Peer-User-Agent" // the client's
)

// Values of headers, and what the framework's own begin with.
const (
	UserAgentNode       = "Machine" // User-Agent of nodes
	ContentTypeJSON     = "application/json"
	FrameworkPrefix     = "X-P2pfaas-"
	frameworkPrefixFog  = "X-P2pfog-"
	frameworkPrefixPeer = "P2pfaas-"
)

// IsFrameworkHeader reports whether a header is the framework's own: no function may set it, and none gets it.
func IsFrameworkHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, FrameworkPrefix) || strings.HasPrefix(name, frameworkPrefixFog) ||
		strings.HasPrefix(name, frameworkPrefixPeer)
}

// hopByHop are the headers that concern one connection (RFC 9110, section 7.6.1), and those that whoever writes a
// message sets.
var hopByHop = map[string]bool{"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Host": true, "Content-Length": true}

// CopyHeader copies what one party of a function call says to the other.
func CopyHeader(to, from http.Header) {
	named := map[string]bool{} // RFC 9110: Connection lists further ones
	for _, line := range from.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			named[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range from {
		if !hopByHop[name] && !named[name] && !IsFrameworkHeader(name) {
			to[name] = append([]string(nil), values...)
		}
	}
}
