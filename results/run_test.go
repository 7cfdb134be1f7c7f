package results

import "testing"

// A digest is of a simulation alone: of a real run nothing is told in its place.
func TestRealRunsHaveNoDigest(t *testing.T) {
	for world, want := range map[string]bool{"sim": true, "real": false} {
		r := &Run{World: world, Points: []*Point{{Replications: []*Replication{{Tally: NewTally("f")}}}}}
		m := r.manifest()
		if (m.Digest != "") != want || (len(m.Points[0].Digests) > 0) != want {
			t.Errorf("%s: digest %q, of replications %q", world, m.Digest, m.Points[0].Digests)
		}
	}
}
