package guardian

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// startsFor is how long a late session is still taken for the effect of a remote start whose number it carries.
const startsFor = 24 * time.Hour

// remoteStarts finds out what came of remote starts.
func (g *Guardian) remoteStarts(ctx context.Context) error {
	now := g.clock.Now()
	list, err := g.commands.Starts(ctx, now.Add(-startsFor))
	if err != nil {
		return err
	}
	limits := map[station.ID]time.Duration{}
	var errs []error
	for _, cmd := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := g.remoteStart(ctx, cmd, now, limits); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *Guardian) remoteStart(ctx context.Context, cmd *command.Command, now time.Time, limits map[station.ID]time.Duration) error {
	parsed, err := command.Parse(cmd.Action, []byte(cmd.Request))
	if err != nil { // of an older form of the protocol's types: nothing can be told
		return g.refused(ctx, cmd, "the request cannot be read")
	}
	req := parsed.(*v21.RequestStartTransactionRequest)
	var resp v21.RequestStartTransactionResponse
	if cmd.Response != "" {
		_ = ocpp.Decode(cmd.Response, &resp, false) // what the station broke is left out
		if resp.Status != v21.RequestStartStopStatusAccepted {
			return g.refused(ctx, cmd, "the station answered "+string(resp.Status))
		}
	}
	limit, ok := limits[cmd.Station]
	if !ok {
		if limit, err = g.startLimit(ctx, cmd.Station); err != nil {
			return err
		}
		limits[cmd.Station] = limit
	}
	begin := cmd.CreatedAt
	if !cmd.FinishedAt.IsZero() {
		begin = cmd.FinishedAt
	}
	deadline := begin.Add(limit + g.policy.StartGrace)
	s, err := g.ledger.Begun(ctx, cmd.Organisation, cmd.Station, cmd.CreatedAt.Add(-time.Minute), session.Origin{RemoteStartID: req.RemoteStartID,
		TransactionID: resp.TransactionID.Or(""), Token: req.IDToken.IDToken, EVSE: req.EVSEID.Or(0), Until: deadline.Add(g.policy.StartLate)})
	if err != nil {
		return err
	}
	if s != nil {
		linked, err := g.started(ctx, cmd, s)
		if err != nil || linked {
			return err
		}
	}
	if cmd.Outcome != nil || now.Before(deadline) {
		return nil
	}
	_, err = g.commands.Settled(ctx, cmd, command.Outcome{State: command.OutcomeExpired,
		Text: "no transaction began within " + (limit + g.policy.StartGrace).String() + " of the station's answer"}, nil)
	return err
}

func (g *Guardian) refused(ctx context.Context, cmd *command.Command, text string) error {
	_, err := g.commands.Settled(ctx, cmd, command.Outcome{State: command.OutcomeRefused, Text: text}, nil)
	return err
}

func (g *Guardian) started(ctx context.Context, cmd *command.Command, s *session.Session) (bool, error) {
	text := "a session began"
	if cmd.Outcome != nil {
		text = "a session began, later than the limit"
	}
	return g.commands.Settled(ctx, cmd, command.Outcome{State: command.OutcomeStarted, Session: s.ID, Text: text}, func(tx *db.Tx) {
		g.ledger.Act(tx, s, session.Act{Who: session.Guardian, Kind: session.ActRemoteStarted,
			Text: "the session is the effect of a remote start by " + cmd.By, Data: map[string]any{"command": cmd.ID}})
	})
}

// startLimit is how long a station waits for the car after a remote start.
func (g *Guardian) startLimit(ctx context.Context, id station.ID) (time.Duration, error) {
	vars, err := g.stations.Variables(ctx, id, "TxCtrlr")
	if err != nil {
		return 0, err
	}
	for _, v := range vars {
		if !strings.EqualFold(v.Variable, "EVConnectionTimeOut") || v.Attribute != "Actual" {
			continue
		}
		// 0 waits for ever, and a slip of years must not hide a start that never happened.
		if n, err := strconv.Atoi(strings.TrimSpace(v.Value)); err == nil && n > 0 && n <= 24*3600 {
			return time.Duration(n) * time.Second, nil
		}
	}
	return g.policy.StartWithin, nil
}
