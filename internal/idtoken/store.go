package idtoken

import (
	"context"
	"database/sql"
	"errors"

	"lumela/internal/db"
	"lumela/internal/problem"
)

const columns = `id, uid, type, status, group_id, valid_until, note, created_at`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Token, error) {
	var t Token
	var until sql.NullInt64
	var created int64
	if err := row.Scan(&t.ID, &t.UID, &t.Type, &t.Status, &t.Group, &until, &t.Note, &created); err != nil {
		return nil, err
	}
	t.ValidUntil, t.CreatedAt = db.NullTime(until), db.Time(created)
	return &t, nil
}

// find reads the token of a uid and a type. A token without a type serves any; without a type asked for, any token of the
// uid serves, an active one first.
func (t *Tokens) find(ctx context.Context, organisation, uid, typ string) (*Token, error) {
	token, err := scan(t.db.QueryRow(ctx, `SELECT `+columns+` FROM tokens WHERE organisation_id = $1 AND uid_folded = $2
		AND ($3 = '' OR type = '' OR LOWER(type) = LOWER($3)) ORDER BY CASE WHEN type = '' AND $3 <> '' THEN 1 ELSE 0 END, status, created_at LIMIT 1`,
		organisation, fold(uid), typ))
	return token, notFound(err)
}

func notFound(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return problem.New(problem.NotFound, "no such token")
	}
	return problem.Wrap("read the token", err)
}

// Get reads a token of an organisation by its id.
func (t *Tokens) Get(ctx context.Context, organisation, id string) (*Token, error) {
	token, err := scan(t.db.QueryRow(ctx, `SELECT `+columns+` FROM tokens WHERE organisation_id = $1 AND id = $2`, organisation, id))
	return token, notFound(err)
}

// Add makes a token.
func (t *Tokens) Add(ctx context.Context, organisation string, token *Token) error {
	if err := token.check(); err != nil {
		return err
	}
	token.ID = newID()
	err := t.db.Write(ctx, func(tx *db.Tx) error {
		token.CreatedAt = tx.Now()
		_, err := tx.Exec(`INSERT INTO tokens (id, organisation_id, uid, uid_folded, type, status, group_id, valid_until, note, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, token.ID, organisation, token.UID, fold(token.UID), token.Type,
			string(token.Status), token.Group, db.NullMicros(token.ValidUntil), token.Note, db.Micros(token.CreatedAt))
		return err
	})
	return conflict(token, err)
}

func conflict(token *Token, err error) error {
	if db.IsConflict(err) {
		return problem.New(problem.Conflict, "there is a token %s of this type already", token.UID)
	}
	return problem.Wrap("store the token", err)
}

// Change lets f change a token.
func (t *Tokens) Change(ctx context.Context, organisation, id string, f func(*Token)) (*Token, error) {
	var token *Token
	err := t.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		token, err = scan(tx.QueryRow(`SELECT `+columns+` FROM tokens WHERE organisation_id = $1 AND id = $2`, organisation, id))
		if err != nil {
			return notFound(err)
		}
		f(token)
		if err := token.check(); err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE tokens SET uid = $2, uid_folded = $3, type = $4, status = $5, group_id = $6, valid_until = $7, note = $8 WHERE id = $1`,
			id, token.UID, fold(token.UID), token.Type, string(token.Status), token.Group, db.NullMicros(token.ValidUntil), token.Note)
		return err
	})
	if token == nil {
		token = &Token{}
	}
	return token, conflict(token, err)
}

// Remove forgets a token. Sessions keep what they know of it.
func (t *Tokens) Remove(ctx context.Context, organisation, id string) error {
	err := t.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`DELETE FROM tokens WHERE organisation_id = $1 AND id = $2`, organisation, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, problem.New(problem.NotFound, "no such token"))
		}
		return nil
	})
	return problem.Wrap("remove the token", err)
}

// List reads the tokens of an organisation after an id, in the order in which they were made.
func (t *Tokens) List(ctx context.Context, organisation, uid, after string, limit int) ([]Token, error) {
	rows, err := t.db.Query(ctx, `SELECT `+columns+` FROM tokens WHERE organisation_id = $1 AND ($2 = '' OR uid_folded = $2) AND id > $3 ORDER BY id LIMIT $4`,
		organisation, fold(uid), after, limit)
	if err != nil {
		return nil, problem.Wrap("list the tokens", err)
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		token, err := scan(rows)
		if err != nil {
			return nil, problem.Wrap("list the tokens", err)
		}
		out = append(out, *token)
	}
	return out, problem.Wrap("list the tokens", rows.Err())
}
