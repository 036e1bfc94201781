package session

import (
	"math"
	"slices"
	"time"

	"lumela/ocpp/v21"
)

// reading is one reading of the imported energy register among all of a session, in mWh.
type reading struct {
	mwh   int64
	at    time.Time // the station's
	came  time.Time // with the message
	begin bool
}

// DefaultMaxPowerW is what an EVSE is taken to deliver at most when its device model does not tell: more than any that is
// built for cars and most for lorries.
const DefaultMaxPowerW = 1_500_000

// The margins of what is plausible. Meters are read, and clocks stamped, some seconds apart.
const (
	powerMargin  = 10               // percent
	timeMargin   = time.Minute      // of a step between two readings
	thousandth   = int64(1_000_000) // mWh: what rounding to whole kWh takes away
	slipAbove    = int64(1_000_000) // mWh: below it a factor of a thousand means nothing
	overMeasured = 5                // times the greatest power that was measured
	enoughPower  = 3                // samples of the power that must be there to say so
	mostSpan     = 366 * 24 * time.Hour
)

// measure finds the first and the last reading of an ended session, and what is odd between them.
func (s *Session) measure(told []Stored, found findings) {
	list := s.readings(told)
	s.First, s.Last, s.RestartedMWh = Register{}, Register{}, 0
	if len(list) == 0 {
		found.find(MeterUnknown, "no energy register was reported")
		return
	}
	first, last := list[0], list[len(list)-1]
	s.First, s.Last = Register{MWh: first.mwh, At: first.at, Known: true}, Register{MWh: last.mwh, At: last.at, Known: true}
	if len(list) > 1 && !slices.ContainsFunc(list, func(r reading) bool { return r.mwh != 0 }) {
		found.find(MeterZero, "the energy register stood at zero from the first to the last reading")
		return
	}
	s.checkSteps(list, found)
	s.checkTotal(list, told, found)
}

// readings gives the readings of a session in the order in which they were taken: by the station's time while that goes
// forward from message to message, else by the order of the messages. Samples from before the start or after the end count
// only where they are said to be the transaction's own.
func (s *Session) readings(told []Stored) []reading {
	forward := !s.EndedAt.Before(s.StartedAt)
	for i := 1; i < len(told); i++ {
		forward = forward && !told[i].Request.Timestamp.Before(told[i-1].Request.Timestamp)
	}
	var list []reading
	for _, e := range told {
		r := e.Request
		for i := range r.MeterValue {
			mv := &r.MeterValue[i]
			mwh, ok := total(mv, v21.MeasurandEnergyActiveImportRegister, milli)
			if !ok {
				continue
			}
			at, begin := mv.Timestamp.Truncate(time.Microsecond), begins(mv)
			started := r.EventType == v21.TransactionEventTypeStarted
			ended := r.EventType == v21.TransactionEventTypeEnded
			switch {
			case !s.EndedAt.Before(s.StartedAt) && !started && !begin && s.startHash != "" && at.Before(s.StartedAt):
				continue
			case !s.EndedAt.Before(s.StartedAt) && !ended && at.After(s.EndedAt):
				continue
			case !forward && ended && at.Before(r.Timestamp): // a repetition of what was told before, at a place that nobody knows
				continue
			}
			list = append(list, reading{mwh: mwh, at: at, came: e.ReceivedAt, begin: started || begin})
		}
	}
	slices.SortStableFunc(list, func(a, b reading) int {
		switch {
		case a.begin != b.begin && a.begin:
			return -1
		case a.begin != b.begin:
			return 1
		case !forward:
			return 0
		}
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return compareInt(a.mwh, b.mwh)
	})
	return slices.CompactFunc(list, func(a, b reading) bool { return a.mwh == b.mwh && a.at.Equal(b.at) })
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// deliverable is the energy, in mWh, that the EVSE can deliver between two readings at most: by the station's time or the
// times of arrival, whichever is longer.
func (s *Session) deliverable(a, b reading) int64 {
	span := min(max(b.at.Sub(a.at), b.came.Sub(a.came), 0), mostSpan) + timeMargin
	w := s.MaxPowerW
	if w <= 0 {
		w = DefaultMaxPowerW
	}
	return w * (100 + powerMargin) / 100 * int64(span/time.Second) * 1000 / 3600
}

// checkSteps looks at each step from one reading to the next.
func (s *Session) checkSteps(list []reading, found findings) {
	var drops []int
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		most := s.deliverable(a, b)
		switch step := b.mwh - a.mwh; {
		case step < 0 && a.mwh >= slipAbove && within(thousandfold(b.mwh)-a.mwh, most):
			found.find(MeterUnits, "the register went from %s to %s: a thousandth, as when kWh are given for Wh", kWh(a.mwh), kWh(b.mwh))
		case step < 0:
			drops = append(drops, i)
		case step <= most:
		case a.mwh == 0 && i == 1:
			text := "the first reading was 0 and the next %s: the energy cannot have been delivered in %s"
			found.find(MeterOdometer, text, kWh(b.mwh), span(a, b))
		case b.mwh >= slipAbove && within(b.mwh-thousandfold(a.mwh), most):
			found.find(MeterUnits, "the register went from %s to %s: a thousandfold, as when Wh are given for kWh", kWh(a.mwh), kWh(b.mwh))
		default:
			found.find(EnergyImplausible, "%s in %s is more than the %d kW that the EVSE can deliver", kWh(step), span(a, b), s.maxKW())
		}
	}
	if len(drops) == 0 || found[MeterUnits] != "" {
		return
	}
	at := drops[0]
	if len(drops) == 1 && s.restarted(list, at) {
		s.RestartedMWh = list[at-1].mwh - list[at].mwh
		found.find(MeterRestarted, "the register began again after %s; both pieces are counted", kWh(list[at-1].mwh))
		return
	}
	found.find(MeterBackwards, "the register went from %s down to %s", kWh(list[at-1].mwh), kWh(list[at].mwh))
}

// restarted reports whether the one step down is a register that began again: near zero, with what can have been
// delivered since, and counting on from there. What was delivered between the two readings is not known and not billed.
func (s *Session) restarted(list []reading, at int) bool {
	before, after := list[at-1], list[at]
	return at < len(list)-1 && after.mwh*10 <= before.mwh && after.mwh <= s.deliverable(before, after) && list[len(list)-1].mwh > after.mwh
}

// thousandfold multiplies a register, up to what no register shows.
func thousandfold(mwh int64) int64 {
	return max(-math.MaxInt64/4000, min(mwh, math.MaxInt64/4000)) * 1000
}

// within reports whether an energy is one that can have been delivered, give or take what rounding to kWh does.
func within(mwh, most int64) bool { return mwh >= -thousandth && mwh <= most+thousandth }

// checkTotal compares the whole energy with the whole time, and with the power that the station itself has measured.
func (s *Session) checkTotal(list []reading, told []Stored, found findings) {
	first, last := list[0], list[len(list)-1]
	energy := last.mwh - first.mwh + s.RestartedMWh
	if found[MeterOdometer] != "" || found[MeterUnits] != "" || energy <= 0 {
		return
	}
	if most := s.deliverable(first, last); energy > most {
		found.find(EnergyImplausible, "%s in %s is more than the %d kW that the EVSE can deliver", kWh(energy), span(first, last), s.maxKW())
		return
	}
	greatest, samples := int64(0), 0
	for _, e := range told {
		for i := range e.Request.MeterValue {
			if w, ok := total(&e.Request.MeterValue[i], v21.MeasurandPowerActiveImport, unity); ok {
				greatest, samples = max(greatest, w), samples+1
			}
		}
	}
	if samples < enoughPower || greatest <= 0 || greatest > mostPowerW/overMeasured {
		return
	}
	by := Session{MaxPowerW: greatest * overMeasured}
	if energy > by.deliverable(first, last)+thousandth {
		found.find(EnergyImplausible, "%s in %s does not go with the greatest power that was measured, %d W", kWh(energy), span(first, last), greatest)
	}
}

func (s *Session) maxKW() int64 {
	if s.MaxPowerW > 0 {
		return s.MaxPowerW / 1000
	}
	return DefaultMaxPowerW / 1000
}

func span(a, b reading) string { return max(b.at.Sub(a.at), 0).Round(time.Second).String() }
