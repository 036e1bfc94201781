package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// checkpointer copies what stands in SQLite's log to the database file, beside the committer: a commit that had to do it
// would keep all stations waiting for a few hundred milliseconds. While it copies, the log grows on; the rest, which is
// small, is the committer's between two batches ([committer.finishCheckpoint]), and the log begins again at its start.
//
// Should it fall behind or fail, SQLite does the work within a commit once the log has wal_autocheckpoint pages.
type checkpointer struct {
	d      *DB
	handle *sql.DB
	finish atomic.Bool // the committer is to copy the rest
	ctx    context.Context
	stop   context.CancelFunc
	done   chan struct{}
}

const (
	checkpointEvery = time.Second
	// checkpointAt is the number of writes that are worth a checkpoint at once, checkpointAfter when fewer are.
	checkpointAt    = 1_000
	checkpointAfter = 30 * time.Second
	// finishAt is the number of pages that a checkpoint must have copied for the log to be begun again.
	finishAt = 500
)

// newCheckpointer starts the checkpointer of a SQLite database.
func newCheckpointer(d *DB) (*checkpointer, error) {
	handle, err := openCheckpointer(d.o)
	if err != nil {
		return nil, err
	}
	k := &checkpointer{d: d, handle: handle, done: make(chan struct{})}
	k.ctx, k.stop = context.WithCancel(context.Background())
	go k.run()
	return k, nil
}

func (k *checkpointer) run() {
	defer close(k.done)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	var copied int64
	last, failed := time.Now(), ""
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
		}
		writes := k.d.stats.writes.Load()
		if n := writes - copied; n == 0 || n < checkpointAt && time.Since(last) < checkpointAfter {
			continue
		}
		pages, err := checkpoint(k.ctx, k.handle)
		switch {
		case k.ctx.Err() != nil:
			return
		case err != nil:
			if failed != err.Error() {
				k.d.o.Log.Warn("db: log not checkpointed, it is tried again", "err", err)
			}
			failed = err.Error()
		default:
			copied, last, failed = writes, time.Now(), ""
			k.finish.Store(pages >= finishAt)
		}
	}
}

func (k *checkpointer) close() error {
	k.stop()
	<-k.done
	return k.handle.Close()
}

// checkpoint copies what can be copied without waiting for anybody, and gives the number of pages in the log.
func checkpoint(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (pages int, err error) {
	var busy, copied int
	if err := q.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied); err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	return pages, nil
}

// finishCheckpoint copies the rest of the log on the committer's connection, when the checkpointer has copied nearly all
// of it: nobody writes meanwhile, so that the next commit begins the log again. Failing costs nothing but a longer log.
func (c *committer) finishCheckpoint() {
	if k := c.d.checkpointer; k != nil && c.conn != nil && k.finish.CompareAndSwap(true, false) {
		if _, err := checkpoint(context.Background(), c.conn); err != nil && !errors.Is(err, sql.ErrConnDone) {
			c.d.o.Log.Warn("db: rest of the log not checkpointed", "err", err)
		}
	}
}
