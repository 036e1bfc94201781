package csms

import (
	"context"
	"fmt"
	"runtime/debug"

	"lumela/internal/gateway"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// answered does what a message of a transaction asks for. When that fails, and would fail again for the same message, the
// message is kept in quarantine, the operator is told, and the station hears what do gives with its error, or else: a
// station repeats a message that is refused, what comes after it waits, and in the end it throws it away (OCPP 1.6 3.7.1,
// OCPP 2.0.1 E13.FR.04). An outage is left to those who wait for its end.
func (c *CSMS) answered(ctx context.Context, l *gateway.Link, req ocpp.Request, otherwise ocpp.Response, do func() (ocpp.Response, error)) (ocpp.Response, error) {
	resp, err := c.protected(req.ActionName(), do)
	if err == nil || passing(err) || ctx.Err() != nil {
		return resp, err
	}
	st := l.Station()
	payload := ""
	if _, perr := c.protected(req.ActionName(), func() (ocpp.Response, error) { payload = string(ocpp.Marshal(req)); return nil, nil }); perr != nil {
		payload = fmt.Sprintf("%+v", req)
	}
	if qerr := c.Ledger.Quarantine(ctx, st.Organisation, station.ID(st.ID), req.ActionName(), payload, err.Error()); qerr != nil {
		return nil, fmt.Errorf("%w; it could not be processed: %w", qerr, err)
	}
	c.Log.Error("message kept in quarantine", "station", st.ID, "action", req.ActionName(), "error", err)
	if resp != nil {
		return resp, nil
	}
	return otherwise, nil
}

// protected runs do and turns its panic into an error.
func (c *CSMS) protected(action string, do func() (ocpp.Response, error)) (resp ocpp.Response, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.Log.Error("message processing panicked", "action", action, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("processing panicked: %v", r)
		}
	}()
	return do()
}

// undecided is the answer to a transaction message about whose token nothing could be found out: OCPP 2.1 E01.FR.11 wants
// a verdict on every token.
func undecided(r *v21.TransactionEventRequest) *v21.TransactionEventResponse {
	resp := &v21.TransactionEventResponse{}
	if r.IDToken != nil {
		resp.IDTokenInfo = &v21.IDTokenInfo{Status: v21.AuthorizationStatusUnknown}
	}
	return resp
}
