package learner

import (
	"bytes"
	"math/rand/v2"
	"runtime/metrics"
	"testing"
)

// FuzzWeights: a file of weights makes the learner that it describes, which writes the same file again, or is refused; it takes
// no more memory than its length and the replay memory that it asks for give reason for.
func FuzzWeights(f *testing.F) {
	all := every()
	for _, name := range sortedNames(all) {
		var file bytes.Buffer
		if err := trained(f, all[name], 20).Weights().Write(&file); err != nil {
			f.Fatal(err)
		}
		if file.Len() < 16<<10 { // small ones are changed more often where it matters
			f.Add(file.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		taken := func() uint64 {
			s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
			metrics.Read(s)
			return s[0].Value.Uint64()
		}
		before := taken()
		w, err := ReadWeights(bytes.NewReader(text))
		if err != nil {
			return
		}
		_, replay := w.Config.numbers()
		if replay > 1<<20 {
			return // as bounded as smaller ones, and slower
		}
		l, err := NewFrom(w, *rand.NewPCG(1, 2))
		if most := 1<<20 + 64*uint64(len(text)) + 32*uint64(replay) + 64*uint64(w.Config.Replay.Capacity); taken()-before > most {
			t.Errorf("%d bytes of weights take %d bytes of memory", len(text), taken()-before)
		}
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		if err := l.Weights().Write(&once); err != nil {
			return // numbers that overflow have no JSON
		}
		if w, err = ReadWeights(bytes.NewReader(once.Bytes())); err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if l, err = NewFrom(w, *rand.NewPCG(1, 2)); err != nil {
			t.Fatalf("what was written makes no learner: %v", err)
		}
		if err := l.Weights().Write(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("%v: written again it differs:\n%s%s", err, once.Bytes(), twice.Bytes())
		}
	})
}
