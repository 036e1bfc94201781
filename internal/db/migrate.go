package db

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrate brings the schema up to date with the *.sql files of all dirs (in any
// folder of each), which form one sequence by the number their names begin with.
// Files are in goose's format ("-- +goose Up"); each runs once, in its own
// transaction. Several nodes may call it at once on PostgreSQL: one does the work,
// the others wait for it.
//
// A file NAME.postgres.sql or NAME.sqlite.sql is for that engine alone; it may stand
// alone or in a pair under one number. All others are for both engines, and in them
// /*CLUSTERED*/ after a table's closing parenthesis keeps its rows in the order of
// its primary key where the engine can: WITHOUT ROWID on SQLite, nothing on PostgreSQL.
func (d *DB) Migrate(ctx context.Context, dirs ...fs.FS) error {
	files, err := gather(d.engine, dirs)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(files) == 0 {
		return nil
	}
	handle, err := d.migrationHandle()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	err = migrate(ctx, d.engine, handle, files)
	if err := errors.Join(err, handle.Close()); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// migrationHandle is a connection beside those of the committers: migrations take
// longer than a batch may.
func (d *DB) migrationHandle() (*sql.DB, error) {
	if d.engine == SQLite {
		read, write, err := openSQLite(d.o)
		if err != nil {
			return nil, err
		}
		return write, read.Close()
	}
	cfg, err := pgx.ParseConfig(d.o.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", err)
	}
	return stdlib.OpenDB(*cfg), nil
}

func migrate(ctx context.Context, e Engine, handle *sql.DB, files memory) error {
	dialect := goose.DialectSQLite3
	// A capability that joins later brings numbers between those already applied.
	opts := []goose.ProviderOption{goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true)}
	if e == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600), lock.WithUnlockTimeout(1, 60))
		if err != nil {
			return err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, handle, files, opts...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// gather reads all migrations, with the dialect's tokens replaced.
func gather(e Engine, dirs []fs.FS) (memory, error) {
	clustered := "WITHOUT ROWID"
	if e == Postgres {
		clustered = ""
	}
	files := memory{}
	for _, dir := range dirs {
		err := fs.WalkDir(dir, ".", func(p string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(p) != ".sql" {
				return err
			}
			if ours, err := isFor(e, path.Base(p)); err != nil || !ours {
				return err
			}
			text, err := fs.ReadFile(dir, p)
			if err != nil {
				return err
			}
			name := path.Base(p)
			if _, ok := files[name]; ok {
				return fmt.Errorf("two migrations are named %s", name)
			}
			files[name] = strings.ReplaceAll(string(text), "/*CLUSTERED*/", clustered)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// isFor reports whether a migration is to run on an engine, which its name may say.
func isFor(e Engine, name string) (bool, error) {
	switch only := Engine(strings.TrimPrefix(path.Ext(strings.TrimSuffix(name, ".sql")), ".")); only {
	case "", e:
		return true, nil
	case SQLite, Postgres:
		return false, nil
	default:
		return false, fmt.Errorf("migration %s is for an engine %q that does not exist", name, only)
	}
}

// memory is a folder of files: name -> text.
type memory map[string]string

// Open implements fs.FS.
func (m memory) Open(name string) (fs.File, error) {
	if name == "." {
		names := make([]string, 0, len(m))
		for n := range m {
			names = append(names, n)
		}
		slices.Sort(names)
		return &memoryDir{m: m, names: names}, nil
	}
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memoryFile{memoryInfo{name, int64(len(text)), 0o444}, bytes.NewReader([]byte(text))}, nil
}

type memoryFile struct {
	memoryInfo
	*bytes.Reader
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.memoryInfo, nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Size() int64                { return f.size }

type memoryDir struct {
	m     memory
	names []string
}

func (d *memoryDir) Stat() (fs.FileInfo, error) { return memoryInfo{".", 0, fs.ModeDir | 0o555}, nil }
func (d *memoryDir) Read([]byte) (int, error)   { return 0, errors.New("is a folder") }
func (d *memoryDir) Close() error               { return nil }

// ReadDir returns all entries at once, whatever n is, which fs.ReadDir asks for.
func (d *memoryDir) ReadDir(int) ([]fs.DirEntry, error) {
	entries := make([]fs.DirEntry, 0, len(d.names))
	for _, n := range d.names {
		entries = append(entries, fs.FileInfoToDirEntry(memoryInfo{n, int64(len(d.m[n])), 0o444}))
	}
	return entries, nil
}

type memoryInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i memoryInfo) Name() string       { return i.name }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) Mode() fs.FileMode  { return i.mode }
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memoryInfo) Sys() any           { return nil }
