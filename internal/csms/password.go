package csms

import (
	"context"
	"errors"
	"strings"

	"lumela/internal/account"
	"lumela/internal/command"
	"lumela/internal/gateway"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// basicAuth is the variable of a station's password for the platform that it is connected to.
var basicAuth = struct{ component, variable string }{"SecurityCtrlr", "BasicAuthPassword"}

func isBasicAuth(component, variable string) bool {
	return strings.EqualFold(component, basicAuth.component) && strings.EqualFold(variable, basicAuth.variable)
}

// newPassword finds the password that a request gives a station for its link to this platform.
func newPassword(req ocpp.Request) (string, bool) {
	set, ok := req.(*v21.SetVariablesRequest)
	if !ok {
		return "", false
	}
	for i := range set.SetVariableData {
		if d := &set.SetVariableData[i]; isBasicAuth(d.Component.Name, d.Variable.Name) {
			return d.AttributeValue, true
		}
	}
	return "", false
}

// Asking is called before a request goes to a station. A password is written down first, so that the station can connect
// whatever becomes of the answer.
func (c *CSMS) Asking(ctx context.Context, id station.ID, req ocpp.Request) error {
	password, ok := newPassword(req)
	if !ok {
		return nil
	}
	return c.Stations.OfferPassword(ctx, id, password)
}

// Asked is called with the failure of a request, nil when it was answered. A password that cannot have reached the station,
// or that it has refused, is forgotten; when nobody knows, both are kept.
func (c *CSMS) Asked(ctx context.Context, id station.ID, req ocpp.Request, err error) {
	if _, ok := newPassword(req); !ok || err == nil || !certainlyNot(err) {
		return
	}
	if err := c.Stations.WithdrawPassword(context.WithoutCancel(ctx), id); err != nil {
		c.Log.Error("refused password not forgotten", "station", id, "error", err)
	}
}

// passwordSet follows a station's answer to a new password: accepted, only the new one is valid; to be taken over at the next
// start, both until the new one is shown; anything else, the old one. OCPP 2.0.1 A01.FR.03, OCPP 2.0.1 A01.FR.04
func (c *CSMS) passwordSet(ctx context.Context, organisation string, id station.ID, password string, status v21.SetVariableStatus) error {
	switch status {
	case v21.SetVariableStatusAccepted:
		return c.Stations.SetPassword(ctx, organisation, id, password)
	case v21.SetVariableStatusRebootRequired:
		return c.Stations.ExpectPassword(ctx, id, password)
	default:
		return c.Stations.WithdrawPassword(ctx, id)
	}
}

// certainlyNot reports whether a request has had no effect on the station.
func certainlyNot(err error) bool {
	var refused *ocpp.CallError
	switch problem.Of(err).Kind {
	case problem.Offline, problem.Inexpressible, problem.TooMany, problem.Conflict, problem.Invalid:
		return true
	case problem.Refused:
		return errors.As(err, &refused)
	}
	return false
}

// PushPassword sends a station a new password and says what became of it. It is a station.Push.
func (c *CSMS) PushPassword(ctx context.Context, p account.Principal, st *station.Station, password string) error {
	req := &v21.SetVariablesRequest{SetVariableData: []v21.SetVariableData{{AttributeValue: password,
		Component: v21.Component{Name: basicAuth.component}, Variable: v21.Variable{Name: basicAuth.variable}}}}
	_, res, err := c.Commands.Send(ctx, p, command.Order{Station: st.ID, Request: req})
	if problem.Is(err, problem.Timeout) {
		return &problem.Error{Kind: problem.Timeout, Err: err,
			Text: "the station did not answer in time: the old and the new password are valid until it connects again"}
	}
	if err != nil {
		return err
	}
	resp, ok := res.Response.(*v21.SetVariablesResponse)
	if !ok || len(resp.SetVariableResult) == 0 {
		return problem.New(problem.Refused, "the station has not said what became of the password; the old one stays valid, too")
	}
	switch status := resp.SetVariableResult[0].AttributeStatus; status {
	case v21.SetVariableStatusAccepted, v21.SetVariableStatusRebootRequired:
		return nil
	default:
		return problem.New(problem.Refused, "the station keeps its password: it answered %s", status)
	}
}

// rotatePassword replaces the password that a station showed in the waiting room, where anybody could have seen it.
// OCPP 2.1 A00.FR.806
func (c *CSMS) rotatePassword(ctx context.Context, l *gateway.Link, st *station.Station) {
	err := c.PushPassword(ctx, account.System(st.Organisation), st, station.NewPassword())
	if err == nil {
		return
	}
	if !problem.Is(err, problem.Refused) && !problem.Is(err, problem.Inexpressible) {
		c.Log.Info("password of the waiting room not replaced yet", "station", st.ID, "error", err)
		return // again when it connects next time
	}
	c.Log.Warn("password of the waiting room stays", "station", st.ID, "error", err)
	if err := errors.Join(c.Stations.StopRotation(ctx, st.Organisation, st.ID),
		c.Stations.Alarm(ctx, st, "the station refused a new password: it keeps the one that it showed before it was accepted", l.Remote())); err != nil {
		c.Log.Error("refused password not recorded", "station", st.ID, "error", err)
	}
}
