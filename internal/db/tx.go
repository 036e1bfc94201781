package db

import (
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Tx is one fn's part of a group transaction. It is valid until fn returns and only
// on fn's goroutine. Its statements must be constant texts: they stay prepared.
//
// A statement that fails makes its fn fail, even if fn returns nil: PostgreSQL
// cannot go on after one, so SQLite does not either. Expected conflicts are written
// as ON CONFLICT.
type Tx struct {
	c     *committer
	now   time.Time
	wrote bool        // something may have to be undone
	over  bool        // fn has returned
	err   error       // the first failure of a statement
	open  []*sql.Rows // closed when fn returns
	rows  []row
	hooks []func()
}

// row is one deferred insertion.
type row struct {
	ins  *Insert
	args []any
}

var errOver = errors.New("db: Tx used after its fn returned")

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(sql string, args ...any) (sql.Result, error) {
	if t.over {
		return nil, errOver
	}
	t.wrote = true
	res, err := t.c.exec(sql, args)
	t.note(err)
	return res, err
}

// Query runs a statement that returns rows. Close them before the next statement:
// PostgreSQL cannot run two at once on a connection. They are closed at the latest
// when fn returns.
func (t *Tx) Query(sql string, args ...any) (*sql.Rows, error) {
	if t.over {
		return nil, errOver
	}
	t.wrote = t.wrote || !isSelect(sql)
	rows, err := t.c.query(sql, args)
	if err != nil {
		t.note(err)
		return nil, err
	}
	t.open = append(t.open, rows)
	return rows, nil
}

// QueryRow is [Tx.Query] for at most one row. The row must be scanned before the
// next statement; Scan returns [ErrNoRows] when there is none.
func (t *Tx) QueryRow(sql string, args ...any) *sql.Row {
	if t.over {
		// The only way to a *sql.Row that carries an error: a query that cannot run.
		return t.c.d.write.QueryRowContext(endedContext, sql, args...)
	}
	t.wrote = t.wrote || !isSelect(sql)
	r := t.c.queryRow(sql, args)
	t.note(r.Err())
	return r
}

// Now is the time at which the transaction began, in UTC and whole microseconds:
// the same for all fns that share it.
func (t *Tx) Now() time.Time { return t.now }

// Append defers the insertion of one row. The rows of all fns of the transaction are
// inserted together before it commits, so neither this fn nor its neighbours see
// them; writes that begin after this Write returned do. args are kept until then
// and must not be changed. A row that cannot be inserted makes this fn fail alone.
func (t *Tx) Append(ins *Insert, args ...any) {
	if t.over {
		return
	}
	if len(args) != len(ins.columns) {
		t.note(ins.countError(len(args)))
		return
	}
	t.rows = append(t.rows, row{ins, args})
}

// AfterCommit registers hook to run once the transaction is durable, and never if fn
// is undone. Hooks run in the order of the fns, before Write returns, on the
// committer's goroutine: they must be short and must not call Write.
func (t *Tx) AfterCommit(hook func()) {
	if !t.over {
		t.hooks = append(t.hooks, hook)
	}
}

func (t *Tx) note(err error) {
	if err != nil && t.err == nil && !errors.Is(err, sql.ErrNoRows) {
		t.err = err
	}
}

// end closes what fn left open.
func (t *Tx) end() {
	for i, r := range t.open {
		t.note(r.Err())
		_ = r.Close()
		t.open[i] = nil
	}
	t.open = t.open[:0]
	t.over = true
}

// reset prepares t for a run of its fn.
func (t *Tx) reset(c *committer, now time.Time) {
	clear(t.rows)
	clear(t.hooks)
	*t = Tx{c: c, now: now, open: t.open[:0], rows: t.rows[:0], hooks: t.hooks[:0]}
}

// isSelect is true for statements that surely leave nothing to undo.
func isSelect(sql string) bool {
	sql = strings.TrimLeft(sql, " \t\r\n")
	return len(sql) >= 6 && strings.EqualFold(sql[:6], "SELECT")
}
