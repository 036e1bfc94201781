package translate

import (
	"strings"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// Status16 is the name in customData under which a StatusNotification of 2.1 carries the status of 1.6 that 2.1 calls
// Occupied: Preparing, Charging, SuspendedEV, SuspendedEVSE or Finishing.
const Status16 = "status16"

var connectorStatus16 = map[v16.ChargePointStatus]v21.ConnectorStatus{
	v16.ChargePointStatusAvailable:     v21.ConnectorStatusAvailable,
	v16.ChargePointStatusPreparing:     v21.ConnectorStatusOccupied,
	v16.ChargePointStatusCharging:      v21.ConnectorStatusOccupied,
	v16.ChargePointStatusSuspendedEVSE: v21.ConnectorStatusOccupied,
	v16.ChargePointStatusSuspendedEV:   v21.ConnectorStatusOccupied,
	v16.ChargePointStatusFinishing:     v21.ConnectorStatusOccupied,
	v16.ChargePointStatusReserved:      v21.ConnectorStatusReserved,
	v16.ChargePointStatusUnavailable:   v21.ConnectorStatusUnavailable,
	v16.ChargePointStatusFaulted:       v21.ConnectorStatusFaulted,
}

// chargingState16 is what a status of 1.6 says of the transaction on the connector.
func chargingState16(s v16.ChargePointStatus) (v21.ChargingState, bool) {
	switch s {
	case v16.ChargePointStatusPreparing, v16.ChargePointStatusFinishing:
		return v21.ChargingStateEVConnected, true
	case v16.ChargePointStatusCharging:
		return v21.ChargingStateCharging, true
	case v16.ChargePointStatusSuspendedEV:
		return v21.ChargingStateSuspendedEV, true
	case v16.ChargePointStatusSuspendedEVSE:
		return v21.ChargingStateSuspendedEVSE, true
	}
	return "", false
}

// liftStatus takes apart what 1.6 says in one message: the state of the connector, of the transaction on it, and a
// problem. Connector 0 is the station, which 2.1 tells by an event of ChargingStation.AvailabilityState: a
// StatusNotification of 2.1 is of a connector (OCPP 2.1 G01).
func (t *talk) liftStatus(r *v16.StatusNotificationRequest) Exchange {
	at := t.d.Now
	if r.Timestamp.OK {
		at = t.time("timestamp", r.Timestamp.V)
	}
	status, ok := connectorStatus16[r.Status]
	if !ok {
		t.lost("status", "not a status of 1.6: Faulted")
		status = v21.ConnectorStatusFaulted
	}
	var reqs []ocpp.Request
	var events []v21.EventData
	if r.ConnectorID > 0 {
		sn := &v21.StatusNotificationRequest{Timestamp: at, ConnectorStatus: status, EVSEID: r.ConnectorID, ConnectorID: 1}
		if status == v21.ConnectorStatusOccupied {
			sn.CustomData = ours(Status16, string(r.Status))
			t.emulated("status", string(r.Status)+" is Occupied, with the finer status in customData")
		}
		reqs = append(reqs, sn)
		t.d.State.Put(keyStatus(r.ConnectorID), string(r.Status))
		if ev := t.chargingStateEvent(r.ConnectorID, r.Status, at); ev != nil {
			reqs = append(reqs, ev)
		}
	} else {
		if r.ConnectorID < 0 {
			t.lost("connectorId", "negative: the station is meant")
		}
		t.emulated("connectorId", "NotifyEvent of ChargingStation.AvailabilityState")
		event := t.event(v21.Component{Name: "ChargingStation"}, "AvailabilityState", string(status), at)
		events = append(events, event)
	}
	if problem, ok := t.problem(r, at); ok {
		events = append(events, problem)
	}
	if len(events) > 0 {
		reqs = append(reqs, &v21.NotifyEventRequest{GeneratedAt: t.d.Now, EventData: events})
	}
	return Exchange{
		Requests: reqs,
		Stop:     func(i int, _ Reply) bool { return i == 0 },
		Notes:    t.notes,
		Answer: func(replies []Reply) Outcome {
			if len(replies) == 0 {
				return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "no answer"}}
			}
			if replies[0].Err != nil {
				return Outcome{Err: replies[0].Err}
			}
			notes := refusals(reqs, replies)
			if r := replies[0].Response; r != nil {
				notes = append(notes, lostCustomData(r)...)
			}
			return Outcome{Response: &v16.StatusNotificationResponse{}, Notes: notes}
		},
	}
}

// refusals notes which of the requests after the first were refused.
func refusals(reqs []ocpp.Request, replies []Reply) []Note {
	var notes []Note
	for i := 1; i < len(replies) && i < len(reqs); i++ {
		if err := replies[i].Err; err != nil {
			notes = append(notes, Note{Kind: Lost, Text: reqs[i].ActionName() + " was refused: " + err.Error()})
		}
	}
	return notes
}

// chargingStateEvent tells the transaction that runs on the connector, once per change.
func (t *talk) chargingStateEvent(connector int, status v16.ChargePointStatus, at time.Time) ocpp.Request {
	state, says := chargingState16(status)
	id, running := t.d.State.Running(connector)
	fact := id + " " + string(state)
	if !says || !running || t.d.State.Get(keyChargingState(connector)) == fact {
		return nil
	}
	t.d.State.Put(keyChargingState(connector), fact)
	t.emulated("status", "TransactionEvent with chargingState "+string(state))
	return t.numbered(&v21.TransactionEventRequest{
		EventType: v21.TransactionEventTypeUpdated, Timestamp: at, TriggerReason: v21.TriggerReasonChargingStateChanged,
		EVSE: t.outlet(connector), TransactionInfo: v21.Transaction{TransactionID: id, ChargingState: ocpp.Some(state)},
	})
}

// event is an EventData of something that a 1.6 station reports without being asked to monitor it.
func (t *talk) event(c v21.Component, variable, value string, at time.Time) v21.EventData {
	return v21.EventData{
		EventID: t.nextNumber(keyEventID), Timestamp: at, Trigger: v21.EventTriggerDelta, ActualValue: value,
		Component: c, Variable: v21.Variable{Name: variable},
		EventNotificationType: v21.EventNotificationHardWiredNotification,
	}
}

// problem is the errorCode as an event of the variable Problem, and its end when the connector has none any more.
func (t *talk) problem(r *v16.StatusNotificationRequest, at time.Time) (v21.EventData, bool) {
	component := v21.Component{Name: "ChargingStation"}
	if r.ConnectorID > 0 {
		component = v21.Component{Name: "Connector", EVSE: t.outlet(r.ConnectorID)}
	}
	none := r.ErrorCode == v16.ChargePointErrorCodeNoError && r.VendorErrorCode.V == "" && r.Info.V == ""
	before := t.d.State.Get(keyProblem(r.ConnectorID))
	if none && before == "" {
		if r.VendorID.V != "" {
			t.lost("vendorId", "there is no vendor error that it would belong to")
		}
		return v21.EventData{}, false
	}
	event := t.event(component, "Problem", "true", at)
	event.Trigger = v21.EventTriggerAlerting
	if none {
		event.ActualValue, event.Cleared = "false", ocpp.Some(true)
		code, _, _ := strings.Cut(before, " ")
		event.TechCode = ocpp.NonZero(t.text("errorCode", code, 50))
		t.d.State.Put(keyProblem(r.ConnectorID), "")
		t.emulated("errorCode", "NoError clears the problem "+code)
		return event, true
	}
	if r.ErrorCode == v16.ChargePointErrorCodeNoError {
		event.ActualValue, event.Trigger = "false", v21.EventTriggerDelta // only a remark
		t.d.State.Put(keyProblem(r.ConnectorID), "")
		event.Cleared = ocpp.SomeIf(true, before != "")
	} else {
		t.d.State.Put(keyProblem(r.ConnectorID), string(r.ErrorCode)+" "+r.VendorErrorCode.V)
	}
	event.TechCode = ocpp.Some(t.text("errorCode", string(r.ErrorCode), 50))
	event.TechInfo = ocpp.NonZero(t.text("info", techInfo(r), 500))
	event.CustomData = ours("vendorId16", r.VendorID.V, "vendorErrorCode", r.VendorErrorCode.V, "info", r.Info.V)
	t.emulated("errorCode", "NotifyEvent of "+component.Name+".Problem")
	return event, true
}

// techInfo joins what the vendor says.
func techInfo(r *v16.StatusNotificationRequest) string {
	var parts []string
	for _, s := range []string{r.VendorErrorCode.V, r.Info.V} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}
