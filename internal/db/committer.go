package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
)

// committer owns one write connection and runs the group transactions on it, one
// after the other.
type committer struct {
	d *DB

	// Guarded by the queue's mutex.
	own  []*request
	idle bool

	wake chan struct{}

	conn  *sql.Conn
	pg    *pgx.Conn // the same connection, nil on SQLite
	stmts map[string]*sql.Stmt

	ctx      context.Context // of the running transaction
	batch    []*request
	jobs     []job
	inserts  []insertion // what the running transaction has to flush
	failures int         // connections that failed in a row
}

// job is one fn of the present batch.
type job struct {
	fn   func(*Tx) error
	tx   Tx
	err  error
	kept bool // its transaction is durable; err is final
}

// insertion gathers the appended rows of one Insert.
type insertion struct {
	ins  *Insert
	rows [][]any
}

func newCommitter(d *DB) *committer {
	return &committer{d: d, wake: make(chan struct{}, 1), ctx: context.Background()}
}

// endedContext makes any query fail before it starts.
var endedContext = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errOver)
	return ctx
}()

// run commits batches until the queue is closed and empty. The connection is made
// sure of before anything is picked up, so that callers can still give up while the
// database is away.
func (c *committer) run() {
	finished := false
	defer func() {
		if finished {
			c.drop()
			c.d.running.Done()
			return
		}
		// A fn has ended its goroutine, this one (runtime.Goexit, as testing's Fatal
		// does). Its transaction is lost; another goroutine carries on.
		c.drop()
		for i := range c.jobs {
			if !c.jobs[i].kept {
				c.jobs[i].err = errGoexit
			}
		}
		c.release()
		go c.run()
	}()
	for c.d.queue.wait(c) {
		if err := c.connect(); err != nil {
			c.refuse(err)
			continue
		}
		c.batch = c.d.queue.take(c, c.batch[:0])
		if len(c.batch) == 0 {
			continue
		}
		c.prepare()
		c.settle(c.jobs)
		c.release()
		c.finishCheckpoint()
	}
	finished = true
}

var errGoexit = errors.New("db: a fn of this transaction ended its goroutine")

// prepare makes one job per request of the batch, reusing the earlier jobs' memory.
func (c *committer) prepare() {
	n := len(c.batch)
	for len(c.jobs) < n && len(c.jobs) < cap(c.jobs) {
		c.jobs = c.jobs[:len(c.jobs)+1]
	}
	for len(c.jobs) < n {
		c.jobs = append(c.jobs, job{})
	}
	c.jobs = c.jobs[:n]
	for i, r := range c.batch {
		c.jobs[i].fn, c.jobs[i].err, c.jobs[i].kept = r.fn, nil, false
	}
}

// release tells the callers how their fns ended.
func (c *committer) release() {
	for i, r := range c.batch {
		j := &c.jobs[i]
		j.fn = nil
		r.done <- j.err
		c.batch[i] = nil
	}
	c.batch = c.batch[:0]
}

// refuse fails everything that waits because the database is away, then holds off
// for a while; what arrives meanwhile gets the next attempt.
func (c *committer) refuse(err error) {
	c.d.health.failed(err)
	c.batch = c.d.queue.take(c, c.batch[:0])
	for i, r := range c.batch {
		r.done <- &OutageError{err}
		c.batch[i] = nil
	}
	c.batch = c.batch[:0]
	c.failures = min(c.failures+1, 6)
	t := time.NewTimer(jitter(20 * time.Millisecond << c.failures))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.d.closing:
	}
}

// jitter is between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// settle brings jobs to their end: each is durable with err nil, or undone with its
// own err. The first try runs them bare. If one fails after it wrote, or a flush
// fails, the transaction is undone and all run again, each between savepoints; if
// then the commit itself fails (a deferred constraint), each gets a transaction of
// its own.
//
// Bare first, because failures after a write are rare and savepoints are not free: in
// BenchmarkWrite one per fn cost 2 us of 24 on SQLite, and on PostgreSQL, where it is
// two round trips and appended rows can no longer go in together, it made 97,000
// rows/s into 12,000 (append) and 21,000 into 10,000 (exec).
func (c *committer) settle(jobs []job) {
	saved := c.d.alwaysSave.Load() || len(jobs) == 1 && jobs[0].err != nil
	alone := false // without rivals of this process
	var links, rivals int
	for {
		whose, err := c.attempt(jobs, saved, alone)
		if err == nil {
			c.committed(jobs)
			return
		}
		if errors.Is(err, ErrUncertain) {
			c.fail(jobs, err, true)
			return
		}
		c.d.stats.reruns.Add(1)
		switch whose {
		case blameLink:
			if links++; links > 1 {
				c.fail(jobs, err, true)
				return
			}
			if err := c.connect(); err != nil {
				c.fail(jobs, err, true)
				return
			}
		case blameRival:
			rivals++
			switch {
			case rivals > maxRivals:
				c.fail(jobs, err, false)
				return
			case rivals > 2 && len(jobs) > 1:
				// Another node is at the same rows: short transactions pass each other.
				c.settleEach(jobs, err)
				return
			}
			alone = true
			time.Sleep(rand.N(time.Duration(rivals) * 2 * time.Millisecond))
		case blameResource:
			c.fail(jobs, err, true)
			return
		default:
			switch {
			case !saved:
				saved = true
			case len(jobs) == 1:
				c.fail(jobs, err, false)
				return
			default:
				c.settleEach(jobs, err)
				return
			}
		}
	}
}

// maxRivals bounds how often one fn loses to other nodes before its caller is told.
const maxRivals = 50

// settleEach gives each job a transaction of its own. The reason is only a mark that
// makes it start with a savepoint.
func (c *committer) settleEach(jobs []job, reason error) {
	for i := range jobs {
		jobs[i].err = reason
		c.settle(jobs[i : i+1])
	}
}

// committed counts the transaction and runs the hooks of what it made durable.
func (c *committer) committed(jobs []job) {
	c.d.health.succeeded()
	c.failures = 0
	var n int64
	for i := range jobs {
		j := &jobs[i]
		j.kept = true
		if j.err != nil {
			continue
		}
		n++
		c.d.stats.rows.Add(int64(len(j.tx.rows)))
		for _, hook := range j.tx.hooks {
			c.hook(hook)
		}
	}
	c.d.stats.writes.Add(n)
	c.d.stats.commits.Add(1)
}

func (c *committer) hook(hook func()) {
	defer func() {
		if r := recover(); r != nil {
			c.d.o.Log.Error("db: AfterCommit hook panicked", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	hook()
}

// fail gives err to all jobs. After a failure of disk or connection the connection
// is not trusted again.
func (c *committer) fail(jobs []job, err error, resource bool) {
	if resource {
		c.d.health.failed(err)
		c.drop()
	}
	uncertain := errors.Is(err, ErrUncertain)
	for i := range jobs {
		if uncertain && jobs[i].err != nil {
			continue // it had failed by itself, and that is certain
		}
		if jobs[i].err = fmt.Errorf("write to the database: %w", err); resource {
			jobs[i].err = &OutageError{jobs[i].err}
		}
	}
}

// attempt runs jobs in one transaction. A nil error means committed, with each
// job's own result in its err; otherwise nothing was kept (or [ErrUncertain]).
func (c *committer) attempt(jobs []job, saved, alone bool) (blame, error) {
	if alone {
		c.d.calm.Lock()
		defer c.d.calm.Unlock()
	} else {
		c.d.calm.RLock()
		defer c.d.calm.RUnlock()
	}
	if c.conn == nil {
		// A lone run after a neighbour's failure of the connection.
		if err := c.connect(); err != nil {
			return blameLink, err
		}
	}
	if c.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
		c.ctx = ctx
		defer cancel()
	}
	if err := c.fault(BeforeBegin); err != nil {
		return blameResource, fmt.Errorf("begin: %w", err)
	}
	if err := c.control("BEGIN"); err != nil {
		c.drop()
		return c.beginBlame(err), fmt.Errorf("begin: %w", err)
	}
	whose, err := c.runAll(jobs, saved)
	if err == nil {
		if err = c.fault(BeforeCommit); err != nil {
			whose = blameResource
		}
	}
	if err != nil {
		c.rollback()
		return whose, err
	}
	if whose, err = c.commit(); err == nil {
		if err = c.fault(AfterCommit); err != nil {
			return blameResource, fmt.Errorf("commit: %w: %w", ErrUncertain, err)
		}
	}
	return whose, err
}

// fault is what a simulation wants to happen here.
func (c *committer) fault(p Point) error {
	if c.d.o.Fault == nil {
		return nil
	}
	return c.d.o.Fault(p)
}

func (c *committer) runAll(jobs []job, saved bool) (blame, error) {
	c.discardInserts()
	now := c.d.o.Clock.Now().UTC().Truncate(time.Microsecond)
	run := c.runBare
	if saved {
		run = c.runSaved
	}
	for i := range jobs {
		jobs[i].tx.reset(c, now)
		if whose, err := run(&jobs[i]); err != nil {
			return whose, err
		}
	}
	for _, in := range c.inserts {
		if err := c.flush(in.ins, in.rows); err != nil {
			return c.blame(err), err
		}
	}
	return 0, nil
}

// runBare runs a fn without a savepoint. The error, if any, ends the whole
// transaction; a fn that failed before it wrote has only its own.
func (c *committer) runBare(j *job) (blame, error) {
	err := c.call(j)
	j.err = nil
	if err == nil {
		c.gather(j.tx.rows)
		return 0, nil
	}
	if whose := c.blameIn(j, err); whose != blameFn {
		return whose, err
	}
	if j.tx.wrote || c.aborted() {
		return blameFn, err
	}
	j.err = err
	return 0, nil
}

// runSaved runs a fn and its insertions between savepoints.
func (c *committer) runSaved(j *job) (blame, error) {
	if err := c.control("SAVEPOINT f"); err != nil {
		return c.blame(err), err
	}
	err := c.call(j)
	j.err = nil
	if err == nil {
		c.gather(j.tx.rows)
		for _, in := range c.inserts {
			if err = c.flush(in.ins, in.rows); err != nil {
				j.tx.note(err)
				break
			}
		}
		c.discardInserts()
	}
	if err != nil {
		if whose := c.blameIn(j, err); whose != blameFn {
			return whose, err
		}
		j.err = err
		if err := c.control("ROLLBACK TO f"); err != nil {
			return c.blame(err), err
		}
	}
	if err := c.control("RELEASE f"); err != nil {
		return c.blame(err), err
	}
	return 0, nil
}

// call runs a fn and returns its error, or that of a statement whose failure it ignored.
func (c *committer) call(j *job) error {
	err := c.protect(j)
	j.tx.end()
	switch {
	case err != nil:
		return err
	case j.tx.err != nil:
		return j.tx.err
	case c.aborted():
		return errors.New("db: a statement failed and its fn went on")
	}
	return nil
}

func (c *committer) protect(j *job) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.d.o.Log.Error("db: write panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("db: write panicked: %v", r)
		}
	}()
	return j.fn(&j.tx)
}

func (c *committer) gather(rows []row) {
	for _, r := range rows {
		i := 0
		for i < len(c.inserts) && c.inserts[i].ins != r.ins {
			i++
		}
		if i == len(c.inserts) {
			c.inserts = append(c.inserts, insertion{ins: r.ins})
		}
		c.inserts[i].rows = append(c.inserts[i].rows, r.args)
	}
}

func (c *committer) discardInserts() {
	clear(c.inserts)
	c.inserts = c.inserts[:0]
}

// blameIn judges a fn's error by the statement that failed. fn's own errors may wrap
// anything, so of those only the database's are looked at.
func (c *committer) blameIn(j *job, err error) blame {
	switch {
	case c.lost():
		return blameLink
	case j.tx.err != nil:
		return blameFor(j.tx.err)
	case isDatabase(err):
		return blameFor(err)
	}
	return blameFn
}

func (c *committer) blame(err error) blame {
	if c.lost() {
		return blameLink
	}
	return blameFor(err)
}

// beginBlame: nothing has run yet, so whatever an odd connection says at BEGIN, a new
// one may be tried.
func (c *committer) beginBlame(err error) blame {
	if whose := blameFor(err); whose != blameFn {
		return whose
	}
	return blameLink
}

// lost reports whether the connection to PostgreSQL has ended.
func (c *committer) lost() bool { return c.pg != nil && c.pg.IsClosed() }

// aborted reports whether PostgreSQL refuses further statements in this transaction.
func (c *committer) aborted() bool { return c.pg != nil && c.pg.PgConn().TxStatus() == 'E' }

// commit ends the transaction. PostgreSQL answers COMMIT of an aborted one with
// ROLLBACK and no error.
func (c *committer) commit() (blame, error) {
	if c.pg == nil {
		err := c.control("COMMIT")
		if err == nil {
			return 0, nil
		}
		c.rollback()
		whose := blameFor(err)
		if whose == blameResource {
			return whose, fmt.Errorf("commit: %w: %w", ErrUncertain, err)
		}
		return whose, fmt.Errorf("commit: %w", err)
	}
	tag, err := c.pg.Exec(c.ctx, "COMMIT")
	switch {
	case err == nil && tag.String() == "COMMIT":
		return 0, nil
	case err == nil:
		return blameFn, fmt.Errorf("commit: the server answered %s", tag)
	case c.blame(err) == blameLink:
		return blameLink, fmt.Errorf("commit: %w: %w", ErrUncertain, err)
	}
	c.rollback()
	return c.blame(err), fmt.Errorf("commit: %w", err)
}

// rollback leaves the connection outside any transaction, or no connection.
func (c *committer) rollback() {
	if c.pg == nil {
		// SQLite may have rolled back by itself, and then says that there is no
		// transaction. Should one remain, the next BEGIN fails and a new connection is made.
		_ = c.control("ROLLBACK")
		return
	}
	if c.lost() {
		c.drop()
		return
	}
	if c.pg.PgConn().TxStatus() == 'I' {
		return
	}
	if err := c.control("ROLLBACK"); err != nil {
		c.drop()
	}
}

// control runs a statement that steers the transaction.
func (c *committer) control(text string) error {
	if c.pg == nil {
		if text == "BEGIN" {
			text = "BEGIN IMMEDIATE"
		}
		_, err := c.exec(text, nil)
		return err
	}
	if text == "BEGIN" {
		text = "BEGIN ISOLATION LEVEL REPEATABLE READ"
	}
	_, err := c.pg.Exec(c.ctx, text)
	return err
}

// connect makes sure of a connection that has not ended.
func (c *committer) connect() error {
	if c.conn != nil && !c.lost() {
		return nil
	}
	c.drop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := c.d.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	c.conn, c.stmts = conn, map[string]*sql.Stmt{}
	if c.d.engine == Postgres {
		if c.pg, err = pgConn(conn); err != nil {
			c.drop()
			return fmt.Errorf("connect to the database: %w", err)
		}
	}
	return nil
}

// drop closes the connection, not back to the pool but for good.
func (c *committer) drop() {
	if c.conn == nil {
		return
	}
	for _, s := range c.stmts {
		_ = s.Close()
	}
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = c.conn.Close()
	c.conn, c.pg, c.stmts = nil, nil, nil
}

// prepared keeps statements on SQLite; pgx does so itself. nil means: send the text.
func (c *committer) prepared(text string) (*sql.Stmt, error) {
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	if c.pg != nil || len(c.stmts) >= maxStatements {
		return nil, nil
	}
	s, err := c.conn.PrepareContext(c.ctx, text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = s
	return s, nil
}

func (c *committer) exec(text string, args []any) (sql.Result, error) {
	s, err := c.prepared(text)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return s.ExecContext(c.ctx, args...)
	}
	return c.conn.ExecContext(c.ctx, text, args...)
}

func (c *committer) query(text string, args []any) (*sql.Rows, error) {
	s, err := c.prepared(text)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return s.QueryContext(c.ctx, args...)
	}
	return c.conn.QueryContext(c.ctx, text, args...)
}

func (c *committer) queryRow(text string, args []any) *sql.Row {
	if s, err := c.prepared(text); err == nil && s != nil {
		return s.QueryRowContext(c.ctx, args...)
	}
	return c.conn.QueryRowContext(c.ctx, text, args...)
}
