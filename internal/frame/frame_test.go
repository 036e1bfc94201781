package frame

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/ocpp/translate"
)

type opener = func(migrations ...fs.FS) *db.DB

func newBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// at is where a log of the engine keeps its frames.
func at(t *testing.T, open opener) Options {
	t.Helper()
	o := Options{Retention: time.Hour, Log: slog.New(slog.DiscardHandler)}
	if d := open(Migrations); d.Engine() == db.Postgres {
		o.DB = d
	} else {
		o.Dir = t.TempDir()
	}
	return o
}

func startLog(t *testing.T, open opener) *Log {
	t.Helper()
	return openLog(t, at(t, open))
}

func openLog(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(t.Context(), o, newBus(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // some tests have closed it
	return l
}

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func everything(limit int) Filter {
	from, to := page.Span{}.Bounds()
	return Filter{From: from, To: to, Before: to, Limit: limit}
}

func list(t *testing.T, l *Log, station string, f Filter) []Exchange {
	t.Helper()
	frames, err := l.List(t.Context(), station, f)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

func texts(list []Exchange) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.Text)
	}
	return out
}

// Close writes everything that was added before it, batches full and not.
func TestCloseWrites(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		o := at(t, open)
		l := openLog(t, o)
		const n = batchSize + 500
		want := make([]Exchange, 0, n)
		for i := range n {
			e := Exchange{Station: "S", Time: start, Direction: In, Action: "Heartbeat", Text: fmt.Sprintf(`[2,"%d","Heartbeat",{}]`, i)}
			if i%10 == 0 {
				e.Notes = []translate.Note{{Kind: Mended, Text: "n"}}
				e.AnswerAt, e.Answer = start.Add(time.Millisecond), fmt.Sprintf(`[3,"%d",{}]`, i)
			}
			l.Add(e)
			want = append(want, e)
		}
		l.Add(Exchange{Station: "other", Time: start, Text: "x"})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		dropped := l.Dropped()
		l = openLog(t, o)
		got := list(t, l, "S", everything(n+1))
		slices.Reverse(got)
		if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Exchange{})); d != "" {
			t.Errorf("(-added +kept):\n%s", d[:min(len(d), 2000)])
		}
		for i := 1; i < len(got); i++ {
			if got[i].seq <= got[i-1].seq {
				t.Fatalf("frame %d has seq %d after %d", i, got[i].seq, got[i-1].seq)
			}
		}
		if dropped != 0 {
			t.Errorf("%d frames were dropped", dropped)
		}
	})
}

// A call and its answer are two frames, each with its own time and direction, side by side on a page.
func TestExchange(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := startLog(t, open)
		notes := []translate.Note{{Kind: Mended, Text: "n"}}
		l.Add(Exchange{Station: "S", Time: start, Direction: In, Action: "Heartbeat", Text: `[2,"a","Heartbeat",{}]`, Notes: notes,
			AnswerAt: start.Add(time.Second), Answer: `[3,"a",{"currentTime":"x"}]`})
		l.Add(Exchange{Station: "S", Time: start.Add(2 * time.Second), Direction: Out, Text: `[2,"b","Reset",{"type":"Immediate"}]`,
			AnswerAt: start.Add(3 * time.Second), Answer: `[4,"b","InternalError","",{}]`})
		l.Add(Exchange{Station: "S", Time: start.Add(4 * time.Second), Direction: In, Text: `[6,"c","NotifyPeriodicEventStream",{}]`})
		l.Add(Exchange{Station: "S", Time: start.Add(5 * time.Second), Direction: In, Text: `hello`})
		out, err := l.Page(t.Context(), "S", Input{Query: page.Query{Limit: 9}})
		if err != nil {
			t.Fatal(err)
		}
		none := []translate.Note{}
		want := []Frame{
			{Time: start.Add(5 * time.Second), Direction: In, Type: "INVALID", Text: "hello", Notes: none},
			{Time: start.Add(4 * time.Second), Direction: In, Type: "SEND", MessageID: "c", Action: "NotifyPeriodicEventStream",
				Text: `[6,"c","NotifyPeriodicEventStream",{}]`, Notes: none},
			{Time: start.Add(3 * time.Second), Direction: In, Type: "CALLERROR", MessageID: "b", Text: `[4,"b","InternalError","",{}]`, Notes: none},
			{Time: start.Add(2 * time.Second), Direction: Out, Type: "CALL", MessageID: "b", Action: "Reset", Text: `[2,"b","Reset",{"type":"Immediate"}]`, Notes: none},
			{Time: start.Add(time.Second), Direction: Out, Type: "CALLRESULT", MessageID: "a", Action: "Heartbeat", Text: `[3,"a",{"currentTime":"x"}]`, Notes: none},
			{Time: start, Direction: In, Type: "CALL", MessageID: "a", Action: "Heartbeat", Text: `[2,"a","Heartbeat",{}]`, Notes: notes},
		}
		if d := cmp.Diff(want, out.Body.Items, cmpopts.IgnoreFields(Frame{}, "Seq", "Station"), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if found := list(t, l, "S", func() Filter { f := everything(9); f.Contains = "CURRENTtime"; return f }()); len(found) != 1 {
			t.Errorf("a search in the answers finds %+v", found)
		}
	})
}

// Whoever reads sees what was added before, and a quiet log is written a moment later without a reader.
func TestWritesSoon(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := startLog(t, open)
		for i := range 3 {
			l.Add(Exchange{Station: "S", Time: start, Text: "x"})
			if got := list(t, l, "S", everything(9)); len(got) != i+1 {
				t.Fatalf("%d frames are seen, %d were added", len(got), i+1)
			}
		}
		l.Add(Exchange{Station: "S", Time: start, Text: "x"})
		await(t, func() bool {
			got, err := l.store.list(t.Context(), "S", everything(9)) // which, unlike the log, does not have it written
			if err != nil {
				t.Fatal(err)
			}
			return len(got) == 4
		})
	})
}

// Frames that no database text can hold must not cost their neighbours.
func TestStrangeFrames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := startLog(t, open)
		long := strings.Repeat("é", MaxText) // cut within a letter would leave half of it
		notes := make([]translate.Note, 1, 4)
		notes[0] = translate.Note{Kind: Warning, Text: "first"}
		for i, text := range []string{"plain", "nul \x00 here", "broken \xff\xfe", "x" + long} {
			l.Add(Exchange{Station: "S", Time: start.Add(time.Duration(i)), Action: "A\xff", Text: text, Answer: text, AnswerAt: start, Notes: notes})
		}
		if spare := notes[:4][1]; spare != (translate.Note{}) {
			t.Errorf("the caller's notes were written over: %+v", spare)
		}
		if err := l.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := list(t, l, "S", everything(10))
		if len(got) != 4 {
			t.Fatalf("%d frames kept, %d dropped", len(got), l.Dropped())
		}
		slices.Reverse(got)
		if got[0].Text != "plain" || got[1].Text != "nul \uFFFD here" || !strings.HasPrefix(got[2].Text, "broken \uFFFD") {
			t.Errorf("kept %q", texts(got[:3]))
		}
		if got[1].Answer != got[1].Text || got[2].Action != "A\uFFFD" {
			t.Errorf("kept %+v", got[1:3])
		}
		cut := got[3]
		if !utf8.ValidString(cut.Text) || len(cut.Text) > MaxText+utf8.UTFMax || len(cut.Text) < MaxText-utf8.UTFMax {
			t.Errorf("the long frame is kept with %d bytes", len(cut.Text))
		}
		if len(cut.Notes) != 2 || cut.Notes[1].Kind != Warning || !strings.Contains(cut.Notes[1].Text, "cut") || len(got[0].Notes) != 1 {
			t.Errorf("notes %+v", cut.Notes)
		}
	})
}

func TestFilter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := startLog(t, open)
		for i, text := range []string{"100% sure", "100 sure", "a_b", "aXb", `back\slash`, "Tag ABC"} {
			l.Add(Exchange{Station: "S", Time: start.Add(time.Duration(i) * time.Second), Action: map[bool]string{true: "Boot", false: "Beat"}[i%2 == 0], Text: text})
		}
		if err := l.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			f    func(*Filter)
			want []string
		}{
			{"all", func(*Filter) {}, []string{"Tag ABC", `back\slash`, "aXb", "a_b", "100 sure", "100% sure"}},
			{"limit", func(f *Filter) { f.Limit = 1 }, []string{"Tag ABC"}},
			{"action", func(f *Filter) { f.Action = "Boot" }, []string{`back\slash`, "a_b", "100% sure"}},
			{"percent", func(f *Filter) { f.Contains = "0%" }, []string{"100% sure"}},
			{"underscore", func(f *Filter) { f.Contains = "a_b" }, []string{"a_b"}},
			{"backslash", func(f *Filter) { f.Contains = `k\s` }, []string{`back\slash`}},
			{"case", func(f *Filter) { f.Contains = "tAG aBc" }, []string{"Tag ABC"}},
			{"none", func(f *Filter) { f.Contains = "'" }, []string{}},
			{"from is included, to is not", func(f *Filter) { f.From, f.To = start.Add(time.Second), start.Add(3*time.Second) }, []string{"a_b", "100 sure"}},
		} {
			f := everything(100)
			c.f(&f)
			if d := cmp.Diff(c.want, texts(list(t, l, "S", f))); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, d)
			}
		}
	})
}

// Pages of any size are the whole log, also where many frames have one moment.
func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		l := startLog(t, open)
		for i := range 60 {
			l.Add(Exchange{Station: "S", Time: start.Add(time.Duration(i/7) * time.Microsecond), Text: fmt.Sprint(i)})
		}
		if err := l.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := texts(list(t, l, "S", everything(100)))
		if len(want) != 60 {
			t.Fatalf("%d frames", len(want))
		}
		rapid.Check(t, func(t *rapid.T) {
			in := Input{Query: page.Query{Limit: rapid.IntRange(1, 70).Draw(t, "limit")}}
			got := []string{}
			for {
				out, err := l.Page(t.Context(), "S", in)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range out.Body.Items {
					got = append(got, f.Text)
				}
				if out.Body.Next == nil || len(got) > len(want) {
					break
				}
				in.Cursor = *out.Body.Next
			}
			if !slices.Equal(got, want) {
				t.Fatalf("pages give %q", got)
			}
		})
		rapid.Check(t, func(t *rapid.T) { // whatever stands in the cursor
			in := Input{Query: page.Query{Limit: 5, Cursor: rapid.StringMatching(`[A-Za-z0-9_-]{1,30}`).Draw(t, "cursor")}}
			if _, err := l.Page(t.Context(), "S", in); err != nil && problem.Of(err).Field != "cursor" {
				t.Fatal(err)
			}
		})
	})
}

// What is past the retention goes by whole days, and nothing younger.
func TestPurge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		o := at(t, open)
		o.Retention = 2 * 24 * time.Hour
		l := openLog(t, o)
		now := time.Now().UTC()
		today := db.Daily.Start(now)
		days := []time.Time{time.Unix(5, 0), today.AddDate(0, 0, -3), today.AddDate(0, 0, -2).Add(time.Hour), today.AddDate(0, 0, -1), today, today.AddDate(0, 0, 1)}
		for _, station := range []string{"A", "B"} {
			for i, d := range days {
				l.Add(Exchange{Station: station, Time: d, Text: fmt.Sprint(i)})
			}
		}
		if err := l.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := l.Purge(t.Context(), today.Add(12*time.Hour)); err != nil {
				t.Fatal(err)
			}
			for _, station := range []string{"A", "B"} {
				want := []string{"5", "4", "3", "2"}
				if o.DB != nil { // these days had no partition of their own, so their rows go one by one
					want = want[:3]
				}
				if d := cmp.Diff(want, texts(list(t, l, station, everything(9)))); d != "" {
					t.Errorf("%s after the purge (-want +got):\n%s", station, d)
				}
			}
		}
		u, err := l.Usage(t.Context())
		if err != nil || u.Bytes == 0 || u.Parts < 4 || u.Oldest.IsZero() || u.Oldest.After(today) {
			t.Errorf("the log takes %+v: %v", u, err)
		}
	})
}

// A follower gets the frames of its station only, and the log sends none that nobody follows.
func TestFollow(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations))
	l := startLog(t, func(...fs.FS) *db.DB { return d })
	id := "S/1.* >" // no character of an id may leave its subject
	c, stop, err := l.Follow("org", id)
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return l.isWatched(id) })
	if l.isWatched("other") {
		t.Error("a station is followed that nobody asked for")
	}
	l.Add(Exchange{Station: "other", Organisation: "org", Time: start, Text: "other"})
	l.Add(Exchange{Station: id, Organisation: "former", Time: start, Text: "of its former owner"})
	l.Add(Exchange{Station: id, Organisation: "org", Time: start, Text: "mine", Notes: []translate.Note{{Kind: Mended, Text: "m"}}})
	select {
	case f := <-c:
		if f.Text != "mine" || f.Seq == 0 || len(f.Notes) != 1 {
			t.Errorf("got %+v", f)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no frame came")
	}
	stop()
	l.watchMu.Lock()
	l.watched[id] = time.Now().Add(-time.Nanosecond)
	l.watchMu.Unlock()
	if l.isWatched(id) {
		t.Error("an old announcement counts on")
	}
	l.watch(bus.Msg{Data: []byte("new")})
	if _, kept := l.watched[id]; kept || !l.isWatched("new") {
		t.Errorf("watched are %v", l.watched)
	}
}

func await(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations))
	l := startLog(t, func(...fs.FS) *db.DB { return d })
	mux := http.NewServeMux()
	l.Register(humago.New(mux, huma.DefaultConfig("t", "1")), func(_ context.Context, id string) (Scope, error) {
		if id != "S" {
			return Scope{}, problem.New(problem.NotFound, "no station")
		}
		return Scope{Station: id, Organisation: "org", Since: start.Add(-time.Hour)}, nil
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	for path, want := range map[string]int{"/stations/S/frames": 200, "/stations/X/frames": 404, "/stations/X/frames/live": 404,
		"/stations/S/frames?cursor=%25": 422, "/stations/S/frames?from=yesterday": 422} {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/stations/S/frames/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ":") {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	await(t, func() bool { return l.isWatched("S") })
	l.Add(Exchange{Station: "S", Organisation: "org", Time: start, Direction: "out", Text: "hello"})
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") {
			if !strings.Contains(lines.Text(), `"text":"hello"`) {
				t.Errorf("got %s", lines.Text())
			}
			return
		}
	}
	t.Errorf("the stream ended: %v", lines.Err())
}
