package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// queries is what a connection and a transaction have in common.
type queries interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}

// openFile opens an existing SQLite file beside whoever else has it open.
func openFile(path string, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"mode": {"rw"}, "_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	h, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	h.SetMaxOpenConns(1)
	return h, nil
}

// snapshot is the state of a SQLite file at one moment, whatever is written to it meanwhile.
type snapshot struct {
	tx              *sql.Tx
	pages, pageSize int64
	rows            map[string]int64
	schema          []int64
}

// withSnapshot calls use with the state of a SQLite file.
func withSnapshot(ctx context.Context, path string, use func(s *snapshot) error) error {
	h, err := openFile(path, "query_only(1)", "cache_size(-8192)")
	if err != nil {
		return err
	}
	tx, err := h.BeginTx(ctx, nil)
	if err != nil {
		return errors.Join(err, h.Close())
	}
	s := &snapshot{tx: tx}
	err = s.read(ctx)
	if err == nil {
		err = use(s)
	}
	return errors.Join(err, tx.Rollback(), h.Close())
}

func (s *snapshot) read(ctx context.Context) error {
	// The first read fixes the moment.
	if err := s.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_schema`).Scan(new(int64)); err != nil {
		return err
	}
	if err := s.tx.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&s.pages); err != nil {
		return err
	}
	if err := s.tx.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&s.pageSize); err != nil {
		return err
	}
	var err error
	if s.rows, err = countRows(ctx, s.tx); err != nil {
		return err
	}
	s.schema, err = appliedMigrations(ctx, s.tx)
	return err
}

// pagesTo gives the pages to each, one after the other. A page is valid until each returns.
func (s *snapshot) pagesTo(ctx context.Context, each func(page []byte) error) error {
	rows, err := s.tx.QueryContext(ctx, `SELECT data FROM sqlite_dbpage`)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := int64(0)
	for ; rows.Next(); n++ {
		var page sql.RawBytes
		if err := rows.Scan(&page); err != nil {
			return err
		}
		if int64(len(page)) != s.pageSize {
			return fmt.Errorf("page %d has %d bytes instead of %d", n+1, len(page), s.pageSize)
		}
		if err := each(page); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n != s.pages {
		return fmt.Errorf("%d pages came instead of %d", n, s.pages)
	}
	return nil
}

// reader gives the pages as one stream. It must be closed.
func (s *snapshot) reader(ctx context.Context) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_ = w.CloseWithError(s.pagesTo(ctx, func(page []byte) error { // never fails
			_, err := w.Write(page)
			return err
		}))
	}()
	return r
}

// tableNames are the tables of a SQLite file, without SQLite's own.
func tableNames(ctx context.Context, q queries) ([]string, error) {
	return column[string](ctx, q, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
}

func countRows(ctx context.Context, q queries) (map[string]int64, error) {
	names, err := tableNames(ctx, q)
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for _, name := range names {
		var n int64
		if err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+quote(name)).Scan(&n); err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", name, err)
		}
		rows[name] = n
	}
	return rows, nil
}

// appliedMigrations are the numbers that goose has noted, none where it has not been.
func appliedMigrations(ctx context.Context, q queries) ([]int64, error) {
	names, err := tableNames(ctx, q)
	if err != nil || !slices.Contains(names, gooseTable) {
		return nil, err
	}
	return column[int64](ctx, q, `SELECT DISTINCT version_id FROM goose_db_version WHERE version_id > 0 ORDER BY version_id`)
}

const gooseTable = "goose_db_version"

// column reads the only column of a query.
func column[T any](ctx context.Context, q queries, text string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// quote makes an identifier of a name, the same way on both engines.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}

// checkFile has SQLite read a whole file and gives what is wrong with it.
func checkFile(ctx context.Context, path string, want map[string]int64) error {
	h, err := openFile(path)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // nothing is pending
	for _, pragma := range []string{`PRAGMA quick_check`, `PRAGMA foreign_key_check`} {
		found, err := firstLine(ctx, h, pragma)
		if err != nil {
			return err
		}
		if found != "" && found != "ok" {
			return damaged("%s: %s: %s", filepath.Base(path), pragma, found)
		}
	}
	got, err := countRows(ctx, h)
	if err != nil {
		return err
	}
	for table, n := range want {
		if got[table] != n {
			return damaged("%s: table %s has %d rows instead of %d", filepath.Base(path), table, got[table], n)
		}
	}
	return nil
}

// firstLine is the first row of a pragma in words, "" for none.
func firstLine(ctx context.Context, q queries, pragma string) (string, error) {
	rows, err := q.QueryContext(ctx, pragma)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		return "", errors.Join(err, rows.Err())
	}
	values, dest := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		dest[i] = &values[i]
	}
	if err := rows.Scan(dest...); err != nil {
		return "", err
	}
	return strings.TrimSpace(fmt.Sprintln(values...)), nil
}

// inUse reports whether another connection has a SQLite file open: every one holds a lock on it for as long as it lives. A
// file that cannot be opened at all, because it is broken, is in nobody's use.
func inUse(ctx context.Context, path string) bool {
	h, err := openFile(path, "busy_timeout(0)", "locking_mode(EXCLUSIVE)")
	if err != nil {
		return false
	}
	defer func() { _ = h.Close() }() // nothing is pending
	if _, err = h.ExecContext(ctx, `BEGIN EXCLUSIVE`); err == nil {
		_, err = h.ExecContext(ctx, `ROLLBACK`)
	}
	return err != nil && isBusy(err)
}
