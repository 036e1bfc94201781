// Package session is the ledger: every charging session from the first message to the final reading.
//
// Its laws: a message that carries energy is committed before it is answered. A message is known by its content within
// (station, transaction), so what is repeated, late, reordered or sent again changes nothing that it changed before.
// Odd things are stored first, flagged, and explained later; they are never refused. Station time and arrival time are
// both kept. Energy is exact: integer mWh.
package session

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// State of a session.
type State string

// The states.
const (
	Active State = "active"
	Ended  State = "ended"
)

// Session is one charging session.
type Session struct {
	ID            string
	Organisation  string
	Station       station.ID
	TransactionID string // the station's
	EVSE          int
	Connector     int
	TokenUID      string // "" for none
	TokenType     string
	State         State
	ChargingState string // v21.ChargingState, "" when unknown
	StartedAt     time.Time
	EndedAt       time.Time // zero while active
	LastEventAt   time.Time
	LastSeqNo     int
	Sequenced     bool // the station numbers its messages
	First, Last   Register
	PowerW        int64
	SoC           *int
	StoppedReason string
	RemoteStartID *int
	ReservationID *int
	Flags         []Flag

	// RestartedMWh is what the register counted in the session before it began again, beyond First and Last.
	RestartedMWh int64
	// MaxPowerW is what the EVSE can deliver, 0 when it is not known.
	MaxPowerW int64
	// ClockOffset is how far the station's clock is ahead of ours, by messages that were not kept before they were sent;
	// nil when none tells. The corrected times are by our clock; zero when no correction is known or needed.
	ClockOffset                      *time.Duration
	StartedCorrected, EndedCorrected time.Time

	startHash, endHash string
	endTold            bool // the event of the end is out; what comes later are corrections
	createdAt          time.Time
	updatedAt          time.Time // last written
}

// Register is a reading of the imported active energy register.
type Register struct {
	MWh   int64 // mWh
	At    time.Time
	Known bool
}

// EnergyWh is the energy delivered, in whole Wh, rounded half up; 0 while it is not known.
func (s *Session) EnergyWh() int64 {
	if !s.First.Known || !s.Last.Known {
		return 0
	}
	return (max(0, s.Last.MWh-s.First.MWh+s.RestartedMWh) + 500) / 1000
}

// Event is one TransactionEvent as it came.
type Event struct {
	Organisation string
	Station      station.ID
	Request      *v21.TransactionEventRequest
	ReceivedAt   time.Time
	// Sequenced is false when the station does not number its messages, so that SeqNo means nothing.
	Sequenced bool
	// Refusal is why the token of the message is not accepted, "" when it is or when there is none.
	Refusal string

	maxPowerW int64 // of the EVSE, 0 when it is not known
}

// begin makes the session of the first message of a transaction.
func begin(e Event, now time.Time) *Session {
	r := e.Request
	return &Session{ID: uuid.Must(uuid.NewV7()).String(), Organisation: e.Organisation, Station: e.Station,
		TransactionID: r.TransactionInfo.TransactionID, State: Active, StartedAt: r.Timestamp, LastEventAt: r.Timestamp,
		LastSeqNo: -1, Sequenced: e.Sequenced, createdAt: now}
}

// absorb takes a message into the session. It reports whether anything changed that others should hear of at once.
// It may be repeated: the same message changes nothing the second time.
func (s *Session) absorb(e Event, hash string) (telling bool) {
	r := e.Request
	late := r.Timestamp.Before(s.LastEventAt)
	if s.Sequenced { // the clock may have been put right meanwhile
		late = r.SeqNo < s.LastSeqNo
	}
	before := *s
	if r.EventType == v21.TransactionEventTypeStarted {
		s.absorbStart(e, hash)
	}
	s.absorbPlace(e)
	if e.Refusal != "" {
		s.flag(TokenRefused, e.Refusal, e.ReceivedAt)
	}
	if e.maxPowerW > 0 {
		s.MaxPowerW = e.maxPowerW
	}
	if state, ok := r.TransactionInfo.ChargingState.Get(); ok && !late && s.State == Active {
		s.ChargingState = string(state)
	}
	s.absorbMeter(e, hash, before.startHash == "" && s.startHash != "", late)
	s.checkClock(e)
	if r.EventType == v21.TransactionEventTypeEnded {
		s.absorbEnd(e, hash)
	}
	if r.Timestamp.After(s.LastEventAt) {
		s.LastEventAt = r.Timestamp
	}
	s.LastSeqNo = max(s.LastSeqNo, r.SeqNo)
	switch {
	case s.State == Ended && s.endHash == "": // an assumed end moves with what still comes
		s.EndedAt = s.LastEventAt
	case s.startHash == "" && r.Timestamp.Before(s.StartedAt): // and so does an assumed start
		s.StartedAt = r.Timestamp
	}
	return before.State != s.State || before.ChargingState != s.ChargingState || len(before.Flags) != len(s.Flags) ||
		before.TokenUID != s.TokenUID || before.startHash != s.startHash || before.First != s.First
}

// absorbPlace takes where, for whom and on whose order the transaction is.
func (s *Session) absorbPlace(e Event) {
	r := e.Request
	if r.EVSE != nil && s.EVSE == 0 {
		s.EVSE, s.Connector = r.EVSE.ID, r.EVSE.ConnectorID.Or(1)
	}
	// Who starts is whose session it is, even when the end, with a token of the same group, came first.
	starts := r.EventType == v21.TransactionEventTypeStarted && s.startHash != "" && r.Timestamp.Equal(s.StartedAt)
	if r.IDToken != nil && (s.TokenUID == "" || starts && s.State == Ended) && !strings.EqualFold(r.IDToken.Type, "NoAuthorization") {
		s.TokenUID, s.TokenType = r.IDToken.IDToken, r.IDToken.Type
	}
	if id, ok := r.TransactionInfo.RemoteStartID.Get(); ok {
		s.RemoteStartID = &id
	}
	if id, ok := r.ReservationID.Get(); ok {
		s.ReservationID = &id
	}
}

// absorbMeter takes the readings of a message. Those of the start and of the end are the first and the last, whatever
// the station's clock said in between. A second end counts for nothing.
func (s *Session) absorbMeter(e Event, hash string, opening, late bool) {
	r := e.Request
	if r.EventType == v21.TransactionEventTypeEnded {
		if s.endHash != "" && s.endHash != hash {
			return
		}
		if s.endHash == "" && s.Last.Known && s.Last.At.After(r.Timestamp) && hasRegister(r.MeterValue) {
			s.Last = Register{}
		}
	}
	for i := range r.MeterValue {
		if s.meter(&r.MeterValue[i], opening, !late, r.Offline.Or(false), e.ReceivedAt) {
			opening = false
		}
	}
}

func (s *Session) absorbStart(e Event, hash string) {
	switch {
	case s.startHash == "":
		s.startHash, s.StartedAt = hash, e.Request.Timestamp
		s.unflag(StartUnknown)
	case s.startHash != hash:
		s.flag(Conflict, "a second, different start came for the same transaction", e.ReceivedAt)
	}
}

// absorbEnd ends the session. The first end wins, a different one is flagged; an end that had to be assumed gives way to
// the true one.
func (s *Session) absorbEnd(e Event, hash string) {
	switch {
	case s.endHash == hash:
		return
	case s.endHash != "":
		s.flag(Conflict, "a second, different end came for the same transaction; the first one counts", e.ReceivedAt)
		return
	}
	s.endHash, s.State, s.EndedAt = hash, Ended, e.Request.Timestamp
	s.StoppedReason = string(e.Request.TransactionInfo.StoppedReason.Or(v21.ReasonLocal))
	s.ChargingState, s.PowerW = string(e.Request.TransactionInfo.ChargingState.Or("")), 0
	s.unflag(EndUnknown)
	if !s.Last.Known {
		s.flag(MeterUnknown, "no energy register was reported", e.ReceivedAt)
	}
}

// assumeEnd ends a session whose end never came.
func (s *Session) assumeEnd(text string, now time.Time) {
	s.State, s.EndedAt, s.PowerW, s.ChargingState = Ended, s.LastEventAt, 0, ""
	s.flag(EndUnknown, text, now)
}
