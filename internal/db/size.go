package db

import (
	"context"
	"fmt"
)

// Size is what a table or a database takes.
type Size struct {
	Rows  int64 // the server's estimate, -1 where there is none
	Bytes int64 // on the disk, with indexes; -1 where it is not known by table
	Free  int64 // of Bytes, what new rows use before the file grows; 0 where it is not known
}

// TableSize measures a table cheaply. SQLite keeps no such figures.
func (d *DB) TableSize(ctx context.Context, table string) (Size, error) {
	s := Size{Rows: -1, Bytes: -1}
	if d.engine == SQLite {
		return s, nil
	}
	err := d.QueryRow(ctx, `SELECT c.reltuples::bigint, pg_total_relation_size(c.oid) FROM pg_class c WHERE c.oid = to_regclass($1)`, table).Scan(&s.Rows, &s.Bytes)
	if err != nil {
		return s, fmt.Errorf("measure %s: %w", table, err)
	}
	return s, nil
}

// Size measures the whole database. On SQLite the space of removed rows stays in the file and is used again.
func (d *DB) Size(ctx context.Context) (Size, error) {
	s := Size{Rows: -1}
	text := `SELECT pg_database_size(current_database()), 0`
	if d.engine == SQLite {
		text = `SELECT p.page_count * s.page_size, f.freelist_count * s.page_size FROM pragma_page_count p, pragma_page_size s, pragma_freelist_count f`
	}
	if err := d.QueryRow(ctx, text).Scan(&s.Bytes, &s.Free); err != nil {
		return s, fmt.Errorf("measure the database: %w", err)
	}
	return s, nil
}
