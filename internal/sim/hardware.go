package sim

import (
	"math"
	"time"
)

const (
	voltage     = 230              // of one phase, in V
	dcVoltage   = 400              // of a DC output, in V
	longestStep = 10 * time.Second // of simulated time, in which the power is taken as constant
)

// energy is what a meter counts, in millijoules: watts times milliseconds, so that it is exact.
type energy int64

func (e energy) wh() int { return int(e / 3_600_000) }

// chargingState is where a car and its EVSE stand, in the words of OCPP 2.1.
type chargingState string

const (
	stateIdle          chargingState = "Idle"
	stateConnected     chargingState = "EVConnected"
	stateCharging      chargingState = "Charging"
	stateSuspendedEV   chargingState = "SuspendedEV"
	stateSuspendedEVSE chargingState = "SuspendedEVSE"
)

// evse is one place to charge at. Connectors are counted from 1.
type evse struct {
	id        int
	meter     energy
	power     int   // W, that flows now
	offered   int   // W, that the EVSE would give
	remainder int64 // simulated nanoseconds that are not yet a millisecond

	plugged   int // connector, 0 for none
	locked    bool
	car       Car
	auth      *authorisation
	tx        *transaction
	state     chargingState
	finishing bool // the transaction has ended, the car is still there
	blocked   bool // no energy: the token was refused afterwards
	paused    bool // the car does not want energy now

	inoperative  bool
	connectorOff []bool // connector that is out of service
	fault        string // the 1.6 error code, "" for none
	reported     []string
	pending      []*task // status changes that wait for the minimum duration

	connectTimer, meterTimer, stepTimer, autoTimer *task
	scheduled                                      *bool // change of availability that waits for the end of a transaction
}

// authorisation is a token that may use an EVSE.
type authorisation struct {
	token    token
	group    string
	remoteID int // of the request of the management system; 0 for none
	remote   bool
	reserved int // reservation that it uses, 0 for none
}

func (s *Station) nominalPhases(e *evse) int {
	if s.cfg.DC {
		return 1
	}
	return min(s.cfg.Phases, max(1, e.car.Phases))
}

func (s *Station) lineVoltage() int {
	if s.cfg.DC {
		return dcVoltage
	}
	return voltage
}

// demand is what the car would take at its state of charge, in W. Batteries take less towards the end.
func (s *Station) demand(e *evse) int {
	soc := e.car.SoC
	if e.paused || soc >= e.car.TargetSoC {
		return 0
	}
	if s.cfg.DC {
		f := 1.0
		switch {
		case soc > 80:
			f = 0.35 - 0.3*(soc-80)/20
		case soc > 50:
			f = 1 - 0.65*(soc-50)/30
		}
		return int(float64(e.car.MaxDCWatts) * f)
	}
	w := e.car.MaxAmps * s.nominalPhases(e) * voltage
	if soc > 96 {
		w = int(float64(w) * max(0.1, (100-soc)/4))
	}
	return w
}

// contactorClosed says whether energy may flow.
func (e *evse) contactorClosed() bool {
	return e.plugged > 0 && e.auth != nil && e.tx != nil && !e.blocked && e.fault == "" && !e.finishing
}

// flow sets what flows now.
func (s *Station) flow(e *evse, now time.Time) {
	e.offered = s.limitAt(e, now)
	e.power = 0
	if e.contactorClosed() && s.powered {
		e.power = max(0, min(e.offered, s.demand(e)))
		if e.power < 100 { // below that a contactor opens
			e.power = 0
		}
	}
}

// advance brings the physics up to now: the meter counts exactly power times time.
func (s *Station) advance(now time.Time) {
	elapsed := now.Sub(s.advanced)
	if elapsed <= 0 {
		return
	}
	from := s.advanced
	s.advanced = now
	sim := time.Duration(float64(elapsed) * s.cfg.Behaviour.Speed)
	s.simulated += sim
	for _, e := range s.evses {
		if e.plugged > 0 && e.tx != nil {
			s.charge(e, from, now, sim)
		}
	}
}

// charge lets energy flow at one EVSE for a simulated time that the clock counts from one moment to the other.
func (s *Station) charge(e *evse, from, to time.Time, sim time.Duration) {
	total := sim
	for sim > 0 {
		at := from.Add(time.Duration(float64(to.Sub(from)) * (1 - float64(sim)/float64(total))))
		s.flow(e, at)
		step := min(sim, longestStep)
		if e.power > 0 {
			left := (e.car.TargetSoC - e.car.SoC) / 100 * float64(e.car.BatteryWh) * 3600 / float64(e.power)
			if full := time.Duration(math.Ceil(left*1000)) * time.Millisecond; full < step {
				step = max(full, time.Millisecond)
			}
			step = min(step, sim)
		}
		sim -= step
		ns := e.remainder + int64(step)
		ms := ns / int64(time.Millisecond)
		e.remainder = ns % int64(time.Millisecond)
		counted := energy(int64(e.power) * ms)
		e.meter += counted
		e.car.SoC = min(e.car.TargetSoC, e.car.SoC+float64(counted)/3_600_000/float64(e.car.BatteryWh)*100)
		if e.power > 0 && e.tx != nil {
			e.tx.charging += time.Duration(ms) * time.Millisecond
			e.car.SoC = snap(e.car.SoC, e.car.TargetSoC)
		}
		if s.onStep != nil {
			s.onStep(e, e.power, ms)
		}
	}
	s.flow(e, to)
}

// snap ends the last fraction of a per cent that rounding would leave.
func snap(soc, target float64) float64 {
	if target-soc < 1e-6 {
		return target
	}
	return soc
}

// chargingStateOf derives the state from what is the case.
func (s *Station) chargingStateOf(e *evse) chargingState {
	switch {
	case e.plugged == 0:
		return stateIdle
	case e.auth == nil || e.tx == nil || e.finishing:
		return stateConnected
	case e.blocked || e.fault != "" || e.offered < 100:
		return stateSuspendedEVSE
	case e.power == 0:
		return stateSuspendedEV
	}
	return stateCharging
}

// tick is the heartbeat of a charging EVSE: physics, changes of state, and the next tick.
func (s *Station) tick(e *evse) {
	e.stepTimer = nil
	s.step(e)
}

// step brings one EVSE up to date and plans the next look at it.
func (s *Station) step(e *evse) {
	s.advance(s.now())
	s.settle(e)
	s.watchLimits(e)
	s.checkMonitors()
	if e.stepTimer == nil && e.tx != nil && e.plugged > 0 {
		e.stepTimer = s.after(s.stepTime(), func() { s.tick(e) })
	}
}

// stepTime is how often a charging EVSE is looked at.
func (s *Station) stepTime() time.Duration {
	d := time.Duration(float64(5*time.Second) / s.cfg.Behaviour.Speed)
	return min(max(d, 100*time.Millisecond), time.Second)
}

// settle sets the flow and reports the charging state when it changed.
func (s *Station) settle(e *evse) {
	s.flow(e, s.now())
	was := e.state
	e.state = s.chargingStateOf(e)
	if e.state != was && e.tx != nil && !e.tx.ended {
		s.event(e, "state", string(e.state))
		s.edges(e, "ChargingStateChanged")
		if e.tx != nil && e.tx.told {
			s.txUpdated(e, "ChargingStateChanged")
		}
	}
	s.report(e)
}

// sample is one measured value.
type sample struct {
	measurand, phase, unit, location string
	value                            float64
}

// measure reads the meter for a list of measurands.
func (s *Station) measure(e *evse, words []string) []sample {
	s.advance(s.now())
	phases, volts := s.nominalPhases(e), s.lineVoltage()
	per := float64(e.power) / float64(phases*volts)
	var out []sample
	for _, w := range words {
		switch w {
		case "Energy.Active.Import.Register":
			out = append(out, sample{measurand: w, unit: "Wh", location: "Outlet", value: float64(e.meter.wh())})
		case "Power.Active.Import":
			out = append(out, sample{measurand: w, unit: "W", location: "Outlet", value: float64(e.power)})
		case "Power.Offered":
			out = append(out, sample{measurand: w, unit: "W", location: "Outlet", value: float64(e.offered)})
		case "Current.Offered":
			out = append(out, sample{measurand: w, unit: "A", location: "Outlet", value: float64(e.offered) / float64(phases*volts)})
		case "Frequency":
			out = append(out, sample{measurand: w, location: "Outlet", value: 50})
		case "SoC":
			if s.cfg.DC && e.plugged > 0 {
				out = append(out, sample{measurand: w, unit: "Percent", location: "EV", value: math.Floor(e.car.SoC)})
			}
		case "Current.Import", "Voltage":
			out = append(out, s.perPhase(e, w, per, float64(volts))...)
		}
	}
	return out
}

func (s *Station) perPhase(e *evse, word string, amps, volts float64) []sample {
	unit, value, suffix := "A", amps, ""
	if word == "Voltage" {
		unit, value, suffix = "V", volts, "-N"
	}
	if s.cfg.DC {
		return []sample{{measurand: word, unit: unit, location: "Outlet", value: value}}
	}
	out := make([]sample, 0, 3)
	for i := range s.cfg.Phases {
		v := value
		if unit == "A" && i >= s.nominalPhases(e) {
			v = 0
		}
		out = append(out, sample{measurand: word, phase: [...]string{"L1", "L2", "L3"}[i] + suffix, unit: unit, location: "Outlet", value: v})
	}
	return out
}
