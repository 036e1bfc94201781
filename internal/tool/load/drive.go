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

// Drive lets every station call, wait for the result and call again: first for warm, which is not counted, then for
// measure. begin and end are called around what is counted. calls[i] is the message of stations[i].
func Drive(stations []*Station, calls []*Call, warm, measure time.Duration, begin, end func() error) (*Result, error) {
	var state atomic.Int32
	var wg sync.WaitGroup
	failed := make(chan error, len(stations))
	latencies := make([]Histogram, len(stations))
	for i, s := range stations {
		wg.Go(func() {
			if err := s.loop(calls[i], &state, &latencies[i]); err != nil {
				failed <- fmt.Errorf("%s: %w", s.ID, err)
			}
		})
	}
	res := &Result{}
	err := func() error {
		if err := wait(warm, failed); err != nil {
			return err
		}
		if err := begin(); err != nil {
			return err
		}
		start := time.Now()
		state.Store(measuring)
		err := wait(measure, failed)
		state.Store(ending)
		res.Elapsed = time.Since(start)
		if err != nil {
			return err
		}
		return end()
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

// loop calls until the state is ending.
func (s *Station) loop(c *Call, state *atomic.Int32, latency *Histogram) error {
	var deadline time.Time
	now := time.Now()
	for state.Load() != ending {
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
