package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/learner"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// The headers of the learner service.
const (
	headerLearnState  = "X-P2pfaas-Learning-State"
	headerLearnEID    = "X-P2pfaas-Learning-Eid"
	headerLearnAction = "X-P2pfaas-Learning-Action"
	headerLearnReward = "X-P2pfaas-Learning-Reward"
	headerLearnEps    = "X-P2pfaas-Eps"
)

const (
	learnerFile = "p2pfaas_learner.json"
	learnerName = "SarsaQTable"
	maxBatch    = 16 << 20 // bytes of a batch of entries
)

// LearnerService is v1's learner on the wire: routes on one port, actions by websocket on another. It is a Learner of its
// own node too.
type LearnerService struct {
	*LocalLearner            // its mutex guards what follows, too
	configuring   sync.Mutex // one change after the other; who holds it may read config
	config        learner.Config
	data          string
	stream        rand.PCG
	initial       *learner.Weights // nil: it begins with nothing learned
	frozen        bool
	metrics       *learnerMetrics
	streams       func(replication int) rand.PCG
	credentials   *Credentials
	faults        *Faults

	life context.Context
	die  context.CancelFunc
	open sync.WaitGroup // websockets
}

// LearnerServiceOptions are what a learner service is made of.
type LearnerServiceOptions struct {
	Config  learner.Config
	Data    string           // directory of the parameters that clients change; empty: they are not kept
	Stream  rand.PCG         // the learner's own
	Weights *learner.Weights // to begin with, also after a reset; nil: none
	Frozen  bool             // it does not learn
	Program string           // version of the program, which metrics tell
	// Credentials are asked of callers; nil: everybody may do everything.
	Credentials *Credentials
	Faults      *Faults // that may have it down; nil: nothing does
	// Streams are those of replications, which a reset may name; nil: it always draws from Stream.
	Streams func(replication int) rand.PCG
}

// OpenLearner starts a learner. Over its configuration the parameters are put that its directory holds from an earlier
// life.
func OpenLearner(o LearnerServiceOptions) (*LearnerService, error) {
	s := &LearnerService{data: o.Data, stream: o.Stream, initial: o.Weights, frozen: o.Frozen, config: o.Config, credentials: o.Credentials, faults: o.Faults}
	if s.config.Actions == 0 {
		s.config.Actions = 2 // v1's default
	}
	if s.data != "" {
		kept := struct {
			Parameters map[string]json.RawMessage `json:"learner_parameters"`
		}{}
		if err := readJSON(filepath.Join(s.data, learnerFile), &kept); err != nil {
			return nil, fmt.Errorf("reading the parameters of the learner: correct or delete the file: %w", err)
		}
		if err := setParameters(&s.config, kept.Parameters); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(s.data, learnerFile), err)
		}
	}
	l, err := s.fresh(s.config)
	if err == nil && o.Weights != nil {
		err = l.Load(o.Weights)
	}
	if err != nil {
		return nil, err
	}
	s.streams = o.Streams
	s.LocalLearner = NewLocalLearner(l)
	s.metrics = newLearnerMetrics(s, o.Program)
	s.life, s.die = context.WithCancel(context.Background())
	return s, nil
}

// fresh returns a learner that has learned nothing.
func (s *LearnerService) fresh(c learner.Config) (*learner.Learner, error) {
	l, err := learner.New(c, s.stream)
	if err == nil && s.frozen {
		l.Freeze()
	}
	return l, err
}

// Close ends the websockets, and returns when they have ended.
func (s *LearnerService) Close() {
	s.mu.Lock() // from now on none is added to those that are open
	s.die()
	s.mu.Unlock()
	s.open.Wait()
}

// Handler is the service on the port of HTTP (v1: 19020).
func (s *LearnerService) Handler() http.Handler { return s.routes() }

func (s *LearnerService) routes() *routes {
	r := newRoutes(s.credentials)
	r.engine.Use(func(*gin.Context) {
		if s.faults.learnerDown() {
			panic(http.ErrAbortHandler) // as if nobody listened
		}
	})
	r.handle(toCall, http.MethodGet, "/", func(c *gin.Context) { c.String(http.StatusOK, "This is p2pfaas-learner v0.0.1b.") })
	r.handle(toTrain, http.MethodGet, "/act", s.act)
	r.handle(toTrain, http.MethodGet, "/train", s.train)
	r.handle(toTrain, http.MethodPost, "/train_batch", s.trainBatch)
	r.handle(toWatch, http.MethodGet, "/learner/parameters", s.getParameters)
	r.handle(toConfigure, http.MethodPost, "/learner/parameters", s.postParameters)
	r.handle(toWatch, http.MethodGet, "/learner/stats", s.stats)
	r.handle(toWatch, http.MethodGet, "/learner/weights", s.weights)
	r.handle(toWatch, http.MethodGet, "/learner/file", s.file)
	r.handle(toReset, http.MethodGet, "/learner/reset", s.reset)
	r.handle(toWatch, http.MethodGet, "/metrics", getMetrics(s.metrics.registry))
	return r
}

// Act implements Learner.
func (s *LearnerService) Act(ctx context.Context, state []float64) (core.Action, error) {
	a, err := s.LocalLearner.Act(ctx, state)
	if err == nil {
		s.metrics.chose(a.Index)
	}
	return a, err
}

func (s *LearnerService) act(c *gin.Context) {
	state, err := wire.ParseState(c.GetHeader(headerLearnState))
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	a, err := s.Act(c.Request.Context(), state)
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Header(headerLearnEps, strconv.FormatFloat(a.Epsilon, 'g', -1, 64))
	c.String(http.StatusOK, strconv.Itoa(a.Index))
}

func (s *LearnerService) train(c *gin.Context) {
	e, err := parseEntry(c.GetHeader(headerLearnEID), c.GetHeader(headerLearnState), c.GetHeader(headerLearnAction),
		c.GetHeader(headerLearnReward))
	if err == nil {
		err = s.Train(c.Request.Context(), e)
	}
	if err != nil {
		slog.Warn("an entry is refused", "error", err)
		c.Status(http.StatusInternalServerError)
		return
	}
	c.String(http.StatusOK, "ok")
}

// loose is a number that may be written as a string.
type loose string

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose) UnmarshalJSON(text []byte) error {
	var s string
	if len(text) > 0 && text[0] == '"' {
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		*l = loose(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	*l = loose(n)
	return nil
}

func (s *LearnerService) trainBatch(c *gin.Context) {
	var batch []struct {
		EID    loose  `json:"eid"`
		State  string `json:"state"`
		Action loose  `json:"action"`
		Reward loose  `json:"reward"`
	}
	err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxBatch)).Decode(&batch)
	if err == nil && len(batch) == 0 {
		err = errors.New("it is empty")
	}
	entries := make([]learner.Entry, len(batch))
	for i := range batch {
		b := &batch[i]
		var wrong error
		if entries[i], wrong = parseEntry(string(b.EID), b.State, string(b.Action), string(b.Reward)); wrong != nil {
			err = errors.Join(err, fmt.Errorf("entry %d: %w", i, wrong))
		}
	}
	if err == nil {
		err = s.Train(c.Request.Context(), entries...)
	}
	if err != nil {
		slog.Warn("a batch of entries is refused", "error", err)
		c.String(http.StatusInternalServerError, "the batch is refused: %v", err)
		return
	}
	c.String(http.StatusOK, "ok")
}

// mostReward is the size of the largest reward that is taken: what is made of many has to be a number, too.
const mostReward = 1e100

func parseEntry(eid, state, action, reward string) (learner.Entry, error) {
	var e learner.Entry
	var err error
	if e.EID, err = strconv.ParseUint(strings.TrimSpace(eid), 10, 64); err != nil {
		return e, fmt.Errorf("the EID %.40q is no whole number from 0", eid)
	}
	if e.State, err = wire.ParseState(state); err != nil {
		return e, err
	}
	a, err := strconv.ParseFloat(strings.TrimSpace(action), 64)
	if err != nil || !(a >= 0 && a <= math.MaxInt32) {
		return e, fmt.Errorf("the action %.40q is no number from 0", action)
	}
	e.Action = int(a)
	if e.Reward, err = strconv.ParseFloat(strings.TrimSpace(reward), 64); err != nil || !(math.Abs(e.Reward) <= mostReward) {
		return e, fmt.Errorf("the reward %.40q is no number from %g to %g", reward, -mostReward, mostReward)
	}
	return e, nil
}

// parameters are v1's, flat.
func parameters(c *learner.Config) gin.H {
	eps := &c.Policy.Epsilon
	return gin.H{"actions_n": c.Actions, "alpha": c.Alpha, "beta": c.Beta, "window_size": c.Window,
		"epsilon_start": eps.Start, "epsilon_min": eps.Min, "epsilon_decay": eps.Decay,
		"epsilon_decay_enabled": eps.Kind != "constant", "entry_missing_max_attempts": c.Patience}
}

// setParameters puts flat parameters into c, and checks what has come out; names that are none are ignored, as in v1.
// Unlike there, "epsilon", which v1's own script sends, is epsilon_start.
func setParameters(c *learner.Config, p map[string]json.RawMessage) error {
	next := *c
	eps := &next.Policy.Epsilon
	enabled := eps.Kind != "constant"
	var problems []error
	for _, f := range []struct {
		name string
		to   any
	}{{"actions_n", &next.Actions}, {"alpha", &next.Alpha}, {"beta", &next.Beta}, {"window_size", &next.Window},
		{"epsilon", &eps.Start}, {"epsilon_start", &eps.Start}, {"epsilon_min", &eps.Min}, {"epsilon_decay", &eps.Decay},
		{"epsilon_decay_enabled", &enabled}, {"entry_missing_max_attempts", &next.Patience}} {
		if text, given := p[f.name]; given {
			if err := json.Unmarshal(text, f.to); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", f.name, err))
			}
		}
	}
	switch {
	case !enabled:
		eps.Kind = "constant"
	case eps.Kind == "constant":
		eps.Kind = "geometric"
	}
	if next.Actions != c.Actions {
		next.Names = nil
	}
	if err := errors.Join(append(problems, next.Check())...); err != nil {
		return err
	}
	*c = next
	return nil
}

func (s *LearnerService) getParameters(c *gin.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.JSON(http.StatusOK, gin.H{"name": learnerName, "parameters": parameters(&s.config)})
}

// postParameters changes the parameters at once. Another number of actions makes a new learner: what was learned of the
// old ones means nothing.
func (s *LearnerService) postParameters(c *gin.Context) {
	if c.ContentType() != wire.ContentTypeJSON {
		c.Status(http.StatusUnsupportedMediaType)
		return
	}
	var p map[string]json.RawMessage
	err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxConfiguration)).Decode(&p)
	if err == nil && p == nil {
		err = errors.New("null is no set of parameters")
	}
	if err == nil {
		err = s.change(p)
	}
	if err != nil {
		c.String(http.StatusInternalServerError, "the parameters are refused: %v", err)
		return
	}
	c.Status(http.StatusOK)
}

func (s *LearnerService) change(p map[string]json.RawMessage) error {
	s.configuring.Lock() // the disk may take its time: nobody else waits for it
	defer s.configuring.Unlock()
	next := s.config
	if err := setParameters(&next, p); err != nil {
		return err
	}
	if s.data != "" {
		kept := gin.H{"learner_name": learnerName, "learner_parameters": parameters(&next)}
		if err := writeJSON(filepath.Join(s.data, learnerFile), kept); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if next.Actions == s.config.Actions {
		if err := s.learner.Configure(next); err != nil {
			return err
		}
	} else {
		l, err := s.fresh(next)
		if err != nil {
			return err
		}
		s.learner = l
	}
	s.config = next
	return nil
}

// file is what has been learned, as a file of weights that learners begin with (beyond v1).
func (s *LearnerService) file(c *gin.Context) {
	s.mu.Lock()
	w := s.learner.Weights()
	s.mu.Unlock()
	c.Header("Content-Type", wire.ContentTypeJSON)
	if err := w.Write(c.Writer); err != nil {
		slog.Warn("weights were not written to the end", "error", err)
	}
}

func (s *LearnerService) stats(c *gin.Context) {
	s.mu.Lock()
	st := s.learner.Stats()
	s.mu.Unlock()
	c.JSON(http.StatusOK, gin.H{"inferences": st.Decisions, "trained_items": st.Trained, "epsilon": st.Epsilon,
		"episodes": st.Runs, "pending_entries": st.Pending, "eid_max_seen": st.Entries.Highest,
		"eid_last_trained": st.LastTrained, "average_reward": st.AverageReward, "entries": st.Entries})
}

// weights are v1's: a row of values for each state that was seen.
func (s *LearnerService) weights(c *gin.Context) {
	s.mu.Lock()
	w := s.learner.Weights()
	s.mu.Unlock()
	actions, states := map[string]int{}, map[string]int{}
	for a := range w.Config.Actions {
		actions[strconv.Itoa(a)] = a
	}
	for i, state := range w.States {
		states[numbers(state)] = i
	}
	for i, key := range w.Keys {
		states[key] = i
	}
	table := w.Values
	if table == nil {
		table = [][]float64{}
	}
	c.JSON(http.StatusOK, gin.H{"actions_map": actions, "states_map": states, "table": table})
}

// reset has the learner begin anew, as it did at first.
func (s *LearnerService) reset(c *gin.Context) {
	if err := s.draw(c.Query("replication")); err != nil {
		c.String(http.StatusBadRequest, "%v", err)
		return
	}

	s.mu.Lock()
	s.learner.Reset()
	var err error
	if s.initial != nil {
		err = s.learner.Load(s.initial)
	}
	s.mu.Unlock()
	if err != nil { // clients have changed its shape
		c.String(http.StatusInternalServerError, "the learner has forgotten all, and does not begin with the weights that it was started with: %v", err)
		return
	}
	c.Status(http.StatusOK)
}

// draw says which replication's random numbers the learner draws from its next reset on (beyond v1); empty: those that it began with.
func (s *LearnerService) draw(replication string) error {
	stream := s.stream
	if replication != "" && s.streams != nil {
		n, err := strconv.ParseUint(replication, 10, 31)
		if err != nil {
			return fmt.Errorf("the replication %.40q is no whole number from 0", replication)
		}
		stream = s.streams(int(n))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.learner.Draw(stream)
	return nil
}

// Websocket is the service on the port of websockets (v1: 8765): a state as a JSON array in, "action,epsilon" out.
func (s *LearnerService) Websocket() http.Handler { return s.websocketRoutes() }

func (s *LearnerService) websocketRoutes() *routes {
	r := newRoutes(s.credentials)
	r.handle(toTrain, http.MethodGet, "/*path", s.converse) // v1 serves every path
	return r
}

// converse answers the questions that come by a websocket, until it ends.
func (s *LearnerService) converse(g *gin.Context) {
	c, err := websocket.Accept(g.Writer, g.Request, nil)
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow()
	s.mu.Lock()
	if s.life.Err() != nil {
		s.mu.Unlock()
		return
	}
	s.open.Add(1)
	s.mu.Unlock()
	defer s.open.Done()
	c.SetReadLimit(maxConfiguration)
	for {
		if err := s.answer(c); err != nil {
			if websocket.CloseStatus(err) == -1 && s.life.Err() == nil && !errors.Is(err, io.EOF) {
				slog.Warn("a connection to the learner ends", "peer", g.Request.RemoteAddr, "error", err)
				_ = c.Close(websocket.StatusUnsupportedData, "a state is a JSON array of numbers")
			}
			return
		}
	}
}

// answer answers one question.
func (s *LearnerService) answer(c *websocket.Conn) error {
	_, question, err := c.Read(s.life)
	if err == nil && s.faults.learnerDown() {
		err = errLearnerDown
	}
	if err != nil {
		return err
	}
	var state []float64
	if err := json.Unmarshal(question, &state); err != nil {
		return fmt.Errorf("the state %.80q: %w", question, err)
	}
	a, err := s.Act(s.life, state)
	if err != nil {
		return err
	}
	return c.Write(s.life, websocket.MessageText, fmt.Appendf(nil, "%.5f,%.5f", float64(a.Index), a.Epsilon))
}
