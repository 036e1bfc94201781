package csms

import (
	"context"
	"math/rand/v2"

	"lumela/internal/command"
	"lumela/internal/gateway"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// newRequestID makes the id of a report, unlike those of reports under way.
func (c *CSMS) newRequestID() int { return rand.IntN(1<<31-1) + 1 }

// notifyReport keeps each part of a report as it comes: a report that breaks off has still told something, and the
// variables of its parts are right whatever is missing.
func (c *CSMS) notifyReport(ctx context.Context, l *gateway.Link, r *v21.NotifyReportRequest) error {
	vars := station.ReportVariables(r.ReportData)
	if len(vars) == 0 {
		return nil
	}
	return c.Stations.Keep(ctx, station.ID(l.Station().ID), vars)
}

// Observe hears of commands that stations have answered: what they changed is kept. It is a command.Observer.
func (c *CSMS) Observe(ctx context.Context, organisation string, id station.ID, req ocpp.Request, resp ocpp.Response) error {
	switch r := resp.(type) {
	case *v21.SetVariablesResponse:
		return c.variablesSet(ctx, organisation, id, req.(*v21.SetVariablesRequest), r)
	case *v21.GetVariablesResponse:
		return c.variablesGot(ctx, id, r)
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
		if result.AttributeStatus != v21.SetVariableStatusAccepted || i >= len(req.SetVariableData) {
			continue
		}
		data := &req.SetVariableData[i]
		if station.SecretVariable(data.Variable.Name) {
			if err := c.Stations.SetPassword(ctx, organisation, id, data.AttributeValue); err != nil {
				return err
			}
			continue
		}
		vars = append(vars, variable(data.Component, data.Variable, data.AttributeType, data.AttributeValue))
	}
	return c.keep(ctx, id, vars)
}

func (c *CSMS) variablesGot(ctx context.Context, id station.ID, resp *v21.GetVariablesResponse) error {
	var vars []station.Variable
	for i := range resp.GetVariableResult {
		r := &resp.GetVariableResult[i]
		if r.AttributeStatus == v21.GetVariableStatusAccepted && !station.SecretVariable(r.Variable.Name) {
			vars = append(vars, variable(r.Component, r.Variable, r.AttributeType, r.AttributeValue.Or("")))
		}
	}
	return c.keep(ctx, id, vars)
}

func (c *CSMS) keep(ctx context.Context, id station.ID, vars []station.Variable) error {
	if len(vars) == 0 {
		return nil
	}
	return c.Stations.KeepSome(ctx, id, vars)
}

func variable(comp v21.Component, v v21.Variable, typ ocpp.Opt[v21.AttributeType], value string) station.Variable {
	out := station.Variable{Component: comp.Name, ComponentInstance: comp.Instance.Or(""), Variable: v.Name, VariableInstance: v.Instance.Or(""),
		Attribute: string(typ.Or(v21.AttributeTypeActual)), Value: value}
	if comp.EVSE != nil {
		out.EVSE, out.Connector = comp.EVSE.ID, comp.EVSE.ConnectorID.Or(0)
	}
	return out
}
