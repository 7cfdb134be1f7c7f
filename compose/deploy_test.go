package compose

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/p2pfaas/p2pfaas/realnet/image"
	"github.com/p2pfaas/p2pfaas/results"
	"github.com/p2pfaas/p2pfaas/scenarios/scenariotest"
)

// tool is the program, as its users have it, in a directory of its own.
type tool struct {
	t        *testing.T
	dir      string
	requests uint64 // digest of those that were sent; 0: none were
}

func newTool(t *testing.T) *tool { return &tool{t: t, dir: t.TempDir()} }

// command is the program with arguments; what it says goes to said.
func (u *tool) command(said io.Writer, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.Dir, c.Stdout, c.Stderr = u.dir, said, said
	return c
}

// do runs a command, which must succeed.
func (u *tool) do(args ...string) string {
	u.t.Helper()
	var said bytes.Buffer
	if err := u.command(&said, args...).Run(); err != nil {
		u.t.Fatalf("p2pfaas %q: %v\n%s", args, err, &said)
	}
	return said.String()
}

// down takes a deployment down at the end, whatever has become of the test.
func (u *tool) down(name string) {
	u.t.Cleanup(func() {
		var said bytes.Buffer
		if _, err := os.Stat(filepath.Join(u.dir, "deployments", name)); err != nil {
			return // the test has done so
		}
		if err := u.command(&said, "deploy", "down", name).Run(); err != nil {
			u.t.Errorf("taking down %s: %v\n%s", name, err, &said)
		}
	})
}

// write writes a scenario.
func (u *tool) write(name, text string) string {
	u.t.Helper()
	path := filepath.Join(u.dir, name+".yaml")
	if err := os.WriteFile(path, []byte("name: "+name+"\n"+text), 0o666); err != nil {
		u.t.Fatal(err)
	}
	return path
}

// left is what the engine has of a deployment.
func left(t *testing.T, name string) (all []string) {
	t.Helper()
	for _, what := range []string{"container", "network", "volume"} {
		args := []string{what, "ls", "--quiet", "--filter", "label=p2pfaas.deployment=" + name}
		if what == "container" {
			args = append(args, "--all")
		}
		out, err := exec.Command("docker", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range strings.Fields(string(out)) {
			all = append(all, what+" "+id)
		}
	}
	return all
}

const moderate = `
duration: 16s
warmup: 2s
replications: 1
cluster: {nodes: 4, slots: 4, queue: 8}
functions: [{name: work, service: {distribution: exponential, mean: 150ms}, deadline: 600ms}]
workload: {arrivals: poisson, rate: 12/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 2}
`

// The same scenario, with the same requests, on processes, in a compose file and on hosts over SSH: the medians agree. A machine that was busy
// with something else meanwhile is given a second chance, and one that is busy all the time more of them, with a slower scenario.
func TestTargetsAgree(t *testing.T) {
	u := newTool(t)
	name := fmt.Sprintf("agree-%d", os.Getpid())
	hosts := u.hosts(2, 2)
	u.down(name)
	for attempt, slower := range []int{1, 4, 8, 8} {
		scenario := u.write(name, scenariotest.Slower(moderate, slower))
		u.requests = 0
		medians := map[string]time.Duration{}
		for target, args := range map[string][]string{
			"local":   {"--target", "local", "--first-address", "127.79.0.1"},
			"compose": {"--target", "compose"},
			"hosts":   {"--hosts", hosts},
		} {
			medians[target] = u.median(name, scenario, filepath.Join(u.dir, fmt.Sprintf("run-%s-%d", target, attempt)), args...)
		}
		t.Logf("the medians are %v", medians)
		worst := 0.0
		for _, m := range medians {
			worst = max(worst, math.Abs(float64(m)/float64(medians["local"])-1))
		}
		if worst <= 0.05 {
			return
		}
		t.Logf("a median is %.1f %% off that of local", 100*worst)
	}
	t.Error("the medians do not agree")
}

// median deploys a scenario, sends it its requests, which are those of every other time, and returns the median of their latency.
func (u *tool) median(name, scenario, run string, target ...string) time.Duration {
	u.t.Helper()
	u.do(append([]string{"deploy", scenario}, target...)...)
	u.do("load", scenario, "--out", run, "--records", "all")
	u.do("deploy", "down", name)
	r, err := results.Open(run)
	if err != nil {
		u.t.Fatal(err)
	}
	rep := r.Points[0].Replications[0]
	if len(rep.Reality.Unlike) > 0 {
		u.t.Errorf("%q: the nodes are not what the scenario says: %+v", target, rep.Reality.Unlike)
	}
	if u.requests == 0 {
		u.requests = rep.Requests
	}
	if rep.Requests != u.requests {
		u.t.Errorf("%q: other requests than before: %x, %x", target, rep.Requests, u.requests)
	}
	median, ok := rep.Tally.Metric("latency.p50")
	if !ok {
		u.t.Fatalf("%q: there is no median", target)
	}
	return time.Duration(median * 1e9)
}

const twelve = `
duration: 5s
replications: 1
cluster: {nodes: 12, slots: 4, queue: 4}
functions: [{name: work, service: {distribution: exponential, mean: 100ms}}]
workload: {rate: 5/s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 2}
`

// Twelve nodes are healthy in time; a second deploy changes nothing; what was stopped or removed by somebody is made anew, and nothing else;
// down leaves nothing.
func TestDeployTwelve(t *testing.T) {
	u := newTool(t)
	name := fmt.Sprintf("twelve-%d", os.Getpid())
	scenario := u.write(name, twelve)
	u.down(name)
	u.do("deploy", scenario, "--select", "0") // it makes the images
	u.do("deploy", "down", name)
	container := func() time.Duration {
		began := time.Now()
		if said, err := exec.Command("docker", "run", "--rm", deployed.Tag(image.Node), "--version").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		return time.Since(began)
	}
	one := container()
	began := time.Now()
	u.do("deploy", scenario)
	took := time.Since(began)
	t.Logf("twelve nodes were ready after %v", took.Round(100*time.Millisecond))
	one = max(one, container()) // the machine may be busy before or after
	// A quiet machine with two cores takes 8 to 16 s, with other tests beside this one. There are 24 containers.
	if took > max(time.Minute, 60*one) {
		t.Errorf("that is more than a minute, and one container by itself takes %v", one)
	}
	first := left(t, name)
	if len(first) != 25 { // twelve nodes and their functions, and the network
		t.Errorf("there are %d things: %q", len(first), first)
	}
	u.do("deploy", scenario)
	if second := left(t, name); strings.Join(first, " ") != strings.Join(second, " ") {
		t.Errorf("deployed again, there is %q, before %q", second, first)
	}
	u.do("load", scenario, "--out", filepath.Join(u.dir, "run"))
	for _, broken := range [][]string{{"stop", name + "-node-3"}, {"rm", "--force", name + "-node-7-work"}} {
		if said, err := exec.Command("docker", broken...).CombinedOutput(); err != nil {
			t.Fatalf("docker %q: %v\n%s", broken, err, said)
		}
	}
	var said bytes.Buffer
	if err := u.command(&said, "deploy", "status").Run(); err == nil || !strings.Contains(said.String(), "exited") ||
		!strings.Contains(said.String(), "work is missing") {
		t.Errorf("status says %v, %s", err, &said)
	}
	u.do("deploy", scenario)
	u.do("deploy", "status")
	same := 0
	now := strings.Join(left(t, name), " ")
	for _, x := range first {
		if strings.Contains(now, x) {
			same++
		}
	}
	if same != 24 { // all but the one that was removed
		t.Errorf("%d of 25 things are the same after the repair", same)
	}
	u.do("deploy", "down", name)
	if l := left(t, name); len(l) > 0 {
		t.Errorf("down has left %q", l)
	}
}

const placed = `
duration: 4s
replications: 1
cluster: {nodes: 3, slots: 2, queue: 4}
functions: [{name: work, service: 20ms, placement: {nodes: [0, 1]}}]
workload: {rate: 10/s}
scheduler: {name: NoScheduler}
`

// A function comes to one node of a running deployment, from a directory with a Dockerfile, and all nodes serve it; it moves to another
// node under load without a failed request, and goes. Deployed anew, the deployment is what the scenario says.
func TestFunctionsMove(t *testing.T) {
	u := newTool(t)
	name := fmt.Sprintf("placed-%d", os.Getpid())
	scenario := u.write(name, placed)
	u.down(name)
	dir := filepath.Join(u.dir, "hello")
	text := "FROM scratch\nCOPY p2pfaas /p2pfaas\nUSER 1000\nENTRYPOINT [\"/p2pfaas\", \"function\", \"sleep\", \"--bind\", \"0.0.0.0\", \"--service\", \"5ms\"]\n"
	content, err := os.ReadFile(program)
	if err := errors.Join(err, os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, "p2pfaas"), content, 0o755),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the image that is built
		out, err := exec.Command("docker", "image", "ls", "--quiet", "p2pfaas-"+name+"/hello").Output()
		for _, id := range strings.Fields(string(out)) {
			err = errors.Join(err, exec.Command("docker", "image", "rm", "--force", id).Run())
		}
		if err != nil {
			t.Error(err)
		}
	})
	u.do("deploy", scenario)
	var status struct{ Nodes []struct{ Address string } }
	if err := json.Unmarshal([]byte(u.do("deploy", "status", "--json")), &status); err != nil || len(status.Nodes) != 3 {
		t.Fatalf("the status is %+v, %v", status, err)
	}
	ask := func() (answers []int) {
		for _, n := range status.Nodes {
			a, err := http.Get("http://" + n.Address + "/function/hello")
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			answers = append(answers, a.StatusCode)
		}
		return answers
	}
	if got := ask(); !slices.Equal(got, []int{404, 404, 404}) {
		t.Errorf("before, the nodes answer %v", got)
	}
	if said := u.do("function", "deploy", "hello=./hello", "--deployment", name, "--node", "0"); !strings.Contains(said, "cold start of hello") {
		t.Errorf("deploying says %s", said)
	}
	stop := make(chan struct{})
	var moving sync.WaitGroup
	answers := map[int]int{}
	var asked atomic.Int64
	moving.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				for _, s := range ask() {
					answers[s]++
					asked.Add(1)
				}
			}
		}
	})
	u.do("function", "deploy", "hello=./hello", "--deployment", name, "--node", "2")
	u.do("function", "remove", "hello", "--deployment", name, "--node", "0")
	moved := asked.Load()
	await(t, bound, func() error {
		if n := asked.Load() - moved; n < 30 {
			return fmt.Errorf("%d requests since the function moved", n)
		}
		return nil
	})
	close(stop)
	moving.Wait()
	t.Logf("while the function moved, the answers were %v", answers)
	if len(answers) != 1 || answers[200] < 30 {
		t.Errorf("while the function moved, the answers were %v", answers)
	}
	if said := u.do("function", "list", "--deployment", name); strings.Count(said, "hello") != 1 {
		t.Errorf("the list is %s", said)
	}
	u.do("deploy", scenario)
	if got := ask(); !slices.Equal(got, []int{404, 404, 404}) || len(left(t, name)) != 6 {
		t.Errorf("deployed anew, the nodes answer %v, and there is %q", got, left(t, name))
	}
	u.do("load", scenario, "--out", filepath.Join(u.dir, "run"))
	u.do("deploy", "down", name)
}

// transcript is what a command that still runs has said.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Interrupted at any time, a first deploy leaves nothing.
func TestDeployInterrupted(t *testing.T) {
	u := newTool(t)
	name := fmt.Sprintf("broken-%d", os.Getpid())
	scenario := u.write(name, twelve)
	u.down(name)
	for _, after := range []time.Duration{300 * time.Millisecond, time.Second, 2 * time.Second, 3500 * time.Millisecond} {
		var said transcript
		c := u.command(&said, "deploy", scenario)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, bound, func() error { // before it says something it may not have begun
			if said.String() == "" {
				return errors.New("it says nothing")
			}
			return nil
		})
		time.Sleep(after)
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		err := c.Wait()
		if l := left(t, name); err == nil || c.ProcessState.ExitCode() != 130 || len(l) > 0 {
			t.Errorf("interrupted after %v, it ends with %v, left are %q, and it says %s", after, err, l, &said)
		}
		if known, err := filepath.Glob(filepath.Join(u.dir, "deployments", "[a-z]*")); err != nil || len(known) > 0 {
			t.Errorf("interrupted after %v, it remembers %q, %v", after, known, err)
		}
	}
}

// hosts starts an SSH daemon for machines with so many nodes each, all of them this one, and returns a file of hosts.
func (u *tool) hosts(nodes ...int) string {
	u.t.Helper()
	daemon := "/usr/sbin/sshd"
	if _, err := os.Stat(daemon); err != nil {
		u.t.Fatalf("OpenSSH's daemon is needed: apt-get install openssh-server: %v", err)
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // it wants that
			u.t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(u.dir, name) }
	host, user := u.key("host"), u.key("user")
	port := freePort(u.t)
	var config, known, hosts strings.Builder
	fmt.Fprintf(&hosts, "defaults: {user: %q, key: user, known_hosts: known, port: %d}\nhosts:\n", cmp.Or(os.Getenv("USER"), "root"), port)
	for i, n := range nodes {
		address := fmt.Sprintf("127.80.0.%d", i+1)
		fmt.Fprintf(&config, "ListenAddress %s\n", address)
		fmt.Fprintf(&known, "[%s]:%d %s", address, port, ssh.MarshalAuthorizedKey(host))
		fmt.Fprintf(&hosts, "  - {host: %s, nodes: %d}\n", address, n)
	}
	fmt.Fprintf(&config, "Port %d\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n", port, in("host"), in("authorized"))
	for name, text := range map[string]string{"sshd_config": config.String(), "known": known.String(), "hosts.yaml": hosts.String(),
		"authorized": string(ssh.MarshalAuthorizedKey(user))} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			u.t.Fatal(err)
		}
	}
	var said bytes.Buffer
	c := exec.Command(daemon, "-D", "-e", "-f", in("sshd_config"))
	c.Stderr = &said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := c.Start(); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // where that fails, it has ended
		_ = c.Wait()                          // by a signal
	})
	await(u.t, bound, func() error {
		l, err := net.DialTimeout("tcp", fmt.Sprintf("127.80.0.1:%d", port), time.Second)
		if err != nil {
			return fmt.Errorf("%w; the daemon says %s", err, &said)
		}
		return l.Close()
	})
	return in("hosts.yaml")
}

// key makes a key, and writes its private half.
func (u *tool) key(name string) ssh.PublicKey {
	u.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		u.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		u.t.Fatal(err)
	}
	key, err2 := ssh.NewPublicKey(public)
	if err := errors.Join(err2, os.WriteFile(filepath.Join(u.dir, name), pem.EncodeToMemory(block), 0o600)); err != nil {
		u.t.Fatal(err)
	}
	return key
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.80.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// befallen has what only an engine does to a node, and what the node does itself.
const befallen = `
duration: 20s
warmup: 1s
replications: 1
cluster: {nodes: 3, slots: 4, queue: 8}
functions: [{name: work, service: {distribution: exponential, mean: 50ms}}]
workload: {rate: 8/s}
client: {timeout: 2s}
scheduler: {name: PowerOfNScheduler, fanout: 1, threshold: 2, probe_timeout: 200ms, answer_timeout: 1s}
faults:
  - {kind: crash, nodes: [1], at: 2s, for: 4s}
  - {kind: pause, nodes: [2], at: 8s, for: 3s}
  - {kind: function-hangs, nodes: [0], at: 13s, for: 2s}
  - {kind: crash, nodes: [0], at: 19s}
`

// Faults of a deployment in containers: requests to the node that is killed are lost, those to the one that stands still and with the function
// that hangs have no answer, and in the end all is as before. A machine that is too busy for them has slower ones.
func TestFaultsOfADeployment(t *testing.T) {
	u := newTool(t)
	name := fmt.Sprintf("befallen-%d", os.Getpid())
	u.down(name)
	for attempt, slower := range []int{1, 4, 4} {
		err := u.befalls(name, fmt.Sprintf("run-%d", attempt), slower)
		if err == nil {
			return
		}
		t.Logf("%d times slower: %v", slower, err)
	}
	t.Error("the faults have not gone as they were to")
}

// befalls returns what did not go as it was to.
func (u *tool) befalls(name, out string, slower int) error {
	t := u.t
	t.Helper()
	scenario := u.write(name, scenariotest.Slower(befallen, slower))
	u.do("deploy", scenario)
	said := u.do("load", scenario, "--records", "all", "--out", out)
	var problems []error
	if !strings.Contains(said, "all nodes knew each other and served") {
		problems = append(problems, fmt.Errorf("the load says: %s", said))
	}
	r, err := results.Open(filepath.Join(u.dir, out))
	if err != nil {
		t.Fatal(err)
	}
	lost := map[int32]map[string]int{0: {}, 1: {}, 2: {}}
	for row, err := range results.ReadRows(r.Requests()) {
		if err != nil {
			t.Fatal(err)
		}
		if !row.Completed() && row.ArrivalNS < int64(slower)*int64(18*time.Second) {
			lost[row.Node][row.Outcome]++
		}
	}
	if lost[1]["lost-node-down"] == 0 || lost[2]["lost-no-answer"] == 0 || lost[0]["lost-no-answer"] == 0 || lost[0]["lost-node-down"] > 0 {
		problems = append(problems, fmt.Errorf("lost by node: %v", lost))
	}
	if f := r.Points[0].Replications[0].Reality.Faults; f == nil || f.Restarts.Count != 2 || len(f.Unrecovered) > 0 {
		problems = append(problems, fmt.Errorf("the faults went so: %+v", f))
	}
	return errors.Join(problems...)
}
