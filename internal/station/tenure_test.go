package station

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/ocpp/v21"
)

// TestTenures: whose a station was when is known, and ends with its removal.
func TestTenures(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		first := s.mustAdd(t, Station{ID: "S"})
		theirs, err := s.TenureOf(ctx, home, "S", first.CreatedAt)
		must(t, err)
		if !theirs.Since.Equal(first.CreatedAt) || !theirs.Until.IsZero() {
			t.Errorf("%+v", theirs)
		}
		must(t, s.Remove(ctx, home, "S"))
		theirs, err = s.TenureOf(ctx, home, "S", first.CreatedAt)
		must(t, err)
		if theirs.Until.IsZero() {
			t.Error("it has not ended")
		}
		second := s.mustAdd(t, Station{ID: "S", Organisation: foreign})
		if _, err := s.TenureOf(ctx, home, "S", second.CreatedAt); !problem.Is(err, problem.NotFound) {
			t.Errorf("still the first one's: %v", err)
		}
		if _, err := s.TenureOf(ctx, foreign, "S", first.CreatedAt); !problem.Is(err, problem.NotFound) {
			t.Errorf("the second one's before: %v", err)
		}
		if _, err := s.TenureOf(ctx, foreign, "S", second.CreatedAt.Add(time.Hour)); err != nil {
			t.Error(err)
		}
		from, to := theirs.Bound(time.Unix(0, 0), time.Now().Add(time.Hour))
		if !from.Equal(theirs.Since) || !to.Equal(theirs.Until) {
			t.Errorf("bound to %s - %s", from, to)
		}
	})
}

// TestLateMessages: what comes on a link of a former owner after the removal is refused, and nothing of it is found by the
// next owner.
func TestLateMessages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		must(t, s.Remove(ctx, home, "S"))
		s.mustAdd(t, Station{ID: "S", Organisation: foreign})
		_, booted := s.Booted(ctx, home, "S", Boot{Vendor: "Late"}, true)
		for what, err := range map[string]error{
			"boot":   booted,
			"link":   s.Linked(ctx, home, Link{ID: "old", Station: "S", At: time.Now()}),
			"status": s.Status(ctx, home, "S", ConnectorState{EVSE: 1, Connector: 1, Status: v21.ConnectorStatusFaulted, At: time.Now()}),
			"fault":  s.Problem(ctx, home, "S", 1, 1, "Late", "", time.Now()),
			"model":  s.Keep(ctx, home, "S", []Variable{{Component: "C", Variable: "V", Attribute: "Actual", Value: "late"}}),
			"notice": s.Note(ctx, home, "S", &v21.ClearedChargingLimitRequest{}),
		} {
			if !problem.Is(err, problem.NotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		st, err := s.Get(ctx, "S")
		must(t, err)
		if st.Online() || st.Vendor != "" {
			t.Errorf("%+v", st)
		}
		states, err := s.Connectors(ctx, []ID{"S"})
		must(t, err)
		vars, err := s.Variables(ctx, "S", "")
		must(t, err)
		notices, err := s.Notices(ctx, "S", "", time.Now().Add(time.Hour), 9)
		must(t, err)
		if len(states)+len(vars)+len(notices) != 0 {
			t.Errorf("left: %v %v %v", states, vars, notices)
		}
	})
}

// TestOnRemove: others act in the transaction of the removal, and keep the station when they cannot.
func TestOnRemove(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		fails := errors.New("cannot")
		fail, after := fails, 0
		s.OnRemove(func(_ *db.Tx, organisation string, id ID) error {
			if organisation != home || id != "S" {
				t.Errorf("told of %s of %s", id, organisation)
			}
			return fail
		}, func(string, ID) { after++ })
		if err := s.Remove(ctx, home, "S"); !errors.Is(err, fails) || after != 0 {
			t.Errorf("%v, told %d times", err, after)
		}
		if got := s.eventTypes(t, "S"); len(got) != 1 || got[0] != event.StationAccepted {
			t.Errorf("events %v", got)
		}
		fail = nil
		must(t, s.Remove(ctx, home, "S"))
		if err := s.Remove(ctx, home, "S"); !problem.Is(err, problem.NotFound) || after != 1 {
			t.Errorf("%v, told %d times", err, after)
		}
	})
}
