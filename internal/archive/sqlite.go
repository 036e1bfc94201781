package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sqliteSource reads the databases of a data directory. A table may be in several files, as frames are by day.
type sqliteSource struct {
	main     *sql.DB
	tx       *sql.Tx // on the main file, from the beginning
	dir      string
	list     []Table
	files    map[string][]string // table -> files beside the main one
	versions []int64
}

func openSQLiteSource(ctx context.Context, o ExportOptions) (_ source, err error) {
	path := filepath.Join(o.Dir, MainFile)
	if _, err := os.Lstat(path); err != nil {
		return nil, fmt.Errorf("%w: %s holds no %s: it is not the data directory of an embedded node", ErrRefused, o.Dir, MainFile)
	}
	s := &sqliteSource{dir: o.Dir, files: map[string][]string{}}
	if s.main, err = openFile(path, "query_only(1)", "cache_size(-8192)"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.tx, err = s.main.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	if err := s.look(ctx, s.tx, "", o.WithoutFrames); err != nil {
		return nil, err
	}
	names, err := dataFiles(o.Dir, o.WithoutFrames)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == MainFile || !strings.HasSuffix(name, ".db") {
			continue
		}
		err := withSnapshot(ctx, filepath.Join(o.Dir, name), func(f *snapshot) error { return s.look(ctx, f.tx, name, o.WithoutFrames) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	slices.Sort(s.versions)
	s.versions = slices.Compact(s.versions)
	return s, nil
}

// look takes down the tables of a file; "" is the main one.
func (s *sqliteSource) look(ctx context.Context, q queries, file string, withoutFrames bool) error {
	applied, err := appliedMigrations(ctx, q)
	if err != nil {
		return err
	}
	s.versions = append(s.versions, applied...)
	tables, err := sqliteTables(ctx, q)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if left(t.Name, withoutFrames) {
			continue
		}
		s.files[t.Name] = append(s.files[t.Name], file)
		i := slices.IndexFunc(s.list, func(o Table) bool { return o.Name == t.Name })
		switch {
		case i < 0:
			s.list = append(s.list, t)
		case !slices.Equal(s.list[i].Columns, t.Columns):
			return fmt.Errorf("table %s has other columns than in the files before", t.Name)
		}
	}
	return nil
}

func (s *sqliteSource) engine() string  { return "sqlite" }
func (s *sqliteSource) schema() []int64 { return s.versions }
func (s *sqliteSource) tables() []Table { return s.list }

func (s *sqliteSource) close() error {
	var err error
	if s.tx != nil {
		err = s.tx.Rollback()
	}
	return errors.Join(err, s.main.Close())
}

func (s *sqliteSource) each(ctx context.Context, t *Table, use func(values []any) error) error {
	for _, file := range s.files[t.Name] {
		if file == "" {
			if err := eachRow(ctx, s.tx, t, use); err != nil {
				return err
			}
			continue
		}
		path := filepath.Join(s.dir, filepath.FromSlash(file))
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			continue // past its retention since the export began
		}
		if err := withSnapshot(ctx, path, func(f *snapshot) error { return eachRow(ctx, f.tx, t, use) }); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func eachRow(ctx context.Context, q queries, t *Table, use func(values []any) error) error {
	rows, err := q.QueryContext(ctx, selectAll(t))
	if err != nil {
		return err
	}
	defer rows.Close()
	values, dest := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := use(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

func selectAll(t *Table) string {
	text := `SELECT ` + quoteAll(t.columnNames()) + ` FROM ` + quote(t.Name)
	if len(t.Key) > 0 {
		text += ` ORDER BY ` + quoteAll(t.Key)
	}
	return text
}

// sqliteTables reads SQLite's own catalogue.
func sqliteTables(ctx context.Context, q queries) ([]Table, error) {
	names, err := tableNames(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []Table
	for _, name := range names {
		if name == gooseTable {
			continue
		}
		t, err := sqliteTable(ctx, q, name)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func sqliteTable(ctx context.Context, q queries, name string) (Table, error) {
	t := Table{Name: name}
	rows, err := q.QueryContext(ctx, `SELECT name, type FROM pragma_table_info($1) ORDER BY cid`, name)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Column
		var declared string
		if err := rows.Scan(&c.Name, &declared); err != nil {
			return t, err
		}
		if c.Kind, err = kindOf(declared); err != nil {
			return t, fmt.Errorf("column %s: %w", c.Name, err)
		}
		t.Columns = append(t.Columns, c)
	}
	if err := rows.Err(); err != nil {
		return t, err
	}
	if t.Key, err = column[string](ctx, q, `SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk`, name); err != nil {
		return t, err
	}
	t.refers, err = column[string](ctx, q, `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`, name)
	return t, err
}

// sqliteLoader fills the databases of a folder that nobody else uses yet.
type sqliteLoader struct {
	files []*sql.DB
	has   map[string]*sql.DB
	known map[string]Table
}

func openSQLiteLoader(ctx context.Context, paths []string) (_ loader, err error) {
	l := &sqliteLoader{has: map[string]*sql.DB{}, known: map[string]Table{}}
	for _, path := range paths {
		// Whatever happens before the files are in their place, they are thrown away: nothing need be safe on the disk.
		h, err := openFile(path, "journal_mode(MEMORY)", "synchronous(OFF)", "foreign_keys(0)", "cache_size(-32768)", "temp_store(MEMORY)")
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.files = append(l.files, h)
		tables, err := sqliteTables(ctx, h)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		for _, t := range tables {
			l.has[t.Name], l.known[t.Name] = h, t
			if _, err := h.ExecContext(ctx, `DELETE FROM `+quote(t.Name)); err != nil { // what migrations put there is in the archive
				return nil, errors.Join(err, l.close())
			}
		}
	}
	return l, nil
}

func (l *sqliteLoader) table(name string) (Table, bool) {
	t, ok := l.known[name]
	return t, ok
}

func (l *sqliteLoader) load(ctx context.Context, t *Table, next func() ([]any, error)) error {
	tx, err := l.has[t.Name].BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	params := make([]string, len(t.Columns))
	for i := range params {
		params[i] = fmt.Sprintf("$%d", i+1)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO `+quote(t.Name)+` (`+quoteAll(t.columnNames())+`) VALUES (`+strings.Join(params, ", ")+`)`)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	for {
		values, err := next()
		if err == nil && values == nil {
			break
		}
		if err == nil {
			_, err = insert.ExecContext(ctx, values...)
		}
		if err != nil {
			return errors.Join(err, insert.Close(), tx.Rollback())
		}
	}
	return errors.Join(insert.Close(), tx.Commit())
}

func (l *sqliteLoader) finish(context.Context) error { return nil }

func (l *sqliteLoader) close() error {
	var errs []error
	for _, h := range l.files {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}
