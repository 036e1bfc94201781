package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
)

const columns = `id, organisation_id, url, description, types, status, reason, created_at, secret, old_secret, old_until, place, place_at,
	streak, next_at, failing_since, last_success_at`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Webhook, error) {
	var w Webhook
	var types, place string
	var created, placed, next int64
	var until, failing, succeeded sql.NullInt64
	err := row.Scan(&w.ID, &w.Organisation, &w.URL, &w.Description, &types, &w.Status, &w.Reason, &created, &w.secret, &w.old, &until, &place, &placed,
		&w.streak, &next, &failing, &succeeded)
	if errors.Is(err, db.ErrNoRows) {
		return nil, problem.New(problem.NotFound, "no such webhook")
	}
	if err != nil {
		return nil, err
	}
	w.CreatedAt, w.placeAt, w.nextAt = db.Time(created), db.Time(placed), db.Time(next)
	w.oldUntil, w.FailingSince, w.SucceededAt = db.NullTime(until), db.NullTime(failing), db.NullTime(succeeded)
	if w.place, err = event.ParseCursor(place); err != nil {
		return nil, err
	}
	return &w, json.Unmarshal([]byte(types), &w.Types)
}

func scanAll[T any](rows *sql.Rows, one func(scanner) (*T, error)) ([]*T, error) {
	defer rows.Close()
	out := []*T{}
	for rows.Next() {
		v, err := one(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// insert keeps a new webhook.
func (h *Webhooks) insert(ctx context.Context, w *Webhook) error {
	w.ID = uuid.Must(uuid.NewV7()).String()
	err := h.db.Write(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM webhooks WHERE organisation_id = $1`, w.Organisation).Scan(&n); err != nil {
			return err
		}
		if n >= MostWebhooks {
			return problem.New(problem.TooMany, "an organisation has at most %d webhooks", MostWebhooks)
		}
		types, err := typesJSON(w.Types)
		if err != nil {
			return err
		}
		now := h.clock.Now()
		w.CreatedAt, w.placeAt = db.Time(db.Micros(now)), now
		_, err = tx.Exec(`INSERT INTO webhooks (`+columns+`, last_seq) VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, NULL, NULL, $9, $7, 0, $7, NULL, NULL, 0)`,
			w.ID, w.Organisation, w.URL, w.Description, types, string(w.Status), db.Micros(now), w.secret, w.place.String())
		return err
	})
	return problem.Wrap("keep the webhook", err)
}

func typesJSON(types []string) (string, error) {
	if types == nil {
		types = []string{}
	}
	raw, err := json.Marshal(types)
	return string(raw), err
}

// List reads the webhooks of an organisation.
func (h *Webhooks) List(ctx context.Context, organisation string) ([]*Webhook, error) {
	rows, err := h.db.Query(ctx, `SELECT `+columns+` FROM webhooks WHERE organisation_id = $1 ORDER BY id`, organisation)
	if err != nil {
		return nil, problem.Wrap("read the webhooks", err)
	}
	list, err := scanAll(rows, scan)
	return list, problem.Wrap("read the webhooks", err)
}

// Get reads a webhook of an organisation.
func (h *Webhooks) Get(ctx context.Context, organisation, id string) (*Webhook, error) {
	w, err := scan(h.db.QueryRow(ctx, `SELECT `+columns+` FROM webhooks WHERE id = $1 AND organisation_id = $2`, id, organisation))
	return w, problem.Wrap("read the webhook", err)
}

// active reads the webhooks that are sent to, whatever their organisation.
func (h *Webhooks) active(ctx context.Context) ([]*Webhook, error) {
	rows, err := h.db.Query(ctx, `SELECT `+columns+` FROM webhooks WHERE status = $1 ORDER BY next_at, id`, string(Active))
	if err != nil {
		return nil, problem.Wrap("read the webhooks", err)
	}
	list, err := scanAll(rows, scan)
	return list, problem.Wrap("read the webhooks", err)
}

// lock makes the writers of a webhook wait for each other, and reads it.
func lock(tx *db.Tx, organisation, id string) (*Webhook, error) {
	if _, err := tx.Exec(`UPDATE webhooks SET last_seq = last_seq WHERE id = $1 AND organisation_id = $2`, id, organisation); err != nil {
		return nil, err
	}
	return scan(tx.QueryRow(`SELECT `+columns+` FROM webhooks WHERE id = $1 AND organisation_id = $2`, id, organisation))
}

// update changes a webhook.
func (h *Webhooks) update(ctx context.Context, organisation, id string, change func(w *Webhook, now time.Time)) (w *Webhook, err error) {
	err = h.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		if w, err = lock(tx, organisation, id); err != nil {
			return err
		}
		before, now := w.Status, h.clock.Now()
		change(w, now)
		types, err := typesJSON(w.Types)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(`UPDATE webhooks SET url = $2, description = $3, types = $4, status = $5, reason = $6, secret = $7, old_secret = $8,
			old_until = $9, place = $10, place_at = $11, streak = $12, next_at = $13, failing_since = $14 WHERE id = $1`, id, w.URL, w.Description,
			types, string(w.Status), w.Reason, w.secret, w.old, db.NullMicros(w.oldUntil), w.place.String(), db.Micros(w.placeAt), w.streak,
			db.Micros(w.nextAt), db.NullMicros(w.FailingSince)); err != nil || before == Active || w.Status != Active {
			return err
		}
		return hurry(tx, id, now)
	})
	return w, problem.Wrap("change the webhook", err)
}

// hurry makes everything due that waits for a webhook.
func hurry(tx *db.Tx, webhook string, now time.Time) error {
	_, err := tx.Exec(`UPDATE webhook_deliveries SET next_at = $2 WHERE webhook_id = $1 AND status = 'pending' AND next_at > $2`, webhook, db.Micros(now))
	return err
}

// Remove forgets a webhook; its log goes with the next purge.
func (h *Webhooks) Remove(ctx context.Context, organisation, id string) error {
	err := h.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`DELETE FROM webhooks WHERE id = $1 AND organisation_id = $2`, id, organisation)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return problem.New(problem.NotFound, "no such webhook")
	})
	return problem.Wrap("forget the webhook", err)
}

const deliveryColumns = `id, event_id, type, at, body, status, attempts, step, response_status, response, error, created_at, attempted_at, next_at`

func scanDelivery(row scanner) (*Delivery, error) {
	var d Delivery
	var at, created int64
	var attempted, next sql.NullInt64
	err := row.Scan(&d.ID, &d.EventID, &d.Type, &at, &d.body, &d.Status, &d.Attempts, &d.step, &d.ResponseStatus, &d.Response, &d.Error, &created,
		&attempted, &next)
	d.Time, d.CreatedAt, d.AttemptedAt, d.NextAttempt = db.Time(at), db.Time(created), db.NullTime(attempted), db.NullTime(next)
	return &d, err
}

// Deliveries reads the log of a webhook, newest first, behind the id before ("" for the beginning). status and typ select
// unless they are empty.
func (h *Webhooks) Deliveries(ctx context.Context, organisation, webhook, status, typ, before string, limit int) ([]*Delivery, error) {
	if _, err := h.Get(ctx, organisation, webhook); err != nil {
		return nil, err
	}
	rows, err := h.db.Query(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE webhook_id = $1 AND ($2 = '' OR status = $2)
		AND ($3 = '' OR type = $3) AND ($4 = '' OR id < $4) ORDER BY id DESC LIMIT $5`, webhook, status, typ, before, limit)
	if err != nil {
		return nil, problem.Wrap("read the deliveries", err)
	}
	list, err := scanAll(rows, scanDelivery)
	return list, problem.Wrap("read the deliveries", err)
}

// pending counts what waits for a webhook, up to a bound.
func (h *Webhooks) pending(ctx context.Context, webhook string) (n int, err error) {
	err = h.db.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'pending' LIMIT $2) AS waiting`,
		webhook, mostPending).Scan(&n)
	return n, problem.Wrap("count the deliveries", err)
}

// known reads which events a webhook has that were made since some moment.
func (h *Webhooks) known(ctx context.Context, webhook string, events []event.Event) (map[string]bool, error) {
	known := map[string]bool{}
	if len(events) == 0 {
		return known, nil
	}
	from, to := events[0].Time, events[0].Time
	for _, e := range events {
		if e.Time.Before(from) {
			from = e.Time
		}
		if e.Time.After(to) {
			to = e.Time
		}
	}
	rows, err := h.db.Query(ctx, `SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 AND at >= $2 AND at <= $3`, webhook, db.Micros(from), db.Micros(to))
	if err != nil {
		return nil, problem.Wrap("read the deliveries", err)
	}
	ids, err := scanAll(rows, func(row scanner) (*string, error) {
		var id string
		err := row.Scan(&id)
		return &id, err
	})
	for _, id := range ids {
		known[*id] = true
	}
	return known, problem.Wrap("read the deliveries", err)
}

// add puts deliveries at the end of what waits for a webhook. An event that it has is left out.
func (h *Webhooks) add(tx *db.Tx, webhook string, list []*Delivery) error {
	var seq int64
	if err := tx.QueryRow(`UPDATE webhooks SET last_seq = last_seq + $2 WHERE id = $1 RETURNING last_seq`, webhook, len(list)).Scan(&seq); err != nil {
		if errors.Is(err, db.ErrNoRows) {
			return problem.New(problem.NotFound, "no such webhook")
		}
		return err
	}
	for i, d := range list {
		if _, err := tx.Exec(`INSERT INTO webhook_deliveries (`+deliveryColumns+`, webhook_id, seq) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT DO NOTHING`, d.ID, d.EventID, d.Type, db.Micros(d.Time), d.body, string(d.Status), d.Attempts, d.ResponseStatus, d.Response, d.Error,
			db.Micros(d.CreatedAt), db.NullMicros(d.AttemptedAt), db.NullMicros(d.NextAttempt), webhook, seq-int64(len(list)-1-i)); err != nil {
			return err
		}
	}
	return nil
}

// take keeps deliveries and the place behind their events, unless the webhook has meanwhile begun anew elsewhere.
func (h *Webhooks) take(ctx context.Context, w *Webhook, list []*Delivery, next event.Cursor, tell func(tx *db.Tx)) (mine bool, err error) {
	now := h.clock.Now()
	err = h.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`UPDATE webhooks SET place = $2, place_at = $3 WHERE id = $1 AND place = $4 AND status = $5`,
			w.ID, next.String(), db.Micros(now), w.place.String(), string(Active))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if mine = n == 1; err != nil || !mine {
			return err
		}
		if tell != nil {
			tell(tx)
		}
		return h.add(tx, w.ID, list)
	})
	if err == nil && mine {
		w.place, w.placeAt = next, now
	}
	return mine, problem.Wrap("take the events of the webhook", err)
}

// head reads the next delivery of a webhook: the oldest that is due, unless an earlier one holds it up. It is nil for none.
func (h *Webhooks) head(ctx context.Context, webhook string, now time.Time) (*Delivery, error) {
	d, err := scanDelivery(h.db.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries
		WHERE webhook_id = $1 AND status = 'pending' AND (next_at <= $2 OR step < $3) ORDER BY seq LIMIT 1`, webhook, db.Micros(now), held))
	if errors.Is(err, db.ErrNoRows) || err == nil && d.NextAttempt.After(now) {
		return nil, nil
	}
	return d, problem.Wrap("read the next delivery", err)
}

// settle keeps what came of an attempt, for the delivery and the webhook. A webhook that was paused or disabled meanwhile
// stays so.
func (h *Webhooks) settle(ctx context.Context, w *Webhook, d *Delivery, back bool, tell func(tx *db.Tx)) error {
	err := h.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := lock(tx, w.Organisation, w.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE webhook_deliveries SET status = $2, attempts = attempts + 1, step = $3, response_status = $4, response = $5, error = $6,
			attempted_at = $7, next_at = $8 WHERE id = $1`, d.ID, string(d.Status), d.step, d.ResponseStatus, d.Response, d.Error,
			db.NullMicros(d.AttemptedAt), db.NullMicros(d.NextAttempt)); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE webhooks SET streak = $2, next_at = $3, failing_since = $4, last_success_at = $5 WHERE id = $1`,
			w.ID, w.streak, db.Micros(w.nextAt), db.NullMicros(w.FailingSince), db.NullMicros(w.SucceededAt)); err != nil {
			return err
		}
		if back {
			if err := hurry(tx, w.ID, w.nextAt); err != nil {
				return err
			}
		}
		if w.Status != Paused {
			return nil
		}
		res, err := tx.Exec(`UPDATE webhooks SET status = $2, reason = $3 WHERE id = $1 AND status = $4`, w.ID, string(Paused), w.Reason, string(Active))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		tell(tx)
		return nil
	})
	return problem.Wrap("keep the delivery", err)
}

// Resend makes a delivery wait again, behind all others and with a schedule of its own.
func (h *Webhooks) Resend(ctx context.Context, organisation, webhook, id string) (d *Delivery, err error) {
	err = h.db.Write(ctx, func(tx *db.Tx) error {
		w, err := lock(tx, organisation, webhook)
		if err != nil {
			return err
		}
		if w.Status != Active {
			return problem.New(problem.Conflict, "the webhook is %s: make it active first", w.Status)
		}
		now := db.Micros(h.clock.Now())
		res, err := tx.Exec(`UPDATE webhook_deliveries SET status = 'pending', step = 0, next_at = $3,
			seq = (SELECT last_seq + 1 FROM webhooks WHERE id = $2) WHERE id = $1 AND webhook_id = $2`, id, webhook, now)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errOr(err, problem.New(problem.NotFound, "no such delivery of this webhook"))
		}
		if _, err := tx.Exec(`UPDATE webhooks SET last_seq = last_seq + 1, next_at = $2 WHERE id = $1`, webhook, now); err != nil {
			return err
		}
		d, err = scanDelivery(tx.QueryRow(`SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE id = $1`, id))
		return err
	})
	return d, problem.Wrap("send the delivery again", err)
}

// purgeStep bounds the deliveries that one transaction forgets.
const purgeStep = 1000

// Purge forgets what the log keeps no longer, and the logs of webhooks that are no more.
func (h *Webhooks) Purge(ctx context.Context) error {
	now := h.clock.Now()
	for {
		var n int64
		err := h.db.Write(ctx, func(tx *db.Tx) error {
			res, err := tx.Exec(`DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries AS d
				WHERE (status = 'delivered' AND created_at < $1) OR (status = 'failed' AND created_at < $2)
				OR NOT EXISTS (SELECT 1 FROM webhooks AS w WHERE w.id = d.webhook_id) LIMIT $3)`,
				db.Micros(now.Add(-keepDelivered)), db.Micros(now.Add(-keepFailed)), purgeStep)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil || n < purgeStep {
			return problem.Wrap("forget old deliveries", err)
		}
	}
}
