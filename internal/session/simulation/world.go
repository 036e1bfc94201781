// Package simulation plays the ledger against a small world of stations that lose answers, repeat, reorder and wait for
// days, on nodes that crash, restart and lose their disk, all from one random seed: a run that fails is played again with
// the seed that it printed. What really happened is known, so that afterwards the ledger can be held to it: nothing that
// was answered is missing, nothing counts twice, and every session comes to the truth.
package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// organisation owns all stations of the world.
const organisation = "org"

// charger is a station: what happens at it, and what it has still to tell.
type charger struct {
	id        station.ID
	sequenced bool // it numbers its messages, as 2.x does
	evses     []*evse
	outbox    []message // not answered yet, in the order in which they were made
	answered  []message // by a node, some of the latest
	node      int       // where its link is
	made      int       // transactions
}

// evse is where one car after the other charges.
type evse struct {
	number   int
	register int64 // mWh
	running  *transaction
	next     time.Time // when something happens here
}

// transaction is what really happened.
type transaction struct {
	station     *charger
	id          string
	evse        int
	card        string
	start, end  time.Time // end is zero while it runs
	first, last int64     // register, mWh
	messages    int       // that tell of it
	left        int       // updates until its end
}

// message is one TransactionEvent.
type message struct {
	of      *transaction
	request v21.TransactionEventRequest
	made    time.Time
}

// live is how fresh a message is that does not count as one that waited for a connection.
const live = 30 * time.Second

// event is the message as it comes to a node at a time.
func (m *message) event(now time.Time) session.Event {
	r := m.request
	if m.of.station.sequenced && now.Sub(m.made) > live { // OCPP 2.1 E04.FR.03
		r.Offline = ocpp.Some(true)
	}
	return session.Event{Organisation: organisation, Station: m.of.station.id, Request: &r, ReceivedAt: now, Sequenced: m.of.station.sequenced}
}

// String names the message in the log of a run.
func (m *message) String() string {
	return fmt.Sprintf("%s %s #%d %s", m.of.id, m.request.EventType, m.request.SeqNo, m.request.Timestamp.Format(time.TimeOnly))
}

// newChargers makes the stations of a world.
func newChargers(rng *rand.Rand, n int, now time.Time) []*charger {
	out := make([]*charger, n)
	for i := range out {
		c := &charger{id: station.ID(fmt.Sprintf("S%d", i+1)), sequenced: rng.IntN(2) == 0}
		for number := range 1 + rng.IntN(2) {
			c.evses = append(c.evses, &evse{number: number + 1, register: 1 + rng.Int64N(1e12), next: now.Add(time.Duration(rng.IntN(600)) * time.Second)})
		}
		out[i] = c
	}
	return out
}

// live lets happen at the station what is due.
func (c *charger) live(rng *rand.Rand, now time.Time) {
	for _, e := range c.evses {
		for !e.next.After(now) {
			c.happen(rng, e)
		}
	}
}

// happen is the next thing that happens at an EVSE: a car comes, charges on, or leaves.
func (c *charger) happen(rng *rand.Rand, e *evse) {
	at := e.next
	tx := e.running
	pause := time.Duration(60+rng.IntN(900)) * time.Second
	switch {
	case tx == nil:
		c.made++
		tx = &transaction{station: c, id: fmt.Sprintf("%s-T%d", c.id, c.made), evse: e.number, card: fmt.Sprintf("CARD%d", rng.IntN(4)),
			start: at, first: e.register, last: e.register, left: rng.IntN(6)}
		e.running = tx
		c.say(tx, at, v21.TransactionEventTypeStarted)
	case tx.left > 0:
		tx.left--
		e.charge(rng, at)
		c.say(tx, at, v21.TransactionEventTypeUpdated)
	default:
		e.charge(rng, at)
		tx.end = at
		c.say(tx, at, v21.TransactionEventTypeEnded)
		e.running = nil
		pause += 2 * time.Minute // the next car is not there at once
	}
	e.next = at.Add(pause)
}

// charge lets the register run on for a minute at the least, at up to 22 kW.
func (e *evse) charge(rng *rand.Rand, _ time.Time) {
	e.register += 1 + rng.Int64N(60*6_100)
	e.running.last = e.register
}

// say puts a message into the outbox.
func (c *charger) say(tx *transaction, at time.Time, typ v21.TransactionEventType) {
	r := v21.TransactionEventRequest{EventType: typ, Timestamp: at, SeqNo: tx.messages, TriggerReason: v21.TriggerReasonMeterValuePeriodic,
		TransactionInfo: v21.Transaction{TransactionID: tx.id, ChargingState: ocpp.Some(v21.ChargingStateCharging)}}
	r.EVSE = &v21.EVSE{ID: tx.evse, ConnectorID: ocpp.Some(1)}
	switch typ {
	case v21.TransactionEventTypeStarted:
		r.IDToken = &v21.IDToken{IDToken: tx.card, Type: "ISO14443"}
		r.TriggerReason = v21.TriggerReasonAuthorized
	case v21.TransactionEventTypeEnded:
		r.TransactionInfo.StoppedReason = ocpp.Some(v21.ReasonEVDisconnected)
		r.TransactionInfo.ChargingState = ocpp.Some(v21.ChargingStateIdle)
		r.TriggerReason = v21.TriggerReasonEVCommunicationLost
	}
	r.MeterValue = []v21.MeterValue{{Timestamp: at, SampledValue: []v21.SampledValue{{Value: wattHours(tx.last)}}}}
	tx.messages++
	c.outbox = append(c.outbox, message{of: tx, request: r, made: at})
}

// wattHours is a register reading as stations write it.
func wattHours(mwh int64) decimal.Decimal { return decimal.MustNew(mwh, 3) }

// pick chooses what the station sends next: the oldest message, or, where numbers say the order, any.
func (c *charger) pick(rng *rand.Rand) int {
	if c.sequenced && rng.IntN(4) == 0 {
		return rng.IntN(len(c.outbox))
	}
	return 0
}

// mostAnswered bounds what a station repeats.
const mostAnswered = 20

// settled takes a message out of the outbox: it was answered.
func (c *charger) settled(i int) message {
	m := c.outbox[i]
	c.outbox = slices.Delete(c.outbox, i, i+1)
	if c.answered = append(c.answered, m); len(c.answered) > mostAnswered {
		c.answered = c.answered[1:]
	}
	return m
}

// describe is what a session came to, beside what it should be.
func describe(s *session.Session) string {
	var flags []string
	for _, f := range s.Flags {
		if f.Open() {
			flags = append(flags, f.Code+" ("+f.Text+")")
		}
	}
	return fmt.Sprintf("%s %s on EVSE %d for %q from %s to %s, %d mWh, %s", s.TransactionID, s.State, s.EVSE, s.TokenUID,
		s.StartedAt.Format(time.DateTime), s.EndedAt.Format(time.DateTime), s.EnergyMWh(), strings.Join(flags, ", "))
}

// describe is what really happened.
func (tx *transaction) describe() string {
	return fmt.Sprintf("%s on EVSE %d for %q from %s to %s, %d mWh, told by %d messages", tx.id, tx.evse, tx.card,
		tx.start.Format(time.DateTime), tx.end.Format(time.DateTime), tx.last-tx.first, tx.messages)
}
