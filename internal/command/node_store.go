package command

import (
	"context"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/internal/station"
)

// SetNode says under which name this node takes commands. The name may change while the node runs. It is called once,
// before the first command.
func (c *Commands) SetNode(name func() string) { c.node = name }

// Recover settles the commands that were on their way from a node that is no more. What waits in the queues stays there.
func (c *Commands) Recover(ctx context.Context, node string) error {
	return c.settleAll(ctx, `status = 'sent' AND node = $1`, Unclear, "Lumela was stopped before the answer came; the station may have acted", node)
}

// Sweep looks after the queues: linked tells which stations have a link to this node. What waits for them although they
// are here is delivered; that happens when another node took their commands and could not reach them any more. What this
// node sent and could not record the end of is settled, so that the rest of the queue can go on.
func (c *Commands) Sweep(ctx context.Context, linked func(station.ID) bool) error {
	if err := c.settleAll(ctx, `status = 'sent' AND node = $1 AND taken_at < $2`, Unclear, "the answer could not be recorded; the station may have acted",
		c.node(), db.Micros(time.Now().Add(-MaxWait-time.Minute))); err != nil {
		return err
	}
	waiting, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	for id, organisation := range waiting {
		if linked(id) {
			go c.Deliver(context.WithoutCancel(ctx), organisation, id)
		}
	}
	return nil
}

// waiting reads which stations have commands in their queue, and of which organisation.
func (c *Commands) waiting(ctx context.Context) (map[station.ID]string, error) {
	rows, err := c.db.Query(ctx, `SELECT DISTINCT station_id, organisation_id FROM commands WHERE status = 'queued'`)
	if err != nil {
		return nil, problem.Wrap("read the queues", err)
	}
	defer rows.Close()
	out := map[station.ID]string{}
	for rows.Next() {
		var id station.ID
		var organisation string
		if err := rows.Scan(&id, &organisation); err != nil {
			return nil, problem.Wrap("read the queues", err)
		}
		out[id] = organisation
	}
	return out, problem.Wrap("read the queues", rows.Err())
}

// queued reports whether commands of a station's queue wait or are on their way.
func (c *Commands) queued(ctx context.Context, id station.ID) (yes bool, err error) {
	err = c.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM commands WHERE station_id = $1 AND status = 'queued')
		OR EXISTS (SELECT 1 FROM commands WHERE station_id = $1 AND status = 'sent' AND turn)`, string(id)).Scan(&yes)
	return yes, problem.Wrap("read the queue", err)
}

// join puts a new command at the end of its station's queue.
func (c *Commands) join(ctx context.Context, cmd *Command, payload string) (*Command, Result, error) {
	cmd.Status = Queued
	if err := c.add(ctx, cmd, payload); err != nil {
		return nil, Result{}, err
	}
	c.deliverIfOnline(context.WithoutCancel(ctx), cmd)
	return cmd, Result{}, nil
}

// deliverIfOnline sends what waits for a station that has a link, here or elsewhere.
func (c *Commands) deliverIfOnline(ctx context.Context, cmd *Command) {
	if st, err := c.stations.Get(ctx, cmd.Station); err == nil && st.Online() {
		go c.Deliver(ctx, cmd.Organisation, cmd.Station)
	}
}

// unsent reports whether a call failed before anything was sent.
func unsent(err error) bool {
	return problem.Is(err, problem.Offline) || problem.Is(err, problem.Unavailable)
}
