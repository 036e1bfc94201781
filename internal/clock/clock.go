// Package clock is time that tests can set: code that waits or stamps takes a
// [Clock] instead of calling package time.
package clock

import "time"

// Clock tells the time and waits for it.
type Clock interface {
	// Now is the present moment.
	Now() time.Time
	// After sends the time once, d from now. A d of zero or less fires at once.
	After(d time.Duration) <-chan time.Time
	// NewTimer is After that can be stopped and set again.
	NewTimer(d time.Duration) Timer
}

// Timer is one pending wake-up.
type Timer interface {
	// C receives the time at which the timer fired.
	C() <-chan time.Time
	// Stop reports whether it prevented the timer from firing.
	Stop() bool
	// Reset makes the timer fire d from now and reports whether it was pending.
	// No value of the earlier setting is received after Reset returns.
	Reset(d time.Duration) bool
}

// System is the machine's own clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time                         { return time.Now() }
func (system) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (system) NewTimer(d time.Duration) Timer         { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (s systemTimer) C() <-chan time.Time        { return s.t.C }
func (s systemTimer) Stop() bool                 { return s.t.Stop() }
func (s systemTimer) Reset(d time.Duration) bool { return s.t.Reset(d) }
