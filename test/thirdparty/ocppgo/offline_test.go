package ocppgo

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lorenzodonini/ocpp-go/ocpp1.6/core"
	types16 "github.com/lorenzodonini/ocpp-go/ocpp1.6/types"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/provisioning"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/transactions"
	"github.com/lorenzodonini/ocpp-go/ocpp2.0.1/types"

	"lumela/test/thirdparty/node"
)

// goOffline ends a station's link when the node has read its device model, as it does with every new station.
func goOffline(t *testing.T, station string, leave func()) {
	t.Helper()
	node.Eventually(t, "the device model of "+station, func() []node.Variable { return lumela.Variables(t, station) }, func(v []node.Variable) bool { return len(v) >= 3 })
	leave()
	node.Eventually(t, station+" offline", func() node.Station { return lumela.Station(t, station) }, func(st node.Station) bool { return !st.Online })
}

// TestOffline16 ends a charge on another link than it began on, by the number that the first link gave.
func TestOffline16(t *testing.T) {
	t.Parallel()
	p := connect16(t, fresh("GO16-OFFLINE"))
	token := fresh("OFFLINE16")
	lumela.AddToken(t, token, "", "active")
	begin := aWhileAgo()
	started := must[*core.StartTransactionConfirmation](t)(p.StartTransaction(1, token, 100, types16.NewDateTime(begin)))
	goOffline(t, p.id, func() { p.leave(p.Stop) })

	again := newPoint16(t, p.id, nil)
	again.connect(t)
	end := begin.Add(5 * time.Minute)
	must[*core.StopTransactionConfirmation](t)(again.StopTransaction(4321, types16.NewDateTime(end), started.TransactionId, func(r *core.StopTransactionRequest) {
		r.Reason = core.ReasonEVDisconnected
	}))
	checkOnlySession(t, node.Session{Station: p.id, TransactionID: strconv.Itoa(started.TransactionId), EVSE: 1, Connector: 1, Token: &token, TokenType: "", State: "ended",
		StartedAt: begin, EndedAt: &end, EnergyWh: 4221, StoppedReason: "EVDisconnected", MeterStartWh: ptr(int64(100)), MeterStopWh: ptr(int64(4321))})
}

// TestOffline201 sends most of a charge late, and some of it twice, as stations do that have lost their link.
func TestOffline201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-OFFLINE"))
	token := types.IdToken{IdToken: fresh("OFFLINE201"), Type: types.IdTokenTypeISO14443}
	lumela.AddToken(t, token.IdToken, "ISO14443", "active")
	begin := aWhileAgo()
	x := &transaction201{station: s, id: fresh("tx-go-201-offline")}
	x.event(t, transactions.TransactionEventStarted, begin, transactions.TriggerReasonAuthorized, transactions.Transaction{ChargingState: transactions.ChargingStateCharging},
		func(r *transactions.TransactionEventRequest) {
			r.Evse, r.IDToken = &types.EVSE{ID: 1, ConnectorID: ptr(1)}, &token
			r.MeterValue = samples201(begin, types.ReadingContextTransactionBegin, 1, 7000, 30)
		})
	goOffline(t, s.id, func() { s.leave(s.Stop) })

	again := newStation201(t, s.id, nil)
	again.connect(t)
	x.station = again
	middle, end := begin.Add(2*time.Minute), begin.Add(5*time.Minute)
	late := func() {
		x.event(t, transactions.TransactionEventUpdated, middle, transactions.TriggerReasonMeterValuePeriodic, transactions.Transaction{ChargingState: transactions.ChargingStateCharging},
			func(r *transactions.TransactionEventRequest) {
				r.Offline, r.MeterValue = true, samples201(middle, types.ReadingContextSamplePeriodic, 1.2345, 7000, 35)
			})
	}
	late()
	x.next-- // the answer is lost, says the station
	late()
	x.event(t, transactions.TransactionEventEnded, end, transactions.TriggerReasonEVCommunicationLost,
		transactions.Transaction{ChargingState: transactions.ChargingStateIdle, StoppedReason: transactions.ReasonEVDisconnected}, func(r *transactions.TransactionEventRequest) {
			r.Offline, r.MeterValue = true, samples201(end, types.ReadingContextTransactionEnd, 1.567, 0, 40)
		})
	session := checkOnlySession(t, node.Session{Station: s.id, TransactionID: x.id, EVSE: 1, Connector: 1, Token: &token.IdToken, TokenType: "ISO14443", State: "ended",
		ChargingState: "Idle", StartedAt: begin, EndedAt: &end, EnergyWh: 567, SoC: ptr(40), StoppedReason: "EVDisconnected", MeterStartWh: ptr(int64(1000)), MeterStopWh: ptr(int64(1567))})
	if got := lumela.MeterValues(t, session.ID); len(got) != 3 {
		t.Errorf("%d readings, want 3: %+v", len(got), got)
	}
}

// TestQueued201 sends a command to a station that is away: it is refused, or kept until the station is back.
func TestQueued201(t *testing.T) {
	t.Parallel()
	s := connect201(t, fresh("GO201-QUEUED"))
	goOffline(t, s.id, func() { s.leave(s.Stop) })
	url := "/stations/" + s.id + "/commands/Reset"
	lumela.Call(t, http.MethodPost, url, `{"type":"OnIdle"}`, http.StatusConflict, nil)
	var queued node.Command
	lumela.Call(t, http.MethodPost, url+"?queue=true", `{"type":"Immediate"}`, http.StatusAccepted, &queued)
	if queued.Status != "queued" {
		t.Fatalf("the command is %+v", queued)
	}
	again := newStation201(t, s.id, nil)
	again.connect(t)
	node.Eventually(t, "the queued command", func() node.Command {
		var cmd node.Command
		lumela.Call(t, http.MethodGet, "/commands/"+queued.ID, "", http.StatusOK, &cmd)
		return cmd
	}, func(cmd node.Command) bool {
		return cmd.Status == "ok" && string(cmd.Response) == `{"status":"Accepted"}`
	})
	if diff := cmp.Diff([]*provisioning.ResetRequest{{Type: provisioning.ResetTypeImmediate}}, all[*provisioning.ResetRequest](&again.inbox)); diff != "" {
		t.Errorf("Reset (-want +got):\n%s", diff)
	}
}
