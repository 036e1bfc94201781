package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/internal/session"
)

var insertPart = db.NewInsert("history_parts", []string{"session_id", "at", "organisation_id", "station_id", "evse", "energy_mwh", "carried_mwh",
	"started", "ended", "charging_us", "peak_w"}, "ON CONFLICT DO NOTHING")

// owner is whose sums are concerned.
type owner struct{ organisation, station string }

// touched are the hours whose sums are to be computed again.
type touched map[owner]map[int64]bool

func (t touched) add(o owner, at int64) {
	if t[o] == nil {
		t[o] = map[int64]bool{}
	}
	t[o][at] = true
}

// replace writes what sessions add to hours in place of what they added before, and returns the hours concerned. fresh ones
// have added nothing before.
func (h *History) replace(ctx context.Context, courses []*session.Course, fresh bool) (touched, error) {
	var hours touched
	err := h.db.Write(ctx, func(tx *db.Tx) error {
		hours = touched{}
		for _, c := range courses {
			s := c.Session
			o := owner{s.Organisation, string(s.Station)}
			var gone []int64
			if !fresh {
				var err error
				if gone, err = deleteParts(tx, s.ID); err != nil {
					return err
				}
			}
			for _, at := range gone {
				hours.add(o, at)
			}
			for _, p := range parts(c) {
				hours.add(o, p.at)
				tx.Append(insertPart, s.ID, p.at, s.Organisation, string(s.Station), s.EVSE, p.energy, p.carried, p.started, p.ended, p.charging, p.peak)
			}
		}
		return nil
	})
	return hours, problem.Wrap("write the parts of the history", err)
}

func deleteParts(tx *db.Tx, id string) ([]int64, error) {
	rows, err := tx.Query(`DELETE FROM history_parts WHERE session_id = $1 RETURNING at`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return nil, err
		}
		out = append(out, at)
	}
	return out, rows.Err()
}

const (
	sessionSums = "energy_mwh, carried_mwh, started, ended, charging_us, peak_w"
	stateSums   = "available_us, occupied_us, reserved_us, unavailable_us, faulted_us, offline_us"
)

// adopt is the end of an insertion that replaces the columns.
func adopt(columns string) string {
	var set []string
	for name := range strings.SplitSeq(columns, ", ") {
		set = append(set, name+" = excluded."+name)
	}
	return " ON CONFLICT (organisation_id, station_id, at, evse) DO UPDATE SET " + strings.Join(set, ", ")
}

// sum adds columns up; of the power the greatest counts.
func sum(columns string) string {
	var out []string
	for name := range strings.SplitSeq(columns, ", ") {
		f := "SUM"
		if name == "peak_w" {
			f = "MAX"
		}
		out = append(out, fmt.Sprintf("CAST(COALESCE(%s(%s), 0) AS BIGINT)", f, name))
	}
	return strings.Join(out, ", ")
}

// day of an hour; the figures of years before 1970 are of stations whose clock says so.
const dayOf = "(at - ((at % 86400000000) + 86400000000) % 86400000000)"

var (
	// Hours in which nothing is left are emptied first: what no part is for would stay.
	emptyHours = `UPDATE history_hours SET energy_mwh = 0, carried_mwh = 0, started = 0, ended = 0, charging_us = 0, peak_w = 0
		WHERE organisation_id = $1 AND station_id = $2 AND at >= $3 AND at < $4`
	sumHours = `INSERT INTO history_hours (organisation_id, station_id, at, evse, ` + sessionSums + `)
		SELECT organisation_id, station_id, at, evse, ` + sum(sessionSums) + ` FROM history_parts
		WHERE organisation_id = $1 AND station_id = $2 AND at >= $3 AND at < $4 GROUP BY organisation_id, station_id, at, evse` + adopt(sessionSums)
	sumDays = `INSERT INTO history_days (organisation_id, station_id, at, evse, ` + sessionSums + ", " + stateSums + `)
		SELECT organisation_id, station_id, ` + dayOf + `, evse, ` + sum(sessionSums+", "+stateSums) + ` FROM history_hours
		WHERE organisation_id = $1 AND station_id = $2 AND at >= $3 AND at < $4 GROUP BY organisation_id, station_id, ` + dayOf + `, evse` + adopt(sessionSums+", "+stateSums)
	sumOrganisation = `INSERT INTO history_hours (organisation_id, station_id, at, evse, ` + sessionSums + ", " + stateSums + `)
		SELECT organisation_id, '', at, 0, ` + sum(sessionSums+", "+stateSums) + ` FROM history_hours
		WHERE organisation_id = $1 AND at >= $2 AND at < $3 AND station_id <> '' GROUP BY organisation_id, at` + adopt(sessionSums+", "+stateSums)
)

const day = 24 * hour

func dayStart(us int64) int64 {
	d := us / day * day
	if us < 0 && d != us {
		d -= day
	}
	return d
}

// runs gathers hours into ranges [from, to) of neighbours that are at most a gap apart.
func runs(hours map[int64]bool, gap int64) [][2]int64 {
	var out [][2]int64
	for _, at := range slices.Sorted(maps.Keys(hours)) {
		if n := len(out); n > 0 && at <= out[n-1][1]+gap {
			out[n-1][1] = at + hour
		} else {
			out = append(out, [2]int64{at, at + hour})
		}
	}
	return out
}

// addUp computes the sums of stations in hours that were touched, and those of their days.
func (h *History) addUp(ctx context.Context, hours touched, fromParts bool) error {
	owners := slices.SortedFunc(maps.Keys(hours), func(a, b owner) int {
		return cmp.Or(strings.Compare(a.organisation, b.organisation), strings.Compare(a.station, b.station))
	})
	for step := range slices.Chunk(owners, 50) {
		err := h.db.Write(ctx, func(tx *db.Tx) error {
			for _, o := range step {
				for _, run := range runs(hours[o], 30*day) {
					if err := addUpStation(tx, o, run, fromParts); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return problem.Wrap("add up the history", err)
		}
	}
	return h.addUpOrganisations(ctx, hours)
}

func addUpStation(tx *db.Tx, o owner, run [2]int64, fromParts bool) error {
	texts := []string{emptyHours, sumHours}
	if !fromParts {
		texts = nil
	}
	for _, text := range texts {
		if _, err := tx.Exec(text, o.organisation, o.station, run[0], run[1]); err != nil {
			return err
		}
	}
	_, err := tx.Exec(sumDays, o.organisation, o.station, dayStart(run[0]), dayStart(run[1]-1)+day)
	return err
}

func (h *History) addUpOrganisations(ctx context.Context, hours touched) error {
	all := map[string]map[int64]bool{}
	for o, list := range hours {
		if all[o.organisation] == nil {
			all[o.organisation] = map[int64]bool{}
		}
		maps.Copy(all[o.organisation], list)
	}
	for organisation, list := range all {
		for _, run := range runs(list, 0) {
			for from := run[0]; from < run[1]; from += day { // in steps: each reads an hour of all stations
				to := min(from+day, run[1])
				err := h.db.Write(ctx, func(tx *db.Tx) error {
					if _, err := tx.Exec(sumOrganisation, organisation, from, to); err != nil {
						return err
					}
					_, err := tx.Exec(sumDays, organisation, "", dayStart(from), dayStart(to-1)+day)
					return err
				})
				if err != nil {
					return problem.Wrap("add up the history of an organisation", err)
				}
			}
		}
	}
	return nil
}

// analyze tells PostgreSQL how tables that grow by much at once look now: what it thinks of an empty table makes it read an
// organisation for each station.
func (h *History) analyze(ctx context.Context) error {
	if h.db.Engine() != db.Postgres {
		return nil
	}
	err := h.db.Write(ctx, func(tx *db.Tx) error {
		for _, text := range []string{"ANALYZE history_parts", "ANALYZE history_hours"} {
			if _, err := tx.Exec(text); err != nil {
				return err
			}
		}
		return nil
	})
	return problem.Wrap("look at the tables of the history", err)
}

// allHours are the hours of which there is anything.
func (h *History) allHours(ctx context.Context) (touched, error) {
	rows, err := h.db.Query(ctx, `SELECT DISTINCT organisation_id, at FROM history_hours`)
	if err != nil {
		return nil, problem.Wrap("list the hours of the history", err)
	}
	defer rows.Close()
	out := touched{}
	for rows.Next() {
		var o owner
		var at int64
		if err := rows.Scan(&o.organisation, &at); err != nil {
			return nil, problem.Wrap("list the hours of the history", err)
		}
		out.add(o, at)
	}
	return out, problem.Wrap("list the hours of the history", rows.Err())
}

// progress reads how far a piece of work has come.
func (h *History) progress(ctx context.Context, name string) (at int64, station string, err error) {
	err = h.db.QueryRow(ctx, `SELECT at, station_id FROM history_progress WHERE name = $1`, name).Scan(&at, &station)
	if errors.Is(err, db.ErrNoRows) {
		return 0, "", nil
	}
	return at, station, problem.Wrap("read the progress of the history", err)
}

func (h *History) setProgress(ctx context.Context, name string, at int64, station string) error {
	err := h.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO history_progress (name, at, station_id) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET at = excluded.at, station_id = excluded.station_id`, name, at, station)
		return err
	})
	return problem.Wrap("note the progress of the history", err)
}

// figures are the columns of a row of the history.
type figures struct {
	energy, carried, started, ended, charging, peak              int64
	available, occupied, reserved, unavailable, faulted, offline int64
}

// state gives where the time in a state is counted; nil for a state that has no column.
func (f *figures) state(status string) *int64 {
	switch status {
	case "available":
		return &f.available
	case "occupied":
		return &f.occupied
	case "reserved":
		return &f.reserved
	case "unavailable":
		return &f.unavailable
	case "faulted":
		return &f.faulted
	case "offline":
		return &f.offline
	}
	return nil
}

// writeStates writes how long the connectors of a station's EVSEs were in which state.
func writeStates(tx *db.Tx, o owner, rows map[[2]int64]*figures) error {
	for key, f := range rows {
		if _, err := tx.Exec(`INSERT INTO history_hours (organisation_id, station_id, at, evse, `+stateSums+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`+adopt(stateSums), o.organisation, o.station, key[0], key[1],
			f.available, f.occupied, f.reserved, f.unavailable, f.faulted, f.offline); err != nil {
			return err
		}
	}
	return nil
}

// bucket is a row that was read.
type bucket struct {
	at int64
	figures
}

// buckets gives the rows of a station, of one of its EVSEs when evse is not 0, or of an organisation when station is empty,
// within [from, to), added up over EVSEs, oldest first.
func (h *History) buckets(ctx context.Context, o owner, evse int, days bool, from, to time.Time) ([]bucket, error) {
	table := "history_hours"
	if days {
		table = "history_days"
	}
	where := ""
	args := []any{o.organisation, o.station, db.Micros(from), db.Micros(to)}
	if evse != 0 {
		where = " AND evse = $5"
		args = append(args, evse)
	}
	rows, err := h.db.Query(ctx, `SELECT at, `+sum(sessionSums+", "+stateSums)+` FROM `+table+`
		WHERE organisation_id = $1 AND station_id = $2 AND at >= $3 AND at < $4`+where+` GROUP BY at ORDER BY at`, args...)
	if err != nil {
		return nil, problem.Wrap("read the history", err)
	}
	defer rows.Close()
	var out []bucket
	for rows.Next() {
		var b bucket
		if err := rows.Scan(&b.at, &b.energy, &b.carried, &b.started, &b.ended, &b.charging, &b.peak,
			&b.available, &b.occupied, &b.reserved, &b.unavailable, &b.faulted, &b.offline); err != nil {
			return nil, problem.Wrap("read the history", err)
		}
		out = append(out, b)
	}
	return out, problem.Wrap("read the history", rows.Err())
}
