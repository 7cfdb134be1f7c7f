package results

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram counts durations in nanoseconds, from 0 up, with a bounded relative error: a High Dynamic Range
// histogram (G. Tene, HdrHistogram) that grows with the longest duration. Nothing is lost in silence: a duration that
// cannot be (negative, or above 146 years) is counted as the nearest that can, and clamped says how often.
type histogram struct {
	counts   *hdrhistogram.Histogram // nil: empty, or packed
	packed   []byte                  // the counts, see pack; nil where they are live
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
	if h.empty() {
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
	h.addCounts(old)
}

// addCounts adds the counts of a histogram whose range is not wider. Where ranges differ by powers of two, the places
// of the narrower one are the first of the wider; the library's Merge looks every value up.
func (h *histogram) addCounts(from *hdrhistogram.Histogram) {
	sum := h.counts.Export()
	for i, n := range from.Export().Counts {
		sum.Counts[i] += n
	}
	h.counts = hdrhistogram.Import(sum)
}

// merge adds what o has counted.
func (h *histogram) merge(o *histogram) {
	if o.empty() {
		return
	}
	if h.empty() {
		h.min = o.min
	}
	from := o.live()
	h.unpack()
	h.grow(from.HighestTrackableValue())
	h.addCounts(from)
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	h.clamped += o.clamped
}

// minus returns what h has counted since it was as o is; ok is false where it never was.
func (h *histogram) minus(o *histogram) (left histogram, ok bool) {
	counts := h.live().Export()
	for i, n := range o.live().Export().Counts {
		switch {
		case n == 0:
		case i >= len(counts.Counts) || counts.Counts[i] < n:
			return histogram{digits: h.digits}, false
		default:
			counts.Counts[i] -= n
		}
	}
	left = histogram{counts: hdrhistogram.Import(counts), digits: h.digits, clamped: h.clamped - min(h.clamped, o.clamped)}
	left.min, left.max = max(h.min, left.counts.Min()), min(h.max, left.counts.Max())
	return left, true
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

// empty reports whether nothing was counted.
func (h *histogram) empty() bool {
	return h.packed == nil && (h.counts == nil || h.counts.TotalCount() == 0)
}

// live returns the counts, without keeping them where they are packed.
func (h *histogram) live() *hdrhistogram.Histogram {
	switch {
	case h.counts != nil:
		return h.counts
	case h.packed == nil:
		return hdrhistogram.New(1, firstRange, h.digits)
	}
	counts, err := unpackCounts(h.packed, h.digits)
	if err != nil {
		panic(fmt.Sprintf("results: %v", err)) // pack wrote it, or UnmarshalJSON tried it
	}
	return counts
}

// unpack makes the counts live.
func (h *histogram) unpack() { h.counts, h.packed = h.live(), nil }

// pack keeps the counts in a few kilobytes: as varints, the highest trackable value, and then for every count that is
// not 0 the number of zeros before it and the count.
func (h *histogram) pack() {
	if h.counts == nil {
		return
	}
	snapshot := h.counts.Export()
	packed := binary.AppendUvarint(nil, uint64(snapshot.HighestTrackableValue))
	zeros := uint64(0)
	for _, n := range snapshot.Counts {
		if n == 0 {
			zeros++
			continue
		}
		packed = binary.AppendUvarint(binary.AppendUvarint(packed, zeros), uint64(n))
		zeros = 0
	}
	h.packAs(packed)
}

// packAs drops the counts for their packed form.
func (h *histogram) packAs(packed []byte) {
	for i, p := range standardPercentiles {
		h.standard[i] = h.percentile(p)
	}
	h.counts, h.packed = nil, packed
}

var errPacked = errors.New("histogram: the packed counts are damaged")

// unpackCounts reads what pack wrote.
func unpackCounts(packed []byte, digits int) (*hdrhistogram.Histogram, error) {
	next := func() uint64 {
		v, n := binary.Uvarint(packed)
		packed = packed[max(0, n):]
		if n <= 0 {
			packed = nil
			return math.MaxUint64
		}
		return v
	}
	highest := next()
	if highest < 2 || highest > 2*lastRange || digits < 1 || digits > 5 {
		return nil, errPacked
	}
	snapshot := hdrhistogram.New(1, int64(highest), digits).Export()
	i := uint64(0)
	for len(packed) > 0 {
		zeros, n := next(), next()
		if zeros >= uint64(len(snapshot.Counts))-i || n > math.MaxInt64 {
			return nil, errPacked
		}
		snapshot.Counts[i+zeros] = int64(n)
		i += zeros + 1
	}
	return hdrhistogram.Import(snapshot), nil
}

// histogramState is a histogram as it is kept in a file.
type histogramState struct {
	Digits  int    `json:"digits"`
	Min     int64  `json:"min_ns"`
	Max     int64  `json:"max_ns"`
	Clamped uint64 `json:"clamped,omitempty"`
	Counts  []byte `json:"counts,omitempty"` // packed
}

// MarshalJSON implements json.Marshaler.
func (h *histogram) MarshalJSON() ([]byte, error) {
	c := *h
	c.pack()
	return json.Marshal(histogramState{c.digits, c.min, c.max, c.clamped, c.packed})
}

// UnmarshalJSON implements json.Unmarshaler; the histogram comes packed.
func (h *histogram) UnmarshalJSON(data []byte) error {
	var s histogramState
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*h = histogram{digits: s.Digits, min: s.Min, max: s.Max, clamped: s.Clamped}
	if s.Counts == nil {
		return nil
	}
	counts, err := unpackCounts(s.Counts, s.Digits)
	if err != nil {
		return err
	}
	h.counts = counts
	h.packAs(s.Counts)
	return nil
}
