package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// NoEnergy is the flag of a session that runs and delivers nothing.
const NoEnergy = "no-energy"

// Assumed reports whether the session was ended without its station's word, so that the truth may still come.
func (s *Session) Assumed() bool { return s.State == Ended && s.endHash == "" }

// Flagged reports whether the session carries a flag.
func (s *Session) Flagged(code string) bool { return s.flagged(code) }

// KnownSince is when the first message of the session came, by our clock.
func (s *Session) KnownSince() time.Time { return s.createdAt }

// ChangedAt is when the session's row was written last, by our clock. Messages may be up to [persistEvery] newer.
func (s *Session) ChangedAt() time.Time { return s.updatedAt }

// View is the session as the API shows it.
func (s *Session) View() View { return s.view() }

// Active reads the running sessions of all organisations. Their figures may lag behind their messages when another node
// holds their stations.
func (l *Ledger) Active(ctx context.Context) ([]*Session, error) {
	list, err := l.allActive(ctx)
	for i, s := range list {
		list[i] = l.fresh(s)
	}
	return list, err
}

// mostFlagged bounds one reading of flagged sessions; those that changed last come first.
const mostFlagged = 5_000

// WithFlag reads the sessions of all organisations that carry a flag and were written since a moment, latest first.
func (l *Ledger) WithFlag(ctx context.Context, code string, since time.Time) ([]*Session, error) {
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM sessions WHERE flags <> '' AND updated_at >= $1 AND flags LIKE $2
		ORDER BY updated_at DESC LIMIT $3`, db.Micros(since), `%"code":"`+code+`"%`, mostFlagged)
	if err != nil {
		return nil, problem.Wrap("read the flagged sessions", err)
	}
	list, err := scanAll(rows)
	list = slices.DeleteFunc(list, func(s *Session) bool { return !s.flagged(code) }) // it may have been resolved
	return list, problem.Wrap("read the flagged sessions", err)
}

// Begun finds the session of a remote start: of a station, known since a moment, and either begun under the command's
// number or transaction id, or, for stations that do not tell the number, by the same token on the same EVSE (0: any).
// It is nil when there is none.
func (l *Ledger) Begun(ctx context.Context, organisation string, id station.ID, since time.Time, o Origin) (*Session, error) {
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM sessions WHERE station_id = $1 AND organisation_id = $2 AND created_at >= $3
		ORDER BY created_at, id LIMIT 1000`, string(id), organisation, db.Micros(since))
	if err != nil {
		return nil, problem.Wrap("look for the session", err)
	}
	list, err := scanAll(rows)
	if err != nil {
		return nil, problem.Wrap("look for the session", err)
	}
	for _, s := range list {
		if s.RemoteStartID != nil && *s.RemoteStartID == o.RemoteStartID || o.TransactionID != "" && s.TransactionID == o.TransactionID {
			return l.fresh(s), nil
		}
	}
	for _, s := range list {
		soon := s.createdAt.Before(o.Until) || s.StartedAt.Before(o.Until)
		if soon && s.RemoteStartID == nil && sameToken(s.TokenUID, o.Token) && (o.EVSE == 0 || s.EVSE == o.EVSE) {
			return l.fresh(s), nil
		}
	}
	return nil, nil
}

// Origin is what a remote start says of the session that it shall cause.
type Origin struct {
	RemoteStartID int
	TransactionID string // when the station has named it in its answer
	Token         string
	EVSE          int
	Until         time.Time // token and EVSE alone count only for what began before
}

// amend changes a session, as it stands now, for somebody who is not its station. f changes the copy that it gets and
// reports whether it did. The session is nil when f did not want it.
func (l *Ledger) amend(ctx context.Context, organisation, id string, f func(tx *db.Tx, s *Session) (bool, error)) (*Session, error) {
	known, err := l.Get(ctx, organisation, id)
	if err != nil {
		return nil, err
	}
	defer l.lock(known.Station).Unlock()
	var changed *Session
	once := func(tx *db.Tx) error {
		changed = nil
		row, err := scan(tx.QueryRow(`SELECT `+columns+` FROM sessions WHERE id = $1`, id))
		if err != nil {
			return fmt.Errorf("read the session: %w", err)
		}
		now, err := l.current(tx, row)
		if err != nil {
			return err
		}
		s := *now
		if wanted, err := f(tx, &s); err != nil || !wanted {
			return err
		}
		changed = &s
		return nil
	}
	err = l.db.WriteKey(ctx, string(known.Station), once)
	if errors.Is(err, errStale) { // what is held here was overtaken by another node
		l.drop(known.Station)
		err = l.db.WriteKey(ctx, string(known.Station), once)
	}
	if err != nil {
		l.drop(known.Station) // as in Apply
		return nil, problem.Wrap("change the session", err)
	}
	if changed != nil && l.cached(changed.Station, changed.TransactionID) != nil {
		l.remember(changed)
	}
	return changed, nil
}

// AssumeEnd ends a running session without its station's word, at the last that is known of it, flagged, with an act that
// says why. A true end, or a sign of life, undoes it. still may refuse, on the session as it stands now; it may be nil.
// The session is nil when it had ended already or still refused.
func (l *Ledger) AssumeEnd(ctx context.Context, organisation, id string, why Act, still func(*Session) bool) (*Session, error) {
	return l.amend(ctx, organisation, id, func(tx *db.Tx, s *Session) (bool, error) {
		if s.State == Ended || still != nil && !still(s) {
			return false, nil
		}
		why.Kind = ActEndAssumed
		s.assumeEnd(why.Text, tx.Now())
		if err := l.end(tx, s); err != nil {
			return false, err
		}
		l.Act(tx, s, why)
		return true, nil
	})
}

// Mark sets a flag with an act that says why; still as with [Ledger.AssumeEnd].
func (l *Ledger) Mark(ctx context.Context, organisation, id, code string, why Act, still func(*Session) bool) (*Session, error) {
	return l.amend(ctx, organisation, id, func(tx *db.Tx, s *Session) (bool, error) {
		if s.flagged(code) || still != nil && !still(s) {
			return false, nil
		}
		s.flag(code, why.Text, tx.Now())
		if err := update(tx, s); err != nil {
			return false, err
		}
		l.events.Record(tx, event.New(event.SessionUpdated, s.Organisation, string(s.Station), tx.Now(), s.view()))
		l.Act(tx, s, why)
		return true, nil
	})
}

// figures are what an act shows of a session before and after it.
type figures struct {
	State    State      `json:"state"`
	EndedAt  *time.Time `json:"endedAt"`
	EnergyWh int64      `json:"energyWh"`
}

func (s *Session) figures() figures {
	v := s.view()
	return figures{State: v.State, EndedAt: v.EndedAt, EnergyWh: v.EnergyWh}
}

// witness sees to it that the truth undoes what was assumed: it resumes a session whose station shows that it goes on, and
// records what a message has put right. It reports whether the session changed.
func (l *Ledger) witness(tx *db.Tx, before, s *Session, e Event) (changed bool, err error) {
	if s.EnergyWh() > 0 {
		s.explain(NoEnergy, "energy was delivered after all", e.ReceivedAt, before.State == Ended)
	}
	beforeAndAfter := func() any {
		return map[string]figures{"before": before.figures(), "after": s.figures()}
	}
	switch {
	case before.Assumed() && s.endHash != "":
		l.Act(tx, s, Act{Who: Bookkeeper, Kind: ActUndone, Text: "undone: the station reported the true end", Data: beforeAndAfter()})
	case before.Assumed() && alive(before, e):
		if changed, err = l.resume(tx, s, e); err != nil {
			return false, err
		}
		if changed {
			l.Act(tx, s, Act{Who: Bookkeeper, Kind: ActResumed, Text: "undone: the station reports that the transaction goes on", Data: beforeAndAfter()})
		}
	}
	for _, f := range before.Flags {
		if f.Open() && !s.flagged(f.Code) {
			l.Act(tx, s, Act{Who: Bookkeeper, Kind: ActFlagResolved, Text: "no longer true: " + f.Text, Data: resolved{Code: f.Code, Text: f.Text, SetAt: f.At}})
		}
	}
	return changed, nil
}

// alive reports whether a message shows that a transaction goes on after its end was assumed: it is about now, not a
// message of the past that was kept for a while.
func alive(s *Session, e Event) bool {
	r := e.Request
	if r.EventType != v21.TransactionEventTypeUpdated || r.Offline.Or(false) || r.Timestamp.Before(s.LastEventAt) {
		return false
	}
	for _, f := range s.Flags {
		if f.Code == EndUnknown && f.Open() {
			return e.ReceivedAt.After(f.At) && r.Timestamp.After(f.At.Add(-ClockTolerance))
		}
	}
	return false
}

// resume makes an assumed end undone, unless something began on the EVSE, or under the transaction's id, after the session.
func (l *Ledger) resume(tx *db.Tx, s *Session, e Event) (bool, error) {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM sessions WHERE station_id = $1 AND organisation_id = $2 AND id <> $3
		AND (evse = $4 OR transaction_id = $5) AND (started_at >= $6 OR state = 'active') LIMIT 1`,
		string(s.Station), s.Organisation, s.ID, s.EVSE, s.TransactionID, db.Micros(s.StartedAt)).Scan(&one)
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, db.ErrNoRows) {
		return false, fmt.Errorf("look for later sessions: %w", err)
	}
	s.State, s.EndedAt = Active, time.Time{}
	s.unflag(EndUnknown)
	if state, ok := e.Request.TransactionInfo.ChargingState.Get(); ok {
		s.ChargingState = string(state)
	}
	return true, nil
}

// Evidence reads a session as it stands now, wherever its station is connected, with all of its messages.
func (l *Ledger) Evidence(ctx context.Context, organisation, id string) (*Session, []Stored, error) {
	s, err := l.Get(ctx, organisation, id)
	if err != nil {
		return nil, nil, err
	}
	events, err := l.Events(ctx, s.ID)
	if err != nil {
		return nil, nil, err
	}
	if s.State == Active && l.cached(s.Station, s.TransactionID) == nil {
		s = s.replay(events)
	}
	return s, events, nil
}
