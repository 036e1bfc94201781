package db

import (
	"context"
	"fmt"
)

// Shrink gives back the memory of page caches, which is outside Go's heap on SQLite and stays as a storm of work has left
// it. Work goes on meanwhile; the caches fill again with what is used. It does nothing on PostgreSQL.
func (d *DB) Shrink(ctx context.Context) error {
	if d.engine != SQLite {
		return nil
	}
	d.read.SetMaxIdleConns(0) // closes the idle connections, with their caches
	d.read.SetMaxIdleConns(d.readers())
	err := d.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec("PRAGMA shrink_memory")
		return err
	})
	if err != nil {
		return fmt.Errorf("shrink the page cache: %w", err)
	}
	return nil
}

// readers is the number of read connections on SQLite.
func (d *DB) readers() int {
	if d.o.Readers > 0 {
		return d.o.Readers
	}
	return sqliteReaders
}
