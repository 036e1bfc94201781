package ocppgo

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/authorization"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/availability"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/localauth"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/provisioning"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/remotecontrol"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/reservation"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/smartcharging"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/transactions"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/types"
	"github.com/lorenzodonini/ocpp-go/ws"

	"lumela/test/thirdparty/node"
)

// samples201 are readings in kWh, W and percent.
func samples201(at time.Time, context types.ReadingContext, kwh, w, soc float64) []types.MeterValue {
	return []types.MeterValue{{Timestamp: *types.NewDateTime(at), SampledValue: []types.SampledValue{
		{Value: kwh, Context: context, Measurand: types.MeasurandEnergyActiveImportRegister, UnitOfMeasure: &types.UnitOfMeasure{Unit: "kWh"}},
		{Value: w, Context: context, Measurand: types.MeasurandPowerActiveImport, UnitOfMeasure: &types.UnitOfMeasure{Unit: "W"}},
		{Value: soc, Context: context, Measurand: types.MeasurandSoC, UnitOfMeasure: &types.UnitOfMeasure{Unit: "Percent"}},
	}}}
}

// transaction201 sends the events of one transaction in order.
type transaction201 struct {
	station *station201
	id      string
	next    int
}

func (x *transaction201) event(t *testing.T, kind transactions.TransactionEvent, at time.Time, why transactions.TriggerReason, info transactions.Transaction,
	props func(r *transactions.TransactionEventRequest)) *transactions.TransactionEventResponse {
	t.Helper()
	info.TransactionID = x.id
	resp := must[*transactions.TransactionEventResponse](t)(x.station.TransactionEvent(kind, types.NewDateTime(at), why, x.next, info, props))
	x.next++
	return resp
}

func TestCharge201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-CHARGE"))
	good, bad := fresh("04AABB201"), fresh("04BAD201")
	lumela.AddToken(t, good, "ISO14443", "active")
	lumela.AddToken(t, bad, "ISO14443", "blocked")
	for uid, want := range map[string]types.AuthorizationStatus{good: types.AuthorizationStatusAccepted,
		bad: types.AuthorizationStatusBlocked, "NOBODY201": types.AuthorizationStatusUnknown} {
		if got := must[*authorization.AuthorizeResponse](t)(s.Authorize(uid, types.IdTokenTypeISO14443)); got.IdTokenInfo.Status != want {
			t.Errorf("Authorize %s: %s, want %s", uid, got.IdTokenInfo.Status, want)
		}
	}

	begin := aWhileAgo()
	s.status(t, begin, availability.ConnectorStatusOccupied)
	x := &transaction201{station: s, id: "tx-go-201-charge"}
	resp := x.event(t, transactions.TransactionEventStarted, begin, transactions.TriggerReasonAuthorized, transactions.Transaction{ChargingState: transactions.ChargingStateEVConnected},
		func(r *transactions.TransactionEventRequest) {
			r.Evse = &types.EVSE{ID: 1, ConnectorID: ptr(1)}
			r.IDToken = &types.IdToken{IdToken: good, Type: types.IdTokenTypeISO14443}
			r.MeterValue = samples201(begin, types.ReadingContextTransactionBegin, 12.5, 0, 40)
		})
	if resp.IDTokenInfo == nil || resp.IDTokenInfo.Status != types.AuthorizationStatusAccepted {
		t.Fatalf("Started: %+v", resp)
	}
	x.event(t, transactions.TransactionEventUpdated, begin.Add(time.Second), transactions.TriggerReasonChargingStateChanged,
		transactions.Transaction{ChargingState: transactions.ChargingStateCharging}, func(*transactions.TransactionEventRequest) {})
	x.event(t, transactions.TransactionEventUpdated, begin.Add(time.Minute), transactions.TriggerReasonMeterValuePeriodic,
		transactions.Transaction{ChargingState: transactions.ChargingStateCharging}, func(r *transactions.TransactionEventRequest) {
			r.MeterValue = samples201(begin.Add(time.Minute), types.ReadingContextSamplePeriodic, 13.001, 7200, 57)
		})
	awaitState(t, s.id, "Occupied", "Charging")
	want := node.Session{Station: s.id, TransactionID: x.id, EVSE: 1, Connector: 1, Token: ptr(good), TokenType: "ISO14443", State: "active", ChargingState: "Charging",
		StartedAt: begin, EnergyWh: 501, PowerW: 7200, SoC: ptr(57), MeterStartWh: ptr(int64(12500)), MeterStopWh: ptr(int64(13001))}
	checkOnlySession(t, want)

	end := begin.Add(9 * time.Minute)
	x.event(t, transactions.TransactionEventEnded, end, transactions.TriggerReasonStopAuthorized,
		transactions.Transaction{ChargingState: transactions.ChargingStateIdle, StoppedReason: transactions.ReasonLocal}, func(r *transactions.TransactionEventRequest) {
			r.IDToken = &types.IdToken{IdToken: good, Type: types.IdTokenTypeISO14443}
			r.MeterValue = samples201(end, types.ReadingContextTransactionEnd, 19.842, 0, 63)
		})
	s.status(t, end.Add(time.Second), availability.ConnectorStatusAvailable)
	awaitState(t, s.id, "Available", "")
	want.State, want.ChargingState, want.EndedAt, want.EnergyWh, want.PowerW, want.SoC, want.StoppedReason, want.MeterStopWh = "ended", "Idle", &end, 7342, 0, ptr(63), "Local", ptr(int64(19842))
	session := checkOnlySession(t, want)
	checkReading(t, session, begin.Add(time.Minute), "Sample.Periodic", []string{"Energy.Active.Import.Register 13.001 kWh", "Power.Active.Import 7200 W", "SoC 57 Percent"})
	checkStation(t, node.Station{ID: s.id, Vendor: "ACME", Model: "Tower 22", SerialNumber: "SN-" + s.id, Firmware: "2.5.0", Protocol: "2.0.1", Online: true, Admission: "accepted"})
	checkFrames(t, s.id, "BootNotification", "in", 1)
	checkFrames(t, s.id, "Authorize", "in", 3)
	checkFrames(t, s.id, "TransactionEvent", "in", 4)
	checkFrames(t, s.id, "StatusNotification", "in", 3)
}

func TestRemoteCharge201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-REMOTE"))
	token := types.IdToken{IdToken: fresh("REMOTE201"), Type: types.IdTokenTypeCentral}
	lumela.AddToken(t, token.IdToken, "Central", "active")
	lumela.Send(t, s.id, "RequestStartTransaction", `{"remoteStartId":78,"evseId":1,"idToken":{"idToken":"`+token.IdToken+`","type":"Central"}}`, `{"status":"Accepted"}`)
	asked := await(t, "the remote start", s.start)
	if diff := cmp.Diff(&remotecontrol.RequestStartTransactionRequest{EvseID: ptr(1), RemoteStartID: 78, IDToken: token}, asked); diff != "" {
		t.Errorf("RequestStartTransaction (-want +got):\n%s", diff)
	}
	begin := aWhileAgo()
	x := &transaction201{station: s, id: "tx-go-201-remote"}
	x.event(t, transactions.TransactionEventStarted, begin, transactions.TriggerReasonRemoteStart,
		transactions.Transaction{ChargingState: transactions.ChargingStateCharging, RemoteStartID: &asked.RemoteStartID}, func(r *transactions.TransactionEventRequest) {
			r.Evse, r.IDToken = &types.EVSE{ID: *asked.EvseID, ConnectorID: ptr(1)}, &asked.IDToken
			r.MeterValue = samples201(begin, types.ReadingContextTransactionBegin, 0.05, 11000, 20)
		})
	want := node.Session{Station: s.id, TransactionID: x.id, EVSE: 1, Connector: 1, Token: ptr(token.IdToken), TokenType: "Central", State: "active", ChargingState: "Charging",
		StartedAt: begin, PowerW: 11000, SoC: ptr(20), MeterStartWh: ptr(int64(50)), MeterStopWh: ptr(int64(50)), RemoteStartID: ptr(78)}
	session := checkOnlySession(t, want)

	lumela.Send(t, s.id, "RequestStopTransaction", `{"transactionId":"`+x.id+`"}`, `{"status":"Accepted"}`)
	if r := await(t, "the remote stop", s.stop); r.TransactionID != x.id {
		t.Errorf("RequestStopTransaction of %s, want %s", r.TransactionID, x.id)
	}
	end := begin.Add(2 * time.Minute)
	x.event(t, transactions.TransactionEventEnded, end, transactions.TriggerReasonRemoteStop,
		transactions.Transaction{ChargingState: transactions.ChargingStateEVConnected, StoppedReason: transactions.ReasonRemote}, func(r *transactions.TransactionEventRequest) {
			r.MeterValue = samples201(end, types.ReadingContextTransactionEnd, 0.617, 0, 21)
		})
	want.State, want.ChargingState, want.EndedAt, want.EnergyWh, want.PowerW, want.SoC, want.StoppedReason, want.MeterStopWh = "ended", "EVConnected", &end, 567, 0, ptr(21), "Remote", ptr(int64(617))
	checkOnlySession(t, want)
	checkFrames(t, s.id, "RequestStartTransaction", "out", 1)
	checkFrames(t, s.id, "RequestStopTransaction", "out", 1)
	lumela.Call(t, http.MethodPost, "/sessions/"+session.ID+"/stop", "", http.StatusConflict, nil)
}

func TestVariables201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-VARIABLES"))
	want := []node.Variable{
		{Component: "Connector", EVSE: 1, Connector: 1, Variable: "ConnectorType", Attribute: "Actual", Value: "cType2", Mutability: "ReadOnly", DataType: "string"},
		{Component: "OCPPCommCtrlr", Variable: "HeartbeatInterval", Attribute: "Actual", Value: "300", Mutability: "ReadWrite", DataType: "integer", Unit: "s"},
		{Component: "SampledDataCtrlr", Variable: "TxUpdatedInterval", Attribute: "Actual", Value: "60", Mutability: "ReadWrite", DataType: "integer", Unit: "s"},
	}
	awaitModel := func(what string) {
		t.Helper()
		node.Eventually(t, what, func() []node.Variable { return lumela.Variables(t, s.id) }, func(got []node.Variable) bool { return cmp.Equal(want, got) })
	}
	awaitModel("the device model, read when the station is new")
	lumela.Send(t, s.id, "GetVariables", `{"getVariableData":[{"attributeType":"Actual","component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}`,
		`{"getVariableResult":[{"attributeStatus":"Accepted","attributeType":"Actual","attributeValue":"300","component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}`)
	heartbeat := provisioning.GetVariableData{AttributeType: types.AttributeActual, Component: types.Component{Name: "OCPPCommCtrlr"}, Variable: types.Variable{Name: "HeartbeatInterval"}}
	if diff := cmp.Diff(provisioning.NewGetVariablesRequest([]provisioning.GetVariableData{heartbeat}), last[*provisioning.GetVariablesRequest](t, &s.inbox)); diff != "" {
		t.Errorf("GetVariables (-want +got):\n%s", diff)
	}

	lumela.Send(t, s.id, "SetVariables", `{"setVariableData":[{"attributeValue":"30","component":{"name":"SampledDataCtrlr"},"variable":{"name":"TxUpdatedInterval"}}]}`,
		`{"setVariableResult":[{"attributeStatus":"Accepted","component":{"name":"SampledDataCtrlr"},"variable":{"name":"TxUpdatedInterval"}}]}`)
	interval := provisioning.SetVariableData{AttributeValue: "30", Component: types.Component{Name: "SampledDataCtrlr"}, Variable: types.Variable{Name: "TxUpdatedInterval"}}
	if diff := cmp.Diff(provisioning.NewSetVariablesRequest([]provisioning.SetVariableData{interval}), last[*provisioning.SetVariablesRequest](t, &s.inbox)); diff != "" {
		t.Errorf("SetVariables (-want +got):\n%s", diff)
	}
	want[2].Value = "30"
	awaitModel("the value that was set")

	s.settings.Lock()
	s.model[0].VariableAttribute[0].Value = "60"
	s.settings.Unlock()
	lumela.Send(t, s.id, "GetBaseReport", `{"requestId":5,"reportBase":"FullInventory"}`, `{"status":"Accepted"}`)
	if diff := cmp.Diff(provisioning.NewGetBaseReportRequest(5, provisioning.ReportTypeFullInventory), last[*provisioning.GetBaseReportRequest](t, &s.inbox)); diff != "" {
		t.Errorf("GetBaseReport (-want +got):\n%s", diff)
	}
	want[1].Value = "60"
	awaitModel("the value that the report brought")
	checkFrames(t, s.id, "NotifyReport", "in", 6)
	lumela.Send(t, s.id, "GetLocalListVersion", `{}`, `{"versionNumber":9}`)
	lumela.Send(t, s.id, "ClearCache", `{}`, `{"status":"Accepted"}`)
}

func TestCommands201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-COMMANDS"))
	awaitState(t, s.id, "Available", "")
	expiry := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, c := range []struct {
		action, payload, response string
		received                  func() any
		want                      any
	}{
		{"Reset", `{"type":"OnIdle"}`, `{"status":"Scheduled"}`, func() any { return last[*provisioning.ResetRequest](t, &s.inbox) },
			provisioning.NewResetRequest(provisioning.ResetTypeOnIdle)},
		{"Reset", `{"type":"Immediate","evseId":1}`, `{"status":"Accepted"}`, func() any { return last[*provisioning.ResetRequest](t, &s.inbox) },
			&provisioning.ResetRequest{Type: provisioning.ResetTypeImmediate, EvseID: ptr(1)}},
		{"TriggerMessage", `{"requestedMessage":"Heartbeat"}`, `{"status":"Accepted"}`, func() any { return last[*remotecontrol.TriggerMessageRequest](t, &s.inbox) },
			remotecontrol.NewTriggerMessageRequest(remotecontrol.MessageTriggerHeartbeat)},
		{"UnlockConnector", `{"evseId":1,"connectorId":1}`, `{"status":"Unlocked"}`, func() any { return last[*remotecontrol.UnlockConnectorRequest](t, &s.inbox) },
			remotecontrol.NewUnlockConnectorRequest(1, 1)},
		{"SendLocalList", `{"versionNumber":8,"updateType":"Full","localAuthorizationList":[{"idToken":{"idToken":"LIST201","type":"ISO14443"},"idTokenInfo":{"status":"Accepted"}}]}`,
			`{"status":"Accepted"}`, func() any { return last[*localauth.SendLocalListRequest](t, &s.inbox) },
			&localauth.SendLocalListRequest{VersionNumber: 8, UpdateType: localauth.UpdateTypeFull, LocalAuthorizationList: []localauth.AuthorizationData{{
				IdToken: types.IdToken{IdToken: "LIST201", Type: types.IdTokenTypeISO14443}, IdTokenInfo: &types.IdTokenInfo{Status: types.AuthorizationStatusAccepted}}}}},
		{"ReserveNow", fmt.Sprintf(`{"id":42,"evseId":1,"connectorType":"cType2","expiryDateTime":%q,"idToken":{"idToken":"RESERVE201","type":"ISO14443"}}`, expiry.Format(time.RFC3339)),
			`{"status":"Accepted"}`, func() any { return last[*reservation.ReserveNowRequest](t, &s.inbox) },
			&reservation.ReserveNowRequest{ID: 42, EvseID: ptr(1), ConnectorType: reservation.ConnectorTypeCType2, ExpiryDateTime: types.NewDateTime(expiry),
				IdToken: types.IdToken{IdToken: "RESERVE201", Type: types.IdTokenTypeISO14443}}},
		{"CancelReservation", `{"reservationId":42}`, `{"status":"Accepted"}`, func() any { return last[*reservation.CancelReservationRequest](t, &s.inbox) },
			reservation.NewCancelReservationRequest(42)},
		{"SetChargingProfile", `{"evseId":1,"chargingProfile":{"id":7,"stackLevel":2,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative",
			"chargingSchedule":[{"id":1,"chargingRateUnit":"A","duration":3600,"chargingSchedulePeriod":[{"startPeriod":0,"limit":16,"numberPhases":3},{"startPeriod":600,"limit":10.5}]}]}}`,
			`{"status":"Accepted"}`, func() any { return last[*smartcharging.SetChargingProfileRequest](t, &s.inbox) },
			smartcharging.NewSetChargingProfileRequest(1, &types.ChargingProfile{ID: 7, StackLevel: 2, ChargingProfilePurpose: types.ChargingProfilePurposeTxDefaultProfile,
				ChargingProfileKind: types.ChargingProfileKindRelative, ChargingSchedule: []types.ChargingSchedule{{ID: 1, Duration: ptr(3600), ChargingRateUnit: types.ChargingRateUnitAmperes,
					ChargingSchedulePeriod: []types.ChargingSchedulePeriod{{StartPeriod: 0, Limit: 16, NumberPhases: ptr(3)}, {StartPeriod: 600, Limit: 10.5}}}}})},
		{"ClearChargingProfile", `{"chargingProfileId":7}`, `{"status":"Accepted"}`, func() any { return last[*smartcharging.ClearChargingProfileRequest](t, &s.inbox) },
			&smartcharging.ClearChargingProfileRequest{ChargingProfileID: ptr(7)}},
		{"GetChargingProfiles", `{"requestId":6,"chargingProfile":{"chargingProfilePurpose":"TxDefaultProfile"}}`, `{"status":"NoProfiles"}`,
			func() any { return last[*smartcharging.GetChargingProfilesRequest](t, &s.inbox) },
			&smartcharging.GetChargingProfilesRequest{RequestID: 6, ChargingProfile: smartcharging.ChargingProfileCriterion{ChargingProfilePurpose: types.ChargingProfilePurposeTxDefaultProfile}}},
	} {
		lumela.Send(t, s.id, c.action, c.payload, c.response)
		if diff := cmp.Diff(c.want, c.received()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.action, diff)
		}
	}
	checkFrames(t, s.id, "Heartbeat", "in", 1)
	checkNullNoted(t, s.id)
	for _, step := range []struct {
		to     availability.OperationalStatus
		status string
	}{{availability.OperationalStatusInoperative, "Unavailable"}, {availability.OperationalStatusOperative, "Available"}} {
		lumela.Send(t, s.id, "ChangeAvailability", fmt.Sprintf(`{"operationalStatus":%q,"evse":{"id":1,"connectorId":1}}`, step.to), `{"status":"Accepted"}`)
		want := &availability.ChangeAvailabilityRequest{OperationalStatus: step.to, Evse: &types.EVSE{ID: 1, ConnectorID: ptr(1)}}
		if diff := cmp.Diff(want, last[*availability.ChangeAvailabilityRequest](t, &s.inbox)); diff != "" {
			t.Errorf("ChangeAvailability (-want +got):\n%s", diff)
		}
		awaitState(t, s.id, step.status, "")
	}
}

// checkNullNoted demands that the library's null for an absent statusInfo, which the schema does not allow, is taken as
// absent and written down.
func checkNullNoted(t *testing.T, station string) {
	t.Helper()
	for _, f := range lumela.Frames(t, station, "Reset") {
		if f.Type == "CALLRESULT" && (len(f.Notes) != 1 || f.Notes[0].Kind != "warning" || !strings.Contains(f.Notes[0].Text, "statusInfo")) {
			t.Errorf("notes of %s: %+v", f.Text, f.Notes)
		}
	}
}

// TestCompositeSchedule201 shows what an answer that breaks the schema does: the library's composite schedule is not
// that of OCPP 2.0.1. The command fails with the place of the fault, and the station goes on.
func TestCompositeSchedule201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-SCHEDULE"))
	var answer struct{ Detail string }
	lumela.Call(t, http.MethodPost, "/stations/"+s.id+"/commands/GetCompositeSchedule", `{"evseId":1,"duration":1800,"chargingRateUnit":"A"}`, http.StatusBadGateway, &answer)
	want := &smartcharging.GetCompositeScheduleRequest{EvseID: 1, Duration: 1800, ChargingRateUnit: types.ChargingRateUnitAmperes}
	if diff := cmp.Diff(want, last[*smartcharging.GetCompositeScheduleRequest](t, &s.inbox)); diff != "" {
		t.Errorf("GetCompositeSchedule (-want +got):\n%s", diff)
	}
	if !strings.Contains(answer.Detail, "schedule") {
		t.Errorf("the answer does not say where the fault is: %s", answer.Detail)
	}
	lumela.Send(t, s.id, "ClearCache", `{}`, `{"status":"Accepted"}`)
}

func TestPassword201(t *testing.T) {
	t.Parallel()
	const password = "correct-horse-battery-staple"
	id := fresh("GO201-PASSWORD")
	lumela.Call(t, http.MethodPost, "/stations", `{"id":"`+id+`","securityProfile":1,"password":"`+password+`"}`, http.StatusCreated, nil)
	client := ws.NewClient()
	client.SetBasicAuth(id, password+"!")
	s := newStation201(t, id, client)
	if err := s.Start(lumela.Socket); err == nil {
		s.Stop()
		t.Fatal("let in with a wrong password")
	} else if !strings.Contains(err.Error(), "401") {
		t.Errorf("refused with %v, want 401", err)
	}
	client = ws.NewClient()
	client.SetBasicAuth(id, password)
	s = newStation201(t, id, client)
	s.connect(t)
	awaitState(t, id, "Available", "")
	checkStation(t, node.Station{ID: id, Vendor: "ACME", Model: "Tower 22", SerialNumber: "SN-" + id, Firmware: "2.5.0", Protocol: "2.0.1",
		Online: true, Admission: "accepted", SecurityProfile: 1})
}
