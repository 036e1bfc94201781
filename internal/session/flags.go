package session

import (
	"slices"
	"time"
)

// Flag is something odd about a session that a person should know before it is billed. A flag whose cause has gone, or
// that a person has released, stays as history once it has stood on an ended session.
type Flag struct {
	Code       string     `json:"code"`
	Text       string     `json:"text"`
	At         time.Time  `json:"at"`
	Holds      bool       `json:"holds" doc:"Whether the session must not be billed while the flag is open"`
	ResolvedAt *time.Time `json:"resolvedAt,omitempty" doc:"Absent while the flag is open"`
	ResolvedBy string     `json:"resolvedBy,omitempty" doc:"A person, an API key, or ledger when later messages have explained it"`
	Resolution string     `json:"resolution,omitempty" doc:"Why"`
}

// Open reports whether the flag still waits for an explanation.
func (f Flag) Open() bool { return f.ResolvedAt == nil }

// The codes of flags.
const (
	StartUnknown      = "start-unknown"
	EndUnknown        = "end-unknown"
	TokenRefused      = "token-refused"
	IDReused          = "id-reused"
	MatchedByPlace    = "matched-by-place"
	Overlapping       = "overlapping"
	Conflict          = "conflict"
	SequenceGap       = "sequence-gap"
	MeterUnknown      = "meter-unknown"
	MeterZero         = "meter-zero"
	MeterBackwards    = "meter-backwards"
	MeterRestarted    = "meter-restarted"
	MeterOdometer     = "meter-odometer"
	MeterUnits        = "meter-units"
	EnergyImplausible = "energy-implausible"
	ClockUnset        = "clock-unset"
	ClockLocalTime    = "clock-local-time"
	ClockDifference   = "clock-difference"
	EndsBeforeStart   = "ends-before-start"
	TooLong           = "too-long"
	Damaged           = "damaged"
)

// Meaning is what a code of a flag stands for.
type Meaning struct {
	Code     string
	Sentence string // for people
	Holds    bool   // an ended session is not billed while the flag is open
	Source   string // of the rule
	// judged: the ledger decides about it again from all messages whenever one comes after the end, so that it goes when
	// its cause goes. Others are set by the circumstances in which a message came.
	judged bool
}

// Meanings is every code that a session may carry. docs/sessions.md says what an operator does about each.
var Meanings = []Meaning{
	{StartUnknown, "Messages came for a transaction whose start was never reported.", true, "OCPP 1.6 §4.10", true},
	{EndUnknown, "The transaction's end was never reported; it was taken for ended at the last that is known of it.", true, "OCPP 2.1 E08", true},
	{TokenRefused, "The station charged for a token that is unknown, blocked or expired.", true, "OCPP 2.1 E01.FR.11, OCPP 1.6 §4.8", false},
	{IDReused, "The station gave the transaction an id that it had used before, as after a loss of its memory.", true, "OCPP 2.1 E01.FR.08", false},
	{MatchedByPlace, "The station did not know the transaction's id; the one running transaction that fits its token and time was taken.", true, "OCPP 1.6 errata 3.18", false},
	{Overlapping, "Two sessions on one EVSE overlap in time, which cannot be.", true, "the laws of the ledger", true},
	{Conflict, "Two messages that should be one say different things.", true, "OCPP 2.1 E01.FR.07, OCPP 1.6 §4.8", true},
	{SequenceGap, "Messages of the transaction are missing by its sequence numbers.", true, "OCPP 2.1 E07.FR.02", true},
	{MeterUnknown, "No reading of the energy register came.", true, "OCPP 2.1 J02", true},
	{MeterZero, "The energy register stood at zero from the first to the last reading.", true, "the laws of the ledger", true},
	{MeterBackwards, "The energy register went down during the session.", true, "the laws of the ledger", true},
	{MeterRestarted, "The energy register began again near zero in the middle; the energy is the sum of both pieces.", false, "the laws of the ledger", true},
	{MeterOdometer, "The first reading was zero and the next is of the meter's whole life: the register at the start is missing.", true, "the laws of the ledger", true},
	{MeterUnits, "Readings differ by a factor of a thousand: Wh were taken for kWh or the reverse.", true, "the laws of the ledger", true},
	{EnergyImplausible, "More energy was reported than the connector can deliver in the time, or than its measured power allows.", true, "the laws of the ledger", true},
	{ClockUnset, "The station's clock was not set: it told a time that cannot be.", true, "OCPP 2.1 B01.FR.06", true},
	{ClockLocalTime, "The station seems to report local time marked as UTC.", true, "OCPP 1.6 §3.14, OCPP 2.1 Part 2 3.1", true},
	{ClockDifference, "The station's clock and ours differ by more than five minutes.", true, "OCPP 1.6 §3.14, OCPP 2.1 Part 2 3.1", true},
	{EndsBeforeStart, "By the station's clock the transaction ended before it started.", true, "the laws of the ledger", true},
	{Damaged, "A stored message is not what it was when it was stored: the disk has changed it, and it does not count.", true, "the laws of the ledger", true},
	{TooLong, "The session lasted longer than seven days.", true, "the laws of the ledger", true},
	{NoEnergy, "The session runs and delivers nothing.", true, "the laws of the ledger", false},
}

// meanings is Meanings by code.
var meanings = func() map[string]Meaning {
	out := make(map[string]Meaning, len(Meanings))
	for _, m := range Meanings {
		out[m.Code] = m
	}
	return out
}()

// Holds reports whether an open flag of a code keeps an ended session from being billed. Codes that nobody has judged
// hold.
func Holds(code string) bool {
	m, known := meanings[code]
	return !known || m.Holds
}

// Billing says whether a session may be billed.
type Billing string

// The states of billing.
const (
	BillingRunning Billing = "running" // the session has not ended
	BillingHeld    Billing = "held"    // an open flag holds it
	BillingReady   Billing = "ready"
)

// Billing says whether the session may be billed.
func (s *Session) Billing() Billing {
	if s.State == Active {
		return BillingRunning
	}
	for i := range s.Flags {
		if s.Flags[i].Open() && Holds(s.Flags[i].Code) {
			return BillingHeld
		}
	}
	return BillingReady
}

// openFlag is the place of the open flag of a code, -1 for none.
func (s *Session) openFlag(code string) int {
	for i := range s.Flags {
		if s.Flags[i].Code == code && s.Flags[i].Open() {
			return i
		}
	}
	return -1
}

func (s *Session) flagged(code string) bool { return s.openFlag(code) >= 0 }

// flag sets a flag once. What a person has released is not set again for the same reason; a new reason is.
func (s *Session) flag(code, text string, at time.Time) {
	if s.openFlag(code) >= 0 {
		return
	}
	for i := range s.Flags {
		if f := &s.Flags[i]; f.Code == code && f.Text == text && f.ResolvedBy != Bookkeeper {
			return
		}
	}
	s.Flags = append(s.Flags[:len(s.Flags):len(s.Flags)], Flag{Code: code, Text: text, At: at.UTC(), Holds: Holds(code)})
}

// reflag gives an open flag another text, and sets it when it is not there.
func (s *Session) reflag(code, text string, at time.Time) {
	i := s.openFlag(code)
	switch {
	case i < 0:
		s.flag(code, text, at)
	case s.Flags[i].Text != text:
		s.Flags = slices.Clone(s.Flags) // values that were given out never change
		s.Flags[i].Text = text
	}
}

// unflag takes an open flag away, when its reason has gone before it could hold anything.
func (s *Session) unflag(code string) {
	i := s.openFlag(code)
	if i < 0 {
		return
	}
	s.Flags = slices.Delete(slices.Clone(s.Flags), i, i+1)
	if len(s.Flags) == 0 {
		s.Flags = nil
	}
}

// explain resolves an open flag whose reason has gone. held says that it stood on a session that had ended: then it
// stays as history.
func (s *Session) explain(code, why string, at time.Time, held bool) {
	if !held {
		s.unflag(code)
		return
	}
	s.resolve(code, Bookkeeper, why, at)
}

// resolve marks an open flag as dealt with, and reports whether there was one.
func (s *Session) resolve(code, by, why string, at time.Time) bool {
	i := s.openFlag(code)
	if i < 0 {
		return false
	}
	s.Flags = slices.Clone(s.Flags)
	at = at.UTC()
	s.Flags[i].ResolvedAt, s.Flags[i].ResolvedBy, s.Flags[i].Resolution = &at, by, why
	return true
}
