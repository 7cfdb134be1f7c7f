package realnet

import (
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/netutil"
)

// The standard ports of the services of a node.
const (
	SchedulerPort = 18080
	DiscoveryPort = 19000
	LearnerPort   = 19020
	WebsocketPort = 8765 // of the learner
)

// MaxConnections bounds the connections of clients that a service holds at once; further ones wait to be accepted.
const MaxConnections = 16384

// NewServer returns the server of one service, with bounds for what a client may send before it is served and for how
// long it may take to do so.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

func init() { gin.SetMode(gin.ReleaseMode) } // it would write to the output of whoever imports this package

// newRoutes are those of a service that has none yet: an unknown path is answered with 404 and a text, also where it is a
// known one with a slash more, a method that a path does not have with 405 and nothing.
func newRoutes() *gin.Engine {
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	e.NoMethod(func(c *gin.Context) { c.Writer.WriteHeaderNow() })
	return e
}

// Limited is a listener with MaxConnections.
func Limited(l net.Listener) net.Listener { return netutil.LimitListener(l, MaxConnections) }
