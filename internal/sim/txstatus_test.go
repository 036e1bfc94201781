package sim_test

import (
	"sync/atomic"
	"testing"

	"lumela/internal/sim"
	"lumela/internal/sim/simtest"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// TestTransactionStatus: a station tells of the transaction that it is asked about and of nothing else.
func TestTransactionStatus(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	var accepts atomic.Bool
	refused := make(chan struct{}, 100)
	c.Answer = func(_ string, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
		if m, ok := req.(*v21.TransactionEventRequest); ok && m.EventType == v21.TransactionEventTypeEnded {
			if !accepts.Load() {
				refused <- struct{}{}
				return nil, &ocpp.CallError{Code: ocpp.InternalError}
			}
		}
		return nil, nil
	}
	s := start(t, c, ocpp.V21, slow)
	charging(t, s)
	set := c.Call("CS 1", &v21.SetVariablesRequest{SetVariableData: []v21.SetVariableData{{AttributeValue: "100", // else it gives up in the middle
		Component: v21.Component{Name: "OCPPCommCtrlr"}, Variable: v21.Variable{Name: "MessageAttempts", Instance: ocpp.Some("TransactionEvent")}}}}).(*v21.SetVariablesResponse)
	if got := set.SetVariableResult[0].AttributeStatus; got != v21.SetVariableStatusAccepted {
		t.Fatalf("MessageAttempts: %s", got)
	}
	tx := s.State().EVSEs[0].TransactionID
	want := func(id string, running, queue bool) {
		t.Helper()
		r := c.Call("CS 1", &v21.GetTransactionStatusRequest{TransactionID: ocpp.Some(id)}).(*v21.GetTransactionStatusResponse)
		if !r.OngoingIndicator.OK || r.OngoingIndicator.V != running || r.MessagesInQueue != queue {
			t.Errorf("%s: %+v, want running %v, queue %v", id, r, running, queue)
		}
	}
	want("another", false, false)
	r := c.Call("CS 1", &v21.GetTransactionStatusRequest{}).(*v21.GetTransactionStatusResponse)
	if r.OngoingIndicator.OK {
		t.Errorf("an answer about no transaction says %+v", r)
	}
	check(t, s.PresentToken(1, "TAG1"))
	<-refused // it is kept, to be tried again
	want(tx, false, true)
	want("another", false, false)
	accepts.Store(true)
	until(t, s, "empty queue", func(s sim.Snapshot) bool { return s.Queued == 0 })
	want(tx, false, false)
}
