package deploy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func goodEngine(t *testing.T) *fakeEngine {
	t.Helper()
	return (&fakeEngine{api: "1.41", arch: "arm64", processor: "aarch64"}).start(t)
}

// goodDaemon forwards to an engine, at the socket where it is looked for.
func goodDaemon(t *testing.T, e *fakeEngine) *sshDaemon {
	t.Helper()
	d := &sshDaemon{host: newKey(t), client: newKey(t), reason: ssh.ConnectionFailed, probe: "none"}
	if e != nil {
		d.sockets = map[string]string{"/var/run/docker.sock": e.socket}
	}
	return d.start(t)
}

func (d *sshDaemon) machine(t *testing.T) *Machine {
	t.Helper()
	return machineAt(t, d.address, know(t, d.address, d.host.signer.PublicKey()), d.client)
}

// fails wants an error that names the machine and has all these words, and no secret.
func fails(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("there is no error")
		return
	}
	if !strings.HasPrefix(err.Error(), "pi: ") {
		t.Errorf("the error does not begin with the machine's name: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Errorf("the error has a key: %v", err)
	}
}

func connect(t *testing.T, m *Machine) (*Engine, error) {
	t.Helper()
	e, err := Connect(t.Context(), m)
	if err == nil {
		t.Cleanup(func() { e.Close() })
	}
	return e, err
}

func TestEngineOverSSH(t *testing.T) {
	f := goodEngine(t)
	m := goodDaemon(t, f).machine(t)
	m.Architecture = "arm64"
	e, err := connect(t, m)
	if err != nil {
		t.Fatal(err)
	}
	if e.Platform != "linux/arm64" {
		t.Errorf("the platform is %s", e.Platform)
	}
	f.processor, f.arch = "armv7l", "arm"
	m.Architecture = "arm/v7"
	if e, err = connect(t, m); err != nil || e.Platform != "linux/arm/v7" {
		t.Errorf("a 32-bit machine: %v", err)
	}
	// What the machine reaches is called through it.
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") }))
	defer node.Close()
	answer, err := e.Nodes().Get(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if answer.Body.Close(); err != nil || string(text) != "here" {
		t.Errorf("the machine gets %q, %v", text, err)
	}
}

// A host with several keys shows the one that is known of it, and one with a certificate is known by who gave it.
func TestHostsWithSeveralKeys(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	d := &sshDaemon{host: newKey(t), client: newKey(t), more: []ssh.Signer{other}, sockets: map[string]string{engineSocket: goodEngine(t).socket}}
	d.start(t)
	for _, key := range []ssh.PublicKey{other.PublicKey(), d.host.signer.PublicKey()} {
		if _, err := connect(t, machineAt(t, d.address, know(t, d.address, key), d.client)); err != nil {
			t.Errorf("with its key %s: %v", key.Type(), err)
		}
	}

	authority := newKey(t).signer
	certificate := &ssh.Certificate{Key: d.host.signer.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"},
		ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	certified, err := ssh.NewCertSigner(certificate, d.host.signer)
	if err != nil {
		t.Fatal(err)
	}
	d = &sshDaemon{host: d.host, client: d.client, more: []ssh.Signer{certified}, sockets: d.sockets}
	d.start(t)
	m := machineAt(t, d.address, know(t, d.address, authority.PublicKey()), d.client)
	text, err := os.ReadFile(m.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.KnownHosts, bytes.Replace(text, []byte("["), []byte("@cert-authority ["), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, m); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
}

func TestNobodyGetsIn(t *testing.T) {
	good := goodDaemon(t, goodEngine(t))
	t.Run("wrong key", func(t *testing.T) {
		m := good.machine(t)
		m.Key = newKey(t).path
		_, err := connect(t, m)
		fails(t, err, "no key of somebody is accepted", m.Key+" was offered", "authorized_keys", "ssh-copy-id -p")
	})
	t.Run("unknown host", func(t *testing.T) {
		m := good.machine(t)
		for _, known := range []string{know(t, "192.0.2.1:22", newKey(t).signer.PublicKey()), filepath.Join(t.TempDir(), "none")} {
			m.KnownHosts = known
			_, err := connect(t, m)
			line := fmt.Sprintf("\n[127.0.0.1]:%d ssh-ed25519 ", m.Port)
			fails(t, err, "is not known", ssh.FingerprintSHA256(good.host.signer.PublicKey()), "add this line to "+known, "ssh-keyscan -p", line)
			// Whoever does as the error says gets in.
			m.KnownHosts = filepath.Join(t.TempDir(), "known_hosts")
			if err := os.WriteFile(m.KnownHosts, []byte(err.Error()[strings.Index(err.Error(), line)+1:]+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := connect(t, m); err != nil {
				t.Errorf("with the line of the error: %v", err)
			}
		}
	})
	t.Run("changed host key", func(t *testing.T) {
		m, other := good.machine(t), newKey(t).signer.PublicKey()
		m.KnownHosts = know(t, good.address, other)
		_, err := connect(t, m)
		fails(t, err, "HAS CHANGED", "line 2 of "+m.KnownHosts, ssh.FingerprintSHA256(other), ssh.FingerprintSHA256(good.host.signer.PublicKey()),
			"ssh-keygen -f "+m.KnownHosts+" -R '[127.0.0.1]:")
	})
	t.Run("nobody listens", func(t *testing.T) {
		m := good.machine(t)
		m.Port = 1
		_, err := connect(t, m)
		fails(t, err, "nobody listens at 127.0.0.1:1", "start sshd")
	})
	t.Run("unknown name", func(t *testing.T) {
		m := good.machine(t)
		m.Host = "nowhere..invalid" // no name server need be asked
		_, err := connect(t, m)
		fails(t, err, "nowhere..invalid cannot be resolved")
	})
	t.Run("no SSH daemon", func(t *testing.T) {
		web := httptest.NewServer(http.NotFoundHandler())
		defer web.Close()
		m := good.machine(t)
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(web.URL, "http://"))
		fmt.Sscan(port, &m.Port)
		_, err := connect(t, m)
		fails(t, err, "is no SSH daemon")
	})
	t.Run("keys that are none", func(t *testing.T) {
		m := good.machine(t)
		m.Key = filepath.Join(t.TempDir(), "none")
		_, err := connect(t, m)
		fails(t, err, "cannot be read", m.Key)
		if err := os.WriteFile(m.Key, ssh.MarshalAuthorizedKey(good.client.signer.PublicKey()), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = connect(t, m)
		fails(t, err, "is no private key", "without .pub")
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("a secret"))
		if err != nil {
			t.Fatal(err)
		}
		m.Key = storeKey(t, private, block).path
		_, err = connect(t, m)
		fails(t, err, "is encrypted", "ssh-add "+m.Key)
	})
	t.Run("interrupted", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0") // the connection is there, and nothing comes
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		m := machineAt(t, silent.Addr().String(), filepath.Join(t.TempDir(), "none"), good.client)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := Connect(ctx, m); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSSHAgent(t *testing.T) {
	d := goodDaemon(t, goodEngine(t))
	m := d.machine(t)
	text, err := os.ReadFile(m.Key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	m.Key = ""
	t.Setenv("SSH_AUTH_SOCK", "")
	_, err = connect(t, m)
	fails(t, err, "no SSH agent", "ssh-add", "key: FILE")

	keys := agent.NewKeyring()
	dir, err := os.MkdirTemp("", "agent") // the directory of a test may be too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = agent.ServeAgent(keys, c)
				c.Close()
			}()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", l.Addr().String())
	_, err = connect(t, m)
	fails(t, err, "the SSH agent has no keys", "ssh-add")
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Add(agent.AddedKey{PrivateKey: stranger}); err != nil {
		t.Fatal(err)
	}
	_, err = connect(t, m)
	fails(t, err, "no key of somebody is accepted; 1 of the SSH agent were offered")
	if err := keys.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, m); err != nil {
		t.Error(err)
	}
	l.Close()
	_, err = connect(t, m)
	fails(t, err, "does not answer")
}

func TestNoEngine(t *testing.T) {
	for _, c := range []struct {
		probe  string
		reason ssh.RejectionReason
		words  []string
	}{
		{"none", ssh.ConnectionFailed, []string{"there is no /var/run/docker.sock", "install Docker"}},
		{"denied", ssh.ConnectionFailed, []string{"somebody may not use /var/run/docker.sock", "usermod -aG docker somebody"}},
		{"forbidden", ssh.ConnectionFailed, []string{"AllowStreamLocalForwarding yes"}},
		{"silent", ssh.ConnectionFailed, []string{"nobody answers at /var/run/docker.sock", "systemctl start docker", "AllowStreamLocalForwarding"}},
		{"", ssh.ConnectionFailed, []string{"install Docker", "usermod", "systemctl", "AllowStreamLocalForwarding"}},
		{"", ssh.Prohibited, []string{"AllowStreamLocalForwarding yes"}},
	} {
		d := &sshDaemon{host: newKey(t), client: newKey(t), reason: c.reason, probe: c.probe}
		_, err := connect(t, d.start(t).machine(t))
		fails(t, err, c.words...)
	}
}

func TestEngineThatWillNotDo(t *testing.T) {
	f := goodEngine(t)
	d := goodDaemon(t, f)
	m := d.machine(t)
	m.Architecture = "amd64"
	_, err := connect(t, m)
	fails(t, err, "architecture: amd64, and its engine says arm64")
	m.Architecture = ""
	f.arch, f.processor = "arm", "armv6l"
	_, err = connect(t, m)
	fails(t, err, "armv6l, and arm/v7 is the least")
	f.answers = map[string]http.HandlerFunc{"GET /version": give(map[string]string{"Os": "windows", "Arch": "amd64"})}
	_, err = connect(t, m)
	fails(t, err, "containers of windows")
	for _, old := range []string{"1.40", "1.24"} {
		f.api = old
		_, err = connect(t, m)
		fails(t, err, `version "`+old+`" of the API`, "1.41 is needed", "Docker 20.10")
	}
}

func TestConnectionsThatEnd(t *testing.T) {
	f := goodEngine(t)
	d := goodDaemon(t, f)
	d.noTCP = true
	f.answers = map[string]http.HandlerFunc{"GET /containers/json": func(http.ResponseWriter, *http.Request) { d.hangUp() }}
	e, err := connect(t, d.machine(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.answers(t.Context(), "http://127.0.0.1:1/"); err == nil || !strings.Contains(err.Error(), "AllowTcpForwarding") {
		t.Errorf("a daemon that forbids connections: %v", err)
	}
	// The connection breaks while the engine is asked something, and stays broken.
	_, err = e.List(t.Context(), "x")
	for range 5 { // a busy machine may hear that the call has ended long before it hears that of the connection
		if err == nil || strings.Contains(err.Error(), "has broken") {
			break
		}
		if e, err = connect(t, d.machine(t)); err != nil {
			t.Fatal(err)
		}
		_, err = e.List(t.Context(), "x")
	}
	fails(t, err, "listing containers", "the SSH connection has broken")
	_, err = e.List(t.Context(), "x")
	fails(t, err, "listing containers", "the SSH connection has broken")
}

// A machine that goes silent is given up; one that answers is not.
func TestKeepAlive(t *testing.T) {
	f := goodEngine(t)
	// list uses a connection whose machine has been asked several times, and given so long for each answer.
	list := func(deaf bool, silence time.Duration) error {
		d := &sshDaemon{host: newKey(t), client: newKey(t), deaf: deaf, sockets: map[string]string{engineSocket: f.socket}}
		e, err := connect(t, d.start(t).machine(t))
		if err != nil {
			t.Fatal(err)
		}
		go e.connection.keepAlive(silence, silence)
		if deaf {
			<-e.connection.ended
		} else {
			time.Sleep(6 * silence)
		}
		_, err = e.List(t.Context(), "x")
		return err
	}
	fails(t, list(true, 30*time.Millisecond), "the SSH connection has broken", "the machine did not answer")
	err := list(false, 30*time.Millisecond)
	for silence := 60 * time.Millisecond; err != nil && silence < 10*time.Second; silence *= 2 { // a busy machine answers late
		err = list(false, silence)
	}
	if err != nil {
		t.Error(err)
	}
}

// The same with OpenSSH's own daemon.
func TestOpenSSH(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, client := newKey(t), newKey(t)
	f := goodEngine(t)
	machine := func(t *testing.T, options ...string) *Machine {
		address := startOpenSSH(t, host, client, options...)
		m := machineAt(t, address, know(t, address, host.signer.PublicKey()), client)
		m.User, m.Socket = me.Username, f.socket
		return m
	}
	m := machine(t)
	e, err := connect(t, m)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := e.List(t.Context(), "x"); err != nil || len(list) != 0 {
		t.Errorf("the engine lists %v, %v", list, err)
	}
	node := httptest.NewServer(http.NotFoundHandler())
	defer node.Close()
	if err := e.answers(t.Context(), node.URL); err != nil {
		t.Errorf("what the machine reaches: %v", err)
	}
	m.Key = newKey(t).path
	_, err = connect(t, m)
	fails(t, err, "no key of "+me.Username+" is accepted")
	m.Key, m.KnownHosts = client.path, know(t, "192.0.2.1:22", host.signer.PublicKey())
	_, err = connect(t, m)
	fails(t, err, "is not known", ssh.FingerprintSHA256(host.signer.PublicKey()))

	m = machine(t)
	m.Socket = "/nowhere/o'clock"
	_, err = connect(t, m)
	fails(t, err, "there is no /nowhere/o'clock")
	dead := filepath.Join(filepath.Dir(f.socket), "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	m.Socket = dead
	_, err = connect(t, m)
	fails(t, err, "nobody answers at "+dead)

	for _, o := range []string{"AllowStreamLocalForwarding=no", "AllowTcpForwarding=no", "DisableForwarding=yes", "PermitOpen=none"} {
		_, err = connect(t, machine(t, o))
		fails(t, err, "its sshd forbids streams to sockets", strings.Split(o, "=")[0])
	}
}

// startOpenSSH serves an address by OpenSSH's daemon with a configuration of its own, where there is one. Each connection has a process of
// its own, as by inetd: an address that the daemon is to listen at could meanwhile become another's.
func startOpenSSH(t *testing.T, host, client keyPair, options ...string) (address string) {
	t.Helper()
	program := "/usr/sbin/sshd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("this machine has no OpenSSH daemon: the package openssh-server brings it")
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // it wants to be confined to it
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	authorized := filepath.Join(dir, "authorized_keys")
	if err := os.WriteFile(authorized, ssh.MarshalAuthorizedKey(client.signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	words := []string{"-i", "-e", "-f", "/dev/null"}
	for _, o := range append(options, "HostKey="+host.path, "AuthorizedKeysFile="+authorized, "StrictModes=no", "UsePAM=no", "PermitRootLogin=yes") {
		words = append(words, "-o", o)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var daemons sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		daemons.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("sshd says:\n%s%v", text, err)
		}
	})
	daemons.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stream, err := c.(*net.TCPConn).File()
			c.Close()
			if err != nil {
				t.Error(err)
				return
			}
			daemon := exec.CommandContext(t.Context(), program, words...)
			daemon.Stdin, daemon.Stdout, daemon.Stderr = stream, stream, log
			err = daemon.Start()
			stream.Close()
			if err != nil {
				t.Error(err)
				return
			}
			daemons.Go(func() { _ = daemon.Wait() }) // it may have refused somebody
		}
	})
	return l.Addr().String()
}
