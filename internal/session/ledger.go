package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
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

	journal *journal
	limits  Limits
	broken  sync.Map     // session and hash of damaged messages that were told of
	damaged atomic.Int64 // their number

	mu   sync.RWMutex
	live map[station.ID]map[string]*Session // active sessions of stations that are connected here; values never change
}

// Limits knows what stations can deliver. Zero means that it is not known.
type Limits interface {
	// MaxPowerW is the greatest power of an EVSE in W by its station's device model.
	MaxPowerW(ctx context.Context, id station.ID, evse int) (int64, error)
}

// SetLimits tells the ledger who knows what stations can deliver, before the first message.
func (l *Ledger) SetLimits(limits Limits) { l.limits = limits }

// maxPower asks once, at the start or the end of a transaction. What is not known costs a check of plausibility, no message.
func (l *Ledger) maxPower(ctx context.Context, e Event) int64 {
	if l.limits == nil || e.Request.EventType == v21.TransactionEventTypeUpdated || e.Request.EVSE == nil {
		return 0
	}
	w, err := l.limits.MaxPowerW(ctx, e.Station, e.Request.EVSE.ID)
	if err != nil {
		l.log.Warn("greatest power of the EVSE not read", "station", e.Station, "error", err)
	}
	return max(0, min(w, mostPowerW))
}

// mostPowerW bounds what a device model may say of an EVSE, 100 MW.
const mostPowerW = 100_000_000

// New opens the ledger.
func New(d *db.DB, events *event.Log, log *slog.Logger) *Ledger {
	return &Ledger{db: d, events: events, log: log, journal: newJournal(d, log), seed: maphash.MakeSeed(), live: map[station.ID]map[string]*Session{}}
}

// lock makes the messages of one station wait for each other.
func (l *Ledger) lock(id station.ID) *sync.Mutex {
	m := &l.locks[maphash.String(l.seed, string(id))%uint64(len(l.locks))]
	m.Lock()
	return m
}

// persistEvery is how long the running figures of a session may be ahead of its row. The messages themselves are always
// on disk, and whoever reads the row to go on with it takes in those that it lacks.
const persistEvery = 10 * time.Second

// Apply stores a transaction message and returns once it is durable. The session is as it is afterwards. The error is
// [ErrOtherStation] when the message names a transaction of another station; it is kept all the same.
func (l *Ledger) Apply(ctx context.Context, e Event) (*Session, error) {
	defer l.lock(e.Station).Unlock()
	// The database keeps microseconds; figures in memory are the same as those read again.
	e.Request.Timestamp, e.ReceivedAt = e.Request.Timestamp.Truncate(time.Microsecond), e.ReceivedAt.Truncate(time.Microsecond)
	e.maxPowerW = l.maxPower(ctx, e)
	payload := string(ocpp.Marshal(e.Request))
	hash := contentHash(e, payload)
	s, err := l.write(ctx, e, payload, hash)
	if errors.Is(err, errStale) { // the station was connected elsewhere meanwhile
		l.drop(e.Station)
		s, err = l.write(ctx, e, payload, hash)
	}
	if err != nil {
		l.drop(e.Station) // it may be stored all the same: then the row knows more than we do
		return nil, problem.Wrap("store the transaction message", err)
	}
	if s == nil {
		return nil, ErrOtherStation
	}
	l.remember(s)
	return s, nil
}

func (l *Ledger) write(ctx context.Context, e Event, payload, hash string) (s *Session, err error) {
	err = l.db.WriteKey(ctx, string(e.Station), func(tx *db.Tx) error {
		var err error
		s, err = l.apply(tx, e, payload, hash)
		return err
	})
	return s, err
}

func (l *Ledger) apply(tx *db.Tx, e Event, payload, hash string) (*Session, error) {
	old, err := l.find(tx, e, hash)
	if err != nil {
		return nil, err
	}
	r := e.Request
	if old != nil && !r.Timestamp.After(old.LastEventAt) { // only then can it be a repetition
		if known, err := l.isStored(tx, old.ID, r.Timestamp, hash); err != nil || known {
			return old, err
		}
	}
	started := r.EventType == v21.TransactionEventTypeStarted
	reused := started && old != nil && restarts(old, r, hash)
	if old != nil && !reused {
		s := *old
		return l.store(tx, e, old, &s, payload, hash)
	}
	if old == nil && !started && !e.Sequenced {
		if others, err := ofAnotherStation(tx, e.Station, r.TransactionInfo.TransactionID); err != nil {
			return nil, err
		} else if others {
			return nil, l.misdirected(tx, e, payload)
		}
	}
	s := begin(e, tx.Now())
	switch {
	case reused:
		s.flag(IDReused, "the station used this transaction id before", e.ReceivedAt)
		if err := l.displace(tx, e, old); err != nil {
			return nil, err
		}
	case !started:
		s.flag(StartUnknown, startNeverCame, e.ReceivedAt)
	}
	if started && r.EVSE != nil {
		if err := l.endOthers(tx, e, r.EVSE.ID); err != nil {
			return nil, err
		}
	}
	before := *s
	return l.store(tx, e, &before, s, payload, hash)
}

// misdirected keeps a message that names a transaction of another station, whose session it must not touch: numbers of 1.6
// are no secret between stations. The operator hears of it once for each message.
func (l *Ledger) misdirected(tx *db.Tx, e Event, payload string) error {
	q := Quarantined{Action: e.Request.ActionName(), Payload: payload, Reason: "it names a transaction of another station"}
	_, err := l.quarantine(tx, e.Organisation, e.Station, q, func(q Quarantined) event.Event {
		return event.New(event.Security, e.Organisation, string(e.Station), tx.Now(),
			map[string]string{"reason": "a message names a transaction of another station", "transactionId": e.Request.TransactionInfo.TransactionID, "quarantine": q.ID})
	})
	return err
}

// restarts tells a new transaction under an old id from a repeated or late start: it has another time than the start
// that came before, or comes after the end. OCPP 2.0.1 E01.FR.08 forbids it, stations do it after a reboot.
func restarts(old *Session, r *v21.TransactionEventRequest, hash string) bool {
	if old.startHash == "" {
		return old.endHash != "" && r.Timestamp.After(old.EndedAt)
	}
	return old.startHash != hash && !r.Timestamp.Equal(old.StartedAt) && (r.SeqNo == 0 || old.State == Ended)
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
	running, err := activeOn(tx, e.Organisation, e.Station, evse)
	if err != nil {
		return err
	}
	for _, row := range running {
		now, err := l.current(tx, row)
		if err != nil {
			return err
		}
		copied := *now
		s := &copied
		if s.StartedAt.After(e.Request.Timestamp) { // a late start: what runs now began after it
			continue
		}
		s.assumeEnd("another transaction began on the EVSE before this one's end was reported", e.ReceivedAt)
		if err := l.endBefore(tx, s, e.Request.Timestamp); err != nil {
			return err
		}
	}
	return nil
}

// end writes a session whose end is assumed.
func (l *Ledger) end(tx *db.Tx, s *Session) error { return l.endBefore(tx, s, tx.Now()) }

// endBefore is end for a session that cannot have lasted beyond a moment.
func (l *Ledger) endBefore(tx *db.Tx, s *Session, until time.Time) error {
	if err := l.bridge(tx, s, until); err != nil {
		return err
	}
	first := !s.endTold
	s.endTold = true
	if err := update(tx, s); err != nil {
		return err
	}
	if first {
		l.events.Record(tx, l.made(tx, event.SessionEnded, s))
	} else { // it was undone meanwhile
		running := *s
		running.State, running.EndedAt = Active, time.Time{}
		l.correct(tx, &running, s)
	}
	tx.AfterCommit(func() { l.forgetOne(s) })
	return nil
}

// store writes the message, and the session's row when that cannot wait. before is the session without the message.
func (l *Ledger) store(tx *db.Tx, e Event, before, s *Session, payload, hash string) (*Session, error) {
	r := e.Request
	fresh := before.updatedAt.IsZero()
	telling := s.absorb(e, hash)
	if s.endHash != "" {
		if err := l.settle(tx, s, before, e, hash); err != nil {
			return nil, err
		}
	} else if err := l.checkSequence(tx, e, s, hash, before.LastSeqNo); err != nil {
		return nil, err
	}
	undone, err := l.witness(tx, before, s, e)
	if err != nil {
		return nil, err
	}
	s.remembers(before, e.ReceivedAt)
	telling = telling || undone || len(before.Flags) != len(s.Flags)
	ending := s.State == Ended && !s.endTold
	s.endTold = s.endTold || ending
	l.journal.add(tx, message{session: s.ID, at: db.Micros(r.Timestamp), hash: hash, received: db.Micros(e.ReceivedAt), seqNo: r.SeqNo,
		typ: string(r.EventType), offline: r.Offline.Or(false), payload: payload})
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
	if fresh {
		l.events.Record(tx, l.made(tx, event.SessionStarted, s))
	}
	switch {
	case ending:
		l.events.Record(tx, l.made(tx, event.SessionEnded, s))
	case before.State == Ended || s.State == Ended: // the end was told before, and may have been undone meanwhile
		l.correct(tx, before, s)
	case (telling || before.PowerW != s.PowerW || len(r.MeterValue) > 0) && !fresh && l.events.Wanted():
		told := l.made(tx, event.SessionUpdated, s)
		tx.AfterCommit(func() { l.events.Publish(told) })
	}
	return s, nil
}

func (l *Ledger) made(tx *db.Tx, typ string, s *Session) event.Event {
	return event.New(typ, s.Organisation, string(s.Station), tx.Now(), s.view())
}

// checkSequence looks, while a transaction runs, at a number that was there before; last is the highest. Whether numbers
// are missing shows when it has ended.
func (l *Ledger) checkSequence(tx *db.Tx, e Event, s *Session, hash string, last int) error {
	if !s.Sequenced || e.Request.SeqNo > last {
		return nil
	}
	if err := l.journal.settle(tx, s.ID); err != nil {
		return err
	}
	other, err := numberTaken(tx, s.ID, e.Request.SeqNo, hash)
	if err != nil {
		return err
	}
	if other {
		s.flag(Conflict, "two different messages have the same sequence number", e.ReceivedAt)
	}
	return nil
}

// contentHash tells messages apart by what the station said. Whether a message was kept for a while before it was sent
// says nothing about the transaction. Of a station without sequence numbers, everything that the translation adds from
// its own memory is left out: it may have forgotten it when the message is repeated.
func contentHash(e Event, payload string) string {
	if e.Sequenced && !e.Request.Offline.OK {
		sum := sha256.Sum256([]byte(payload))
		return hex.EncodeToString(sum[:12])
	}
	r := *e.Request
	r.Offline = ocpp.Opt[bool]{}
	if !e.Sequenced {
		r.SeqNo, r.TransactionInfo.TransactionID = 0, ""
		switch r.EventType {
		case v21.TransactionEventTypeStarted:
			r.TriggerReason, r.TransactionInfo.ChargingState, r.TransactionInfo.RemoteStartID = "", ocpp.Opt[v21.ChargingState]{}, ocpp.Opt[int]{}
		case v21.TransactionEventTypeEnded:
			r.TriggerReason, r.EVSE = "", nil
		}
	}
	sum := sha256.Sum256(ocpp.Marshal(&r))
	return hex.EncodeToString(sum[:12])
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

// drop forgets the running sessions of a station; what their rows lack is in their messages.
func (l *Ledger) drop(id station.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, id)
}

// Close ends the ledger: what is ahead of its place is put there. No message may come any more.
func (l *Ledger) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return l.journal.close(ctx)
}

const closeTimeout = 10 * time.Second

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
	l.drop(id)
	if errors.Is(err, errStale) { // another node has the station already, and may not know of our last messages
		return l.reconcile(ctx, id, ahead)
	}
	return problem.Wrap("write the running sessions", err)
}

// Recover computes the figures of active sessions again whose row is behind their messages: after a crash, at the start.
// A session that another node writes meanwhile is that node's business.
func (l *Ledger) Recover(ctx context.Context) error {
	return l.RecoverOn(ctx, func(station.ID) bool { return true })
}

// RecoverOn is Recover for the sessions of some stations.
func (l *Ledger) RecoverOn(ctx context.Context, wanted func(station.ID) bool) error {
	active, err := l.allActive(ctx)
	if err != nil {
		return err
	}
	for _, s := range active {
		if !wanted(s.Station) {
			continue
		}
		events, err := l.Events(ctx, s.ID)
		if err != nil {
			return err
		}
		now := s.replay(events)
		if reflect.DeepEqual(now, s) {
			continue
		}
		err = l.db.WriteKey(ctx, string(s.Station), func(tx *db.Tx) error {
			c := *now
			return update(tx, &c)
		})
		if err != nil && !errors.Is(err, errStale) {
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
