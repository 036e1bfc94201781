package db

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// batchTimeout bounds one group transaction on PostgreSQL, so that a server or
// network that went silent turns into an error and a new connection.
const batchTimeout = 30 * time.Second

// openPostgres returns the read pool and the pool that committers take their
// connections from. Reads are read-only, as they are on SQLite.
func openPostgres(o Options) (read, write *sql.DB, err error) {
	cfg, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("parse the database URL: %w", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	set(cfg, "application_name", "lumela")
	cfg.RuntimeParams["timezone"] = "UTC"

	w := cfg.Copy()
	// A node that froze must not keep its row locks from the others for ever.
	set(w, "idle_in_transaction_session_timeout", "8000")
	set(w, "lock_timeout", "10000")
	if o.Relaxed {
		w.RuntimeParams["synchronous_commit"] = "off"
	}
	write = stdlib.OpenDB(*w)

	cfg.RuntimeParams["default_transaction_read_only"] = "on"
	read = stdlib.OpenDB(*cfg)
	n := o.Readers
	if n <= 0 {
		n = 16
	}
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	read.SetConnMaxIdleTime(5 * time.Minute)
	return read, write, nil
}

// set leaves what the operator's URL says.
func set(cfg *pgx.ConnConfig, key, value string) {
	if _, ok := cfg.RuntimeParams[key]; !ok {
		cfg.RuntimeParams[key] = value
	}
}

// pgConn is the pgx connection inside a database/sql one. The caller owns the
// latter for as long as it uses the former.
func pgConn(conn *sql.Conn) (pg *pgx.Conn, err error) {
	err = conn.Raw(func(dc any) error {
		c, ok := dc.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("driver connection is %T", dc)
		}
		pg = c.Conn()
		return nil
	})
	return pg, err
}
