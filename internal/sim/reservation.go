package sim

import (
	"slices"
	"time"
)

// reservation keeps an EVSE, or any when evse is 0, for a token.
type reservation struct {
	id, evse int
	token    token
	group    string
	expires  time.Time
	timer    *task
}

// fits says whether a token, or its group, may use the reservation.
func (r *reservation) fits(t token, group string) bool {
	return same(r.token.id, t.id) || r.group != "" && same(r.group, group)
}

// free says whether an EVSE could be used by the next driver.
func (s *Station) free(e *evse) bool {
	return e.plugged == 0 && e.auth == nil && e.tx == nil && e.fault == "" && !s.outOfService(e)
}

// reservedFor is the reservation that holds an EVSE: its own, or that of the station when it is the last free one.
func (s *Station) reservedFor(e *evse) *reservation {
	open := 0
	for _, r := range s.reservations {
		if r.evse == e.id {
			return r
		}
		if r.evse == 0 {
			open++
		}
	}
	if open == 0 {
		return nil
	}
	free := 0
	for _, x := range s.evses {
		if x != e && s.free(x) && !slices.ContainsFunc(s.reservations, func(r *reservation) bool { return r.evse == x.id }) {
			free++
		}
	}
	if free >= open {
		return nil
	}
	i := slices.IndexFunc(s.reservations, func(r *reservation) bool { return r.evse == 0 })
	return s.reservations[i]
}

// reservationOf is what is reserved for a token somewhere in the station, to be used up.
func (s *Station) reservationOf(t token, group string) *reservation {
	for _, r := range s.reservations {
		if r.evse == 0 && r.fits(t, group) {
			return r
		}
	}
	return nil
}

// reserve keeps an EVSE; the answer is a word of ReserveNow, the same in all versions.
func (s *Station) reserve(r *reservation) string {
	if !r.expires.After(s.now()) {
		return "Rejected"
	}
	others := slices.DeleteFunc(slices.Clone(s.reservations), func(o *reservation) bool { return o.id == r.id })
	if status := s.canReserve(r, others); status != "Accepted" {
		return status
	}
	s.dropReservation(r.id)
	s.reservations = append(s.reservations, r)
	r.timer = s.at(r.expires, func() {
		s.dropReservation(r.id)
		if req := s.front.reservationEnded(r.id, "Expired"); req != nil {
			s.send(req, nil)
		}
	})
	s.reservationsChanged()
	return "Accepted"
}

func (s *Station) canReserve(r *reservation, others []*reservation) string {
	worst := "Occupied"
	free := 0
	for _, e := range s.evses {
		if r.evse > 0 && e.id != r.evse {
			continue
		}
		switch {
		case slices.ContainsFunc(others, func(o *reservation) bool { return o.evse == e.id }):
		case e.fault != "":
			worst = "Faulted"
		case s.outOfService(e):
			worst = "Unavailable"
		case s.free(e):
			free++
		}
	}
	for _, o := range others {
		if o.evse == 0 && r.evse == 0 {
			free--
		}
	}
	if free > 0 {
		return "Accepted"
	}
	return worst
}

// dropReservation removes a reservation and says whether it was there.
func (s *Station) dropReservation(id int) bool {
	i := slices.IndexFunc(s.reservations, func(r *reservation) bool { return r.id == id })
	if i < 0 {
		return false
	}
	s.cancel(s.reservations[i].timer)
	s.reservations = slices.Delete(s.reservations, i, i+1)
	s.reservationsChanged()
	return true
}

func (s *Station) reservationsChanged() {
	for _, e := range s.evses {
		s.report(e)
	}
}
