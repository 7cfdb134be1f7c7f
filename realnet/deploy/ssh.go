package deploy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	sshPatience  = 10 * time.Second // to connect, and to log in
	sshKeepalive = 10 * time.Second // between two questions whether the machine is there
	// sshSilence is how long it may take to answer: on a slow link the question waits behind the image that is being loaded.
	sshSilence = time.Minute
)

// connection is an SSH connection to a machine. Its errors say what to do, but not which machine it is.
type connection struct {
	machine *Machine
	client  *ssh.Client
	silent  atomic.Bool // it was ended, since the machine was silent
	ended   chan struct{}
	why     error // when ended is closed
}

// openSSH logs in to a machine.
func openSSH(ctx context.Context, m *Machine) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, sshPatience)
	defer cancel()
	login, err := m.credentials()
	if err != nil {
		return nil, err
	}
	defer login.close()
	hosts, err := m.readKnownHosts()
	if err != nil {
		return nil, err
	}
	stream, err := new(net.Dialer).DialContext(ctx, "tcp", m.Address())
	if err != nil {
		return nil, m.unreachable(err)
	}
	// The handshake knows no context.
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer stop()
	var wrongKey error
	known := false
	config := &ssh.ClientConfig{User: m.User, Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(login.signers)}, HostKeyAlgorithms: hosts.algorithms,
		HostKeyCallback: func(address string, remote net.Addr, key ssh.PublicKey) error {
			wrongKey = m.checkHostKey(hosts, address, remote, key)
			known = wrongKey == nil
			return wrongKey
		}}
	c, channels, requests, err := ssh.NewClientConn(stream, m.Address(), config)
	if err != nil {
		_ = stream.Close()
		switch {
		case wrongKey != nil:
			return nil, wrongKey
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return nil, fmt.Errorf("%s is connected, and has not let %s in after %v: is that the port of an SSH daemon?", m.Address(), m.User,
				sshPatience)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case known && strings.Contains(strings.ToLower(err.Error()), "authenticat"): // its errors have no types
			return nil, fmt.Errorf("no key of %s is accepted; %s: add the public key to ~%s/.ssh/authorized_keys there (ssh-copy-id -p %d %s@%s), "+
				"or correct user or key: %w", m.User, login.offered, m.User, m.Port, m.User, m.Host, err)
		}
		return nil, fmt.Errorf("%s is no SSH daemon, or one that breaks off: correct host or port, or look into its log: %w", m.Address(), err)
	}
	s := &connection{machine: m, client: ssh.NewClient(c, channels, requests), ended: make(chan struct{})}
	go func() {
		s.why = s.client.Wait()
		close(s.ended)
	}()
	go s.keepAlive(sshKeepalive, sshSilence)
	return s, nil
}

// unreachable says why there is no stream to a machine.
func (m *Machine) unreachable(err error) error {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &dns):
		return fmt.Errorf("the name %s cannot be resolved: correct it, or write an address: %w", m.Host, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: start sshd there, or correct host or port: %w", m.Address(), err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s has not answered for %v: is the machine on, and reachable from here? %w", m.Address(), sshPatience, err)
	}
	return fmt.Errorf("%s cannot be reached: correct host or port, or the network: %w", m.Address(), err)
}

// credentials are what somebody logs in with.
type credentials struct {
	signers func() ([]ssh.Signer, error)
	offered string // what an error says of them
	close   func()
}

// credentials are the key of the hosts file, or those of the SSH agent.
func (m *Machine) credentials() (*credentials, error) {
	if m.Key == "" {
		return agentCredentials()
	}
	text, err := os.ReadFile(m.Key)
	if err != nil {
		return nil, fmt.Errorf("the key of %s cannot be read: correct key in the hosts file: %w", m.User, err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		return nil, fmt.Errorf("the key %s is encrypted: give it to the SSH agent (ssh-add %s), and leave key out of the hosts file", m.Key,
			m.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no private key: write the path of one, without .pub: %w", m.Key, err)
	}
	return &credentials{func() ([]ssh.Signer, error) { return []ssh.Signer{signer}, nil }, m.Key + " was offered", func() {}}, nil
}

func agentCredentials() (*credentials, error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, errors.New("there is no key in the hosts file, and no SSH agent ($SSH_AUTH_SOCK): write key: FILE, or start an agent " +
			"(eval $(ssh-agent); ssh-add)")
	}
	stream, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("the SSH agent ($SSH_AUTH_SOCK) does not answer: start one, or write key: FILE in the hosts file: %w", err)
	}
	a := agent.NewClient(stream)
	list, err := a.List()
	if err == nil && len(list) == 0 {
		err = errors.New("add one (ssh-add), or write key: FILE in the hosts file")
	}
	if err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("the SSH agent has no keys: %w", err)
	}
	return &credentials{a.Signers, fmt.Sprintf("%d of the SSH agent were offered", len(list)), func() { _ = stream.Close() }}, nil
}

// knownHosts are the keys of hosts.
type knownHosts struct {
	check      ssh.HostKeyCallback
	algorithms []string // to agree on: certificates, where authorities are known, then keys that are known, then all
}

// readKnownHosts reads the machine's known hosts. Without the file, none is known.
func (m *Machine) readKnownHosts() (k knownHosts, err error) {
	text, err := os.ReadFile(m.KnownHosts)
	if errors.Is(err, fs.ErrNotExist) {
		k.check, err = knownhosts.New()
		return k, err
	}
	if err == nil {
		k.check, err = knownhosts.New(m.KnownHosts)
	}
	if err != nil {
		return k, fmt.Errorf("the keys of hosts cannot be read: correct known_hosts: %w", err)
	}
	// A daemon has keys of several types, and shows the one of the type that was agreed on. It is asked for a known one: any other
	// would look like an attack. Which are known is what the check misses in a key that nobody has.
	stranger, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return k, err
	}
	all := ssh.SupportedAlgorithms().HostKeys
	if bytes.Contains(text, []byte("@cert-authority")) {
		for _, a := range all {
			if strings.Contains(a, "-cert-") {
				k.algorithms = append(k.algorithms, a)
			}
		}
	}
	var missed *knownhosts.KeyError
	if errors.As(k.check(m.Address(), &net.TCPAddr{}, stranger), &missed) {
		for _, w := range missed.Want {
			if t := w.Key.Type(); t == ssh.KeyAlgoRSA {
				k.algorithms = append(k.algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			} else {
				k.algorithms = append(k.algorithms, t)
			}
		}
	}
	k.algorithms = append(k.algorithms, all...)
	return k, nil
}

// checkHostKey says what is wrong with the key that a host shows.
func (m *Machine) checkHostKey(k knownHosts, address string, remote net.Addr, key ssh.PublicKey) error {
	err := k.check(address, remote, key)
	what := key.Type() + " " + ssh.FingerprintSHA256(key)
	var problem *knownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &problem):
		return fmt.Errorf("the key of the SSH daemon, %s, is refused: %w", what, err)
	case len(problem.Want) == 0:
		return fmt.Errorf("the key of the SSH daemon is not known: %s: where that is what ssh-keygen -l -f /etc/ssh/ssh_host_*_key.pub says on "+
			"the machine itself, add this line to %s (ssh-keyscan -p %d %s prints it, too):\n%s", what, m.KnownHosts, m.Port, m.Host,
			knownhosts.Line([]string{address}, key))
	}
	was := problem.Want[0]
	for _, w := range problem.Want {
		if w.Key.Type() == key.Type() {
			was = w
		}
	}
	return fmt.Errorf("THE KEY OF THE SSH DAEMON HAS CHANGED: somebody may be listening in between. It is %s, and line %d of %s says %s %s. "+
		"Where the machine is known to have a new key, delete that line (ssh-keygen -f %s -R '%s')", what, was.Line, was.Filename,
		was.Key.Type(), ssh.FingerprintSHA256(was.Key), was.Filename, knownhosts.Normalize(address))
}

// keepAlive asks again and again whether the machine is there, and ends the connection where it is not.
func (s *connection) keepAlive(every, silence time.Duration) {
	for {
		select {
		case <-s.ended:
			return
		case <-time.After(every):
		}
		late := time.AfterFunc(silence, func() {
			s.silent.Store(true)
			_ = s.client.Close()
		})
		_, _, _ = s.client.SendRequest("keepalive@openssh.com", true, nil) // any answer will do; without a connection it has ended
		late.Stop()
	}
}

// broken says so where the connection has ended, which is why err happened.
func (s *connection) broken(err error) error {
	select {
	case <-s.ended:
	case <-time.After(100 * time.Millisecond): // what runs over a connection may end before it
		return nil
	}
	if s.silent.Load() {
		err = fmt.Errorf("the machine did not answer for %v: %w", sshSilence, err)
	}
	return fmt.Errorf("the SSH connection has broken (%w): is the machine on, and reachable? Try again", errors.Join(s.why, err))
}

// dialSocket connects the engine's socket.
func (s *connection) dialSocket(ctx context.Context, _, _ string) (net.Conn, error) {
	stream, err := s.client.DialContext(ctx, "unix", s.machine.Socket)
	var rejected *ssh.OpenChannelError
	if errors.As(err, &rejected) {
		return nil, s.whyNoSocket(ctx, err)
	}
	return stream, err
}

// socketProbe says why the socket, its argument, cannot be connected.
const socketProbe = `if [ ! -e "$1" ]; then echo none; elif [ ! -S "$1" ]; then echo none; elif [ ! -w "$1" ]; then echo denied; ` +
	`elif docker -H "unix://$1" version >/dev/null 2>&1; then echo forbidden; else echo silent; fi`

// whyNoSocket looks on the machine why its socket cannot be connected: OpenSSH's daemon answers the same whatever it is.
func (s *connection) whyNoSocket(ctx context.Context, err error) error {
	socket, user := s.machine.Socket, s.machine.User
	none := fmt.Sprintf("there is no %s: install Docker there and start it, or correct socket in the hosts file", socket)
	denied := fmt.Sprintf("%s may not use %s: add %s to its group there (sudo usermod -aG docker %s)", user, socket, user, user)
	forbidden := "its sshd forbids streams to sockets: allow them in sshd_config (AllowStreamLocalForwarding yes, AllowTcpForwarding yes, no DisableForwarding, no PermitOpen) " +
		"and for the key (no restrict or no-port-forwarding in authorized_keys)"
	silent := fmt.Sprintf("nobody answers at %s: start the engine there (sudo systemctl start docker)", socket)
	var rejected *ssh.OpenChannelError
	if errors.As(err, &rejected) && rejected.Reason == ssh.Prohibited {
		return fmt.Errorf("%s: %w", forbidden, err)
	}
	switch s.ask(ctx, socketProbe, socket) {
	case "none":
		return fmt.Errorf("%s: %w", none, err)
	case "denied":
		return fmt.Errorf("%s: %w", denied, err)
	case "forbidden":
		return fmt.Errorf("%s: %w", forbidden, err)
	case "silent":
		return fmt.Errorf("%s; or %s: %w", silent, forbidden, err)
	}
	return fmt.Errorf("%s cannot be connected, for one of these reasons: %s; %s; %s; %s: %w", socket, none, denied, silent, forbidden, err)
}

// ask runs a script of the POSIX shell with an argument on the machine; empty where it may not.
func (s *connection) ask(ctx context.Context, script, argument string) string {
	session, err := s.client.NewSession()
	if err != nil {
		return ""
	}
	defer session.Close() // of no use any more, whatever it says
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
	said, err := session.Output("sh -c " + quote(script) + " sh " + quote(argument))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(said))
}

// dial connects an address of the machine's network, as the machine does.
func (s *connection) dial(ctx context.Context, network, address string) (net.Conn, error) {
	stream, err := s.client.DialContext(ctx, network, address)
	var rejected *ssh.OpenChannelError
	if errors.As(err, &rejected) && rejected.Reason == ssh.Prohibited {
		return nil, fmt.Errorf("its sshd forbids connections: allow them in sshd_config (AllowTcpForwarding yes, no PermitOpen): %w", err)
	}
	return stream, err
}

func (s *connection) close() error {
	err := s.client.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil // it has ended before
	}
	return err
}
