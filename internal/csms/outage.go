package csms

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"lumela/internal/account"
	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/gateway"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// Database says whether facts can be stored at the moment. *db.DB does.
type Database interface {
	// Outage is why not, and since when; nil when they can.
	Outage() (since time.Time, err error)
	// AwaitHealthy waits until they can.
	AwaitHealthy(ctx context.Context) error
}

const (
	// holdFor is how long a message waits for the end of an outage before the station is put off: a server that restarts is
	// back by then, and no station has given up waiting for its answer. It is below the time of a drain.
	holdFor = 4 * time.Second
	// holdHandshake is the same for a station that connects: only so many can be let in at once.
	holdHandshake = 2 * time.Second
	// holdPause is between two attempts when the outage is not one of writes, so that its end is not told.
	holdPause = 100 * time.Millisecond
)

// passing reports whether an error is that of an outage, or of a node that ends: the same message may succeed later, or
// elsewhere.
func passing(err error) bool {
	return db.IsOutage(err) || errors.Is(err, db.ErrClosed) || errors.Is(err, context.Canceled)
}

// handleOutage handles a message. One that fails because of the database it tries again, and when that lasts too long, does what harms
// least:
//
//   - a message of a transaction, or one with meter values, gets no answer, and the link is closed: the station keeps it and
//     sends it again. After a CALLERROR it would do so only for some attempts and then throw it away (OCPP 1.6 3.7.1,
//     OCPP 2.0.1 E13.FR.04).
//   - a station that boots is told to wait: Pending, and when to ask again (OCPP 2.1 B02.FR.01).
//   - a status is refused, and asked for again afterwards.
//   - anything else is refused; it is the station's to say it again.
func (c *CSMS) handleOutage(ctx context.Context, l *gateway.Link, req ocpp.Request) (ocpp.Response, error) {
	var err error
	if _, boots := req.(*v21.BootNotificationRequest); boots && c.Database != nil {
		_, err = c.Database.Outage() // it needs nothing stored, perhaps, but what comes after it does
	}
	if err == nil {
		var resp ocpp.Response
		if resp, err = c.handle(ctx, l, req); err == nil || !passing(err) {
			return resp, err
		}
	}
	return c.duringOutage(ctx, l, req, err)
}

func (c *CSMS) duringOutage(ctx context.Context, l *gateway.Link, req ocpp.Request, err error) (ocpp.Response, error) {
	waiting, cancel := context.WithDeadline(ctx, c.patience(holdFor))
	defer cancel()
	for passing(err) && c.await(waiting) {
		var resp ocpp.Response
		if resp, err = c.handle(ctx, l, req); err == nil {
			return resp, nil
		}
	}
	if !passing(err) {
		return nil, err
	}
	switch r := req.(type) {
	case *v21.TransactionEventRequest, *v21.MeterValuesRequest:
		l.PutOff("the database cannot store it")
	case *v21.BootNotificationRequest:
		wait := pendingInterval/3 + rand.N(pendingInterval/3) // they should not all come back at the same moment
		return &v21.BootNotificationResponse{CurrentTime: now(), Status: v21.RegistrationStatusPending, Interval: int(wait / time.Second)}, nil
	case *v21.StatusNotificationRequest:
		c.askAgain(l, r)
	}
	return nil, err
}

// patience is until when something may wait for the end of the present outage: not at all when it lasts longer already.
func (c *CSMS) patience(d time.Duration) time.Time {
	if c.Database != nil {
		if since, err := c.Database.Outage(); err != nil {
			return since.Add(d)
		}
	}
	return time.Now().Add(d)
}

// await waits for the end of the outage and a little longer; false when ctx has ended.
func (c *CSMS) await(ctx context.Context) bool {
	if c.Database == nil || ctx.Err() != nil || c.Database.AwaitHealthy(ctx) != nil {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(holdPause):
		return true
	}
}

// admits is nil when stations can be let in: what they will say can be stored.
func (c *CSMS) admits(ctx context.Context) error {
	if c.Database == nil {
		return nil
	}
	_, reason := c.Database.Outage()
	if reason == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, c.patience(holdHandshake))
	defer cancel()
	if err := c.Database.AwaitHealthy(ctx); err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrNotNow, reason)
	}
	return nil
}

// notNow marks the error of an outage for the gateway: it has been told of already.
func notNow(err error) error {
	if err == nil || !db.IsOutage(err) {
		return err
	}
	return fmt.Errorf("%w: %w", gateway.ErrNotNow, err)
}

// connector is what a status was refused for.
type connector struct {
	station         station.ID
	evse, connector int
}

// askAgain asks for a status that could not be stored, when the outage is over: the station believes that it has told us.
// It is asked once for each connector.
func (c *CSMS) askAgain(l *gateway.Link, r *v21.StatusNotificationRequest) {
	place := connector{station.ID(l.Station().ID), r.EVSEID, r.ConnectorID}
	if _, asked := c.missed.LoadOrStore(place, struct{}{}); asked || c.Database == nil {
		return
	}
	organisation := l.Station().Organisation
	go func() {
		err := c.Database.AwaitHealthy(context.Background())
		c.missed.Delete(place)
		if err != nil {
			return // the node ends
		}
		_, _, err = c.Commands.Send(context.Background(), account.System(organisation), command.Order{Station: place.station, Queue: true,
			Request: &v21.TriggerMessageRequest{RequestedMessage: v21.MessageTriggerStatusNotification,
				EVSE: &v21.EVSE{ID: place.evse, ConnectorID: ocpp.Some(place.connector)}}})
		if err != nil {
			c.Log.Warn("status that came during an outage not asked for again", "station", place.station, "error", err)
		}
	}()
}

// recordEnd records the end of a link, after an outage when it cannot be done now: otherwise the station would be shown as
// connected for ever.
func (c *CSMS) recordEnd(organisation string, link station.Link, reason string, at time.Time) {
	record := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return c.Stations.Unlinked(ctx, organisation, link, reason, at)
	}
	err := record()
	if err != nil && db.IsOutage(err) && c.Database != nil {
		go func() {
			for err := err; err != nil; err = record() {
				if !db.IsOutage(err) {
					c.Log.Error("end of link not recorded", "station", link.Station, "error", err)
					return
				}
				if c.Database.AwaitHealthy(context.Background()) != nil {
					return // the node ends, and its next start knows that nobody is connected
				}
				time.Sleep(holdPause)
			}
		}()
		return
	}
	if err != nil {
		c.Log.Error("end of link not recorded", "station", link.Station, "error", err)
	}
}

// behind are the stations whose sessions' rows could not be written when their links ended.
type behind struct {
	mu       sync.Mutex
	stations map[station.ID]bool
	waiting  bool // somebody waits for the end of the outage
}

// add takes a station in; first says that the caller is to wait for the end of the outage.
func (b *behind) add(id station.ID) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stations == nil {
		b.stations = map[station.ID]bool{}
	}
	b.stations[id] = true
	first, b.waiting = !b.waiting, true
	return first
}

// take gives all of them; none ends the waiting.
func (b *behind) take() map[station.ID]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.stations
	b.stations, b.waiting = nil, len(all) > 0
	return all
}

// catchUp has the figures of a station's running sessions written after the outage. Its messages are stored, but the station
// may not come back soon, and what is shown would stay behind them.
func (c *CSMS) catchUp(id station.ID) {
	if c.Database == nil || !c.behind.add(id) {
		return
	}
	go func() {
		for all := c.behind.take(); len(all) > 0; all = c.behind.take() {
			if c.Database.AwaitHealthy(context.Background()) != nil {
				return // the node ends; the next start computes all running sessions again
			}
			time.Sleep(holdPause)
			ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
			err := c.Ledger.RecoverOn(ctx, func(id station.ID) bool { return all[id] })
			cancel()
			switch {
			case err != nil && db.IsOutage(err):
				for id := range all {
					c.behind.add(id)
				}
			case err != nil:
				c.Log.Error("running sessions not written after the outage", "error", err)
			}
		}
	}()
}
