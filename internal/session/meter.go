package session

import (
	"errors"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// meter takes one set of samples into the session and reports whether it held a register reading. opening marks those of
// the start; live is false for samples of a message that others have overtaken, past true for those of a message that
// waited for a connection.
func (s *Session) meter(mv *v21.MeterValue, opening, live, past bool, now time.Time) (read bool) {
	at := mv.Timestamp.Truncate(time.Microsecond) // as the database keeps it
	newest := live && s.State == Active && (!s.Last.Known || !at.Before(s.Last.At))
	mwh, read := total(mv, v21.MeasurandEnergyActiveImportRegister, milli)
	if read {
		s.register(Register{MWh: mwh, At: at, Known: true}, opening, begins(mv), now)
	}
	if !newest {
		return read
	}
	if w, ok := total(mv, v21.MeasurandPowerActiveImport, unity); ok && !past {
		s.PowerW = w
	}
	if soc, ok := total(mv, v21.MeasurandSoC, unity); ok {
		n := int(soc)
		s.SoC = &n
	}
	return read
}

// begins reports whether samples are marked as those of the transaction's beginning.
func begins(mv *v21.MeterValue) bool {
	for i := range mv.SampledValue {
		if mv.SampledValue[i].Context.V == v21.ReadingContextTransactionBegin {
			return true
		}
	}
	return false
}

// hasRegister reports whether any of the samples is a reading of the register.
func hasRegister(list []v21.MeterValue) bool {
	for i := range list {
		if _, ok := total(&list[i], v21.MeasurandEnergyActiveImportRegister, milli); ok {
			return true
		}
	}
	return false
}

// register takes a reading. The first is the start's, else the earliest by the station's time that is not from before
// the start; the last is the latest that is not from after the end.
func (s *Session) register(r Register, opening, begins bool, now time.Time) {
	if s.endHash != "" && r.At.After(s.EndedAt) {
		return
	}
	s.unflag(MeterUnknown)
	if s.outOfOrder(r) {
		s.flag(MeterBackwards, "the energy register went down during the session", now)
	}
	switch {
	case !s.First.Known, opening:
		s.First = r
	case !begins && s.startHash != "" && r.At.Before(s.StartedAt):
	case r.At.Before(s.First.At):
		s.First = r
	}
	if !s.Last.Known || r.At.After(s.Last.At) || r.At.Equal(s.Last.At) && r.MWh > s.Last.MWh {
		s.Last = r
	}
}

// outOfOrder reports whether a reading contradicts the first or the last, in whichever order they come.
func (s *Session) outOfOrder(r Register) bool {
	contradicts := func(other Register) bool {
		return other.Known && (r.At.After(other.At) && r.MWh < other.MWh || r.At.Before(other.At) && r.MWh > other.MWh)
	}
	return contradicts(s.First) || contradicts(s.Last)
}

// Scales of the integers that total returns.
var (
	unity = decimal.MustNew(1, 0)
	milli = decimal.MustNew(1000, 0)
)

// total finds the value of a measurand in a set of samples, times scale, rounded half to even: the sample without a
// phase, or the sum over the phases. Samples of other locations than the outlet count only when there is none of it.
func total(mv *v21.MeterValue, want v21.Measurand, scale decimal.Decimal) (int64, bool) {
	for _, location := range []v21.Location{v21.LocationOutlet, ""} {
		var sum decimal.Decimal
		phases := false
		for i := range mv.SampledValue {
			sv := &mv.SampledValue[i]
			if sv.Measurand.Or(v21.MeasurandEnergyActiveImportRegister) != want || !translate.HasReading(sv) {
				continue
			}
			if location != "" && sv.Location.Or(v21.LocationOutlet) != location {
				continue
			}
			v, err := baseUnit(sv)
			if err != nil {
				continue
			}
			if v, err = v.Mul(scale); err != nil {
				continue
			}
			if !sv.Phase.OK {
				return integer(v)
			}
			if next, err := sum.Add(v); err == nil && singlePhase(sv.Phase.V) {
				sum, phases = next, true
			}
		}
		if phases {
			return integer(sum)
		}
	}
	return 0, false
}

func integer(v decimal.Decimal) (int64, bool) {
	whole, _, ok := v.Round(0).Int64(0)
	return whole, ok
}

// singlePhase is true for the samples that add up to the whole.
func singlePhase(p v21.Phase) bool {
	switch p {
	case v21.PhaseL1, v21.PhaseL2, v21.PhaseL3, v21.PhaseL1N, v21.PhaseL2N, v21.PhaseL3N:
		return true
	}
	return false
}

// baseUnit brings a sample to Wh, W or the plain unit: multiplier and kilo prefix are applied.
func baseUnit(sv *v21.SampledValue) (decimal.Decimal, error) {
	v := sv.Value
	exp := 0
	if u := sv.UnitOfMeasure; u != nil {
		exp = u.Multiplier.Or(0)
		if unit := u.Unit.Or(""); len(unit) > 1 && strings.EqualFold(unit[:1], "k") {
			exp += 3
		}
	}
	return shift(v, exp)
}

// maxShift is the greatest power of ten that can matter to a number of 19 digits.
const maxShift = 40

var errShift = errors.New("the multiplier is out of any range")

// shift multiplies by a power of ten.
func shift(v decimal.Decimal, exp int) (decimal.Decimal, error) {
	if exp > maxShift || exp < -maxShift {
		return decimal.Decimal{}, errShift
	}
	ten := decimal.MustNew(10, 0)
	var err error
	for ; exp > 0 && err == nil; exp-- {
		v, err = v.Mul(ten)
	}
	for ; exp < 0 && err == nil; exp++ {
		v, err = v.Quo(ten)
	}
	return v, err
}
