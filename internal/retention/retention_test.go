package retention

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/govalues/decimal"

	"lumela/internal/account"
	"lumela/internal/audit"
	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/history"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

type house struct {
	*Keeper
	ledger *session.Ledger
	events *event.Log
	said   *bytes.Buffer
}

func newHouse(t *testing.T, open func(...fs.FS) *db.DB, p Periods) *house {
	t.Helper()
	said := &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(said, nil))
	b, err := bus.Open(context.Background(), bus.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d := open(event.Migrations, audit.Migrations, station.Migrations, session.Migrations, frame.Migrations, history.Migrations)
	o := frame.Options{DB: d, Retention: time.Hour, Log: log}
	if d.Engine() == db.SQLite {
		o.DB, o.Dir = nil, t.TempDir()
	}
	frames, err := frame.Open(t.Context(), o, b)
	if err != nil {
		t.Fatal(err)
	}
	events := event.NewLog(d, b, log)
	l := session.New(d, events, log)
	h := &house{Keeper: New(d, frames, l, p, nil, log), ledger: l, events: events, said: said}
	t.Cleanup(func() {
		for _, end := range []func() error{h.ledger.Close, frames.Close, b.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

const day = 24 * time.Hour

// charge stores a session that began before now and lasted four hours, with a reading every quarter; it runs when it does not end.
func (h *house) charge(t *testing.T, id string, before time.Duration, ends bool) {
	t.Helper()
	begin := time.Now().Add(-before)
	for i := range 17 {
		typ, at := v21.TransactionEventTypeUpdated, begin.Add(time.Duration(i)*15*time.Minute)
		switch {
		case i == 0:
			typ = v21.TransactionEventTypeStarted
		case i == 16 && ends:
			typ = v21.TransactionEventTypeEnded
		}
		_, err := h.ledger.Apply(t.Context(), session.Event{Organisation: "org", Station: station.ID(id), Sequenced: true, ReceivedAt: at.Add(time.Second),
			Request: &v21.TransactionEventRequest{EventType: typ, Timestamp: at, SeqNo: i, TriggerReason: v21.TriggerReasonMeterValuePeriodic,
				EVSE: &v21.EVSE{ID: 1}, TransactionInfo: v21.Transaction{TransactionID: id, ChargingState: ocpp.Some(v21.ChargingStateCharging)},
				MeterValue: []v21.MeterValue{{Timestamp: at, SampledValue: []v21.SampledValue{{Value: decimal.MustNew(int64(1000+i*1000), 0)}}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Each class goes after its own period, and what runs does not go at all; the report says before what a run does after.
func TestPeriods(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		h := newHouse(t, open, Periods{MeterValues: 100 * day, Sessions: 1000 * day})
		h.charge(t, "YOUNG", 90*day, true)
		h.charge(t, "MIDDLE", 200*day, true)
		h.charge(t, "OLD", 2000*day, true)
		h.charge(t, "RUNS", 2000*day, false)
		of := func(class string) Class {
			t.Helper()
			list, err := h.Report(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list {
				if c.Class == class {
					return c
				}
			}
			t.Fatalf("the report has no %s", class)
			return Class{}
		}
		if c := of("meter-values"); *c.Due != 2 || c.Period != "2400h0m0s" || c.Oldest == nil {
			t.Errorf("meter values before: %+v, due %d", c, *c.Due)
		}
		if c := of("sessions"); *c.Due != 1 || *c.Rows != 4 {
			t.Errorf("sessions before: %+v, due %d, rows %d", c, *c.Due, *c.Rows)
		}
		for range 2 {
			if err := h.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if c := of("sessions"); *c.Due != 0 || *c.Rows != 3 {
			t.Errorf("sessions after: due %d, rows %d", *c.Due, *c.Rows)
		}
		if c := of("meter-values"); *c.Due != 0 {
			t.Errorf("meter values after: due %d", *c.Due)
		}
		for id, want := range map[string]int{"YOUNG": 17, "MIDDLE": 2, "RUNS": 17} {
			refs, err := h.ledger.OfStation(t.Context(), id)
			if err != nil || len(refs) != 1 {
				t.Fatalf("%s: %v, %v", id, refs, err)
			}
			events, err := h.ledger.Events(t.Context(), refs[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, e := range events {
				n += len(e.Request.MeterValue)
			}
			if n != want || len(events) != 17 {
				t.Errorf("%s has %d readings in %d messages, want %d", id, n, len(events), want)
			}
			if s, err := h.ledger.Get(t.Context(), "org", refs[0].ID); err != nil || s.EnergyWh() != 16000 {
				t.Errorf("%s has %+v: %v", id, s, err)
			}
		}
		for _, words := range []string{"class=meter-values", "sessions=2", "messages=30", "class=sessions", "sessions=1"} {
			if !strings.Contains(h.said.String(), words) {
				t.Errorf("the log does not say %s:\n%s", words, h.said)
			}
		}
	})
}

// Without periods nothing is forgotten.
func TestForever(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		h := newHouse(t, open, Periods{})
		h.charge(t, "OLD", 20_000*day, true)
		if err := h.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := h.Report(t.Context())
		if err != nil || len(list) < 8 || list[1].Period != forever || *list[1].Due != 0 || *list[2].Due != 0 {
			t.Errorf("the report is %+v: %v", list, err)
		}
		if strings.Contains(h.said.String(), "forgotten") {
			t.Errorf("the log says %s", h.said)
		}
	})
}

// With a period the file of an embedded ledger stops growing: what goes makes room for what comes.
func TestFileIsBounded(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.SQLite, event.Migrations, station.Migrations, session.Migrations, history.Migrations)
	o.Relaxed = true
	h := newHouse(t, func(...fs.FS) *db.DB { return dbtest.Open(t, o) }, Periods{MeterValues: 10 * day, Sessions: 20 * day})
	var sizes []int64
	for round := range 6 {
		for i := range 40 {
			h.charge(t, fmt.Sprint(round, "-", i), 30*day, true)
		}
		if err := h.ledger.Close(); err != nil { // which empties the journal, as every few seconds does
			t.Fatal(err)
		}
		h.ledger = session.New(h.db, h.events, h.log)
		h.Keeper.ledger = h.ledger
		if err := errors.Join(h.Run(t.Context()), h.events.Purge(t.Context(), time.Now().Add(2*event.Retention))); err != nil {
			t.Fatal(err)
		}
		size, err := h.db.Size(t.Context())
		if err != nil || size.Free <= 0 {
			t.Fatalf("%+v: %v", size, err)
		}
		sizes = append(sizes, size.Bytes)
	}
	if sizes[5] > sizes[1]*11/10 {
		t.Errorf("the file grows: %v", sizes)
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(m ...fs.FS) *db.DB { return dbtest.Open(t, dbtest.Fresh(t, db.SQLite, m...)) }, Periods{})
	mux := http.NewServeMux()
	h.Register(humago.New(mux, huma.DefaultConfig("t", "1")))
	for role, want := range map[account.Role]int{account.Owner: 200, account.Operator: 403, account.Viewer: 403} {
		r := httptest.NewRequest(http.MethodGet, "/retention", nil)
		r = r.WithContext(account.With(r.Context(), account.Principal{Organisation: "org", Role: role}))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s gets %d: %s", role, w.Code, w.Body)
		}
	}
}
