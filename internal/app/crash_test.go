package app_test

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"lumela/internal/app"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/tool/soak"
)

// childVariable makes this test's binary be lumela, so that a test can start a node as a process of its own and kill it
// without building anything.
const childVariable = "LUMELA_TEST_CHILD"

func init() {
	if os.Getenv(childVariable) != "" {
		os.Exit(app.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
}

// child prepares a node as a process of its own. It is killed when the test ends.
func child(t testing.TB, dir, database string, more ...string) *soak.Node {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n, err := soak.NewNode([]string{self}, []string{childVariable + "=1"}, dir, database, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if text, err := n.Log(); err == nil {
				t.Logf("last words of the node:\n%s", text[max(0, len(text)-6000):])
			}
		}
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// startChild is child and its start.
func startChild(t testing.TB, dir, database string, more ...string) *soak.Node {
	t.Helper()
	n := child(t, dir, database, more...)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

// engines gives each engine's database: an empty URL is SQLite.
func engines(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			database := ""
			if engine == db.Postgres {
				database = dbtest.Fresh(t, db.Postgres).URL
			}
			test(t, database)
		})
	}
}

// soakRun plays stations on a node and compares the accounts.
func soakRun(t *testing.T, n *soak.Node, o soak.Options) *soak.Report {
	t.Helper()
	o.Targets, o.Key, o.DataDir = []string{n.Addr}, n.Key, n.Dir
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	r, err := soak.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if err := r.OK(); err != nil {
		t.Error(err)
	}
	if r.Answered < 20 || r.Sessions < o.Stations/4 {
		t.Errorf("only %d messages in %d sessions: that proves nothing", r.Answered, r.Sessions)
	}
	return r
}

// crash kills a node at random instants under load.
func crash(t *testing.T, database string, stations int, d, between time.Duration) {
	n := startChild(t, t.TempDir(), database)
	r := soakRun(t, n, soak.Options{Database: database, Stations: stations, Duration: d, Between: between, Pace: 20 * time.Millisecond, Kill: n.KillAndStart})
	if r.Kills == 0 {
		t.Error("the node was never killed")
	}
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
}

// TestCrash: what was answered is there after kill -9, once.
func TestCrash(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, database string) { crash(t, database, 18, 4*time.Second, 900*time.Millisecond) })
}

// TestSoakCrash is TestCrash for LUMELA_SOAK, shared by both engines.
func TestSoakCrash(t *testing.T) {
	d := soakTime(t)
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			database := ""
			if engine == "postgres" {
				database = dbtest.Fresh(t, db.Postgres).URL
			}
			crash(t, database, 60, d/4, 5*time.Second)
		})
	}
}

// TestSoakOutage is D06 of [TestDurabilityFaults] for LUMELA_SOAK, shared by the kinds of outages.
func TestSoakOutage(t *testing.T) {
	d := soakTime(t)
	for name, prepare := range outages {
		t.Run(name, func(t *testing.T) { outageUnderLoad(t, prepare(t), d/8) })
	}
}

// soakTime is the time for the long tests.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("LUMELA_SOAK")
	if text == "" {
		t.Skip("LUMELA_SOAK is not set: this test takes as long as it says; see make soak")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("LUMELA_SOAK: %v", err)
	}
	return d
}
