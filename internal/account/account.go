// Package account knows who may do what: organisations (the tenants), their users, roles and API keys, and signing in.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Role is what a user or a key may do. Each role may do all that the ones before it may.
type Role string

// The roles, weakest first.
const (
	Viewer   Role = "viewer"   // sees
	Operator Role = "operator" // sees and commands
	Owner    Role = "owner"    // everything, accounts and credentials included
)

var ranks = map[Role]int{Viewer: 1, Operator: 2, Owner: 3}

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
	Role         Role   `json:"role"`
}

// Principal is who makes a request.
type Principal struct {
	Organisation string
	Role         Role
	Name         string // for the record of who did what: an e-mail address or "key NAME"
	UserID       string // "" for an API key
}

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

	mu   sync.RWMutex
	keys map[string]knownKey // by hash
}

// keyAge is how long a key that was read is not read again: how long a key works after it was taken away, on any node.
const keyAge = 2 * time.Second

type knownKey struct {
	principal Principal
	until     time.Time
}

// New opens the book.
func New(d *db.DB, log *slog.Logger) *Accounts {
	a := &Accounts{db: d, log: log, keys: map[string]knownKey{}}
	a.sessions = scs.New()
	a.sessions.Store = (*sessionStore)(a)
	a.sessions.Lifetime = 7 * 24 * time.Hour
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

// SignIn checks a password. It answers alike for an unknown address and a wrong password, and slows guessing down.
func (a *Accounts) SignIn(ctx context.Context, email, password, remote string) (User, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if _, err := mail.ParseAddress(email); err != nil {
		return User{}, problem.Field("email", "is not an e-mail address")
	}
	if !a.limiter.allow(remote) || !a.limiter.allow(email) {
		return User{}, problem.New(problem.TooMany, "too many attempts, try again in a few minutes")
	}
	u, hash, err := a.userByEmail(ctx, email)
	if err != nil && !problem.Is(err, problem.NotFound) {
		return User{}, err
	}
	if err != nil {
		hash = dummyHash()
	}
	if !checkPassword(hash, password) || err != nil {
		a.limiter.failed(remote)
		a.limiter.failed(email)
		return User{}, problem.New(problem.Unauthorized, "wrong e-mail address or password")
	}
	a.limiter.succeeded(remote)
	a.limiter.succeeded(email)
	return u, nil
}

// Key finds the principal of an API key. A key that was taken away stops working within seconds on every node.
func (a *Accounts) Key(ctx context.Context, key string) (Principal, error) {
	hash := hashKey(key)
	a.mu.RLock()
	known, ok := a.keys[hash]
	a.mu.RUnlock()
	now := time.Now()
	if ok && now.Before(known.until) {
		return known.principal, nil
	}
	p, err := a.keyByHash(ctx, hash)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		if problem.Is(err, problem.Unauthorized) {
			delete(a.keys, hash)
		}
		return Principal{}, err
	}
	a.keys[hash] = knownKey{principal: p, until: now.Add(keyAge)}
	return p, nil
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

// Allows reports whether the principal has at least a role.
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

// Require gives the principal of a request when it has at least a role.
func Require(ctx context.Context, least Role) (Principal, error) {
	p, err := From(ctx)
	if err != nil {
		return p, err
	}
	if !p.Allows(least) {
		return p, problem.New(problem.Forbidden, "this needs the role %s", least)
	}
	return p, nil
}
