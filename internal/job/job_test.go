package job

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// due makes a job that can run at once.
func due(t *testing.T, d *db.DB, name string) {
	t.Helper()
	must(t, d.Write(t.Context(), func(tx *db.Tx) error { return add(tx, name, tx.Now().Add(-time.Second)) }))
}

func state(t *testing.T, d *db.DB, name string) State {
	t.Helper()
	s, err := read(t.Context(), d, name)
	must(t, err)
	return s
}

func runner(t *testing.T, d *db.DB, node string) *Runner {
	r := New(d, node, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

// step is one look of a node at a job.
func step(t *testing.T, r *Runner, name string, run func(context.Context) error) time.Duration {
	t.Helper()
	wait, err := (&work{r: r, name: name, interval: time.Hour, run: run}).step(t.Context())
	must(t, err)
	return wait
}

func TestManyNodesRunAJobOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(Migrations)
		due(t, d, "count")
		var runs atomic.Int32
		var nodes sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "d"} {
			r := runner(t, d, name)
			nodes.Go(func() {
				_, err := (&work{r: r, name: "count", interval: time.Hour, run: func(context.Context) error { runs.Add(1); return nil }}).step(t.Context())
				if err != nil {
					t.Error(err)
				}
			})
		}
		nodes.Wait()
		if n := runs.Load(); n != 1 {
			t.Errorf("ran %d times", n)
		}
		s := state(t, d, "count")
		if s.Node != "" || s.Runs != 1 || s.Error != "" || time.Until(s.DueAt) < 59*time.Minute {
			t.Errorf("afterwards %+v", s)
		}
	})
}

func TestFailureIsKeptAndTheJobRunsAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(Migrations)
		r := runner(t, d, "a")
		due(t, d, "fail")
		due(t, d, "panic")
		step(t, r, "fail", func(context.Context) error { return errors.New("no luck") })
		step(t, r, "panic", func(context.Context) error { panic("defect") })
		if s := state(t, d, "fail"); s.Error != "no luck" || s.Failures != 1 || s.Node != "" {
			t.Errorf("after a failure %+v", s)
		}
		if s := state(t, d, "panic"); s.Error != "panic: defect" {
			t.Errorf("after a panic %+v", s)
		}
		must(t, d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE jobs SET due_at = 0`)
			return err
		}))
		step(t, r, "fail", func(context.Context) error { return nil })
		if s := state(t, d, "fail"); s.Error != "" || s.Failures != 0 || s.Runs != 2 {
			t.Errorf("after a success %+v", s)
		}
	})
}

func TestADeadNodesJobIsTakenOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(Migrations)
		b := runner(t, d, "b")
		due(t, d, "work")
		must(t, d.Write(t.Context(), func(tx *db.Tx) error { _, err := take(tx, "work", "a"); return err }))
		ran := false
		run := func(context.Context) error { ran = true; return nil }
		if wait := step(t, b, "work", run); ran || wait > Lease {
			t.Errorf("ran %v while another node had it; next look in %v", ran, wait)
		}
		must(t, d.Write(t.Context(), func(tx *db.Tx) error { return b.ReleaseNode(tx, "a") }))
		if step(t, b, "work", run); !ran {
			t.Error("not taken over after the release")
		}
		ran = false // and without a release, when the lease has ended
		must(t, d.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE jobs SET holder = 'a', due_at = 0, lease_until = $1`, db.Micros(tx.Now().Add(-time.Second)))
			return err
		}))
		if step(t, b, "work", run); !ran {
			t.Error("not taken over after the end of the lease")
		}
	})
}

func TestEveryRunsAndCloseEndsTheWork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(Migrations)
		due(t, d, "long")
		r := New(d, "a", slog.New(slog.DiscardHandler))
		began, ended := make(chan struct{}), make(chan struct{})
		r.Every("long", time.Hour, func(ctx context.Context) error {
			close(began)
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		})
		<-began
		must(t, r.Close())
		<-ended
		if s := state(t, d, "long"); s.Node != "" || s.Error != "" {
			t.Errorf("a stop is no failure and gives the job back: %+v", s)
		}
	})
}
