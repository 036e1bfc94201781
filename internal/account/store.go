package account

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
)

func (a *Accounts) countOrganisations(ctx context.Context) (n int, err error) {
	err = a.db.QueryRow(ctx, `SELECT COUNT(*) FROM organisations`).Scan(&n)
	return n, problem.Wrap("count organisations", err)
}

// insertFirst makes the first organisation unless there is one already.
func insertFirst(tx *db.Tx, org Organisation, owner User, hash, apiKey string) (bool, error) {
	// The fixed name of this row lets only one node of a new cluster win.
	res, err := tx.Exec(`INSERT INTO secrets (name, value) VALUES ('bootstrap', $1) ON CONFLICT DO NOTHING`, []byte(org.ID))
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	now := db.Micros(tx.Now())
	if _, err := tx.Exec(`INSERT INTO organisations (id, name, created_at) VALUES ($1, $2, $3)`, org.ID, org.Name, now); err != nil {
		return false, err
	}
	if _, err := tx.Exec(`INSERT INTO users (id, organisation_id, email, name, role, password_hash, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, owner.ID, org.ID, owner.Email, owner.Name, string(owner.Role), hash, now); err != nil {
		return false, err
	}
	if apiKey == "" {
		return true, nil
	}
	_, err = tx.Exec(`INSERT INTO api_keys (id, organisation_id, name, role, hash, created_at) VALUES ($1, $2, 'bootstrap', $3, $4, $5)`,
		uuid.Must(uuid.NewV7()).String(), org.ID, string(Owner), hashKey(apiKey), now)
	return true, err
}

// FirstOrganisation is the organisation that unknown stations show up in.
func (a *Accounts) FirstOrganisation(ctx context.Context) (Organisation, error) {
	var o Organisation
	err := a.db.QueryRow(ctx, `SELECT id, name FROM organisations ORDER BY created_at, id LIMIT 1`).Scan(&o.ID, &o.Name)
	return o, problem.Wrap("read the first organisation", err)
}

func (a *Accounts) organisation(ctx context.Context, id string) (Organisation, error) {
	o := Organisation{ID: id}
	err := a.db.QueryRow(ctx, `SELECT name FROM organisations WHERE id = $1`, id).Scan(&o.Name)
	return o, notFound("read the organisation", "no such organisation", err)
}

// userColumns are read by scanUser.
const userColumns = `u.id, u.organisation_id, u.email, u.name, u.role, u.disabled, u.once_until, u.password_hash,
	EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed)`

type scanner interface{ Scan(dest ...any) error }

func scanUser(row scanner) (u User, hash string, err error) {
	var role string
	var once int64
	err = row.Scan(&u.ID, &u.Organisation, &u.Email, &u.Name, &role, &u.Disabled, &once, &hash, &u.SecondFactor)
	u.Role = Role(role)
	if once != 0 {
		u.PasswordOnce, u.onceUntil = true, time.UnixMicro(once)
	}
	return u, hash, err
}

func (a *Accounts) userByEmail(ctx context.Context, email string) (User, string, error) {
	u, hash, err := scanUser(a.db.QueryRow(ctx, `SELECT `+userColumns+` FROM users u WHERE u.email = $1`, email))
	return u, hash, notFound("read the user", "no such user", err)
}

// user reads a user of any organisation.
func (a *Accounts) user(ctx context.Context, id string) (User, string, error) {
	u, hash, err := scanUser(a.db.QueryRow(ctx, `SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id))
	return u, hash, notFound("read the user", "no such user", err)
}

// InstallationSecret gives the random secret of a name, making it on first use. It stays the same for the life of the
// installation and is the same on every node.
func (a *Accounts) InstallationSecret(ctx context.Context, name string) ([]byte, error) {
	fresh := []byte(Secret(32))
	var value []byte
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, fresh); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT value FROM secrets WHERE name = $1`, name).Scan(&value)
	})
	return value, problem.Wrap("read the installation's secret", err)
}

func notFound(op, text string, err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return &problem.Error{Op: op, Kind: problem.NotFound, Text: text}
	}
	return problem.Wrap(op, err)
}
