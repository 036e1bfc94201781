package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
)

// ErrOtherStation means that a message names a transaction of another station. It has been kept in quarantine, with a
// security event, and has no other effect; the station is answered as if nothing were wrong, or it repeats it for ever.
var ErrOtherStation = errors.New("the transaction is another station's")

// Quarantined is a message that was answered and kept without being taken into the ledger.
type Quarantined struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at" doc:"When it came, by our clock"`
	Station string    `json:"station"`
	Action  string    `json:"action" doc:"In terms of OCPP 2.1"`
	Reason  string    `json:"reason" doc:"Why it could not be processed"`
	Payload string    `json:"payload" doc:"JSON, in terms of OCPP 2.1; the station's own text is in its frames"`
}

// Quarantine keeps a message that cannot be processed, in a transaction of its own, and tells the operator. The same message
// is kept once.
func (l *Ledger) Quarantine(ctx context.Context, organisation string, id station.ID, action, payload, reason string) error {
	err := l.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		_, err := l.quarantine(tx, organisation, id, Quarantined{Action: action, Payload: payload, Reason: reason}, func(q Quarantined) event.Event {
			return event.New(event.MessageQuarantined, organisation, string(id), tx.Now(), q)
		})
		return err
	})
	return problem.Wrap("keep the message in quarantine", err)
}

// quarantine keeps a message, and records an event about it when it was not there before.
func (l *Ledger) quarantine(tx *db.Tx, organisation string, id station.ID, q Quarantined, tell func(Quarantined) event.Event) (fresh bool, err error) {
	sum := sha256.Sum256([]byte(q.Action + "\x00" + q.Payload))
	q.ID, q.At, q.Station = uuid.Must(uuid.NewV7()).String(), tx.Now(), string(id)
	if fresh, err = insertQuarantined(tx, organisation, q, hex.EncodeToString(sum[:16])); err != nil || !fresh {
		return false, err
	}
	l.events.Record(tx, tell(q))
	return true, nil
}
