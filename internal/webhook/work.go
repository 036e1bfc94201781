package webhook

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
)

// Run delivers until ctx ends. One node of the cluster runs it at a time.
func (h *Webhooks) Run(ctx context.Context) error {
	var turns sync.WaitGroup
	defer h.client.CloseIdleConnections()
	defer turns.Wait()
	places := make(chan struct{}, mostSending)
	tick := time.NewTicker(h.o.Poll)
	defer tick.Stop()
	for {
		list, err := h.active(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the node stops: that is no failure
		}
		if err != nil {
			return err // the job says it and comes again
		}
		for _, w := range list {
			if !h.begin(w.ID) {
				continue
			}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				h.end(w.ID)
				return nil
			}
			turns.Go(func() {
				defer func() { h.end(w.ID); <-places }()
				if err := h.turn(ctx, w); err != nil && ctx.Err() == nil && !problem.Is(err, problem.NotFound) {
					h.log.Error("webhook not served, it is tried again", "webhook", w.ID, "error", err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// begin gives a webhook its turn unless it has it.
func (h *Webhooks) begin(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[id] {
		return false
	}
	h.busy[id] = true
	return true
}

func (h *Webhooks) end(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.busy, id)
}

// turn takes the new events of a webhook and sends what is due.
func (h *Webhooks) turn(ctx context.Context, w *Webhook) error {
	if err := h.collect(ctx, w); err != nil {
		return err
	}
	for range mostSent {
		now := h.clock.Now()
		if w.nextAt.After(now) {
			return nil
		}
		d, err := h.head(ctx, w.ID, now)
		if err != nil || d == nil {
			return err
		}
		fresh, err := h.Get(ctx, w.Organisation, w.ID) // its owner may have changed it since
		if err != nil || fresh.Status != Active {
			return err
		}
		w = fresh
		a := h.send(ctx, w, d)
		if ctx.Err() != nil {
			return ctx.Err() // it was not the receiver that failed
		}
		if err := h.judge(ctx, w, d, a); err != nil {
			return err
		}
	}
	return nil
}

// collect takes the events behind the place of a webhook, as many as may wait.
func (h *Webhooks) collect(ctx context.Context, w *Webhook) error {
	for {
		waiting, err := h.pending(ctx, w.ID)
		if err != nil || waiting >= mostPending {
			return err
		}
		events, next, more, err := h.events.Behind(ctx, w.Organisation, w.place, mostTaken)
		if err != nil {
			return problem.Wrap("read the events", err)
		}
		list, err := h.deliveries(ctx, w, events)
		if err != nil {
			return err
		}
		now := h.clock.Now()
		from := w.place.Time()
		// The first event behind the place may be the very next one, which has waited long and is still kept.
		missed := time.Since(from) > event.Retention && (len(events) == 0 || events[0].Time.Sub(from) > time.Millisecond)
		if len(list) == 0 && !more && !missed && now.Sub(w.placeAt) < placeEvery {
			return nil
		}
		var tell func(tx *db.Tx)
		if missed {
			tell = func(tx *db.Tx) {
				h.events.Record(tx, event.New(event.WebhookMissed, w.Organisation, "", tx.Now(), map[string]any{"webhook": w.ID, "description": w.Description,
					"from": from.UTC(), "to": time.Now().Add(-event.Retention).UTC(), "text": "events of this time may not have been delivered: they were not read while they were kept"}))
			}
		}
		if mine, err := h.take(ctx, w, list, next, tell); err != nil || !mine || !more {
			return err
		}
	}
}

// deliveries are those of the events that a webhook wants and does not have.
func (h *Webhooks) deliveries(ctx context.Context, w *Webhook, events []event.Event) ([]*Delivery, error) {
	var wanted []event.Event
	for _, e := range events {
		if w.wants(e.Type) {
			wanted = append(wanted, e)
		}
	}
	known, err := h.known(ctx, w.ID, wanted)
	if err != nil {
		return nil, err
	}
	now := h.clock.Now()
	var list []*Delivery
	for _, e := range wanted {
		if known[e.ID] {
			continue
		}
		d, err := newDelivery(e, now)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func newDelivery(e event.Event, now time.Time) (*Delivery, error) {
	body, err := message(e)
	if err != nil {
		return nil, err
	}
	return &Delivery{ID: uuid.Must(uuid.NewV7()).String(), EventID: e.ID, Type: e.Type, Time: e.Time, Status: Pending, CreatedAt: now, NextAttempt: &now,
		body: body}, nil
}

// judge decides what an attempt means for the delivery and the webhook.
func (h *Webhooks) judge(ctx context.Context, w *Webhook, d *Delivery, a answer) error {
	now := h.clock.Now()
	d.AttemptedAt, d.ResponseStatus, d.Response, d.Error, d.NextAttempt = &now, a.status, a.text, a.err, nil
	d.step++
	if a.err == "" {
		back := w.streak >= held // it failed whatever it was sent: what waits for a later time can go now
		d.Status, w.streak, w.nextAt, w.FailingSince, w.SucceededAt = Delivered, 0, now, nil, &now
		return h.settle(ctx, w, d, back, nil)
	}
	d.Status = Failed
	if pause, ok := pauseAfter(d.step); ok && len(d.body) <= maxBody {
		at := now.Add(pause)
		d.Status, d.NextAttempt = Pending, &at
	}
	w.streak++
	if w.FailingSince == nil {
		w.FailingSince = &now
	}
	w.nextAt = now
	if w.streak >= held {
		pause, _ := pauseAfter(min(w.streak, len(pauses)))
		w.nextAt = now.Add(min(pause, longestProbe))
	}
	switch {
	case a.status == http.StatusGone:
		w.Status, w.Reason = Paused, "the receiver answered 410: it wants no more deliveries"
	case now.Sub(*w.FailingSince) >= h.o.PauseAfter:
		w.Status, w.Reason = Paused, fmt.Sprintf("every attempt has failed since %s; the last: %s", w.FailingSince.UTC().Format(time.RFC3339), a.err)
	}
	return h.settle(ctx, w, d, false, func(tx *db.Tx) {
		h.log.Warn("webhook paused", "webhook", w.ID, "reason", w.Reason)
		h.events.Record(tx, event.New(event.WebhookPaused, w.Organisation, "", tx.Now(),
			map[string]any{"webhook": w.ID, "description": w.Description, "reason": w.Reason, "failingSince": w.FailingSince.UTC()}))
	})
}

// pauseAfter is the pause after a number of failed attempts, ok false after the last. It varies by a tenth, so that
// deliveries that failed together do not come back together.
func pauseAfter(attempts int) (d time.Duration, ok bool) {
	if attempts > len(pauses) {
		return 0, false
	}
	d = pauses[attempts-1]
	return d + rand.N(d/10+1), true
}

// Test sends an event of the type [TestType] at once, whatever the webhook's state, and gives what came of it. It is not
// tried again.
func (h *Webhooks) Test(ctx context.Context, organisation, id string) (*Delivery, error) {
	w, err := h.Get(ctx, organisation, id)
	if err != nil {
		return nil, err
	}
	now := h.clock.Now()
	d, err := newDelivery(event.New(TestType, organisation, "", now, map[string]string{"webhook": w.ID}), now)
	if err != nil {
		return nil, problem.Wrap("test the webhook", err)
	}
	a := h.send(ctx, w, d)
	if ctx.Err() != nil {
		return nil, problem.Wrap("test the webhook", ctx.Err())
	}
	d.Status, d.Attempts, d.AttemptedAt, d.NextAttempt = Delivered, 1, &now, nil
	if a.err != "" {
		d.Status = Failed
	}
	d.ResponseStatus, d.Response, d.Error = a.status, a.text, a.err
	err = h.db.Write(ctx, func(tx *db.Tx) error { return h.add(tx, w.ID, []*Delivery{d}) })
	return d, problem.Wrap("keep the test", err)
}
