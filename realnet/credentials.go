package realnet

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// What a cluster's nodes, and those who run it, know each other by: a token that all share, certificates of one authority,
// or both.

// leastToken is how long a token must be, in characters. Nothing bounds how many an attacker may try but this: 32 characters
// drawn from 16 are 128 bits.
const leastToken = 32

// TokenVariable is the variable that may hold the token, where no file does.
const TokenVariable = "P2PFAAS_TOKEN"

// Credentials are shown to services that are called, and asked of callers. Nil: nothing is shown, nor asked.
type Credentials struct {
	token     string            // empty: there is none
	digest    [sha256.Size]byte // of it
	authority *x509.CertPool    // nil: there are no certificates
	own       tls.Certificate   // of this node, or this client
}

// String keeps what is secret out of logs, whatever formats it.
func (c *Credentials) String() string { return "(credentials)" }

// GoString implements fmt.GoStringer.
func (c *Credentials) GoString() string { return c.String() }

// NewCredentials checks a token; empty: there is none.
func NewCredentials(token string) (*Credentials, error) {
	for _, r := range token {
		if r <= ' ' || r >= 0x7f {
			return nil, errors.New("the token has a character that no header can have: write letters and digits, as openssl rand -hex 32 prints them")
		}
	}
	if token != "" && len(token) < leastToken {
		return nil, fmt.Errorf("the token has %d characters, and could be guessed: write %d or more, as openssl rand -hex 32 prints them",
			len(token), leastToken)
	}
	return &Credentials{token: token, digest: sha256.Sum256([]byte(token))}, nil
}

// ReadToken reads a file that holds nothing but a token.
func ReadToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("%s is empty: write a token into it, as openssl rand -hex 32 prints one", path)
	}
	return token, nil
}

// SetCertificate has all connections be TLS, and both sides show a certificate of the authority. The files are in PEM.
func (c *Credentials) SetCertificate(certificate, key, authority string) error {
	own, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("the certificate %s with the key %s: %w", certificate, key, err)
	}
	text, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s holds no certificate in PEM: give the ca.pem that p2pfaas certs has made", authority)
	}
	if _, err := own.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("the certificate %s is not good with the authority %s: %w", certificate, authority, err)
	}
	c.own, c.authority = own, pool
	return nil
}

// expirySoon is how long before its end a certificate is complained about.
const expirySoon = 30 * 24 * time.Hour

// CheckCertificate reports what others will find wrong with the certificate of a node that they know by ip, or soon; an empty ip is not looked at.
func (c *Credentials) CheckCertificate(ip string, now time.Time) error {
	if !c.TLS() {
		return nil
	}
	var problems []error
	if ip != "" {
		problems = append(problems, c.own.Leaf.VerifyHostname(ip))
	}
	if end := c.own.Leaf.NotAfter; now.After(end.Add(-expirySoon)) {
		problems = append(problems, fmt.Errorf("it is good until %v", end.UTC().Format(time.DateTime)))
	}
	return errors.Join(problems...)
}

// Token reports whether there is a token.
func (c *Credentials) Token() bool { return c != nil && c.token != "" }

// TLS reports whether there are certificates.
func (c *Credentials) TLS() bool { return c != nil && c.authority != nil }

// check reports whether a caller has shown what it must. A token that was right is taken from the request: nobody else
// is to see it.
func (c *Credentials) check(r *http.Request) bool {
	if c == nil {
		return false
	}
	known := c.TLS() && r.TLS != nil && len(r.TLS.VerifiedChains) > 0
	if !c.Token() {
		return known
	}
	for _, name := range [...]string{headerCredentials, "Authorization"} {
		for _, value := range r.Header[name] {
			if scheme, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "Bearer") && c.isToken(strings.TrimSpace(token)) {
				known = true
				r.Header.Del(name)
				break
			}
		}
	}
	return known
}

// isToken compares in a time that does not depend on how much is right, nor on the length.
func (c *Credentials) isToken(token string) bool {
	digest := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(digest[:], c.digest[:]) == 1
}

// Listening is what a server of TLS is made of; nil: there are no certificates. Who shows none may call functions.
func (c *Credentials) listening() *tls.Config {
	if !c.TLS() {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c.own}, ClientCAs: c.authority,
		ClientAuth: tls.VerifyClientCertIfGiven, NextProtos: []string{"http/1.1"}} // websockets want HTTP/1.1
}

// Client shows the credentials to the services that it calls by t, and calls them by TLS where there are certificates, be their URLs
// http. It is for services of the cluster alone: whoever is called learns the token. So it goes where it is told and nowhere else: by
// no proxy where there are credentials, and to no place that an answer redirects to, which is returned as it came.
func (c *Credentials) Client(t *http.Transport) *http.Client {
	client := &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c == nil {
		return client
	}
	t.Proxy = nil
	if c.TLS() {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c.own}, RootCAs: c.authority}
	}
	client.Transport = &showing{credentials: c, to: t}
	return client
}

// showing is a RoundTripper that shows credentials.
type showing struct {
	credentials *Credentials
	to          *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (s *showing) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.Clone(r.Context())
	if s.credentials.Token() {
		q.Header.Set(headerCredentials, "Bearer "+s.credentials.token)
	}
	if s.credentials.TLS() && q.URL.Scheme == "http" {
		q.URL.Scheme = "https"
	}
	return s.to.RoundTrip(q)
}

// CloseIdleConnections is what http.Client looks for.
func (s *showing) CloseIdleConnections() { s.to.CloseIdleConnections() }

// sealLength is that of a seal in bytes.
const sealLength = 16

// seal is what stands behind a datagram, and proves that its sender has the token; nil: there is none.
func (c *Credentials) seal(datagram []byte) []byte {
	if !c.Token() {
		return nil
	}
	m := hmac.New(sha256.New, []byte(c.token))
	m.Write([]byte("p2pfaas membership\n")) // no seal is good for anything else
	m.Write(datagram)
	return m.Sum(nil)[:sealLength]
}

// unseal returns a datagram without its seal, if that is right.
func (c *Credentials) unseal(sealed []byte) (datagram []byte, ok bool) {
	if !c.Token() {
		return sealed, true
	}
	if len(sealed) < sealLength {
		return nil, false
	}
	datagram, seal := sealed[:len(sealed)-sealLength], sealed[len(sealed)-sealLength:]
	return datagram, hmac.Equal(seal, c.seal(datagram))
}
