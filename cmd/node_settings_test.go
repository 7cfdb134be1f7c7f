package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// settingsOf are the settings of a node that is started with these arguments.
func settingsOf(t *testing.T, args ...string) (*nodeFlags, error) {
	t.Helper()
	var f nodeFlags
	c := &cobra.Command{}
	f.add(c)
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return &f, errors.Join(f.read()...)
}

func (f *nodeFlags) said(flag string) string { return f.flags.Lookup(flag).Value.String() }

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A flag comes before a variable, one of ours before one of v1's, these before the file, and the file before the default.
// Lists are replaced, not mixed.
func TestNodePrecedence(t *testing.T) {
	path := settingsFile(t, `
slots: 11
queue: 11
dead-polls: 11
poll-time: 11s
task-types: 11
max-body: 11kB
development: true
peers: [10.0.0.11, "10.0.0.12:18081"]
init-servers: [10.0.0.11]
`)
	t.Setenv("P2PFAAS_NODE_SLOTS", "12")
	t.Setenv("P2PFAAS_NODE_QUEUE", "12")
	t.Setenv("P2PFAAS_NODE_DEAD_POLLS", "12")
	t.Setenv("P2PFAAS_MACHINE_DEAD_POLLS_THRESHOLD", "13")
	t.Setenv("P2PFAAS_POLL_TIME", "13")
	t.Setenv("P2PFAAS_DEV_ENV", "production")
	t.Setenv("P2PFAAS_NODE_INIT_SERVERS", "10.0.0.12,10.0.0.13")
	t.Setenv("P2PFAAS_NODE_BIND", "") // says nothing
	f, err := settingsOf(t, "--config", path, "--slots", "14")
	if err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"slots": "14", "queue": "12", "dead-polls": "12", "poll-time": "13s", "task-types": "11",
		"max-body": "11kB", "development": "false", "peers": "[10.0.0.11,10.0.0.12:18081]", "init-servers": "[10.0.0.12,10.0.0.13]",
		"bind": "127.0.0.1"} {
		if f.said(flag) != want {
			t.Errorf("%s is %s, want %s", flag, f.said(flag), want)
		}
	}
	t.Setenv("P2PFAAS_NODE_CONFIG", path)
	if f, err = settingsOf(t); err != nil || f.types != 11 {
		t.Errorf("with the file in the environment, task-types is %d: %v", f.types, err)
	}
}

// Each flag can be set by its variable, and by its key in the file.
func TestNodeEverySetting(t *testing.T) {
	values := map[string]string{"int": "7", "bool": "true", "duration": "7s", "bytes": "7kB", "float64": "0.7", "string": "seven",
		"stringSlice": "a,b", "stringArray": "a=1\nb=2", "function": "f=sleep:1ms\ng=exec:a b", "": "next"} // a core.Fallback has no type here
	keys := map[string]string{"stringSlice": "[a, b]", "stringArray": "[a=1, b=2]", "function": "{f: 'sleep:1ms', g: [a, b]}"}
	listed := map[string]string{"stringSlice": "[a,b]", "stringArray": "[a=1,b=2]", "function": "f,g"}
	f, _ := settingsOf(t)
	f.flags.VisitAll(func(fl *pflag.Flag) {
		if fl.Name == "config" {
			return
		}
		kind := fl.Value.Type()
		value, want := values[kind], listed[kind]
		if fl.Name == "log-level" { // which has none either
			value = "warn"
		}
		if want == "" {
			want = value
		}
		t.Run(fl.Name, func(t *testing.T) {
			key := keys[kind]
			if key == "" {
				key = value
			}
			f, err := settingsOf(t, "--config", settingsFile(t, fl.Name+": "+key))
			if err != nil || f.said(fl.Name) != want || !f.isSet(fl.Name) || !strings.Contains(f.source(fl.Name), "node.yaml:1:") {
				t.Errorf("by the file: %s from %s, %v; want %s", f.said(fl.Name), f.source(fl.Name), err, want)
			}
			name := variable(fl.Name)
			t.Setenv(name, value)
			if f, err = settingsOf(t); err != nil || f.said(fl.Name) != want || !f.isSet(fl.Name) || f.source(fl.Name) != name {
				t.Errorf("by %s: %s, %v; want %s", name, f.said(fl.Name), err, want)
			}
		})
	})
}

// Where there is one loopback address alone, nodes on it need ports of their own.
func TestNodeOneLoopback(t *testing.T) {
	f, err := settingsOf(t, "--bind", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	said := f.cannotListen("scheduler-port", fmt.Errorf("listen: %w", syscall.EADDRNOTAVAIL)).Error()
	for _, want := range []string{"--bind 127.0.0.2: it is no address of this machine", "127.0.0.1", "--scheduler-port", "--discovery-port",
		"--learner-port", "--websocket-port"} {
		if !strings.Contains(said, want) {
			t.Errorf("%s: it does not say %q", said, want)
		}
	}
	if other := errors.New("the file is malformed"); f.cannotListen("discovery-port", other) != other {
		t.Error("another error is taken for one of sockets")
	}
}

// An algorithm has its parameters as v1 orders them, or by name.
func TestNodeScheduler(t *testing.T) {
	for text, want := range map[string]string{
		"PowerOfNScheduler 3 2 true 1": `{"name":"PowerOfNScheduler","parameters":["3","2","true","1"]}`,
		"JSQ d=3":                      `{"name":"JSQ","parameters":null,"named":{"d":3}}`,
	} {
		f, err := settle(t, "--config", settingsFile(t, "scheduler: "+text))
		if err != nil || f.node.Scheduler.String() != want {
			t.Errorf("%s is %s, %v; want %s", text, f.node.Scheduler, err, want)
		}
	}
}

// The variables of the first P2PFaaS.
func TestNodeV1Variables(t *testing.T) {
	for _, x := range []struct {
		variables, flag, want string
		told                  bool
	}{
		{"DATA_PATH=/a", "data", "/a", false},
		{"DIR_DATA=/a", "data", "/a", false},
		{"DATA_PATH=/a DIR_DATA=/a", "data", "/a", false},
		{"LISTENING_HOST=0.0.0.0", "bind", "0.0.0.0", false},
		{"LISTENING_PORT=7", "discovery-port", "7", false},
		{"LISTENING_PORT=7 NODE_SERVICES=learner", "learner-port", "7", false},
		{"LISTENING_PORT=7 NODE_SERVICES=learner", "discovery-port", "19000", false},
		{"LISTENING_PORT=7 NODE_SERVICES=scheduler", "scheduler-port", "18080", false},
		{"LISTENING_PORT=7 SERVICE_DISCOVERY_HOST=d", "learner-port", "7", false},
		{"INIT_SERVERS=10.0.0.1,10.0.0.2", "init-servers", "[10.0.0.1,10.0.0.2]", false},
		{"DEFAULT_IFACE=wlan0", "iface", "wlan0", false},
		{"POLL_TIME=120", "poll-time", "2m0s", false},
		{"POLL_TIMEOUT=0.5", "poll-timeout", "500ms", false},
		{"POLL_TIMEOUT=500ms", "poll-timeout", "500ms", false},
		{"POLL_TIMEOUT=5", "poll-time", "2s", false},
		{"MACHINE_DEAD_POLLS_THRESHOLD=20", "dead-polls", "20", false},
		{"SERVICE_DISCOVERY_HOST=d", "discovery", "http://d:19000", false},
		{"SERVICE_DISCOVERY_PORT=7", "discovery", "http://discovery:7", false},
		{"SERVICE_DISCOVERY_HOST=d SERVICE_DISCOVERY_PORT=7", "discovery", "http://d:7", false},
		{"SERVICE_LEARNING_HOST=l", "learner", "l", false},
		{"SERVICE_LEARNING_PORT=7", "learner-port", "7", false},
		{"OPENFAAS_ENABLED=true", "openfaas", "http://faas_containers-openfaas-swarm:8080", false},
		{"OPENFAAS_ENABLED=true OPENFAAS_HOST=o OPENFAAS_PORT=7", "openfaas", "http://o:7", false},
		{"OPENFAAS_ENABLED=false OPENFAAS_HOST=o", "openfaas", "", false},
		{"DEV_ENV=development", "development", "true", false},
		{"RUNNING_ENVIRONMENT=development", "development", "true", false},
		{"DEV_ENV=production", "development", "false", false},
		{"LOG_ENV=development", "log-level", "debug", false},
		{"PROF=true", "pprof-port", "16060", false},
		{"PROF=false", "pprof-port", "0", false},
		{"PROF=yes", "pprof-port", "0", true}, // as there, but here it is told
		{"LOG_ENV=production", "log-level", "info", false},
		{"LOG_ENV=true", "log-level", "info", true},
		{"DEV_ENV=test", "development", "false", true},
		{"OPENFAAS_ENABLED=maybe OPENFAAS_HOST=o", "openfaas", "", true},
		{"FNS_LIST=f,g", "function", "", false},
	} {
		t.Run(x.variables, func(t *testing.T) {
			for _, v := range strings.Fields(x.variables) {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv("P2PFAAS_"+name, value)
			}
			var said bytes.Buffer
			log.SetOutput(&said)
			defer log.SetOutput(os.Stderr)
			if f, err := settingsOf(t); err != nil || f.said(x.flag) != x.want {
				t.Errorf("%s is %q, want %q: %v", x.flag, f.said(x.flag), x.want, err)
			}
			if told := strings.Contains(said.String(), "taken for off"); told != x.told {
				t.Errorf("that it is taken for off is told: %v, want %v: %s", told, x.told, said.String())
			}
		})
	}
	t.Setenv("P2PFAAS_SERVICE_LEARNING_HOST", "l")
	if f, err := settingsOf(t); err != nil || f.runs("learner") || !f.runs("discovery") {
		t.Errorf("with a learner elsewhere %q run here, %v", f.services, err)
	}
}

// The guide has each setting of a node with its default, and each variable of v1.
func TestNodeGuide(t *testing.T) {
	text, err := os.ReadFile("../docs/guide/real-nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	for _, v := range v1Variables {
		name := strings.NewReplacer("DISCOVERY_PORT", "DISCOVERY_HOST`, `_PORT").Replace(v.name)
		if !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("the guide has no %s", name)
		}
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|[^|]*\\| ([^|]*) ?\\|").FindAllStringSubmatch(guide, -1) {
		rows[m[1]] = strings.TrimSpace(m[2])
	}
	elsewhere := []string{"config", "duration", "replications"} // above the table; of a run
	f, _ := settingsOf(t)
	f.flags.VisitAll(func(fl *pflag.Flag) {
		value, there := rows[fl.Name]
		if strings.Contains(fl.Usage, "the same") {
			t.Errorf("--help sorts flags by name, and %s refers to another one: %s", fl.Name, fl.Usage)
		}
		if !there && !slices.Contains(elsewhere, fl.Name) {
			t.Errorf("the guide has no row for %s", fl.Name)
		}
		if slices.Contains([]string{"int", "duration", "bytes", "bool"}, fl.Value.Type()) && there && value != fl.DefValue {
			t.Errorf("the guide has %s by default for %s: it is %s", value, fl.Name, fl.DefValue)
		}
	})
}

// Secrets that others on the machine get at are warned of, those of a deployment, in a directory of its user's own, are not.
func TestSecretsOfOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	if _, err := realnet.MakeCertificates(dir, []string{"127.0.0.1"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, x := range []struct {
		dir, file fs.FileMode
		warnings  int
	}{{0o755, 0o600, 0}, {0o700, 0o444, 0}, {0o755, 0o444, 2}} {
		for path, mode := range map[string]fs.FileMode{dir: x.dir, in("token"): x.file, in("client.key"): x.file} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		var said bytes.Buffer
		was, to, flags := slog.Default(), log.Writer(), log.Flags()
		slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
		f := credentialFlags{tokenFile: in("token")}
		f.tls.certificate, f.tls.key, f.tls.authority = in("client.pem"), in("client.key"), in("ca.pem")
		_, err := f.read()
		slog.SetDefault(was)
		log.SetOutput(to) // which the other default has taken
		log.SetFlags(flags)
		if err != nil || strings.Count(said.String(), "others on this machine") != x.warnings {
			t.Errorf("a directory of %v with files of %v: %v, %s", x.dir, x.file, err, said.String())
		}
	}
}

// What a variable, a flag or the file says wrong is told with its place, all at once; nothing else is taken instead.
func TestNodeBadSettings(t *testing.T) {
	for name, x := range map[string]struct {
		variables, file string
		args            []string
		says            []string
	}{
		"keys": {file: "slots: 1\nquue: 2\nslots: 3\n", says: []string{`node.yaml:2:1: the key "quue" is not known here: did you mean queue?`,
			`node.yaml:3:1: the key "slots" is given twice`}},
		"values": {file: "slots: many\nqueue: '4'\ntask-types: [1]\npoll-time: 2\ndevelopment: yes\nlog-level: loud\nmax-body: 3\ndata:\npeers: 10.0.0.1\n" +
			"init-servers: []\nservices: [[discovery]]\nfunction: {f: nothing, g: {kind: sleep}, h: 'sleep:x'}\n", says: []string{
			`node.yaml:1:8: slots "many": write a whole number`, `node.yaml:2:8: queue "4": write a whole number`,
			`node.yaml:3:13: task-types: write a whole number`, `node.yaml:4:12: poll-time "2": write a number and a unit of time`,
			`node.yaml:5:14: development "yes": write true or false`, `node.yaml:6:12: log-level "loud": write debug, info, warn or error`, `node.yaml:7:11: max-body "3": 3 has no unit`,
			`node.yaml:8:6: data: write a single value`, `node.yaml:9:8: peers "10.0.0.1": write a list`,
			`node.yaml:10:15: init-servers: write a list`, `node.yaml:11:11: services: write a list`,
			`node.yaml:12:15: function "f=nothing": write NAME=URL`, `node.yaml:12:27: function "g=": write NAME=URL`,
			`node.yaml:12:45: function "h=sleep:x": the service time of h`}},
		"a text":  {file: "record: true\n", says: []string{`node.yaml:1:9: record "true": write a single value, a text`}},
		"twice":   {file: "function: {f: face-detect, f: face-detect}", says: []string{"the function f is given twice"}},
		"anchor":  {file: "slots: &a 4\n", says: []string{"node.yaml:1:8: &a is an anchor"}},
		"empty":   {file: "# nothing\n", says: []string{"node.yaml:1:1: the file is empty: write settings of a node"}},
		"list":    {file: "- slots\n", says: []string{"node.yaml:1:1: found a list where keys and values belong: write settings of a node"}},
		"no file": {args: []string{"--config", "/nowhere.yaml"}, says: []string{"--config: open /nowhere.yaml"}},
		"checked": {file: "bind: localhost\nslots: -1\n", says: []string{"node.yaml:1:7: bind localhost: write an IP", "node.yaml:2:8: slots -1: write"}},
		"variables": {variables: "NODE_SLOTS=x NODE_SLOT=3 POLL_TIMEOUT=soon MACHINE_DEAD_POLLS_THRESHOLD=0 LISTENING_HOST=localhost " +
			"LISTENING_PORT=70000 SERVICE_DISCOVERY_PORT=http " +
			"SERVICE_LEARNING_PORT=x DATA_PATH=a DIR_DATA=b INIT_SERVERS=192.168.1", says: []string{
			`P2PFAAS_NODE_SLOTS "x": write a whole number`, "P2PFAAS_NODE_SLOT is no setting of a node", "did you mean P2PFAAS_NODE_SLOTS?",
			`P2PFAAS_POLL_TIMEOUT "soon": write`, "P2PFAAS_MACHINE_DEAD_POLLS_THRESHOLD 0: write more than 0",
			"P2PFAAS_LISTENING_HOST localhost: write an IP", "P2PFAAS_LISTENING_PORT 70000: write a number from 1 to 65535",
			`P2PFAAS_SERVICE_DISCOVERY_PORT is "http": write a number`,
			`P2PFAAS_SERVICE_LEARNING_PORT "x": write a whole number`, "P2PFAAS_DATA_PATH and P2PFAAS_DIR_DATA both say --data",
			"P2PFAAS_INIT_SERVERS [192.168.1]: write an IP"}},
		"flags": {args: []string{"--peers", "nobody", "--cluster", "10.0.0.1:x", "--discovery", "10.0.0.1:19000", "--services", "nothing",
			"--max-body", "0B", "--max-bodies", "0B", "--max-requests", "0", "--max-connections", "0", "--max-header", "0B", "--max-answer", "0B", "--probe-timeout",
			"-1s", "--idle-timeout", "0s", "--header-timeout", "0s", "--function-start-timeout", "0s", "--grace", "-1s", "--function-url",
			"f:8080", "--function-port", "81", "--openfaas", "o", "--openfaas-secrets", "/nowhere", "--pprof-port", "-1", "--record", "r",
			"--init-servers", "10.0.0.1", "--seed", "x", "--scheduler", " ", "--number", "1", "--set", "a=1", "--learner", "http://l:19020"},
			says: []string{
				"--number is about a node of a scenario", "--set is about a node of", "--cluster is about", "--learner http://l:19020: write a host",
				"--peers [nobody]: write", "--cluster [10.0.0.1:x]: write", "--discovery 10.0.0.1:19000: write a URL", "--services [nothing]: write",
				"--max-body 0B: write more", "--max-bodies 0B: write more", "--max-requests 0: write more", "--max-connections 0: write more", "--max-header 0B: write more",
				"--max-answer 0B: write more", "--probe-timeout -1s: write 0 or more", "--idle-timeout 0s: write more", "--header-timeout 0s",
				"--function-start-timeout 0s", "--grace -1s", "--function-url f:8080: \"f:8080\" is no URL of a function", "--function-url and --openfaas both say",
				"--function-port and --openfaas both say", "--openfaas o: write a URL", "--openfaas-secrets /nowhere: there are no files",
				"--pprof-port -1: write", "--record r: it logs", "--init-servers [10.0.0.1]: they are for the node's own", "--seed x: write",
				"--scheduler: write the name", "--peers and --discovery both say"}},
		"one body":  {args: []string{"--max-body", "1GiB"}, says: []string{"--max-body 1GiB: --max-bodies, for all requests in hand, is 512MiB: write no more"}},
		"scheduler": {variables: "NODE_SCHEDULER=jsq", says: []string{`P2PFAAS_NODE_SCHEDULER: unknown scheduler "jsq": did you mean JSQ?`}},
		"too many parameters": {args: []string{"--scheduler", "PowerOfNScheduler 1 2 true 1 7"}, says: []string{
			"--scheduler: PowerOfNScheduler: wants 4 parameters (fanout, threshold, loss, max_hops), has 5"}},
		"wrong parameters": {file: "scheduler: JSQ dd=3\n", says: []string{"node.yaml:1:12: scheduler: JSQ: dd: unknown parameter: use d, replacement"}},
		"elsewhere": {args: []string{"--services", "scheduler,learner", "--learner", "l"}, says: []string{
			"--learner l: it runs here too, as --services says: leave one out"}},
		"no port":      {args: []string{"--function-url", "http://g/", "--function-port", "81"}, says: []string{"--function-port 81: there is no {port}"}},
		"no iface":     {args: []string{"--bind", "0.0.0.0", "--insecure", "--iface", "none", "--peers", "10.0.0.1"}, says: []string{"--iface none: it has no address"}},
		"everybody":    {args: []string{"--bind", "0.0.0.0", "--iface", "lo"}, says: []string{"--bind 0.0.0.0: others than this machine reach the node there"}},
		"everybody v1": {variables: "LISTENING_HOST=0.0.0.0 DEFAULT_IFACE=lo", says: []string{"P2PFAAS_LISTENING_HOST 0.0.0.0: others than this machine"}},
		"token and insecure": {args: []string{"--bind", "0.0.0.0", "--iface", "lo", "--insecure"}, variables: "TOKEN=0123456789abcdef0123456789abcdef",
			says: []string{"--insecure lets everybody do everything, and there is a token"}},
		"token and insecure here": {args: []string{"--insecure"}, variables: "TOKEN=0123456789abcdef0123456789abcdef",
			says: []string{"--insecure lets everybody do everything, and there is a token"}},
		"short token":    {variables: "TOKEN=secret", says: []string{"the token has 6 characters, and could be guessed"}},
		"no token":       {args: []string{"--token-file", "/nowhere"}, says: []string{"--token-file: open /nowhere: no such file"}},
		"half of TLS":    {args: []string{"--tls-cert", "a.pem"}, says: []string{"TLS wants all of --tls-cert, --tls-key and --tls-ca: p2pfaas certs"}},
		"no certificate": {args: []string{"--tls-cert", "a.pem", "--tls-key", "a.key", "--tls-ca", "ca.pem"}, says: []string{"the certificate a.pem with the key a.key"}},
		"scenario": {args: []string{"--scenario", "quickstart", "--slots", "3", "--function", "f=sleep", "--data", "d"}, variables: "NODE_QUEUE=3", says: []string{
			"--slots is the scenario's to say", "--function is the scenario's", "P2PFAAS_NODE_QUEUE is the scenario's", "--data keeps what clients configure"}},
		"elsewhere in the cluster": {args: []string{"--scenario", "quickstart", "--select", "scheduler=NoScheduler", "--set", "cluster.nodes=2",
			"--cluster", "127.0.0.1,127.0.0.2", "--bind", "127.0.0.2"}, says: []string{
			"--number 0: that is 127.0.0.1 in --cluster, and this node is to be at 127.0.0.2: correct one of --number, --bind"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir()) // data and log may be made
			for _, v := range strings.Fields(x.variables) {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv("P2PFAAS_"+name, value)
			}
			args := x.args
			if x.file != "" {
				args = append(args, "--config", settingsFile(t, x.file))
			}
			_, err := settle(t, args...)
			if err == nil {
				t.Fatal("there is no error")
			}
			said := strings.Split(err.Error(), "\n")
			for _, want := range x.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it does not say %q:\n%v", want, err)
				}
			}
			if len(said) > len(x.says) {
				t.Errorf("%d problems are told of %d:\n%v", len(said), len(x.says), err)
			}
		})
	}
}

// settle are the settings of a node that is started with these arguments, and what is wrong with them.
func settle(t *testing.T, args ...string) (*nodeFlags, error) {
	t.Helper()
	var f nodeFlags
	c := &cobra.Command{}
	f.add(c)
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return &f, f.check(c)
}

// twoFunctions is a scenario of two nodes, each with two sample functions.
const twoFunctions = `
name: two
duration: 1s
replications: 2
cluster: {nodes: 2, slots: 2, queue: 2}
functions: [{name: f, service: 1ms}, {name: g, service: 1ms}]
workload: {rate: 2/s}
scheduler: {name: NoScheduler}
`

// A node of a scenario whose algorithm asks its learner has one, unless that is elsewhere or it has no scheduler.
func TestNodeAsksItsLearner(t *testing.T) {
	scenario := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(scenario, []byte(twoFunctions), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ services, learner, says string }{
		{"scheduler,discovery", "{}", "--services [scheduler,discovery]: the algorithm of the scenario, LearningScheduler, asks the learner of its node: have it in --services"},
		{"scheduler,learner", "{}", ""},
		{"discovery", "{}", ""},
		{"scheduler", `{external: {act: "ws://127.0.0.1:870{node}", train: "http://127.0.0.1:1902{node}"}}`, ""},
	} {
		_, err := settle(t, "--scenario", scenario, "--replications", "1", "--set", "scheduler={name: LearningScheduler}", "--set", "learner="+x.learner,
			"--cluster", "127.0.0.1,127.0.0.2", "--services", x.services)
		if x.says == "" && err != nil || x.says != "" && (err == nil || !strings.Contains(err.Error(), x.says)) {
			t.Errorf("the services %s and the learner %s: %v, want %q", x.services, x.learner, err, x.says)
		}
	}
}

// A function of a scenario has as long as in simulation, unless a setting says how long.
func TestNodeFunctionTimeout(t *testing.T) {
	scenario := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(scenario, []byte(twoFunctions), 0o666); err != nil {
		t.Fatal(err)
	}
	ofScenario := []string{"--scenario", scenario, "--cluster", "127.0.0.1,127.0.0.2"}
	for _, x := range []struct {
		args []string
		want time.Duration
	}{
		{nil, 30 * time.Second},
		{ofScenario, 0},
		{append(ofScenario, "--function-timeout", "5s"), 5 * time.Second},
	} {
		if f, err := settle(t, x.args...); err != nil || f.timeouts.function != x.want {
			t.Errorf("%v: a function has %v, want %v: %v", x.args, f.timeouts.function, x.want, err)
		}
	}
}

// Where clients do not say what they want, no two functions draw the same service times, and each draws the same again.
func TestFunctionsDrawApart(t *testing.T) {
	scenario := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(scenario, []byte(twoFunctions), 0o666); err != nil {
		t.Fatal(err)
	}
	seeds := func(args ...string) map[string]string {
		all := map[string]string{}
		f, err := settle(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range f.node.Backend.Functions {
			all[name] = x.Command[slices.Index(x.Command, "--seed")+1]
		}
		return all
	}
	cluster := []string{"--scenario", scenario, "--cluster", "127.0.0.1,127.0.0.2", "--bind"}
	drawn := map[string]string{}
	for _, args := range [][]string{
		{"--function", "f=sleep:50ms", "--function", "g=loop:50ms"},
		{"--function", "f=sleep:50ms", "--function", "g=loop:50ms", "--scheduler-port", "18081"},
		{"--function", "f=sleep:50ms", "--function", "g=loop:50ms", "--seed", "2"},
		append(cluster, "127.0.0.1", "--number", "0"),
		append(cluster, "127.0.0.2", "--number", "1"),
		append(cluster, "127.0.0.1", "--number", "0", "--seed", "2"),
		append(cluster, "127.0.0.1", "--number", "0", "--replication", "1"),
	} {
		args = slices.Clone(args)
		got := seeds(args...)
		if again := seeds(args...); len(got) != 2 || !maps.Equal(got, again) {
			t.Errorf("%v: the seeds are %v, then %v", args, got, again)
		}
		for name, seed := range got {
			if who, twice := drawn[seed]; twice {
				t.Errorf("%s of %v draws as %s", name, args, who)
			}
			drawn[seed] = fmt.Sprintf("%s of %v", name, args)
		}
	}
}
