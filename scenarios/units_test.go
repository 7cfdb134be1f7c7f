package scenarios

import (
	"math"
	"testing"
	"testing/quick"

	"gopkg.in/yaml.v3"
)

func plainNode(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

func TestQuantities(t *testing.T) {
	for _, c := range []struct {
		into scalar
		text string
		want string // canonical; "" = an error
	}{
		{new(duration), "200ms", "200ms"}, {new(duration), "0.2s", "200ms"}, {new(duration), "1.5 h", "5400s"},
		{new(duration), "3600s", "1h"}, {new(duration), "24h", "1d"},
		{new(duration), "0s", "0s"}, {new(duration), "1e3ns", "1us"},
		{new(duration), "188.25ms", "188250us"}, {new(duration), "3650d", "3650d"}, {new(duration), "3651d", ""},
		{new(duration), "1", ""}, {new(duration), "1m", ""}, {new(duration), "1µs", ""}, {new(duration), "-1s", ""},
		{new(duration), "", ""}, {new(duration), "s", ""}, {new(duration), "1 000s", ""}, {new(duration), "0.4ns", ""},
		{new(rate), "8/s", "8/s"}, {new(rate), "30/min", "30/min"}, {new(rate), "120/min", "2/s"}, {new(rate), "1/h", "1/h"},
		{new(rate), "2e9/s", ""}, {new(rate), "8", ""}, {new(rate), "8/d", ""}, {new(rate), "NaN/s", ""},
		{new(byteCount), "28kB", "28kB"}, {new(byteCount), "1024B", "1KiB"}, {new(byteCount), "0.5kB", "500B"},
		{new(byteCount), "1.5B", ""}, {new(byteCount), "3GB", ""}, {new(byteCount), "1kb", ""},
		{new(bandwidth), "100Mbit/s", "100Mbit/s"}, {new(bandwidth), "12.5MB/s", "100Mbit/s"}, {new(bandwidth), "1Mbps", ""},
		{new(watts), "2.7W", "2.7W"}, {new(watts), "500mW", "500mW"}, {new(watts), "1J", ""},
		{new(joulesPerByte), "50nJ/B", "50nJ/B"}, {new(joulesPerByte), "50nJ", ""},
		{new(count), "12", "12"}, {new(count), "012", "12"}, {new(count), "1e3", ""},
		{new(count), "4.0", ""}, {new(count), "4.5", ""},
		{new(count), "+4", ""}, {new(count), "1_000", ""}, {new(count), "0x10", ""}, {new(count), "1073741825", ""},
		{new(bound), "unlimited", "unlimited"}, {new(bound), "9", "9"}, {new(bound), "inf", ""},
		{new(seed), "18446744073709551615", "18446744073709551615"}, {new(seed), "18446744073709551616", ""},
		{new(real), "1.5", "1.5"}, {new(real), "2", "2"}, {new(real), ".5", "0.5"}, {new(real), "1e400", ""},
		{new(real), "-1", ""},
		{new(real), ".inf", ""}, {new(real), "0x1p4", ""}, {new(real), "1 ", ""},
		{new(share), "5%", "0.05"}, {new(share), "0.05", "0.05"}, {new(share), "100 %", "1"}, {new(share), "101%", ""},
		{new(share), "-1%", ""}, {new(share), "NaN", ""},
		{new(portion), "10%", "10%"}, {new(portion), "20s", "20s"}, {new(portion), "100%", ""}, {new(portion), "x%", ""},
		{new(label), "face-detect", "face-detect"}, {new(label), "a.b", ""}, {new(label), "-a", ""}, {new(label), "", ""},
		{new(boolean), "true", "true"}, {new(boolean), "yes", ""}, {new(boolean), "True", ""},
	} {
		err := c.into.parse(plainNode(c.text))
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%T accepts %q as %s", c.into, c.text, c.into)
		case c.want != "" && err != nil:
			t.Errorf("%T refuses %q: %v", c.into, c.text, err)
		case c.want != "" && c.into.String() != c.want:
			t.Errorf("%T writes %q as %s, want %s", c.into, c.text, c.into, c.want)
		}
	}
}

// What a quantity writes, it reads as the same value.
func TestQuantitiesAreReadAsTheyAreWritten(t *testing.T) {
	same := func(x scalar, again scalar) bool {
		return again.parse(plainNode(x.String())) == nil && again.String() == x.String()
	}
	clip := func(x, limit float64) float64 {
		return math.Mod(math.Abs(x), limit)
	}
	if err := quick.Check(func(x float64, n uint64) bool {
		d, r, b, w := duration(float64(n%uint64(longest))), rate(clip(x, 1e9)), bandwidth(clip(x, 1e15)), watts(clip(x, 1e9))
		s, c, re := share(clip(x, 1)), byteCount(n%(1<<31)), real(clip(x, 1e300))
		var d2 duration
		var r2 rate
		var b2 bandwidth
		var w2 watts
		var s2 share
		var c2 byteCount
		var re2 real
		return same(&d, &d2) && d == d2 && same(&r, &r2) && r == r2 && same(&b, &b2) && b == b2 && same(&w, &w2) && w == w2 &&
			same(&s, &s2) && s == s2 && same(&c, &c2) && c == c2 && same(&re, &re2) && re == re2
	}, &quick.Config{MaxCount: 3000}); err != nil {
		t.Error(err)
	}
}
