package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/clock"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

var schema = fstest.MapFS{"migrations/0001_fact.sql": {Data: []byte(`-- +goose Up
CREATE TABLE fact (
	id BIGINT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	note TEXT,
	yes BOOLEAN NOT NULL DEFAULT false,
	raw BYTEA,
	at BIGINT
);
CREATE TABLE reading (
	station TEXT NOT NULL,
	seq BIGINT NOT NULL,
	fact BIGINT REFERENCES fact (id),
	body TEXT,
	raw BYTEA,
	yes BOOLEAN,
	at BIGINT,
	PRIMARY KEY (station, seq)
) /*CLUSTERED*/;
`)}}

var reading = db.NewInsert("reading", []string{"station", "seq"}, "")

const addFact = "INSERT INTO fact (id, name) VALUES ($1, $2)"

func count(t testing.TB, d *db.DB, sql string, args ...any) (n int64) {
	t.Helper()
	if err := d.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func mustWrite(t testing.TB, d *db.DB, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := d.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestValuesRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 3, 4, 5, 678901999, time.FixedZone("x", 3600))
	raw := []byte{0, 255, 'a', 0}
	appended := db.NewInsert("reading", []string{"station", "seq", "fact", "body", "raw", "yes", "at"}, "ON CONFLICT DO NOTHING")
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		mustWrite(t, d, func(tx *db.Tx) error {
			_, err := tx.Exec("INSERT INTO fact (name, id, note, yes, raw, at) VALUES ($2, $1, $3, $4, $5, $6)",
				1, "größe", nil, true, raw, db.Micros(at))
			return err
		})
		mustWrite(t, d, func(tx *db.Tx) error {
			tx.Append(appended, "s", 1, int64(1), `{"a":1}`, raw, true, db.NullMicros(&at))
			tx.Append(appended, "s", 2, nil, nil, []byte(nil), nil, db.NullMicros(nil))
			tx.Append(appended, "s", 2, nil, "ignored", nil, nil, nil)
			return nil
		})
		type fact struct {
			Name string
			Note *string
			Yes  bool
			Raw  []byte
			At   time.Time
		}
		var got fact
		var us int64
		row := d.QueryRow(t.Context(), "SELECT name, note, yes, raw, at FROM fact WHERE yes AND id = $1", 1)
		if err := row.Scan(&got.Name, &got.Note, &got.Yes, &got.Raw, &us); err != nil {
			t.Fatal(err)
		}
		got.At = db.Time(us)
		want := fact{"größe", nil, true, raw, time.Date(2026, 11, 22, 2, 4, 5, 678901000, time.UTC)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		var texts []string
		rows, err := d.Query(t.Context(), "SELECT seq, fact, body, raw, yes, at FROM reading ORDER BY seq")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var seq int64
			var ref *int64
			var body *string
			var raw []byte
			var yes *bool
			var at *int64
			if err := rows.Scan(&seq, &ref, &body, &raw, &yes, &at); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, fmt.Sprint(seq, ref != nil, body != nil, raw, yes != nil && *yes, at != nil))
		}
		if diff := cmp.Diff([]string{"1 true true [0 255 97 0] true true", "2 false false [] false false"}, texts); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		ctx := t.Context()
		add := func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1, "a"); return err }
		mustWrite(t, d, add)
		if err := d.Write(ctx, add); !db.IsConflict(err) || db.IsForeignKey(err) {
			t.Errorf("the second insertion returned %v, want a conflict", err)
		}
		err := d.Write(ctx, func(tx *db.Tx) error {
			tx.Append(reading, "s", 1)
			tx.Append(reading, "s", 1)
			return nil
		})
		if !db.IsConflict(err) {
			t.Errorf("two equal rows appended returned %v, want a conflict", err)
		}
		err = d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec("INSERT INTO reading (station, seq, fact) VALUES ('s', 9, 77)")
			return err
		})
		if !db.IsForeignKey(err) || db.IsConflict(err) {
			t.Errorf("a dangling reference returned %v", err)
		}
		err = d.Write(ctx, func(tx *db.Tx) error {
			_, _ = tx.Exec(addFact, 2, "kept?")
			_, _ = tx.Exec(addFact, 1, "fails")
			return nil // the failure ignored
		})
		if !db.IsConflict(err) {
			t.Errorf("an ignored failure returned %v, want the conflict", err)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { tx.Append(reading, "s"); return nil }); err == nil {
			t.Error("a row with a value missing was accepted")
		}
		var n int
		err = d.Write(ctx, func(tx *db.Tx) error { return tx.QueryRow("SELECT id FROM fact WHERE id = 5").Scan(&n) })
		if !errors.Is(err, db.ErrNoRows) {
			t.Errorf("no row: %v, want ErrNoRows", err)
		}
		if _, err := d.Query(ctx, "DELETE FROM fact"); err == nil {
			t.Error("a read connection deleted")
		}
		if err := d.Write(ctx, func(*db.Tx) error { panic("bad day") }); err == nil || !strings.Contains(err.Error(), "bad day") {
			t.Errorf("a panic returned %v", err)
		}
		if got := count(t, d, "SELECT count(*) FROM fact"); got != 1 {
			t.Errorf("%d facts, want 1", got)
		}
		if got := count(t, d, "SELECT count(*) FROM reading"); got != 0 {
			t.Errorf("%d readings, want 0", got)
		}
	})
}

// TestNeighboursUnharmed holds the committer until a batch with one guilty fn stands in
// line, for each way of being guilty.
func TestNeighboursUnharmed(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	guilty := map[string]func(tx *db.Tx) error{
		"own error after writing": func(tx *db.Tx) error {
			if _, err := tx.Exec(addFact, 1000, "guilty"); err != nil {
				return err
			}
			return boom
		},
		"own error before writing": func(*db.Tx) error { return boom },
		"bad statement":            func(tx *db.Tx) error { _, err := tx.Exec("INSERT INTO nowhere VALUES (1)"); return err },
		"bad query":                func(tx *db.Tx) error { _, err := tx.Query("SELECT nothing FROM nowhere"); return err },
		"bad row":                  func(tx *db.Tx) error { tx.Append(reading, nil, nil); return nil },
		"rows left open": func(tx *db.Tx) error {
			if _, err := tx.Query("SELECT id FROM fact"); err != nil {
				return err
			}
			return boom
		},
		"panic": func(*db.Tx) error { panic(boom) },
	}
	for name, bad := range guilty {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
				d := open(schema)
				var wg sync.WaitGroup
				var hooks atomic.Int64
				held, release := make(chan struct{}), make(chan struct{})
				entered := sync.OnceFunc(func() { close(held) })
				wg.Go(func() {
					_ = d.WriteKey(context.Background(), "k", func(*db.Tx) error { entered(); <-release; return nil })
				})
				<-held
				var badErr error
				errs := make([]error, 20)
				for i := range errs {
					wg.Go(func() {
						errs[i] = d.WriteKey(context.Background(), "k", func(tx *db.Tx) error {
							tx.AfterCommit(func() { hooks.Add(1) })
							tx.Append(reading, "s", i)
							_, err := tx.Exec(addFact, i, "good")
							return err
						})
					})
				}
				wg.Go(func() {
					badErr = d.WriteKey(context.Background(), "k", func(tx *db.Tx) error {
						tx.AfterCommit(func() { hooks.Add(1000) })
						tx.Append(reading, "guilty", 1)
						return bad(tx)
					})
				})
				close(release)
				wg.Wait()
				if err := errors.Join(errs...); err != nil {
					t.Errorf("neighbours failed: %v", err)
				}
				if badErr == nil {
					t.Error("the guilty one did not fail")
				}
				facts, readings := count(t, d, "SELECT count(*) FROM fact"), count(t, d, "SELECT count(*) FROM reading")
				if facts != 20 || readings != 20 || hooks.Load() != 20 {
					t.Errorf("%d facts, %d readings, %d hooks, want 20 each", facts, readings, hooks.Load())
				}
			})
		})
	}
}

func TestDeferredConstraintFailsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	late := fstest.MapFS{"0002_late.sql": {Data: []byte(`-- +goose Up
CREATE TABLE late (id BIGINT PRIMARY KEY, fact BIGINT REFERENCES fact (id) DEFERRABLE INITIALLY DEFERRED);
`)}}
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema, late)
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1, "a"); return err })
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				err := d.Write(context.Background(), func(tx *db.Tx) error {
					_, err := tx.Exec("INSERT INTO late (id, fact) VALUES ($1, $2)", i, i%2)
					return err
				})
				if (err == nil) != (i%2 == 1) {
					t.Errorf("write %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, d, "SELECT count(*) FROM late"); n != 5 {
			t.Errorf("%d rows, want 5", n)
		}
	})
}

func TestWriteKeyKeepsOrder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		var wg sync.WaitGroup
		for s := range 8 {
			wg.Go(func() {
				station := fmt.Sprint("s", s)
				var inner sync.WaitGroup
				var order []int // touched by hooks of one key only: the race detector watches
				for i := range 50 {
					handed := make(chan struct{})
					inner.Go(func() {
						err := d.WriteKey(&signalContext{Context: context.Background(), handed: handed}, station, func(tx *db.Tx) error {
							tx.AfterCommit(func() { order = append(order, i) })
							_, err := tx.Exec("INSERT INTO reading (station, seq) SELECT $1, count(*) FROM reading WHERE station = $2", station, station)
							return err
						})
						if err != nil {
							t.Error(err)
						}
					})
					<-handed
				}
				inner.Wait()
				for i, got := range order {
					if got != i {
						t.Fatalf("%s: hook %d ran at place %d", station, got, i)
					}
				}
			})
		}
		wg.Wait()
		if n := count(t, d, "SELECT count(*) FROM reading WHERE seq < 50"); n != 400 {
			t.Errorf("%d readings, want 400", n)
		}
	})
}

// signalContext tells when Write, having queued its fn, begins to wait.
type signalContext struct {
	context.Context
	handed chan struct{}
	once   sync.Once
}

func (c *signalContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.handed) })
	return nil
}

func TestContextEndsOnlyWaiting(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		held, release := make(chan struct{}), make(chan struct{})
		entered := sync.OnceFunc(func() { close(held) })
		picked, cancelPicked := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			first <- d.WriteKey(picked, "k", func(tx *db.Tx) error {
				entered()
				<-release
				_, err := tx.Exec(addFact, 1, "picked up")
				return err
			})
		}()
		<-held
		waiting, cancelWaiting := context.WithCancel(t.Context())
		second := make(chan error, 1)
		go func() {
			second <- d.WriteKey(waiting, "k", func(tx *db.Tx) error { _, err := tx.Exec(addFact, 2, "never"); return err })
		}()
		cancelWaiting()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("the waiting write returned %v", err)
		}
		cancelPicked()
		close(release)
		if err := <-first; err != nil {
			t.Errorf("the write picked up returned %v", err)
		}
		mustWrite(t, d, func(tx *db.Tx) error { return nil })
		if n := count(t, d, "SELECT sum(id) FROM fact"); n != 1 {
			t.Errorf("facts sum to %d, want the first alone", n)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	t.Parallel()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			o := dbtest.Fresh(t, engine, schema)
			d := dbtest.Open(t, o)
			var wg sync.WaitGroup
			var done atomic.Int64
			some := make(chan struct{})
			enough := sync.OnceFunc(func() { close(some) })
			for i := range 300 {
				wg.Go(func() {
					err := d.Write(context.Background(), func(tx *db.Tx) error { tx.Append(reading, "s", i); return nil })
					switch {
					case err == nil:
						done.Add(1)
						enough()
					case !errors.Is(err, db.ErrClosed):
						t.Error(err)
					}
				})
			}
			<-some
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			if err := d.Write(t.Context(), func(*db.Tx) error { return nil }); !errors.Is(err, db.ErrClosed) {
				t.Errorf("a write after Close returned %v", err)
			}
			again := dbtest.Open(t, o)
			if n := count(t, again, "SELECT count(*) FROM reading"); n != done.Load() {
				t.Errorf("%d rows, but %d writes returned nil", n, done.Load())
			}
		})
	}
}

func TestFnThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		for range 5 {
			err := d.Write(t.Context(), func(tx *db.Tx) error {
				if _, err := tx.Exec(addFact, 1, "undone"); err != nil {
					return err
				}
				goexit()
				return nil
			})
			if err == nil {
				t.Fatal("the write of a fn that did not return succeeded")
			}
		}
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1, "kept"); return err })
	})
}

func TestTxAfterItsEnd(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		var kept *db.Tx
		mustWrite(t, d, func(tx *db.Tx) error { kept = tx; return nil })
		if _, err := kept.Exec("DELETE FROM fact"); err == nil {
			t.Error("Exec worked")
		}
		if _, err := kept.Query("SELECT 1"); err == nil {
			t.Error("Query worked")
		}
		var n int
		if err := kept.QueryRow("SELECT 1").Scan(&n); err == nil {
			t.Error("QueryRow worked")
		}
	})
}

func TestNow(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.SQLite)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("x", 7200))
	o.Clock = clock.NewFake(at)
	d := dbtest.Open(t, o)
	mustWrite(t, d, func(tx *db.Tx) error {
		if want := time.Date(2026, 1, 2, 1, 4, 5, 6000, time.UTC); tx.Now() != want {
			t.Errorf("now is %v, want %v", tx.Now(), want)
		}
		return nil
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	second := fstest.MapFS{"0002_more.sql": {Data: []byte("-- +goose Up\nALTER TABLE fact ADD COLUMN more TEXT;\n")}}
	between := fstest.MapFS{"deep/er/00015_late.sql": {Data: []byte("-- +goose Up\nCREATE TABLE late (id BIGINT);\n")}}
	broken := fstest.MapFS{"0099_broken.sql": {Data: []byte("-- +goose Up\nCREATE TABLE x (id BIGINT);\nNONSENSE;\n")}}
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		ctx := t.Context()
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec("INSERT INTO fact (id, name) VALUES (1, 'a')"); return err })
		count(t, d, "SELECT count(*) FROM fact")
		// Two at once, as two nodes that start; statements prepared before stay usable.
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			if d.Engine() == db.SQLite && i > 0 {
				break // one process owns the file
			}
			wg.Go(func() { errs[i] = d.Migrate(ctx, schema, second) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if err := d.Migrate(ctx, schema, second, between); err != nil {
			t.Fatalf("a number between those applied: %v", err)
		}
		if n := count(t, d, "SELECT count(*) FROM fact WHERE more IS NULL"); n != 1 {
			t.Errorf("%d facts", n)
		}
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec("INSERT INTO fact (id, name) VALUES (2, 'a')"); return err })
		if err := d.Migrate(ctx, schema, schema); err == nil || !strings.Contains(err.Error(), "0001_fact.sql") {
			t.Errorf("two files of one name: %v", err)
		}
		if err := d.Migrate(ctx, schema, second, between, broken); err == nil {
			t.Error("a broken migration succeeded")
		}
		if _, err := d.Query(ctx, "SELECT id FROM x"); err == nil {
			t.Error("half of a broken migration stayed")
		}
	})
}

func TestSQLitePathWithOddCharacters(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/a folder?/100% #1/lumela.db"
	d := dbtest.Open(t, db.Options{Path: path})
	if err := d.Migrate(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1, "a"); return err })
	if got := count(t, d, "SELECT count(*) FROM pragma_database_list WHERE file = $1", path); got != 1 {
		t.Error("the database is not at the path given")
	}
	for name, want := range map[string]string{"journal_mode": "wal", "foreign_keys": "1", "query_only": "1"} {
		var got []byte
		if err := d.QueryRow(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || !bytes.Equal(got, []byte(want)) {
			t.Errorf("%s is %s (%v), want %s", name, got, err, want)
		}
	}
	mustWrite(t, d, func(tx *db.Tx) error {
		var sync, fk int
		if err := tx.QueryRow("PRAGMA synchronous").Scan(&sync); err != nil {
			return err
		}
		if err := tx.QueryRow("PRAGMA foreign_keys").Scan(&fk); err != nil {
			return err
		}
		if sync != 2 || fk != 1 {
			t.Errorf("synchronous %d, foreign_keys %d, want 2 (FULL) and 1", sync, fk)
		}
		return nil
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open()
		if err := d.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := d.Healthy(); err != nil {
			t.Error(err)
		}
	})
}

func TestShrinkTakesNothingAway(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		d := open(fstest.MapFS{"0001_note.sql": {Data: []byte("-- +goose Up\nCREATE TABLE note (id BIGINT PRIMARY KEY, body TEXT NOT NULL);\n")}})
		for id := range 3 {
			if err := d.Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec("INSERT INTO note VALUES ($1, $2)", id, strings.Repeat("x", 10_000))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := d.Shrink(t.Context()); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := d.QueryRow(t.Context(), "SELECT COUNT(*) FROM note").Scan(&n); err != nil || n != id+1 {
				t.Errorf("%d rows after %d, %v", n, id+1, err)
			}
		}
	})
}
