package cmd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

// Where there is no terminal, top prints the nodes that run, and says of one that has been stopped that it does not answer.
func TestTop(t *testing.T) {
	ports := freePorts(t, 2)
	at := []string{fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])}
	startNodeAt(t, ports[0], "--bind", "127.0.0.1", "--function", "f=sleep:1ms", "--peers", at[1], "--slots", "3", "--queue", "2")
	other := startNodeAt(t, ports[1], "--bind", "127.0.0.1", "--function", "f=sleep:1ms", "--peers", at[0])
	// On a busy machine a node may not answer in the time that a look has: then there is another one.
	prints := func(right func(printed string) error, args ...string) {
		t.Helper()
		for began := time.Now(); ; {
			status, printed, said := command(t, append([]string{"top", "--interval", "100ms", at[0]}, args...)...)
			err := right(printed)
			if status == 0 && said == "" && err == nil {
				return
			}
			if time.Since(began) > patience {
				t.Fatalf("%q: %d, %v:\n%s%s", args, status, err, printed, said)
			}
		}
	}
	has := func(wants ...string) func(string) error {
		return func(printed string) error {
			for _, want := range wants {
				if !strings.Contains(printed, want) {
					return fmt.Errorf("without %q", want)
				}
			}
			return nil
		}
	}
	prints(has("2 nodes: 2 alive", "algorithm PowerOfNScheduler(1, 2, true, 1)", at[0]+" alive    ...|..", at[1]+" alive    "))
	other.end()
	prints(has(at[1]+" no reply for ", "s: connect: connection refused\n"), "--once")
	prints(func(printed string) error {
		var c watch.Cluster
		if err := json.Unmarshal([]byte(printed), &c); err != nil || strings.Count(printed, "\n") != 1 || c.States.Unreachable != 1 ||
			len(c.Nodes) != 2 || c.Window < .1 {
			return fmt.Errorf("not what there is: %v", err)
		}
		return nil
	}, "--json", "--once")
}

// What top cannot watch, it names.
func TestTopErrors(t *testing.T) {
	nobody := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	for _, c := range []struct {
		args   []string
		status int
		wants  []string
	}{
		{[]string{nobody}, 1, []string{"there is no node to watch", nobody + ": connect: connection refused"}},
		{[]string{"--interval", "1ms", "a b"}, 2, []string{"--interval 1ms: write 100ms or more", `"a b" is no address of a node`}},
		{[]string{"--token-file", "nowhere", nobody}, 2, []string{"--token-file: open nowhere"}},
	} {
		status, printed, said := command(t, append([]string{"top"}, c.args...)...)
		for _, want := range c.wants {
			if status != c.status || printed != "" || !strings.Contains(said, want) {
				t.Errorf("%q: %d, without %q: %s%s", c.args, status, want, printed, said)
			}
		}
	}
}
