package session

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
)

// Correction is what the event session.corrected carries: the session as it is now, and what was another before.
type Correction struct {
	View
	Changed []Change `json:"changed"`
}

// Change is one field of a session's view that has another value than before.
type Change struct {
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// changes compares two views field by field, in the order of the fields' names.
func changes(before, after View) ([]Change, error) {
	fields := func(v View) (out map[string]json.RawMessage, err error) {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return out, json.Unmarshal(raw, &out)
	}
	was, err := fields(before)
	if err != nil {
		return nil, err
	}
	is, err := fields(after)
	if err != nil {
		return nil, err
	}
	var out []Change
	for name, value := range is {
		if !bytes.Equal(value, was[name]) {
			out = append(out, Change{Field: name, Before: was[name], After: value})
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(a.Field, b.Field) })
	return out, nil
}

// correct tells, durably, that a session which had ended is not what it was taken for. It tells nothing when nothing of the
// session's view has changed.
func (l *Ledger) correct(tx *db.Tx, before, s *Session) {
	changed, err := changes(before.view(), s.view())
	if err != nil {
		l.log.Error("correction without its changes", "session", s.ID, "error", err)
	}
	if len(changed) == 0 && err == nil {
		return
	}
	l.events.Record(tx, event.New(event.SessionCorrected, s.Organisation, string(s.Station), tx.Now(), Correction{View: s.view(), Changed: changed}))
}

// ActFlagReleased is a person's decision that a flag holds no more.
const ActFlagReleased = "flag-released"

// Clear releases flags of an ended session: those of the codes, or all that are open. by and why are kept with each. It
// fails with Conflict while the session runs, and when there is nothing to release.
func (l *Ledger) Clear(ctx context.Context, p account.Principal, id, why string, codes []string) (*Session, error) {
	var refusal error
	s, err := l.amend(ctx, p.Organisation, id, func(tx *db.Tx, s *Session) (bool, error) {
		refusal = nil
		if s.State != Ended {
			refusal = problem.New(problem.Conflict, "the session has not ended: its flags are judged again when it does")
			return false, nil
		}
		before := *s
		released, err := s.release(p.Name, why, codes, tx.Now())
		if err != nil {
			refusal = err
			return false, nil //nolint:nilerr // a refusal is no failure of the database
		}
		if err := update(tx, s); err != nil {
			return false, err
		}
		l.Act(tx, s, Act{Who: p.Name, Kind: ActFlagReleased, Text: "released " + strings.Join(released, ", ") + ": " + why})
		l.correct(tx, &before, s)
		return true, nil
	})
	if refusal != nil {
		return nil, refusal
	}
	return s, err
}

// release resolves flags by a person and gives their codes.
func (s *Session) release(by, why string, codes []string, now time.Time) ([]string, error) {
	var released []string
	for _, f := range s.Flags {
		if !f.Open() || len(codes) > 0 && !slices.Contains(codes, f.Code) {
			continue
		}
		s.resolve(f.Code, by, why, now)
		released = append(released, f.Code)
	}
	for _, code := range codes {
		if !slices.Contains(released, code) {
			return nil, problem.New(problem.Conflict, "the session has no open flag %.60s", code)
		}
	}
	if len(released) == 0 {
		return nil, problem.New(problem.Conflict, "the session has no open flag")
	}
	return released, nil
}

// kWh writes mWh for people.
func kWh(mwh int64) string {
	sign := ""
	if mwh < 0 {
		sign, mwh = "-", -mwh
	}
	return fmt.Sprintf("%s%d.%03d kWh", sign, mwh/1_000_000, mwh%1_000_000/1000)
}
