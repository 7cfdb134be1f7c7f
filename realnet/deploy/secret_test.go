package deploy

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/image"
)

// A deployment's token is in one file, which its user alone gets at; nodes get it as a file, functions do not, and nothing that is written down,
// shown by an engine or seen by ps has it.
func TestTheTokenIsHandedOut(t *testing.T) {
	d, err := NewDeployment(t.TempDir(), "test", TargetCompose)
	if err != nil {
		t.Fatal(err)
	}
	token, err := d.Token()
	if err != nil || len(token) < 32 {
		t.Fatalf("a token of %d characters, %v", len(token), err)
	}
	if again, err := d.Token(); err != nil || again != token {
		t.Errorf("asked again there is another one, %v", err)
	}
	if at, err := os.Stat(filepath.Join(d.Dir, secretsName)); err != nil || at.Mode().Perm() != 0o700 {
		t.Errorf("its directory has the mode %v, %v", at.Mode(), err)
	}
	plan := func(token string) *Plan {
		o := options(t, equal)
		o.Token, o.TokenFile = token, MountedToken
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p, other := plan(token), plan(strings.Repeat("x", 32))
	if d.Plan = p; d.Save() != nil {
		t.Fatal("the deployment is not saved")
	}
	c, err := d.Credentials()
	if err != nil || !c.Token() {
		t.Errorf("the deployment has the credentials %v, %v", c, err)
	}
	for i := range p.Nodes {
		for k := range p.Nodes[i].Containers {
			x, y := &p.Nodes[i].Containers[k], &other.Nodes[i].Containers[k]
			node := x.Role == RoleNode
			if got := slices.Contains(x.Command, MountedToken); got != node {
				t.Errorf("%s is told of the token: %v", x.Name, got)
			}
			if differ := p.Hash(x) != other.Hash(y); differ != node {
				t.Errorf("with another token %s is made anew: %v", x.Name, differ)
			}
		}
	}
	compose, err := p.Compose()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(compose), "./secrets/token:/secrets/token:ro"); got != len(p.Nodes) {
		t.Errorf("%d services of %d nodes have the token:\n%s", got, len(p.Nodes), compose)
	}
	state, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"the plan": state, "the compose file": compose} {
		if bytes.Contains(text, []byte(token)) {
			t.Errorf("%s shows the token", name)
		}
	}
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "scenario.yaml"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"", token} {
		packed, err := pack(files, secret)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for r := tar.NewReader(bytes.NewReader(packed)); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			text, _ := io.ReadAll(r)
			if h.Name == tokenName {
				found = string(text) == token && h.Mode == 0o400 && h.Uid == image.UID
			}
		}
		if found != (secret != "") || bytes.Contains(packed, []byte(token)) != (secret != "") {
			t.Errorf("files with the token %v have it: %v", secret != "", found)
		}
	}
}

// Names that would mean something to a shell, a path or an engine are refused before anything is made of them.
func TestNastyNames(t *testing.T) {
	for _, name := range []string{"", "..", "../x", "a/b", "/etc", "-rf", "a b", "a'b", `a"b`, "a;b", "$(a)", "`a`", "a\nb", "a\x00b", "ä", "A", strings.Repeat("a", 41)} {
		if checkName(name) == nil {
			t.Errorf("a deployment may be called %q", name)
		}
		if _, err := Lock(t.TempDir(), name); err == nil {
			t.Errorf("a deployment %q can be locked", name)
		}
		if _, err := Open(t.TempDir(), name); err == nil {
			t.Errorf("a deployment %q can be opened", name)
		}
		if name == "A" || strings.HasPrefix(name, "aaa") {
			continue // a function may
		}
		if _, err := ImageOf("test", name, "image:1", "."); err == nil {
			t.Errorf("a function may be called %q", name)
		}
	}
	for _, host := range []string{"-oProxyCommand=x", "a b", "a;b", "$(a)", "a/b", "a'b", "pi@a", "a\nb"} {
		file, err := json.Marshal(map[string]any{"hosts": []map[string]string{{"host": host, "user": "pi"}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = readInventory(t.Context(), "h", file, names)
		if err == nil || !strings.Contains(err.Error(), "no name or address of a host") {
			t.Errorf("the host %q: %v", host, err)
		}
	}
}
