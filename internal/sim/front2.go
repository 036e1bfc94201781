package sim

import (
	"fmt"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// front2 speaks OCPP 2.1, and 2.0.1, whose messages are those of 2.1 without what came later.
type front2 struct{ s *Station }

// recast copies a message into the type of the other version of 2.x by way of its JSON. Members that the other version
// does not have are left out; any other difference is an error.
func recast(from, to ocpp.Message) error {
	for _, v := range ocpp.Decode(string(ocpp.Marshal(from)), to, false) {
		if !v.Tolerated {
			return fmt.Errorf("%s of OCPP %s as %s: %w", from.ActionName(), from.Version(), to.Version(), v)
		}
	}
	return nil
}

func (f *front2) is21() bool { return f.s.cfg.Version == ocpp.V21 }

// wire gives a request the form of the station's version; nil when that has no such form, which is noted.
func (f *front2) wire(req ocpp.Request) ocpp.Request {
	if f.is21() {
		return req
	}
	out := v201.NewRequest(req.ActionName())
	if out == nil {
		return nil
	}
	if err := recast(req, out); err != nil {
		f.s.cfg.Log.Error("message not sent", "station", f.s.cfg.ID, "error", err)
		return nil
	}
	return out
}

// read gives a response the form of 2.1; nil for none.
func (f *front2) read(resp ocpp.Response) ocpp.Response {
	if resp == nil || f.is21() {
		return resp
	}
	out := v21.NewResponse(resp.ActionName())
	if out == nil || recast(resp, out) != nil {
		return nil
	}
	return out
}

// send queues a request of 2.1 in the station's version; one that the version does not have is left out.
func (f *front2) send(req ocpp.Request) {
	if w := f.wire(req); w != nil {
		f.s.send(w, nil)
	}
}

func (f *front2) boot(reason string) ocpp.Request {
	c := &f.s.cfg
	return f.wire(&v21.BootNotificationRequest{Reason: v21.BootReason(reason), ChargingStation: v21.ChargingStation{
		SerialNumber: ocpp.Some(cut(c.Serial, 25)), Model: cut(c.Model, 20), VendorName: cut(c.Vendor, 50), FirmwareVersion: ocpp.Some(cut(f.s.firmware, 50))}})
}

func (f *front2) booted(resp ocpp.Response) (registration, int, time.Time) {
	r, ok := f.read(resp).(*v21.BootNotificationResponse)
	if !ok {
		return rejected, 0, time.Time{}
	}
	return registrationOf(string(r.Status)), r.Interval, r.CurrentTime
}

func (f *front2) heartbeat() ocpp.Request { return f.wire(&v21.HeartbeatRequest{}) }

func (f *front2) statusOf(e *evse, connector int) string {
	s := f.s
	switch {
	case e.fault != "":
		return string(v21.ConnectorStatusFaulted)
	case e.plugged == connector:
		return string(v21.ConnectorStatusOccupied)
	case e.plugged > 0 || s.outOfService(e) || e.connectorOff[connector-1]:
		return string(v21.ConnectorStatusUnavailable)
	case e.auth != nil || e.tx != nil:
		return string(v21.ConnectorStatusOccupied)
	case s.reservedFor(e) != nil:
		return string(v21.ConnectorStatusReserved)
	}
	return string(v21.ConnectorStatusAvailable)
}

func (f *front2) status(e *evse, connector int, status string) ocpp.Request {
	return f.wire(&v21.StatusNotificationRequest{Timestamp: f.s.now(), ConnectorStatus: v21.ConnectorStatus(status), EVSEID: e.id, ConnectorID: connector})
}

func (f *front2) stationStatus() ocpp.Request { return nil }

func idToken(t token) v21.IDToken {
	return v21.IDToken{IDToken: cut(t.id, 255), Type: orWord(t.typ, "ISO14443")}
}

func (f *front2) authorize(t token) ocpp.Request {
	return f.wire(&v21.AuthorizeRequest{IDToken: idToken(t)})
}

func (f *front2) authorized(resp ocpp.Response) authResult {
	r, ok := f.read(resp).(*v21.AuthorizeResponse)
	if !ok {
		return authResult{status: "Invalid"}
	}
	return result21(&r.IDTokenInfo)
}

func result21(i *v21.IDTokenInfo) authResult {
	r := authResult{status: string(i.Status), expires: i.CacheExpiryDateTime.V, evses: i.EVSEID, priority: i.ChargingPriority.V, ok: true}
	if i.GroupIDToken != nil {
		r.group = i.GroupIDToken.IDToken
	}
	return r
}

func (f *front2) txID(tx *transaction) string { return tx.id }

func (f *front2) txEvent(tx *transaction, ev *txEvent) {
	s := f.s
	m := &v21.TransactionEventRequest{EventType: v21.TransactionEventType(ev.kind), Timestamp: ev.at, TriggerReason: v21.TriggerReason(ev.trigger),
		SeqNo: ev.seqNo, ReservationID: ocpp.NonZero(ev.reserved),
		TransactionInfo: v21.Transaction{TransactionID: tx.id, ChargingState: ocpp.Some(v21.ChargingState(ev.state))}}
	if ev.offline {
		m.Offline = ocpp.Some(true)
	}
	if tx.charging > 0 {
		m.TransactionInfo.TimeSpentCharging = ocpp.Some(int(tx.charging / time.Second))
	}
	if tx.connector > 0 && !tx.evseTold || ev.kind == "Started" {
		m.EVSE = &v21.EVSE{ID: tx.evse.id, ConnectorID: ocpp.NonZero(tx.connector)}
		tx.evseTold = tx.connector > 0
	}
	if ev.token != nil {
		t := idToken(*ev.token)
		m.IDToken = &t
	}
	if tx.auth != nil && tx.auth.remote && (ev.kind == "Started" || ev.trigger == "RemoteStart") {
		m.TransactionInfo.RemoteStartID = ocpp.Some(tx.auth.remoteID)
	}
	if !s.cfg.DC && ev.state == stateCharging {
		m.NumberOfPhasesUsed = ocpp.Some(s.nominalPhases(tx.evse))
	}
	if ev.reading != nil && len(ev.reading.samples) > 0 {
		m.MeterValue = []v21.MeterValue{value21(ev.reading)}
	}
	if ev.kind == "Ended" {
		m.TransactionInfo.StoppedReason = ocpp.Some(v21.Reason(tx.reason))
		m.MeterValue = nil
		for i := range tx.history {
			m.MeterValue = append(m.MeterValue, value21(&tx.history[i]))
		}
		for i := range tx.closing {
			if len(tx.closing[i].samples) > 0 {
				m.MeterValue = append(m.MeterValue, value21(&tx.closing[i]))
			}
		}
		if f.is21() {
			m.CostDetails = s.cost(tx)
		}
	}
	req := f.wire(m)
	if req == nil {
		return
	}
	s.queue(&message{durable: true, tx: tx, build: func() ocpp.Request { return req }, done: func(resp ocpp.Response, err error) {
		if r, ok := f.read(resp).(*v21.TransactionEventResponse); ok && err == nil {
			f.txAnswered(tx, ev, r)
		}
	}})
}

// txAnswered takes what the management system says to an event: about the token, limits and cost.
func (f *front2) txAnswered(tx *transaction, ev *txEvent, r *v21.TransactionEventResponse) {
	if r.IDTokenInfo != nil && ev.token != nil {
		info := result21(r.IDTokenInfo)
		f.s.remember(*ev.token, info)
		if info.status != "Accepted" {
			f.s.refused(tx)
		}
	}
	if r.TransactionLimit != nil {
		tx.limits.take(r.TransactionLimit)
		f.s.watchLimits(tx.evse)
	}
	if r.TotalCost.OK {
		f.s.event(tx.evse, "cost", r.TotalCost.V.String())
	}
}

// value21 is a reading in the words of 2.x.
func value21(r *timedSamples) v21.MeterValue {
	v := v21.MeterValue{Timestamp: r.at}
	for _, m := range r.samples {
		sv := v21.SampledValue{Value: decimalOf(m.value), Measurand: ocpp.Some(v21.Measurand(m.measurand)),
			Context: ocpp.Some(v21.ReadingContext(r.context)), Location: ocpp.NonZero(v21.Location(m.location))}
		if m.unit != "" {
			sv.UnitOfMeasure = &v21.UnitOfMeasure{Unit: ocpp.Some(m.unit)}
		}
		if m.phase != "" {
			sv.Phase = ocpp.Some(v21.Phase(m.phase))
		}
		v.SampledValue = append(v.SampledValue, sv)
	}
	return v
}

func (f *front2) readings(e *evse, context string, samples []sample) {
	f.send(&v21.MeterValuesRequest{EVSEID: e.id, MeterValue: []v21.MeterValue{value21(&timedSamples{at: f.s.now(), context: context, samples: samples})}})
}

// faulted tells of a problem that is always watched, OCPP 2.1 N07.
func (f *front2) faulted(e *evse, code string) {
	s := f.s
	s.extras.eventID++
	d := v21.EventData{EventID: s.extras.eventID, Timestamp: s.now(), Trigger: v21.EventTriggerAlerting, ActualValue: "true", TechCode: ocpp.Some(cut(code, 50)),
		Component: v21.Component{Name: "EVSE", EVSE: &v21.EVSE{ID: e.id}}, Variable: v21.Variable{Name: "Problem"},
		EventNotificationType: v21.EventNotificationHardWiredNotification}
	if e.tx != nil {
		d.TransactionID = ocpp.Some(e.tx.id)
	}
	if e.fault == "" {
		d.ActualValue, d.Cleared = "false", ocpp.Some(true)
	}
	if f.is21() {
		d.Severity = ocpp.Some(2)
	}
	f.send(&v21.NotifyEventRequest{GeneratedAt: s.now(), SeqNo: 0, EventData: []v21.EventData{d}})
}

func (f *front2) firmwareStatus(status string, request int) ocpp.Request {
	m := &v21.FirmwareStatusNotificationRequest{Status: v21.FirmwareStatus(status)}
	if status != "Idle" {
		m.RequestID = ocpp.Some(request)
	}
	return f.wire(m)
}

func (f *front2) logStatus(status string, request int) ocpp.Request {
	m := &v21.LogStatusNotificationRequest{Status: v21.UploadLogStatus(status)}
	if status != "Idle" {
		m.RequestID = ocpp.Some(request)
	}
	return f.wire(m)
}

func (f *front2) security(kind, info string) ocpp.Request {
	return f.wire(&v21.SecurityEventNotificationRequest{Type: cut(kind, 50), Timestamp: f.s.now(), TechInfo: ocpp.NonZero(cut(info, 255))})
}

func (f *front2) signCertificate(csr string) ocpp.Request {
	m := &v21.SignCertificateRequest{CSR: csr, CertificateType: ocpp.Some(v21.CertificateSigningUseChargingStationCertificate)}
	if f.is21() {
		f.s.extras.csrRequest++
		m.RequestID = ocpp.Some(f.s.extras.csrRequest)
	}
	return f.wire(m)
}

func (f *front2) reservationEnded(id int, status string) ocpp.Request {
	return f.wire(&v21.ReservationStatusUpdateRequest{ReservationID: id, ReservationUpdateStatus: v21.ReservationUpdateStatus(status)})
}

// serve answers a request of the management system. Those of 2.0.1 are read as 2.1 and answered back.
func (f *front2) serve(in *ocppj.Incoming) (ocpp.Response, *ocpp.CallError) {
	if f.s.reg == rejected || f.s.reg == unregistered {
		return nil, errBeforeBoot // OCPP 2.1 B03
	}
	req := in.Request
	if !f.is21() {
		up := v21.NewRequest(in.Action)
		if up == nil {
			return nil, &ocpp.CallError{Code: ocpp.NotImplemented, Description: in.Action}
		}
		if err := recast(req, up); err != nil {
			return nil, &ocpp.CallError{Code: ocpp.PropertyConstraintViolation, Description: err.Error()}
		}
		req = up
	}
	var resp ocpp.Response
	for _, serve := range [...]func(ocpp.Request) ocpp.Response{f.serveCharging, f.serveDevice, f.serveUpkeep, f.serveEnergy} {
		if resp = serve(req); resp != nil {
			break
		}
	}
	if resp == nil {
		return nil, &ocpp.CallError{Code: ocpp.NotSupported, Description: in.Action + " is beyond this station"}
	}
	if f.is21() {
		return resp, nil
	}
	down := v201.NewResponse(in.Action)
	if err := recast(resp, down); err != nil {
		return nil, &ocpp.CallError{Code: ocpp.InternalError, Description: err.Error()}
	}
	return down, nil
}
