package session

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// What ends is computed from everything that the station said, in the order in which it happened and not in that in which
// it came: by sequence number where the station numbers its messages, else by its time, with the start first and the end
// last. So a session comes to the same whatever was late, repeated or told to another node.

// settle computes a session that has its true end again, with a message that is about to be stored.
func (l *Ledger) settle(tx *db.Tx, s, before *Session, e Event, hash string) error {
	events, err := l.stored(tx, s.ID)
	if err != nil {
		return err
	}
	events = append(events, Stored{Request: e.Request, ReceivedAt: e.ReceivedAt, hash: hash})
	return l.rejudge(tx, s, before, events, e.ReceivedAt)
}

func (l *Ledger) rejudge(tx *db.Tx, s, before *Session, events []Stored, now time.Time) error {
	findings := s.retell(events)
	if err := l.checkOverlap(tx, s, findings); err != nil {
		return err
	}
	s.judge(before, findings, now)
	return nil
}

// reconcile computes sessions again that have ended on another node while this one still took messages of them: it had not
// heard that their station went there.
func (l *Ledger) reconcile(ctx context.Context, id station.ID, behind []*Session) error {
	err := l.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		for _, b := range behind {
			row, err := scan(tx.QueryRow(selectSession, b.ID))
			if err != nil {
				return fmt.Errorf("read the session: %w", err)
			}
			if row.endHash == "" { // whoever reads it takes in what the row lacks
				continue
			}
			events, err := l.stored(tx, row.ID)
			if err != nil {
				return err
			}
			s := *row
			if err := l.rejudge(tx, &s, row, events, tx.Now()); err != nil {
				return err
			}
			s.remembers(row, tx.Now())
			if reflect.DeepEqual(&s, row) {
				continue
			}
			if err := update(tx, &s); err != nil {
				return err
			}
			l.correct(tx, row, &s)
		}
		return nil
	})
	return problem.Wrap("reconcile the sessions of two nodes", err)
}

// stored reads the messages of a session within a transaction.
func (l *Ledger) stored(tx *db.Tx, session string) ([]Stored, error) {
	if err := l.journal.settle(tx, session); err != nil {
		return nil, err
	}
	rows, err := tx.Query(selectEvents, session)
	if err != nil {
		return nil, fmt.Errorf("read the session's messages: %w", err)
	}
	events, err := scanEvents(rows)
	if err != nil {
		return nil, fmt.Errorf("read the session's messages: %w", err)
	}
	l.alarm(session, events)
	return events, nil
}

// findings are the reasons for flags, by code.
type findings map[string]string

// find keeps the first reason of a code.
func (f findings) find(code, format string, args ...any) {
	if _, known := f[code]; !known {
		f[code] = fmt.Sprintf(format, args...)
	}
}

// retell computes the figures of a session from all of its messages and says what is odd about them.
func (s *Session) retell(events []Stored) findings {
	found := findings{}
	if events = wholeOnly(events, found); len(events) == 0 {
		return found
	}
	events = s.inOrder(events)
	if s.Sequenced {
		checkNumbers(events, found)
	}
	told := s.accepted(events, found)
	c := Session{ID: s.ID, Organisation: s.Organisation, Station: s.Station, TransactionID: s.TransactionID, State: Active, LastSeqNo: -1,
		Sequenced: s.Sequenced, StartedAt: told[0].Request.Timestamp, LastEventAt: told[0].Request.Timestamp}
	for _, e := range told {
		c.absorb(Event{Request: e.Request, ReceivedAt: e.ReceivedAt, Sequenced: s.Sequenced}, e.hash)
	}
	s.EVSE, s.Connector, s.TokenUID, s.TokenType, s.SoC = cmp.Or(c.EVSE, s.EVSE), cmp.Or(c.Connector, s.Connector), c.TokenUID, c.TokenType, c.SoC
	s.State, s.ChargingState, s.StoppedReason, s.PowerW = c.State, c.ChargingState, c.StoppedReason, 0
	s.StartedAt, s.EndedAt, s.LastEventAt, s.LastSeqNo = c.StartedAt, c.EndedAt, c.LastEventAt, c.LastSeqNo
	s.RemoteStartID, s.ReservationID = c.RemoteStartID, c.ReservationID
	if s.startHash == "" {
		found.find(StartUnknown, startNeverCame)
	}
	s.checkTimes(told, found)
	s.measure(told, found)
	return found
}

const startNeverCame = "the start of this transaction never came"

// inOrder gives messages in the order in which they happened.
func (s *Session) inOrder(events []Stored) []Stored {
	rank := func(e *Stored) int {
		switch e.Request.EventType {
		case v21.TransactionEventTypeStarted:
			return 0
		case v21.TransactionEventTypeEnded:
			return 2
		}
		return 1
	}
	out := slices.Clone(events)
	slices.SortStableFunc(out, func(a, b Stored) int {
		place := 0
		if s.Sequenced {
			place = cmp.Compare(a.Request.SeqNo, b.Request.SeqNo)
		} else {
			place = cmp.Compare(rank(&a), rank(&b))
		}
		return cmp.Or(place, a.Request.Timestamp.Compare(b.Request.Timestamp), a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.hash, b.hash))
	})
	return out
}

// accepted leaves out every start and end but the one that counts: the one that came first.
func (s *Session) accepted(events []Stored, found findings) []Stored {
	out := make([]Stored, 0, len(events))
	for _, e := range events {
		switch {
		case e.Request.EventType == v21.TransactionEventTypeStarted && e.hash != s.startHash:
			found.find(Conflict, "a second, different start came for the same transaction")
		case e.Request.EventType == v21.TransactionEventTypeEnded && e.hash != s.endHash:
			found.find(Conflict, "a second, different end came for the same transaction; the first one counts")
		default:
			out = append(out, e)
		}
	}
	return out
}

// checkNumbers looks for messages that are missing, or that have the number of another: OCPP 2.1 E07.FR.02 lets us know
// that all came when there is no gap.
func checkNumbers(events []Stored, found findings) {
	distinct := 1
	for i := 1; i < len(events); i++ {
		if events[i].Request.SeqNo != events[i-1].Request.SeqNo {
			distinct++
		} else if events[i].hash != events[i-1].hash {
			found.find(Conflict, "two different messages have the same sequence number")
		}
	}
	switch missing := events[len(events)-1].Request.SeqNo - events[0].Request.SeqNo + 1 - distinct; missing {
	case 0:
	case 1:
		found.find(SequenceGap, "1 message is missing")
	default:
		found.find(SequenceGap, "%s messages are missing", strconv.Itoa(missing))
	}
}

// longest is how long a session may last before somebody should look at it.
const longest = 7 * 24 * time.Hour

// checkTimes compares the station's times with each other and with ours.
func (s *Session) checkTimes(told []Stored, found findings) {
	switch lasted := s.EndedAt.Sub(s.StartedAt); {
	case lasted < 0:
		found.find(EndsBeforeStart, "the end is %s before the start by the station's clock", (-lasted).Round(time.Second))
	case lasted > longest:
		found.find(TooLong, "it lasted %d days by the station's clock", int(lasted/(24*time.Hour)))
	}
	s.readClock(told, found)
}

// overlapTolerance is how much two sessions of an EVSE may overlap by the inaccuracy of clocks.
const overlapTolerance = time.Minute

// checkOverlap looks for another session on the EVSE at the same time, and tells those that have ended of this one.
func (l *Ledger) checkOverlap(tx *db.Tx, s *Session, found findings) error {
	if s.EVSE == 0 || s.EndedAt.Sub(s.StartedAt) <= overlapTolerance {
		return nil
	}
	others, err := overlapping(tx, s)
	if err != nil {
		return err
	}
	for _, o := range others {
		found.find(Overlapping, "transaction %s ran on the same EVSE at the same time", o.TransactionID)
		if o.flagged(Overlapping) {
			continue
		}
		before := *o
		o.flag(Overlapping, "transaction "+s.TransactionID+" ran on the same EVSE at the same time", tx.Now())
		if len(before.Flags) == len(o.Flags) { // a person has released it before
			continue
		}
		if err := update(tx, o); err != nil {
			return err
		}
		l.correct(tx, &before, o)
	}
	return nil
}

// judge sets and takes away the flags that follow from all messages together. Those that circumstances have set stay.
func (s *Session) judge(before *Session, found findings, now time.Time) {
	flags := s.Flags
	s.Flags = before.Flags
	for _, f := range flags { // what this very message has set
		if f.Open() && !meanings[f.Code].judged {
			s.flag(f.Code, f.Text, f.At)
		}
	}
	for _, m := range Meanings {
		if text, odd := found[m.Code]; odd {
			s.reflag(m.Code, text, now)
		} else if m.judged {
			s.unflag(m.Code)
		}
	}
}

// explanations are why flags go.
var explanations = map[string]string{
	StartUnknown: "the start came",
	EndUnknown:   "the station told the truth about the end",
	SequenceGap:  "the missing messages came",
	MeterUnknown: "a reading of the register came",
}

// remembers keeps the flags that stood on the session after its end and have gone with what came now.
func (s *Session) remembers(before *Session, now time.Time) {
	if before.State != Ended {
		return
	}
	for _, f := range before.Flags {
		if !f.Open() || s.flagged(f.Code) || s.hasResolved(f) {
			continue
		}
		why := explanations[f.Code]
		if why == "" {
			why = "later messages explain it"
		}
		at := now.UTC()
		f.ResolvedAt, f.ResolvedBy, f.Resolution = &at, Bookkeeper, why
		s.Flags = append(s.Flags[:len(s.Flags):len(s.Flags)], f)
	}
}

func (s *Session) hasResolved(f Flag) bool {
	return slices.ContainsFunc(s.Flags, func(g Flag) bool { return !g.Open() && g.Code == f.Code && g.At.Equal(f.At) })
}

// bridge takes the place of an end that never came by what the meter of the EVSE said outside of transactions: the latest
// register reading after the session's own last one and before a moment by which it was over, if the register has not gone
// down and the rise can have been delivered. It is never used past a reported end.
func (l *Ledger) bridge(tx *db.Tx, s *Session, until time.Time) error {
	if s.EVSE == 0 || !s.Last.Known {
		return nil
	}
	beside, err := readingsBeside(tx, s, s.Last.At, until)
	if err != nil {
		return err
	}
	last := reading{mwh: s.Last.MWh, at: s.Last.At}
	for i := range beside {
		at := beside[i].Timestamp.Truncate(time.Microsecond)
		mwh, ok := total(&beside[i], v21.MeasurandEnergyActiveImportRegister, milli)
		next := reading{mwh: mwh, at: at}
		if ok && at.After(last.at) && at.Before(until) && mwh >= last.mwh && mwh-last.mwh <= s.deliverable(last, next) {
			last = next
		}
	}
	if last.at.Equal(s.Last.At) {
		return nil
	}
	s.Last = Register{MWh: last.mwh, At: last.at, Known: true}
	if last.at.After(s.LastEventAt) {
		s.LastEventAt, s.EndedAt = last.at, last.at
	}
	if i := s.openFlag(EndUnknown); i >= 0 {
		s.reflag(EndUnknown, s.Flags[i].Text+"; the last reading is one of the EVSE's meter outside of transactions", tx.Now())
	}
	return nil
}
