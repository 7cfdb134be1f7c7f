package realnet

import (
	"cmp"
	"crypto/tls"
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
	TakeTimeout   time.Duration // for a client to take what it is sent, and another millisecond for each byte of that; 0: 10 s; below 0: as the handler says
}

func init() { gin.SetMode(gin.ReleaseMode) } // it would write to the output of whoever imports this package

// DefaultServerLimits suit a service that many use.
func DefaultServerLimits() ServerLimits {
	return ServerLimits{Connections: 16384, Header: 64 << 10, HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

// Server is the server of one service.
func (l ServerLimits) Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: l.HeaderTimeout, IdleTimeout: l.IdleTimeout, MaxHeaderBytes: l.Header}
}

// Listen is where the server listens: for TLS, where the credentials have certificates.
func (l ServerLimits) Listen(address string, c *Credentials) (net.Listener, error) {
	n, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	n = netutil.LimitListener(n, l.Connections)
	if l.TakeTimeout >= 0 {
		n = patientListener{n, cmp.Or(l.TakeTimeout, clientPatience)}
	}
	if t := c.listening(); t != nil {
		n = tls.NewListener(n, t)
	}
	return n, nil
}

// patientListener accepts connections whose clients are not waited for without end: what is written to one has to be taken.
type patientListener struct {
	net.Listener
	patience time.Duration
}

// Accept implements net.Listener.
func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return patientConn{c, l.patience}, nil
}

type patientConn struct {
	net.Conn
	patience time.Duration
}

// Write implements net.Conn.
func (c patientConn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.patience + time.Duration(len(p))*timeOfAByte)) // it fails where Write does
	return c.Conn.Write(p)
}
