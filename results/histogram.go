package results

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram counts durations in nanoseconds, from 0 up, with a bounded relative error: a High Dynamic Range
// histogram (G. Tene, HdrHistogram) that grows with the longest duration. Nothing is lost in silence: a duration that
// cannot be (negative, or above 146 years) is counted as the nearest that can, and clamped says how often.
type histogram struct {
	counts   *hdrhistogram.Histogram // nil: empty, or packed
	packed   []byte                  // counts in HdrHistogram's V2 compressed encoding; nil where counts is live
	standard [len(standardPercentiles)]int64
	digits   int // significant decimal digits
	min, max int64
	clamped  uint64
}

// standardPercentiles are known without unpacking.
var standardPercentiles = [...]float64{50, 90, 95, 99, 99.9}

const (
	firstRange = 1 << 34 // 17 s; a power of two more costs 8 kB at three digits
	lastRange  = 1 << 62 // 146 years
)

// add is on the simulator's hot path.
func (h *histogram) add(v int64) {
	if h.counts == nil || h.counts.RecordValue(v) != nil {
		v = h.addHard(v)
	}
	h.min, h.max = min(h.min, v), max(h.max, v)
}

// addHard adds what does not fit as the histogram is, and returns the duration that was counted.
func (h *histogram) addHard(v int64) int64 {
	if v < 0 || v > lastRange {
		h.clamped++
		v = min(max(0, v), lastRange)
	}
	if h.total() == 0 {
		h.min = v
	}
	h.unpack()
	h.grow(v)
	if err := h.counts.RecordValue(v); err != nil {
		panic(fmt.Sprintf("results: %v", err)) // grow made room for it
	}
	return v
}

// grow makes room for v.
func (h *histogram) grow(v int64) {
	top := h.counts.HighestTrackableValue()
	if v <= top {
		return
	}
	for top < v {
		top *= 2
	}
	old := h.counts
	h.counts = hdrhistogram.New(1, top, h.digits)
	h.counts.Merge(old)
}

// merge adds what o has counted.
func (h *histogram) merge(o *histogram) {
	if o.total() == 0 {
		return
	}
	if h.total() == 0 {
		h.min = o.min
	}
	from := o.live()
	h.unpack()
	h.grow(from.HighestTrackableValue())
	h.counts.Merge(from)
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	h.clamped += o.clamped
}

// percentile is the smallest duration that at least p percent of the durations do not exceed (nearest rank), within
// the histogram's relative error; 0 where nothing was counted.
func (h *histogram) percentile(p float64) int64 {
	if h.counts == nil {
		for i, s := range standardPercentiles {
			if s == p {
				return h.standard[i]
			}
		}
	}
	counts := h.live()
	n := float64(counts.TotalCount())
	rank := math.Ceil(p/100*n - 1e-9) // the library rounds to the nearest
	return min(max(h.min, counts.ValueAtPercentile(100*rank/n)), h.max)
}

func (h *histogram) total() int64 {
	if h.counts == nil && h.packed == nil {
		return 0
	}
	return h.live().TotalCount()
}

// live returns the counts, without keeping them where they are packed.
func (h *histogram) live() *hdrhistogram.Histogram {
	switch {
	case h.counts != nil:
		return h.counts
	case h.packed == nil:
		return hdrhistogram.New(1, firstRange, h.digits)
	}
	counts, err := hdrhistogram.Decode(h.packed)
	if err != nil {
		panic(fmt.Sprintf("results: %v", err)) // pack wrote it, or UnmarshalJSON tried it
	}
	return counts
}

// unpack makes the counts live.
func (h *histogram) unpack() { h.counts, h.packed = h.live(), nil }

// pack keeps the counts in a few kilobytes.
func (h *histogram) pack() {
	if h.counts == nil {
		return
	}
	for i, p := range standardPercentiles {
		h.standard[i] = h.percentile(p)
	}
	packed, err := h.counts.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic(fmt.Sprintf("results: %v", err)) // a buffer in memory does not fail
	}
	h.counts, h.packed = nil, packed
}

// histogramState is a histogram as it is kept in a file.
type histogramState struct {
	Digits  int    `json:"digits"`
	Min     int64  `json:"min_ns"`
	Max     int64  `json:"max_ns"`
	Clamped uint64 `json:"clamped,omitempty"`
	HDR     string `json:"hdr,omitempty"` // V2 compressed encoding, base64
}

// MarshalJSON implements json.Marshaler.
func (h *histogram) MarshalJSON() ([]byte, error) {
	c := *h
	c.pack()
	return json.Marshal(histogramState{c.digits, c.min, c.max, c.clamped, string(c.packed)})
}

// UnmarshalJSON implements json.Unmarshaler; the histogram comes packed.
func (h *histogram) UnmarshalJSON(data []byte) error {
	var s histogramState
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*h = histogram{digits: s.Digits, min: s.Min, max: s.Max, clamped: s.Clamped}
	if s.HDR == "" {
		return nil
	}
	counts, err := hdrhistogram.Decode([]byte(s.HDR))
	if err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	h.counts = counts
	h.pack()
	return nil
}
