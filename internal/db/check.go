package db

import (
	"context"
	"fmt"
)

// mostComplaints bounds what [DB.Check] gives.
const mostComplaints = 100

// Check has the engine look at its own structures and gives its complaints, none when all is well. quick leaves out the
// comparison of indexes with their tables. It reads the whole database on SQLite. PostgreSQL looks at its pages whenever it
// reads them, where it was set up with data checksums, and the complaint is their absence.
func (d *DB) Check(ctx context.Context, quick bool) ([]string, error) {
	text := fmt.Sprintf("PRAGMA integrity_check(%d)", mostComplaints)
	switch {
	case d.engine == Postgres:
		text = `SELECT CASE current_setting('data_checksums') WHEN 'on' THEN 'ok' ELSE 'the server was set up without data checksums: it would not notice a flipped bit' END`
	case quick:
		text = fmt.Sprintf("PRAGMA quick_check(%d)", mostComplaints)
	}
	rows, err := d.read.QueryContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("check the database: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var complaint string
		if err := rows.Scan(&complaint); err != nil {
			return nil, fmt.Errorf("check the database: %w", err)
		}
		if complaint != "ok" {
			out = append(out, complaint)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("check the database: %w", err)
	}
	return out, nil
}
