package translate

import (
	"strconv"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// maxIDTag is the length of a CiString20Type, the idTag of 1.6.
const maxIDTag = 20

// idTag16 says a token as an idTag. 1.6 knows neither types nor additional information.
func idTag16(path string, t v21.IDToken, notes *notesOf) (string, error) {
	switch n := len([]rune(t.IDToken)); {
	case n == 0:
		return "", outOfBounds(path+".idToken", "1.6 cannot start or reserve without an idTag")
	case n > maxIDTag:
		return "", outOfBounds(path+".idToken", "an idTag of 1.6 has at most 20 characters")
	}
	notes.lost(t.Type != UntypedIDToken, path+".type", "an idTag of 1.6 has no type")
	notes.lost(len(t.AdditionalInfo) > 0, path+".additionalInfo", "an idTag of 1.6 carries nothing but itself")
	return t.IDToken, nil
}

// connector16 names an EVSE, or the first connector of it, in 1.6. A nil EVSE is connector 0, the station.
func connector16(path string, e *v21.EVSE, notes *notesOf) (int, error) {
	if e == nil {
		return 0, nil
	}
	if e.ConnectorID.OK && e.ConnectorID.V > 1 {
		return 0, refuse(path+".connectorId", "1.6 knows one connector for each EVSE")
	}
	notes.emulated(e.ConnectorID.OK, path+".connectorId", "connector and EVSE are one in 1.6")
	return e.ID, nil
}

// lowerRequestStart: F01, F02. The 1.6 station gives the transaction its number only with StartTransaction, so that
// the answer never has a transactionId.
func lowerRequestStart(d *Dialogue, m *v21.RequestStartTransactionRequest) (Exchange, error) {
	var notes notesOf
	tag, err := idTag16("idToken", m.IDToken, &notes)
	if err != nil {
		return Exchange{}, err
	}
	notes.lost(m.GroupIDToken != nil, "groupIdToken", "RemoteStartTransaction of 1.6 has no parent tag")
	req := &v16.RemoteStartTransactionRequest{IDTag: tag, ConnectorID: m.EVSEID}
	if m.ChargingProfile != nil {
		p, err := profile16(d, "chargingProfile", m.ChargingProfile, &notes)
		if err != nil {
			return Exchange{}, err
		}
		if p.ChargingProfilePurpose != v16.ChargingProfilePurposeTxProfile {
			return Exchange{}, outOfBounds("chargingProfile.chargingProfilePurpose", "a remote start takes a TxProfile only (OCPP 1.6 §5.16.2)")
		}
		req.ChargingProfile = p
	}
	// Remembered before the request goes out: StartTransaction may overtake the answer.
	key := remoteStartKey(tag)
	d.State.Put(key, strconv.Itoa(m.RemoteStartID))
	notes.emulated(true, "remoteStartId", "kept here and given back with the start of the transaction for this idTag")
	return Exchange{
		Requests: []ocpp.Request{req},
		Notes:    notes,
		Answer: func(replies []Reply) Outcome {
			out := ask(req, func(r *v16.RemoteStartTransactionResponse) Outcome {
				return Outcome{Response: &v21.RequestStartTransactionResponse{Status: v21.RequestStartStopStatus(r.Status)}}
			}).Answer(replies)
			if r, ok := out.Response.(*v21.RequestStartTransactionResponse); !ok || r.Status != v21.RequestStartStopStatusAccepted {
				d.State.Put(key, "")
			}
			return out
		},
	}, nil
}

// lowerRequestStop: F03. A transaction without a number is not one of this station's.
func lowerRequestStop(d *Dialogue, m *v21.RequestStopTransactionRequest) (Exchange, error) {
	n, ok := d.State.Number(m.TransactionID)
	if !ok {
		return answered(&v21.RequestStopTransactionResponse{
			Status: v21.RequestStartStopStatusRejected, StatusInfo: reason("TxNotFound", "no 1.6 transaction is known by this id"),
		}, nil), nil
	}
	return ask(&v16.RemoteStopTransactionRequest{TransactionID: n}, func(r *v16.RemoteStopTransactionResponse) Outcome {
		if r.Status == v16.RemoteStartStopStatusAccepted {
			d.State.Put(keyRemoteStop(m.TransactionID), "yes")
		}
		return Outcome{Response: &v21.RequestStopTransactionResponse{Status: v21.RequestStartStopStatus(r.Status)}}
	}), nil
}

// lowerReset: B11, B12. Soft is the nearest to OnIdle, but ends transactions instead of waiting for their end.
func lowerReset(m *v21.ResetRequest) (Exchange, error) {
	if m.EVSEID.OK {
		return Exchange{}, refuse("evseId", "1.6 resets the station as a whole")
	}
	req := &v16.ResetRequest{Type: v16.ResetTypeHard}
	var notes notesOf
	switch m.Type {
	case v21.ResetTypeImmediate:
	case v21.ResetTypeOnIdle:
		req.Type = v16.ResetTypeSoft
		notes.emulated(true, "type", "a soft reset of 1.6 ends running transactions in good order and does not wait for them")
	default:
		return Exchange{}, refuse("type", "1.6 does not resume transactions after a reset")
	}
	return ask(req, func(r *v16.ResetResponse) Outcome {
		return Outcome{Response: &v21.ResetResponse{Status: v21.ResetStatus(r.Status)}}
	}, notes...), nil
}

// lowerChangeAvailability: G03, G04.
func lowerChangeAvailability(m *v21.ChangeAvailabilityRequest) (Exchange, error) {
	var notes notesOf
	connector, err := connector16("evse", m.EVSE, &notes)
	if err != nil {
		return Exchange{}, err
	}
	req := &v16.ChangeAvailabilityRequest{ConnectorID: connector, Type: v16.AvailabilityType(m.OperationalStatus)}
	return ask(req, func(r *v16.ChangeAvailabilityResponse) Outcome {
		return Outcome{Response: &v21.ChangeAvailabilityResponse{Status: v21.ChangeAvailabilityStatus(r.Status)}}
	}, notes...), nil
}

// lowerUnlockConnector: F05. 1.6 has no unlock for the station as a whole (OCPP 1.6 §5.18).
func lowerUnlockConnector(d *Dialogue, m *v21.UnlockConnectorRequest) (Exchange, error) {
	if m.EVSEID < 1 || m.ConnectorID != 1 {
		return answered(&v21.UnlockConnectorResponse{
			Status: v21.UnlockStatusUnknownConnector, StatusInfo: reason("UnknownConnectorId", "1.6 knows connector 1 of each EVSE"),
		}, nil), nil
	}
	notes := notesOf{emulatedNote("connectorId", "connector and EVSE are one in 1.6")}
	if _, running := d.State.Running(m.EVSEID); running {
		notes.emulated(true, "evseId", "1.6 ends a running transaction before it unlocks, where 2.1 would not unlock")
	}
	return ask(&v16.UnlockConnectorRequest{ConnectorID: m.EVSEID}, func(r *v16.UnlockConnectorResponse) Outcome {
		resp := &v21.UnlockConnectorResponse{Status: v21.UnlockStatus(r.Status)}
		if r.Status == v16.UnlockStatusNotSupported {
			resp.Status, resp.StatusInfo = v21.UnlockStatusUnlockFailed, reason("UnsupportedRequest", "the connector has no lock that can be opened from here")
		}
		return Outcome{Response: resp}
	}, notes...), nil
}

// lowerTriggerMessage: F06. What 1.6 cannot be asked to send is answered NotImplemented, as a station would.
func lowerTriggerMessage(d *Dialogue, m *v21.TriggerMessageRequest) (Exchange, error) {
	var notes notesOf
	var connector ocpp.Opt[int]
	if m.EVSE != nil && m.EVSE.ID > 0 {
		c, err := connector16("evse", m.EVSE, &notes)
		if err != nil {
			return Exchange{}, err
		}
		connector = ocpp.Some(c)
	}
	notes.lost(m.EVSE != nil && m.EVSE.ID == 0, "evse", "EVSE 0 is the station, of which 1.6 speaks by naming no connector")
	notes.lost(m.CustomTrigger.OK, "customTrigger", "1.6 has no triggers of a vendor's own")
	plain := func(t v16.MessageTrigger, c ocpp.Opt[int]) (Exchange, error) {
		notes.lost(connector.OK && !c.OK, "evse", "the message concerns the station as a whole")
		return ask(&v16.TriggerMessageRequest{RequestedMessage: t, ConnectorID: c}, func(r *v16.TriggerMessageResponse) Outcome {
			return Outcome{Response: &v21.TriggerMessageResponse{Status: v21.TriggerMessageStatus(r.Status)}}
		}, notes...), nil
	}
	extended := func(t v16.ExtendedMessageTrigger) (Exchange, error) {
		notes.lost(connector.OK, "evse", "the message concerns the station as a whole")
		return ask(&v16.ExtendedTriggerMessageRequest{RequestedMessage: t}, func(r *v16.ExtendedTriggerMessageResponse) Outcome {
			return Outcome{Response: &v21.TriggerMessageResponse{Status: v21.TriggerMessageStatus(r.Status)}}
		}, notes...), nil
	}
	secure := d.State.Get(keySecurity) != "no"
	var whole ocpp.Opt[int]
	switch m.RequestedMessage {
	case v21.MessageTriggerBootNotification:
		return plain(v16.MessageTriggerBootNotification, whole)
	case v21.MessageTriggerHeartbeat:
		return plain(v16.MessageTriggerHeartbeat, whole)
	case v21.MessageTriggerMeterValues:
		return plain(v16.MessageTriggerMeterValues, connector)
	case v21.MessageTriggerStatusNotification:
		return plain(v16.MessageTriggerStatusNotification, connector)
	case v21.MessageTriggerTransactionEvent:
		notes.emulated(true, "requestedMessage", "the meter values of the connector, which come back as events of its transaction")
		return plain(v16.MessageTriggerMeterValues, connector)
	case v21.MessageTriggerFirmwareStatusNotification:
		if secure && d.State.Get(keyFirmwareSigned) == "yes" {
			return extended(v16.ExtendedMessageTriggerFirmwareStatusNotification)
		}
		return plain(v16.MessageTriggerFirmwareStatusNotification, whole)
	case v21.MessageTriggerLogStatusNotification:
		if secure {
			return extended(v16.ExtendedMessageTriggerLogStatusNotification)
		}
		notes.emulated(true, "requestedMessage", "the state of the last upload of diagnostics")
		return plain(v16.MessageTriggerDiagnosticsStatusNotification, whole)
	case v21.MessageTriggerSignChargingStationCertificate:
		if secure {
			return extended(v16.ExtendedMessageTriggerSignChargePointCertificate)
		}
	case v21.MessageTriggerSignV2GCertificate:
		notes.lost(connector.OK, "evse", "the message concerns the station as a whole")
		return throughPnC(&v21.TriggerMessageRequest{RequestedMessage: m.RequestedMessage}, notes...), nil
	}
	return answered(&v21.TriggerMessageResponse{
		Status:     v21.TriggerMessageStatusNotImplemented,
		StatusInfo: reason("UnsupportedParam", "this message cannot be asked for in 1.6"),
	}, nil, append(notes, Note{Kind: Refused, Path: "requestedMessage", Text: "1.6 cannot be asked for this message"})...), nil
}
