package results

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestDrawAll writes every figure as PNG into $FIGURES.
func TestDrawAll(t *testing.T) {
	dir := os.Getenv("FIGURES")
	if dir == "" {
		t.Skip()
	}
	f := fixture{rates: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, replications: 5, requests: 4000, nodes: 12,
		schedulers: []string{"NoScheduler", "Random", "PowerOfNScheduler(fanout=1, threshold=2)", "JSQ", "LeastLoadedGossip"}}
	r := f.filled()
	begin := time.Now()
	for _, fig := range Figures(r) {
		if err := fig.Save(filepath.Join(dir, fig.Name+".png")); err != nil {
			t.Fatal(err)
		}
		if err := fig.Save(filepath.Join(dir, fig.Name+".svg")); err != nil {
			t.Fatal(err)
		}
		t.Log(fig.Name, fig.Caption)
	}
	t.Log(time.Since(begin))
	for i, p := range r.Points {
		p.Replications = nil
		if i > 60 {
			p.Wanted = 3
		}
	}
	r.Command = append(r.Command, "--set", "cluster.nodes=12 ")
	os.RemoveAll(filepath.Join(dir, "run"))
	w, err := Create(filepath.Join(dir, "run"), r)
	if err != nil {
		t.Fatal(err)
	}
	f.save(t, w, r, func(*Point, int) bool { return true })
	begin = time.Now()
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	t.Log("finish", time.Since(begin))
	begin = time.Now()
	if _, err := Open(r.Dir); err != nil {
		t.Fatal(err)
	}
	t.Log("open", time.Since(begin))
	Table(os.Stdout, r, true)
	Table(os.Stdout, r, false, "latency.mean", "drop_rate")
	if err := PlotXY(r, "scheduler", "latency.p95", "workload.rate", filepath.Join(dir, "rows.png")); err != nil {
		t.Fatal(err)
	}
	if err := PlotXY(r, "messages_per_request", "drop_rate", "", filepath.Join(dir, "metric.png")); err != nil {
		t.Fatal(err)
	}
}
