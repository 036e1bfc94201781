// Package guardian watches over sessions: it notices those that cannot be as they seem (no energy, no end, a connector that
// nobody frees, messages that are missing), asks the station, and when the station is silent does what a careful
// operator would do. Everything that it does is in the session's timeline and is undone when the truth arrives.
//
// A pass looks at everything that runs and opens a case for each cause. A case is a row: what was seen, what has been done,
// when to look again. So a cause is acted on once, whichever node makes the pass and however often it is restarted.
package guardian

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"lumela/internal/clock"
	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/session"
	"lumela/internal/station"
)

// Kind says what a case is about.
type Kind string

// The kinds of cases.
const (
	NoEnergy Kind = "no-energy" // a session says that it charges and delivers nothing
	NoStop   Kind = "no-stop"   // the connector is free and the session still runs
	Boot     Kind = "boot"      // the station has booted while the session ran
	Stuck    Kind = "stuck"     // a connector is occupied or reserved without a session, or a car stays for ever
	Gap      Kind = "gap"       // messages of a session are missing
)

// Case is one cause that is watched.
type Case struct {
	ID           string
	Kind         Kind
	Organisation string
	Station      station.ID
	EVSE         int
	Connector    int
	Session      string // id, "" when the case is about a connector
	Subject      string // what was seen
	OpenedAt     time.Time
	DueAt        time.Time // when to look again
	Step         int       // how far the handling has got
	Tries        int       // how often the station was asked to no avail
	Outcome      string    // what was done last, "" while the case is only watched
	ClosedAt     time.Time // zero while the cause is there

	cause string
}

const (
	// resting is the step of a case that only waits for the end of its cause.
	resting = 99
	// outcomeStuck is what operators were told of a stuck connector.
	outcomeStuck = "told the operators"
)

// rest lets a case wait for the end of its cause.
func (c *Case) rest(now time.Time) { c.Step, c.DueAt = resting, now.Add(365*24*time.Hour) }

// Bounds of a pass.
const (
	claimFor  = 3 * time.Minute // longer than the handling of a case
	workers   = 64              // stations that are asked at the same moment
	mostCases = 2_000           // handled in one pass; the next one goes on
	askFor    = time.Minute     // how long a pass begins to ask: silent stations must not hold up everything else
)

// Parts are what the guardian works with.
type Parts struct {
	DB       *db.DB
	Events   *event.Log
	Stations *station.Stations
	Ledger   *session.Ledger
	Commands *command.Commands
	Clock    clock.Clock // nil: the machine's
	Log      *slog.Logger
}

// Guardian is the watch over all sessions of an installation.
type Guardian struct {
	db       *db.DB
	events   *event.Log
	stations *station.Stations
	ledger   *session.Ledger
	commands *command.Commands
	clock    clock.Clock
	log      *slog.Logger
	policy   Policy
}

// New makes a guardian. It does nothing by itself: Pass must be called every [Policy.Every], by one node at a time.
func New(p Parts, policy Policy) *Guardian {
	if p.Clock == nil {
		p.Clock = clock.System
	}
	return &Guardian{db: p.DB, events: p.Events, stations: p.Stations, ledger: p.Ledger, commands: p.Commands, clock: p.Clock, log: p.Log,
		policy: policy.defaults()}
}

// Every is the time between two passes.
func (g *Guardian) Every() time.Duration { return g.policy.Every }

// Pass looks at everything once and does what is due. It may be broken off at any moment. What fails for one session is
// logged and tried again; the error is that of the whole.
func (g *Guardian) Pass(ctx context.Context) error {
	w, err := g.look(ctx)
	if err != nil {
		return err
	}
	opened, over := w.compare(w.detect())
	if err := errors.Join(g.end(ctx, over), g.begin(ctx, opened)); err != nil {
		return err
	}
	for _, c := range opened {
		w.cases[c.cause] = c
	}
	for _, c := range over {
		delete(w.cases, c.cause)
	}
	err = errors.Join(g.gone(ctx, w), g.remoteStarts(ctx), g.purge(ctx))
	g.handleAll(ctx, w) // last: it waits for stations
	return err
}

// scene is everything that a pass looks at.
type scene struct {
	now        time.Time
	policy     Policy
	sessions   []*session.Session // that run
	gaps       []*session.Session // that miss messages
	stations   map[station.ID]*station.Station
	connectors map[station.ID][]station.ConnectorState // of stations that have a link
	cases      map[string]*Case                        // open, by cause
}

func (g *Guardian) look(ctx context.Context) (*scene, error) {
	w := &scene{now: g.clock.Now(), policy: g.policy}
	var err error
	if w.cases, err = g.open(ctx); err != nil { // first: what is seen later is as new at least
		return nil, err
	}
	if w.sessions, err = g.ledger.Active(ctx); err != nil {
		return nil, err
	}
	if w.gaps, err = g.ledger.WithFlag(ctx, session.SequenceGap, w.now.Add(-g.policy.QueueFor)); err != nil {
		return nil, err
	}
	if w.connectors, err = g.stations.Connected(ctx); err != nil {
		return nil, err
	}
	known := map[station.ID]struct{}{}
	for id := range w.connectors {
		known[id] = struct{}{}
	}
	for _, list := range [][]*session.Session{w.sessions, w.gaps} {
		for _, s := range list {
			known[s.Station] = struct{}{}
		}
	}
	ids := make([]station.ID, 0, len(known))
	for id := range known {
		ids = append(ids, id)
	}
	w.stations, err = g.stations.Many(ctx, ids)
	return w, err
}

// handleAll handles the cases that are due, those of one station one after the other.
func (g *Guardian) handleAll(ctx context.Context, w *scene) {
	due := map[station.ID][]*Case{}
	n := 0
	for _, c := range w.cases {
		if st := w.stations[c.Station]; st == nil || !st.Online() || c.DueAt.After(w.now) || n >= mostCases {
			continue
		}
		due[c.Station] = append(due[c.Station], c)
		n++
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, workers)
	until := time.Now().Add(askFor)
	for id, cases := range due {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, c := range cases {
				if ctx.Err() != nil || time.Now().After(until) {
					return
				}
				if err := g.handle(ctx, w.stations[id], c); err != nil {
					g.log.Error("case not handled, it is tried again", "kind", c.Kind, "station", id, "session", c.Session, "error", err)
				}
			}
		})
	}
	wg.Wait()
}

func (g *Guardian) handle(ctx context.Context, st *station.Station, c *Case) error {
	mine, err := g.claim(ctx, c)
	if err != nil || !mine {
		return err
	}
	switch c.Kind {
	case NoEnergy:
		return g.noEnergy(ctx, st, c)
	case NoStop:
		return g.noStop(ctx, st, c)
	case Boot:
		return g.booted(ctx, st, c)
	case Stuck:
		return g.stuck(ctx, st, c)
	default:
		return g.gap(ctx, st, c)
	}
}

// gone assumes the end of sessions whose station has been away for long, or is not known any more.
func (g *Guardian) gone(ctx context.Context, w *scene) error {
	var errs []error
	for _, s := range w.sessions {
		st := w.stations[s.Station]
		if st != nil && st.Online() {
			continue
		}
		seen := s.ChangedAt()
		if st != nil && st.LastSeenAt.After(seen) {
			seen = st.LastSeenAt
		}
		if w.now.Sub(seen) < g.policy.GoneAfter {
			continue
		}
		_, err := g.ledger.AssumeEnd(ctx, s.Organisation, s.ID, session.Act{Who: session.Guardian,
			Text: "the station has been away since " + seen.UTC().Format(time.RFC3339) + "; the session is taken to have ended with its last message",
			Data: map[string]any{"rule": "gone", "lastSeen": seen.UTC()}},
			func(now *session.Session) bool { return w.now.Sub(now.ChangedAt()) >= g.policy.GoneAfter })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func place(evse, connector int) string { return strconv.Itoa(evse) + "/" + strconv.Itoa(connector) }
