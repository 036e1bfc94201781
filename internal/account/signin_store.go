package account

import (
	"context"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// What a sign-in holds.
const (
	inUser    = "user"
	inID      = "id"
	inAddress = "address"
	inAgent   = "agent"
)

// SignInView is one sign-in of a person at the console.
type SignInView struct {
	ID        string    `json:"id"`
	Address   string    `json:"address"`
	Agent     string    `json:"agent" doc:"What the browser says it is"`
	CreatedAt time.Time `json:"createdAt"`
	SeenAt    time.Time `json:"seenAt"`
	ExpiresAt time.Time `json:"expiresAt" doc:"When it ends unless it is used"`
	Current   bool      `json:"current" doc:"The one that asks"`
}

// sessionStore keeps the console's sign-ins for scs.
type sessionStore Accounts

// Find implements scs.Store.
func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	var data []byte
	err := s.db.QueryRow(context.Background(), `SELECT data FROM sign_ins WHERE token = $1 AND expires_at > $2`,
		token, db.Micros(time.Now())).Scan(&data)
	if errors.Is(err, db.ErrNoRows) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// Commit implements scs.Store. A sign-in that was ended is not written back by a request that was under way.
func (s *sessionStore) Commit(token string, data []byte, expiry time.Time) error {
	text := func(string) string { return "" }
	if _, values, err := (scs.GobCodec{}).Decode(data); err == nil {
		text = func(name string) string { v, _ := values[name].(string); return v }
	}
	return s.db.Write(context.Background(), func(tx *db.Tx) error {
		now := db.Micros(tx.Now())
		for _, q := range []string{`DELETE FROM sign_ins WHERE expires_at < $1`, `DELETE FROM ended_sign_ins WHERE forget_at < $1`} {
			if _, err := tx.Exec(q, now); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO sign_ins (token, data, expires_at, id, user_id, address, agent, created_at, seen_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at, id = excluded.id, user_id = excluded.user_id,
				address = excluded.address, agent = excluded.agent, seen_at = excluded.seen_at`,
			token, data, db.Micros(expiry), text(inID), text(inUser), text(inAddress), text(inAgent), now); err != nil {
			return err
		}
		// After the insertion, which waits for whoever ends this sign-in at the same moment.
		_, err := tx.Exec(`DELETE FROM sign_ins WHERE token = $1 AND id IN (SELECT id FROM ended_sign_ins)`, token)
		return err
	})
}

// Delete implements scs.Store.
func (s *sessionStore) Delete(token string) error {
	return s.db.Write(context.Background(), func(tx *db.Tx) error {
		var id string
		err := tx.QueryRow(`SELECT id FROM sign_ins WHERE token = $1`, token).Scan(&id)
		if errors.Is(err, db.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := bury(tx, id); err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM sign_ins WHERE token = $1`, token)
		return err
	})
}

// bury notes that a sign-in was ended, for as long as a request could still hold it.
func bury(tx *db.Tx, id string) error {
	if id == "" {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO ended_sign_ins (id, forget_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, db.Micros(tx.Now().Add(lifetime)))
	return err
}

// endSignIns ends the sign-ins of a user: one, or all but one.
func endSignIns(tx *db.Tx, user, only, except string) (ended int, err error) {
	rows, err := tx.Query(`SELECT id FROM sign_ins WHERE user_id = $1`, user)
	if err != nil {
		return 0, err
	}
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		if (only == "" || id == only) && (except == "" || id != except) {
			ids = append(ids, id)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := bury(tx, id); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(`DELETE FROM sign_ins WHERE id = $1 AND user_id = $2`, id, user); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// signIns lists the sign-ins of a user, the newest first.
func (a *Accounts) signIns(ctx context.Context, user string) ([]SignInView, error) {
	rows, err := a.db.Query(ctx, `SELECT id, address, agent, created_at, seen_at, expires_at FROM sign_ins
		WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id`, user, db.Micros(a.now()))
	if err != nil {
		return nil, problem.Wrap("list the sign-ins", err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	var out []SignInView
	for rows.Next() {
		var v SignInView
		var created, seen, expires int64
		if err := rows.Scan(&v.ID, &v.Address, &v.Agent, &created, &seen, &expires); err != nil {
			return nil, problem.Wrap("list the sign-ins", err)
		}
		v.CreatedAt, v.SeenAt, v.ExpiresAt = time.UnixMicro(created).UTC(), time.UnixMicro(seen).UTC(), time.UnixMicro(expires).UTC()
		out = append(out, v)
	}
	return out, problem.Wrap("list the sign-ins", rows.Err())
}
