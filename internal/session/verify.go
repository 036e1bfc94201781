package session

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// Every message is stored with the hash of its content, by which repetitions are known. The same hash tells whether it is
// still what it was: SQLite has no checksums of its own pages, and a disk may return other bytes than were written.

// intact reports whether a message is what its hash says. Its station may be one that numbers its messages or not.
func intact(r *v21.TransactionEventRequest, payload, hash string) bool {
	sum := sha256.Sum256([]byte(payload))
	return hex.EncodeToString(sum[:12]) == hash || contentHash(Event{Request: r, Sequenced: true}, payload) == hash ||
		contentHash(Event{Request: r}, payload) == hash
}

// wholeOnly leaves broken messages out of what counts, and has that as a finding.
func wholeOnly(events []Stored, found findings) []Stored {
	out := events[:0:0]
	for _, e := range events {
		if e.Broken {
			found.find(Damaged, damagedText)
			continue
		}
		out = append(out, e)
	}
	return out
}

const damagedText = "a stored message is not what it was when it was stored: the disk has changed it; it does not count"

// alarm tells of broken messages, once for each while the node runs: in the log, as a figure, and as an event.
func (l *Ledger) alarm(session string, events []Stored) {
	for _, e := range events {
		if !e.Broken {
			continue
		}
		if _, told := l.broken.LoadOrStore(session+" "+e.hash, struct{}{}); told {
			continue
		}
		l.damaged.Add(1)
		l.log.Error("a stored message is damaged", "session", session, "hash", e.hash, "received", e.ReceivedAt)
		go l.tellDamage(session, e.hash)
	}
}

// tellDamage records the event of a broken message.
func (l *Ledger) tellDamage(session, hash string) {
	ctx := context.Background()
	s, err := scan(l.db.QueryRow(ctx, `SELECT `+columns+` FROM sessions WHERE id = $1`, session))
	if err == nil {
		err = l.db.Write(ctx, func(tx *db.Tx) error {
			l.events.Record(tx, event.New(event.Integrity, s.Organisation, string(s.Station), tx.Now(),
				map[string]string{"session": session, "hash": hash, "text": damagedText}))
			return nil
		})
	}
	if err != nil && !errors.Is(err, db.ErrClosed) {
		l.log.Error("event of a damaged message not recorded", "session", session, "error", err)
	}
}

// Damages is how many damaged messages have been read since the start.
func (l *Ledger) Damages() int64 { return l.damaged.Load() }

// Defect is something that Verify found.
type Defect struct {
	Session string `json:"session"`
	Text    string `json:"text"`
}

// Verified counts what Verify has looked at.
type Verified struct{ Sessions, Messages, Defects int }

const verifyPage = 500

// Verify reads every message of every session, compares it with its hash and the columns beside it, computes the sessions
// that have ended again from their messages, and compares them with their rows. It changes nothing and may run beside a
// node. each hears of every defect.
func Verify(ctx context.Context, d *db.DB, each func(Defect)) (v Verified, err error) {
	tell := func(s *Session, format string, args ...any) {
		v.Defects++
		each(Defect{Session: s.ID, Text: fmt.Sprintf(format, args...)})
	}
	for after := ""; ; {
		rows, err := d.Query(ctx, `SELECT `+columns+` FROM sessions WHERE id > $1 ORDER BY id LIMIT $2`, after, verifyPage)
		if err != nil {
			return v, problem.Wrap("read the sessions", err)
		}
		list, err := scanAll(rows)
		if err != nil {
			return v, problem.Wrap("read the sessions", err)
		}
		for _, s := range list {
			v.Sessions++
			n, err := verify(ctx, d, s, tell)
			if err != nil {
				return v, problem.Wrap("read the messages of session "+s.ID, err)
			}
			v.Messages += n
			after = s.ID
		}
		if len(list) < verifyPage {
			return v, nil
		}
	}
}

// verify looks at one session.
func verify(ctx context.Context, d *db.DB, s *Session, tell func(s *Session, format string, args ...any)) (int, error) {
	text := `SELECT payload, received_at, hash, at, seq_no, type FROM session_events WHERE session_id = $1`
	if d.Engine() == db.SQLite {
		text += ` UNION SELECT payload, received_at, hash, at, seq_no, type FROM session_journal WHERE session_id = $1`
	}
	rows, err := d.Query(ctx, text+` ORDER BY 4, 5, 2`, s.ID)
	if err != nil {
		return 0, err
	}
	events, err := verifyRows(rows, s, tell)
	if err != nil || s.State != Ended || s.endHash == "" || len(events) == 0 {
		return len(events), err
	}
	whole := wholeOnly(events, findings{})
	if len(whole) < len(events) {
		return len(events), nil
	}
	again := *s
	again.retell(events)
	if again.EnergyWh() != s.EnergyWh() || !again.EndedAt.Equal(s.EndedAt) || !again.StartedAt.Equal(s.StartedAt) {
		tell(s, "its row says %d Wh from %s to %s, its messages %d Wh from %s to %s", s.EnergyWh(), s.StartedAt, s.EndedAt,
			again.EnergyWh(), again.StartedAt, again.EndedAt)
	}
	return len(events), nil
}

// verifyRows reads the messages of a session and looks at each.
func verifyRows(rows *sql.Rows, s *Session, tell func(s *Session, format string, args ...any)) ([]Stored, error) {
	defer rows.Close()
	type place struct {
		at   int64
		hash string
	}
	seen := map[place]int{} // a message may stand in the journal and among those that were moved from there
	var out []Stored
	for rows.Next() {
		var payload, typ string
		var received, at int64
		var seqNo int
		e := Stored{Request: &v21.TransactionEventRequest{}}
		if err := rows.Scan(&payload, &received, &e.hash, &at, &seqNo, &typ); err != nil {
			return nil, err
		}
		_ = ocpp.Decode(payload, e.Request, false) // as in scanEvents
		e.ReceivedAt, e.Broken = db.Time(received), !intact(e.Request, payload, e.hash)
		switch {
		case e.Broken:
			tell(s, "the message of %s with the hash %s is damaged", db.Time(at), e.hash)
		case at != db.Micros(e.Request.Timestamp) || seqNo != e.Request.SeqNo || typ != string(e.Request.EventType):
			tell(s, "the message with the hash %s stands in another place than it says", e.hash)
		}
		if i, again := seen[place{at, e.hash}]; again {
			out[i].Broken = out[i].Broken || e.Broken
			continue
		}
		seen[place{at, e.hash}] = len(out)
		out = append(out, e)
	}
	return out, rows.Err()
}
