package guardian

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

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/clock"
	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

const org = "org"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// peer plays the station that commands reach.
type peer struct {
	mu     sync.Mutex
	calls  []string
	answer func(req ocpp.Request) (ocpp.Response, error)
}

// Call implements command.Caller.
func (p *peer) Call(_ context.Context, _ station.ID, req ocpp.Request) (command.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := req.ActionName()
	if r, ok := req.(*v21.TriggerMessageRequest); ok {
		text += " " + string(r.RequestedMessage)
	}
	p.calls = append(p.calls, text)
	if p.answer == nil {
		return command.Result{}, problem.New(problem.Timeout, "no answer")
	}
	resp, err := p.answer(req)
	return command.Result{Response: resp}, err
}

// heard gives what was asked since the last call.
func (p *peer) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.calls
	p.calls = nil
	slices.Sort(out)
	return out
}

// says makes the station answer: about transactions, and to triggers.
func (p *peer) says(running, queue bool, trigger v21.TriggerMessageStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = func(req ocpp.Request) (ocpp.Response, error) {
		switch req.(type) {
		case *v21.GetTransactionStatusRequest:
			return &v21.GetTransactionStatusResponse{OngoingIndicator: ocpp.Some(running), MessagesInQueue: queue}, nil
		case *v21.TriggerMessageRequest:
			return &v21.TriggerMessageResponse{Status: trigger}, nil
		case *v21.RequestStartTransactionRequest:
			return &v21.RequestStartTransactionResponse{Status: v21.RequestStartStopStatusAccepted}, nil
		}
		return nil, problem.New(problem.Refused, "what is this?")
	}
}

// world is an installation with one station, S, and a clock that stands still.
type world struct {
	*Guardian
	t     *testing.T
	d     *db.DB
	clock *clock.Fake
	peer  *peer
	seq   int
	v16   bool
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		for _, v16 := range []bool{false, true} {
			name := map[bool]string{false: "numbered", true: "unnumbered"}[v16]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := open(event.Migrations, station.Migrations, session.Migrations, command.Migrations, Migrations)
				w := &world{t: t, d: d, clock: clock.NewFake(time.Now().UTC().Truncate(time.Second)), peer: &peer{}, v16: v16}
				w.peer.says(false, false, v21.TriggerMessageStatusAccepted)
				w.start()
				_, err := w.stations.Authenticate(t.Context(), "S", station.Credentials{})
				must(t, err)
				w.connect()
				test(t, w)
			})
		}
	})
}

// start makes the parts of a node anew on the same database, as another node or a restart does.
func (w *world) start() {
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(w.t.Context(), bus.Options{Log: log})
	must(w.t, err)
	events := event.NewLog(w.d, b, log)
	stations := station.New(w.d, events, log, station.Open, org)
	ledger := session.New(w.d, events, log)
	w.t.Cleanup(func() { must(w.t, ledger.Close()); must(w.t, b.Close()) })
	commands := command.New(w.d, events, stations, w.peer, log, nil)
	w.Guardian = New(Parts{DB: w.d, Events: events, Stations: stations, Ledger: ledger, Commands: commands, Clock: w.clock, Log: log}, Policy{})
}

func (w *world) link() station.Link {
	return station.Link{ID: "link", Node: "n", Station: "S", Protocol: "2.1", Remote: "r", At: w.clock.Now()}
}

func (w *world) connect() { must(w.t, w.stations.Linked(w.t.Context(), org, w.link())) }

func (w *world) disconnect() {
	must(w.t, w.stations.Unlinked(w.t.Context(), org, w.link(), "test", w.clock.Now()))
}

// pass moves the clock and makes a pass.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.clock.Advance(d)
	must(w.t, w.Pass(w.t.Context()))
}

// tell sends a message of transaction T. The station's clock is right.
func (w *world) tell(typ v21.TransactionEventType, change ...func(r *v21.TransactionEventRequest)) *session.Session {
	w.t.Helper()
	r := &v21.TransactionEventRequest{EventType: typ, Timestamp: w.clock.Now(), SeqNo: w.seq, TriggerReason: v21.TriggerReasonMeterValuePeriodic,
		TransactionInfo: v21.Transaction{TransactionID: "T"}}
	w.seq++
	if typ == v21.TransactionEventTypeStarted {
		r.EVSE = &v21.EVSE{ID: 1, ConnectorID: ocpp.Some(1)}
		r.IDToken = &v21.IDToken{IDToken: "CARD", Type: "ISO14443"}
	}
	for _, f := range change {
		f(r)
	}
	s, err := w.ledger.Apply(w.t.Context(), session.Event{Organisation: org, Station: "S", Request: r, ReceivedAt: w.clock.Now(), Sequenced: !w.v16})
	must(w.t, err)
	return s
}

func state(s v21.ChargingState) func(r *v21.TransactionEventRequest) {
	return func(r *v21.TransactionEventRequest) { r.TransactionInfo.ChargingState = ocpp.Some(s) }
}

func reads(wh int64) func(r *v21.TransactionEventRequest) {
	return func(r *v21.TransactionEventRequest) {
		r.MeterValue = []v21.MeterValue{{Timestamp: r.Timestamp, SampledValue: []v21.SampledValue{{Value: decimal.MustNew(wh, 0)}}}}
	}
}

// begin starts a session that charges; a minute later it has delivered 500 Wh.
func (w *world) beginCharging() *session.Session {
	w.tell(v21.TransactionEventTypeStarted, reads(1000), state(v21.ChargingStateCharging))
	w.clock.Advance(time.Minute)
	return w.tell(v21.TransactionEventTypeUpdated, reads(1500))
}

func (w *world) connector(status v21.ConnectorStatus, detail string) {
	must(w.t, w.stations.Status(w.t.Context(), org, "S", station.ConnectorState{EVSE: 1, Connector: 1, Status: status, Detail: detail, At: w.clock.Now()}))
}

func (w *world) session(id string) *session.Session {
	w.t.Helper()
	s, err := w.ledger.Get(w.t.Context(), org, id)
	must(w.t, err)
	return s
}

func (w *world) want(id string, st session.State, flags ...string) {
	w.t.Helper()
	s := w.session(id)
	got := []string{}
	for _, f := range s.Flags {
		if f.Open() {
			got = append(got, f.Code)
		}
	}
	if s.State != st || !slices.Equal(got, flags) {
		w.t.Fatalf("the session is %s with %v, want %s with %v", s.State, got, st, flags)
	}
}

// acts are the kinds of what was done to a session.
func (w *world) acts(id string) []string {
	w.t.Helper()
	list, err := w.ledger.Timeline(w.t.Context(), w.session(id))
	must(w.t, err)
	var out []string
	for _, e := range list {
		if e.Type == "act" {
			out = append(out, e.Kind)
		}
	}
	return out
}

func (w *world) wantActs(id string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.acts(id)); diff != "" {
		w.t.Fatalf("acts: %s", diff)
	}
}

func (w *world) wantHeard(want ...string) {
	w.t.Helper()
	if got := w.peer.heard(); !slices.Equal(got, want) {
		w.t.Fatalf("the station was asked %q, want %q", got, want)
	}
}

// events counts the kept events of a type.
func (w *world) events(typ string) (n int) {
	must(w.t, w.d.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM events WHERE type = $1`, typ).Scan(&n))
	return n
}

// by picks what differs between stations that number their messages and those that do not.
func (w *world) by(numbered, unnumbered string) string {
	if w.v16 {
		return unnumbered
	}
	return numbered
}

func TestAllIsWell(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.beginCharging()
		w.connector(v21.ConnectorStatusOccupied, "")
		for range 3 {
			w.pass(10 * time.Minute)
		}
		w.wantHeard()
		w.want(s.ID, session.Active)
		w.tell(v21.TransactionEventTypeEnded, reads(9000))
		w.connector(v21.ConnectorStatusAvailable, "")
		w.pass(time.Hour)
		w.wantHeard()
		w.wantActs(s.ID)
	})
}

func TestNoEnergy(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.tell(v21.TransactionEventTypeStarted, reads(1000), state(v21.ChargingStateEVConnected))
		w.pass(time.Hour) // the car is only plugged in
		w.wantHeard()
		w.tell(v21.TransactionEventTypeUpdated, state(v21.ChargingStateCharging))
		w.pass(4 * time.Minute)
		w.wantHeard()
		w.pass(2 * time.Minute)
		w.wantHeard("TriggerMessage TransactionEvent")
		w.pass(15 * time.Second) // it may still answer
		w.want(s.ID, session.Active)
		w.start()
		w.pass(30 * time.Second)
		w.want(s.ID, session.Active, session.NoEnergy)
		w.pass(time.Hour)
		w.wantHeard()
		w.wantActs(s.ID, "asked", "flagged")
		w.tell(v21.TransactionEventTypeUpdated, reads(1800))
		w.want(s.ID, session.Active)
		w.wantActs(s.ID, "asked", "flagged", session.ActFlagResolved)
		w.pass(time.Hour)
		w.wantHeard()
	})
}

func TestEnergyComesWhenAskedFor(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.tell(v21.TransactionEventTypeStarted, reads(1000), state(v21.ChargingStateCharging))
		w.pass(6 * time.Minute)
		w.wantHeard("TriggerMessage TransactionEvent")
		w.tell(v21.TransactionEventTypeUpdated, reads(1200))
		w.pass(time.Minute)
		w.want(s.ID, session.Active)
		w.wantActs(s.ID, "asked")
	})
}

func TestNoStop(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.beginCharging()
		last := w.clock.Now()
		w.clock.Advance(10 * time.Minute)
		w.connector(v21.ConnectorStatusAvailable, "")
		w.pass(0)
		w.wantHeard()
		w.pass(time.Minute)
		w.wantHeard(w.by("GetTransactionStatus", "TriggerMessage StatusNotification"))
		w.start() // another node goes on
		w.pass(time.Minute)
		w.want(s.ID, session.Ended, session.EndUnknown)
		if got := w.session(s.ID); !got.EndedAt.Equal(last) || got.EnergyWh() != 500 {
			t.Fatalf("ended at %v with %d Wh", got.EndedAt, got.EnergyWh())
		}
		w.wantActs(s.ID, "asked", session.ActEndAssumed)
		w.pass(time.Hour)
		w.wantHeard()

		// Days later the truth arrives.
		w.clock.Advance(72 * time.Hour)
		w.tell(v21.TransactionEventTypeEnded, func(r *v21.TransactionEventRequest) {
			r.Timestamp, r.Offline = last.Add(9*time.Minute), ocpp.Some(true)
		}, reads(4000))
		got := w.session(s.ID)
		if got.EnergyWh() != 3000 || !got.EndedAt.Equal(last.Add(9*time.Minute)) || got.Flagged(session.EndUnknown) {
			t.Fatalf("ended at %v with %d Wh and %v", got.EndedAt, got.EnergyWh(), got.Flags)
		}
		if acts := w.acts(s.ID); !slices.Contains(acts, session.ActUndone) {
			t.Fatalf("acts %v", acts)
		}
	})
}

func TestNoStopButItRuns(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.peer.says(true, false, v21.TriggerMessageStatusAccepted)
		s := w.beginCharging()
		w.clock.Advance(time.Second)
		w.connector(v21.ConnectorStatusAvailable, "")
		w.pass(0)
		w.pass(time.Minute)
		if w.v16 { // asked for its state, it says another
			w.clock.Advance(time.Second)
			w.connector(v21.ConnectorStatusOccupied, "Charging")
		}
		w.peer.heard()
		w.pass(time.Minute)
		w.wantHeard(w.only21("GetTransactionStatus")...)
		w.pass(time.Minute) // the pause has grown
		w.wantHeard()
		w.want(s.ID, session.Active)
	})
}

func (w *world) only21(words ...string) []string {
	if w.v16 {
		return nil
	}
	return words
}

func TestBoot(t *testing.T) {
	boot := func(w *world) {
		w.clock.Advance(10 * time.Minute)
		w.disconnect()
		// The book of stations stamps by the machine's clock, which the clock of the test is ahead of.
		_, err := w.stations.Booted(w.t.Context(), org, "S", station.Boot{Vendor: "V", Model: "M", Reason: "PowerUp"}, true)
		must(w.t, err)
		w.connect()
		must(w.t, w.d.Write(w.t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE stations SET booted_at = $1 WHERE id = 'S'`, db.Micros(w.clock.Now()))
			return err
		}))
	}
	history := func(w *world) { // as above
		must(w.t, w.d.Write(w.t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE status_history SET received_at = $1 WHERE station_id = 'S'`, db.Micros(w.clock.Now()))
			return err
		}))
	}
	t.Run("orphaned", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			s := w.beginCharging()
			last := w.clock.Now()
			boot(w)
			w.pass(0)
			w.pass(time.Minute)
			w.wantHeard() // it may still go on
			w.pass(time.Minute)
			w.wantHeard(w.by("GetTransactionStatus", "TriggerMessage StatusNotification"))
			w.clock.Advance(time.Second)
			w.connector(v21.ConnectorStatusAvailable, "")
			history(w)
			w.pass(time.Minute)
			w.want(s.ID, session.Ended, session.EndUnknown)
			if got := w.session(s.ID); !got.EndedAt.Equal(last) {
				t.Fatalf("ended at %v, want %v", got.EndedAt, last)
			}
			w.pass(time.Hour)
			w.wantHeard()
		})
	})
	t.Run("goes on", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			s := w.beginCharging()
			boot(w)
			w.clock.Advance(time.Second)
			w.tell(v21.TransactionEventTypeUpdated, reads(1600))
			w.pass(0)
			w.pass(5 * time.Minute)
			w.pass(time.Hour)
			w.wantHeard()
			w.want(s.ID, session.Active)
		})
	})
	t.Run("messages wait", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			if w.v16 {
				return // it cannot say so
			}
			w.peer.says(false, true, v21.TriggerMessageStatusAccepted)
			s := w.beginCharging()
			boot(w)
			w.pass(0)
			for range 30 {
				w.pass(10 * time.Minute)
			}
			if n := len(w.peer.heard()); n < 5 || n > 12 {
				t.Fatalf("asked %d times in five hours", n)
			}
			w.want(s.ID, session.Active)
			w.tell(v21.TransactionEventTypeEnded, reads(2000))
			w.pass(time.Hour)
			w.want(s.ID, session.Ended)
		})
	})
}

func TestGone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.beginCharging()
		w.disconnect()
		w.pass(23 * time.Hour)
		w.want(s.ID, session.Active)
		w.pass(2 * time.Hour)
		w.want(s.ID, session.Ended, session.EndUnknown)
		w.wantHeard()
		w.wantActs(s.ID, session.ActEndAssumed)

		// The flag bears the machine's time, and a sign of life counts when it is newer: so it is.
		w.connect()
		w.tell(v21.TransactionEventTypeUpdated, reads(30_000), state(v21.ChargingStateCharging))
		w.want(s.ID, session.Active)
		w.wantActs(s.ID, session.ActEndAssumed, session.ActResumed, session.ActFlagResolved)
		if got := w.session(s.ID); !got.EndedAt.IsZero() || got.EnergyWh() != 29_000 {
			t.Fatalf("ended at %v with %d Wh", got.EndedAt, got.EnergyWh())
		}
		w.pass(time.Minute)
		w.want(s.ID, session.Active)
	})
}

func TestStuck(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.connector(v21.ConnectorStatusOccupied, "Preparing")
		w.pass(0)
		w.pass(29 * time.Minute)
		w.wantHeard()
		w.pass(time.Minute)
		w.wantHeard("TriggerMessage StatusNotification")
		w.pass(time.Minute)
		w.pass(time.Hour)
		if n := w.events(event.ConnectorStuck); n != 1 {
			t.Fatalf("%d events", n)
		}
		w.disconnect() // nobody knows better while it is away
		w.pass(time.Minute)
		w.connect()
		w.pass(time.Minute)
		w.wantHeard()
		w.clock.Advance(time.Second)
		w.connector(v21.ConnectorStatusAvailable, "")
		w.pass(time.Minute)
		w.pass(time.Minute)
		if n := w.events(event.ConnectorUnstuck); n != 1 {
			t.Fatalf("%d events of its end", n)
		}
		list, err := w.list(t.Context(), org, filter{limit: 10})
		must(t, err)
		if len(list) != 1 || list[0].Kind != Stuck || list[0].ClosedAt.IsZero() || list[0].Outcome != outcomeStuck {
			t.Fatalf("cases %+v", list)
		}
		if none, err := w.list(t.Context(), "another", filter{limit: 10}); err != nil || len(none) > 0 {
			t.Fatalf("another tenant sees %v, %v", none, err)
		}
	})
}

// TestNotAskedAgain: what a station cannot do, it is not asked for again, until it is another.
func TestNotAskedAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.peer.says(false, false, v21.TriggerMessageStatusNotImplemented)
		for range 3 {
			w.connector(v21.ConnectorStatusOccupied, "Preparing")
			w.pass(0)
			w.pass(30 * time.Minute)
			w.clock.Advance(time.Second)
			w.connector(v21.ConnectorStatusAvailable, "")
			w.pass(time.Minute)
		}
		w.wantHeard("TriggerMessage StatusNotification")
		_, err := w.stations.Booted(t.Context(), org, "S", station.Boot{Vendor: "V", Model: "M", Firmware: "2"}, true)
		must(t, err)
		w.connector(v21.ConnectorStatusOccupied, "Preparing")
		w.pass(0)
		w.pass(30 * time.Minute)
		w.wantHeard("TriggerMessage StatusNotification")
	})
}

func TestGap(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if w.v16 {
			return
		}
		w.peer.says(false, true, v21.TriggerMessageStatusAccepted)
		s := w.beginCharging()
		w.seq += 2
		w.tell(v21.TransactionEventTypeEnded, reads(2000))
		w.want(s.ID, session.Ended, session.SequenceGap)
		w.pass(0)
		w.wantHeard()
		w.pass(time.Minute)
		w.wantHeard("GetTransactionStatus")
		w.pass(30 * time.Second)
		w.wantHeard()
		w.pass(30 * time.Second)
		w.wantHeard("GetTransactionStatus")
		w.peer.says(false, false, v21.TriggerMessageStatusAccepted)
		w.pass(2 * time.Minute)
		w.wantHeard("GetTransactionStatus")
		w.pass(5 * time.Hour)
		w.wantHeard()
		w.want(s.ID, session.Ended, session.SequenceGap)
		w.wantActs(s.ID, "asked", "asked", "asked", "incomplete")
	})
}

func TestRemoteStart(t *testing.T) {
	order := func(w *world, evse int) *command.Command {
		cmd, _, err := w.commands.Send(w.t.Context(), account.Principal{Organisation: org, Role: account.Operator, Name: "Naledi"},
			command.Order{Station: "S", Request: &v21.RequestStartTransactionRequest{RemoteStartID: 7, EVSEID: ocpp.Some(evse),
				IDToken: v21.IDToken{IDToken: "CARD", Type: "ISO14443"}}})
		must(w.t, err)
		return cmd
	}
	outcome := func(w *world, cmd *command.Command) string {
		got, err := w.commands.Get(w.t.Context(), org, cmd.ID)
		must(w.t, err)
		if got.Outcome == nil {
			return ""
		}
		return got.Outcome.State + " " + got.Outcome.Session
	}
	number := func(w *world) func(r *v21.TransactionEventRequest) {
		return func(r *v21.TransactionEventRequest) {
			if !w.v16 {
				r.TransactionInfo.RemoteStartID = ocpp.Some(7)
			}
		}
	}
	t.Run("late", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			cmd := order(w, 1)
			w.pass(3 * time.Minute)
			if got := outcome(w, cmd); got != "" {
				t.Fatalf("outcome %q", got)
			}
			w.pass(time.Minute)
			w.pass(time.Minute)
			if got := outcome(w, cmd); got != "expired " || w.events(event.RemoteStartExpired) != 1 {
				t.Fatalf("outcome %q, %d events", got, w.events(event.RemoteStartExpired))
			}
			s := w.tell(v21.TransactionEventTypeStarted, reads(1), state(v21.ChargingStateEVConnected), number(w))
			w.start()
			w.pass(time.Minute)
			if got := outcome(w, cmd); got != "started "+s.ID {
				t.Fatalf("outcome %q", got)
			}
			w.wantActs(s.ID, session.ActRemoteStarted)
		})
	})
	t.Run("another place", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			if !w.v16 {
				return // the number tells
			}
			cmd := order(w, 2)
			w.tell(v21.TransactionEventTypeStarted, reads(1))
			w.pass(time.Minute)
			if got := outcome(w, cmd); got != "" {
				t.Fatalf("outcome %q", got)
			}
		})
	})
	t.Run("the station's own limit", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			must(t, w.stations.Keep(t.Context(), org, "S", []station.Variable{{Component: "TxCtrlr", Variable: "EVConnectionTimeOut", Attribute: "Actual", Value: "600"}}))
			cmd := order(w, 1)
			w.pass(10 * time.Minute)
			if got := outcome(w, cmd); got != "" {
				t.Fatalf("outcome %q", got)
			}
			w.pass(time.Minute)
			if got := outcome(w, cmd); got != "expired " {
				t.Fatalf("outcome %q", got)
			}
		})
	})
	t.Run("two orders, one session", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			one, two := order(w, 1), order(w, 1)
			s := w.tell(v21.TransactionEventTypeStarted, reads(1), state(v21.ChargingStateEVConnected), number(w))
			w.pass(time.Hour)
			if a, b := outcome(w, one), outcome(w, two); a != "started "+s.ID || b != "expired " {
				t.Fatalf("outcomes %q and %q", a, b)
			}
		})
	})
}

// TestOnce: two nodes that make a pass at the same moment do everything once.
func TestOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.beginCharging()
		w.clock.Advance(time.Second)
		w.connector(v21.ConnectorStatusAvailable, "")
		first := w.Guardian
		w.start()
		for range 3 {
			w.clock.Advance(time.Minute)
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for i, g := range []*Guardian{first, w.Guardian} {
				wg.Go(func() { errs[i] = g.Pass(t.Context()) })
			}
			wg.Wait()
			for _, err := range errs {
				must(t, err)
			}
		}
		w.wantHeard(w.by("GetTransactionStatus", "TriggerMessage StatusNotification"))
		w.wantActs(s.ID, "asked", session.ActEndAssumed)
	})
}

// TestPolicy: every limit has a default, and the pauses grow to their bound.
func TestPolicy(t *testing.T) {
	t.Parallel()
	p := Policy{EndSettle: time.Second}.defaults()
	if p.EndSettle != time.Second || strings.Contains(fmt.Sprintf("%+v", p), ":0s") {
		t.Errorf("%+v", p)
	}
	last := time.Duration(0)
	for i := range 20 {
		d := p.pause(i)
		if d < last || d > p.QueuePauseMost {
			t.Errorf("pause %d is %v", i, d)
		}
		last = d
	}
	if last != p.QueuePauseMost {
		t.Errorf("the last pause is %v", last)
	}
}
