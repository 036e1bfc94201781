package event

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

const org = "org"

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLog(t *testing.T, d *db.DB) *Log {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return NewLog(d, b, slog.New(slog.DiscardHandler))
}

func listen(t *testing.T, l *Log, organisation string) *Stream {
	t.Helper()
	s, err := l.Listen(organisation)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// next is the next event of a stream; ok is false when the stream was cut.
func next(t *testing.T, s *Stream) (Event, bool) {
	t.Helper()
	select {
	case e, ok := <-s.C:
		return e, ok
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
		return Event{}, false
	}
}

func (l *Log) record(t rapid.TB, e Event, fail error) {
	t.Helper()
	err := l.db.Write(context.Background(), func(tx *db.Tx) error {
		l.Record(tx, e)
		return fail
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
}

func ids(events []Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

// An event is kept and told exactly when its transaction commits.
func TestRecordedWithTheFact(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := newLog(t, open(Migrations))
		s := listen(t, l, org)
		before := New(StationUpdated, org, "S", time.Now(), map[string]int{"n": 0})
		undone := New(StationUpdated, org, "S", time.Now(), "undone")
		after := New(SessionEnded, org, "T", time.Now(), nil)
		l.record(t, before, nil)
		l.record(t, undone, errors.New("rolled back"))
		l.record(t, after, nil)
		for _, want := range []Event{before, after} {
			got, ok := next(t, s)
			if !ok || got.ID != want.ID || got.Type != want.Type || got.Station != want.Station || got.Organisation != org ||
				string(got.Data) != string(want.Data) || !got.Time.Equal(want.Time) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		var n int
		must(t, l.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM events`).Scan(&n))
		if n != 2 {
			t.Errorf("%d events are kept", n)
		}
	})
}

// What is only published is not kept, and costs nothing while nobody listens.
func TestPublish(t *testing.T) {
	t.Parallel()
	l := newLog(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations)))
	if l.Wanted() {
		t.Error("wanted by nobody")
	}
	l.Publish(New(SessionUpdated, org, "S", time.Now(), 1))
	a, b := listen(t, l, org), listen(t, l, org)
	if !l.Wanted() {
		t.Error("a listener does not count")
	}
	e := New(SessionUpdated, org, "S", time.Now(), 2)
	l.Publish(e)
	for _, s := range []*Stream{a, b} {
		if got, _ := next(t, s); got.ID != e.ID {
			t.Errorf("got %+v", got)
		}
	}
	a.Close()
	a.Close() // once more changes nothing
	if !l.Wanted() {
		t.Error("the other listener does not count")
	}
	b.Close()
	if l.Wanted() {
		t.Error("wanted by nobody any more")
	}
	if e := New(SessionUpdated, org, "S", time.Now(), make(chan int)); string(e.Data) != "null" {
		t.Errorf("data without a JSON form became %s", e.Data)
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := newLog(t, open(Migrations))
		names := []string{"a", "a.b", "*", ">", "", "é "}
		streams := map[string]*Stream{}
		for _, name := range names {
			streams[name] = listen(t, l, name)
		}
		start := New("x", "a", "", time.Now(), nil)
		for _, name := range names {
			l.record(t, New(StationUpdated, name, "S", time.Now(), name), nil)
		}
		for _, name := range names {
			got, _ := next(t, streams[name])
			if string(got.Data) != string(New("x", "", "", time.Now(), name).Data) {
				t.Errorf("%q hears %s", name, got.Data)
			}
			select {
			case e := <-streams[name].C:
				t.Errorf("%q hears %s too", name, e.Data)
			default:
			}
			kept, ok, err := l.Since(t.Context(), name, start.ID, 99)
			if err != nil || !ok || len(kept) != 1 || kept[0].Organisation != name {
				t.Errorf("%q resumes with %+v, %v, %v", name, kept, ok, err)
			}
		}
	})
}

// A listener that does not keep up is cut; others are not.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	l := newLog(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations)))
	slow, quick := listen(t, l, org), listen(t, l, org)
	const n = streamBuffer + 10
	for i := range n {
		l.Publish(New(SessionUpdated, org, "", time.Now(), i))
		if e, ok := next(t, quick); !ok || string(e.Data) != fmt.Sprint(i) {
			t.Fatalf("event %d is %s, %v", i, e.Data, ok)
		}
	}
	got := 0
	for range slow.C { // closed behind what it could hold
		got++
	}
	if got != streamBuffer {
		t.Errorf("the slow listener got %d events before it was cut", got)
	}
	slow.Close()
	if !l.Wanted() {
		t.Error("the quick listener was cut too")
	}
}

// Since gives everything after an id, oldest first, and what was made shortly before it: nodes commit in another order.
func TestSince(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := newLog(t, open(Migrations))
		now, margin := time.Now(), overlap
		if l.db.Engine() == db.Postgres {
			margin = lag
		}
		var all []Event
		for _, ago := range []time.Duration{time.Minute, margin + time.Second, margin - time.Second, 0, -time.Second} {
			e := New(StationUpdated, org, "S", now.Add(-ago).Truncate(time.Microsecond), ago.String())
			all = append(all, e)
			l.record(t, e, nil)
		}
		last := all[3] // made now, as its id says
		got, ok, err := l.Since(t.Context(), org, last.ID, 99)
		must(t, err)
		want := []string{all[2].ID, all[4].ID}
		if l.db.Engine() == db.Postgres { // what was not committed when the event before the margin was made, itself included
			want = []string{all[1].ID, all[2].ID, all[4].ID}
		}
		if !ok || !slices.Equal(ids(got), want) {
			t.Errorf("after %s: %v, %v; want %v", last.ID, ids(got), ok, want)
		}
		if i := len(want) - 2; len(got) == len(want) && (!got[i].Time.Equal(all[2].Time) || string(got[i].Data) != string(all[2].Data) ||
			got[i].Station != "S" || got[i].Type != StationUpdated) {
			t.Errorf("kept %+v, want %+v", got[i], all[2])
		}
		if got, ok, err := l.Since(t.Context(), org, last.ID, len(want)-1); err != nil || ok {
			t.Errorf("more than are wanted: %v, %v, %v", ids(got), ok, err)
		}
		if _, ok, err := l.Since(t.Context(), org, last.ID, len(want)); err != nil || !ok {
			t.Errorf("as many as are wanted: %v, %v", ok, err)
		}
		for _, id := range []string{"", "x", uuid.NewString(), idOf(now.Add(-Retention - time.Minute)), "' OR 1=1", strings.Repeat("f", 36)} {
			if got, ok, err := l.Since(t.Context(), org, id, 99); err != nil || ok || len(got) != 0 {
				t.Errorf("after %q: %v, %v, %v; want to fetch everything", id, ids(got), ok, err)
			}
		}
		must(t, l.Purge(t.Context(), all[1].Time.Add(Retention)))
		var n int
		must(t, l.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM events`).Scan(&n))
		if n != 4 {
			t.Errorf("%d events after the purge", n)
		}
	})
}

// idOf is the id of an event of some moment.
func idOf(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id.String()
}

func TestAnyLastID(t *testing.T) {
	t.Parallel()
	l := newLog(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations)))
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
			var u uuid.UUID
			copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
			return u.String()
		}), rapid.Map(rapid.Int64Range(0, 1<<48-1), func(ms int64) string { return idOf(time.UnixMilli(ms)) })).Draw(t, "id")
		if _, _, err := l.Since(context.Background(), org, id, 10); err != nil {
			t.Fatal(err)
		}
	})
}

// Streams that resume at any of their events miss none that came after it.
func TestResumeLaw(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := newLog(t, open(Migrations))
		var made []string
		for i := range 20 {
			var e Event
			must(t, l.db.Write(t.Context(), func(tx *db.Tx) error {
				e = New(StationUpdated, org, "S", tx.Now(), i)
				l.Record(tx, e)
				return nil
			}))
			made = append(made, e.ID)
		}
		for i, id := range made {
			got, ok, err := l.Since(t.Context(), org, id, 99)
			must(t, err)
			have := ids(got)
			if !ok || slices.Contains(have, id) {
				t.Errorf("resumed at %d: %v", i, ok)
			}
			for _, want := range made[i+1:] {
				if !slices.Contains(have, want) {
					t.Errorf("resumed at %d without %s", i, want)
				}
			}
		}
	})
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	l := newLog(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations)))
	mux := http.NewServeMux()
	l.Register(humago.New(mux, huma.DefaultConfig("t", "1")), func(ctx context.Context) (string, error) {
		p, err := account.Require(ctx, account.Viewer)
		return p.Organisation, err
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.Header.Get("As"); name != "" {
			r = r.WithContext(account.With(r.Context(), account.Principal{Organisation: name, Role: account.Viewer}))
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	open := func(as, query, last string) *bufio.Scanner {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/events"+query, nil)
		must(t, err)
		req.Header.Set("As", as)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		if as == "" {
			if resp.StatusCode != 401 {
				t.Errorf("nobody hears %d", resp.StatusCode)
			}
			return nil
		}
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), ":") { // it listens
			t.Fatalf("the stream begins with %q", lines.Text())
		}
		return lines
	}
	read := func(lines *bufio.Scanner) (id string, e Event) {
		t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				must(t, json.Unmarshal([]byte(text), &e))
				return id, e
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return "", e
	}
	open("", "", "")
	live, theirs := open(org, "", ""), open("other", "", "")
	first, second := New(StationOnline, org, "S", time.Now(), 1), New(StationOffline, org, "S", time.Now(), 2)
	l.record(t, first, nil)
	l.record(t, New(StationOnline, "other", "T", time.Now(), nil), nil)
	l.record(t, second, nil)
	for _, want := range []Event{first, second} {
		if id, e := read(live); id != want.ID || e.ID != id || e.Type != want.Type {
			t.Errorf("live: %s, %+v", id, e)
		}
	}
	if _, e := read(theirs); e.Station != "T" {
		t.Errorf("the others hear %+v", e)
	}
	for name, lines := range map[string]*bufio.Scanner{"header": open(org, "", first.ID), "parameter": open(org, "?after="+first.ID, ""),
		"header before parameter": open(org, "?after=x", first.ID)} {
		if id, _ := read(lines); id != second.ID {
			t.Errorf("resumed by %s: %s, want %s", name, id, second.ID)
		}
	}
	for _, last := range []string{"nonsense", idOf(time.Now().Add(-2 * Retention))} {
		lines := open(org, "", last)
		if _, e := read(lines); e.Type != Resync {
			t.Errorf("after %s comes %+v", last, e)
		}
		l.Publish(New(SessionUpdated, org, "", time.Now(), "next"))
		if _, e := read(lines); e.Type != SessionUpdated {
			t.Errorf("after the resync comes %+v", e)
		}
	}
}
