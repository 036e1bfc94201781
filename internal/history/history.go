// Package history is what happened, added up: energy, sessions, charging time, power and the states of connectors, for
// each EVSE, station and organisation, by hour, day and month in UTC.
//
// Energy is booked as the register says and never interpolated: what flowed between two readings belongs to the hour of
// the second one. A reading on the stroke of an hour belongs to the hour that it ends. How much of an hour's energy was
// measured over its beginning, and so may in part have flowed before, stands beside it ("carried"). Meters that report on
// the stroke of the quarter carry nothing.
//
// All figures follow from the ledger and from the stations' history and can be computed again at any time: what each
// session adds to each hour is kept by session and replaced when the session changes, however late; everything else is a
// sum of that. States of connectors count by the time of arrival and are complete when an hour is over.
package history

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"lumela/internal/db"
	"lumela/internal/session"
	"lumela/internal/station"
)

// Ledger is what the history is computed from.
type Ledger interface {
	Course(ctx context.Context, id string) (*session.Course, error)
	Marks(ctx context.Context, limit int) ([]session.Mark, error)
	Unmark(ctx context.Context, marks []session.Mark) error
	Running(ctx context.Context) ([]session.Ref, error)
	OfStation(ctx context.Context, id string) ([]session.Ref, error)
	NextStation(ctx context.Context, after string) (string, error)
}

// Stations tell the states of connectors.
type Stations interface {
	Stretches(ctx context.Context, id station.ID, from, to time.Time) ([]station.Stretch, error)
	After(ctx context.Context, id station.ID, limit int) ([]station.Owned, error)
}

// History keeps the sums.
type History struct {
	db       *db.DB
	ledger   Ledger
	stations Stations
	log      *slog.Logger

	mu   sync.Mutex          // held by Update and Rebuild: one at a time
	read map[string]lastRead // running sessions and what is known of them
	now  func() time.Time
}

// lastRead is when a running session was taken in, and how its row was then.
type lastRead struct{ updated, at time.Time }

// New opens the history.
func New(d *db.DB, ledger Ledger, stations Stations, log *slog.Logger) *History {
	return &History{db: d, ledger: ledger, stations: stations, log: log, read: map[string]lastRead{}, now: time.Now}
}

// part is what a session adds to an hour.
type part struct {
	at              int64 // beginning of the hour, microseconds
	energy, carried int64 // mWh
	started, ended  int
	charging        int64 // microseconds
	peak            int64 // W
}

const hour = int64(time.Hour / time.Microsecond)

// hourOf is the beginning of the hour that a moment belongs to.
func hourOf(us int64) int64 {
	h := us / hour * hour
	if us < 0 && h != us {
		h -= hour
	}
	return h
}

// parts computes what a session adds to which hours.
func parts(c *session.Course) map[int64]*part {
	out := map[int64]*part{}
	of := func(us int64) *part {
		h := hourOf(us)
		if out[h] == nil {
			out[h] = &part{at: h}
		}
		return out[h]
	}
	of(db.Micros(c.Start)).started++
	if !c.End.IsZero() {
		of(db.Micros(c.End)).ended++
	}
	for i := 1; i < len(c.Energy); i++ {
		energy := c.Energy[i].Value - c.Energy[i-1].Value
		if energy == 0 {
			continue
		}
		p := of(db.Micros(c.Energy[i].At) - 1)
		p.energy += energy
		if db.Micros(c.Energy[i-1].At) < p.at {
			p.carried += energy
		}
	}
	for _, w := range c.Power {
		if w.Value > 0 {
			p := of(db.Micros(w.At))
			p.peak = max(p.peak, w.Value)
		}
	}
	for _, s := range c.Charging {
		split(db.Micros(s.From), db.Micros(s.To), func(h, us int64) { of(h).charging += us })
	}
	return out
}

// split cuts [from, to) at the hours.
func split(from, to int64, piece func(hour, us int64)) {
	for from < to {
		h := hourOf(from)
		end := min(to, h+hour)
		piece(h, end-from)
		from = end
	}
}
