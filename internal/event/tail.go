package event

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lumela/internal/db"
)

// The bus is quick and may lose: a node may die between a commit and the publication, a partition may swallow messages.
// On PostgreSQL, where there can be other nodes, the streams of a node therefore also read what has been committed since
// they last looked. Whatever comes by both ways is passed on once.

// tailEvery is how often the streams look for what the bus did not bring.
const tailEvery = 2 * time.Second

// seenFor is at least how long the id of an event is remembered, so that it is passed on once.
const seenFor = 30 * time.Second

// moment is what was committed at some moment, as PostgreSQL tells it: every transaction below max but for the open ones.
type moment struct {
	max  int64
	open []int64
}

// parseMoment reads PostgreSQL's text of a snapshot: xmin:xmax:open,open,…
func parseMoment(text string) (moment, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return moment{}, fmt.Errorf("%q is not a snapshot", text)
	}
	var m moment
	var err error
	if m.max, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return moment{}, fmt.Errorf("%q is not a snapshot: %w", text, err)
	}
	for id := range strings.SplitSeq(parts[2], ",") {
		if id == "" {
			continue
		}
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return moment{}, fmt.Errorf("%q is not a snapshot: %w", text, err)
		}
		m.open = append(m.open, n)
	}
	return m, nil
}

// now reads what is committed at this moment.
func (l *Log) now(ctx context.Context) (moment, error) {
	var text string
	if err := l.db.QueryRow(ctx, `SELECT pg_current_snapshot()::text`).Scan(&text); err != nil {
		return moment{}, fmt.Errorf("read what is committed: %w", err)
	}
	return parseMoment(text)
}

// tail is the reading of a node's streams. It lives while there are streams.
type tail struct {
	l      *Log
	since  moment
	cancel context.CancelFunc
	failed bool
}

// follow makes sure that the streams of this node miss nothing that is committed from now on.
func (l *Log) follow(ctx context.Context) error {
	if l.db == nil || l.db.Engine() != db.Postgres {
		return nil
	}
	h := &l.hub
	h.mu.Lock()
	running := h.tail != nil
	h.mu.Unlock()
	if running {
		return nil
	}
	since, err := l.now(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tail != nil || len(h.streams) == 0 {
		return nil
	}
	t := &tail{l: l, since: since}
	reading, cancel := context.WithCancel(context.Background())
	t.cancel, h.tail = cancel, t
	go t.run(reading)
	return nil
}

func (t *tail) run(ctx context.Context) {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := t.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !t.failed {
			t.l.log.Warn("live events come by the bus alone until the database answers", "error", err)
		}
		t.failed = err != nil
	}
}

// read passes on what has been committed since the last time.
func (t *tail) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now, err := t.l.now(ctx) // before the reading: what is committed in between is read again
	if err != nil {
		return err
	}
	rows, err := t.l.db.Query(ctx, `SELECT organisation_id, id, type, at, station_id, data FROM events WHERE xact >= $1 OR xact = ANY($2) ORDER BY xact, id`,
		t.since.max, t.since.open)
	if err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	events, err := scanEvents(rows)
	if err != nil {
		return err
	}
	t.since = now
	for _, e := range events {
		t.l.hub.deliver(e)
	}
	return nil
}

func scanEvents(rows *sql.Rows) ([]Event, error) {
	defer rows.Close()
	var events []Event
	for rows.Next() {
		var e Event
		var us int64
		var data string
		if err := rows.Scan(&e.Organisation, &e.ID, &e.Type, &us, &e.Station, &data); err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		e.Time, e.Data = db.Time(us), json.RawMessage(data)
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	return events, nil
}

// overlap is by how much the clock of a lone node may have been set back.
const overlap = 2 * time.Second

// lag is by how much the last event that a listener has seen may have overtaken others on its way to it, and by how much
// the clocks of nodes may differ.
const lag = 15 * time.Second

// missed reads the events of an organisation that a listener may not have seen who saw one that was made at a moment. The
// event before that by more than the lag knows which transactions were open then, however long they took.
func (l *Log) missed(ctx context.Context, organisation, id string, at time.Time, most int) (events []Event, ok bool, err error) {
	if l.db.Engine() != db.Postgres { // one writer: the order of the commits is that of the events
		rows, err := l.db.Query(ctx, `SELECT organisation_id, id, type, at, station_id, data FROM events
			WHERE organisation_id = $1 AND at >= $2 AND id <> $3 ORDER BY at, id LIMIT $4`, organisation, db.Micros(at.Add(-overlap)), id, most+1)
		if err != nil {
			return nil, false, fmt.Errorf("read the events: %w", err)
		}
		events, err := scanEvents(rows)
		return events, err == nil, err
	}
	var before string
	err = l.db.QueryRow(ctx, `SELECT snapshot FROM events WHERE organisation_id = $1 AND at <= $2 ORDER BY at DESC, id DESC LIMIT 1`,
		organisation, db.Micros(at.Add(-lag))).Scan(&before)
	var since moment // of the first event there is: everything
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return nil, false, fmt.Errorf("read the events: %w", err)
	}
	if err == nil {
		if since, err = parseMoment(before); err != nil {
			return nil, false, err
		}
		now, err := l.now(ctx)
		if err != nil || since.max > now.max { // it comes from another server, whose numbers say nothing here
			return nil, false, err
		}
	}
	rows, err := l.db.Query(ctx, `SELECT organisation_id, id, type, at, station_id, data FROM events
		WHERE organisation_id = $1 AND (xact >= $2 OR xact = ANY($3)) AND id <> $4 ORDER BY at, id LIMIT $5`,
		organisation, since.max, since.open, id, most+1)
	if err != nil {
		return nil, false, fmt.Errorf("read the events: %w", err)
	}
	events, err = scanEvents(rows)
	return events, err == nil, err
}

// recent are the ids of the events that were passed on lately, in two generations.
type recent struct {
	young, old map[string]struct{}
	turned     time.Time
}

// add reports whether the id is new.
func (r *recent) add(id string, now time.Time) bool {
	if now.Sub(r.turned) > seenFor {
		r.old, r.young, r.turned = r.young, map[string]struct{}{}, now
	}
	if _, known := r.young[id]; known {
		return false
	}
	_, known := r.old[id]
	r.young[id] = struct{}{}
	return !known
}

// clear forgets all, for when nobody listens any more.
func (r *recent) clear() { *r = recent{} }
