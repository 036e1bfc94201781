package account

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Guessing codes: after maxCodeFailures wrong ones in a row a second factor is locked, on every node, for codeLock, then
// for twice as long after each further one.
const (
	maxCodeFailures = 5
	codeLock        = 15 * time.Minute
	maxCodeLock     = 24 * time.Hour
	recoveryCodes   = 10
)

var (
	errNoCode    = &problem.Error{Kind: problem.Unauthorized, Field: "code", Text: "the code of the second factor is needed"}
	errWrongCode = &problem.Error{Kind: problem.Unauthorized, Field: "code", Text: "the code is wrong, or was used already"}
	errLocked    = problem.New(problem.TooMany, "too many wrong codes, try again later")
)

// factor is a second factor as it is kept.
type factor struct {
	secret    []byte
	confirmed bool
	last      int64
	failures  int64
	locked    time.Time
}

// lockFactor reads a second factor for a change; nobody else changes it before the transaction ends.
func lockFactor(tx *db.Tx, user string) (f factor, err error) {
	if _, err := tx.Exec(`UPDATE second_factors SET user_id = user_id WHERE user_id = $1`, user); err != nil {
		return f, err
	}
	var locked int64
	err = tx.QueryRow(`SELECT secret, confirmed, last_step, failures, locked_until FROM second_factors WHERE user_id = $1`, user).
		Scan(&f.secret, &f.confirmed, &f.last, &f.failures, &locked)
	if locked != 0 {
		f.locked = time.UnixMicro(locked)
	}
	return f, err
}

// proveFactor checks a code, which is used up by it. A recovery code does as well where the factor is confirmed.
func (a *Accounts) proveFactor(ctx context.Context, user, code string, confirmed bool) error {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	if code == "" {
		return errNoCode
	}
	var verdict error // a wrong code must be counted, so it is no error of the transaction
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		f, err := lockFactor(tx, user)
		if errors.Is(err, db.ErrNoRows) || err == nil && f.confirmed != confirmed {
			verdict = problem.New(problem.Conflict, "there is no such second factor")
			return nil
		}
		if err != nil {
			return err
		}
		verdict, err = a.useCode(tx, user, code, f)
		return err
	})
	if err != nil {
		return problem.Wrap("check the second factor", err)
	}
	return verdict
}

func (a *Accounts) useCode(tx *db.Tx, user, code string, f factor) (verdict, err error) {
	now := a.now()
	if now.Before(f.locked) {
		return errLocked, nil
	}
	step, ok := otpMatch(f.secret, code, now, f.last)
	if ok {
		f.last = step
	} else if f.confirmed {
		res, err := tx.Exec(`DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2`, user, hashKey(code))
		if err != nil {
			return nil, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return nil, err
		}
		ok = n == 1
	}
	f.locked = time.Time{}
	if ok {
		f.failures = 0
	} else {
		verdict = errWrongCode
		f.failures++
		if f.failures >= maxCodeFailures {
			f.locked = now.Add(min(codeLock<<min(f.failures-maxCodeFailures, 8), maxCodeLock))
		}
	}
	var locked int64
	if !f.locked.IsZero() {
		locked = db.Micros(f.locked)
	}
	_, err = tx.Exec(`UPDATE second_factors SET last_step = $2, failures = $3, locked_until = $4 WHERE user_id = $1`, user, f.last, f.failures, locked)
	return verdict, err
}

// enrol makes a new secret, which counts when it is confirmed.
func (a *Accounts) enrol(ctx context.Context, user string) ([]byte, error) {
	secret := make([]byte, otpSecret)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the process instead
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		f, err := lockFactor(tx, user)
		if err == nil && f.confirmed {
			return problem.New(problem.Conflict, "there is a second factor already: remove it first")
		}
		if err != nil && !errors.Is(err, db.ErrNoRows) {
			return err
		}
		_, err = tx.Exec(`INSERT INTO second_factors (user_id, secret, confirmed, last_step, failures, locked_until, created_at)
			VALUES ($1, $2, FALSE, 0, 0, 0, $3)
			ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = 0, failures = 0, locked_until = 0, created_at = excluded.created_at`,
			user, secret, db.Micros(a.now()))
		return err
	})
	return secret, problem.Wrap("keep the second factor", err)
}

// confirm turns the second factor on, and gives its first recovery codes.
func (a *Accounts) confirm(ctx context.Context, user, code string) ([]string, error) {
	if err := a.proveFactor(ctx, user, code, false); err != nil {
		return nil, err
	}
	return a.renewRecovery(ctx, user)
}

// renewRecovery makes new recovery codes in the place of the old ones.
func (a *Accounts) renewRecovery(ctx context.Context, user string) ([]string, error) {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		var b [10]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		codes[i] = base32.StdEncoding.EncodeToString(b[:])
	}
	err := a.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`UPDATE second_factors SET confirmed = TRUE WHERE user_id = $1`, user); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM recovery_codes WHERE user_id = $1`, user); err != nil {
			return err
		}
		for _, c := range codes {
			if _, err := tx.Exec(`INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)`, user, hashKey(c)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, problem.Wrap("keep the recovery codes", err)
	}
	for i, c := range codes { // as people read them
		codes[i] = c[:4] + "-" + c[4:8] + "-" + c[8:12] + "-" + c[12:]
	}
	return codes, nil
}

func dropFactor(tx *db.Tx, user string) error {
	if _, err := tx.Exec(`DELETE FROM recovery_codes WHERE user_id = $1`, user); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM second_factors WHERE user_id = $1`, user)
	return err
}
