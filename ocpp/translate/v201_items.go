package translate

import (
	"lumela/ocpp"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// A request with a list of independent items is carried out for the items that 2.0.1 can say; the others are answered
// with the status that a station would give. Both messages answer item by item in any order.

// lower201Monitoring sets the monitors of the types that 2.0.1 has and answers the others UnsupportedMonitorType.
func lower201Monitoring(t *crossing, req *v21.SetVariableMonitoringRequest) (Exchange, error) {
	down := &v201.SetVariableMonitoringRequest{CustomData: req.CustomData}
	var left []v21.SetMonitoringResult
	for i := range req.SetMonitoringData {
		in := &req.SetMonitoringData[i]
		var out v201.SetMonitoringData
		t.item("setMonitoringData", i)
		lower201SetMonitoringData(t, in, &out)
		t.out()
		reason := t.refusal
		if !t.softened(nil) {
			down.SetMonitoringData = append(down.SetMonitoringData, out)
			continue
		}
		left = append(left, v21.SetMonitoringResult{
			ID: in.ID, Status: v21.SetMonitoringStatusUnsupportedMonitorType, Type: in.Type, Severity: in.Severity,
			Component: in.Component, Variable: in.Variable, StatusInfo: whyLeft(reason),
		})
	}
	if len(down.SetMonitoringData) == 0 {
		return answered(&v21.SetVariableMonitoringResponse{SetMonitoringResult: left}, nil, t.notes...), nil
	}
	return one(down, func(resp ocpp.Response) Outcome {
		o := answer21(resp)
		if r, ok := o.Response.(*v21.SetVariableMonitoringResponse); ok {
			r.SetMonitoringResult = append(r.SetMonitoringResult, left...)
		}
		return o
	}, t.notes...), nil
}

// lower201SetVariables sets the variables whose values fit and answers the others Rejected.
func lower201SetVariables(t *crossing, req *v21.SetVariablesRequest) (Exchange, error) {
	down := &v201.SetVariablesRequest{CustomData: req.CustomData}
	var left []v21.SetVariableResult
	for i := range req.SetVariableData {
		in := &req.SetVariableData[i]
		var out v201.SetVariableData
		t.item("setVariableData", i)
		lower201SetVariableData(t, in, &out)
		t.out()
		reason := t.refusal
		if !t.softened(nil) {
			down.SetVariableData = append(down.SetVariableData, out)
			continue
		}
		left = append(left, v21.SetVariableResult{
			AttributeType: in.AttributeType, AttributeStatus: v21.SetVariableStatusRejected,
			Component: in.Component, Variable: in.Variable, AttributeStatusInfo: whyLeft(reason),
		})
	}
	if len(down.SetVariableData) == 0 {
		return answered(&v21.SetVariablesResponse{SetVariableResult: left}, nil, t.notes...), nil
	}
	return one(down, func(resp ocpp.Response) Outcome {
		o := answer21(resp)
		if r, ok := o.Response.(*v21.SetVariablesResponse); ok {
			r.SetVariableResult = append(r.SetVariableResult, left...)
		}
		return o
	}, t.notes...), nil
}

// whyLeft tells why an item was answered without the station.
func whyLeft(r *Refusal) *v21.StatusInfo {
	if r == nil {
		return nil
	}
	return &v21.StatusInfo{ReasonCode: "UnsupportedParam", AdditionalInfo: ocpp.Some(r.Error())}
}
