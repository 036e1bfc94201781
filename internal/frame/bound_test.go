package frame

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestWaitingIsBounded: whoever sends long frames faster than the disk takes them fills no memory, what is not logged is
// counted, and when it is written there is room again.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	l := &Log{queue: make(chan Exchange, queueLength)} // without a writer
	long := strings.Repeat("x", 2*MaxText)
	const most = maxWaiting / MaxText
	for range 2 * most {
		l.Add(Exchange{Station: "S", Time: time.Now(), Direction: In, Text: long})
	}
	if n := len(l.queue); n != most || l.Dropped() != most || l.waiting.Load() > maxWaiting {
		t.Errorf("%d wait, %d were dropped, %d bytes", n, l.Dropped(), l.waiting.Load())
	}
	l.store = nowhere{}
	l.write(l.take(nil))
	if l.waiting.Load() != 0 {
		t.Errorf("%d bytes wait when all is written", l.waiting.Load())
	}
}

// nowhere takes every batch.
type nowhere struct{ store }

func (nowhere) write(context.Context, []Exchange) error { return nil }
