package wire

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// PeerRequest is the body of a v1 node's POST /peer/function/{fn}.
type PeerRequest struct {
	Request     uint64            `json:"service_id_request"`
	Tracing     string            `json:"service_id_tracing"`
	Function    string            `json:"function_name"`
	Hops        int               `json:"hops"`
	Peers       []Hop             `json:"peers_list"`
	Payload     []byte            `json:"payload"` // base64
	ContentType string            `json:"content_type"`
	Headers     map[string]string `json:"headers"`
}

// PeerResponse is the answer to it.
type PeerResponse struct {
	Peers  []Hop  `json:"peers_list"` // the executing node first
	Body   []byte `json:"body"`       // base64
	Status int    `json:"status_code"`
}

// Hop is what one node on the way of a task says about it.
type Hop struct {
	ID      string  `json:"machine_id"`
	IP      string  `json:"machine_ip"`
	Timings Timings `json:"timings"`
}

// Timings are in seconds; nil: not known.
type Timings struct {
	Execution  *float64 `json:"execution_time,omitempty"`
	Total      *float64 `json:"total_time,omitempty"`
	Scheduling *float64 `json:"scheduling_time,omitempty"`
	Probing    *float64 `json:"probing_time,omitempty"`
}

// SecondsOf writes a duration for JSON.
func SecondsOf(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// DurationOf reads seconds that came from outside; what cannot be a duration of a request counts as none.
func DurationOf(s *float64) time.Duration {
	const day = 86400
	if s == nil || !(*s >= 0 && *s <= day) {
		return 0
	}
	return time.Duration(*s * 1e9)
}

// SetPathHeaders writes what the nodes on the way say, the entry node first.
func SetPathHeaders(h http.Header, executingFirst []Hop) {
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
	h.Set(HeaderTotalTimes, list(totals, digits))
	h.Set(HeaderSchedulingTimes, list(schedulings, digits))
	if probed || n > 1 {
		h.Set(HeaderProbingTimes, list(probings, digits))
	}
	if t := executingFirst[0].Timings.Execution; t != nil {
		h.Set(HeaderExecution, strconv.FormatFloat(*t, 'f', 6, 64))
	}
	if n > 1 {
		h.Set(HeaderExternallyExecuted, "True")
		h.Set(HeaderHops, strconv.Itoa(n-1))
		h.Set(HeaderPeersIP, words(ips))
		h.Set(HeaderPeersID, words(ids))
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
		panic(fmt.Sprintf("wire: strings have no JSON: %v", err))
	}
	return string(b)
}
