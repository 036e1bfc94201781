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
)

const columns = `id, organisation_id, station_id, action, request, status, response, error, translation, made_by, created_at, finished_at, expires_at`

// add keeps a new command. A queued one keeps the payload as it must be sent; when it is finished only the public one is
// left.
func (c *Commands) add(ctx context.Context, cmd *Command, payload string) error {
	err := c.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO commands (`+columns+`, node, taken_at) VALUES ($1, $2, $3, $4, $5, $6, '', '', '', $7, $8, NULL, $9, $10, $8)`, cmd.ID, cmd.Organisation,
			string(cmd.Station), cmd.Action, payload, string(cmd.Status), cmd.By, db.Micros(cmd.CreatedAt), db.Micros(cmd.ExpiresAt), c.node())
		return err
	})
	return problem.Wrap("keep the command", err)
}

// finish writes the state of a command and tells of it when it is final.
func (c *Commands) finish(ctx context.Context, cmd *Command) error {
	translation := ""
	if len(cmd.Translation) > 0 {
		raw, err := json.Marshal(cmd.Translation)
		if err != nil {
			return problem.Wrap("keep the command", err)
		}
		translation = string(raw)
	}
	err := c.db.Write(ctx, func(tx *db.Tx) error {
		if cmd.Status == Queued {
			// Whoever took this node for dead may have settled it.
			_, err := tx.Exec(`UPDATE commands SET status = $2, node = '', turn = FALSE WHERE id = $1 AND status = 'sent'`, cmd.ID, string(cmd.Status))
			return err
		}
		_, err := tx.Exec(`UPDATE commands SET status = $2, response = $3, error = $4, translation = $5, finished_at = $6, request = $7 WHERE id = $1`,
			cmd.ID, string(cmd.Status), cmd.Response, cmd.Error, translation, db.ZeroMicros(cmd.FinishedAt), cmd.Request)
		if err == nil {
			c.events.Record(tx, event.New(event.CommandFinished, cmd.Organisation, string(cmd.Station), tx.Now(), cmd.view()))
		}
		return err
	})
	return problem.Wrap("keep the command", err)
}

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Command, error) {
	var cmd Command
	var translation string
	var created, expires int64
	var finished sql.NullInt64
	err := row.Scan(&cmd.ID, &cmd.Organisation, &cmd.Station, &cmd.Action, &cmd.Request, &cmd.Status, &cmd.Response, &cmd.Error, &translation,
		&cmd.By, &created, &finished, &expires)
	if err != nil {
		return nil, err
	}
	cmd.CreatedAt, cmd.FinishedAt, cmd.ExpiresAt = db.Time(created), db.ZeroTime(finished), db.Time(expires)
	if translation != "" {
		err = json.Unmarshal([]byte(translation), &cmd.Translation)
	}
	return &cmd, err
}

// public blanks the secrets of a command that still carries the payload to send.
func (cmd *Command) public() *Command {
	if cmd.Status == Queued || cmd.Status == Sent {
		if req, err := Parse(cmd.Action, []byte(cmd.Request)); err == nil {
			cmd.Request = public(req)
		}
	}
	return cmd
}

// Get reads a command of an organisation.
func (c *Commands) Get(ctx context.Context, organisation, id string) (*Command, error) {
	cmd, err := scan(c.db.QueryRow(ctx, `SELECT `+columns+` FROM commands WHERE id = $1 AND organisation_id = $2`, id, organisation))
	if errors.Is(err, db.ErrNoRows) {
		return nil, problem.New(problem.NotFound, "no such command")
	}
	if err != nil {
		return nil, problem.Wrap("read the command", err)
	}
	return cmd.public(), c.withOutcomes(ctx, []*Command{cmd})
}

// List reads the commands that an organisation has sent to a station, newest first, before an id.
func (c *Commands) List(ctx context.Context, organisation string, id station.ID, before string, limit int) ([]*Command, error) {
	rows, err := c.db.Query(ctx, `SELECT `+columns+` FROM commands WHERE station_id = $1 AND organisation_id = $2 AND ($3 = '' OR id < $3)
		ORDER BY id DESC LIMIT $4`, string(id), organisation, before, limit)
	if err != nil {
		return nil, problem.Wrap("list the commands", err)
	}
	defer rows.Close()
	var out []*Command
	for rows.Next() {
		cmd, err := scan(rows)
		if err != nil {
			return nil, problem.Wrap("list the commands", err)
		}
		out = append(out, cmd.public())
	}
	if err := rows.Err(); err != nil {
		return nil, problem.Wrap("list the commands", err)
	}
	return out, c.withOutcomes(ctx, out)
}

// nextQueued claims the oldest queued command of a station, so that no other node sends it too; nil when there is none, or
// when another node has the one before it on its way: the commands of a station go out one after the other.
func (c *Commands) nextQueued(ctx context.Context, organisation string, id station.ID) (*Command, string, error) {
	var cmd *Command
	err := c.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		var err error
		cmd, err = scan(tx.QueryRow(`SELECT `+columns+` FROM commands WHERE station_id = $1 AND organisation_id = $2 AND status = 'queued'
			AND NOT EXISTS (SELECT 1 FROM commands WHERE station_id = $1 AND status = 'sent' AND turn)
			ORDER BY created_at, id LIMIT 1`, string(id), organisation))
		if errors.Is(err, db.ErrNoRows) {
			cmd = nil
			return nil
		}
		if err != nil {
			return err
		}
		cmd.Status = Sent
		res, err := tx.Exec(`UPDATE commands SET status = 'sent', node = $2, turn = TRUE, taken_at = $3 WHERE id = $1 AND status = 'queued'`,
			cmd.ID, c.node(), db.Micros(tx.Now()))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 { // another node was first, it goes on with the rest
			cmd = nil
			return err
		}
		return nil
	})
	if err != nil || cmd == nil {
		return nil, "", problem.Wrap("read the queued commands", err)
	}
	payload := cmd.Request
	return cmd.public(), payload, nil
}

// Expire ends the queued commands whose station did not come back in time.
func (c *Commands) Expire(ctx context.Context) error {
	return c.settleAll(ctx, `status = 'queued' AND expires_at < $1`, Expired, "the station did not come back in time", db.Micros(time.Now()))
}

// settleAll ends all commands that fit a condition of constant words.
func (c *Commands) settleAll(ctx context.Context, condition string, status Status, text string, args ...any) error {
	for {
		list, err := c.unfinished(ctx, condition, args...)
		if err != nil {
			return err
		}
		for _, cmd := range list {
			cmd.Status, cmd.Error, cmd.FinishedAt = status, text, time.Now()
			if err := c.finish(ctx, cmd); err != nil {
				return err
			}
		}
		if len(list) < settleStep {
			return nil
		}
	}
}

// settleStep is how many commands are read at once to be settled.
const settleStep = 1000

func (c *Commands) unfinished(ctx context.Context, condition string, args ...any) ([]*Command, error) {
	rows, err := c.db.Query(ctx, `SELECT `+columns+` FROM commands WHERE `+condition+fmt.Sprintf(` ORDER BY id LIMIT %d`, settleStep), args...)
	if err != nil {
		return nil, problem.Wrap("read the unfinished commands", err)
	}
	defer rows.Close()
	var list []*Command
	for rows.Next() {
		cmd, err := scan(rows)
		if err != nil {
			return nil, problem.Wrap("read the unfinished commands", err)
		}
		list = append(list, cmd.public())
	}
	return list, problem.Wrap("read the unfinished commands", rows.Err())
}
