package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/p2pfaas/p2pfaas/core/spelling"
	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Where the settings of a node come from: its flags, the environment, a file, the first that says something.

// ownVariables is what the variables of the flags begin with.
const ownVariables = "P2PFAAS_NODE_"

// variable is the one of a flag.
func variable(flag string) string {
	return ownVariables + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// v1Variable is a variable of the first P2PFaaS, and the flag whose value it is.
type v1Variable struct {
	name, flag string
	value      func(text string) (string, error) // as the flag has it, empty where it says nothing; nil: as it is
}

// v1Variables are those that there are. The flag of P2PFAAS_LISTENING_PORT depends on what runs here. P2PFAAS_FNS_LIST is not
// among them: it means nothing there either.
var v1Variables = []v1Variable{
	{"P2PFAAS_DATA_PATH", "data", nil},
	{"P2PFAAS_DIR_DATA", "data", nil},
	{"P2PFAAS_LISTENING_HOST", "bind", nil},
	{"P2PFAAS_LISTENING_PORT", "", nil},
	{"P2PFAAS_INIT_SERVERS", "init-servers", nil},
	{"P2PFAAS_DEFAULT_IFACE", "iface", nil},
	{"P2PFAAS_POLL_TIME", "poll-time", inSeconds},
	{"P2PFAAS_POLL_TIMEOUT", "poll-timeout", inSeconds},
	{"P2PFAAS_MACHINE_DEAD_POLLS_THRESHOLD", "dead-polls", nil},
	{"P2PFAAS_SERVICE_DISCOVERY_HOST", "discovery", v1Discovery},
	{"P2PFAAS_SERVICE_DISCOVERY_PORT", "discovery", v1Discovery},
	{"P2PFAAS_SERVICE_LEARNING_HOST", "learner", nil},
	{"P2PFAAS_SERVICE_LEARNING_PORT", "learner-port", nil},
	{"P2PFAAS_OPENFAAS_ENABLED", "openfaas", v1OpenFaaS},
	{"P2PFAAS_DEV_ENV", "development", isDevelopment},
	{"P2PFAAS_RUNNING_ENVIRONMENT", "development", isDevelopment},
	{"P2PFAAS_LOG_ENV", "log-level", v1Level},
	{"P2PFAAS_PROF", "pprof-port", v1Profile},
}

// inSeconds is a time in v1's way, a number, or in ours.
func inSeconds(text string) (string, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	return text, nil
}

// errTakenForOff is about a switch whose value is none. The first P2PFaaS takes it for off without a word; here it is off, and
// that is told: what sets it is made for both.
var errTakenForOff = errors.New("it is taken for off")

func isDevelopment(text string) (string, error) {
	if text != "development" && text != "production" {
		return "", fmt.Errorf("%w: write development or production", errTakenForOff)
	}
	return strconv.FormatBool(text == "development"), nil
}

// v1Level logs more in development.
func v1Level(text string) (string, error) {
	development, err := isDevelopment(text)
	if err != nil {
		return "", err
	}
	if development == "true" {
		return "debug", nil
	}
	return "info", nil
}

func v1Profile(text string) (string, error) {
	switch on, err := strconv.ParseBool(text); {
	case err != nil:
		return "", fmt.Errorf("%w: write true or false", errTakenForOff)
	case on:
		return "16060", nil
	}
	return "0", nil
}

func v1Discovery(string) (string, error) {
	return v1URL("P2PFAAS_SERVICE_DISCOVERY", "discovery", "19000")
}

func v1OpenFaaS(text string) (string, error) {
	switch on, err := strconv.ParseBool(text); {
	case err != nil:
		return "", fmt.Errorf("%w: write true or false", errTakenForOff)
	case on:
		return v1URL("P2PFAAS_OPENFAAS", "faas_containers-openfaas-swarm", "8080")
	}
	return "", nil
}

// v1URL is that of a service of which two variables say host and port. Where one of them does not, v1's default does.
func v1URL(variables, host, port string) (string, error) {
	host, port = cmp.Or(os.Getenv(variables+"_HOST"), host), cmp.Or(os.Getenv(variables+"_PORT"), port)
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%s_PORT is %q: write a number from 1 to 65535", variables, port)
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// isNodeVariable reports whether a variable, as in os.Environ, is a setting of a node.
func isNodeVariable(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return strings.HasPrefix(name, ownVariables) || name == realnet.TokenVariable ||
		slices.ContainsFunc(v1Variables, func(v v1Variable) bool { return v.name == name })
}

// sources give flags their values.
type sources struct {
	flags     *pflag.FlagSet
	path      string
	file      map[string]*yaml.Node // what the file says, by flag
	listening string                // flag of P2PFAAS_LISTENING_PORT; empty: it is nobody's
	named     map[string]string     // what gave a flag its value, as an error names it
	problems  []error
}

// newSources checks the names in the environment and reads the file, which --config names.
func newSources(flags *pflag.FlagSet) *sources {
	s := &sources{flags: flags, named: map[string]string{}}
	var keys, variables []string
	flags.VisitAll(func(fl *pflag.Flag) {
		if fl.Name == "help" {
			return
		}
		variables = append(variables, variable(fl.Name))
		if fl.Name != "config" {
			keys = append(keys, fl.Name)
		}
	})
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, ownVariables) && !slices.Contains(variables, name) {
			err := fmt.Errorf("the variable %s is no setting of a node: see p2pfaas node --help", name)
			if meant := spelling.Meant(name, variables); meant != "" {
				err = fmt.Errorf("%w; did you mean %s?", err, meant)
			}
			s.problems = append(s.problems, err)
		}
	}
	s.give("config")
	if s.path = flags.Lookup("config").Value.String(); s.path == "" {
		return s
	}
	text, err := os.ReadFile(s.path)
	if err == nil {
		s.file, err = scenarios.ParseKeys(s.path, text, "settings of a node, like slots: 4", keys)
	} else {
		err = fmt.Errorf("%s: %w", s.named["config"], err)
	}
	if err != nil {
		s.problems = append(s.problems, err)
	}
	return s
}

// give gives a flag its value, once.
func (s *sources) give(flag string) {
	fl := s.flags.Lookup(flag)
	if s.named[flag] != "" {
		return
	}
	s.named[flag] = "--" + flag
	if fl.Changed {
		return
	}
	if text := os.Getenv(variable(flag)); text != "" {
		s.environment(fl, variable(flag), text)
		return
	}
	first := ""
	for _, v := range v1Variables {
		text := os.Getenv(v.name)
		if text == "" || cmp.Or(v.flag, s.listening) != flag {
			continue
		}
		if v.value != nil {
			value, err := v.value(text)
			if errors.Is(err, errTakenForOff) {
				slog.Warn("a setting is none", "variable", v.name, "value", text, "error", err)
				continue
			}
			if err != nil {
				s.wrong(v.name, text, err)
				return
			}
			if text = value; text == "" {
				continue
			}
		}
		switch {
		case first == "":
			first = text
			s.environment(fl, v.name, text)
		case text != first:
			s.problems = append(s.problems, fmt.Errorf("%s and %s both say --%s, and not the same: leave one out", s.named[flag],
				v.name, flag))
		}
	}
	if n := s.file[flag]; n != nil && first == "" {
		s.fromFile(fl, n)
	}
}

// environment takes what a variable says. What may be repeated has a line for each, lists have commas.
func (s *sources) environment(fl *pflag.Flag, name, text string) {
	lines := []string{text}
	if t := fl.Value.Type(); t == "stringArray" || t == "function" {
		lines = strings.Split(strings.TrimSpace(text), "\n")
	}
	for _, line := range lines {
		s.set(fl, name, line)
	}
}

// fromFile takes what the file says.
func (s *sources) fromFile(fl *pflag.Flag, n *yaml.Node) {
	switch v := fl.Value.(type) {
	case functionsFlag:
		if n.Kind != yaml.MappingNode {
			s.wrong(s.place(fl, n), n.Value, errors.New("write names with what they are, like {f: sleep:50ms}"))
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, what := n.Content[i].Value, n.Content[i+1]
			at := s.place(fl, what)
			if what.Kind == yaml.SequenceNode {
				if words, ok := s.list(fl, what); ok {
					s.took(fl, at, name, v.add(name, nodeFunction{Backend: scenarios.Backend{Kind: "exec", Command: words}}))
				}
				continue
			}
			s.set(fl, at, name+"="+what.Value)
		}
	case pflag.SliceValue:
		if words, ok := s.list(fl, n); ok {
			s.took(fl, s.place(fl, n), "", v.Replace(words))
		}
	default:
		t := fl.Value.Type()
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || t == "int" && n.Tag != "!!int" || t == "bool" && n.Tag != "!!bool" ||
			t == "string" && n.Tag == "!!bool" {
			s.wrong(s.place(fl, n), n.Value, errors.New(cmp.Or(written[t], "write a single value")))
			return
		}
		s.set(fl, s.place(fl, n), n.Value)
	}
}

// list are the words of a list of the file.
func (s *sources) list(fl *pflag.Flag, n *yaml.Node) (words []string, ok bool) {
	ok = n.Kind == yaml.SequenceNode && len(n.Content) > 0
	for _, c := range n.Content {
		ok = ok && c.Kind == yaml.ScalarNode && c.Tag != "!!null"
		words = append(words, c.Value)
	}
	if !ok {
		s.wrong(s.place(fl, n), n.Value, errors.New("write a list of single values, like [a, b]"))
	}
	return words, ok
}

// place is that of a value in the file.
func (s *sources) place(fl *pflag.Flag, n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d: %s", s.path, n.Line, n.Column, fl.Name)
}

// set gives a flag a value that a source has as a text.
func (s *sources) set(fl *pflag.Flag, source, text string) {
	err := fl.Value.Set(text)
	if w := written[fl.Value.Type()]; err != nil && w != "" {
		err = errors.New(w)
		_ = fl.Value.Set(fl.DefValue) // it is 0 now, which would be complained about, too
	}
	s.took(fl, source, text, err)
}

// took takes note that a source has given a flag a value, or could not.
func (s *sources) took(fl *pflag.Flag, source, text string, err error) {
	if err != nil {
		s.wrong(source, text, err)
		return
	}
	fl.Changed = true
	s.named[fl.Name] = source
}

// written says how the values of flags are written, by their types.
var written = map[string]string{
	"int":      "write a whole number, like 4",
	"bool":     "write true or false",
	"duration": "write a number and a unit of time, like 500ms",
	"string":   "write a single value, a text: in quotes, where that is true or false",
}

// wrong notes that a source says what cannot be a value.
func (s *sources) wrong(source, text string, err error) {
	if text != "" {
		source += " " + strconv.Quote(text)
	}
	s.problems = append(s.problems, fmt.Errorf("%s: %w", source, err))
}
