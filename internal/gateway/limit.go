package gateway

import (
	"sync"
	"time"
)

// limiter counts failures by name: an address, or an address with a station. A name that fails too often is blocked.
type limiter struct {
	mu   sync.Mutex
	seen map[string]*attempts
}

type attempts struct {
	failures int
	since    time.Time
	until    time.Time // blocked
}

const (
	maxAttempts   = 20 // failures within attemptWindow
	attemptWindow = time.Minute
	blockFor      = time.Minute
	maxAddresses  = 20_000 // bound of memory; beyond it the oldest are forgotten at random
)

func newLimiter() *limiter { return &limiter{seen: map[string]*attempts{}} }

// blocked is how long a name is still blocked, 0 or less when it is not.
func (l *limiter) blocked(addr string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.seen[addr]; a != nil {
		return time.Until(a.until)
	}
	return 0
}

// failed counts a failure, and reports whether the name is blocked from now on.
func (l *limiter) failed(addr string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	a := l.seen[addr]
	if a == nil {
		if len(l.seen) >= maxAddresses {
			for k := range l.seen {
				delete(l.seen, k)
				break
			}
		}
		a = &attempts{since: now}
		l.seen[addr] = a
	}
	if now.Sub(a.since) > attemptWindow {
		a.failures, a.since = 0, now
	}
	if a.failures++; a.failures < maxAttempts {
		return false
	}
	a.until = now.Add(blockFor)
	a.failures, a.since = 0, now
	return true
}

// sweep forgets addresses whose failures are long ago.
func (l *limiter) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for addr, a := range l.seen {
		if now.After(a.until) && now.Sub(a.since) > attemptWindow {
			delete(l.seen, addr)
		}
	}
}
