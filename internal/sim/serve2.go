package sim

import (
	"slices"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// serveCharging answers what concerns drivers; nil for other requests.
func (f *front2) serveCharging(req ocpp.Request) ocpp.Response {
	s := f.s
	switch m := req.(type) {
	case *v21.RequestStartTransactionRequest:
		return f.requestStart(m)
	case *v21.RequestStopTransactionRequest:
		tx := s.txByID(m.TransactionID)
		if tx == nil || s.reg != accepted {
			return &v21.RequestStopTransactionResponse{Status: v21.RequestStartStopStatusRejected}
		}
		s.stopBy(tx.evse, "RemoteStop", "Remote", nil)
		return &v21.RequestStopTransactionResponse{Status: v21.RequestStartStopStatusAccepted}
	case *v21.UnlockConnectorRequest:
		return &v21.UnlockConnectorResponse{Status: f.unlock(m)}
	case *v21.ChangeAvailabilityRequest:
		return f.changeAvailability(m)
	case *v21.ReserveNowRequest:
		return f.reserve(m)
	case *v21.CancelReservationRequest:
		st := v21.CancelReservationStatusRejected
		if s.dropReservation(m.ReservationID) {
			st = v21.CancelReservationStatusAccepted
		}
		return &v21.CancelReservationResponse{Status: st}
	case *v21.SendLocalListRequest:
		return &v21.SendLocalListResponse{Status: v21.SendLocalListStatus(f.sendList(m))}
	case *v21.GetLocalListVersionRequest:
		return &v21.GetLocalListVersionResponse{VersionNumber: s.listVersion}
	case *v21.ClearCacheRequest:
		if !s.flag(setAuthCache) {
			return &v21.ClearCacheResponse{Status: v21.ClearCacheStatusRejected}
		}
		s.cache = nil
		return &v21.ClearCacheResponse{Status: v21.ClearCacheStatusAccepted}
	case *v21.GetTransactionStatusRequest:
		return f.transactionStatus(m)
	case *v21.CostUpdatedRequest:
		if tx := s.txByID(m.TransactionID); tx != nil {
			s.event(tx.evse, "cost", m.TotalCost.String())
		}
		return &v21.CostUpdatedResponse{}
	}
	return nil
}

func (f *front2) requestStart(m *v21.RequestStartTransactionRequest) ocpp.Response {
	s := f.s
	no := func(reason string) ocpp.Response {
		return &v21.RequestStartTransactionResponse{Status: v21.RequestStartStopStatusRejected, StatusInfo: because(reason)}
	}
	if s.reg != accepted {
		return no("NotAccepted")
	}
	t := token{id: m.IDToken.IDToken, typ: m.IDToken.Type}
	e := s.evseAt(m.EVSEID.V)
	if !m.EVSEID.OK {
		e = s.freeFor(t)
	}
	if e == nil || !s.canStart(e, t) {
		return no("NoFreeEvse")
	}
	var p *profile
	if m.ChargingProfile != nil {
		p = profile21(m.ChargingProfile)
		p.evse = e.id
		if p.purpose != purposeTx || m.ChargingProfile.TransactionID.OK {
			return no("InvalidProfile")
		}
	}
	a := &authorisation{token: t, remote: true, remoteID: m.RemoteStartID}
	if m.GroupIDToken != nil {
		a.group = m.GroupIDToken.IDToken
	}
	r := &v21.RequestStartTransactionResponse{Status: v21.RequestStartStopStatusAccepted}
	if e.tx != nil {
		r.TransactionID = ocpp.Some(e.tx.id) // OCPP 2.1 F01.FR.13
	}
	s.remoteStart(e, a, p)
	return r
}

func because(reason string) *v21.StatusInfo { return &v21.StatusInfo{ReasonCode: cut(reason, 20)} }

func (f *front2) unlock(m *v21.UnlockConnectorRequest) v21.UnlockStatus {
	e := f.s.evseAt(m.EVSEID)
	switch {
	case e == nil || m.ConnectorID < 1 || m.ConnectorID > len(e.connectorOff):
		return v21.UnlockStatusUnknownConnector
	case e.tx != nil && e.tx.auth != nil && e.auth != nil:
		return v21.UnlockStatusOngoingAuthorizedTransaction
	case e.fault == "ConnectorLockFailure":
		return v21.UnlockStatusUnlockFailed
	}
	f.s.release(e)
	return v21.UnlockStatusUnlocked
}

func (f *front2) changeAvailability(m *v21.ChangeAvailabilityRequest) ocpp.Response {
	operative := m.OperationalStatus == v21.OperationalStatusOperative
	var e *evse
	connector := 0
	if m.EVSE != nil && m.EVSE.ID != 0 {
		e = f.s.evseAt(m.EVSE.ID)
		connector = m.EVSE.ConnectorID.V
		if e == nil || connector < 0 || connector > len(e.connectorOff) {
			return &v21.ChangeAvailabilityResponse{Status: v21.ChangeAvailabilityStatusRejected, StatusInfo: because("UnknownEvse")}
		}
	}
	return &v21.ChangeAvailabilityResponse{Status: v21.ChangeAvailabilityStatus(f.s.setAvailability(e, connector, operative))}
}

func (f *front2) reserve(m *v21.ReserveNowRequest) ocpp.Response {
	if !f.s.flag(setReserveSupported) || m.EVSEID.OK && f.s.evseAt(m.EVSEID.V) == nil {
		return &v21.ReserveNowResponse{Status: v21.ReserveNowStatusRejected}
	}
	r := &reservation{id: m.ID, evse: m.EVSEID.V, token: token{id: m.IDToken.IDToken, typ: m.IDToken.Type}, expires: m.ExpiryDateTime}
	if m.GroupIDToken != nil {
		r.group = m.GroupIDToken.IDToken
	}
	return &v21.ReserveNowResponse{Status: v21.ReserveNowStatus(f.s.reserve(r))}
}

func (f *front2) sendList(m *v21.SendLocalListRequest) string {
	u := &listUpdate{version: m.VersionNumber, full: m.UpdateType == v21.UpdateTypeFull}
	for _, d := range m.LocalAuthorizationList {
		l := listLine{id: d.IDToken.IDToken, typ: d.IDToken.Type}
		if d.IDTokenInfo != nil {
			r := result21(d.IDTokenInfo)
			l.result = &r
		}
		u.lines = append(u.lines, l)
	}
	return f.s.updateList(u)
}

// transactionStatus tells of one transaction and its messages when one is named, else of the messages of all: OCPP 2.1 E14.
func (f *front2) transactionStatus(m *v21.GetTransactionStatusRequest) ocpp.Response {
	if !m.TransactionID.OK {
		return &v21.GetTransactionStatusResponse{MessagesInQueue: len(f.s.txQueue) > 0}
	}
	waits := slices.ContainsFunc(f.s.txQueue, func(q *message) bool { return q.tx != nil && f.txID(q.tx) == m.TransactionID.V })
	return &v21.GetTransactionStatusResponse{OngoingIndicator: ocpp.Some(f.s.txByID(m.TransactionID.V) != nil), MessagesInQueue: waits}
}

// serveUpkeep answers what concerns the station itself; nil for other requests.
func (f *front2) serveUpkeep(req ocpp.Request) ocpp.Response {
	s := f.s
	switch m := req.(type) {
	case *v21.ResetRequest:
		return f.reset(m)
	case *v21.TriggerMessageRequest:
		return &v21.TriggerMessageResponse{Status: f.trigger(m)}
	case *v21.UpdateFirmwareRequest:
		return &v21.UpdateFirmwareResponse{Status: v21.UpdateFirmwareStatus(f.updateFirmware(m))}
	case *v21.GetLogRequest:
		name, status := s.uploadLog(&logJob{location: m.Log.RemoteLocation, kind: string(m.LogType), request: m.RequestID,
			retries: m.Retries.Or(0), interval: seconds(m.RetryInterval.Or(10))})
		return &v21.GetLogResponse{Status: v21.LogStatus(status), Filename: ocpp.NonZero(name)}
	case *v21.InstallCertificateRequest:
		return &v21.InstallCertificateResponse{Status: v21.InstallCertificateStatus(s.installCertificate(string(m.CertificateType), m.Certificate))}
	case *v21.DeleteCertificateRequest:
		h := m.CertificateHashData
		return &v21.DeleteCertificateResponse{Status: v21.DeleteCertificateStatus(s.deleteCertificate(certHash{string(h.HashAlgorithm), h.IssuerNameHash, h.IssuerKeyHash, h.SerialNumber}))}
	case *v21.GetInstalledCertificateIdsRequest:
		return f.installedCertificates(m)
	case *v21.CertificateSignedRequest:
		return &v21.CertificateSignedResponse{Status: v21.CertificateSignedStatus(s.certificateSigned(m.CertificateChain))}
	case *v21.DataTransferRequest:
		st := v21.DataTransferStatusUnknownVendorID
		if m.VendorID == s.cfg.Vendor {
			st = v21.DataTransferStatusUnknownMessageID
		}
		return &v21.DataTransferResponse{Status: st}
	case *v21.SetNetworkProfileRequest:
		return f.setNetwork(m)
	case *v21.SetDisplayMessageRequest:
		return &v21.SetDisplayMessageResponse{Status: f.setDisplay(m.Message)}
	case *v21.GetDisplayMessagesRequest:
		return f.getDisplays(m)
	case *v21.ClearDisplayMessageRequest:
		return &v21.ClearDisplayMessageResponse{Status: f.clearDisplay(m.ID)}
	case *v21.CustomerInformationRequest:
		return f.customerInformation(m)
	}
	return nil
}

func (f *front2) reset(m *v21.ResetRequest) ocpp.Response {
	s := f.s
	var only *evse
	if m.EVSEID.OK && m.EVSEID.V != 0 {
		if only = s.evseAt(m.EVSEID.V); only == nil {
			return &v21.ResetResponse{Status: v21.ResetStatusRejected, StatusInfo: because("UnknownEvse")}
		}
	}
	plan := &resetPlan{reason: "RemoteReset", evse: only}
	status := v21.ResetStatusAccepted
	switch m.Type {
	case v21.ResetTypeImmediateAndResume:
		for _, e := range s.evses {
			if e.tx != nil && only == nil {
				e.tx.resumed = true
			}
		}
		plan.resume = true
		s.resetWait = plan
		return &v21.ResetResponse{Status: status}
	case v21.ResetTypeImmediate:
		for _, e := range s.evses {
			if only == nil || only == e {
				s.endTx(e, "ResetCommand", "ImmediateReset")
			}
		}
	default:
		if s.anyTx(only) {
			plan.reason, status = "ScheduledReset", v21.ResetStatusScheduled
		}
	}
	s.resetWait = plan
	return &v21.ResetResponse{Status: status}
}

func (f *front2) trigger(m *v21.TriggerMessageRequest) v21.TriggerMessageStatus {
	s := f.s
	chosen := s.evses
	if m.EVSE != nil && m.EVSE.ID != 0 {
		e := s.evseAt(m.EVSE.ID)
		if e == nil {
			return v21.TriggerMessageStatusRejected
		}
		chosen = []*evse{e}
	}
	now := func(req ocpp.Request) {
		if req != nil {
			s.queue(&message{always: true, build: func() ocpp.Request { return req }})
		}
	}
	switch m.RequestedMessage {
	case v21.MessageTriggerBootNotification:
		if s.reg == accepted { // OCPP 2.1 F06.FR.17
			return v21.TriggerMessageStatusRejected
		}
		s.sendBoot("Triggered")
	case v21.MessageTriggerHeartbeat:
		now(f.heartbeat())
	case v21.MessageTriggerStatusNotification:
		if m.EVSE == nil || !m.EVSE.ConnectorID.OK || m.EVSE.ConnectorID.V < 1 || m.EVSE.ConnectorID.V > s.cfg.ConnectorsPerEVSE {
			return v21.TriggerMessageStatusRejected // OCPP 2.1 F06.FR.12
		}
		now(f.status(chosen[0], m.EVSE.ConnectorID.V, f.statusOf(chosen[0], m.EVSE.ConnectorID.V)))
	case v21.MessageTriggerMeterValues:
		for _, e := range chosen {
			if r := s.read(e, "Trigger", setAligned); len(r.samples) > 0 {
				now(f.wire(&v21.MeterValuesRequest{EVSEID: e.id, MeterValue: []v21.MeterValue{value21(r)}}))
			}
		}
	case v21.MessageTriggerTransactionEvent:
		return f.triggerTx(chosen)
	case v21.MessageTriggerFirmwareStatusNotification:
		now(f.firmwareStatus(currentFirmware(s.extras.firmwareStatus), s.extras.firmwareRequest))
	case v21.MessageTriggerLogStatusNotification:
		st := "Idle"
		if s.extras.logJob != nil {
			st = orWord(s.extras.logStatus, "Idle")
		}
		now(f.logStatus(st, s.extras.logRequest))
	case v21.MessageTriggerSignChargingStationCertificate:
		if !s.requestCertificate() {
			return v21.TriggerMessageStatusRejected
		}
	default:
		return v21.TriggerMessageStatusNotImplemented
	}
	return v21.TriggerMessageStatusAccepted
}

// currentFirmware is Idle once an update is over, OCPP 2.1 L01.FR.25.
func currentFirmware(status string) string {
	if status == "" || status == "Installed" {
		return "Idle"
	}
	return status
}

func (f *front2) triggerTx(chosen []*evse) v21.TriggerMessageStatus {
	found := false
	for _, e := range chosen {
		if e.tx != nil {
			found = true
			r := f.s.read(e, "Trigger", setSampled)
			f.s.tell(e.tx, &txEvent{kind: "Updated", trigger: "Trigger", at: r.at, state: e.state, offline: f.s.offline(), reading: r})
		}
	}
	if !found {
		return v21.TriggerMessageStatusRejected
	}
	return v21.TriggerMessageStatusAccepted
}

func (f *front2) updateFirmware(m *v21.UpdateFirmwareRequest) string {
	fw := &m.Firmware
	j := &firmwareJob{location: fw.Location, retrieve: fw.RetrieveDateTime, install: fw.InstallDateTime.V, request: m.RequestID,
		retries: m.Retries.Or(1), interval: seconds(m.RetryInterval.Or(10)), signer: fw.SigningCertificate.V, signature: fw.Signature.V}
	if fw.SigningCertificate.OK && !validSigner(j.signer, f.s.now()) {
		f.s.securityEvent("InvalidFirmwareSigningCertificate", "")
		return "InvalidCertificate"
	}
	return f.s.updateFirmware(j)
}

func (f *front2) installedCertificates(m *v21.GetInstalledCertificateIdsRequest) ocpp.Response {
	r := &v21.GetInstalledCertificateIdsResponse{Status: v21.GetInstalledCertificateStatusNotFound}
	for _, c := range f.s.extras.certificates {
		use := v21.GetCertificateIDUse(c.use)
		if len(m.CertificateType) > 0 && !slices.Contains(m.CertificateType, use) {
			continue
		}
		r.Status = v21.GetInstalledCertificateStatusAccepted
		r.CertificateHashDataChain = append(r.CertificateHashDataChain, v21.CertificateHashDataChain{CertificateType: use,
			CertificateHashData: v21.CertificateHashData{HashAlgorithm: v21.HashAlgorithm(c.hash.algorithm), IssuerNameHash: c.hash.name,
				IssuerKeyHash: c.hash.key, SerialNumber: c.hash.serial}})
	}
	return r
}

func (f *front2) setNetwork(m *v21.SetNetworkProfileRequest) ocpp.Response {
	d := &m.ConnectionData
	switch {
	case m.ConfigurationSlot < 0 || m.ConfigurationSlot > 3:
		return &v21.SetNetworkProfileResponse{Status: v21.SetNetworkProfileStatusRejected, StatusInfo: because("InvalidConfSlot")}
	case d.OCPPTransport != v21.OCPPTransportJSON:
		return &v21.SetNetworkProfileResponse{Status: v21.SetNetworkProfileStatusFailed, StatusInfo: because("InvalidNetworkConf")}
	case d.SecurityProfile < f.s.num(setSecurityProfile): // OCPP 2.1 B09.FR.04
		return &v21.SetNetworkProfileResponse{Status: v21.SetNetworkProfileStatusRejected, StatusInfo: because("NoSecurityDowngrade")}
	}
	if f.s.extras.networks == nil {
		f.s.extras.networks = map[int]v21.NetworkConnectionProfile{}
	}
	f.s.extras.networks[m.ConfigurationSlot] = *d
	return &v21.SetNetworkProfileResponse{Status: v21.SetNetworkProfileStatusAccepted}
}

// setDisplay takes a text for the display.
func (f *front2) setDisplay(m v21.MessageInfo) v21.DisplayMessageStatus {
	s := f.s
	if !s.hasWord(setDisplayFormats, string(m.Message.Format)) {
		return v21.DisplayMessageStatusNotSupportedMessageFormat
	}
	if m.TransactionID.OK && s.txByID(m.TransactionID.V) == nil {
		return v21.DisplayMessageStatusUnknownTransaction
	}
	x := &s.extras
	x.displays = slices.DeleteFunc(x.displays, func(o v21.MessageInfo) bool {
		return o.ID == m.ID || m.Priority == v21.MessagePriorityAlwaysFront && o.Priority == m.Priority
	})
	if len(x.displays) >= settings[setDisplayMax].max {
		return v21.DisplayMessageStatusRejected
	}
	x.displays = append(x.displays, m)
	s.values[setDisplayMax] = itoa(len(x.displays))
	s.event(nil, "display", m.Message.Content)
	if m.EndDateTime.OK {
		s.at(m.EndDateTime.V, func() { f.clearDisplay(m.ID) })
	}
	return v21.DisplayMessageStatusAccepted
}

func (f *front2) clearDisplay(id int) v21.ClearMessageStatus {
	x := &f.s.extras
	n := len(x.displays)
	x.displays = slices.DeleteFunc(x.displays, func(o v21.MessageInfo) bool { return o.ID == id })
	f.s.values[setDisplayMax] = itoa(len(x.displays))
	if len(x.displays) == n {
		return v21.ClearMessageStatusUnknown
	}
	return v21.ClearMessageStatusAccepted
}

func (f *front2) getDisplays(m *v21.GetDisplayMessagesRequest) ocpp.Response {
	var found []v21.MessageInfo
	for _, d := range f.s.extras.displays {
		if (len(m.ID) == 0 || slices.Contains(m.ID, d.ID)) && (!m.Priority.OK || m.Priority.V == d.Priority) && (!m.State.OK || m.State.V == d.State.V) {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return &v21.GetDisplayMessagesResponse{Status: v21.GetDisplayMessagesStatusUnknown}
	}
	f.send(&v21.NotifyDisplayMessagesRequest{RequestID: m.RequestID, MessageInfo: found})
	return &v21.GetDisplayMessagesResponse{Status: v21.GetDisplayMessagesStatusAccepted}
}

// customerInformation tells what the station knows of a driver, and forgets it when asked to. OCPP 2.1 N09 and N10.
func (f *front2) customerInformation(m *v21.CustomerInformationRequest) ocpp.Response {
	s := f.s
	given := 0
	for _, is := range [...]bool{m.CustomerCertificate != nil, m.IDToken != nil, m.CustomerIdentifier.OK} {
		if is {
			given++
		}
	}
	if given != 1 {
		return &v21.CustomerInformationResponse{Status: v21.CustomerInformationStatusInvalid}
	}
	text := ""
	if m.IDToken != nil {
		t := token{id: m.IDToken.IDToken}
		if r, ok := s.knownToken(t); ok {
			text = "token " + t.id + ": " + r.status + ", group " + r.group
		}
		if m.Clear {
			s.forget(t)
		}
	}
	if m.Report {
		f.send(&v21.NotifyCustomerInformationRequest{Data: cut(text, 512), SeqNo: 0, GeneratedAt: s.now(), RequestID: m.RequestID})
	}
	return &v21.CustomerInformationResponse{Status: v21.CustomerInformationStatusAccepted}
}

// forget removes what is kept of a token.
func (s *Station) forget(t token) {
	delete(s.cache, lower(t.id))
	if _, ok := s.list[lower(t.id)]; ok {
		delete(s.list, lower(t.id))
		s.values[setListEntries] = itoa(len(s.list))
	}
}

// profile21 reads a profile of 2.x.
func profile21(m *v21.ChargingProfile) *profile {
	p := &profile{id: m.ID, stack: m.StackLevel, purpose: string(m.ChargingProfilePurpose), kind: string(m.ChargingProfileKind),
		weekly: m.RecurrencyKind.V == v21.RecurrencyKindWeekly, from: m.ValidFrom.V, to: m.ValidTo.V, original: m, source: "CSO",
		maxOffline: seconds(m.MaxOfflineDuration.V), invalidAfter: m.InvalidAfterOfflineDuration.V}
	for i := range m.ChargingSchedule {
		c := &m.ChargingSchedule[i]
		sc := schedule{start: c.StartSchedule.V, duration: seconds(c.Duration.V), watts: c.ChargingRateUnit == v21.ChargingRateUnitW}
		for _, per := range c.ChargingSchedulePeriod {
			limit := -1.0
			if per.Limit.OK {
				limit, _ = per.Limit.V.Float64()
			} else if per.Setpoint.OK {
				limit, _ = per.Setpoint.V.Float64()
			}
			sc.periods = append(sc.periods, period{start: seconds(per.StartPeriod), limit: limit, phases: per.NumberPhases.V})
		}
		p.schedules = append(p.schedules, sc)
	}
	if p.kind == "Dynamic" && len(p.schedules) > 0 {
		p.schedules[0].start = time.Time{}
	}
	return p
}
