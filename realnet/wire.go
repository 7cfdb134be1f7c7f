package realnet

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
)

// What the scheduler service of the first P2PFaaS says on the wire: its headers, its error codes, and the JSON that its
// nodes exchange.

// schedulerVersion is what v1's clients expect a scheduler to announce.
const schedulerVersion = "0.3.0b"

// The headers of requests.
const (
	headerBypass   = "X-P2pfaas-Scheduler-Bypass"
	headerForward  = "X-P2pfaas-Scheduler-Forward"
	headerReject   = "X-P2pfaas-Scheduler-Reject"
	headerTracing  = "X-P2pfaas-Scheduler-Task-Tracing-Id"
	headerTaskType = "X-P2pfaas-Scheduler-Learning-Task-Type"
)

// What a client may say of its request beyond what v1 knows, and what the node says to the function.
const (
	headerDemand   = "X-P2pfaas-Task-Demand-Seconds"   // service demand on a node of speed 1
	headerDeadline = "X-P2pfaas-Task-Deadline-Seconds" // after the arrival
	headerPriority = "X-P2pfaas-Task-Priority"         // 0 is the most urgent
	// HeaderService is what a node says to the function: the demand divided by its speed.
	HeaderService = "X-P2pfaas-Task-Service-Seconds"
)

// The headers of answers.
const (
	headerVersion       = "X-P2pfaas-Version"
	headerScheduler     = "X-P2pfaas-Scheduler"
	headerExecution     = "X-P2pfaas-Timing-Execution-Time-Seconds"
	headerColdStart     = "X-P2pfaas-Timing-Cold-Start-Seconds" // part of the execution; none: it began warm
	headerTotals        = "X-P2pfaas-Timing-Total-Seconds-List"
	headerSchedulings   = "X-P2pfaas-Timing-Scheduling-Seconds-List"
	headerProbings      = "X-P2pfaas-Timing-Probing-Seconds-List"
	headerExternally    = "X-P2pfaas-Externally-Executed"
	headerHops          = "X-P2pfaas-Hops"
	headerPeersIP       = "X-P2pfaas-Peers-List-Ip"
	headerPeersID       = "X-P2pfaas-Peers-List-Id"
	headerEID           = "X-P2pfaas-Scheduler-Learning-Eid"
	headerState         = "X-P2pfaas-Scheduler-Learning-State"
	headerAction        = "X-P2pfaas-Scheduler-Learning-Action"
	headerEpsilon       = "X-P2pfaas-Scheduler-Learning-Eps"
	headerLoad          = "X-P2pfaas-Load"
	headerMaxLoad       = "X-P2pfaas-Maxload"
	headerQueueLength   = "X-P2pfog-Queue-Length"
	headerTask          = "X-P2pfaas-Task"                    // a taskReport
	headerPeer          = frameworkPrefix + "Peer"            // address of the node that calls
	headerPeerTask      = frameworkPrefix + "Peer-Task"       // a peerTask
	headerPeerAnswer    = frameworkPrefix + "Peer-Answer"     // a peerAnswer
	headerPeerFunctions = frameworkPrefix + "Peer-Functions"  // version of what the node says about its functions
	headerPeerAgent     = frameworkPrefix + "Peer-User-Agent" // the client's
	agentMachine        = "Machine"                           // User-Agent of nodes
	contentTypeJSON     = "application/json"
	frameworkPrefix     = "X-P2pfaas-"
	frameworkPrefixFog  = "X-P2pfog-"
	frameworkPrefixPeer = "P2pfaas-"
)

// framework reports whether a header is the framework's own: no function may set it, and none gets it.
func framework(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, frameworkPrefix) || strings.HasPrefix(name, frameworkPrefixFog) ||
		strings.HasPrefix(name, frameworkPrefixPeer)
}

// hopByHop are the headers that concern one connection (RFC 9110, section 7.6.1), and those that whoever writes a
// message sets.
var hopByHop = map[string]bool{"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Host": true, "Content-Length": true}

// copyHeader copies what one party of a function call says to the other.
func copyHeader(to, from http.Header) {
	named := map[string]bool{} // RFC 9110: Connection lists further ones
	for _, line := range from.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			named[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range from {
		if !hopByHop[name] && !named[name] && !framework(name) {
			to[name] = append([]string(nil), values...)
		}
	}
}

// Failure is an error of the scheduler service: the body of an answer. Where v1 has a sentence for it, that is the message,
// word by word, and what v1 does not say is the reason.
type Failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Reason  string `json:"reason,omitempty"`
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Reason == "" {
		return f.Message
	}
	return f.Message + ": " + f.Reason
}

// The codes of v1 and, from 406 on, of what v1 does not know.
const (
	codeGeneric     = 1
	codeNotFound    = 3
	codeInput       = 4
	codeUnreachable = 5 // OpenFaaS
	codeService     = 100
	codeDeploy      = 200
	codeOpenFaaS    = 300
	codeNoRoom      = 400
	codeRejected    = 401
	codeAction      = 402
	codeForward     = 403
	codePeerNil     = 404
	codeRecipient   = 405
	codeExpired     = 406 // the deadline passed while the task waited
	codeHopLimit    = 407 // the task may not be forwarded any more, nor executed where it is
	codeTooLarge    = 408 // the body is longer than the node's limit
	codeUnavailable = 409 // the node is shutting down, or holds as many requests as it may
)

// sentences are v1's messages where it does not say more than that something happened.
var sentences = map[int]string{
	codeGeneric:     "Generic Error",
	codeNotFound:    "Not Found",
	codeInput:       "Passed input is not correct or malformed",
	codeUnreachable: "Could not contact OpenFaaS backend",
	codeService:     "Passed service is not valid",
	codeDeploy:      "Error while deploying the service",
	codeOpenFaaS:    "OpenFaas generic error, see logs",
}

// status is the HTTP status that goes with the code.
func (f *Failure) status() int {
	switch f.Code {
	case codeNotFound:
		return http.StatusNotFound
	case codeInput, codeService:
		return http.StatusBadRequest
	case codeRejected, codeUnavailable:
		return http.StatusServiceUnavailable
	case codeExpired:
		return http.StatusGatewayTimeout
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

func failure(code int, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

// explained is a failure with v1's sentence for its code, and the reason.
func explained(code int, reason string, args ...any) *Failure {
	return &Failure{code, sentences[code], fmt.Sprintf(reason, args...)}
}

func (f *Failure) body() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("realnet: an error has no JSON: %v", err))
	}
	return b
}

// answer is the failure as an answer.
func (f *Failure) answer() *answer {
	return &answer{status: f.status(), header: http.Header{"Content-Type": {contentTypeJSON}}, body: f.body()}
}

// peerRequest is the body of a v1 node's POST /peer/function/{fn}.
type peerRequest struct {
	Request     uint64            `json:"service_id_request"`
	Tracing     string            `json:"service_id_tracing"`
	Function    string            `json:"function_name"`
	Hops        int               `json:"hops"`
	Peers       []hop             `json:"peers_list"`
	Payload     []byte            `json:"payload"` // base64
	ContentType string            `json:"content_type"`
	Headers     map[string]string `json:"headers"`
}

// peerResponse is the answer to it.
type peerResponse struct {
	Peers  []hop  `json:"peers_list"` // the executing node first
	Body   []byte `json:"body"`       // base64
	Status int    `json:"status_code"`
}

// hop is what one node on the way of a task says about it.
type hop struct {
	ID      string  `json:"machine_id"`
	IP      string  `json:"machine_ip"`
	Timings timings `json:"timings"`
}

// timings are in seconds; nil: not known.
type timings struct {
	Execution  *float64 `json:"execution_time,omitempty"`
	Total      *float64 `json:"total_time,omitempty"`
	Scheduling *float64 `json:"scheduling_time,omitempty"`
	Probing    *float64 `json:"probing_time,omitempty"`
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// duration reads seconds that came from outside; what cannot be a duration of a request counts as none.
func duration(s *float64) time.Duration {
	const day = 86400
	if s == nil || !(*s >= 0 && *s <= day) {
		return 0
	}
	return time.Duration(*s * 1e9)
}

// setPath writes what the nodes on the way say, the entry node first.
func setPath(h http.Header, executingFirst []hop) {
	n := len(executingFirst)
	totals, schedulings, probings := make([]*float64, n), make([]*float64, n), make([]*float64, n)
	ips, ids := make([]string, n), make([]string, n)
	probed := false
	for i, p := range executingFirst {
		k := n - 1 - i
		totals[k], schedulings[k], probings[k] = p.Timings.Total, p.Timings.Scheduling, p.Timings.Probing
		ips[k], ids[k] = p.IP, p.ID
		probed = probed || p.Timings.Probing != nil
	}
	digits := -1 // all there are
	if n == 1 {
		digits = 6 // v1 spells its own times "%f", and those of a way as JSON does
	}
	h.Set(headerTotals, list(totals, digits))
	h.Set(headerSchedulings, list(schedulings, digits))
	if probed || n > 1 {
		h.Set(headerProbings, list(probings, digits))
	}
	if t := executingFirst[0].Timings.Execution; t != nil {
		h.Set(headerExecution, strconv.FormatFloat(*t, 'f', 6, 64))
	}
	if n > 1 {
		h.Set(headerExternally, "True")
		h.Set(headerHops, strconv.Itoa(n-1))
		h.Set(headerPeersIP, words(ips))
		h.Set(headerPeersID, words(ids))
	}
}

// list is a JSON array without exponents, with so many digits after the point; 0 where nothing is known.
func list(xs []*float64, digits int) string {
	b := []byte{'['}
	for i, x := range xs {
		if i > 0 {
			b = append(b, ',')
		}
		s := 0.0
		if x != nil {
			s = *x
		}
		b = strconv.AppendFloat(b, s, 'f', digits, 64)
	}
	return string(append(b, ']'))
}

func words(ss []string) string {
	b, err := json.Marshal(ss)
	if err != nil {
		panic(fmt.Sprintf("realnet: strings have no JSON: %v", err))
	}
	return string(b)
}

// taskReport is what a node says of a client's request when it has ended, exactly: for records that are those of a
// simulation.
type taskReport struct {
	Outcome   string        `json:"outcome"`
	Executor  string        `json:"executor,omitempty"` // address
	Hops      int           `json:"hops"`
	Probes    int           `json:"probes"`
	Retries   int           `json:"retries"`
	Cold      bool          `json:"cold,omitempty"`
	ColdStart time.Duration `json:"cold_start_ns,omitempty"` // part of Timing.Executing
	Timing    core.Timing   `json:"timing"`                  // nanoseconds
	Lesson    *lessonReport `json:"lesson,omitempty"`
}

// lessonReport is a core.Lesson on the wire, its state exactly.
type lessonReport struct {
	EID     uint64    `json:"eid"`
	State   []float64 `json:"state"`
	Action  int       `json:"action"`
	Epsilon float64   `json:"epsilon"`
}

func newTaskReport(t *core.Task, o core.Outcome, executor string) *taskReport {
	return &taskReport{Outcome: o.String(), Executor: executor, Hops: int(t.Hops), Probes: int(t.Probes),
		Retries: int(t.Retries), Cold: t.Cold(), ColdStart: t.ColdStart(), Timing: t.Timing}
}

// set writes the report, with what the learner decided.
func (r *taskReport) set(h http.Header, l *core.Lesson) {
	if l != nil {
		r.Lesson = &lessonReport{l.EID, l.State, l.Action.Index, l.Action.Epsilon}
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("realnet: a report of a task has no JSON: %v", err))
	}
	h.Set(headerTask, string(b))
	if r.Cold {
		h.Set(headerColdStart, formatSeconds(r.ColdStart))
	}
}

// formatSeconds writes a duration exactly.
func formatSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 9, 64) }

// parseSeconds reads what a client says of its request: not negative, and below 146 years.
func parseSeconds(h http.Header, name string) (d time.Duration, given bool, err error) {
	s := h.Get(name)
	if s == "" {
		return 0, false, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0 && x*1e9 < 1<<62) {
		return 0, false, fmt.Errorf("%s is %.40q: write seconds, from 0", name, s)
	}
	return time.Duration(math.Round(x * 1e9)), true, nil
}

// setLesson writes what the client needs for teaching the learner.
func setLesson(h http.Header, l *core.Lesson) {
	if l == nil {
		return
	}
	state := make([]string, len(l.State))
	for i, x := range l.State {
		state[i] = strconv.FormatFloat(x, 'f', 6, 64)
	}
	h.Set(headerEID, strconv.FormatUint(l.EID, 10))
	h.Set(headerState, strings.Join(state, ","))
	h.Set(headerAction, strconv.FormatFloat(float64(l.Action.Index), 'f', 6, 64))
	h.Set(headerEpsilon, strconv.FormatFloat(l.Action.Epsilon, 'f', 6, 64))
}
