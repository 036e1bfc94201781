package db

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// health knows whether writes succeed. It says in the log when they begin to fail and when they succeed again, once each,
// and while they fail it writes by itself now and then: whoever turns work away during an outage would otherwise never
// hear of its end.
type health struct {
	d       *DB
	probing sync.WaitGroup

	mu      sync.Mutex
	err     error // the latest failure, nil while writes succeed
	since   time.Time
	outages int64
	over    chan struct{} // closed when writes succeed again; nil while they do
}

const (
	// probeEvery is the time between two attempts to write during an outage.
	probeEvery = 500 * time.Millisecond
	// leastSpace is what must be free on the disk of SQLite, after it was full, before it counts as usable again. Otherwise
	// a few bytes that come free would end and begin an outage many times a minute.
	leastSpace = 4 << 20
)

func (h *health) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// failed notes that a batch of writes met a failure of the disk, the connection or the server.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		h.err = err
		return
	}
	h.d.o.Log.Error("the database does not write; what cannot be stored is not answered", "engine", h.d.engine, "error", err)
	h.err, h.since, h.over = err, time.Now(), make(chan struct{})
	h.outages++
	h.probing.Add(1)
	go h.probe(h.over)
}

// succeeded notes that a batch of writes is durable. After a failure of the disk that proves little: a batch may change
// nothing, or fit where others do not. There only a probe ends the outage.
func (h *health) succeeded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil && blameFor(h.err) != blameResource {
		h.end()
	}
}

// end ends the outage; the caller holds the lock.
func (h *health) end() {
	h.d.o.Log.Info("the database writes again", "engine", h.d.engine, "outage", time.Since(h.since).Round(time.Millisecond))
	close(h.over)
	h.err, h.over = nil, nil
}

// probe writes until it succeeds, or until the outage has ended otherwise.
func (h *health) probe(over chan struct{}) {
	defer h.probing.Done()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-h.d.closing:
			return
		case <-tick.C:
		}
		if h.d.full(h.get()) {
			continue
		}
		err := h.d.Write(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec(probes[h.d.engine])
			return err
		})
		switch {
		case errors.Is(err, ErrClosed):
			return
		case err == nil:
			h.mu.Lock()
			if h.over == over {
				h.end()
			}
			h.mu.Unlock()
			return
		}
	}
}

// probes write as little as can be written and flushed: the header of the file, a transaction number.
var probes = map[Engine]string{SQLite: "PRAGMA user_version = 0", Postgres: "SELECT pg_current_xact_id()"}

// full reports whether err says that the disk of SQLite was full, and it still nearly is.
func (d *DB) full(err error) bool {
	se, ok := errors.AsType[*sqlite.Error](err)
	if !ok || se.Code()&0xff != sqlite3.SQLITE_FULL {
		return false
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(d.o.Path), &fs); err != nil {
		return false // then only writing can tell
	}
	return fs.Bavail*uint64(fs.Bsize) < leastSpace
}

// Healthy is nil while writes succeed and otherwise the failure of disk, connection
// or server that the latest batch of writes met. It does no I/O.
func (d *DB) Healthy() error { return d.health.get() }

// Outage is the failure that writes meet at present and since when they do; nil while they succeed.
func (d *DB) Outage() (since time.Time, err error) {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	return d.health.since, d.health.err
}

// Outages counts the outages since Open.
func (d *DB) Outages() int64 {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	return d.health.outages
}

// AwaitHealthy waits for the end of an outage and returns at once when there is none. The error is that of ctx, or
// [ErrClosed].
func (d *DB) AwaitHealthy(ctx context.Context) error {
	d.health.mu.Lock()
	over := d.health.over
	d.health.mu.Unlock()
	if over == nil {
		return nil
	}
	select {
	case <-over:
		return nil
	case <-d.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
