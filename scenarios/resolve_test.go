package scenarios

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/p2pfaas/p2pfaas/core"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/learner"
)

func TestDistributions(t *testing.T) {
	files := fstest.MapFS{"v.csv": {Data: []byte("ms\n100\n300\n")}}
	for text, want := range map[string][2]float64{ // mean and scv
		"250ms": {0.25, 0},
		"{distribution: deterministic, mean: 2s}":                                                 {2, 0},
		"{distribution: exponential, mean: 300ms}":                                                {0.3, 1},
		"{distribution: shifted-exponential, mean: 3s, shift: 1s}":                                {3, 4.0 / 9},
		"{distribution: erlang, mean: 3s, phases: 4}":                                             {3, 0.25},
		"{distribution: hyperexponential, mean: 1s, scv: 4}":                                      {1, 4},
		"{distribution: hyperexponential, probabilities: [0.25, 75%], means: [4s, 1s]}":           {1.75, 9.5/1.75/1.75 - 1},
		"{distribution: lognormal, mean: 1s, scv: 0.5}":                                           {1, 0.5},
		"{distribution: gamma, mean: 1s, shape: 0.5}":                                             {1, 2},
		"{distribution: weibull, mean: 1s, shape: 1}":                                             {1, 1},
		"{distribution: pareto, shape: 1, min: 1s, max: 10s}":                                     {2.55842788, 0.52775475},
		"{distribution: uniform, min: 0s, max: 2s}":                                               {1, 1.0 / 3},
		"{distribution: empirical, values: [1s, 3s]}":                                             {2, 0.25},
		"{distribution: empirical, values: [1s, 3s], weights: [3, 1]}":                            {1.5, 1.0 / 3},
		"{distribution: empirical, file: {path: v.csv, header: true}, unit: ms}":                  {0.2, 0.25},
		"{distribution: empirical, file: {path: v.csv, header: true, column: ms}, unit: s}":       {200, 0.25},
		"{distribution: empirical, file: {path: v.csv, header: true, column: 1, sha256: DIGEST}}": {200, 0.25},
	} {
		text = strings.Replace(text, ", sha256: DIGEST", "", 1)
		f, err := Parse("test.yaml", []byte(strings.Replace(plain, "service: 2s", "service: "+text, 1)), files)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		d := pointsOf(t, f)[0].Scenario.Functions[1].Service
		if math.Abs(d.Mean()-want[0]) > 1e-8*want[0] || math.Abs(random.SCV(d)-want[1]) > 1e-8 {
			t.Errorf("%s has mean %v and scv %v, want %v", text, d.Mean(), random.SCV(d), want)
		}
	}
}

func TestGroupsInheritFromTheCluster(t *testing.T) {
	f := parse(t, `duration: 100s
cluster:
  slots: 4
  queue: unlimited
  speed: 2
  discipline: lifo
  abandon: true
  service_mode: processor-sharing
  cores: 2
  power: {idle: 2.5W, busy: 1W, sent: 10nJ/B}
  groups:
    - {name: a, nodes: 2}
    - {name: b, nodes: 3, slots: unlimited, queue: 0, speed: 0.5, discipline: deadline, abandon: false,
       service_mode: slots, power: {busy: 3W}}
    - {name: c, nodes: 1, cores: 3, service_mode: processor-sharing}
    - {name: d, nodes: 1, service_mode: preemptive-priority, discipline: priority}
  cloud: {speed: 4, link: {latency: 40ms, jitter: {distribution: exponential, mean: 1ms}, bandwidth: 1Gbit/s, loss: 1%}}
functions:
  - {name: f, service: 1s, payload: 2kB, reply: 1kB, priority: 2, share: 25%, replicas: same,
     deadline: {distribution: exponential, mean: 3s}, cold_start: {time: 500ms, keep_alive: 10min}}
  - {name: g, service: 1s, share: 0.75}
workload: {arrivals: deterministic, phase: aligned, rate: {total: 14/s}}
client: {link: {latency: 3ms}}
precision: {metric: latency.mean, relative: 5%, confidence: 99%, max_replications: 50}
scheduler: {name: CloudOffload, probe_timeout: 1s, answer_timeout: 1min, at_hop_limit: lose,
  on_failure: fail, on_refusal: next, max_hops: 3}
`)
	s := pointsOf(t, f)[0].Scenario
	power := Power{IdleWatts: 2.5, BusyWatts: 1, JoulesPerByte: 10e-9}
	want := []Group{
		{Name: "a", Nodes: 2, Slots: 4, Queue: Unlimited, Speed: 2, Discipline: core.LIFO, Service: ProcessorSharing,
			Cores:   2,
			Abandon: true, Power: power},
		{Name: "b", Nodes: 3, Slots: Unlimited, Queue: 0, Speed: 0.5, Discipline: core.EarliestDeadline,
			Power: Power{BusyWatts: 3}},
		{Name: "c", Nodes: 1, Slots: 4, Queue: Unlimited, Speed: 2, Discipline: core.LIFO, Service: ProcessorSharing,
			Cores:   3,
			Abandon: true, Power: power},
		{Name: "d", Nodes: 1, Slots: 4, Queue: Unlimited, Speed: 2, Discipline: core.ByPriority,
			Service: PreemptivePriority, Cores: 2,
			Abandon: true, Power: power},
	}
	if !slices.Equal(s.Cluster.Groups, want) {
		t.Errorf("groups are\n%+v, want\n%+v", s.Cluster.Groups, want)
	}
	if c := s.Cluster.Cloud; c.Slots != Unlimited || c.Speed != 4 || c.Link.Latency.Mean() != 0.04 ||
		c.Link.Jitter.Mean() != 0.001 ||
		c.Link.Bandwidth != 125e6 || c.Link.Loss != 0.01 {
		t.Errorf("the cloud is %+v", c)
	}
	fn := s.Functions[0]
	if fn.Payload != 2000 || fn.Reply != 1000 || fn.Priority != 2 || fn.Share != 0.25 || fn.Replicas != ReplicasSame ||
		fn.DeadlineDist.Mean() != 3 || fn.ColdStart.KeepAlive != 10*time.Minute || fn.ColdStart.Time.Mean() != 0.5 {
		t.Errorf("the function is %+v", fn)
	}
	if w := s.Workload; w.Process != Deterministic || !w.Aligned || w.Rate != 2 {
		t.Errorf("the workload is %+v", w)
	}
	if *s.Precision != (Precision{"latency.mean", 0.05, 0.99, 50}) || s.Client.Link.Latency.Mean() != 0.003 {
		t.Errorf("precision %+v, client %+v", s.Precision, s.Client)
	}
	if got, want := s.Scheduler.Forwarding, (core.Forwarding{MaxHops: 3, AtLimit: core.LimitLose,
		OnRefusal: core.FallbackNext, OnFailure: core.FallbackFail,
		ProbeTimeout: time.Second, AnswerTimeout: time.Minute}); got != want {
		t.Errorf("forwarding is %+v, want %+v", got, want)
	}
}

func TestLinksFromFiles(t *testing.T) {
	files := fstest.MapFS{"m.csv": {Data: []byte("0 1.5 2 3\n1 0 2 3\n1 2 0 3\n1 2 3 0\n")},
		"xy.csv": {Data: []byte("0,0\n3,4\n-1,2.5\n7,7\n")}}
	resolve := func(links string) Links {
		f, err := Parse("test.yaml", []byte(strings.Replace(plain, "{nodes: 4}", "{nodes: 4, links: "+links+"}", 1)), files)
		if err != nil {
			t.Fatal(err)
		}
		return pointsOf(t, f)[0].Scenario.Cluster.Links
	}
	l := resolve("{latency_matrix: {file: {path: m.csv, separator: space}}, jitter: 1ms}")
	if l.Latency[0][1] != 1500*time.Microsecond ||
		l.Latency[3][2] != 3*time.Millisecond || l.Default.Jitter.Mean() != 0.001 {
		t.Errorf("the links are %+v", l)
	}
	l = resolve("{coordinates: {file: xy.csv, per_km: 10us}}")
	if l.Position[1] != [2]float64{3, 4} || l.Position[2][0] != -1 ||
		l.PerKm != 10*time.Microsecond {
		t.Errorf("the links are %+v", l)
	}
}

func TestV1Parameters(t *testing.T) {
	f := parse(t, strings.Replace(plain, "{name: NoScheduler}",
		`{name: PowerOfNScheduler, parameters: ["2", "3", "true", "1"]}`, 1))
	s := pointsOf(t, f)[0].Scenario.Scheduler
	if got := s.Spec.FullName(s.Forwarding.MaxHops); got != "PowerOfNScheduler(2, 3, true, 1)" {
		t.Errorf("the scheduler is %s", got)
	}
	f = parse(t, strings.Replace(plain, "{name: NoScheduler}", `{name: PowerOfNSchedulerTau, tau: 1min}`, 1))
	if got := pointsOf(t, f)[0].Scenario.Scheduler.Spec.String(); !strings.Contains(got, "tau=1m0s") {
		t.Errorf("the scheduler is %s", got)
	}
	if !strings.Contains(string(f.Resolved()), "tau: 60s\n") {
		t.Errorf("resolved to\n%s", f.Resolved())
	}
}

// What explores by itself takes the best of its values, and a resolved file, with its defaults, says that again.
func TestAlgorithmsThatExploreByThemselves(t *testing.T) {
	f := parse(t, strings.Replace(plain, "{name: NoScheduler}", `{name: LearningScheduler}`, 1)+
		"learner: {}\nsweep:\n  learner.algorithm: [sarsa, ucb1, linucb, thompson, sample-average]\n")
	for _, points := range [][]Point{pointsOf(t, f), pointsOf(t, parse(t, string(f.Resolved())))} {
		for i := range points {
			c := &points[i].Scenario.Learner.Config
			want := learner.Default().Policy
			if c.Algorithm != "sarsa" && c.Algorithm != "sample-average" {
				want.Epsilon = learner.Schedule{Kind: "constant"}
			}
			if c.Policy != want {
				t.Errorf("%s: %+v", c.Algorithm, c.Policy)
			}
		}
	}
}

func TestLoadFindsTheLibrary(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"mm1k", "mm1k.yaml", "scenarios/mm1k.yaml", "./scenarios/mm1k"} {
		if f, err := Load(path); err != nil || f.Name() != "mm1k" {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
	if _, err := Load("elsewhere/mm1k.yaml"); err == nil {
		t.Error("a file that does not exist is found in the library")
	}
	if _, err := Load("mm2k.yaml"); err == nil || !strings.Contains(err.Error(), "the library has bench-power-of-two, ") {
		t.Errorf("Load(mm2k.yaml): %v", err)
	}
}
