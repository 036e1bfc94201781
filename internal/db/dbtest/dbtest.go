// Package dbtest opens fresh databases for tests, on each engine.
//
// PostgreSQL is the server that LUMELA_TEST_POSTGRES names (a URL whose user may
// create databases); without it, the first test that asks starts a private server with
// scripts/test-postgres.sh, which ends with the test process however that ends. Where no
// PostgreSQL is installed the PostgreSQL subtests are skipped.
package dbtest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"

	"lumela/internal/db"
)

// Each runs test once per engine, as parallel subtests "sqlite" and "postgres". open
// returns a new, empty database with the given migrations applied; it is closed and
// removed when the subtest ends. Each call of open makes another database.
func Each(t *testing.T, test func(t *testing.T, open func(migrations ...fs.FS) *db.DB)) {
	t.Helper()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			test(t, func(migrations ...fs.FS) *db.DB {
				t.Helper()
				return Open(t, Fresh(t, engine, migrations...))
			})
		})
	}
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	d, err := db.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// Fresh makes an empty database with the given migrations applied and returns the options
// that open it, for tests that want other options or open it twice. It is removed when
// the test ends. The migrations run once per process and set; databases are copies.
func Fresh(t testing.TB, engine db.Engine, migrations ...fs.FS) db.Options {
	t.Helper()
	key, err := digest(migrations)
	if err != nil {
		t.Fatal(err)
	}
	if engine == db.SQLite {
		return freshSQLite(t, key, migrations)
	}
	return freshPostgres(t, key, migrations)
}

// digest names a set of migrations by its content.
func digest(migrations []fs.FS) (string, error) {
	h := sha256.New()
	for _, dir := range migrations {
		err := fs.WalkDir(dir, ".", func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(p, ".sql") {
				return err
			}
			text, err := fs.ReadFile(dir, p)
			_, _ = fmt.Fprintf(h, "%s %d\n%s", p, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read migrations: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func migrate(o db.Options, migrations []fs.FS) error {
	d, err := db.Open(context.Background(), o)
	if err != nil {
		return err
	}
	return errors.Join(d.Migrate(context.Background(), migrations...), d.Close())
}

// templates holds, per set of migrations, the outcome of preparing it once.
var templates sync.Map // engine + digest -> func() (T, error)

func once[T any](key string, prepare func() (T, error)) (T, error) {
	f, _ := templates.LoadOrStore(key, sync.OnceValues(prepare))
	return f.(func() (T, error))()
}

func freshSQLite(t testing.TB, key string, migrations []fs.FS) db.Options {
	t.Helper()
	image, err := once("sqlite "+key, func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "lumela-template-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		path := filepath.Join(dir, "template.db")
		// The last connection to close moves the log into the file.
		if err := migrate(db.Options{Path: path}, migrations); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lumela.db")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return db.Options{Path: path}
}

var serial atomic.Int64

func freshPostgres(t testing.TB, key string, migrations []fs.FS) db.Options {
	t.Helper()
	server := Postgres(t)
	template, err := once("postgres "+key, func() (string, error) { return postgresTemplate(server, key, migrations) })
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("lumela_test_%d_%d", os.Getpid(), serial.Add(1))
	if err := execute(server, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return db.Options{URL: within(server, name)}
}

// postgresTemplate makes the template database of a set of migrations unless another
// process has. It gets its final name only when it is complete.
func postgresTemplate(server, key string, migrations []fs.FS) (name string, err error) {
	name = "lumela_template_" + key
	conn, release, err := locked(server)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	ctx := context.Background()
	var exists bool
	err = conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil || exists {
		return name, err
	}
	draft := name + "_draft"
	for _, text := range []string{"DROP DATABASE IF EXISTS " + draft + " WITH (FORCE)", "CREATE DATABASE " + draft} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return "", err
		}
	}
	if err := migrate(db.Options{URL: within(server, draft)}, migrations); err != nil {
		return "", err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+draft+" RENAME TO "+name)
	return name, err
}

// locked returns a connection that holds this package's lock on the server.
func locked(server string) (*sql.Conn, func() error, error) {
	h, err := sql.Open("pgx", server)
	if err != nil {
		return nil, nil, err
	}
	conn, err := h.Conn(context.Background())
	if err != nil {
		return nil, nil, errors.Join(err, h.Close())
	}
	if _, err := conn.ExecContext(context.Background(), "SELECT pg_advisory_lock(7305810)"); err != nil {
		return nil, nil, errors.Join(err, conn.Close(), h.Close())
	}
	return conn, func() error { return errors.Join(conn.Close(), h.Close()) }, nil
}

func execute(server, text string) error {
	h, err := sql.Open("pgx", server)
	if err != nil {
		return err
	}
	_, err = h.Exec(text)
	return errors.Join(err, h.Close())
}

// within is the URL of another database of the same server.
func within(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // it has been connected to before, so it parses
	}
	u.Path = "/" + name
	return u.String()
}

// errMissing: no server is installed here.
var errMissing = errors.New("no PostgreSQL server installed (Debian: apt-get install postgresql) and LUMELA_TEST_POSTGRES not set")

// Postgres returns the URL of the test server, started when needed, or skips the test when
// there is none.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := startPostgres()
	if errors.Is(err, errMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return server
}

var startPostgres = sync.OnceValues(func() (string, error) {
	if server := os.Getenv("LUMELA_TEST_POSTGRES"); server != "" {
		return server, nil
	}
	script, err := findScript()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "lumela-pg-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(script, "start", dir).Output()
	if err != nil {
		_ = os.Remove(dir)
		ee, ok := errors.AsType[*exec.ExitError](err)
		if ok && ee.ExitCode() == 3 {
			return "", errMissing
		}
		if ok {
			err = fmt.Errorf("%w: %s", err, ee.Stderr)
		}
		return "", fmt.Errorf("start PostgreSQL: %w", err)
	}
	return strings.TrimSpace(string(out)), stopWithProcess(script, dir)
})

// stopWithProcess leaves a shell behind that reads from a pipe nobody writes to: its
// end of file is the end of this process, even by a signal.
func stopWithProcess(script, dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", `cat >/dev/null; exec "$0" stop "$1"`, script, dir)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // not reached by the terminal's interrupt
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("watch over PostgreSQL: %w", err)
	}
	kept = append(kept, w) // from the garbage collector, which would close it
	return r.Close()
}

// kept are files that stay open as long as the process lives.
var kept []*os.File

// findScript looks for the script above the test's folder.
func findScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		script := filepath.Join(dir, "scripts", "test-postgres.sh")
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("scripts/test-postgres.sh is in no folder above the test's")
		}
		dir = up
	}
}
