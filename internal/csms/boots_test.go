package csms

import (
	"fmt"
	"testing"
	"time"

	"lumela/internal/station"
)

// TestBoots: the same boot within a minute is known, the tenth is a storm, and the memory ends with the minute.
func TestBoots(t *testing.T) {
	t.Parallel()
	var b boots
	now := time.Now()
	one, other := station.Boot{Vendor: "V", Model: "M"}, station.Boot{Vendor: "V", Model: "M", Firmware: "2"}
	for i, c := range []struct {
		boot         station.Boot
		accepted     bool
		after        time.Duration
		known, storm bool
	}{
		{one, true, 0, false, false}, {one, true, 1, true, false}, {other, true, 2, false, false}, {other, false, 3, false, false},
		{other, false, 4, true, false}, {other, false, 5, true, false}, {other, false, 6, true, false}, {other, false, 7, true, false},
		{other, false, 8, true, false}, {other, false, 9, true, true}, {one, true, 10, false, true}, {one, true, 61, false, false}, {one, true, 62, true, false},
	} {
		if known, storm := b.seen("S", c.boot, c.accepted, now.Add(c.after*time.Second)); known != c.known || storm != c.storm {
			t.Errorf("boot %d: known %v, storm %v", i, known, storm)
		}
	}
	b.forget("S")
	if known, _ := b.seen("S", one, true, now.Add(63*time.Second)); known {
		t.Error("known after it was forgotten")
	}
	for i := range 1000 {
		b.seen(station.ID(fmt.Sprint(i)), one, true, now.Add(70*time.Second))
	}
	b.seen("S", one, true, now.Add(3*time.Minute))
	if len(b.of) != 1 {
		t.Errorf("%d are remembered", len(b.of))
	}
}
