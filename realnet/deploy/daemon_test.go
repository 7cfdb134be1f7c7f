package deploy

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// What a machine consists of in the tests: an SSH daemon, and an engine behind a socket.

// keyPair is a key that logs in, or that of a host.
type keyPair struct {
	signer ssh.Signer
	path   string // of the private key
}

func newKey(t *testing.T) keyPair {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return storeKey(t, private, block)
}

func storeKey(t *testing.T, private ed25519.PrivateKey, block *pem.Block) keyPair {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	k := keyPair{signer, filepath.Join(t.TempDir(), "key")}
	if err := os.WriteFile(k.path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// sshDaemon answers as OpenSSH's does, in the process of the test.
type sshDaemon struct {
	host, client keyPair
	more         []ssh.Signer      // other keys of the host, or certificates
	sockets      map[string]string // where streams to sockets go; others are refused, as OpenSSH does
	reason       ssh.RejectionReason
	probe        string // what the shell says; empty: there is none
	noTCP        bool
	deaf         bool // to requests that are not about a channel
	connections  struct {
		sync.Mutex
		list []net.Conn
	}
	address string
}

func (d *sshDaemon) start(t *testing.T) *sshDaemon {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d.address = l.Addr().String()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(d.client.signer.PublicKey().Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil
	}}
	for _, s := range append(d.more, d.host.signer) {
		config.AddHostKey(s)
	}
	go func() {
		for {
			stream, err := l.Accept()
			if err != nil {
				return
			}
			d.connections.Lock()
			d.connections.list = append(d.connections.list, stream)
			d.connections.Unlock()
			go d.serve(stream, config)
		}
	}()
	return d
}

// hangUp breaks all connections.
func (d *sshDaemon) hangUp() {
	d.connections.Lock()
	defer d.connections.Unlock()
	for _, c := range d.connections.list {
		c.Close()
	}
}

func (d *sshDaemon) serve(stream net.Conn, config *ssh.ServerConfig) {
	defer stream.Close()
	_, channels, requests, err := ssh.NewServerConn(stream, config)
	if err != nil {
		return
	}
	if d.deaf {
		go func() {
			for range requests { // without an answer
			}
		}()
	} else {
		go ssh.DiscardRequests(requests)
	}
	for c := range channels {
		switch c.ChannelType() {
		case "direct-streamlocal@openssh.com":
			var m struct {
				Path, Reserved string
				Number         uint32
			}
			if ssh.Unmarshal(c.ExtraData(), &m) != nil || d.sockets[m.Path] == "" {
				_ = c.Reject(d.reason, "open failed")
				continue
			}
			go join(c, "unix", d.sockets[m.Path])
		case "direct-tcpip":
			var m struct {
				Host       string
				Port       uint32
				From       string
				FromNumber uint32
			}
			if ssh.Unmarshal(c.ExtraData(), &m) != nil || d.noTCP {
				_ = c.Reject(ssh.Prohibited, "open failed")
				continue
			}
			go join(c, "tcp", fmt.Sprintf("%s:%d", m.Host, m.Port))
		case "session":
			if d.probe == "" {
				_ = c.Reject(ssh.Prohibited, "")
				continue
			}
			go d.session(c)
		default:
			_ = c.Reject(ssh.UnknownChannelType, "")
		}
	}
}

// join connects a channel with what it wants.
func join(c ssh.NewChannel, network, address string) {
	there, err := net.Dial(network, address)
	if err != nil {
		_ = c.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	defer there.Close()
	here, requests, err := c.Accept()
	if err != nil {
		return
	}
	defer here.Close()
	go ssh.DiscardRequests(requests)
	go func() {
		_, _ = io.Copy(there, here)
		there.Close()
	}()
	_, _ = io.Copy(here, there)
}

func (d *sshDaemon) session(c ssh.NewChannel) {
	here, requests, err := c.Accept()
	if err != nil {
		return
	}
	defer here.Close()
	for r := range requests {
		_ = r.Reply(r.Type == "exec", nil)
		if r.Type == "exec" {
			_, _ = io.WriteString(here, d.probe+"\n")
			_, _ = here.SendRequest("exit-status", false, make([]byte, 4))
			return
		}
	}
}

// know is a file of known hosts with a key for an address.
func know(t *testing.T, address string, key ssh.PublicKey) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte("# of the test\n"+knownhosts.Line([]string{address}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// machineAt is a machine as a hosts file would have it.
func machineAt(t *testing.T, address, knownHosts string, key keyPair) *Machine {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	m := &Machine{Name: "pi", Host: host, User: "somebody", Key: key.path, KnownHosts: knownHosts, Socket: "/var/run/docker.sock", Nodes: 1, Bind: host}
	if _, err := fmt.Sscan(port, &m.Port); err != nil {
		t.Fatal(err)
	}
	return m
}

// fakeEngine answers as an engine does, at a socket of its own.
type fakeEngine struct {
	api, arch, processor string
	answers              map[string]http.HandlerFunc // by method and path, without the version
	socket               string

	mu     sync.Mutex
	called []string
}

func (f *fakeEngine) start(t *testing.T) *fakeEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", "p2pfaas") // the name of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f.socket = filepath.Join(dir, "engine")
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	s.Start()
	t.Cleanup(s.Close)
	return f
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/v1."); ok {
		path = rest[strings.IndexByte(rest, '/'):]
	}
	call := r.Method + " " + path
	f.mu.Lock()
	f.called = append(f.called, call)
	f.mu.Unlock()
	w.Header().Set("Api-Version", f.api)
	w.Header().Set("Content-Type", "application/json")
	answer := f.answers[call]
	switch {
	case answer != nil:
		answer(w, r)
	case path == "/_ping":
	case call == "GET /version":
		reply(w, http.StatusOK, map[string]string{"Version": "fake", "ApiVersion": f.api, "Os": "linux", "Arch": f.arch})
	case call == "GET /info":
		reply(w, http.StatusOK, map[string]string{"Architecture": f.processor})
	case call == "GET /containers/json" || call == "GET /networks":
		reply(w, http.StatusOK, []string{})
	case call == "GET /volumes":
		reply(w, http.StatusOK, map[string][]string{"Volumes": {}})
	default:
		reply(w, http.StatusNotFound, map[string]string{"message": "no such thing"})
	}
}

// count is how often a call was made.
func (f *fakeEngine) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.called {
		if c == call {
			n++
		}
	}
	return n
}

func reply(w http.ResponseWriter, status int, what any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what)
}

// refuse answers with an error, as an engine does.
func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reply(w, status, map[string]string{"message": message})
	}
}

// give answers with a value or, where that is a text, with it as it is.
func give(what any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if text, ok := what.(string); ok {
			_, _ = io.WriteString(w, text)
			return
		}
		reply(w, http.StatusOK, what)
	}
}
