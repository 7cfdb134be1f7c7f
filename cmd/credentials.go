package cmd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

// credentialFlags say what a node asks of its callers, and what nodes and commands show to nodes. The token itself is never a flag:
// others on the machine see those.
type credentialFlags struct {
	tokenFile string
	tls       struct{ certificate, key, authority string }
}

func (f *credentialFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.tokenFile, "token-file", "", "`file` with the token that the nodes of a cluster share (or the token itself in the variable "+
		realnet.TokenVariable+")")
	fl.StringVar(&f.tls.certificate, "tls-cert", "", "`file` with the own certificate: all connections with nodes are TLS then (p2pfaas certs makes it)")
	fl.StringVar(&f.tls.key, "tls-key", "", "`file` with the key of --tls-cert")
	fl.StringVar(&f.tls.authority, "tls-ca", "", "`file` with the certificate of the authority that the certificates of all nodes are from")
}

// read reads what the flags name; nil: they name nothing.
func (f *credentialFlags) read() (*realnet.Credentials, error) {
	var problems []error
	token := os.Getenv(realnet.TokenVariable)
	if f.tokenFile != "" {
		if token != "" {
			problems = append(problems, fmt.Errorf("--token-file and %s both say the token: leave one out", realnet.TokenVariable))
		}
		var err error
		token, err = realnet.ReadToken(f.tokenFile)
		if err != nil {
			problems = append(problems, fmt.Errorf("--token-file: %w", err))
		} else if f.tokenFile != deploy.MountedToken { // which is alone in its container
			warnOfOthers("token", f.tokenFile)
		}
	}
	certificates := f.tls.certificate != "" || f.tls.key != "" || f.tls.authority != ""
	if token == "" && !certificates {
		return nil, errors.Join(problems...)
	}
	c, err := realnet.NewCredentials(token)
	if err != nil {
		return nil, errors.Join(append(problems, err)...)
	}
	switch {
	case !certificates:
	case f.tls.certificate == "" || f.tls.key == "" || f.tls.authority == "":
		problems = append(problems, errors.New("TLS wants all of --tls-cert, --tls-key and --tls-ca: p2pfaas certs makes the files"))
	default:
		if err := c.SetCertificate(f.tls.certificate, f.tls.key, f.tls.authority); err != nil {
			problems = append(problems, fmt.Errorf("--tls-cert, --tls-key, --tls-ca: %w", err))
		} else {
			warnOfOthers("key", f.tls.key)
		}
	}
	return c, errors.Join(problems...)
}

// warnOfOthers warns where others on this machine may read a file, by its mode and that of its directory.
func warnOfOthers(what, path string) {
	file, err1 := os.Stat(path)
	dir, err2 := os.Stat(filepath.Dir(path))
	if err1 == nil && err2 == nil && file.Mode().Perm()&0o007 != 0 && dir.Mode().Perm()&0o001 != 0 {
		slog.Warn("others on this machine may read the "+what+": chmod 600 its file", "file", path)
	}
}

// credentials are those of a deployment, or what the flags name; d nil: there is none. A deployment knows its own.
func (f *credentialFlags) credentials(d *deploy.Deployment) (*realnet.Credentials, error) {
	c, err := f.read()
	if err != nil || d == nil || c != nil {
		return c, err
	}
	return d.Credentials()
}
