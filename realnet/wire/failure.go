package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// Failure is an error of the scheduler service: the body of an answer. Where v1 has a sentence for it, that is the message,
// word by word, and what v1 does not say is the reason.
type Failure struct {
	Code       int    `json:"code"`
	Message    string `json:"message"`
	Reason     string `json:"reason,omitempty"`
	HTTPStatus int    `json:"-"` // HTTP status; 0: that which goes with the code
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
	CodeGeneric     = 1
	CodeNotFound    = 3
	CodeInput       = 4
	CodeUnreachable = 5   // OpenFaaS
	CodeService     = 100 // the name of a function, or what is to be deployed, is not valid
	CodeDeploy      = 200
	CodeOpenFaaS    = 300
	CodeNoRoom      = 400 // no slot is free, and no place in the waiting room
	CodeRejected    = 401 // the algorithm rejected the task
	CodeAction      = 402 // there was no action from the learner
	CodeForward     = 403 // the task could not be forwarded, or its executor was lost
	CodePeerNil     = 404 // said by v1 alone: the algorithm named no peer, and the task is lost
	CodeRecipient   = 405 // said by v1 alone: the peer that was named is not known
	CodeExpired     = 406 // the deadline passed while the task waited
	CodeHopLimit    = 407 // the task may not be forwarded any more, nor executed where it is
	CodeTooLarge    = 408 // the body is longer than the node's limit
	CodeUnavailable = 409 // the node is shutting down, or holds as many requests as it may
	CodeCredentials = 410 // the caller has not shown that it may do this
	CodeForeign     = 411 // a page of another site has sent the caller's browser
	CodeTooMany     = 412 // the caller asks for this, or is refused it, too often
	CodeTooSlow     = 413 // the client does not go on sending the body
)

// sentences are v1's messages where it does not say more than that something happened.
var sentences = map[int]string{
	CodeGeneric:     "Generic Error",
	CodeNotFound:    "Not Found",
	CodeInput:       "Passed input is not correct or malformed",
	CodeUnreachable: "Could not contact OpenFaaS backend",
	CodeService:     "Passed service is not valid",
	CodeDeploy:      "Error while deploying the service",
	CodeOpenFaaS:    "OpenFaas generic error, see logs",
}

// Status is the HTTP status.
func (f *Failure) Status() int {
	if f.HTTPStatus != 0 {
		return f.HTTPStatus
	}
	switch f.Code {
	case CodeNotFound:
		return http.StatusNotFound
	case CodeInput, CodeService:
		return http.StatusBadRequest
	case CodeRejected, CodeUnavailable:
		return http.StatusServiceUnavailable
	case CodeExpired:
		return http.StatusGatewayTimeout
	case CodeCredentials:
		return http.StatusUnauthorized
	case CodeTooSlow:
		return http.StatusRequestTimeout
	case CodeForeign:
		return http.StatusForbidden
	case CodeTooMany:
		return http.StatusTooManyRequests
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

// NewFailure is a failure with a message of its own.
func NewFailure(code int, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NewV1Failure is a failure with v1's sentence for its code, which there must be, and the reason.
func NewV1Failure(code int, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: sentences[code], Reason: fmt.Sprintf(format, args...)}
}

// Body is the JSON of the answer.
func (f *Failure) Body() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(fmt.Sprintf("wire: an error has no JSON: %v", err))
	}
	return b
}

// ErrNotFound says that a service has no such route: it is one of the first P2PFaaS, or none of a node.
var ErrNotFound = errors.New("404 Not Found")

// Unexpected is the error of an answer whose status is not the one that was hoped for. It wraps the Failure that a service of this project answers.
func Unexpected(who string, a *http.Response, text []byte) error {
	why := fmt.Errorf("%.200q", text)
	f := &Failure{}
	if json.Unmarshal(text, f) == nil && f.Message != "" {
		f.Message, f.Reason = OneLine(f.Message), OneLine(f.Reason)
		why = f
	}
	if a.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s answers %w: %w", who, ErrNotFound, why)
	}
	return fmt.Errorf("%s answers %s: %w", who, a.Status, why)
}

// passing is what makes an error another one each time: the number of the request, the port of the caller.
var passing = regexp.MustCompile(`\[R#\d+,T[^\]]*\] |\S+:\d+->`)

// OneLine writes a text in one line that is not too long.
func OneLine(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // a terminal would obey it
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(passing.ReplaceAllString(text, "")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
