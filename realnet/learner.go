package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// Learner is what a node asks for actions and what its clients train. It is used by several goroutines.
type Learner interface {
	Act(ctx context.Context, state []float64) (core.Action, error)
	Train(ctx context.Context, entries ...learner.Entry) error
}

// LocalLearner is a Learner in this process.
type LocalLearner struct {
	mu      sync.Mutex
	learner *learner.Learner
}

// NewLocalLearner shares l, which nobody else may use from now on.
func NewLocalLearner(l *learner.Learner) *LocalLearner { return &LocalLearner{learner: l} }

// Act implements Learner.
func (l *LocalLearner) Act(_ context.Context, state []float64) (core.Action, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.learner.Act(state)
}

// Train implements Learner. An entry that is refused loses none of the others.
func (l *LocalLearner) Train(_ context.Context, entries ...learner.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refused []error
	for _, e := range entries {
		refused = append(refused, l.learner.Train(e))
	}
	return errors.Join(refused...)
}

// delayedLearner answers later than its learner does: the scenario says how long an inference takes.
type delayedLearner struct {
	Learner
	clock *precise.Clock
	delay random.Dist

	mu   sync.Mutex
	rand *rand.Rand
}

// Act implements Learner.
func (l *delayedLearner) Act(ctx context.Context, state []float64) (core.Action, error) {
	l.mu.Lock()
	until := time.Now().Add(random.Duration(l.delay, l.rand))
	l.mu.Unlock()
	a, err := l.Learner.Act(ctx, state)
	if err == nil {
		err = l.clock.Sleep(ctx, until)
	}
	return a, err
}

// watchedLearner says when its learner stops answering, and when it answers again.
type watchedLearner struct {
	Learner
	faults *Faults // that may have it down

	mu     sync.Mutex
	status LearnerStatus
	since  time.Time // it has failed without a break; zero: the last question was answered
}

// LearnerStatus is how a node's learner has answered since the node began.
type LearnerStatus struct {
	Answered uint64 `json:"answered"`        // questions
	Failed   uint64 `json:"failed"`          // questions: the algorithm's fallback decided
	Error    string `json:"error,omitempty"` // why the last question failed; empty: it was answered
	// Epsilon is the share of actions chosen at random, or the temperature of softmax. Of a learner elsewhere it is what its
	// last answer said: 0 with softmax, since answers tell no temperature.
	Epsilon float64 `json:"epsilon"`
	// Learned are the counters of a learner in the node's own process; nil: it is elsewhere.
	Learned *learner.Stats `json:"learned,omitempty"`
}

// Act implements Learner.
func (l *watchedLearner) Act(ctx context.Context, state []float64) (core.Action, error) {
	var a core.Action
	err := errLearnerDown
	if !l.faults.learnerDown() {
		a, err = l.Learner.Act(ctx, state)
	}
	if err != nil && ctx.Err() != nil {
		return a, err // the node ends
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && !l.since.IsZero():
		slog.Info("the learner answers again", "after", time.Since(l.since).Round(time.Millisecond))
		l.since = time.Time{}
	case err != nil && l.since.IsZero():
		slog.Warn("the learner does not answer: the algorithm decides by its fallback until it does", "error", err)
		l.since = time.Now()
	}
	if l.status.Error = ""; err != nil {
		l.status.Failed++
		l.status.Error = err.Error()
	} else {
		l.status.Answered++
		l.status.Epsilon = a.Epsilon
	}
	return a, err
}

// said is nil where there is no learner.
func (l *watchedLearner) said() *LearnerStatus {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	s := l.status
	l.mu.Unlock()
	if own, is := l.Learner.(interface{ Stats() learner.Stats }); is {
		learned := own.Stats()
		s.Learned, s.Epsilon = &learned, learned.Epsilon
	}
	return &s
}

// Stats are the learner's counters.
func (l *LocalLearner) Stats() learner.Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.learner.Stats()
}

// LearnerOptions say where a learner outside the process is, and how it is used.
type LearnerOptions struct {
	Act         string        // URL of its websocket, such as ws://127.0.0.1:8765
	Train       string        // URL of its HTTP service, such as http://127.0.0.1:19020; empty: it is told nothing
	Timeout     time.Duration // for each answer, connecting included; 0: 5 s
	Connections int           // websockets at once; further callers wait; 0: 20, as v1
	Credentials *Credentials  // shown to it; nil: it is none of the cluster's
}

// RemoteLearner is a learner outside the process, in the way of the first P2PFaaS: an action costs one message each way
// on a websocket, and entries are posted to /train_batch. It may be used by several goroutines.
type RemoteLearner struct {
	options LearnerOptions
	train   string
	late    error                // the cause where time is over
	idle    chan *websocket.Conn // nil: a place for one that has not been opened
	http    *http.Client

	busy sync.RWMutex    // read-locked by what is under way: Close waits for it
	life context.Context // ends with Close
	die  context.CancelFunc
}

// maxAnswer bounds what a learner may answer, in bytes.
const maxAnswer = 4096

var errLearnerClosed = errors.New("the connection to the learner was closed")

// NewRemoteLearner returns the client of a learner that need not be there yet: Act fails until it is.
func NewRemoteLearner(o LearnerOptions) *RemoteLearner {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Connections <= 0 {
		o.Connections = 20
	}
	l := &RemoteLearner{
		options: o,
		late:    fmt.Errorf("nothing came within %v: %w", o.Timeout, context.DeadlineExceeded),
		idle:    make(chan *websocket.Conn, o.Connections),
		// A transport of its own, so that Close ends its connections and nobody else's.
		http: o.Credentials.Client(&http.Transport{Proxy: http.ProxyFromEnvironment}),
	}
	l.life, l.die = context.WithCancel(context.Background())
	if o.Train != "" {
		l.train = strings.TrimRight(o.Train, "/") + "/train_batch"
	}
	for range o.Connections {
		l.idle <- nil
	}
	return l
}

// DialLearner connects to a learner; it fails where nobody answers there.
func DialLearner(ctx context.Context, o LearnerOptions) (*RemoteLearner, error) {
	l := NewRemoteLearner(o)
	bounded, done := l.begin(ctx)
	first, err := l.dial(bounded)
	done()
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	<-l.idle
	l.idle <- first
	return l, nil
}

// begin bounds what is asked or told, by the timeout and by Close. Done ends it.
func (l *RemoteLearner) begin(ctx context.Context) (bounded context.Context, done func()) {
	l.busy.RLock()
	ctx, cut := context.WithCancelCause(ctx)
	if l.life.Err() != nil {
		cut(errLearnerClosed)
	}
	stop := context.AfterFunc(l.life, func() { cut(errLearnerClosed) })
	bounded, cancel := context.WithTimeoutCause(ctx, l.options.Timeout, l.late)
	return bounded, func() {
		stop()
		cancel()
		cut(nil)
		l.busy.RUnlock()
	}
}

// why is the reason of a failure: where time is over, that, and not what was interrupted by it.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (l *RemoteLearner) dial(ctx context.Context) (*websocket.Conn, error) {
	c, response, err := websocket.Dial(ctx, l.options.Act, &websocket.DialOptions{HTTPClient: l.http})
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("the learner at %s does not answer: start it, or correct the URL: %w", l.options.Act, why(ctx, err))
	}
	c.SetReadLimit(maxAnswer)
	return c, nil
}

// Act asks for an action. Where the connection breaks, it is opened again and the question put again, once.
func (l *RemoteLearner) Act(ctx context.Context, state []float64) (core.Action, error) {
	if !finite(state...) {
		return core.Action{}, fmt.Errorf("the state %v cannot be sent to a learner: it has what is no number", state)
	}
	question := []byte("[" + numbers(state) + "]")
	ctx, done := l.begin(ctx)
	defer done()
	var c *websocket.Conn
	select {
	case c = <-l.idle:
	case <-ctx.Done():
		return core.Action{}, fmt.Errorf("no connection to the learner at %s has come free: %w", l.options.Act, context.Cause(ctx))
	}
	defer func() { l.idle <- c }()
	for retry := true; ; retry = false {
		var err error
		if c == nil {
			c, err = l.dial(ctx)
		}
		if err == nil {
			var answer []byte
			if answer, err = ask(ctx, c, question); err == nil {
				return l.action(answer)
			}
			err = fmt.Errorf("asking the learner at %s: %w", l.options.Act, why(ctx, err))
			_ = c.CloseNow() // what it may still say would be taken for the next answer
			c = nil
		}
		if !retry || ctx.Err() != nil {
			return core.Action{}, err
		}
	}
}

func ask(ctx context.Context, c *websocket.Conn, question []byte) ([]byte, error) {
	if err := c.Write(ctx, websocket.MessageText, question); err != nil {
		return nil, err
	}
	kind, answer, err := c.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		err = fmt.Errorf("%.60q came as a binary message, not as text", answer)
	}
	return answer, err
}

// action reads "action,epsilon".
func (l *RemoteLearner) action(answer []byte) (core.Action, error) {
	first, second, both := strings.Cut(string(answer), ",")
	index, err1 := strconv.ParseFloat(strings.TrimSpace(first), 64)
	epsilon, err2 := strconv.ParseFloat(strings.TrimSpace(second), 64)
	if !both || err1 != nil || err2 != nil || index != math.Trunc(index) || index < 0 || index > math.MaxInt32 ||
		!(epsilon >= 0 && epsilon <= 1) {
		return core.Action{}, fmt.Errorf("the learner at %s answers %.60q, not \"action,epsilon\" with a whole number from 0 "+
			"and a share", l.options.Act, answer)
	}
	return core.Action{Index: int(index), Epsilon: epsilon}, nil
}

// trainEntry is an entry as /train_batch takes it.
type trainEntry struct {
	EID    uint64  `json:"eid"`
	State  string  `json:"state"`
	Action int     `json:"action"`
	Reward float64 `json:"reward"`
}

// Train sends entries.
func (l *RemoteLearner) Train(ctx context.Context, entries ...learner.Entry) error {
	if l.train == "" || len(entries) == 0 {
		return nil
	}
	batch := make([]trainEntry, len(entries))
	for i, e := range entries {
		if !finite(e.State...) || !finite(e.Reward) {
			return fmt.Errorf("entry %d cannot be sent to a learner: its state %v or its reward %v has what is no number",
				e.EID, e.State, e.Reward)
		}
		batch[i] = trainEntry{e.EID, numbers(e.State), e.Action, e.Reward}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("training the learner: %w", err)
	}
	ctx, done := l.begin(ctx)
	defer done()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.train, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("training the learner: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := l.http.Do(request)
	if err != nil {
		return fmt.Errorf("training the learner at %s: %w", l.train, why(ctx, err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("training the learner at %s: its answer breaks off: %w", l.train, why(ctx, err))
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("training the learner at %s: %w", l.train, wire.Unexpected("it", response, text))
	}
	return nil
}

// finite reports whether JSON can spell all of xs.
func finite(xs ...float64) bool {
	return !slices.ContainsFunc(xs, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// numbers are spelled "1,0.5,3", exactly, and alike for acting and for training.
func numbers(state []float64) string {
	var b []byte
	for i, x := range state {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, x, 'g', -1, 64)
	}
	return string(b)
}

// Close ends the connections and what is under way, and returns when all has ended. It returns no error.
func (l *RemoteLearner) Close() error {
	l.die()
	l.busy.Lock()
	defer l.busy.Unlock()
	for len(l.idle) > 0 {
		if c := <-l.idle; c != nil {
			_ = c.CloseNow()
		}
	}
	l.http.CloseIdleConnections()
	return nil
}
