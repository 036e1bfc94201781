package event

import (
	"database/sql"
	"slices"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// other is another node's connection to the database, on which transactions take as long as the test likes.
func other(t *testing.T, o db.Options) *sql.DB {
	t.Helper()
	h, err := sql.Open("pgx", o.URL)
	must(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// insert keeps an event as another node does that never gets to publish it.
func insert(t *testing.T, tx interface {
	Exec(string, ...any) (sql.Result, error)
}, e Event) {
	t.Helper()
	_, err := tx.Exec(`INSERT INTO events (organisation_id, id, type, at, station_id, data) VALUES ($1, $2, $3, $4, $5, $6)`,
		e.Organisation, e.ID, e.Type, db.Micros(e.Time), e.Station, string(e.Data))
	must(t, err)
}

// TestResumeFindsSlowTransactions: a stream resumes after an event that overtook a transaction of another node by far more
// than the lag, and gets what that one brought.
func TestResumeFindsSlowTransactions(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, Migrations)
	l := newLog(t, dbtest.Open(t, o))
	now := time.Now()
	slow, err := other(t, o).BeginTx(t.Context(), nil)
	must(t, err)
	late := New(SessionEnded, org, "S", now.Add(-10*time.Minute), "late")
	insert(t, slow, late)
	past := New(StationUpdated, org, "S", now.Add(-9*time.Minute), "before it all")
	l.record(t, past, nil)
	l.record(t, New(StationUpdated, org, "S", now.Add(-lag-time.Second), "well before"), nil)
	seen := New(StationUpdated, org, "S", now, "seen")
	l.record(t, seen, nil)
	since := func() []string {
		got, ok, err := l.Since(t.Context(), org, seen.ID, 99)
		must(t, err)
		if !ok {
			t.Fatal("cannot resume")
		}
		return ids(got)
	}
	if got := since(); slices.Contains(got, late.ID) || slices.Contains(got, past.ID) {
		t.Errorf("resumed with %v: what is not committed, or was long before", got)
	}
	must(t, slow.Commit())
	if got := since(); !slices.Contains(got, late.ID) {
		t.Errorf("resumed with %v: without %s, which was committed after what was seen", got, late.ID)
	}
}

// TestResumeOnAnotherServer: the transaction numbers of a restored database say nothing, so the stream begins anew.
func TestResumeOnAnotherServer(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, Migrations)
	l := newLog(t, dbtest.Open(t, o))
	l.record(t, New(StationUpdated, org, "S", time.Now().Add(-time.Hour), nil), nil)
	_, err := other(t, o).Exec(`UPDATE events SET xact = 4000000000000, snapshot = '4000000000000:4000000000000:'`)
	must(t, err)
	if got, ok, err := l.Since(t.Context(), org, New("x", org, "", time.Now(), nil).ID, 99); err != nil || ok {
		t.Errorf("resumed with %v, %v, %v", ids(got), ok, err)
	}
}

// TestStreamsReadWhatTheBusLost: what another node committed and did not publish reaches the streams all the same, when
// its transaction commits, and what the bus brought does not come again.
func TestStreamsReadWhatTheBusLost(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, Migrations)
	l := newLog(t, dbtest.Open(t, o))
	s := listen(t, l, org)
	must(t, l.follow(t.Context()))
	h := other(t, o)
	slow, err := h.BeginTx(t.Context(), nil)
	must(t, err)
	late := New(SessionEnded, org, "S", time.Now().Add(-time.Hour), "late")
	insert(t, slow, late)
	published := New(StationUpdated, org, "S", time.Now(), "published")
	l.record(t, published, nil)
	if e, _ := next(t, s); e.ID != published.ID {
		t.Fatalf("got %+v", e)
	}
	lost := New(StationUpdated, org, "S", time.Now(), "lost")
	insert(t, h, lost)
	insert(t, h, New(StationUpdated, "another", "S", time.Now(), "not ours"))
	if e, _ := next(t, s); e.ID != lost.ID {
		t.Fatalf("got %+v, want what the bus lost", e)
	}
	must(t, slow.Commit())
	if e, _ := next(t, s); e.ID != late.ID || e.Station != "S" || string(e.Data) != `"late"` {
		t.Fatalf("got %+v, want what was committed late", e)
	}
	s.Close()
	if l.hub.tail != nil {
		t.Error("nobody listens, and the database is still read")
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	m, err := parseMoment("750:760:750,753")
	if err != nil || m.max != 760 || !slices.Equal(m.open, []int64{750, 753}) {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, text := range []string{"", "1:2", "1:x:", "1:2:3,x", "1:2:3:4"} {
		if m, err := parseMoment(text); err == nil {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
}
