package db_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// step is one thing that a random fn does.
type step int

const (
	stepExec     step = iota // a row of its own
	stepAppend               // a deferred row of its own
	stepRead                 // an innocent query
	stepConflict             // a key that exists: must fail
	stepBadRow               // a deferred row that exists: must fail
	stepError                // an error of its own: must fail
	stepPanic                // must fail
)

// plan is one Write: what it does in which order, and under which key.
type plan struct {
	Steps []step
	Key   string // "": Write
	Quiet bool   // ignores errors of statements
}

func (p plan) fails() bool {
	return slices.ContainsFunc(p.Steps, func(s step) bool { return s >= stepConflict })
}

func (p plan) rows() (execs, appends int) {
	for _, s := range p.Steps {
		switch s {
		case stepExec:
			execs++
		case stepAppend:
			appends++
		}
	}
	return execs, appends
}

var errOwn = errors.New("own")

func (p plan) run(tx *db.Tx, id int64) error {
	for i, s := range p.Steps {
		var err error
		switch s {
		case stepExec:
			_, err = tx.Exec(addFact, id*100+int64(i), "p")
		case stepAppend:
			tx.Append(reading, "p", id*100+int64(i))
		case stepRead:
			var n int64
			err = tx.QueryRow("SELECT count(*) FROM fact WHERE id = $1", -1).Scan(&n)
		case stepConflict:
			_, err = tx.Exec(addFact, -1, "p")
		case stepBadRow:
			tx.Append(reading, "p", -1)
		case stepError:
			return errOwn
		case stepPanic:
			panic(errOwn)
		}
		if err != nil && !p.Quiet {
			return err
		}
	}
	return nil
}

// TestGroupCommitProperty: of any fns at once, exactly those that did nothing wrong
// succeed, all of their rows are there and their hooks have run once; of the others
// nothing is left.
func TestGroupCommitProperty(t *testing.T) {
	t.Parallel()
	aPlan := rapid.Custom(func(t *rapid.T) plan {
		// Failures are rare enough that whole batches without one happen too.
		kinds := rapid.SampledFrom([]step{0, 0, 0, 1, 1, 1, 1, 2, 2, stepConflict, stepBadRow, stepError, stepPanic})
		if rapid.Bool().Draw(t, "good") {
			kinds = rapid.SampledFrom([]step{stepExec, stepAppend, stepRead})
		}
		return plan{
			Steps: rapid.SliceOfN(kinds, 0, 5).Draw(t, "steps"),
			Key:   rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key"),
			Quiet: rapid.Bool().Draw(t, "quiet"),
		}
	})
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(schema)
		mustWrite(t, d, func(tx *db.Tx) error {
			tx.Append(reading, "p", -1)
			_, err := tx.Exec(addFact, -1, "taken")
			return err
		})
		var next int64
		rapid.Check(t, func(rt *rapid.T) {
			plans := rapid.SliceOfN(aPlan, 1, 60).Draw(rt, "plans")
			first := next
			next += int64(len(plans))
			checkPlans(rt, d, plans, first)
		})
	})
}

type outcome struct {
	Failed  bool
	Hooks   int
	Execs   int
	Appends int
}

func checkPlans(t *rapid.T, d *db.DB, plans []plan, first int64) {
	got, want := make([]outcome, len(plans)), make([]outcome, len(plans))
	var wg sync.WaitGroup
	for i, p := range plans {
		wg.Go(func() {
			fn := func(tx *db.Tx) error {
				tx.AfterCommit(func() { got[i].Hooks++ })
				return p.run(tx, first+int64(i))
			}
			var err error
			if p.Key == "" {
				err = d.Write(context.Background(), fn)
			} else {
				err = d.WriteKey(context.Background(), p.Key, fn)
			}
			got[i].Failed = err != nil
		})
		if want[i].Failed = p.fails(); !want[i].Failed {
			want[i].Hooks = 1
			want[i].Execs, want[i].Appends = p.rows()
		}
	}
	wg.Wait()
	for _, q := range []struct {
		sql string
		to  func(o *outcome) *int
	}{
		{"SELECT id FROM fact WHERE id >= $1", func(o *outcome) *int { return &o.Execs }},
		{"SELECT seq FROM reading WHERE station = 'p' AND seq >= $1", func(o *outcome) *int { return &o.Appends }},
	} {
		rows, err := d.Query(context.Background(), q.sql, first*100)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			*q.to(&got[id/100-first])++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}
