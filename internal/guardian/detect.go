package guardian

import (
	"strconv"
	"time"

	"lumela/internal/db"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// detect finds every cause that there is at the moment.
func (w *scene) detect() map[string]*Case {
	out := map[string]*Case{}
	add := func(c *Case) {
		if c != nil {
			c.OpenedAt = w.now
			out[c.cause] = c
		}
	}
	type spot struct {
		id   station.ID
		evse int
	}
	running := map[spot]bool{}
	for _, s := range w.sessions {
		running[spot{s.Station, s.EVSE}] = true
		st := w.stations[s.Station]
		if st == nil || !st.Online() {
			w.keep(out, s) // nothing can be seen, so nothing is over
			continue
		}
		add(w.noEnergy(s))
		add(w.suspended(s))
		if boot := w.boot(s, st); boot != nil {
			add(boot)
			if open := w.cases[boot.cause]; open == nil || open.Step != resting {
				continue // what the boot means is being found out
			}
		}
		add(w.noStop(s))
	}
	for _, s := range w.gaps {
		add(w.gap(s))
	}
	for id, list := range w.connectors {
		st := w.stations[id]
		if st == nil {
			continue
		}
		for _, c := range list {
			if !running[spot{id, c.EVSE}] {
				add(w.stuck(st, c))
			}
		}
	}
	w.keepAway(out)
	return out
}

// keep lets the cases of a session whose station is away stand as they are.
func (w *scene) keep(out map[string]*Case, s *session.Session) {
	for _, k := range []Kind{NoEnergy, NoStop, Stuck} {
		if c := w.cases[sessionCause(k, s.ID)]; c != nil {
			out[c.cause] = c
		}
	}
	for cause, c := range w.cases {
		if c.Kind == Boot && c.Session == s.ID {
			out[cause] = c
		}
	}
}

// keepAway lets the cases of connectors whose station is away stand as they are.
func (w *scene) keepAway(out map[string]*Case) {
	for cause, c := range w.cases {
		if st := w.stations[c.Station]; c.Kind == Stuck && c.Session == "" && (st == nil || !st.Online()) {
			out[cause] = c
		}
	}
}

// compare tells the new causes and the cases that are over from those that are known.
func (w *scene) compare(found map[string]*Case) (opened, over []*Case) {
	for cause, c := range found {
		switch old := w.cases[cause]; {
		case old == nil:
			opened = append(opened, c)
		case old.Subject != c.Subject: // something else under the same name
			over, opened = append(over, old), append(opened, c)
		}
	}
	for cause, c := range w.cases {
		if found[cause] == nil {
			over = append(over, c)
		}
	}
	return opened, over
}

func sessionCause(k Kind, id string) string { return string(k) + "/" + id }

// about makes a case of a session.
func about(k Kind, s *session.Session, due time.Time) *Case {
	return &Case{Kind: k, Organisation: s.Organisation, Station: s.Station, EVSE: s.EVSE, Connector: s.Connector, Session: s.ID, DueAt: due,
		cause: sessionCause(k, s.ID)}
}

// noEnergy: a session that says it charges, and neither the register nor the power tells of it. Stations that do not tell
// a charging state, as some of 1.6, charge from the start.
func (w *scene) noEnergy(s *session.Session) *Case {
	if !delivers(s) && claimsCharging(s) && w.now.Sub(s.KnownSince()) >= w.policy.NoEnergyAfter {
		return about(NoEnergy, s, w.now)
	}
	return nil
}

func claimsCharging(s *session.Session) bool {
	return s.ChargingState == string(v21.ChargingStateCharging) || s.ChargingState == "" && !s.Sequenced
}

func delivers(s *session.Session) bool { return s.EnergyWh() > 0 || s.PowerW > 0 }

// suspended: the car has suspended the charging for very long.
func (w *scene) suspended(s *session.Session) *Case {
	if s.ChargingState != string(v21.ChargingStateSuspendedEV) {
		return nil
	}
	c := about(Stuck, s, w.now.Add(w.policy.SuspendedAfter))
	c.Subject = s.ChargingState
	return c
}

// boot: the station has booted after the session became known here.
func (w *scene) boot(s *session.Session, st *station.Station) *Case {
	if !st.BootedAt.After(s.KnownSince()) {
		return nil
	}
	c := about(Boot, s, st.BootedAt.Add(w.policy.BootSettle))
	c.Subject = strconv.FormatInt(db.Micros(st.BootedAt), 10)
	c.cause += "/" + c.Subject
	return c
}

// after reports whether a connector's state is from after the last message of a session. Both times are the station's,
// which may have no more than whole seconds: a moment that is the same counts, unless it is that of the start.
func after(c station.ConnectorState, s *session.Session) bool {
	return c.At.After(s.LastEventAt) || c.At.Equal(s.LastEventAt) && s.LastEventAt.After(s.StartedAt)
}

// noStop: the connector of the session is free since the last message of the session.
func (w *scene) noStop(s *session.Session) *Case {
	c := w.connector(s)
	if c == nil || c.Status != v21.ConnectorStatusAvailable || !after(*c, s) {
		return nil
	}
	return about(NoStop, s, w.now.Add(w.policy.EndSettle))
}

// connector is the state of the connector of a session, nil when the station has not told it.
func (w *scene) connector(s *session.Session) *station.ConnectorState {
	list := w.connectors[s.Station]
	for i := range list {
		if list[i].EVSE == s.EVSE && list[i].Connector == max(s.Connector, 1) {
			return &list[i]
		}
	}
	return nil
}

// gap: messages are missing, of a station that numbers them.
func (w *scene) gap(s *session.Session) *Case {
	if w.stations[s.Station] == nil || !s.Sequenced {
		return nil
	}
	return about(Gap, s, w.now.Add(w.policy.GapSettle))
}

// stuck: a connector is occupied or reserved and no session runs on its EVSE.
func (w *scene) stuck(st *station.Station, s station.ConnectorState) *Case {
	limit := w.policy.StuckAfter
	switch s.Status {
	case v21.ConnectorStatusOccupied:
	case v21.ConnectorStatusReserved:
		limit = w.policy.ReservedAfter
	default:
		return nil
	}
	c := &Case{Kind: Stuck, Organisation: st.Organisation, Station: st.ID, EVSE: s.EVSE, Connector: s.Connector, Subject: string(s.Status),
		DueAt: w.now.Add(limit), cause: string(Stuck) + "/" + string(st.ID) + "/" + place(s.EVSE, s.Connector)}
	if s.Detail != "" {
		c.Subject = s.Detail
	}
	return c
}
