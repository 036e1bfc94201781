package session

import (
	"context"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp"
)

// importSession is insertSession for many rows at once.
var importSession = func() *db.Insert {
	_, list, _ := strings.Cut(insertSession, "(")
	list, _, _ = strings.Cut(list, ")")
	return db.NewInsert("sessions", strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \n\t", r) }), "")
}()

// Import stores transactions that are over and were never seen here, each with all its messages in the order in which they
// happened, and returns how they went. It is for taking over what another system has kept: it does not look for what
// is stored already, makes no events and leaves no marks. Either all of them are stored or none.
func (l *Ledger) Import(ctx context.Context, transactions [][]Event) ([]*Course, error) {
	courses := make([]*Course, len(transactions))
	lists := make([][]message, len(transactions))
	for i, events := range transactions {
		if len(events) == 0 {
			return nil, problem.New(problem.Invalid, "a transaction without messages")
		}
		s := begin(events[0], time.Now())
		stored := make([]Stored, len(events))
		for j := range events {
			e := &events[j]
			payload := string(ocpp.Marshal(e.Request))
			hash := contentHash(*e, payload)
			s.absorb(*e, hash)
			stored[j] = Stored{Request: e.Request, ReceivedAt: e.ReceivedAt, hash: hash}
			lists[i] = append(lists[i], message{session: s.ID, at: db.Micros(e.Request.Timestamp), hash: hash, received: db.Micros(e.ReceivedAt),
				seqNo: e.Request.SeqNo, typ: string(e.Request.EventType), offline: e.Request.Offline.Or(false), payload: payload})
		}
		if s.State != Ended {
			return nil, problem.New(problem.Invalid, "transaction %s has no end", s.TransactionID)
		}
		s.endTold = true
		courses[i] = s.course(stored)
	}
	err := l.db.Write(ctx, func(tx *db.Tx) error {
		for i, c := range courses {
			s := c.Session
			s.createdAt, s.updatedAt = tx.Now(), tx.Now()
			values, err := s.row()
			if err != nil {
				return err
			}
			args := append([]any{s.ID, s.Organisation, string(s.Station), s.TransactionID}, values...)
			tx.Append(importSession, append(args, db.Micros(s.createdAt), db.Micros(s.updatedAt))...)
			for j := range lists[i] {
				tx.Append(insertEvent, lists[i][j].args()...)
			}
		}
		return nil
	})
	return courses, problem.Wrap("import sessions", err)
}
