package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The target compose: the file is what runs, so that its user may go on with it by hand.

// composeProgram finds docker compose, or docker-compose.
func composeProgram(ctx context.Context) ([]string, error) {
	for _, words := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(ctx, words[0], append(words[1:], "version")...).Run() == nil {
			return words, nil
		}
	}
	return nil, errors.New("there is neither docker compose nor docker-compose: install one of them, or deploy with --target local")
}

// ComposeUp writes the compose file of a deployment, and has the compose program make it true. What is as it should be, it leaves alone.
func (d *Deployment) ComposeUp(ctx context.Context) error {
	text, err := d.Plan.Compose()
	if err != nil {
		return err
	}
	path := filepath.Join(d.Dir, composeName)
	if err := writeWhole(path, text); err != nil {
		return err
	}
	words, err := composeProgram(ctx)
	if err != nil {
		return err
	}
	words = append(words, "--project-name", d.Plan.project(), "--file", composeName, "up", "--detach", "--remove-orphans")
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Dir = d.Dir
	c.Env = append(os.Environ(), "COMPOSE_PARALLEL_LIMIT=32", "COMPOSE_HTTP_TIMEOUT=120")
	// Whoever interrupts this program interrupts what runs in its terminal, too: compose is told by this program alone.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s (in %s): %w\n%s", strings.Join(words, " "), d.Dir, err, lastLines(string(bytes.TrimSpace(out)), 12))
	}
	return nil
}
