package sim

import (
	"slices"
	"time"
)

// transaction is one charging session as it is told to the management system.
type transaction struct {
	id        string // of 2.x, made by the station
	id16      int    // of 1.6, given by the management system; 0 until then
	evse      *evse
	connector int
	auth      *authorisation
	started   time.Time
	simStart  time.Duration // of the station's simulated time
	start     energy
	charging  time.Duration // simulated time in which energy flowed
	seqNo     int
	told      bool // the start was queued
	ended     bool
	offline   bool // started without a link
	resumed   bool // kept over a reboot, not yet told
	reason    string
	stopToken *token
	evseTold  bool
	history   []timedSamples // sampled values for the end
	closing   []timedSamples
	invalidAt energy // meter when the token was refused, for the energy that is still given
	invalid   bool
	limits    txLimits
	priced    *pricing
	priority  bool
	lastLimit int
}

// timedSamples is one reading.
type timedSamples struct {
	at      time.Time
	context string
	samples []sample
}

// txEvent is one thing that happened in a transaction.
type txEvent struct {
	kind     string // Started, Updated, Ended
	trigger  string
	at       time.Time
	state    chargingState
	offline  bool
	reading  *timedSamples
	token    *token
	reserved int
	seqNo    int
}

const maxHistory = 100

// edges starts and ends transactions when a condition of the start or stop points begins or ends to hold.
func (s *Station) edges(e *evse, trigger string) {
	if e.tx == nil {
		if s.starts(e) {
			s.startTx(e, trigger)
		}
		return
	}
	if reason, ends := s.ends(e); ends {
		if e.tx.reason != "" {
			reason = e.tx.reason
		}
		s.endTx(e, trigger, reason)
	}
}

func (s *Station) isV16() bool { return s.cfg.Version == v16Version }

// holds says whether a start or stop point is reached.
func (s *Station) holds(e *evse, point string) bool {
	switch point {
	case "EVConnected":
		return e.plugged > 0
	case "Authorized":
		return e.auth != nil
	case "PowerPathClosed":
		return e.plugged > 0 && e.auth != nil
	case "EnergyTransfer":
		return e.power > 0
	}
	return false
}

// starts says whether a transaction begins: one start point holds, and what holds is new. OCPP 2.1 E01 and E02; 1.6
// begins when cable and token are both there.
func (s *Station) starts(e *evse) bool {
	if e.finishing || e.fault != "" || !s.powered || s.outOfService(e) {
		return false
	}
	if s.isV16() {
		return s.holds(e, "PowerPathClosed")
	}
	for _, p := range s.words(setTxStart) {
		if p == "EnergyTransfer" { // energy flows only in a transaction here: the closed path is that moment
			p = "PowerPathClosed"
		}
		if s.holds(e, p) {
			return true
		}
	}
	return false
}

// ends says whether the transaction ends, and why: a stop point that held no longer does.
func (s *Station) ends(e *evse) (reason string, ends bool) {
	points := []string{"EVConnected", "Authorized"}
	if !s.isV16() {
		points = s.words(setTxStop)
	}
	gone := e.plugged == 0 && e.tx.connector > 0
	if gone && !s.flag(setStopOnUnplug) && e.auth != nil {
		gone = false
	}
	lost := e.auth == nil && e.tx.auth != nil
	for _, p := range points {
		switch {
		case gone && (p == "EVConnected" || p == "PowerPathClosed" || p == "EnergyTransfer"):
			return "EVDisconnected", true
		case lost && (p == "Authorized" || p == "PowerPathClosed" || p == "EnergyTransfer"):
			return "Local", true
		case p == "EnergyTransfer" && e.tx.charging > 0 && e.state == stateSuspendedEV:
			return "StoppedByEV", true
		}
	}
	return "", false
}

func (s *Station) startTx(e *evse, trigger string) {
	s.advance(s.now()) // what was before does not belong to it
	tx := &transaction{id: newID(), evse: e, connector: e.plugged, auth: e.auth, started: s.now(), simStart: s.simulated, start: e.meter,
		offline: s.offline()}
	e.tx = tx
	e.locked = e.plugged > 0
	s.flow(e, s.now())
	e.state = stateConnected
	if e.plugged == 0 {
		e.state = stateIdle
	}
	ev := &txEvent{kind: "Started", trigger: trigger, at: tx.started, state: e.state, offline: tx.offline,
		reading: s.read(e, "Transaction.Begin", setSampledStarted)}
	if e.auth != nil {
		ev.token, ev.reserved = &e.auth.token, e.auth.reserved
		s.authUsed(e)
	}
	s.adopt(tx)
	s.event(e, "transaction", "started")
	s.tell(tx, ev)
	tx.told = true
	s.planMeter(e)
	s.step(e)
}

// authUsed ties the authorisation of an EVSE to its transaction.
func (s *Station) authUsed(e *evse) {
	e.tx.auth = e.auth
	if e.auth.reserved != 0 {
		s.dropReservation(e.auth.reserved)
	}
}

// tell numbers an event and gives it to the front.
func (s *Station) tell(tx *transaction, ev *txEvent) {
	ev.seqNo = tx.seqNo
	tx.seqNo++
	s.front.txEvent(tx, ev)
}

// txUpdated tells a change within a transaction.
func (s *Station) txUpdated(e *evse, trigger string) {
	tx := e.tx
	ev := &txEvent{kind: "Updated", trigger: trigger, at: s.now(), state: e.state, offline: s.offline()}
	if e.plugged > 0 && tx.connector == 0 {
		tx.connector = e.plugged
	}
	if tx.auth == nil && e.auth != nil {
		ev.token, ev.reserved = &e.auth.token, e.auth.reserved
		s.authUsed(e)
	}
	s.tell(tx, ev)
}

// txReading tells periodic or clock-aligned values.
func (s *Station) txReading(e *evse, trigger string, r *timedSamples) {
	if len(r.samples) == 0 {
		return
	}
	s.tell(e.tx, &txEvent{kind: "Updated", trigger: trigger, at: r.at, state: e.state, offline: s.offline(), reading: r})
}

// endTx ends the transaction of an EVSE, if there is one.
func (s *Station) endTx(e *evse, trigger, reason string) {
	tx := e.tx
	if tx == nil || tx.ended {
		return
	}
	s.advance(s.now())
	tx.ended, tx.reason = true, reason
	tx.closing = append(tx.closing, *s.read(e, "Transaction.End", setSampledEnded))
	if e.state != stateIdle && e.plugged == 0 {
		e.state = stateIdle
	} else if e.plugged > 0 {
		e.state = stateConnected
	}
	ev := &txEvent{kind: "Ended", trigger: trigger, at: s.now(), state: e.state, offline: s.offline(), token: tx.stopToken,
		reading: &tx.closing[len(tx.closing)-1]}
	s.tell(tx, ev)
	s.event(e, "transaction", "ended: "+reason)
	s.dropTxProfiles(tx)
	e.tx, e.auth, e.blocked = nil, nil, false
	e.finishing = e.plugged > 0
	e.locked = false
	s.cancel(e.meterTimer)
	s.cancel(e.stepTimer)
	e.meterTimer, e.stepTimer = nil, nil
	s.flow(e, s.now())
	s.report(e)
	s.idle()
}

// stopBy ends a transaction by taking its authorisation away, as the stop point has it.
func (s *Station) stopBy(e *evse, trigger, reason string, by *token) {
	if e.tx == nil {
		e.auth = nil
		s.report(e)
		return
	}
	e.tx.reason, e.tx.stopToken = reason, by
	e.auth = nil
	s.flow(e, s.now())
	s.edges(e, trigger)
	if e.tx != nil { // the stop point is the end of the cable: the transaction lasts until it is pulled
		e.locked = false
		e.state = s.chargingStateOf(e)
		s.txUpdatedBy(e, trigger, by)
	}
	s.report(e)
}

func (s *Station) txUpdatedBy(e *evse, trigger string, by *token) {
	s.tell(e.tx, &txEvent{kind: "Updated", trigger: trigger, at: s.now(), state: e.state, offline: s.offline(), token: by})
}

// refused is what happens when the management system does not accept the token of a transaction, OCPP 1.6 4.8,
// 2.1 C15 and E05.
func (s *Station) refused(tx *transaction) {
	e := tx.evse
	if e.tx != tx || tx.ended || tx.invalid {
		return
	}
	tx.invalid, tx.invalidAt = true, e.meter
	if s.flag(setStopOnInvalid) && s.num(setMaxEnergyInvalid) == 0 {
		s.stopBy(e, "Deauthorized", "DeAuthorized", nil)
		return
	}
	e.blocked = s.num(setMaxEnergyInvalid) == 0
	s.settle(e)
}

// watchLimits ends or pauses a transaction that has reached one of its limits.
func (s *Station) watchLimits(e *evse) {
	tx := e.tx
	if tx == nil || tx.ended {
		return
	}
	if most := s.num(setMaxEnergyInvalid); tx.invalid && most > 0 && (e.meter-tx.invalidAt).wh() >= most && !e.blocked {
		if s.flag(setStopOnInvalid) {
			s.stopBy(e, "Deauthorized", "DeAuthorized", nil)
			return
		}
		e.blocked = true
		s.settle(e)
	}
	s.enforceLimits(e)
	if e.tx == tx && e.plugged > 0 && tx.lastLimit != e.offered {
		first := tx.lastLimit == 0
		tx.lastLimit = e.offered
		if !first && !s.isV16() && e.power > 0 {
			s.txUpdated(e, "ChargingRateChanged")
		}
	}
}

// read takes a reading of the measurands that a setting lists.
func (s *Station) read(e *evse, context string, list setting) *timedSamples {
	return &timedSamples{at: s.now(), context: context, samples: s.measure(e, s.words(list))}
}

// planMeter starts the sampling of a transaction anew.
func (s *Station) planMeter(e *evse) {
	s.cancel(e.meterTimer)
	e.meterTimer = nil
	d := s.seconds(setMeterInterval)
	if e.tx == nil || d <= 0 || !s.flag(setSampledEnabled) {
		return
	}
	e.meterTimer = s.after(s.simDuration(d), func() { s.sampleTx(e) })
}

func (s *Station) sampleTx(e *evse) {
	if e.tx == nil {
		return
	}
	r := s.read(e, "Sample.Periodic", setSampled)
	s.event(e, "meter", itoa(e.meter.wh())+" Wh, "+itoa(e.power)+" W")
	s.txReading(e, "MeterValuePeriodic", r)
	if len(e.tx.history) < maxHistory {
		if ended := s.read(e, "Sample.Periodic", setSampledEnded); len(ended.samples) > 0 {
			e.tx.history = append(e.tx.history, *ended)
		}
	}
	s.planMeter(e)
}

// planAligned plans the readings that follow the clock: at whole multiples of the interval since midnight.
func (s *Station) planAligned() {
	s.cancel(s.alignedTimer)
	s.alignedTimer = nil
	d := s.seconds(setAlignedInterval)
	if d <= 0 || !s.flag(setAlignedEnabled) {
		return
	}
	now := s.now()
	midnight := now.Truncate(24 * time.Hour)
	next := midnight.Add(now.Sub(midnight).Truncate(d) + d)
	s.alignedTimer = s.at(next, func() {
		for _, e := range s.evses {
			s.sampleAligned(e)
		}
		s.planAligned()
	})
}

func (s *Station) sampleAligned(e *evse) {
	r := s.read(e, "Sample.Clock", setAligned)
	if e.tx != nil {
		s.txReading(e, "MeterValueClock", r)
		if ended := s.read(e, "Sample.Clock", setEndedAligned); len(ended.samples) > 0 && len(e.tx.history) < maxHistory {
			e.tx.history = append(e.tx.history, *ended)
		}
		return
	}
	if len(r.samples) > 0 && s.powered {
		s.front.readings(e, "Sample.Clock", r.samples)
	}
}

// offline says whether what happens now cannot be told at once.
func (s *Station) offline() bool { return s.peer == nil || s.reg != accepted }

// txByID finds a running transaction by what the version calls it.
func (s *Station) txByID(id string) *transaction {
	for _, e := range s.evses {
		if e.tx != nil && id != "" && s.front.txID(e.tx) == id {
			return e.tx
		}
	}
	return nil
}

// anyTx says whether a transaction runs on one EVSE, or on any when e is nil.
func (s *Station) anyTx(e *evse) bool {
	return slices.ContainsFunc(s.evses, func(x *evse) bool { return x.tx != nil && (e == nil || x == e) })
}
