package event

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lumela/internal/db"
)

// Cursor is a place in the events of an organisation, for a reader that keeps it and misses nothing that is committed
// after it, however long the transactions of other nodes take. Its text form is for keeping.
//
// On PostgreSQL it is what was committed at some moment. Elsewhere, and where the transactions' numbers come from another
// server, it is a time: the reading goes back by a little, so that events come twice.
type Cursor struct {
	at     int64   // microseconds: nothing that was made before it is unseen, but for transactions that were open then
	id     string  // the last event of at that has been read, for reading by time
	moment *moment // nil: read by time
}

// String is the text form.
func (c Cursor) String() string {
	if c.moment == nil {
		return fmt.Sprintf("%d/%s", c.at, c.id)
	}
	open := make([]string, len(c.moment.open))
	for i, n := range c.moment.open {
		open[i] = strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%d/%s/%d:%d:%s", c.at, c.id, c.moment.max, c.moment.max, strings.Join(open, ","))
}

// ParseCursor reads the text form.
func ParseCursor(text string) (Cursor, error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 2 {
		return Cursor{}, fmt.Errorf("%q is no cursor", text)
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return Cursor{}, fmt.Errorf("%q is no cursor: %w", text, err)
	}
	c := Cursor{at: at, id: parts[1]}
	if len(parts) == 3 {
		m, err := parseMoment(parts[2])
		if err != nil {
			return Cursor{}, fmt.Errorf("%q is no cursor: %w", text, err)
		}
		c.moment = &m
	}
	return c, nil
}

// Time is when everything before the cursor had been read.
func (c Cursor) Time() time.Time { return db.Time(c.at) }

// settled is how long an event may take from its making to its commit on a database with one writer.
const settled = 30 * time.Second

// slowest is the longest transaction that a cursor of another server may have seen open.
const slowest = 10 * time.Minute

// Here is the cursor behind everything that is committed now.
func (l *Log) Here(ctx context.Context) (Cursor, error) {
	c := Cursor{at: db.Micros(time.Now())}
	if l.db.Engine() != db.Postgres {
		return c, nil
	}
	m, err := l.now(ctx)
	if err != nil {
		return c, err
	}
	c.moment = &m
	return c, nil
}

// Behind reads the kept events of an organisation behind a cursor, about most at once, and where to go on. more says that
// there are more now. What is read by time may come again, with the same id. A cursor that is older than [Retention] may
// have missed events: the caller looks at its Time.
func (l *Log) Behind(ctx context.Context, organisation string, c Cursor, most int) (events []Event, next Cursor, more bool, err error) {
	here, err := l.Here(ctx) // before the reading: what is committed in between is read again
	if err != nil {
		return nil, c, false, err
	}
	if c.moment != nil && (here.moment == nil || c.moment.max > here.moment.max) { // of another server
		c = Cursor{at: db.Micros(c.Time().Add(-slowest))}
	}
	if c.moment == nil {
		return l.behindTime(ctx, organisation, c, here, most)
	}
	events, xacts, err := l.behindMoment(ctx, organisation, *c.moment, most)
	if err != nil || len(events) <= most {
		return events, here, false, err
	}
	cut := xacts[most] // the first transaction that is left for the next time
	whole, _ := slices.BinarySearch(xacts, cut)
	if whole == 0 { // one transaction alone is longer than most
		events, xacts, err = l.behindMoment(ctx, organisation, moment{max: cut + 1, open: []int64{cut}}.only(), -1)
		if err != nil {
			return nil, c, false, err
		}
		whole, cut = len(xacts), cut+1
	}
	m := c.moment.pass(*here.moment, cut)
	return events[:whole], Cursor{at: db.Micros(events[min(whole, len(events)-1)].Time), moment: &m}, true, nil
}

// only is a moment after which nothing counts but what was open.
func (m moment) only() moment { return moment{max: 1<<63 - 1, open: m.open} }

// pass is the moment of a reader that was at m, and has now read all transactions below cut that are committed.
func (m moment) pass(now moment, cut int64) moment {
	if cut >= m.max {
		out := moment{max: cut}
		for _, x := range now.open {
			if x < cut && (x >= m.max || slices.Contains(m.open, x)) {
				out.open = append(out.open, x)
			}
		}
		return out
	}
	out := moment{max: m.max}
	for _, x := range m.open {
		if x >= cut || slices.Contains(now.open, x) {
			out.open = append(out.open, x)
		}
	}
	return out
}

// behindMoment reads the events of the transactions that were not committed at a moment, with their transactions in
// ascending order: at most most+1, or all when most is negative.
func (l *Log) behindMoment(ctx context.Context, organisation string, m moment, most int) (events []Event, xacts []int64, err error) {
	limit := int64(most) + 1
	if most < 0 {
		limit = 1<<31 - 1
	}
	rows, err := l.db.Query(ctx, `SELECT xact, id, type, at, station_id, data FROM events
		WHERE organisation_id = $1 AND (xact >= $2 OR xact = ANY($3)) ORDER BY xact, at, id LIMIT $4`, organisation, m.max, m.open, limit)
	if err != nil {
		return nil, nil, fmt.Errorf("read the events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Event{Organisation: organisation}
		var xact, us int64
		var data string
		if err := rows.Scan(&xact, &e.ID, &e.Type, &us, &e.Station, &data); err != nil {
			return nil, nil, fmt.Errorf("read the events: %w", err)
		}
		e.Time, e.Data = db.Time(us), []byte(data)
		events, xacts = append(events, e), append(xacts, xact)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("read the events: %w", err)
	}
	return events, xacts, nil
}

// behindTime reads by time. At the end of the events it goes back to where something may still be committed.
func (l *Log) behindTime(ctx context.Context, organisation string, c, here Cursor, most int) ([]Event, Cursor, bool, error) {
	if c.at > here.at { // the clock was set back
		c = Cursor{at: db.Micros(here.Time().Add(-settled))}
	}
	unsettled := here.Time().Add(-settled)
	start, limit := c, most
	var events []Event
	for {
		rows, err := l.db.Query(ctx, `SELECT organisation_id, id, type, at, station_id, data FROM events
			WHERE organisation_id = $1 AND (at > $2 OR at = $2 AND id > $3) ORDER BY at, id LIMIT $4`, organisation, c.at, c.id, limit)
		if err != nil {
			return nil, start, false, fmt.Errorf("read the events: %w", err)
		}
		some, err := scanEvents(rows)
		if err != nil {
			return nil, start, false, err
		}
		events = append(events, some...)
		if len(some) < limit {
			break
		}
		last := some[len(some)-1]
		c = Cursor{at: db.Micros(last.Time), id: last.ID}
		if last.Time.Before(unsettled) {
			return events, c, true, nil
		}
		// The rest is read in one: a place in the midst of it would pass over what is still to be committed before it.
		limit = max(most, 1000)
	}
	if here.moment != nil {
		return events, here, false, nil
	}
	return events, Cursor{at: max(start.at, db.Micros(unsettled))}, false, nil
}
