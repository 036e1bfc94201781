package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// Ledger writes and reads sessions.
type Ledger struct {
	db     *db.DB
	events *event.Log
	log    *slog.Logger
	locks  [4096]sync.Mutex
	seed   maphash.Seed

	mu   sync.RWMutex
	live map[station.ID]map[string]*Session // active sessions of stations that are connected here; values never change
}

// New opens the ledger.
func New(d *db.DB, events *event.Log, log *slog.Logger) *Ledger {
	return &Ledger{db: d, events: events, log: log, seed: maphash.MakeSeed(), live: map[station.ID]map[string]*Session{}}
}

// lock makes the messages of one station wait for each other.
func (l *Ledger) lock(id station.ID) *sync.Mutex {
	m := &l.locks[maphash.String(l.seed, string(id))%uint64(len(l.locks))]
	m.Lock()
	return m
}

// persistEvery is how long the running figures of a session may be ahead of its row. The messages themselves are always
// on disk; Recover computes the figures again after a crash.
const persistEvery = 10 * time.Second

var insertEvent = db.NewInsert("session_events", []string{"session_id", "at", "hash", "received_at", "seq_no", "type", "offline", "payload"},
	"ON CONFLICT DO NOTHING")

// Apply stores a transaction message and returns once it is durable. The session is as it is afterwards.
func (l *Ledger) Apply(ctx context.Context, e Event) (*Session, error) {
	defer l.lock(e.Station).Unlock()
	// The database keeps microseconds; figures in memory are the same as those read again.
	e.Request.Timestamp, e.ReceivedAt = e.Request.Timestamp.Truncate(time.Microsecond), e.ReceivedAt.Truncate(time.Microsecond)
	payload := string(ocpp.Marshal(e.Request))
	hash := contentHash(e, payload)
	var s *Session
	err := l.db.WriteKey(ctx, string(e.Station), func(tx *db.Tx) error {
		var err error
		s, err = l.apply(tx, e, payload, hash)
		return err
	})
	if err != nil {
		return nil, problem.Wrap("store the transaction message", err)
	}
	l.remember(s)
	return s, nil
}

func (l *Ledger) apply(tx *db.Tx, e Event, payload, hash string) (*Session, error) {
	old, err := l.find(tx, e)
	if err != nil {
		return nil, err
	}
	r := e.Request
	started := r.EventType == v21.TransactionEventTypeStarted
	if started && old != nil && restarts(old, r, hash) {
		reused := begin(e, tx.Now())
		reused.flag(IDReused, "the station used this transaction id before", e.ReceivedAt)
		old, err = nil, l.displace(tx, e, old)
		if err != nil {
			return nil, err
		}
		return l.store(tx, e, reused, true, payload, hash)
	}
	if old != nil {
		s := *old
		return l.store(tx, e, &s, false, payload, hash)
	}
	s := begin(e, tx.Now())
	if !started {
		s.flag(StartUnknown, "the start of this transaction never came", e.ReceivedAt)
	}
	if started && r.EVSE != nil {
		if err := l.endOthers(tx, e, r.EVSE.ID); err != nil {
			return nil, err
		}
	}
	return l.store(tx, e, s, true, payload, hash)
}

// restarts tells a new transaction under an old id from a repeated start: it has another time, and the old one was
// started properly before. OCPP 2.0.1 E01.FR.08 forbids it, stations do it after a reboot.
func restarts(old *Session, r *v21.TransactionEventRequest, hash string) bool {
	return old.startHash != "" && old.startHash != hash && !r.Timestamp.Equal(old.StartedAt) && (r.SeqNo == 0 || old.State == Ended)
}

// displace ends the session whose id a new one takes over.
func (l *Ledger) displace(tx *db.Tx, e Event, old *Session) error {
	if old.State == Ended {
		return nil
	}
	s := *old
	s.assumeEnd("the station began another transaction under the same id", e.ReceivedAt)
	return l.end(tx, &s)
}

// endOthers ends what still seems to run on an EVSE when a new transaction begins there: only one can.
func (l *Ledger) endOthers(tx *db.Tx, e Event, evse int) error {
	running, err := activeOn(tx, e.Station, evse)
	if err != nil {
		return err
	}
	for _, s := range running {
		if cached := l.cached(e.Station, s.TransactionID); cached != nil && cached.ID == s.ID {
			c := *cached
			s = &c
		}
		if s.StartedAt.After(e.Request.Timestamp) { // a late start: what runs now began after it
			continue
		}
		s.assumeEnd("another transaction began on the EVSE before this one's end was reported", e.ReceivedAt)
		if err := l.end(tx, s); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) end(tx *db.Tx, s *Session) error {
	if err := update(tx, s); err != nil {
		return err
	}
	l.events.Record(tx, event.New(event.SessionEnded, s.Organisation, string(s.Station), tx.Now(), s.view()))
	tx.AfterCommit(func() { l.forgetOne(s) })
	return nil
}

// store writes the message, and the session's row when that cannot wait.
func (l *Ledger) store(tx *db.Tx, e Event, s *Session, fresh bool, payload, hash string) (*Session, error) {
	r := e.Request
	wasActive, power := s.State == Active, s.PowerW
	telling := s.absorb(e, hash)
	if err := l.checkSequence(tx, e, s, hash); err != nil {
		return nil, err
	}
	tx.Append(insertEvent, s.ID, db.Micros(r.Timestamp), hash, db.Micros(e.ReceivedAt), r.SeqNo, string(r.EventType), r.Offline.Or(false), payload)
	switch {
	case fresh:
		s.updatedAt = tx.Now()
		if err := insert(tx, s); err != nil {
			return nil, err
		}
	case telling || s.State == Ended || tx.Now().Sub(s.updatedAt) >= persistEvery:
		if err := update(tx, s); err != nil {
			return nil, err
		}
	}
	l.tell(tx, s, fresh, wasActive && s.State == Ended, telling || power != s.PowerW || len(r.MeterValue) > 0)
	return s, nil
}

// tell makes the events of a change.
func (l *Ledger) tell(tx *db.Tx, s *Session, fresh, ended, updated bool) {
	made := func(typ string) event.Event {
		return event.New(typ, s.Organisation, string(s.Station), tx.Now(), s.view())
	}
	if fresh {
		l.events.Record(tx, made(event.SessionStarted))
	}
	switch {
	case ended:
		l.events.Record(tx, made(event.SessionEnded))
	case updated && !fresh && l.events.Wanted():
		e := made(event.SessionUpdated)
		tx.AfterCommit(func() { l.events.Publish(e) })
	}
}

// checkSequence compares the numbers of all messages of an ended transaction: OCPP 2.1 E07.FR.02 lets us know that all
// came when there is no gap.
func (l *Ledger) checkSequence(tx *db.Tx, e Event, s *Session, hash string) error {
	if !s.Sequenced || s.State != Ended || s.endHash == "" {
		return nil
	}
	var rows, n, first, last, same, other int
	err := tx.QueryRow(`SELECT COUNT(*), COUNT(DISTINCT seq_no), COALESCE(MIN(seq_no), $2), COALESCE(MAX(seq_no), $2),
		COALESCE(SUM(CASE WHEN seq_no = $2 AND hash = $3 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN seq_no = $2 AND hash <> $3 THEN 1 ELSE 0 END), 0) FROM session_events WHERE session_id = $1`,
		s.ID, e.Request.SeqNo, hash).Scan(&rows, &n, &first, &last, &same, &other)
	if err != nil {
		return err
	}
	if rows > n || other > 0 {
		s.flag(Conflict, "two different messages have the same sequence number", e.ReceivedAt)
	}
	if same+other == 0 {
		n++
	}
	first, last = min(first, e.Request.SeqNo), max(last, e.Request.SeqNo)
	if last-first+1 == n {
		s.unflag(SequenceGap)
	} else {
		s.flag(SequenceGap, strconv.Itoa(last-first+1-n)+" messages are missing", e.ReceivedAt)
	}
	return nil
}

// contentHash tells messages apart. The sequence number counts only where the station gave it.
func contentHash(e Event, payload string) string {
	h := sha256.New()
	if e.Sequenced {
		fmt.Fprintf(h, "%s", payload)
	} else {
		r := *e.Request
		r.SeqNo = 0
		h.Write(ocpp.Marshal(&r))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// find gets the session that a message belongs to, nil when there is none.
func (l *Ledger) find(tx *db.Tx, e Event) (*Session, error) {
	id := e.Request.TransactionInfo.TransactionID
	if s := l.cached(e.Station, id); s != nil {
		return s, nil
	}
	s, err := newest(tx, e.Station, id)
	if err != nil || s != nil || id != "-1" && id != "0" {
		return s, err
	}
	// OCPP 1.6 errata 3.18: a station that was offline at the start may not know the number. The one running session
	// of the station, and of the token when one is given, is meant.
	running, err := activeOn(tx, e.Station, 0)
	if err != nil {
		return nil, err
	}
	var match []*Session
	for _, r := range running {
		if e.Request.IDToken == nil || sameToken(r.TokenUID, e.Request.IDToken.IDToken) {
			match = append(match, r)
		}
	}
	if len(match) != 1 {
		return nil, nil
	}
	match[0].flag(MatchedByPlace, "the station did not know the transaction id", e.ReceivedAt)
	return match[0], nil
}

func (l *Ledger) cached(id station.ID, transaction string) *Session {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.live[id][transaction]
}

func (l *Ledger) remember(s *Session) {
	if s.State == Ended {
		l.forgetOne(s)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.live[s.Station]
	if m == nil {
		m = map[string]*Session{}
		l.live[s.Station] = m
	}
	m[s.TransactionID] = s
}

func (l *Ledger) forgetOne(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.live[s.Station]; m != nil && (m[s.TransactionID] == nil || m[s.TransactionID].ID == s.ID) {
		delete(m, s.TransactionID)
		if len(m) == 0 {
			delete(l.live, s.Station)
		}
	}
}

// Release writes what is ahead of the rows of a station's sessions and forgets it: another node may get the station.
func (l *Ledger) Release(ctx context.Context, id station.ID) error {
	defer l.lock(id).Unlock()
	l.mu.RLock()
	var ahead []*Session
	for _, s := range l.live[id] {
		ahead = append(ahead, s)
	}
	l.mu.RUnlock()
	if len(ahead) == 0 {
		return nil
	}
	err := l.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		for _, s := range ahead {
			c := *s
			if err := update(tx, &c); err != nil {
				return err
			}
		}
		return nil
	})
	l.mu.Lock()
	delete(l.live, id)
	l.mu.Unlock()
	return problem.Wrap("write the running sessions", err)
}

// Recover computes the figures of active sessions again whose row is behind their messages: after a crash, at the start.
func (l *Ledger) Recover(ctx context.Context) error {
	active, err := l.allActive(ctx)
	if err != nil {
		return err
	}
	for _, s := range active {
		events, err := l.Events(ctx, s.ID)
		if err != nil {
			return err
		}
		behind := false
		for _, e := range events {
			if !e.ReceivedAt.Before(s.updatedAt) {
				behind = true
				s.absorb(Event{Organisation: s.Organisation, Station: s.Station, Request: e.Request, ReceivedAt: e.ReceivedAt, Sequenced: s.Sequenced}, e.hash)
			}
		}
		if !behind {
			continue
		}
		if err := l.db.Write(ctx, func(tx *db.Tx) error { return update(tx, s) }); err != nil {
			return problem.Wrap("write the recovered session", err)
		}
	}
	return nil
}

var insertReading = db.NewInsert("meter_readings", []string{"station_id", "evse", "at", "hash", "received_at", "payload"}, "ON CONFLICT DO NOTHING")

// Reading stores meter values that came outside a transaction.
func (l *Ledger) Reading(ctx context.Context, id station.ID, r *v21.MeterValuesRequest, receivedAt time.Time) error {
	payload := ocpp.Marshal(r)
	sum := sha256.Sum256(payload)
	at := receivedAt
	if len(r.MeterValue) > 0 {
		at = r.MeterValue[0].Timestamp
	}
	err := l.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		tx.Append(insertReading, string(id), r.EVSEID, db.Micros(at), hex.EncodeToString(sum[:12]), db.Micros(receivedAt), string(payload))
		return nil
	})
	return problem.Wrap("store the meter values", err)
}
