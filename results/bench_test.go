package results

import (
	"testing"
)

func BenchmarkSave(b *testing.B) {
	f := fixture{rates: []float64{8}, schedulers: []string{"JSQ"}, replications: 1, requests: 5000, nodes: 12}
	r := f.run()
	w, err := Create(b.TempDir(), r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		rep := f.replication(r, r.Points[0], 1)
		b.StartTimer()
		if err := w.Save(r.Points[0], rep); err != nil {
			b.Fatal(err)
		}
	}
}
