// Package csms is the meaning of OCPP 2.1: it takes each message of a station to the capability that it concerns. It
// knows no other version; the gateway has said everything in 2.1 before it comes here.
package csms

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/gateway"
	"lumela/internal/idtoken"
	"lumela/internal/problem"
	"lumela/internal/reservation"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// CSMS answers the stations.
type CSMS struct {
	Stations     *station.Stations
	Tokens       *idtoken.Tokens
	Ledger       *session.Ledger
	Commands     *command.Commands
	Reservations *reservation.Reservations
	Log          *slog.Logger
	// Heartbeat is the interval that stations are told.
	Heartbeat time.Duration

	// Database tells of outages.
	Database Database

	boots   boots
	behind  behind
	missed  sync.Map // connector -> struct{}: its status must be asked for after the outage
	reports reports
	signing rate
	rereads sync.Map // station.ID -> struct{}: the device model must be read when the station is ready
}

// pendingInterval is how soon a station in the waiting room asks again.
const pendingInterval = 30 * time.Second

// Admit implements gateway.Platform.
func (c *CSMS) Admit(ctx context.Context, id string, _ ocpp.Version, cr gateway.Credentials) (gateway.Station, error) {
	if err := c.admits(ctx); err != nil {
		return gateway.Station{}, err
	}
	st, err := c.Stations.Authenticate(ctx, id, station.Credentials{TLS: cr.TLS, ClientCN: cr.ClientCN, HasBasic: cr.HasBasic,
		Username: cr.Username, Password: cr.Password, Other: cr.Other, Remote: cr.Remote})
	if err != nil {
		return gateway.Station{}, c.refusal(ctx, st, cr, err)
	}
	return gateway.Station{ID: string(st.ID), Organisation: st.Organisation, Strict: st.Strict, CertificateName: cr.ClientCN,
		Accepted: st.Admission == station.Accepted && !st.BootedAt.IsZero(), Stranger: st.Admission == station.Pending}, nil
}

// refusal is why a station may not connect, in the gateway's words; what looks like an attack is told to the operator.
func (c *CSMS) refusal(ctx context.Context, st *station.Station, cr gateway.Credentials, err error) error {
	var r *station.Refusal
	if !errors.As(err, &r) {
		return notNow(err)
	}
	if r.Attack && st != nil {
		if err := c.Stations.Alarm(ctx, st, r.Reason, cr.Remote); err != nil {
			c.Log.Error("security event not recorded", "station", st.ID, "error", err)
		}
	}
	return &gateway.Refusal{Status: r.Status, Reason: r.Reason, RetryAfter: r.RetryAfter}
}

// Opened implements gateway.Platform: the link is recorded, and the translation told of what runs already.
func (c *CSMS) Opened(ctx context.Context, l *gateway.Link) error {
	st := l.Station()
	id := station.ID(st.ID)
	running, err := c.Ledger.RunningOn(ctx, []station.ID{id})
	if err != nil {
		return notNow(err)
	}
	for place, r := range running {
		if r.Organisation != st.Organisation { // it was somebody else's before
			continue
		}
		token := ""
		if r.Token != nil {
			token = *r.Token
		}
		l.Transaction(place.EVSE, r.TransactionID, token)
	}
	return notNow(c.Stations.Linked(ctx, st.Organisation, linkOf(l)))
}

func linkOf(l *gateway.Link) station.Link {
	return station.Link{ID: l.ID(), Node: l.Node(), Station: station.ID(l.Station().ID), Protocol: l.Version().String(), Remote: l.Remote(), At: l.Opened()}
}

// closeTimeout bounds the records of a link's end.
const closeTimeout = 30 * time.Second

// Closed implements gateway.Platform.
func (c *CSMS) Closed(l *gateway.Link, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	id := station.ID(l.Station().ID)
	c.reports.forgetAll(l.ID())
	if err := c.Ledger.Release(ctx, id); err != nil && db.IsOutage(err) {
		c.catchUp(id)
	} else if err != nil {
		c.Log.Error("running sessions not written", "station", id, "error", err)
	}
	link := linkOf(l)
	link.ByStation = l.ByStation()
	c.recordEnd(l.Station().Organisation, link, reason, time.Now())
}

// Seen implements gateway.Platform.
func (c *CSMS) Seen(at map[string]time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	byID := make(map[station.ID]time.Time, len(at))
	for id, t := range at {
		byID[station.ID(id)] = t
	}
	if err := c.Stations.Seen(ctx, byID); err != nil && !passing(err) { // an outage is told once, and they are heard of again
		c.Log.Error("times of last contact not recorded", "error", err)
	}
}

// Ready implements gateway.Platform: what waits for the station is sent, and its device model read when it must be.
func (c *CSMS) Ready(l *gateway.Link) {
	st := l.Station()
	id := station.ID(st.ID)
	ctx := context.Background()
	_, must := c.rereads.LoadAndDelete(id)
	if known, err := c.Stations.Get(ctx, id); err == nil {
		if must = must || known.ModelReadAt.IsZero(); known.RotatePassword && known.Admission == station.Accepted {
			c.rotatePassword(ctx, l, known)
		}
	}
	deliver := func() { c.Commands.Deliver(ctx, st.Organisation, id) }
	if !must {
		deliver()
		return
	}
	c.readFully(ctx, l, deliver)
}

// modelRetries are the pauses before the device model is asked for again when no answer came: a station may be busy with
// its start.
var modelRetries = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute}

// Decided is called when an operator accepts or rejects a station: a connected one is asked to boot again, so that it
// hears of it at once. reach finds its link on this node.
func (c *CSMS) Decided(st *station.Station, l *gateway.Link) {
	if l == nil {
		return
	}
	if st.Admission != station.Accepted {
		l.Reject()
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), command.DefaultWait)
		defer cancel()
		_, err := l.Call(ctx, &v21.TriggerMessageRequest{RequestedMessage: v21.MessageTriggerBootNotification})
		if err != nil {
			c.Log.Info("accepted station will hear of it at its next BootNotification", "station", st.ID, "error", err)
		}
	}()
}

// now is the time as stations are told it: UTC with at most three digits of the second.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// failed turns an error of ours into what the station hears.
func (c *CSMS) failed(l *gateway.Link, action string, err error) *ocpp.CallError {
	var refused *ocpp.CallError // on purpose
	if !errors.As(err, &refused) && problem.Of(err).Kind == problem.Internal && !passing(err) {
		c.Log.Error("message not processed", "station", l.Station().ID, "action", action, "error", err)
	}
	return problem.CallError(err)
}
