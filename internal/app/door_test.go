package app

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// TestDoor fills a house of four: one that says nothing leaves first, then one that is done, and a link or one that is busy
// never; when all are busy the newcomer is turned away.
func TestDoor(t *testing.T) {
	t.Parallel()
	d := &door{most: 4}
	come := func() *visitor {
		near, far := net.Pipe()
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		return d.enter(near)
	}
	gone := func(v *visitor) bool { return v.SetDeadline(time.Time{}) != nil }
	link, busy, idle, mute := come(), come(), come(), come()
	d.changed(link, http.StateHijacked)
	d.changed(busy, http.StateActive)
	d.changed(idle, http.StateIdle)
	if v := come(); v == nil || !gone(idle) || gone(mute) {
		t.Fatal("one who has just come must leave, or nobody")
	} else {
		d.changed(v, http.StateActive)
	}
	mute.since = mute.since.Add(-2 * silence)
	late := come()
	if late == nil || !gone(mute) {
		t.Fatal("one who says nothing may stay")
	}
	d.changed(late, http.StateHijacked)
	if come() != nil || gone(link) || gone(busy) || gone(late) {
		t.Error("somebody had to leave, or nobody was turned away")
	}
	if d.inside != 4 || d.left != 2 || d.turned != 1 || d.waiting.Len() != 2 {
		t.Errorf("%d inside, %d left, %d turned away, %d wait", d.inside, d.left, d.turned, d.waiting.Len())
	}
	for _, v := range []*visitor{link, link, busy, late} { // closing twice counts once
		_ = v.Close()
	}
	if d.inside != 1 || come() == nil {
		t.Errorf("%d inside", d.inside)
	}
	if most := newDoor().most; most < 256 {
		t.Errorf("a house for %d", most)
	}
}
