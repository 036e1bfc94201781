package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"lumela/internal/event"
	"lumela/internal/session"
	"lumela/ocpp/v21"
)

// told names a message within a transaction.
type told struct {
	typ v21.TransactionEventType
	at  int64
}

func (m *message) told() told { return told{m.request.EventType, m.request.Timestamp.UnixMicro()} }

// stored is what the ledger has of each transaction.
func (w *world) stored(l *session.Ledger) (map[string][]*session.Session, map[string]map[told]int, error) {
	ctx := context.Background()
	far := w.clock.Now().AddDate(1, 0, 0)
	list, err := l.List(ctx, organisation, session.Filter{To: far, Before: far, Limit: 100_000})
	if err != nil {
		return nil, nil, err
	}
	sessions, messages := map[string][]*session.Session{}, map[string]map[told]int{}
	for _, s := range list {
		sessions[s.TransactionID] = append(sessions[s.TransactionID], s)
		events, err := l.Events(ctx, s.ID)
		if err != nil {
			return nil, nil, err
		}
		of := messages[s.TransactionID]
		if of == nil {
			of = map[told]int{}
			messages[s.TransactionID] = of
		}
		for _, e := range events {
			of[told{e.Request.EventType, e.Request.Timestamp.UnixMicro()}]++
		}
	}
	return sessions, messages, nil
}

// check holds at any time: what was answered is stored, and once.
func (w *world) check() error {
	_, messages, err := w.stored(w.nodes[0].ledger)
	if err != nil {
		return err
	}
	for i := range w.all {
		if m := &w.all[i]; messages[m.of.id][m.told()] == 0 {
			return fmt.Errorf("lost: %s was answered and is not stored", m.String())
		}
	}
	for id, of := range messages {
		for m, n := range of {
			if n > 1 {
				return fmt.Errorf("doubled: %s of %s is stored %d times", m.typ, id, n)
			}
		}
	}
	return nil
}

// end lets all stations leave and say what they have still to say, kills the nodes once more, and compares what the
// ledger has with the truth.
func (w *world) end() error {
	for _, c := range w.chargers {
		for _, e := range c.evses {
			for e.running != nil {
				w.clock.Advance(max(0, e.next.Sub(w.clock.Now())))
				c.happen(w.rng, e)
			}
		}
	}
	w.did("all cars have left")
	for _, c := range w.chargers {
		for len(c.outbox) > 0 {
			if err := w.send(c, nil); err != nil {
				return err
			}
		}
	}
	for i := range w.nodes {
		if err := w.restart(i); err != nil {
			return err
		}
	}
	return w.compare()
}

func (w *world) compare() error {
	sessions, messages, err := w.stored(w.nodes[0].ledger)
	if err != nil {
		return err
	}
	seen := map[*transaction]bool{}
	for i := range w.all {
		tx := w.all[i].of
		if seen[tx] {
			continue
		}
		seen[tx] = true
		w.Sessions++
		w.Messages += tx.messages
		if n := len(messages[tx.id]); n != tx.messages {
			return fmt.Errorf("%d messages are stored of %s", n, tx.describe())
		}
		if n := len(sessions[tx.id]); n != 1 {
			return fmt.Errorf("%d sessions of %s", n, tx.describe())
		}
		if s := sessions[tx.id][0]; !tx.is(s) {
			return fmt.Errorf("the ledger has\n  %s\nbut it was\n  %s", describe(s), tx.describe())
		}
		delete(sessions, tx.id)
	}
	for id, s := range sessions {
		return fmt.Errorf("%s never happened: %s", id, describe(s[0]))
	}
	if err := w.announced(); err != nil {
		return err
	}
	return w.verified()
}

// is reports whether a session is what happened, and may be billed.
func (tx *transaction) is(s *session.Session) bool {
	return s.State == session.Ended && tx.clear(s) && s.EnergyMWh() == tx.last-tx.first && s.TokenUID == tx.card &&
		s.EVSE == tx.evse && s.StartedAt.Equal(tx.start) && s.EndedAt.Equal(tx.end)
}

// clear reports whether nothing is held against a session. Of a station that does not say which of its messages have waited,
// a queue that is sent with the pauses in which it grew looks like a clock that is behind: that may be held.
func (tx *transaction) clear(s *session.Session) bool {
	for _, f := range s.Flags {
		clock := f.Code == session.ClockDifference || f.Code == session.ClockLocalTime
		if f.Open() && session.Holds(f.Code) && (tx.station.sequenced || !clock) {
			return false
		}
	}
	return true
}

// announced compares the events with the sessions: each begins once and ends once.
func (w *world) announced() error {
	rows, err := w.nodes[0].db.Query(context.Background(), `SELECT type, data FROM events`)
	if err != nil {
		return err
	}
	defer rows.Close()
	begun, ended := map[string]int{}, map[string]int{}
	for rows.Next() {
		var typ, data string
		var of struct{ TransactionID string }
		if err := errors.Join(rows.Scan(&typ, &data), json.Unmarshal([]byte(data), &of)); err != nil {
			return err
		}
		switch typ {
		case event.SessionStarted:
			begun[of.TransactionID]++
		case event.SessionEnded:
			ended[of.TransactionID]++
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range w.all {
		if id := w.all[i].of.id; begun[id] != 1 || ended[id] != 1 {
			return fmt.Errorf("%d events tell of the start and %d of the end of %s", begun[id], ended[id], id)
		}
	}
	return nil
}

// verified has the ledger compare its rows with its messages.
func (w *world) verified() error {
	var first error
	_, err := session.Verify(context.Background(), w.nodes[0].db, func(d session.Defect) {
		if first == nil {
			first = fmt.Errorf("session %s: %s", d.Session, d.Text)
		}
	})
	return errors.Join(err, first)
}
