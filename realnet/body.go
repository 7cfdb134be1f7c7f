package realnet

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// errTooLarge says that a body is longer than its limit.
var errTooLarge = errors.New("the body is longer than this node accepts")

// errNoMemory says that all bodies in hand are.
var errNoMemory = errors.New("the bodies in hand are longer than this node accepts")

// errTooSlow says that a body does not come.
var errTooSlow = errors.New("the body comes too slowly")

// failure is what a client is told of a body that could not be read; nil: err is no such.
func (b *body) failure(err error) *wire.Failure {
	switch {
	case errors.Is(err, errTooLarge):
		return wire.NewFailure(wire.CodeTooLarge, "The body of the request is longer than %d bytes", b.limit)
	case errors.Is(err, errNoMemory):
		return b.memory.failure()
	case errors.Is(err, errTooSlow):
		return wire.NewFailure(wire.CodeTooSlow, "The body of the request comes too slowly")
	}
	return nil
}

// memory is what the bodies of a node's requests, and of its answers to them, may take, in bytes.
type memory struct {
	most int64
	used atomic.Int64
}

func (m *memory) failure() *wire.Failure {
	return wire.NewFailure(wire.CodeUnavailable,
		"The bodies of the requests and answers that the node has in hand are %d bytes: it takes no more than %d", m.used.Load(), m.most)
}

// take counts so many bytes more, or says why not.
func (m *memory) take(n int64) *wire.Failure {
	if m.used.Add(n) <= m.most {
		return nil
	}
	f := m.failure()
	m.give(n)
	return f
}

// give takes so many bytes for gone.
func (m *memory) give(n int64) { m.used.Add(-n) }

// body is what a client sends with its request. It is read from the client's connection as whoever wants it reads it,
// and kept, so that a task that a peer refused or did not answer can be sent again, and replicas can be sent at once.
type body struct {
	mu     sync.Mutex
	source io.Reader
	kept   []byte
	end    error // io.EOF: all of it is kept; nil: there is more
	limit  int64
	memory *memory
	wrong  atomic.Pointer[wire.Failure] // what its client is to be told of it; nil: as far as it has been read nothing is wrong
}

func newBody(source io.Reader, limit int64, m *memory) *body {
	return &body{source: source, limit: limit, memory: m}
}

// whole reads the body to its end. What it returns is not to be changed.
func (b *body) whole() ([]byte, error) {
	_, err := io.Copy(io.Discard, b.reader()) // which keeps it: there is no second copy
	if f := b.failure(err); f != nil {
		return nil, f
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept, err
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
	if b.end == nil || b.end == io.EOF {
		b.end = errors.New("the request has ended")
	}
	b.memory.give(int64(len(b.kept)))
	b.source, b.kept = nil, nil
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
	switch used := b.memory.used.Add(int64(n)); {
	case int64(len(b.kept)) > b.limit:
		err = errTooLarge
	case used > b.memory.most:
		err = errNoMemory
	}
	b.end = err
	if f := b.failure(err); f != nil {
		b.wrong.Store(f)
	}
	return n, err
}

// How slowly a body may come: pauses are as long as the patience that is left, which bytes that come renew. An answer may be taken as slowly.
const (
	clientPatience = 10 * time.Second
	timeOfAByte    = time.Millisecond // 1 kB/s
)

// patientBody is the body of a request, on a connection that is not waited for without end. The time in which nobody reads it does not count.
type patientBody struct {
	io.ReadCloser
	deadline func(time.Time) error // of the connection's reads
	patience time.Duration

	mu          sync.Mutex
	left        time.Duration
	interrupted bool
}

func newPatientBody(w http.ResponseWriter, from io.ReadCloser, patience time.Duration) *patientBody {
	b := &patientBody{ReadCloser: from, deadline: http.NewResponseController(w).SetReadDeadline, patience: patience, left: patience}
	b.until(time.Now().Add(patience)) // what no handler reads, the server does
	return b
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	began := time.Now()
	if !b.until(began.Add(b.left)) {
		return 0, errors.New("the request has ended")
	}
	n, err := b.ReadCloser.Read(p)
	b.left = min(b.patience, b.left-time.Since(began)+time.Duration(n)*timeOfAByte)
	switch {
	case err == io.EOF:
		b.until(time.Time{}) // the server reads on, to see that a client hangs up
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errTooSlow
	}
	return n, err
}

// until sets the deadline of the connection, unless that has been interrupted. A server without connections has none.
func (b *patientBody) until(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.interrupted {
		_ = b.deadline(t)
	}
	return !b.interrupted
}

// interrupt has a Read that waits return, and all later ones.
func (b *patientBody) interrupt() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interrupted = true
	return b.deadline(time.Now())
}
