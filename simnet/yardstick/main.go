// Command yardstick measures the simulator against a bare loop that simulates the same model with nothing around it:
// a calendar queue, typed events, a policy behind an interface, means only. It runs the two in turn and prints the
// ratio of the medians of their jobs per second, since these machines are shared and their speed drifts.
//
//	go run ./simnet/yardstick -jobs 5000000 -pgo cmd/p2pfaas/default.pgo
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

func main() {
	jobs := flag.Int("jobs", 5_000_000, "requests per run")
	rounds := flag.Int("rounds", 5, "runs of each, in turn")
	pgo := flag.String("pgo", "off", "profile to build the engine with, as the binary is")
	flag.Parse()
	if err := compare(*jobs, *rounds, *pgo); err != nil {
		fmt.Fprintln(os.Stderr, "yardstick:", err)
		os.Exit(1)
	}
}

func compare(jobs, rounds int, pgo string) error {
	dir, err := os.MkdirTemp("", "yardstick")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if pgo != "off" {
		if pgo, err = filepath.Abs(pgo); err != nil {
			return err
		}
	}
	engine := filepath.Join(dir, "engine.test")
	build := exec.Command("go", "test", "-c", "-pgo", pgo, "-o", engine, "./simnet")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the benchmark: %w", err)
	}
	fmt.Printf("%8s  %14s  %14s  %6s  %s\n", "nodes", "bare jobs/s", "engine jobs/s", "ratio", "allocations per event")
	for _, n := range []int{100, 10_000, 100_000} {
		var b, e, a []float64
		for range rounds {
			began := time.Now()
			bare(n, jobs)
			b = append(b, float64(jobs)/time.Since(began).Seconds())
			speed, allocs, err := run(engine, n, jobs)
			if err != nil {
				return err
			}
			e, a = append(e, speed), append(a, allocs)
		}
		fmt.Printf("%8d  %14.0f  %14.0f  %6.2f  %.4f\n", n, median(b), median(e), median(e)/median(b), median(a))
	}
	return nil
}

var (
	jobsPerSecond = regexp.MustCompile(`([\d.e+]+) jobs/s`)
	allocations   = regexp.MustCompile(`([\d.e+-]+) allocs/event`)
)

// run runs the engine's benchmark once.
func run(engine string, nodes, jobs int) (speed, allocs float64, err error) {
	out, err := exec.Command(engine, "-test.run", "^$", "-test.bench", fmt.Sprintf("^BenchmarkEngine$/^nodes=%d$", nodes),
		"-test.benchtime", strconv.Itoa(jobs)+"x").CombinedOutput()
	s, a := jobsPerSecond.FindSubmatch(out), allocations.FindSubmatch(out)
	if err != nil || s == nil || a == nil {
		return 0, 0, fmt.Errorf("the benchmark failed: %w\n%s", err, out)
	}
	if speed, err = strconv.ParseFloat(string(s[1]), 64); err != nil {
		return 0, 0, err
	}
	allocs, err = strconv.ParseFloat(string(a[1]), 64)
	return speed, allocs, err
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
