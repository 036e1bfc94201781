package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Width is how much time one partition of a table holds.
type Width int

// The widths, in UTC.
const (
	Daily Width = iota
	Monthly
)

// Start is the beginning of the partition that a moment belongs to.
func (w Width) Start(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	if w == Monthly {
		d = 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// Next is the beginning of the partition after the one that begins at start.
func (w Width) Next(start time.Time) time.Time {
	if w == Monthly {
		return start.AddDate(0, 1, 0)
	}
	return start.AddDate(0, 0, 1)
}

func (w Width) name(table string, start time.Time) string {
	if w == Monthly {
		return table + start.Format("_p200601")
	}
	return table + start.Format("_p20060102")
}

// Partition is a part of a table on PostgreSQL that is partitioned by the time in its column "at".
type Partition struct {
	Name     string
	From, To time.Time // [From, To); zero From: since ever; both zero for the default partition
	Default  bool      // holds what no other partition is for: clocks of stations lie
	Bytes    int64     // on the disk, with indexes
	Rows     int64     // the server's estimate, -1 when it has none
}

var rangeBound = regexp.MustCompile(`^FOR VALUES FROM \((?:'(-?\d+)'|MINVALUE)\) TO \('(-?\d+)'\)$`)

// Partitions lists the parts of a partitioned table, the default one first, then in the order of time. A table
// that is not partitioned, as all are on SQLite, has none.
func (d *DB) Partitions(ctx context.Context, table string) ([]Partition, error) {
	if d.engine != Postgres {
		return nil, nil
	}
	list, err := partitions(ctx, d.read, table)
	if err != nil {
		return nil, fmt.Errorf("list the partitions of %s: %w", table, err)
	}
	return list, nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func partitions(ctx context.Context, q querier, table string) ([]Partition, error) {
	rows, err := q.QueryContext(ctx, `SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_total_relation_size(c.oid), c.reltuples::bigint
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Partition
	for rows.Next() {
		var p Partition
		var bound string
		if err := rows.Scan(&p.Name, &bound, &p.Bytes, &p.Rows); err != nil {
			return nil, err
		}
		if p.Default = bound == "DEFAULT"; !p.Default {
			m := rangeBound.FindStringSubmatch(bound)
			if m == nil {
				return nil, fmt.Errorf("%s has the bound %q", p.Name, bound)
			}
			if m[1] != "" {
				p.From = boundTime(m[1])
			}
			p.To = boundTime(m[2])
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Partition) int { return a.To.Compare(b.To) })
	return out, rows.Err()
}

func boundTime(text string) time.Time {
	us, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{} // the expression lets only numbers through
	}
	return Time(us)
}

const (
	// adoptRows is from how many rows of one span in the default partition on that span gets a partition of its own.
	adoptRows = 1000
	// adoptYears is how old what the default partition holds may be for that.
	adoptYears = 20
)

// KeepPartitions makes the partitions of a table for now and as many after it as ahead says, and those of earlier times of
// which the default partition holds many rows, which move there. It returns the names of what it made. Nodes may
// call it at once. Nobody waits for it for longer than a moment; when others are in its way for long it gives up
// with an error, and the default partition takes what comes until the next time. On SQLite it does nothing.
func (d *DB) KeepPartitions(ctx context.Context, table string, width Width, now time.Time, ahead int) ([]string, error) {
	var made []string
	err := d.schema(ctx, table, func(tx *sql.Tx) error {
		made = nil
		have, err := partitions(ctx, tx, table)
		if err != nil {
			return err
		}
		want, err := crowded(ctx, tx, have, width, now)
		if err != nil {
			return err
		}
		for start, n := width.Start(now), 0; n <= ahead; start, n = width.Next(start), n+1 {
			want = append(want, start)
		}
		for _, start := range want {
			if covered(have, start, width.Next(start)) {
				continue
			}
			name := width.name(table, start)
			if err := makePartition(ctx, tx, table, name, have, start, width.Next(start)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			made = append(made, name)
			have = append(have, Partition{Name: name, From: start, To: width.Next(start)})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("make partitions of %s: %w", table, err)
	}
	return made, nil
}

// crowded are the beginnings of the past spans of which the default partition holds many rows.
func crowded(ctx context.Context, tx *sql.Tx, have []Partition, width Width, now time.Time) ([]time.Time, error) {
	i := slices.IndexFunc(have, func(p Partition) bool { return p.Default })
	if i < 0 {
		return nil, nil
	}
	unit := "day"
	if width == Monthly {
		unit = "month"
	}
	rows, err := tx.QueryContext(ctx, `SELECT (EXTRACT(EPOCH FROM date_trunc('`+unit+`', to_timestamp(at / 1000000) AT TIME ZONE 'UTC')) * 1000000)::bigint AS span
		FROM "`+have[i].Name+`" WHERE at >= $1 AND at < $2 GROUP BY span HAVING COUNT(*) >= $3`,
		Micros(now.AddDate(-adoptYears, 0, 0)), Micros(width.Start(now)), adoptRows)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []time.Time
	for rows.Next() {
		var us int64
		if err := rows.Scan(&us); err != nil {
			return nil, err
		}
		out = append(out, Time(us))
	}
	return out, rows.Err()
}

// covered reports whether a partition other than the default one holds any of [from, to).
func covered(have []Partition, from, to time.Time) bool {
	return slices.ContainsFunc(have, func(p Partition) bool { return !p.Default && p.From.Before(to) && from.Before(p.To) })
}

// makePartition makes a partition beside the table and hangs it in, which, unlike CREATE TABLE … PARTITION OF, lets
// readers and writers of the table go on. Only the default partition, which may hold rows for it, is locked.
func makePartition(ctx context.Context, tx *sql.Tx, table, name string, have []Partition, from, to time.Time) error {
	steps := []string{fmt.Sprintf(`CREATE TABLE %q (LIKE %q INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`, name, table)}
	for _, p := range have {
		if p.Default {
			steps = append(steps, fmt.Sprintf(`LOCK TABLE %q IN ACCESS EXCLUSIVE MODE`, p.Name),
				fmt.Sprintf(`WITH moved AS (DELETE FROM %q WHERE at >= %d AND at < %d RETURNING *) INSERT INTO %q SELECT * FROM moved`,
					p.Name, Micros(from), Micros(to), name))
		}
	}
	steps = append(steps, fmt.Sprintf(`ALTER TABLE %q ATTACH PARTITION %q FOR VALUES FROM (%d) TO (%d)`, table, name, Micros(from), Micros(to)))
	return execAll(ctx, tx, steps)
}

// DropPartitions drops the partitions of a table whose whole time is before a moment, with all that they hold, and
// returns what they were. Rows in the default partition stay. On SQLite it does nothing.
func (d *DB) DropPartitions(ctx context.Context, table string, before time.Time) ([]Partition, error) {
	var gone []Partition
	list, err := d.Partitions(ctx, table)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.Default || p.To.After(before) {
			continue
		}
		// Each in a transaction of its own: it needs the table for itself, for a moment.
		err := d.schema(ctx, table, func(tx *sql.Tx) error {
			return execAll(ctx, tx, []string{fmt.Sprintf(`DROP TABLE IF EXISTS %q`, p.Name)})
		})
		if err != nil {
			return gone, fmt.Errorf("drop %s: %w", p.Name, err)
		}
		gone = append(gone, p)
	}
	return gone, nil
}

// RewritePartition writes a partition anew without the space that changed and deleted rows have left in it, which
// otherwise only rows of the same time could use. Readers go on meanwhile; what arrives for this partition waits.
func (d *DB) RewritePartition(ctx context.Context, table string, p Partition) error {
	bound := fmt.Sprintf(`FROM (%d) TO (%d)`, Micros(p.From), Micros(p.To))
	if p.From.IsZero() {
		bound = fmt.Sprintf(`FROM (MINVALUE) TO (%d)`, Micros(p.To))
	}
	check := "at IS NOT NULL AND at < " + strconv.FormatInt(Micros(p.To), 10)
	if !p.From.IsZero() {
		check += " AND at >= " + strconv.FormatInt(Micros(p.From), 10)
	}
	next, index := p.Name+"_new", p.Name+"_rewritten"
	err := d.schema(ctx, table, func(tx *sql.Tx) error {
		return execAll(ctx, tx, []string{
			fmt.Sprintf(`LOCK TABLE %q IN SHARE MODE`, p.Name),
			fmt.Sprintf(`CREATE TABLE %q (LIKE %q INCLUDING ALL)`, next, p.Name),
			fmt.Sprintf(`INSERT INTO %q SELECT * FROM %q`, next, p.Name),
			fmt.Sprintf(`ALTER TABLE %q ADD CONSTRAINT %q CHECK (%s)`, next, index, check), // spares the attachment a look at each row
			fmt.Sprintf(`ALTER TABLE %q DETACH PARTITION %q`, table, p.Name),
			fmt.Sprintf(`DROP TABLE %q`, p.Name),
			fmt.Sprintf(`ALTER TABLE %q RENAME TO %q`, next, p.Name),
			fmt.Sprintf(`ALTER TABLE %q ATTACH PARTITION %q FOR VALUES %s`, table, p.Name, bound),
			fmt.Sprintf(`ALTER TABLE %q DROP CONSTRAINT %q`, p.Name, index),
		})
	})
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", p.Name, err)
	}
	return nil
}

func execAll(ctx context.Context, tx *sql.Tx, steps []string) error {
	for _, text := range steps {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// schema runs f in a transaction that changes a table's schema, on a connection beside those of the committers. One
// node does so at a time. Whoever holds the table for more than three seconds makes it fail: the queue behind a waiting
// change of the schema is everybody.
func (d *DB) schema(ctx context.Context, table string, f func(tx *sql.Tx) error) (err error) {
	if d.engine != Postgres {
		return nil
	}
	h, err := d.migrationHandle()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, `SELECT set_config('timezone', 'UTC', true), pg_advisory_xact_lock(hashtext($1))`, "lumela partitions "+table); err == nil {
		_, err = tx.ExecContext(ctx, `SET LOCAL lock_timeout = '3s'`)
	}
	if err == nil {
		err = f(tx)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
