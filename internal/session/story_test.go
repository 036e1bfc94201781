package session_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/govalues/decimal"

	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

const organisation = "org"

// noon is when the stories begin, by every clock that is right.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func migrations() []fs.FS { return []fs.FS{event.Migrations, session.Migrations} }

// books opens ledgers on one database, as a node does again after each start.
type books struct {
	db  *db.DB
	bus *bus.Bus
	log *slog.Logger

	mu     sync.Mutex
	opened []*session.Ledger
}

func newBooks(t testing.TB, d *db.DB) *books {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(context.Background(), bus.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	books := &books{db: d, bus: b, log: log}
	t.Cleanup(func() {
		for _, l := range books.opened {
			if err := l.Close(); err != nil {
				t.Errorf("close a ledger: %v", err)
			}
		}
		if err := b.Close(); err != nil {
			t.Errorf("close the bus: %v", err)
		}
	})
	return books
}

// open opens a ledger. Those that were opened before are as if their node had crashed; they are closed with the test.
func (b *books) open() *session.Ledger {
	l := session.New(b.db, event.NewLog(b.db, b.bus, b.log), b.log)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = append(b.opened, l)
	return l
}

// onEach runs a test with books on each engine. They do not wait for the disk: what a ledger makes of messages does not
// depend on it.
func onEach(t *testing.T, test func(t *testing.T, b *books)) {
	t.Helper()
	t.Parallel()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			o := dbtest.Fresh(t, engine, migrations()...)
			o.Relaxed = true
			test(t, newBooks(t, dbtest.Open(t, o)))
		})
	}
}

// message is one TransactionEvent and how it came.
type message struct {
	request  v21.TransactionEventRequest
	received time.Time
	v16      bool // the station does not number its messages
	refusal  string
}

// at makes a message that comes a second after its time, which is noon plus the seconds.
func at(seconds int, typ v21.TransactionEventType, seqNo int, id string, more ...func(*message)) message {
	m := message{received: noon.Add(time.Duration(seconds+1) * time.Second)}
	m.request = v21.TransactionEventRequest{EventType: typ, Timestamp: noon.Add(time.Duration(seconds) * time.Second), SeqNo: seqNo,
		TriggerReason: v21.TriggerReasonMeterValuePeriodic, TransactionInfo: v21.Transaction{TransactionID: id}}
	for _, f := range more {
		f(&m)
	}
	return m
}

func start(seconds int, id string, more ...func(*message)) message {
	more = append([]func(*message){on(1), by("CARD"), reads("1000")}, more...)
	return at(seconds, v21.TransactionEventTypeStarted, 0, id, more...)
}

func update(seconds, seqNo int, id string, more ...func(*message)) message {
	return at(seconds, v21.TransactionEventTypeUpdated, seqNo, id, more...)
}

func end(seconds, seqNo int, id string, more ...func(*message)) message {
	return at(seconds, v21.TransactionEventTypeEnded, seqNo, id, more...)
}

func on(evse int) func(*message) {
	return func(m *message) { m.request.EVSE = &v21.EVSE{ID: evse, ConnectorID: ocpp.Some(1)} }
}

func by(uid string) func(*message) {
	return func(m *message) {
		m.request.IDToken = nil
		if uid != "" {
			m.request.IDToken = &v21.IDToken{IDToken: uid, Type: "ISO14443"}
		}
	}
}

func refused(why string) func(*message) { return func(m *message) { m.refusal = why } }
func offline(m *message)                { m.request.Offline = ocpp.Some(true) }
func v16(m *message)                    { m.v16 = true }

func received(seconds int) func(*message) {
	return func(m *message) { m.received = noon.Add(time.Duration(seconds) * time.Second) }
}

func charging(s v21.ChargingState) func(*message) {
	return func(m *message) { m.request.TransactionInfo.ChargingState = ocpp.Some(s) }
}

// sample makes a sampled value from words: a number first, then what it is, where that is not an import register in Wh:
// power, soc, kWh, kW, x10^N, L1, inlet, begin, end, none.
func sample(t string) v21.SampledValue {
	words := strings.Fields(t)
	s := v21.SampledValue{Value: decimal.MustParse(words[0])}
	unit := v21.UnitOfMeasure{}
	for _, w := range words[1:] {
		switch w {
		case "power":
			s.Measurand = ocpp.Some(v21.MeasurandPowerActiveImport)
			unit.Unit = ocpp.Some("W")
		case "soc":
			s.Measurand = ocpp.Some(v21.MeasurandSoC)
			unit.Unit = ocpp.Some("Percent")
		case "exported":
			s.Measurand = ocpp.Some(v21.MeasurandEnergyActiveExportRegister)
		case "kWh", "kW", "Wh":
			unit.Unit = ocpp.Some(w)
		case "L1", "L2", "L3", "N", "L1-L2":
			s.Phase = ocpp.Some(v21.Phase(w))
		case "inlet":
			s.Location = ocpp.Some(v21.LocationInlet)
		case "begin":
			s.Context = ocpp.Some(v21.ReadingContextTransactionBegin)
		case "end":
			s.Context = ocpp.Some(v21.ReadingContextTransactionEnd)
		case "none": // as the translation marks signed data that hold no reading
			s.CustomData = `{"vendorId":"` + translate.CustomDataVendor + `","value":"none"}`
		default:
			var n int
			if _, err := fmt.Sscanf(w, "x10^%d", &n); err != nil {
				panic("unknown word " + w)
			}
			unit.Multiplier = ocpp.Some(n)
		}
	}
	if unit.Unit.OK || unit.Multiplier.OK {
		s.UnitOfMeasure = &unit
	}
	return s
}

// reads gives a message the samples of its moment; none without samples.
func reads(samples ...string) func(*message) { return readsAt(0, samples...) }

func readsAt(later time.Duration, samples ...string) func(*message) {
	return func(m *message) {
		m.request.MeterValue = nil
		if len(samples) == 0 {
			return
		}
		mv := v21.MeterValue{Timestamp: m.request.Timestamp.Add(later)}
		for _, s := range samples {
			mv.SampledValue = append(mv.SampledValue, sample(s))
		}
		m.request.MeterValue = []v21.MeterValue{mv}
	}
}

func (m message) event(id station.ID) session.Event {
	r := m.request
	return session.Event{Organisation: organisation, Station: id, Request: &r, ReceivedAt: m.received, Sequenced: !m.v16, Refusal: m.refusal}
}

func apply(t testing.TB, l *session.Ledger, id station.ID, m message) *session.Session {
	t.Helper()
	s, err := l.Apply(context.Background(), m.event(id))
	if err != nil {
		t.Fatalf("%s %s seqNo %d: %v", m.request.EventType, m.request.TransactionInfo.TransactionID, m.request.SeqNo, err)
	}
	return s
}

// sessions reads what the ledger has of a station, oldest start first.
func sessions(t testing.TB, l *session.Ledger, id station.ID) []*session.Session {
	t.Helper()
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	list, err := l.List(context.Background(), organisation, session.Filter{Station: id, From: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), To: far, Before: far, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

// line is everything of a session that matters, in one line.
func line(s *session.Session) string {
	clock := func(at time.Time) string {
		if at.IsZero() {
			return "…"
		}
		if d := at.Sub(noon); d > -24*time.Hour && d < 24*time.Hour {
			return fmt.Sprintf("%+d", int(d/time.Second))
		}
		return at.UTC().Format(time.DateOnly)
	}
	token := s.TokenUID
	if token == "" {
		token = "nobody"
	}
	out := fmt.Sprintf("%s %s evse %d %s %s..%s %d Wh", s.TransactionID, s.State, s.EVSE, token, clock(s.StartedAt), clock(s.EndedAt), s.EnergyWh())
	if s.ChargingState != "" {
		out += " " + s.ChargingState
	}
	if s.PowerW != 0 {
		out += fmt.Sprintf(" %d W", s.PowerW)
	}
	if s.SoC != nil {
		out += fmt.Sprintf(" %d %%", *s.SoC)
	}
	for _, f := range s.Flags {
		if f.Open() {
			out += " !" + f.Code
		}
	}
	return out
}

func lines(list []*session.Session) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, line(s))
	}
	return out
}

// story is what a station says, and what the ledger must make of it.
type story struct {
	name string
	says []message
	want []string
}

// Every story is told in several ways that must come to the same.
var ways = map[string]func(t *testing.T, b *books, id station.ID, says []message) *session.Ledger{
	"plainly": func(t *testing.T, b *books, id station.ID, says []message) *session.Ledger {
		l := b.open()
		for _, m := range says {
			apply(t, l, id, m)
		}
		return l
	},
	"with repetitions": func(t *testing.T, b *books, id station.ID, says []message) *session.Ledger {
		l := b.open()
		for i, m := range says {
			apply(t, l, id, m)
			apply(t, l, id, m)
			apply(t, l, id, says[i/2])
		}
		for _, m := range slices.Concat(says, says) {
			apply(t, l, id, m)
		}
		for _, m := range slices.Backward(says) {
			m.request.Offline = ocpp.Some(true) // kept by the station, and sent again
			apply(t, l, id, m)
		}
		return l
	},
	"with a crash before each message": func(t *testing.T, b *books, id station.ID, says []message) *session.Ledger {
		l := b.open()
		for _, m := range says {
			l = b.open()
			apply(t, l, id, m)
		}
		return l
	},
	"with a reconnection before each message": func(t *testing.T, b *books, id station.ID, says []message) *session.Ledger {
		l := b.open()
		for _, m := range says {
			if err := l.Release(context.Background(), id); err != nil {
				t.Fatal(err)
			}
			apply(t, l, id, m)
		}
		return l
	},
	"to two nodes in turn": func(t *testing.T, b *books, id station.ID, says []message) *session.Ledger {
		nodes := []*session.Ledger{b.open(), b.open()}
		for i, m := range says {
			apply(t, nodes[i%2], id, m)
			if err := nodes[i%2].Release(context.Background(), id); err != nil {
				t.Fatal(err)
			}
		}
		return nodes[0]
	},
}

// tell runs stories in every way, each for a station of its own.
func tell(t *testing.T, b *books, stories []story) {
	for _, st := range stories {
		for way, how := range ways {
			t.Run(st.name+"/"+way, func(t *testing.T) {
				t.Parallel()
				id := station.ID(st.name + "/" + way)
				l := how(t, b, id, st.says)
				if diff := cmp.Diff(st.want, lines(sessions(t, l, id))); diff != "" {
					t.Errorf("the ledger differs (-want +got):\n%s", diff)
				}
				other := b.open()
				if err := other.Recover(context.Background()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(st.want, lines(sessions(t, other, id))); diff != "" {
					t.Errorf("after a crash the ledger differs (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func stationID(id string) station.ID { return station.ID(id) }
