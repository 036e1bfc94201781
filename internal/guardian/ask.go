package guardian

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"lumela/internal/account"
	"lumela/internal/command"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// answer is what a question to a station came to.
type answer struct {
	response ocpp.Response // nil when there is none
	command  string        // id of the command, "" when none was sent
	unable   string        // why the station cannot be asked this, "" when it can
	later    string        // why it could not be asked now, "" when it could
}

// ask sends a request to a station, unless it is known that it will not do it, and remembers when it does not.
func (g *Guardian) ask(ctx context.Context, st *station.Station, name string, req ocpp.Request) (answer, error) {
	reason, err := g.unable(ctx, st, name)
	if err != nil || reason != "" {
		return answer{unable: reason}, err
	}
	cmd, res, err := g.commands.Send(ctx, account.System(st.Organisation), command.Order{Station: st.ID, Request: req, Wait: g.policy.Answer})
	a := answer{response: res.Response}
	if cmd != nil {
		a.command = cmd.ID
	}
	d := unknownFor
	switch {
	case err == nil:
		if a.unable, d = g.refusal(res); a.unable == "" {
			return a, nil
		}
	case problem.Is(err, problem.Inexpressible):
		a.unable = "its version of OCPP cannot say it"
	case problem.Is(err, problem.Refused) && notKnown(err):
		a.unable = problem.Of(err).Text
	case problem.Is(err, problem.Refused):
		a.unable, d = problem.Of(err).Text, g.policy.AskAgain
	case problem.Is(err, problem.Internal): // ours, not the station's
		return a, err
	default:
		a.later = problem.Of(err).Text
		return a, nil
	}
	a.response = nil
	return a, g.remember(ctx, st, name, a.unable, d)
}

// refusal reads from an answer whether, and for how long, the station will not do what it was asked.
func (g *Guardian) refusal(res command.Result) (reason string, d time.Duration) {
	switch r := res.Response.(type) {
	case *v21.TriggerMessageResponse:
		switch r.Status {
		case v21.TriggerMessageStatusNotImplemented:
			return "it answered NotImplemented", unknownFor
		case v21.TriggerMessageStatusRejected:
			return "it answered Rejected", g.policy.AskAgain
		}
	case *v21.GetTransactionStatusResponse:
		for _, n := range res.Notes {
			if n.Kind == translate.Emulated { // it was not asked
				return "its version of OCPP cannot say it", unknownFor
			}
		}
	}
	return "", 0
}

// notKnown reports whether the station does not know a request at all.
func notKnown(err error) bool {
	var e *ocpp.CallError
	return errors.As(err, &e) && (e.Code == ocpp.NotImplemented || e.Code == ocpp.NotSupported)
}

// trigger asks a station for a message about a connector, in the name of a session that is not nil.
func (g *Guardian) trigger(ctx context.Context, st *station.Station, c *Case, s *session.Session, what v21.MessageTrigger) (answer, error) {
	req := &v21.TriggerMessageRequest{RequestedMessage: what}
	if c.EVSE > 0 {
		req.EVSE = &v21.EVSE{ID: c.EVSE}
		if what == v21.MessageTriggerStatusNotification { // OCPP 2.1 F06.FR.12
			req.EVSE.ConnectorID = ocpp.Some(max(c.Connector, 1))
		}
	}
	a, err := g.ask(ctx, st, "TriggerMessage "+string(what), req)
	if err != nil {
		return a, err
	}
	return a, g.tellAsked(ctx, c, s, "for "+string(what), a)
}

// status is what a station says of a transaction.
type status int

const (
	statusUnknown status = iota // it cannot be asked, or did not answer
	statusRuns
	statusWaits // it is over, and messages about it wait to be delivered
	statusOver  // it is over, or not known, and nothing more will come
)

// transaction asks a station what it knows of a session: OCPP 2.1 E14.FR.01 to OCPP 2.1 E14.FR.05.
func (g *Guardian) transaction(ctx context.Context, st *station.Station, c *Case, s *session.Session) (status, answer, error) {
	if !s.Sequenced { // only versions that number their messages can be asked
		return statusUnknown, answer{unable: "its version of OCPP cannot say it"}, nil
	}
	a, err := g.ask(ctx, st, v21.ActionGetTransactionStatus, &v21.GetTransactionStatusRequest{TransactionID: ocpp.Some(s.TransactionID)})
	if err != nil {
		return statusUnknown, a, err
	}
	out := statusUnknown
	if r, ok := a.response.(*v21.GetTransactionStatusResponse); ok {
		switch {
		case r.OngoingIndicator.Or(false):
			out = statusRuns
		case r.MessagesInQueue:
			out = statusWaits
		case r.OngoingIndicator.OK:
			out = statusOver
		}
	}
	return out, a, g.tellAsked(ctx, c, s, "what it knows of the transaction", a)
}

// tellAsked records in the timeline that a station was asked, and what it said. A question that was not sent is no act.
func (g *Guardian) tellAsked(ctx context.Context, c *Case, s *session.Session, what string, a answer) error {
	if a.command == "" {
		return nil
	}
	c.Outcome = "asked the station " + what
	if s == nil {
		return nil
	}
	text := "asked the station " + what
	data := map[string]any{"rule": c.Kind, "command": a.command}
	switch {
	case a.response != nil:
		data["answer"] = json.RawMessage(ocpp.Marshal(a.response))
		text += ": " + said(a.response)
	case a.unable != "":
		text += "; " + a.unable
	default:
		text += "; no answer: " + a.later
	}
	return g.ledger.Record(ctx, s, session.Act{Who: session.Guardian, Kind: "asked", Text: text, Data: data})
}

// said is an answer in words.
func said(resp ocpp.Response) string {
	switch r := resp.(type) {
	case *v21.GetTransactionStatusResponse:
		text := "it does not run"
		if r.OngoingIndicator.Or(false) {
			text = "it runs"
		} else if !r.OngoingIndicator.OK {
			text = "it does not say whether it runs"
		}
		if r.MessagesInQueue {
			return text + ", messages wait to be delivered"
		}
		return text + ", no messages wait"
	case *v21.TriggerMessageResponse:
		return string(r.Status)
	}
	return "it answered"
}
