package command

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

type sendInput struct {
	station.PathID
	Action  string `path:"action" doc:"OCPP 2.1 action that a CSMS sends"`
	Wait    string `query:"wait" default:"30s" doc:"How long to wait for the answer, at most 5m"`
	Queue   bool   `query:"queue" doc:"Keep the command for an offline station"`
	RawBody []byte `contentType:"application/json"`
}

type commandOutput struct {
	Status int
	Body   struct {
		ID          string           `json:"id"`
		Status      Status           `json:"status" enum:"ok,queued"`
		Response    json.RawMessage  `json:"response,omitempty" doc:"OCPP 2.1 payload"`
		Translation []translate.Note `json:"translation" doc:"What was emulated or lost for the station's version"`
	}
}

type viewOutput struct{ Body View }

type listInput struct {
	station.PathID
	page.Query
}

// Register adds the operations of this package to the API. ledger finds the sessions to stop.
func (c *Commands) Register(api huma.API, ledger *session.Ledger) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Commands"}}
	}
	send := op("send-command", http.MethodPost, "/stations/{id}/commands/{action}", "Send an OCPP 2.1 request to a station of any version")
	send.MaxBodyBytes = 1 << 20
	send.SkipValidateBody = true // Parse does, against the schema of the action
	huma.Register(api, send, c.send)
	if item := api.OpenAPI().Paths[send.Path]; item != nil && item.Post != nil { // huma describes a raw body as binary
		item.Post.RequestBody = &huma.RequestBody{Description: "OCPP 2.1 payload of the action", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}}}
	}
	huma.Register(api, op("list-commands", http.MethodGet, "/stations/{id}/commands", "Commands of a station, newest first"), c.list)
	huma.Register(api, op("get-command", http.MethodGet, "/commands/{id}", "Read a command"), c.get)
	huma.Register(api, op("stop-session", http.MethodPost, "/sessions/{id}/stop", "Stop a session from afar"),
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		}) (*commandOutput, error) {
			return c.stop(ctx, ledger, in.ID)
		})
}

func (c *Commands) send(ctx context.Context, in *sendInput) (*commandOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	wait, err := time.ParseDuration(in.Wait)
	if err != nil || wait <= 0 || wait > MaxWait {
		return nil, problem.Field("wait", "must be a duration of at most %s, as 10s", MaxWait)
	}
	if _, err := c.stations.Of(ctx, p.Organisation, in.Station()); err != nil {
		return nil, err
	}
	req, err := Parse(in.Action, in.RawBody)
	if err != nil {
		return nil, err
	}
	return c.answer(c.Send(ctx, p, Order{Station: in.Station(), Request: req, Wait: wait, Queue: in.Queue}))
}

func (c *Commands) answer(cmd *Command, res Result, err error) (*commandOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &commandOutput{Status: http.StatusOK}
	out.Body.ID, out.Body.Status, out.Body.Translation = cmd.ID, cmd.Status, res.Notes
	if out.Body.Translation == nil {
		out.Body.Translation = []translate.Note{}
	}
	if cmd.Status == Queued {
		out.Status = http.StatusAccepted
		return out, nil
	}
	if res.Response != nil {
		out.Body.Response = json.RawMessage(public(res.Response))
	}
	return out, nil
}

func (c *Commands) stop(ctx context.Context, ledger *session.Ledger, id string) (*commandOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	s, err := ledger.Get(ctx, p.Organisation, id)
	if err != nil {
		return nil, err
	}
	if s.State != session.Active {
		return nil, problem.New(problem.Conflict, "the session has ended already")
	}
	return c.answer(c.Send(ctx, p, Order{Station: s.Station, Request: &v21.RequestStopTransactionRequest{TransactionID: s.TransactionID}}))
}

func (c *Commands) list(ctx context.Context, in *listInput) (*page.Output[View], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	st, err := c.stations.Of(ctx, p.Organisation, in.Station())
	if err != nil {
		return nil, err
	}
	parts, err := in.Parse(1)
	if err != nil {
		return nil, err
	}
	list, err := c.List(ctx, p.Organisation, st.ID, parts[0], in.Limit+1)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(list))
	for i, cmd := range list {
		views[i] = cmd.view()
	}
	return page.Of(views, in.Limit, func(v View) []string { return []string{v.ID} }), nil
}

func (c *Commands) get(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*viewOutput, error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	cmd, err := c.Get(ctx, p.Organisation, in.ID)
	if err != nil {
		return nil, err
	}
	return &viewOutput{Body: cmd.view()}, nil
}
