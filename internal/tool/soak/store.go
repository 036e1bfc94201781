package soak

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	_ "modernc.org/sqlite"             // registers the driver "sqlite"
)

// stored is one message as the node keeps it.
type stored struct {
	session string
	kind    kind
	wh      int64 // of its last register reading
}

// key is a message by its station and time, in microseconds.
type key struct {
	station string
	at      int64
}

// readStored reads all messages of sessions from the node's database, behind its back: what counts is what is on the disk.
// database is the URL of PostgreSQL; when it is empty, dir is the data directory of the node.
func readStored(ctx context.Context, database, dir string) (map[key][]stored, error) {
	driver, name := "pgx", database
	journal := ""
	if name == "" {
		driver, name = "sqlite", "file:"+filepath.Join(dir, "lumela.db")+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)"
		// A message stands in the journal, in its place, or for a while in both.
		journal = ` UNION SELECT session_id, at, hash, type, payload FROM session_journal`
	}
	h, err := sql.Open(driver, name)
	if err != nil {
		return nil, fmt.Errorf("open the node's database: %w", err)
	}
	defer func() { _ = h.Close() }() // nothing was written
	rows, err := h.QueryContext(ctx, `SELECT s.station_id, e.at, e.session_id, e.type, e.payload FROM
		(SELECT session_id, at, hash, type, payload FROM session_events`+journal+`) AS e JOIN sessions s ON s.id = e.session_id`)
	if err != nil {
		return nil, fmt.Errorf("read the stored messages: %w", err)
	}
	out := map[key][]stored{}
	for rows.Next() {
		var k key
		var m stored
		var payload string
		if err := rows.Scan(&k.station, &k.at, &m.session, &m.kind, &payload); err != nil {
			return nil, errors.Join(fmt.Errorf("read the stored messages: %w", err), rows.Close())
		}
		if m.wh, err = lastRegister(payload); err != nil {
			return nil, errors.Join(fmt.Errorf("message of %s: %w: %s", k.station, err, payload), rows.Close())
		}
		out[k] = append(out[k], m)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// lastRegister finds the last reading of the energy register in a message of OCPP 2.1.
func lastRegister(payload string) (int64, error) {
	var r struct {
		MeterValue []struct {
			SampledValue []struct {
				Value     float64
				Measurand string
			} `json:"sampledValue"`
		} `json:"meterValue"`
	}
	if err := json.Unmarshal([]byte(payload), &r); err != nil {
		return 0, err
	}
	for i := len(r.MeterValue) - 1; i >= 0; i-- {
		for _, v := range r.MeterValue[i].SampledValue {
			if v.Measurand == "" || v.Measurand == "Energy.Active.Import.Register" {
				return int64(v.Value), nil
			}
		}
	}
	return 0, errors.New("no reading of the register")
}
