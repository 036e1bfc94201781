package csms

import (
	"context"
	"math/rand/v2"
	"strings"

	"lumela/internal/command"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/v21"
)

// newRequestID makes the id of a report, unlike those of reports under way.
func (c *CSMS) newRequestID() int { return rand.IntN(1<<31-1) + 1 }

// Observe hears of commands that stations have answered: what they changed is kept. It is a command.Observer.
func (c *CSMS) Observe(ctx context.Context, organisation string, id station.ID, req ocpp.Request, resp ocpp.Response) error {
	switch r := resp.(type) {
	case *v21.SetVariablesResponse:
		return c.variablesSet(ctx, organisation, id, req.(*v21.SetVariablesRequest), r)
	case *v21.GetVariablesResponse:
		return c.variablesGot(ctx, organisation, id, r)
	case *v21.ReserveNowResponse:
		if r.Status == v21.ReserveNowStatusAccepted {
			return c.Reservations.Made(ctx, organisation, id, req.(*v21.ReserveNowRequest))
		}
	case *v21.CancelReservationResponse:
		if r.Status == v21.CancelReservationStatusAccepted {
			return c.Reservations.Update(ctx, id, req.(*v21.CancelReservationRequest).ReservationID, "Cancelled")
		}
	}
	return nil
}

var _ command.Observer = (&CSMS{}).Observe

// variablesSet keeps the values that the station took over. A password is switched on Accepted and kept as it was on
// anything else: OCPP 2.0.1 A01.FR.03, OCPP 2.0.1 A01.FR.04.
func (c *CSMS) variablesSet(ctx context.Context, organisation string, id station.ID, req *v21.SetVariablesRequest, resp *v21.SetVariablesResponse) error {
	var vars []station.Variable
	for i := range resp.SetVariableResult {
		result := &resp.SetVariableResult[i]
		data := setBy(req, result, i)
		if data != nil && isBasicAuth(data.Component.Name, data.Variable.Name) {
			if err := c.passwordSet(ctx, organisation, id, data.AttributeValue, result.AttributeStatus); err != nil {
				return err
			}
			continue
		}
		if result.AttributeStatus != v21.SetVariableStatusAccepted || data == nil {
			continue
		}
		if devicemodel.StationPassword(data.Variable.Name) {
			if strings.EqualFold(data.Component.Name, "NetworkConfiguration") {
				continue // of a connection profile, which may be another platform's
			}
			if err := c.Stations.SetPassword(ctx, organisation, id, data.AttributeValue); err != nil {
				return err
			}
			continue
		}
		vars = append(vars, variable(data.Component, data.Variable, data.AttributeType, data.AttributeValue))
	}
	return c.keep(ctx, organisation, id, vars)
}

// setBy finds what a result is about: results name their variables and may come in another order than the request had.
func setBy(req *v21.SetVariablesRequest, result *v21.SetVariableResult, i int) *v21.SetVariableData {
	about := func(d *v21.SetVariableData) bool {
		want := variable(d.Component, d.Variable, d.AttributeType, "")
		got := variable(result.Component, result.Variable, result.AttributeType, "")
		return strings.EqualFold(want.Component, got.Component) && strings.EqualFold(want.Variable, got.Variable) &&
			strings.EqualFold(want.ComponentInstance, got.ComponentInstance) && strings.EqualFold(want.VariableInstance, got.VariableInstance) &&
			want.Attribute == got.Attribute && want.EVSE == got.EVSE && want.Connector == got.Connector
	}
	if i < len(req.SetVariableData) && about(&req.SetVariableData[i]) {
		return &req.SetVariableData[i]
	}
	for j := range req.SetVariableData {
		if about(&req.SetVariableData[j]) {
			return &req.SetVariableData[j]
		}
	}
	return nil
}

func (c *CSMS) variablesGot(ctx context.Context, organisation string, id station.ID, resp *v21.GetVariablesResponse) error {
	var vars []station.Variable
	for i := range resp.GetVariableResult {
		r := &resp.GetVariableResult[i]
		if r.AttributeStatus == v21.GetVariableStatusAccepted && !devicemodel.Secret(r.Variable.Name) {
			vars = append(vars, variable(r.Component, r.Variable, r.AttributeType, r.AttributeValue.Or("")))
		}
	}
	return c.keep(ctx, organisation, id, vars)
}

func (c *CSMS) keep(ctx context.Context, organisation string, id station.ID, vars []station.Variable) error {
	if len(vars) == 0 {
		return nil
	}
	return c.Stations.Keep(ctx, organisation, id, vars)
}

func variable(comp v21.Component, v v21.Variable, typ ocpp.Opt[v21.AttributeType], value string) station.Variable {
	out := station.Variable{Component: comp.Name, ComponentInstance: comp.Instance.Or(""), Variable: v.Name, VariableInstance: v.Instance.Or(""),
		Attribute: string(typ.Or(v21.AttributeTypeActual)), Value: value}
	if comp.EVSE != nil {
		out.EVSE, out.Connector = comp.EVSE.ID, comp.EVSE.ConnectorID.Or(0)
	}
	return out
}
