package load

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

var errClosed = net.ErrClosed

// Result is what a closed loop came to.
type Result struct {
	Calls   int64
	Elapsed time.Duration
	Latency Histogram
}

// PerSecond is the rate of the calls.
func (r *Result) PerSecond() float64 { return float64(r.Calls) / r.Elapsed.Seconds() }

// The states of a loop.
const (
	warming int32 = iota
	measuring
	ending
)

// Loop is how stations call, wait for the result and call again.
type Loop struct {
	Warm    time.Duration // at first, which is not counted
	Measure time.Duration // what is counted
	// Every is the time between two calls of a station; at 0 the next one follows at once. A station whose result comes
	// later than that leaves calls out.
	Every time.Duration
	// Begin and End are called around what is counted.
	Begin, End func() error
}

// Drive runs the loop of all stations. calls[i] is the message of stations[i].
func Drive(stations []*Station, calls []*Call, o Loop) (*Result, error) {
	var state atomic.Int32
	var wg sync.WaitGroup
	failed := make(chan error, len(stations))
	latencies := make([]Histogram, len(stations))
	for i, s := range stations {
		wg.Go(func() {
			pace := pace{every: o.Every, next: time.Now().Add(o.Every * time.Duration(i) / time.Duration(len(stations)))}
			if err := s.loop(calls[i], &state, &latencies[i], pace); err != nil {
				failed <- fmt.Errorf("%s: %w", s.ID, err)
			}
		})
	}
	res := &Result{}
	err := func() error {
		if err := wait(o.Warm, failed); err != nil {
			return err
		}
		if err := o.Begin(); err != nil {
			return err
		}
		start := time.Now()
		state.Store(measuring)
		err := wait(o.Measure, failed)
		state.Store(ending)
		res.Elapsed = time.Since(start)
		if err != nil {
			return err
		}
		return o.End()
	}()
	state.Store(ending)
	wg.Wait()
	if err == nil {
		select {
		case err = <-failed:
		default:
		}
	}
	for i := range latencies {
		res.Latency.Merge(&latencies[i])
	}
	res.Calls = res.Latency.Count()
	return res, err
}

func wait(d time.Duration, failed <-chan error) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case err := <-failed:
		return err
	case <-t.C:
		return nil
	}
}

// stuckAfter ends a call that gets no answer.
const stuckAfter = 30 * time.Second

// pace spreads the calls of a station.
type pace struct {
	every time.Duration
	next  time.Time
}

// wait sleeps until the next call is due and gives the time.
func (p *pace) wait(now time.Time) time.Time {
	if p.every == 0 {
		return now
	}
	if d := p.next.Sub(now); d > 0 {
		time.Sleep(d)
		now = time.Now()
	}
	for !p.next.After(now) {
		p.next = p.next.Add(p.every)
	}
	return now
}

// loop calls until the state is ending.
func (s *Station) loop(c *Call, state *atomic.Int32, latency *Histogram, pace pace) error {
	var deadline time.Time
	now := time.Now()
	for state.Load() != ending {
		now = pace.wait(now)
		if deadline.Sub(now) < stuckAfter { // moved rarely: it costs a timer
			deadline = now.Add(2 * stuckAfter)
			if err := s.conn.net.SetDeadline(deadline); err != nil {
				return err
			}
		}
		if err := s.call(c, now); err != nil {
			return err
		}
		then := time.Now()
		if state.Load() == measuring {
			latency.Add(then.Sub(now))
		}
		now = then
	}
	return s.conn.net.SetDeadline(time.Time{})
}
