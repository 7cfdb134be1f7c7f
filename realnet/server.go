package realnet

import (
	"net"
	"net/http"
	"time"

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

// Limited is a listener with MaxConnections.
func Limited(l net.Listener) net.Listener { return netutil.LimitListener(l, MaxConnections) }
