package cmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Learners near the optimum pass, and what is asked for wrongly is refused by name.
func TestLearnerValidate(t *testing.T) {
	dir := t.TempDir()
	status, stdout, stderr := p2pfaas(t, "learner", "validate", "--fast", "--select", "ACCESS-P001,DEADMDP-P002", "--learner",
		"sarsa,tiles", "--policy", "--out", dir)
	if pictures, _ := filepath.Glob(filepath.Join(dir, "*.svg")); len(pictures) != 4 {
		t.Errorf("pictures: %v", pictures)
	}
	if status != 0 || strings.Count(stdout, " ok ") != 4 || !strings.Contains(stdout, "2.64689") ||
		!strings.Contains(stdout, "share of decisions") {
		t.Errorf("status %d\n%s\n%s", status, stdout, stderr)
	}
	status, stdout, _ = p2pfaas(t, "learner", "validate", "--steps", "2000", "--seeds", "1", "--select", "ACCESS-P001",
		"--learner", "sarsa", "--json")
	var rows []struct {
		Ratio, Required float64
	}
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || status != 1 || len(rows) != 1 || rows[0].Ratio > 0.95 {
		t.Errorf("who has hardly learned: status %d, %+v, %v", status, rows, err)
	}
	file := filepath.Join(t.TempDir(), "own.csv")
	own := "case_id,table,model,params,metric,value,kind,source\nMINE,NAOR,m,lam=0.7;mu=1;R=6;C=1,gain_social,1,closed,me\n"
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = p2pfaas(t, "learner", "validate", "--fast", "--values", file, "--learner", "q-learning")
	if status != 0 || !strings.Contains(stdout, "MINE") {
		t.Errorf("a problem of one's own: status %d\n%s\n%s", status, stdout, stderr)
	}
	for args, says := range map[string]string{"--select LLS": "ACCESS", "--learner sarse": "sarsa", "--seeds 0": "--seeds",
		"--values nowhere.csv": "nowhere.csv"} {
		status, _, stderr := p2pfaas(t, append([]string{"learner", "validate"}, strings.Fields(args)...)...)
		if status != 2 || !strings.Contains(stderr, says) {
			t.Errorf("%s: status %d, %s", args, status, stderr)
		}
	}
}
