package station

import (
	"context"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// ManyAtMost bounds one reading of stations by their ids.
const ManyAtMost = 500

// Many reads stations of any organisation by their ids. Those that are not known are missing in the result.
func (s *Stations) Many(ctx context.Context, ids []ID) (map[ID]*Station, error) {
	out := make(map[ID]*Station, len(ids))
	for len(ids) > 0 {
		some := ids[:min(len(ids), ManyAtMost)]
		ids = ids[len(some):]
		if err := s.some(ctx, some, out); err != nil {
			return nil, problem.Wrap("read the stations", err)
		}
	}
	return out, nil
}

func (s *Stations) some(ctx context.Context, ids []ID, into map[ID]*Station) error {
	list, args := inList(nil, ids)
	rows, err := s.db.Query(ctx, `SELECT `+stationColumns+` FROM stations WHERE id IN `+list, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		st, err := scanStation(rows)
		if err != nil {
			return err
		}
		into[st.ID] = st
	}
	return rows.Err()
}

// Connected reads the present state of the connectors of all stations that have a link, of all organisations.
func (s *Stations) Connected(ctx context.Context) (map[ID][]ConnectorState, error) {
	rows, err := s.db.Query(ctx, `SELECT c.station_id, c.evse, c.connector, c.status, c.detail, c.error_code, c.error_info, c.type, c.at
		FROM connectors c JOIN stations s ON s.id = c.station_id WHERE s.connected_at IS NOT NULL AND s.admission = 'accepted'`)
	if err != nil {
		return nil, problem.Wrap("read the connectors", err)
	}
	defer rows.Close()
	out := map[ID][]ConnectorState{}
	for rows.Next() {
		var id ID
		var c ConnectorState
		var at int64
		if err := rows.Scan(&id, &c.EVSE, &c.Connector, &c.Status, &c.Detail, &c.ErrorCode, &c.ErrorInfo, &c.Type, &at); err != nil {
			return nil, problem.Wrap("read the connectors", err)
		}
		c.At = db.Time(at)
		out[id] = append(out[id], c)
	}
	return out, problem.Wrap("read the connectors", rows.Err())
}
