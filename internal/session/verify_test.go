package session_test

import (
	"strings"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/session"
)

// TestVerify: what the disk changes in a stored message is found, alarms, and counts for nothing; of stations that number
// their messages and of others, of such as came late from a queue too.
func TestVerify(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l := b.open()
		defects := func() (out []string) {
			t.Helper()
			v, err := session.Verify(t.Context(), b.db, func(d session.Defect) { out = append(out, d.Text) })
			if err != nil || v.Sessions != 3 || v.Messages != 9 || v.Defects != len(out) {
				t.Fatalf("verified %+v, %v, %q", v, err, out)
			}
			return out
		}
		for id, more := range map[string][]func(*message){"A": {}, "B": {v16}, "C": {offline}} {
			with := func(f ...func(*message)) []func(*message) { return append(f, more...) }
			apply(t, l, stationID(id), start(0, "17", with()...))
			apply(t, l, stationID(id), update(600, 1, "17", with(reads("1500"))...))
			apply(t, l, stationID(id), end(1800, 2, "17", with(reads("1600"))...))
		}
		if got := defects(); len(got) > 0 {
			t.Fatalf("a sound ledger: %q", got)
		}
		change := `UPDATE session_events SET payload = REPLACE(payload, '1500', '9500') WHERE type = 'Updated'`
		if err := b.db.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(change); return err }); err != nil {
			t.Fatal(err)
		}
		if got := defects(); len(got) != 3 || !strings.Contains(got[0], "damaged") {
			t.Errorf("changed readings: %q", got)
		}
		for range 2 { // the second reading tells nothing new
			for _, id := range []string{"A", "B", "C"} {
				s := sessions(t, l, stationID(id))[0]
				if events, err := l.Events(t.Context(), s.ID); err != nil || len(events) != 3 || !events[1].Broken || events[0].Broken || events[2].Broken {
					t.Errorf("the messages of %s read again: %+v, %v", id, events, err)
				}
			}
		}
		if got := l.Damages(); got != 3 {
			t.Errorf("%d damages, want 3", got)
		}
		for got, deadline := 0, time.Now().Add(10*time.Second); got != 3; {
			err := b.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM events WHERE type = 'integrity'`).Scan(&got)
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("%d events of the damage, want 3, %v", got, err)
			}
		}
	})
}
