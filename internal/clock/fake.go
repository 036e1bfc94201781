package clock

import (
	"sync"
	"time"
)

// Fake is a [Clock] that stands still until a test moves it.
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*fakeTimer]struct{}
	change chan struct{} // closed, and replaced, when a timer is set or ends
}

// NewFake returns a clock that shows now.
func NewFake(now time.Time) *Fake {
	return &Fake{now: now, timers: map[*fakeTimer]struct{}{}, change: make(chan struct{})}
}

// Now is the time that the test has set.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// After implements [Clock].
func (f *Fake) After(d time.Duration) <-chan time.Time { return f.NewTimer(d).C() }

// NewTimer implements [Clock].
func (f *Fake) NewTimer(d time.Duration) Timer {
	t := &fakeTimer{f: f, c: make(chan time.Time, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.set(d)
	return t
}

// Advance moves the clock by d and fires, in order of their time, the timers
// that fall due. A timer set by whoever a firing woke counts from the new time.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.now.Add(d)
	for {
		var next *fakeTimer
		for t := range f.timers {
			if !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		if next.at.After(f.now) {
			f.now = next.at
		}
		next.fire()
	}
	f.now = end
}

// BlockUntil returns once at least n timers are pending: the code under test has
// come to its waits, and Advance will reach them.
func (f *Fake) BlockUntil(n int) {
	for {
		f.mu.Lock()
		have, change := len(f.timers), f.change
		f.mu.Unlock()
		if have >= n {
			return
		}
		<-change
	}
}

func (f *Fake) changed() {
	close(f.change)
	f.change = make(chan struct{})
}

// fakeTimer is guarded by its clock's mutex.
type fakeTimer struct {
	f  *Fake
	at time.Time
	c  chan time.Time
}

func (t *fakeTimer) C() <-chan time.Time { return t.c }

func (t *fakeTimer) Stop() bool {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	return t.clear()
}

func (t *fakeTimer) Reset(d time.Duration) bool {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	pending := t.clear()
	t.set(d)
	return pending
}

func (t *fakeTimer) clear() bool {
	_, pending := t.f.timers[t]
	delete(t.f.timers, t)
	select {
	case <-t.c:
	default:
	}
	t.f.changed()
	return pending
}

func (t *fakeTimer) set(d time.Duration) {
	t.at = t.f.now.Add(d)
	t.f.timers[t] = struct{}{}
	t.f.changed()
	if d <= 0 {
		t.fire()
	}
}

func (t *fakeTimer) fire() {
	delete(t.f.timers, t)
	t.c <- t.f.now
	t.f.changed()
}
