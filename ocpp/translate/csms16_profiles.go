package translate

import (
	"encoding/json"
	"slices"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// lowerClearChargingProfile: K10. A profile of a purpose that 1.6 does not have cannot be there.
func lowerClearChargingProfile(d *Dialogue, m *v21.ClearChargingProfileRequest) (Exchange, error) {
	var notes notesOf
	req := &v16.ClearChargingProfileRequest{ID: m.ChargingProfileID}
	c := m.ChargingProfileCriteria
	if m.ChargingProfileID.OK { // OCPP 2.1 K10.FR.03: with an id the criteria do not count
		notes.lost(c != nil, "chargingProfileCriteria", "the id alone says which profile")
		c = nil
	}
	if c != nil {
		req.ConnectorID, req.StackLevel = c.EVSEID, c.StackLevel
		if c.ChargingProfilePurpose.OK {
			p, ok := purpose16(c.ChargingProfilePurpose.V)
			if !ok {
				return answered(&v21.ClearChargingProfileResponse{Status: v21.ClearChargingProfileStatusUnknown}, nil), nil
			}
			req.ChargingProfilePurpose = ocpp.Some(p)
		}
	}
	return ask(req, func(r *v16.ClearChargingProfileResponse) Outcome {
		if r.Status == v16.ClearChargingProfileStatusAccepted {
			forgetProfiles(d, m)
		}
		return Outcome{Response: &v21.ClearChargingProfileResponse{Status: v21.ClearChargingProfileStatus(r.Status)}}
	}, notes...), nil
}

// lowerGetCompositeSchedule: K08.
func lowerGetCompositeSchedule(d *Dialogue, m *v21.GetCompositeScheduleRequest) (Exchange, error) {
	req := &v16.GetCompositeScheduleRequest{ConnectorID: m.EVSEID, Duration: m.Duration}
	if m.ChargingRateUnit.OK {
		req.ChargingRateUnit = ocpp.Some(v16.ChargingRateUnit(m.ChargingRateUnit.V))
	}
	return ask(req, func(r *v16.GetCompositeScheduleResponse) Outcome {
		var notes notesOf
		resp := &v21.GetCompositeScheduleResponse{Status: v21.GenericStatus(r.Status)}
		if r.ChargingSchedule != nil {
			resp.Schedule = composite21(d, m, r, &notes)
		}
		return Outcome{Response: resp, Notes: notes}
	}), nil
}

func composite21(d *Dialogue, m *v21.GetCompositeScheduleRequest, r *v16.GetCompositeScheduleResponse, notes *notesOf) *v21.CompositeSchedule {
	s := r.ChargingSchedule
	out := &v21.CompositeSchedule{
		EVSEID: m.EVSEID, Duration: s.Duration.Or(m.Duration), ScheduleStart: d.Now, ChargingRateUnit: v21.ChargingRateUnit(s.ChargingRateUnit),
	}
	switch {
	case r.ScheduleStart.OK:
		out.ScheduleStart = r.ScheduleStart.V
	case s.StartSchedule.OK:
		out.ScheduleStart = s.StartSchedule.V
	default:
		notes.emulated(true, "scheduleStart", "not given: the time of the answer")
	}
	notes.lost(s.MinChargingRate.OK, "chargingSchedule.minChargingRate", "a composite schedule of 2.1 has no minimum")
	for i := range s.ChargingSchedulePeriod {
		out.ChargingSchedulePeriod = append(out.ChargingSchedulePeriod, period21("chargingSchedule.chargingSchedulePeriod", i, &s.ChargingSchedulePeriod[i], notes))
	}
	if len(out.ChargingSchedulePeriod) == 0 {
		notes.lost(true, "chargingSchedule", "a schedule without a period cannot be said")
		return nil
	}
	return out
}

// The profiles that the station accepted are kept as the requests that set them: 1.6 cannot be asked for them.

// maxKeptProfiles bounds the record; the oldest go first.
const maxKeptProfiles = 100

// keptProfiles reads the record, without the profiles of transactions that are over.
func keptProfiles(d *Dialogue) []*v21.SetChargingProfileRequest {
	var texts []json.RawMessage
	if json.Unmarshal([]byte(d.State.Get(keyProfiles)), &texts) != nil {
		return nil // nothing was kept
	}
	var kept []*v21.SetChargingProfileRequest
	for _, text := range texts {
		p := new(v21.SetChargingProfileRequest)
		if _, bad := ocpp.Decode(string(text), p, true).First(); bad {
			continue
		}
		if id := p.ChargingProfile.TransactionID; id.OK {
			if _, running := d.State.EVSE(id.V); !running {
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}

func keepProfiles(d *Dialogue, kept []*v21.SetChargingProfileRequest) {
	if len(kept) == 0 {
		d.State.Put(keyProfiles, "")
		return
	}
	b := []byte{'['}
	for i, p := range kept[max(0, len(kept)-maxKeptProfiles):] {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.AppendJSON(b)
	}
	d.State.Put(keyProfiles, string(append(b, ']')))
}

// rememberProfile adds an accepted profile. It takes the place of one with the same id, and of one with the same
// EVSE, purpose and stack level, as it does in the station (OCPP 1.6 §5.16.4).
func rememberProfile(d *Dialogue, m *v21.SetChargingProfileRequest) {
	p := &m.ChargingProfile
	kept := slices.DeleteFunc(keptProfiles(d), func(k *v21.SetChargingProfileRequest) bool {
		q := &k.ChargingProfile
		return q.ID == p.ID || k.EVSEID == m.EVSEID && q.StackLevel == p.StackLevel && q.ChargingProfilePurpose == p.ChargingProfilePurpose
	})
	keepProfiles(d, append(kept, m))
}

// forgetProfiles drops what a ClearChargingProfile names from the record.
func forgetProfiles(d *Dialogue, m *v21.ClearChargingProfileRequest) {
	c := m.ChargingProfileCriteria
	keepProfiles(d, slices.DeleteFunc(keptProfiles(d), func(k *v21.SetChargingProfileRequest) bool {
		p := &k.ChargingProfile
		switch {
		case m.ChargingProfileID.OK:
			return p.ID == m.ChargingProfileID.V
		case c == nil:
			return true
		}
		return wanted(c.EVSEID, k.EVSEID) && wanted(c.StackLevel, p.StackLevel) && wanted(c.ChargingProfilePurpose, p.ChargingProfilePurpose)
	}))
}

// wanted reports whether a criterion is absent or met.
func wanted[T comparable](criterion ocpp.Opt[T], v T) bool { return !criterion.OK || criterion.V == v }

// limitSource is the source of every profile that a management system set (ChargingLimitSourceEnumType CSO).
const limitSource = "CSO"

// lowerGetChargingProfiles: K09, answered from the record of what the station accepted.
func lowerGetChargingProfiles(d *Dialogue, m *v21.GetChargingProfilesRequest) (Exchange, error) {
	note := emulatedNote("", "answered from the profiles that the station accepted over this link: 1.6 cannot be asked for them")
	c := &m.ChargingProfile
	byEVSE := map[int][]v21.ChargingProfile{}
	var evses []int
	for _, k := range keptProfiles(d) {
		p := &k.ChargingProfile
		if !wanted(m.EVSEID, k.EVSEID) || !wanted(c.ChargingProfilePurpose, p.ChargingProfilePurpose) || !wanted(c.StackLevel, p.StackLevel) ||
			len(c.ChargingProfileID) > 0 && !slices.Contains(c.ChargingProfileID, p.ID) ||
			len(c.ChargingLimitSource) > 0 && !slices.Contains(c.ChargingLimitSource, limitSource) {
			continue
		}
		if byEVSE[k.EVSEID] == nil {
			evses = append(evses, k.EVSEID)
		}
		byEVSE[k.EVSEID] = append(byEVSE[k.EVSEID], *p)
	}
	if len(evses) == 0 {
		return answered(&v21.GetChargingProfilesResponse{Status: v21.GetChargingProfileStatusNoProfiles}, nil, note), nil
	}
	slices.Sort(evses)
	var then []ocpp.Request
	for i, evse := range evses {
		then = append(then, &v21.ReportChargingProfilesRequest{
			RequestID: m.RequestID, ChargingLimitSource: limitSource, EVSEID: evse, ChargingProfile: byEVSE[evse],
			Tbc: ocpp.SomeIf(true, i < len(evses)-1),
		})
	}
	return answered(&v21.GetChargingProfilesResponse{Status: v21.GetChargingProfileStatusAccepted}, then, note), nil
}
