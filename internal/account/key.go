package account

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// APIKey is what a program makes requests with. The key itself is kept nowhere.
type APIKey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Role       Role       `json:"role" enum:"owner,operator,technician,finance,viewer"`
	Scopes     []string   `json:"scopes" doc:"Empty for all that the role may"`
	ExpiresAt  *time.Time `json:"expiresAt" doc:"Null for never"`
	LastUsedAt *time.Time `json:"lastUsedAt" doc:"To the hour; null for never"`
	CreatedAt  time.Time  `json:"createdAt"`
	CreatedBy  string     `json:"createdBy"`
}

// useEvery is how exactly the last use of a key is known.
const useEvery = time.Hour

// AddKey makes an API key, and gives the key itself.
func (a *Accounts) AddKey(ctx context.Context, p Principal, k APIKey) (APIKey, string, error) {
	scopes, err := scopesOf(k.Scopes)
	if err != nil {
		return k, "", err
	}
	if k.ExpiresAt != nil && !k.ExpiresAt.After(a.now()) {
		return k, "", problem.Field("expiresAt", "is over already")
	}
	for _, s := range scopes.List() {
		if !k.Role.Has(Permission(s)) {
			return k, "", problem.Field("scopes", "the role %s does not have %s", k.Role, s)
		}
	}
	if !p.covers(k.Role, scopes) {
		return k, "", problem.New(problem.Forbidden, "nobody makes a key that may do more")
	}
	key := "lumela_" + Secret(32)
	k.ID, k.Scopes, k.CreatedBy, k.LastUsedAt = uuid.Must(uuid.NewV7()).String(), scopes.List(), p.Name, nil
	var expires int64
	if k.ExpiresAt != nil {
		expires = db.Micros(*k.ExpiresAt)
	}
	err = a.db.Write(ctx, func(tx *db.Tx) error {
		k.CreatedAt = tx.Now().UTC()
		_, err := tx.Exec(`INSERT INTO api_keys (id, organisation_id, name, role, hash, created_at, scopes, expires_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			k.ID, p.Organisation, k.Name, string(k.Role), hashKey(key), db.Micros(k.CreatedAt), string(scopes), expires, k.CreatedBy)
		return err
	})
	return k, key, problem.Wrap("keep the API key", err)
}

// RemoveKey takes a key of the organisation away.
func (a *Accounts) RemoveKey(ctx context.Context, organisation, id string) error {
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`DELETE FROM api_keys WHERE organisation_id = $1 AND id = $2`, organisation, id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return problem.New(problem.NotFound, "no such API key")
	})
	if err == nil {
		a.mu.Lock()
		for hash, k := range a.keys { // other nodes notice within keyAge
			if k.principal.KeyID == id {
				delete(a.keys, hash)
			}
		}
		a.mu.Unlock()
	}
	return problem.Wrap("remove the API key", err)
}

const keyColumns = `id, name, role, scopes, expires_at, last_used_at, created_at, created_by`

func scanKey(row scanner) (k APIKey, err error) {
	var role, scopes string
	var expires, used, created int64
	err = row.Scan(&k.ID, &k.Name, &role, &scopes, &expires, &used, &created, &k.CreatedBy)
	k.Role, k.Scopes, k.CreatedAt = Role(role), Scopes(scopes).List(), time.UnixMicro(created).UTC()
	k.ExpiresAt, k.LastUsedAt = momentOf(expires), momentOf(used)
	return k, err
}

func momentOf(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := time.UnixMicro(us).UTC()
	return &t
}

// APIKeys lists the keys of an organisation by id.
func (a *Accounts) APIKeys(ctx context.Context, organisation, after string, limit int) ([]APIKey, error) {
	rows, err := a.db.Query(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE organisation_id = $1 AND id > $2 ORDER BY id LIMIT $3`, organisation, after, limit)
	if err != nil {
		return nil, problem.Wrap("list the API keys", err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	var out []APIKey
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, problem.Wrap("list the API keys", err)
		}
		out = append(out, k)
	}
	return out, problem.Wrap("list the API keys", rows.Err())
}

func (a *Accounts) apiKey(ctx context.Context, organisation, id string) (APIKey, error) {
	k, err := scanKey(a.db.QueryRow(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE organisation_id = $1 AND id = $2`, organisation, id))
	return k, notFound("read the API key", "no such API key", err)
}

// foundKey is a key as a request is checked against it.
type foundKey struct {
	knownKey
	used time.Time
}

func (a *Accounts) keyByHash(ctx context.Context, hash string) (foundKey, error) {
	var k foundKey
	var name, role, scopes string
	var expires, used int64
	err := a.db.QueryRow(ctx, `SELECT id, organisation_id, name, role, scopes, expires_at, last_used_at FROM api_keys WHERE hash = $1`, hash).
		Scan(&k.principal.KeyID, &k.principal.Organisation, &name, &role, &scopes, &expires, &used)
	if errors.Is(err, db.ErrNoRows) {
		return k, problem.New(problem.Unauthorized, "unknown API key")
	}
	k.principal.Role, k.principal.Name, k.principal.Scopes = Role(role), "key "+name, Scopes(scopes)
	if expires != 0 {
		k.expires = time.UnixMicro(expires)
	}
	if used != 0 {
		k.used = time.UnixMicro(used)
	}
	return k, problem.Wrap("read the API key", err)
}

// noteUse writes down that a key was used, once an hour. A request does not fail by it, nor wait long.
func (a *Accounts) noteUse(ctx context.Context, k foundKey, now time.Time) {
	if now.Sub(k.used) < useEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2`, k.principal.KeyID, db.Micros(now))
		return err
	})
	if err != nil {
		a.log.Warn("use of an API key not noted", "key", k.principal.KeyID, "error", err)
	}
}
