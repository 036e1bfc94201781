package csms

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"lumela/internal/gateway"
	"lumela/internal/idtoken"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// Handle implements gateway.Platform. A message that carries energy or money is on disk before it is answered.
func (c *CSMS) Handle(ctx context.Context, l *gateway.Link, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
	resp, err := c.handleOutage(ctx, l, req)
	if err != nil {
		return nil, c.failed(l, req.ActionName(), err)
	}
	return resp, nil
}

func (c *CSMS) handle(ctx context.Context, l *gateway.Link, req ocpp.Request) (ocpp.Response, error) {
	switch r := req.(type) {
	case *v21.HeartbeatRequest: // OCPP 2.1 G02.FR.03
		return &v21.HeartbeatResponse{CurrentTime: now()}, nil
	case *v21.TransactionEventRequest:
		return c.answered(ctx, l, r, undecided(r), func() (ocpp.Response, error) { return c.transactionEvent(ctx, l, r) })
	case *v21.MeterValuesRequest:
		return c.answered(ctx, l, r, &v21.MeterValuesResponse{}, func() (ocpp.Response, error) {
			return &v21.MeterValuesResponse{}, c.Ledger.Reading(ctx, station.ID(l.Station().ID), r, time.Now())
		})
	case *v21.StatusNotificationRequest:
		return &v21.StatusNotificationResponse{}, c.status(ctx, l, r)
	case *v21.AuthorizeRequest:
		return c.authorize(ctx, l, r)
	case *v21.BootNotificationRequest:
		return c.boot(ctx, l, r)
	case *v21.NotifyReportRequest:
		return &v21.NotifyReportResponse{}, c.notifyReport(ctx, l, r)
	case *v21.NotifyEventRequest:
		return &v21.NotifyEventResponse{}, c.notifyEvent(ctx, l, r)
	case *v21.ReservationStatusUpdateRequest:
		return &v21.ReservationStatusUpdateResponse{}, c.reservationUpdate(ctx, l, r)
	case *v21.DataTransferRequest:
		return c.dataTransfer(ctx, l, r)
	case *v21.SignCertificateRequest:
		return c.signCertificate(ctx, l, r)
	case *v21.FirmwareStatusNotificationRequest:
		return &v21.FirmwareStatusNotificationResponse{}, c.firmwareStatus(ctx, l, r)
	}
	if resp := recorded(req); resp != nil || req.NewResponse() == nil {
		return resp, c.Stations.Note(ctx, l.Station().Organisation, station.ID(l.Station().ID), req)
	}
	if err := c.Stations.Note(ctx, l.Station().Organisation, station.ID(l.Station().ID), req); err != nil {
		return nil, err
	}
	return nil, &ocpp.CallError{Code: ocpp.NotSupported, Description: req.ActionName() + " is not supported by this platform"}
}

// recorded gives the answer to a message that is stored and shown and needs nothing more; nil for one that would need a
// service that the platform does not have, or that has no answer.
func recorded(req ocpp.Request) ocpp.Response {
	switch r := req.(type) {
	case *v21.SecurityEventNotificationRequest, *v21.LogStatusNotificationRequest,
		*v21.PublishFirmwareStatusNotificationRequest, *v21.NotifyChargingLimitRequest, *v21.ClearedChargingLimitRequest,
		*v21.ReportChargingProfilesRequest, *v21.NotifyMonitoringReportRequest, *v21.NotifyCustomerInformationRequest,
		*v21.NotifyDisplayMessagesRequest, *v21.NotifyPriorityChargingRequest, *v21.NotifyDERAlarmRequest,
		*v21.NotifyDERStartStopRequest, *v21.ReportDERControlRequest, *v21.BatterySwapRequest, *v21.NotifyWebPaymentStartedRequest,
		*v21.ClosePeriodicEventStreamRequest:
		return req.NewResponse()
	case *v21.NotifyEVChargingNeedsRequest: // OCPP 2.1 K15.FR.03: no profile is calculated for these needs
		return &v21.NotifyEVChargingNeedsResponse{Status: v21.NotifyEVChargingNeedsStatusNoChargingProfile}
	case *v21.NotifyEVChargingScheduleRequest:
		return &v21.NotifyEVChargingScheduleResponse{Status: v21.GenericStatusAccepted}
	case *v21.PullDynamicScheduleUpdateRequest: // OCPP 2.1 K28.FR.12: no profile is known as dynamic
		return &v21.PullDynamicScheduleUpdateResponse{Status: v21.ChargingProfileStatusRejected, StatusInfo: &v21.StatusInfo{ReasonCode: "InvalidProfileId"}}
	case *v21.GetCertificateStatusRequest:
		return certificateStatus()
	case *v21.GetCertificateChainStatusRequest:
		return chainStatus(r)
	case *v21.VatNumberValidationRequest:
		return &v21.VatNumberValidationResponse{VATNumber: r.VATNumber, EVSEID: r.EVSEID, Status: v21.GenericStatusRejected,
			StatusInfo: &v21.StatusInfo{ReasonCode: "UnsupportedRequest"}}
	case *v21.OpenPeriodicEventStreamRequest:
		return &v21.OpenPeriodicEventStreamResponse{Status: v21.GenericStatusAccepted}
	}
	return nil
}

// boot answers a BootNotification by the station's admission: OCPP 2.1 B01.FR.02, OCPP 2.1 B02.FR.01, OCPP 2.1 B03.FR.01.
func (c *CSMS) boot(ctx context.Context, l *gateway.Link, r *v21.BootNotificationRequest) (ocpp.Response, error) {
	id := station.ID(l.Station().ID)
	st, err := c.Stations.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	resp := &v21.BootNotificationResponse{CurrentTime: now(), Interval: int(c.Heartbeat / time.Second), Status: v21.RegistrationStatusAccepted}
	switch st.Admission {
	case station.Pending:
		resp.Status, resp.Interval = v21.RegistrationStatusPending, int(pendingInterval/time.Second)
	case station.Rejected:
		resp.Status = v21.RegistrationStatusRejected
	}
	b := station.Boot{Vendor: r.ChargingStation.VendorName, Model: r.ChargingStation.Model, SerialNumber: r.ChargingStation.SerialNumber.Or(""),
		Firmware: r.ChargingStation.FirmwareVersion.Or(""), Reason: string(r.Reason)}
	if cn := l.CertificateName(); cn != "" && b.SerialNumber != "" && cn != b.SerialNumber { // OCPP 2.1 B01.FR.11
		if err := c.Stations.Alarm(ctx, st, "BootNotification names another serial number than the certificate", l.Remote()); err != nil {
			return nil, err
		}
		l.Mistrust("the serial number is not the certificate's")
		resp.Status = v21.RegistrationStatusRejected
		return resp, nil
	}
	accepted := resp.Status == v21.RegistrationStatusAccepted
	known, storm := c.boots.seen(id, b, accepted, time.Now())
	if storm {
		if err := c.Stations.Alarm(ctx, st, "the station boots again and again", l.Remote()); err != nil {
			return nil, err
		}
	}
	if known { // a boot while a session runs is never left out: the guardian must see that its station has started again
		running, err := c.Ledger.RunningOn(ctx, []station.ID{id})
		if err != nil {
			return nil, err
		}
		known = len(running) == 0
	}
	changed := false
	if !known || st.BootedAt.IsZero() {
		if changed, err = c.Stations.Booted(ctx, st.Organisation, id, b, accepted); err != nil {
			c.boots.forget(id)
			return nil, err
		}
	}
	if accepted && changed {
		c.rereads.Store(id, struct{}{})
	}
	if l.Accept(accepted); resp.Status == v21.RegistrationStatusRejected {
		l.Reject()
	}
	return resp, nil
}

func (c *CSMS) status(ctx context.Context, l *gateway.Link, r *v21.StatusNotificationRequest) error {
	return c.Stations.Status(ctx, l.Station().Organisation, station.ID(l.Station().ID), station.ConnectorState{
		EVSE: r.EVSEID, Connector: r.ConnectorID, Status: r.ConnectorStatus, Detail: detail(r.CustomData), At: r.Timestamp})
}

// detail is the finer status that some stations have, where the translation has kept it.
func detail(data ocpp.CustomData) string {
	if !strings.Contains(string(data), translate.Status16) {
		return ""
	}
	var fields struct {
		VendorID string `json:"vendorId"`
		Status   string `json:"status16"`
	}
	if json.Unmarshal([]byte(data), &fields) != nil || fields.VendorID != translate.CustomDataVendor {
		return ""
	}
	return fields.Status
}

// authorize decides about a token: OCPP 2.1 C01.FR.02.
func (c *CSMS) authorize(ctx context.Context, l *gateway.Link, r *v21.AuthorizeRequest) (ocpp.Response, error) {
	d, err := c.Tokens.Decide(ctx, l.Station().Organisation, &r.IDToken, time.Now())
	if err != nil {
		return nil, err
	}
	resp := &v21.AuthorizeResponse{IDTokenInfo: d.Info()}
	if len(r.ISO15118CertificateHashData) > 0 || r.Certificate.OK {
		// OCPP 2.1 C07.FR.04: without a service that checks contract certificates none can be accepted.
		resp.CertificateStatus = ocpp.Some(v21.AuthorizeCertificateStatusNoCertificateAvailable)
		if d.Accepted() {
			resp.IDTokenInfo.Status = v21.AuthorizationStatusInvalid
		}
	}
	return resp, nil
}

// transactionEvent stores the message, and decides about the token that it carries: OCPP 2.1 E01.FR.11,
// OCPP 2.1 E03.FR.12.
func (c *CSMS) transactionEvent(ctx context.Context, l *gateway.Link, r *v21.TransactionEventRequest) (ocpp.Response, error) {
	e := session.Event{Organisation: l.Station().Organisation, Station: station.ID(l.Station().ID), Request: r, ReceivedAt: time.Now(), Sequenced: l.Sequenced()}
	resp := &v21.TransactionEventResponse{}
	if r.IDToken != nil {
		d, err := c.Tokens.Decide(ctx, e.Organisation, r.IDToken, e.ReceivedAt)
		if err != nil {
			return nil, err
		}
		info := d.Info()
		resp.IDTokenInfo = &info
		if !d.Accepted() && r.EventType == v21.TransactionEventTypeStarted {
			e.Refusal = refusalText(d)
		}
	}
	switch _, err := c.Ledger.Apply(ctx, e); {
	case errors.Is(err, session.ErrOtherStation): // kept, and told to the operator; the station hears nothing of it
		return resp, nil
	case err != nil:
		return resp, err
	}
	if id, ok := r.ReservationID.Get(); ok {
		if err := c.Reservations.Used(ctx, e.Station, id); err != nil {
			c.Log.Error("reservation not marked as used", "station", e.Station, "reservation", id, "error", err)
		}
	}
	return resp, nil
}

func refusalText(d idtoken.Decision) string {
	if d.Token == nil {
		return "the token is not known"
	}
	return "the token is " + strings.ToLower(string(d.Status))
}

// notifyEvent keeps events, and takes problems of connectors to the book of stations.
func (c *CSMS) notifyEvent(ctx context.Context, l *gateway.Link, r *v21.NotifyEventRequest) error {
	id, organisation := station.ID(l.Station().ID), l.Station().Organisation
	for i := range r.EventData {
		e := &r.EventData[i]
		if e.Component.EVSE == nil || !strings.EqualFold(e.Variable.Name, "Problem") {
			continue
		}
		code, info := e.TechCode.Or("Problem"), e.TechInfo.Or("")
		if e.Cleared.Or(false) || strings.EqualFold(e.ActualValue, "false") && info == "" {
			code, info = "", ""
		}
		if err := c.Stations.Problem(ctx, organisation, id, e.Component.EVSE.ID, e.Component.EVSE.ConnectorID.Or(0), code, info, e.Timestamp); err != nil {
			return err
		}
	}
	return c.Stations.Note(ctx, organisation, id, r)
}

func (c *CSMS) reservationUpdate(ctx context.Context, l *gateway.Link, r *v21.ReservationStatusUpdateRequest) error {
	if err := c.Reservations.Update(ctx, station.ID(l.Station().ID), r.ReservationID, string(r.ReservationUpdateStatus)); err != nil {
		return err
	}
	return c.Stations.Note(ctx, l.Station().Organisation, station.ID(l.Station().ID), r)
}

// dataTransfer stores what vendors send; nobody here understands it, and the answer says so. OCPP 2.1 P02.FR.06.
func (c *CSMS) dataTransfer(ctx context.Context, l *gateway.Link, r *v21.DataTransferRequest) (ocpp.Response, error) {
	if err := c.Stations.Note(ctx, l.Station().Organisation, station.ID(l.Station().ID), r); err != nil {
		return nil, err
	}
	return &v21.DataTransferResponse{Status: v21.DataTransferStatusUnknownVendorID}, nil
}
