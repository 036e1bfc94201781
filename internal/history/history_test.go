package history

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"
	"github.com/govalues/decimal"
	"pgregory.net/rapid"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// bench is a history over a ledger.
type bench struct {
	*History
	ledger *session.Ledger
}

func newBench(t *testing.T, open func(...fs.FS) *db.DB) *bench {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(context.Background(), bus.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d := open(event.Migrations, station.Migrations, session.Migrations, Migrations)
	events := event.NewLog(d, b, log)
	l := session.New(d, events, log)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bench{History: New(d, l, station.New(d, events, log, station.Open, "org"), log), ledger: l}
}

// onEach runs a test on each engine. The databases do not wait for the disk: no sum depends on it.
func onEach(t *testing.T, test func(t *testing.T, open func(...fs.FS) *db.DB)) {
	t.Helper()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			test(t, func(m ...fs.FS) *db.DB {
				o := dbtest.Fresh(t, engine, m...)
				o.Relaxed = true
				return dbtest.Open(t, o)
			})
		})
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func reading(mwh, watts int64) []v21.SampledValue {
	return []v21.SampledValue{{Value: decimal.MustNew(mwh, 3)},
		{Value: decimal.MustNew(watts, 0), Measurand: ocpp.Some(v21.MeasurandPowerActiveImport)}}
}

// says makes a message of a transaction at a time after noon.
func says(tx string, evse, seq, seconds int, typ v21.TransactionEventType, mwh, watts int64, state v21.ChargingState) *v21.TransactionEventRequest {
	at := noon.Add(time.Duration(seconds) * time.Second)
	return &v21.TransactionEventRequest{EventType: typ, Timestamp: at, TriggerReason: v21.TriggerReasonMeterValuePeriodic, SeqNo: seq,
		EVSE: &v21.EVSE{ID: evse}, TransactionInfo: v21.Transaction{TransactionID: tx, ChargingState: ocpp.Some(state)},
		MeterValue: []v21.MeterValue{{Timestamp: at, SampledValue: reading(mwh, watts)}}}
}

func (b *bench) tell(t interface{ Fatal(...any) }, id string, r *v21.TransactionEventRequest) {
	copied := *r
	_, err := b.ledger.Apply(context.Background(), session.Event{Organisation: "org", Station: station.ID(id), Request: &copied,
		ReceivedAt: r.Timestamp.Add(time.Second), Sequenced: true})
	if err != nil {
		t.Fatal(err)
	}
}

// total adds up a column over rows of a table.
func (b *bench) total(t interface{ Fatal(...any) }, table, column, where string, args ...any) (n int64) {
	err := b.db.QueryRow(context.Background(), `SELECT CAST(COALESCE(SUM(`+column+`), 0) AS BIGINT) FROM `+table+` WHERE `+where, args...).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Energy belongs to the hour that its reading ends or lies in; what was measured over the hour's beginning is told.
func TestHours(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		b := newBench(t, open)
		b.now = func() time.Time { return noon.Add(3 * time.Hour) }
		const s, u, e = v21.TransactionEventTypeStarted, v21.TransactionEventTypeUpdated, v21.TransactionEventTypeEnded
		for _, r := range []*v21.TransactionEventRequest{
			says("1", 1, 0, 1800, s, 1_000_000, 0, v21.ChargingStateCharging),
			says("1", 1, 1, 3600, u, 6_000_000, 11_000, v21.ChargingStateCharging), // on the stroke: of the hour before
			says("1", 1, 2, 5400, u, 9_000_000, 7_000, v21.ChargingStateSuspendedEV),
			says("1", 1, 3, 9000, e, 9_500_000, 0, v21.ChargingStateIdle), // over the stroke of 14:00
		} {
			b.tell(t, "S", r)
			if err := b.Update(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		n := func(v int64) *int64 { return &v }
		hourOf := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
		want := []Bucket{
			{At: hourOf(0), EnergyWh: n(5000), CarriedWh: n(0), SessionsStarted: n(1), SessionsEnded: n(0), ChargingMinutes: n(30), PeakPowerW: n(0)},
			{At: hourOf(1), EnergyWh: n(3000), CarriedWh: n(0), SessionsStarted: n(0), SessionsEnded: n(0), ChargingMinutes: n(30), PeakPowerW: n(11000)},
			{At: hourOf(2), EnergyWh: n(500), CarriedWh: n(500), SessionsStarted: n(0), SessionsEnded: n(1), ChargingMinutes: n(0), PeakPowerW: n(0)},
		}
		metrics := []string{"energy", "sessions", "charging", "power"}
		for _, q := range []Query{{Station: "S"}, {Station: "S", EVSE: 1}, {}} {
			q.Resolution, q.From = "hour", noon
			got, err := b.Buckets(t.Context(), "org", q, metrics...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%+v (-want +got):\n%s", q, d)
			}
		}
		for resolution, at := range map[string]time.Time{"day": db.Daily.Start(noon), "month": db.Monthly.Start(noon)} {
			got, err := b.Buckets(t.Context(), "org", Query{Station: "S", Resolution: resolution}, metrics...)
			if err != nil {
				t.Fatal(err)
			}
			whole := []Bucket{{At: at, EnergyWh: n(8500), CarriedWh: n(500), SessionsStarted: n(1), SessionsEnded: n(1), ChargingMinutes: n(60), PeakPowerW: n(11000)}}
			if d := cmp.Diff(whole, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", resolution, d)
			}
		}
		for _, q := range []Query{{Station: "other"}, {Station: "S", EVSE: 2}} {
			q.Resolution = "day"
			if got, err := b.Buckets(t.Context(), "org", q); err != nil || len(got) > 0 {
				t.Errorf("%+v gives %+v: %v", q, got, err)
			}
		}
		if got, err := b.Buckets(t.Context(), "elsewhere", Query{Station: "S", Resolution: "day"}); err != nil || len(got) > 0 {
			t.Errorf("another organisation sees %+v: %v", got, err)
		}
		for _, q := range []Query{{EVSE: 1, Resolution: "day"}, {Resolution: "hour", From: noon.AddDate(-3, 0, 0)}} {
			if _, err := b.Buckets(t.Context(), "org", q); problem.Of(err).Kind != problem.Invalid {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

var serial atomic.Int64

// Whatever comes in whichever order, how often and how late: the sums are those of the sessions, at every level, and
// computing all of it again changes nothing.
func TestSumsAreThoseOfSessions(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		b := newBench(t, open)
		b.now = func() time.Time { return noon.Add(1000 * time.Hour) }
		rapid.Check(t, func(rt *rapid.T) {
			id := "S" + strconv.FormatInt(serial.Add(1), 10)
			var all []*v21.TransactionEventRequest
			for tx := range rapid.IntRange(1, 3).Draw(rt, "sessions") {
				seconds, meter := rapid.IntRange(-90_000, 90_000).Draw(rt, "start"), rapid.Int64Range(0, 1_000_000).Draw(rt, "register")
				n := rapid.IntRange(2, 7).Draw(rt, "messages")
				for i := range n {
					typ := v21.TransactionEventTypeUpdated
					switch {
					case i == 0:
						typ = v21.TransactionEventTypeStarted
					case i == n-1 && rapid.IntRange(0, 3).Draw(rt, "ends") > 0:
						typ = v21.TransactionEventTypeEnded
					}
					state := rapid.SampledFrom([]v21.ChargingState{v21.ChargingStateCharging, v21.ChargingStateSuspendedEV}).Draw(rt, "state")
					all = append(all, says(fmt.Sprint(id, "-", tx), tx+1, i, seconds, typ, meter, int64(i)*1000, state))
					seconds += rapid.IntRange(1, 9000).Draw(rt, "pause")
					meter += rapid.Int64Range(-1000, 9_000_000).Draw(rt, "energy") // a register may go down, too
				}
			}
			update := func() {
				if err := b.Update(context.Background()); err != nil {
					rt.Fatal(err)
				}
			}
			for _, r := range rapid.Permutation(append(all, all[:len(all)/2]...)).Draw(rt, "order") {
				b.tell(rt, id, r)
				if rapid.IntRange(0, 4).Draw(rt, "update") == 0 {
					update()
				}
			}
			if err := b.ledger.Release(context.Background(), station.ID(id)); err != nil { // the rows are as their messages
				rt.Fatal(err)
			}
			clear(b.read)
			update()
			var energy, started, ended int64
			refs, err := b.ledger.OfStation(context.Background(), id)
			if err != nil {
				rt.Fatal(err)
			}
			for _, ref := range refs {
				s, err := b.ledger.Get(context.Background(), "org", ref.ID)
				if err != nil {
					rt.Fatal(err)
				}
				energy, started = energy+s.EnergyMWh(), started+1
				if s.State == session.Ended {
					ended++
				}
			}
			check := func(when string) {
				for _, table := range []string{"history_parts", "history_hours", "history_days"} {
					for column, want := range map[string]int64{"energy_mwh": energy, "started": started, "ended": ended} {
						if got := b.total(rt, table, column, "station_id = $1", id); got != want {
							rt.Fatalf("%s: %s of %s add up to %d, the sessions to %d", when, column, table, got, want)
						}
					}
					if n := b.total(rt, table, "CASE WHEN energy_mwh < 0 OR carried_mwh < 0 OR carried_mwh > energy_mwh OR charging_us < 0 THEN 1 ELSE 0 END", "station_id = $1", id); n > 0 {
						rt.Fatalf("%s: %d rows of %s are below nothing", when, n, table)
					}
				}
				for _, column := range []string{"energy_mwh", "carried_mwh", "started", "ended", "charging_us"} {
					for _, table := range []string{"history_hours", "history_days"} {
						if whole, stations := b.total(rt, table, column, "station_id = ''"), b.total(rt, table, column, "station_id <> ''"); whole != stations {
							rt.Fatalf("%s: %s of the organisation in %s is %d, its stations add up to %d", when, column, table, whole, stations)
						}
					}
				}
			}
			check("after updates")
			if rapid.IntRange(0, 19).Draw(rt, "rebuild") == 0 {
				if err := b.Rebuild(context.Background()); err != nil {
					rt.Fatal(err)
				}
				update()
				check("after it was computed again")
			}
		})
	})
}

// States count for the hours that are over, by hour and EVSE, and not twice.
func TestStates(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	rows := statesOf([]station.Stretch{
		{EVSE: 1, Connector: 1, Status: "available", From: at(0), To: at(30)},
		{EVSE: 1, Connector: 1, Status: "occupied", From: at(30), To: at(100)},
		{EVSE: 1, Connector: 2, Status: "available", From: at(0), To: at(120)},
		{EVSE: 2, Connector: 1, Status: "offline", From: at(10), To: at(60)},
		{EVSE: 2, Connector: 1, Status: "unheard of", From: at(60), To: at(61)},
	})
	minute := int64(time.Minute / time.Microsecond)
	first, second := db.Micros(noon), db.Micros(noon)+hour
	want := map[[2]int64]figures{
		{first, 1}: {available: 90 * minute, occupied: 30 * minute}, {second, 1}: {available: 60 * minute, occupied: 40 * minute},
		{first, 2}: {offline: 50 * minute}, {second, 2}: {},
	}
	got := map[[2]int64]figures{}
	for k, f := range rows {
		got[k] = *f
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(figures{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// countedStations are stations of which each connector was available all the time.
type countedStations struct{ n int }

func (s countedStations) After(_ context.Context, id station.ID, limit int) ([]station.Owned, error) {
	var out []station.Owned
	for i := range s.n {
		if name := station.ID(fmt.Sprintf("S%04d", i)); name > id && len(out) < limit {
			out = append(out, station.Owned{ID: name, Organisation: "org"})
		}
	}
	return out, nil
}

func (countedStations) Stretches(_ context.Context, _ station.ID, from, to time.Time) ([]station.Stretch, error) {
	return []station.Stretch{{EVSE: 1, Connector: 1, Status: "available", From: from, To: to}}, nil
}

func TestStatesOfAllStations(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		b := newBench(t, open)
		b.stations = countedStations{n: stationsAtOnce + 7}
		now := noon
		b.now = func() time.Time { return now }
		if err := b.setProgress(t.Context(), statesDone, db.Micros(noon.Add(-3*time.Hour)), ""); err != nil {
			t.Fatal(err)
		}
		for hours, moment := range map[int]time.Time{3: noon.Add(59 * time.Minute)} {
			for range 2 {
				now = moment
				if err := b.Update(t.Context()); err != nil {
					t.Fatal(err)
				}
				want := int64(hours) * hour * (stationsAtOnce + 7)
				for _, table := range []string{"history_hours", "history_days"} {
					for _, where := range []string{"station_id = ''", "station_id <> ''"} {
						if got := b.total(t, table, "available_us", where); got != want {
							t.Errorf("%s where %s: %d, want %d", table, where, got, want)
						}
					}
				}
			}
		}
	})
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(m ...fs.FS) *db.DB { return dbtest.Open(t, dbtest.Fresh(t, db.SQLite, m...)) })
	mux := http.NewServeMux()
	b.Register(humago.New(mux, huma.DefaultConfig("t", "1")))
	get := func(path string, p *account.Principal) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if p != nil {
			r = r.WithContext(account.With(r.Context(), *p))
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code
	}
	viewer := &account.Principal{Organisation: "org", Role: account.Viewer}
	for path, want := range map[string]int{"/history": 200, "/history?station=S&evse=1&resolution=hour&metric=energy,power": 200,
		"/history?resolution=month&from=2020-01-01T00:00:00Z": 200, "/history?resolution=year": 422, "/history?metric=colour": 422,
		"/history?evse=1": 422, "/history?resolution=hour&from=2000-01-01T00:00:00Z": 422, "/history?from=yesterday": 422} {
		if got := get(path, viewer); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if got := get("/history", nil); got != 401 {
		t.Errorf("a stranger gets %d", got)
	}
}
