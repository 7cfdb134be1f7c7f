package realnet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What a scheduler service asks a discovery service (wire page, section 1.14): who it is itself, and who else is there.
// It asks in the background, not at every decision.

// askDiscoveryEvery is how long a node relies on what discovery said.
const askDiscoveryEvery = time.Second

// machine is an entry of discovery's list, as far as a scheduler needs it.
type machine struct {
	IP string `json:"ip"`
}

// Follow keeps the node's peers, and its identity, as the discovery service of its own process tells them. The node's status has
// what that believes of other machines.
func (n *Node) Follow(d *DiscoveryService) {
	n.discovery.Store(d)
	d.Subscribe(func(me Identity, peers []string) {
		n.Rename(me)
		n.SetPeers(peers)
	})
}

// FollowDiscovery keeps the node's peers, and its identity, as the discovery service at url (http://HOST:PORT) tells them,
// until ctx ends. While discovery does not answer, the node keeps the peers that it had.
func (n *Node) FollowDiscovery(ctx context.Context, url string) {
	client := n.options.Credentials.Client(&http.Transport{})
	client.Timeout = 5 * time.Second
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(askDiscoveryEvery)
	defer ticker.Stop()
	var me Identity
	var peers []string
	for down := false; ; {
		next, err := n.askDiscovery(ctx, client, strings.TrimRight(url, "/"))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !down:
			slog.Warn("discovery does not answer: the peers stay as they are", "url", url, "error", err)
		case err == nil && down:
			slog.Info("discovery answers again", "url", url)
		}
		if now := n.Identity(); err == nil && now != me {
			me = now
			n.tellIdentity(url)
		}
		if down = err != nil; !down && !slices.Equal(next, peers) {
			tellPeers(peers, next)
			peers = next
			n.SetPeers(peers)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tellIdentity tells who the node is, as discovery says. Where that is the address of another machine, or of another node of this
// one, peers call that in its place.
func (n *Node) tellIdentity(url string) {
	me := n.Identity()
	bind, bound := netip.AddrFromSlice(n.options.Bind)
	if at, err := parseAddress(me.IP, SchedulerPort); err == nil && bound && at.Addr() != bind.Unmap() {
		slog.Warn("discovery says another address of this node than it listens on: peers will look for it there; have a discovery that "+
			"knows its address", "url", url, "machine_ip", at.Addr(), "bind", bind.Unmap())
		return
	}
	slog.Info("discovery says who this node is", "url", url, "machine_id", me.ID, "machine_ip", me.IP)
}

// tellPeers tells which peers have come and gone: one line, however many they are.
func tellPeers(before, after []string) {
	without := func(all, some []string) (rest []string) {
		for _, a := range all {
			if !slices.Contains(some, a) {
				rest = append(rest, a)
			}
		}
		return rest
	}
	if came, gone := without(after, before), without(before, after); len(came)+len(gone) > 0 {
		slog.Info("the peers have changed", "came", came, "gone", gone, "peers", len(after))
	}
}

// askDiscovery asks who this node is, and for the addresses of its peers, sorted. Discovery knows the IP of the node; the port
// of its scheduler service is the node's to say.
func (n *Node) askDiscovery(ctx context.Context, client *http.Client, url string) ([]string, error) {
	var me struct {
		IP string `json:"machine_ip"`
		ID string `json:"machine_id"`
	}
	if err := GetJSON(ctx, client, url+"/configuration", &me); err != nil {
		return nil, err
	}
	if me.IP == "" {
		return nil, fmt.Errorf("%s/configuration does not say machine_ip", url)
	}
	self := CanonicalAddress(net.JoinHostPort(me.IP, strconv.Itoa(n.options.Port)))
	n.Rename(Identity{ID: me.ID, IP: self})
	var list []machine
	if err := GetJSON(ctx, client, url+"/list", &list); err != nil {
		return nil, err
	}
	peers := make([]string, 0, len(list))
	for _, m := range list {
		if a := CanonicalAddress(m.IP); a != "" && a != self {
			peers = append(peers, a)
		}
	}
	slices.Sort(peers)
	return slices.Compact(peers), nil
}

// GetJSON asks for JSON. The error says what was answered in its place.
func GetJSON(ctx context.Context, client *http.Client, url string, to any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 16<<20))
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return wire.Unexpected(url, a, text)
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%s answers what is no JSON: %w", url, err)
	}
	return nil
}
