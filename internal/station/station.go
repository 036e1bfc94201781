// Package station is the book of charging stations: who they are, whether they may take part, what state each EVSE and
// each link is in and was in, and the device model that each has reported.
package station

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
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
	// BlockedUntil is until when the station is not let in, zero when it is, and BlockedReason why.
	BlockedUntil  time.Time
	BlockedReason string
	// RotatePassword is true while the password is still what the station showed in the waiting room.
	RotatePassword bool

	salt, mac         []byte
	nextSalt, nextMAC []byte // a new password that the station was sent, see credentials.go
	nextCertain       bool   // the station has said that it will take it over
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
	onBlock  func(id ID, reason string)
	push     Push
	perHour  int // links that a station may end within an hour, 0 for any number
	alarms   alarms
	waiting  waitingRoom

	onRemove    []Removal
	afterRemove []func(organisation string, id ID)
}

// New opens the book. home is the organisation that unknown stations join.
func New(d *db.DB, events *event.Log, log *slog.Logger, policy Policy, home string) *Stations {
	return &Stations{db: d, events: events, log: log, policy: policy, home: home, perHour: DefaultLinks}
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

// newID makes an id that sorts by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
