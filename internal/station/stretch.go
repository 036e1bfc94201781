package station

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Stretch is a time [From, To) in which a connector was in one state, by the times of arrival: clocks of stations lie.
type Stretch struct {
	EVSE, Connector int
	// Status is in lower case: available, occupied, reserved, unavailable, faulted; offline while the station had no link.
	Status   string
	From, To time.Time
}

// StatusOffline is the status of the connectors of a station without a link.
const StatusOffline = "offline"

// Stretches gives what state each connector of a station was in within [from, to), oldest first. The time before a
// connector was heard of first is left out.
func (s *Stations) Stretches(ctx context.Context, id ID, from, to time.Time) ([]Stretch, error) {
	changes, err := s.statesWithin(ctx, id, from, to)
	if err != nil {
		return nil, problem.Wrap("read the connectors' states", err)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	online, err := s.online(ctx, id, from, to)
	if err != nil {
		return nil, problem.Wrap("read the links", err)
	}
	type place struct{ evse, connector int }
	var out []Stretch
	last := map[place]Stretch{}
	for _, c := range changes {
		p := place{c.EVSE, c.Connector}
		if was, ok := last[p]; ok {
			was.To = c.From
			out = appendCut(out, was, online)
		}
		last[p] = c
	}
	for _, was := range last {
		was.To = to
		out = appendCut(out, was, online)
	}
	slices.SortFunc(out, func(a, b Stretch) int {
		if a.EVSE != b.EVSE {
			return a.EVSE - b.EVSE
		}
		if a.Connector != b.Connector {
			return a.Connector - b.Connector
		}
		return a.From.Compare(b.From)
	})
	return out, nil
}

// appendCut adds a stretch, in pieces: what falls between the links is offline.
func appendCut(out []Stretch, st Stretch, online []Stretch) []Stretch {
	at := st.From
	add := func(to time.Time, status string) {
		if to.After(at) {
			piece := st
			piece.From, piece.To, piece.Status = at, to, status
			out, at = append(out, piece), to
		}
	}
	for _, link := range online {
		if !link.To.After(at) {
			continue
		}
		if !link.From.Before(st.To) {
			break
		}
		add(link.From, StatusOffline)
		add(earlier(link.To, st.To), st.Status)
	}
	add(st.To, StatusOffline)
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// statesWithin reads the state of each connector at from, and each change after it, oldest first; To is not set.
func (s *Stations) statesWithin(ctx context.Context, id ID, from, to time.Time) ([]Stretch, error) {
	known, err := s.Connectors(ctx, []ID{id})
	if err != nil {
		return nil, err
	}
	var out []Stretch
	for _, c := range known[id] {
		st := Stretch{EVSE: c.EVSE, Connector: c.Connector, From: from}
		err := s.db.QueryRow(ctx, `SELECT COALESCE((SELECT status FROM status_history WHERE station_id = $1 AND received_at <= $2
			AND evse = $3 AND connector = $4 ORDER BY received_at DESC, id DESC LIMIT 1), '')`, string(id), db.Micros(from), c.EVSE, c.Connector).Scan(&st.Status)
		if err != nil {
			return nil, err
		}
		if st.Status = strings.ToLower(st.Status); st.Status != "" {
			out = append(out, st)
		}
	}
	rows, err := s.db.Query(ctx, `SELECT evse, connector, status, received_at FROM status_history
		WHERE station_id = $1 AND received_at > $2 AND received_at < $3 ORDER BY received_at, id`, string(id), db.Micros(from), db.Micros(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var st Stretch
		var at int64
		if err := rows.Scan(&st.EVSE, &st.Connector, &st.Status, &at); err != nil {
			return nil, err
		}
		st.Status, st.From = strings.ToLower(st.Status), db.Time(at)
		out = append(out, st)
	}
	return out, rows.Err()
}

// online gives the times within [from, to) in which a station had a link, oldest first. A link that nobody saw the end of
// ended when the next one began.
func (s *Stations) online(ctx context.Context, id ID, from, to time.Time) ([]Stretch, error) {
	rows, err := s.db.Query(ctx, `SELECT connected_at, disconnected_at FROM link_history WHERE station_id = $1 AND connected_at < $2
		AND connected_at >= COALESCE((SELECT MAX(connected_at) FROM link_history WHERE station_id = $1 AND connected_at <= $3), $3)
		ORDER BY connected_at`, string(id), db.Micros(to), db.Micros(from))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Stretch
	for rows.Next() {
		var begin int64
		var end sql.NullInt64
		if err := rows.Scan(&begin, &end); err != nil {
			return nil, err
		}
		st := Stretch{From: db.Time(begin), To: to}
		if end.Valid {
			st.To = earlier(to, db.Time(end.Int64))
		}
		if n := len(out); n > 0 && out[n-1].To.After(st.From) {
			out[n-1].To = st.From
		}
		out = append(out, st)
	}
	return out, rows.Err()
}

// After lists stations of all organisations by id, those after the given one.
func (s *Stations) After(ctx context.Context, id ID, limit int) ([]Owned, error) {
	rows, err := s.db.Query(ctx, `SELECT id, organisation_id FROM stations WHERE id > $1 ORDER BY id LIMIT $2`, string(id), limit)
	if err != nil {
		return nil, problem.Wrap("list the stations", err)
	}
	defer rows.Close()
	var out []Owned
	for rows.Next() {
		var p Owned
		if err := rows.Scan(&p.ID, &p.Organisation); err != nil {
			return nil, problem.Wrap("list the stations", err)
		}
		out = append(out, p)
	}
	return out, problem.Wrap("list the stations", rows.Err())
}

// Owned is a station and whose it is.
type Owned struct {
	ID           ID
	Organisation string
}
