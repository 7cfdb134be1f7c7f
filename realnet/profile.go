package realnet

import (
	"net/http"
	"net/http/pprof"

	"github.com/gin-gonic/gin"
)

// ProfileHandler is Go's profiler.
func ProfileHandler(c *Credentials) http.Handler { return profileRoutes(c) }

func profileRoutes(credentials *Credentials) *routes {
	s := newRoutes(credentials)
	const root = "/debug/pprof/"
	s.handle(toConfigure, http.MethodGet, root, gin.WrapF(pprof.Index))
	for name, h := range map[string]http.HandlerFunc{"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
		s.handle(toConfigure, http.MethodGet, root+name, gin.WrapF(h))
	}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		s.handle(toConfigure, http.MethodGet, root+name, gin.WrapH(pprof.Handler(name)))
	}
	s.handle(toConfigure, http.MethodPost, root+"symbol", gin.WrapF(pprof.Symbol))
	return s
}
