package station

import (
	"context"

	"lumela/internal/account"
	"lumela/internal/event"
)

// A password is changed at both ends, and the answer that says so can be lost. So a new one is written down beside the
// old before it is sent. Accepted: only the new one opens. Refused: only the old one. No answer: both open until the
// station connects again and shows which one it has. OCPP 2.1 A01.FR.03, OCPP 2.1 A01.FR.04

// Push sends a station a new password for its link to this platform, in whatever way its version has. It is implemented
// by what stands above this package. The error says what became of it; nil means that the station has agreed.
type Push func(ctx context.Context, p account.Principal, st *Station, password string) error

// SetPush says who can send passwords to stations. It is called once, before the first request.
func (s *Stations) SetPush(f Push) { s.push = f }

// OfferPassword writes a new password down before it is sent to the station.
func (s *Stations) OfferPassword(ctx context.Context, id ID, password string) error {
	salt, mac := hashPassword(password)
	return s.setNext(ctx, id, salt, mac, false)
}

// WithdrawPassword forgets a new password that the station has not taken: the old one stays. A password that was shown in
// the waiting room stays too, and the station is not asked again.
func (s *Stations) WithdrawPassword(ctx context.Context, id ID) error {
	return s.setNext(ctx, id, nil, nil, false)
}

// ExpectPassword keeps both passwords until the new one is shown: the station will take it over when it restarts.
func (s *Stations) ExpectPassword(ctx context.Context, id ID, password string) error {
	salt, mac := hashPassword(password)
	return s.setNext(ctx, id, salt, mac, true)
}

// SetPassword makes a password that the station has taken over the only one.
func (s *Stations) SetPassword(ctx context.Context, organisation string, id ID, password string) error {
	_, err := s.change(ctx, organisation, id, event.StationUpdated, func(st *Station) error {
		st.takePassword(password)
		return nil
	})
	return err
}

// takePassword makes a password the only one, chosen by the platform or its operator.
func (st *Station) takePassword(password string) {
	st.setPassword(password)
	st.RotatePassword = false
	if st.SecurityProfile == 0 {
		st.SecurityProfile = 1
	}
}

// settlePassword ends the time of two passwords when the station shows which one it has.
func (s *Stations) settlePassword(ctx context.Context, st *Station, c Credentials) error {
	if len(st.nextMAC) == 0 || st.SecurityProfile == 3 {
		return nil
	}
	if c.matches(st.nextSalt, st.nextMAC) {
		st.salt, st.mac = st.nextSalt, st.nextMAC
		return s.promote(ctx, st)
	}
	if st.nextCertain {
		return nil // it connects once more before its restart
	}
	return s.setNext(ctx, st.ID, nil, nil, false)
}

// StopRotation ends the attempts to replace the password of the waiting room.
func (s *Stations) StopRotation(ctx context.Context, organisation string, id ID) error {
	_, err := s.change(ctx, organisation, id, event.StationUpdated, func(st *Station) error {
		st.RotatePassword = false
		return nil
	})
	return err
}
