package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
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
}

// RemoteLearner is a learner outside the process, in the way of the first P2PFaaS: an action costs one message each way
// on a websocket, and entries are posted to /train_batch. It may be used by several goroutines.
type RemoteLearner struct {
	options LearnerOptions
	train   string
	idle    chan *websocket.Conn // nil: a place for one that has not been opened
	http    *http.Client
}

// maxAnswer bounds what a learner may answer, in bytes.
const maxAnswer = 4096

// DialLearner connects to a learner; it fails where nobody answers there.
func DialLearner(ctx context.Context, o LearnerOptions) (*RemoteLearner, error) {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Connections <= 0 {
		o.Connections = 20
	}
	l := &RemoteLearner{options: o, idle: make(chan *websocket.Conn, o.Connections), http: &http.Client{}}
	if o.Train != "" {
		l.train = strings.TrimRight(o.Train, "/") + "/train_batch"
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	first, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	l.idle <- first
	for range o.Connections - 1 {
		l.idle <- nil
	}
	return l, nil
}

func (l *RemoteLearner) dial(ctx context.Context) (*websocket.Conn, error) {
	c, response, err := websocket.Dial(ctx, l.options.Act, nil)
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("the learner at %s does not answer: start it, or correct the URL: %w", l.options.Act, err)
	}
	c.SetReadLimit(maxAnswer)
	return c, nil
}

// Act asks for an action. A connection that has broken is opened again, once.
func (l *RemoteLearner) Act(ctx context.Context, state []float64) (core.Action, error) {
	question, err := json.Marshal(state)
	if err != nil {
		return core.Action{}, fmt.Errorf("the state %v cannot be sent to a learner: %w", state, err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	var c *websocket.Conn
	select {
	case c = <-l.idle:
	case <-ctx.Done():
		return core.Action{}, fmt.Errorf("no connection to the learner at %s has come free: %w", l.options.Act, ctx.Err())
	}
	defer func() { l.idle <- c }()
	for retry := c != nil; ; retry = false {
		if c == nil {
			if c, err = l.dial(ctx); err != nil {
				return core.Action{}, err
			}
		}
		var answer []byte
		if answer, err = ask(ctx, c, question); err == nil {
			return l.action(answer)
		}
		_ = c.CloseNow()
		c = nil
		if !retry {
			return core.Action{}, fmt.Errorf("asking the learner at %s: %w", l.options.Act, err)
		}
	}
}

func ask(ctx context.Context, c *websocket.Conn, question []byte) ([]byte, error) {
	if err := c.Write(ctx, websocket.MessageText, question); err != nil {
		return nil, err
	}
	_, answer, err := c.Read(ctx)
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
		batch[i] = trainEntry{e.EID, numbers(e.State), e.Action, e.Reward}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("entry %d cannot be sent to a learner: %w", entries[0].EID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.options.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.train, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("training the learner: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := l.http.Do(request)
	if err != nil {
		return fmt.Errorf("training the learner: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil || response.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("training the learner at %s: it answers %s: %.200q", l.train, response.Status, text))
	}
	return nil
}

// numbers are spelled "1,0.5,3".
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

// Close ends the connections. Nobody may be asking. It returns no error.
func (l *RemoteLearner) Close() error {
	for range l.options.Connections {
		if c := <-l.idle; c != nil {
			_ = c.CloseNow()
		}
	}
	l.http.CloseIdleConnections()
	return nil
}
