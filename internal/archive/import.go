package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lumela/internal/db"
)

// Database is one SQLite file of a data directory and what makes its tables.
type Database struct {
	File       string
	Migrations []fs.FS
}

// ImportOptions say where an export goes: the database at URL, or the data directory Dir.
type ImportOptions struct {
	URL       string
	Dir       string // when URL is empty
	Force     bool   // a target with content: keep that aside
	Databases []Database
	Known     []int64 // see RestoreOptions
	// Finish is called with the new database, complete and migrated, before it takes its place.
	Finish func(ctx context.Context, o db.Options, taken time.Time) error
	Log    *slog.Logger
}

// Imported tells what has been put in place.
type Imported struct {
	Restored
	Rows   map[string]int64 // by table
	Mended int64            // texts with characters that PostgreSQL does not take, which were replaced
}

// loader puts rows into tables.
type loader interface {
	table(name string) (Table, bool)
	// load inserts rows until next gives nil.
	load(ctx context.Context, t *Table, next func() ([]any, error)) error
	finish(ctx context.Context) error
	close() error
}

// Import puts an export into an empty database. The archive is verified first; its rows go to a schema or folder beside the
// target, with the migrations that they come with, and are brought up to date there. At the end everything changes place
// at once: an import that fails leaves the target as it was. No node may use the target.
func Import(ctx context.Context, file string, o ImportOptions) (Imported, error) {
	checked, err := verifyFor(file, Export, o.Known)
	im := &importer{file: file, o: o, res: Imported{Restored: checked, Rows: map[string]int64{}}}
	switch {
	case err != nil:
		return im.res, err
	case o.URL != "":
		return im.res, im.toPostgres(ctx)
	}
	im.res.Aside, err = install(ctx, o.Dir, o.Force, func(staging string) error { return im.toFiles(ctx, staging) })
	return im.res, err
}

type importer struct {
	file string
	o    ImportOptions
	res  Imported
}

// toFiles fills a folder.
func (im *importer) toFiles(ctx context.Context, dir string) error {
	var paths []string
	for _, d := range im.o.Databases {
		path := filepath.Join(dir, d.File)
		if err := im.migrate(ctx, db.Options{Path: path}, onlyOf(d.Migrations, im.res.Header.Schema)); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	l, err := openSQLiteLoader(ctx, paths)
	if err != nil {
		return fmt.Errorf("open the new databases: %w", err)
	}
	if err := errors.Join(im.load(ctx, l), l.close()); err != nil {
		return err
	}
	for i, d := range im.o.Databases {
		if err := im.migrate(ctx, db.Options{Path: paths[i]}, d.Migrations); err != nil {
			return err
		}
	}
	if err := im.finish(ctx, db.Options{Path: filepath.Join(dir, MainFile)}); err != nil {
		return err
	}
	for _, path := range paths {
		if err := checkFile(ctx, path, nil); err != nil {
			return err
		}
	}
	return nil
}

// toPostgres fills a schema beside the one where the tables belong, and lets them change place in one transaction.
func (im *importer) toPostgres(ctx context.Context) (err error) {
	conn, err := connect(ctx, im.o.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext($1))`, stagingSchema).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return fmt.Errorf("%w: another import into this database is running", ErrRefused)
	}
	defer func() { // the server may see the end of the connection a moment later
		_, uerr := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext($1))`, stagingSchema)
		err = errors.Join(err, uerr)
	}()
	if err := vacantPostgres(ctx, conn, im.o.Force); err != nil {
		return err
	}
	var home string
	if err := conn.QueryRow(ctx, `SELECT COALESCE(current_schema()::text, 'public')`).Scan(&home); err != nil {
		return err
	}
	clear := `DROP SCHEMA IF EXISTS ` + quote(stagingSchema) + ` CASCADE`
	for _, text := range []string{clear, `CREATE SCHEMA ` + quote(stagingSchema)} { // an import that was killed left its own
		if _, err := conn.Exec(ctx, text); err != nil {
			return fmt.Errorf("make the schema %s: %w", stagingSchema, err)
		}
	}
	if err = im.stagePostgres(ctx); err == nil {
		if err = vacantPostgres(ctx, conn, im.o.Force); err == nil {
			im.res.Aside, err = placePostgres(ctx, conn, home)
		}
	}
	if err != nil {
		_, cerr := conn.Exec(context.WithoutCancel(ctx), clear)
		return errors.Join(err, cerr)
	}
	_, err = conn.Exec(ctx, `ANALYZE`)
	return err
}

func (im *importer) stagePostgres(ctx context.Context) error {
	address, err := withSearchPath(im.o.URL, stagingSchema)
	if err != nil {
		return err
	}
	var dirs []fs.FS
	for _, d := range im.o.Databases {
		dirs = append(dirs, d.Migrations...)
	}
	staged := db.Options{URL: address}
	if err := im.migrate(ctx, staged, onlyOf(dirs, im.res.Header.Schema)); err != nil {
		return err
	}
	l, err := openPostgresLoader(ctx, address)
	if err != nil {
		return fmt.Errorf("open the new tables: %w", err)
	}
	if err := errors.Join(im.load(ctx, l), l.close()); err != nil {
		return err
	}
	im.res.Mended = l.mended
	if err := im.migrate(ctx, staged, dirs); err != nil {
		return err
	}
	return im.finish(ctx, staged)
}

func (im *importer) migrate(ctx context.Context, o db.Options, dirs []fs.FS) error {
	o.Log = im.o.Log
	d, err := db.Open(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(d.Migrate(ctx, dirs...), d.Close())
}

func (im *importer) finish(ctx context.Context, o db.Options) error {
	if im.o.Finish == nil {
		return nil
	}
	o.Log = im.o.Log
	return im.o.Finish(ctx, o, im.res.Header.TakenAt)
}

// load brings all rows in and holds their number against the manifest.
func (im *importer) load(ctx context.Context, l loader) error {
	r, err := openReader(im.file)
	if err != nil {
		return err
	}
	err = im.loadFrom(ctx, &rowReader{reader: r}, l)
	if err := errors.Join(err, r.close()); err != nil {
		return err
	}
	for table, want := range im.res.Manifest.Rows() {
		if got := im.res.Rows[table]; got != want {
			return damaged("table %s: %d rows came instead of %d", table, got, want)
		}
	}
	return l.finish(ctx)
}

func (im *importer) loadFrom(ctx context.Context, rr *rowReader, l loader) error {
	for {
		name, err := rr.nextTable()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i := slices.IndexFunc(im.res.Header.Tables, func(t Table) bool { return t.Name == name })
		if i < 0 {
			return damaged("rows of %s, which the header does not tell of", name)
		}
		t := &im.res.Header.Tables[i]
		if err := fits(l, t); err != nil {
			return err
		}
		values := make([]any, len(t.Columns))
		err = l.load(ctx, t, func() ([]any, error) {
			line, err := rr.row(name)
			if err != nil || line == "" {
				return nil, err
			}
			im.res.Rows[name]++
			return values, parseRow(line, t, values)
		})
		if err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
	}
}

// fits holds a table of the archive against the one that its rows shall go to.
func fits(l loader, t *Table) error {
	target, ok := l.table(t.Name)
	if !ok {
		return fmt.Errorf("the archive holds rows of %s, and this program makes no such table", t.Name)
	}
	for _, c := range t.Columns {
		if !slices.Contains(target.Columns, c) {
			return fmt.Errorf("column %s.%s (%s) of the archive is not in the table that this program makes", t.Name, c.Name, c.Kind)
		}
	}
	return nil
}

// rowReader reads the rows of an archive across its parts.
type rowReader struct {
	*reader
	table string        // of the part that is open, "" before the first and after the last
	part  *bufio.Reader // nil when the part that is open has ended
	ended bool
}

// nextTable gives the table of the next part that has not been read; io.EOF when there is none.
func (r *rowReader) nextTable() (string, error) {
	if r.part == nil {
		if err := r.open(); err != nil {
			return "", err
		}
	}
	if r.ended {
		return "", io.EOF
	}
	return r.table, nil
}

func (r *rowReader) open() error {
	name, content, err := r.next()
	if errors.Is(err, io.EOF) {
		r.ended, r.table = true, ""
		return nil
	}
	if err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(name, rowsPrefix)
	table, _, found := strings.Cut(rest, "/")
	if !ok || !found {
		return damaged("part %q holds no rows", name)
	}
	r.table = table
	if r.part == nil {
		r.part = bufio.NewReaderSize(content, 64<<10)
	} else {
		r.part.Reset(content)
	}
	return nil
}

// row gives the next line of a table, "" after its last one.
func (r *rowReader) row(table string) (string, error) {
	for {
		if r.ended || r.table != table {
			return "", nil
		}
		line, err := r.part.ReadString('\n')
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, io.EOF) || line != "" {
			return "", damaged("rows of %s: %v", table, err)
		}
		if err := r.open(); err != nil {
			return "", err
		}
	}
}

// Rows calls each with every row of an export in its written form, for those who look into one.
func Rows(file string, each func(table, row string) error) error {
	r, err := openReader(file)
	if err != nil {
		return err
	}
	return errors.Join(eachLine(&rowReader{reader: r}, each), r.close())
}

func eachLine(rr *rowReader, each func(table, row string) error) error {
	for {
		table, err := rr.nextTable()
		if errors.Is(err, io.EOF) {
			return nil
		}
		for err == nil {
			var line string
			if line, err = rr.row(table); err == nil && line == "" {
				break
			}
			if err == nil {
				err = each(table, strings.TrimSuffix(line, "\n"))
			}
		}
		if err != nil {
			return err
		}
	}
}
