package frame

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".db") {
			out = append(out, e.Name())
		}
	}
	return out
}

// The single file of earlier versions is read beside the new ones, and goes when its last day is past.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now().UTC().Truncate(time.Millisecond)
	old := dbtest.Open(t, db.Options{Path: filepath.Join(dir, oldFile)})
	if err := old.Migrate(t.Context(), Migrations); err != nil {
		t.Fatal(err)
	}
	before := []Exchange{{Station: "S", Time: now.Add(-48 * time.Hour), Text: "a", seq: 1}, {Station: "S", Time: now.Add(-time.Second), Text: "b", seq: 2}}
	if err := (table{db: old, log: slog.Default()}).write(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Retention: 24 * time.Hour, Log: slog.New(slog.DiscardHandler)}
	for i := range 2 { // the second time nothing is left to take over
		l := openLog(t, o)
		l.Add(Exchange{Station: "S", Time: now.Add(time.Duration(i) * time.Millisecond), Text: fmt.Sprint(i)})
		want := []string{"0", "b", "a"}
		if i == 1 {
			want = append([]string{"1"}, want...)
		}
		if d := cmp.Diff(want, texts(list(t, l, "S", everything(9)))); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if names := filesIn(t, dir); len(names) != 2 || !strings.HasPrefix(names[1], "frames-until-") {
		t.Errorf("the files are %v", names)
	}
	l := openLog(t, o)
	if err := l.Purge(t.Context(), now.Add(72*time.Hour)); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return len(filesIn(t, dir)) == 0 })
	if got := list(t, l, "S", everything(9)); len(got) > 0 {
		t.Errorf("left are %q", texts(got))
	}
}

// However much is logged, the files stay within their greatest size; the oldest go first, and the log says so.
func TestMaxSize(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	dir := t.TempDir()
	o := Options{Dir: dir, Retention: time.Hour, MaxSize: 24 << 20, Log: slog.New(slog.NewTextHandler(&said, nil))}
	l := openLog(t, o)
	text, now := strings.Repeat("x", 100<<10), time.Now()
	const n = 600 // 60 MB
	for i := range n {
		l.Add(Exchange{Station: "S", Time: now.Add(time.Duration(i) * time.Millisecond), Text: fmt.Sprint(i) + text})
		if i%20 == 0 {
			if err := l.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		u, err := l.Usage(t.Context())
		return err == nil && u.Bytes <= o.MaxSize && u.Bytes > o.MaxSize/4
	})
	got := list(t, l, "S", everything(n))
	if len(got) < 100 || len(got) >= n {
		t.Fatalf("%d frames of %d are left", len(got), n)
	}
	for i, e := range got { // the newest, without a gap
		if want := fmt.Sprint(n-1-i) + "x"; !strings.HasPrefix(e.Text, want) {
			t.Fatalf("frame %d is %q", i, e.Text[:8])
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "reason=size") {
		t.Errorf("the log does not say that frames were forgotten: %s", said.String())
	}
	if l.Dropped() > 0 {
		t.Errorf("%d frames were dropped", l.Dropped())
	}
}

// Whatever the days and parts that frames are in, a page is what one list of all would give.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, Options{Dir: dir, Retention: time.Hour, Log: slog.New(slog.DiscardHandler)})
	l.store.(*files).part = 1 // each batch has a file of its own
	var all []Exchange
	for i := range 8 {
		for day := range 4 {
			e := Exchange{Station: "S", Time: start.Add(time.Duration(day)*24*time.Hour + time.Duration((i*5)%8)*time.Hour), Text: fmt.Sprint(day, i)}
			l.Add(e)
			all = append(all, e)
		}
		if err := l.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(filesIn(t, dir)); n != 32 {
		t.Fatalf("%d files", n)
	}
	slices.SortFunc(all, func(a, b Exchange) int { return b.Time.Compare(a.Time) })
	rapid.Check(t, func(t *rapid.T) {
		hour := func(name string) time.Time {
			return start.Add(time.Duration(rapid.IntRange(-30, 110).Draw(t, name)) * time.Hour)
		}
		f := Filter{From: hour("from"), To: hour("to"), Before: hour("before"), Limit: rapid.IntRange(1, 40).Draw(t, "limit")}
		var want []string
		for _, e := range all {
			if !e.Time.Before(f.From) && e.Time.Before(f.To) && e.Time.Before(f.Before) && len(want) < f.Limit {
				want = append(want, e.Text)
			}
		}
		got, err := l.List(t.Context(), "S", f)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(texts(got), want) && len(want)+len(got) > 0 {
			t.Fatalf("got %q, want %q", texts(got), want)
		}
	})
}

// Files are read, written and forgotten at once, and nothing fails.
func TestForgetWhileRead(t *testing.T) {
	t.Parallel()
	l := openLog(t, Options{Dir: t.TempDir(), Retention: time.Hour, Log: slog.New(slog.DiscardHandler)})
	var wg sync.WaitGroup
	for r := range 3 {
		wg.Go(func() {
			for i := range 40 {
				day := start.AddDate(0, 0, i)
				if r == 0 {
					l.Add(Exchange{Station: "S", Time: day, Text: "x"})
				}
				if _, err := l.List(t.Context(), "S", everything(3)); err != nil {
					t.Error(err)
				}
				if r == 1 && i%5 == 0 {
					if err := l.Purge(t.Context(), day); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if l.Dropped() > 0 {
		t.Errorf("%d frames were dropped", l.Dropped())
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"0": 0, "20GiB": 20 << 30, "500 MiB": 500 << 20, "64KiB": 64 << 10, "1TiB": 1 << 40, "1025": 1025} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s is %d: %v", text, s, err)
		}
		var again Size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%s is written as %s", text, s)
		}
	}
	for _, text := range []string{"", "x", "-1", "5GB", "1.5GiB", "99999999TiB"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken as %s", text, s)
		}
	}
}
