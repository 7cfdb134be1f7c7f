package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/p2pfaas/p2pfaas/realnet"
)

// The token of a deployment's nodes. It is in a directory of the deployment's that its user alone may enter, and nowhere else: the plan says
// where a node finds it, and identifies it, so that a node with another one is made anew.

// Where nodes find it: of compose and Kubernetes in a mount of its own, of the target hosts beside the plan's files, in the volume that is
// the node's alone.
const (
	MountedToken = "/secrets/" + tokenName
	CopiedToken  = FilesDir + "/" + tokenName
)

// tokenFile is the path of the deployment's token.
func (d *Deployment) tokenFile() string { return filepath.Join(d.Dir, secretsName, tokenName) }

// Token is the deployment's token; a new one, where there is none yet.
func (d *Deployment) Token() (string, error) {
	token, err := realnet.ReadToken(d.tokenFile())
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	token = realnet.NewToken()
	return token, WriteToken(d.Dir, token)
}

// WriteToken writes a token into the directory of a deployment, where its user alone gets at it. The file itself may be read by all: in a
// container, where it is mounted alone, its reader is another user.
func WriteToken(dir, token string) error {
	path := filepath.Join(dir, secretsName, tokenName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil { // it may have been there
		return err
	}
	return os.WriteFile(path, []byte(token+"\n"), 0o444)
}

// Credentials are what the deployment's nodes ask for; nil: nothing.
func (d *Deployment) Credentials() (*realnet.Credentials, error) {
	if d.Target == TargetLocal || d.Plan == nil || d.Plan.Token == "" { // processes on loopback, or made before there were tokens
		return nil, nil
	}
	token, err := realnet.ReadToken(d.tokenFile())
	if err != nil {
		return nil, fmt.Errorf("the token of the deployment %s: %w", d.Name, err)
	}
	return realnet.NewCredentials(token)
}

// identify is what a plan says of a token: that it is another one.
func identify(token string) string {
	sum := sha256.Sum256([]byte("p2pfaas plan\n" + token))
	return hex.EncodeToString(sum[:6])
}
