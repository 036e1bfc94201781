package ocpptest_test

import (
	"testing"

	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
)

// Every message that is drawn keeps its constraints by its own Validate.
func TestDrawIsValid(t *testing.T) {
	t.Parallel()
	for _, v := range ocpp.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				req := ocpptest.DrawRequest(t, v, ocpp.Station|ocpp.CSMS)
				if err := req.Validate(); err != nil {
					t.Fatalf("%s: %v", req.ActionName(), err)
				}
				resp := ocpptest.DrawResponse(t, v, req.ActionName())
				if resp == nil {
					if req.NewResponse() != nil {
						t.Fatalf("%s: no response drawn", req.ActionName())
					}
					return
				}
				if err := resp.Validate(); err != nil {
					t.Fatalf("%s: %v", req.ActionName(), err)
				}
			})
		})
	}
}

// The role of the drawn action is one that may send it.
func TestDrawActionKeepsTheRole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(ocpp.Versions).Draw(t, "version")
		role := rapid.SampledFrom([]ocpp.Role{ocpp.Station, ocpp.CSMS}).Draw(t, "role")
		req := ocpptest.NewRequest(v, ocpptest.DrawAction(t, v, role))
		if req.Sender()&role == 0 {
			t.Fatalf("%s may not send %s", role, req.ActionName())
		}
	})
}
