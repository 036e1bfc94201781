package station

import (
	"context"
	"time"

	"lumela/internal/problem"
)

// Restored records, in a database that comes from a backup or another installation, that no link of then is alive: each
// ended at the latest when the copy was taken.
func (s *Stations) Restored(ctx context.Context, taken time.Time) error {
	nodes, err := s.linkedNodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if err := s.NodeLost(ctx, node, taken); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stations) linkedNodes(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT link_node FROM stations WHERE link_node <> ''
		UNION SELECT node FROM link_history WHERE disconnected_at IS NULL`)
	if err != nil {
		return nil, problem.Wrap("read the nodes that held links", err)
	}
	defer rows.Close()
	var nodes []string
	for rows.Next() {
		var node string
		if err := rows.Scan(&node); err != nil {
			return nil, problem.Wrap("read the nodes that held links", err)
		}
		nodes = append(nodes, node)
	}
	return nodes, problem.Wrap("read the nodes that held links", rows.Err())
}
