// Package account knows who may do what: organisations (the tenants), their users, roles and API keys, and signing in.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Role is what a user or a key may do. [Grants] is the table of what each may.
type Role string

// The roles. There is none yet for the host of a site, who sees only that site: sites come first.
const (
	Viewer     Role = "viewer"     // sees
	Finance    Role = "finance"    // sees, and releases sessions that are held from billing
	Technician Role = "technician" // sees, commands and configures stations
	Operator   Role = "operator"   // the same, tokens and sessions included
	Owner      Role = "owner"      // everything, accounts and credentials included
)

// ranks are the levels that [Require] knows; the table of permissions tells finer.
var ranks = map[Role]int{Viewer: 1, Finance: 1, Technician: 2, Operator: 2, Owner: 3}

// Organisation is a tenant. Nothing that belongs to one is visible to another.
type Organisation struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// User is a person.
type User struct {
	ID           string `json:"id"`
	Organisation string `json:"-"`
	Email        string `json:"email"`
	Name         string `json:"name"`
	Role         Role   `json:"role" enum:"owner,operator,technician,finance,viewer"`
	Disabled     bool   `json:"disabled" doc:"May not sign in"`
	PasswordOnce bool   `json:"passwordOnce" doc:"The password is a one-time one, which must be changed before anything else"`
	SecondFactor bool   `json:"secondFactor" doc:"Signing in needs a code besides the password"`

	onceUntil time.Time // for a one-time password
}

// Principal is who makes a request.
type Principal struct {
	Organisation string
	Role         Role
	Name         string // for the record of who did what: an e-mail address or "key NAME"
	UserID       string // "" for an API key
	KeyID        string // "" for a person
	Scopes       Scopes // of a key that has some

	signIn     string // id of the sign-in of a person
	mustChange bool   // the password is a one-time one
}

// Actor is the id of the user or of the key.
func (p Principal) Actor() string { return p.UserID + p.KeyID }

// System is the principal of what Lumela does by itself in an organisation.
func System(organisation string) Principal {
	return Principal{Organisation: organisation, Role: Owner, Name: "lumela"}
}

// Accounts is the book of accounts.
type Accounts struct {
	db       *db.DB
	log      *slog.Logger
	sessions *scs.SessionManager
	limiter  limiter
	signed   func(context.Context, Attempt) error // may be nil
	now      func() time.Time

	mu   sync.RWMutex
	keys map[string]knownKey // by hash
}

// keyAge is how long a key that was read is not read again: how long a key works after it was taken away, on any node.
const keyAge = 2 * time.Second

type knownKey struct {
	principal Principal
	expires   time.Time // zero for never
	until     time.Time
}

// lifetime bounds a sign-in, however much it is used.
const lifetime = 7 * 24 * time.Hour

// New opens the book.
func New(d *db.DB, log *slog.Logger) *Accounts {
	a := &Accounts{db: d, log: log, keys: map[string]knownKey{}, now: time.Now}
	a.sessions = scs.New()
	a.sessions.Store = (*sessionStore)(a)
	a.sessions.Lifetime = lifetime
	a.sessions.IdleTimeout = 24 * time.Hour
	a.sessions.Cookie.Name = "lumela_session"
	a.sessions.Cookie.HttpOnly = true
	a.sessions.HashTokenInStore = true
	return a
}

// Bootstrap is what a first start made.
type Bootstrap struct {
	Fresh    bool
	Email    string
	Password string // of the owner, only when Fresh
}

// FirstEmail is the address that the owner of a fresh installation signs in with.
const FirstEmail = "owner@lumela.local"

// Bootstrap makes the first organisation and its owner when there is none. apiKey, when not empty, becomes an API key of
// the owner's role on the first start.
func (a *Accounts) Bootstrap(ctx context.Context, apiKey string) (Bootstrap, error) {
	if n, err := a.countOrganisations(ctx); err != nil || n > 0 {
		return Bootstrap{Email: FirstEmail}, err
	}
	password := Secret(12)
	hash, err := hashPassword(password)
	if err != nil {
		return Bootstrap{}, problem.Wrap("hash the first password", err)
	}
	org := Organisation{ID: uuid.Must(uuid.NewV7()).String(), Name: "My charging network"}
	owner := User{ID: uuid.Must(uuid.NewV7()).String(), Organisation: org.ID, Email: FirstEmail, Name: "Owner", Role: Owner}
	made := false
	err = a.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		made, err = insertFirst(tx, org, owner, hash, apiKey)
		return err
	})
	if err != nil {
		return Bootstrap{}, problem.Wrap("make the first organisation", err)
	}
	if !made { // another node of the cluster was first
		return Bootstrap{Email: FirstEmail}, nil
	}
	return Bootstrap{Fresh: true, Email: owner.Email, Password: password}, nil
}

// Key finds the principal of an API key. A key that was taken away stops working within seconds on every node: what was
// read of it is used for [keyAge].
func (a *Accounts) Key(ctx context.Context, key string) (Principal, error) {
	hash := hashKey(key)
	a.mu.RLock()
	known, ok := a.keys[hash]
	a.mu.RUnlock()
	now := a.now()
	if ok && now.Before(known.until) {
		return known.principal, known.check(now)
	}
	k, err := a.keyByHash(ctx, hash)
	if err == nil {
		err = k.check(now)
	}
	if err != nil {
		if problem.Is(err, problem.Unauthorized) {
			a.mu.Lock()
			delete(a.keys, hash)
			a.mu.Unlock()
		}
		return Principal{}, err
	}
	k.until = now.Add(keyAge)
	a.mu.Lock()
	a.forgetKeys(now)
	a.keys[hash] = k.knownKey
	a.mu.Unlock()
	a.noteUse(ctx, k, now)
	return k.principal, nil
}

func (k knownKey) check(now time.Time) error {
	if !k.expires.IsZero() && !now.Before(k.expires) {
		return problem.New(problem.Unauthorized, "the API key has expired")
	}
	return nil
}

// maxKeys bounds how many keys are remembered.
const maxKeys = 10_000

func (a *Accounts) forgetKeys(now time.Time) {
	if len(a.keys) < maxKeys {
		return
	}
	maps.DeleteFunc(a.keys, func(_ string, k knownKey) bool { return !now.Before(k.until) })
	if len(a.keys) >= maxKeys {
		clear(a.keys)
	}
}

// hashKey is how API keys are kept: they are long and random, so a fast hash is right for them.
func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Secret makes a random text of n bytes of randomness.
func Secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// Allows reports whether the principal has the level of a role: it sees, or it changes things as well, or it is an owner.
func (p Principal) Allows(least Role) bool { return ranks[p.Role] >= ranks[least] }

type contextKey struct{}

// With puts the principal into the context of a request.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From gives the principal of a request; it is an Unauthorized problem when there is none.
func From(ctx context.Context) (Principal, error) {
	p, ok := ctx.Value(contextKey{}).(Principal)
	if !ok {
		return Principal{}, problem.New(problem.Unauthorized, "sign in, or send an API key as bearer token")
	}
	return p, nil
}

// Require gives the principal of a request when it has the level of a role. It is the floor of an operation; what exactly
// each role may, [Guard] has looked up in the table before.
func Require(ctx context.Context, least Role) (Principal, error) {
	p, err := From(ctx)
	if err != nil {
		return p, err
	}
	if !p.Allows(least) {
		return p, problem.New(problem.Forbidden, "this needs the rights of the role %s", least)
	}
	return p, nil
}
