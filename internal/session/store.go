package session

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

const columns = `id, organisation_id, station_id, transaction_id, evse, connector, token_uid, token_type, state, charging_state,
	started_at, ended_at, last_event_at, last_seq_no, sequenced, meter_first_mwh, meter_first_at, meter_last_mwh, meter_last_at,
	power_w, soc, stopped_reason, remote_start_id, reservation_id, start_hash, end_hash, flags, created_at, updated_at,
	billing, end_told, restarted_mwh, max_power_w, clock_offset, started_corrected, ended_corrected`

const selectSession = `SELECT ` + columns + ` FROM sessions WHERE id = $1`

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (*Session, error) {
	var s Session
	var token sql.NullString
	var ended, firstMWh, firstAt, lastMWh, lastAt, soc, remote, reservation sql.NullInt64
	var started, lastEvent, created, updated int64
	var flags, billing string
	var offset, startCorrected, endCorrected sql.NullInt64
	err := row.Scan(&s.ID, &s.Organisation, &s.Station, &s.TransactionID, &s.EVSE, &s.Connector, &token, &s.TokenType, &s.State,
		&s.ChargingState, &started, &ended, &lastEvent, &s.LastSeqNo, &s.Sequenced, &firstMWh, &firstAt, &lastMWh, &lastAt,
		&s.PowerW, &soc, &s.StoppedReason, &remote, &reservation, &s.startHash, &s.endHash, &flags, &created, &updated,
		&billing, &s.endTold, &s.RestartedMWh, &s.MaxPowerW, &offset, &startCorrected, &endCorrected)
	if err != nil {
		return nil, err
	}
	s.TokenUID, s.StartedAt, s.EndedAt, s.LastEventAt = token.String, db.Time(started), db.ZeroTime(ended), db.Time(lastEvent)
	s.createdAt, s.updatedAt = db.Time(created), db.Time(updated)
	s.First = Register{MWh: firstMWh.Int64, At: db.ZeroTime(firstAt), Known: firstMWh.Valid}
	s.Last = Register{MWh: lastMWh.Int64, At: db.ZeroTime(lastAt), Known: lastMWh.Valid}
	s.SoC, s.RemoteStartID, s.ReservationID = intPointer(soc), intPointer(remote), intPointer(reservation)
	s.StartedCorrected, s.EndedCorrected = db.ZeroTime(startCorrected), db.ZeroTime(endCorrected)
	if offset.Valid {
		d := time.Duration(offset.Int64) * time.Microsecond
		s.ClockOffset = &d
	}
	if flags != "" {
		if err := json.Unmarshal([]byte(flags), &s.Flags); err != nil {
			return nil, fmt.Errorf("flags of session %s: %w", s.ID, err)
		}
		for i := range s.Flags {
			s.Flags[i].Holds = Holds(s.Flags[i].Code)
		}
	}
	return &s, nil
}

func intPointer(v sql.NullInt64) *int {
	if !v.Valid {
		return nil
	}
	n := int(v.Int64)
	return &n
}

// row gives the values of the columns after the first four, which never change.
func (s *Session) row() ([]any, error) {
	flags := ""
	if len(s.Flags) > 0 {
		raw, err := json.Marshal(s.Flags)
		if err != nil {
			return nil, err
		}
		flags = string(raw)
	}
	null := func(p *int) any {
		if p == nil {
			return nil
		}
		return *p
	}
	mwh := func(r Register) any {
		if !r.Known {
			return nil
		}
		return r.MWh
	}
	var token any
	if s.TokenUID != "" {
		token = s.TokenUID
	}
	var offset any
	if s.ClockOffset != nil {
		offset = s.ClockOffset.Microseconds()
	}
	return []any{s.EVSE, s.Connector, token, s.TokenType, string(s.State), s.ChargingState, db.Micros(s.StartedAt), db.ZeroMicros(s.EndedAt),
		db.Micros(s.LastEventAt), s.LastSeqNo, s.Sequenced, mwh(s.First), db.ZeroMicros(s.First.At), mwh(s.Last), db.ZeroMicros(s.Last.At),
		s.PowerW, null(s.SoC), s.StoppedReason, null(s.RemoteStartID), null(s.ReservationID), s.startHash, s.endHash, flags,
		string(s.Billing()), s.endTold, s.RestartedMWh, s.MaxPowerW, offset, db.ZeroMicros(s.StartedCorrected), db.ZeroMicros(s.EndedCorrected)}, nil
}

const insertSession = `INSERT INTO sessions (id, organisation_id, station_id, transaction_id, evse, connector, token_uid, token_type, state,
	charging_state, started_at, ended_at, last_event_at, last_seq_no, sequenced, meter_first_mwh, meter_first_at, meter_last_mwh, meter_last_at,
	power_w, soc, stopped_reason, remote_start_id, reservation_id, start_hash, end_hash, flags, billing, end_told, restarted_mwh, max_power_w,
	clock_offset, started_corrected, ended_corrected, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
	$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36)`

func insert(tx *db.Tx, s *Session) error {
	values, err := s.row()
	if err != nil {
		return err
	}
	args := append([]any{s.ID, s.Organisation, string(s.Station), s.TransactionID}, values...)
	args = append(args, db.Micros(s.createdAt), db.Micros(s.updatedAt))
	mark(tx, s)
	_, err = tx.Exec(insertSession, args...)
	return err
}

// errStale means that a row is not as it was read or written last: another node has changed it.
var errStale = errors.New("the session was changed by another node")

// update writes the row of a session, unless another node has written it since: then the error is errStale.
func update(tx *db.Tx, s *Session) error {
	before := s.updatedAt
	if s.updatedAt = tx.Now(); !s.updatedAt.After(before) { // the time tells writings apart, even where a clock stands or steps back
		s.updatedAt = before.Add(time.Microsecond)
	}
	values, err := s.row()
	if err != nil {
		return err
	}
	args := append([]any{s.ID}, values...)
	args = append(args, db.Micros(s.updatedAt), db.Micros(before))
	res, err := tx.Exec(`UPDATE sessions SET evse = $2, connector = $3, token_uid = $4, token_type = $5, state = $6, charging_state = $7,
		started_at = $8, ended_at = $9, last_event_at = $10, last_seq_no = $11, sequenced = $12, meter_first_mwh = $13,
		meter_first_at = $14, meter_last_mwh = $15, meter_last_at = $16, power_w = $17, soc = $18, stopped_reason = $19,
		remote_start_id = $20, reservation_id = $21, start_hash = $22, end_hash = $23, flags = $24,
		billing = $25, end_told = $26, restarted_mwh = $27, max_power_w = $28, clock_offset = $29, started_corrected = $30, ended_corrected = $31,
		updated_at = $32 WHERE id = $1 AND updated_at = $33`, args...)
	if err != nil {
		return fmt.Errorf("write the session: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, errStale)
	}
	mark(tx, s)
	return nil
}

// activeOn reads the active sessions of an EVSE, of the whole station when evse is 0.
func activeOn(tx *db.Tx, organisation string, id station.ID, evse int) ([]*Session, error) {
	rows, err := tx.Query(`SELECT `+columns+` FROM sessions WHERE station_id = $1 AND organisation_id = $3 AND state = 'active' AND ($2 = 0 OR evse = $2)`, string(id), evse, organisation)
	if err != nil {
		return nil, err
	}
	return scanAll(rows)
}

// overlapping reads the sessions on a session's EVSE that ran for more than [overlapTolerance] while it ran, and are over:
// what still seems to run is compared when its end comes, which may be late.
func overlapping(tx *db.Tx, s *Session) ([]*Session, error) {
	rows, err := tx.Query(`SELECT `+columns+` FROM sessions WHERE station_id = $1 AND evse = $2 AND id <> $3 AND organisation_id = $7 AND start_hash <> ''
		AND started_at < $4 AND state = 'ended' AND ended_at > $5 AND ended_at > started_at + $6 ORDER BY started_at, id LIMIT 20`, string(s.Station), s.EVSE, s.ID,
		db.Micros(s.EndedAt.Add(-overlapTolerance)), db.Micros(s.StartedAt.Add(overlapTolerance)), overlapTolerance.Microseconds(), s.Organisation)
	if err != nil {
		return nil, fmt.Errorf("look for sessions at the same time: %w", err)
	}
	list, err := scanAll(rows)
	if err != nil {
		return nil, fmt.Errorf("look for sessions at the same time: %w", err)
	}
	return list, nil
}

// numberTaken reports whether another message of a session has the sequence number.
func numberTaken(tx *db.Tx, session string, seqNo int, hash string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM session_events WHERE session_id = $1 AND seq_no = $2 AND hash <> $3`, session, seqNo, hash).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("read the sequence numbers: %w", err)
	}
	return n > 0, nil
}

func scanAll(rows *sql.Rows) ([]*Session, error) {
	defer rows.Close()
	var out []*Session
	for rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func (l *Ledger) allActive(ctx context.Context) ([]*Session, error) {
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM sessions WHERE state = 'active'`)
	if err != nil {
		return nil, problem.Wrap("read the active sessions", err)
	}
	list, err := scanAll(rows)
	return list, problem.Wrap("read the active sessions", err)
}

// fresh is the session with figures that may be ahead of its row, unless another node has written the row since.
func (l *Ledger) fresh(s *Session) *Session {
	if c := l.cached(s.Station, s.TransactionID); c != nil && c.ID == s.ID && !s.updatedAt.After(c.updatedAt) {
		return c
	}
	return s
}

// Get reads a session of an organisation.
func (l *Ledger) Get(ctx context.Context, organisation, id string) (*Session, error) {
	s, err := scan(l.db.QueryRow(ctx, `SELECT `+columns+` FROM sessions WHERE id = $1 AND organisation_id = $2`, id, organisation))
	if errors.Is(err, db.ErrNoRows) {
		return nil, problem.New(problem.NotFound, "no such session")
	}
	if err != nil {
		return nil, problem.Wrap("read the session", err)
	}
	return l.fresh(s), nil
}

// Filter selects sessions.
type Filter struct {
	Station  station.ID
	State    State
	Billing  Billing
	Flag     string    // the code of a flag, open or resolved
	From, To time.Time // of the start
	Before   time.Time // cursor: started before this
	BeforeID string    // … or at it with a smaller id
	Limit    int
}

// List reads the sessions of an organisation, latest start first.
func (l *Ledger) List(ctx context.Context, organisation string, f Filter) ([]*Session, error) {
	// The cursor bounds the index, too: a deep page must not begin at the first one.
	args := []any{organisation, db.Micros(f.From), min(db.Micros(f.To), db.Micros(f.Before)+1), db.Micros(f.Before), f.BeforeID}
	where := `organisation_id = $1 AND started_at >= $2 AND started_at < $3 AND (started_at < $4 OR started_at = $4 AND id < $5)`
	if f.Station != "" {
		args = append(args, string(f.Station))
		where += fmt.Sprintf(" AND station_id = $%d", len(args))
	}
	if f.State != "" {
		args = append(args, string(f.State))
		where += fmt.Sprintf(" AND state = $%d", len(args))
	}
	if f.Billing != "" {
		args = append(args, string(f.Billing))
		where += fmt.Sprintf(" AND billing = $%d", len(args))
	}
	if f.Flag != "" {
		args = append(args, `%"code":"`+f.Flag+`"%`)
		where += fmt.Sprintf(" AND flags LIKE $%d", len(args))
	}
	args = append(args, f.Limit)
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM sessions WHERE `+where+fmt.Sprintf(` ORDER BY started_at DESC, id DESC LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, problem.Wrap("list the sessions", err)
	}
	list, err := scanAll(rows)
	for i, s := range list {
		list[i] = l.fresh(s)
	}
	return list, problem.Wrap("list the sessions", err)
}

// RunningOn implements station.Running.
func (l *Ledger) RunningOn(ctx context.Context, ids []station.ID) (map[station.Place]station.RunningSession, error) {
	out := map[station.Place]station.RunningSession{}
	if len(ids) == 0 {
		return out, nil
	}
	args := make([]any, len(ids))
	marks := make([]string, len(ids))
	for i, id := range ids {
		args[i], marks[i] = string(id), fmt.Sprintf("$%d", i+1)
	}
	rows, err := l.db.Query(ctx, `SELECT `+columns+` FROM sessions WHERE state = 'active' AND station_id IN (`+strings.Join(marks, ",")+`) ORDER BY started_at`, args...)
	if err != nil {
		return nil, problem.Wrap("read the running sessions", err)
	}
	list, err := scanAll(rows)
	if err != nil {
		return nil, problem.Wrap("read the running sessions", err)
	}
	for _, s := range list {
		s = l.fresh(s)
		v := s.view()
		out[station.Place{Station: s.Station, EVSE: s.EVSE}] = station.RunningSession{Organisation: s.Organisation, ID: s.ID, TransactionID: s.TransactionID, Token: v.Token,
			ChargingState: s.ChargingState, StartedAt: s.StartedAt, EnergyWh: s.EnergyWh(), PowerW: s.PowerW, SoC: s.SoC}
	}
	return out, nil
}

// Stored is a message of a session.
type Stored struct {
	Request    *v21.TransactionEventRequest
	ReceivedAt time.Time
	Broken     bool // it is not what its hash says, and does not count
	hash       string
}

const selectEvents = `SELECT payload, received_at, hash FROM session_events WHERE session_id = $1 ORDER BY at, seq_no, received_at`

// Events reads the messages of a session in the order of the station's time.
func (l *Ledger) Events(ctx context.Context, id string) ([]Stored, error) {
	if err := l.journal.settled(ctx, id); err != nil {
		return nil, problem.Wrap("move the session's messages", err)
	}
	rows, err := l.db.Query(ctx, selectEvents, id)
	if err != nil {
		return nil, problem.Wrap("read the session's messages", err)
	}
	events, err := scanEvents(rows)
	l.alarm(id, events)
	return events, problem.Wrap("read the session's messages", err)
}

func scanEvents(rows *sql.Rows) ([]Stored, error) {
	defer rows.Close()
	var out []Stored
	for rows.Next() {
		var payload string
		var received int64
		e := Stored{Request: &v21.TransactionEventRequest{}}
		if err := rows.Scan(&payload, &received, &e.hash); err != nil {
			return nil, err
		}
		_ = ocpp.Decode(payload, e.Request, false) // written by us: what it broke when it came it still breaks, and is kept
		e.ReceivedAt, e.Broken = db.Time(received), !intact(e.Request, payload, e.hash)
		out = append(out, e)
	}
	return out, rows.Err()
}

// Readings reads the meter values of [from, to] that came outside transactions on an EVSE during a tenure.
func (l *Ledger) Readings(ctx context.Context, t station.Tenure, evse int, from, to time.Time) ([]v21.MeterValue, error) {
	since, until := t.Bound(page.Span{}.Bounds())
	rows, err := l.db.Query(ctx, `SELECT payload FROM meter_readings WHERE station_id = $1 AND evse = $2 AND at >= $3 AND at <= $4
		AND received_at >= $5 AND received_at < $6 ORDER BY at`,
		string(t.Station), evse, db.Micros(from), db.Micros(to), db.Micros(since), db.Micros(until))
	if err != nil {
		return nil, problem.Wrap("read the meter values", err)
	}
	defer rows.Close()
	var out []v21.MeterValue
	for rows.Next() {
		var payload string
		var r v21.MeterValuesRequest
		if err := rows.Scan(&payload); err != nil {
			return nil, problem.Wrap("read the meter values", err)
		}
		_ = ocpp.Decode(payload, &r, false) // as above
		out = append(out, r.MeterValue...)
	}
	return out, problem.Wrap("read the meter values", rows.Err())
}

// Totals are the figures of an organisation's sessions.
type Totals struct {
	Active   int
	Today    int // started since midnight UTC
	EnergyWh int64
	PowerW   int64
}

// Totals counts the sessions that run or have started since a moment.
func (l *Ledger) Totals(ctx context.Context, organisation string, since time.Time) (Totals, error) {
	var t Totals
	var mwh int64
	// Two readings, since an OR would read all sessions; the idle terms keep SQLite on the index of what runs.
	err := l.db.QueryRow(ctx, `SELECT COALESCE(SUM(CASE WHEN state = 'active' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN started_at >= $2 THEN 1 ELSE 0 END), 0), COALESCE(SUM(power_w), 0),
		COALESCE(SUM(CASE WHEN started_at >= $2 AND meter_last_mwh + restarted_mwh > meter_first_mwh
			THEN meter_last_mwh + restarted_mwh - meter_first_mwh ELSE 0 END), 0)
		FROM (SELECT state, started_at, power_w, meter_first_mwh, meter_last_mwh, restarted_mwh FROM sessions WHERE organisation_id = $1 AND started_at >= $2
			UNION ALL SELECT state, started_at, power_w, meter_first_mwh, meter_last_mwh, restarted_mwh FROM sessions
			WHERE state = 'active' AND organisation_id || '' = $1 AND started_at + 0 < $2) AS s`, organisation, db.Micros(since)).
		Scan(&t.Active, &t.Today, &t.PowerW, &mwh)
	t.EnergyWh = (mwh + 500) / 1000
	return t, problem.Wrap("count the sessions", err)
}

func sameToken(a, b string) bool { return strings.EqualFold(a, b) }

// insertQuarantined keeps a message once, and reports whether it was not there before.
func insertQuarantined(tx *db.Tx, organisation string, q Quarantined, hash string) (fresh bool, err error) {
	res, err := tx.Exec(`INSERT INTO quarantine (organisation_id, at, id, station_id, action, reason, payload, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		organisation, db.Micros(q.At), q.ID, q.Station, q.Action, q.Reason, q.Payload, hash)
	if err != nil {
		return false, fmt.Errorf("keep a message in quarantine: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// Quarantined reads the messages in quarantine of an organisation, of one station when it is given, newest first, from
// before a moment on.
func (l *Ledger) Quarantined(ctx context.Context, organisation string, id station.ID, before time.Time, beforeID string, limit int) ([]Quarantined, error) {
	rows, err := l.db.Query(ctx, `SELECT id, at, station_id, action, reason, payload FROM quarantine WHERE organisation_id = $1
		AND ($2 = '' OR station_id = $2) AND (at < $3 OR at = $3 AND id < $4) ORDER BY at DESC, id DESC LIMIT $5`,
		organisation, string(id), db.Micros(before), beforeID, limit)
	if err != nil {
		return nil, problem.Wrap("read the quarantine", err)
	}
	defer rows.Close()
	out := []Quarantined{}
	for rows.Next() {
		var q Quarantined
		var at int64
		if err := rows.Scan(&q.ID, &at, &q.Station, &q.Action, &q.Reason, &q.Payload); err != nil {
			return nil, problem.Wrap("read the quarantine", err)
		}
		q.At = db.Time(at)
		out = append(out, q)
	}
	return out, problem.Wrap("read the quarantine", rows.Err())
}

// ofAnotherStation reports whether a number of a transaction was given to another station that does not number its messages,
// by us: the start is known.
func ofAnotherStation(tx *db.Tx, id station.ID, transaction string) (bool, error) {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM sessions WHERE transaction_id = $1 AND station_id <> $2 AND NOT sequenced AND start_hash <> '' LIMIT 1`,
		transaction, string(id)).Scan(&one)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the number's station: %w", err)
	}
	return true, nil
}

// mostBeside bounds the messages that one look beside a transaction reads.
const mostBeside = 1000

// readingsBeside reads the meter values that came outside of transactions on a session's EVSE after one moment and before
// another, in the order of the station's time.
func readingsBeside(tx *db.Tx, s *Session, after, before time.Time) ([]v21.MeterValue, error) {
	rows, err := tx.Query(`SELECT payload FROM meter_readings WHERE station_id = $1 AND evse = $2 AND at > $3 AND at < $4 ORDER BY at LIMIT $5`,
		string(s.Station), s.EVSE, db.Micros(after), db.Micros(before), mostBeside)
	if err != nil {
		return nil, fmt.Errorf("read the meter values beside the transaction: %w", err)
	}
	defer rows.Close()
	var out []v21.MeterValue
	for rows.Next() {
		var payload string
		var r v21.MeterValuesRequest
		if err := rows.Scan(&payload); err != nil {
			return nil, fmt.Errorf("read the meter values beside the transaction: %w", err)
		}
		_ = ocpp.Decode(payload, &r, false) // written by us
		out = append(out, r.MeterValue...)
	}
	return out, rows.Err()
}

var (
	eventColumns  = []string{"session_id", "at", "hash", "received_at", "seq_no", "type", "offline", "payload"}
	insertEvent   = db.NewInsert("session_events", eventColumns, "ON CONFLICT DO NOTHING")
	insertJournal = db.NewInsert("session_journal", append([]string{"id"}, eventColumns...), "")
)

// moveOne puts a message where those of its session are.
func moveOne(tx *db.Tx, m *message) error {
	_, err := tx.Exec(`INSERT INTO session_events (session_id, at, hash, received_at, seq_no, type, offline, payload)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`, m.args()...)
	if err != nil {
		return fmt.Errorf("move the session's messages: %w", err)
	}
	return nil
}

// moveAll puts all messages of the journal where those of their sessions are.
func moveAll(tx *db.Tx) error {
	_, err := tx.Exec(`INSERT INTO session_events (session_id, at, hash, received_at, seq_no, type, offline, payload)
		SELECT session_id, at, hash, received_at, seq_no, type, offline, payload FROM session_journal WHERE true ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("move the journal: %w", err)
	}
	return nil
}

// lookIntoJournal gives the newest id of the journal, and whether any id above one is not of a tag.
func lookIntoJournal(tx *db.Tx, above, tag int64) (newest int64, others bool, err error) {
	var n int
	err = tx.QueryRow(`SELECT COALESCE(MAX(id), 0), COALESCE(SUM(CASE WHEN id % 1000 <> $2 THEN 1 ELSE 0 END), 0) FROM session_journal WHERE id > $1`,
		above, tag).Scan(&newest, &n)
	if err != nil {
		return 0, false, fmt.Errorf("look into the journal: %w", err)
	}
	return newest, n > 0, nil
}

// journalRows counts the messages of the journal up to an id.
func journalRows(tx *db.Tx, upTo int64) (rows int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM session_journal WHERE id <= $1`, upTo).Scan(&rows)
	return rows, err
}

// emptyJournal deletes the messages of the journal up to an id: they have been moved.
func emptyJournal(tx *db.Tx, upTo int64) error {
	_, err := tx.Exec(`DELETE FROM session_journal WHERE id <= $1`, upTo)
	return err
}

// mostReuses bounds the sessions of one transaction id that a message is compared with.
const mostReuses = 20

// ofTransaction reads the sessions of a transaction id, newest first. A station may have been another organisation's before.
func ofTransaction(tx *db.Tx, organisation string, id station.ID, transaction string) ([]*Session, error) {
	rows, err := tx.Query(`SELECT `+columns+` FROM sessions WHERE station_id = $1 AND transaction_id = $2 AND organisation_id = $3
		ORDER BY created_at DESC, id DESC LIMIT $4`, string(id), transaction, organisation, mostReuses)
	if err != nil {
		return nil, fmt.Errorf("read the sessions of a transaction: %w", err)
	}
	return scanAll(rows)
}

// endedBy reads the session that a message ended, nil when there is none.
func endedBy(tx *db.Tx, organisation string, id station.ID, hash string) (*Session, error) {
	s, err := scan(tx.QueryRow(`SELECT `+columns+` FROM sessions WHERE station_id = $1 AND end_hash = $2 AND organisation_id = $3
		ORDER BY created_at DESC LIMIT 1`, string(id), hash, organisation))
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// storedBefore reports whether a message is among those of a session that have been moved.
func storedBefore(tx *db.Tx, session string, at time.Time, hash string) (bool, error) {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM session_events WHERE session_id = $1 AND at = $2 AND hash = $3`, session, db.Micros(at), hash).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
