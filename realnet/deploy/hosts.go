package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/scenarios"
)

// Inventory is a hosts file: the machines that a deployment may use.
//
//	defaults:                          # for hosts that do not say otherwise
//	  user: pi
//	  key: ~/.ssh/id_ed25519           # private key, not encrypted; without one, the keys of the SSH agent ($SSH_AUTH_SOCK)
//	  known_hosts: ~/.ssh/known_hosts  # keys of hosts; this is the default
//	  port: 22                         # of SSH; default
//	  socket: /var/run/docker.sock     # of the engine; default
//	hosts:
//	  - host: 192.168.1.11             # name or address
//	    nodes: 2                       # that the machine takes; default 1
//	  - name: pi-2                     # in messages; the default is the host
//	    host: pi-2.local
//	    user: admin                    # any key of the defaults
//	    bind: 192.168.1.12             # IPv4 address that its nodes are known by; the default is the host or what it resolves to
//	    architecture: arm64            # amd64, arm64 or arm/v7; it is checked, the default is what the engine says
//	    labels: {rack: a}              # its containers have them, as p2pfaas.host.rack
//
// Paths begin with ~/, or at /, or in the directory of the file.
type Inventory struct {
	File     string
	Machines []Machine // in order of the file
}

// Machine is a host of the file, with the defaults.
type Machine struct {
	Name         string
	Host         string
	Port         int
	User         string
	Key          string // path; empty: the agent has it
	KnownHosts   string // path
	Socket       string // path on the machine
	Architecture string // empty: whatever the engine says
	Nodes        int
	Bind         string
	Labels       map[string]string
}

// Address of the machine's SSH daemon.
func (m *Machine) Address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

type hostsDoc struct {
	Defaults accessDoc `key:"defaults" default:"{}"`
	Hosts    []hostDoc `key:"hosts" need:"true" eg:"[{host: 192.168.1.11, user: pi}]"`
}

type accessDoc struct {
	User       *string `key:"user"`
	Key        *string `key:"key"`
	KnownHosts *string `key:"known_hosts"`
	Port       *int    `key:"port" min:"1" max:"65535"`
	Socket     *string `key:"socket"`
}

type hostDoc struct {
	Name *string `key:"name"`
	Host string  `key:"host" eg:"192.168.1.11"`
	accessDoc
	Nodes        int               `key:"nodes" default:"1" min:"1" max:"1000"`
	Bind         *string           `key:"bind"`
	Architecture *string           `key:"architecture" oneof:"amd64 arm64 arm/v7"`
	Labels       map[string]string `key:"labels"`
}

var machineName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// lookup finds the IPv4 addresses of a name.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// LoadInventory reads a hosts file, and resolves the names of hosts that do not say their bind address. All that is wrong is
// reported at once, as scenarios.Problems.
func LoadInventory(ctx context.Context, path string) (*Inventory, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the hosts file: %w", err)
	}
	return readInventory(ctx, path, data, func(ctx context.Context, host string) ([]netip.Addr, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	})
}

func readInventory(ctx context.Context, file string, data []byte, find lookup) (*Inventory, error) {
	var doc hostsDoc
	r := scenarios.Read(file, data, "hosts, like hosts: [{host: 192.168.1.11, user: pi}]", &doc)
	in := &Inventory{File: file}
	home, homeless := os.UserHomeDir()
	names, binds := map[string]bool{}, map[string]bool{}
	path := func(p *string) string {
		switch below, ok := strings.CutPrefix(*p, "~/"); {
		case *p == "":
			r.Wrong(p, "the path is empty: write one, or leave the key out")
		case ok && homeless != nil:
			r.Wrong(p, "~ is not known here (%v): write the whole path", homeless)
		case ok:
			return filepath.Join(home, below)
		case !filepath.IsAbs(*p):
			return filepath.Join(filepath.Dir(file), *p)
		}
		return *p
	}
	for i := range doc.Hosts {
		h, d := &doc.Hosts[i], &doc.Defaults
		m := Machine{Host: h.Host, Name: *cmp.Or(h.Name, &h.Host), Nodes: h.Nodes, Labels: h.Labels,
			Port: *cmp.Or(h.Port, d.Port, new(22)), User: *cmp.Or(h.User, d.User, new("")),
			Socket: *cmp.Or(h.Socket, d.Socket, new("/var/run/docker.sock")), Architecture: *cmp.Or(h.Architecture, new(""))}
		if key := cmp.Or(h.Key, d.Key); key != nil {
			m.Key = path(key)
		}
		if known := cmp.Or(h.KnownHosts, d.KnownHosts); known != nil {
			m.KnownHosts = path(known)
		} else if m.KnownHosts = filepath.Join(home, ".ssh", "known_hosts"); homeless != nil {
			r.Wrong(h, "~ is not known here (%v): write known_hosts: FILE", homeless)
		}
		if !r.Sound(&h.Host) {
			continue
		}
		if _, ip := netip.ParseAddr(m.Host); ip != nil && !realnet.IsHostName(m.Host) {
			r.Wrong(&h.Host, "%q is no name or address of a host: write one, and user and port as keys of their own", m.Host)
			continue
		}
		switch {
		case h.Name != nil && !machineName.MatchString(m.Name):
			r.Wrong(h.Name, "%q is not a name: write letters, digits, -, _ and dots only", m.Name)
		case names[m.Name] && h.Name != nil:
			r.Wrong(h.Name, "there is another host %s: write another name", m.Name)
		case names[m.Name]:
			r.Wrong(&h.Host, "there is another host %s: give one of the two a name, or the first more nodes", m.Name)
		}
		names[m.Name] = true
		if m.User == "" {
			r.Wrong(h, "nobody is said to log in: write user: NAME here or in the defaults")
		}
		if !strings.HasPrefix(m.Socket, "/") {
			r.Wrong(cmp.Or(h.Socket, d.Socket), "%q is no path of a socket: write one like /var/run/docker.sock", m.Socket)
		}
		bind, err := bindAddress(ctx, h, find)
		if err != nil {
			r.Wrong(cmp.Or(h.Bind, &h.Host), "%v", err)
			continue
		}
		if m.Bind = bind; binds[bind] {
			r.Wrong(cmp.Or(h.Bind, &h.Host), "another host has the address %s: each needs one of its own, give it with bind", m.Bind)
		}
		binds[bind] = true
		in.Machines = append(in.Machines, m)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return in, nil
}

// bindAddress is the address that the nodes of a host are known by.
func bindAddress(ctx context.Context, h *hostDoc, find lookup) (string, error) {
	text := h.Host
	if h.Bind != nil {
		text = *h.Bind
	}
	a, err := netip.ParseAddr(text)
	if err != nil && h.Bind == nil {
		var found []netip.Addr
		if found, err = find(ctx, h.Host); err != nil {
			return "", fmt.Errorf("the name cannot be resolved: %w: correct it, or write an address", err)
		}
		if len(found) != 1 {
			return "", fmt.Errorf("%s has %d IPv4 addresses %v: write bind: and the one that its nodes are to be known by", h.Host, len(found),
				found)
		}
		a = found[0]
	}
	a = a.Unmap()
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is no address: write an IPv4 address of the machine", text)
	case !a.Is4():
		return "", fmt.Errorf("%s is not IPv4: write bind: and an IPv4 address of the machine", a)
	case a.IsUnspecified() || a.IsMulticast():
		return "", fmt.Errorf("no node can be known by %s: write an address that the others reach the machine at", a)
	}
	return a.String(), nil
}

// Location is where a node is.
type Location struct {
	Machine int // index
	Place   realnet.Place
}

// Layout says where the nodes of a cluster are, by number: the machines are filled up in the order of the file. The first node of a
// machine has the standard ports.
func (in *Inventory) Layout(nodes int) ([]Location, error) {
	var at []Location
	var problems []error
	room := 0
	for i := range in.Machines {
		m := &in.Machines[i]
		room += m.Nodes
		places, err := realnet.SharedPlaces(m.Bind, min(m.Nodes, nodes-len(at)))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", m.Name, err))
		}
		for _, p := range places {
			at = append(at, Location{i, p})
		}
	}
	if room < nodes {
		problems = append(problems, fmt.Errorf("the cluster has %d nodes, and the hosts of %s take %d: add hosts, or raise nodes of those that "+
			"are there", nodes, in.File, room))
	}
	return at, errors.Join(problems...)
}

// ConnectAll reaches the engines of machines at once. The error has all that could not be reached; their engines are nil.
func ConnectAll(ctx context.Context, machines []Machine) ([]*Engine, error) {
	engines := make([]*Engine, len(machines))
	problems := make([]error, len(machines))
	inParallel(len(machines), len(machines), func(i int) { engines[i], problems[i] = Connect(ctx, &machines[i]) })
	return engines, errors.Join(problems...)
}

// CloseAll closes the connections to engines, of which some may be nil.
func CloseAll(engines []*Engine) {
	for _, e := range engines {
		if e != nil {
			_ = e.Close() // nothing is on its way
		}
	}
}

// UndoAll removes all that has the label of a deployment, on all machines at once that were reached. The error says all that could not be
// removed. Politely, what runs may be finished.
func UndoAll(ctx context.Context, deployment string, engines []*Engine, politely bool) (all Removed, err error) {
	removed := make([]Removed, len(engines))
	problems := make([]error, len(engines))
	inParallel(len(engines), len(engines), func(i int) {
		if engines[i] != nil {
			removed[i], problems[i] = engines[i].Undo(ctx, deployment, politely)
		}
	})
	for _, r := range removed {
		all.Containers = append(all.Containers, r.Containers...)
		all.Networks = append(all.Networks, r.Networks...)
		all.Volumes = append(all.Volumes, r.Volumes...)
	}
	for _, names := range []*[]string{&all.Containers, &all.Networks, &all.Volumes} { // two machines of the file may have one engine
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return all, errors.Join(problems...)
}
