package session

import (
	"context"
	"fmt"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// What may be forgotten of the ledger, and how. A session that runs, or that is held, is never touched, nor is one that
// the caller wants kept.

// Keep says whether a session must stay as it is, whatever its age: because it is not billed yet, for instance.
type Keep func(ctx context.Context, s *Session) (bool, error)

// Forgotten is what a step of a purge has taken away, or would take away.
type Forgotten struct {
	Sessions int
	Messages int
	Bytes    int64
}

// forgetStep is how many sessions one transaction concerns, so that stations never wait for long.
const forgetStep = 50

// old reads sessions that ended before a moment and may be touched: those that are thinned out, or those that are not. seen
// is how many were looked at, 0 when there are no more.
func (l *Ledger) old(ctx context.Context, before time.Time, thinned bool, keep Keep, skip int) (list []*Session, seen int, err error) {
	which := "IS NULL"
	if thinned {
		which = "IS NOT NULL"
	}
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM sessions WHERE state = 'ended' AND ended_at < $1 AND thinned_at `+which+`
		ORDER BY ended_at LIMIT $2 OFFSET $3`, db.Micros(before), forgetStep, skip)
	if err != nil {
		return nil, 0, problem.Wrap("read old sessions", err)
	}
	all, err := scanAll(rows)
	if err != nil {
		return nil, 0, problem.Wrap("read old sessions", err)
	}
	for _, s := range all {
		if s.State != Ended || s.Billing() != BillingReady {
			continue
		}
		if keep != nil {
			kept, err := keep(ctx, s)
			if err != nil {
				return nil, 0, err
			}
			if kept {
				continue
			}
		}
		list = append(list, s)
	}
	return list, len(all), nil
}

// Thin leaves the readings between the first and the last out of the messages of sessions that ended before a moment. The
// messages themselves stay, so that a repetition is still known as one; so do the first and the last reading, readings that
// are signed, and all of a session whose register began again, which only its readings explain.
func (l *Ledger) Thin(ctx context.Context, before time.Time, keep Keep) (Forgotten, error) {
	var sum Forgotten
	for skip := 0; ctx.Err() == nil; {
		list, seen, err := l.old(ctx, before, false, keep, skip)
		if err != nil || seen == 0 {
			return sum, err
		}
		var done Forgotten
		for _, s := range list {
			events, err := l.Events(ctx, s.ID)
			if err != nil {
				return sum, err
			}
			err = l.db.WriteKey(ctx, string(s.Station), func(tx *db.Tx) error {
				one, err := thin(tx, s, events)
				if err == nil {
					tx.AfterCommit(func() { done.add(one) })
				}
				return err
			})
			if err != nil {
				return sum, problem.Wrap("thin out a session", err)
			}
		}
		sum.add(done)
		skip += seen - len(list) // those that stay are passed over
	}
	return sum, ctx.Err()
}

func (f *Forgotten) add(g Forgotten) {
	f.Sessions += g.Sessions
	f.Messages += g.Messages
	f.Bytes += g.Bytes
}

// thin changes the messages of one session, unless it has changed since it was read.
func thin(tx *db.Tx, s *Session, events []Stored) (Forgotten, error) {
	done := Forgotten{Sessions: 1}
	res, err := tx.Exec(`UPDATE sessions SET thinned_at = $2 WHERE id = $1 AND updated_at = $3`, s.ID, db.Micros(tx.Now()), db.Micros(s.updatedAt))
	if err != nil {
		return done, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return Forgotten{}, err
	}
	if s.RestartedMWh != 0 {
		return done, nil
	}
	for _, e := range events {
		payload, saved := s.thinned(e.Request)
		if saved == 0 {
			continue
		}
		if _, err := tx.Exec(`UPDATE session_events SET payload = $4 WHERE session_id = $1 AND at = $2 AND hash = $3`,
			s.ID, db.Micros(e.Request.Timestamp), e.hash, payload); err != nil {
			return done, err
		}
		done.Messages++
		done.Bytes += int64(saved)
	}
	return done, nil
}

// thinned is a message without the readings that may go, and how many bytes shorter it is.
func (s *Session) thinned(r *v21.TransactionEventRequest) (payload string, saved int) {
	if r.EventType != v21.TransactionEventTypeUpdated || len(r.MeterValue) == 0 {
		return "", 0
	}
	var kept []v21.MeterValue
	for i := range r.MeterValue {
		if mv := &r.MeterValue[i]; s.mustStay(mv) {
			kept = append(kept, *mv)
		}
	}
	if len(kept) == len(r.MeterValue) {
		return "", 0
	}
	shorter := *r
	shorter.MeterValue = kept
	payload = string(ocpp.Marshal(&shorter))
	return payload, len(ocpp.Marshal(r)) - len(payload)
}

// mustStay: the first and the last reading are what is billed, and what is signed is evidence.
func (s *Session) mustStay(mv *v21.MeterValue) bool {
	for i := range mv.SampledValue {
		if mv.SampledValue[i].SignedMeterValue != nil {
			return true
		}
	}
	at := mv.Timestamp.Truncate(time.Microsecond)
	return s.First.Known && at.Equal(s.First.At) || s.Last.Known && at.Equal(s.Last.At)
}

// Forget removes sessions that ended before a moment, with all that is kept of them.
func (l *Ledger) Forget(ctx context.Context, before time.Time, keep Keep) (Forgotten, error) {
	var sum Forgotten
	for _, thinned := range []bool{true, false} {
		for skip := 0; ctx.Err() == nil; {
			list, seen, err := l.old(ctx, before, thinned, keep, skip)
			if err != nil {
				return sum, err
			}
			if seen == 0 {
				break
			}
			for _, s := range list {
				one, err := l.forgetSession(ctx, s)
				if err != nil {
					return sum, err
				}
				sum.add(one)
			}
			skip += seen - len(list)
		}
	}
	return sum, ctx.Err()
}

func (l *Ledger) forgetSession(ctx context.Context, s *Session) (Forgotten, error) {
	if err := l.journal.settled(ctx, s.ID); err != nil {
		return Forgotten{}, problem.Wrap("forget a session", err)
	}
	var n int64
	err := l.db.WriteKey(ctx, string(s.Station), func(tx *db.Tx) (err error) {
		n, err = forget(tx, s)
		return err
	})
	if err != nil || n < 0 {
		return Forgotten{}, problem.Wrap("forget a session", err)
	}
	return Forgotten{Sessions: 1, Messages: int(n)}, nil
}

// forget removes one session, unless it has changed since it was read; then it returns -1.
func forget(tx *db.Tx, s *Session) (messages int64, err error) {
	res, err := tx.Exec(`DELETE FROM sessions WHERE id = $1 AND updated_at = $2`, s.ID, db.Micros(s.updatedAt))
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return -1, err
	}
	if res, err = tx.Exec(`DELETE FROM session_events WHERE session_id = $1`, s.ID); err != nil {
		return 0, err
	}
	if messages, err = res.RowsAffected(); err != nil {
		return 0, err
	}
	_, err = tx.Exec(`DELETE FROM session_acts WHERE session_id = $1`, s.ID)
	return messages, err
}

// ForgetReadings removes the meter values that came outside transactions before a moment, but for those that are signed,
// and returns how many.
func (l *Ledger) ForgetReadings(ctx context.Context, before time.Time) (int64, error) {
	var sum int64
	var id station.ID
	evse := -1
	for ctx.Err() == nil { // by primary key, in steps, so that the writer is never held up for long
		err := l.db.QueryRow(ctx, `SELECT COALESCE((SELECT station_id FROM meter_readings WHERE station_id > $1 OR station_id = $1 AND evse > $2
			ORDER BY station_id, evse LIMIT 1), '')`, string(id), evse).Scan(&id)
		if err != nil || id == "" {
			return sum, problem.Wrap("read the meter values", err)
		}
		if err := l.db.QueryRow(ctx, `SELECT COALESCE(MIN(evse), 0) FROM meter_readings WHERE station_id = $1 AND evse > $2`, string(id), evse).Scan(&evse); err != nil {
			return sum, problem.Wrap("read the meter values", err)
		}
		var n int64
		err = l.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
			res, err := tx.Exec(`DELETE FROM meter_readings WHERE station_id = $1 AND evse = $2 AND at < $3 AND payload NOT LIKE '%"signedMeterValue"%'`,
				string(id), evse, db.Micros(before))
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return sum, problem.Wrap("forget meter values", err)
		}
		sum += n
	}
	return sum, ctx.Err()
}

// Usage is what the ledger takes. Rows and bytes of messages are estimates.
type Usage struct {
	Sessions, Messages, Readings int64
	SessionBytes, MessageBytes   int64
	ReadingBytes                 int64
	Oldest                       time.Time // end of the oldest session, zero when there is none
	OldestFull                   time.Time // end of the oldest session with all its readings
	Thin, Forget                 int64     // sessions that ended before the moments given
}

// sample is from how many sessions the size of all messages is estimated.
const sample = 200

// Usage measures the ledger, and counts the sessions that ended before two moments: those that would be thinned out, and
// those that would be forgotten.
func (l *Ledger) Usage(ctx context.Context, thinBefore, forgetBefore time.Time) (Usage, error) {
	var u Usage
	var oldest, full int64
	err := l.db.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM sessions),
		COALESCE((SELECT MIN(ended_at) FROM sessions WHERE state = 'ended' AND thinned_at IS NOT NULL), 0),
		COALESCE((SELECT MIN(ended_at) FROM sessions WHERE state = 'ended' AND thinned_at IS NULL), 0),
		(SELECT COUNT(*) FROM sessions WHERE state = 'ended' AND thinned_at IS NULL AND ended_at < $1),
		(SELECT COUNT(*) FROM sessions WHERE state = 'ended' AND thinned_at IS NOT NULL AND ended_at < $2)
		+ (SELECT COUNT(*) FROM sessions WHERE state = 'ended' AND thinned_at IS NULL AND ended_at < $2)`, db.Micros(thinBefore), db.Micros(forgetBefore)).
		Scan(&u.Sessions, &oldest, &full, &u.Thin, &u.Forget)
	if err != nil {
		return u, problem.Wrap("measure the ledger", err)
	}
	if full != 0 {
		u.OldestFull = db.Time(full)
		u.Oldest = u.OldestFull
	}
	if oldest != 0 && (full == 0 || oldest < full) {
		u.Oldest = db.Time(oldest)
	}
	if l.db.Engine() == db.Postgres {
		return u, l.measurePostgres(ctx, &u)
	}
	var n, rows, bytes int64
	err = l.db.QueryRow(ctx, fmt.Sprintf(`SELECT COUNT(DISTINCT s.id), COUNT(e.session_id), COALESCE(SUM(LENGTH(e.payload) + 130), 0)
		FROM (SELECT id FROM sessions ORDER BY id DESC LIMIT %d) s LEFT JOIN session_events e ON e.session_id = s.id`, sample)).Scan(&n, &rows, &bytes)
	if err != nil {
		return u, problem.Wrap("measure the ledger", err)
	}
	if n > 0 {
		u.Messages, u.MessageBytes = rows*u.Sessions/n, bytes*u.Sessions/n
	}
	const sessionRow = 900 // bytes with its indexes
	u.SessionBytes, u.Readings, u.ReadingBytes = u.Sessions*sessionRow, -1, -1
	return u, nil
}

func (l *Ledger) measurePostgres(ctx context.Context, u *Usage) error {
	err := l.db.QueryRow(ctx, `SELECT pg_total_relation_size('sessions')`).Scan(&u.SessionBytes)
	if err != nil {
		return problem.Wrap("measure the ledger", err)
	}
	for table, to := range map[string][2]*int64{"session_events": {&u.Messages, &u.MessageBytes}, "meter_readings": {&u.Readings, &u.ReadingBytes}} {
		list, err := l.db.Partitions(ctx, table)
		if err != nil {
			return problem.Wrap("measure the ledger", err)
		}
		for _, p := range list {
			*to[0] += max(0, p.Rows)
			*to[1] += p.Bytes
		}
	}
	return nil
}

// monthsAhead is for how many months there are partitions before they are needed.
const monthsAhead = 2

// Prepare makes the partitions of the next months where the database has any, and returns their names.
func (l *Ledger) Prepare(ctx context.Context, now time.Time) ([]string, error) {
	var made []string
	for _, table := range []string{"session_events", "meter_readings"} {
		names, err := l.db.KeepPartitions(ctx, table, db.Monthly, now, monthsAhead)
		if err != nil {
			return made, problem.Wrap("prepare the ledger", err)
		}
		made = append(made, names...)
	}
	return made, nil
}
