package app_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// load fills a new database with a dump.
func load(t *testing.T, driver, source, dump string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "upgrade", dump))
	if err != nil {
		t.Fatal(err)
	}
	h, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Exec(string(text)); err != nil {
		t.Fatalf("%s: %v", dump, err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// content is what must outlive an upgrade: the rows of the ledger to the letter, and how many others there are.
func content(t *testing.T, driver, source string) map[string]string {
	t.Helper()
	h, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	out := map[string]string{}
	for name, query := range map[string]string{
		"sessions":       "SELECT id || transaction_id || state || started_at || COALESCE(ended_at, 0) || COALESCE(meter_first_mwh, 0) || COALESCE(meter_last_mwh, 0) FROM sessions ORDER BY id",
		"session_events": "SELECT session_id || at || hash || seq_no || type || payload FROM session_events ORDER BY session_id, at, hash",
		"meter_readings": "SELECT station_id || evse || at || hash || payload FROM meter_readings ORDER BY station_id, at, hash",
		"status_history": "SELECT id FROM status_history ORDER BY id",
		"link_history":   "SELECT link_id FROM link_history ORDER BY link_id",
		"notices":        "SELECT id FROM notices ORDER BY id",
		"stations":       "SELECT id FROM stations ORDER BY id",
		"connectors":     "SELECT station_id || evse || connector FROM connectors ORDER BY station_id, evse, connector",
		"tokens":         "SELECT uid FROM tokens ORDER BY uid",
		"variables":      "SELECT COUNT(*) FROM variables",
	} {
		rows, err := h.Query(query)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var lines []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if err := rows.Err(); err != nil || len(lines) == 0 && name != "notices" {
			t.Fatalf("%s: %d rows, %v", name, len(lines), err)
		}
		out[name] = strings.Join(lines, "\n")
	}
	return out
}

// TestUpgrade starts a node on what the first released version has left behind, with sessions that run, on both engines.
// Nothing is lost, not in a second start either.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			driver, source, url := "sqlite", filepath.Join(dir, "lumela.db"), ""
			if engine == db.Postgres {
				url = dbtest.Fresh(t, db.Postgres).URL
				driver, source = "pgx", url
				load(t, driver, source, "postgres.sql")
			} else {
				load(t, driver, source, "lumela.sql")
				load(t, driver, filepath.Join(dir, "frames.db"), "frames.sql")
			}
			before := content(t, driver, source)
			for start := range 2 {
				n := apptest.Start(t, apptest.With(func(c *app.Config) { c.DataDir, c.Database = dir, url }))
				checkUpgraded(t, n)
				if err := n.Stop(); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(before, content(t, driver, source)); d != "" {
					t.Errorf("start %d (-before +after):\n%s", start, d)
				}
			}
		})
	}
}

type energyOf struct {
	State    string
	EnergyWh int64
}

// checkUpgraded asks the API for what the first version has stored.
func checkUpgraded(t *testing.T, n *apptest.Node) {
	t.Helper()
	var sessions struct {
		Items []struct {
			ID string
			energyOf
		}
	}
	n.Want(t, 200, "GET", "/sessions", "").Into(t, &sessions)
	got := map[energyOf]int{}
	for _, s := range sessions.Items {
		got[s.energyOf]++
		var values struct{ Items []any }
		n.Want(t, 200, "GET", "/sessions/"+s.ID+"/meter-values", "").Into(t, &values)
		if len(values.Items) == 0 {
			t.Errorf("session %s has lost its meter values", s.ID)
		}
	}
	want := map[energyOf]int{{"active", 633}: 1, {"active", 613}: 1, {"active", 1533}: 1, {"active", 388}: 1, {"active", 246}: 1, {"active", 0}: 1,
		{"ended", 68}: 1, {"ended", 300}: 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sessions (-want +got):\n%s", d)
	}
	var frames struct{ Items []any }
	n.Want(t, 200, "GET", "/stations/DEMO-000001/frames", "").Into(t, &frames)
	if len(frames.Items) != 32 {
		t.Errorf("%d frames are left of 32", len(frames.Items))
	}
}
