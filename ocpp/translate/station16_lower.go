package translate

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// lowerStation16 says to a 1.6 management system, as a 1.6 station, what a 2.1 station says.
func lowerStation16(d *Dialogue, req ocpp.Request) (Exchange, error) {
	t := &talk{d: d}
	switch r := req.(type) {
	case *v21.BootNotificationRequest:
		return t.lowerBoot(r), nil
	case *v21.HeartbeatRequest:
		t.rest(r)
		return single(t, &v16.HeartbeatRequest{}, func(a *v16.HeartbeatResponse) Outcome {
			return Outcome{Response: &v21.HeartbeatResponse{CurrentTime: t.time("currentTime", a.CurrentTime)}}
		}), nil
	case *v21.AuthorizeRequest:
		return t.lowerAuthorize(r)
	case *v21.StatusNotificationRequest:
		return t.lowerStatus(r), nil
	case *v21.TransactionEventRequest:
		return t.lowerTransaction(r), nil
	case *v21.MeterValuesRequest:
		return t.lowerMeterValues(r), nil
	case *v21.NotifyEventRequest:
		return t.lowerEvents(r), nil
	case *v21.DataTransferRequest:
		return t.lowerData(r)
	case *v21.SecurityEventNotificationRequest:
		return t.lowerSecurityEvent(r), nil
	case *v21.SignCertificateRequest:
		return t.lowerSignCertificate(r)
	case *v21.LogStatusNotificationRequest:
		return t.lowerLogStatus(r), nil
	case *v21.FirmwareStatusNotificationRequest:
		return t.lowerFirmwareStatus(r), nil
	case *v21.Get15118EVCertificateRequest:
		return t.lowerEVCertificate(r)
	case *v21.GetCertificateStatusRequest:
		return t.lowerCertificateStatus(r)
	case *v21.OpenPeriodicEventStreamRequest:
		t.lost("", "1.6 has no event streams: rejected")
		return answered(&v21.OpenPeriodicEventStreamResponse{
			Status: v21.GenericStatusRejected, StatusInfo: &v21.StatusInfo{ReasonCode: "UnsupportedRequest"},
		}, nil, t.notes...), nil
	}
	if why, ok := absorbed16[req.ActionName()]; ok {
		t.lost("", why)
		resp := req.NewResponse() // nil for a SEND, which has no answer
		return Exchange{Answer: func([]Reply) Outcome { return Outcome{Response: resp} }, Notes: t.notes}, nil
	}
	if why, ok := refused16[req.ActionName()]; ok {
		return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: why}
	}
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: req.ActionName() + " is not a request of a station"}
}

// absorbed16 are the notifications that a 1.6 management system cannot be told and whose answer is empty: the station
// gets it here and goes on, and the note tells what was not passed on.
var absorbed16 = map[string]string{
	v21.ActionNotifyReport:                      "the device model is known here; 1.6 asks for configuration keys",
	v21.ActionNotifyMonitoringReport:            "1.6 has no variable monitoring",
	v21.ActionNotifyCustomerInformation:         "1.6 has no customer information",
	v21.ActionNotifyDisplayMessages:             "1.6 has no display messages",
	v21.ActionReportChargingProfiles:            "1.6 cannot ask for charging profiles",
	v21.ActionNotifyChargingLimit:               "1.6 has no message for limits from outside",
	v21.ActionClearedChargingLimit:              "1.6 has no message for limits from outside",
	v21.ActionNotifyPriorityCharging:            "1.6 has no priority charging",
	v21.ActionReservationStatusUpdate:           "the status of the connector tells it in 1.6",
	v21.ActionPublishFirmwareStatusNotification: "1.6 has no local publishing of firmware",
	v21.ActionNotifyDERAlarm:                    "1.6 has no control of distributed energy resources",
	v21.ActionNotifyDERStartStop:                "1.6 has no control of distributed energy resources",
	v21.ActionReportDERControl:                  "1.6 has no control of distributed energy resources",
	v21.ActionClosePeriodicEventStream:          "1.6 has no event streams",
	v21.ActionNotifyPeriodicEventStream:         "no event stream was opened towards 1.6",
}

// refused16 are the requests whose answer only a management system can give, or that an empty answer would falsely
// acknowledge.
var refused16 = map[string]string{
	v21.ActionBatterySwap:               "1.6 has no battery swap",
	v21.ActionGetCertificateChainStatus: "1.6 has no check of certificate chains; ask for each certificate alone",
	v21.ActionNotifyEVChargingNeeds:     "1.6 has no charging needs of ISO 15118",
	v21.ActionNotifyEVChargingSchedule:  "1.6 has no charging schedules of ISO 15118",
	v21.ActionNotifySettlement:          "1.6 has no payments: a settlement cannot be acknowledged",
	v21.ActionPullDynamicScheduleUpdate: "1.6 has no dynamic charging profiles",
	v21.ActionVatNumberValidation:       "1.6 has no validation of VAT numbers",
}

// rest notes every field of m that is not said, once per kind of field. said are the paths of the fields that were
// used, without indices; what lies below them counts too, but for customData of others.
func (t *talk) rest(m ocpp.Message, said ...string) {
	var root map[string]any
	if json.Unmarshal(ocpp.Marshal(m), &root) != nil {
		return // not reached: a message that we write is JSON
	}
	w := remainder{talk: t, said: said, noted: map[string]bool{}}
	w.object("", "", root, false)
}

// remainder walks what a translation did not use.
type remainder struct {
	*talk
	said  []string
	noted map[string]bool
}

func (w *remainder) object(pattern, path string, fields map[string]any, used bool) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		w.value(joinPath(pattern, name), joinPath(path, name), fields[name], used)
	}
}

// value is at path, which is pattern with its indices.
func (w *remainder) value(pattern, path string, v any, used bool) {
	below := false // some fields below are used
	for _, s := range w.said {
		used = used || s == pattern
		below = below || strings.HasPrefix(s, pattern+".")
	}
	if custom := strings.HasSuffix(pattern, "customData"); custom && isOurs(v) || used && custom && slices.Contains(w.said, pattern) {
		return
	} else if custom {
		used = false
	}
	switch fields, object := v.(map[string]any); {
	case !used && !below:
		if !w.noted[pattern] {
			w.noted[pattern] = true
			w.lost(path, "1.6 has no place for it")
		}
	case object:
		w.object(pattern, path, fields, used)
	default:
		items, _ := v.([]any)
		for i, item := range items {
			if fields, ok := item.(map[string]any); ok {
				w.object(pattern, path+"["+strconv.Itoa(i)+"]", fields, used)
			}
		}
	}
}

func isOurs(v any) bool {
	fields, ok := v.(map[string]any)
	return ok && fields["vendorId"] == CustomDataVendor
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// oursIn reads a value that ours wrote.
func oursIn(c ocpp.CustomData, name string) string {
	if !strings.Contains(string(c), `"`+CustomDataVendor+`"`) {
		return ""
	}
	var fields map[string]any
	if json.Unmarshal([]byte(c), &fields) != nil || fields["vendorId"] != CustomDataVendor {
		return ""
	}
	s, _ := fields[name].(string)
	return s
}

func (t *talk) lowerBoot(r *v21.BootNotificationRequest) Exchange {
	s := &r.ChargingStation
	said := []string{"chargingStation.vendorName", "chargingStation.model", "chargingStation.serialNumber",
		"chargingStation.firmwareVersion", "chargingStation.modem.iccid", "chargingStation.modem.imsi"}
	req := &v16.BootNotificationRequest{
		ChargePointVendor:       t.text("chargingStation.vendorName", s.VendorName, 20),
		ChargePointModel:        t.text("chargingStation.model", s.Model, 20),
		ChargePointSerialNumber: t.optText("chargingStation.serialNumber", s.SerialNumber, 25),
		FirmwareVersion:         t.optText("chargingStation.firmwareVersion", s.FirmwareVersion, 50),
	}
	if m := s.Modem; m != nil {
		req.ICCID, req.IMSI = t.optText("chargingStation.modem.iccid", m.ICCID, 20), t.optText("chargingStation.modem.imsi", m.IMSI, 20)
	}
	if oursOnly(s.CustomData) {
		said = append(said, "chargingStation.customData")
		read := func(name string) ocpp.Opt[string] {
			return ocpp.NonZero(t.text("chargingStation.customData."+name, oursIn(s.CustomData, name), 25))
		}
		req.ChargeBoxSerialNumber, req.MeterType = read("chargeBoxSerialNumber"), read("meterType")
		req.MeterSerialNumber = read("meterSerialNumber")
	}
	if r.Reason == v21.BootReasonUnknown {
		said = append(said, "reason") // nothing is lost
	}
	t.rest(r, said...)
	return single(t, req, func(a *v16.BootNotificationResponse) Outcome {
		f := &talk{d: t.d}
		return Outcome{Response: &v21.BootNotificationResponse{
			Status: v21.RegistrationStatus(a.Status), CurrentTime: f.time("currentTime", a.CurrentTime), Interval: a.Interval,
		}, Notes: f.notes}
	})
}

// oursOnly reports whether customData are of our own making.
func oursOnly(c ocpp.CustomData) bool {
	var fields map[string]any
	return c != "" && json.Unmarshal([]byte(c), &fields) == nil && fields["vendorId"] == CustomDataVendor
}

// lowerAuthorize: an eMAID with its certificate goes by the Plug & Charge note, everything else as an idTag. A token
// that does not fit into the 20 characters is refused: cut, it could be the token of somebody else.
func (t *talk) lowerAuthorize(r *v21.AuthorizeRequest) (Exchange, error) {
	if r.Certificate.OK || len(r.ISO15118CertificateHashData) > 0 {
		return t.lowerPlugAndCharge(r), nil
	}
	if len([]rune(r.IDToken.IDToken)) > maxIDTag {
		return Exchange{}, &Refusal{Code: ocpp.PropertyConstraintViolation, Path: "idToken.idToken",
			Reason: "1.6 has no tokens of more than 20 characters"}
	}
	said := []string{"idToken.idToken"}
	if r.IDToken.Type == UntypedIDToken {
		said = append(said, "idToken.type")
	}
	t.rest(r, said...)
	return single(t, &v16.AuthorizeRequest{IDTag: r.IDToken.IDToken}, func(a *v16.AuthorizeResponse) Outcome {
		f := &talk{d: t.d}
		return Outcome{Response: &v21.AuthorizeResponse{IDTokenInfo: *f.liftTagInfo(&a.IDTagInfo)}, Notes: f.notes}
	}), nil
}

// liftTagInfo says a verdict of 1.6 in 2.1: every status of 1.6 exists there. A parent is a token that the central
// system made.
func (t *talk) liftTagInfo(a *v16.IDTagInfo) *v21.IDTokenInfo {
	info := &v21.IDTokenInfo{Status: v21.AuthorizationStatus(a.Status)}
	if a.ExpiryDate.OK {
		if writable(a.ExpiryDate.V) {
			info.CacheExpiryDateTime = a.ExpiryDate
		} else {
			t.lost("idTagInfo.expiryDate", "not a time")
		}
	}
	if a.ParentIDTag.OK {
		info.GroupIDToken = &v21.IDToken{IDToken: t.text("idTagInfo.parentIdTag", a.ParentIDTag.V, 255), Type: "Central"}
	}
	return info
}

func (t *talk) lowerSecurityEvent(r *v21.SecurityEventNotificationRequest) Exchange {
	if t.d.State.Get(keySecurity) == "no" {
		t.lost("", "the management system does not speak the security extension")
		return answered(&v21.SecurityEventNotificationResponse{}, nil, t.notes...)
	}
	t.rest(r, "type", "timestamp", "techInfo")
	req := &v16.SecurityEventNotificationRequest{
		Type: t.text("type", r.Type, 50), Timestamp: t.time("timestamp", r.Timestamp), TechInfo: t.optText("techInfo", r.TechInfo, 255),
	}
	return single(t, req, func(*v16.SecurityEventNotificationResponse) Outcome {
		return Outcome{Response: &v21.SecurityEventNotificationResponse{}}
	})
}

// lowerLogStatus: an upload that was asked for with GetLog is told with LogStatusNotification, one of GetDiagnostics
// with DiagnosticsStatusNotification.
func (t *talk) lowerLogStatus(r *v21.LogStatusNotificationRequest) Exchange {
	if status := v16.UploadLogStatus(r.Status); t.d.State.Get(keyLogByDiagnostics) == "" && t.d.State.Get(keySecurity) != "no" {
		if !status.Valid() { // AcceptedCanceled is new in 2.x
			status = v16.UploadLogStatusIdle
			t.emulated("status", string(r.Status)+" is Idle in 1.6")
		}
		t.rest(r, "status", "requestId")
		return single(t, &v16.LogStatusNotificationRequest{Status: status, RequestID: r.RequestID},
			func(*v16.LogStatusNotificationResponse) Outcome {
				return Outcome{Response: &v21.LogStatusNotificationResponse{}}
			})
	}
	status := v16.DiagnosticsStatusUploadFailed
	switch r.Status {
	case v21.UploadLogStatusIdle, v21.UploadLogStatusUploaded, v21.UploadLogStatusUploading:
		status = v16.DiagnosticsStatus(r.Status)
	case v21.UploadLogStatusAcceptedCanceled:
		status = v16.DiagnosticsStatusIdle
	}
	if string(status) != string(r.Status) {
		t.emulated("status", string(r.Status)+" is "+string(status)+" in 1.6")
	}
	t.rest(r, "status")
	return single(t, &v16.DiagnosticsStatusNotificationRequest{Status: status},
		func(*v16.DiagnosticsStatusNotificationResponse) Outcome {
			return Outcome{Response: &v21.LogStatusNotificationResponse{}}
		})
}

// firmwareStatus16 are the statuses that only a signed update has in 1.6.
var firmwareStatus16 = map[v21.FirmwareStatus]v16.FirmwareStatus{
	v21.FirmwareStatusDownloadScheduled:         v16.FirmwareStatusIdle,
	v21.FirmwareStatusDownloadPaused:            v16.FirmwareStatusDownloading,
	v21.FirmwareStatusInstallRebooting:          v16.FirmwareStatusInstalling,
	v21.FirmwareStatusInstallScheduled:          v16.FirmwareStatusDownloaded,
	v21.FirmwareStatusSignatureVerified:         v16.FirmwareStatusDownloaded,
	v21.FirmwareStatusInstallVerificationFailed: v16.FirmwareStatusInstallationFailed,
	v21.FirmwareStatusInvalidSignature:          v16.FirmwareStatusInstallationFailed,
}

func (t *talk) lowerFirmwareStatus(r *v21.FirmwareStatusNotificationRequest) Exchange {
	if t.d.State.Get(keyFirmwareSigned) == "yes" {
		t.rest(r, "status", "requestId")
		req := &v16.SignedFirmwareStatusNotificationRequest{Status: v16.SignedFirmwareStatus(r.Status), RequestID: r.RequestID}
		return single(t, req, func(*v16.SignedFirmwareStatusNotificationResponse) Outcome {
			return Outcome{Response: &v21.FirmwareStatusNotificationResponse{}}
		})
	}
	status := v16.FirmwareStatus(r.Status)
	if to, ok := firmwareStatus16[r.Status]; ok {
		t.emulated("status", string(r.Status)+" is "+string(to)+" in an update that is not signed")
		status = to
	}
	t.rest(r, "status")
	return single(t, &v16.FirmwareStatusNotificationRequest{Status: status}, func(*v16.FirmwareStatusNotificationResponse) Outcome {
		return Outcome{Response: &v21.FirmwareStatusNotificationResponse{}}
	})
}
