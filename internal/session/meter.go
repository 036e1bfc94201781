package session

import (
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp/v21"
)

// meter takes one set of samples into the session.
func (s *Session) meter(mv *v21.MeterValue, now time.Time) {
	newest := !s.Last.Known || !mv.Timestamp.Before(s.Last.At)
	begins := false
	for i := range mv.SampledValue {
		if mv.SampledValue[i].Context.Or("") == v21.ReadingContextTransactionBegin {
			begins = true
		}
	}
	if mwh, ok := total(mv, v21.MeasurandEnergyActiveImportRegister, milli); ok {
		s.register(Register{MWh: mwh, At: mv.Timestamp, Known: true}, begins, now)
	}
	if !newest || s.State == Ended {
		return
	}
	if w, ok := total(mv, v21.MeasurandPowerActiveImport, unity); ok {
		s.PowerW = w
	}
	if soc, ok := total(mv, v21.MeasurandSoC, unity); ok {
		n := int(soc)
		s.SoC = &n
	}
}

// register takes a reading. The reading marked as the transaction's beginning is the first, whenever it comes; else the
// earliest is. The last is the latest by the station's time.
func (s *Session) register(r Register, begins bool, now time.Time) {
	if begins || !s.First.Known || r.At.Before(s.First.At) && s.startHash == "" {
		s.First = r
	}
	if !s.Last.Known || r.At.After(s.Last.At) || r.At.Equal(s.Last.At) && r.MWh > s.Last.MWh {
		if s.Last.Known && r.MWh < s.Last.MWh {
			s.flag(MeterBackwards, "the energy register went down during the session", now)
		}
		s.Last = r
	}
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
			if sv.Measurand.Or(v21.MeasurandEnergyActiveImportRegister) != want {
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

// shift multiplies by a power of ten.
func shift(v decimal.Decimal, exp int) (decimal.Decimal, error) {
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
