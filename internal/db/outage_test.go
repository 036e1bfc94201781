package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// terminateWriters ends the write connections of d's server-side and waits until
// they are gone. Readers are told apart by default_transaction_read_only.
const terminateWriters = `SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
	WHERE datname = current_database() AND pid <> pg_backend_pid()`

func TestLostConnection(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, schema)
	o.Committers = 2
	d := dbtest.Open(t, o)
	ctx := t.Context()
	mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1, "before"); return err })

	t.Run("idle", func(t *testing.T) {
		count(t, d, terminateWriters)
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 2, "idle"); return err })
	})
	t.Run("in the middle", func(t *testing.T) {
		runs := 0
		mustWrite(t, d, func(tx *db.Tx) error {
			runs++
			if _, err := tx.Exec(addFact, 3, "middle"); err != nil {
				return err
			}
			if runs == 1 {
				count(t, d, terminateWriters)
			}
			_, err := tx.Exec(addFact, 4, "middle")
			return err
		})
		if runs != 2 {
			t.Errorf("fn ran %d times, want 2", runs)
		}
	})
	t.Run("twice in the middle", func(t *testing.T) {
		err := d.Write(ctx, func(tx *db.Tx) error {
			if _, err := tx.Exec(addFact, 5, "never"); err != nil {
				return err
			}
			count(t, d, terminateWriters)
			_, err := tx.Exec(addFact, 6, "never")
			return err
		})
		if err == nil || d.Healthy() == nil {
			t.Errorf("write returned %v, Healthy %v, want errors", err, d.Healthy())
		}
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 5, "after"); return err })
		if err := d.Healthy(); err != nil {
			t.Errorf("after recovery Healthy is %v", err)
		}
	})
	if n := count(t, d, "SELECT sum(id) FROM fact"); n != 1+2+3+4+5 {
		t.Errorf("facts sum to %d", n)
	}
}

func TestUncertainCommit(t *testing.T) {
	t.Parallel()
	suicide := fstest.MapFS{"0003_suicide.sql": {Data: []byte(`-- +goose Up
CREATE TABLE doom (id BIGINT);
-- +goose StatementBegin
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER die AFTER INSERT ON doom DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();
`)}}
	d := dbtest.Open(t, dbtest.Fresh(t, db.Postgres, schema, suicide))
	var hooks atomic.Int64
	err := d.Write(t.Context(), func(tx *db.Tx) error {
		tx.AfterCommit(func() { hooks.Add(1) })
		_, err := tx.Exec("INSERT INTO doom (id) VALUES (1)")
		return err
	})
	if !errors.Is(err, db.ErrUncertain) || hooks.Load() != 0 {
		t.Errorf("write returned %v with %d hooks, want ErrUncertain and none", err, hooks.Load())
	}
	mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1, "after"); return err })
}

// TestTerminatedUnderLoad: every write that returned nil is there once, every other is
// absent unless its commit was uncertain.
func TestTerminatedUnderLoad(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, schema)
	d := dbtest.Open(t, o)
	killer := dbtest.Open(t, db.Options{URL: o.URL, Committers: 1})
	var wg sync.WaitGroup
	var written atomic.Int64
	stop := make(chan struct{})
	outcome := make([]map[int]error, 20)
	for w := range outcome {
		outcome[w] = map[int]error{}
		wg.Go(func() {
			for i := w * 1_000_000; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				outcome[w][i] = d.Write(context.Background(), func(tx *db.Tx) error {
					tx.Append(reading, "load", i)
					_, err := tx.Exec(addFact, i, "load")
					return err
				})
				written.Add(1)
			}
		})
	}
	for round := range 5 {
		target := written.Load() + 200
		waitFor(t, func() bool { return written.Load() >= target })
		if n := count(t, killer, terminateWriters+" AND pid NOT IN (SELECT pid FROM pg_stat_activity WHERE state = 'idle' AND query LIKE '%pg_terminate%')"); n == 0 {
			t.Errorf("round %d ended no connection", round)
		}
	}
	target := written.Load() + 500
	waitFor(t, func() bool { return written.Load() >= target })
	close(stop)
	wg.Wait()
	present := map[int]bool{}
	rows, err := d.Query(t.Context(), "SELECT f.id FROM fact f JOIN reading r ON r.seq = f.id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		present[id] = true
	}
	for _, ids := range outcome {
		for id, err := range ids {
			if (err == nil) != present[id] && !errors.Is(err, db.ErrUncertain) {
				t.Errorf("write %d returned %v, present: %v", id, err, present[id])
			}
		}
	}
}

// waitFor polls: what it waits for is another process's doing.
func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited for too long")
		}
	}
}

// TestConflictsRunAgain: read, compute, write, from many sides at the same row. Nothing is
// lost, whether the rivals are committers of one process or of two.
func TestConflictsRunAgain(t *testing.T) {
	t.Parallel()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			o := dbtest.Fresh(t, engine, schema)
			nodes := []*db.DB{dbtest.Open(t, o), dbtest.Open(t, o)}
			mustWrite(t, nodes[0], func(tx *db.Tx) error {
				_, err := tx.Exec("INSERT INTO fact (id, name, at) VALUES (1, 'a', 0), (2, 'b', 0)")
				return err
			})
			var wg sync.WaitGroup
			for w := range 10 {
				wg.Go(func() {
					for i := range 10 {
						// Both rows, in changing order: deadlocks among the committers.
						a, b := 1+(w+i)%2, 2-(w+i)%2
						err := nodes[w%2].Write(context.Background(), func(tx *db.Tx) error {
							return errors.Join(increment(tx, a), increment(tx, b))
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if n := count(t, nodes[0], "SELECT sum(at) FROM fact"); n != 200 {
				t.Errorf("the counters show %d, want 200", n)
			}
			t.Log(nodes[0].Stats(), nodes[1].Stats())
		})
	}
}

func increment(tx *db.Tx, id int) error {
	var n int64
	if err := tx.QueryRow("SELECT at FROM fact WHERE id = $1", id).Scan(&n); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE fact SET at = $1 WHERE id = $2", n+1, id)
	return err
}

// TestFullDisk limits the file's size, which SQLite reports as a full disk does.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Fresh(t, db.SQLite, schema))
	pragma := func(tx *db.Tx, text string) error {
		var n int64
		return tx.QueryRow("PRAGMA " + text).Scan(&n)
	}
	mustWrite(t, d, func(tx *db.Tx) error { return pragma(tx, "max_page_count = 20") })
	big := make([]byte, 10_000)
	var ok int64
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		err = d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec("INSERT INTO fact (id, name, raw) VALUES ($1, 'big', $2)", i, big)
			return err
		})
		if err == nil {
			ok++
		}
	}
	if err == nil || d.Healthy() == nil {
		t.Fatalf("a full disk: write returned %v, Healthy %v", err, d.Healthy())
	}
	if !db.IsOutage(err) {
		t.Errorf("%v is no outage", err)
	}
	// The connection is made anew, without the limit.
	mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, 1000, "after"); return err })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.AwaitHealthy(ctx); err != nil || d.Healthy() != nil || d.Outages() != 1 { // by itself
		t.Errorf("after recovery: %v, Healthy is %v, %d outages", err, d.Healthy(), d.Outages())
	}
	if n := count(t, d, "SELECT count(*) FROM fact WHERE name = 'big'"); n != ok || ok == 0 {
		t.Errorf("%d rows, %d writes succeeded", n, ok)
	}
}

func TestServerAway(t *testing.T) {
	t.Parallel()
	// A relay stands for the network: its socket's name is taken away and given back.
	server := newRelay(t, dbtest.Fresh(t, db.Postgres, schema).URL)
	d := dbtest.Open(t, db.Options{URL: server.url, Committers: 2})
	add := func(id int) error {
		return d.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(addFact, id, "x"); return err })
	}
	if err := add(1); err != nil {
		t.Fatal(err)
	}
	server.cut()
	for i := range 3 {
		if err := add(10 + i); err == nil {
			t.Error("a write succeeded without a server")
		}
	}
	server.mend()
	waitFor(t, func() bool { return add(2) == nil })
	if err := d.Healthy(); err != nil {
		t.Errorf("after recovery Healthy is %v", err)
	}
	if n := count(t, d, "SELECT sum(id) FROM fact"); n != 3 {
		t.Errorf("facts sum to %d, want 3", n)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "not-a-database")
	if err := os.WriteFile(file, []byte(fmt.Sprintf("%4096s", "text")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]db.Options{
		"nothing said": {}, "no folder": {Path: filepath.Join(file, "x.db")}, "no database": {Path: file},
		"bad URL": {URL: "postgres://%zz"}, "no server": {URL: "postgres:///x?host=" + dir},
	} {
		if d, err := db.Open(t.Context(), o); err == nil {
			t.Errorf("%s: opened", name)
			_ = d.Close()
		}
	}
}
