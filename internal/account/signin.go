package account

import (
	"context"
	"errors"
	"net/mail"
	"strings"

	"lumela/internal/problem"
)

// Credentials are what a person signs in with.
type Credentials struct {
	Email, Password string
	Code            string // of the second factor, or a recovery code; "" for none
	Address         string // the person's
}

// Attempt is one attempt to sign in, for the record of who did what.
type Attempt struct {
	Organisation string
	Who          string // the e-mail address that was given
	UserID       string // "" when there is no such user
	Role         Role
	Address      string
	Refused      string // why, "" when the person is signed in
}

// OnSignIn has every attempt told before it is answered; its failure is that of the attempt. Attempts that the limiter
// turns away are not told: they are no attempts, and there may be any number of them.
func (a *Accounts) OnSignIn(f func(context.Context, Attempt) error) { a.signed = f }

var (
	errSignIn  = problem.New(problem.Unauthorized, "wrong e-mail address or password")
	errTooMany = problem.New(problem.TooMany, "too many attempts, try again in a few minutes")
)

// SignIn checks a password, and the second factor of who has one. It answers alike for an unknown address and a wrong
// password, and slows guessing down. An Unauthorized problem with the field "code" says that the password is right.
func (a *Accounts) SignIn(ctx context.Context, c Credentials) (User, error) {
	email := strings.ToLower(strings.TrimSpace(c.Email))
	if _, err := mail.ParseAddress(email); err != nil {
		return User{}, problem.Field("email", "is not an e-mail address")
	}
	if !a.limiter.take(c.Address) {
		return User{}, errTooMany
	}
	if !a.limiter.take(email) {
		a.limiter.giveBack(c.Address)
		return User{}, errTooMany
	}
	u, hash, err := a.userByEmail(ctx, email)
	known := err == nil
	if !known {
		if !problem.Is(err, problem.NotFound) {
			return User{}, err
		}
		hash = dummyHash()
	}
	refused := a.prove(ctx, u, c, checkPassword(hash, c.Password) && known && !u.Disabled)
	if err := a.tell(ctx, u, email, c.Address, refused); err != nil {
		return User{}, err
	}
	if refused != nil {
		if errors.Is(refused, errNoCode) {
			a.limiter.giveBack(c.Address)
			a.limiter.giveBack(email)
		}
		return User{}, refused
	}
	a.limiter.giveBack(c.Address)
	a.limiter.succeeded(email)
	return u, nil
}

// prove looks at what is asked beside the password.
func (a *Accounts) prove(ctx context.Context, u User, c Credentials, password bool) error {
	switch {
	case !password:
		return errSignIn
	case u.PasswordOnce && a.now().After(u.onceUntil):
		return problem.New(problem.Unauthorized, "the one-time password has expired: ask an owner for another")
	case u.SecondFactor:
		return a.proveFactor(ctx, u.ID, c.Code, true)
	}
	return nil
}

// tell records an attempt. That of an unknown address is told to the first organisation, whose installation it is.
func (a *Accounts) tell(ctx context.Context, u User, email, address string, refused error) error {
	if a.signed == nil {
		return nil
	}
	t := Attempt{Organisation: u.Organisation, Who: email, UserID: u.ID, Role: u.Role, Address: address}
	if refused != nil {
		t.Refused = problem.Of(refused).Text
		if u.ID == "" {
			t.Refused = "unknown e-mail address"
		}
		if u.Disabled {
			t.Refused = "the user is disabled"
		}
	}
	if t.Organisation == "" {
		home, err := a.FirstOrganisation(ctx)
		if err != nil {
			return err
		}
		t.Organisation = home.ID
	}
	return a.signed(ctx, t)
}

// ownPassword checks the password of who is signed in already, slowly for who guesses.
func (a *Accounts) ownPassword(ctx context.Context, p Principal, password string) (User, error) {
	if p.UserID == "" {
		return User{}, problem.New(problem.Forbidden, "this is for people: an API key has no password")
	}
	name := "own " + p.UserID
	if !a.limiter.take(name) {
		return User{}, errTooMany
	}
	u, hash, err := a.user(ctx, p.UserID)
	if err != nil {
		return u, err
	}
	if !checkPassword(hash, password) {
		return u, problem.Field("password", "is not your present password")
	}
	a.limiter.succeeded(name)
	return u, nil
}
