package sim

import (
	"math"
	"time"
)

// random is a time with the mean d, never more than four times that.
func (s *Station) random(d time.Duration) time.Duration {
	return min(time.Duration(-math.Log(1-s.rnd.Float64())*float64(d)), 4*d)
}

// planAuto starts what the surroundings do by themselves.
func (s *Station) planAuto() {
	b := &s.cfg.Behaviour
	if b.OfflineEvery > 0 {
		s.planOffline()
	}
	for _, e := range s.evses {
		if b.Auto && e.autoTimer == nil {
			wait := s.random(b.SessionEvery)
			if b.FirstWithin > 0 && e.id == 1 {
				wait = min(wait, time.Duration(s.rnd.Float64()*float64(b.FirstWithin)))
			}
			e.autoTimer = s.after(s.simDuration(wait), func() { s.arrive(e) })
		}
		if b.FaultEvery > 0 {
			s.planFault(e)
		}
	}
}

func (s *Station) planOffline() {
	s.cancel(s.offlineTimer)
	s.offlineTimer = s.after(s.random(s.cfg.Behaviour.OfflineEvery), func() {
		s.unplugged = true
		s.dropLink("offline")
		s.offlineTimer = s.after(s.random(s.cfg.Behaviour.OfflineFor), func() {
			s.unplugged, s.failures = false, 0
			s.poke()
			s.planOffline()
		})
	})
}

func (s *Station) planFault(e *evse) {
	s.after(s.simDuration(s.random(s.cfg.Behaviour.FaultEvery)), func() {
		codes := [...]string{"GroundFailure", "OverCurrentFailure", "HighTemperature", "PowerMeterFailure", "ConnectorLockFailure"}
		s.setFault(e, codes[s.rnd.IntN(len(codes))])
		s.after(s.simDuration(s.random(5*time.Minute)), func() {
			s.setFault(e, "")
			s.planFault(e)
		})
	})
}

// arrive is a car that comes: cable first or card first, as people do.
func (s *Station) arrive(e *evse) {
	b := &s.cfg.Behaviour
	again := func() { e.autoTimer = s.after(s.simDuration(s.random(b.SessionEvery)), func() { s.arrive(e) }) }
	if e.plugged > 0 || s.outOfService(e) || e.fault != "" || !s.powered || s.reg != accepted {
		again()
		return
	}
	car := Car{SoC: 10 + 60*s.rnd.Float64(), BatteryWh: 40_000 + 10_000*s.rnd.IntN(5), MaxAmps: 16 + 16*s.rnd.IntN(2), Phases: 1 + 2*s.rnd.IntN(2)}
	car.fill()
	uid := ""
	if n := len(s.cfg.Tokens); n > 0 {
		uid = s.cfg.Tokens[s.rnd.IntN(n)]
	}
	plug := func() {
		if e.plugged == 0 && e.fault == "" {
			s.plug(e, car)
		}
	}
	show := func() {
		if uid != "" && e.auth == nil {
			s.event(e, "token", uid)
			s.presented(e, token{id: uid, typ: "ISO14443"})
		}
	}
	first, second := plug, show
	if s.rnd.IntN(3) == 0 {
		first, second = show, plug
	}
	first()
	s.after(s.simDuration(10*time.Second), second)
	s.after(s.simDuration(30*time.Second+s.random(b.SessionLength)), func() {
		if e.tx != nil && e.auth != nil && e.auth.token.id == uid && s.rnd.IntN(4) > 0 {
			s.presented(e, token{id: uid, typ: "ISO14443"})
		}
		s.after(s.simDuration(20*time.Second), func() {
			if e.plugged > 0 {
				s.unplug(e)
			}
			again()
		})
	})
}
