package station

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"lumela/internal/problem"
)

// Credentials are what a station shows when it connects.
type Credentials struct {
	TLS      bool
	ClientCN string // subject common name of a verified client certificate
	HasBasic bool
	Username string
	Password string   // raw bytes
	Other    []string // further spellings of the same password that the station's version allows
	Remote   string
}

// Refusal is why a station may not connect.
type Refusal struct {
	Status int    // HTTP
	Reason string // for the operator; the station hears only the status
	// Attack is true when the reason should be seen by an operator as a security event.
	Attack bool
	// RetryAfter is when the station may come again, 0 for no advice.
	RetryAfter time.Duration
}

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

// Authenticate decides whether a station may connect, and makes an unknown one known where the policy allows it.
// Profiles: OCPP 2.1 A00.FR.203, OCPP 2.1 A00.FR.207, OCPP 2.1 A00.FR.405. A station that may not is returned too, with
// the reason. The error is a *Refusal or a *problem.Error.
func (s *Stations) Authenticate(ctx context.Context, id string, c Credentials) (*Station, error) {
	if err := CheckID(id); err != nil {
		return nil, &Refusal{Status: 404, Reason: err.Error()}
	}
	st, err := s.Get(ctx, ID(id))
	if problem.Is(err, problem.NotFound) {
		return s.newcomer(ctx, ID(id), c)
	}
	if err != nil {
		return nil, err
	}
	if err := st.check(c); err != nil {
		return st, err
	}
	if left := st.blockedFor(time.Now()); left > 0 { // only who has shown its password hears of it
		return st, &Refusal{Status: 429, Reason: "blocked: " + st.BlockedReason, RetryAfter: left}
	}
	return st, s.settlePassword(ctx, st, c)
}

// newcomer admits an unknown station as the policy says.
func (s *Stations) newcomer(ctx context.Context, id ID, c Credentials) (*Station, error) {
	st := &Station{ID: id, Organisation: s.home}
	switch s.policy {
	case Approve:
		if err := s.mayWait(ctx, c.Remote); err != nil {
			return nil, err
		}
		st.Admission = Pending
		if c.HasBasic && c.Password != "" && c.Username == string(id) {
			// What it shows first is what it must show until it is accepted, so that nobody can take its place in the waiting
			// room; then it gets another. OCPP 2.1 A00.FR.806
			st.SecurityProfile, st.RotatePassword = profileFor(c), true
			st.setPassword(c.Password)
		}
	case Open:
		st.Admission = Accepted
	default:
		return nil, &Refusal{Status: 404, Reason: "unknown station"}
	}
	if c.ClientCN != "" {
		if c.ClientCN != string(id) {
			return nil, &Refusal{Status: 401, Reason: "the client certificate is not this station's", Attack: true}
		}
		st.SecurityProfile, st.RotatePassword = 3, false
	}
	known, err := s.add(ctx, st)
	if err != nil || known == st {
		return known, err
	}
	return known, known.check(c) // somebody else was first with this id, perhaps with another password
}

func profileFor(c Credentials) int {
	if c.TLS {
		return 2
	}
	return 1
}

// check compares what a station shows with what its profile asks for.
func (st *Station) check(c Credentials) error {
	switch {
	case st.SecurityProfile >= 2 && !c.TLS:
		return &Refusal{Status: 403, Reason: "a station of security profile 2 or 3 came without TLS", Attack: true}
	case st.SecurityProfile == 3:
		if c.ClientCN == "" {
			return &Refusal{Status: 401, Reason: "no client certificate", Attack: true}
		}
		if c.ClientCN != string(st.ID) && (st.SerialNumber == "" || c.ClientCN != st.SerialNumber) {
			return &Refusal{Status: 401, Reason: "the client certificate is another station's", Attack: true}
		}
		return nil
	case st.SecurityProfile == 0 && !st.HasPassword():
		return nil
	case !c.HasBasic:
		return &Refusal{Status: 401, Reason: "no password shown"}
	case c.Username != string(st.ID):
		return &Refusal{Status: 401, Reason: "the user name is not the station's id", Attack: true}
	case !c.matches(st.salt, st.mac) && !c.matches(st.nextSalt, st.nextMAC):
		return &Refusal{Status: 401, Reason: "wrong password", Attack: true}
	}
	return nil
}

// setPassword makes a password the only one of the station. Its salted keyed hash is kept: station passwords are random
// and of at least 128 bits, so a fast hash is right; a slow one would make ten thousand reconnections take minutes.
func (st *Station) setPassword(password string) {
	st.salt, st.mac = hashPassword(password)
	st.nextSalt, st.nextMAC, st.nextCertain = nil, nil, false
}

func hashPassword(password string) (salt, mac []byte) {
	salt = make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return salt, passwordMAC(salt, password)
}

func passwordMAC(salt []byte, password string) []byte {
	m := hmac.New(sha256.New, salt)
	m.Write([]byte(password))
	return m.Sum(nil)
}

// matches compares what is shown with a kept hash, in constant time.
func (c *Credentials) matches(salt, mac []byte) bool {
	if len(mac) == 0 {
		return false
	}
	ok := hmac.Equal(passwordMAC(salt, c.Password), mac)
	for _, other := range c.Other {
		ok = hmac.Equal(passwordMAC(salt, other), mac) || ok
	}
	return ok
}

// The longest passwords that versions can carry: OCPP 2.0.1 A00.FR.205, WP A00.FR.205 (40 hexadecimal digits of a 1.6
// key), and OCPP 2.1 A00.FR.205.
const (
	maxPassword   = 40
	maxPassword21 = 64
)

// CheckPassword tells what is wrong with a password of a station that speaks the given protocol, "" for one that has not
// been heard yet: 16 characters at least, and as many at most as the protocol can carry.
func CheckPassword(password, protocol string) error {
	most := maxPassword
	if protocol == "" || protocol == "2.1" {
		most = maxPassword21
	}
	if n := utf8.RuneCountInString(password); n < 16 || n > most {
		return problem.Field("password", "must have 16 to %d characters", most)
	}
	for _, r := range password {
		if r < 0x20 || r > 0x7e {
			return problem.Field("password", "must be printable ASCII")
		}
	}
	return nil
}

// NewPassword makes a random password of 128 bits. It is hex, which a 1.6 station takes as its AuthorizationKey and a 2.x
// station as text.
func NewPassword() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// ParseBasic reads an Authorization header of HTTP Basic. The password may hold any bytes.
func ParseBasic(header string) (user, password string, ok bool) {
	scheme, text, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(raw), ":")
}
