package sim

import (
	"slices"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// derControl is a setting for the grid that the station keeps and reports, OCPP 2.1 R04. A charger that only takes
// energy has no inverter to steer, so nothing else follows from it.
type derControl struct {
	request    v21.SetDERControlRequest
	superseded bool
}

func (d *derControl) priority() int {
	r := &d.request
	switch {
	case r.Curve != nil:
		return r.Curve.Priority
	case r.EnterService != nil:
		return r.EnterService.Priority
	case r.FixedPFAbsorb != nil:
		return r.FixedPFAbsorb.Priority
	case r.FixedPFInject != nil:
		return r.FixedPFInject.Priority
	case r.FixedVar != nil:
		return r.FixedVar.Priority
	case r.FreqDroop != nil:
		return r.FreqDroop.Priority
	case r.Gradient != nil:
		return r.Gradient.Priority
	case r.LimitMaxDischarge != nil:
		return r.LimitMaxDischarge.Priority
	}
	return -1
}

// start is when a scheduled control begins, zero for at once.
func (d *derControl) start() time.Time {
	r := &d.request
	switch {
	case r.Curve != nil:
		return r.Curve.StartTime.V
	case r.FixedPFAbsorb != nil:
		return r.FixedPFAbsorb.StartTime.V
	case r.FixedPFInject != nil:
		return r.FixedPFInject.StartTime.V
	case r.FixedVar != nil:
		return r.FixedVar.StartTime.V
	case r.FreqDroop != nil:
		return r.FreqDroop.StartTime.V
	case r.LimitMaxDischarge != nil:
		return r.LimitMaxDischarge.StartTime.V
	}
	return time.Time{}
}

func (f *front2) setDER(m *v21.SetDERControlRequest) ocpp.Response {
	x := &f.s.extras
	d := derControl{request: *m}
	if d.priority() < 0 || d.start().IsZero() && !m.IsDefault && needsStart(m.ControlType) {
		return &v21.SetDERControlResponse{Status: v21.DERControlStatusRejected}
	}
	r := &v21.SetDERControlResponse{Status: v21.DERControlStatusAccepted}
	x.ders = slices.DeleteFunc(x.ders, func(o derControl) bool { return o.request.ControlID == m.ControlID })
	for i := range x.ders {
		o := &x.ders[i]
		if o.request.ControlType != m.ControlType || o.request.IsDefault != m.IsDefault || o.superseded {
			continue
		}
		if d.priority() <= o.priority() { // a low number is a high priority
			o.superseded = true
			r.SupersededIDs = append(r.SupersededIDs, o.request.ControlID)
		} else {
			d.superseded = true
		}
	}
	if len(x.ders) >= 64 || len(r.SupersededIDs) > 24 {
		return &v21.SetDERControlResponse{Status: v21.DERControlStatusRejected}
	}
	x.ders = append(x.ders, d)
	if !d.superseded && !m.IsDefault {
		f.after(&d, r.SupersededIDs)
	}
	return r
}

func needsStart(t v21.DERControl) bool {
	return t != v21.DERControlEnterService && t != v21.DERControlGradients
}

// after tells that a scheduled control has begun, OCPP 2.1 R05.
func (f *front2) after(d *derControl, superseded []string) {
	id := d.request.ControlID
	f.s.at(maxTime(d.start(), f.s.now()), func() {
		if slices.ContainsFunc(f.s.extras.ders, func(o derControl) bool { return o.request.ControlID == id && !o.superseded }) {
			f.send(&v21.NotifyDERStartStopRequest{ControlID: id, Started: true, Timestamp: f.s.now(), SupersededIDs: superseded})
		}
	})
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (f *front2) getDER(m *v21.GetDERControlRequest) ocpp.Response {
	r := &v21.ReportDERControlRequest{RequestID: m.RequestID}
	found := false
	for i := range f.s.extras.ders {
		d := &f.s.extras.ders[i]
		q := &d.request
		if m.ControlID.OK && m.ControlID.V != q.ControlID || m.IsDefault.OK && m.IsDefault.V != q.IsDefault ||
			m.ControlType.OK && m.ControlType.V != q.ControlType {
			continue
		}
		found = true
		addDER(r, d)
	}
	if !found {
		return &v21.GetDERControlResponse{Status: v21.DERControlStatusNotFound}
	}
	f.send(r)
	return &v21.GetDERControlResponse{Status: v21.DERControlStatusAccepted}
}

func addDER(r *v21.ReportDERControlRequest, d *derControl) {
	q := &d.request
	id, def, over := q.ControlID, q.IsDefault, d.superseded
	switch {
	case q.Curve != nil:
		r.Curve = append(r.Curve, v21.DERCurveGet{Curve: *q.Curve, ID: id, CurveType: q.ControlType, IsDefault: def, IsSuperseded: over})
	case q.EnterService != nil:
		r.EnterService = append(r.EnterService, v21.EnterServiceGet{EnterService: *q.EnterService, ID: id})
	case q.FixedPFAbsorb != nil:
		r.FixedPFAbsorb = append(r.FixedPFAbsorb, v21.FixedPFGet{FixedPF: *q.FixedPFAbsorb, ID: id, IsDefault: def, IsSuperseded: over})
	case q.FixedPFInject != nil:
		r.FixedPFInject = append(r.FixedPFInject, v21.FixedPFGet{FixedPF: *q.FixedPFInject, ID: id, IsDefault: def, IsSuperseded: over})
	case q.FixedVar != nil:
		r.FixedVar = append(r.FixedVar, v21.FixedVarGet{FixedVar: *q.FixedVar, ID: id, IsDefault: def, IsSuperseded: over})
	case q.FreqDroop != nil:
		r.FreqDroop = append(r.FreqDroop, v21.FreqDroopGet{FreqDroop: *q.FreqDroop, ID: id, IsDefault: def, IsSuperseded: over})
	case q.Gradient != nil:
		r.Gradient = append(r.Gradient, v21.GradientGet{Gradient: *q.Gradient, ID: id})
	case q.LimitMaxDischarge != nil:
		r.LimitMaxDischarge = append(r.LimitMaxDischarge, v21.LimitMaxDischargeGet{LimitMaxDischarge: *q.LimitMaxDischarge, ID: id, IsDefault: def, IsSuperseded: over})
	}
}

func (f *front2) clearDER(m *v21.ClearDERControlRequest) ocpp.Response {
	x := &f.s.extras
	n := len(x.ders)
	x.ders = slices.DeleteFunc(x.ders, func(o derControl) bool {
		q := &o.request
		if m.ControlID.OK {
			return q.ControlID == m.ControlID.V
		}
		return q.IsDefault == m.IsDefault && (!m.ControlType.OK || m.ControlType.V == q.ControlType)
	})
	if len(x.ders) == n {
		return &v21.ClearDERControlResponse{Status: v21.DERControlStatusNotFound}
	}
	return &v21.ClearDERControlResponse{Status: v21.DERControlStatusAccepted}
}
