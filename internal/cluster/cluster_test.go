package cluster

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// member is a node that beats when the test says so.
func member(t *testing.T, d *db.DB, h Hooks) *Member {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b, err := bus.Open(t.Context(), bus.Options{Log: log})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	m := New(d, b, log, Options{Name: t.Name(), Hooks: h})
	m.watch = watch{deadAfter: 1, gap: time.Hour} // silent is who has not beaten since the last look
	_, err = m.Join(t.Context())
	must(t, err)
	return m
}

func states(t *testing.T, m *Member) map[string]State {
	t.Helper()
	nodes, err := m.Nodes(t.Context())
	must(t, err)
	out := map[string]State{}
	for _, n := range nodes {
		out[n.ID] = n.State
	}
	return out
}

func postgres(t *testing.T) *db.DB {
	return dbtest.Open(t, dbtest.Fresh(t, db.Postgres, Migrations))
}

// TestOneHeir: of many nodes that see another silent, one declares it dead and takes it over.
func TestOneHeir(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	silent := member(t, d, Hooks{})
	var taken atomic.Int32
	var heirs []*Member
	for range 4 {
		heirs = append(heirs, member(t, d, Hooks{TakeOver: func(_ context.Context, node string) error {
			if node != silent.ID() {
				t.Errorf("%s is taken over", node)
			}
			taken.Add(1)
			return nil
		}}))
	}
	nodes, err := heirs[0].read(t.Context())
	must(t, err)
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.ID == silent.ID() })
	var wg sync.WaitGroup
	for _, h := range heirs {
		wg.Go(func() { h.declare(t.Context(), nodes[i]) })
	}
	wg.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken over %d times", n)
	}
	if got := states(t, heirs[0]); got[silent.ID()] != Dead || got[heirs[1].ID()] != Up {
		t.Errorf("states %v", got)
	}
}

// TestBeatBeforeDeclared: a node that beats between the look and the declaration is not dead.
func TestBeatBeforeDeclared(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	slow, other := member(t, d, Hooks{}), member(t, d, Hooks{})
	nodes, err := other.read(t.Context())
	must(t, err)
	slow.turn(t.Context())
	for _, n := range nodes {
		if n.ID == slow.ID() {
			other.declare(t.Context(), n)
		}
	}
	if got := states(t, other)[slow.ID()]; got != Up {
		t.Errorf("it is %s", got)
	}
}

// TestDeclaredDeadAndBack: a node that was taken for dead goes on under a new name, whose row stands before anything is done
// under it; the old one stays dead.
func TestDeclaredDeadAndBack(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	var renamed []string
	var frozen *Member
	frozen = member(t, d, Hooks{Renamed: func(old, now string) {
		if states(t, frozen)[now] != Up {
			t.Error("the new name is not registered")
		}
		renamed = append(renamed, old, now)
	}})
	old := frozen.ID()
	watcher := member(t, d, Hooks{})
	watcher.turn(t.Context())
	watcher.turn(t.Context()) // it has not beaten since
	if got := states(t, watcher)[old]; got != Dead {
		t.Fatalf("it is %s", got)
	}
	watcher.watch = watch{deadAfter: time.Hour, gap: time.Hour}
	frozen.watch = watch{deadAfter: time.Hour, gap: time.Hour}
	frozen.turn(t.Context())
	if now := frozen.ID(); now == old || !slices.Equal(renamed, []string{old, now}) {
		t.Errorf("%s is %s now; told %v", old, now, renamed)
	}
	if got := states(t, frozen); got[old] != Dead || got[frozen.ID()] != Up {
		t.Errorf("states %v", got)
	}
}

// TestHeirDies: when the heir of a lost node is gone before it is done, another one goes on; a failure is tried again.
func TestHeirDies(t *testing.T) {
	t.Parallel()
	d := postgres(t)
	lost := member(t, d, Hooks{})
	first := member(t, d, Hooks{TakeOver: func(context.Context, string) error { return errors.New("not now") }})
	first.turn(t.Context())
	first.turn(t.Context())
	if got := states(t, first)[lost.ID()]; got != Lost {
		t.Fatalf("a node whose takeover failed is %s", got)
	}
	var taken []string
	second := member(t, d, Hooks{TakeOver: func(_ context.Context, node string) error { taken = append(taken, node); return nil }})
	second.turn(t.Context())
	if len(taken) != 0 {
		t.Errorf("%v is taken from an heir that lives", taken)
	}
	second.turn(t.Context()) // now the first heir is silent
	second.turn(t.Context())
	if got := states(t, second); !slices.Contains(taken, lost.ID()) || got[lost.ID()] != Dead || got[first.ID()] != Dead {
		t.Errorf("taken %v, states %v", taken, got)
	}
}

// TestSQLiteStart: a file has one process, so whoever opens it takes over from those before.
func TestSQLiteStart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(Migrations)
		before := member(t, d, Hooks{})
		var taken []string
		m := member(t, d, Hooks{TakeOver: func(_ context.Context, node string) error { taken = append(taken, node); return nil }, Links: func() int { return 7 }})
		want := []string{before.ID()}
		if d.Engine() == db.Postgres {
			want = nil
		}
		if !slices.Equal(taken, want) {
			t.Errorf("taken over %v, want %v", taken, want)
		}
		must(t, m.Start())
		must(t, m.Drain(t.Context()))
		nodes, err := m.Nodes(t.Context())
		must(t, err)
		if i := slices.IndexFunc(nodes, func(n Node) bool { return n.ID == m.ID() }); nodes[i].State != Draining || nodes[i].Links != 7 || !nodes[i].Bus {
			t.Errorf("it says of itself %+v", nodes[i])
		}
		must(t, m.Leave(t.Context()))
		if got := states(t, m)[m.ID()]; got != Left {
			t.Errorf("it left and is %s", got)
		}
	})
}

// TestWatch: whoever beats is never silent, whatever the pauses of the watcher; whoever stops is silent once the watcher has
// looked without a pause for the whole time, and not before.
func TestWatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const deadAfter, gap = 10 * time.Second, 5 * time.Second
		w := watch{deadAfter: deadAfter, gap: gap}
		now := time.Unix(1e9, 0)
		stops := rapid.IntRange(0, 30).Draw(t, "stops")
		beat, calm := int64(0), time.Duration(-1) // -1: not seen standing still
		for i := range 60 {
			pause := time.Duration(rapid.Int64Range(1, int64(8*time.Second)).Draw(t, "pause"))
			now = now.Add(pause)
			if i < stops {
				beat++
				calm = -1
			}
			switch {
			case calm < 0 || pause > gap:
				calm = 0
			default:
				calm += pause
			}
			silent := w.look(now, "me", []Node{{ID: "me", State: Up}, {ID: "n", State: Up, beat: beat}, {ID: "left", State: Left}})
			if got, want := len(silent) == 1, calm >= deadAfter; got != want || len(silent) > 1 {
				t.Fatalf("look %d: silent %v after %s of calm", i, silent, calm)
			}
		}
	})
}

// TestCutOff: a node that does not reach the database asks the others: only where one does, or nobody is reached at all, it
// gives up its links, once.
func TestCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server, other, waited bool
		want                  int64
	}{
		"the others have it":          {server: true, other: true, waited: true, want: 1},
		"nobody has it":               {server: true, waited: true},
		"nobody is reached":           {waited: true, want: 1},
		"it has only just been there": {server: true, other: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := natsServer(t)
			connect := func() *bus.Bus {
				b, err := bus.Open(t.Context(), bus.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
				must(t, err)
				t.Cleanup(func() { must(t, b.Close()) })
				return b
			}
			other := New(nil, connect(), slog.New(slog.DiscardHandler), Options{})
			if c.other {
				other.beaten = time.Now()
			}
			sub, err := other.bus.Subscribe(askSubject, other.answer)
			must(t, err)
			must(t, other.bus.Flush(t.Context()))
			t.Cleanup(func() { _ = sub.Unsubscribe() }) // the bus may be closed
			closed := 0
			m := New(nil, connect(), slog.New(slog.DiscardHandler), Options{BeatEvery: 400 * time.Millisecond, Hooks: Hooks{CutOff: func() { closed++ }}})
			m.beaten = time.Now()
			if c.waited {
				m.beaten = time.Now().Add(-DeadAfter)
			}
			if !c.server {
				s.Shutdown()
				s.WaitForShutdown()
				for m.bus.Healthy() {
					time.Sleep(time.Millisecond)
				}
			}
			m.suspect(t.Context())
			m.suspect(t.Context())
			if got := m.Counters.CutOff.Load(); got != c.want || int64(closed) != c.want {
				t.Errorf("gave up its links %d times, want %d", closed, c.want)
			}
		})
	}
}

func natsServer(t *testing.T) (*server.Server, string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	must(t, err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	t.Cleanup(s.Shutdown)
	return s, s.ClientURL()
}
