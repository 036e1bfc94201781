package account

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// onceFor is how long a one-time password works.
const onceFor = 7 * 24 * time.Hour

// The length of passwords that people choose, in bytes.
const (
	minPassword = 12
	maxPassword = 256
)

// oncePassword makes a one-time password.
func (a *Accounts) oncePassword() (password, hash string, until time.Time, err error) {
	password = Secret(12)
	hash, err = hashPassword(password)
	return password, hash, a.now().Add(onceFor), problem.Wrap("hash the password", err)
}

// Invite makes a user, and gives the one-time password, which is kept nowhere else.
func (a *Accounts) Invite(ctx context.Context, p Principal, u User) (User, string, error) {
	u.Email = strings.ToLower(strings.TrimSpace(u.Email))
	if addr, err := mail.ParseAddress(u.Email); err != nil || addr.Address != u.Email {
		return u, "", problem.Field("email", "is not an e-mail address")
	}
	if !p.covers(u.Role, "") {
		return u, "", problem.New(problem.Forbidden, "nobody invites somebody who may do more")
	}
	password, hash, until, err := a.oncePassword()
	if err != nil {
		return u, "", err
	}
	u.ID, u.Organisation, u.PasswordOnce = uuid.Must(uuid.NewV7()).String(), p.Organisation, true
	err = a.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`INSERT INTO users (id, organisation_id, email, name, role, password_hash, created_at, once_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			u.ID, u.Organisation, u.Email, u.Name, string(u.Role), hash, db.Micros(tx.Now()), db.Micros(until))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return problem.New(problem.Conflict, "there is a user with this e-mail address")
	})
	return u, password, problem.Wrap("keep the user", err)
}

// UserChange is what changes about a user; nil leaves as it is.
type UserChange struct {
	Name          *string
	Role          *Role
	Disabled      *bool
	ResetPassword bool // gives a one-time one
	ResetFactor   bool // takes the second factor away
}

// ChangeUser changes a user of the organisation, never so that it has no owner any more who can sign in. Who is disabled, and
// whose password is reset, is signed out everywhere. The password is "" unless it was reset.
func (a *Accounts) ChangeUser(ctx context.Context, p Principal, id string, c UserChange) (u User, password string, err error) {
	var hash string
	var until time.Time
	if c.ResetPassword {
		if password, hash, until, err = a.oncePassword(); err != nil {
			return u, "", err
		}
	}
	err = a.db.Write(ctx, func(tx *db.Tx) error {
		if u, err = lockUser(tx, p.Organisation, id); err != nil {
			return err
		}
		if err := u.apply(p, c); err != nil {
			return err
		}
		if c.ResetPassword {
			u.PasswordOnce, u.onceUntil = true, until
			if _, err := tx.Exec(`UPDATE users SET password_hash = $2, once_until = $3 WHERE id = $1`, id, hash, db.Micros(until)); err != nil {
				return err
			}
		}
		if c.ResetFactor {
			u.SecondFactor = false
			if err := dropFactor(tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`UPDATE users SET name = $2, role = $3, disabled = $4 WHERE id = $1`, id, u.Name, string(u.Role), u.Disabled); err != nil {
			return err
		}
		if u.Disabled || c.ResetPassword {
			if _, err := endSignIns(tx, id, "", ""); err != nil {
				return err
			}
		}
		return wantOwner(tx, p.Organisation)
	})
	if err != nil {
		return u, "", problem.Wrap("change the user", err)
	}
	return u, password, nil
}

func (u *User) apply(p Principal, c UserChange) error {
	if !p.covers(u.Role, "") {
		return problem.New(problem.Forbidden, "nobody changes somebody who may do more")
	}
	if c.Name != nil {
		u.Name = *c.Name
	}
	if c.Role != nil {
		if !p.covers(*c.Role, "") {
			return problem.New(problem.Forbidden, "nobody gives a role that may do more")
		}
		u.Role = *c.Role
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
	return nil
}

// RemoveUser forgets a user of the organisation, never its last owner.
func (a *Accounts) RemoveUser(ctx context.Context, p Principal, id string) error {
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		u, err := lockUser(tx, p.Organisation, id)
		if err != nil {
			return err
		}
		if !p.covers(u.Role, "") {
			return problem.New(problem.Forbidden, "nobody removes somebody who may do more")
		}
		if _, err := endSignIns(tx, id, "", ""); err != nil {
			return err
		}
		if err := dropFactor(tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM users WHERE id = $1`, id); err != nil {
			return err
		}
		return wantOwner(tx, p.Organisation)
	})
	return problem.Wrap("remove the user", err)
}

// lockUser reads a user of an organisation for a change. Changes of users of one organisation wait for each other, so that
// two owners cannot remove each other.
func lockUser(tx *db.Tx, organisation, id string) (User, error) {
	if _, err := tx.Exec(`UPDATE organisations SET name = name WHERE id = $1`, organisation); err != nil {
		return User{}, err
	}
	u, _, err := scanUser(tx.QueryRow(`SELECT `+userColumns+` FROM users u WHERE u.organisation_id = $1 AND u.id = $2`, organisation, id))
	return u, notFound("read the user", "no such user", err)
}

func wantOwner(tx *db.Tx, organisation string) error {
	var owners int
	err := tx.QueryRow(`SELECT COUNT(*) FROM users WHERE organisation_id = $1 AND role = $2 AND NOT disabled`, organisation, string(Owner)).Scan(&owners)
	if err == nil && owners == 0 {
		return problem.New(problem.Conflict, "the organisation needs an owner who can sign in")
	}
	return err
}

// Users lists the users of an organisation by id.
func (a *Accounts) Users(ctx context.Context, organisation, after string, limit int) ([]User, error) {
	rows, err := a.db.Query(ctx, `SELECT `+userColumns+` FROM users u WHERE u.organisation_id = $1 AND u.id > $2 ORDER BY u.id LIMIT $3`,
		organisation, after, limit)
	if err != nil {
		return nil, problem.Wrap("list the users", err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	var out []User
	for rows.Next() {
		u, _, err := scanUser(rows)
		if err != nil {
			return nil, problem.Wrap("list the users", err)
		}
		out = append(out, u)
	}
	return out, problem.Wrap("list the users", rows.Err())
}

// changePassword sets a person's own password, and ends all other sign-ins of the person.
func (a *Accounts) changePassword(ctx context.Context, p Principal, old, password string) error {
	if len(password) < minPassword || len(password) > maxPassword {
		return problem.Field("new", "must have %d to %d bytes", minPassword, maxPassword)
	}
	u, err := a.ownPassword(ctx, p, old)
	if err != nil {
		var e *problem.Error
		if errors.As(err, &e) && e.Field != "" {
			return problem.Field("old", "%s", e.Text)
		}
		return err
	}
	if old == password {
		return problem.Field("new", "must be another than the present one")
	}
	hash, err := hashPassword(password)
	if err != nil {
		return problem.Wrap("hash the password", err)
	}
	err = a.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`UPDATE users SET password_hash = $2, once_until = 0 WHERE id = $1`, u.ID, hash); err != nil {
			return err
		}
		_, err := endSignIns(tx, u.ID, "", p.signIn)
		return err
	})
	return problem.Wrap("change the password", err)
}
