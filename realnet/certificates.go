package realnet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Making certificates: an authority of the cluster's own, which signs one for each node and one for clients.

// authorityLife is how long an authority is good: longer than any certificate that it signs.
const authorityLife = 20 * 365 * 24 * time.Hour

// NewToken draws a token of 256 bits.
func NewToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// MakeCertificates makes what is missing in a directory: an authority (ca.pem, ca.key), a certificate for each host (HOST.pem, HOST.key)
// and one for clients (client.pem, client.key), which are good for so long, and a token. It returns the names of the files that it made.
// What is secret its user alone may read.
func MakeCertificates(dir string, hosts []string, life time.Duration) (made []string, err error) {
	var problems []error
	for _, h := range hosts {
		switch {
		case net.ParseIP(h) != nil:
		case !IsHostName(h): // it is the name of files, too
			problems = append(problems, fmt.Errorf("--host %.80q: write an IP address, or a host name", h))
		case h == "ca" || h == "client":
			problems = append(problems, fmt.Errorf("--host %s: the authority's and the clients' files are called so: give the IP address", h))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	m := &certificateMaker{dir: dir}
	if err := m.openAuthority(); err != nil {
		return m.made, err
	}
	for _, h := range hosts {
		c := m.template(h, life)
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		// Health checks call a node from its own machine.
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, []string{"localhost"}
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
		if err := m.issue(h, c); err != nil {
			return m.made, err
		}
	}
	if err := m.issue("client", m.template("client", life)); err != nil {
		return m.made, err
	}
	if !m.has("token") {
		err = m.write("token", []byte(NewToken()+"\n"), 0o600)
	}
	return m.made, err
}

// certificateMaker is one call of MakeCertificates.
type certificateMaker struct {
	dir       string
	made      []string
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
}

func (m *certificateMaker) has(name string) bool {
	_, err := os.Lstat(filepath.Join(m.dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// write writes a file that is not there.
func (m *certificateMaker) write(name string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(filepath.Join(m.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		m.made = append(m.made, filepath.Join(m.dir, name))
	}
	return err
}

// openAuthority reads the authority of the directory, or makes one.
func (m *certificateMaker) openAuthority() error {
	if !m.has("ca.pem") && !m.has("ca.key") {
		now := time.Now()
		c := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "p2pfaas authority"}, NotBefore: now.Add(-time.Hour),
			NotAfter: now.Add(authorityLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign}
		return m.sign("ca", c)
	}
	text, err1 := os.ReadFile(filepath.Join(m.dir, "ca.pem"))
	secret, err2 := os.ReadFile(filepath.Join(m.dir, "ca.key"))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("the authority is there in part: remove what is left of it, and all that it has signed: %w", err)
	}
	for _, x := range []struct {
		name string
		text []byte
		take func(der []byte) error
	}{
		{"ca.pem", text, func(der []byte) (err error) { m.authority, err = x509.ParseCertificate(der); return err }},
		{"ca.key", secret, func(der []byte) (err error) { m.key, err = x509.ParseECPrivateKey(der); return err }},
	} {
		b, _ := pem.Decode(x.text)
		err := errors.New("it is no PEM")
		if b != nil {
			err = x.take(b.Bytes)
		}
		if err != nil {
			return fmt.Errorf("%s is none of an authority: %w", filepath.Join(m.dir, x.name), err)
		}
	}
	return nil
}

func (m *certificateMaker) template(name string, life time.Duration) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// issue makes a certificate with its key, where they are not there.
func (m *certificateMaker) issue(name string, c *x509.Certificate) error {
	switch certificate, key := m.has(name+".pem"), m.has(name+".key"); {
	case certificate && key:
		return nil
	case certificate || key:
		return fmt.Errorf("%s has one of %s.pem and %s.key: remove it, so that both are made anew", m.dir, name, name)
	}
	return m.sign(name, c)
}

// sign makes a certificate with its key. Without an authority it becomes that.
func (m *certificateMaker) sign(name string, c *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if m.authority == nil {
		m.authority, m.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, m.authority, key.Public(), m.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := m.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return m.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
