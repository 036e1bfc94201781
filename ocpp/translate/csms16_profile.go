package translate

import (
	"fmt"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// The rule for what a charging profile of 2.1 says beyond 1.6: a field without which the vehicle could draw more than
// was allowed, or at another time, is refused; any other is lost.

// purpose16 names a purpose in 1.6. The others of 2.1 have no counterpart there.
func purpose16(p v21.ChargingProfilePurpose) (v16.ChargingProfilePurpose, bool) {
	switch p {
	case v21.ChargingProfilePurposeChargingStationMaxProfile:
		return v16.ChargingProfilePurposeChargePointMaxProfile, true
	case v21.ChargingProfilePurposeTxDefaultProfile:
		return v16.ChargingProfilePurposeTxDefaultProfile, true
	case v21.ChargingProfilePurposeTxProfile:
		return v16.ChargingProfilePurposeTxProfile, true
	}
	return "", false
}

// profile16 says a profile in 1.6; path is its place in the request. The transaction must have a number.
func profile16(d *Dialogue, path string, p *v21.ChargingProfile, notes *notesOf) (*v16.ChargingProfile, error) {
	purpose, ok := purpose16(p.ChargingProfilePurpose)
	if !ok {
		return nil, refuse(path+".chargingProfilePurpose", "1.6 has no profile of purpose "+string(p.ChargingProfilePurpose))
	}
	if p.ChargingProfileKind == v21.ChargingProfileKindDynamic {
		return nil, refuse(path+".chargingProfileKind", "1.6 has no dynamic profiles")
	}
	schedule, err := schedule16(path+".chargingSchedule[0]", &p.ChargingSchedule[0], notes)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(p.ChargingSchedule); i++ {
		notes.lost(true, fmt.Sprintf("%s.chargingSchedule[%d]", path, i), "a profile of 1.6 has one schedule, the first")
	}
	notes.lost(p.MaxOfflineDuration.OK, path+".maxOfflineDuration", "in 1.6 a profile stays in force while the station is offline")
	notes.lost(p.InvalidAfterOfflineDuration.OK, path+".invalidAfterOfflineDuration", "in 1.6 a profile stays in force while the station is offline")
	notes.lost(p.DynUpdateInterval.OK, path+".dynUpdateInterval", "1.6 has no dynamic profiles")
	notes.lost(p.DynUpdateTime.OK, path+".dynUpdateTime", "1.6 has no dynamic profiles")
	notes.lost(p.PriceScheduleSignature.OK, path+".priceScheduleSignature", "1.6 has no price schedules")
	q := &v16.ChargingProfile{
		ChargingProfileID:      p.ID,
		StackLevel:             p.StackLevel,
		ChargingProfilePurpose: purpose,
		ChargingProfileKind:    v16.ChargingProfileKind(p.ChargingProfileKind),
		ValidFrom:              p.ValidFrom,
		ValidTo:                p.ValidTo,
		ChargingSchedule:       schedule,
	}
	if p.RecurrencyKind.OK {
		q.RecurrencyKind = ocpp.Some(v16.RecurrencyKind(p.RecurrencyKind.V))
	}
	if p.TransactionID.OK {
		n, ok := d.State.Number(p.TransactionID.V)
		if !ok {
			return nil, outOfBounds(path+".transactionId", "no 1.6 transaction is known by this id")
		}
		q.TransactionID = ocpp.Some(n)
	}
	return q, nil
}

func schedule16(path string, s *v21.ChargingSchedule, notes *notesOf) (v16.ChargingSchedule, error) {
	var none v16.ChargingSchedule
	switch {
	case s.LimitAtSoC != nil:
		return none, refuse(path+".limitAtSoC", "1.6 cannot limit by state of charge")
	case s.UseLocalTime.Or(false):
		return none, refuse(path+".useLocalTime", "schedules of 1.6 are in UTC")
	}
	notes.lost(s.PowerTolerance.OK, path+".powerTolerance", "1.6 has no tolerance")
	notes.lost(s.SignatureID.OK, path+".signatureId", "1.6 has no price schedules")
	notes.lost(s.DigestValue.OK, path+".digestValue", "1.6 has no price schedules")
	notes.lost(s.UseLocalTime.OK, path+".useLocalTime", "schedules of 1.6 are always in UTC")
	notes.lost(s.RandomizedDelay.OK, path+".randomizedDelay", "1.6 has no randomized delay in a schedule")
	notes.lost(s.SalesTariff != nil, path+".salesTariff", "1.6 has no sales tariffs")
	notes.lost(s.AbsolutePriceSchedule != nil, path+".absolutePriceSchedule", "1.6 has no price schedules")
	notes.lost(s.PriceLevelSchedule != nil, path+".priceLevelSchedule", "1.6 has no price schedules")
	out := v16.ChargingSchedule{
		Duration: s.Duration, StartSchedule: s.StartSchedule, ChargingRateUnit: v16.ChargingRateUnit(s.ChargingRateUnit),
		ChargingSchedulePeriod: make([]v16.ChargingSchedulePeriod, 0, len(s.ChargingSchedulePeriod)),
	}
	if s.MinChargingRate.OK {
		out.MinChargingRate = ocpp.Some(tenths(path+".minChargingRate", s.MinChargingRate.V, notes))
	}
	for i := range s.ChargingSchedulePeriod {
		p, err := period16(fmt.Sprintf("%s.chargingSchedulePeriod[%d]", path, i), &s.ChargingSchedulePeriod[i], notes)
		if err != nil {
			return none, err
		}
		out.ChargingSchedulePeriod = append(out.ChargingSchedulePeriod, p)
	}
	return out, nil
}

// period16 takes the lowest of the phases' limits: 1.6 has one limit for all phases, and none may be exceeded.
func period16(path string, p *v21.ChargingSchedulePeriod, notes *notesOf) (v16.ChargingSchedulePeriod, error) {
	var none v16.ChargingSchedulePeriod
	if field, present := beyondCharging(p); present {
		return none, refuse(path+"."+field, "1.6 can only limit charging")
	}
	if !p.Limit.OK {
		return none, refuse(path+".limit", "a period of 1.6 needs a limit")
	}
	limit := p.Limit.V
	for _, l := range []struct {
		name string
		v    ocpp.Opt[decimal.Decimal]
	}{{"limit_L2", p.LimitL2}, {"limit_L3", p.LimitL3}} {
		if l.v.OK {
			notes.emulated(true, path+"."+l.name, "1.6 has one limit for all phases: the lowest")
			limit = limit.Min(l.v.V)
		}
	}
	notes.lost(p.PhaseToUse.OK, path+".phaseToUse", "1.6 cannot name the phase")
	notes.lost(p.PreconditioningRequest.OK, path+".preconditioningRequest", "1.6 cannot ask for preconditioning")
	notes.lost(p.EVSESleep.OK, path+".evseSleep", "1.6 cannot send the EVSE to sleep")
	notes.lost(p.OperationMode.OK, path+".operationMode", "charging only is all that 1.6 knows")
	out := v16.ChargingSchedulePeriod{StartPeriod: p.StartPeriod, Limit: tenths(path+".limit", limit, notes), NumberPhases: p.NumberPhases}
	return out, nil
}

// beyondCharging names the first field that asks for more than a limit on charging.
func beyondCharging(p *v21.ChargingSchedulePeriod) (string, bool) {
	for _, f := range []struct {
		name    string
		present bool
	}{
		{"operationMode", p.OperationMode.OK && p.OperationMode.V != v21.OperationModeChargingOnly},
		{"dischargeLimit", p.DischargeLimit.OK}, {"dischargeLimit_L2", p.DischargeLimitL2.OK}, {"dischargeLimit_L3", p.DischargeLimitL3.OK},
		{"setpoint", p.Setpoint.OK}, {"setpoint_L2", p.SetpointL2.OK}, {"setpoint_L3", p.SetpointL3.OK},
		{"setpointReactive", p.SetpointReactive.OK}, {"setpointReactive_L2", p.SetpointReactiveL2.OK}, {"setpointReactive_L3", p.SetpointReactiveL3.OK},
		{"v2xBaseline", p.V2XBaseline.OK}, {"v2xFreqWattCurve", len(p.V2XFreqWattCurve) > 0}, {"v2xSignalWattCurve", len(p.V2XSignalWattCurve) > 0},
	} {
		if f.present {
			return f.name, true
		}
	}
	return "", false
}

// tenths rounds down to one digit, all that 1.6 has (ChargingSchedulePeriod of OCPP 1.6 §7): what is allowed may become less, never more.
func tenths(path string, v decimal.Decimal, notes *notesOf) decimal.Decimal {
	r := v.Floor(1)
	notes.emulated(!r.Equal(v), path, "rounded down to one digit after the point")
	return r
}

// period21 says a period in 2.1. A number of phases beyond 0 to 3 has no place there.
func period21(path string, i int, p *v16.ChargingSchedulePeriod, notes *notesOf) v21.ChargingSchedulePeriod {
	out := v21.ChargingSchedulePeriod{StartPeriod: p.StartPeriod, Limit: ocpp.Some(p.Limit), NumberPhases: p.NumberPhases}
	if n := p.NumberPhases; n.OK && (n.V < 0 || n.V > 3) {
		notes.lost(true, fmt.Sprintf("%s[%d].numberPhases", path, i), "2.1 knows 0 to 3 phases")
		out.NumberPhases = ocpp.Opt[int]{}
	}
	return out
}

// lowerSetChargingProfile: K01.
func lowerSetChargingProfile(d *Dialogue, m *v21.SetChargingProfileRequest) (Exchange, error) {
	if id := m.ChargingProfile.TransactionID; id.OK {
		if _, ok := d.State.Number(id.V); !ok { // OCPP 2.1 K01.FR.33: an unknown transaction is rejected, not an error
			return answered(&v21.SetChargingProfileResponse{
				Status: v21.ChargingProfileStatusRejected, StatusInfo: reason("TxNotFound", "no 1.6 transaction is known by this id"),
			}, nil), nil
		}
	}
	var notes notesOf
	p, err := profile16(d, "chargingProfile", &m.ChargingProfile, &notes)
	if err != nil {
		return Exchange{}, err
	}
	req := &v16.SetChargingProfileRequest{ConnectorID: m.EVSEID, CsChargingProfiles: *p}
	return ask(req, func(r *v16.SetChargingProfileResponse) Outcome {
		resp := &v21.SetChargingProfileResponse{Status: v21.ChargingProfileStatus(r.Status)}
		if r.Status == v16.ChargingProfileStatusAccepted {
			rememberProfile(d, m)
		}
		if r.Status == v16.ChargingProfileStatusNotSupported {
			resp.Status, resp.StatusInfo = v21.ChargingProfileStatusRejected, reason("UnsupportedRequest", "the station has no smart charging")
		}
		return Outcome{Response: resp}
	}, notes...), nil
}
