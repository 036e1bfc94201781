package sim

import (
	"slices"
	"strconv"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// variable is one variable of the station as it is now.
type variable struct {
	component v21.Component
	variable  v21.Variable
	set       setting // -1 for what is measured
	value     string
	max       ocpp.Opt[string] // upper limit, as attribute
	mutable   v21.Mutability
	traits    v21.VariableCharacteristics
	monitored bool
}

// serveDevice answers what concerns variables; nil for other requests.
func (f *front2) serveDevice(req ocpp.Request) ocpp.Response {
	switch m := req.(type) {
	case *v21.GetVariablesRequest:
		r := &v21.GetVariablesResponse{}
		all := f.variables()
		for i := range m.GetVariableData {
			r.GetVariableResult = append(r.GetVariableResult, f.getVariable(all, &m.GetVariableData[i]))
		}
		return r
	case *v21.SetVariablesRequest:
		r := &v21.SetVariablesResponse{}
		for i := range m.SetVariableData {
			r.SetVariableResult = append(r.SetVariableResult, f.setVariable(&m.SetVariableData[i]))
		}
		return r
	case *v21.GetBaseReportRequest:
		return f.baseReport(m)
	case *v21.GetReportRequest:
		return f.customReport(m)
	case *v21.SetVariableMonitoringRequest:
		r := &v21.SetVariableMonitoringResponse{}
		for i := range m.SetMonitoringData {
			r.SetMonitoringResult = append(r.SetMonitoringResult, f.setMonitor(&m.SetMonitoringData[i]))
		}
		return r
	case *v21.ClearVariableMonitoringRequest:
		return f.clearMonitors(m)
	case *v21.GetMonitoringReportRequest:
		return f.monitoringReport(m)
	case *v21.SetMonitoringBaseRequest:
		return f.setMonitoringBase(m)
	case *v21.SetMonitoringLevelRequest:
		if m.Severity < 0 || m.Severity > 9 {
			return &v21.SetMonitoringLevelResponse{Status: v21.GenericStatusRejected}
		}
		f.s.values[setMonitoringLevel] = itoa(m.Severity)
		return &v21.SetMonitoringLevelResponse{Status: v21.GenericStatusAccepted}
	}
	return nil
}

// variables lists everything that the station has, settings first.
func (f *front2) variables() []variable {
	s := f.s
	all := make([]variable, 0, int(settingCount)+16*len(s.evses))
	for i := range settings {
		sp := &settings[i]
		if sp.comp == "" || sp.only21 && !f.is21() {
			continue
		}
		v := variable{component: v21.Component{Name: sp.comp}, variable: v21.Variable{Name: sp.variable, Instance: ocpp.NonZero(sp.instance)},
			set: setting(i), value: s.text(setting(i)), mutable: v21.MutabilityReadWrite, traits: traitsOf(sp)}
		switch {
		case sp.writeOnly:
			v.mutable, v.value = v21.MutabilityWriteOnly, ""
		case sp.readOnly:
			v.mutable = v21.MutabilityReadOnly
			if sp.max > 0 && sp.kind == kindInt {
				v.max = ocpp.Some(itoa(sp.max))
			}
		}
		all = append(all, v)
	}
	return f.measured(all)
}

func traitsOf(sp *settingSpec) v21.VariableCharacteristics {
	t := v21.VariableCharacteristics{Unit: ocpp.NonZero(sp.unit), ValuesList: ocpp.NonZero(strings.Join(sp.allowed, ","))}
	t.DataType = [...]v21.DataType{v21.DataTypeInteger, v21.DataTypeBoolean, v21.DataTypeString, v21.DataTypeOptionList, v21.DataTypeMemberList}[sp.kind]
	if sp.kind == kindInt && !sp.readOnly {
		t.MinLimit, t.MaxLimit = ocpp.Some(decimalOf(float64(sp.min))), ocpp.Some(decimalOf(float64(sp.max)))
	}
	return t
}

// measured adds what the station is and measures.
func (f *front2) measured(all []variable) []variable {
	s := f.s
	add := func(c v21.Component, name, value string, kind v21.DataType, unit string, monitored bool) {
		all = append(all, variable{component: c, variable: v21.Variable{Name: name}, set: -1, value: value, mutable: v21.MutabilityReadOnly,
			traits:    v21.VariableCharacteristics{DataType: kind, Unit: ocpp.NonZero(unit), SupportsMonitoring: monitored},
			monitored: monitored})
	}
	yes := strconv.FormatBool
	station := v21.Component{Name: "ChargingStation"}
	add(station, "Available", "true", v21.DataTypeBoolean, "", false)
	state := "Available"
	if s.inoperative {
		state = "Unavailable"
	}
	add(station, "AvailabilityState", state, v21.DataTypeOptionList, "", true)
	add(station, "Problem", yes(slices.ContainsFunc(s.evses, func(e *evse) bool { return e.fault != "" })), v21.DataTypeBoolean, "", true)
	add(station, "SupplyPhases", itoa(s.cfg.Phases), v21.DataTypeInteger, "", false)
	add(station, "Model", s.cfg.Model, v21.DataTypeString, "", false)
	add(station, "VendorName", s.cfg.Vendor, v21.DataTypeString, "", false)
	add(station, "SerialNumber", s.cfg.Serial, v21.DataTypeString, "", false)
	add(v21.Component{Name: "Controller"}, "FirmwareVersion", s.firmware, v21.DataTypeString, "", false)
	for _, n := range [...]string{"LocalAuthListCtrlr", "ReservationCtrlr", "SmartChargingCtrlr", "AuthCacheCtrlr", "DisplayMessageCtrlr", "MonitoringCtrlr", "AlignedDataCtrlr", "SampledDataCtrlr"} {
		add(v21.Component{Name: n}, "Available", "true", v21.DataTypeBoolean, "", false)
	}
	for _, e := range s.evses {
		at := v21.Component{Name: "EVSE", EVSE: &v21.EVSE{ID: e.id}}
		add(at, "Available", "true", v21.DataTypeBoolean, "", false)
		add(at, "AvailabilityState", f.statusOf(e, max(1, e.plugged)), v21.DataTypeOptionList, "", true)
		add(at, "Problem", yes(e.fault != ""), v21.DataTypeBoolean, "", true)
		add(at, "SupplyPhases", itoa(s.cfg.Phases), v21.DataTypeInteger, "", false)
		add(at, "Power", itoa(e.power), v21.DataTypeDecimal, "W", true)
		all[len(all)-1].max = ocpp.Some(itoa(s.cfg.MaxPowerW))
		all[len(all)-1].traits.MaxLimit = ocpp.Some(decimalOf(float64(s.cfg.MaxPowerW)))
		add(v21.Component{Name: "FiscalMetering", EVSE: &v21.EVSE{ID: e.id}}, "EnergyImportRegister", itoa(e.meter.wh()), v21.DataTypeDecimal, "Wh", true)
		for c := range e.reported {
			conn := v21.Component{Name: "Connector", EVSE: &v21.EVSE{ID: e.id, ConnectorID: ocpp.Some(c + 1)}}
			add(conn, "Available", "true", v21.DataTypeBoolean, "", false)
			add(conn, "AvailabilityState", f.statusOf(e, c+1), v21.DataTypeOptionList, "", true)
			add(conn, "ConnectorType", s.plugType(), v21.DataTypeString, "", false)
			add(conn, "SupplyPhases", itoa(s.cfg.Phases), v21.DataTypeInteger, "", false)
		}
	}
	return all
}

func (s *Station) plugType() string {
	if s.cfg.DC {
		return "cCCS2"
	}
	return "sType2"
}

func sameComponent(a, b *v21.Component) bool {
	ae, be := v21.EVSE{}, v21.EVSE{}
	if a.EVSE != nil {
		ae = *a.EVSE
	}
	if b.EVSE != nil {
		be = *b.EVSE
	}
	return same(a.Name, b.Name) && same(a.Instance.V, b.Instance.V) && ae.ID == be.ID && ae.ConnectorID.V == be.ConnectorID.V
}

func sameVariable(a, b *v21.Variable) bool {
	return same(a.Name, b.Name) && same(a.Instance.V, b.Instance.V)
}

// find looks a variable up; the status says what is unknown.
func find(all []variable, c *v21.Component, v *v21.Variable) (*variable, v21.GetVariableStatus) {
	status := v21.GetVariableStatusUnknownComponent
	for i := range all {
		if sameComponent(&all[i].component, c) {
			if sameVariable(&all[i].variable, v) {
				return &all[i], v21.GetVariableStatusAccepted
			}
			status = v21.GetVariableStatusUnknownVariable
		}
	}
	return nil, status
}

func (f *front2) getVariable(all []variable, d *v21.GetVariableData) v21.GetVariableResult {
	r := v21.GetVariableResult{AttributeType: d.AttributeType, Component: d.Component, Variable: d.Variable}
	v, status := find(all, &d.Component, &d.Variable)
	r.AttributeStatus = status
	if v == nil {
		return r
	}
	switch typ := d.AttributeType.Or(v21.AttributeTypeActual); {
	case typ == v21.AttributeTypeMaxSet && v.max.OK:
		r.AttributeValue = v.max
	case typ != v21.AttributeTypeActual:
		r.AttributeStatus = v21.GetVariableStatusNotSupportedAttributeType
	case v.mutable == v21.MutabilityWriteOnly:
		r.AttributeStatus = v21.GetVariableStatusRejected
	default:
		r.AttributeValue = ocpp.Some(v.value)
	}
	return r
}

func (f *front2) setVariable(d *v21.SetVariableData) v21.SetVariableResult {
	r := v21.SetVariableResult{AttributeType: d.AttributeType, Component: d.Component, Variable: d.Variable}
	v, status := find(f.variables(), &d.Component, &d.Variable)
	switch {
	case v == nil:
		r.AttributeStatus = v21.SetVariableStatus(status)
	case d.AttributeType.Or(v21.AttributeTypeActual) != v21.AttributeTypeActual:
		r.AttributeStatus = v21.SetVariableStatusNotSupportedAttributeType
	case v.set < 0 || v.mutable == v21.MutabilityReadOnly:
		r.AttributeStatus, r.AttributeStatusInfo = v21.SetVariableStatusRejected, because("ReadOnly")
	default:
		r.AttributeStatus = v21.SetVariableStatusAccepted
		if err := f.s.set(v.set, d.AttributeValue); err != nil {
			r.AttributeStatus = v21.SetVariableStatusRejected
			r.AttributeStatusInfo = &v21.StatusInfo{ReasonCode: "InvalidValue", AdditionalInfo: ocpp.Some(cut(err.Error(), 500))}
			break
		}
		if settings[v.set].reboot {
			r.AttributeStatus = v21.SetVariableStatusRebootRequired
		}
		if v.set == setPassword { // OCPP 2.1 A01: the new password counts from the next connection
			f.s.relink = "new password"
		}
	}
	return r
}

func (f *front2) baseReport(m *v21.GetBaseReportRequest) ocpp.Response {
	all := f.variables()
	switch m.ReportBase {
	case v21.ReportBaseConfigurationInventory:
		all = slices.DeleteFunc(all, func(v variable) bool { return v.mutable == v21.MutabilityReadOnly })
	case v21.ReportBaseSummaryInventory:
		all = slices.DeleteFunc(all, func(v variable) bool {
			n := v.variable.Name
			return n != "AvailabilityState" && n != "Problem"
		})
	}
	f.sendReport(m.RequestID, all)
	return &v21.GetBaseReportResponse{Status: v21.GenericDeviceModelStatusAccepted}
}

// sendReport sends variables in as many parts as it takes.
func (f *front2) sendReport(request int, all []variable) {
	most := f.s.num(setReportItems)
	for seq := 0; len(all) > 0; seq++ {
		n := min(most, len(all))
		m := &v21.NotifyReportRequest{RequestID: request, GeneratedAt: f.s.now(), SeqNo: seq}
		for i := range all[:n] {
			m.ReportData = append(m.ReportData, reportOf(&all[i]))
		}
		all = all[n:]
		if len(all) > 0 {
			m.Tbc = ocpp.Some(true)
		}
		f.send(m)
	}
}

func reportOf(v *variable) v21.ReportData {
	a := v21.VariableAttribute{Mutability: ocpp.Some(v.mutable), Persistent: ocpp.Some(v.set >= 0)}
	if v.mutable != v21.MutabilityWriteOnly {
		a.Value = ocpp.Some(v.value)
	}
	traits := v.traits
	r := v21.ReportData{Component: v.component, Variable: v.variable, VariableAttribute: []v21.VariableAttribute{a}, VariableCharacteristics: &traits}
	if v.max.OK && v.set < 0 {
		r.VariableAttribute = append(r.VariableAttribute, v21.VariableAttribute{Type: ocpp.Some(v21.AttributeTypeMaxSet), Value: v.max,
			Mutability: ocpp.Some(v21.MutabilityReadOnly)})
	}
	return r
}

func (f *front2) customReport(m *v21.GetReportRequest) ocpp.Response {
	all := slices.DeleteFunc(f.variables(), func(v variable) bool { return !wanted(&v, m.ComponentVariable) || !f.meets(&v, m.ComponentCriteria) })
	if len(all) == 0 {
		return &v21.GetReportResponse{Status: v21.GenericDeviceModelStatusEmptyResultSet}
	}
	f.sendReport(m.RequestID, all)
	return &v21.GetReportResponse{Status: v21.GenericDeviceModelStatusAccepted}
}

// wanted says whether a list of components and variables names one; a component without EVSE means all of its name.
func wanted(v *variable, list []v21.ComponentVariable) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(w v21.ComponentVariable) bool {
		c := w.Component
		if c.EVSE == nil {
			c.EVSE = v.component.EVSE
		}
		if !c.Instance.OK {
			c.Instance = v.component.Instance
		}
		if !sameComponent(&c, &v.component) {
			return false
		}
		return w.Variable == nil || same(w.Variable.Name, v.variable.Name) && (!w.Variable.Instance.OK || same(w.Variable.Instance.V, v.variable.Instance.V))
	})
}

// meets says whether the component of a variable meets any of the criteria.
func (f *front2) meets(v *variable, criteria []v21.ComponentCriterion) bool {
	if len(criteria) == 0 {
		return true
	}
	all := f.variables()
	for _, c := range criteria {
		x, _ := find(all, &v.component, &v21.Variable{Name: string(c)})
		switch {
		case x == nil && c != v21.ComponentCriterionProblem: // what has no such variable is active, OCPP 2.1 B08.FR.09
			return true
		case x != nil && x.value == "true":
			return true
		}
	}
	return false
}
