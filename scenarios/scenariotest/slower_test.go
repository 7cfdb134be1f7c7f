package scenariotest

import "testing"

func TestSlower(t *testing.T) {
	const text = "duration: 9s\nservice: {mean: 150ms}\nrate: 22/s\nnodes: 12\npayload: 4kB\n"
	if got, want := Slower(text, 4), "duration: 36s\nservice: {mean: 0.6s}\nrate: 5.5/s\nnodes: 12\npayload: 4kB\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
