package session

import (
	"context"

	"lumela/internal/problem"
	"lumela/internal/station"
)

// PowerByStation is how much power, in W, flowed by the latest readings of the running sessions of an organisation.
// Stations without any are left out. It does not know whether a station is online: what an offline one draws now nobody
// knows.
func (l *Ledger) PowerByStation(ctx context.Context, organisation string) (map[station.ID]int64, error) {
	rows, err := l.db.Query(ctx, `SELECT station_id, SUM(power_w) FROM sessions WHERE organisation_id = $1 AND state = 'active' AND power_w <> 0
		GROUP BY station_id`, organisation)
	if err != nil {
		return nil, problem.Wrap("add up the power", err)
	}
	defer rows.Close()
	out := map[station.ID]int64{}
	for rows.Next() {
		var id station.ID
		var w int64
		if err := rows.Scan(&id, &w); err != nil {
			return nil, problem.Wrap("add up the power", err)
		}
		out[id] = w
	}
	return out, problem.Wrap("add up the power", rows.Err())
}
