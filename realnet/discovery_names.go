package realnet

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Init servers may be host names: one that stands for all machines, as that of a headless service of Kubernetes, or for one
// whose address changes. Their addresses are looked up at every round, and whoever is new among them is met.

// lookupTimeout bounds a lookup: resolvers ask again after five seconds.
const lookupTimeout = 6 * time.Second

// CheckInitServer reports what is wrong with the address of a discovery service: an IP address or a host name, each with a
// port where that is not the standard one.
func CheckInitServer(text string) error {
	_, _, _, err := parseInitServer(text)
	return err
}

// parseInitServer reads the address of a discovery service. Where it is a host name, that and the port are returned, otherwise
// the address.
func parseInitServer(text string) (at netip.AddrPort, name string, port uint16, err error) {
	if at, err = parseAddress(text, DiscoveryPort); err == nil {
		return at, "", 0, nil
	}
	name, digits, more := strings.Cut(text, ":")
	n := uint64(DiscoveryPort)
	if more {
		n, err = strconv.ParseUint(digits, 10, 16)
	} else {
		err = nil
	}
	if err != nil || n == 0 || !IsHostName(strings.TrimSuffix(name, ".")) {
		return netip.AddrPort{}, "", 0, fmt.Errorf("%.80q: write an IP address, or one with a port, or a host name", text)
	}
	return netip.AddrPort{}, name, uint16(n), nil
}

// IsHostName reports whether a text may be a host name (RFC 1123, and the underscores that names of containers have). The last
// part of one is no number: 192.168.1 is a mistake.
func IsHostName(text string) bool {
	labels := strings.Split(text, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return len(text) <= 253 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// lookUp looks host names up, at every round (PollTime), until the service ends.
func (s *DiscoveryService) lookUp() {
	ticker := time.NewTicker(s.options.PollTime)
	defer ticker.Stop()
	failed := map[string]bool{} // of which names the log says so
	for {
		s.mu.Lock()
		names, generation, network := slices.Clone(s.names), s.generation, "ip4"
		if s.machine != nil && s.members[0].address.Addr().Is6() {
			network = "ip6" // an address of the other family would be met in vain
		}
		s.mu.Unlock()
		for _, text := range names {
			_, name, port, err := parseInitServer(text)
			if err != nil || name == "" {
				continue
			}
			addresses, err := s.resolve(network, name)
			if failed[text] != (err != nil) && s.life.Err() == nil {
				if failed[text] = err != nil; err != nil {
					slog.Warn("an init server's name has no address: is it right, and does somebody run there? It is looked up on",
						"name", text, "error", err)
				} else {
					slog.Info("an init server's name has addresses now", "name", text)
				}
			}
			s.mu.Lock()
			if s.generation == generation && !s.closed {
				for _, ip := range addresses {
					s.meet(netip.AddrPortFrom(ip.Unmap().WithZone(""), port))
				}
			}
			s.mu.Unlock()
		}
		select {
		case <-s.life.Done():
			return
		case <-ticker.C:
		case <-s.named:
		}
	}
}

func (s *DiscoveryService) resolve(network, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(s.life, lookupTimeout)
	defer cancel()
	resolve := s.options.Resolve
	if resolve == nil {
		resolve = net.DefaultResolver.LookupNetIP
	}
	return resolve(ctx, network, name)
}
