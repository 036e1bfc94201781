package translate

import (
	"fmt"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// lowerSendLocalList: D01. Two tokens that differ only by their type would be one idTag, and are refused.
func lowerSendLocalList(m *v21.SendLocalListRequest) (Exchange, error) {
	var notes notesOf
	req := &v16.SendLocalListRequest{ListVersion: m.VersionNumber, UpdateType: v16.UpdateType(m.UpdateType)}
	seen := map[string]bool{}
	for i := range m.LocalAuthorizationList {
		path := fmt.Sprintf("localAuthorizationList[%d]", i)
		e, err := listEntry16(path, &m.LocalAuthorizationList[i], &notes)
		if err != nil {
			return Exchange{}, err
		}
		if seen[strings.ToLower(e.IDTag)] { // an idTag has no case
			return Exchange{}, outOfBounds(path+".idToken", "the list has this idTag twice")
		}
		seen[strings.ToLower(e.IDTag)] = true
		req.LocalAuthorizationList = append(req.LocalAuthorizationList, e)
	}
	return ask(req, func(r *v16.SendLocalListResponse) Outcome {
		resp := &v21.SendLocalListResponse{Status: v21.SendLocalListStatus(r.Status)}
		if r.Status == v16.UpdateStatusNotSupported {
			resp.Status, resp.StatusInfo = v21.SendLocalListStatusFailed, reason("UnsupportedRequest", "the station has no local authorization list")
		}
		return Outcome{Response: resp}
	}, notes...), nil
}

func listEntry16(path string, a *v21.AuthorizationData, notes *notesOf) (v16.AuthorizationData, error) {
	tag, err := idTag16(path+".idToken", a.IDToken, notes)
	if err != nil {
		return v16.AuthorizationData{}, err
	}
	out := v16.AuthorizationData{IDTag: tag}
	info := a.IDTokenInfo
	if info == nil {
		return out, nil
	}
	path += ".idTokenInfo"
	notes.lost(info.ChargingPriority.OK, path+".chargingPriority", "1.6 has no priorities")
	notes.lost(info.Language1.OK, path+".language1", "1.6 does not know the language of a driver")
	notes.lost(info.Language2.OK, path+".language2", "1.6 does not know the language of a driver")
	notes.lost(info.PersonalMessage != nil, path+".personalMessage", "1.6 has no messages to drivers")
	out.IDTagInfo = &v16.IDTagInfo{ExpiryDate: info.CacheExpiryDateTime, Status: status16(path, info.Status, notes)}
	if len(info.EVSEID) > 0 {
		// Valid at some EVSEs only: without a list in 1.6 the tag must not work everywhere.
		notes.emulated(true, path+".evseId", "1.6 cannot limit a tag to EVSEs: it is listed as Blocked, so that the management system is asked")
		out.IDTagInfo.Status = v16.AuthorizationStatusBlocked
	}
	if info.GroupIDToken != nil {
		parent, err := idTag16(path+".groupIdToken", *info.GroupIDToken, notes)
		if err != nil {
			return v16.AuthorizationData{}, err
		}
		out.IDTagInfo.ParentIDTag = ocpp.Some(parent)
	}
	return out, nil
}

// status16 says a verdict about a token. A token that may not charge here, now or on its credit is Blocked.
func status16(path string, s v21.AuthorizationStatus, notes *notesOf) v16.AuthorizationStatus {
	switch v := v16.AuthorizationStatus(s); {
	case v.Valid():
		return v
	case s == v21.AuthorizationStatusUnknown:
		notes.emulated(true, path+".status", "1.6 says Invalid for Unknown")
		return v16.AuthorizationStatusInvalid
	}
	notes.emulated(true, path+".status", "1.6 says Blocked for "+string(s))
	return v16.AuthorizationStatusBlocked
}

// lowerReserveNow: H01. Connector 0 reserves any one (OCPP 1.6 §5.13), which 2.1 says by leaving the EVSE out.
func lowerReserveNow(m *v21.ReserveNowRequest) (Exchange, error) {
	if m.ConnectorType.OK {
		return Exchange{}, refuse("connectorType", "1.6 cannot reserve by type of connector")
	}
	var notes notesOf
	tag, err := idTag16("idToken", m.IDToken, &notes)
	if err != nil {
		return Exchange{}, err
	}
	req := &v16.ReserveNowRequest{ConnectorID: m.EVSEID.Or(0), ExpiryDate: m.ExpiryDateTime, IDTag: tag, ReservationID: m.ID}
	if m.GroupIDToken != nil {
		parent, err := idTag16("groupIdToken", *m.GroupIDToken, &notes)
		if err != nil {
			return Exchange{}, err
		}
		req.ParentIDTag = ocpp.Some(parent)
	}
	return ask(req, func(r *v16.ReserveNowResponse) Outcome {
		return Outcome{Response: &v21.ReserveNowResponse{Status: v21.ReserveNowStatus(r.Status)}}
	}, notes...), nil
}

// lowerGetTransactionStatus: E14. Whether a transaction runs is known here; whether the station holds messages back
// is not. It is said to hold some: whoever waits for the end of a transaction must not stop waiting on a guess.
func lowerGetTransactionStatus(d *Dialogue, m *v21.GetTransactionStatusRequest) (Exchange, error) {
	resp := &v21.GetTransactionStatusResponse{MessagesInQueue: true}
	if m.TransactionID.OK {
		_, running := d.State.EVSE(m.TransactionID.V)
		resp.OngoingIndicator = ocpp.Some(running)
	}
	return answered(resp, nil, emulatedNote("", "answered from what is known here: 1.6 cannot be asked what a station still has to send, so that messagesInQueue is always true")), nil
}
