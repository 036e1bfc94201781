package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"lumela/internal/tool/load"
)

// station plays one charging station with its faults and keeps the account of what it said and was answered.
type station struct {
	id      string
	version load.Version
	o       *Options
	rng     *rand.Rand
	story   story
	queue   []*message // not answered, in the order of their making
	link    *load.Station
	past    []*message // the latest that were answered

	sent, again, refused int
	links                int
	renumbered           int // 1.6: a repeated start got another number
	firstRefusal         string
}

// mostQueued bounds what a station makes while it has no link.
const mostQueued = 40

// run plays until ctx ends, then sends what it still has to say until drain ends.
func (s *station) run(ctx, drain context.Context) error {
	defer s.hangUp()
	for {
		over := ctx.Err() != nil
		if over && len(s.queue) == 0 {
			return nil
		}
		if drain.Err() != nil {
			return fmt.Errorf("%s still has %d messages to send", s.id, len(s.queue))
		}
		if s.link == nil && !s.connect() {
			if !over && len(s.queue) < mostQueued {
				s.queue = append(s.queue, s.story.next(true))
			}
			pause(drain, time.Duration(5+s.rng.IntN(40))*time.Millisecond)
			continue
		}
		if len(s.queue) == 0 {
			s.queue = append(s.queue, s.story.next(false))
		}
		s.step(over)
		pause(ctx, time.Duration(s.rng.Int64N(int64(s.o.Pace)+1)))
	}
}

// pause waits, unless ctx has ended.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 || ctx.Err() != nil {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *station) hangUp() {
	if s.link != nil {
		_ = s.link.Close() // a link that has ended is as good
		s.link = nil
	}
}

// connect opens a link to one of the targets. Any failure is the server's present state, the station tries again.
func (s *station) connect() bool {
	link, err := load.Connect(s.o.Targets[s.rng.IntN(len(s.o.Targets))], s.id, s.version)
	if err != nil {
		return false
	}
	if s.links == 0 || s.rng.IntN(3) == 0 { // some come back from a reboot
		payload := `{"chargePointVendor":"Lumela","chargePointModel":"Soak"}`
		if s.version != load.V16 {
			payload = `{"reason":"PowerUp","chargingStation":{"vendorName":"Lumela","model":"Soak"}}`
		}
		raw, err := link.Send(s.story.newID(), "BootNotification", payload, s.o.Patience)
		var answer struct{ Status string }
		if err != nil || json.Unmarshal(raw, &answer) != nil || answer.Status != "Accepted" {
			_ = link.Close() // it is not used
			return false
		}
	}
	s.links++
	s.link = link
	if len(s.past) > 0 && s.rng.IntN(4) == 0 { // it had forgotten that these were answered
		for _, m := range s.past[s.rng.IntN(len(s.past)):] {
			if s.link == nil {
				break
			}
			s.send(m, s.story.newID())
		}
	}
	return s.link != nil
}

// step sends the message whose turn it is, and now and then what a bad station sends.
func (s *station) step(over bool) {
	at := 0
	if s.version != load.V16 && s.rng.IntN(12) == 0 { // 1.6 stations keep the order
		if len(s.queue) == 1 && !over {
			s.queue = append(s.queue, s.story.next(false))
		}
		if len(s.queue) > 1 && s.queue[0].tx == s.queue[1].tx {
			at = 1
		}
	}
	m := s.queue[at]
	id := m.id
	if m.sent > 0 {
		m.offline = m.offline || s.rng.IntN(2) == 0 // kept in a queue, sent again
		if s.rng.IntN(2) == 0 {
			id = s.story.newID()
		}
	}
	if !s.send(m, id) {
		return
	}
	s.queue = append(s.queue[:at], s.queue[at+1:]...)
	if s.past = append(s.past, m); len(s.past) > 5 {
		s.past = s.past[1:]
	}
	switch s.rng.IntN(24) {
	case 0:
		s.send(m, id)
	case 1:
		s.send(m, s.story.newID())
	case 2:
		s.hangUp()
	}
}

// send says a message once and reports whether it has been answered.
func (s *station) send(m *message, id string) bool {
	if s.link == nil {
		return false
	}
	action, payload := m.text(s.version)
	s.sent++
	if m.sent++; m.sent > 1 {
		s.again++
	}
	raw, err := s.link.Send(id, action, payload, s.o.Patience)
	var refusal *load.CallError
	if errors.As(err, &refusal) {
		s.refused++
		if s.firstRefusal == "" {
			s.firstRefusal = fmt.Sprintf("%s: %v: %s", action, err, payload)
		}
		s.hangUp() // and it comes back with the same message
		return false
	}
	if err != nil {
		s.hangUp()
		return false
	}
	if s.version == load.V16 && m.kind == started {
		s.number(m.tx, raw)
	}
	m.answered = true
	return true
}

// number takes the number of a transaction of 1.6 from the answer to its start.
func (s *station) number(tx *transaction, raw json.RawMessage) {
	var answer struct {
		TransactionID int `json:"transactionId"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		s.refused++
		s.firstRefusal = fmt.Sprintf("StartTransaction was answered with %s", raw)
		return
	}
	id := strconv.Itoa(answer.TransactionID)
	if tx.numbered && tx.id != id {
		s.renumbered++
	}
	tx.id, tx.numbered = id, true
}
