package sim_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lumela/internal/sim"
	"lumela/internal/sim/simtest"
	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// quick is what every test needs: no waiting for links and reboots.
var quick = map[string]string{"RetryBackOffWaitMinimum": "0", "RetryBackOffRandomRange": "0", "TransactionMessageRetryInterval": "0"}

type opt func(*sim.Config)

func start(t *testing.T, c *simtest.CSMS, v ocpp.Version, opts ...opt) *sim.Station {
	t.Helper()
	cfg := sim.Config{ID: "CS 1", Version: v, URL: c.URL, Settings: map[string]string{}, Behaviour: sim.Behaviour{Speed: 3600, RebootTime: 20 * time.Millisecond},
		OnEvent: func(e sim.Event) {
			if e.Kind != "message" && e.Kind != "meter" {
				t.Log(e)
			}
		}}
	for k, v := range quick {
		cfg.Settings[k] = v
	}
	for _, o := range opts {
		o(&cfg)
	}
	s, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(simtest.Limit):
			t.Error("the station does not stop")
		}
	})
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until polls a station's state.
func until(t *testing.T, s *sim.Station, what string, ok func(sim.Snapshot) bool) sim.Snapshot {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(simtest.Limit)
	for {
		st := s.State()
		if ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not reached: %s; state %+v", what, st)
		}
	}
}

func online(s sim.Snapshot) bool { return s.Online }

const id = "CS 1"

func statuses16(c *simtest.CSMS, connector int) string {
	var all []string
	for _, h := range c.Heard() {
		if m, ok := h.Request.(*v16.StatusNotificationRequest); ok && m.ConnectorID == connector {
			all = append(all, string(m.Status))
		}
	}
	return strings.Join(all, " ")
}

func TestFullCharge16(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16)
	_, n := simtest.Wait[*v16.StatusNotificationRequest](c, 0, func(m *v16.StatusNotificationRequest) bool { return m.ConnectorID == 1 })
	check(t, s.PlugIn(1, sim.Car{SoC: 90, BatteryWh: 50_000}))
	simtest.Wait(c, n, func(m *v16.StatusNotificationRequest) bool { return m.Status == v16.ChargePointStatusPreparing })
	check(t, s.PresentToken(1, "TAG1"))
	begin, n := simtest.Wait[*v16.StartTransactionRequest](c, n, nil)
	if begin.ConnectorID != 1 || begin.IDTag != "TAG1" {
		t.Errorf("start is %+v", begin)
	}
	mv, n := simtest.Wait[*v16.MeterValuesRequest](c, n, nil)
	if mv.TransactionID.V != 1 {
		t.Errorf("meter values of transaction %v", mv.TransactionID)
	}
	_, n = simtest.Wait(c, n, func(m *v16.StatusNotificationRequest) bool { return m.Status == v16.ChargePointStatusSuspendedEV })
	check(t, s.PresentToken(1, "TAG1"))
	stop, n := simtest.Wait[*v16.StopTransactionRequest](c, n, nil)
	if got := stop.MeterStop - begin.MeterStart; got < 4990 || got > 5001 {
		t.Errorf("charged %d Wh, want 5000", got)
	}
	if stop.TransactionID != 1 || stop.Reason.V != v16.ReasonLocal || stop.IDTag.V != "TAG1" {
		t.Errorf("stop is %+v", stop)
	}
	check(t, s.Unplug(1))
	simtest.Wait(c, n, func(m *v16.StatusNotificationRequest) bool { return m.Status == v16.ChargePointStatusAvailable })
	if got, want := statuses16(c, 1), "Available Preparing Charging SuspendedEV Finishing Available"; got != want {
		t.Errorf("statuses %s, want %s", got, want)
	}
}

// events21 lists the transaction events of either version of 2.x.
func events21(c *simtest.CSMS) []*v21.TransactionEventRequest {
	var all []*v21.TransactionEventRequest
	for _, h := range c.Heard() {
		switch m := h.Request.(type) {
		case *v21.TransactionEventRequest:
			all = append(all, m)
		case *v201.TransactionEventRequest:
			up := &v21.TransactionEventRequest{}
			_ = ocpp.Decode(string(ocpp.Marshal(m)), up, false)
			all = append(all, up)
		}
	}
	return all
}

func ended(c *simtest.CSMS, v ocpp.Version) {
	if v == ocpp.V21 {
		simtest.Wait(c, 0, func(m *v21.TransactionEventRequest) bool { return m.EventType == v21.TransactionEventTypeEnded })
	} else {
		simtest.Wait(c, 0, func(m *v201.TransactionEventRequest) bool { return m.EventType == v201.TransactionEventTypeEnded })
	}
}

func TestFullCharge2(t *testing.T) {
	t.Parallel()
	for _, v := range []ocpp.Version{ocpp.V201, ocpp.V21} {
		for _, dc := range []bool{false, true} {
			t.Run(fmt.Sprint(v, dc), func(t *testing.T) {
				t.Parallel()
				c := simtest.New(t)
				s := start(t, c, v, func(c *sim.Config) { c.DC = dc })
				until(t, s, "online", online)
				check(t, s.PlugIn(1, sim.Car{SoC: 90, BatteryWh: 50_000}))
				check(t, s.PresentToken(1, "TAG1"))
				until(t, s, "full", func(s sim.Snapshot) bool { return s.EVSEs[0].ChargingState == "SuspendedEV" })
				check(t, s.PresentToken(1, "TAG1"))
				ended(c, v)
				checkEvents(t, events21(c), dc)
				check(t, s.Unplug(1))
				until(t, s, "available", func(s sim.Snapshot) bool { return s.EVSEs[0].Status == "Available" })
			})
		}
	}
}

func checkEvents(t *testing.T, all []*v21.TransactionEventRequest, dc bool) {
	t.Helper()
	var told []string
	for i, e := range all {
		if e.SeqNo != i {
			t.Errorf("event %d has the number %d", i, e.SeqNo)
		}
		if e.TransactionInfo.TransactionID != all[0].TransactionInfo.TransactionID {
			t.Errorf("event %d is of another transaction", i)
		}
		if e.Offline.V {
			t.Errorf("event %d is offline", i)
		}
		if e.TriggerReason != v21.TriggerReasonMeterValuePeriodic {
			told = append(told, fmt.Sprintf("%s/%s/%s", e.EventType, e.TriggerReason, e.TransactionInfo.ChargingState.V))
		}
	}
	text := strings.Join(told, " ")
	for _, want := range []string{"Started/Authorized/EVConnected Updated/ChargingStateChanged/Charging", "Updated/ChargingStateChanged/SuspendedEV",
		"Ended/StopAuthorized/EVConnected"} {
		if !strings.Contains(text, want) {
			t.Errorf("events are %s, want %s in them", text, want)
		}
	}
	first, last := all[0], all[len(all)-1]
	if first.EVSE == nil || first.EVSE.ID != 1 || first.IDToken == nil || last.IDToken == nil || last.TransactionInfo.StoppedReason.V != v21.ReasonLocal {
		t.Errorf("first is %+v, last is %+v", first, last)
	}
	a, _ := first.MeterValue[0].SampledValue[0].Value.Float64()
	b, _ := last.MeterValue[len(last.MeterValue)-1].SampledValue[0].Value.Float64()
	if b-a < 4990 || b-a > 5001 {
		t.Errorf("charged %v Wh, want 5000", b-a)
	}
	soc := false
	for _, e := range all {
		for _, m := range e.MeterValue {
			for _, sv := range m.SampledValue {
				soc = soc || sv.Measurand.V == v21.MeasurandSoC
			}
		}
	}
	if soc != dc {
		t.Errorf("state of charge told: %v, DC: %v", soc, dc)
	}
}

func TestRemoteStartStop(t *testing.T) {
	t.Parallel()
	t.Run("1.6", func(t *testing.T) {
		t.Parallel()
		c := simtest.New(t)
		s := start(t, c, ocpp.V16)
		until(t, s, "online", online)
		r := c.Call(id, &v16.RemoteStartTransactionRequest{ConnectorID: ocpp.Some(1), IDTag: "APP"})
		if r.(*v16.RemoteStartTransactionResponse).Status != v16.RemoteStartStopStatusAccepted {
			t.Fatal(r)
		}
		check(t, s.PlugIn(1, sim.Car{SoC: 10}))
		until(t, s, "transaction", func(s sim.Snapshot) bool { return s.EVSEs[0].TransactionID == "1" })
		if r := c.Call(id, &v16.RemoteStopTransactionRequest{TransactionID: 99}); r.(*v16.RemoteStopTransactionResponse).Status != v16.RemoteStartStopStatusRejected {
			t.Error("stop of an unknown transaction was accepted")
		}
		c.Call(id, &v16.RemoteStopTransactionRequest{TransactionID: 1})
		stop, _ := simtest.Wait[*v16.StopTransactionRequest](c, 0, nil)
		if stop.Reason.V != v16.ReasonRemote {
			t.Errorf("reason %s", stop.Reason.V)
		}
	})
	t.Run("2.1", func(t *testing.T) {
		t.Parallel()
		c := simtest.New(t)
		s := start(t, c, ocpp.V21)
		until(t, s, "online", online)
		check(t, s.PlugIn(1, sim.Car{SoC: 10}))
		r := c.Call(id, &v21.RequestStartTransactionRequest{IDToken: v21.IDToken{IDToken: "APP", Type: "Central"}, RemoteStartID: 7})
		if r.(*v21.RequestStartTransactionResponse).Status != v21.RequestStartStopStatusAccepted {
			t.Fatal(r)
		}
		e, n := simtest.Wait[*v21.TransactionEventRequest](c, 0, nil)
		if e.TriggerReason != v21.TriggerReasonRemoteStart || e.TransactionInfo.RemoteStartID.V != 7 || e.IDToken.Type != "Central" {
			t.Errorf("first event %+v", e)
		}
		c.Call(id, &v21.RequestStopTransactionRequest{TransactionID: e.TransactionInfo.TransactionID})
		e, _ = simtest.Wait(c, n, func(m *v21.TransactionEventRequest) bool { return m.EventType == v21.TransactionEventTypeEnded })
		if e.TriggerReason != v21.TriggerReasonRemoteStop || e.TransactionInfo.StoppedReason.V != v21.ReasonRemote {
			t.Errorf("last event %+v", e)
		}
	})
}
