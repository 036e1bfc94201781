package translate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// What a management system says, between 1.6 and 2.1, in both directions.
//
// A connector of 1.6 is an outlet that is run by itself, whatever sockets it has (OCPP 1.6 §2.2), which is what 2.x
// calls an EVSE: connector n of 1.6 is EVSE n of 2.1, and connector 0 is the station. The further connectors of an
// EVSE cannot be named in 1.6.
//
// Facts that this direction keeps in State: the request ids of the last update and the last upload, which a 1.6 station
// does not report; the remoteStartId of a remote start by its idTag. keySecurity is "no" when the
// station is known not to speak the security extension, "firmware/signed" is "yes" after a signed update,
// "profiles" holds the charging profiles that the station accepted.
const (
	keyFirmwareRequest = "firmware/requestId"
	keyLogRequest      = "log/requestId"
	keyRemoteStart     = "remotestart/" // and the idTag in lower case
	keySecurity        = "feature/security"
	keyFirmwareSigned  = "firmware/signed"
	keyProfiles        = "profiles"
)

// lowerCSMS16 says a 2.1 request of a management system to a 1.6 station.
func lowerCSMS16(d *Dialogue, req ocpp.Request) (Exchange, error) {
	x, err := lowerCSMS16Request(d, req)
	if err != nil {
		return Exchange{}, err
	}
	if m, ok := req.(*v21.CostUpdatedRequest); !ok || runningCost(m.CustomData) == nil {
		x.Notes = append(x.Notes, lostCustomData(req)...)
	}
	return x, nil
}

func lowerCSMS16Request(d *Dialogue, req ocpp.Request) (Exchange, error) {
	switch m := req.(type) {
	case *v21.RequestStartTransactionRequest:
		return lowerRequestStart(d, m)
	case *v21.RequestStopTransactionRequest:
		return lowerRequestStop(d, m)
	case *v21.ResetRequest:
		return lowerReset(m)
	case *v21.ChangeAvailabilityRequest:
		return lowerChangeAvailability(m)
	case *v21.UnlockConnectorRequest:
		return lowerUnlockConnector(d, m)
	case *v21.ClearCacheRequest:
		return ask(&v16.ClearCacheRequest{}, func(r *v16.ClearCacheResponse) Outcome {
			return Outcome{Response: &v21.ClearCacheResponse{Status: v21.ClearCacheStatus(r.Status)}}
		}), nil
	case *v21.TriggerMessageRequest:
		return lowerTriggerMessage(d, m)
	case *v21.GetLocalListVersionRequest:
		return ask(&v16.GetLocalListVersionRequest{}, func(r *v16.GetLocalListVersionResponse) Outcome {
			return Outcome{Response: &v21.GetLocalListVersionResponse{VersionNumber: r.ListVersion}}
		}), nil
	case *v21.SendLocalListRequest:
		return lowerSendLocalList(m)
	case *v21.ReserveNowRequest:
		return lowerReserveNow(m)
	case *v21.CancelReservationRequest:
		return ask(&v16.CancelReservationRequest{ReservationID: m.ReservationID}, func(r *v16.CancelReservationResponse) Outcome {
			return Outcome{Response: &v21.CancelReservationResponse{Status: v21.CancelReservationStatus(r.Status)}}
		}), nil
	case *v21.GetTransactionStatusRequest:
		return lowerGetTransactionStatus(d, m)
	}
	return lowerCSMS16Rest(d, req)
}

func lowerCSMS16Rest(d *Dialogue, req ocpp.Request) (Exchange, error) {
	switch m := req.(type) {
	case *v21.SetChargingProfileRequest:
		return lowerSetChargingProfile(d, m)
	case *v21.ClearChargingProfileRequest:
		return lowerClearChargingProfile(d, m)
	case *v21.GetChargingProfilesRequest:
		return lowerGetChargingProfiles(d, m)
	case *v21.GetCompositeScheduleRequest:
		return lowerGetCompositeSchedule(d, m)
	case *v21.GetVariablesRequest:
		return lowerGetVariables(d, m)
	case *v21.SetVariablesRequest:
		return lowerSetVariables(d, m)
	case *v21.GetBaseReportRequest:
		return lowerGetBaseReport(d, m)
	case *v21.GetReportRequest:
		return lowerGetReport(d, m)
	case *v21.GetLogRequest:
		return lowerGetLog(d, m)
	case *v21.UpdateFirmwareRequest:
		return lowerUpdateFirmware(d, m)
	case *v21.CertificateSignedRequest:
		return lowerCertificateSigned(m)
	case *v21.InstallCertificateRequest:
		return lowerInstallCertificate(m)
	case *v21.DeleteCertificateRequest:
		return lowerDeleteCertificate(m)
	case *v21.GetInstalledCertificateIdsRequest:
		return lowerGetInstalledCertificateIds(m)
	case *v21.DataTransferRequest:
		return lowerDataTransfer(m)
	case *v21.CostUpdatedRequest:
		return lowerCostUpdated(d, m)
	}
	if why, ok := noCounterpart16[req.ActionName()]; ok {
		return Exchange{}, refuse("", why)
	}
	return Exchange{}, refuse("", req.ActionName()+" is not a request of a management system")
}

// noCounterpart16 says in plain words why a request of 2.1 cannot be made to a 1.6 station.
var noCounterpart16 = map[string]string{
	v21.ActionAFRRSignal:                  "1.6 has no vehicle-to-grid",
	v21.ActionAdjustPeriodicEventStream:   "1.6 has no periodic event streams",
	v21.ActionChangeTransactionTariff:     "1.6 stations do not know tariffs",
	v21.ActionClearDERControl:             "1.6 has no control of distributed energy resources",
	v21.ActionClearDisplayMessage:         "1.6 has no display messages",
	v21.ActionClearTariffs:                "1.6 stations do not know tariffs",
	v21.ActionClearVariableMonitoring:     "1.6 has no monitoring of variables",
	v21.ActionCustomerInformation:         "1.6 stations do not tell what they store about customers",
	v21.ActionGetDERControl:               "1.6 has no control of distributed energy resources",
	v21.ActionGetDisplayMessages:          "1.6 has no display messages",
	v21.ActionGetMonitoringReport:         "1.6 has no monitoring of variables",
	v21.ActionGetPeriodicEventStream:      "1.6 has no periodic event streams",
	v21.ActionGetTariffs:                  "1.6 stations do not know tariffs",
	v21.ActionNotifyAllowedEnergyTransfer: "1.6 has no vehicle-to-grid",
	v21.ActionNotifyWebPaymentStarted:     "1.6 stations do not know payments by QR code",
	v21.ActionPublishFirmware:             "1.6 has no local controllers that publish firmware",
	v21.ActionRequestBatterySwap:          "1.6 has no battery swap",
	v21.ActionSetDERControl:               "1.6 has no control of distributed energy resources",
	v21.ActionSetDefaultTariff:            "1.6 stations do not know tariffs",
	v21.ActionSetDisplayMessage:           "1.6 has no display messages",
	v21.ActionSetMonitoringBase:           "1.6 has no monitoring of variables",
	v21.ActionSetMonitoringLevel:          "1.6 has no monitoring of variables",
	v21.ActionSetNetworkProfile:           "1.6 has no network profiles; stations move to another back-end by keys of their vendor's own",
	v21.ActionSetVariableMonitoring:       "1.6 has no monitoring of variables",
	v21.ActionUnpublishFirmware:           "1.6 has no local controllers that publish firmware",
	v21.ActionUpdateDynamicSchedule:       "1.6 has no dynamic profiles",
	v21.ActionUsePriorityCharging:         "1.6 has no priority charging",
}

// ask is the exchange of a single request whose answer is of type R. A CALLERROR is passed on.
func ask[R ocpp.Response](req ocpp.Request, fold func(R) Outcome, notes ...Note) Exchange {
	return one(req, func(r ocpp.Response) Outcome { return folded(r, fold) }, notes...)
}

// folded gives the answer to fold when it is of the type that fold expects.
func folded[R ocpp.Response](r ocpp.Response, fold func(R) Outcome) Outcome {
	m, ok := r.(R)
	if !ok {
		return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: fmt.Sprintf("unexpected answer %T", r)}}
	}
	return fold(m)
}

// refuse says that a field, or with an empty path the whole message, has no counterpart.
func refuse(path, reason string) *Refusal {
	return &Refusal{Code: ocpp.NotSupported, Path: path, Reason: reason}
}

// outOfBounds says that a value does not fit the other version.
func outOfBounds(path, reason string) *Refusal {
	return &Refusal{Code: ocpp.PropertyConstraintViolation, Path: path, Reason: reason}
}

func lostNote(path, text string) Note { return Note{Kind: Lost, Path: path, Text: text} }

func emulatedNote(path, text string) Note { return Note{Kind: Emulated, Path: path, Text: text} }

// notesOf collects a note for every field that is present.
type notesOf []Note

func (n *notesOf) lost(present bool, path, text string) {
	if present {
		*n = append(*n, lostNote(path, text))
	}
}

func (n *notesOf) emulated(present bool, path, text string) {
	if present {
		*n = append(*n, emulatedNote(path, text))
	}
}

// reason is the statusInfo of an answer that the translation itself gives. Codes are the standard ones of the
// appendices of OCPP 2.1, at most 20 characters; the text is cut at 1024.
func reason(code, text string) *v21.StatusInfo {
	s := &v21.StatusInfo{ReasonCode: code}
	if text != "" {
		t, _ := cutRunes(text, 1024)
		s.AdditionalInfo = ocpp.Some(t)
	}
	return s
}

// cutRunes shortens s to at most n characters and reports whether it had to.
func cutRunes(s string, n int) (string, bool) {
	if utf8.RuneCountInString(s) <= n {
		return s, false
	}
	return string([]rune(s)[:n]), true
}

// lostCustomData notes every customData object of a 2.x message: 1.6 has no place for vendor extensions.
func lostCustomData(m ocpp.Message) []Note {
	return lostObjects(m, map[string]string{"customData": "1.6 has no vendor extensions"})
}

// lostAnswer notes what no answer of 1.6 can carry.
func lostAnswer(m ocpp.Message) []Note {
	return lostObjects(m, map[string]string{
		"customData": "1.6 has no vendor extensions", "statusInfo": "1.6 gives no reasons", "attributeStatusInfo": "1.6 gives no reasons",
	})
}

// lostObjects notes every field of one of these names, with the text for the name and, where there is one, the reason
// code in it.
func lostObjects(m ocpp.Message, names map[string]string) []Note {
	text := string(ocpp.Marshal(m))
	found := false
	for name := range names {
		found = found || strings.Contains(text, `"`+name+`"`)
	}
	var root any
	if !found || json.Unmarshal([]byte(text), &root) != nil {
		return nil
	}
	var notes []Note
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				p := strings.TrimPrefix(path+"."+k, ".")
				why, lost := names[k]
				switch {
				case lost:
					if info, ok := v[k].(map[string]any); ok && info["reasonCode"] != nil {
						why = fmt.Sprintf("%s: %.20v", why, info["reasonCode"])
					}
					notes = append(notes, lostNote(p, why))
				case p != "data": // the content of a DataTransfer is not ours to read
					walk(p, v[k])
				}
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		}
	}
	walk("", root)
	return notes
}
