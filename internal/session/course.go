package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp/v21"
)

// Course is how a session went over time, by our clock where the station's was wrong and a correction is known.
type Course struct {
	Session *Session
	// Thinned tells that readings between the first and the last are past their retention and gone.
	Thinned bool
	// Start and End are those of the session; End is zero while it runs.
	Start, End time.Time
	// Energy is what had been delivered at each reading of the register, from 0 at the first to the whole energy of the
	// session at the last. It never falls: what a reading says beyond those around it is left out.
	Energy []Point
	// Power are the readings of the drawn power.
	Power []Point
	// Charging are the times in which energy flowed by what the station said of its state.
	Charging []Stretch
}

// Point is a value at a moment: mWh or W.
type Point struct {
	At    time.Time
	Value int64
}

// Stretch is the time [From, To).
type Stretch struct{ From, To time.Time }

// EnergyMWh is the energy delivered in mWh, which [Session.EnergyWh] rounds; 0 while it is not known.
func (s *Session) EnergyMWh() int64 {
	if !s.First.Known || !s.Last.Known {
		return 0
	}
	return max(0, s.Last.MWh-s.First.MWh+s.RestartedMWh)
}

// Course reads how a session of any organisation goes or went, with everything that has been stored of it.
func (l *Ledger) Course(ctx context.Context, id string) (*Course, error) {
	s, err := scan(l.db.QueryRow(ctx, `SELECT `+columns+` FROM sessions WHERE id = $1`, id))
	if errors.Is(err, db.ErrNoRows) {
		return nil, problem.New(problem.NotFound, "no such session")
	}
	if err != nil {
		return nil, problem.Wrap("read the session", err)
	}
	events, err := l.Events(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.State == Active { // its row may be behind its messages
		s = s.replay(events)
	}
	c := s.course(events)
	err = l.db.QueryRow(ctx, `SELECT thinned_at IS NOT NULL FROM sessions WHERE id = $1`, id).Scan(&c.Thinned)
	return c, problem.Wrap("read the session", err)
}

func (s *Session) course(events []Stored) *Course {
	var shift time.Duration
	if !s.StartedCorrected.IsZero() {
		shift = s.StartedCorrected.Sub(s.StartedAt)
	}
	c := &Course{Session: s, Start: s.StartedAt.Add(shift)}
	if s.State == Ended {
		c.End = s.EndedAt.Add(shift)
	}
	if s.First.Known && s.Last.Known {
		c.Energy = s.energyCourse(events)
	}
	for i := range events {
		for j := range events[i].Request.MeterValue {
			mv := &events[i].Request.MeterValue[j]
			if w, ok := total(mv, v21.MeasurandPowerActiveImport, unity); ok {
				c.Power = append(c.Power, Point{At: mv.Timestamp, Value: w})
			}
		}
	}
	c.Charging = s.chargingCourse(events)
	for i := range c.Energy {
		c.Energy[i].At = c.Energy[i].At.Add(shift)
	}
	for i := range c.Power {
		c.Power[i].At = c.Power[i].At.Add(shift)
	}
	for i := range c.Charging {
		c.Charging[i] = Stretch{c.Charging[i].From.Add(shift), c.Charging[i].To.Add(shift)}
	}
	return c
}

// energyCourse gives the readings from the first to the last, as energy since the first.
func (s *Session) energyCourse(events []Stored) []Point {
	list := []Register{}
	for i := range events {
		for j := range events[i].Request.MeterValue {
			mv := &events[i].Request.MeterValue[j]
			at := mv.Timestamp.Truncate(time.Microsecond)
			mwh, ok := total(mv, v21.MeasurandEnergyActiveImportRegister, milli)
			if ok && at.After(s.First.At) && at.Before(s.Last.At) {
				list = append(list, Register{MWh: mwh, At: at, Known: true})
			}
		}
	}
	slices.SortFunc(list, func(a, b Register) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.MWh, b.MWh)) })
	list = append(list, s.Last)
	whole := s.EnergyMWh()
	out := []Point{{At: s.First.At}}
	before, restarted, so := s.First, int64(0), int64(0)
	for _, r := range list {
		if s.RestartedMWh != 0 && before.MWh-r.MWh == s.RestartedMWh {
			restarted = s.RestartedMWh
		}
		so = max(so, min(r.MWh-s.First.MWh+restarted, whole))
		out = append(out, Point{At: r.At, Value: so})
		before = r
	}
	out[len(out)-1].Value = whole // also when the restart is not to be found among what is left of the readings
	return out
}

// mostSilence bounds how long a state is taken to last without a word of the station.
const mostSilence = 24 * time.Hour

// chargingCourse gives the times in which the station said that energy flows: from each message that says so to the next one.
func (s *Session) chargingCourse(events []Stored) []Stretch {
	var out []Stretch
	var since time.Time
	charging := false
	for _, e := range s.inOrder(events) {
		at := e.Request.Timestamp
		if charging && at.After(since) {
			to := at
			if at.Sub(since) > mostSilence {
				to = since.Add(mostSilence)
			}
			if n := len(out); n > 0 && out[n-1].To.Equal(since) {
				out[n-1].To = to
			} else {
				out = append(out, Stretch{From: since, To: to})
			}
		}
		if state, ok := e.Request.TransactionInfo.ChargingState.Get(); ok {
			charging = state == v21.ChargingStateCharging
		}
		if e.Request.EventType == v21.TransactionEventTypeEnded {
			charging = false
		}
		since = at
	}
	return out
}

// Mark says that a session has ended, or changed after its end, until [Ledger.Unmark] takes it away.
type Mark struct {
	Session string
	at      int64
}

var insertMark = db.NewInsert("session_changes", []string{"at", "session_id"}, "ON CONFLICT DO NOTHING")

// mark leaves a mark in the transaction that writes a session which has ended.
func mark(tx *db.Tx, s *Session) {
	if s.State == Ended {
		tx.Append(insertMark, db.Micros(s.updatedAt), s.ID)
	}
}

// Marks reads the oldest marks.
func (l *Ledger) Marks(ctx context.Context, limit int) ([]Mark, error) {
	rows, err := l.db.Query(ctx, `SELECT at, session_id FROM session_changes ORDER BY at, session_id LIMIT $1`, limit)
	if err != nil {
		return nil, problem.Wrap("read which sessions have changed", err)
	}
	defer rows.Close()
	var out []Mark
	for rows.Next() {
		var m Mark
		if err := rows.Scan(&m.at, &m.Session); err != nil {
			return nil, problem.Wrap("read which sessions have changed", err)
		}
		out = append(out, m)
	}
	return out, problem.Wrap("read which sessions have changed", rows.Err())
}

// Unmark takes marks away. Those that came since they were read stay.
func (l *Ledger) Unmark(ctx context.Context, marks []Mark) error {
	err := l.db.Write(ctx, func(tx *db.Tx) error {
		for _, m := range marks {
			if _, err := tx.Exec(`DELETE FROM session_changes WHERE at = $1 AND session_id = $2`, m.at, m.Session); err != nil {
				return err
			}
		}
		return nil
	})
	return problem.Wrap("take note of changed sessions", err)
}

// Ref names a session and says when its row was written last.
type Ref struct {
	ID           string
	Organisation string
	Station      string
	UpdatedAt    time.Time
}

// Running lists the active sessions of all organisations.
func (l *Ledger) Running(ctx context.Context) ([]Ref, error) {
	return l.refs(ctx, `SELECT id, organisation_id, station_id, updated_at FROM sessions WHERE state = 'active'`)
}

// OfStation lists all sessions of a station.
func (l *Ledger) OfStation(ctx context.Context, id string) ([]Ref, error) {
	return l.refs(ctx, `SELECT id, organisation_id, station_id, updated_at FROM sessions WHERE station_id = $1`, id)
}

func (l *Ledger) refs(ctx context.Context, text string, args ...any) ([]Ref, error) {
	rows, err := l.db.Query(ctx, text, args...)
	if err != nil {
		return nil, problem.Wrap("list sessions", err)
	}
	defer rows.Close()
	var out []Ref
	for rows.Next() {
		var r Ref
		var at int64
		if err := rows.Scan(&r.ID, &r.Organisation, &r.Station, &at); err != nil {
			return nil, problem.Wrap("list sessions", err)
		}
		r.UpdatedAt = db.Time(at)
		out = append(out, r)
	}
	return out, problem.Wrap("list sessions", rows.Err())
}

// NextStation gives the first station after another, in the order of ids, that has had a session; "" when there is none.
func (l *Ledger) NextStation(ctx context.Context, after string) (string, error) {
	var id string
	err := l.db.QueryRow(ctx, `SELECT COALESCE((SELECT station_id FROM sessions WHERE station_id > $1 ORDER BY station_id LIMIT 1), '')`, after).Scan(&id)
	return id, problem.Wrap("list stations with sessions", err)
}
