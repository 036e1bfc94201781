package station

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/problem"
)

// end lets a station have a link that ends.
func (s *Stations) end(t *testing.T, id ID, n int, byStation bool) {
	t.Helper()
	l := Link{ID: fmt.Sprint("link-", n), Node: "n", Station: id, Protocol: "2.1", At: time.Now()}
	must(t, s.Linked(t.Context(), home, l))
	l.ByStation = byStation
	must(t, s.Unlinked(t.Context(), home, l, "closed", time.Now()))
}

// TestBlock: the sixty-first link that a station ends within an hour blocks it; those that the platform ended do not count;
// another station has nothing to do with it; an operator lifts the block, and then the count begins anew.
func TestBlock(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		s := book(t, open, Closed)
		var told []ID
		s.OnBlock(func(id ID, _ string) { told = append(told, id) })
		s.mustAdd(t, Station{ID: "RESTLESS"})
		s.mustAdd(t, Station{ID: "GOOD"})
		enter := func(id string) (*Station, *Refusal) {
			st, err := s.Authenticate(t.Context(), id, Credentials{})
			var r *Refusal
			if !errors.As(err, &r) {
				must(t, err)
			}
			return st, r
		}
		for i := range 100 {
			s.end(t, "RESTLESS", i, false)
		}
		for i := range DefaultLinks {
			s.end(t, "RESTLESS", 100+i, true)
		}
		if _, r := enter("RESTLESS"); r != nil || len(told) != 0 {
			t.Fatalf("blocked too early: %v", r)
		}
		s.end(t, "RESTLESS", 200, true)
		st, r := enter("RESTLESS")
		if r == nil || r.Status != 429 || r.RetryAfter <= 0 || r.RetryAfter > blockFor || st.block() == nil || len(told) != 1 || told[0] != "RESTLESS" {
			t.Fatalf("%+v, %+v, told %v", st, r, told)
		}
		if _, r := enter("GOOD"); r != nil {
			t.Errorf("another station: %v", r)
		}
		if types := s.eventTypes(t, "RESTLESS"); !strings.Contains(fmt.Sprint(types), "security") {
			t.Errorf("events %v", types)
		}
		if _, err := s.Unblock(t.Context(), "another organisation", "RESTLESS"); !problem.Is(err, problem.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		if st, err := s.Unblock(t.Context(), home, "RESTLESS"); err != nil || st.block() != nil {
			t.Fatalf("%+v, %v", st, err)
		}
		for i := range DefaultLinks {
			s.end(t, "RESTLESS", 300+i, true)
		}
		if _, r := enter("RESTLESS"); r != nil {
			t.Errorf("what was before the operator's word counts: %v", r)
		}
		s.LimitLinks(0)
		for i := range 10 {
			s.end(t, "RESTLESS", 400+i, true)
		}
		if _, r := enter("RESTLESS"); r != nil {
			t.Errorf("blocked without a limit: %v", r)
		}
	})
}

// TestBlockAndClock: a block that a clock has written which was set back since does not last for ever.
func TestBlockAndClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	st := &Station{BlockedUntil: now.Add(blockFor)}
	for _, c := range []struct {
		now  time.Time
		want time.Duration
	}{{now, blockFor}, {now.Add(time.Minute), blockFor - time.Minute}, {now.Add(blockFor), 0}, {now.Add(time.Hour), 0}, {now.Add(-time.Hour), 0}} {
		if got := st.blockedFor(c.now); got != c.want {
			t.Errorf("%s later: %s, want %s", c.now.Sub(now), got, c.want)
		}
	}
	if (&Station{}).blockedFor(now) != 0 {
		t.Error("a station without a block is blocked")
	}
}

// TestTwoPasswords plays what can become of a new password: which ones open then, in which order they are tried.
func TestTwoPasswords(t *testing.T) {
	t.Parallel()
	const old, fresh = "the old password", "the new password"
	ctx := context.Background()
	accepted := func(s *Stations) error { return s.SetPassword(ctx, home, "S", fresh) }
	refused := func(s *Stations) error { return s.WithdrawPassword(ctx, "S") }
	later := func(s *Stations) error { return s.ExpectPassword(ctx, "S", fresh) }
	unclear := func(*Stations) error { return nil }
	for name, c := range map[string]struct {
		becomes func(*Stations) error
		tries   string // o or n for old and new; capital when it must open
	}{
		"accepted":                {accepted, "oNoN"},
		"refused":                 {refused, "nOnO"},
		"no answer, taken":        {unclear, "NoN"},
		"no answer, not taken":    {unclear, "OnO"},
		"after the next start":    {later, "OONoN"},
		"not offered after all":   {refused, "Onn"},
		"taken at once, as it is": {later, "No"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
				s := book(t, open, Closed)
				must(t, s.Enrol(ctx, home, "S", old))
				must(t, s.OfferPassword(ctx, "S", fresh))
				must(t, c.becomes(s))
				for i, try := range c.tries {
					shown := map[bool]string{true: old, false: fresh}[try == 'o' || try == 'O']
					_, err := s.Authenticate(ctx, "S", Credentials{HasBasic: true, Username: "S", Password: shown})
					if (err == nil) != (try < 'a') {
						t.Fatalf("%s, try %d, %s: %v", c.tries, i, shown, err)
					}
				}
			})
		})
	}
}

// TestRotation: what a station shows in the waiting room is marked until another password takes its place.
func TestRotation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		s := book(t, open, Approve)
		ctx := t.Context()
		for id, end := range map[ID]func() error{
			"SET":     func() error { return s.SetPassword(ctx, home, "SET", "0123456789abcdef") },
			"REFUSED": func() error { return s.StopRotation(ctx, home, "REFUSED") },
			"PROMOTED": func() error {
				if err := s.OfferPassword(ctx, "PROMOTED", "0123456789abcdef"); err != nil {
					return err
				}
				_, err := s.Authenticate(ctx, "PROMOTED", Credentials{HasBasic: true, Username: "PROMOTED", Password: "0123456789abcdef"})
				return err
			},
		} {
			st, err := s.Authenticate(ctx, string(id), Credentials{HasBasic: true, Username: string(id), Password: "shown first"})
			must(t, err)
			if !st.RotatePassword {
				t.Errorf("%s: not marked", id)
			}
			must(t, end())
			if st, err = s.Get(ctx, id); err != nil || st.RotatePassword {
				t.Errorf("%s: still marked (%v)", id, err)
			}
		}
		if st, err := s.Authenticate(ctx, "WITHOUT", Credentials{}); err != nil || st.RotatePassword {
			t.Errorf("one without a password: %+v, %v", st, err)
		}
	})
}

// TestWaitingRoomIsBounded: one address fills no waiting room, and all together fill it only so far.
func TestWaitingRoomIsBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		s := book(t, open, Approve)
		come := func(id, from string) int {
			_, err := s.Authenticate(t.Context(), id, Credentials{Remote: from})
			var r *Refusal
			if errors.As(err, &r) {
				if r.RetryAfter <= 0 {
					t.Error("not told when to come again")
				}
				return r.Status
			}
			must(t, err)
			return 0
		}
		for i := range newcomersFrom {
			if status := come(fmt.Sprint("A", i), "192.0.2.1"); status != 0 {
				t.Fatalf("newcomer %d: %d", i, status)
			}
		}
		if status := come("ONE MORE", "192.0.2.1"); status != 429 {
			t.Errorf("one more from this address: %d", status)
		}
		if status := come("A1", "192.0.2.1"); status != 0 {
			t.Errorf("one that waits already: %d", status)
		}
		if status := come("B", "192.0.2.2"); status != 0 {
			t.Errorf("from another address: %d", status)
		}
		s.waiting.mu.Lock()
		s.waiting.waiting = maxWaiting
		s.waiting.mu.Unlock()
		if status := come("C", "192.0.2.3"); status != 503 {
			t.Errorf("into the full room: %d", status)
		}
		s.waiting.mu.Lock()
		s.waiting.counted = time.Time{}
		s.waiting.mu.Unlock()
		if status := come("C", "192.0.2.3"); status != 0 {
			t.Errorf("after it was counted again: %d", status)
		}
	})
}

// TestAlarms: the same alarm is told once a minute with what was held back, another one at once, in bounded memory.
func TestAlarms(t *testing.T) {
	t.Parallel()
	var a alarms
	now := time.Now()
	for i, c := range []struct {
		key  string
		at   time.Duration
		due  bool
		held int
	}{{"a", 0, true, 0}, {"a", time.Second, false, 0}, {"b", time.Second, true, 0}, {"a", 59 * time.Second, false, 0}, {"a", time.Minute, true, 2}, {"a", 2 * time.Minute, true, 0}} {
		if held, due := a.due(c.key, now.Add(c.at)); due != c.due || held != c.held {
			t.Errorf("%d: %v with %d held back", i, due, held)
		}
	}
	for i := range 3 * maxAlarms {
		a.due(fmt.Sprint(i), now)
	}
	if len(a.told) > maxAlarms {
		t.Errorf("%d are remembered", len(a.told))
	}
}
