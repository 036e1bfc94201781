// Package retention says which class of data is kept for how long, and sees to it. What the law wants kept (tax, signed
// measurements) and what it wants forgotten (what stations say about persons, longer than needed) collide, so each class has a
// period of its own. A session that runs or that is held is never touched, whatever its age.
package retention

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/session"
)

// Periods are for how long the classes are kept that an operator can set. 0 is for ever.
type Periods struct {
	// MeterValues is for how long sessions keep the readings between the first and the last; signed ones stay with the session.
	MeterValues time.Duration
	// Sessions is for how long sessions are kept after their end: as long as the tax law wants their bills explained.
	Sessions time.Duration
	// Audit is for how long the record of who did what is kept.
	Audit time.Duration
}

// Keeper forgets what is past its period.
type Keeper struct {
	db      *db.DB
	frames  *frame.Log
	ledger  *session.Ledger
	periods Periods
	log     *slog.Logger
	keep    session.Keep
	now     func() time.Time

	rewritten map[string]bool // partitions, by this process
}

// New makes the keeper of an installation. keep, which may be nil, names sessions that must stay as they are, beside those that
// run or are held.
func New(d *db.DB, frames *frame.Log, ledger *session.Ledger, periods Periods, keep session.Keep, log *slog.Logger) *Keeper {
	return &Keeper{db: d, frames: frames, ledger: ledger, periods: periods, keep: keep, log: log, now: time.Now, rewritten: map[string]bool{}}
}

// Prepare makes room for what is to come: the partitions of the next months.
func (k *Keeper) Prepare(ctx context.Context) error {
	made, err := k.ledger.Prepare(ctx, k.now())
	if len(made) > 0 {
		k.log.Info("partitions made", "partitions", made)
	}
	return err
}

// before is the moment before which a class is forgotten; a period of 0 gives one before everything.
func (k *Keeper) before(period time.Duration) time.Time {
	if period <= 0 {
		return time.Unix(-1<<40, 0)
	}
	return k.now().Add(-period)
}

// Run forgets what is past its period, and says in the log what it has forgotten. It may be left at any point.
func (k *Keeper) Run(ctx context.Context) error {
	err := k.Prepare(ctx)
	if k.periods.MeterValues > 0 {
		err = errors.Join(err, k.thin(ctx))
	}
	if k.periods.Sessions > 0 {
		before := k.before(k.periods.Sessions)
		done, ferr := k.ledger.Forget(ctx, before, k.keep)
		if done.Sessions > 0 {
			k.log.Info("forgotten", "class", "sessions", "before", before, "sessions", done.Sessions, "messages", done.Messages)
		}
		err = errors.Join(err, ferr)
	}
	return err
}

func (k *Keeper) thin(ctx context.Context) error {
	before := k.before(k.periods.MeterValues)
	done, err := k.ledger.Thin(ctx, before, k.keep)
	if done.Sessions > 0 {
		k.log.Info("forgotten", "class", "meter-values", "before", before, "sessions", done.Sessions, "messages", done.Messages, "bytes", done.Bytes)
	}
	if err != nil {
		return err
	}
	n, err := k.ledger.ForgetReadings(ctx, before)
	if n > 0 {
		k.log.Info("forgotten", "class", "meter-values", "before", before, "readings outside sessions", n)
	}
	return errors.Join(err, k.rewrite(ctx, before))
}

// recent is how long after the whole of a month is past its period its partition is rewritten: what shorter messages leave
// in it no other month can use. A node that starts anew within it does it again.
const recent = 48 * time.Hour

func (k *Keeper) rewrite(ctx context.Context, before time.Time) error {
	list, err := k.db.Partitions(ctx, "session_events")
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Default || p.To.After(before) || p.To.Before(before.Add(-recent)) || k.rewritten[p.Name] {
			continue
		}
		if err := k.db.RewritePartition(ctx, "session_events", p); err != nil {
			return err
		}
		k.rewritten[p.Name] = true
		k.log.Info("partition written anew", "partition", p.Name, "bytes before", p.Bytes)
	}
	return nil
}

// Class is a class of data, for how long it is kept and what there is of it.
type Class struct {
	Class  string     `json:"class"`
	What   string     `json:"what"`
	Why    string     `json:"why" doc:"Why it is kept for so long, and what stays beyond it"`
	Period string     `json:"period" doc:"A duration such as 720h, or forever"`
	Rows   *int64     `json:"rows" doc:"An estimate; null where it is not known"`
	Bytes  *int64     `json:"bytes" doc:"On the disk, an estimate; null where it is not known for the class by itself"`
	Oldest *time.Time `json:"oldest" doc:"Null where it is not known"`
	Due    *int64     `json:"due" doc:"How many sessions the next run concerns, before those are left out that are held; null where runs do not concern sessions"`
}

// Report tells what is kept, and what the next run would forget.
func (k *Keeper) Report(ctx context.Context) ([]Class, error) {
	frames, err := k.frames.Usage(ctx)
	if err != nil {
		return nil, err
	}
	ledger, err := k.ledger.Usage(ctx, k.before(k.periods.MeterValues), k.before(k.periods.Sessions))
	if err != nil {
		return nil, err
	}
	out := []Class{
		{Class: "frames", What: "raw OCPP frames", Why: "to find faults; they carry ids of tokens", Period: period(k.frames.Retention()),
			Rows: known(frames.Rows), Bytes: known(frames.Bytes), Oldest: moment(frames.Oldest)},
		{Class: "meter-values", What: "readings between the first and the last of a session, and outside sessions", Period: period(k.periods.MeterValues),
			Why:  "to explain a bill; the first, the last and signed readings, and the messages without their readings, stay with the session",
			Rows: known(ledger.Messages), Bytes: known(ledger.MessageBytes), Oldest: moment(ledger.OldestFull), Due: &ledger.Thin},
		{Class: "sessions", What: "sessions with their flags, messages and acts", Why: "tax and calibration law", Period: period(k.periods.Sessions),
			Rows: known(ledger.Sessions), Bytes: known(ledger.SessionBytes), Oldest: moment(ledger.Oldest), Due: &ledger.Forget},
	}
	for _, c := range []struct {
		Class
		table string
	}{
		{Class{Class: "events", What: "events for streams that resume", Why: "a stream that was away longer fetches everything again", Period: period(event.Retention)}, "events"},
		{Class{Class: "audit", What: "who changed what, and who signed in", Why: "to explain what was done; it names persons", Period: period(k.periods.Audit)}, "audit_entries"},
		{Class{Class: "status-history", What: "changes of connectors' states", Why: "availability is computed from it", Period: forever}, "status_history"},
		{Class{Class: "link-history", What: "links of stations", Why: "availability is computed from it", Period: forever}, "link_history"},
		{Class{Class: "notices", What: "events, limits and reports that stations sent", Why: "the only record of them", Period: forever}, "notices"},
		{Class{Class: "history", What: "sums by hour, day and month", Why: "names no person, and outlives the readings", Period: forever}, "history_hours"},
	} {
		size, err := k.db.TableSize(ctx, c.table)
		if err != nil {
			return nil, err
		}
		c.Rows, c.Bytes = known(size.Rows), known(size.Bytes)
		out = append(out, c.Class)
	}
	return out, nil
}

const forever = "forever"

func period(d time.Duration) string {
	if d <= 0 {
		return forever
	}
	return d.String()
}

func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
