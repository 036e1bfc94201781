package sim_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/internal/sim"
	"lumela/internal/sim/simtest"
	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/ocpptest"
)

// beyond lists what a charger with cables and without certificates of cars cannot do, and says so.
var beyond = []string{"AFRRSignal", "RequestBatterySwap", "PublishFirmware", "UnpublishFirmware", "NotifyWebPaymentStarted"}

// TestEveryCommand sends random valid requests of every action: each gets a valid answer, or the refusal of what the
// station cannot do.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	for _, v := range ocpp.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			c := simtest.New(t)
			s := start(t, c, v, func(c *sim.Config) {
				c.Behaviour.Speed, c.Behaviour.RebootTime, c.EVSEs = 60, time.Millisecond, 2
				c.OnEvent = nil
			})
			until(t, s, "online", online)
			for _, a := range ocppj.Actions(v) {
				if a.Sender&ocpp.CSMS == 0 || a.Send {
					continue
				}
				for seed := range 12 {
					req := ocppj.NewRequest(v, a.Name)
					fill(req, seed)
					askAny(t, c, s, req)
				}
			}
		})
	}
}

func fill(req ocpp.Request, seed int) {
	rapid.Custom(func(t *rapid.T) bool {
		ocpptest.Draw(t, req)
		return true
	}).Example(seed)
}

// askAny asks until an answer comes: a reset may be under way.
func askAny(t *testing.T, c *simtest.CSMS, s *sim.Station, req ocpp.Request) {
	t.Helper()
	for range 20 {
		if s.State().EVSEs[0].Plugged {
			_ = s.Unplug(1) // the race with a reset is no matter here
		} else {
			_ = s.PlugIn(1, sim.Car{})
		}
		until(t, s, "online", online)
		_, err := c.Try(id, req)
		var cerr *ocpp.CallError
		switch {
		case err == nil:
			return
		case errors.As(err, &cerr):
			if req.Version() == ocpp.V201 && cerr.Code == ocpp.PropertyConstraintViolation && strings.Contains(cerr.Description, "must be at ") {
				return // numbers that the schema of 2.0.1 lets through and 2.1 does not
			}
			if cerr.Code != ocpp.NotSupported || !slices.Contains(beyond, req.ActionName()) {
				t.Errorf("%s refused: %v\n%s", req.ActionName(), cerr, ocpp.Marshal(req))
			}
			return
		case errors.Is(err, ocppj.ErrBadAnswer), errors.Is(err, context.DeadlineExceeded):
			t.Errorf("%s: %v\n%s", req.ActionName(), err, ocpp.Marshal(req))
			return
		}
	}
	t.Errorf("%s got no answer", req.ActionName())
}
