package translate

import (
	"fmt"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// profile21 says a profile in 2.1. Its schedule gets the id of the profile: 1.6 has none.
func profile21(d *Dialogue, path string, p *v16.ChargingProfile, notes *notesOf) (v21.ChargingProfile, error) {
	var none v21.ChargingProfile
	s := &p.ChargingSchedule
	switch n := len(s.ChargingSchedulePeriod); {
	case p.StackLevel < 0:
		return none, outOfBounds(path+".stackLevel", "must be at least 0")
	case n == 0 || n > 1024:
		return none, outOfBounds(path+".chargingSchedule.chargingSchedulePeriod", "must have 1 to 1024 items in 2.1")
	}
	out := v21.ChargingProfile{
		ID: p.ChargingProfileID, StackLevel: p.StackLevel, ChargingProfileKind: v21.ChargingProfileKind(p.ChargingProfileKind),
		ChargingProfilePurpose: purpose21(p.ChargingProfilePurpose), ValidFrom: p.ValidFrom, ValidTo: p.ValidTo,
	}
	if p.RecurrencyKind.OK {
		out.RecurrencyKind = ocpp.Some(v21.RecurrencyKind(p.RecurrencyKind.V))
	}
	if p.TransactionID.OK {
		out.TransactionID = ocpp.Some(d.State.TransactionID(p.TransactionID.V))
	}
	schedule := v21.ChargingSchedule{
		ID: p.ChargingProfileID, Duration: s.Duration, StartSchedule: s.StartSchedule,
		ChargingRateUnit: v21.ChargingRateUnit(s.ChargingRateUnit), MinChargingRate: s.MinChargingRate,
	}
	for i := range s.ChargingSchedulePeriod {
		q := period21(path+".chargingSchedule.chargingSchedulePeriod", i, &s.ChargingSchedulePeriod[i], notes)
		schedule.ChargingSchedulePeriod = append(schedule.ChargingSchedulePeriod, q)
	}
	out.ChargingSchedule = []v21.ChargingSchedule{schedule}
	return out, nil
}

func purpose21(p v16.ChargingProfilePurpose) v21.ChargingProfilePurpose {
	if p == v16.ChargingProfilePurposeChargePointMaxProfile {
		return v21.ChargingProfilePurposeChargingStationMaxProfile
	}
	return v21.ChargingProfilePurpose(p)
}

// liftSetChargingProfile: a TxProfile of 2.1 must name its transaction (OCPP 2.1 K01.FR.03); in 1.6 the one that runs on the
// connector may be meant.
func liftSetChargingProfile(d *Dialogue, m *v16.SetChargingProfileRequest) (Exchange, error) {
	if m.ConnectorID < 0 {
		return Exchange{}, outOfBounds("connectorId", "must be at least 0")
	}
	var notes notesOf
	p, err := profile21(d, "csChargingProfiles", &m.CsChargingProfiles, &notes)
	if err != nil {
		return Exchange{}, err
	}
	if p.ChargingProfilePurpose == v21.ChargingProfilePurposeTxProfile && !p.TransactionID.OK {
		id, running := d.State.Running(m.ConnectorID)
		if !running { // OCPP 1.6 §5.16.4: without a transaction a TxProfile is rejected
			return answered(&v16.SetChargingProfileResponse{Status: v16.ChargingProfileStatusRejected}, nil), nil
		}
		p.TransactionID = ocpp.Some(id)
		notes.emulated(true, "csChargingProfiles.transactionId", "the transaction that runs on the connector")
	}
	return ask(&v21.SetChargingProfileRequest{EVSEID: m.ConnectorID, ChargingProfile: p}, func(r *v21.SetChargingProfileResponse) Outcome {
		return Outcome{Response: &v16.SetChargingProfileResponse{Status: v16.ChargingProfileStatus(r.Status)}}
	}, notes...), nil
}

func liftClearChargingProfile(m *v16.ClearChargingProfileRequest) (Exchange, error) {
	var notes notesOf
	req := &v21.ClearChargingProfileRequest{ChargingProfileID: m.ID}
	if m.ID.OK { // OCPP 2.1 K10.FR.03: with an id the criteria do not count
		notes.lost(m.ConnectorID.OK, "connectorId", "the id alone says which profile")
		notes.lost(m.ChargingProfilePurpose.OK, "chargingProfilePurpose", "the id alone says which profile")
		notes.lost(m.StackLevel.OK, "stackLevel", "the id alone says which profile")
	} else {
		if m.ConnectorID.Or(0) < 0 || m.StackLevel.Or(0) < 0 { // there can be no such profile
			return answered(&v16.ClearChargingProfileResponse{Status: v16.ClearChargingProfileStatusUnknown}, nil), nil
		}
		c := &v21.ClearChargingProfile{EVSEID: m.ConnectorID, StackLevel: m.StackLevel}
		if m.ChargingProfilePurpose.OK {
			c.ChargingProfilePurpose = ocpp.Some(purpose21(m.ChargingProfilePurpose.V))
		}
		req.ChargingProfileCriteria = c
	}
	return ask(req, func(r *v21.ClearChargingProfileResponse) Outcome {
		return Outcome{Response: &v16.ClearChargingProfileResponse{Status: v16.ClearChargingProfileStatus(r.Status)}}
	}, notes...), nil
}

func liftGetCompositeSchedule(m *v16.GetCompositeScheduleRequest) (Exchange, error) {
	if m.ConnectorID < 0 {
		return Exchange{}, outOfBounds("connectorId", "must be at least 0")
	}
	req := &v21.GetCompositeScheduleRequest{EVSEID: m.ConnectorID, Duration: m.Duration}
	if m.ChargingRateUnit.OK {
		req.ChargingRateUnit = ocpp.Some(v21.ChargingRateUnit(m.ChargingRateUnit.V))
	}
	return ask(req, func(r *v21.GetCompositeScheduleResponse) Outcome {
		var notes notesOf
		resp := &v16.GetCompositeScheduleResponse{Status: v16.GetCompositeScheduleStatus(r.Status)}
		if s := r.Schedule; s != nil {
			schedule, err := composite16(s, &notes)
			if err != nil { // half a schedule would promise what the station does not give
				notes.lost(true, "schedule", err.Error())
				return Outcome{Response: &v16.GetCompositeScheduleResponse{Status: v16.GetCompositeScheduleStatusRejected}, Notes: notes}
			}
			resp.ConnectorID, resp.ScheduleStart, resp.ChargingSchedule = ocpp.Some(m.ConnectorID), ocpp.Some(s.ScheduleStart), schedule
		}
		return Outcome{Response: resp, Notes: notes}
	}), nil
}

func composite16(s *v21.CompositeSchedule, notes *notesOf) (*v16.ChargingSchedule, error) {
	out := &v16.ChargingSchedule{
		Duration: ocpp.Some(s.Duration), StartSchedule: ocpp.Some(s.ScheduleStart), ChargingRateUnit: v16.ChargingRateUnit(s.ChargingRateUnit),
	}
	for i := range s.ChargingSchedulePeriod {
		p, err := period16(fmt.Sprintf("schedule.chargingSchedulePeriod[%d]", i), &s.ChargingSchedulePeriod[i], notes)
		if err != nil {
			return nil, err
		}
		out.ChargingSchedulePeriod = append(out.ChargingSchedulePeriod, p)
	}
	return out, nil
}
