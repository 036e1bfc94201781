// Package audit is the record of who did what: every change and command that comes through the API, and every attempt to
// sign in. An entry is on the disk before what it tells of begins, and completed before that is answered; nothing changes
// unrecorded. Reads are not recorded and cost nothing.
package audit

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/problem"
)

// Outcome is how a change ended.
type Outcome string

// The outcomes.
const (
	Unknown  Outcome = "unknown"  // it still runs, or the node died meanwhile
	Done     Outcome = "done"     // it was answered with success
	Refused  Outcome = "refused"  // the caller was wrong, or not allowed
	Failed   Outcome = "failed"   // a station or a part of ours
	Replayed Outcome = "replayed" // the answer of an earlier request with the same Idempotency-Key was given again
)

// Entry is one change, command or attempt to sign in.
type Entry struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"`
	EndedAt   *time.Time      `json:"endedAt" doc:"Null while it runs, and for ever when the node died meanwhile"`
	Who       string          `json:"who" doc:"An e-mail address, or key NAME"`
	Actor     string          `json:"actor" doc:"Id of the user or the key, empty for an unknown one"`
	Role      account.Role    `json:"role"`
	Address   string          `json:"address" doc:"Where the request came from"`
	Operation string          `json:"operation" doc:"As the description of the API has it"`
	Method    string          `json:"method"`
	Path      string          `json:"path" doc:"With its query"`
	Kind      string          `json:"kind" doc:"Of the object: stations, tokens, …"`
	Object    string          `json:"object" doc:"Its id"`
	Station   string          `json:"station" doc:"That it concerns, empty for none"`
	Request   json.RawMessage `json:"request" doc:"The body, secrets blanked; null for none"`
	Before    json.RawMessage `json:"before" doc:"The object as it was, null where it was not there or is not kept"`
	After     json.RawMessage `json:"after" doc:"The object as it became, null where it is not there or is not kept"`
	Status    int             `json:"status" doc:"Of the answer; 0 without one"`
	Outcome   Outcome         `json:"outcome" enum:"unknown,done,refused,failed,replayed"`
	Error     string          `json:"error"`

	organisation string
}

// Log is the record.
type Log struct {
	db  *db.DB
	log *slog.Logger
}

// New opens the record.
func New(d *db.DB, log *slog.Logger) *Log { return &Log{db: d, log: log} }

// writeFor bounds a write of the record.
const writeFor = 10 * time.Second

// begin keeps the entry of what begins now.
func (l *Log) begin(ctx context.Context, e *Entry) error {
	e.ID, e.Outcome = uuid.Must(uuid.NewV7()).String(), Unknown
	ctx, cancel := context.WithTimeout(ctx, writeFor)
	defer cancel()
	return problem.Wrap("record the change", l.db.Write(ctx, func(tx *db.Tx) error {
		e.At = tx.Now().UTC()
		return insert(tx, e)
	}))
}

// end completes an entry. The change is made already, so its failure is told to the operator's log and to nobody else: the
// entry stays with the outcome unknown.
func (l *Log) end(ctx context.Context, e *Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeFor)
	defer cancel()
	err := l.db.Write(ctx, func(tx *db.Tx) error {
		now := tx.Now().UTC()
		e.EndedAt = &now
		return update(tx, e)
	})
	if err != nil {
		l.log.Error("outcome of a change not recorded", "entry", e.ID, "operation", e.Operation, "who", e.Who, "outcome", e.Outcome, "error", err)
	}
}

// SignedIn records an attempt to sign in.
func (l *Log) SignedIn(ctx context.Context, a account.Attempt) error {
	e := &Entry{ID: uuid.Must(uuid.NewV7()).String(), organisation: a.Organisation, Who: a.Who, Actor: a.UserID, Role: a.Role, Address: a.Address,
		Operation: "sign-in", Method: "POST", Path: "/auth/sign-in", Kind: "auth", Status: 200, Outcome: Done}
	if a.Refused != "" {
		e.Status, e.Outcome, e.Error = 401, Refused, a.Refused
	}
	return problem.Wrap("record the sign-in", l.db.Write(ctx, func(tx *db.Tx) error {
		e.At = tx.Now().UTC()
		e.EndedAt = &e.At
		return insert(tx, e)
	}))
}

// Purge forgets what is older than keep; 0 keeps everything.
func (l *Log) Purge(ctx context.Context, keep time.Duration) error {
	if keep <= 0 {
		return nil
	}
	before := time.Now().Add(-keep)
	n, err := purge(ctx, l.db, before)
	if n > 0 {
		l.log.Info("forgotten", "class", "audit", "before", before, "entries", n)
	}
	return err
}
