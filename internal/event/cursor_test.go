package event

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// readOn reads everything behind a cursor that goes through its text form each time.
func (l *Log) readOn(t *testing.T, c *Cursor, most int, seen map[string]int) {
	t.Helper()
	for {
		kept, err := ParseCursor(c.String())
		must(t, err)
		events, next, more, err := l.Behind(t.Context(), org, kept, most)
		must(t, err)
		for _, e := range events {
			seen[e.ID]++
		}
		*c = next
		if !more {
			return
		}
	}
}

func TestCursorMissesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		l := newLog(t, open(Migrations))
		l.record(t, New(StationUpdated, org, "S", time.Now().Add(-time.Minute), "before"), nil)
		c, err := l.Here(t.Context())
		must(t, err)
		seen, want := map[string]int{}, []string{}
		for i, most := range []int{3, 1, 10, 2} {
			for j := range 7 {
				e := New(StationUpdated, org, "S", time.Now(), fmt.Sprint(i, j))
				l.record(t, e, nil)
				want = append(want, e.ID)
				l.record(t, New(StationUpdated, "another", "S", time.Now(), nil), nil)
				l.record(t, New(StationUpdated, org, "S", time.Now(), nil), errors.New("rolled back"))
			}
			l.readOn(t, &c, most, seen)
		}
		for _, id := range want {
			if seen[id] == 0 {
				t.Errorf("%s was not read", id)
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%d events were read, want %d", len(seen), len(want))
		}
	})
}

// TestCursorOfOneWriter: an event that was made before others and committed after them is read, also where they were read in
// small steps.
func TestCursorOfOneWriter(t *testing.T) {
	t.Parallel()
	l := newLog(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations)))
	now := time.Now()
	c := Cursor{at: db.Micros(now.Add(-time.Hour))}
	seen, want := map[string]int{}, []string{}
	for i := range 20 { // some long ago, some of this moment
		e := New(StationUpdated, org, "S", now.Add(-time.Duration(i)*4*time.Second), i)
		l.record(t, e, nil)
		want = append(want, e.ID)
	}
	l.readOn(t, &c, 3, seen)
	late := New(StationUpdated, org, "S", now.Add(-settled/2), "late")
	l.record(t, late, nil)
	l.readOn(t, &c, 3, seen)
	for _, id := range append(want, late.ID) {
		if seen[id] == 0 {
			t.Errorf("%s was not read", id)
		}
	}
}

// TestCursorFindsSlowTransactions: what overtakes a slow transaction is read once, and the slow one when it commits, also in
// small steps and when one transaction is longer than a step.
func TestCursorFindsSlowTransactions(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, Migrations)
	l := newLog(t, dbtest.Open(t, o))
	h := other(t, o)
	c, err := l.Here(t.Context())
	must(t, err)
	seen := map[string]int{}
	var want []string
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		slow, err := h.BeginTx(t.Context(), nil)
		must(t, err)
		for range 5 {
			e := New(SessionEnded, org, "S", time.Now().Add(-time.Hour), "late")
			insert(t, slow, e)
			want = append(want, e.ID)
		}
		for range random.IntN(6) {
			e := New(SessionEnded, org, "S", time.Now(), "quick")
			insert(t, h, e)
			want = append(want, e.ID)
			if random.IntN(2) == 0 {
				l.readOn(t, &c, 1+random.IntN(4), seen)
			}
		}
		must(t, slow.Commit())
		if random.IntN(2) == 0 {
			l.readOn(t, &c, 1+random.IntN(4), seen)
		}
	}
	l.readOn(t, &c, 2, seen)
	for _, id := range want {
		if seen[id] == 0 {
			t.Errorf("%s was not read", id)
		}
	}
}

// TestCursorOfAnotherServer: after a move, reading goes on by time.
func TestCursorOfAnotherServer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		l := newLog(t, open(Migrations))
		e := New(StationUpdated, org, "S", time.Now(), nil)
		l.record(t, e, nil)
		c := Cursor{at: db.Micros(time.Now().Add(time.Second)), moment: &moment{max: 4_000_000_000_000, open: []int64{5}}}
		seen := map[string]int{}
		l.readOn(t, &c, 10, seen)
		if seen[e.ID] == 0 {
			t.Error("what happened around the move was not read")
		}
		for _, text := range []string{"", "x/", "1", "1/a/b", "1/a/1:2"} {
			if c, err := ParseCursor(text); err == nil {
				t.Errorf("%q is read as %+v", text, c)
			}
		}
	})
}

// Moving on forgets exactly what has been read: committed transactions below the cut.
func TestPass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfDistinct(rapid.Int64Range(1, 30), rapid.ID[int64])
		m := moment{max: rapid.Int64Range(1, 30).Draw(t, "max")}
		for _, x := range numbers.Draw(t, "open") {
			if x < m.max {
				m.open = append(m.open, x)
			}
		}
		now := moment{max: rapid.Int64Range(m.max, 40).Draw(t, "now")}
		for _, x := range numbers.Draw(t, "still open") {
			if x < now.max && (x >= m.max || slices.Contains(m.open, x)) {
				now.open = append(now.open, x)
			}
		}
		cut := rapid.Int64Range(1, now.max).Draw(t, "cut")
		unseen := func(m moment, x int64) bool { return x >= m.max || slices.Contains(m.open, x) }
		after := m.pass(now, cut)
		for x := int64(1); x < 50; x++ {
			read := unseen(m, x) && x < cut && !unseen(now, x)
			if got, want := unseen(after, x), unseen(m, x) && !read; got != want {
				t.Fatalf("transaction %d: unseen %v, want %v (%+v, %+v, cut %d: %+v)", x, got, want, m, now, cut, after)
			}
		}
	})
}
