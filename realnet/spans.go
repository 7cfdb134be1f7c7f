package realnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Traces of OpenTelemetry: a request is a span at each node that has it in hand, with one in it for each scheduling, probe,
// forward, wait and execution. They are one trace wherever the request goes: forwards, and calls of functions, carry the
// header traceparent (W3C Trace Context), and a client's is followed. A node without NodeOptions.Traces makes none, and
// passes on what a client sends.

// TraceOptions say where spans go.
type TraceOptions struct {
	URL     string  // of a collector that takes OTLP over HTTP, http://host:4318; without a path: /v1/traces
	Share   float64 // of the traces that begin here, 0 to 1; one that a client began is followed as it says
	Program string  // version of the program
}

// Check reports what is wrong with the options.
func (o *TraceOptions) Check() error {
	var problems []error
	if u, err := url.Parse(o.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		problems = append(problems, fmt.Errorf("%.200q is no collector of traces: write a URL like http://127.0.0.1:4318", o.URL))
	}
	if !(o.Share >= 0 && o.Share <= 1) {
		problems = append(problems, fmt.Errorf("%v is no share of the traces: write a number from 0 to 1", o.Share))
	}
	return errors.Join(problems...)
}

// Traces send spans to a collector.
type Traces struct {
	*sdk.TracerProvider
}

// OpenTraces begins to send spans. What the collector does not take is dropped after a while, and that it takes none is logged.
// Close sends what is left.
func OpenTraces(o TraceOptions) (*Traces, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	out, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(5*time.Second),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		return nil, fmt.Errorf("sending traces to %s: %w", u.Redacted(), err)
	}
	r := resource.NewSchemaless(attribute.String("service.name", "p2pfaas"), attribute.String("service.version", o.Program))
	return &Traces{sdk.NewTracerProvider(sdk.WithBatcher(&collector{SpanExporter: out, url: u.Redacted()}), sdk.WithResource(r),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(o.Share))))}, nil
}

// Close sends what is left, as long as ctx lasts.
func (t *Traces) Close(ctx context.Context) error {
	if err := t.Shutdown(ctx); err != nil {
		return fmt.Errorf("the last spans were not sent: %w", err)
	}
	return nil
}

// collector says when a collector begins to take no spans, and when it takes them again.
type collector struct {
	sdk.SpanExporter
	url     string
	mu      sync.Mutex
	dropped int
}

// ExportSpans implements sdk.SpanExporter.
func (c *collector) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		if c.dropped == 0 {
			slog.Warn("spans are dropped: the collector does not take them", "collector", c.url, "error", err)
		}
		c.dropped += len(spans)
	case c.dropped > 0:
		slog.Info("the collector takes spans again", "collector", c.url, "dropped", c.dropped)
		c.dropped = 0
	}
	return nil // it has been said
}

// traceContext is how traces go from one process to another.
var traceContext propagation.TraceContext

// carryTrace writes into the header of a request which span it is a part of; nothing, where nobody traces.
func carryTrace(ctx context.Context, h http.Header) {
	traceContext.Inject(ctx, propagation.HeaderCarrier(h))
}

// spans makes those of a node; nil: nobody asked for them.
type spans struct {
	tracer trace.Tracer
	node   *Node

	mu     sync.Mutex              // of the requestSpans, too
	probes map[probeKey]trace.Span // that wait for their answers
}

// probeKey is what tells the questions of a node apart.
type probeKey struct {
	token core.Token
	item  int32
}

func newSpans(n *Node, p trace.TracerProvider) *spans {
	if p == nil {
		return nil
	}
	return &spans{tracer: p.Tracer("github.com/p2pfaas/p2pfaas/realnet"), node: n, probes: map[probeKey]trace.Span{}}
}

// requestSpans are those of a request, at one node.
type requestSpans struct {
	ctx        context.Context // of the request's own span
	whole      trace.Span
	scheduling trace.Span // nil: a decision has not begun, or it has been made
	asked      []probeKey // by the decision
	since      time.Time  // it waits, for a slot or for a decision
}

// arrived begins the span of a request that came with a header.
func (s *spans) arrived(r *request, h http.Header, what string) {
	if s == nil {
		return
	}
	ctx := traceContext.Extract(context.Background(), propagation.HeaderCarrier(h))
	x := &requestSpans{since: time.Now()}
	x.ctx, x.whole = s.tracer.Start(ctx, what, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("p2pfaas.node", s.node.Identity().ID), attribute.String("p2pfaas.request", r.id)))
	r.spans = x
}

// schedules begins the span of a scheduling that has none. s.mu is held.
func (s *spans) schedules(x *requestSpans) {
	if x.scheduling == nil {
		_, x.scheduling = s.tracer.Start(x.ctx, "scheduling", trace.WithTimestamp(x.since))
	}
}

// decided ends a scheduling.
func (s *spans) decided(r *request, label string, v core.Verdict) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := r.spans
	now := time.Now()
	s.schedules(x)
	s.unanswered(x)
	peers := []string{}
	for _, id := range v.To() {
		peers = append(peers, s.node.addressOf(id))
	}
	x.scheduling.SetAttributes(attribute.String("p2pfaas.scheduler", label), attribute.String("p2pfaas.verdict", v.String()),
		attribute.StringSlice("p2pfaas.peers", peers))
	x.scheduling.End(trace.WithTimestamp(now))
	x.scheduling, x.since = nil, now
}

// unanswered ends the spans of questions that nobody waits for any more. s.mu is held.
func (s *spans) unanswered(x *requestSpans) {
	for _, k := range x.asked {
		if p := s.probes[k]; p != nil {
			p.SetStatus(codes.Error, "no answer in time")
			p.End()
			delete(s.probes, k)
		}
	}
	x.asked = x.asked[:0]
}

// asks begins the span of a question to a peer for a decision about a request.
func (s *spans) asks(r *request, m *core.Parcel) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, k := r.spans, probeKey{m.Token, m.Item}
	s.schedules(x)
	_, p := s.tracer.Start(trace.ContextWithSpan(x.ctx, x.scheduling), "probe", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("p2pfaas.peer", s.node.addressOf(m.To))))
	x.asked = append(x.asked, k)
	s.probes[k] = p
}

// told ends the span of a question: m is the answer, or stands for it where the peer cannot be reached.
func (s *spans) told(m *core.Parcel) {
	if s == nil || m.Kind != core.MsgReply {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := probeKey{m.Token, m.Item}
	p := s.probes[k]
	if p == nil {
		return
	}
	delete(s.probes, k)
	if m.Outcome == core.LostNodeDown {
		p.SetStatus(codes.Error, "the peer cannot be reached")
	} else if m.Load.Slots >= 0 {
		p.SetAttributes(attribute.Int("p2pfaas.running", int(m.Load.Running)), attribute.Int("p2pfaas.queued", int(m.Load.Queued)))
	}
	p.End()
}

// forwards begins the span of a forward, and returns a context of it.
func (s *spans) forwards(ctx context.Context, r *request, peer string) (context.Context, trace.Span) {
	if s == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	return s.tracer.Start(trace.ContextWithSpan(ctx, r.spans.whole), "forward", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("p2pfaas.peer", peer)))
}

// forwarded ends the span of a forward, once: what follows begins here.
func (s *spans) forwarded(f *forward) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.span.IsRecording() {
		f.request.spans.since = time.Now()
		f.span.End()
	}
}

// executes ends the wait of a request, and begins the span of its execution.
func (s *spans) executes(r *request) func(ctx context.Context) (context.Context, trace.Span) {
	if s == nil {
		return func(ctx context.Context) (context.Context, trace.Span) { return ctx, trace.SpanFromContext(ctx) }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := r.spans
	_, w := s.tracer.Start(x.ctx, "wait", trace.WithTimestamp(x.since))
	w.End()
	return func(ctx context.Context) (context.Context, trace.Span) {
		return s.tracer.Start(trace.ContextWithSpan(ctx, x.whole), "execution", trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("p2pfaas.function", r.call.function)))
	}
}

// ended ends the span of a request.
func (s *spans) ended(r *request) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := r.spans
	s.unanswered(x)
	if x.scheduling != nil { // the decision was not made
		x.scheduling.End()
	}
	x.whole.SetAttributes(attribute.String("p2pfaas.function", r.call.function), attribute.String("p2pfaas.outcome", r.outcome.String()))
	switch {
	case r.outcome != core.Completed:
		x.whole.SetStatus(codes.Error, r.outcome.String())
	case r.answer == nil:
		x.whole.SetStatus(codes.Error, "the function did not answer")
	}
	x.whole.End(trace.WithTimestamp(r.ended))
}

// refused ends the span of a request that the node does not take in hand.
func (s *spans) refused(r *request, f *wire.Failure) {
	if s == nil {
		return
	}
	r.spans.whole.SetStatus(codes.Error, f.Error())
	r.spans.whole.End()
}
