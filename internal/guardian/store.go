package guardian

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
)

const columns = `id, cause, kind, organisation_id, station_id, evse, connector, session_id, subject, opened_at, due_at, step, tries, outcome, closed_at`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Case, error) {
	var c Case
	var opened, due int64
	var closed sql.NullInt64
	err := row.Scan(&c.ID, &c.cause, &c.Kind, &c.Organisation, &c.Station, &c.EVSE, &c.Connector, &c.Session, &c.Subject, &opened, &due,
		&c.Step, &c.Tries, &c.Outcome, &closed)
	c.OpenedAt, c.DueAt, c.ClosedAt = db.Time(opened), db.Time(due), db.ZeroTime(closed)
	return &c, err
}

// open reads the open cases, by cause.
func (g *Guardian) open(ctx context.Context) (map[string]*Case, error) {
	rows, err := g.db.Query(ctx, `SELECT `+columns+` FROM guardian_cases WHERE closed_at IS NULL`)
	if err != nil {
		return nil, problem.Wrap("read the open cases", err)
	}
	defer rows.Close()
	out := map[string]*Case{}
	for rows.Next() {
		c, err := scan(rows)
		if err != nil {
			return nil, problem.Wrap("read the open cases", err)
		}
		out[c.cause] = c
	}
	return out, problem.Wrap("read the open cases", rows.Err())
}

// changeStep bounds the cases that one transaction opens or closes.
const changeStep = 500

// begin keeps new cases. A cause that is watched already is left as it is.
func (g *Guardian) begin(ctx context.Context, list []*Case) error {
	for len(list) > 0 {
		some := list[:min(len(list), changeStep)]
		list = list[len(some):]
		err := g.db.Write(ctx, func(tx *db.Tx) error {
			for _, c := range some {
				c.ID = uuid.Must(uuid.NewV7()).String()
				if _, err := tx.Exec(`INSERT INTO guardian_cases (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, '', NULL)
					ON CONFLICT DO NOTHING`, c.ID, c.cause, string(c.Kind), c.Organisation, string(c.Station), c.EVSE, c.Connector, c.Session,
					c.Subject, db.Micros(c.OpenedAt), db.Micros(c.DueAt)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return problem.Wrap("keep the cases", err)
		}
	}
	return nil
}

// end closes cases whose cause is over. Those on which nothing was done leave no trace.
func (g *Guardian) end(ctx context.Context, list []*Case) error {
	for len(list) > 0 {
		some := list[:min(len(list), changeStep)]
		list = list[len(some):]
		err := g.db.Write(ctx, func(tx *db.Tx) error {
			for _, c := range some {
				if err := g.endOne(tx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return problem.Wrap("close the cases", err)
		}
	}
	return nil
}

func (g *Guardian) endOne(tx *db.Tx, c *Case) error {
	if c.Outcome == "" {
		_, err := tx.Exec(`DELETE FROM guardian_cases WHERE id = $1 AND outcome = ''`, c.ID)
		return err
	}
	res, err := tx.Exec(`UPDATE guardian_cases SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL`, c.ID, db.Micros(g.clock.Now()))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if c.Kind == Stuck && c.Outcome == outcomeStuck {
		g.events.Record(tx, event.New(event.ConnectorUnstuck, c.Organisation, string(c.Station), tx.Now(), c.view()))
	}
	return nil
}

// claim takes a due case for the time that its handling may take, so that no other node handles it too.
func (g *Guardian) claim(ctx context.Context, c *Case) (mine bool, err error) {
	until := g.clock.Now().Add(claimFor)
	err = g.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`UPDATE guardian_cases SET due_at = $3 WHERE id = $1 AND due_at = $2 AND closed_at IS NULL`,
			c.ID, db.Micros(c.DueAt), db.Micros(until))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, problem.Wrap("take the case", err)
}

// keep writes how far a case has got. tell may be nil.
func (g *Guardian) keep(ctx context.Context, c *Case, tell func(tx *db.Tx)) error {
	err := g.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE guardian_cases SET due_at = $2, step = $3, tries = $4, outcome = $5 WHERE id = $1`,
			c.ID, db.Micros(c.DueAt), c.Step, c.Tries, c.Outcome)
		if err == nil && tell != nil {
			tell(tx)
		}
		return err
	})
	return problem.Wrap("keep the case", err)
}

// purge forgets what was closed long ago.
func (g *Guardian) purge(ctx context.Context) error {
	err := g.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`DELETE FROM guardian_cases WHERE closed_at IS NOT NULL AND closed_at < $1`,
			db.Micros(g.clock.Now().Add(-g.policy.Keep))); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM guardian_unable WHERE until < $1`, db.Micros(g.clock.Now()))
		return err
	})
	return problem.Wrap("forget old cases", err)
}

// unable reports why a station is not asked for something, "" when it may be.
func (g *Guardian) unable(ctx context.Context, st *station.Station, request string) (string, error) {
	var reason string
	err := g.db.QueryRow(ctx, `SELECT reason FROM guardian_unable WHERE station_id = $1 AND request = $2 AND firmware = $3 AND protocol = $4
		AND until > $5`, string(st.ID), request, st.Firmware, st.Protocol, db.Micros(g.clock.Now())).Scan(&reason)
	if errors.Is(err, db.ErrNoRows) {
		return "", nil
	}
	return reason, problem.Wrap("read what the station cannot do", err)
}

// remember keeps that a station does not do something.
func (g *Guardian) remember(ctx context.Context, st *station.Station, request, reason string, d time.Duration) error {
	err := g.db.WriteKey(ctx, string(st.ID), func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO guardian_unable (station_id, request, firmware, protocol, reason, until) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (station_id, request) DO UPDATE SET firmware = excluded.firmware, protocol = excluded.protocol,
			reason = excluded.reason, until = excluded.until`, string(st.ID), request, st.Firmware, st.Protocol, reason, db.Micros(g.clock.Now().Add(d)))
		return err
	})
	return problem.Wrap("keep what the station cannot do", err)
}

// filter selects cases.
type filter struct {
	station, session, kind, state, before string
	limit                                 int
}

// list reads the cases of an organisation in which something was done, newest first.
func (g *Guardian) list(ctx context.Context, organisation string, f filter) ([]*Case, error) {
	rows, err := g.db.Query(ctx, `SELECT `+columns+` FROM guardian_cases WHERE organisation_id = $1 AND outcome <> '' AND ($2 = '' OR station_id = $2)
		AND ($3 = '' OR kind = $3) AND ($4 = '' OR (closed_at IS NULL) = ($4 = 'open')) AND ($5 = '' OR id < $5) AND ($7 = '' OR session_id = $7)
		ORDER BY id DESC LIMIT $6`, organisation, f.station, f.kind, f.state, f.before, f.limit, f.session)
	if err != nil {
		return nil, problem.Wrap("list the cases", err)
	}
	defer rows.Close()
	var out []*Case
	for rows.Next() {
		c, err := scan(rows)
		if err != nil {
			return nil, problem.Wrap("list the cases", err)
		}
		out = append(out, c)
	}
	return out, problem.Wrap("list the cases", rows.Err())
}
