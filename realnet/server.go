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

// ServerLimits bound what clients may take of a service before they are served.
type ServerLimits struct {
	Connections   int           // held at once; further ones wait to be accepted
	Header        int           // bytes of a request's header; net/http lets 4 kB more pass
	HeaderTimeout time.Duration // for a client to send it
	IdleTimeout   time.Duration // between two requests on a connection
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

// DefaultServerLimits suit a service that many use.
func DefaultServerLimits() ServerLimits {
	return ServerLimits{Connections: 16384, Header: 64 << 10, HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

// Server is the server of one service.
func (l ServerLimits) Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: l.HeaderTimeout, IdleTimeout: l.IdleTimeout, MaxHeaderBytes: l.Header}
}

// Listen is where the server listens.
func (l ServerLimits) Listen(address string) (net.Listener, error) {
	n, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return netutil.LimitListener(n, l.Connections), nil
}
