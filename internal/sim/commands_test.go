package sim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/govalues/decimal"

	"lumela/internal/sim"
	"lumela/internal/sim/simtest"
	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

func slow(c *sim.Config) { c.Behaviour.Speed = 1 }

func charging(t *testing.T, s *sim.Station) {
	t.Helper()
	until(t, s, "online", online)
	check(t, s.PlugIn(1, sim.Car{SoC: 10}))
	check(t, s.PresentToken(1, "TAG1"))
	until(t, s, "charging", func(s sim.Snapshot) bool {
		return s.EVSEs[0].ChargingState == "Charging" && s.EVSEs[0].TransactionID != ""
	})
}

func TestReset16(t *testing.T) {
	t.Parallel()
	for _, typ := range []v16.ResetType{v16.ResetTypeSoft, v16.ResetTypeHard} {
		t.Run(string(typ), func(t *testing.T) {
			t.Parallel()
			c := simtest.New(t)
			s := start(t, c, ocpp.V16, slow)
			charging(t, s)
			n := len(c.Heard())
			c.Call(id, &v16.ResetRequest{Type: typ})
			stop, _ := simtest.Wait[*v16.StopTransactionRequest](c, n, nil)
			boot, _ := simtest.Wait[*v16.BootNotificationRequest](c, n, nil)
			if string(stop.Reason.V) != string(typ)+"Reset" || boot == nil {
				t.Errorf("reason %s", stop.Reason.V)
			}
			until(t, s, "finishing", func(s sim.Snapshot) bool { return s.Online && s.EVSEs[0].Status == "Finishing" })
		})
	}
}

func TestReset2(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V21, slow)
	charging(t, s)
	tx := s.State().EVSEs[0].TransactionID
	n := len(c.Heard())
	if r := c.Call(id, &v21.ResetRequest{Type: v21.ResetTypeOnIdle}); r.(*v21.ResetResponse).Status != v21.ResetStatusScheduled {
		t.Errorf("reset on idle while charging: %v", r)
	}
	check(t, s.PresentToken(1, "TAG1"))
	boot, n := simtest.Wait[*v21.BootNotificationRequest](c, n, nil)
	if boot.Reason != v21.BootReasonScheduledReset {
		t.Errorf("boot reason %s", boot.Reason)
	}
	until(t, s, "online", online)
	check(t, s.Unplug(1))
	charging(t, s)
	if next := s.State().EVSEs[0].TransactionID; next == tx {
		t.Error("the transaction id was used again")
	}
	c.Call(id, &v21.ResetRequest{Type: v21.ResetTypeImmediateAndResume})
	boot, n = simtest.Wait[*v21.BootNotificationRequest](c, n, nil)
	e, n := simtest.Wait(c, n, func(m *v21.TransactionEventRequest) bool { return m.TriggerReason == v21.TriggerReasonTxResumed })
	if boot.Reason != v21.BootReasonRemoteReset || e.EventType != v21.TransactionEventTypeUpdated {
		t.Errorf("boot %+v, event %+v", boot, e)
	}
	c.Call(id, &v21.ResetRequest{Type: v21.ResetTypeImmediate})
	e, _ = simtest.Wait(c, n, func(m *v21.TransactionEventRequest) bool { return m.EventType == v21.TransactionEventTypeEnded })
	if e.TransactionInfo.StoppedReason.V != v21.ReasonImmediateReset || e.TriggerReason != v21.TriggerReasonResetCommand {
		t.Errorf("end %+v", e)
	}
}

func dec(n int64) decimal.Decimal { return decimal.MustNew(n, 0) }

func TestProfileLimitsPower(t *testing.T) {
	t.Parallel()
	t.Run("1.6", func(t *testing.T) {
		t.Parallel()
		c := simtest.New(t)
		s := start(t, c, ocpp.V16, slow)
		charging(t, s)
		set := func(connector, id, stack int, purpose v16.ChargingProfilePurpose, amps int64) v16.ChargingProfileStatus {
			r := c.Call("CS 1", &v16.SetChargingProfileRequest{ConnectorID: connector, CsChargingProfiles: v16.ChargingProfile{ChargingProfileID: id, StackLevel: stack,
				ChargingProfilePurpose: purpose, ChargingProfileKind: v16.ChargingProfileKindAbsolute, ChargingSchedule: v16.ChargingSchedule{
					ChargingRateUnit: v16.ChargingRateUnitA, StartSchedule: ocpp.Some(time.Now().Add(-time.Minute)),
					ChargingSchedulePeriod: []v16.ChargingSchedulePeriod{{StartPeriod: 0, Limit: dec(amps)}, {StartPeriod: 3600, Limit: dec(amps + 2)}}}}})
			return r.(*v16.SetChargingProfileResponse).Status
		}
		power := func(watts int) {
			t.Helper()
			if got := s.State().EVSEs[0].PowerW; got != watts {
				t.Errorf("power %d W, want %d", got, watts)
			}
		}
		power(22080)
		set(0, 1, 0, v16.ChargingProfilePurposeTxDefaultProfile, 10)
		power(10 * 690)
		set(1, 2, 1, v16.ChargingProfilePurposeTxDefaultProfile, 12)
		power(12 * 690)
		set(1, 3, 0, v16.ChargingProfilePurposeTxProfile, 16)
		power(16 * 690)
		set(0, 4, 0, v16.ChargingProfilePurposeChargePointMaxProfile, 8)
		power(8 * 690)
		if st := set(1, 5, 99, v16.ChargingProfilePurposeTxProfile, 16); st != v16.ChargingProfileStatusRejected {
			t.Errorf("stack level 99: %s", st)
		}
		r := c.Call(id, &v16.GetCompositeScheduleRequest{ConnectorID: 1, Duration: 7200, ChargingRateUnit: ocpp.Some(v16.ChargingRateUnitA)}).(*v16.GetCompositeScheduleResponse)
		p := r.ChargingSchedule.ChargingSchedulePeriod
		if len(p) != 2 || p[0].Limit.String() != "8" || p[1].Limit.String() != "10" || p[1].StartPeriod < 3530 || p[1].StartPeriod > 3541 {
			t.Errorf("composite schedule %+v", p)
		}
		c.Call(id, &v16.ClearChargingProfileRequest{ChargingProfilePurpose: ocpp.Some(v16.ChargingProfilePurposeChargePointMaxProfile)})
		power(16 * 690)
		set(0, 6, 0, v16.ChargingProfilePurposeChargePointMaxProfile, 0)
		until(t, s, "suspended", func(s sim.Snapshot) bool { return s.EVSEs[0].Status == "SuspendedEVSE" })
	})
	t.Run("2.0.1", func(t *testing.T) {
		t.Parallel()
		c := simtest.New(t)
		s := start(t, c, ocpp.V201, slow)
		charging(t, s)
		tx := s.State().EVSEs[0].TransactionID
		profile := func(limit int64) v201.ChargingProfile {
			return v201.ChargingProfile{ID: 1, StackLevel: 0, ChargingProfilePurpose: v201.ChargingProfilePurposeTxProfile, TransactionID: ocpp.Some(tx),
				ChargingProfileKind: v201.ChargingProfileKindRelative, ChargingSchedule: []v201.ChargingSchedule{{ID: 1, ChargingRateUnit: v201.ChargingRateUnitW,
					ChargingSchedulePeriod: []v201.ChargingSchedulePeriod{{StartPeriod: 0, Limit: dec(limit)}}}}}
		}
		c.Call(id, &v201.SetChargingProfileRequest{EVSEID: 1, ChargingProfile: profile(5000)})
		if got := s.State().EVSEs[0].PowerW; got != 5000 {
			t.Errorf("power %d W, want 5000", got)
		}
		other := profile(1)
		other.TransactionID = ocpp.Some("other")
		if r := c.Call(id, &v201.SetChargingProfileRequest{EVSEID: 1, ChargingProfile: other}).(*v201.SetChargingProfileResponse); r.Status != v201.ChargingProfileStatusRejected {
			t.Error("profile for an unknown transaction accepted")
		}
		c.Call(id, &v201.GetChargingProfilesRequest{RequestID: 4, ChargingProfile: v201.ChargingProfileCriterion{ChargingProfilePurpose: ocpp.Some(v201.ChargingProfilePurposeTxProfile)}})
		r, _ := simtest.Wait[*v201.ReportChargingProfilesRequest](c, 0, nil)
		if r.RequestID != 4 || r.EVSEID != 1 || len(r.ChargingProfile) != 1 {
			t.Errorf("report %+v", r)
		}
	})
}

func TestOfflineReplay(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V201, func(c *sim.Config) { c.Settings["AuthCtrlr.OfflineTxForUnknownIdEnabled"] = "true" })
	until(t, s, "online", online)
	s.GoOffline()
	c.Connected(id, false)
	before := time.Now()
	check(t, s.PlugIn(1, sim.Car{SoC: 99, BatteryWh: 50_000}))
	check(t, s.PresentToken(1, "STRANGER"))
	until(t, s, "full", func(s sim.Snapshot) bool { return s.EVSEs[0].ChargingState == "SuspendedEV" })
	check(t, s.PresentToken(1, "STRANGER"))
	if n := s.State().Queued; n < 4 {
		t.Errorf("%d messages wait, want at least 4", n)
	}
	after := time.Now()
	s.GoOnline()
	ended(c, ocpp.V201)
	all := events21(c)
	for i, e := range all {
		if !e.Offline.V || e.SeqNo != i || e.Timestamp.Before(before.Add(-time.Second)) || e.Timestamp.After(after.Add(time.Second)) ||
			i > 0 && e.Timestamp.Before(all[i-1].Timestamp) {
			t.Errorf("event %d: offline %v, number %d, at %v", i, e.Offline, e.SeqNo, e.Timestamp)
		}
	}
	until(t, s, "empty queue", func(s sim.Snapshot) bool { return s.Queued == 0 })
}

func TestOfflineReplay16(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, func(c *sim.Config) { c.Settings["AllowOfflineTxForUnknownId"] = "true" })
	until(t, s, "online", online)
	s.GoOffline()
	c.Connected(id, false)
	check(t, s.PlugIn(1, sim.Car{SoC: 99, BatteryWh: 50_000}))
	check(t, s.PresentToken(1, "STRANGER"))
	until(t, s, "full", func(s sim.Snapshot) bool { return s.EVSEs[0].ChargingState == "SuspendedEV" })
	check(t, s.Unplug(1))
	s.GoOnline()
	stop, _ := simtest.Wait[*v16.StopTransactionRequest](c, 0, nil)
	if stop.TransactionID != 1 || stop.Reason.V != v16.ReasonEVDisconnected {
		t.Errorf("stop %+v", stop)
	}
	for _, h := range c.Heard() {
		if m, ok := h.Request.(*v16.MeterValuesRequest); ok && m.TransactionID.V != 1 {
			t.Errorf("meter values without the transaction: %+v", m)
		}
	}
}

func TestMessagesAreTriedAgain(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	var tries atomic.Int32
	c.Answer = func(_ string, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
		if _, ok := req.(*v16.StartTransactionRequest); ok && tries.Add(1) < 3 {
			return nil, &ocpp.CallError{Code: ocpp.InternalError}
		}
		return nil, nil
	}
	s := start(t, c, ocpp.V16, slow)
	charging(t, s)
	if n := tries.Load(); n != 3 {
		t.Errorf("%d tries, want 3", n)
	}
}

func TestReservation(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow)
	until(t, s, "online", online)
	reserve := func(tag string, d time.Duration) v16.ReservationStatus {
		return c.Call(id, &v16.ReserveNowRequest{ConnectorID: 1, ExpiryDate: time.Now().Add(d), IDTag: tag, ReservationID: 5}).(*v16.ReserveNowResponse).Status
	}
	if st := reserve("MINE", time.Hour); st != v16.ReservationStatusAccepted {
		t.Fatal(st)
	}
	_, n := simtest.Wait(c, 0, func(m *v16.StatusNotificationRequest) bool { return m.Status == v16.ChargePointStatusReserved })
	check(t, s.PlugIn(1, sim.Car{}))
	check(t, s.PresentToken(1, "OTHER"))
	simtest.Wait(c, n, func(m *v16.AuthorizeRequest) bool { return m.IDTag == "OTHER" })
	check(t, s.PresentToken(1, "MINE"))
	m, _ := simtest.Wait[*v16.StartTransactionRequest](c, n, nil)
	if m.IDTag != "MINE" || m.ReservationID.V != 5 {
		t.Errorf("start %+v", m)
	}
	if st := reserve("MINE", time.Hour); st != v16.ReservationStatusOccupied {
		t.Errorf("reservation while charging: %s", st)
	}
}

func TestReservationExpires(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V21, slow)
	until(t, s, "online", online)
	c.Call(id, &v21.ReserveNowRequest{ID: 9, ExpiryDateTime: time.Now().Add(300 * time.Millisecond), IDToken: v21.IDToken{IDToken: "A", Type: "Central"}})
	m, _ := simtest.Wait[*v21.ReservationStatusUpdateRequest](c, 0, nil)
	if m.ReservationID != 9 || m.ReservationUpdateStatus != v21.ReservationUpdateStatusExpired {
		t.Errorf("update %+v", m)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow)
	until(t, s, "online", online)
	for _, x := range []struct {
		key, value string
		want       v16.ConfigurationStatus
	}{
		{"HeartbeatInterval", "77", v16.ConfigurationStatusAccepted},
		{"heartbeatinterval", "x", v16.ConfigurationStatusRejected},
		{"HeartbeatInterval", "-1", v16.ConfigurationStatusRejected},
		{"NumberOfConnectors", "2", v16.ConfigurationStatusRejected},
		{"LocalPreAuthorize", "maybe", v16.ConfigurationStatusRejected},
		{"MeterValuesSampledData", "Energy.Active.Import.Register,Nonsense", v16.ConfigurationStatusRejected},
		{"MeterValuesSampledData", "Power.Active.Import", v16.ConfigurationStatusAccepted},
		{"SecurityProfile", "1", v16.ConfigurationStatusRebootRequired},
		{"NoSuchKey", "1", v16.ConfigurationStatusNotSupported},
	} {
		if r := c.Call(id, &v16.ChangeConfigurationRequest{Key: x.key, Value: x.value}).(*v16.ChangeConfigurationResponse); r.Status != x.want {
			t.Errorf("%s = %s: %s, want %s", x.key, x.value, r.Status, x.want)
		}
	}
	n := len(c.Heard())
	c.Call(id, &v16.ResetRequest{Type: v16.ResetTypeSoft})
	simtest.Wait[*v16.BootNotificationRequest](c, n, nil)
	until(t, s, "online", online)
	r := c.Call(id, &v16.GetConfigurationRequest{Key: []string{"MeterValuesSampledData", "Nothing", "AuthorizationKey"}}).(*v16.GetConfigurationResponse)
	if len(r.ConfigurationKey) != 1 || r.ConfigurationKey[0].Value.V != "Power.Active.Import" || len(r.UnknownKey) != 2 {
		t.Errorf("configuration %+v", r)
	}
	if all := c.Call(id, &v16.GetConfigurationRequest{}).(*v16.GetConfigurationResponse); len(all.ConfigurationKey) < 40 {
		t.Errorf("%d keys", len(all.ConfigurationKey))
	}
}

func TestVariablesAndReports(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V201, slow)
	until(t, s, "online", online)
	at := func(comp, name string) (v201.Component, v201.Variable) {
		return v201.Component{Name: comp}, v201.Variable{Name: name}
	}
	co, va := at("OCPPCommCtrlr", "HeartbeatInterval")
	ro, rv := at("SmartChargingCtrlr", "ProfileStackLevel")
	uo, uv := at("Nonsense", "X")
	r := c.Call(id, &v201.SetVariablesRequest{SetVariableData: []v201.SetVariableData{{AttributeValue: "99", Component: co, Variable: va},
		{AttributeValue: "1", Component: ro, Variable: rv}, {AttributeValue: "1", Component: uo, Variable: uv}, {AttributeValue: "no", Component: co, Variable: va}}}).(*v201.SetVariablesResponse)
	var got []string
	for _, x := range r.SetVariableResult {
		got = append(got, string(x.AttributeStatus))
	}
	if text := strings.Join(got, " "); text != "Accepted Rejected UnknownComponent Rejected" {
		t.Errorf("results %s", text)
	}
	g := c.Call(id, &v201.GetVariablesRequest{GetVariableData: []v201.GetVariableData{{Component: co, Variable: va}}}).(*v201.GetVariablesResponse)
	if g.GetVariableResult[0].AttributeValue.V != "99" {
		t.Errorf("value %+v", g.GetVariableResult[0])
	}
	c.Call(id, &v201.GetBaseReportRequest{RequestID: 3, ReportBase: v201.ReportBaseFullInventory})
	parts, seen := 0, map[string]bool{}
	for n, more := 0, true; more; parts++ {
		var m *v201.NotifyReportRequest
		m, n = simtest.Wait[*v201.NotifyReportRequest](c, n, nil)
		if m.SeqNo != parts || m.RequestID != 3 {
			t.Errorf("part %d has the number %d", parts, m.SeqNo)
		}
		for _, d := range m.ReportData {
			seen[d.Component.Name+"."+d.Variable.Name] = true
		}
		more = m.Tbc.V
	}
	if parts < 3 || !seen["EVSE.AvailabilityState"] || !seen["OCPPCommCtrlr.HeartbeatInterval"] || !seen["Connector.ConnectorType"] {
		t.Errorf("%d parts with %d variables", parts, len(seen))
	}
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V21, slow)
	until(t, s, "online", online)
	r := c.Call(id, &v21.SetVariableMonitoringRequest{SetMonitoringData: []v21.SetMonitoringData{{Value: dec(3000), Type: v21.MonitorTypeUpperThreshold, Severity: 4,
		Component: v21.Component{Name: "EVSE", EVSE: &v21.EVSE{ID: 1}}, Variable: v21.Variable{Name: "Power"}}}}).(*v21.SetVariableMonitoringResponse)
	if r.SetMonitoringResult[0].Status != v21.SetMonitoringStatusAccepted {
		t.Fatalf("%+v", r.SetMonitoringResult[0])
	}
	charging(t, s)
	m, n := simtest.Wait[*v21.NotifyEventRequest](c, 0, nil)
	if d := m.EventData[0]; d.ActualValue != "22080" || d.Trigger != v21.EventTriggerAlerting || d.VariableMonitoringID.V != r.SetMonitoringResult[0].ID.V {
		t.Errorf("event %+v", d)
	}
	check(t, s.PresentToken(1, "TAG1"))
	check(t, s.Unplug(1))
	if m, _ = simtest.Wait[*v21.NotifyEventRequest](c, n, nil); !m.EventData[0].Cleared.V {
		t.Errorf("event %+v", m.EventData[0])
	}
}

func TestFirmware(t *testing.T) {
	t.Parallel()
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/fw.bin" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "version=2.3.4\nimage")
	}))
	t.Cleanup(files.Close)
	c := simtest.New(t)
	s := start(t, c, ocpp.V201, slow)
	until(t, s, "online", online)
	update := func(path string, request int) []string {
		n := len(c.Heard())
		c.Call(id, &v201.UpdateFirmwareRequest{RequestID: request, Retries: ocpp.Some(0), Firmware: v201.Firmware{Location: files.URL + path, RetrieveDateTime: time.Now()}})
		var all []string
		for {
			var m *v201.FirmwareStatusNotificationRequest
			m, n = simtest.Wait[*v201.FirmwareStatusNotificationRequest](c, n, nil)
			all = append(all, string(m.Status))
			if m.Status == v201.FirmwareStatusInstalled || strings.HasSuffix(string(m.Status), "Failed") {
				return all
			}
		}
	}
	if got := strings.Join(update("/none", 1), " "); got != "Downloading DownloadFailed" {
		t.Error(got)
	}
	n := len(c.Heard())
	if got := strings.Join(update("/fw.bin", 2), " "); got != "Downloading Downloaded Installing InstallRebooting Installed" {
		t.Error(got)
	}
	boot, _ := simtest.Wait[*v201.BootNotificationRequest](c, n, nil)
	if boot.Reason != v201.BootReasonFirmwareUpdate || boot.ChargingStation.FirmwareVersion.V != "2.3.4" {
		t.Errorf("boot %+v", boot)
	}
}

func TestLogUpload(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		b, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(b)
	}))
	t.Cleanup(files.Close)
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow)
	until(t, s, "online", online)
	r := c.Call(id, &v16.GetDiagnosticsRequest{Location: files.URL + "/logs/"}).(*v16.GetDiagnosticsResponse)
	simtest.Wait(c, 0, func(m *v16.DiagnosticsStatusNotificationRequest) bool {
		return m.Status == v16.DiagnosticsStatusUploaded
	})
	if text := <-got; !strings.HasPrefix(text, "/logs/"+r.FileName.V+" ") || !strings.Contains(text, "HeartbeatInterval") {
		t.Errorf("uploaded %q", text)
	}
}

// authority makes a self-signed certificate.
func authority(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(0xABCDEF), Subject: pkix.Name{CommonName: "Root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	check(t, err)
	return root, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V21, slow)
	until(t, s, "online", online)
	root, key, text := authority(t)
	if r := c.Call(id, &v21.InstallCertificateRequest{CertificateType: v21.InstallCertificateUseCSMSRootCertificate, Certificate: "rubbish"}).(*v21.InstallCertificateResponse); r.Status != v21.InstallCertificateStatusRejected {
		t.Error("rubbish was installed")
	}
	c.Call(id, &v21.InstallCertificateRequest{CertificateType: v21.InstallCertificateUseCSMSRootCertificate, Certificate: text})
	ids := c.Call(id, &v21.GetInstalledCertificateIdsRequest{}).(*v21.GetInstalledCertificateIdsResponse)
	if len(ids.CertificateHashDataChain) != 1 || ids.CertificateHashDataChain[0].CertificateHashData.SerialNumber != "abcdef" {
		t.Fatalf("installed %+v", ids)
	}
	c.Call(id, &v21.TriggerMessageRequest{RequestedMessage: v21.MessageTriggerSignChargingStationCertificate})
	m, n := simtest.Wait[*v21.SignCertificateRequest](c, 0, nil)
	block, _ := pem.Decode([]byte(m.CSR))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	check(t, err)
	if err := csr.CheckSignature(); err != nil || csr.Subject.CommonName != id {
		t.Errorf("request for %s: %v", csr.Subject, err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: csr.Subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, csr.PublicKey, key)
	check(t, err)
	if r := c.Call(id, &v21.CertificateSignedRequest{CertificateChain: text}).(*v21.CertificateSignedResponse); r.Status != v21.CertificateSignedStatusRejected {
		t.Error("a foreign certificate was taken")
	}
	r := c.Call(id, &v21.CertificateSignedRequest{CertificateChain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}).(*v21.CertificateSignedResponse)
	if r.Status != v21.CertificateSignedStatusAccepted {
		t.Error("the certificate was refused")
	}
	simtest.Wait[*v21.HeartbeatRequest](c, n, nil) // it connects anew
	if r := c.Call(id, &v21.DeleteCertificateRequest{CertificateHashData: ids.CertificateHashDataChain[0].CertificateHashData}).(*v21.DeleteCertificateResponse); r.Status != v21.DeleteCertificateStatusAccepted {
		t.Error("not deleted")
	}
}

func TestPendingAndRejected(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	var boots atomic.Int32
	c.Answer = func(_ string, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
		if _, ok := req.(*v21.BootNotificationRequest); !ok {
			return nil, nil
		}
		status := []v21.RegistrationStatus{v21.RegistrationStatusRejected, v21.RegistrationStatusPending, v21.RegistrationStatusAccepted}[min(2, boots.Add(1)-1)]
		return &v21.BootNotificationResponse{Status: status, CurrentTime: time.Now(), Interval: 1}, nil
	}
	s := start(t, c, ocpp.V21, slow)
	until(t, s, "rejected", func(s sim.Snapshot) bool { return s.Registration == "Rejected" })
	if _, err := c.Try(id, &v21.ClearCacheRequest{}); err == nil {
		t.Error("a rejected station answered")
	}
	until(t, s, "pending", func(s sim.Snapshot) bool { return s.Registration == "Pending" })
	r := c.Call(id, &v21.RequestStartTransactionRequest{IDToken: v21.IDToken{IDToken: "A", Type: "Central"}, RemoteStartID: 1})
	if r.(*v21.RequestStartTransactionResponse).Status != v21.RequestStartStopStatusRejected {
		t.Error("a pending station starts")
	}
	if r := c.Call(id, &v21.GetVariablesRequest{GetVariableData: []v21.GetVariableData{{Component: v21.Component{Name: "OCPPCommCtrlr"}, Variable: v21.Variable{Name: "HeartbeatInterval"}}}}).(*v21.GetVariablesResponse); r.GetVariableResult[0].AttributeStatus != v21.GetVariableStatusAccepted {
		t.Error("a pending station does not tell its variables")
	}
	until(t, s, "online", online)
	for _, h := range c.Heard()[:3] {
		if _, ok := h.Request.(*v21.BootNotificationRequest); !ok {
			t.Errorf("%s before the station was accepted", h.Request.ActionName())
		}
	}
}

func TestAvailability(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow)
	charging(t, s)
	if r := c.Call(id, &v16.ChangeAvailabilityRequest{ConnectorID: 1, Type: v16.AvailabilityTypeInoperative}).(*v16.ChangeAvailabilityResponse); r.Status != v16.AvailabilityStatusScheduled {
		t.Errorf("while charging: %s", r.Status)
	}
	check(t, s.Unplug(1))
	until(t, s, "unavailable", func(s sim.Snapshot) bool { return s.EVSEs[0].Status == "Unavailable" })
	n := len(c.Heard())
	c.Call(id, &v16.ResetRequest{Type: v16.ResetTypeHard})
	simtest.Wait(c, n, func(m *v16.StatusNotificationRequest) bool {
		return m.ConnectorID == 1 && m.Status == v16.ChargePointStatusUnavailable
	})
}

func TestTariffCost(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V21)
	until(t, s, "online", online)
	r := c.Call(id, &v21.SetDefaultTariffRequest{EVSEID: 0, Tariff: v21.Tariff{TariffID: "T", Currency: "EUR", Energy: &v21.TariffEnergy{
		Prices: []v21.TariffEnergyPrice{{PriceKwh: decimal.MustParse("0.40")}}}}}).(*v21.SetDefaultTariffResponse)
	if r.Status != v21.TariffSetStatusAccepted {
		t.Fatal(r.Status)
	}
	check(t, s.PlugIn(1, sim.Car{SoC: 90, BatteryWh: 50_000}))
	check(t, s.PresentToken(1, "TAG1"))
	until(t, s, "full", func(s sim.Snapshot) bool { return s.EVSEs[0].ChargingState == "SuspendedEV" })
	check(t, s.Unplug(1))
	e, _ := simtest.Wait(c, 0, func(m *v21.TransactionEventRequest) bool { return m.EventType == v21.TransactionEventTypeEnded })
	if e.CostDetails == nil || e.CostDetails.TotalCost.Total.ExclTax.V.Cmp(dec(2)) != 0 {
		t.Errorf("cost %+v, want 2", e.CostDetails)
	}
}

func TestSignedFirmware(t *testing.T) {
	t.Parallel()
	image := []byte("version=9.9\nsigned image")
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(image) }))
	t.Cleanup(files.Close)
	_, key, text := authority(t)
	sum := sha256.Sum256(image)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	check(t, err)
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow)
	until(t, s, "online", online)
	update := func(cert, signature string) v16.SignedUpdateFirmwareStatus {
		return c.Call(id, &v16.SignedUpdateFirmwareRequest{RequestID: 1, Firmware: v16.Firmware{Location: files.URL + "/f", RetrieveDateTime: time.Now(),
			SigningCertificate: cert, Signature: signature}}).(*v16.SignedUpdateFirmwareResponse).Status
	}
	if st := update("none", "x"); st != v16.SignedUpdateFirmwareStatusInvalidCertificate {
		t.Error(st)
	}
	update(text, base64.StdEncoding.EncodeToString([]byte("rubbish")))
	_, n := simtest.Wait(c, 0, func(m *v16.SignedFirmwareStatusNotificationRequest) bool {
		return m.Status == v16.SignedFirmwareStatusInvalidSignature
	})
	update(text, base64.StdEncoding.EncodeToString(sig))
	simtest.Wait(c, n, func(m *v16.SignedFirmwareStatusNotificationRequest) bool {
		return m.Status == v16.SignedFirmwareStatusSignatureVerified
	})
	boot, n := simtest.Wait[*v16.BootNotificationRequest](c, n, nil)
	simtest.Wait(c, n, func(m *v16.SignedFirmwareStatusNotificationRequest) bool {
		return m.Status == v16.SignedFirmwareStatusInstalled
	})
	if boot.FirmwareVersion.V != "9.9" {
		t.Errorf("boot %+v", boot)
	}
}

// TestTokens looks at who may stop, at the local list, and at a token that is refused after the start.
func TestTokens(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	c.Answer = func(_ string, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
		switch m := req.(type) {
		case *v16.AuthorizeRequest:
			info := v16.IDTagInfo{Status: v16.AuthorizationStatusAccepted, ParentIDTag: ocpp.Some("FLEET")}
			if m.IDTag == "ALIEN" {
				info.ParentIDTag = ocpp.Opt[string]{}
			}
			return &v16.AuthorizeResponse{IDTagInfo: info}, nil
		case *v16.StartTransactionRequest:
			st := v16.AuthorizationStatusAccepted
			if m.IDTag == "LISTED" {
				st = v16.AuthorizationStatusBlocked
			}
			return &v16.StartTransactionResponse{TransactionID: 7, IDTagInfo: v16.IDTagInfo{Status: st}}, nil
		}
		return nil, nil
	}
	s := start(t, c, ocpp.V16, slow, func(c *sim.Config) { c.Settings["LocalPreAuthorize"] = "true" })
	charging(t, s)
	n := len(c.Heard())
	check(t, s.PresentToken(1, "ALIEN"))
	simtest.Wait[*v16.AuthorizeRequest](c, n, nil)
	check(t, s.PresentToken(1, "SIBLING"))
	stop, n := simtest.Wait[*v16.StopTransactionRequest](c, n, nil)
	if stop.IDTag.V != "SIBLING" || stop.TransactionID != 7 {
		t.Errorf("stop %+v", stop)
	}
	r := c.Call(id, &v16.SendLocalListRequest{ListVersion: 3, UpdateType: v16.UpdateTypeFull, LocalAuthorizationList: []v16.AuthorizationData{
		{IDTag: "LISTED", IDTagInfo: &v16.IDTagInfo{Status: v16.AuthorizationStatusAccepted}}}}).(*v16.SendLocalListResponse)
	if r.Status != v16.UpdateStatusAccepted {
		t.Error(r.Status)
	}
	if v := c.Call(id, &v16.GetLocalListVersionRequest{}).(*v16.GetLocalListVersionResponse); v.ListVersion != 3 {
		t.Errorf("version %d", v.ListVersion)
	}
	if r := c.Call(id, &v16.SendLocalListRequest{ListVersion: 3, UpdateType: v16.UpdateTypeDifferential}).(*v16.SendLocalListResponse); r.Status != v16.UpdateStatusVersionMismatch {
		t.Error(r.Status)
	}
	check(t, s.Unplug(1))
	check(t, s.PlugIn(1, sim.Car{}))
	check(t, s.PresentToken(1, "LISTED"))
	stop, _ = simtest.Wait[*v16.StopTransactionRequest](c, n, nil)
	if stop.Reason.V != v16.ReasonDeAuthorized {
		t.Errorf("stop %+v", stop)
	}
	for _, h := range c.Heard()[n:] {
		if m, ok := h.Request.(*v16.AuthorizeRequest); ok {
			t.Errorf("asked for %s, which is in the list", m.IDTag)
		}
	}
}

func TestTwoConnectorsOfOneEVSE(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow, func(c *sim.Config) { c.EVSEs, c.ConnectorsPerEVSE = 2, 2 })
	until(t, s, "online", online)
	check(t, s.PlugIn(2, sim.Car{}))
	for connector, want := range map[int]v16.ChargePointStatus{3: v16.ChargePointStatusPreparing, 4: v16.ChargePointStatusUnavailable} {
		simtest.Wait(c, 0, func(m *v16.StatusNotificationRequest) bool { return m.ConnectorID == connector && m.Status == want })
	}
	if err := s.PlugIn(3, sim.Car{}); err == nil {
		t.Error("EVSE 3 of two")
	}
}
