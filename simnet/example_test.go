package simnet_test

import (
	"fmt"
	"log"
	"testing/fstest"

	"github.com/p2pfaas/p2pfaas/scenarios"
	"github.com/p2pfaas/p2pfaas/simnet"
)

// An M/M/1 queue: the mean time in the system is 1/(1-0.5) = 2 s.
func Example() {
	file, err := scenarios.Parse("mm1.yaml", []byte(`
name: mm1
duration: 200000s
warmup: 1000s
cluster: {nodes: 1, slots: 1, queue: 1000}
functions: [{name: f, service: {distribution: exponential, mean: 1s}}]
workload: {arrivals: poisson, rate: 0.5/s}
scheduler: {name: NoScheduler}
`), fstest.MapFS{})
	if err != nil {
		log.Fatal(err)
	}
	points, err := file.Points()
	if err != nil {
		log.Fatal(err)
	}
	world, err := simnet.New(points[0].Scenario, 0, simnet.Options{})
	if err != nil {
		log.Fatal(err)
	}
	replication, err := world.Run(func() bool { return false })
	if err != nil {
		log.Fatal(err)
	}
	latency, _ := replication.Metric("latency.mean")
	fmt.Printf("%.1f s\n", latency)
	// Output: 2.0 s
}
