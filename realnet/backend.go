package realnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// call is a request to run a function, as the function sees it.
type call struct {
	function string
	method   string
	query    string // without the question mark
	header   http.Header
	body     *body
	length   int64 // of the body; -1: not known
}

// load has r carry the body of the call, once. Where a kept connection turns out to be dead, net/http repeats what it takes for
// idempotent, a GET or what its client gave a key, although the function may have run; anything else it repeats where nothing
// had left.
func (c *call) load(r *http.Request) {
	idempotent := r.Method == http.MethodGet || c.header["Idempotency-Key"] != nil || c.header["X-Idempotency-Key"] != nil
	switch {
	case c.length == 0 && idempotent:
		r.Body = io.NopCloser(strings.NewReader("")) // neither nil nor http.NoBody: those can be repeated
	case idempotent:
		r.Body = io.NopCloser(c.body.reader())
	case c.length != 0:
		r.Body = io.NopCloser(c.body.reader())
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(c.body.reader()), nil }
	}
	r.ContentLength = c.length
}

// withoutQuery takes what a client asked out of the error of an HTTP client, which is logged.
func withoutQuery(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		e.URL, _, _ = strings.Cut(e.URL, "?")
	}
	return err
}

// validStatus reports whether a function may answer with it.
func validStatus(s int) bool { return s >= 200 && s <= 999 }

// answer is what a function said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// keptIdle is how long a connection to a function is kept that nobody uses: less than the servers that functions are made with
// keep theirs (two seconds, five), since a call fails on one that its server closes at that instant.
const keptIdle = time.Second

// Backend runs functions over HTTP.
type Backend struct {
	// URL of a function, with {function} where its name goes: http://{function}:8080/ for containers.
	URL string
	// OpenFaaS has the functions, instead of URL; nil: there is none.
	OpenFaaS *OpenFaaS
	// Functions have a place of their own; * is any function. With neither that nor URL and OpenFaaS the node has these alone.
	Functions map[string]Function
	// Timeout bounds a call; 0: there is no bound but the client's patience.
	Timeout time.Duration
	// Start is how long the process of a function may take until it answers; 0: 10 s.
	Start time.Duration
	// MaxAnswer bounds what a function may answer, in bytes: the answer is kept until the execution has ended, since
	// the headers that stand before it say how long that took.
	MaxAnswer int64

	http     *http.Client
	deployed *deployments
}

// Function is where a function is: at a URL or, with a Command, in a process that the node starts and keeps running or,
// where it is OnDemand, in as many as there are requests at once. {port} in its arguments, and the variable PORT, say where a
// process is to serve HTTP, {instance} its number among those that were started on demand.
type Function struct {
	URL     string
	Command []string
	// OnDemand has a request start a process where none is idle, and keeps an idle one for KeepAlive.
	OnDemand  bool
	KeepAlive time.Duration
}

// open starts processes and prepares the connections: they are kept, as many as the node has slots.
func (b *Backend) open() error {
	if b.Start == 0 {
		b.Start = 10 * time.Second
	}
	b.http = &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, MaxIdleConns: 1024,
			MaxIdleConnsPerHost: 256, IdleConnTimeout: keptIdle, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	b.deployed = &deployments{byName: map[string]*deployment{}}
	var starting sync.WaitGroup
	names := slices.Sorted(maps.Keys(b.Functions))
	problems := make([]error, len(names))
	if len(names) > mostFunctions {
		return fmt.Errorf("%d functions: a node can have %d", len(names), mostFunctions)
	}
	for k, name := range names {
		f := b.Functions[name]
		if name != "*" && !validFunction(name) {
			problems[k] = fmt.Errorf("function %q: this name cannot stand in a URL: write letters, digits, - and _, or * for any", name)
			continue
		}
		if len(f.Command) == 0 {
			b.deployed.put(name, &deployment{Function: f, name: name, since: time.Now()})
			continue
		}
		p := patience{start: b.Start, end: 3 * time.Second, pause: time.Second}
		if f.OnDemand {
			x, err := newPool(name, f.Command, p, f.KeepAlive)
			if problems[k] = err; err == nil {
				b.deployed.put(name, &deployment{Function: f, name: name, pool: x, since: time.Now()})
			}
			continue
		}
		starting.Go(func() {
			began := time.Now()
			i, err := startInstance(context.Background(), name, f.Command, p)
			if problems[k] = err; err == nil {
				b.deployed.put(name, &deployment{Function: f, name: name, instance: i, since: time.Now(), ready: time.Since(began)})
			}
		})
	}
	starting.Wait()
	err := errors.Join(problems...)
	if err != nil {
		b.close()
	}
	return err
}

// close ends processes and connections.
func (b *Backend) close() {
	b.http.CloseIdleConnections()
	d := b.deployed
	d.mu.Lock()
	for _, x := range d.byName {
		if x.instance != nil {
			d.ending.Go(x.instance.close)
		}
		if x.pool != nil {
			d.ending.Go(x.pool.close)
		}
	}
	d.mu.Unlock()
	d.ending.Wait()
}

// validFunction reports whether a name can be that of a function: one DNS label, or several with dots. Nothing else may
// get into the URL of a back end.
func validFunction(name string) bool {
	if name == "" || len(name) > 253 || strings.Contains(name, "..") || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// request is that of a call at its place, without its body. A process that was taken for it is the one to be called.
func (b *Backend) request(ctx context.Context, at *deployment, c *call, taken *instance) (*http.Request, error) {
	if taken == nil && at != nil {
		taken = at.instance
	}
	target := b.URL
	switch {
	case taken != nil:
		var err error
		if target, err = taken.at(); err != nil {
			return nil, err
		}
	case at != nil:
		target = at.URL
	case b.OpenFaaS != nil:
		target = b.OpenFaaS.url("/function/{function}")
	case target == "":
		return nil, fmt.Errorf("the node has no function %s", c.function)
	}
	target = strings.ReplaceAll(target, "{function}", c.function)
	r, err := http.NewRequestWithContext(ctx, c.method, target, nil)
	if err != nil {
		return nil, fmt.Errorf("calling function %s: %w", c.function, err)
	}
	if c.query != "" {
		r.URL.RawQuery = c.query
	}
	wire.CopyHeader(r.Header, c.header)
	carryTrace(ctx, r.Header)
	if at == nil && b.OpenFaaS != nil {
		b.OpenFaaS.authenticate(r)
	}
	return r, nil
}

// run executes a call at its place: cold is how long the start took that it began with, 0 where the function was there.
func (b *Backend) run(ctx context.Context, at *deployment, c *call, service time.Duration) (a *answer, cold time.Duration, err error) {
	if at == nil || at.pool == nil {
		a, err = b.call(ctx, at, c, service, nil)
		return a, 0, err
	}
	i, cold, err := at.pool.take(ctx)
	if err != nil {
		return nil, cold, err
	}
	a, err = b.call(ctx, at, c, service, i)
	switch gone := ctx.Err() != nil; {
	case err != nil && (gone && cold == 0 || !gone && c.body.wrong.Load() != nil):
		at.pool.regain(i)
	default: // one that was given up cold is not taken for a warm one, as in simulation
		at.pool.give(i, err == nil)
	}
	return a, cold, err
}

// call calls a function and keeps its answer, whatever its status. The function is told its service time where that is
// known: not 0.
func (b *Backend) call(ctx context.Context, at *deployment, c *call, service time.Duration, taken *instance) (*answer, error) {
	if b.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.Timeout)
		defer cancel()
	}
	r, err := b.request(ctx, at, c, taken)
	if err != nil {
		return nil, err
	}
	c.load(r)
	if service > 0 {
		r.Header.Set(wire.HeaderService, wire.FormatSeconds(service))
	}
	response, err := b.http.Do(r)
	if err = withoutQuery(err); err != nil {
		if f := c.body.failure(err); f != nil {
			return nil, f
		}
		var lookup *net.DNSError
		if at == nil && b.OpenFaaS == nil && errors.As(err, &lookup) && lookup.IsNotFound {
			return nil, fmt.Errorf("there is no function %s: the node has none of that name, and the host where it calls others does not "+
				"exist: %w", c.function, err)
		}
		return nil, fmt.Errorf("calling function %s: %w", c.function, err)
	}
	defer response.Body.Close()
	if !validStatus(response.StatusCode) {
		return nil, fmt.Errorf("function %s answers with the status %d", c.function, response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, b.MaxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer of function %s breaks off: %w", c.function, err)
	}
	if int64(len(text)) > b.MaxAnswer {
		return nil, fmt.Errorf("the answer of function %s is longer than %d bytes", c.function, b.MaxAnswer)
	}
	a := &answer{status: response.StatusCode, header: http.Header{}, body: text}
	wire.CopyHeader(a.header, response.Header)
	return a, nil
}
