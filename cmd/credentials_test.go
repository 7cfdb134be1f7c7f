package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A node with what certs has made, and the commands that ask it: with the token, with a certificate, with neither.
func TestCredentials(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	if status, said, problem := command(t, "certs", dir, "--host", "127.0.0.1"); status != 0 || strings.Count(said, "made ") != 7 {
		t.Fatalf("certs: status %d, %s%s", status, said, problem)
	}
	if status, said, _ := command(t, "certs", dir, "--host", "127.0.0.1"); status != 0 || !strings.Contains(said, "everything is there already") {
		t.Errorf("certs, again: status %d, %s", status, said)
	}
	of := func(name string) []string {
		return []string{"--tls-cert", filepath.Join(dir, name+".pem"), "--tls-key", filepath.Join(dir, name+".key"), "--tls-ca", filepath.Join(dir, "ca.pem")}
	}
	ports := freePorts(t, 2)
	token := []string{"--token-file", filepath.Join(dir, "token")}
	function := []string{"--function", "f=http://127.0.0.1:1/"}
	startNodeAt(t, ports[0], slices.Concat(function, token)...)
	startNodeAt(t, ports[1], slices.Concat(function, of("127.0.0.1"))...)
	text, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		port   int
		shown  []string
		status int
		says   string
	}{
		{ports[0], nil, 1, "401"},
		{ports[0], token, 0, "http://127.0.0.1:1/"},
		{ports[1], token, 1, ""}, // it is no HTTP
		{ports[1], of("client"), 0, "http://127.0.0.1:1/"},
		{ports[1], append(of("client"), token...), 0, "http://127.0.0.1:1/"},
	} {
		status, said, problem := command(t, append([]string{"function", "list", "--hosts", fmt.Sprint("127.0.0.1:", x.port)}, x.shown...)...)
		if status != x.status || !strings.Contains(said+problem, x.says) {
			t.Errorf("with %q: status %d, %s%s", x.shown, status, said, problem)
		}
		if strings.Contains(said+problem, strings.TrimSpace(string(text))) {
			t.Errorf("with %q the token is told: %s%s", x.shown, said, problem)
		}
	}
	for _, x := range [][]string{{fmt.Sprintf("http://127.0.0.1:%d/", ports[0])},
		append([]string{fmt.Sprintf("http://127.0.0.1:%d/", ports[1])}, of("client")...)} {
		if status, _, problem := command(t, append([]string{"health"}, x...)...); status != 0 {
			t.Errorf("health %q: status %d, %s", x, status, problem)
		}
	}
}
