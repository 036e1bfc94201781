package db

import (
	"database/sql"
	"time"
)

// Micros is a time as stored: microseconds since 1970 UTC, what is finer cut off.
// The zero time.Time has no meaning in the database; use [NullMicros].
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is a stored time, in UTC.
func Time(us int64) time.Time { return time.UnixMicro(us).UTC() }

// NullMicros is an optional time as stored; nil becomes NULL.
func NullMicros(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: Micros(*t), Valid: true}
}

// NullTime is the other direction of [NullMicros].
func NullTime(us sql.NullInt64) *time.Time {
	if !us.Valid {
		return nil
	}
	t := Time(us.Int64)
	return &t
}

// ZeroMicros is [NullMicros] for code that keeps "no time" as the zero time.Time.
func ZeroMicros(t time.Time) sql.NullInt64 {
	if t.IsZero() {
		return sql.NullInt64{}
	}
	return NullMicros(&t)
}

// ZeroTime is the other direction of [ZeroMicros].
func ZeroTime(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return Time(us.Int64)
}
