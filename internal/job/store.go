package job

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"lumela/internal/db"
)

const columns = `name, due_at, holder, lease_until, started_at, ended_at, runs, failures, error`

func scan(row interface{ Scan(dest ...any) error }) (State, error) {
	var s State
	var due, until int64
	var started, ended sql.NullInt64
	err := row.Scan(&s.Name, &due, &s.Node, &until, &started, &ended, &s.Runs, &s.Failures, &s.Error)
	s.DueAt, s.leaseUntil, s.StartedAt, s.EndedAt = db.Time(due), db.Time(until), db.NullTime(started), db.NullTime(ended)
	return s, err
}

func read(ctx context.Context, d *db.DB, name string) (State, error) {
	return scan(d.QueryRow(ctx, `SELECT `+columns+` FROM jobs WHERE name = $1`, name))
}

func list(ctx context.Context, d *db.DB) ([]State, error) {
	rows, err := d.Query(ctx, `SELECT `+columns+` FROM jobs ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read the jobs: %w", err)
	}
	defer rows.Close()
	out := []State{}
	for rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read the jobs: %w", err)
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// add makes the row of a job that no node has named before.
func add(tx *db.Tx, name string, due time.Time) error {
	_, err := tx.Exec(`INSERT INTO jobs (`+columns+`) VALUES ($1, $2, '', 0, NULL, NULL, 0, 0, '') ON CONFLICT DO NOTHING`, name, db.Micros(due))
	return err
}

// take gives a job that is due and free to a node. It reports false when another was faster.
func take(tx *db.Tx, name, node string) (bool, error) {
	now := tx.Now()
	return changed(tx.Exec(`UPDATE jobs SET holder = $2, lease_until = $3, started_at = $4
		WHERE name = $1 AND due_at <= $4 AND (holder = '' OR lease_until < $4)`, name, node, db.Micros(now.Add(Lease)), db.Micros(now)))
}

// renew makes the lease longer. It reports false when the job is not the node's any more.
func renew(tx *db.Tx, name, node string) (bool, error) {
	return changed(tx.Exec(`UPDATE jobs SET lease_until = $3 WHERE name = $1 AND holder = $2`, name, node, db.Micros(tx.Now().Add(Lease))))
}

// giveBack frees a job until its next run. failure is the error of the run that ended, "" when it succeeded.
func giveBack(tx *db.Tx, name, node string, due time.Time, failure string) error {
	_, err := tx.Exec(`UPDATE jobs SET holder = '', lease_until = 0, due_at = $3, ended_at = $4, runs = runs + 1,
		failures = CASE WHEN $5 = '' THEN 0 ELSE failures + 1 END, error = $5 WHERE name = $1 AND holder = $2`,
		name, node, db.Micros(due), db.Micros(tx.Now()), failure)
	return err
}

func releaseNode(tx *db.Tx, node string) error {
	_, err := tx.Exec(`UPDATE jobs SET holder = '', lease_until = 0 WHERE holder = $1`, node)
	return err
}

func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
