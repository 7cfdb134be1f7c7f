package deploy

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// names are what a resolver of the tests knows.
func names(_ context.Context, host string) ([]netip.Addr, error) {
	known := map[string][]netip.Addr{"pi-2.local": {netip.MustParseAddr("192.0.2.12")},
		"two": {netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("192.0.2.21")}}
	if a := known[host]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("no such host")
}

const goodHosts = `
defaults: {user: pi, key: keys/rack, port: 2222}
hosts:
  - {host: 192.0.2.11, nodes: 2, architecture: arm64, labels: {rack: a}}
  - {name: b, host: pi-2.local, user: admin, key: /k, known_hosts: ~/known, socket: /run/docker.sock, port: 22, nodes: 3}
  - {host: 2001:db8::7, bind: 10.0.0.7}
`

func TestHostsFile(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	in, err := readInventory(t.Context(), "rack/hosts.yaml", []byte(goodHosts), names)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(home, ".ssh", "known_hosts")
	want := []Machine{
		{Name: "192.0.2.11", Host: "192.0.2.11", Port: 2222, User: "pi", Key: "rack/keys/rack", KnownHosts: known,
			Socket: "/var/run/docker.sock", Architecture: "arm64", Nodes: 2, Bind: "192.0.2.11", Labels: map[string]string{"rack": "a"}},
		{Name: "b", Host: "pi-2.local", Port: 22, User: "admin", Key: "/k", KnownHosts: filepath.Join(home, "known"),
			Socket: "/run/docker.sock", Nodes: 3, Bind: "192.0.2.12"},
		{Name: "2001:db8::7", Host: "2001:db8::7", Port: 2222, User: "pi", Key: "rack/keys/rack", KnownHosts: known,
			Socket: "/var/run/docker.sock", Nodes: 1, Bind: "10.0.0.7"}}
	for i := range want {
		if got, want := fmt.Sprintf("%+v", in.Machines[i]), fmt.Sprintf("%+v", want[i]); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if a := in.Machines[2].Address(); a != "[2001:db8::7]:2222" {
		t.Errorf("the daemon is at %s", a)
	}

	at, err := in.Layout(4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range at {
		got = append(got, fmt.Sprint(l.Machine, " ", l.Place.Address()))
	}
	if want := []string{"0 192.0.2.11", "0 192.0.2.11:20010", "1 192.0.2.12", "1 192.0.2.12:20010"}; !slices.Equal(got, want) {
		t.Errorf("the nodes are at %q, want %q", got, want)
	}
	_, err = in.Layout(7)
	if want := "the cluster has 7 nodes, and the hosts of rack/hosts.yaml take 6: add hosts, or raise nodes of those that are there"; err == nil ||
		err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// All that is wrong with a file is said at once, where it is, and what to write.
func TestBadHostsFiles(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"", "h:1:1: the file is empty: write hosts, like hosts: [{host: 192.168.1.11, user: pi}]"},
		{"defaults: {user: pi}", "h:1:1: hosts: the key is missing: write hosts: [{host: 192.168.1.11, user: pi}], for example"},
		{"hosts: [{host: 192.168.1, user: pi}]", `h:1:16: hosts.0.host: "192.168.1" is no name or address of a host: write one, and user and port as keys of their own`},
		{"hosts: []", "h:1:8: hosts: the list has 0 entries: write 1 to 10000"},
		{"hosts:\n- {host: 10.0.0.1, usr: pi, nodes: 1.5}\n- {user: pi}\n", `
h:2:20: hosts.0: the key "usr" is not known here: did you mean user? (known: name, host, user, key, known_hosts, port, socket, nodes, bind, architecture, labels)
h:2:36: hosts.0.nodes: 1.5 is not a whole number: write 1 or 2
h:2:3: hosts.0: nobody is said to log in: write user: NAME here or in the defaults
h:3:3: hosts.1.host: the key is missing: write host: 192.168.1.11, for example`},
		{"defaults: {user: pi, socket: docker.sock}\nhosts:\n- {host: pi@10.0.0.1}\n- {host: 10.0.0.1, port: 0, architecture: armv7}\n" +
			"- {host: 10.0.0.1}\n- {host: nowhere}\n- {host: two}\n- {host: \"::1\"}\n- {host: 0.0.0.0}\n- {name: a b, host: 10.0.0.3, bind: x, key: \"\"}\n", `
h:1:30: defaults.socket: "docker.sock" is no path of a socket: write one like /var/run/docker.sock
h:3:10: hosts.0.host: "pi@10.0.0.1" is no name or address of a host: write one, and user and port as keys of their own
h:4:26: hosts.1.port: 0 is less than 1: write 1 or more
h:4:43: hosts.1.architecture: "armv7" is not known here: did you mean arm/v7? (known: amd64, arm64, arm/v7)
h:5:10: hosts.2.host: another host has the address 10.0.0.1: each needs one of its own, give it with bind
h:5:10: hosts.2.host: there is another host 10.0.0.1: give one of the two a name, or the first more nodes
h:6:10: hosts.3.host: the name cannot be resolved: no such host: correct it, or write an address
h:7:10: hosts.4.host: two has 2 IPv4 addresses [192.0.2.20 192.0.2.21]: write bind: and the one that its nodes are to be known by
h:8:10: hosts.5.host: ::1 is not IPv4: write bind: and an IPv4 address of the machine
h:9:10: hosts.6.host: no node can be known by 0.0.0.0: write an address that the others reach the machine at
h:10:10: hosts.7.name: "a b" is not a name: write letters, digits, -, _ and dots only
h:10:37: hosts.7.bind: "x" is no address: write an IPv4 address of the machine
h:10:45: hosts.7.key: the path is empty: write one, or leave the key out`},
	} {
		_, err := readInventory(t.Context(), "h", []byte(c.file), names)
		if err == nil {
			t.Errorf("%q is accepted", c.file)
			continue
		}
		got, want := strings.Split(err.Error(), "\n"), strings.Split(strings.TrimSpace(c.want), "\n")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
