package sim

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/internal/clock"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

var points = rapid.SampledFrom([]string{"PowerPathClosed", "EVConnected", "Authorized", "EnergyTransfer", "EVConnected,Authorized"})

// lone makes a station that is not connected, on a clock that the test moves.
func lone(t *rapid.T, v ocpp.Version, dc bool) (*Station, *clock.Fake) {
	f := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	s, err := New(Config{ID: "X", Version: v, URL: "ws://localhost/ocpp", DC: dc, EVSEs: 2, Clock: f, Scheduler: &Scheduler{clock: f},
		Settings: map[string]string{"AllowOfflineTxForUnknownId": "true", "ClockAlignedDataInterval": "300",
			"TxCtrlr.TxStartPoint": points.Draw(t, "start"), "TxCtrlr.TxStopPoint": points.Draw(t, "stop"),
			"StopTransactionOnEVSideDisconnect": rapid.SampledFrom([]string{"true", "false"}).Draw(t, "unplug ends")}})
	if err != nil {
		t.Fatal(err)
	}
	s.running = true
	return s, f
}

// TestRegisterIsIntegralOfPower drives a station through anything that can happen at its sockets: its meters count
// exactly the sum of power times time, never more than the limits allow, and transactions are numbered without gaps.
func TestRegisterIsIntegralOfPower(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(ocpp.Versions).Draw(t, "version")
		dc := rapid.Bool().Draw(t, "dc")
		s, f := lone(t, v, dc)
		sums := map[*evse]energy{}
		for _, e := range s.evses {
			sums[e] = e.meter
		}
		s.onStep = func(e *evse, watts int, ms int64) {
			if watts < 0 || watts > s.cfg.MaxPowerW {
				t.Fatalf("power %d W", watts)
			}
			sums[e] += energy(int64(watts) * ms)
		}
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		for range steps {
			act(t, s)
			d := time.Duration(rapid.IntRange(1, 4_000_000).Draw(t, "ms")) * time.Millisecond
			f.Advance(d)
			s.wake()
			for _, e := range s.evses {
				if e.meter != sums[e] {
					t.Fatalf("EVSE %d shows %d, the integral is %d", e.id, e.meter, sums[e])
				}
				if e.power > 0 && (e.tx == nil || e.plugged == 0 || e.fault != "") {
					t.Fatalf("EVSE %d gives %d W without a reason", e.id, e.power)
				}
				if e.car.SoC > 100 || e.tx != nil && e.tx.seqNo < 1 {
					t.Fatalf("EVSE %d is at %v %%", e.id, e.car.SoC)
				}
			}
		}
		checkQueue(t, s)
	})
}

func act(t *rapid.T, s *Station) {
	e := rapid.IntRange(1, 2).Draw(t, "evse")
	var err error
	switch rapid.IntRange(0, 6).Draw(t, "act") {
	case 0, 1:
		err = s.PlugIn(e, Car{SoC: rapid.Float64Range(0, 100).Draw(t, "soc"), MaxAmps: rapid.IntRange(6, 80).Draw(t, "amps")})
	case 2:
		err = s.Unplug(e)
	case 3:
		err = s.PresentToken(e, rapid.SampledFrom([]string{"A", "B"}).Draw(t, "token"))
	case 4:
		err = s.Fault(e, "GroundFailure")
	case 5:
		err = s.ClearFault(e)
	case 6:
		err = s.PauseCar(e, rapid.Bool().Draw(t, "pause"))
	}
	_ = err // what cannot be done changes nothing
}

// checkQueue looks at what waits to be told: per transaction a start first, an end last, times in order.
func checkQueue(t *rapid.T, s *Station) {
	var last uint64
	for _, m := range s.txQueue {
		if m.seq <= last {
			t.Fatalf("message %d after %d", m.seq, last)
		}
		last = m.seq
		if err := m.build().Validate(); err != nil {
			t.Fatal(err)
		}
	}
	if _, v16 := s.front.(*front16); v16 {
		return
	}
	next := map[string]int{}
	for _, m := range s.txQueue {
		e := asEvent(t, m.build())
		id := e.TransactionInfo.TransactionID
		if e.SeqNo != next[id] {
			t.Fatalf("event %d of %s, want %d", e.SeqNo, id, next[id])
		}
		if (e.SeqNo == 0) != (e.EventType == "Started") || next[id] < 0 {
			t.Fatalf("event %d is %s", e.SeqNo, e.EventType)
		}
		next[id]++
		if e.EventType == "Ended" {
			next[id] = -1
		}
	}
}

func asEvent(t *rapid.T, req ocpp.Request) *v21.TransactionEventRequest {
	if m, ok := req.(*v21.TransactionEventRequest); ok {
		return m
	}
	m := &v21.TransactionEventRequest{}
	if err := recast(req, m); err != nil {
		t.Fatal(err)
	}
	return m
}
