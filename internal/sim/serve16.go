package sim

import (
	"slices"
	"strings"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/v16"
)

var errBeforeBoot = &ocpp.CallError{Code: ocpp.SecurityError, Description: "the station is not accepted"}

// serve answers a request of the central system.
func (f *front16) serve(in *ocppj.Incoming) (ocpp.Response, *ocpp.CallError) {
	if f.s.reg == rejected || f.s.reg == unregistered {
		return nil, errBeforeBoot
	}
	if resp := f.serveCharging(in.Request); resp != nil {
		return resp, nil
	}
	if resp := f.serveUpkeep(in.Request); resp != nil {
		return resp, nil
	}
	return nil, &ocpp.CallError{Code: ocpp.NotSupported, Description: in.Action}
}

// serveCharging answers what concerns drivers and energy; nil for other requests.
func (f *front16) serveCharging(req ocpp.Request) ocpp.Response {
	s := f.s
	switch m := req.(type) {
	case *v16.RemoteStartTransactionRequest:
		return &v16.RemoteStartTransactionResponse{Status: v16.RemoteStartStopStatus(f.remoteStart(m))}
	case *v16.RemoteStopTransactionRequest:
		for _, e := range s.evses {
			if e.tx != nil && e.tx.id16 == m.TransactionID && m.TransactionID != 0 && s.reg == accepted {
				s.stopBy(e, "RemoteStop", "Remote", nil)
				return &v16.RemoteStopTransactionResponse{Status: v16.RemoteStartStopStatusAccepted}
			}
		}
		return &v16.RemoteStopTransactionResponse{Status: v16.RemoteStartStopStatusRejected}
	case *v16.UnlockConnectorRequest:
		return &v16.UnlockConnectorResponse{Status: f.unlock(m.ConnectorID)}
	case *v16.ChangeAvailabilityRequest:
		return &v16.ChangeAvailabilityResponse{Status: v16.AvailabilityStatus(f.changeAvailability(m))}
	case *v16.ReserveNowRequest:
		return &v16.ReserveNowResponse{Status: v16.ReservationStatus(f.reserve(m))}
	case *v16.CancelReservationRequest:
		st := v16.CancelReservationStatusRejected
		if s.dropReservation(m.ReservationID) {
			st = v16.CancelReservationStatusAccepted
		}
		return &v16.CancelReservationResponse{Status: st}
	case *v16.SetChargingProfileRequest:
		return &v16.SetChargingProfileResponse{Status: f.setProfile(m.ConnectorID, &m.CsChargingProfiles)}
	case *v16.ClearChargingProfileRequest:
		return &v16.ClearChargingProfileResponse{Status: f.clearProfile(m)}
	case *v16.GetCompositeScheduleRequest:
		return f.composite(m)
	case *v16.SendLocalListRequest:
		return &v16.SendLocalListResponse{Status: v16.UpdateStatus(f.sendList(m))}
	case *v16.GetLocalListVersionRequest:
		v := s.listVersion
		if !s.flag(setListEnabled) {
			v = -1
		}
		return &v16.GetLocalListVersionResponse{ListVersion: v}
	case *v16.ClearCacheRequest:
		if !s.flag(setAuthCache) {
			return &v16.ClearCacheResponse{Status: v16.ClearCacheStatusRejected}
		}
		s.cache = nil
		return &v16.ClearCacheResponse{Status: v16.ClearCacheStatusAccepted}
	}
	return nil
}

// serveUpkeep answers what concerns the station itself; nil for other requests.
func (f *front16) serveUpkeep(req ocpp.Request) ocpp.Response {
	s := f.s
	switch m := req.(type) {
	case *v16.ResetRequest:
		s.reset16(m.Type == v16.ResetTypeHard)
		return &v16.ResetResponse{Status: v16.ResetStatusAccepted}
	case *v16.GetConfigurationRequest:
		return f.getConfiguration(m)
	case *v16.ChangeConfigurationRequest:
		return &v16.ChangeConfigurationResponse{Status: f.changeConfiguration(m)}
	case *v16.TriggerMessageRequest:
		return &v16.TriggerMessageResponse{Status: f.trigger(string(m.RequestedMessage), m.ConnectorID)}
	case *v16.ExtendedTriggerMessageRequest:
		return &v16.ExtendedTriggerMessageResponse{Status: f.trigger(string(m.RequestedMessage), m.ConnectorID)}
	case *v16.UpdateFirmwareRequest:
		s.extras.signedFirmware = false
		s.updateFirmware(&firmwareJob{location: m.Location, retrieve: m.RetrieveDate, retries: m.Retries.Or(1), interval: seconds(m.RetryInterval.Or(10))})
		return &v16.UpdateFirmwareResponse{}
	case *v16.SignedUpdateFirmwareRequest:
		return &v16.SignedUpdateFirmwareResponse{Status: v16.SignedUpdateFirmwareStatus(f.signedFirmware(m))}
	case *v16.GetDiagnosticsRequest:
		name, _ := s.uploadLog(&logJob{location: m.Location, kind: "DiagnosticsLog", retries: m.Retries.Or(0), interval: seconds(m.RetryInterval.Or(10))})
		return &v16.GetDiagnosticsResponse{FileName: ocpp.NonZero(name)}
	case *v16.GetLogRequest:
		name, status := s.uploadLog(&logJob{location: m.Log.RemoteLocation, kind: string(m.LogType), request: m.RequestID,
			retries: m.Retries.Or(0), interval: seconds(m.RetryInterval.Or(10))})
		return &v16.GetLogResponse{Status: v16.LogStatus(status), Filename: ocpp.NonZero(name)}
	case *v16.InstallCertificateRequest:
		return &v16.InstallCertificateResponse{Status: v16.InstallCertificateStatus(s.installCertificate(string(m.CertificateType), m.Certificate))}
	case *v16.DeleteCertificateRequest:
		h := m.CertificateHashData
		return &v16.DeleteCertificateResponse{Status: v16.DeleteCertificateStatus(s.deleteCertificate(certHash{string(h.HashAlgorithm), h.IssuerNameHash, h.IssuerKeyHash, h.SerialNumber}))}
	case *v16.GetInstalledCertificateIdsRequest:
		return f.installedCertificates(m)
	case *v16.CertificateSignedRequest:
		return &v16.CertificateSignedResponse{Status: v16.CertificateSignedStatus(s.certificateSigned(m.CertificateChain))}
	case *v16.DataTransferRequest:
		return f.dataTransfer(m)
	}
	return nil
}

// longest bounds times of the other end, so that sums of them do not overflow.
const longest = 10 * 365 * 24 * 3600

func seconds(n int) time.Duration { return time.Duration(max(-longest, min(n, longest))) * time.Second }

func (f *front16) dataTransfer(m *v16.DataTransferRequest) ocpp.Response {
	st := v16.DataTransferStatusUnknownVendorID
	if m.VendorID == f.s.cfg.Vendor {
		st = v16.DataTransferStatusUnknownMessageID
	}
	return &v16.DataTransferResponse{Status: st}
}

func (f *front16) remoteStart(m *v16.RemoteStartTransactionRequest) string {
	s := f.s
	if s.reg != accepted {
		return "Rejected"
	}
	var e *evse
	if m.ConnectorID.OK {
		e, _ = f.connector(m.ConnectorID.V)
	} else {
		e = s.freeFor(token{id: m.IDTag})
	}
	if e == nil || !s.canStart(e, token{id: m.IDTag}) {
		return "Rejected"
	}
	var p *profile
	if m.ChargingProfile != nil {
		p = profile16(m.ChargingProfile)
		p.evse = e.id
		if p.purpose != purposeTx {
			return "Rejected"
		}
	}
	s.remoteStart(e, &authorisation{token: token{id: m.IDTag, typ: "Central"}, remote: true}, p)
	return "Accepted"
}

func (f *front16) unlock(id int) v16.UnlockStatus {
	e, _ := f.connector(id)
	if e == nil {
		return v16.UnlockStatusNotSupported
	}
	if e.fault == string(v16.ChargePointErrorCodeConnectorLockFailure) {
		return v16.UnlockStatusUnlockFailed
	}
	if e.tx != nil { // OCPP 1.6 5.18: a running transaction is ended first
		f.s.stopBy(e, "UnlockCommand", "UnlockCommand", nil)
	}
	f.s.release(e)
	return v16.UnlockStatusUnlocked
}

func (f *front16) changeAvailability(m *v16.ChangeAvailabilityRequest) string {
	if m.ConnectorID == 0 {
		status := "Accepted"
		for _, e := range f.s.evses {
			if f.s.setAvailability(e, 0, m.Type == v16.AvailabilityTypeOperative) == "Scheduled" {
				status = "Scheduled"
			}
		}
		if f.s.setAvailability(nil, 0, m.Type == v16.AvailabilityTypeOperative) == "Scheduled" {
			status = "Scheduled"
		}
		return status
	}
	e, c := f.connector(m.ConnectorID)
	if e == nil {
		return "Rejected"
	}
	return f.s.setAvailability(e, c, m.Type == v16.AvailabilityTypeOperative)
}

func (f *front16) reserve(m *v16.ReserveNowRequest) string {
	r := &reservation{id: m.ReservationID, token: token{id: m.IDTag}, group: m.ParentIDTag.V, expires: m.ExpiryDate}
	if m.ConnectorID > 0 {
		e, _ := f.connector(m.ConnectorID)
		if e == nil {
			return "Rejected"
		}
		r.evse = e.id
	}
	return f.s.reserve(r)
}

// profile16 reads a profile of 1.6.
func profile16(m *v16.ChargingProfile) *profile {
	p := &profile{id: m.ChargingProfileID, stack: m.StackLevel, purpose: string(m.ChargingProfilePurpose), kind: string(m.ChargingProfileKind),
		weekly: m.RecurrencyKind.V == v16.RecurrencyKindWeekly, from: m.ValidFrom.V, to: m.ValidTo.V, source: "CSO"}
	if m.ChargingProfilePurpose == v16.ChargingProfilePurposeChargePointMaxProfile {
		p.purpose = purposeMax
	}
	c := &m.ChargingSchedule
	sc := schedule{start: c.StartSchedule.V, duration: seconds(c.Duration.V), watts: c.ChargingRateUnit == v16.ChargingRateUnitW}
	for _, per := range c.ChargingSchedulePeriod {
		limit, _ := per.Limit.Float64()
		sc.periods = append(sc.periods, period{start: seconds(per.StartPeriod), limit: limit, phases: per.NumberPhases.V})
	}
	p.schedules = []schedule{sc}
	return p
}

func (f *front16) setProfile(connector int, m *v16.ChargingProfile) v16.ChargingProfileStatus {
	p := profile16(m)
	if connector > 0 {
		e, _ := f.connector(connector)
		if e == nil {
			return v16.ChargingProfileStatusRejected
		}
		p.evse = e.id
		if p.purpose == purposeTx && e.tx != nil && (!m.TransactionID.OK || m.TransactionID.V == e.tx.id16) {
			p.tx = e.tx
		}
	}
	if f.s.install(p) != "" {
		return v16.ChargingProfileStatusRejected
	}
	return v16.ChargingProfileStatusAccepted
}

func (f *front16) clearProfile(m *v16.ClearChargingProfileRequest) v16.ClearChargingProfileStatus {
	purpose := string(m.ChargingProfilePurpose.V)
	if m.ChargingProfilePurpose.V == v16.ChargingProfilePurposeChargePointMaxProfile {
		purpose = purposeMax
	}
	evseID := 0
	if m.ConnectorID.V > 0 {
		e, _ := f.connector(m.ConnectorID.V)
		if e == nil {
			return v16.ClearChargingProfileStatusUnknown
		}
		evseID = e.id
	}
	found := f.s.clearProfiles(func(p *profile) bool {
		return (!m.ID.OK || m.ID.V == p.id) && (!m.ConnectorID.OK || evseID == p.evse) && (purpose == "" || purpose == p.purpose) &&
			(!m.StackLevel.OK || m.StackLevel.V == p.stack)
	})
	if !found {
		return v16.ClearChargingProfileStatusUnknown
	}
	return v16.ClearChargingProfileStatusAccepted
}

func (f *front16) composite(m *v16.GetCompositeScheduleRequest) ocpp.Response {
	var e *evse
	if m.ConnectorID != 0 {
		if e, _ = f.connector(m.ConnectorID); e == nil {
			return &v16.GetCompositeScheduleResponse{Status: v16.GetCompositeScheduleStatusRejected}
		}
	}
	from := f.s.now().Truncate(time.Second)
	unit := m.ChargingRateUnit.Or(v16.ChargingRateUnitW)
	sc := &v16.ChargingSchedule{Duration: ocpp.Some(m.Duration), StartSchedule: ocpp.Some(from), ChargingRateUnit: unit}
	for _, p := range f.s.composite(e, from, seconds(m.Duration)) {
		per := v16.ChargingSchedulePeriod{StartPeriod: int(p.start / time.Second), Limit: tenths(float64(p.watts))}
		if unit == v16.ChargingRateUnitA {
			per.Limit = tenths(f.s.amps(e, p.watts))
		}
		sc.ChargingSchedulePeriod = append(sc.ChargingSchedulePeriod, per)
	}
	return &v16.GetCompositeScheduleResponse{Status: v16.GetCompositeScheduleStatusAccepted, ConnectorID: ocpp.Some(m.ConnectorID),
		ScheduleStart: ocpp.Some(from), ChargingSchedule: sc}
}

func (f *front16) sendList(m *v16.SendLocalListRequest) string {
	u := &listUpdate{version: m.ListVersion, full: m.UpdateType == v16.UpdateTypeFull}
	for _, d := range m.LocalAuthorizationList {
		le := listLine{id: d.IDTag}
		if d.IDTagInfo != nil {
			r := result16(d.IDTagInfo)
			le.result = &r
		}
		u.lines = append(u.lines, le)
	}
	return f.s.updateList(u)
}

func (f *front16) getConfiguration(m *v16.GetConfigurationRequest) ocpp.Response {
	r := &v16.GetConfigurationResponse{}
	add := func(i setting) {
		sp := &settings[i]
		kv := v16.KeyValue{Key: sp.key, Readonly: sp.readOnly}
		if !sp.writeOnly {
			kv.Value = ocpp.Some(cut(f.s.text(i), 500))
		}
		r.ConfigurationKey = append(r.ConfigurationKey, kv)
	}
	if len(m.Key) == 0 {
		for i := range settings {
			if settings[i].key != "" && !settings[i].writeOnly {
				add(setting(i))
			}
		}
		return r
	}
	for n, k := range m.Key {
		if n >= f.s.num(setGetConfigMax) {
			break
		}
		if i, ok := settingByKey(k); ok && !settings[i].writeOnly {
			add(i)
		} else {
			r.UnknownKey = append(r.UnknownKey, k)
		}
	}
	return r
}

func (f *front16) changeConfiguration(m *v16.ChangeConfigurationRequest) v16.ConfigurationStatus {
	i, ok := settingByKey(m.Key)
	switch {
	case !ok:
		return v16.ConfigurationStatusNotSupported
	case settings[i].readOnly:
		return v16.ConfigurationStatusRejected
	}
	if err := f.s.set(i, m.Value); err != nil {
		f.s.event(nil, "error", m.Key+": "+err.Error())
		return v16.ConfigurationStatusRejected
	}
	if i == setPassword { // the station connects anew with it, security whitepaper A05
		f.s.relink = "new password"
	}
	if settings[i].reboot {
		return v16.ConfigurationStatusRebootRequired
	}
	return v16.ConfigurationStatusAccepted
}

// trigger sends what the central system asks for.
func (f *front16) trigger(what string, connector ocpp.Opt[int]) v16.TriggerMessageStatus {
	s := f.s
	chosen, one := s.evses, 0
	if connector.OK && connector.V != 0 {
		e, c := f.connector(connector.V)
		if e == nil {
			return v16.TriggerMessageStatusRejected
		}
		chosen, one = []*evse{e}, c
	}
	now := func(req ocpp.Request) { s.queue(&message{always: true, build: func() ocpp.Request { return req }}) }
	switch what {
	case "BootNotification":
		s.sendBoot(s.bootReason)
	case "Heartbeat":
		now(f.heartbeat())
	case "StatusNotification":
		if !connector.OK || connector.V == 0 {
			now(f.stationStatus())
		}
		for _, e := range chosen {
			for c := range e.reported {
				if one == 0 || one == c+1 {
					now(f.status(e, c+1, f.statusOf(e, c+1)))
				}
			}
		}
	case "MeterValues":
		for _, e := range chosen {
			r := s.read(e, "Trigger", setSampled)
			m := &v16.MeterValuesRequest{ConnectorID: f.connectorID(e, e.plugged), MeterValue: []v16.MeterValue{value16(r)}}
			if e.tx != nil && e.tx.id16 != 0 {
				m.TransactionID = ocpp.Some(e.tx.id16)
			}
			if len(r.samples) > 0 {
				now(m)
			}
		}
	case "FirmwareStatusNotification":
		if s.extras.signedFirmware {
			now(f.firmwareStatus(orWord(s.extras.firmwareStatus, "Idle"), s.extras.firmwareRequest))
		} else {
			now(&v16.FirmwareStatusNotificationRequest{Status: v16.FirmwareStatus(plainFirmware(s.extras.firmwareStatus))})
		}
	case "DiagnosticsStatusNotification":
		now(f.logStatus(orWord(s.extras.logStatus, "Idle"), 0))
	case "LogStatusNotification":
		now(&v16.LogStatusNotificationRequest{Status: v16.UploadLogStatus(orWord(s.extras.logStatus, "Idle")), RequestID: ocpp.NonZero(s.extras.logRequest)})
	case "SignChargePointCertificate":
		if !s.requestCertificate() {
			return v16.TriggerMessageStatusRejected
		}
	default:
		return v16.TriggerMessageStatusNotImplemented
	}
	return v16.TriggerMessageStatusAccepted
}

func orWord(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// plainFirmware is the status of 1.6's own firmware messages; what is past or unknown there is Idle.
func plainFirmware(status string) string {
	if st := v16.FirmwareStatus(status); st.Valid() {
		return status
	}
	return "Idle"
}

func (f *front16) signedFirmware(m *v16.SignedUpdateFirmwareRequest) string {
	fw := &m.Firmware
	if !validSigner(fw.SigningCertificate, f.s.now()) {
		f.s.securityEvent("InvalidFirmwareSigningCertificate", "")
		return "InvalidCertificate"
	}
	f.s.extras.signedFirmware = true
	return f.s.updateFirmware(&firmwareJob{location: fw.Location, retrieve: fw.RetrieveDateTime, install: fw.InstallDateTime.V, request: m.RequestID,
		retries: m.Retries.Or(1), interval: seconds(m.RetryInterval.Or(10)), signer: fw.SigningCertificate, signature: fw.Signature})
}

func (f *front16) installedCertificates(m *v16.GetInstalledCertificateIdsRequest) ocpp.Response {
	r := &v16.GetInstalledCertificateIdsResponse{Status: v16.GetInstalledCertificateStatusNotFound}
	for _, c := range f.s.extras.certificates {
		if c.use == string(m.CertificateType) {
			h := c.hash
			r.CertificateHashData = append(r.CertificateHashData, v16.CertificateHashData{HashAlgorithm: v16.HashAlgorithm(h.algorithm),
				IssuerNameHash: h.name, IssuerKeyHash: h.key, SerialNumber: h.serial})
			r.Status = v16.GetInstalledCertificateStatusAccepted
		}
	}
	return r
}

// reset16 stops what runs and reboots; a soft reset waits until everything was told. OCPP 1.6 5.14.
func (s *Station) reset16(hard bool) {
	reason := "SoftReset"
	if hard {
		reason = "HardReset"
	}
	for _, e := range s.evses {
		s.endTx(e, "ResetCommand", reason)
	}
	s.resetWait = &resetPlan{reason: "RemoteReset", queue: !hard}
}

// freeFor is an EVSE where a token may start: one with a car that waits, its reserved one, or any free one.
func (s *Station) freeFor(t token) *evse {
	i := slices.IndexFunc(s.evses, func(e *evse) bool { return e.plugged > 0 && !e.finishing && s.canStart(e, t) })
	if i < 0 {
		i = slices.IndexFunc(s.evses, func(e *evse) bool { r := s.reservedFor(e); return r != nil && r.fits(t, "") && s.canStart(e, t) })
	}
	if i < 0 {
		i = slices.IndexFunc(s.evses, func(e *evse) bool { return s.canStart(e, t) })
	}
	if i < 0 {
		return nil
	}
	return s.evses[i]
}

// canStart says whether a remote start could work.
func (s *Station) canStart(e *evse, t token) bool {
	if e.auth != nil || e.fault != "" || s.outOfService(e) || e.tx != nil && e.tx.auth != nil {
		return false
	}
	r := s.reservedFor(e)
	return r == nil || r.fits(t, "") || r.group != ""
}

// remoteStart lets a token of the management system use an EVSE, after asking for it where that is wanted. The answer
// to the request goes first.
func (s *Station) remoteStart(e *evse, a *authorisation, p *profile) {
	if r := s.reservedFor(e); r != nil {
		a.reserved = r.id
	} else if r := s.reservationOf(a.token, a.group); r != nil {
		a.reserved = r.id
	}
	grant := func() {
		if e.auth != nil {
			return
		}
		e.finishing = false
		s.extras.remoteProfile = p
		s.grant(e, a, "RemoteStart")
		if e.tx != nil {
			s.adopt(e.tx)
		}
	}
	if !s.flag(setRemoteAuthorize) || strings.EqualFold(a.token.typ, "NoAuthorization") {
		grant()
		return
	}
	s.authorize(a.token, func(r authResult) {
		if r.status == "Accepted" {
			a.group = r.group
			grant()
			return
		}
		s.event(e, "authorize", a.token.id+" "+r.status)
	})
}

// adopt gives a new transaction the profile that came with its remote start.
func (s *Station) adopt(tx *transaction) {
	p := s.extras.remoteProfile
	if p == nil || tx.evse.id != p.evse {
		return
	}
	s.extras.remoteProfile = nil
	p.tx = tx
	if reason := s.install(p); reason != "" {
		s.event(tx.evse, "error", "profile of the remote start: "+reason)
	}
}
