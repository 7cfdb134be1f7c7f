package cmd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/watch"
)

// Where there is no terminal, top prints the nodes that run, and says of one that has been stopped that it does not answer.
func TestTop(t *testing.T) {
	ports := freePorts(t, 2)
	at := []string{fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])}
	startNodeAt(t, ports[0], "--bind", "127.0.0.1", "--function", "f=sleep:1ms", "--peers", at[1], "--slots", "3", "--queue", "2")
	other := startNodeAt(t, ports[1], "--bind", "127.0.0.1", "--function", "f=sleep:1ms", "--peers", at[0])
	status, printed, said := command(t, "top", "--interval", "100ms", at[0])
	for _, want := range []string{"2 nodes: 2 alive", "algorithm PowerOfNScheduler(1, 2, true, 1)", at[0] + " alive    ...|..", at[1] + " alive    "} {
		if status != 0 || said != "" || !strings.Contains(printed, want) {
			t.Errorf("%d, without %q:\n%s%s", status, want, printed, said)
		}
	}
	other.end()
	status, printed, said = command(t, "top", "--once", "--interval", "100ms", at[0])
	if want := at[1] + " no reply for "; status != 0 || !strings.Contains(printed, want) || !strings.Contains(printed, "s: connect: connection refused\n") {
		t.Errorf("%d, without %q:\n%s%s", status, want, printed, said)
	}
	status, printed, said = command(t, "top", "--json", "--once", "--interval", "100ms", at[0])
	var c watch.Cluster
	if err := json.Unmarshal([]byte(printed), &c); status != 0 || err != nil || strings.Count(printed, "\n") != 1 || c.States.Unreachable != 1 ||
		len(c.Nodes) != 2 || c.Window < .1 {
		t.Errorf("%d, %v:\n%s%s", status, err, printed, said)
	}
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
