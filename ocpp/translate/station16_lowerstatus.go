package translate

import (
	"strings"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// lowerStatus: an EVSE of several connectors is one connector of 1.6, as only one of them can be used at a time
// (OCPP 2.1 Part 1 §3). It is what its busiest connector is.
func (t *talk) lowerStatus(r *v21.StatusNotificationRequest) Exchange {
	said := []string{"timestamp", "connectorStatus", "evseId"}
	if r.ConnectorID <= 1 {
		said = append(said, "connectorId")
	}
	status := r.ConnectorStatus
	detail := v16.ChargePointStatus(oursIn(r.CustomData, Status16))
	if detail.Valid() {
		said = append(said, "customData")
	}
	if r.EVSEID > 0 && r.ConnectorID > 0 {
		t.d.State.Put(keyConnector(r.EVSEID, r.ConnectorID), string(status))
		status = t.evseStatus(r.EVSEID)
	}
	t.rest(r, said...)
	req := &v16.StatusNotificationRequest{
		ConnectorID: r.EVSEID, ErrorCode: v16.ChargePointErrorCodeNoError, Status: t.status16(r.EVSEID, status, detail),
		Timestamp: ocpp.Some(t.time("timestamp", r.Timestamp)),
	}
	t.withProblem(req)
	t.d.State.Put(keySaid(r.EVSEID), string(req.Status))
	return single(t, req, func(*v16.StatusNotificationResponse) Outcome {
		return Outcome{Response: &v21.StatusNotificationResponse{}}
	})
}

// busiest orders what the connectors of an EVSE may be: the EVSE is the first that one of them is.
var busiest = []v21.ConnectorStatus{v21.ConnectorStatusOccupied, v21.ConnectorStatusReserved, v21.ConnectorStatusAvailable,
	v21.ConnectorStatusFaulted, v21.ConnectorStatusUnavailable}

// maxConnectors is how many connectors of one EVSE are looked at.
const maxConnectors = 8

func (t *talk) evseStatus(evse int) v21.ConnectorStatus {
	best := len(busiest) - 1
	for c := 1; c <= maxConnectors; c++ {
		status := v21.ConnectorStatus(t.d.State.Get(keyConnector(evse, c)))
		for i := range best {
			if busiest[i] == status {
				best = i
			}
		}
	}
	return busiest[best]
}

// status16 is the 1.6 status. What 2.1 calls Occupied follows from the transaction: Preparing when there is none. The
// station as a whole can only be Available, Unavailable or Faulted (OCPP 1.6 §4.9).
func (t *talk) status16(evse int, status v21.ConnectorStatus, detail v16.ChargePointStatus) v16.ChargePointStatus {
	if status != v21.ConnectorStatusOccupied {
		if evse == 0 && status == v21.ConnectorStatusReserved {
			t.emulated("connectorStatus", "the station as a whole is Available")
			return v16.ChargePointStatusAvailable
		}
		t.d.State.Put(keyDetail(evse), "")
		return v16.ChargePointStatus(status)
	}
	if evse == 0 {
		t.emulated("connectorStatus", "the station as a whole is Available")
		return v16.ChargePointStatusAvailable
	}
	if !detail.Valid() || connectorStatus16[detail] != v21.ConnectorStatusOccupied {
		detail = v16.ChargePointStatus(t.d.State.Get(keyDetail(evse)))
	}
	if !detail.Valid() {
		detail = v16.ChargePointStatusPreparing
	}
	t.emulated("connectorStatus", "Occupied is "+string(detail)+", by the transaction on the EVSE")
	return detail
}

// withProblem gives a StatusNotification the problem that the connector has, as kept under keyLowerProblem: an
// errorCode, a blank and the vendor's code.
func (t *talk) withProblem(req *v16.StatusNotificationRequest) {
	code, vendor, _ := strings.Cut(t.d.State.Get(keyLowerProblem(req.ConnectorID)), " ")
	if c := v16.ChargePointErrorCode(code); c.Valid() {
		req.ErrorCode = c
		req.VendorErrorCode = ocpp.NonZero(vendor)
	}
}

// detailEvent is the StatusNotification that follows from a change of a transaction, none when 1.6 knows already.
func (t *talk) detailEvent(evse int, detail v16.ChargePointStatus, at time.Time) ocpp.Request {
	if evse <= 0 || detail == "" {
		return nil
	}
	t.d.State.Put(keyDetail(evse), string(detail))
	if t.d.State.Get(keySaid(evse)) == string(detail) {
		return nil
	}
	t.d.State.Put(keySaid(evse), string(detail))
	req := &v16.StatusNotificationRequest{ConnectorID: evse, ErrorCode: v16.ChargePointErrorCodeNoError, Status: detail,
		Timestamp: ocpp.Some(at)}
	t.withProblem(req)
	return req
}

// detail is the 1.6 status that a charging state gives the connector. EVConnected is Preparing until energy flowed,
// then Finishing; without a vehicle, a token was shown first: Preparing too.
func (t *talk) detail(evse int, state v21.ChargingState) v16.ChargePointStatus {
	switch state {
	case v21.ChargingStateCharging, v21.ChargingStateSuspendedEV, v21.ChargingStateSuspendedEVSE:
		return v16.ChargePointStatus(state)
	case v21.ChargingStateEVConnected, v21.ChargingStateIdle:
		switch v16.ChargePointStatus(t.d.State.Get(keyDetail(evse))) {
		case v16.ChargePointStatusCharging, v16.ChargePointStatusSuspendedEV, v16.ChargePointStatusSuspendedEVSE,
			v16.ChargePointStatusFinishing:
			return v16.ChargePointStatusFinishing
		}
		return v16.ChargePointStatusPreparing
	}
	return ""
}

// errorCode16 is the errorCode for a problem of a component of 2.1; what is not here is OtherError.
var errorCode16 = map[string]v16.ChargePointErrorCode{
	"ConnectorPlugRetentionLock": v16.ChargePointErrorCodeConnectorLockFailure,
	"ConnectedEV":                v16.ChargePointErrorCodeEVCommunicationError,
	"ISO15118Ctrlr":              v16.ChargePointErrorCodeEVCommunicationError,
	"CPPWMController":            v16.ChargePointErrorCodeEVCommunicationError,
	"GroundIsolationProtection":  v16.ChargePointErrorCodeGroundFailure,
	"ElectricalFeed":             v16.ChargePointErrorCodeUnderVoltage,
	"OverCurrentBreaker":         v16.ChargePointErrorCodeOverCurrentFailure,
	"OverCurrentProtection":      v16.ChargePointErrorCodeOverCurrentFailure,
	"RCD":                        v16.ChargePointErrorCodeGroundFailure,
	"FiscalMetering":             v16.ChargePointErrorCodePowerMeterFailure,
	"PowerContactor":             v16.ChargePointErrorCodePowerSwitchFailure,
	"TokenReader":                v16.ChargePointErrorCodeReaderFailure,
	"TemperatureSensor":          v16.ChargePointErrorCodeHighTemperature,
	"LocalAuthListCtrlr":         v16.ChargePointErrorCodeLocalListConflict,
	"DataLink":                   v16.ChargePointErrorCodeWeakSignal,
	"Controller":                 v16.ChargePointErrorCodeInternalError,
}

// keyLowerProblem is the problem of a connector as 1.6 was told it.
func keyLowerProblem(connector int) string { return "lower/" + keyProblem(connector) }

// lowerEvents passes on the events that 1.6 has words for: problems and states of availability as StatusNotification,
// temperatures and the speed of a fan as MeterValues. The others are lost.
func (t *talk) lowerEvents(r *v21.NotifyEventRequest) Exchange {
	var reqs []ocpp.Request
	t.rest(r, "generatedAt", "tbc", "seqNo", "eventData")
	for i := range r.EventData {
		path := "eventData[" + itoa(i) + "]"
		if req := t.lowerEvent(path, &r.EventData[i]); req != nil {
			reqs = append(reqs, req)
		}
	}
	return Exchange{
		Requests: reqs, Notes: t.notes,
		Stop: func(int, Reply) bool { return false },
		Answer: func(replies []Reply) Outcome {
			out := Outcome{Response: &v21.NotifyEventResponse{}}
			for i, reply := range replies {
				if i < len(reqs) && reply.Err != nil {
					out.Notes = append(out.Notes, Note{Kind: Lost, Text: reqs[i].ActionName() + " was refused: " + reply.Err.Error()})
				}
			}
			return out
		},
	}
}

func (t *talk) lowerEvent(path string, e *v21.EventData) ocpp.Request {
	evse := 0
	if e.Component.EVSE != nil {
		evse = e.Component.EVSE.ID
	}
	at := t.time(path+".timestamp", e.Timestamp)
	req := t.wordsFor(path, e, evse, at)
	if req == nil {
		return nil
	}
	problem := e.Variable.Name == "Problem" || e.Variable.Name == "Tripped"
	for _, f := range []struct {
		present bool
		name    string
	}{
		{e.Severity.OK, "severity"}, {e.Cause.OK, "cause"}, {e.VariableMonitoringID.OK, "variableMonitoringId"},
		{e.TransactionID.OK, "transactionId"}, {e.Variable.Instance.OK, "variable.instance"},
		{e.Component.Instance.OK && (problem || !v16.Location(e.Component.Instance.V).Valid()), "component.instance"},
		{e.TechCode.OK && !problem, "techCode"}, {e.TechInfo.OK && !problem, "techInfo"},
	} {
		if f.present {
			t.lost(path+"."+f.name, "1.6 has no place for it")
		}
	}
	return req
}

// wordsFor is the message of 1.6 for an event; none when there is none.
func (t *talk) wordsFor(path string, e *v21.EventData, evse int, at time.Time) ocpp.Request {
	switch e.Variable.Name {
	case "Problem", "Tripped":
		return t.lowerProblem(path, e, evse, at)
	case "AvailabilityState":
		if status := v21.ConnectorStatus(e.ActualValue); status.Valid() && e.Component.Name != "EVSE" {
			if evse > 0 {
				t.d.State.Put(keyConnector(evse, max(e.Component.EVSE.ConnectorID.Or(1), 1)), e.ActualValue)
				status = t.evseStatus(evse)
			}
			t.emulated(path, "StatusNotification")
			req := &v16.StatusNotificationRequest{ConnectorID: evse, ErrorCode: v16.ChargePointErrorCodeNoError,
				Status: t.status16(evse, status, ""), Timestamp: ocpp.Some(at)}
			t.withProblem(req)
			t.d.State.Put(keySaid(evse), string(req.Status))
			return req
		}
	case "Temperature":
		return t.lowerReading(path, e, evse, at, v16.MeasurandTemperature)
	case "FanSpeed":
		return t.lowerReading(path, e, evse, at, v16.MeasurandRPM)
	}
	t.lost(path, "1.6 has no message for "+e.Component.Name+"."+e.Variable.Name)
	return nil
}

func (t *talk) lowerReading(path string, e *v21.EventData, evse int, at time.Time, m v16.Measurand) ocpp.Request {
	value, _, err := readDecimal(e.ActualValue)
	if err != nil {
		t.lost(path+".actualValue", "not a number")
		return nil
	}
	sv := v16.SampledValue{Value: value.String(), Measurand: ocpp.Some(m), Context: ocpp.Some(v16.ReadingContextOther)}
	if l := v16.Location(e.Component.Instance.V); l.Valid() {
		sv.Location = ocpp.Some(l)
	}
	if u := v16.UnitOfMeasure(oursIn(e.CustomData, "unit")); u.Valid() {
		sv.Unit = ocpp.Some(u)
	} else if m == v16.MeasurandTemperature {
		sv.Unit = ocpp.Some(v16.UnitOfMeasureCelsius) // the unit of the variable, OCPP 2.1 dm_components_vars
	}
	if c := v16.ReadingContext(oursIn(e.CustomData, "context")); c.Valid() {
		sv.Context = ocpp.Some(c)
	}
	if p := v16.Phase(oursIn(e.CustomData, "phase")); p.Valid() {
		sv.Phase = ocpp.Some(p)
	}
	t.emulated(path, "MeterValues with "+string(m))
	return &v16.MeterValuesRequest{ConnectorID: evse, MeterValue: []v16.MeterValue{{Timestamp: at, SampledValue: []v16.SampledValue{sv}}}}
}

func (t *talk) lowerProblem(path string, e *v21.EventData, evse int, at time.Time) ocpp.Request {
	cleared := e.Cleared.V || e.ActualValue == "false"
	code := v16.ChargePointErrorCode(e.TechCode.V)
	if !code.Valid() {
		code = errorCode16[e.Component.Name]
	}
	if code == "" {
		code = v16.ChargePointErrorCodeOtherError
	}
	status := v16.ChargePointStatus(t.d.State.Get(keySaid(evse)))
	if !status.Valid() { // nothing was said of the connector yet
		status = v16.ChargePointStatusAvailable
		if !cleared {
			status = v16.ChargePointStatusFaulted
		}
	}
	req := &v16.StatusNotificationRequest{ConnectorID: evse, Status: status, Timestamp: ocpp.Some(at),
		ErrorCode: v16.ChargePointErrorCodeNoError}
	if oursOnly(e.CustomData) {
		req.VendorID = ocpp.NonZero(t.text(path+".customData", oursIn(e.CustomData, "vendorId16"), 255))
		req.VendorErrorCode = ocpp.NonZero(t.text(path+".customData", oursIn(e.CustomData, "vendorErrorCode"), 50))
		req.Info = ocpp.NonZero(t.text(path+".customData", oursIn(e.CustomData, "info"), 50))
	} else {
		req.Info = t.optText(path+".techInfo", e.TechInfo, 50)
		if string(code) != e.TechCode.V {
			req.VendorErrorCode = t.optText(path+".techCode", e.TechCode, 50)
		}
	}
	if cleared {
		t.d.State.Put(keyLowerProblem(evse), "")
	} else {
		req.ErrorCode = code
		t.d.State.Put(keyLowerProblem(evse), string(code)+" "+req.VendorErrorCode.V)
	}
	t.emulated(path, "StatusNotification with the errorCode "+string(req.ErrorCode))
	return req
}
