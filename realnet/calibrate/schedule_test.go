package calibrate

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

const compared = `
name: compared
duration: 60s
seed: 7
cluster: {nodes: 3, slots: 4, queue: 4}
functions: [{name: work, service: {distribution: exponential, mean: 40ms}, payload: 1kB}]
workload: {rate: 10/s}
scheduler: {name: NoScheduler}
`

// drawn are the tasks of a calibration's experiments for a scenario, as they are drawn.
func drawn(t *testing.T, text string) (tasks []scenarios.Arrival, s *scenarios.Scenario) {
	t.Helper()
	s = scenariotest.One(t, text)
	m, err := newMeasurement(Options{Scenario: s, Seed: 9001, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	work := m.functions[0]
	for _, demand := range []time.Duration{work.short, work.long} {
		p := m.spaced(500, work.gap, func(a *scenarios.Arrival, r *rand.Rand) { *a = m.anywhere(work, demand, r, a.At) })
		tasks = append(tasks, p.tasks...)
	}
	return tasks, s
}

// What a calibration sends has nothing of the run that it serves to predict: it is the same whatever that run's seed, load,
// algorithm and length, and none of its requests is one of that run's.
func TestACalibrationKnowsNothingOfTheRun(t *testing.T) {
	want, s := drawn(t, compared)
	for _, change := range [][2]string{{"seed: 7", "seed: 8"}, {"rate: 10/s", "rate: 90/s"}, {"{name: NoScheduler}", "{name: JSQ, d: 2}"},
		{"duration: 60s", "duration: 5s"}, {"slots: 4, queue: 4", "slots: 1, queue: 0"}} {
		text := strings.Replace(compared, change[0], change[1], 1)
		if text == compared {
			t.Fatalf("%q is not there", change[0])
		}
		if got, _ := drawn(t, text); !slices.Equal(got, want) {
			t.Errorf("with %s the experiments have other requests", change[1])
		}
	}
	type when struct {
		at     int64
		demand time.Duration
	}
	sent := map[when]bool{}
	for _, a := range want {
		sent[when{int64(a.At), a.Demand}] = true
	}
	requests, arrivals := 0, s.Arrivals(0)
	for a := (scenarios.Arrival{}); arrivals.Next(&a); requests++ {
		if sent[when{int64(a.At), a.Demand}] {
			t.Errorf("the request %+v is among those of the calibration", a)
		}
	}
	if requests < 1000 || len(want) != 1000 {
		t.Errorf("%d requests, and %d of the calibration", requests, len(want))
	}
}
