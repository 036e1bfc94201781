// Package station is the book of charging stations: who they are, whether they may take part, what state each EVSE and
// each link is in and was in, and the device model that each has reported.
package station

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/ocpp"
)

// ID is the identity of a station as it stands in its OCPP URL. It is unique in the installation.
type ID string

// MaxID is how many characters an id may have, OCPP 2.1 Part 4 3.1.1.
const MaxID = 48

// CheckID tells what is wrong with an id. A colon would break HTTP Basic authentication, whose user name it is.
func CheckID(id string) error {
	switch {
	case id == "":
		return problem.Field("id", "must not be empty")
	case utf8.RuneCountInString(id) > MaxID:
		return problem.Field("id", "must have at most %d characters", MaxID)
	case !utf8.ValidString(id) || strings.ContainsAny(id, ":/\\"):
		return problem.Field("id", "must not contain : / or \\")
	case id == "." || id == "..":
		return problem.Field("id", "must not be a path")
	}
	for _, r := range id {
		if r < 0x20 || r == 0x7f {
			return problem.Field("id", "must not contain control characters")
		}
	}
	return nil
}

// Admission says whether a station may take part.
type Admission string

// The states of admission.
const (
	Pending  Admission = "pending"  // shows itself and waits for an operator
	Accepted Admission = "accepted" // takes part
	Rejected Admission = "rejected" // may not
)

// Policy is what an unknown station gets.
type Policy string

// The policies of admission.
const (
	Closed  Policy = "closed"  // HTTP 404
	Approve Policy = "approve" // Pending until an operator accepts it
	Open    Policy = "open"    // accepted at once, without a password
)

// Station is one charging station.
type Station struct {
	ID              ID
	Organisation    string
	Admission       Admission
	SecurityProfile int
	Strict          bool // refuse every deviation from the schemas
	Vendor          string
	Model           string
	SerialNumber    string
	Firmware        string
	Protocol        string // "1.6", "2.0.1", "2.1", "" before the first link
	CreatedAt       time.Time
	BootedAt        time.Time // zero before the first accepted BootNotification
	LastSeenAt      time.Time
	ConnectedAt     time.Time // zero while offline
	LinkID          string
	ModelReadAt     time.Time // zero until the device model was read

	salt, mac []byte
}

// Online reports whether the station has a link.
func (st *Station) Online() bool { return !st.ConnectedAt.IsZero() }

// HasPassword reports whether a password is set.
func (st *Station) HasPassword() bool { return len(st.mac) > 0 }

// Stations is the book.
type Stations struct {
	db       *db.DB
	events   *event.Log
	log      *slog.Logger
	policy   Policy
	home     string // organisation of stations that come by themselves
	running  Running
	onDecide func(st *Station)
}

// New opens the book. home is the organisation that unknown stations join.
func New(d *db.DB, events *event.Log, log *slog.Logger, policy Policy, home string) *Stations {
	return &Stations{db: d, events: events, log: log, policy: policy, home: home}
}

// OnDecide says who must know at once when an operator accepts or rejects a station: whoever holds its link. It is
// called once, before the first request.
func (s *Stations) OnDecide(f func(st *Station)) { s.onDecide = f }

func (s *Stations) decided(st *Station) {
	if s.onDecide != nil {
		s.onDecide(st)
	}
}

// Running tells which sessions run on which EVSE. The ledger, which is above this package, implements it.
type Running interface {
	RunningOn(ctx context.Context, ids []ID) (map[Place]RunningSession, error)
}

// SetRunning says who knows the running sessions. It is called once, before the first request.
func (s *Stations) SetRunning(r Running) { s.running = r }

// Place is one EVSE of one station.
type Place struct {
	Station ID
	EVSE    int
}

// Credentials are what a station shows when it connects.
type Credentials struct {
	TLS      bool
	ClientCN string // subject common name of a verified client certificate
	HasBasic bool
	Username string
	Password string // raw bytes
	Remote   string
}

// Refusal is why a station may not connect.
type Refusal struct {
	Status int    // HTTP
	Reason string // for the operator; the station hears only the status
	// Attack is true when the reason should be seen by an operator as a security event.
	Attack bool
}

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

// Authenticate decides whether a station may connect, and makes an unknown one known where the policy allows it.
// Profiles: OCPP 2.1 A00.FR.203, OCPP 2.1 A00.FR.207, OCPP 2.1 A00.FR.405. The error is a *Refusal or a *problem.Error.
func (s *Stations) Authenticate(ctx context.Context, id string, v ocpp.Version, c Credentials) (*Station, error) {
	if err := CheckID(id); err != nil {
		return nil, &Refusal{Status: 404, Reason: err.Error()}
	}
	st, err := s.Get(ctx, ID(id))
	if problem.Is(err, problem.NotFound) {
		return s.newcomer(ctx, ID(id), v, c)
	}
	if err != nil {
		return nil, err
	}
	return st, st.check(v, c)
}

// newcomer admits an unknown station as the policy says.
func (s *Stations) newcomer(ctx context.Context, id ID, v ocpp.Version, c Credentials) (*Station, error) {
	st := &Station{ID: id, Organisation: s.home}
	switch s.policy {
	case Approve:
		st.Admission = Pending
		if c.HasBasic && c.Password != "" && c.Username == string(id) {
			// What it shows first is what it must show from now on, so that nobody can take its place in the waiting room.
			st.SecurityProfile = profileFor(c)
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
		st.SecurityProfile = 3
	}
	known, err := s.add(ctx, st)
	if err != nil || known == st {
		return known, err
	}
	return known, known.check(v, c) // somebody else was first with this id, perhaps with another password
}

func profileFor(c Credentials) int {
	if c.TLS {
		return 2
	}
	return 1
}

// check compares what a station shows with what its profile asks for.
func (st *Station) check(v ocpp.Version, c Credentials) error {
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
	case !st.passwordMatches(v, c.Password):
		return &Refusal{Status: 401, Reason: "wrong password", Attack: true}
	}
	return nil
}

// setPassword keeps a salted keyed hash. Station passwords are random and of at least 128 bits, so a fast hash is right:
// a slow one would make ten thousand reconnections take minutes.
func (st *Station) setPassword(password string) {
	st.salt = make([]byte, 16)
	_, _ = rand.Read(st.salt) // never fails: crypto/rand ends the process instead
	st.mac = passwordMAC(st.salt, password)
}

func passwordMAC(salt []byte, password string) []byte {
	m := hmac.New(sha256.New, salt)
	m.Write([]byte(password))
	return m.Sum(nil)
}

// passwordMatches compares in constant time. A 1.6 AuthorizationKey is set as hex and may come as the bytes that it
// spells or as the text itself; 2.x passwords are text and never decoded.
func (st *Station) passwordMatches(v ocpp.Version, shown string) bool {
	if hmac.Equal(passwordMAC(st.salt, shown), st.mac) {
		return true
	}
	if v != ocpp.V16 {
		return false
	}
	for _, other := range []string{hex.EncodeToString([]byte(shown)), strings.ToUpper(hex.EncodeToString([]byte(shown)))} {
		if hmac.Equal(passwordMAC(st.salt, other), st.mac) {
			return true
		}
	}
	raw, err := hex.DecodeString(shown)
	return err == nil && hmac.Equal(passwordMAC(st.salt, string(raw)), st.mac)
}

// CheckPassword tells what is wrong with a password: 16 to 40 characters, so that every version can carry it.
// OCPP 2.0.1 A00.FR.205, WP A00.FR.205.
func CheckPassword(password string) error {
	n := utf8.RuneCountInString(password)
	if n < 16 || n > 40 {
		return problem.Field("password", "must have 16 to 40 characters")
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

// newID makes an id that sorts by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
