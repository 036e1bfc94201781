package ocppgo

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/core"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/localauth"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/remotetrigger"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/reservation"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/smartcharging"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/types"
	"github.com/lorenzodonini/ocpp-go/ws"

	"lumela/test/thirdparty/node"
)

// scheduleStart is when the stations' composite schedules begin.
var scheduleStart = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// samples16 are readings in kWh, kW and percent, as many stations send them.
func samples16(at time.Time, context types.ReadingContext, kwh, kw, soc string) []types.MeterValue {
	return []types.MeterValue{{Timestamp: types.NewDateTime(at), SampledValue: []types.SampledValue{
		{Value: kwh, Context: context, Measurand: types.MeasurandEnergyActiveImportRegister, Unit: types.UnitOfMeasureKWh, Location: types.LocationOutlet},
		{Value: kw, Context: context, Measurand: types.MeasurandPowerActiveImport, Unit: types.UnitOfMeasureKW},
		{Value: soc, Context: context, Measurand: types.MeasurandSoC, Unit: types.UnitOfMeasurePercent, Location: types.LocationEV},
	}}}
}

func TestCharge16(t *testing.T) {
	t.Parallel()
	p := connect16(t, fresh("GO16-CHARGE"))
	good, bad := fresh("04AABB16"), fresh("04BAD16")
	lumela.AddToken(t, good, "", "active")
	lumela.AddToken(t, bad, "", "blocked")

	for tag, want := range map[string]types.AuthorizationStatus{good: types.AuthorizationStatusAccepted,
		bad: types.AuthorizationStatusBlocked, "NOBODY16": types.AuthorizationStatusInvalid} {
		if got := must[*core.AuthorizeConfirmation](t)(p.Authorize(tag)); got.IdTagInfo.Status != want {
			t.Errorf("Authorize %s: %s, want %s", tag, got.IdTagInfo.Status, want)
		}
	}

	begin := aWhileAgo()
	p.status(t, begin, 1, core.ChargePointStatusPreparing)
	started := must[*core.StartTransactionConfirmation](t)(p.StartTransaction(1, good, 1000, types.NewDateTime(begin)))
	if started.IdTagInfo.Status != types.AuthorizationStatusAccepted || started.TransactionId <= 0 {
		t.Fatalf("StartTransaction: %+v", started)
	}
	p.status(t, begin.Add(time.Second), 1, core.ChargePointStatusCharging)
	must[*core.MeterValuesConfirmation](t)(p.MeterValues(1, samples16(begin.Add(time.Minute), types.ReadingContextSamplePeriodic, "2.250", "7.2", "57"),
		func(r *core.MeterValuesRequest) { r.TransactionId = ptr(started.TransactionId) }))
	awaitState(t, p.id, "Occupied", "Charging")

	want := node.Session{Station: p.id, TransactionID: strconv.Itoa(started.TransactionId), EVSE: 1, Connector: 1, Token: ptr(good),
		TokenType: "", State: "active", ChargingState: "Charging", StartedAt: begin, EnergyWh: 1250, PowerW: 7200, SoC: ptr(57), MeterStartWh: ptr(int64(1000)),
		MeterStopWh: ptr(int64(2250))}
	checkOnlySession(t, want)

	end := begin.Add(9 * time.Minute)
	must[*core.StopTransactionConfirmation](t)(p.StopTransaction(8342, types.NewDateTime(end), started.TransactionId, func(r *core.StopTransactionRequest) {
		r.IdTag, r.Reason = good, core.ReasonLocal
		r.TransactionData = samples16(end, types.ReadingContextTransactionEnd, "8.342", "0", "63")
	}))
	p.status(t, end, 1, core.ChargePointStatusFinishing)
	awaitState(t, p.id, "Occupied", "Finishing")
	want.State, want.ChargingState, want.EndedAt, want.EnergyWh, want.PowerW, want.SoC = "ended", "", &end, 7342, 0, ptr(63)
	want.StoppedReason, want.MeterStopWh = "Local", ptr(int64(8342))
	session := checkOnlySession(t, want)
	p.status(t, end.Add(time.Second), 1, core.ChargePointStatusAvailable)
	awaitState(t, p.id, "Available", "")

	checkReading(t, session, begin.Add(time.Minute), "Sample.Periodic", []string{"Energy.Active.Import.Register 2.250 kWh", "Power.Active.Import 7.2 kW", "SoC 57 Percent"})
	checkStation(t, node.Station{ID: p.id, Vendor: "ACME", Model: "Wallbox 11", SerialNumber: "SN-" + p.id, Firmware: "1.4.2", Protocol: "1.6", Online: true, Admission: "accepted"})
	checkFrames(t, p.id, "BootNotification", "in", 1)
	checkFrames(t, p.id, "Authorize", "in", 3)
	checkFrames(t, p.id, "StartTransaction", "in", 1)
	checkFrames(t, p.id, "MeterValues", "in", 1)
	checkFrames(t, p.id, "StopTransaction", "in", 1)
	checkFrames(t, p.id, "StatusNotification", "in", 6)
}

// checkOnlySession demands that a station has one session, which looks like this and has no flags.
func checkOnlySession(t *testing.T, want node.Session) node.Session {
	t.Helper()
	got := lumela.Sessions(t, want.Station)
	if len(got) != 1 {
		t.Fatalf("sessions: %+v", got)
	}
	if diff := cmp.Diff(want, got[0], cmpopts.IgnoreFields(node.Session{}, "ID"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	return got[0]
}

// checkReading demands that one of a session's readings, at this moment, is exactly so.
func checkReading(t *testing.T, s node.Session, at time.Time, context string, want []string) {
	t.Helper()
	for _, mv := range lumela.MeterValues(t, s.ID) {
		if !mv.At.Equal(at) || mv.Context != context {
			continue
		}
		var got []string
		for _, v := range mv.Samples {
			got = append(got, v.Measurand+" "+v.Value+" "+v.Unit)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("reading (-want +got):\n%s", diff)
		}
		return
	}
	t.Errorf("no reading %s at %s in %+v", context, at, lumela.MeterValues(t, s.ID))
}

// checkStation compares what a station says of itself.
func checkStation(t *testing.T, want node.Station) {
	t.Helper()
	got := lumela.Station(t, want.ID)
	if got.BootedAt == nil || time.Since(*got.BootedAt).Abs() > time.Minute {
		t.Errorf("booted at %v", got.BootedAt)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(node.Station{}, "BootedAt", "EVSEs")); diff != "" {
		t.Errorf("station (-want +got):\n%s", diff)
	}
}

func TestRemoteCharge16(t *testing.T) {
	t.Parallel()
	p := connect16(t, fresh("GO16-REMOTE"))
	token := fresh("REMOTE16")
	lumela.AddToken(t, token, "", "active")
	sent := lumela.Send(t, p.id, "RequestStartTransaction", `{"remoteStartId":77,"evseId":1,"idToken":{"idToken":"`+token+`","type":"Central"}}`, `{"status":"Accepted"}`)
	if !slices.ContainsFunc(sent.Translation, func(n node.Note) bool { return n.Kind == "lost" && n.Field == "idToken.type" }) {
		t.Errorf("nobody was told that 1.6 has no types of tokens: %+v", sent.Translation)
	}
	asked := await(t, "the remote start", p.start)
	if diff := cmp.Diff(&core.RemoteStartTransactionRequest{ConnectorId: ptr(1), IdTag: token}, asked); diff != "" {
		t.Errorf("RemoteStartTransaction (-want +got):\n%s", diff)
	}
	begin := aWhileAgo()
	started := must[*core.StartTransactionConfirmation](t)(p.StartTransaction(*asked.ConnectorId, asked.IdTag, 50, types.NewDateTime(begin)))
	p.status(t, begin.Add(time.Second), 1, core.ChargePointStatusCharging)
	must[*core.MeterValuesConfirmation](t)(p.MeterValues(1, samples16(begin.Add(time.Minute), types.ReadingContextSamplePeriodic, "0.1", "11", "20"),
		func(r *core.MeterValuesRequest) { r.TransactionId = ptr(started.TransactionId) }))
	id := strconv.Itoa(started.TransactionId)
	want := node.Session{Station: p.id, TransactionID: id, EVSE: 1, Connector: 1, Token: ptr(token), TokenType: "", State: "active",
		ChargingState: "Charging", StartedAt: begin, EnergyWh: 50, PowerW: 11000, SoC: ptr(20), MeterStartWh: ptr(int64(50)), MeterStopWh: ptr(int64(100)), RemoteStartID: ptr(77)}
	session := checkOnlySession(t, want)

	var stopped node.Command
	lumela.Call(t, http.MethodPost, "/sessions/"+session.ID+"/stop", "", http.StatusOK, &stopped)
	if stopped.Status != "ok" || string(stopped.Response) != `{"status":"Accepted"}` {
		t.Fatalf("stop: %+v", stopped)
	}
	if r := await(t, "the remote stop", p.stop); r.TransactionId != started.TransactionId {
		t.Errorf("RemoteStopTransaction of %d, want %d", r.TransactionId, started.TransactionId)
	}
	end := begin.Add(2 * time.Minute)
	must[*core.StopTransactionConfirmation](t)(p.StopTransaction(617, types.NewDateTime(end), started.TransactionId, func(r *core.StopTransactionRequest) {
		r.Reason = core.ReasonRemote
	}))
	p.status(t, end.Add(time.Second), 1, core.ChargePointStatusAvailable)
	want.State, want.ChargingState, want.EndedAt, want.EnergyWh, want.PowerW, want.StoppedReason, want.MeterStopWh = "ended", "", &end, 567, 0, "Remote", ptr(int64(617))
	checkOnlySession(t, want)
	checkFrames(t, p.id, "RemoteStartTransaction", "out", 1)
	checkFrames(t, p.id, "RemoteStopTransaction", "out", 1)
	lumela.Call(t, http.MethodPost, "/sessions/"+session.ID+"/stop", "", http.StatusConflict, nil)
}

func TestVariables16(t *testing.T) {
	t.Parallel()
	p := connect16(t, fresh("GO16-VARIABLES"))
	node.Eventually(t, "the first reading of the device model", func() []node.Command { return lumela.Commands(t, p.id) }, func(list []node.Command) bool {
		return len(list) == 1 && list[0].Action == "GetBaseReport" && list[0].Status != "sent"
	})
	lumela.Send(t, p.id, "GetVariables", `{"getVariableData":[{"component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}`,
		`{"getVariableResult":[{"attributeStatus":"Accepted","attributeValue":"300","component":{"name":"OCPPCommCtrlr"},"variable":{"name":"HeartbeatInterval"}}]}`)
	if diff := cmp.Diff(&core.GetConfigurationRequest{Key: []string{"HeartbeatInterval"}}, last[*core.GetConfigurationRequest](t, &p.inbox)); diff != "" {
		t.Errorf("GetConfiguration (-want +got):\n%s", diff)
	}
	lumela.Send(t, p.id, "SetVariables", `{"setVariableData":[{"attributeValue":"30","component":{"name":"SampledDataCtrlr"},"variable":{"name":"TxUpdatedInterval"}}]}`,
		`{"setVariableResult":[{"attributeStatus":"Accepted","component":{"name":"SampledDataCtrlr"},"variable":{"name":"TxUpdatedInterval"}}]}`)
	if diff := cmp.Diff(&core.ChangeConfigurationRequest{Key: "MeterValueSampleInterval", Value: "30"}, last[*core.ChangeConfigurationRequest](t, &p.inbox)); diff != "" {
		t.Errorf("ChangeConfiguration (-want +got):\n%s", diff)
	}
	lumela.Send(t, p.id, "GetBaseReport", `{"requestId":5,"reportBase":"FullInventory"}`, `{"status":"Accepted"}`)
	if got := last[*core.GetConfigurationRequest](t, &p.inbox); len(got.Key) != 0 {
		t.Errorf("a full report asked for %v only", got.Key)
	}
	node.Eventually(t, "the device model", func() map[string]string { return modelOf(t, p.id) }, func(m map[string]string) bool {
		return m["OCPPCommCtrlr.HeartbeatInterval"] == "300" && m["SampledDataCtrlr.TxUpdatedInterval"] == "30" && hasValue(m, "AcmeCableLock", "soft")
	})
	lumela.Send(t, p.id, "GetLocalListVersion", `{}`, `{"versionNumber":7}`)
	lumela.Send(t, p.id, "ClearCache", `{}`, `{"status":"Accepted"}`)
}

// modelOf is the device model of a station by component and variable.
func modelOf(t *testing.T, station string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, v := range lumela.Variables(t, station) {
		m[v.Component+"."+v.Variable] = v.Value
	}
	return m
}

func hasValue(m map[string]string, variable, value string) bool {
	for k, v := range m {
		if strings.HasSuffix(k, "."+variable) && v == value {
			return true
		}
	}
	return false
}

func TestCommands16(t *testing.T) {
	t.Parallel()
	p := connect16(t, fresh("GO16-COMMANDS"))
	awaitState(t, p.id, "Available", "")
	expiry := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, c := range []struct {
		action, payload, response string
		received                  func() any
		want                      any
	}{
		{"Reset", `{"type":"OnIdle"}`, `{"status":"Accepted"}`, func() any { return last[*core.ResetRequest](t, &p.inbox) }, core.NewResetRequest(core.ResetTypeSoft)},
		{"Reset", `{"type":"Immediate"}`, `{"status":"Accepted"}`, func() any { return last[*core.ResetRequest](t, &p.inbox) }, core.NewResetRequest(core.ResetTypeHard)},
		{"TriggerMessage", `{"requestedMessage":"Heartbeat"}`, `{"status":"Accepted"}`, func() any { return last[*remotetrigger.TriggerMessageRequest](t, &p.inbox) },
			remotetrigger.NewTriggerMessageRequest(core.HeartbeatFeatureName)},
		{"UnlockConnector", `{"evseId":1,"connectorId":1}`, `{"status":"Unlocked"}`, func() any { return last[*core.UnlockConnectorRequest](t, &p.inbox) }, core.NewUnlockConnectorRequest(1)},
		{"SendLocalList", `{"versionNumber":8,"updateType":"Full","localAuthorizationList":[{"idToken":{"idToken":"LIST16","type":"ISO14443"},"idTokenInfo":{"status":"Accepted"}}]}`,
			`{"status":"Accepted"}`, func() any { return last[*localauth.SendLocalListRequest](t, &p.inbox) },
			&localauth.SendLocalListRequest{ListVersion: 8, UpdateType: localauth.UpdateTypeFull, LocalAuthorizationList: []localauth.AuthorizationData{
				{IdTag: "LIST16", IdTagInfo: &types.IdTagInfo{Status: types.AuthorizationStatusAccepted}}}}},
		{"ReserveNow", fmt.Sprintf(`{"id":41,"evseId":1,"expiryDateTime":%q,"idToken":{"idToken":"RESERVE16","type":"ISO14443"}}`, expiry.Format(time.RFC3339)),
			`{"status":"Accepted"}`, func() any { return last[*reservation.ReserveNowRequest](t, &p.inbox) },
			&reservation.ReserveNowRequest{ConnectorId: 1, ExpiryDate: types.NewDateTime(expiry), IdTag: "RESERVE16", ReservationId: 41}},
		{"CancelReservation", `{"reservationId":41}`, `{"status":"Accepted"}`, func() any { return last[*reservation.CancelReservationRequest](t, &p.inbox) },
			reservation.NewCancelReservationRequest(41)},
		{"SetChargingProfile", `{"evseId":1,"chargingProfile":{"id":7,"stackLevel":2,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Relative",
			"chargingSchedule":[{"id":1,"chargingRateUnit":"A","duration":3600,"chargingSchedulePeriod":[{"startPeriod":0,"limit":16,"numberPhases":3},{"startPeriod":600,"limit":10.5}]}]}}`,
			`{"status":"Accepted"}`, func() any { return last[*smartcharging.SetChargingProfileRequest](t, &p.inbox) },
			smartcharging.NewSetChargingProfileRequest(1, &types.ChargingProfile{ChargingProfileId: 7, StackLevel: 2,
				ChargingProfilePurpose: types.ChargingProfilePurposeTxDefaultProfile, ChargingProfileKind: types.ChargingProfileKindRelative,
				ChargingSchedule: &types.ChargingSchedule{Duration: ptr(3600), ChargingRateUnit: types.ChargingRateUnitAmperes,
					ChargingSchedulePeriod: []types.ChargingSchedulePeriod{{StartPeriod: 0, Limit: 16, NumberPhases: ptr(3)}, {StartPeriod: 600, Limit: 10.5}}}})},
		{"GetCompositeSchedule", `{"evseId":1,"duration":1800,"chargingRateUnit":"A"}`, `{"status":"Accepted","schedule":{"evseId":1,"duration":1800,
			"scheduleStart":"2031-05-06T07:08:09Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16,"numberPhases":3},{"startPeriod":600,"limit":10.5}]}}`,
			func() any { return last[*smartcharging.GetCompositeScheduleRequest](t, &p.inbox) },
			&smartcharging.GetCompositeScheduleRequest{ConnectorId: 1, Duration: 1800, ChargingRateUnit: types.ChargingRateUnitAmperes}},
		{"ClearChargingProfile", `{"chargingProfileId":7}`, `{"status":"Accepted"}`, func() any { return last[*smartcharging.ClearChargingProfileRequest](t, &p.inbox) },
			&smartcharging.ClearChargingProfileRequest{Id: ptr(7)}},
	} {
		lumela.Send(t, p.id, c.action, c.payload, c.response)
		if diff := cmp.Diff(c.want, c.received()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.action, diff)
		}
	}
	checkFrames(t, p.id, "Heartbeat", "in", 1)
	checkAvailability16(t, p)
}

func checkAvailability16(t *testing.T, p *point16) {
	t.Helper()
	for _, c := range []struct {
		to     core.AvailabilityType
		status string
	}{{core.AvailabilityTypeInoperative, "Unavailable"}, {core.AvailabilityTypeOperative, "Available"}} {
		lumela.Send(t, p.id, "ChangeAvailability", fmt.Sprintf(`{"operationalStatus":%q,"evse":{"id":1}}`, c.to), `{"status":"Accepted"}`)
		if diff := cmp.Diff(core.NewChangeAvailabilityRequest(1, c.to), last[*core.ChangeAvailabilityRequest](t, &p.inbox)); diff != "" {
			t.Errorf("ChangeAvailability (-want +got):\n%s", diff)
		}
		awaitState(t, p.id, c.status, "")
	}
}

func TestReservation16(t *testing.T) {
	t.Parallel()
	p := connect16(t, fresh("GO16-RESERVATION"))
	token := fresh("BOOKED16")
	lumela.AddToken(t, token, "", "active")
	expiry := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	reserve := func(id int) {
		lumela.Send(t, p.id, "ReserveNow", fmt.Sprintf(`{"id":%d,"evseId":1,"expiryDateTime":%q,"idToken":{"idToken":%q,"type":"ISO14443"}}`, id, expiry.Format(time.RFC3339), token),
			`{"status":"Accepted"}`)
	}
	reserve(1)
	lumela.Send(t, p.id, "CancelReservation", `{"reservationId":1}`, `{"status":"Accepted"}`)
	reserve(2)
	want := []node.Reservation{{ID: 2, EVSE: 1, Token: token, TokenType: "ISO14443", Status: "Active", ExpiresAt: expiry},
		{ID: 1, EVSE: 1, Token: token, TokenType: "ISO14443", Status: "Cancelled", ExpiresAt: expiry}}
	if diff := cmp.Diff(want, lumela.Reservations(t, p.id)); diff != "" {
		t.Errorf("reservations (-want +got):\n%s", diff)
	}
	must[*core.StartTransactionConfirmation](t)(p.StartTransaction(1, token, 0, types.NewDateTime(aWhileAgo()), func(r *core.StartTransactionRequest) {
		r.ReservationId = ptr(2)
	}))
	want[0].Status = "Used"
	if diff := cmp.Diff(want, lumela.Reservations(t, p.id)); diff != "" {
		t.Errorf("reservations (-want +got):\n%s", diff)
	}
	if s := lumela.Sessions(t, p.id); len(s) != 1 || s[0].ReservationID == nil || *s[0].ReservationID != 2 || len(s[0].Flags) != 0 {
		t.Errorf("sessions: %+v", s)
	}
}

func TestPassword16(t *testing.T) {
	t.Parallel()
	id := fresh("GO16-PASSWORD")
	var made struct{ Password string }
	lumela.Call(t, http.MethodPost, "/stations", `{"id":"`+id+`","securityProfile":1}`, http.StatusCreated, &made)
	for _, wrong := range []string{"", "not-the-password-at-all"} {
		client := ws.NewClient()
		if wrong != "" {
			client.SetBasicAuth(id, wrong)
		}
		p := newPoint16(t, id, client)
		if err := p.Start(lumela.Socket); err == nil {
			p.Stop()
			t.Fatalf("let in with the password %q", wrong)
		} else if !strings.Contains(err.Error(), "401") {
			t.Errorf("refused with %v, want 401", err)
		}
	}
	client := ws.NewClient()
	client.SetBasicAuth(id, made.Password)
	p := newPoint16(t, id, client)
	p.connect(t)
	checkStation(t, node.Station{ID: id, Vendor: "ACME", Model: "Wallbox 11", SerialNumber: "SN-" + id, Firmware: "1.4.2", Protocol: "1.6",
		Online: true, Admission: "accepted", SecurityProfile: 1})
}
