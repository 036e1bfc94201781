package db_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// crashed makes a SQLite file with a log of n transactions as a kill leaves it, and gives its path.
func crashed(t *testing.T, n int) string {
	t.Helper()
	o := dbtest.Fresh(t, db.SQLite, schema)
	d := dbtest.Open(t, o)
	for i := range n {
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, i, "torn"); return err })
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(o.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+suffix, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// facts opens a file as a start does and counts its facts.
func facts(t *testing.T, path string) (n int) {
	t.Helper()
	h, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }() // nothing was written
	if err := h.QueryRow("SELECT count(*) FROM fact").Scan(&n); err != nil {
		t.Fatal(err)
	}
	var ok string
	if err := h.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		t.Errorf("integrity: %q, %v", ok, err)
	}
	return n
}

// TestTornLog: a log that was cut at any byte is recovered to its last whole transaction, and InspectLog says so.
func TestTornLog(t *testing.T) {
	t.Parallel()
	const n = 12
	path := crashed(t, n)
	whole, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for cut := 0; cut <= len(whole); cut += 4099 {
		if cut+4099 > len(whole) {
			cut = len(whole)
		}
		torn := filepath.Join(t.TempDir(), "torn.db")
		for name, raw := range map[string][]byte{torn: image, torn + "-wal": whole[:cut]} {
			if err := os.WriteFile(name, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := db.InspectLog(torn)
		if err != nil || s.Damaged {
			t.Fatalf("cut at %d: %+v, %v", cut, s, err)
		}
		got := facts(t, torn)
		if got != s.Transactions {
			t.Errorf("cut at %d: %d facts, the log says %+v", cut, got, s)
		}
		if got < last {
			t.Errorf("cut at %d: %d facts, %d before", cut, got, last)
		}
		last = got
	}
	if last != n {
		t.Errorf("the whole log has %d facts, want %d", last, n)
	}
}

// TestFlippedLog: a bit that flips before flushed transactions is damage, one in the last transaction may be a torn write.
func TestFlippedLog(t *testing.T) {
	t.Parallel()
	const n = 12
	path := crashed(t, n)
	whole, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		at      int
		damaged bool
	}{{"head", 9, true}, {"first frame", 40, true}, {"middle", len(whole) / 2, true}, {"last frame", len(whole) - 100, false}} {
		flipped := append([]byte{}, whole...)
		flipped[c.at] ^= 0x10
		if err := os.WriteFile(path+"-wal", flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := db.InspectLog(path)
		if err != nil || s.Damaged != c.damaged {
			t.Errorf("%s: %+v, %v, want damaged %v", c.name, s, err, c.damaged)
		}
		if c.name == "middle" && (s.Transactions == 0 || s.Transactions+s.Behind < n-1) {
			t.Errorf("%s: %+v, want %d transactions in all", c.name, s, n)
		}
	}
	if s, err := db.InspectLog(filepath.Join(t.TempDir(), "none.db")); err != nil || s != (db.LogState{}) {
		t.Errorf("without a log: %+v, %v", s, err)
	}
}

// TestCheck: a sound database has no complaints, a broken page has.
func TestCheck(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.SQLite, schema)
	d := dbtest.Open(t, o)
	for i := range 400 {
		mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec(addFact, i, "sound"); return err })
	}
	for _, quick := range []bool{true, false} {
		if got, err := d.Check(context.Background(), quick); err != nil || len(got) > 0 {
			t.Errorf("quick %v: %v, %v", quick, got, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	for at := len(raw) / 2 &^ 8191; at < len(raw)/2+16; at++ { // the head of a page
		raw[at] ^= 0xff
	}
	if err := os.WriteFile(o.Path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := dbtest.Open(t, o)
	if got, err := broken.Check(context.Background(), false); err == nil && len(got) == 0 {
		t.Error("the broken page was not found")
	}
}
