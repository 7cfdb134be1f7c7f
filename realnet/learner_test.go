package realnet

//lint:file-ignore SA1019 the library keeps this path for its users; the code is that of github.com/coder/websocket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nhooyr.io/websocket"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/sched"
	"github.com/p2pfaas/p2pfaas/learner"
)

// serve is a learner that answers each state with what reply makes of it; an empty answer drops the connection,
// "silence" gives none, and "binary" one that is not text.
func serve(t *testing.T, reply func(state []float64) string) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			_, m, err := c.Read(r.Context())
			if err != nil {
				return
			}
			var state []float64
			if err := json.Unmarshal(m, &state); err != nil {
				t.Errorf("the message %q is no list of numbers", m)
				return
			}
			switch answer := reply(state); answer {
			case "":
				return
			case "silence":
				_, _, _ = c.Read(r.Context()) // until the client goes
				return
			case "binary":
				if c.Write(r.Context(), websocket.MessageBinary, []byte(answer)) != nil {
					return
				}
			default:
				if c.Write(r.Context(), websocket.MessageText, []byte(answer)) != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func dial(t *testing.T, o LearnerOptions) *RemoteLearner {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = time.Minute // a busy machine answers, too
	}
	l, err := DialLearner(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Many ask at once over few connections, and each gets its own answer.
func TestRemoteLearnerPool(t *testing.T) {
	var asking, most atomic.Int32
	pass := rendezvous(3) // as many ask at once as may
	l := dial(t, LearnerOptions{Connections: 3, Act: serve(t, func(s []float64) string {
		n := asking.Add(1)
		for {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		pass()
		asking.Add(-1)
		return fmt.Sprintf("%.5f,0.25000", s[0])
	})})
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			a, err := l.Act(context.Background(), []float64{float64(i), 0.5})
			if want := (core.Action{Index: i, Epsilon: 0.25}); err != nil || a != want {
				t.Errorf("%d: %+v, %v", i, a, err)
			}
		})
	}
	all.Wait()
	if most.Load() != 3 {
		t.Errorf("%d were asking at once, over 3 connections", most.Load())
	}
}

// A connection that was dropped, new or not, is opened again, once for each question.
func TestRemoteLearnerReconnects(t *testing.T) {
	var asked atomic.Int32
	l := dial(t, LearnerOptions{Connections: 2, Act: serve(t, func([]float64) string {
		if asked.Add(1)%2 == 0 {
			return ""
		}
		return "1.00000,0.00000"
	})})
	for i := range 5 {
		if a, err := l.Act(context.Background(), nil); err != nil || a.Index != 1 {
			t.Errorf("question %d: %+v, %v", i, a, err)
		}
	}
	asked.Store(0)
	url := serve(t, func([]float64) string { asked.Add(1); return "" })
	a, err := dial(t, LearnerOptions{Act: url}).Act(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), url) || asked.Load() != 2 {
		t.Errorf("dropped %d times: %+v, %v", asked.Load(), a, err)
	}
}

// What is no action is an error that quotes it, and never action 0.
func TestRemoteLearnerNonsense(t *testing.T) {
	for _, answer := range []string{"x", "1", "1.5,0.1", "-1,0.1", "1,2", "1,NaN", "NaN,0", "1e30,0", ",", `{"action":1}`, "binary",
		strings.Repeat("1", 5000)} {
		l := dial(t, LearnerOptions{Act: serve(t, func([]float64) string { return answer })})
		if a, err := l.Act(context.Background(), []float64{1}); err == nil {
			t.Errorf("%.30q is taken for %+v", answer, a)
		} else if len(answer) < 100 && !strings.Contains(err.Error(), fmt.Sprintf("%.60q", answer)) {
			t.Errorf("%q: the error does not quote it: %v", answer, err)
		}
	}
}

// A learner that is down, is something else, or is silent, costs one bounded wait and an error that says which it is.
func TestRemoteLearnerDown(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for url, what := range map[string]string{"ws://127.0.0.1:1": "refused", "ws" + strings.TrimPrefix(other.URL, "http"): "404"} {
		_, err := DialLearner(context.Background(), LearnerOptions{Act: url})
		if err == nil || !strings.Contains(err.Error(), url) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s at %s: %v", what, url, err)
		}
	}
	l := NewRemoteLearner(LearnerOptions{Timeout: 50 * time.Millisecond, Act: serve(t, func([]float64) string { return "silence" })})
	t.Cleanup(func() { _ = l.Close() })
	began := time.Now()
	a, err := l.Act(context.Background(), []float64{1})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nothing came within 50ms") {
		t.Errorf("silence: %+v, %v", a, err)
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
}

// An answer that comes too late is not taken for that of the next question.
func TestRemoteLearnerLate(t *testing.T) {
	late := make(chan bool)
	l := dial(t, LearnerOptions{Connections: 1, Act: serve(t, func(s []float64) string {
		if s[0] == 1 {
			<-late
		}
		return fmt.Sprintf("%.5f,0.00000", s[0])
	})})
	impatient, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if a, err := l.Act(impatient, []float64{1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in time: %+v, %v", a, err)
	}
	close(late)
	if a, err := l.Act(context.Background(), []float64{2}); err != nil || a.Index != 2 {
		t.Errorf("the next answer: %+v, %v", a, err)
	}
}

// Close ends what is under way, may come twice, and leaves no goroutine behind; what is asked or told later fails at once.
func TestRemoteLearnerClose(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("use", func(t *testing.T) {
		train := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}))
		t.Cleanup(train.Close)
		asked := make(chan bool, 9)
		l := dial(t, LearnerOptions{Connections: 3, Timeout: time.Minute, Train: train.URL,
			Act: serve(t, func([]float64) string { asked <- true; return "silence" })})
		var all sync.WaitGroup
		for range 6 { // three of them wait for a connection
			all.Go(func() {
				if _, err := l.Act(context.Background(), nil); !errors.Is(err, errLearnerClosed) {
					t.Errorf("a question under way: %v", err)
				}
			})
		}
		all.Go(func() {
			if err := l.Train(context.Background(), learner.Entry{}); !errors.Is(err, errLearnerClosed) {
				t.Errorf("an entry under way: %v", err)
			}
		})
		for range 3 {
			<-asked
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Error(err)
		}
		all.Wait()
		if a, err := l.Act(context.Background(), nil); !errors.Is(err, errLearnerClosed) {
			t.Errorf("asked afterwards: %+v, %v", a, err)
		}
		if err := l.Train(context.Background(), learner.Entry{}); !errors.Is(err, errLearnerClosed) {
			t.Errorf("told afterwards: %v", err)
		}
	})
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("there were %d goroutines, and are %d:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// Entries are spelled as v1 takes them; a refusal is an error that quotes what was answered.
func TestRemoteLearnerTrain(t *testing.T) {
	var got string
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		_, _ = bufio.NewReader(r.Body).WriteTo(&b)
		got = r.Method + " " + r.URL.Path + " " + b.String()
		w.WriteHeader(status)
		fmt.Fprint(w, "what?")
	}))
	defer s.Close()
	l := dial(t, LearnerOptions{Act: serve(t, func([]float64) string { return "0,0" }), Train: s.URL + "/"})
	entry := learner.Entry{EID: 7, State: []float64{0, 0.5, 3}, Action: 2, Reward: -1}
	if err := l.Train(context.Background(), entry); err != nil {
		t.Fatal(err)
	}
	if want := `POST /train_batch [{"eid":7,"state":"0,0.5,3","action":2,"reward":-1}]`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	status = http.StatusInternalServerError
	if err := l.Train(context.Background(), entry); err == nil || !strings.Contains(err.Error(), "what?") {
		t.Errorf("refused: %v", err)
	}
	got = ""
	if err := l.Train(context.Background(), entry, learner.Entry{EID: 8, Reward: math.NaN()}); err == nil ||
		!strings.Contains(err.Error(), "entry 8") || got != "" {
		t.Errorf("a reward that is no number: %v, sent %q", err, got)
	}
	if a, err := l.Act(context.Background(), []float64{math.Inf(1)}); err == nil {
		t.Errorf("a state that is no number: %+v", a)
	}
	if err := dial(t, LearnerOptions{Act: serve(t, nil)}).Train(context.Background(), entry); err != nil {
		t.Errorf("nobody is to be told: %v", err)
	}
	s.Close()
	if err := l.Train(context.Background(), entry); err == nil || !strings.Contains(err.Error(), s.URL) {
		t.Errorf("gone: %v", err)
	}
}

// python starts the example, and returns where it is.
func python(t *testing.T, seed int) (act, train string) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 on this machine")
	}
	c := exec.Command(path, "../docs/external-learner/learner.py", "--port", "0", "--train-port", "0", "--actions", "2",
		"--seed", fmt.Sprint(seed))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	if _, err := fmt.Fscan(out, &act, &train); err != nil {
		t.Fatalf("the learner does not say where it is: %v", err)
	}
	return act, train
}

// The example learns which of two actions pays, and does the same again with the same seed.
func TestPythonLearner(t *testing.T) {
	play := func(seed int) (actions []int) {
		act, train := python(t, seed)
		l := dial(t, LearnerOptions{Act: act, Train: train, Connections: 2})
		var late []learner.Entry
		for i := range 2000 {
			s := []float64{float64(i % 2), 1}
			a, err := l.Act(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			actions = append(actions, a.Index)
			if i%40 == 7 {
				continue // lost
			}
			e := learner.Entry{EID: uint64(i), State: s, Action: a.Index}
			if a.Index == 1-i%2 {
				e.Reward = 1
			}
			if late = append(late, e); len(late) == 8 { // in batches, the last first
				late[0], late[7] = late[7], late[0]
				if err := l.Train(context.Background(), late...); err != nil {
					t.Fatal(err)
				}
				late = late[:0]
			}
		}
		if err := l.Train(context.Background(), learner.Entry{EID: 1, State: []float64{1}, Action: 1}); err != nil {
			t.Errorf("an old entry: %v", err)
		}
		return actions
	}
	first := play(1)
	right := 0
	for i, a := range first[1600:] {
		if a == 1-i%2 {
			right++
		}
	}
	if right < 300 {
		t.Errorf("of the last 400 decisions, %d are right", right)
	}
	if again := play(1); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Error("a second run with the same seed decides otherwise")
	}
	if other := play(2); fmt.Sprint(other) == fmt.Sprint(first) {
		t.Error("another seed decides alike")
	}
}

// The example says what it does not understand, and goes on.
func TestPythonLearnerRefuses(t *testing.T) {
	act, train := python(t, 1)
	l := dial(t, LearnerOptions{Act: act, Train: train})
	for _, action := range []int{-1, 2} {
		err := l.Train(context.Background(), learner.Entry{State: []float64{1}, Action: action})
		if want := fmt.Sprintf("action %d is none of 2", action); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an error of %q, want %s", err, want)
		}
	}
	for _, m := range []struct {
		kind websocket.MessageType
		text string
		want string
	}{
		{websocket.MessageText, "hello", "Expecting value"},
		{websocket.MessageText, "[NaN]", "nan is no finite number"},
		{websocket.MessageBinary, "[1]", "messages are text"},
		{websocket.MessageText, "[" + strings.Repeat(" ", 1<<20) + "]", "too long"},
	} {
		c, _, err := websocket.Dial(context.Background(), act, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(context.Background(), m.kind, []byte(m.text)); err != nil && len(m.text) < 100 {
			t.Error(err)
		}
		if _, answer, err := c.Read(context.Background()); err == nil || len(m.text) < 100 && !strings.Contains(err.Error(), m.want) {
			t.Errorf("%.20q is answered %q, %v, want %s", m.text, answer, err, m.want)
		}
		_ = c.CloseNow()
	}
	if a, err := l.Act(context.Background(), []float64{1, 0.5}); err != nil || a.Epsilon != 0.9 {
		t.Errorf("afterwards: %+v, %v", a, err)
	}
}

// A node on the wall clock learns as one in a simulation: it stops sending tasks where they are late. What it decided
// replays without the learner, whose answers are inputs.
func TestMailboxLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Descriptor{Name: "LearningScheduler", Named: map[string]any{"state": []string{"type"}, "actions": []string{"reject", "local"}}}
		spec, err := sched.Parse(d.Name, d.Named)
		if err != nil {
			t.Fatal(err)
		}
		c := learner.Default()
		c.Algorithm, c.Actions, c.Dims, c.Window = "sample-average", 2, []learner.Dim{{Name: "type"}}, 1
		c.Policy.Epsilon = learner.Schedule{Kind: "linear", Start: 1, Min: 0, Decay: 100}
		own, err := learner.New(c, *rand.NewPCG(1, 1))
		if err != nil {
			t.Fatal(err)
		}
		l := NewLocalLearner(own)
		log, err := OpenRecorder(RecorderOptions{Dir: t.TempDir(), Machines: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		network := NewMemory(func(_, _ core.NodeID) time.Duration { return 0 })
		defer network.Close()
		var completed, lessons int
		var open sync.WaitGroup
		m := OpenMailbox(MailboxOptions{Config: core.Config{Slots: 2, Room: 9, Speed: 1}, Topology: &core.Topology{Nodes: 1, Cloud: core.NoNode},
			Scheduler: spec.New(), Name: d.String(), Record: log, Learner: l, Transport: network,
			Done: func(_ core.Time, task *core.Task, o core.Outcome) {
				defer open.Done()
				x := task.Lesson()
				if x == nil || x.EID != uint64(lessons) {
					t.Errorf("task %d has the lesson %+v, want number %d", task.ID, x, lessons)
					return
				}
				lessons++
				e := learner.Entry{EID: x.EID, State: x.State, Action: x.Action.Index}
				if o == core.Completed {
					e.Reward = 1
					if task.ID >= 200 {
						completed++
					}
				}
				if err := l.Train(context.Background(), e); err != nil {
					t.Error(err)
				}
			}})
		for i := range 300 {
			open.Add(1)
			m.Post(core.Input{Kind: core.InputSubmit, Task: &core.TaskValue{ID: core.TaskID(i), Demand: time.Millisecond, Deadline: core.Never}})
			time.Sleep(3 * time.Millisecond)
		}
		open.Wait()
		m.Close()
		if s := l.Stats(); completed < 99 || s.Decisions != 300 || s.Trained < 299 {
			t.Errorf("%d of the last 100 were executed; %+v", completed, s)
		}
		if r := replayWhole(t, log.path); r.Verdicts != 300 {
			t.Errorf("%d decisions are replayed", r.Verdicts)
		}
	})
}
