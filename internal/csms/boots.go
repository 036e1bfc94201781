package csms

import (
	"sync"
	"time"

	"lumela/internal/station"
)

// A station that boots again and again is answered each time, but written down at most once a minute as long as it says
// the same, and the operator is told.
const (
	bootsWindow = time.Minute
	manyBoots   = 10 // within the window
)

// boots remembers the boots of the last minute. The zero value is ready; its memory ends with the minute.
type boots struct {
	mu    sync.Mutex
	swept time.Time
	of    map[station.ID]*booted
}

type booted struct {
	boot     station.Boot
	accepted bool
	since    time.Time // with its monotonic part
	count    int
}

// seen counts a boot. known is true when the same was recorded within the last minute, storm when it is one of many.
func (b *boots) seen(id station.ID, boot station.Boot, accepted bool, now time.Time) (known, storm bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.swept) > bootsWindow {
		for k, v := range b.of {
			if now.Sub(v.since) > bootsWindow {
				delete(b.of, k)
			}
		}
		b.swept = now
	}
	if b.of == nil {
		b.of = map[station.ID]*booted{}
	}
	e := b.of[id]
	if e == nil || now.Sub(e.since) > bootsWindow {
		b.of[id] = &booted{boot: boot, accepted: accepted, since: now, count: 1}
		return false, false
	}
	e.count++
	known = e.boot == boot && e.accepted == accepted
	e.boot, e.accepted = boot, accepted
	return known, e.count >= manyBoots
}

// forget makes the next boot of a station one that is recorded.
func (b *boots) forget(id station.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, id)
}
