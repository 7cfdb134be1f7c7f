package realnet

import (
	"io"
	"strings"
	"testing"
)

// late is a body whose end comes when its reading is interrupted.
type late struct{ interrupted chan struct{} }

func (l *late) Read([]byte) (int, error) {
	<-l.interrupted
	return 0, io.EOF
}

// A connection whose reading was interrupted is not good for another request, even if the body had an end after all: the
// server cancels the contexts of all requests that come on it.
func TestBodyAbandon(t *testing.T) {
	b := newBody(strings.NewReader("all"), 10, &memory{most: 100})
	b.readAhead()
	if !b.abandon(func() { t.Error("nobody reads") }) {
		t.Error("a body that was read is not whole")
	}
	b = newBody(strings.NewReader("all"), 10, &memory{most: 100})
	if b.abandon(func() { t.Error("nobody reads") }) {
		t.Error("a body that nobody has read is whole")
	}
	l := &late{make(chan struct{})}
	b = newBody(l, 10, &memory{most: 100})
	go b.readAhead()
	eventually(t, "it is read", func() bool {
		if b.mu.TryLock() {
			b.mu.Unlock()
			return false
		}
		return true
	})
	if b.abandon(func() { close(l.interrupted) }) {
		t.Error("a connection that was interrupted is good for another request")
	}
}
