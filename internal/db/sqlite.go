package db

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// sqliteReaders is the number of read connections where Options.Readers does not say.
const sqliteReaders = 8

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
	if err := makeFile(path); err != nil {
		return nil, nil, fmt.Errorf("make the database file: %w", err)
	}
	synchronous := "synchronous(FULL)"
	if o.Relaxed {
		synchronous = "synchronous(NORMAL)"
	}
	cache := o.CacheMiB
	if cache <= 0 {
		cache = 32
	}
	// Pages of 8 KiB: in a table that is kept in the order of its key, a row beyond a quarter of the page costs a page more,
	// and messages with five readings are of about 1,000 bytes. The size holds for new files.
	write, err = sql.Open("sqlite", sqliteDSN(path, "immediate",
		"page_size(8192)", "busy_timeout(10000)", "journal_mode(WAL)", synchronous, "foreign_keys(1)",
		"wal_autocheckpoint(30000)", "journal_size_limit(268435456)", fmt.Sprintf("cache_size(-%d)", cache<<10), "temp_store(MEMORY)"))
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	read, err = sql.Open("sqlite", sqliteDSN(path, "deferred",
		"busy_timeout(10000)", "foreign_keys(1)", "cache_size(-4096)", "temp_store(MEMORY)", "query_only(1)"))
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	n := o.Readers
	if n <= 0 {
		n = sqliteReaders
	}
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	return read, write, nil
}

// openCheckpointer opens the connection that copies the log to the file.
func openCheckpointer(o Options) (*sql.DB, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	synchronous := "synchronous(FULL)"
	if o.Relaxed {
		synchronous = "synchronous(NORMAL)"
	}
	handle, err := sql.Open("sqlite", sqliteDSN(path, "deferred", "busy_timeout(1000)", synchronous, "wal_autocheckpoint(0)", "cache_size(-64)"))
	if err != nil {
		return nil, err
	}
	handle.SetMaxOpenConns(1)
	return handle, nil
}

// makeFile makes the database file for this user only, unless it is there. A file that is there is not opened: to close it
// again would end the locks of all connections that this process has to it (POSIX), and another process that takes itself
// for the only one left deletes the write-ahead log under them.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func sqliteDSN(path, txlock string, pragmas ...string) string {
	q := url.Values{"_txlock": {txlock}, "_pragma": pragmas}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}
