// Package db opens the database of a node, SQLite or PostgreSQL, behind one SQL
// text: `$N` parameters, times as BIGINT Unix microseconds (UTC), JSON as TEXT,
// BOOLEAN, BIGINT and BYTEA. Reads go to a pool; writes share transactions
// ("group commit") and return when they are durable. DESIGN.md beside this file
// says how and what it does not do.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"lumela/internal/clock"
)

// Engine is the kind of database behind a [DB].
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Options say which database to open and how durable its writes are.
type Options struct {
	// URL is "postgres://…" or "postgresql://…"; empty means the SQLite file at Path.
	URL string
	// Path is the SQLite file; it and its folder are made, for this user only, when missing.
	Path string
	// Relaxed lets a crash of the machine (not of the process) take the last
	// moments of writes: SQLite synchronous=NORMAL, PostgreSQL synchronous_commit=off.
	// For frame logs, never for the ledger.
	Relaxed bool
	// Committers is the number of group transactions that run at once: always 1 on
	// SQLite, 4 on PostgreSQL when 0 or less.
	Committers int
	// Readers bounds the read connections: 8 on SQLite, 16 on PostgreSQL when 0 or less.
	Readers int
	// CacheMiB bounds the page cache of SQLite's write connection; 32 when 0 or less.
	CacheMiB int
	// Log receives what a caller cannot be told; nil means slog.Default().
	Log *slog.Logger
	// Clock is what [Tx.Now] reads; nil means the system's.
	Clock clock.Clock
	// Fault, for simulations, is asked at each point of a group transaction: an error there is a failure of the disk.
	Fault func(Point) error
}

// Point is a moment in the life of a group transaction.
type Point string

// The points. A failure after the commit is [ErrUncertain] to the callers.
const (
	BeforeBegin  Point = "before begin"
	BeforeCommit Point = "before commit"
	AfterCommit  Point = "after commit"
)

// DB is an open database. All methods are safe for concurrent use.
type DB struct {
	o      Options
	engine Engine
	read   *sql.DB
	write  *sql.DB

	// stmts caches prepared reads by text on SQLite; pgx keeps its own cache.
	stmts  sync.Map // string -> *sql.Stmt
	nstmts atomic.Int64

	queue      queue
	committers []*committer
	// checkpointer is nil on PostgreSQL.
	checkpointer *checkpointer
	running      sync.WaitGroup
	closing      chan struct{}
	closeOnce    sync.Once
	closeErr     error

	// calm lets a transaction that lost a conflict run again without rivals of
	// this process: ordinary batches hold it shared, the repeated one alone.
	calm   sync.RWMutex
	health health
	stats  counters
	types  sync.Map // *Insert -> insertion text on PostgreSQL

	alwaysSave atomic.Bool // savepoints from the start: for the benchmark that argues against it
}

// Open opens the database and starts its committers. The database must be
// reachable; afterwards the DB recovers from outages by itself.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	d := &DB{o: o, engine: SQLite, closing: make(chan struct{})}
	if o.URL != "" {
		d.engine = Postgres
	}
	var err error
	if d.read, d.write, err = d.open(ctx); err != nil {
		return nil, err
	}
	n := d.o.Committers
	switch {
	case d.engine == SQLite:
		n = 1
	case n <= 0:
		n = 4
	}
	d.health.d = d
	for range n {
		d.committers = append(d.committers, newCommitter(d))
	}
	d.queue.committers = d.committers
	if d.engine == SQLite {
		if d.checkpointer, err = newCheckpointer(d); err != nil {
			return nil, errors.Join(fmt.Errorf("open the connection for checkpoints: %w", err), d.read.Close(), d.write.Close())
		}
	}
	for _, c := range d.committers {
		d.running.Add(1)
		go c.run()
	}
	return d, nil
}

func (d *DB) open(ctx context.Context) (read, write *sql.DB, err error) {
	opener := openSQLite
	if d.engine == Postgres {
		opener = openPostgres
	}
	if read, write, err = opener(d.o); err != nil {
		return nil, nil, fmt.Errorf("open %s database: %w", d.engine, err)
	}
	// The write side first: on SQLite it makes the file that readers open.
	for _, h := range []*sql.DB{write, read} {
		if err := h.PingContext(ctx); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("open %s database: %w", d.engine, err), read.Close(), write.Close())
		}
	}
	return read, write, nil
}

// Engine says which kind of database this is.
func (d *DB) Engine() Engine { return d.engine }

// Ping reports whether the database answers a read.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	if err := d.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// Close refuses new writes, waits for those already waiting, and closes all
// connections. Later calls return the first one's result.
func (d *DB) Close() error {
	d.closeOnce.Do(func() {
		d.queue.close()
		close(d.closing)
		d.running.Wait()
		d.health.probing.Wait()
		if d.checkpointer != nil {
			d.closeErr = d.checkpointer.close()
		}
		d.stmts.Range(func(_, s any) bool {
			d.closeErr = errors.Join(d.closeErr, s.(*sql.Stmt).Close())
			return true
		})
		d.closeErr = errors.Join(d.closeErr, d.read.Close(), d.write.Close())
	})
	return d.closeErr
}

// Query reads rows on a pooled read connection. Writing through it fails on both
// engines. The statement stays prepared, so sql should be a constant text.
func (d *DB) Query(ctx context.Context, sql string, args ...any) (*sql.Rows, error) {
	if s := d.prepared(ctx, sql); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return d.read.QueryContext(ctx, sql, args...)
}

// QueryRow is [DB.Query] for at most one row; Scan returns [ErrNoRows] when there is none.
func (d *DB) QueryRow(ctx context.Context, sql string, args ...any) *sql.Row {
	if s := d.prepared(ctx, sql); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return d.read.QueryRowContext(ctx, sql, args...)
}

// maxStatements bounds each statement cache; texts beyond it are prepared anew each time.
const maxStatements = 1000

// prepared returns nil where the text should be sent as it is: on PostgreSQL, when
// the cache is full, and when it cannot be prepared (the query then says why).
func (d *DB) prepared(ctx context.Context, text string) *sql.Stmt {
	if d.engine == Postgres {
		return nil
	}
	if s, ok := d.stmts.Load(text); ok {
		return s.(*sql.Stmt)
	}
	if d.nstmts.Load() >= maxStatements {
		return nil
	}
	s, err := d.read.PrepareContext(ctx, text)
	if err != nil {
		return nil
	}
	if other, loaded := d.stmts.LoadOrStore(text, s); loaded {
		_ = s.Close() // a neighbour prepared the same text first
		return other.(*sql.Stmt)
	}
	d.nstmts.Add(1)
	return s
}

// Stats counts what group commit has done since Open.
type Stats struct {
	Writes       int64 // fns whose transaction is durable
	Commits      int64 // transactions committed
	AppendedRows int64 // rows that [Tx.Append] brought in
	Reruns       int64 // transactions run again: a neighbour failed, a conflict, a lost connection
}

type counters struct{ writes, commits, rows, reruns atomic.Int64 }

// Stats returns the counters' present values.
func (d *DB) Stats() Stats {
	return Stats{
		Writes: d.stats.writes.Load(), Commits: d.stats.commits.Load(),
		AppendedRows: d.stats.rows.Load(), Reruns: d.stats.reruns.Load(),
	}
}
