package session

import (
	"time"

	"lumela/internal/db"
	"lumela/ocpp/v21"
)

// find gets the session that a message belongs to, as it stands now; nil when there is none. What it gives must not be
// changed.
func (l *Ledger) find(tx *db.Tx, e Event, hash string) (*Session, error) {
	r := e.Request
	id := r.TransactionInfo.TransactionID
	if s := l.cached(e.Station, id); s != nil && s.Organisation == e.Organisation && (!s.flagged(IDReused) || r.Timestamp.After(s.LastEventAt)) {
		return s, nil
	}
	if !e.Sequenced && (id == "-1" || id == "0") && r.EventType != v21.TransactionEventTypeStarted {
		return l.byPlace(tx, e, hash)
	}
	list, err := ofTransaction(tx, e.Organisation, e.Station, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return l.current(tx, pick(list, r, hash))
}

// pick chooses between the sessions of one transaction id, newest first: the one that this very start began, else the
// newest that the message's time does not exclude.
func pick(list []*Session, r *v21.TransactionEventRequest, hash string) *Session {
	if r.EventType == v21.TransactionEventTypeStarted {
		for _, s := range list {
			if s.startHash == hash {
				return s
			}
		}
	}
	for _, s := range list {
		if !r.Timestamp.Before(s.StartedAt) && (s.endHash == "" || !r.Timestamp.After(s.EndedAt)) {
			return s
		}
	}
	return list[0]
}

// byPlace finds the session of a message without a usable transaction id. OCPP 1.6 errata 3.18: a station that was
// offline at the start may not know the number. The one session of the station that runs at that time, of the EVSE and the
// token when they are given, is meant; or the session that this very message ended before.
func (l *Ledger) byPlace(tx *db.Tx, e Event, hash string) (*Session, error) {
	if s, err := endedBy(tx, e.Organisation, e.Station, hash); err != nil || s != nil {
		return s, err
	}
	evse := 0
	if e.Request.EVSE != nil {
		evse = e.Request.EVSE.ID
	}
	running, err := activeOn(tx, e.Organisation, e.Station, evse)
	if err != nil {
		return nil, err
	}
	var match []*Session
	for _, s := range running {
		if s.StartedAt.After(e.Request.Timestamp) {
			continue
		}
		if e.Request.IDToken == nil || sameToken(s.TokenUID, e.Request.IDToken.IDToken) {
			match = append(match, s)
		}
	}
	if len(match) != 1 {
		return nil, nil
	}
	now, err := l.current(tx, match[0])
	if err != nil {
		return nil, err
	}
	s := *now
	s.flag(MatchedByPlace, "the station did not know the transaction id", e.ReceivedAt)
	return &s, nil
}

// current is a session that was read with everything that has been stored of it: as this node holds it, or its row and
// the messages that the row lacks. A node may have died before it wrote the row.
func (l *Ledger) current(tx *db.Tx, s *Session) (*Session, error) {
	if c := l.cached(s.Station, s.TransactionID); c != nil && c.ID == s.ID {
		return c, nil
	}
	if s.State == Ended { // ends are written at once
		return s, nil
	}
	events, err := l.stored(tx, s.ID)
	if err != nil {
		return nil, err
	}
	return s.replay(events), nil
}

// replay gives the session with messages taken in that it may have taken in already.
func (s *Session) replay(events []Stored) *Session {
	c := *s
	for _, e := range events {
		if e.Broken {
			c.flag(Damaged, damagedText, e.ReceivedAt)
			continue
		}
		c.absorb(Event{Organisation: s.Organisation, Station: s.Station, Request: e.Request, ReceivedAt: e.ReceivedAt, Sequenced: s.Sequenced}, e.hash)
	}
	return &c
}

// isStored reports whether a message is among those of a session.
func (l *Ledger) isStored(tx *db.Tx, session string, at time.Time, hash string) (bool, error) {
	if err := l.journal.settle(tx, session); err != nil {
		return false, err
	}
	return storedBefore(tx, session, at, hash)
}
