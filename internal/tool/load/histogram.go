package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in steps of at most a sixteenth of their size, from 1 us to over an hour.
type Histogram struct {
	counts [16 * 29]uint32
	n      int64
	max    time.Duration
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds all that o has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count is how many durations were counted.
func (h *Histogram) Count() int64 { return h.n }

// Quantile is the duration that the share q (0 to 1) of the counted ones does not exceed, at the upper end of its step;
// 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	want := max(int64(q*float64(h.n)+0.5), 1)
	var seen int64
	for i, n := range h.counts {
		if seen += int64(n); seen >= want {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// bucket: the first 16 are microseconds; after them each doubling has 16.
func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 16 {
		return int(us)
	}
	shift := bits.Len64(us) - 5
	i := 16*(shift+1) + int(us>>shift) - 16
	return min(i, len(Histogram{}.counts)-1)
}

func upper(i int) time.Duration {
	if i < 16 {
		return time.Duration(i+1) * time.Microsecond
	}
	shift := i/16 - 1
	return time.Duration(uint64(i%16+17)<<shift) * time.Microsecond
}
