package sim

import (
	"strconv"
	"strings"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v16"
)

// front16 speaks OCPP 1.6.
type front16 struct{ s *Station }

func (f *front16) boot(string) ocpp.Request {
	c := &f.s.cfg
	return &v16.BootNotificationRequest{ChargePointVendor: cut(c.Vendor, 20), ChargePointModel: cut(c.Model, 20),
		ChargePointSerialNumber: ocpp.Some(cut(c.Serial, 25)), ChargeBoxSerialNumber: ocpp.Some(cut(c.Serial, 25)),
		FirmwareVersion: ocpp.Some(cut(f.s.firmware, 50)), MeterType: ocpp.Some("Virtual"), MeterSerialNumber: ocpp.Some(cut("M-"+c.Serial, 25))}
}

func (f *front16) booted(resp ocpp.Response) (registration, int, time.Time) {
	r, ok := resp.(*v16.BootNotificationResponse)
	if !ok {
		return rejected, 0, time.Time{}
	}
	return registrationOf(string(r.Status)), r.Interval, r.CurrentTime
}

func registrationOf(status string) registration {
	switch status {
	case "Accepted":
		return accepted
	case "Pending":
		return pending
	}
	return rejected
}

func (f *front16) heartbeat() ocpp.Request { return &v16.HeartbeatRequest{} }

// connectorID numbers all connectors of the station from 1.
func (f *front16) connectorID(e *evse, connector int) int {
	return (e.id-1)*f.s.cfg.ConnectorsPerEVSE + max(1, connector)
}

// connector finds an EVSE and its connector by the number of 1.6.
func (f *front16) connector(id int) (*evse, int) {
	n := f.s.cfg.ConnectorsPerEVSE
	e := f.s.evseAt((id-1)/n + 1)
	if id < 1 || e == nil {
		return nil, 0
	}
	return e, (id-1)%n + 1
}

func (f *front16) statusOf(e *evse, connector int) string {
	s := f.s
	other := e.plugged > 0 && e.plugged != connector
	switch {
	case e.fault != "":
		return string(v16.ChargePointStatusFaulted)
	case other:
		return string(v16.ChargePointStatusUnavailable)
	case e.tx != nil && !e.tx.ended:
		switch e.state {
		case stateCharging:
			return string(v16.ChargePointStatusCharging)
		case stateSuspendedEVSE:
			return string(v16.ChargePointStatusSuspendedEVSE)
		case stateSuspendedEV, stateIdle:
			return string(v16.ChargePointStatusSuspendedEV)
		}
		return string(v16.ChargePointStatusPreparing)
	case e.finishing:
		return string(v16.ChargePointStatusFinishing)
	case s.outOfService(e) || e.connectorOff[connector-1]:
		return string(v16.ChargePointStatusUnavailable)
	case e.plugged > 0 || e.auth != nil:
		return string(v16.ChargePointStatusPreparing)
	case s.reservedFor(e) != nil:
		return string(v16.ChargePointStatusReserved)
	}
	return string(v16.ChargePointStatusAvailable)
}

func (f *front16) status(e *evse, connector int, status string) ocpp.Request {
	code := v16.ChargePointErrorCodeNoError
	info := ocpp.Opt[string]{}
	if e.fault != "" && status == string(v16.ChargePointStatusFaulted) {
		code = v16.ChargePointErrorCode(e.fault)
		if !code.Valid() {
			code, info = v16.ChargePointErrorCodeOtherError, ocpp.Some(cut(e.fault, 50))
		}
	}
	return &v16.StatusNotificationRequest{ConnectorID: f.connectorID(e, connector), ErrorCode: code, Info: info,
		Status: v16.ChargePointStatus(status), Timestamp: ocpp.Some(f.s.now())}
}

func (f *front16) stationStatus() ocpp.Request {
	st := v16.ChargePointStatusAvailable
	if f.s.inoperative {
		st = v16.ChargePointStatusUnavailable
	}
	return &v16.StatusNotificationRequest{ConnectorID: 0, ErrorCode: v16.ChargePointErrorCodeNoError, Status: st, Timestamp: ocpp.Some(f.s.now())}
}

func (f *front16) authorize(t token) ocpp.Request {
	return &v16.AuthorizeRequest{IDTag: cut(t.id, 20)}
}

func (f *front16) authorized(resp ocpp.Response) authResult {
	r, ok := resp.(*v16.AuthorizeResponse)
	if !ok {
		return authResult{status: "Invalid"}
	}
	return result16(&r.IDTagInfo)
}

func result16(i *v16.IDTagInfo) authResult {
	return authResult{status: string(i.Status), group: i.ParentIDTag.V, expires: i.ExpiryDate.V, ok: true}
}

func (f *front16) txID(tx *transaction) string {
	if tx.id16 == 0 {
		return ""
	}
	return strconv.Itoa(tx.id16)
}

// txEvent turns an event into the messages of 1.6: start, meter values, stop. Changes of state are statuses there.
func (f *front16) txEvent(tx *transaction, ev *txEvent) {
	switch ev.kind {
	case "Started":
		f.start(tx, ev)
	case "Ended":
		f.stop(tx, ev)
	default:
		if ev.reading != nil {
			values := []v16.MeterValue{value16(ev.reading)}
			f.s.queue(&message{durable: true, build: func() ocpp.Request {
				m := &v16.MeterValuesRequest{ConnectorID: f.connectorID(tx.evse, tx.connector), MeterValue: values}
				if tx.id16 != 0 {
					m.TransactionID = ocpp.Some(tx.id16)
				}
				return m
			}})
		}
	}
}

func (f *front16) start(tx *transaction, ev *txEvent) {
	m := &v16.StartTransactionRequest{ConnectorID: f.connectorID(tx.evse, tx.connector), MeterStart: tx.start.wh(), Timestamp: ev.at,
		ReservationID: ocpp.NonZero(ev.reserved)}
	var tok token
	if ev.token != nil {
		tok = *ev.token
		m.IDTag = cut(tok.id, 20)
	}
	f.s.queue(&message{durable: true, build: func() ocpp.Request { return m }, done: func(resp ocpp.Response, err error) {
		r, ok := resp.(*v16.StartTransactionResponse)
		if err != nil || !ok {
			return
		}
		tx.id16 = r.TransactionID
		info := result16(&r.IDTagInfo)
		f.s.remember(tok, info)
		f.s.event(tx.evse, "transaction", "has the id "+strconv.Itoa(tx.id16))
		if info.status != "Accepted" {
			f.s.refused(tx)
		}
	}})
}

func (f *front16) stop(tx *transaction, ev *txEvent) {
	m := &v16.StopTransactionRequest{MeterStop: tx.evse.meter.wh(), Timestamp: ev.at}
	if ev.token != nil {
		m.IDTag = ocpp.Some(cut(ev.token.id, 20))
	}
	reason := v16.Reason(tx.reason)
	switch {
	case tx.reason == "Timeout" || !reason.Valid():
		reason = v16.ReasonOther
	}
	m.Reason = ocpp.Some(reason)
	for i := range tx.history {
		m.TransactionData = append(m.TransactionData, value16(&tx.history[i]))
	}
	if len(tx.closing) > 0 && len(tx.closing[0].samples) > 0 {
		m.TransactionData = append(m.TransactionData, value16(&tx.closing[0]))
	}
	f.s.queue(&message{durable: true, build: func() ocpp.Request {
		m.TransactionID = tx.id16
		if tx.id16 == 0 {
			m.TransactionID = -1 // the start was never answered: the note of the errata for 1.6
		}
		return m
	}})
}

// value16 is a reading in the words of 1.6.
func value16(r *timedSamples) v16.MeterValue {
	v := v16.MeterValue{Timestamp: r.at}
	for _, m := range r.samples {
		sv := v16.SampledValue{Value: decimalText(m.value), Measurand: ocpp.Some(v16.Measurand(m.measurand)),
			Context: ocpp.Some(v16.ReadingContext(r.context)), Unit: ocpp.NonZero(v16.UnitOfMeasure(m.unit)), Location: ocpp.Some(v16.Location(m.location))}
		if m.phase != "" {
			sv.Phase = ocpp.Some(v16.Phase(m.phase))
		}
		v.SampledValue = append(v.SampledValue, sv)
	}
	return v
}

// decimalText writes at most two decimals.
func decimalText(v float64) string {
	t := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(t, "0"), ".")
}

func (f *front16) readings(e *evse, context string, samples []sample) {
	f.s.send(&v16.MeterValuesRequest{ConnectorID: f.connectorID(e, e.plugged),
		MeterValue: []v16.MeterValue{value16(&timedSamples{at: f.s.now(), context: context, samples: samples})}}, nil)
}

func (f *front16) faulted(*evse, string) {} // the status has the code

func (f *front16) firmwareStatus(status string, request int) ocpp.Request {
	if request != 0 || f.s.extras.signedFirmware {
		return &v16.SignedFirmwareStatusNotificationRequest{Status: v16.SignedFirmwareStatus(status), RequestID: ocpp.NonZero(request)}
	}
	st := v16.FirmwareStatus(status)
	if !st.Valid() {
		return nil // the words between that 1.6 does not have
	}
	return &v16.FirmwareStatusNotificationRequest{Status: st}
}

func (f *front16) logStatus(status string, request int) ocpp.Request {
	if request != 0 {
		return &v16.LogStatusNotificationRequest{Status: v16.UploadLogStatus(status), RequestID: ocpp.Some(request)}
	}
	st := v16.DiagnosticsStatus(status)
	if !st.Valid() {
		st = v16.DiagnosticsStatusUploadFailed
	}
	return &v16.DiagnosticsStatusNotificationRequest{Status: st}
}

func (f *front16) security(kind, info string) ocpp.Request {
	return &v16.SecurityEventNotificationRequest{Type: kind, Timestamp: f.s.now(), TechInfo: ocpp.NonZero(info)}
}

func (f *front16) signCertificate(csr string) ocpp.Request {
	return &v16.SignCertificateRequest{CSR: csr}
}

func (f *front16) reservationEnded(int, string) ocpp.Request { return nil }
