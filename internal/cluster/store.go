package cluster

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"lumela/internal/db"
)

const columns = `id, name, version, state, started_at, beat_at, beat, links, bus, heir, ended_at`

// register writes the row of this node under a name.
func (m *Member) register(ctx context.Context, id string) error {
	err := m.db.Write(ctx, func(tx *db.Tx) error {
		now := db.Micros(tx.Now())
		if _, err := tx.Exec(`DELETE FROM nodes WHERE ended_at < $1`, db.Micros(tx.Now().Add(-remember))); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO nodes (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, 1, 0, $7, '', NULL)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, state = excluded.state, started_at = excluded.started_at,
				beat_at = excluded.beat_at, beat = nodes.beat + 1, links = 0, bus = excluded.bus, heir = '', ended_at = NULL`,
			id, m.o.Name, m.o.Version, string(m.state()), now, now, m.bus.Healthy())
		return err
	})
	if err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	return nil
}

func (m *Member) state() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.draining {
		return Draining
	}
	return Up
}

// raise is the heartbeat; false says that the others have declared this node dead.
func (m *Member) raise(ctx context.Context) (alive bool, err error) {
	links := 0
	if m.o.Hooks.Links != nil {
		links = m.o.Hooks.Links()
	}
	id, state, healthy := m.ID(), m.state(), m.bus.Healthy()
	err = m.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		alive, err = changed(tx.Exec(`UPDATE nodes SET beat = beat + 1, beat_at = $2, links = $3, bus = $4, state = $5
			WHERE id = $1 AND state IN ('up', 'draining')`, id, db.Micros(tx.Now()), links, healthy, string(state)))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write the heartbeat: %w", err)
	}
	return alive, nil
}

// markLost declares a node dead if its number is still the one that was watched: then this node, and no other, is its heir.
func (m *Member) markLost(ctx context.Context, n Node) (won bool, err error) {
	err = m.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		won, err = changed(tx.Exec(`UPDATE nodes SET state = 'lost', heir = $3, ended_at = $4 WHERE id = $1 AND beat = $2 AND state IN ('up', 'draining')`,
			n.ID, n.beat, m.ID(), db.Micros(tx.Now())))
		return err
	})
	return won, err
}

// succeed makes this node the heir of a lost one whose heir is gone.
func (m *Member) succeed(ctx context.Context, n Node) (won bool, err error) {
	err = m.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		won, err = changed(tx.Exec(`UPDATE nodes SET heir = $3 WHERE id = $1 AND state = 'lost' AND heir = $2`, n.ID, n.heir, m.ID()))
		return err
	})
	return won, err
}

// outlive makes every other node of the database lost, with this one as the heir.
func (m *Member) outlive(ctx context.Context) error {
	err := m.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE nodes SET state = 'lost', heir = $1, ended_at = $2 WHERE id <> $1 AND state IN ('up', 'draining', 'lost')`,
			m.ID(), db.Micros(tx.Now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("end the nodes of earlier starts: %w", err)
	}
	nodes, err := m.read(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.State != Lost {
			continue
		}
		if m.o.Hooks.TakeOver != nil {
			if err := m.o.Hooks.TakeOver(ctx, n.ID); err != nil {
				return fmt.Errorf("take over node %s: %w", n.ID, err)
			}
		}
		if err := m.setState(ctx, n.ID, Dead); err != nil {
			return err
		}
	}
	return nil
}

// setState moves a node to a state that it can reach from where it is: nobody who was declared dead comes back.
func (m *Member) setState(ctx context.Context, id string, s State) error {
	err := m.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		switch s {
		case Dead:
			_, err = tx.Exec(`UPDATE nodes SET state = 'dead', heir = '' WHERE id = $1 AND state = 'lost'`, id)
		case Left:
			_, err = tx.Exec(`UPDATE nodes SET state = 'left', links = 0, ended_at = $2 WHERE id = $1 AND state IN ('up', 'draining')`, id, db.Micros(tx.Now()))
		default:
			_, err = tx.Exec(`UPDATE nodes SET state = $2 WHERE id = $1 AND state IN ('up', 'draining')`, id, string(s))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("change the state of node %s: %w", id, err)
	}
	return nil
}

// read gives all nodes that are remembered, the oldest first.
func (m *Member) read(ctx context.Context) ([]Node, error) {
	rows, err := m.db.Query(ctx, `SELECT `+columns+` FROM nodes ORDER BY started_at, id`)
	if err != nil {
		return nil, fmt.Errorf("read the nodes: %w", err)
	}
	defer rows.Close()
	var out []Node
	for rows.Next() {
		var n Node
		var started, seen int64
		var ended sql.NullInt64
		if err := rows.Scan(&n.ID, &n.Name, &n.Version, &n.State, &started, &seen, &n.beat, &n.Links, &n.Bus, &n.heir, &ended); err != nil {
			return nil, fmt.Errorf("read the nodes: %w", err)
		}
		n.StartedAt, n.SeenAt, n.EndedAt = db.Time(started), db.Time(seen), db.NullTime(ended)
		out = append(out, n)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the nodes: %w", err)
	}
	return out, nil
}

// Nodes lists the nodes that serve, and those that ended within the last day. What this node says of itself is as of now.
func (m *Member) Nodes(ctx context.Context) ([]Node, error) {
	all, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, n := range all {
		if n.EndedAt != nil && time.Since(*n.EndedAt) > remember {
			continue
		}
		if n.ID == m.ID() && n.State.Alive() {
			n.SeenAt, n.Bus = time.Now().UTC().Truncate(time.Microsecond), m.bus.Healthy()
			if m.o.Hooks.Links != nil {
				n.Links = int64(m.o.Hooks.Links())
			}
		}
		out = append(out, n)
	}
	return out, nil
}

func changed(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}
