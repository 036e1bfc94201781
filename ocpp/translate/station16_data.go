package translate

import (
	"encoding/json"
	"strconv"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// Vendor ids of the application notes of the Open Charge Alliance for 1.6: California pricing, and Plug & Charge.
const (
	costVendor = "org.openchargealliance.costmsg"
	pncVendor  = "org.openchargealliance.iso15118pnc"
)

// liftDataTransfer: the messages of the two application notes are what 2.1 has of its own. Others pass: the data of 1.6
// are text, those of 2.1 any JSON; the text stays text.
func (t *talk) liftDataTransfer(r *v16.DataTransferRequest) (Exchange, error) {
	switch {
	case r.VendorID == pncVendor:
		if x, ok := t.liftPnC(r); ok {
			return x, nil
		}
	case r.VendorID == costVendor && r.MessageID.V == "ConnectorUnplugged":
		if x, ok := t.liftUnplugged(r); ok {
			return x, nil
		}
	}
	req := &v21.DataTransferRequest{VendorID: t.text("vendorId", r.VendorID, 255), MessageID: t.optText("messageId", r.MessageID, 50)}
	if r.Data.OK {
		req.Data = ocpp.Raw(ocpp.AppendString(nil, r.Data.V))
	}
	return single(t, req, func(a *v21.DataTransferResponse) Outcome {
		f := &talk{d: t.d}
		f.lostStatusInfo(a.StatusInfo)
		return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatus(a.Status), Data: rawText(a.Data)}, Notes: f.notes}
	}), nil
}

// rawText is a JSON value as the text that 1.6 carries: the content of a string, else the JSON text itself.
func rawText(r ocpp.Raw) ocpp.Opt[string] {
	if r == "" {
		return ocpp.Opt[string]{}
	}
	var s string
	if r[0] == '"' && json.Unmarshal([]byte(r), &s) == nil {
		return ocpp.Some(s)
	}
	return ocpp.Some(string(r))
}

// liftPnC lifts a message of the Plug & Charge note; false when it is none of them or its data cannot be read: then it
// passes as it is and the management system judges.
func (t *talk) liftPnC(r *v16.DataTransferRequest) (Exchange, bool) {
	t.notes = append(t.notes, Note{Kind: Emulated, Text: "DataTransfer of the Plug & Charge note"})
	data := r.Data.Or("{}")
	read := func(m ocpp.Message) bool { return readPayload(data, m) == nil }
	switch r.MessageID.V {
	case "Authorize":
		return t.liftPnCAuthorize(data)
	case "Get15118EVCertificate":
		if m := new(v21.Get15118EVCertificateRequest); read(m) {
			return single(t, m, carried[*v21.Get15118EVCertificateResponse]), true
		}
	case "GetCertificateStatus":
		if m := new(v21.GetCertificateStatusRequest); read(m) {
			return single(t, m, carried[*v21.GetCertificateStatusResponse]), true
		}
	case "SignCertificate":
		if m := new(v21.SignCertificateRequest); read(m) {
			if !m.CertificateType.OK {
				m.CertificateType = ocpp.Some(v21.CertificateSigningUseV2GCertificate)
			}
			m.RequestID = ocpp.Some(t.nextNumber(keySignRequest))
			return single(t, m, carried[*v21.SignCertificateResponse]), true
		}
	}
	t.notes = nil
	return Exchange{}, false
}

// carried puts a response of 2.1 into the data of a DataTransfer.
func carried[R ocpp.Response](a R) Outcome {
	return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatusAccepted, Data: ocpp.Some(string(withoutCustomData(a)))}}
}

// liftPnCAuthorize: the note gives the eMAID as a text; some stations send the IdToken of 2.0.1 in its place. The answer
// is in the style of the question: an idTagInfo of 1.6, or the idTokenInfo of 2.0.1.
func (t *talk) liftPnCAuthorize(data string) (Exchange, bool) {
	fields := map[string]json.RawMessage{}
	var emaid string
	if json.Unmarshal([]byte(data), &fields) != nil {
		t.notes = nil
		return Exchange{}, false
	}
	plain := json.Unmarshal(fields["idToken"], &emaid) == nil
	if plain {
		b := ocpp.AppendString([]byte(`{"type":"eMAID","idToken":`), emaid)
		fields["idToken"] = append(b, '}')
	}
	text, err := json.Marshal(fields)
	m := new(v21.AuthorizeRequest)
	if err == nil {
		if readPayload(string(text), m) == nil {
			return single(t, m, func(a *v21.AuthorizeResponse) Outcome { return t.foldPnCAuthorize(a, plain) }), true
		}
	}
	t.notes = nil
	return Exchange{}, false
}

func (t *talk) foldPnCAuthorize(a *v21.AuthorizeResponse, plain bool) Outcome {
	if !plain {
		return carried(a)
	}
	f := &talk{d: t.d}
	info := f.foldIDTokenInfo(&a.IDTokenInfo, 0)
	b := ocpp.AppendString([]byte(`{"idTokenInfo":{"status":`), string(info.Status))
	if info.ExpiryDate.OK {
		b = ocpp.AppendTime(append(b, `,"expiryDate":`...), info.ExpiryDate.V)
	}
	if info.ParentIDTag.OK {
		b = ocpp.AppendString(append(b, `,"parentIdTag":`...), info.ParentIDTag.V)
	}
	b = append(b, '}')
	if a.CertificateStatus.OK {
		b = ocpp.AppendString(append(b, `,"certificateStatus":`...), string(a.CertificateStatus.V))
	}
	return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatusAccepted, Data: ocpp.Some(string(append(b, '}')))}, Notes: f.notes}
}

// liftUnplugged: the end of the time for which an idle fee is due, after a transaction.
func (t *talk) liftUnplugged(r *v16.DataTransferRequest) (Exchange, bool) {
	var data struct {
		TransactionID int       `json:"transactionId"`
		Timestamp     time.Time `json:"timestamp"`
	}
	if json.Unmarshal([]byte(r.Data.V), &data) != nil {
		return Exchange{}, false
	}
	id := t.d.State.TransactionID(data.TransactionID)
	at := t.time("data.timestamp", data.Timestamp)
	var evse *v21.EVSE
	if n, ok := t.d.State.EVSE(id); ok {
		evse = &v21.EVSE{ID: n}
	}
	event := t.event(v21.Component{Name: "ConnectedEV", EVSE: evse}, "Available", "false", at)
	event.TransactionID = ocpp.Some(id)
	t.emulated("", "ConnectorUnplugged is NotifyEvent of ConnectedEV.Available")
	req := &v21.NotifyEventRequest{GeneratedAt: t.d.Now, EventData: []v21.EventData{event}}
	return single(t, req, func(*v21.NotifyEventResponse) Outcome {
		return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatusAccepted}}
	}), true
}

// foldCost shows a cost to the driver by the messages of the California pricing note, when the station has them.
func (t *talk) foldCost(a *v21.TransactionEventResponse, id string, final bool) []ocpp.Request {
	if !a.TotalCost.OK {
		return nil
	}
	number, known := t.d.State.Number(id)
	if !known || !t.showsCost() {
		t.lost("totalCost", "the station does not show costs")
		return nil
	}
	b := append([]byte(`{"transactionId":`), strconv.Itoa(number)...)
	b = ocpp.AppendDecimal(append(b, `,"cost":`...), a.TotalCost.V)
	message := "FinalCost"
	if final {
		b = append(b, `,"priceText":""`...)
	} else {
		message = "RunningCost"
		b = append(ocpp.AppendTime(append(b, `,"timestamp":`...), t.d.Now), `,"state":"Charging"`...)
	}
	t.emulated("totalCost", "DataTransfer "+message)
	return []ocpp.Request{&v16.DataTransferRequest{VendorID: costVendor, MessageID: ocpp.Some(message), Data: ocpp.Some(string(append(b, '}')))}}
}

// showsCost reports whether the station said that it knows the California pricing note.
func (t *talk) showsCost() bool {
	if t.d.Model == nil {
		return false
	}
	v, ok := t.d.Model.Variable("CustomizationCtrlr", "", 0, 0, "CustomImplementationEnabled", costVendor)
	return ok && v == "true"
}

// lowerData passes a DataTransfer: see lowerDataTransfer, which the other direction shares.
func (t *talk) lowerData(r *v21.DataTransferRequest) (Exchange, error) {
	x, err := lowerDataTransfer(r)
	if err != nil {
		return Exchange{}, err
	}
	t.rest(r, "vendorId", "messageId", "data")
	x.Notes = append(x.Notes, t.notes...)
	return x, nil
}

// stationPnC asks by a message of the Plug & Charge note. A management system that does not know it answers with an error,
// and the station decides without it.
func stationPnC[R ocpp.Response](t *talk, m ocpp.Request, resp R) Exchange {
	t.emulated("", "DataTransfer of the Plug & Charge note")
	if len(lostCustomData(m)) > 0 {
		t.notes = append(t.notes, lostCustomData(m)...)
	}
	return single(t, pncMessage(m.ActionName(), withoutCustomData(m)), func(a *v16.DataTransferResponse) Outcome {
		if err := readPnC(a, resp); err != nil {
			return Outcome{Err: err}
		}
		return Outcome{Response: resp}
	})
}

func readPnC(a *v16.DataTransferResponse, into ocpp.Message) *ocpp.CallError {
	switch a.Status {
	case v16.DataTransferStatusAccepted:
	case v16.DataTransferStatusRejected:
		return &ocpp.CallError{Code: ocpp.GenericError, Description: "the management system rejected the Plug & Charge message"}
	default:
		return &ocpp.CallError{Code: ocpp.NotSupported, Description: "the management system does not know the Plug & Charge messages"}
	}
	if err := readPayload(a.Data.V, into); err != nil {
		return &ocpp.CallError{Code: ocpp.FormatViolation, Description: "the Plug & Charge answer: " + err.Error()}
	}
	return nil
}

// readPayload reads a message that came as text, and demands that it can be passed on: reading tolerates more.
func readPayload(text string, into ocpp.Message) error {
	if v, bad := ocpp.Decode(text, into, false).First(); bad {
		return v
	}
	return into.Validate()
}

// lowerPlugAndCharge authorises an eMAID with its certificate. The answer is read in both styles, see liftPnCAuthorize.
func (t *talk) lowerPlugAndCharge(r *v21.AuthorizeRequest) Exchange {
	t.emulated("", "DataTransfer of the Plug & Charge note")
	t.rest(r, "idToken.idToken", "idToken.type", "certificate", "iso15118CertificateHashData")
	b := ocpp.AppendString([]byte(`{"idToken":`), r.IDToken.IDToken)
	var fields map[string]json.RawMessage
	if json.Unmarshal(withoutCustomData(r), &fields) == nil {
		for _, name := range []string{"certificate", "iso15118CertificateHashData"} {
			if v := fields[name]; len(v) > 0 {
				b = append(append(b, `,"`+name+`":`...), v...)
			}
		}
	}
	return single(t, pncMessage("Authorize", append(b, '}')), func(a *v16.DataTransferResponse) Outcome {
		resp := new(v21.AuthorizeResponse)
		a.Data = ocpp.SomeIf(modernTokenInfo(a.Data.V), a.Data.OK)
		if err := readPnC(a, resp); err != nil {
			return Outcome{Err: err}
		}
		return Outcome{Response: resp}
	})
}

// modernTokenInfo renames the fields of an idTagInfo of 1.6 that came as idTokenInfo.
func modernTokenInfo(data string) string {
	var fields, info map[string]json.RawMessage
	var parent string
	if json.Unmarshal([]byte(data), &fields) != nil || json.Unmarshal(fields["idTokenInfo"], &info) != nil {
		return data
	}
	if v, ok := info["expiryDate"]; ok {
		info["cacheExpiryDateTime"] = v
		delete(info, "expiryDate")
	}
	if v, ok := info["parentIdTag"]; ok && json.Unmarshal(v, &parent) == nil {
		info["groupIdToken"] = append(ocpp.AppendString([]byte(`{"type":"Central","idToken":`), parent), '}')
		delete(info, "parentIdTag")
	}
	b, err := json.Marshal(info)
	if err != nil {
		return data
	}
	fields["idTokenInfo"] = b
	if b, err = json.Marshal(fields); err != nil {
		return data
	}
	return string(b)
}

// lowerSignCertificate: the certificate of the charge point has a message of its own in the security extension, that of
// the V2G side one in the Plug & Charge note.
func (t *talk) lowerSignCertificate(r *v21.SignCertificateRequest) (Exchange, error) {
	if r.CertificateType.Or(v21.CertificateSigningUseChargingStationCertificate) != v21.CertificateSigningUseChargingStationCertificate {
		m := *r
		m.RequestID, m.HashRootCertificate = ocpp.Opt[int]{}, nil
		if m.CertificateType.V == v21.CertificateSigningUseV2G20Certificate {
			m.CertificateType.V = v21.CertificateSigningUseV2GCertificate
			t.emulated("certificateType", "a V2GCertificate in 1.6")
		}
		t.rest(r, "csr", "certificateType", "customData")
		return stationPnC(t, &m, new(v21.SignCertificateResponse)), nil
	}
	if t.d.State.Get(keySecurity) == "no" {
		return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "the management system does not speak the security extension"}
	}
	t.rest(r, "csr", "certificateType")
	return single(t, &v16.SignCertificateRequest{CSR: t.text("csr", r.CSR, 5500)}, func(a *v16.SignCertificateResponse) Outcome {
		return Outcome{Response: &v21.SignCertificateResponse{Status: v21.GenericStatus(a.Status)}}
	}), nil
}

func (t *talk) lowerEVCertificate(r *v21.Get15118EVCertificateRequest) (Exchange, error) {
	if r.MaximumContractCertificateChains.OK || len(r.PrioritizedEMAIDs) > 0 {
		return Exchange{}, &Refusal{Code: ocpp.NotSupported, Path: "maximumContractCertificateChains",
			Reason: "the Plug & Charge note knows one contract certificate of ISO 15118-2 only"}
	}
	return stationPnC(t, r, new(v21.Get15118EVCertificateResponse)), nil
}

func (t *talk) lowerCertificateStatus(r *v21.GetCertificateStatusRequest) (Exchange, error) {
	return stationPnC(t, r, new(v21.GetCertificateStatusResponse)), nil
}
