package sim

import (
	"math"
	"slices"
	"strconv"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v21"
)

const maxMonitors = 64

// monitor watches one variable.
type monitor struct {
	id        int
	component v21.Component
	variable  v21.Variable
	kind      v21.MonitorType
	value     float64
	severity  int
	txOnly    bool
	exceeded  bool
	last      string // value at the last event of a delta
	timer     *task
	stream    bool
}

// valueOf reads a variable's present value.
func (f *front2) valueOf(c *v21.Component, v *v21.Variable) (string, bool) {
	x, _ := find(f.variables(), c, v)
	if x == nil {
		return "", false
	}
	return x.value, true
}

func (f *front2) setMonitor(d *v21.SetMonitoringData) v21.SetMonitoringResult {
	r := v21.SetMonitoringResult{Type: d.Type, Component: d.Component, Variable: d.Variable, Severity: d.Severity}
	v, status := find(f.variables(), &d.Component, &d.Variable)
	x := &f.s.extras
	value := number(d.Value)
	numeric := v != nil && (v.traits.DataType == v21.DataTypeDecimal || v.traits.DataType == v21.DataTypeInteger)
	switch {
	case v == nil:
		r.Status = v21.SetMonitoringStatus(status)
		return r
	case !v.monitored, d.Severity < 0 || d.Severity > 9, d.Type == v21.MonitorTypeDelta && value < 0:
		r.Status = v21.SetMonitoringStatusRejected
		return r
	case (d.Type == v21.MonitorTypeUpperThreshold || d.Type == v21.MonitorTypeLowerThreshold) && !numeric,
		d.Type == v21.MonitorTypeTargetDelta, d.Type == v21.MonitorTypeTargetDeltaRelative:
		r.Status = v21.SetMonitoringStatusUnsupportedMonitorType
		return r
	case v.traits.MaxLimit.OK && numeric && d.Type == v21.MonitorTypeUpperThreshold && value > number(v.traits.MaxLimit.V):
		r.Status = v21.SetMonitoringStatusRejected
		return r
	}
	m := &monitor{component: d.Component, variable: d.Variable, kind: d.Type, value: value, severity: d.Severity, txOnly: d.Transaction.V,
		last: v.value, stream: d.PeriodicEventStream != nil}
	i := slices.IndexFunc(x.monitors, func(o *monitor) bool { return d.ID.OK && o.id == d.ID.V })
	double := slices.ContainsFunc(x.monitors, func(o *monitor) bool {
		return (i < 0 || o.id != d.ID.V) && o.kind == m.kind && o.severity == m.severity && sameComponent(&o.component, &m.component) && sameVariable(&o.variable, &m.variable)
	})
	switch {
	case d.ID.OK && i < 0, i < 0 && len(x.monitors) >= maxMonitors:
		r.Status = v21.SetMonitoringStatusRejected
		return r
	case double:
		r.Status = v21.SetMonitoringStatusDuplicate
		return r
	}
	if i >= 0 {
		m.id = d.ID.V
		f.s.cancel(x.monitors[i].timer)
		x.monitors[i] = m
	} else {
		x.monitorID++
		m.id = x.monitorID
		x.monitors = append(x.monitors, m)
	}
	f.planMonitor(m)
	if d.PeriodicEventStream != nil && f.is21() {
		f.openStream(m, *d.PeriodicEventStream)
	}
	r.Status, r.ID = v21.SetMonitoringStatusAccepted, ocpp.Some(m.id)
	return r
}

// planMonitor plans the next event of a periodic monitor.
func (f *front2) planMonitor(m *monitor) {
	s := f.s
	every := time.Duration(m.value * float64(time.Second))
	if every < time.Second || m.stream {
		return
	}
	next := s.now().Add(every)
	switch m.kind {
	case v21.MonitorTypePeriodic:
	case v21.MonitorTypePeriodicClockAligned:
		next = s.now().Truncate(every).Add(every)
	default:
		return
	}
	m.timer = s.at(next, func() {
		if v, ok := f.valueOf(&m.component, &m.variable); ok {
			f.notify(m, v, v21.EventTriggerPeriodic, false)
		}
		f.planMonitor(m)
	})
}

// checkMonitors looks whether a threshold was crossed or a value moved.
func (s *Station) checkMonitors() {
	f, ok := s.front.(*front2)
	if !ok || len(s.extras.monitors) == 0 || !s.flag(setMonitoringEnabled) {
		return
	}
	all := f.variables()
	for _, m := range s.extras.monitors {
		v, _ := find(all, &m.component, &m.variable)
		if v == nil || m.txOnly && !s.anyTx(nil) {
			continue
		}
		f.checkMonitor(m, v.value)
	}
}

func (f *front2) checkMonitor(m *monitor, value string) {
	n, err := strconv.ParseFloat(value, 64)
	numeric := err == nil
	switch m.kind {
	case v21.MonitorTypeUpperThreshold, v21.MonitorTypeLowerThreshold:
		over := numeric && (m.kind == v21.MonitorTypeUpperThreshold && n > m.value || m.kind == v21.MonitorTypeLowerThreshold && n < m.value)
		if over != m.exceeded {
			m.exceeded = over
			f.notify(m, value, v21.EventTriggerAlerting, !over)
		}
	case v21.MonitorTypeDelta:
		was, _ := strconv.ParseFloat(m.last, 64)
		if numeric && math.Abs(n-was) >= m.value && n != was || !numeric && value != m.last {
			m.last = value
			f.notify(m, value, v21.EventTriggerDelta, false)
		}
	}
}

// notify tells an event of a monitor, when it is severe enough. OCPP 2.1 N07.
func (f *front2) notify(m *monitor, value string, trigger v21.EventTrigger, cleared bool) {
	s := f.s
	if m.severity > s.num(setMonitoringLevel) {
		return
	}
	s.extras.eventID++
	d := v21.EventData{EventID: s.extras.eventID, Timestamp: s.now(), Trigger: trigger, ActualValue: cut(value, 2500), Component: m.component,
		Variable: m.variable, VariableMonitoringID: ocpp.Some(m.id), EventNotificationType: v21.EventNotificationCustomMonitor}
	if f.is21() {
		d.Severity = ocpp.Some(m.severity)
	}
	if cleared {
		d.Cleared = ocpp.Some(true)
	}
	f.send(&v21.NotifyEventRequest{GeneratedAt: s.now(), SeqNo: 0, EventData: []v21.EventData{d}})
}

func (f *front2) clearMonitors(m *v21.ClearVariableMonitoringRequest) ocpp.Response {
	r := &v21.ClearVariableMonitoringResponse{}
	x := &f.s.extras
	for _, id := range m.ID {
		status := v21.ClearMonitoringStatusNotFound
		x.monitors = slices.DeleteFunc(x.monitors, func(o *monitor) bool {
			if o.id == id {
				f.s.cancel(o.timer)
				f.closeStreams(id)
				status = v21.ClearMonitoringStatusAccepted
			}
			return o.id == id
		})
		r.ClearMonitoringResult = append(r.ClearMonitoringResult, v21.ClearMonitoringResult{Status: status, ID: id})
	}
	return r
}

func (f *front2) monitoringReport(m *v21.GetMonitoringReportRequest) ocpp.Response {
	var data []v21.MonitoringData
	for _, o := range f.s.extras.monitors {
		v := variable{component: o.component, variable: o.variable}
		if !wanted(&v, m.ComponentVariable) || !fitsCriteria(o, m.MonitoringCriteria) {
			continue
		}
		data = append(data, v21.MonitoringData{Component: o.component, Variable: o.variable, VariableMonitoring: []v21.VariableMonitoring{{
			ID: o.id, Transaction: o.txOnly, Value: decimalOf(o.value), Type: o.kind, Severity: o.severity, EventNotificationType: v21.EventNotificationCustomMonitor}}})
	}
	if len(data) == 0 {
		return &v21.GetMonitoringReportResponse{Status: v21.GenericDeviceModelStatusEmptyResultSet}
	}
	most := f.s.num(setReportItems)
	for seq := 0; len(data) > 0; seq++ {
		n := min(most, len(data))
		r := &v21.NotifyMonitoringReportRequest{RequestID: m.RequestID, SeqNo: seq, GeneratedAt: f.s.now(), Monitor: data[:n]}
		data = data[n:]
		if len(data) > 0 {
			r.Tbc = ocpp.Some(true)
		}
		f.send(r)
	}
	return &v21.GetMonitoringReportResponse{Status: v21.GenericDeviceModelStatusAccepted}
}

func fitsCriteria(m *monitor, criteria []v21.MonitoringCriterion) bool {
	if len(criteria) == 0 {
		return true
	}
	kind := v21.MonitoringCriterionPeriodicMonitoring
	switch m.kind {
	case v21.MonitorTypeUpperThreshold, v21.MonitorTypeLowerThreshold:
		kind = v21.MonitoringCriterionThresholdMonitoring
	case v21.MonitorTypeDelta:
		kind = v21.MonitoringCriterionDeltaMonitoring
	}
	return slices.Contains(criteria, kind)
}

// setMonitoringBase returns to a set of monitors; this station has no factory-made ones, so two of the three clear all.
func (f *front2) setMonitoringBase(m *v21.SetMonitoringBaseRequest) ocpp.Response {
	if m.MonitoringBase != v21.MonitoringBaseAll {
		for _, o := range f.s.extras.monitors {
			f.s.cancel(o.timer)
			f.closeStreams(o.id)
		}
		f.s.extras.monitors = nil
	}
	f.s.values[setMonitoringBase] = string(m.MonitoringBase)
	return &v21.SetMonitoringBaseResponse{Status: v21.GenericDeviceModelStatusAccepted}
}

// stream is a periodic event stream of one monitor, OCPP 2.1 N11 to N16.
type stream struct {
	id, monitor int
	params      v21.PeriodicEventStreamParams
	open        bool
	timer       *task
	base        time.Time
	data        []v21.StreamDataElement
}

func (f *front2) openStream(m *monitor, params v21.PeriodicEventStreamParams) {
	s := f.s
	st := &stream{id: m.id, monitor: m.id, params: params}
	s.extras.streams = append(s.extras.streams, st)
	s.send(&v21.OpenPeriodicEventStreamRequest{ConstantStreamData: st.constant()}, func(resp ocpp.Response, err error) {
		r, ok := resp.(*v21.OpenPeriodicEventStreamResponse)
		if err != nil || !ok || r.Status != v21.GenericStatusAccepted {
			f.closeStreams(m.id)
			return
		}
		st.open, st.base = true, s.now()
		f.sampleStream(st, m)
	})
}

func (st *stream) constant() v21.ConstantStreamData {
	return v21.ConstantStreamData{ID: st.id, Params: st.params, VariableMonitoringID: st.monitor}
}

// sampleStream takes a value each time the monitor is due and sends them in parcels.
func (f *front2) sampleStream(st *stream, m *monitor) {
	s := f.s
	every := max(time.Second, time.Duration(m.value*float64(time.Second)))
	st.timer = s.after(every, func() {
		if !st.open {
			return
		}
		if v, ok := f.valueOf(&m.component, &m.variable); ok {
			st.data = append(st.data, v21.StreamDataElement{T: decimalOf(s.now().Sub(st.base).Seconds()), V: cut(v, 2500)})
		}
		full := st.params.Values.OK && len(st.data) >= st.params.Values.V
		late := st.params.Interval.OK && s.now().Sub(st.base) >= seconds(st.params.Interval.V)
		if len(st.data) > 0 && (full || late || !st.params.Values.OK && !st.params.Interval.OK) {
			f.send(&v21.NotifyPeriodicEventStreamRequest{ID: st.id, Pending: 0, Basetime: st.base, Data: st.data})
			st.data, st.base = nil, s.now()
		}
		f.sampleStream(st, m)
	})
}

func (f *front2) closeStreams(monitor int) {
	x := &f.s.extras
	x.streams = slices.DeleteFunc(x.streams, func(st *stream) bool {
		if st.monitor != monitor {
			return false
		}
		f.s.cancel(st.timer)
		if st.open {
			st.open = false
			f.send(&v21.ClosePeriodicEventStreamRequest{ID: st.id})
		}
		return true
	})
}

func (f *front2) adjustStream(m *v21.AdjustPeriodicEventStreamRequest) ocpp.Response {
	for _, st := range f.s.extras.streams {
		if st.id == m.ID {
			st.params = m.Params
			return &v21.AdjustPeriodicEventStreamResponse{Status: v21.GenericStatusAccepted}
		}
	}
	return &v21.AdjustPeriodicEventStreamResponse{Status: v21.GenericStatusRejected}
}

func (f *front2) getStreams() ocpp.Response {
	r := &v21.GetPeriodicEventStreamResponse{}
	for _, st := range f.s.extras.streams {
		r.ConstantStreamData = append(r.ConstantStreamData, st.constant())
	}
	return r
}
