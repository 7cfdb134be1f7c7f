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
)

// The scheduler service: v1's routes.

// maxConfiguration bounds the body of a configuration, in bytes.
const maxConfiguration = 1 << 20

// steering are the algorithms that a client may have its task decided by, in order of precedence.
var steering = []struct {
	header, name string
	parameters   []string
}{
	{headerBypass, "NoScheduler", []string{"true"}},
	{headerForward, "ForwardScheduler", []string{"1"}},
	{headerReject, "RejectScheduler", []string{}},
}

// SchedulerHandler is the scheduler service of the node.
func (n *Node) SchedulerHandler() http.Handler {
	e := newRoutes()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		e.Handle(method, "/", n.hello)
		e.Handle(method, "/function/:function", n.function)
		e.Handle(method, "/peer/task/:function", n.peerTask)
	}
	e.POST("/peer/function/:function", n.peerFunction)
	e.GET("/peer/link", n.peerLink)
	e.GET("/functions", n.getFunctions)
	e.PUT("/functions/:function", n.putFunction)
	e.DELETE("/functions/:function", n.deleteFunction)
	e.GET("/monitoring/load", n.monitoringLoad)
	e.GET("/monitoring/node", n.getStatus)
	e.GET("/configuration", n.getConfiguration)
	e.POST("/configuration", n.postConfiguration)
	e.GET("/configuration/scheduler", n.getScheduler)
	e.POST("/configuration/scheduler", n.postScheduler)
	n.openFaaSRoutes(e)
	if n.options.Development {
		n.developmentRoutes(e)
	}
	return e
}

// answerFailure answers with an error.
func answerFailure(c *gin.Context, f *Failure) { c.Data(f.status(), contentTypeJSON, f.body()) }

func (n *Node) hello(c *gin.Context) {
	c.Data(http.StatusOK, "text/plain; charset=utf-8",
		[]byte(`{"name":"p2pfaas-scheduler","version":"`+schedulerVersion+`","version_commit":"xxx"}`))
}

func (n *Node) monitoringLoad(c *gin.Context) {
	running, queued, _ := n.mailbox.Load()
	n.mu.Lock()
	slots := n.settings.Slots // what was configured last, be it that the mailbox has yet to take it
	n.mu.Unlock()
	h := c.Writer.Header()
	h.Set(headerLoad, strconv.Itoa(int(running)))
	h.Set(headerMaxLoad, strconv.Itoa(slots))
	h.Set(headerQueueLength, strconv.Itoa(int(queued)))
	if c.GetHeader("User-Agent") == agentMachine {
		n.peers.received.Add(1)
		n.peers.sent.Add(1)
		n.peers.hold(c.Request.Context(), n.peers.caller(remoteIP(c.Request)))
	}
	c.Status(http.StatusOK)
}

// function serves a client.
func (n *Node) function(c *gin.Context) {
	r := &request{number: n.number.Add(1), tracing: c.GetHeader(headerTracing)}
	r.key = taskKey{from: core.NoNode, id: core.TaskID(r.number)}
	task, malformed := n.newTask(r.key.id, c.Request.Header)
	r.label = n.label()
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
	h.Set(headerVersion, schedulerVersion)
	h.Set(headerScheduler, r.label)
	if f != nil {
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
		n.release(c, r)
		panic(http.ErrAbortHandler) // nobody listens; no answer is better than one that says nothing
	}
	n.release(c, r)
	setLesson(h, r.lesson)
	if r.report != nil {
		if r.outcome == core.Completed && r.answer == nil {
			r.report.Outcome = core.LostNoAnswer.String() // of its function
		}
		r.report.set(h, r.lesson)
	}
	a := r.said()
	if a == nil {
		answerFailure(c, n.failureOf(r))
		return
	}
	for name, values := range a.header {
		h[name] = values
	}
	setPath(h, append(r.path[:len(r.path):len(r.path)], n.own(r)))
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
func (n *Node) begin(c *gin.Context, r *request, content io.Reader, length int64) *Failure {
	name := c.Param("function")
	if !validFunction(name) {
		return explained(codeService, "%.80q can be no name of a function", name)
	}
	if length > n.options.Limits.Body {
		return failure(codeTooLarge, "The body of the request is longer than %d bytes", n.options.Limits.Body)
	}
	r.call = n.newCall(name, c.Request, content, length)
	r.function = uint16(n.functions.find(name)) + 1
	var f *Failure
	if errors.As(n.register(r), &f); f == nil && length != 0 {
		go r.call.body.readAhead() // until it is abandoned
	}
	return f
}

// newTask is a client's request as a task.
func (n *Node) newTask(id core.TaskID, h http.Header) (core.TaskValue, *Failure) {
	t := core.TaskValue{ID: id, Type: taskType(h.Get(headerTaskType)), Deadline: core.Never}
	demand, _, err := parseSeconds(h, headerDemand)
	deadline, hurries, err2 := parseSeconds(h, headerDeadline)
	priority, err3 := int64(0), error(nil)
	if p := h.Get(headerPriority); p != "" {
		if priority, err3 = strconv.ParseInt(p, 10, 16); err3 != nil || priority < 0 {
			err3 = fmt.Errorf("%s is %.40q: write a whole number from 0 to 32767", headerPriority, p)
		}
	}
	if err := errors.Join(err, err2, err3); err != nil {
		return t, explained(codeInput, "%v", err)
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
		answerFailure(c, explained(codeGeneric, "%v", err))
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
		answerFailure(c, explained(codeInput, "%v", err))
		return
	}
	if err := n.reschedule(d.Descriptor); err != nil {
		answerFailure(c, &Failure{codeGeneric, "Bad passed parameters for scheduler", err.Error()})
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
