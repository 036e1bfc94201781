package db

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// maxBatch bounds the fns of one transaction: enough to share the cost of a
// commit away, few enough that the last does not wait long for the first.
const maxBatch = 512

// request is one waiting Write.
type request struct {
	fn    func(*Tx) error
	state atomic.Int32 // waiting, taken or gone
	done  chan error   // receives once, when taken
}

const (
	waiting int32 = iota
	taken
	gone
)

var requests = sync.Pool{New: func() any { return &request{done: make(chan error, 1)} }}

// queue holds what waits for the committers: one line per committer for fns with a
// key, and one shared line that any committer takes from.
type queue struct {
	committers []*committer

	mu     sync.Mutex
	shared []*request
	closed bool
}

func (q *queue) push(key string, keyed bool, r *request) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	var wake *committer
	switch {
	case len(q.committers) == 1:
		wake = q.committers[0]
		q.shared = append(q.shared, r)
	case keyed:
		wake = q.committers[maphash.String(seed, key)%uint64(len(q.committers))]
		wake.own = append(wake.own, r)
	default:
		q.shared = append(q.shared, r)
		for _, c := range q.committers {
			if c.idle {
				wake = c
				break
			}
		}
	}
	if wake == nil || !wake.idle {
		q.mu.Unlock() // the busy ones look here again when they have committed
		return nil
	}
	wake.idle = false
	q.mu.Unlock()
	wake.wake <- struct{}{}
	return nil
}

var seed = maphash.MakeSeed()

// wait returns true when something waits for c, false when the queue is closed and empty.
func (q *queue) wait(c *committer) bool {
	for {
		q.mu.Lock()
		if len(c.own)+len(q.shared) > 0 {
			q.mu.Unlock()
			return true
		}
		if q.closed {
			q.mu.Unlock()
			return false
		}
		c.idle = true
		q.mu.Unlock()
		<-c.wake
	}
}

// take moves to batch what waits for c and has not been given up, at most maxBatch.
// Neither line can starve the other.
func (q *queue) take(c *committer, batch []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := min(len(c.own), maxBatch-min(len(q.shared), maxBatch/2))
	batch, c.own = cut(batch, c.own, own)
	batch, q.shared = cut(batch, q.shared, min(len(q.shared), maxBatch-own))
	return batch
}

func cut(batch, line []*request, n int) (_, rest []*request) {
	for _, r := range line[:n] {
		if r.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, r)
		}
	}
	m := copy(line, line[n:])
	clear(line[m:])
	return batch, line[:m]
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	var wake []*committer
	for _, c := range q.committers {
		if c.idle {
			c.idle = false
			wake = append(wake, c)
		}
	}
	q.mu.Unlock()
	for _, c := range wake {
		c.wake <- struct{}{}
	}
}

// Write runs fn inside a transaction that several callers share and returns only
// after that transaction is durable.
//
// An error from fn undoes what this fn did and nothing else, and Write returns it.
// fn may run more than once (a neighbour failed, a conflict on PostgreSQL, a lost
// connection), so it must have no effect outside tx except through
// [Tx.AfterCommit], and must set, not add to, the variables it captures. It runs on
// the committer's goroutine: it must not call Write, nor wait for anything else.
//
// ctx ends the waiting only before fn has been picked up; Write then returns ctx's
// error and fn never runs. Other errors: [ErrClosed]; failures of disk or
// connection; [ErrUncertain] when the commit was sent but not confirmed.
//
// On PostgreSQL the transaction is REPEATABLE READ: what fn has read cannot be
// overwritten unnoticed by another transaction; such a conflict runs fn again.
func (d *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return d.submit(ctx, "", false, fn)
}

// WriteKey is [DB.Write] in order: fns of the same key (a station) run in the order
// in which they were handed over, on one committer, and so do their AfterCommit hooks.
func (d *DB) WriteKey(ctx context.Context, key string, fn func(tx *Tx) error) error {
	return d.submit(ctx, key, true, fn)
}

func (d *DB) submit(ctx context.Context, key string, keyed bool, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := requests.Get().(*request)
	r.fn = fn
	r.state.Store(waiting)
	if err := d.queue.push(key, keyed, r); err != nil {
		return err
	}
	var err error
	select {
	case err = <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, gone) {
			return ctx.Err() // the line still holds r: it must not be used again
		}
		err = <-r.done
	}
	r.fn = nil
	requests.Put(r)
	return err
}
