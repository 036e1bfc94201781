package history

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/page"
	"lumela/internal/problem"
)

// Bucket is what happened in an hour, a day or a month, UTC. Figures that were not asked for are left out.
type Bucket struct {
	At              time.Time     `json:"at" doc:"Beginning of the bucket"`
	EnergyWh        *int64        `json:"energyWh,omitempty" doc:"By the reading that shows it: what flowed between two readings belongs to the bucket of the second one"`
	CarriedWh       *int64        `json:"carriedWh,omitempty" doc:"Of this, what was measured over the beginning of an hour and may in part have flowed before it"`
	SessionsStarted *int64        `json:"sessionsStarted,omitempty"`
	SessionsEnded   *int64        `json:"sessionsEnded,omitempty"`
	ChargingMinutes *int64        `json:"chargingMinutes,omitempty" doc:"Time in which energy flowed, by what the stations say of their state"`
	PeakPowerW      *int64        `json:"peakPowerW,omitempty" doc:"Greatest power of one EVSE"`
	Connectors      *StateMinutes `json:"connectorMinutes,omitempty" doc:"Time of all connectors by state; known when an hour is over"`
}

// StateMinutes is how long connectors were in which state, in whole minutes.
type StateMinutes struct {
	Available   int64 `json:"available"`
	Occupied    int64 `json:"occupied"`
	Reserved    int64 `json:"reserved"`
	Unavailable int64 `json:"unavailable"`
	Faulted     int64 `json:"faulted"`
	Offline     int64 `json:"offline" doc:"The station had no link"`
}

func minutes(us int64) int64 {
	const minute = int64(time.Minute / time.Microsecond)
	return (us + minute/2) / minute
}

// view shows the figures of the metrics, of all when none is named.
func (b bucket) view(metrics []string) Bucket {
	out := Bucket{At: db.Time(b.at)}
	shown := func(metric string) bool { return len(metrics) == 0 || slices.Contains(metrics, metric) }
	if shown("energy") {
		wh, carried := (b.energy+500)/1000, (b.carried+500)/1000
		out.EnergyWh, out.CarriedWh = &wh, &carried
	}
	if shown("sessions") {
		out.SessionsStarted, out.SessionsEnded = &b.started, &b.ended
	}
	if shown("charging") {
		m := minutes(b.charging)
		out.ChargingMinutes = &m
	}
	if shown("power") {
		out.PeakPowerW = &b.peak
	}
	if shown("availability") {
		out.Connectors = &StateMinutes{Available: minutes(b.available), Occupied: minutes(b.occupied), Reserved: minutes(b.reserved),
			Unavailable: minutes(b.unavailable), Faulted: minutes(b.faulted), Offline: minutes(b.offline)}
	}
	return out
}

// add adds another bucket's figures.
func (f *figures) add(g figures) {
	f.energy, f.carried, f.started, f.ended, f.charging = f.energy+g.energy, f.carried+g.carried, f.started+g.started, f.ended+g.ended, f.charging+g.charging
	f.peak = max(f.peak, g.peak)
	f.available, f.occupied, f.reserved = f.available+g.available, f.occupied+g.occupied, f.reserved+g.reserved
	f.unavailable, f.faulted, f.offline = f.unavailable+g.unavailable, f.faulted+g.faulted, f.offline+g.offline
}

// Query selects buckets.
type Query struct {
	Station    string // empty: the whole organisation
	EVSE       int    // 0: all of the station
	From, To   time.Time
	Resolution string // hour, day or month
}

// mostBuckets bounds an answer: more than a year of hours.
const mostBuckets = 10_000

// bounds fills in what is left open and begins where a bucket begins.
func (q *Query) bounds(now time.Time) error {
	if q.To.IsZero() {
		q.To = now
	}
	width := time.Hour
	switch q.Resolution {
	case "hour":
		if q.From.IsZero() {
			q.From = q.To.Add(-48 * time.Hour)
		}
		q.From = q.From.UTC().Truncate(time.Hour)
	case "day":
		width = 24 * time.Hour
		if q.From.IsZero() {
			q.From = q.To.AddDate(0, 0, -31)
		}
		q.From = db.Daily.Start(q.From)
	default:
		width = 28 * 24 * time.Hour
		if q.From.IsZero() {
			q.From = q.To.AddDate(-1, 0, 0)
		}
		q.From = db.Monthly.Start(q.From)
		if end := db.Monthly.Start(q.To); !end.Equal(q.To) { // whole months
			q.To = db.Monthly.Next(end)
		}
	}
	if q.To.Sub(q.From)/width > mostBuckets || q.To.Year()-q.From.Year() > 250 {
		return problem.Field("from", "spans more than %d buckets: ask for less, or for a coarser resolution", mostBuckets)
	}
	return nil
}

// Buckets reads the history of an organisation. Buckets in which nothing happened are left out.
func (h *History) Buckets(ctx context.Context, organisation string, q Query, metrics ...string) ([]Bucket, error) {
	if q.EVSE != 0 && q.Station == "" {
		return nil, problem.Field("evse", "needs a station")
	}
	if err := q.bounds(h.now()); err != nil {
		return nil, err
	}
	rows, err := h.buckets(ctx, owner{organisation, q.Station}, q.EVSE, q.Resolution != "hour", q.From, q.To)
	if err != nil {
		return nil, err
	}
	if q.Resolution == "month" {
		rows = months(rows)
	}
	out := make([]Bucket, len(rows))
	for i, b := range rows {
		out[i] = b.view(metrics)
	}
	return out, nil
}

// months adds days up.
func months(days []bucket) []bucket {
	var out []bucket
	for _, d := range days {
		start := db.Micros(db.Monthly.Start(db.Time(d.at)))
		if n := len(out); n == 0 || out[n-1].at != start {
			out = append(out, bucket{at: start})
		}
		out[len(out)-1].add(d.figures)
	}
	return out
}

type queryInput struct {
	Station    string    `query:"station" doc:"Of one station; without it, of the whole organisation"`
	EVSE       int       `query:"evse" minimum:"0" doc:"Of one EVSE of the station"`
	From       time.Time `query:"from" doc:"First moment, RFC 3339; the default is 48 hours, 31 days or a year before to"`
	To         time.Time `query:"to" doc:"Moment after the last, RFC 3339; the default is now"`
	Resolution string    `query:"resolution" enum:"hour,day,month" default:"day"`
	Metric     []string  `query:"metric" enum:"energy,sessions,charging,power,availability" doc:"Only these figures, comma-separated"`
}

// Register adds the operations of this package to the API.
func (h *History) Register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "history", Method: http.MethodGet, Path: "/history", Tags: []string{"History"},
		Summary:     "Energy, sessions and availability over time",
		Description: "Buckets are of UTC, oldest first; those in which nothing happened are left out. At most 10,000 are answered."},
		func(ctx context.Context, in *queryInput) (*page.Output[Bucket], error) {
			p, err := account.Require(ctx, account.Viewer)
			if err != nil {
				return nil, err
			}
			list, err := h.Buckets(ctx, p.Organisation, Query{Station: in.Station, EVSE: in.EVSE, From: in.From, To: in.To, Resolution: in.Resolution}, in.Metric...)
			if err != nil {
				return nil, err
			}
			return page.Of(list, len(list), func(Bucket) []string { return nil }), nil
		})
	huma.Register(api, huma.Operation{OperationID: "rebuild-history", Method: http.MethodPost, Path: "/history/rebuild", Tags: []string{"History"},
		Summary: "Compute the history of the installation again from its sessions", DefaultStatus: http.StatusAccepted,
		Description: "It happens in the background, station by station, and nothing is missing meanwhile. The history keeps itself up to date: this is for whoever does not believe it."},
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			if _, err := account.Require(ctx, account.Owner); err != nil {
				return nil, err
			}
			return nil, h.Rebuild(ctx)
		})
}
