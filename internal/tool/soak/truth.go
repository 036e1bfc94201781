package soak

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"lumela/internal/tool/load"
)

// kind is what a message is to its transaction.
type kind string

const (
	started kind = "Started"
	updated kind = "Updated"
	ended   kind = "Ended"
)

// transaction is what really happened at a station.
type transaction struct {
	id       string // the station's; of 1.6 the number as text, once it is known
	start    int64  // Wh, the meter when it began
	last     int64  // Wh, the meter at its latest message
	token    string
	open     bool
	numbered bool // 1.6: the number is known
	messages []*message
}

// complete reports whether every message of the transaction has been answered.
func (t *transaction) complete() bool {
	for _, m := range t.messages {
		if !m.answered {
			return false
		}
	}
	return true
}

// message is one message of a transaction, with what became of it. No two messages of a station have the same time.
type message struct {
	tx       *transaction
	kind     kind
	at       time.Time // in milliseconds, UTC
	seqNo    int
	wh       int64 // the register at that time
	offline  bool  // it was made without a link
	id       string
	sent     int
	answered bool
}

const timeLayout = "2006-01-02T15:04:05.000Z"

// text gives the action and the payload of a message in a version.
func (m *message) text(v load.Version) (action, payload string) {
	at := m.at.Format(timeLayout)
	if v != load.V16 {
		return "TransactionEvent", m.text2(at)
	}
	switch m.kind {
	case started:
		return "StartTransaction", fmt.Sprintf(`{"connectorId":1,"idTag":%q,"meterStart":%d,"timestamp":%q}`, m.tx.token, m.wh, at)
	case ended:
		return "StopTransaction", fmt.Sprintf(`{"transactionId":%s,"idTag":%q,"meterStop":%d,"timestamp":%q,"reason":"Local"}`, m.tx.id, m.tx.token, m.wh, at)
	default:
		return "MeterValues", fmt.Sprintf(`{"connectorId":1,"transactionId":%s,"meterValue":[{"timestamp":%q,"sampledValue":[{"value":"%d","context":"Sample.Periodic",`+
			`"measurand":"Energy.Active.Import.Register","unit":"Wh"},{"value":"11042.5","measurand":"Power.Active.Import","unit":"W"}]}]}`, m.tx.id, at, m.wh)
	}
}

func (m *message) text2(at string) string {
	trigger, context, more := "MeterValuePeriodic", "Sample.Periodic", `,"chargingState":"Charging"`
	switch m.kind {
	case started:
		trigger, context = "Authorized", "Transaction.Begin"
	case ended:
		trigger, context, more = "StopAuthorized", "Transaction.End", `,"stoppedReason":"Local"`
	}
	token, offline := "", ""
	if m.kind != updated {
		token = `,"idToken":{"idToken":"` + m.tx.token + `","type":"ISO14443"}`
	}
	if m.offline {
		offline = `,"offline":true`
	}
	return `{"eventType":"` + string(m.kind) + `","timestamp":"` + at + `","triggerReason":"` + trigger + `","seqNo":` + strconv.Itoa(m.seqNo) +
		`,"transactionInfo":{"transactionId":"` + m.tx.id + `"` + more + `},"evse":{"id":1,"connectorId":1}` + token + offline +
		`,"meterValue":[{"timestamp":"` + at + `","sampledValue":[{"value":` + strconv.FormatInt(m.wh, 10) + `,"context":"` + context +
		`","measurand":"Energy.Active.Import.Register","unitOfMeasure":{"unit":"Wh"}}]}]}`
}

// story makes the messages of a station, one after the other, transaction after transaction.
type story struct {
	station string
	version load.Version
	token   string
	rng     *rand.Rand
	clock   time.Time
	meter   int64
	seqNo   int
	left    int // messages until the end of the present transaction
	now     *transaction
	all     []*transaction
}

// next makes the next message; offline says that there is no link at this moment.
func (s *story) next(offline bool) *message {
	s.clock = s.clock.Add(time.Millisecond)
	if now := time.Now().UTC().Truncate(time.Millisecond); now.After(s.clock) {
		s.clock = now
	}
	m := &message{kind: updated, at: s.clock, offline: offline, id: s.newID()}
	switch {
	case s.now == nil:
		s.now = &transaction{id: fmt.Sprintf("%s-%d", s.station, len(s.all)), start: s.meter, token: s.token, open: true}
		s.all = append(s.all, s.now)
		s.seqNo, s.left, m.kind = 0, s.rng.IntN(12), started
	case s.left == 0:
		s.meter += 1 + s.rng.Int64N(500)
		s.now.open, m.kind = false, ended
	default:
		s.left--
		s.meter += 1 + s.rng.Int64N(500)
	}
	m.tx, m.wh, m.seqNo = s.now, s.meter, s.seqNo
	s.seqNo++
	s.now.last = s.meter
	s.now.messages = append(s.now.messages, m)
	if m.kind == ended {
		s.now = nil
		s.meter += s.rng.Int64N(10) // the station's own consumption
	}
	return m
}

func (s *story) newID() string {
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", s.rng.Uint32(), s.rng.Uint32()&0xffff, s.rng.Uint64()&0xffffffffffff)
}
