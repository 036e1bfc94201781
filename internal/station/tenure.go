package station

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// Tenure is a time in which a station belonged to one organisation. Stations are sold and moved: what is kept under a
// station's id alone, as its history and its frames, is shown to an organisation for its own tenure only.
type Tenure struct {
	Station      ID
	Organisation string
	Since, Until time.Time // Until is zero while it lasts
}

// Bound cuts [from, to) to the tenure.
func (t Tenure) Bound(from, to time.Time) (time.Time, time.Time) {
	if from.Before(t.Since) {
		from = t.Since
	}
	if !t.Until.IsZero() && to.After(t.Until) {
		to = t.Until
	}
	return from, to
}

// TenureOf gives the tenure of an organisation on a station that lasted at a moment. The error is NotFound when the
// station was not theirs then.
func (s *Stations) TenureOf(ctx context.Context, organisation string, id ID, at time.Time) (Tenure, error) {
	t := Tenure{Station: id, Organisation: organisation}
	var since int64
	var until sql.NullInt64
	err := s.db.QueryRow(ctx, `SELECT since, until FROM tenures WHERE station_id = $1 AND organisation_id = $2 AND since <= $3
		AND (until IS NULL OR until > $3) ORDER BY since DESC LIMIT 1`, string(id), organisation, db.Micros(at)).Scan(&since, &until)
	if errors.Is(err, db.ErrNoRows) {
		return t, problem.New(problem.NotFound, "no station %s", id)
	}
	if err != nil {
		return t, problem.Wrap("read whose the station was", err)
	}
	t.Since, t.Until = db.Time(since), db.ZeroTime(until)
	return t, nil
}

// tenure is the present one of a station.
func (st *Station) tenure() Tenure {
	return Tenure{Station: st.ID, Organisation: st.Organisation, Since: st.CreatedAt}
}

// beginTenure records that a new station belongs to an organisation, and clears what a late message to a former one may
// have left.
func beginTenure(tx *db.Tx, st *Station) error {
	if err := forget(tx, st.ID); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO tenures (station_id, since, organisation_id) VALUES ($1, $2, $3)`,
		string(st.ID), db.Micros(st.CreatedAt), st.Organisation)
	return err
}

func endTenure(tx *db.Tx, organisation string, id ID) error {
	_, err := tx.Exec(`UPDATE tenures SET until = $3 WHERE station_id = $1 AND organisation_id = $2 AND until IS NULL`,
		string(id), organisation, db.Micros(tx.Now()))
	return err
}

// forget drops the present state of a station.
func forget(tx *db.Tx, id ID) error {
	for _, table := range []string{"connectors", "variables", "notices"} {
		if _, err := tx.Exec(`DELETE FROM `+table+` WHERE station_id = $1`, string(id)); err != nil {
			return err
		}
	}
	return nil
}

// owned checks, in the transaction of a station's message, that the station still belongs to the organisation of the link
// on which the message came: it may have been removed, and made anew by somebody else, while the link lasted.
func owned(tx *db.Tx, organisation string, id ID) error {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM stations WHERE id = $1 AND organisation_id = $2`, string(id), organisation).Scan(&one)
	if errors.Is(err, db.ErrNoRows) {
		return problem.New(problem.NotFound, "the station has been removed")
	}
	return err
}

// OnlineIDs are the stations of an organisation that have a link, in no order.
func (s *Stations) OnlineIDs(ctx context.Context, organisation string) ([]ID, error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM stations WHERE organisation_id = $1 AND connected_at IS NOT NULL`, organisation)
	if err != nil {
		return nil, problem.Wrap("read who is online", err)
	}
	defer rows.Close()
	var out []ID
	for rows.Next() {
		var id ID
		if err := rows.Scan(&id); err != nil {
			return nil, problem.Wrap("read who is online", err)
		}
		out = append(out, id)
	}
	return out, problem.Wrap("read who is online", rows.Err())
}

// Removal is told, in the transaction that removes a station, to what other packages keep of it: commands that wait for
// it, its reservations. An error keeps the station.
type Removal func(tx *db.Tx, organisation string, id ID) error

// OnRemove adds somebody who has to act when a station is removed; after, which may be nil, is called when the removal is
// on disk. It is called before the first request.
func (s *Stations) OnRemove(during Removal, after func(organisation string, id ID)) {
	if during != nil {
		s.onRemove = append(s.onRemove, during)
	}
	if after != nil {
		s.afterRemove = append(s.afterRemove, after)
	}
}
