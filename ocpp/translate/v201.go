package translate

import (
	"lumela/ocpp"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// 2.0.1 and 2.1 are one language with a growing vocabulary: every message of 2.0.1 is in 2.1 under the same name, so a
// request crosses as one request and its answer as one answer. v201_gen.go copies the fields; the decisions about those
// that differ are in internal/tool/translategen, with their reasons, and come out in Table. What needs more than a
// field is here.

// lift201 says a 2.0.1 request in 2.1.
func lift201(d *Dialogue, from ocpp.Role, req ocpp.Request) (Exchange, error) {
	t := crossing{command: from == ocpp.CSMS}
	up := lift201Request(&t, req)
	if up == nil {
		return Exchange{}, &Refusal{Code: ocpp.NotImplemented, Reason: "unknown action " + req.ActionName()}
	}
	if r, ok := up.(*v21.CertificateSignedRequest); ok {
		recallSigning(d, r)
	}
	if t.refusal != nil {
		return withoutWhole(&t, req)
	}
	return one(up, answer201, t.notes...), nil
}

// answer201 says a 2.1 response in 2.0.1.
func answer201(resp ocpp.Response) Outcome {
	var t crossing
	down := lower201Response(&t, resp)
	if t.refusal != nil {
		return failed201(&t, down)
	}
	return outcome(&t, down)
}

// lower201 says a 2.1 request in 2.0.1.
func lower201(d *Dialogue, from ocpp.Role, req ocpp.Request) (Exchange, error) {
	t := crossing{command: from == ocpp.CSMS}
	switch r := req.(type) {
	case *v21.SetVariableMonitoringRequest:
		return lower201Monitoring(&t, r)
	case *v21.SetVariablesRequest:
		return lower201SetVariables(&t, r)
	}
	down := lower201Request(&t, req)
	if down == nil {
		return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: how201(req.ActionName())}
	}
	if t.refusal != nil {
		return withoutWhole(&t, req)
	}
	if r, ok := req.(*v21.SignCertificateRequest); ok {
		rememberSigning(d, r)
	}
	return one(down, answer21, t.notes...), nil
}

// answer21 says a 2.0.1 response in 2.1.
func answer21(resp ocpp.Response) Outcome {
	var t crossing
	up := lift201Response(&t, resp)
	if t.refusal != nil {
		return Outcome{Err: &ocpp.CallError{Code: t.refusal.Code, Description: t.refusal.Error()}, Notes: t.notes}
	}
	return outcome(&t, up)
}

func outcome(t *crossing, resp ocpp.Response) Outcome {
	if resp == nil {
		return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "the answer does not belong to this request"}}
	}
	return Outcome{Response: resp, Notes: t.notes}
}

// withoutWhole ends a request that cannot be said. Meter values of which none can be said are answered at once: the
// station has done its duty, and repeating them would not help.
func withoutWhole(t *crossing, req ocpp.Request) (Exchange, error) {
	switch r := req.(type) {
	case *v21.MeterValuesRequest:
		t.notes = append(t.notes, Note{Kind: Lost, Path: t.refusal.Path, Text: t.refusal.Reason})
		return answered(r.NewResponse(), nil, t.notes...), nil
	}
	return Exchange{}, t.refusal
}

// failed201 is the answer in 2.0.1 when the answer of 2.1 does not fit: a status that says so, where there is one.
func failed201(t *crossing, down ocpp.Response) Outcome {
	if r, ok := down.(*v201.Get15118EVCertificateResponse); ok {
		r.Status, r.EXIResponse = v201.ISO15118EVCertificateStatusFailed, ""
		r.StatusInfo = &v201.StatusInfo{ReasonCode: "TooLargeElement", AdditionalInfo: ocpp.Some(t.refusal.Path)}
		t.notes = append(t.notes, Note{Kind: Lost, Path: t.refusal.Path, Text: t.refusal.Reason})
		return Outcome{Response: r, Notes: t.notes}
	}
	return Outcome{Err: &ocpp.CallError{Code: t.refusal.Code, Description: t.refusal.Error()}, Notes: t.notes}
}
