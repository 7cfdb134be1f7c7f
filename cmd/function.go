package cmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/cmd/function"
	"github.com/p2pfaas/p2pfaas/core/random"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/precise"
	"github.com/p2pfaas/p2pfaas/realnet/wire"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

func newFunction() *cobra.Command {
	c := &cobra.Command{Use: "function", Short: "serve one of the sample functions, or change which functions running nodes have", Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newTimedFunction("sleep", "wait for as long as the request says: the tasks of a simulation, exactly"),
		newTimedFunction("loop", "compute for as long as the request says, on a processor that others want, too"),
		newFaceDetect(), newWatchdog(), newFunctionList(), newFunctionDeploy(), newFunctionRemove())
	return c
}

// place is where a function listens.
type place struct {
	bind string
	port int
}

func (p *place) add(c *cobra.Command) {
	c.Flags().StringVar(&p.bind, "bind", "127.0.0.1", "address to listen on")
	c.Flags().IntVar(&p.port, "port", 8080, "port to listen on, instead of that of the variable PORT; 0: any")
}

func newFaceDetect() *cobra.Command {
	var at place
	maxBody, maxPixels := bytesFlag(16<<20), 1<<22
	c := &cobra.Command{
		Use:   "face-detect",
		Short: "find the faces in a picture",
		Long: `find the faces in a picture, JPEG or PNG, which is the body of the request. The answer is JSON: the size of the
picture, and a square around each face with its score. A picture that is no picture is answered with 400, one that is too
large with 413.`,
		Example: `  p2pfaas function face-detect
  curl http://127.0.0.1:8080/ --data-binary @picture.jpg
  p2pfaas run quickstart --set functions.face-detect.backend=face-detect --payload face-detect=picture.jpg`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if maxBody < 1 || maxPixels < 1 {
				return input(fmt.Errorf("--max-body %v, --max-pixels %d: write numbers above 0", maxBody, maxPixels))
			}
			h, err := function.FaceDetect(function.FaceOptions{MaxBody: int64(maxBody), MaxPixels: maxPixels})
			if err != nil {
				return err
			}
			return serveFunction(c, at, h)
		},
	}
	at.add(c)
	c.Flags().Var(&maxBody, "max-body", "bytes that a picture may have as a file")
	c.Flags().IntVar(&maxPixels, "max-pixels", maxPixels, "pixels that a picture may have")
	return c
}

// timedFlags are the flags of function sleep and function loop.
type timedFlags struct {
	place
	service  string
	seed     uint64
	instance int
	speed    float64
	reply    int
	max      time.Duration
	scenario string
	function string
	set      []string
	pick     string
}

func newTimedFunction(name, short string) *cobra.Command {
	var f timedFlags
	c := &cobra.Command{
		Use:   name,
		Short: short,
		Long: short + `.

The service time is that of the header ` + wire.HeaderService + `, which nodes set where they know it, or of the query
?service=50ms, or drawn from --service.`,
		Example: `  p2pfaas function ` + name + ` --service '{distribution: exponential, mean: 300ms}'
  curl 'http://127.0.0.1:8080/?service=50ms'`,
		Args: wants(0, 0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, name) },
	}
	fl := c.Flags()
	f.place.add(c)
	fl.StringVar(&f.service, "service", "", "service time of requests that do not say it, as a scenario has it")
	fl.StringVar(&f.scenario, "scenario", "", "instead of --service: that of a --function of this scenario")
	fl.StringVar(&f.function, "function", "", "see --scenario")
	fl.StringArrayVar(&f.set, "set", nil, "give a key of the scenario another value: --set KEY=VALUE")
	fl.StringVar(&f.pick, "select", "", "point of the scenario, where the function is not the same in all: an index, or KEY=VALUE,... of swept keys")
	fl.Uint64Var(&f.seed, "seed", 1, "of what is drawn")
	fl.IntVar(&f.instance, "instance", 0, "number of this process among those of the function: each draws its own times")
	fl.Float64Var(&f.speed, "speed", 1, "what the query says, or is drawn, is divided by it")
	fl.IntVar(&f.reply, "reply-bytes", 0, "bytes of an answer, at least")
	fl.DurationVar(&f.max, "max", time.Hour, "longest service time that a request may ask for; by default with --scenario none")
	return c
}

// options reads the flags.
func (f *timedFlags) options() (o function.Options, err error) {
	o = function.Options{Stream: *random.Stream(f.seed, 0, random.Demand, f.instance), Speed: f.speed, Reply: f.reply, Max: f.max}
	var problems []error
	if !(f.speed > 0) {
		problems = append(problems, fmt.Errorf("--speed %v: write a number above 0", f.speed))
	}
	if f.reply < 0 || f.max <= 0 {
		problems = append(problems, fmt.Errorf("--reply-bytes %d, --max %v: write numbers from 0", f.reply, f.max))
	}
	switch {
	case f.service != "" && f.scenario != "":
		problems = append(problems, errors.New("--service and --scenario both say the service time: leave one out"))
	case f.service != "":
		o.Service, err = scenarios.ParseDistribution("--service", f.service)
		problems = append(problems, err)
	case f.scenario != "":
		err := f.ofScenario(&o)
		problems = append(problems, err)
	}
	return o, errors.Join(problems...)
}

// ofScenario takes what a scenario says of the function.
func (f *timedFlags) ofScenario(o *function.Options) error {
	_, points, err := readPoints(f.scenario, f.set, f.pick, true, nil)
	if err != nil {
		return err
	}
	reply := o.Reply // at least
	for n, p := range points {
		all := p.Scenario.Functions
		i := slices.IndexFunc(all, func(x scenarios.Function) bool { return x.Name == f.function })
		if i < 0 {
			var known []string
			for _, x := range all {
				known = append(known, x.Name)
			}
			return fmt.Errorf("--function %q: the scenario has %q", f.function, known)
		}
		was := *o
		o.Service, o.Reply = all[i].Service, max(reply, all[i].Reply)
		if n > 0 && (was.Reply != o.Reply || !reflect.DeepEqual(was.Service, o.Service)) {
			return fmt.Errorf("--scenario %s: the function %s is not the same in all of its %d points: choose one with --select", f.scenario, f.function,
				len(points))
		}
	}
	return nil
}

func (f *timedFlags) run(c *cobra.Command, name string) error {
	o, err := f.options()
	if err != nil {
		return input(err)
	}
	if f.scenario != "" && !c.Flags().Changed("max") { // as in simulation
		o.Max = math.MaxInt64
	}
	if name == "loop" {
		return serveFunction(c, f.place, function.Loop(o))
	}
	clock := precise.New()
	defer clock.Close()
	return serveFunction(c, f.place, function.Sleep(o, clock))
}

// startFunction begins to serve h; failed says why it has ended, where nobody has ended it.
func startFunction(c *cobra.Command, at place, limits realnet.ServerLimits, h http.Handler) (s *http.Server, failed <-chan error, err error) {
	l, err := limits.Listen(net.JoinHostPort(at.bind, strconv.Itoa(at.port)), nil)
	if err != nil {
		return nil, nil, input(fmt.Errorf("the function cannot listen: %w", err))
	}
	s = limits.Server(h)
	fmt.Fprintf(c.ErrOrStderr(), "function on http://%s/\n", l.Addr())
	ended := make(chan error, 1)
	go func() { ended <- fmt.Errorf("the function has ended: %w", s.Serve(l)) }()
	return s, ended, nil
}

// functionGrace is how long what runs may take when a sample function is told to end: as long as a node waits for it. Who has no such patience,
// as an engine or a node may, ends the process.
const functionGrace = 30 * time.Second

// serveFunction serves h until the command is interrupted, and finishes what runs.
func serveFunction(c *cobra.Command, at place, h http.Handler) error {
	if text := os.Getenv("PORT"); text != "" && !c.Flags().Changed("port") {
		var err error
		if at.port, err = strconv.Atoi(text); err != nil {
			return input(fmt.Errorf("the variable PORT is %q: write a number", text))
		}
	}
	s, failed, err := startFunction(c, at, realnet.DefaultServerLimits(), h)
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-c.Context().Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), functionGrace)
	defer cancel()
	if err := s.Shutdown(grace); err != nil {
		return s.Close()
	}
	return nil
}
