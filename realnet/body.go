package realnet

import (
	"errors"
	"io"
	"sync"
)

// errTooLarge says that a body is longer than its limit.
var errTooLarge = errors.New("the body is longer than this node accepts")

// body is what a client sends with its request. It is read from the client's connection as whoever wants it reads it,
// and kept, so that a task that a peer refused or did not answer can be sent again, and replicas can be sent at once.
type body struct {
	mu     sync.Mutex
	source io.Reader
	kept   []byte
	end    error // io.EOF: all of it is kept; nil: there is more
	limit  int64
}

func newBody(source io.Reader, limit int64) *body { return &body{source: source, limit: limit} }

// whole reads the body to its end.
func (b *body) whole() ([]byte, error) {
	text, err := io.ReadAll(b.reader())
	if errors.Is(err, errTooLarge) {
		return nil, failure(codeTooLarge, "The body of the request is longer than %d bytes", b.limit)
	}
	return text, err
}

// reader reads the body from its beginning.
func (b *body) reader() io.Reader { return &bodyReader{body: b} }

// mostAhead is how many bytes are read of a body that nobody wants yet.
const mostAhead = 1 << 20

// readAhead reads the body although nobody wants it yet: only at its end does the server see that a client hangs up.
func (b *body) readAhead() { _, _ = io.CopyN(io.Discard, b.reader(), mostAhead) }

// abandon ends the reading from the source, which is about to go away: an http.Handler's request may not be read after
// its return. Where a reader waits for a client that sends nothing, interrupt must make it return. It reports whether the
// connection is good for another request: all had been read, and nothing was interrupted.
func (b *body) abandon(interrupt func()) bool {
	quiet := b.mu.TryLock()
	if !quiet {
		interrupt()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	whole := b.end == io.EOF && quiet
	if b.end == nil {
		b.end = errors.New("the client has gone")
	}
	b.source = nil
	return whole
}

type bodyReader struct {
	body *body
	at   int
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.at < len(b.kept) || len(p) == 0 {
		n := copy(p, b.kept[r.at:])
		r.at += n
		return n, nil
	}
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.source.Read(p)
	b.kept = append(b.kept, p[:n]...)
	r.at += n
	if int64(len(b.kept)) > b.limit {
		err = errTooLarge
	}
	b.end = err
	return n, err
}
