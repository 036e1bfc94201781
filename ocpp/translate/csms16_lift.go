package translate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// liftCSMS16 says in 2.1 what a 1.6 management system says.
func liftCSMS16(d *Dialogue, req ocpp.Request) (Exchange, error) {
	x, err := liftCSMS16Request(d, req)
	if err != nil {
		return Exchange{}, err
	}
	fold := x.Answer
	x.Answer = func(replies []Reply) Outcome {
		out := fold(replies)
		for _, r := range replies {
			switch carried := isPnC(req); {
			case r.Response == nil:
			case carried:
				out.Notes = append(out.Notes, lostCustomData(r.Response)...)
			default:
				out.Notes = append(out.Notes, lostAnswer(r.Response)...)
			}
		}
		return out
	}
	return x, nil
}

// isPnC reports whether a request, and so its answer, carries a payload of 2.x as it is.
func isPnC(req ocpp.Request) bool {
	m, ok := req.(*v16.DataTransferRequest)
	return ok && strings.EqualFold(m.VendorID, pncVendor)
}

func liftCSMS16Request(d *Dialogue, req ocpp.Request) (Exchange, error) {
	switch m := req.(type) {
	case *v16.RemoteStartTransactionRequest:
		return liftRemoteStart(d, m)
	case *v16.RemoteStopTransactionRequest:
		return liftRemoteStop(d, m)
	case *v16.ResetRequest:
		return liftReset(m)
	case *v16.ChangeAvailabilityRequest:
		return liftChangeAvailability(m)
	case *v16.UnlockConnectorRequest:
		return liftUnlockConnector(m)
	case *v16.ClearCacheRequest:
		return ask(&v21.ClearCacheRequest{}, func(r *v21.ClearCacheResponse) Outcome {
			return Outcome{Response: &v16.ClearCacheResponse{Status: v16.ClearCacheStatus(r.Status)}}
		}), nil
	case *v16.GetConfigurationRequest:
		return liftGetConfiguration(d, m)
	case *v16.ChangeConfigurationRequest:
		return liftChangeConfiguration(m)
	case *v16.TriggerMessageRequest:
		return liftTriggerMessage(d, m)
	case *v16.ExtendedTriggerMessageRequest:
		return liftExtendedTriggerMessage(d, m)
	case *v16.GetLocalListVersionRequest:
		return ask(&v21.GetLocalListVersionRequest{}, func(r *v21.GetLocalListVersionResponse) Outcome {
			return Outcome{Response: &v16.GetLocalListVersionResponse{ListVersion: r.VersionNumber}}
		}), nil
	case *v16.SendLocalListRequest:
		return liftSendLocalList(m)
	case *v16.ReserveNowRequest:
		return liftReserveNow(m)
	case *v16.CancelReservationRequest:
		return liftCancelReservation(m)
	case *v16.SetChargingProfileRequest:
		return liftSetChargingProfile(d, m)
	case *v16.ClearChargingProfileRequest:
		return liftClearChargingProfile(m)
	case *v16.GetCompositeScheduleRequest:
		return liftGetCompositeSchedule(m)
	}
	return liftCSMS16Files(d, req)
}

func liftCSMS16Files(d *Dialogue, req ocpp.Request) (Exchange, error) {
	switch m := req.(type) {
	case *v16.GetDiagnosticsRequest:
		return liftGetDiagnostics(d, m)
	case *v16.GetLogRequest:
		return liftGetLog(d, m)
	case *v16.UpdateFirmwareRequest:
		return liftUpdateFirmware(d, m)
	case *v16.SignedUpdateFirmwareRequest:
		return liftSignedUpdateFirmware(d, m)
	case *v16.CertificateSignedRequest:
		return liftCertificateSigned(m)
	case *v16.InstallCertificateRequest:
		return liftInstallCertificate(m)
	case *v16.DeleteCertificateRequest:
		return liftDeleteCertificate(m)
	case *v16.GetInstalledCertificateIdsRequest:
		return liftGetInstalledCertificateIds(m)
	case *v16.DataTransferRequest:
		return liftCSMSDataTransfer(d, m)
	}
	return Exchange{}, refuse("", req.ActionName()+" is not a request of a management system")
}

// keyRequests counts the requests that need a number in 2.1 and have none in 1.6.
const keyRequests = "csms/requests"

// nextRequest gives the next number, from 1.
func nextRequest(d *Dialogue) int {
	n, err := strconv.Atoi(d.State.Get(keyRequests))
	if err != nil || n < 0 || n >= 1<<31-1 {
		n = 0 // nothing was counted yet, or the count is used up
	}
	d.State.Put(keyRequests, strconv.Itoa(n+1))
	return n + 1
}

// uid is how a reader prints the number of a card: 4, 7 or 10 bytes (ISO 14443).
var uid = regexp.MustCompile(`^(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20})$`)

// token21 gives an idTag the type that it seems to have. Stations compare the type as well (OCPP 2.1 C10), so that a
// card must be called a card; any other tag is one that the management system made up, of type Central.
func token21(path, tag string, notes *notesOf) v21.IDToken {
	t := v21.IDToken{IDToken: tag, Type: "Central"}
	if uid.MatchString(tag) {
		t.Type = "ISO14443"
	}
	notes.emulated(true, path, "an idTag of 1.6 has no type: by its form it is "+t.Type)
	return t
}

// evse21 is the EVSE of a connector; connector 0, the station, is absent.
func evse21(path string, connector int) (ocpp.Opt[int], error) {
	if connector < 0 {
		return ocpp.Opt[int]{}, outOfBounds(path, "must be at least 0")
	}
	return ocpp.SomeIf(connector, connector > 0), nil
}

func liftRemoteStart(d *Dialogue, m *v16.RemoteStartTransactionRequest) (Exchange, error) {
	var notes notesOf
	req := &v21.RequestStartTransactionRequest{IDToken: token21("idTag", m.IDTag, &notes)}
	var err error
	if req.EVSEID, err = evse21("connectorId", m.ConnectorID.Or(0)); err != nil {
		return Exchange{}, err
	}
	notes.lost(m.ConnectorID.OK && !req.EVSEID.OK, "connectorId", "0 is no connector: the station chooses one")
	if m.ChargingProfile != nil {
		if m.ChargingProfile.ChargingProfilePurpose != v16.ChargingProfilePurposeTxProfile {
			return Exchange{}, outOfBounds("chargingProfile.chargingProfilePurpose", "a remote start takes a TxProfile only (OCPP 1.6 §5.16.2)")
		}
		p, err := profile21(d, "chargingProfile", m.ChargingProfile, &notes)
		if err != nil {
			return Exchange{}, err
		}
		if p.TransactionID.OK { // OCPP 2.1 F01.FR.11: there is no transaction yet
			notes.lost(true, "chargingProfile.transactionId", "the transaction begins only now")
			p.TransactionID = ocpp.Opt[string]{}
		}
		req.ChargingProfile = &p
	}
	req.RemoteStartID = nextRequest(d)
	return ask(req, func(r *v21.RequestStartTransactionResponse) Outcome {
		var notes notesOf
		notes.lost(r.TransactionID.OK, "transactionId", "1.6 learns of the transaction by its StartTransaction")
		return Outcome{Response: &v16.RemoteStartTransactionResponse{Status: v16.RemoteStartStopStatus(r.Status)}, Notes: notes}
	}, notes...), nil
}

func liftRemoteStop(d *Dialogue, m *v16.RemoteStopTransactionRequest) (Exchange, error) {
	return ask(&v21.RequestStopTransactionRequest{TransactionID: d.State.TransactionID(m.TransactionID)}, func(r *v21.RequestStopTransactionResponse) Outcome {
		return Outcome{Response: &v16.RemoteStopTransactionResponse{Status: v16.RemoteStartStopStatus(r.Status)}}
	}), nil
}

// liftReset: a soft reset ends transactions in good order, which 2.1 has no word for; it waits for their end instead.
func liftReset(m *v16.ResetRequest) (Exchange, error) {
	req := &v21.ResetRequest{Type: v21.ResetTypeImmediate}
	var notes notesOf
	if m.Type == v16.ResetTypeSoft {
		req.Type = v21.ResetTypeOnIdle
		notes.emulated(true, "type", "a 2.1 station waits for the end of transactions, where a soft reset of 1.6 ends them")
	}
	return ask(req, func(r *v21.ResetResponse) Outcome {
		out := Outcome{Response: &v16.ResetResponse{Status: v16.ResetStatusAccepted}}
		switch r.Status {
		case v21.ResetStatusRejected:
			out.Response = &v16.ResetResponse{Status: v16.ResetStatusRejected}
		case v21.ResetStatusScheduled:
			out.Notes = []Note{emulatedNote("status", "1.6 says Accepted for Scheduled")}
		}
		return out
	}, notes...), nil
}

func liftChangeAvailability(m *v16.ChangeAvailabilityRequest) (Exchange, error) {
	id, err := evse21("connectorId", m.ConnectorID)
	if err != nil {
		return Exchange{}, err
	}
	req := &v21.ChangeAvailabilityRequest{OperationalStatus: v21.OperationalStatus(m.Type)}
	if id.OK {
		req.EVSE = &v21.EVSE{ID: id.V}
	}
	return ask(req, func(r *v21.ChangeAvailabilityResponse) Outcome {
		return Outcome{Response: &v16.ChangeAvailabilityResponse{Status: v16.AvailabilityStatus(r.Status)}}
	}), nil
}

// liftUnlockConnector: 1.6 says NotSupported for a connector that is not there (OCPP 1.6 errata on UnlockStatus).
func liftUnlockConnector(m *v16.UnlockConnectorRequest) (Exchange, error) {
	if m.ConnectorID < 1 {
		return answered(&v16.UnlockConnectorResponse{Status: v16.UnlockStatusNotSupported}, nil), nil
	}
	return ask(&v21.UnlockConnectorRequest{EVSEID: m.ConnectorID, ConnectorID: 1}, func(r *v21.UnlockConnectorResponse) Outcome {
		var notes notesOf
		resp := &v16.UnlockConnectorResponse{Status: v16.UnlockStatus(r.Status)}
		switch r.Status {
		case v21.UnlockStatusOngoingAuthorizedTransaction:
			resp.Status = v16.UnlockStatusUnlockFailed
			notes.emulated(true, "status", "1.6 says UnlockFailed where a transaction is running")
		case v21.UnlockStatusUnknownConnector:
			resp.Status = v16.UnlockStatusNotSupported
			notes.emulated(true, "status", "1.6 says NotSupported for an unknown connector")
		}
		return Outcome{Response: resp, Notes: notes}
	}, emulatedNote("connectorId", "connector 1 of this EVSE")), nil
}

func liftTriggerMessage(d *Dialogue, m *v16.TriggerMessageRequest) (Exchange, error) {
	message := v21.MessageTrigger(m.RequestedMessage)
	var notes notesOf
	if m.RequestedMessage == v16.MessageTriggerDiagnosticsStatusNotification {
		message = v21.MessageTriggerLogStatusNotification
		notes.emulated(true, "requestedMessage", "the state of the last upload of a log")
	}
	return trigger21(d, message, m.ConnectorID, notes, func(s v16.TriggerMessageStatus) ocpp.Response {
		return &v16.TriggerMessageResponse{Status: s}
	})
}

func liftExtendedTriggerMessage(d *Dialogue, m *v16.ExtendedTriggerMessageRequest) (Exchange, error) {
	message := v21.MessageTrigger(m.RequestedMessage)
	if m.RequestedMessage == v16.ExtendedMessageTriggerSignChargePointCertificate {
		message = v21.MessageTriggerSignChargingStationCertificate
	}
	return trigger21(d, message, m.ConnectorID, nil, func(s v16.TriggerMessageStatus) ocpp.Response {
		return &v16.ExtendedTriggerMessageResponse{Status: s}
	})
}

// trigger21 asks for a message. A StatusNotification is about one connector in 2.1 (OCPP 2.1 F06.FR.12), about any in 1.6: for
// all connectors it is asked of each.
func trigger21(d *Dialogue, message v21.MessageTrigger, connector ocpp.Opt[int], notes notesOf, answer func(v16.TriggerMessageStatus) ocpp.Response) (Exchange, error) {
	id, err := evse21("connectorId", connector.Or(0))
	if err != nil {
		return Exchange{}, err
	}
	notes.lost(connector.OK && !id.OK, "connectorId", "0 is the station, of which 2.1 speaks by naming no EVSE")
	var x Exchange
	add := func(e *v21.EVSE) {
		x.Requests = append(x.Requests, &v21.TriggerMessageRequest{RequestedMessage: message, EVSE: e})
	}
	status := message == v21.MessageTriggerStatusNotification
	switch {
	case id.OK && status:
		notes.emulated(true, "connectorId", "connector 1 of this EVSE")
		add(&v21.EVSE{ID: id.V, ConnectorID: ocpp.Some(1)})
	case id.OK:
		add(&v21.EVSE{ID: id.V})
	case status && d.Model != nil && len(d.Model.EVSEs()) > 0:
		notes.emulated(true, "requestedMessage", "asked of each EVSE")
		for i := range d.Model.EVSEs() {
			add(&v21.EVSE{ID: i + 1, ConnectorID: ocpp.Some(1)})
		}
	default:
		add(nil)
	}
	x.Notes = notes
	x.Answer = func(replies []Reply) Outcome {
		return one(nil, func(r ocpp.Response) Outcome {
			return folded(r, func(r *v21.TriggerMessageResponse) Outcome {
				return Outcome{Response: answer(v16.TriggerMessageStatus(r.Status))}
			})
		}).Answer(replies[max(0, len(replies)-1):])
	}
	return x, nil
}

func liftSendLocalList(m *v16.SendLocalListRequest) (Exchange, error) {
	var notes notesOf
	req := &v21.SendLocalListRequest{VersionNumber: m.ListVersion, UpdateType: v21.UpdateType(m.UpdateType)}
	for i := range m.LocalAuthorizationList {
		a := &m.LocalAuthorizationList[i]
		path := fmt.Sprintf("localAuthorizationList[%d]", i)
		e := v21.AuthorizationData{IDToken: token21(path+".idTag", a.IDTag, &notes)}
		if info := a.IDTagInfo; info != nil {
			e.IDTokenInfo = &v21.IDTokenInfo{Status: v21.AuthorizationStatus(info.Status), CacheExpiryDateTime: info.ExpiryDate}
			if info.ParentIDTag.OK {
				e.IDTokenInfo.GroupIDToken = &v21.IDToken{IDToken: info.ParentIDTag.V, Type: "Central"}
			}
		}
		req.LocalAuthorizationList = append(req.LocalAuthorizationList, e)
	}
	return ask(req, func(r *v21.SendLocalListResponse) Outcome {
		return Outcome{Response: &v16.SendLocalListResponse{Status: v16.UpdateStatus(r.Status)}}
	}, notes...), nil
}

func liftReserveNow(m *v16.ReserveNowRequest) (Exchange, error) {
	id, err := evse21("connectorId", m.ConnectorID)
	if err != nil {
		return Exchange{}, err
	}
	if m.ReservationID < 0 {
		return Exchange{}, outOfBounds("reservationId", "must be at least 0 in 2.1")
	}
	var notes notesOf
	req := &v21.ReserveNowRequest{ID: m.ReservationID, ExpiryDateTime: m.ExpiryDate, IDToken: token21("idTag", m.IDTag, &notes), EVSEID: id}
	if m.ParentIDTag.OK {
		req.GroupIDToken = &v21.IDToken{IDToken: m.ParentIDTag.V, Type: "Central"}
	}
	return ask(req, func(r *v21.ReserveNowResponse) Outcome {
		return Outcome{Response: &v16.ReserveNowResponse{Status: v16.ReservationStatus(r.Status)}}
	}, notes...), nil
}

func liftCancelReservation(m *v16.CancelReservationRequest) (Exchange, error) {
	if m.ReservationID < 0 { // 2.1 cannot have made it
		return answered(&v16.CancelReservationResponse{Status: v16.CancelReservationStatusRejected}, nil), nil
	}
	return ask(&v21.CancelReservationRequest{ReservationID: m.ReservationID}, func(r *v21.CancelReservationResponse) Outcome {
		return Outcome{Response: &v16.CancelReservationResponse{Status: v16.CancelReservationStatus(r.Status)}}
	}), nil
}
