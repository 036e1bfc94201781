package ocppgo

import (
	"sync"
	"testing"
	"time"

	ocpp2 "github.com/lorenzodonini/ocpp-go/ocpp2.0.1"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/authorization"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/availability"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/localauth"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/provisioning"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/remotecontrol"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/reservation"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/smartcharging"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/types"
	"github.com/lorenzodonini/ocpp-go/ws"
)

// station201 is a charging station of the library that agrees to everything and remembers what it was asked.
type station201 struct {
	ocpp2.ChargingStation
	inbox
	follower
	id string

	start chan *remotecontrol.RequestStartTransactionRequest
	stop  chan *remotecontrol.RequestStopTransactionRequest

	settings sync.Mutex // guards model
	model    []provisioning.ReportData
}

func reported(component, variable, value string, dataType provisioning.DataType, mutability provisioning.Mutability, unit string) provisioning.ReportData {
	attribute := provisioning.NewVariableAttribute()
	attribute.Value, attribute.Mutability = value, mutability
	characteristics := provisioning.NewVariableCharacteristics(dataType, false)
	characteristics.Unit = unit
	return provisioning.ReportData{Component: types.Component{Name: component}, Variable: types.Variable{Name: variable},
		VariableAttribute: []provisioning.VariableAttribute{attribute}, VariableCharacteristics: characteristics}
}

// newStation201 makes a charging station that is not connected yet.
func newStation201(t *testing.T, id string, client *ws.Client) *station201 {
	t.Helper()
	s := &station201{id: id, start: make(chan *remotecontrol.RequestStartTransactionRequest, 1), stop: make(chan *remotecontrol.RequestStopTransactionRequest, 1)}
	connector := reported("Connector", "ConnectorType", "cType2", provisioning.TypeString, provisioning.MutabilityReadOnly, "")
	connector.Component.EVSE = &types.EVSE{ID: 1, ConnectorID: ptr(1)}
	s.model = []provisioning.ReportData{
		reported("OCPPCommCtrlr", "HeartbeatInterval", "300", provisioning.TypeInteger, provisioning.MutabilityReadWrite, "s"),
		reported("SampledDataCtrlr", "TxUpdatedInterval", "60", provisioning.TypeInteger, provisioning.MutabilityReadWrite, "s"),
		connector,
	}
	if client == nil {
		client = ws.NewClient()
	}
	s.ChargingStation = ocpp2.NewChargingStation(id, nil, client)
	s.SetProvisioningHandler(s)
	s.SetAuthorizationHandler(s)
	s.SetLocalAuthListHandler(s)
	s.SetRemoteControlHandler(s)
	s.SetAvailabilityHandler(s)
	s.SetReservationHandler(s)
	s.SetSmartChargingHandler(s)
	return s
}

// connect201 makes a charging station that is connected, has booted and reported its connector.
func connect201(t *testing.T, id string) *station201 {
	t.Helper()
	s := newStation201(t, id, nil)
	s.connect(t)
	return s
}

func (s *station201) connect(t *testing.T) {
	t.Helper()
	if err := s.Start(lumela.Socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.leave(s.Stop) })
	boot := must[*provisioning.BootNotificationResponse](t)(s.BootNotification(provisioning.BootReasonPowerUp, "Tower 22", "ACME",
		func(r *provisioning.BootNotificationRequest) {
			r.ChargingStation.SerialNumber, r.ChargingStation.FirmwareVersion = "SN-"+s.id, "2.5.0"
		}))
	if boot.Status != provisioning.RegistrationStatusAccepted || boot.Interval != 300 {
		t.Fatalf("boot: %+v", boot)
	}
	s.status(t, aWhileAgo().Add(-time.Minute), availability.ConnectorStatusAvailable)
}

func (s *station201) status(t *testing.T, at time.Time, status availability.ConnectorStatus) {
	t.Helper()
	must[*availability.StatusNotificationResponse](t)(s.StatusNotification(types.NewDateTime(at), status, 1, 1))
}

// Requests are answered on the goroutine that reads, so what follows from one is said from another.

func (s *station201) OnGetBaseReport(r *provisioning.GetBaseReportRequest) (*provisioning.GetBaseReportResponse, error) {
	s.add(r)
	s.settings.Lock()
	model := append([]provisioning.ReportData(nil), s.model...)
	s.settings.Unlock()
	s.later(func() { // one part for each variable; an error shows as a variable that never comes
		for i := range model {
			_, _ = s.NotifyReport(r.RequestID, types.Now(), i, func(n *provisioning.NotifyReportRequest) {
				n.ReportData, n.Tbc = model[i:i+1], i < len(model)-1
			})
		}
	})
	return provisioning.NewGetBaseReportResponse(types.GenericDeviceModelStatusAccepted), nil
}

func (s *station201) OnGetReport(r *provisioning.GetReportRequest) (*provisioning.GetReportResponse, error) {
	s.add(r)
	return provisioning.NewGetReportResponse(types.GenericDeviceModelStatusEmptyResultSet), nil
}

// find gives the entry of the model, nil for none.
func (s *station201) find(c types.Component, v types.Variable) *provisioning.ReportData {
	for i := range s.model {
		if s.model[i].Component.Name == c.Name && s.model[i].Variable.Name == v.Name {
			return &s.model[i]
		}
	}
	return nil
}

func (s *station201) OnGetVariables(r *provisioning.GetVariablesRequest) (*provisioning.GetVariablesResponse, error) {
	s.add(r)
	s.settings.Lock()
	defer s.settings.Unlock()
	var out []provisioning.GetVariableResult
	for _, d := range r.GetVariableData {
		res := provisioning.GetVariableResult{AttributeStatus: provisioning.GetVariableStatusUnknownVariable, AttributeType: d.AttributeType, Component: d.Component, Variable: d.Variable}
		if e := s.find(d.Component, d.Variable); e != nil {
			res.AttributeStatus, res.AttributeValue = provisioning.GetVariableStatusAccepted, e.VariableAttribute[0].Value
		}
		out = append(out, res)
	}
	return provisioning.NewGetVariablesResponse(out), nil
}

func (s *station201) OnSetVariables(r *provisioning.SetVariablesRequest) (*provisioning.SetVariablesResponse, error) {
	s.add(r)
	s.settings.Lock()
	defer s.settings.Unlock()
	var out []provisioning.SetVariableResult
	for _, d := range r.SetVariableData {
		res := provisioning.SetVariableResult{AttributeStatus: provisioning.SetVariableStatusUnknownVariable, AttributeType: d.AttributeType, Component: d.Component, Variable: d.Variable}
		if e := s.find(d.Component, d.Variable); e != nil {
			res.AttributeStatus = provisioning.SetVariableStatusAccepted
			e.VariableAttribute[0].Value = d.AttributeValue
		}
		out = append(out, res)
	}
	return provisioning.NewSetVariablesResponse(out), nil
}

func (s *station201) OnReset(r *provisioning.ResetRequest) (*provisioning.ResetResponse, error) {
	s.add(r)
	if r.Type == provisioning.ResetTypeOnIdle {
		return provisioning.NewResetResponse(provisioning.ResetStatusScheduled), nil
	}
	return provisioning.NewResetResponse(provisioning.ResetStatusAccepted), nil
}

func (s *station201) OnSetNetworkProfile(r *provisioning.SetNetworkProfileRequest) (*provisioning.SetNetworkProfileResponse, error) {
	s.add(r)
	return provisioning.NewSetNetworkProfileResponse(provisioning.SetNetworkProfileStatusRejected), nil
}

func (s *station201) OnClearCache(r *authorization.ClearCacheRequest) (*authorization.ClearCacheResponse, error) {
	s.add(r)
	return authorization.NewClearCacheResponse(authorization.ClearCacheStatusAccepted), nil
}

func (s *station201) OnGetLocalListVersion(r *localauth.GetLocalListVersionRequest) (*localauth.GetLocalListVersionResponse, error) {
	s.add(r)
	return localauth.NewGetLocalListVersionResponse(9), nil
}

func (s *station201) OnSendLocalList(r *localauth.SendLocalListRequest) (*localauth.SendLocalListResponse, error) {
	s.add(r)
	return localauth.NewSendLocalListResponse(localauth.SendLocalListStatusAccepted), nil
}

func (s *station201) OnRequestStartTransaction(r *remotecontrol.RequestStartTransactionRequest) (*remotecontrol.RequestStartTransactionResponse, error) {
	s.add(r)
	s.start <- r
	return remotecontrol.NewRequestStartTransactionResponse(remotecontrol.RequestStartStopStatusAccepted), nil
}

func (s *station201) OnRequestStopTransaction(r *remotecontrol.RequestStopTransactionRequest) (*remotecontrol.RequestStopTransactionResponse, error) {
	s.add(r)
	s.stop <- r
	return remotecontrol.NewRequestStopTransactionResponse(remotecontrol.RequestStartStopStatusAccepted), nil
}

func (s *station201) OnTriggerMessage(r *remotecontrol.TriggerMessageRequest) (*remotecontrol.TriggerMessageResponse, error) {
	s.add(r)
	if r.RequestedMessage == remotecontrol.MessageTriggerHeartbeat {
		s.later(func() { _, _ = s.Heartbeat() }) // an error shows as a frame that never comes
	}
	return remotecontrol.NewTriggerMessageResponse(remotecontrol.TriggerMessageStatusAccepted), nil
}

func (s *station201) OnUnlockConnector(r *remotecontrol.UnlockConnectorRequest) (*remotecontrol.UnlockConnectorResponse, error) {
	s.add(r)
	return remotecontrol.NewUnlockConnectorResponse(remotecontrol.UnlockStatusUnlocked), nil
}

func (s *station201) OnChangeAvailability(r *availability.ChangeAvailabilityRequest) (*availability.ChangeAvailabilityResponse, error) {
	s.add(r)
	status := availability.ConnectorStatusAvailable
	if r.OperationalStatus == availability.OperationalStatusInoperative {
		status = availability.ConnectorStatusUnavailable
	}
	s.later(func() { _, _ = s.StatusNotification(types.Now(), status, 1, 1) }) // an error shows as a state that never comes
	return availability.NewChangeAvailabilityResponse(availability.ChangeAvailabilityStatusAccepted), nil
}

func (s *station201) OnReserveNow(r *reservation.ReserveNowRequest) (*reservation.ReserveNowResponse, error) {
	s.add(r)
	return reservation.NewReserveNowResponse(reservation.ReserveNowStatusAccepted), nil
}

func (s *station201) OnCancelReservation(r *reservation.CancelReservationRequest) (*reservation.CancelReservationResponse, error) {
	s.add(r)
	return reservation.NewCancelReservationResponse(reservation.CancelReservationStatusAccepted), nil
}

func (s *station201) OnSetChargingProfile(r *smartcharging.SetChargingProfileRequest) (*smartcharging.SetChargingProfileResponse, error) {
	s.add(r)
	return smartcharging.NewSetChargingProfileResponse(smartcharging.ChargingProfileStatusAccepted), nil
}

func (s *station201) OnClearChargingProfile(r *smartcharging.ClearChargingProfileRequest) (*smartcharging.ClearChargingProfileResponse, error) {
	s.add(r)
	return smartcharging.NewClearChargingProfileResponse(smartcharging.ClearChargingProfileStatusAccepted), nil
}

func (s *station201) OnGetChargingProfiles(r *smartcharging.GetChargingProfilesRequest) (*smartcharging.GetChargingProfilesResponse, error) {
	s.add(r)
	return smartcharging.NewGetChargingProfilesResponse(smartcharging.GetChargingProfileStatusNoProfiles), nil
}

// OnGetCompositeSchedule answers in the shape of the library, which is not that of OCPP 2.0.1: evseId is beside the
// schedule, whose inner names differ.
func (s *station201) OnGetCompositeSchedule(r *smartcharging.GetCompositeScheduleRequest) (*smartcharging.GetCompositeScheduleResponse, error) {
	s.add(r)
	out := smartcharging.NewGetCompositeScheduleResponse(smartcharging.GetCompositeScheduleStatusAccepted, r.EvseID)
	out.Schedule = &smartcharging.CompositeSchedule{StartDateTime: types.NewDateTime(scheduleStart), ChargingSchedule: &types.ChargingSchedule{
		ID: 1, Duration: ptr(r.Duration), ChargingRateUnit: types.ChargingRateUnitAmperes, ChargingSchedulePeriod: []types.ChargingSchedulePeriod{{Limit: 16}}}}
	return out, nil
}
