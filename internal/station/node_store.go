package station

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Reasons of the end of a link after which a station is expected back at once, on any node.
const (
	ReasonRestart  = "the service is being restarted"
	ReasonNodeLost = "node lost"
)

// Whereabouts is which link a station has, or had last.
type Whereabouts struct {
	Node   string    // that holds the link, "" when the station is offline
	Ended  time.Time // end of the last link, zero when the station is online or was never here
	Reason string    // of that end
}

// Where says where a station is, or why it is not.
func (s *Stations) Where(ctx context.Context, id ID) (Whereabouts, error) {
	var w Whereabouts
	var ended sql.NullInt64
	err := s.db.QueryRow(ctx, `SELECT s.link_node, COALESCE(h.reason, ''), h.disconnected_at FROM stations s LEFT JOIN link_history h
		ON h.station_id = s.id AND h.connected_at = (SELECT MAX(connected_at) FROM link_history WHERE station_id = s.id) WHERE s.id = $1
		ORDER BY h.disconnected_at DESC LIMIT 1`,
		string(id)).Scan(&w.Node, &w.Reason, &ended)
	if errors.Is(err, db.ErrNoRows) {
		return w, problem.New(problem.NotFound, "no station %s", id)
	}
	w.Ended = db.ZeroTime(ended)
	return w, problem.Wrap("find the station", err)
}

// LinksAt reads which link each station has that is said to be on a node.
func (s *Stations) LinksAt(ctx context.Context, node string) (map[ID]string, error) {
	rows, err := s.db.Query(ctx, `SELECT id, link_id FROM stations WHERE link_node = $1 AND link_node <> ''`, node)
	if err != nil {
		return nil, problem.Wrap("read the links of a node", err)
	}
	defer rows.Close()
	out := map[ID]string{}
	for rows.Next() {
		var id ID
		var link string
		if err := rows.Scan(&id, &link); err != nil {
			return nil, problem.Wrap("read the links of a node", err)
		}
		out[id] = link
	}
	return out, problem.Wrap("read the links of a node", rows.Err())
}

// CountLinksAt is how many stations are said to be on a node.
func (s *Stations) CountLinksAt(ctx context.Context, node string) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM stations WHERE link_node = $1 AND link_node <> ''`, node).Scan(&n)
	return n, problem.Wrap("count the links of a node", err)
}

// LinkNodes are the nodes that stations are said to be on.
func (s *Stations) LinkNodes(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT DISTINCT link_node FROM stations WHERE link_node <> ''`)
	if err != nil {
		return nil, problem.Wrap("read the nodes of the links", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var node string
		if err := rows.Scan(&node); err != nil {
			return nil, problem.Wrap("read the nodes of the links", err)
		}
		out = append(out, node)
	}
	return out, problem.Wrap("read the nodes of the links", rows.Err())
}

// Unlink ends a link whose end could not be recorded when it ended.
func (s *Stations) Unlink(ctx context.Context, id ID, link string, at time.Time) error {
	l := Link{ID: link, Station: id}
	var organisation string
	var since int64
	err := s.db.QueryRow(ctx, `SELECT organisation_id, link_node, connected_at FROM stations WHERE id = $1 AND link_id = $2 AND connected_at IS NOT NULL`,
		string(id), link).Scan(&organisation, &l.Node, &since)
	if errors.Is(err, db.ErrNoRows) {
		return nil // it has another one by now
	}
	if err != nil {
		return problem.Wrap("find the link", err)
	}
	l.At = db.Time(since)
	return s.Unlinked(ctx, organisation, l, "its end was noticed late", at)
}
