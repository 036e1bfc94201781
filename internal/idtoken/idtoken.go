// Package idtoken decides who may charge: RFID cards, apps, contracts and whatever else identifies a driver.
package idtoken

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// Status says whether a token may be used.
type Status string

// The states of a token.
const (
	Active  Status = "active"
	Blocked Status = "blocked"
)

// Token identifies a driver.
type Token struct {
	ID         string     `json:"id"`
	UID        string     `json:"uid" doc:"What the reader reads; compared without regard to case"`
	Type       string     `json:"type" doc:"As OCPP 2.1's IdTokenEnum; empty matches any type"`
	Status     Status     `json:"status" enum:"active,blocked"`
	Group      string     `json:"group" doc:"Tokens of a group may stop each other's sessions"`
	ValidUntil *time.Time `json:"validUntil"`
	Note       string     `json:"note"`
	CreatedAt  time.Time  `json:"createdAt"`
}

// Types are the token types of OCPP 2.1's appendix.
var Types = []string{"Central", "DirectPayment", "eMAID", "EVCCID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NEMA",
	"NoAuthorization", "VIN"}

// NoAuthorization is the type of a start that needs nobody's permission: free vending by button. OCPP 2.1 C02.FR.01.
const NoAuthorization = "NoAuthorization"

// Tokens is the book of tokens.
type Tokens struct{ db *db.DB }

// New opens the book.
func New(d *db.DB) *Tokens { return &Tokens{db: d} }

// fold is how uids are compared: every identifier of OCPP is case-insensitive.
func fold(uid string) string { return strings.ToLower(uid) }

// check tells what is wrong with a token.
func (t *Token) check() error {
	switch n := utf8.RuneCountInString(t.UID); {
	case n == 0:
		return problem.Field("uid", "must not be empty")
	case n > 255:
		return problem.Field("uid", "must have at most 255 characters")
	case strings.ContainsFunc(t.UID, unicode.IsControl):
		return problem.Field("uid", "must not contain control characters")
	}
	if t.Type != "" {
		known := false
		for _, name := range Types {
			if strings.EqualFold(name, t.Type) {
				t.Type, known = name, true
			}
		}
		if !known {
			return problem.Field("type", "must be one of %s", strings.Join(Types, ", "))
		}
	}
	if utf8.RuneCountInString(t.Group) > 36 {
		return problem.Field("group", "must have at most 36 characters")
	}
	if strings.ContainsFunc(t.Group, unicode.IsControl) {
		return problem.Field("group", "must not contain control characters")
	}
	if strings.ContainsRune(t.Note, 0) {
		return problem.Field("note", "must not contain NUL")
	}
	return nil
}

// Decision is what an authorisation came to.
type Decision struct {
	Status v21.AuthorizationStatus
	Token  *Token // nil when unknown
}

// Accepted reports whether charging is allowed.
func (d Decision) Accepted() bool { return d.Status == v21.AuthorizationStatusAccepted }

// Decide says whether a token may charge now.
func (t *Tokens) Decide(ctx context.Context, organisation string, id *v21.IDToken, now time.Time) (Decision, error) {
	if strings.EqualFold(id.Type, NoAuthorization) {
		return Decision{Status: v21.AuthorizationStatusAccepted}, nil
	}
	typ := id.Type
	if typ == translate.UntypedIDToken {
		typ = ""
	}
	token, err := t.find(ctx, organisation, id.IDToken, typ)
	if problem.Is(err, problem.NotFound) {
		return Decision{Status: v21.AuthorizationStatusUnknown}, nil
	}
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Status: v21.AuthorizationStatusAccepted, Token: token}
	switch {
	case token.Status == Blocked:
		d.Status = v21.AuthorizationStatusBlocked
	case token.ValidUntil != nil && !now.Before(*token.ValidUntil):
		d.Status = v21.AuthorizationStatusExpired
	}
	return d, nil
}

// Info is the decision as a station hears it.
func (d Decision) Info() v21.IDTokenInfo {
	info := v21.IDTokenInfo{Status: d.Status}
	if d.Token == nil {
		return info
	}
	if d.Token.Group != "" {
		info.GroupIDToken = &v21.IDToken{IDToken: d.Token.Group, Type: "Central"}
	}
	if d.Token.ValidUntil != nil {
		info.CacheExpiryDateTime = ocpp.Some(*d.Token.ValidUntil)
	}
	return info
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
