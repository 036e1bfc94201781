package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrClosed is returned by writes that come after Close.
	ErrClosed = errors.New("db: closed")
	// ErrNoRows is what Scan returns when QueryRow found nothing.
	ErrNoRows = sql.ErrNoRows
	// ErrUncertain marks a write whose commit was sent but not confirmed: it may or
	// may not be durable. Writes that are idempotent by content can be sent again.
	ErrUncertain = errors.New("db: commit not confirmed")
)

// OutageError is a write that failed because of the disk, the connection or the server, not of what was written. It is the
// same for whoever writes at that moment, and may succeed later.
type OutageError struct{ Err error }

// Error is the text of the cause.
func (e *OutageError) Error() string { return e.Err.Error() }

// Unwrap gives the cause, which may be an [ErrUncertain].
func (e *OutageError) Unwrap() error { return e.Err }

// Unavailable marks the error for the boundaries, which say that it passes.
func (e *OutageError) Unavailable() bool { return true }

// IsOutage reports whether err, of a write or of a read, comes from the disk, the connection or the server, so that the same
// may succeed later. A write that failed so is not stored, or, with [ErrUncertain], may be.
func IsOutage(err error) bool {
	if _, ok := errors.AsType[*OutageError](err); ok {
		return true
	}
	switch blameFor(err) {
	case blameLink, blameResource:
		return true
	}
	return false
}

// IsConflict reports whether err is a violated unique constraint or primary key.
func IsConflict(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code == "23505"
	}
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
			return true
		}
	}
	return false
}

// IsForeignKey reports whether err is a reference to a row that does not exist, or
// the removal of a row that is referred to.
func IsForeignKey(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code == "23503"
	}
	se, ok := errors.AsType[*sqlite.Error](err)
	return ok && se.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

// blame says whose fault an error of a transaction is, and so what to do next.
type blame int

const (
	blameFn       blame = iota // the fn or its SQL: it alone fails
	blameRival                 // a concurrent transaction: run again
	blameLink                  // the connection is gone: connect and run again
	blameResource              // disk or server: everything fails for now
)

func blameFor(err error) blame {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return blamePostgres(pe)
	}
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return blameRival
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOTADB:
			return blameResource
		}
		return blameFn
	}
	if isLink(err) {
		return blameLink
	}
	return blameFn
}

// Classes and codes: PostgreSQL documentation, Appendix A.
func blamePostgres(pe *pgconn.PgError) blame {
	switch pe.Code {
	case "40001", "40P01", "55P03": // serialization failure, deadlock, lock timeout
		return blameRival
	case "57P01", "57P02", "57P03", "57P05", "25P03": // shutdown, crash, starting, idle timeouts
		return blameLink
	case "0A000":
		// A schema change under a prepared statement; pgx forgets the plan, so the next run is good.
		if strings.Contains(pe.Message, "cached plan") {
			return blameRival
		}
	}
	switch pe.Code[:min(2, len(pe.Code))] {
	case "08":
		return blameLink
	case "53", "58", "XX": // resources, system, internal
		return blameResource
	}
	return blameFn
}

func isLink(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// isDatabase reports whether err comes from a database engine.
func isDatabase(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return true
	}
	_, ok := errors.AsType[*sqlite.Error](err)
	return ok
}
