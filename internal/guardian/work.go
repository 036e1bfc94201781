package guardian

import (
	"context"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// The steps of a case.
const (
	fresh = iota // nothing has been done
	asked        // the station was asked, and had its time to answer
)

// noEnergy asks for the figures, and flags the session when they still tell of no energy.
func (g *Guardian) noEnergy(ctx context.Context, st *station.Station, c *Case) error {
	now := g.clock.Now()
	s, events, err := g.ledger.Evidence(ctx, c.Organisation, c.Session)
	if err != nil {
		return err
	}
	if since := chargingSince(s, events); now.Sub(since) < g.policy.NoEnergyAfter {
		c.DueAt = since.Add(g.policy.NoEnergyAfter)
		return g.keep(ctx, c, nil)
	}
	if c.Step == fresh && !delivers(s) {
		// The meter values of the transaction; of 2.x stations that cannot do this, those of the EVSE.
		a, err := g.trigger(ctx, st, c, s, v21.MessageTriggerTransactionEvent)
		if err == nil && a.unable != "" {
			_, err = g.trigger(ctx, st, c, s, v21.MessageTriggerMeterValues)
		}
		if err != nil {
			return err
		}
		c.Step, c.DueAt = asked, now.Add(g.policy.Answer)
		return g.keep(ctx, c, nil)
	}
	if !delivers(s) {
		text := "the station says that it charges, and since " + chargingSince(s, events).UTC().Format(time.RFC3339) + " there was neither energy nor power"
		marked, err := g.ledger.Mark(ctx, c.Organisation, c.Session, session.NoEnergy,
			session.Act{Who: session.Guardian, Kind: "flagged", Text: text, Data: map[string]any{"rule": NoEnergy}},
			func(now *session.Session) bool {
				return now.State == session.Active && !delivers(now) && claimsCharging(now)
			})
		if err != nil {
			return err
		}
		if marked != nil {
			c.Outcome = "flagged the session"
		}
	}
	c.rest(now)
	return g.keep(ctx, c, nil)
}

// chargingSince is since when, by our clock, the session has claimed to charge without a break.
func chargingSince(s *session.Session, events []session.Stored) time.Time {
	since := s.KnownSince()
	charging := s.ChargingState == ""
	for i := range events {
		state, ok := events[i].Request.TransactionInfo.ChargingState.Get()
		if !ok {
			continue
		}
		is := state == v21.ChargingStateCharging
		if is && !charging {
			since = events[i].ReceivedAt
		}
		charging = is
	}
	return since
}

// noStop finds out whether a session goes on whose connector is free, and assumes its end when it does not.
func (g *Guardian) noStop(ctx context.Context, st *station.Station, c *Case) error {
	return g.reconcile(ctx, st, c, g.clock.Now(), func(s *session.Session, c *Case) (verdict, error) {
		return g.spotVerdict(ctx, s, c, time.Time{}, func(state station.ConnectorState) bool { return after(state, s) })
	}, "the connector is free and the station reported no end")
}

// booted finds out what has become of a session while its station started again. One that goes on is left alone.
func (g *Guardian) booted(ctx context.Context, st *station.Station, c *Case) error {
	s, events, err := g.ledger.Evidence(ctx, c.Organisation, c.Session)
	if err != nil {
		return err
	}
	boot := st.BootedAt
	if s.State == session.Ended || goesOn(events, boot) {
		c.rest(g.clock.Now())
		return g.keep(ctx, c, nil)
	}
	return g.reconcile(ctx, st, c, boot, func(s *session.Session, c *Case) (verdict, error) {
		return g.spotVerdict(ctx, s, c, boot, func(station.ConnectorState) bool { return true })
	}, "the station started again at "+boot.UTC().Format(time.RFC3339)+" and does not go on with the transaction")
}

// goesOn reports whether a message shows that a transaction runs after a boot: about the time after it, not one from
// before that was delivered late. After a boot the station has our time.
func goesOn(events []session.Stored, boot time.Time) bool {
	for i := range events {
		r := events[i].Request
		if events[i].ReceivedAt.After(boot) && r.Timestamp.After(boot) && !r.Offline.Or(false) {
			return true
		}
	}
	return false
}

// verdict is what the state of a connector says of a transaction.
type verdict int

const (
	unclear verdict = iota
	runs
	over
)

// spotVerdict judges by the last state of the session's connector that came since a moment. A free connector has no
// transaction; the finer words of 1.6 tell more: OCPP 1.6 4.9.
func (g *Guardian) spotVerdict(ctx context.Context, s *session.Session, c *Case, since time.Time, counts func(station.ConnectorState) bool) (verdict, error) {
	all, err := g.stations.Connectors(ctx, []station.ID{c.Station})
	if err != nil {
		return unclear, err
	}
	for _, state := range all[c.Station] {
		if state.EVSE != s.EVSE || state.Connector != max(s.Connector, 1) || !counts(state) {
			continue
		}
		if !since.IsZero() {
			told, err := g.toldSince(ctx, c.Station, state, since)
			if err != nil || !told {
				return unclear, err
			}
		}
		switch {
		case state.Status == v21.ConnectorStatusAvailable || state.Status == v21.ConnectorStatusReserved, state.Detail == "Preparing", state.Detail == "Finishing":
			return over, nil
		case state.Detail == "Charging", state.Detail == "SuspendedEV", state.Detail == "SuspendedEVSE":
			return runs, nil
		}
	}
	return unclear, nil
}

// mostHistory bounds the reports of connectors that are read to see whether one came since a boot.
const mostHistory = 1000

// toldSince reports whether the station has told the state of a connector since a moment.
func (g *Guardian) toldSince(ctx context.Context, id station.ID, state station.ConnectorState, since time.Time) (bool, error) {
	history, err := g.stations.History(ctx, id, since, g.clock.Now().Add(time.Hour), mostHistory)
	for _, h := range history {
		if h.EVSE == state.EVSE && h.Connector == state.Connector {
			return true, err
		}
	}
	return false, err
}

// reconcile asks the station about a session: first what it knows of the transaction, then, when it cannot be asked or
// does not say, for the state of the connector, which judge reads. since is when the doubt began; why ends up in the
// session's timeline.
func (g *Guardian) reconcile(ctx context.Context, st *station.Station, c *Case, since time.Time,
	judge func(*session.Session, *Case) (verdict, error), why string) error {
	now := g.clock.Now()
	if c.Kind == NoStop {
		since = c.OpenedAt
	}
	s, _, err := g.ledger.Evidence(ctx, c.Organisation, c.Session)
	if err != nil {
		return err
	}
	last := s.LastEventAt
	if c.Step == fresh {
		known, a, err := g.transaction(ctx, st, c, s)
		switch {
		case err != nil:
			return err
		case a.later != "":
			return g.later(ctx, c)
		case known == statusOver:
			return g.assume(ctx, c, last, why+"; it says that the transaction is over and that no messages wait", a.command)
		case known == statusRuns && c.Kind == Boot:
			c.rest(now)
			c.Outcome = "the transaction goes on"
			return g.keep(ctx, c, nil)
		case known != statusUnknown && (known == statusRuns || now.Sub(since) < g.policy.QueueFor):
			return g.later(ctx, c)
		}
		if a, err = g.trigger(ctx, st, c, s, v21.MessageTriggerStatusNotification); err != nil {
			return err
		} else if a.later != "" {
			return g.later(ctx, c)
		}
		c.Step, c.DueAt = asked, now.Add(g.policy.Answer)
		return g.keep(ctx, c, nil)
	}
	found, err := judge(s, c)
	switch {
	case err != nil:
		return err
	case found == over:
		return g.assume(ctx, c, last, why, "")
	case found == runs:
		c.rest(now)
		c.Outcome = "the transaction goes on"
		return g.keep(ctx, c, nil)
	case now.Sub(since) >= g.policy.UnclearFor:
		return g.assume(ctx, c, last, why+"; for "+g.policy.UnclearFor.String()+" it did not say what has become of it", "")
	}
	c.Step = fresh
	return g.later(ctx, c)
}

// later asks again after a pause that grows.
func (g *Guardian) later(ctx context.Context, c *Case) error {
	c.DueAt = g.clock.Now().Add(g.policy.pause(c.Tries))
	c.Tries++
	return g.keep(ctx, c, nil)
}

// assume ends the session of a case, unless a message has come meanwhile.
func (g *Guardian) assume(ctx context.Context, c *Case, last time.Time, why, cmd string) error {
	data := map[string]any{"rule": c.Kind}
	if cmd != "" {
		data["command"] = cmd
	}
	ended, err := g.ledger.AssumeEnd(ctx, c.Organisation, c.Session, session.Act{Who: session.Guardian,
		Text: why + "; the session is taken to have ended with its last message", Data: data},
		func(s *session.Session) bool { return !s.LastEventAt.After(last) })
	if err != nil {
		return err
	}
	if ended == nil { // it has ended, or lives: looked at again in either case
		c.Step = fresh
		return g.later(ctx, c)
	}
	c.Outcome = "assumed the end of the session"
	c.rest(g.clock.Now())
	return g.keep(ctx, c, nil)
}

// stuck asks for the state of the connector, and tells the operators when it stays as it is.
func (g *Guardian) stuck(ctx context.Context, st *station.Station, c *Case) error {
	now := g.clock.Now()
	var s *session.Session
	if c.Session != "" {
		var err error
		if s, err = g.ledger.Get(ctx, c.Organisation, c.Session); err != nil {
			return err
		}
	}
	if c.Step == fresh {
		a, err := g.trigger(ctx, st, c, s, v21.MessageTriggerStatusNotification)
		if err != nil {
			return err
		}
		if a.later != "" {
			return g.later(ctx, c)
		}
		c.Step, c.DueAt = asked, now.Add(g.policy.Answer)
		return g.keep(ctx, c, nil)
	}
	c.Outcome = outcomeStuck
	c.rest(now)
	err := g.keep(ctx, c, func(tx *db.Tx) {
		g.events.Record(tx, event.New(event.ConnectorStuck, c.Organisation, string(c.Station), tx.Now(), c.view()))
		if s != nil {
			g.ledger.Act(tx, s, session.Act{Who: session.Guardian, Kind: "stuck", Data: map[string]any{"rule": Stuck},
				Text: "told the operators: " + c.Subject + " since " + c.OpenedAt.UTC().Format(time.RFC3339)})
		}
	})
	return err
}

// gap asks whether the station still has messages of a session that misses some: OCPP 2.1 E14.
func (g *Guardian) gap(ctx context.Context, st *station.Station, c *Case) error {
	now := g.clock.Now()
	s, err := g.ledger.Get(ctx, c.Organisation, c.Session)
	if err != nil {
		return err
	}
	known, a, err := g.transaction(ctx, st, c, s)
	text := ""
	switch {
	case err != nil:
		return err
	case a.unable != "":
		text = "messages are missing, and the station cannot be asked for them: " + a.unable
	case now.Sub(c.OpenedAt) >= g.policy.QueueFor:
		text = "messages are missing, and the station did not deliver them in " + g.policy.QueueFor.String() + "; it is not asked any more"
	case known == statusOver:
		text = "messages are missing, and the station has none left: the session stays incomplete"
	default:
		return g.later(ctx, c)
	}
	c.Outcome = "the session stays incomplete"
	c.rest(now)
	return g.keep(ctx, c, func(tx *db.Tx) {
		g.ledger.Act(tx, s, session.Act{Who: session.Guardian, Kind: "incomplete", Text: text, Data: map[string]any{"rule": Gap}})
	})
}
