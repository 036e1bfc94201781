package ocppgo

import (
	"sync"
	"testing"
	"time"

	ocpp16 "github.com/lorenzodonini/ocpp-go/ocpp1.6"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/core"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/localauth"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/remotetrigger"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/reservation"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/smartcharging"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/types"
	"github.com/lorenzodonini/ocpp-go/ws"
)

// point16 is a charge point of the library that agrees to everything and remembers what it was asked.
type point16 struct {
	ocpp16.ChargePoint
	inbox
	follower
	id string

	start chan *core.RemoteStartTransactionRequest
	stop  chan *core.RemoteStopTransactionRequest

	settings sync.Mutex // guards config
	config   map[string]core.ConfigurationKey
}

// newPoint16 makes a charge point that is not connected yet.
func newPoint16(t *testing.T, id string, client *ws.Client) *point16 {
	t.Helper()
	p := &point16{id: id, start: make(chan *core.RemoteStartTransactionRequest, 1), stop: make(chan *core.RemoteStopTransactionRequest, 1),
		config: map[string]core.ConfigurationKey{}}
	for _, k := range []core.ConfigurationKey{
		{Key: "HeartbeatInterval", Value: ptr("300")}, {Key: "MeterValueSampleInterval", Value: ptr("60")},
		{Key: "NumberOfConnectors", Value: ptr("1"), Readonly: true},
		{Key: "SupportedFeatureProfiles", Value: ptr("Core,LocalAuthListManagement,Reservation,RemoteTrigger,SmartCharging"), Readonly: true},
		{Key: "AcmeCableLock", Value: ptr("soft")},
	} {
		p.config[k.Key] = k
	}
	if client == nil {
		client = ws.NewClient()
	}
	p.ChargePoint = ocpp16.NewChargePoint(id, nil, client)
	p.SetCoreHandler(p)
	p.SetLocalAuthListHandler(p)
	p.SetReservationHandler(p)
	p.SetRemoteTriggerHandler(p)
	p.SetSmartChargingHandler(p)
	return p
}

// connect16 makes a charge point that is connected, has booted and reported its connector.
func connect16(t *testing.T, id string) *point16 {
	t.Helper()
	p := newPoint16(t, id, nil)
	p.connect(t)
	return p
}

func (p *point16) connect(t *testing.T) {
	t.Helper()
	if err := p.Start(lumela.Socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.leave(p.Stop) })
	boot := must[*core.BootNotificationConfirmation](t)(p.BootNotification("Wallbox 11", "ACME", func(r *core.BootNotificationRequest) {
		r.ChargePointSerialNumber, r.FirmwareVersion = "SN-"+p.id, "1.4.2"
	}))
	if boot.Status != core.RegistrationStatusAccepted || boot.Interval != 300 {
		t.Fatalf("boot: %+v", boot)
	}
	for _, connector := range []int{0, 1} {
		p.status(t, aWhileAgo().Add(-time.Minute), connector, core.ChargePointStatusAvailable)
	}
}

func (p *point16) status(t *testing.T, at time.Time, connector int, status core.ChargePointStatus) {
	t.Helper()
	must[*core.StatusNotificationConfirmation](t)(p.StatusNotification(connector, core.NoError, status, func(r *core.StatusNotificationRequest) {
		r.Timestamp = types.NewDateTime(at)
	}))
}

// Requests are answered on the goroutine that reads, so what follows from one is said from another.

func (p *point16) OnChangeAvailability(r *core.ChangeAvailabilityRequest) (*core.ChangeAvailabilityConfirmation, error) {
	p.add(r)
	status := core.ChargePointStatusAvailable
	if r.Type == core.AvailabilityTypeInoperative {
		status = core.ChargePointStatusUnavailable
	}
	p.later(func() { // an error shows as a state that never comes
		_, _ = p.StatusNotification(1, core.NoError, status, func(n *core.StatusNotificationRequest) { n.Timestamp = types.Now() })
	})
	return core.NewChangeAvailabilityConfirmation(core.AvailabilityStatusAccepted), nil
}

func (p *point16) OnChangeConfiguration(r *core.ChangeConfigurationRequest) (*core.ChangeConfigurationConfirmation, error) {
	p.add(r)
	p.settings.Lock()
	defer p.settings.Unlock()
	k, ok := p.config[r.Key]
	switch {
	case !ok:
		return core.NewChangeConfigurationConfirmation(core.ConfigurationStatusNotSupported), nil
	case k.Readonly:
		return core.NewChangeConfigurationConfirmation(core.ConfigurationStatusRejected), nil
	}
	k.Value = ptr(r.Value)
	p.config[r.Key] = k
	return core.NewChangeConfigurationConfirmation(core.ConfigurationStatusAccepted), nil
}

func (p *point16) OnGetConfiguration(r *core.GetConfigurationRequest) (*core.GetConfigurationConfirmation, error) {
	p.add(r)
	p.settings.Lock()
	defer p.settings.Unlock()
	var known []core.ConfigurationKey
	var unknown []string
	if len(r.Key) == 0 {
		for _, k := range p.config {
			known = append(known, k)
		}
	}
	for _, name := range r.Key {
		if k, ok := p.config[name]; ok {
			known = append(known, k)
		} else {
			unknown = append(unknown, name)
		}
	}
	out := core.NewGetConfigurationConfirmation(known)
	out.UnknownKey = unknown
	return out, nil
}

func (p *point16) OnClearCache(r *core.ClearCacheRequest) (*core.ClearCacheConfirmation, error) {
	p.add(r)
	return core.NewClearCacheConfirmation(core.ClearCacheStatusAccepted), nil
}

func (p *point16) OnDataTransfer(r *core.DataTransferRequest) (*core.DataTransferConfirmation, error) {
	p.add(r)
	return core.NewDataTransferConfirmation(core.DataTransferStatusUnknownVendorId), nil
}

func (p *point16) OnRemoteStartTransaction(r *core.RemoteStartTransactionRequest) (*core.RemoteStartTransactionConfirmation, error) {
	p.add(r)
	p.start <- r
	return core.NewRemoteStartTransactionConfirmation(types.RemoteStartStopStatusAccepted), nil
}

func (p *point16) OnRemoteStopTransaction(r *core.RemoteStopTransactionRequest) (*core.RemoteStopTransactionConfirmation, error) {
	p.add(r)
	p.stop <- r
	return core.NewRemoteStopTransactionConfirmation(types.RemoteStartStopStatusAccepted), nil
}

func (p *point16) OnReset(r *core.ResetRequest) (*core.ResetConfirmation, error) {
	p.add(r)
	return core.NewResetConfirmation(core.ResetStatusAccepted), nil
}

func (p *point16) OnUnlockConnector(r *core.UnlockConnectorRequest) (*core.UnlockConnectorConfirmation, error) {
	p.add(r)
	return core.NewUnlockConnectorConfirmation(core.UnlockStatusUnlocked), nil
}

func (p *point16) OnGetLocalListVersion(r *localauth.GetLocalListVersionRequest) (*localauth.GetLocalListVersionConfirmation, error) {
	p.add(r)
	return localauth.NewGetLocalListVersionConfirmation(7), nil
}

func (p *point16) OnSendLocalList(r *localauth.SendLocalListRequest) (*localauth.SendLocalListConfirmation, error) {
	p.add(r)
	return localauth.NewSendLocalListConfirmation(localauth.UpdateStatusAccepted), nil
}

func (p *point16) OnReserveNow(r *reservation.ReserveNowRequest) (*reservation.ReserveNowConfirmation, error) {
	p.add(r)
	return reservation.NewReserveNowConfirmation(reservation.ReservationStatusAccepted), nil
}

func (p *point16) OnCancelReservation(r *reservation.CancelReservationRequest) (*reservation.CancelReservationConfirmation, error) {
	p.add(r)
	return reservation.NewCancelReservationConfirmation(reservation.CancelReservationStatusAccepted), nil
}

func (p *point16) OnTriggerMessage(r *remotetrigger.TriggerMessageRequest) (*remotetrigger.TriggerMessageConfirmation, error) {
	p.add(r)
	if r.RequestedMessage == core.HeartbeatFeatureName {
		p.later(func() { _, _ = p.Heartbeat() }) // an error shows as a frame that never comes
	}
	return remotetrigger.NewTriggerMessageConfirmation(remotetrigger.TriggerMessageStatusAccepted), nil
}

func (p *point16) OnSetChargingProfile(r *smartcharging.SetChargingProfileRequest) (*smartcharging.SetChargingProfileConfirmation, error) {
	p.add(r)
	return smartcharging.NewSetChargingProfileConfirmation(smartcharging.ChargingProfileStatusAccepted), nil
}

func (p *point16) OnClearChargingProfile(r *smartcharging.ClearChargingProfileRequest) (*smartcharging.ClearChargingProfileConfirmation, error) {
	p.add(r)
	return smartcharging.NewClearChargingProfileConfirmation(smartcharging.ClearChargingProfileStatusAccepted), nil
}

func (p *point16) OnGetCompositeSchedule(r *smartcharging.GetCompositeScheduleRequest) (*smartcharging.GetCompositeScheduleConfirmation, error) {
	p.add(r)
	out := smartcharging.NewGetCompositeScheduleConfirmation(smartcharging.GetCompositeScheduleStatusAccepted)
	out.ConnectorId, out.ScheduleStart = ptr(r.ConnectorId), types.NewDateTime(scheduleStart)
	out.ChargingSchedule = &types.ChargingSchedule{Duration: ptr(r.Duration), ChargingRateUnit: r.ChargingRateUnit,
		ChargingSchedulePeriod: []types.ChargingSchedulePeriod{{StartPeriod: 0, Limit: 16, NumberPhases: ptr(3)}, {StartPeriod: 600, Limit: 10.5}}}
	return out, nil
}
