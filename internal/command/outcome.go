package command

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// Outcome is what came of a command beyond its station's answer: of a remote start, whether a transaction followed.
type Outcome struct {
	State   string    `json:"state" enum:"started,expired,refused" doc:"started: a session began; expired: none began in time, a late one still changes this; refused: the station did not agree"`
	Session string    `json:"session" doc:"Id of the session, empty for none"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// The states of an outcome.
const (
	OutcomeStarted = "started"
	OutcomeExpired = "expired"
	OutcomeRefused = "refused"
)

// idAt is a text that sorts before the ids of all commands made at or after a moment: they are UUIDs of version 7.
func idAt(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// Starts reads the remote starts of all organisations made since a moment of which it is not yet settled what came of
// them: nothing is known, or they have expired and could still be late. Oldest first.
func (c *Commands) Starts(ctx context.Context, since time.Time) ([]*Command, error) {
	rows, err := c.db.Query(ctx, `SELECT `+columns+` FROM commands WHERE id >= $1 AND action = $2 AND status IN ('ok', 'timeout')
		AND NOT EXISTS (SELECT 1 FROM command_outcomes o WHERE o.command_id = commands.id AND o.outcome <> 'expired') ORDER BY id LIMIT 5000`,
		idAt(since), v21.ActionRequestStartTransaction)
	if err != nil {
		return nil, problem.Wrap("read the remote starts", err)
	}
	list, err := scanCommands(rows)
	if err != nil {
		return nil, problem.Wrap("read the remote starts", err)
	}
	return list, c.withOutcomes(ctx, list)
}

// Concerning reads the commands to a station that were made in [from, to) with one of some actions, oldest first.
func (c *Commands) Concerning(ctx context.Context, organisation string, id station.ID, from, to time.Time) ([]*Command, error) {
	rows, err := c.db.Query(ctx, `SELECT `+columns+` FROM commands WHERE station_id = $1 AND organisation_id = $2 AND id >= $3 AND id < $4
		AND action IN ($5, $6) ORDER BY id LIMIT 5000`, string(id), organisation, idAt(from), idAt(to),
		v21.ActionRequestStartTransaction, v21.ActionRequestStopTransaction)
	if err != nil {
		return nil, problem.Wrap("read the session's commands", err)
	}
	list, err := scanCommands(rows)
	if err != nil {
		return nil, problem.Wrap("read the session's commands", err)
	}
	return list, c.withOutcomes(ctx, list)
}

func scanCommands(rows *sql.Rows) ([]*Command, error) {
	defer rows.Close()
	var out []*Command
	for rows.Next() {
		cmd, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, cmd.public())
	}
	return out, rows.Err()
}

// withOutcomes reads what came of commands into them.
func (c *Commands) withOutcomes(ctx context.Context, list []*Command) error {
	for _, cmd := range list {
		if cmd.Action != v21.ActionRequestStartTransaction {
			continue
		}
		var o Outcome
		var at int64
		err := c.db.QueryRow(ctx, `SELECT outcome, session_id, words, at FROM command_outcomes WHERE command_id = $1`, cmd.ID).
			Scan(&o.State, &o.Session, &o.Text, &at)
		if errors.Is(err, db.ErrNoRows) {
			continue
		}
		if err != nil {
			return problem.Wrap("read what came of the command", err)
		}
		o.At = db.Time(at)
		cmd.Outcome = &o
	}
	return nil
}

// Settled keeps what came of a command. A command that expired may turn out to have started something after all; nothing
// else changes once it is known, and one session is the effect of one command only. It reports whether it changed; then
// tell, which may be nil, is called in the same transaction.
func (c *Commands) Settled(ctx context.Context, cmd *Command, o Outcome, tell func(tx *db.Tx)) (changed bool, err error) {
	err = c.db.WriteKey(ctx, string(cmd.Station), func(tx *db.Tx) error {
		o.At = tx.Now()
		res, err := tx.Exec(`INSERT INTO command_outcomes (command_id, outcome, session_id, words, at)
			SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT) WHERE $3 = '' OR NOT EXISTS (SELECT 1 FROM command_outcomes WHERE session_id = $3 AND command_id <> $1)
			ON CONFLICT (command_id) DO UPDATE SET outcome = excluded.outcome, session_id = excluded.session_id, words = excluded.words, at = excluded.at
			WHERE command_outcomes.outcome = 'expired' AND excluded.outcome <> 'expired'`, cmd.ID, o.State, o.Session, o.Text, db.Micros(o.At))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		changed = n > 0
		if err != nil || !changed {
			return err
		}
		cmd.Outcome = &o
		if tell != nil {
			tell(tx)
		}
		if o.State == OutcomeExpired {
			c.events.Record(tx, event.New(event.RemoteStartExpired, cmd.Organisation, string(cmd.Station), tx.Now(), cmd.view()))
		}
		return nil
	})
	return changed, problem.Wrap("keep what came of the command", err)
}

// JSON is the command as the API shows it.
func (cmd *Command) JSON() (json.RawMessage, error) { return json.Marshal(cmd.view()) }
