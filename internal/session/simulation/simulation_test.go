package simulation

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

var seedFlag = flag.Uint64("simulation.seed", 0, "play the world of this seed only")

// stepsOfARun is short enough that a failing run can be read, and long enough for days of a small network.
const stepsOfARun = 400

// files is a SQLite database that a crash leaves as it is at that moment.
type files struct {
	dir  string
	rng  *rand.Rand
	path string
	n    int
}

func newFiles(dir string, seed uint64) *files {
	return &files{dir: dir, rng: rand.New(rand.NewPCG(seed, 1)), path: filepath.Join(dir, "0.db")}
}

func (f *files) Nodes() int { return 1 }

func (f *files) Open(o db.Options) (*db.DB, error) {
	o.Path, o.CacheMiB, o.Readers = f.path, 2, 2
	return db.Open(context.Background(), o)
}

// Crash copies the files as they are, with a torn end behind what is whole.
func (f *files) Crash() error {
	f.n++
	next := filepath.Join(f.dir, fmt.Sprintf("%d.db", f.n))
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(f.path+suffix, next+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if f.rng.IntN(2) == 0 {
		if err := tear(next+"-wal", f.rng); err != nil {
			return err
		}
	}
	f.path = next
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// tear writes a piece of something that was not finished behind the end of the log.
func tear(path string, rng *rand.Rand) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	rest := make([]byte, rng.IntN(20_000))
	for i := range rest {
		rest[i] = byte(rng.Uint32())
	}
	_, err = out.Write(rest)
	return errors.Join(err, out.Close())
}

// server is a PostgreSQL database, which crashes of nodes do not harm.
type server struct{ o db.Options }

func (s *server) Nodes() int   { return 2 }
func (s *server) Crash() error { return nil }
func (s *server) Open(o db.Options) (*db.DB, error) {
	o.URL, o.Committers, o.Readers = s.o.URL, 2, 4
	return db.Open(context.Background(), o)
}

// span is how long seeds are tried: LUMELA_SIMULATION, 10 s when it is not set.
func span(t *testing.T) time.Duration {
	text := os.Getenv("LUMELA_SIMULATION")
	if text == "" {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("LUMELA_SIMULATION: %v", err)
	}
	return d
}

// TestSimulation plays worlds from random seeds. A failure names its seed:
//
//	go test ./internal/session/simulation -run Simulation/sqlite -simulation.seed N
func TestSimulation(t *testing.T) {
	t.Parallel()
	simulate(t, span(t))
}

// TestSoakSimulation is the same for LUMELA_SOAK.
func TestSoakSimulation(t *testing.T) {
	text := os.Getenv("LUMELA_SOAK")
	if text == "" {
		t.Skip("LUMELA_SOAK is not set: make soak sets it")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("LUMELA_SOAK: %v", err)
	}
	simulate(t, d)
}

func simulate(t *testing.T, span time.Duration) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		play(t, span, func(t *testing.T, seed uint64) Store { return newFiles(t.TempDir(), seed) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		play(t, span, func(t *testing.T, _ uint64) Store { return &server{dbtest.Fresh(t, db.Postgres)} })
	})
}

// play tries seeds until the time is over.
func play(t *testing.T, span time.Duration, store func(t *testing.T, seed uint64) Store) {
	if *seedFlag != 0 {
		if _, err := Run(*seedFlag, stepsOfARun, store(t, *seedFlag)); err != nil {
			t.Fatal(err)
		}
		return
	}
	var sum Figures
	seeds := 0
	for end := time.Now().Add(span); time.Now().Before(end) && !t.Failed(); seeds++ {
		seed := rand.Uint64() >> 1
		t.Run(fmt.Sprint(seed), func(t *testing.T) { // its files go at once
			f, err := Run(seed, stepsOfARun, store(t, seed))
			sum.Add(f)
			if err != nil {
				t.Errorf("%v\nagain: go test ./internal/session/simulation -run 'Simulation/%s' -simulation.seed %d", err, engine(t), seed)
			}
		})
	}
	t.Logf("%d seeds: %s", seeds, sum)
}

func engine(t *testing.T) string { return strings.Split(t.Name(), "/")[1] }
