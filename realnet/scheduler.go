package realnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/realnet/ui"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// The scheduler service: v1's routes.

// ownOrigin has a browser show what a function answers as a page of no site: it is not to be one of the node's own, which has the operator's token.
const ownOrigin = "sandbox allow-scripts allow-forms"

// maxConfiguration bounds the body of a configuration, in bytes.
const maxConfiguration = 1 << 20

// steering are the algorithms that a client may have its task decided by, in order of precedence.
var steering = []struct {
	header, name string
	parameters   []string
}{
	{wire.HeaderBypass, "NoScheduler", []string{"true"}},
	{wire.HeaderForward, "ForwardScheduler", []string{"1"}},
	{wire.HeaderReject, "RejectScheduler", []string{}},
}

// SchedulerHandler is the scheduler service of the node.
func (n *Node) SchedulerHandler() http.Handler { return n.routes() }

func (n *Node) routes() *routes {
	s := newRoutes(n.options.Credentials)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		s.handle(toCall, method, "/", n.hello)
		s.handle(toCall, method, "/function/:function", n.function)
		s.handle(toPeer, method, "/peer/task/:function", n.peerTask)
	}
	s.handle(toPeer, http.MethodPost, "/peer/function/:function", n.peerFunction)
	s.handle(toPeer, http.MethodGet, "/peer/link", n.peerLink)
	s.handle(toWatch, http.MethodGet, "/functions", n.getFunctions)
	s.handle(toConfigure, http.MethodPut, "/functions/:function", n.putFunction)
	s.handle(toConfigure, http.MethodDelete, "/functions/:function", n.deleteFunction)
	s.handle(toWatch, http.MethodGet, "/monitoring/load", n.monitoringLoad)
	s.handle(toWatch, http.MethodGet, "/monitoring/node", n.getStatus)
	s.handle(toWatch, http.MethodGet, "/monitoring/requests", n.getPastRequests)
	s.handle(toWatch, http.MethodGet, "/metrics", getMetrics(n.metrics.registry))
	s.handle(toWatch, http.MethodGet, "/configuration", n.getConfiguration)
	s.handle(toConfigure, http.MethodPost, "/configuration", n.postConfiguration)
	s.handle(toWatch, http.MethodGet, "/configuration/scheduler", n.getScheduler)
	s.handle(toConfigure, http.MethodPost, "/configuration/scheduler", n.postScheduler)
	if n.options.Feed != nil {
		for _, path := range ui.Paths() {
			s.handle(toCall, http.MethodGet, path, gin.WrapF(ui.Serve))
		}
		for _, data := range []string{"source", "cluster", "events", "requests", "schedulers"} {
			s.handle(toWatch, http.MethodGet, ui.Root+data, gin.WrapH(n.options.Feed))
		}
		s.handle(toConfigure, http.MethodPost, ui.Root+"configuration", gin.WrapH(n.options.Feed))
	}
	n.openFaaSRoutes(s)
	if n.options.Development {
		n.developmentRoutes(s)
	}
	if n.options.Faults != nil {
		s.handle(toConfigure, http.MethodPut, "/dev/faults", n.options.Faults.put)
	}
	return s
}

// answerFailure answers with an error.
func answerFailure(c *gin.Context, f *wire.Failure) {
	c.Data(f.Status(), wire.ContentTypeJSON, f.Body())
}

func (n *Node) hello(c *gin.Context) {
	c.Data(http.StatusOK, "text/plain; charset=utf-8",
		[]byte(`{"name":"p2pfaas-scheduler","version":"`+wire.SchedulerVersion+`","version_commit":"xxx"}`))
}

func (n *Node) monitoringLoad(c *gin.Context) {
	running, queued, _ := n.mailbox.Load()
	n.mu.Lock()
	slots := n.settings.Slots // what was configured last, be it that the mailbox has yet to take it
	n.mu.Unlock()
	h := c.Writer.Header()
	h.Set(wire.HeaderLoad, strconv.Itoa(int(running)))
	h.Set(wire.HeaderMaxLoad, strconv.Itoa(slots))
	h.Set(wire.HeaderQueueLength, strconv.Itoa(int(queued)))
	if c.GetHeader("User-Agent") == wire.UserAgentNode {
		n.peers.received.Add(1)
		n.peers.sent.Add(1)
		n.peers.hold(c.Request.Context(), n.peers.caller(remoteIP(c.Request)))
	}
	c.Status(http.StatusOK)
}

// function serves a client.
func (n *Node) function(c *gin.Context) {
	r := &request{number: n.number.Add(1), tracing: c.GetHeader(wire.HeaderTracing)}
	r.key = taskKey{from: core.NoNode, id: core.TaskID(r.number)}
	task, malformed := n.newTask(r.key.id, c.Request.Header)
	n.name(r)
	r.label = n.label()
	n.spans.arrived(r, c.Request.Header, "request")
	for i, s := range steering {
		if c.GetHeader(s.header) != "" {
			task.By, r.label = uint8(i+1), steeredLabels[i]
			break
		}
	}
	f := malformed
	if f == nil {
		f = n.begin(c, r, c.Request.Body, c.Request.ContentLength)
	}
	h := c.Writer.Header()
	h.Set(wire.HeaderVersion, wire.SchedulerVersion)
	h.Set(wire.HeaderScheduler, r.label)
	h.Set(wire.HeaderTracing, r.sentID())
	if f != nil {
		n.spans.refused(r, f)
		n.metrics.refused.WithLabelValues(strconv.Itoa(f.Status())).Inc()
		answerFailure(c, f)
		return
	}
	task.Function = r.function
	n.mailbox.Post(core.Input{Kind: core.InputSubmit, Task: &task})
	select {
	case <-r.done:
	case <-c.Request.Context().Done():
		n.mailbox.Post(core.Input{Kind: core.InputCancel, ID: task.ID})
		<-r.done
		n.metrics.ended(r)
		n.release(c, r)
		if f := r.call.body.wrong.Load(); f != nil { // the server takes a slow client for one that has gone
			answerFailure(c, f)
			return
		}
		panic(http.ErrAbortHandler) // nobody listens; no answer is better than one that says nothing
	}
	n.release(c, r)
	defer n.weigh(r)()
	n.metrics.ended(r)
	wire.SetLessonHeaders(h, r.lesson)
	if r.report != nil {
		if r.outcome == core.Completed && r.answer == nil {
			r.report.Outcome = core.LostNoAnswer.String() // of its function
		}
		r.report.SetHeader(h, r.lesson)
	}
	a := r.said()
	if a == nil {
		answerFailure(c, n.failureOf(r))
		return
	}
	for name, values := range a.header {
		h[name] = values
	}
	h.Add("Content-Security-Policy", ownOrigin) // beside the function's own: browsers do what both ask
	wire.SetPathHeaders(h, append(r.path[:len(r.path):len(r.path)], n.own(r)))
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	c.Status(a.status)
	c.Writer.WriteHeaderNow()
	_, _ = c.Writer.Write(a.body) // where it fails, the client has gone
}

// steeredLabels are what answers announce for the steering algorithms.
var steeredLabels = []string{"NoScheduler", "ForwardScheduler(1)", "RejectScheduler"}

// label is what answers announce for the algorithm.
func (n *Node) label() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.scheduler.label
}

// begin takes a request in hand, or says why not.
func (n *Node) begin(c *gin.Context, r *request, content io.Reader, length int64) *wire.Failure {
	name := c.Param("function")
	if !validFunction(name) {
		return wire.NewV1Failure(wire.CodeService, "%.80q can be no name of a function", name)
	}
	if f := n.tooMuch(length, n.options.Limits.Body); f != nil {
		return f
	}
	r.call = n.newCall(name, c.Request, content, length)
	r.function = uint16(n.functions.find(name)) + 1
	var f *wire.Failure
	if errors.As(n.register(r), &f); f == nil && length != 0 {
		go r.call.body.readAhead() // until it is abandoned
	}
	return f
}

// tooMuch says why a body of that length, -1 where it is not known, is not even read; nil: it may be.
func (n *Node) tooMuch(length, limit int64) *wire.Failure {
	switch {
	case length > limit:
		return wire.NewFailure(wire.CodeTooLarge, "The body of the request is longer than %d bytes", limit)
	case n.bodies.used.Load()+length > n.bodies.most:
		return n.bodies.failure()
	}
	return nil
}

// newTask is a client's request as a task.
func (n *Node) newTask(id core.TaskID, h http.Header) (core.TaskValue, *wire.Failure) {
	t := core.TaskValue{ID: id, Type: taskType(h.Get(wire.HeaderTaskType)), Deadline: core.Never}
	demand, _, err := wire.ParseSeconds(h, wire.HeaderDemand)
	deadline, hurries, err2 := wire.ParseSeconds(h, wire.HeaderDeadline)
	priority, err3 := int64(0), error(nil)
	if p := h.Get(wire.HeaderPriority); p != "" {
		if priority, err3 = strconv.ParseInt(p, 10, 16); err3 != nil || priority < 0 {
			err3 = fmt.Errorf("%s is %.40q: write a whole number from 0 to 32767", wire.HeaderPriority, p)
		}
	}
	if err := errors.Join(err, err2, err3); err != nil {
		return t, wire.NewV1Failure(wire.CodeInput, "%v", err)
	}
	t.Demand, t.Priority = demand, int16(priority)
	if hurries {
		t.Deadline = n.mailbox.Now().Add(deadline)
	}
	return t, nil
}

// taskType reads v1's header: a number, of which the whole part counts. What is none is type 0.
func taskType(header string) core.TaskType {
	x, err := strconv.ParseFloat(header, 64)
	if err != nil || !(x >= 0 && x < 1<<16) {
		return 0
	}
	return core.TaskType(x)
}

func (n *Node) getConfiguration(c *gin.Context) {
	n.mu.Lock()
	s := n.settings
	n.mu.Unlock()
	c.JSON(http.StatusOK, s)
}

func (n *Node) postConfiguration(c *gin.Context) {
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxConfiguration))
	if err == nil {
		err = n.configure(text)
	}
	if err != nil {
		answerFailure(c, wire.NewV1Failure(wire.CodeGeneric, "%v", err))
		return
	}
	c.Status(http.StatusOK)
}

func (n *Node) getScheduler(c *gin.Context) {
	n.mu.Lock()
	d := n.scheduler.descriptor
	n.mu.Unlock()
	if d.Parameters == nil {
		d.Parameters = []string{}
	}
	c.JSON(http.StatusOK, d)
}

func (n *Node) postScheduler(c *gin.Context) {
	d := sentDescriptor{own: n.options.Forwarding}
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxConfiguration))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		answerFailure(c, wire.NewV1Failure(wire.CodeInput, "%v", err))
		return
	}
	if err := n.reschedule(d.Descriptor); err != nil {
		var f *wire.Failure
		if !errors.As(err, &f) {
			f = &wire.Failure{Code: wire.CodeGeneric, Message: "Bad passed parameters for scheduler", Reason: err.Error()}
		}
		answerFailure(c, f)
		return
	}
	c.Status(http.StatusOK)
}

// remoteIP is the address of whoever calls.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
