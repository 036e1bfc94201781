package overview_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"
	"github.com/govalues/decimal"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/overview"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

const org = "org"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, mux http.Handler, organisation string) (status int, v overview.View) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/overview", nil)
	if organisation != "" {
		r = r.WithContext(account.With(r.Context(), account.Principal{Organisation: organisation, Role: account.Viewer}))
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	if rec.Code == http.StatusOK {
		must(t, json.Unmarshal(rec.Body.Bytes(), &v))
	}
	return rec.Code, v
}

func TestOverview(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		ctx, log := t.Context(), slog.New(slog.DiscardHandler)
		d := open(event.Migrations, station.Migrations, session.Migrations)
		b, err := bus.Open(ctx, bus.Options{Log: log})
		must(t, err)
		t.Cleanup(func() { _ = b.Close() })
		events := event.NewLog(d, b, log)
		stations, ledger := station.New(d, events, log, station.Open, org), session.New(d, events, log)
		mux := http.NewServeMux()
		overview.Register(humago.New(mux, huma.DefaultConfig("t", "1")), stations, ledger)

		if status, _ := read(t, mux, ""); status != http.StatusUnauthorized {
			t.Errorf("nobody sees it: %d", status)
		}
		if _, v := read(t, mux, org); v != (overview.View{}) {
			t.Errorf("of nothing: %+v", v)
		}
		for _, id := range []station.ID{"on", "off"} {
			_, err := stations.Authenticate(ctx, string(id), station.Credentials{})
			must(t, err)
			for i, status := range []v21.ConnectorStatus{v21.ConnectorStatusAvailable, v21.ConnectorStatusOccupied, v21.ConnectorStatusReserved,
				v21.ConnectorStatusUnavailable, v21.ConnectorStatusFaulted} {
				must(t, stations.Status(ctx, org, id, station.ConnectorState{EVSE: i + 1, Connector: 1, Status: status, At: time.Now()}))
			}
		}
		must(t, stations.Linked(ctx, org, station.Link{ID: "l", Station: "on", At: time.Now()}))
		now := time.Now()
		for i := range 2 { // two sessions run, though only one connector says that it is occupied
			_, err := ledger.Apply(ctx, session.Event{Organisation: org, Station: "on", ReceivedAt: now, Sequenced: true, Request: &v21.TransactionEventRequest{
				EventType: v21.TransactionEventTypeStarted, Timestamp: now, TriggerReason: v21.TriggerReasonAuthorized, EVSE: &v21.EVSE{ID: i + 1},
				TransactionInfo: v21.Transaction{TransactionID: fmt.Sprint(i)}}})
			must(t, err)
		}
		for id, watts := range map[station.ID]int64{"on": 7000, "off": 11000} { // a car charges at each; what the offline one draws now nobody knows
			_, err := ledger.Apply(ctx, session.Event{Organisation: org, Station: id, ReceivedAt: now, Sequenced: true, Request: &v21.TransactionEventRequest{
				EventType: v21.TransactionEventTypeStarted, Timestamp: now, TriggerReason: v21.TriggerReasonAuthorized, EVSE: &v21.EVSE{ID: 3},
				TransactionInfo: v21.Transaction{TransactionID: "power"}, MeterValue: []v21.MeterValue{{Timestamp: now, SampledValue: []v21.SampledValue{{
					Value: decimal.MustNew(watts, 0), Measurand: ocpp.Some(v21.MeasurandPowerActiveImport)}}}}}})
			must(t, err)
			must(t, ledger.Release(ctx, id)) // the row is written
		}
		var want overview.View
		want.Stations.Total, want.Stations.Online = 2, 1
		c := &want.Connectors
		c.Available, c.Occupied, c.Charging, c.Reserved, c.Unavailable, c.Faulted, c.Unknown = 1, 1, 1, 1, 1, 1, 5
		want.Sessions.Active, want.Sessions.Today, want.PowerW = 4, 4, 7000
		_, got := read(t, mux, org)
		if midnight := time.Now().UTC().Truncate(24 * time.Hour); now.Before(midnight) {
			want.Sessions.Today = 0 // the day has ended meanwhile
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if _, v := read(t, mux, "other"); v != (overview.View{}) {
			t.Errorf("another organisation sees %+v", v)
		}
	})
}
