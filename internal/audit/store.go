package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/problem"
)

func insert(tx *db.Tx, e *Entry) error {
	_, err := tx.Exec(`INSERT INTO audit_entries (id, organisation_id, at, ended_at, who, actor, role, address, operation, method, path, kind, object, station,
		request, was, became, status, outcome, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', '', '', $15, $16, $17)`,
		e.ID, e.organisation, db.Micros(e.At), ended(e), e.Who, e.Actor, string(e.Role), e.Address, e.Operation, e.Method, e.Path, e.Kind, e.Object, e.Station,
		e.Status, string(e.Outcome), e.Error)
	return err
}

func ended(e *Entry) int64 {
	if e.EndedAt == nil {
		return 0
	}
	return db.Micros(*e.EndedAt)
}

func update(tx *db.Tx, e *Entry) error {
	_, err := tx.Exec(`UPDATE audit_entries SET ended_at = $2, kind = $3, object = $4, station = $5, request = $6, was = $7, became = $8, status = $9,
		outcome = $10, error = $11 WHERE id = $1`,
		e.ID, ended(e), e.Kind, e.Object, e.Station, string(e.Request), string(e.Before), string(e.After), e.Status, string(e.Outcome), e.Error)
	return err
}

// Filter says which entries are asked for; empty fields take all.
type Filter struct {
	Who       string // a name, or the id of a user or a key
	Operation string
	Object    string
	Station   string
	From, To  time.Time
	Before    string // id of the last entry of the page before
	Limit     int
}

// List gives the entries of an organisation, the newest first.
func (l *Log) List(ctx context.Context, organisation string, f Filter) ([]Entry, error) {
	args := []any{organisation, db.Micros(f.From), db.Micros(f.To)}
	where := "organisation_id = $1 AND at >= $2 AND at < $3"
	add := func(condition, value string) {
		if value != "" {
			args = append(args, value)
			where += " AND " + strings.ReplaceAll(condition, "?", fmt.Sprintf("$%d", len(args)))
		}
	}
	add("(who = ? OR actor = ?)", f.Who)
	add("operation = ?", f.Operation)
	add("object = ?", f.Object)
	add("station = ?", f.Station)
	add("id < ?", f.Before)
	args = append(args, f.Limit)
	rows, err := l.db.Query(ctx, `SELECT id, at, ended_at, who, actor, role, address, operation, method, path, kind, object, station, request, was, became,
		status, outcome, error FROM audit_entries WHERE `+where+fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args)), args...)
	if err != nil {
		return nil, problem.Wrap("read the audit log", err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	var out []Entry
	for rows.Next() {
		var e Entry
		var at, ended int64
		var role, outcome, request, was, became string
		if err := rows.Scan(&e.ID, &at, &ended, &e.Who, &e.Actor, &role, &e.Address, &e.Operation, &e.Method, &e.Path, &e.Kind, &e.Object, &e.Station,
			&request, &was, &became, &e.Status, &outcome, &e.Error); err != nil {
			return nil, problem.Wrap("read the audit log", err)
		}
		e.At, e.Role, e.Outcome = time.UnixMicro(at).UTC(), account.Role(role), Outcome(outcome)
		if ended != 0 {
			t := time.UnixMicro(ended).UTC()
			e.EndedAt = &t
		}
		e.Request, e.Before, e.After = raw(request), raw(was), raw(became)
		out = append(out, e)
	}
	return out, problem.Wrap("read the audit log", rows.Err())
}

func raw(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

// purgeStep is how many entries one transaction forgets.
const purgeStep = 1000

func purge(ctx context.Context, d *db.DB, before time.Time) (total int64, err error) {
	for {
		var n int64
		err := d.Write(ctx, func(tx *db.Tx) error {
			res, err := tx.Exec(`DELETE FROM audit_entries WHERE id IN (SELECT id FROM audit_entries WHERE at < $1 ORDER BY at LIMIT $2)`, db.Micros(before), purgeStep)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		total += n
		if err != nil || n < purgeStep {
			return total, problem.Wrap("forget old entries of the audit log", err)
		}
	}
}
