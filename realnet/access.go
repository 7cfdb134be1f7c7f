package realnet

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Who may do what: every route of a service says what it is for, and what that asks of a caller is decided here alone.

// right is what a route lets its caller do. But for toCall, a caller needs the service's credentials, where it has any.
type right uint8

const (
	toCall      right = iota + 1 // a function, to read the files of a page, or to ask what service this is: anybody
	toWatch                      // status, metrics, the configuration as it is
	toPeer                       // to be a node among the others
	toTrain                      // the learner, and to ask it
	toConfigure                  // what the service does: its algorithm, its functions, its faults; to profile it
	toReset                      // what it knows
)

// String is what the caller wanted, as an answer says it.
func (r right) String() string {
	return [...]string{toCall: "calling functions", toWatch: "watching", toPeer: "what nodes ask of each other", toTrain: "training",
		toConfigure: "configuring", toReset: "resetting"}[r]
}

// refusesForeignPages reports whether a page of another site may not send a browser to such a route, whatever the method: v1 resets and trains
// with GET. What peers ask is not among it: tasks have the headers that the browser of a client sent, and no browser sends those
// of a peer across sites unasked.
func (r right) refusesForeignPages() bool { return r >= toTrain }

// bounded reports whether few such requests may be in hand: they are rare, and take the disk or the processor.
func (r right) bounded() bool { return r >= toConfigure }

const (
	mostConfiguring    = 16   // requests of a route with a bounded right, in hand at once; more are refused with 429
	refusalsOfACaller  = 10   // in a second, that are answered with what is missing; more are refused with 429
	refusalsLogged     = 10   // in a second, of as many callers
	mostRefusedCallers = 4096 // that are counted apart
)

// headerCredentials is where programs of this project put the token: Authorization is the client's, and goes to the function.
const headerCredentials = wire.FrameworkPrefix + "Authorization"

// routes are those of a service. None can be added without its right.
type routes struct {
	engine      *gin.Engine
	rights      map[string]right // by method and path, as gin has them
	credentials *Credentials     // nil: everybody may do everything
	foreign     *http.CrossOriginProtection
	patience    time.Duration // with bodies
	refusals    refusals
}

// newRoutes are those of a service that has none yet: an unknown path is answered with 404 and a text, also where it is a
// known one with a slash more, a method that a path does not have with 405 and nothing.
func newRoutes(credentials *Credentials) *routes {
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	e.NoMethod(func(c *gin.Context) { c.Writer.WriteHeaderNow() })
	return &routes{engine: e, rights: map[string]right{}, credentials: credentials, foreign: http.NewCrossOriginProtection(), patience: clientPatience}
}

// ServeHTTP implements http.Handler.
func (s *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context()) // the server looks at its own body when a handler has ended
		r.Body = newPatientBody(w, r.Body, s.patience)
	}
	s.engine.ServeHTTP(w, r)
}

// handle adds a route, and what is asked of its callers.
func (s *routes) handle(to right, method, path string, h gin.HandlerFunc) {
	if to < toCall || to > toReset {
		panic(fmt.Sprintf("realnet: the route %s %s has no right", method, path))
	}
	s.rights[method+" "+path] = to
	inHand := make(chan struct{}, mostConfiguring) // of this route alone: the page's configures by way of others
	s.engine.Handle(method, path, func(c *gin.Context) {
		known := s.credentials.check(c.Request)
		if to == toCall {
			h(c)
			return
		}
		if f := s.refuse(c, to, known); f != nil {
			c.Header("Connection", "close") // what follows on it is refused as well
			answerFailure(c, f)
			return
		}
		if to.bounded() {
			select {
			case inHand <- struct{}{}:
				defer func() { <-inHand }()
			default:
				c.Header("Retry-After", "1")
				answerFailure(c, wire.NewFailure(wire.CodeTooMany, "%d such requests are in hand: send fewer at once", mostConfiguring))
				return
			}
		}
		h(c)
	})
}

// refuse says why a caller may not; nil: it may.
func (s *routes) refuse(c *gin.Context, to right, known bool) *wire.Failure {
	if to.refusesForeignPages() {
		q := *c.Request
		q.Method = http.MethodPost // the library lets GET pass
		if err := s.foreign.Check(&q); err != nil {
			return wire.NewFailure(wire.CodeForeign, "A page of another site may not ask for this: %v", err)
		}
	}
	if s.credentials == nil {
		if h := c.Request.Host; onLoopback(c.Request) && !isOwnName(h) {
			return wire.NewFailure(wire.CodeForeign, "%.80q is no name of this machine: call the node by its IP address or as localhost, or give it a token", h)
		}
		return nil
	}
	if known {
		return nil
	}
	ip := remoteIP(c.Request)
	switch n, callers := s.refusals.count(ip, time.Now()); {
	case n > refusalsOfACaller:
		c.Header("Retry-After", "1")
		return wire.NewFailure(wire.CodeTooMany, "You have been refused too often: come back with the node's token")
	case n == 1 && callers <= refusalsLogged:
		slog.Warn("a caller without the credentials is refused", "caller", ip, "method", c.Request.Method, "path", c.FullPath(), "wanted", to.String())
	}
	if !s.credentials.Token() {
		return wire.NewFailure(wire.CodeCredentials, "This needs a certificate of the node's cluster: %v is not for everybody", to)
	}
	c.Header("WWW-Authenticate", `Bearer realm="p2pfaas"`)
	if givesToken(c.Request) {
		return wire.NewFailure(wire.CodeCredentials, "The token given is not this cluster's: %v needs the cluster's token, or one of its certificates", to)
	}
	return wire.NewFailure(wire.CodeCredentials, "No token was given: %v needs the cluster's token, or one of its certificates", to)
}

// givesToken reports whether a request has a token, whatever it is worth.
func givesToken(r *http.Request) bool {
	return slices.ContainsFunc(slices.Concat(r.Header[headerCredentials], r.Header["Authorization"]), func(value string) bool {
		scheme, token, _ := strings.Cut(value, " ")
		return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
	})
}

// onLoopback reports whether a request came in at a loopback address of this machine.
func onLoopback(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// isOwnName reports whether a Host is one that no foreign name server can have led here, an IP, localhost, or what this machine calls itself:
// a page that a browser has from evil.example would be of the same origin as this node, once that name is said to be 127.0.0.1 (DNS rebinding).
func isOwnName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	own, _ := os.Hostname() // empty where there is none
	return host == "" || strings.EqualFold(host, "localhost") || strings.EqualFold(host, own)
}

// WithoutRebinding serves requests that call this machine by a name of its own, and refuses others: where anybody may ask, pages of other sites may not.
func WithoutRebinding(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if onLoopback(r) && !isOwnName(r.Host) {
			http.Error(w, fmt.Sprintf("%.80q is no name of this machine: call it by its IP address or as localhost", r.Host), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// refusals count, within a second, how often each caller has been refused.
type refusals struct {
	mu     sync.Mutex
	second int64
	counts map[string]int // by IP; those beyond mostRefusedCallers together
}

// count counts a refusal, and returns how many the caller has had in this second, and how many callers have had some.
func (r *refusals) count(ip string, now time.Time) (ofCaller, callers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := now.Unix(); s != r.second || r.counts == nil {
		r.second, r.counts = s, map[string]int{}
	}
	if _, known := r.counts[ip]; !known && len(r.counts) >= mostRefusedCallers {
		ip = ""
	}
	r.counts[ip]++
	return r.counts[ip], len(r.counts)
}
