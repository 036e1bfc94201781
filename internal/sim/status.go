package sim

import (
	"fmt"
	"strconv"
	"time"

	"lumela/ocpp"
)

func itoa(n int) string { return strconv.Itoa(n) }

// outOfService says whether an EVSE may not be used.
func (s *Station) outOfService(e *evse) bool {
	if s.inoperative || e.inoperative {
		return true
	}
	for _, off := range e.connectorOff {
		if !off {
			return false
		}
	}
	return true
}

// report tells the status of the connectors of an EVSE where it changed.
func (s *Station) report(e *evse) {
	for i := range e.reported {
		s.reportConnector(e, i)
	}
}

func (s *Station) reportConnector(e *evse, i int) {
	status := s.front.statusOf(e, i+1)
	if status == e.reported[i] {
		s.cancel(e.pending[i])
		e.pending[i] = nil
		return
	}
	if s.offline() {
		return
	}
	wait := s.seconds(setMinStatus)
	if wait <= 0 || e.reported[i] == "" {
		s.sendStatus(e, i, status)
		return
	}
	if e.pending[i] != nil && e.pending[i].index >= 0 {
		return
	}
	e.pending[i] = s.after(wait, func() {
		e.pending[i] = nil
		if now := s.front.statusOf(e, i+1); now != e.reported[i] && !s.offline() {
			s.sendStatus(e, i, now)
		}
	})
}

func (s *Station) sendStatus(e *evse, i int, status string) {
	e.reported[i] = status
	s.event(e, "status", status)
	s.send(s.front.status(e, i+1, status), func(_ ocpp.Response, err error) {
		if err != nil && e.reported[i] == status {
			e.reported[i] = "" // it will be told again with the next change or link
		}
	})
}

// resetPlan is a reboot that waits.
type resetPlan struct {
	reason string
	evse   *evse // nil for the whole station
	queue  bool  // wait until the messages of transactions are delivered
	resume bool  // transactions go on after it
}

// idle does what waited for the end of transactions: reboots, changes of availability.
func (s *Station) idle() {
	for _, e := range s.evses {
		if e.scheduled != nil && e.tx == nil {
			e.inoperative, e.scheduled = *e.scheduled, nil
			s.report(e)
		}
	}
	if s.scheduled != nil && !s.anyTx(nil) {
		s.inoperative, s.scheduled = *s.scheduled, nil
		s.reportAll()
	}
	if s.serving { // the answer goes first
		return
	}
	if why := s.relink; why != "" {
		s.relink = ""
		s.dropLink(why)
	}
	p := s.resetWait
	if p == nil || s.anyTx(p.evse) && !p.resume || p.queue && len(s.txQueue) > 0 && !s.offline() {
		return
	}
	s.resetWait = nil
	if p.evse != nil {
		s.resetEVSE(p.evse)
		return
	}
	s.restart(p.reason)
}

func (s *Station) reportAll() {
	if req := s.front.stationStatus(); req != nil {
		s.send(req, nil)
	}
	for _, e := range s.evses {
		s.report(e)
	}
}

// resetEVSE is the reset of one EVSE, OCPP 2.1 B11 and B12: it is gone for a moment.
func (s *Station) resetEVSE(e *evse) {
	was := e.inoperative
	e.inoperative = true
	s.report(e)
	s.after(s.cfg.Behaviour.RebootTime, func() {
		e.inoperative = was
		e.auth, e.fault = nil, ""
		s.report(e)
	})
}

// restart reboots: the link drops, what is only in memory is lost, and a boot notification follows.
func (s *Station) restart(reason string) {
	if s.rebooting {
		return
	}
	s.event(nil, "reboot", reason)
	s.rebooting, s.reg, s.bootReason, s.failures = true, unregistered, reason, 0
	s.resetWait = nil
	s.slots = s.words(setNetworkPriority)
	s.dropLink("reboot")
	for _, e := range s.evses {
		if e.tx == nil {
			e.auth = nil
		}
		clear(e.reported)
	}
	s.after(s.cfg.Behaviour.RebootTime, func() {
		s.rebooting = false
		s.poke()
	})
}

// setAvailability changes what is in service: the station for e nil, one EVSE, or one connector of it.
func (s *Station) setAvailability(e *evse, connector int, operative bool) (status string) {
	off := !operative
	if e == nil {
		if off && s.anyTx(nil) {
			s.scheduled = &off
			return "Scheduled"
		}
		s.scheduled, s.inoperative = nil, off
		s.after(0, s.reportAll)
		return "Accepted"
	}
	if connector > 0 && !s.isV16() {
		if off && e.tx != nil && e.tx.connector == connector {
			s.laterConnector(e, connector)
			return "Scheduled"
		}
		e.connectorOff[connector-1] = off
		s.report(e)
		return "Accepted"
	}
	if off && e.tx != nil {
		e.scheduled = &off
		return "Scheduled"
	}
	e.scheduled, e.inoperative = nil, off
	s.report(e)
	return "Accepted"
}

// laterConnector takes a connector out of service when its transaction has ended.
func (s *Station) laterConnector(e *evse, connector int) {
	s.after(time.Second, func() {
		if e.tx != nil && e.tx.connector == connector {
			s.laterConnector(e, connector)
			return
		}
		e.connectorOff[connector-1] = true
		s.report(e)
	})
}

// release opens the lock of the cable.
func (s *Station) release(e *evse) {
	e.locked = false
	s.event(e, "unlock", fmt.Sprintf("connector of EVSE %d released", e.id))
}
