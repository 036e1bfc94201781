package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/account"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// told reads the kept events of a station, in the order in which they were recorded.
func (b *books) told(t *testing.T, id station.ID) (types []string, data []string) {
	t.Helper()
	rows, err := b.db.Query(context.Background(), `SELECT type, data FROM events WHERE station_id = $1 ORDER BY id`, string(id))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var typ, body string
		if err := rows.Scan(&typ, &body); err != nil {
			t.Fatal(err)
		}
		types, data = append(types, typ), append(data, body)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return types, data
}

// corrected gives the names of the fields of each correction of a station.
func (b *books) corrected(t *testing.T, id station.ID) (fields []string) {
	t.Helper()
	types, data := b.told(t, id)
	for i, typ := range types {
		if typ != "session.corrected" {
			continue
		}
		var c session.Correction
		if err := json.Unmarshal([]byte(data[i]), &c); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, change := range c.Changed {
			names = append(names, change.Field)
			if string(change.Before) == string(change.After) {
				t.Errorf("%s: nothing changed", change.Field)
			}
		}
		fields = append(fields, strings.Join(names, " "))
	}
	return fields
}

var operator = account.Principal{Organisation: organisation, Role: account.Operator, Name: "kim@example.org"}

// only is the one session of a station, as a ledger that has just been opened reads it.
func only(t *testing.T, b *books, id station.ID) *session.Session {
	t.Helper()
	list := sessions(t, b.open(), id)
	if len(list) != 1 {
		t.Fatalf("%d sessions: %q", len(list), lines(list))
	}
	return list[0]
}

func wantBilling(t *testing.T, b *books, id station.ID, want session.Billing) *session.Session {
	t.Helper()
	s := only(t, b, id)
	if s.Billing() != want {
		t.Errorf("billing is %s, not %s: %+v", s.Billing(), want, s.Flags)
	}
	for _, billing := range []session.Billing{session.BillingRunning, session.BillingHeld, session.BillingReady} {
		f := session.Filter{Station: id, Billing: billing, To: noon.AddDate(1, 0, 0), Before: noon.AddDate(1, 0, 0), Limit: 10}
		list, err := b.open().List(context.Background(), organisation, f)
		if err != nil || len(list) == 1 != (billing == want) {
			t.Errorf("%d sessions are listed as %s, %v", len(list), billing, err)
		}
	}
	return s
}

// TestHeld: an odd session is held until a person releases it; what is released stays so until something new comes.
func TestHeld(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		ctx := context.Background()
		l := b.open()
		apply(t, l, "S", start(0, "T", refused("the token is blocked")))
		s := wantBilling(t, b, "S", session.BillingRunning)
		if _, err := l.Clear(ctx, operator, s.ID, "a guest", nil); !problem.Is(err, problem.Conflict) {
			t.Errorf("a running session is released: %v", err)
		}
		apply(t, l, "S", end(600, 3, "T", reads("1600")))
		wantBilling(t, b, "S", session.BillingHeld)
		for _, codes := range [][]string{{"meter-zero"}, {session.TokenRefused, "meter-zero"}, {"nonsense"}} {
			if _, err := l.Clear(ctx, operator, s.ID, "x", codes); !problem.Is(err, problem.Conflict) {
				t.Errorf("%v is released: %v", codes, err)
			}
		}
		if _, err := l.Clear(ctx, account.Principal{Organisation: "other", Name: "eve"}, s.ID, "x", nil); !problem.Is(err, problem.NotFound) {
			t.Errorf("another organisation releases: %v", err)
		}
		if _, err := l.Clear(ctx, operator, s.ID, "a guest", []string{session.TokenRefused}); err != nil {
			t.Fatal(err)
		}
		wantBilling(t, b, "S", session.BillingHeld) // two messages are missing
		if _, err := l.Clear(ctx, operator, s.ID, "lost for good", nil); err != nil {
			t.Fatal(err)
		}
		s = wantBilling(t, b, "S", session.BillingReady)
		if len(s.Flags) != 2 || s.Flags[0].ResolvedBy != operator.Name || s.Flags[0].Resolution != "a guest" || s.Flags[1].Resolution != "lost for good" {
			t.Errorf("flags: %+v", s.Flags)
		}
		if _, err := l.Clear(ctx, operator, s.ID, "again", nil); !problem.Is(err, problem.Conflict) {
			t.Errorf("nothing is released: %v", err)
		}
		apply(t, l, "S", end(600, 3, "T", reads("1600"))) // the same again is nothing new
		wantBilling(t, b, "S", session.BillingReady)
		apply(t, l, "S", update(300, 1, "T", reads("1300"))) // now one is missing: what was released was another
		wantBilling(t, b, "S", session.BillingHeld)
		apply(t, l, "S", update(400, 2, "T", reads("1400")))
		s = wantBilling(t, b, "S", session.BillingReady)
		if last := s.Flags[len(s.Flags)-1]; last.Code != session.SequenceGap || last.ResolvedBy != session.Bookkeeper || last.Resolution == "" {
			t.Errorf("the gap that was filled: %+v", last)
		}
		want := []string{"flags", "billing flags", "billing flags", "billing flags"}
		if diff := cmp.Diff(want, b.corrected(t, "S")); diff != "" {
			t.Errorf("corrections (-want +got):\n%s", diff)
		}
		if types, _ := b.told(t, "S"); len(slices.DeleteFunc(types, func(s string) bool { return s != "session.ended" })) != 1 {
			t.Errorf("the end is not told once: %v", types)
		}
	})
}

// TestTrueEndAfterAnAssumedOne: the end is told once, the truth as a correction with everything that changed.
func TestTrueEndAfterAnAssumedOne(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l := b.open()
		apply(t, l, "S", start(0, "A"))
		apply(t, l, "S", start(600, "B"))
		apply(t, l, "S", end(500, 1, "A", reads("1900")))
		types, _ := b.told(t, "S")
		if diff := cmp.Diff([]string{"session.started", "session.ended", "session.started", "session.corrected"}, slices.DeleteFunc(types, func(s string) bool {
			return s == "session.updated"
		})); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"billing endedAt energyWh flags meterStopWh stoppedReason"}, b.corrected(t, "S")); diff != "" {
			t.Errorf("correction (-want +got):\n%s", diff)
		}
	})
}

// TestNumberOfAnotherStation: a station of 1.6 that names another's transaction changes nothing there; the operator hears
// of it, and the message is kept.
func TestNumberOfAnotherStation(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		ctx := context.Background()
		l := b.open()
		apply(t, l, "A", start(0, "77", v16))
		for _, m := range []message{update(10, 1, "77", v16, reads("5000")), end(20, 2, "77", v16, reads("9000")), end(20, 2, "77", v16, reads("9000"))} {
			if _, err := l.Apply(ctx, m.event("B")); !errors.Is(err, session.ErrOtherStation) {
				t.Errorf("%s: %v", m.request.EventType, err)
			}
		}
		if got := line(only(t, b, "A")); got != "77 active evse 1 CARD +0..… 0 Wh" {
			t.Errorf("the session has changed: %s", got)
		}
		if list := sessions(t, l, "B"); len(list) != 0 {
			t.Errorf("the other station has %q", lines(list))
		}
		if types, _ := b.told(t, "B"); !slices.Equal(types, []string{"security", "security"}) {
			t.Errorf("events %v", types)
		}
		kept, err := l.Quarantined(ctx, organisation, "B", time.Now().Add(time.Hour), "", 10)
		if err != nil || len(kept) != 2 || kept[0].Station != "B" || !strings.Contains(kept[0].Payload, `"77"`) || kept[0].Reason == "" {
			t.Errorf("quarantine %+v %v", kept, err)
		}
		if kept, err = l.Quarantined(ctx, "other", "", time.Now().Add(time.Hour), "", 10); err != nil || len(kept) != 0 {
			t.Errorf("another organisation sees %+v %v", kept, err)
		}
		apply(t, l, "C", end(20, 0, "78", v16, reads("9000"))) // nobody's number makes a session of its own
		apply(t, l, "D", end(20, 0, "78", v16, reads("9000"))) // and is nobody else's
		wantBilling(t, b, "D", session.BillingHeld)
	})
}

// TestBridge: where the end never came, the EVSE's own meter tells the last that is known, within the session only.
func TestBridge(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l := b.open()
		beside := func(seconds int, wh ...string) {
			t.Helper()
			mv := values(seconds, wh...)
			r := &v21.MeterValuesRequest{EVSEID: 1, MeterValue: []v21.MeterValue{mv}}
			if err := l.Reading(context.Background(), "S", r, mv.Timestamp.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		beside(-60, "900")
		apply(t, l, "S", start(0, "A"))
		apply(t, l, "S", update(600, 1, "A", reads("2000")))
		for _, v := range []struct {
			at int
			wh string
		}{{300, "1500"}, {900, "2600"}, {1200, "100"}, {1500, "990000000"}, {1800, "2900"}, {2400, "3500"}} {
			beside(v.at, v.wh)
		}
		apply(t, l, "S", start(2000, "B", reads("3000")))
		want := []string{"A ended evse 1 CARD +0..+1800 1900 Wh !end-unknown", "B active evse 1 CARD +2000..… 0 Wh"}
		if diff := cmp.Diff(want, lines(sessions(t, b.open(), "S"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		apply(t, l, "S", end(1000, 2, "A", reads("2700")))
		want[0] = "A ended evse 1 CARD +0..+1000 1700 Wh"
		if diff := cmp.Diff(want, lines(sessions(t, b.open(), "S"))); diff != "" {
			t.Errorf("the true end (-want +got):\n%s", diff)
		}
	})
}

// TestCorrectedTimes: where the station's clock is known to be wrong, the session has its times by ours too.
func TestCorrectedTimes(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l := b.open()
		ahead := func(m *message) { setTime(m, m.request.Timestamp.Add(2*time.Hour)) }
		apply(t, l, "S", start(0, "T", ahead))
		apply(t, l, "S", end(600, 1, "T", reads("1600"), ahead))
		v := only(t, b, "S").View()
		if v.ClockOffsetSeconds == nil || *v.ClockOffsetSeconds != 7199 || v.StartedAtCorrected == nil || v.EndedAtCorrected == nil ||
			!v.StartedAtCorrected.Equal(noon.Add(time.Second)) || !v.EndedAtCorrected.Equal(noon.Add(601*time.Second)) || !v.StartedAt.Equal(noon.Add(2*time.Hour)) {
			t.Errorf("%v %v %v", v.ClockOffsetSeconds, v.StartedAtCorrected, v.EndedAtCorrected)
		}
		apply(t, l, "R", start(0, "T"))
		apply(t, l, "R", end(600, 1, "T", reads("1600")))
		if v := only(t, b, "R").View(); v.ClockOffsetSeconds == nil || *v.ClockOffsetSeconds != -1 || v.StartedAtCorrected != nil || v.EndedAtCorrected != nil {
			t.Errorf("a right clock is corrected: %v %v %v", v.ClockOffsetSeconds, v.StartedAtCorrected, v.EndedAtCorrected)
		}
		apply(t, l, "O", start(0, "T", offline, received(9000)))
		apply(t, l, "O", end(600, 1, "T", reads("1600"), offline, received(9001)))
		if v := only(t, b, "O").View(); v.ClockOffsetSeconds != nil || v.StartedAtCorrected != nil {
			t.Errorf("an offset that nobody can know: %v %v", v.ClockOffsetSeconds, v.StartedAtCorrected)
		}
	})
}

// powers is a device model of one number.
type powers int64

func (p powers) MaxPowerW(context.Context, station.ID, int) (int64, error) { return int64(p), nil }

// TestKnownPower: what the device model says of the EVSE counts, and is remembered for what comes late.
func TestKnownPower(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l := b.open()
		l.SetLimits(powers(22_000))
		apply(t, l, "S", start(0, "T"))
		apply(t, l, "S", end(3600, 2, "T", reads("31000")))
		if s := only(t, b, "S"); !strings.Contains(line(s), "!energy-implausible") || s.MaxPowerW != 22_000 {
			t.Errorf("30 kWh in an hour at 22 kW: %s", line(s))
		}
		apply(t, b.open(), "S", update(1800, 1, "T", reads("12000")))
		if s := only(t, b, "S"); !strings.Contains(line(s), "!energy-implausible") {
			t.Errorf("after a late message: %s", line(s))
		}
		apply(t, l, "G", start(0, "T"))
		apply(t, l, "G", end(3600, 1, "T", reads("23000")))
		wantBilling(t, b, "G", session.BillingReady)
	})
}

// TestCodesAreExplained: the page for operators names every code, and every code has a sentence and a source.
func TestCodesAreExplained(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/sessions.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range session.Meanings {
		holds := map[bool]string{true: "yes", false: "no"}[m.Holds]
		if row := "| `" + m.Code + "` | " + m.Sentence + " | " + holds + " | "; !strings.Contains(string(raw), row) {
			t.Errorf("docs/sessions.md has no row that begins with\n%s", row)
		}
		if m.Sentence == "" || m.Source == "" || seen[m.Code] {
			t.Errorf("%s is not explained, or twice there", m.Code)
		}
		seen[m.Code] = true
	}
	if !session.Holds("never-heard-of") {
		t.Error("a flag that nobody knows does not hold")
	}
}
