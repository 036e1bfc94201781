package db

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// openSQLite makes the file when missing and returns its read pool and its one
// write connection. mmap stays off: a failing disk would then end the process by a
// signal instead of making a write return an error.
func openSQLite(o Options) (read, write *sql.DB, err error) {
	if o.Path == "" {
		return nil, nil, errors.New("neither URL nor Path is set")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of the database: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("make the database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, nil, fmt.Errorf("make the database file: %w", err)
	}
	synchronous := "synchronous(FULL)"
	if o.Relaxed {
		synchronous = "synchronous(NORMAL)"
	}
	write, err = sql.Open("sqlite", sqliteDSN(path, "immediate",
		"busy_timeout(10000)", "journal_mode(WAL)", synchronous, "foreign_keys(1)",
		"wal_autocheckpoint(20000)", "journal_size_limit(268435456)", "cache_size(-65536)", "temp_store(MEMORY)"))
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	read, err = sql.Open("sqlite", sqliteDSN(path, "deferred",
		"busy_timeout(10000)", "foreign_keys(1)", "cache_size(-16384)", "temp_store(MEMORY)", "query_only(1)"))
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	n := o.Readers
	if n <= 0 {
		n = 8
	}
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	return read, write, nil
}

func sqliteDSN(path, txlock string, pragmas ...string) string {
	q := url.Values{"_txlock": {txlock}, "_pragma": pragmas}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}
