package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pfaas/p2pfaas/cmd"
)

// Delays of M/M/1, which with very many places is M/M/1/K: their service rate is found, and all else agrees with them.
func TestValidateMeasured(t *testing.T) {
	dir := t.TempDir()
	write := func(name, first, sign string, places int) string {
		text := first
		for i := range 4 {
			lam := 0.5 + 0.5*float64(i)
			rho, served, all := lam/4, 0.0, 0.0
			for n := range places {
				w := math.Pow(rho, float64(n))
				served, all = served+w*float64(n+1), all+w
			}
			text += strings.ReplaceAll(fmt.Sprintf("%.2f %.6f\n", lam, served/all/4), ".", sign)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	points := write("points.txt", "# hash k3 mi5 linux\n", ".", 3)
	commas := write("commas.txt", "# hash k3 mi5 linux\n", ",", 3)
	bare := write("bare.txt", "", ".", 2)
	figure := filepath.Join(dir, "delay.svg")
	run := func(args ...string) (status int, out, said string) {
		var o, e bytes.Buffer
		status = cmd.Run(context.Background(), append([]string{"validate", "measured"}, args...), &o, &e)
		return status, o.String(), e.String()
	}
	status, out, said := run(points, "--plot", figure)
	for _, words := range []string{"hash, K = 3, 4 rows\n", "service rate: 4/s, fitted to the 2 rows below 1.25/s; the nominal one is 5/s\n",
		"predicted  formula     0.0 %       ", "of 4 rows\n"} {
		if status != 0 || !strings.Contains(out, words) {
			t.Errorf("exit status %d, and no %q: %s%s", status, words, out, said)
		}
	}
	if svg, err := os.ReadFile(figure); err != nil || !strings.Contains(string(svg), "formula, predicted") {
		t.Errorf("the figure: %v", err)
	}
	status, out, said = run(commas, "--decimal", "comma", "--json")
	var told []struct {
		File   string
		Places int
		Fitted float64 `json:"fitted_rate"`
		Rows   []struct {
			Rate, Measured, Formula, Simulated, Interval float64
			Fit                                          bool
			Scenario                                     string
		}
		Predicted struct{ Simulated struct{ Mean, Bias float64 } }
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil || status != 0 || len(told) != 1 {
		t.Fatalf("--json: exit status %d, %v: %s%s", status, err, out, said)
	}
	if x := told[0]; x.File != commas || x.Places != 3 || math.Abs(x.Fitted-4) > 1e-4 || len(x.Rows) != 4 || !x.Rows[1].Fit || x.Rows[2].Fit ||
		math.Abs(x.Rows[2].Simulated/x.Rows[2].Measured-1) > 0.02 || x.Predicted.Simulated.Mean > 0.02 {
		t.Errorf("--json says %+v", x)
	}
	if status, out, said := run(bare, "--places", "2"); status != 0 || !strings.Contains(out, "K = 2") || !strings.Contains(out, "service rate: 4/s") ||
		strings.Contains(out, "nominal") {
		t.Errorf("--places: exit status %d: %s%s", status, out, said)
	}
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{commas}, []string{commas + `: line 2: "0,50" is written`, "write --decimal comma"}},
		{[]string{points, "--decimal", "comma"}, []string{"leave out --decimal comma"}},
		{[]string{bare, filepath.Join(dir, "nowhere")}, []string{bare + ": no comment says", "--places K", "no such file"}},
		{[]string{points, bare, "--plot", figure, "--decimal", "dot", "--places", "0", "--workers", "0"},
			[]string{"--plot draws one file", "--decimal dot: write point or comma", "--places 0", "--workers 0"}},
		{[]string{points, "--places", "20000"}, []string{points, "20000 places"}},
		{[]string{points, "--plot", filepath.Join(dir, "delay.txt")}, []string{"svg, pdf or png"}},
		{nil, []string{"wants files of measured delays"}},
	} {
		status, out, said := run(c.args...)
		for _, words := range c.says {
			if status != 2 || out != "" || !strings.Contains(said, words) {
				t.Errorf("%q: exit status %d, and no %q: %s%s", c.args, status, words, out, said)
			}
		}
	}
}
