package guardian

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/command"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// View is a case as the API shows it.
type View struct {
	ID        string     `json:"id"`
	Kind      Kind       `json:"kind" enum:"no-energy,no-stop,boot,stuck,gap"`
	Station   string     `json:"station"`
	EVSE      int        `json:"evse"`
	Connector int        `json:"connector"`
	Session   string     `json:"session" doc:"Id of the session, empty for a connector without one"`
	Subject   string     `json:"subject" doc:"What was seen"`
	Outcome   string     `json:"outcome" doc:"What the guardian did last"`
	Tries     int        `json:"tries" doc:"How often the station was asked to no avail"`
	OpenedAt  time.Time  `json:"openedAt"`
	ClosedAt  *time.Time `json:"closedAt" doc:"Null while the cause is there"`
}

func (c *Case) view() View {
	v := View{ID: c.ID, Kind: c.Kind, Station: string(c.Station), EVSE: c.EVSE, Connector: c.Connector, Session: c.Session, Subject: c.Subject,
		Outcome: c.Outcome, Tries: c.Tries, OpenedAt: c.OpenedAt.UTC()}
	if !c.ClosedAt.IsZero() {
		t := c.ClosedAt.UTC()
		v.ClosedAt = &t
	}
	return v
}

type timelineInput struct {
	ID string `path:"id"`
	page.Query
}

type closeInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Why, for the session's timeline"`
		Force  bool   `json:"force,omitempty" doc:"Close it even though the station is connected and does not say that it is over"`
	}
}

type sessionOutput struct{ Body session.View }

type casesInput struct {
	page.Query
	Station string `query:"station"`
	Session string `query:"session" doc:"Id of a session"`
	Kind    string `query:"kind" enum:"no-energy,no-stop,boot,stuck,gap"`
	State   string `query:"state" enum:"open,closed"`
}

// Register adds the operations of this package to the API.
func (g *Guardian) Register(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Sessions"}}
	}
	huma.Register(api, op("session-timeline", http.MethodGet, "/sessions/{id}/timeline",
		"What happened to a session: messages, flags, what was done to it and commands, in the order in which it became known"), g.timeline)
	huma.Register(api, op("close-session", http.MethodPost, "/sessions/{id}/close",
		"End a session whose station is gone, with its last message; the true end replaces this one when it comes"), g.closeSession)
	huma.Register(api, op("list-cases", http.MethodGet, "/guardian/cases", "What the guardian has found wrong and done something about, newest first"), g.cases)
}

// commandsBefore is how long before its first message a session's remote start is looked for.
const commandsBefore = 30 * time.Minute

func (g *Guardian) timeline(ctx context.Context, in *timelineInput) (*page.Output[session.Entry], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	s, err := g.ledger.Get(ctx, p.Organisation, in.ID)
	if err != nil {
		return nil, err
	}
	parts, err := in.Parse(2)
	if err != nil {
		return nil, err
	}
	orders, err := g.orders(ctx, s)
	if err != nil {
		return nil, err
	}
	list, err := g.ledger.Timeline(ctx, s, orders...)
	if err != nil {
		return nil, err
	}
	if list, err = session.After(list, parts); err != nil {
		return nil, err
	}
	if len(list) > in.Limit {
		list = list[:in.Limit+1]
	}
	return page.Of(list, in.Limit, session.Entry.Cursor), nil
}

// orders are the commands that concern a session.
func (g *Guardian) orders(ctx context.Context, s *session.Session) ([]session.Entry, error) {
	to := g.clock.Now().Add(time.Hour)
	list, err := g.commands.Concerning(ctx, s.Organisation, s.Station, s.KnownSince().Add(-startsFor), to)
	if err != nil {
		return nil, err
	}
	var out []session.Entry
	for _, cmd := range list {
		if !concerns(cmd, s) {
			continue
		}
		e := session.Entry{ID: cmd.ID, At: cmd.CreatedAt.UTC(), Type: "command", Kind: cmd.Action, Who: cmd.By, Text: "Remote stop: " + string(cmd.Status)}
		if cmd.Action == v21.ActionRequestStartTransaction {
			e.Text = "Remote start: " + string(cmd.Status)
		}
		if e.Data, err = cmd.JSON(); err != nil {
			return nil, problem.Wrap("write the command", err)
		}
		out = append(out, e)
	}
	return out, nil
}

func concerns(cmd *command.Command, s *session.Session) bool {
	req, err := command.Parse(cmd.Action, []byte(cmd.Request))
	if err != nil {
		return false
	}
	switch r := req.(type) {
	case *v21.RequestStartTransactionRequest:
		if cmd.Outcome != nil && cmd.Outcome.Session != "" {
			return cmd.Outcome.Session == s.ID
		}
		// Not linked yet: the number of the start tells, when it is not an old one that came again.
		return s.RemoteStartID != nil && *s.RemoteStartID == r.RemoteStartID && cmd.CreatedAt.After(s.KnownSince().Add(-commandsBefore)) &&
			cmd.CreatedAt.Before(s.KnownSince().Add(time.Minute))
	case *v21.RequestStopTransactionRequest:
		return r.TransactionID == s.TransactionID && cmd.CreatedAt.After(s.KnownSince())
	}
	return false
}

func (g *Guardian) closeSession(ctx context.Context, in *closeInput) (*sessionOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	s, err := g.ledger.Get(ctx, p.Organisation, in.ID)
	if err != nil {
		return nil, err
	}
	if s.State != session.Active {
		return nil, problem.New(problem.Conflict, "the session has ended already")
	}
	if !in.Body.Force {
		if err := g.mayClose(ctx, p, s); err != nil {
			return nil, err
		}
	}
	ended, err := g.ledger.AssumeEnd(ctx, p.Organisation, s.ID, session.Act{Who: p.Name, Text: "closed by " + p.Name + ": " + in.Body.Reason,
		Data: map[string]any{"reason": in.Body.Reason, "force": in.Body.Force}}, nil)
	if err != nil {
		return nil, err
	}
	if ended == nil {
		return nil, problem.New(problem.Conflict, "the session has ended meanwhile")
	}
	return &sessionOutput{Body: ended.View()}, nil
}

// mayClose refuses to close a session whose station is connected and does not say that the transaction is over.
func (g *Guardian) mayClose(ctx context.Context, p account.Principal, s *session.Session) error {
	st, err := g.stations.Of(ctx, p.Organisation, s.Station)
	if problem.Is(err, problem.NotFound) {
		return nil // it was removed
	}
	if err != nil || !st.Online() {
		return err
	}
	if s.Sequenced {
		_, res, err := g.commands.Send(ctx, p, command.Order{Station: s.Station, Wait: g.policy.Answer,
			Request: &v21.GetTransactionStatusRequest{TransactionID: ocpp.Some(s.TransactionID)}})
		switch r, ok := res.Response.(*v21.GetTransactionStatusResponse); {
		case problem.Is(err, problem.Offline):
			return nil
		case err != nil || !ok || !r.OngoingIndicator.OK: // it cannot say: the connector may
		case r.OngoingIndicator.V:
			return problem.New(problem.Conflict, "the station is connected and says that the transaction runs: stop it, or close it with force")
		case r.MessagesInQueue:
			return problem.New(problem.Conflict, "the station is connected and still has messages to deliver: wait for them, or close it with force")
		default:
			return nil
		}
	}
	found, err := g.spotVerdict(ctx, s, &Case{Station: s.Station}, time.Time{}, func(state station.ConnectorState) bool { return after(state, s) })
	if err != nil || found == over {
		return err
	}
	return problem.New(problem.Conflict, "the station is connected and does not say that the transaction is over: stop it, or close it with force")
}

func (g *Guardian) cases(ctx context.Context, in *casesInput) (*page.Output[View], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	parts, err := in.Parse(1)
	if err != nil {
		return nil, err
	}
	list, err := g.list(ctx, p.Organisation, filter{station: in.Station, session: in.Session, kind: in.Kind, state: in.State, before: parts[0], limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	views := make([]View, len(list))
	for i, c := range list {
		views[i] = c.view()
	}
	return page.Of(views, in.Limit, func(v View) []string { return []string{v.ID} }), nil
}
