package station

import (
	"context"
	"sync"
	"time"

	"lumela/internal/problem"
)

// The waiting room is open to strangers, so it is bounded: in all, and for one address within a minute. A fleet that moves
// here from behind one address comes in by and by.
const (
	maxWaiting     = 5_000
	newcomersFrom  = 200
	newcomerWindow = time.Minute
	recountAfter   = 10 * time.Second
	maxDoors       = 10_000 // addresses that are remembered
)

// waitingRoom counts newcomers. The zero value is ready.
type waitingRoom struct {
	mu      sync.Mutex
	since   time.Time
	from    map[string]int // address -> newcomers since then
	waiting int            // stations that wait, when they were counted last and since
	counted time.Time
}

// mayWait lets a newcomer into the waiting room, or says why not.
func (s *Stations) mayWait(ctx context.Context, remote string) error {
	w := &s.waiting
	now := time.Now()
	w.mu.Lock()
	stale := w.counted.IsZero() || now.Sub(w.counted) > recountAfter
	if stale {
		w.counted = now // the others go on with the old figure
	}
	w.mu.Unlock()
	if stale {
		n, err := s.countPending(ctx)
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.waiting = n
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.since) > newcomerWindow || len(w.from) >= maxDoors {
		w.since, w.from = now, map[string]int{}
	}
	switch {
	case w.waiting >= maxWaiting:
		return &Refusal{Status: 503, Reason: "the waiting room is full: accept, reject or delete the stations that wait", RetryAfter: newcomerWindow}
	case w.from[remote] >= newcomersFrom:
		return &Refusal{Status: 429, Reason: "too many unknown stations from one address", RetryAfter: newcomerWindow}
	}
	w.from[remote]++
	w.waiting++
	return nil
}

func (s *Stations) countPending(ctx context.Context) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM stations WHERE admission = 'pending'`).Scan(&n)
	return n, problem.Wrap("count the waiting stations", err)
}
