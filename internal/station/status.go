package station

import (
	"context"
	"errors"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/ocpp/v21"
)

// ConnectorState is the state of one connector.
type ConnectorState struct {
	EVSE      int
	Connector int
	Status    v21.ConnectorStatus
	// Detail is the finer word of stations that have one: Preparing, Charging, SuspendedEV, SuspendedEVSE, Finishing.
	Detail    string
	ErrorCode string // "" for none
	ErrorInfo string
	Type      string    // of the plug, from the device model
	At        time.Time // by the station's clock
}

var insertHistory = db.NewInsert("status_history", []string{"station_id", "received_at", "id", "evse", "connector", "status",
	"detail", "error_code", "error_info", "at"}, "ON CONFLICT DO NOTHING")

// Status records the state of a connector. The history keeps every report; the present state is not overwritten by an
// older one (equal times replace: some stations send several within a second).
func (s *Stations) Status(ctx context.Context, organisation string, id ID, c ConnectorState) error {
	err := s.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		if err := owned(tx, organisation, id); err != nil {
			return err
		}
		tx.Append(insertHistory, string(id), db.Micros(tx.Now()), newID(), c.EVSE, c.Connector, string(c.Status), c.Detail,
			c.ErrorCode, c.ErrorInfo, db.Micros(c.At))
		// A report of the device model may have told the type of the plug before the connector was heard of.
		err := tx.QueryRow(`INSERT INTO connectors (station_id, evse, connector, status, detail, error_code, error_info, type, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, COALESCE((SELECT value FROM variables WHERE station_id = $1 AND component = 'Connector'
				AND component_instance = '' AND evse = $2 AND connector = $3 AND variable = 'ConnectorType' AND variable_instance = ''
				AND attribute = 'Actual'), ''), $8)
			ON CONFLICT (station_id, evse, connector) DO UPDATE SET status = excluded.status, detail = excluded.detail, at = excluded.at
			WHERE connectors.at <= excluded.at RETURNING error_code, error_info`,
			string(id), c.EVSE, c.Connector, string(c.Status), c.Detail, c.ErrorCode, c.ErrorInfo, db.Micros(c.At)).
			Scan(&c.ErrorCode, &c.ErrorInfo) // a problem lasts until its end is reported
		if errors.Is(err, db.ErrNoRows) {
			return nil // the present state is newer
		}
		if err != nil {
			return err
		}
		s.events.Record(tx, event.New(event.ConnectorStatus, organisation, string(id), tx.Now(), c.event()))
		return nil
	})
	return problem.Wrap("record the connector's state", err)
}

// Problem records a fault of a connector, or its end when code is empty; connector 0 means all of the EVSE. The history
// gets it as an entry of its own.
func (s *Stations) Problem(ctx context.Context, organisation string, id ID, evse, connector int, code, info string, at time.Time) error {
	err := s.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		if err := owned(tx, organisation, id); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE connectors SET error_code = $4, error_info = $5 WHERE station_id = $1 AND evse = $2 AND ($3 = 0 OR connector = $3)`,
			string(id), evse, connector, code, info); err != nil {
			return err
		}
		rows, err := tx.Query(`SELECT evse, connector, status, detail, error_code, error_info FROM connectors
			WHERE station_id = $1 AND evse = $2 AND ($3 = 0 OR connector = $3)`, string(id), evse, connector)
		if err != nil {
			return err
		}
		var changed []ConnectorState
		for rows.Next() {
			c := ConnectorState{At: at}
			if err := rows.Scan(&c.EVSE, &c.Connector, &c.Status, &c.Detail, &c.ErrorCode, &c.ErrorInfo); err != nil {
				return err
			}
			changed = append(changed, c)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		for _, c := range changed {
			tx.Append(insertHistory, string(id), db.Micros(tx.Now()), newID(), c.EVSE, c.Connector, string(c.Status), c.Detail,
				c.ErrorCode, c.ErrorInfo, db.Micros(c.At))
			s.events.Record(tx, event.New(event.ConnectorStatus, organisation, string(id), tx.Now(), c.event()))
		}
		return nil
	})
	return problem.Wrap("record the connector's problem", err)
}

type statusEvent struct {
	EVSE      int             `json:"evse"`
	Connector int             `json:"connector"`
	Status    string          `json:"status"`
	Detail    string          `json:"detail"`
	Error     *ConnectorError `json:"error"`
	Since     time.Time       `json:"since"`
}

func (c ConnectorState) event() statusEvent {
	return statusEvent{EVSE: c.EVSE, Connector: c.Connector, Status: string(c.Status), Detail: c.Detail, Error: c.problem(), Since: c.At.UTC()}
}

func (c ConnectorState) problem() *ConnectorError {
	if c.ErrorCode == "" && c.ErrorInfo == "" {
		return nil
	}
	return &ConnectorError{Code: c.ErrorCode, Info: c.ErrorInfo}
}

// Connectors reads the present state of the connectors of some stations, in order of station, EVSE and connector.
func (s *Stations) Connectors(ctx context.Context, ids []ID) (map[ID][]ConnectorState, error) {
	out := map[ID][]ConnectorState{}
	if len(ids) == 0 {
		return out, nil
	}
	list, args := inList(nil, ids)
	rows, err := s.db.Query(ctx, `SELECT station_id, evse, connector, status, detail, error_code, error_info, type, at FROM connectors
		WHERE station_id IN `+list+` ORDER BY station_id, evse, connector`, args...)
	if err != nil {
		return nil, problem.Wrap("read the connectors", err)
	}
	defer rows.Close()
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

// StatusChange is one entry of a connector's history.
type StatusChange struct {
	EVSE       int       `json:"evse"`
	Connector  int       `json:"connector"`
	Status     string    `json:"status"`
	Detail     string    `json:"detail"`
	ErrorCode  string    `json:"errorCode"`
	ErrorInfo  string    `json:"errorInfo"`
	At         time.Time `json:"at" doc:"By the station's clock"`
	ReceivedAt time.Time `json:"receivedAt"`
}

// History reads the state changes of a station that were received in [from, to), newest first.
func (s *Stations) History(ctx context.Context, id ID, from, to time.Time, limit int) ([]StatusChange, error) {
	rows, err := s.db.Query(ctx, `SELECT evse, connector, status, detail, error_code, error_info, at, received_at FROM status_history
		WHERE station_id = $1 AND received_at >= $2 AND received_at < $3 ORDER BY received_at DESC, id DESC LIMIT $4`,
		string(id), db.Micros(from), db.Micros(to), limit)
	if err != nil {
		return nil, problem.Wrap("read the history", err)
	}
	defer rows.Close()
	out := []StatusChange{}
	for rows.Next() {
		var c StatusChange
		var at, received int64
		if err := rows.Scan(&c.EVSE, &c.Connector, &c.Status, &c.Detail, &c.ErrorCode, &c.ErrorInfo, &at, &received); err != nil {
			return nil, problem.Wrap("read the history", err)
		}
		c.At, c.ReceivedAt = db.Time(at), db.Time(received)
		out = append(out, c)
	}
	return out, problem.Wrap("read the history", rows.Err())
}

// LinkChange is one entry of a station's link history.
type LinkChange struct {
	ConnectedAt    time.Time  `json:"connectedAt"`
	DisconnectedAt *time.Time `json:"disconnectedAt"`
	Reason         string     `json:"reason"`
	Protocol       string     `json:"protocol"`
	Remote         string     `json:"remote"`
	Node           string     `json:"node"`
}

// Links reads the links of a station that began in [from, to), newest first.
func (s *Stations) Links(ctx context.Context, id ID, from, to time.Time, limit int) ([]LinkChange, error) {
	rows, err := s.db.Query(ctx, `SELECT connected_at, disconnected_at, reason, protocol, remote, node FROM link_history
		WHERE station_id = $1 AND connected_at >= $2 AND connected_at < $3 ORDER BY connected_at DESC LIMIT $4`,
		string(id), db.Micros(from), db.Micros(to), limit)
	if err != nil {
		return nil, problem.Wrap("read the links", err)
	}
	defer rows.Close()
	out := []LinkChange{}
	for rows.Next() {
		var l LinkChange
		var at int64
		var end nullMicros
		if err := rows.Scan(&at, &end, &l.Reason, &l.Protocol, &l.Remote, &l.Node); err != nil {
			return nil, problem.Wrap("read the links", err)
		}
		l.ConnectedAt, l.DisconnectedAt = db.Time(at), db.NullTime(end)
		out = append(out, l)
	}
	return out, problem.Wrap("read the links", rows.Err())
}

// Counts is how many connectors of an organisation's accepted stations are in which state. Those of offline stations
// count as Unknown.
func (s *Stations) Counts(ctx context.Context, organisation string) (Counts, error) {
	var c Counts
	err := s.db.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(CASE WHEN connected_at IS NOT NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN admission = 'pending' THEN 1 ELSE 0 END), 0) FROM stations WHERE organisation_id = $1`, organisation).
		Scan(&c.Stations, &c.Online, &c.Pending)
	if err != nil {
		return c, problem.Wrap("count the stations", err)
	}
	rows, err := s.db.Query(ctx, `SELECT CASE WHEN s.connected_at IS NULL THEN 'unknown' ELSE c.status END, COUNT(*)
		FROM connectors c JOIN stations s ON s.id = c.station_id WHERE s.organisation_id = $1 AND s.admission = 'accepted'
		GROUP BY CASE WHEN s.connected_at IS NULL THEN 'unknown' ELSE c.status END`, organisation)
	if err != nil {
		return c, problem.Wrap("count the connectors", err)
	}
	defer rows.Close()
	c.Connectors = map[string]int{}
	for rows.Next() {
		var status string
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			return c, problem.Wrap("count the connectors", err)
		}
		c.Connectors[strings.ToLower(status)] += n
	}
	return c, problem.Wrap("count the connectors", rows.Err())
}

// Counts are the figures of an organisation's stations.
type Counts struct {
	Stations, Online, Pending int
	Connectors                map[string]int // by status in lower case
}
