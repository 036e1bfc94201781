package frame

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp/translate"
)

// store keeps frames.
type store interface {
	// write keeps a batch, whose order it may change.
	write(ctx context.Context, batch []Exchange) error
	// list reads exchanges of a station, newest first.
	list(ctx context.Context, station string, f Filter) ([]Exchange, error)
	// purge forgets what is from before a moment; some of the same day may stay.
	purge(ctx context.Context, before time.Time) error
	usage(ctx context.Context) (Usage, error)
	// shrink gives back the memory of caches.
	shrink(ctx context.Context) error
	close() error
}

// Usage is what the log takes.
type Usage struct {
	Rows   int64 // an estimate, -1 when there is none
	Bytes  int64
	Oldest time.Time // beginning of the oldest day that is kept, zero when that is not known
	Parts  int       // files or partitions
}

// table keeps frames in one table, which on PostgreSQL is partitioned by day.
type table struct {
	db  *db.DB
	log *slog.Logger
}

func (s table) shrink(ctx context.Context) error { return s.db.Shrink(ctx) }

var insertFrame = db.NewInsert("frames", []string{"station_id", "at", "seq", "direction", "action", "text", "notes", "answer_at", "answer"},
	"ON CONFLICT DO NOTHING")

func (s table) write(ctx context.Context, batch []Exchange) error {
	slices.SortFunc(batch, func(a, b Exchange) int {
		return cmp.Or(strings.Compare(a.Station, b.Station), a.Time.Compare(b.Time), cmp.Compare(a.seq, b.seq))
	})
	return s.db.Write(ctx, func(tx *db.Tx) error {
		for i := range batch {
			e := &batch[i]
			var answer any
			if e.Answer != "" {
				answer = e.Answer
			}
			tx.Append(insertFrame, e.Station, db.Micros(e.Time), e.seq, e.Direction, e.Action, e.Text, notesText(e.Notes), db.ZeroMicros(e.AnswerAt), answer)
		}
		return nil
	})
}

func notesText(notes []translate.Note) any {
	if len(notes) == 0 {
		return nil
	}
	raw, err := json.Marshal(notes)
	if err != nil {
		return nil // strings always have a JSON form
	}
	return string(raw)
}

func (s table) list(ctx context.Context, station string, f Filter) ([]Exchange, error) {
	rows, err := s.db.Query(ctx, `SELECT at, seq, direction, action, text, notes, answer_at, answer FROM frames
		WHERE station_id = $1 AND at >= $2 AND at < $3 AND (at < $4 OR at = $4 AND seq < $5)
		AND ($6 = '' OR action = $6) AND ($7 = '' OR LOWER(text) LIKE LOWER($8) ESCAPE '\' OR LOWER(answer) LIKE LOWER($8) ESCAPE '\') ORDER BY at DESC, seq DESC LIMIT $9`,
		station, db.Micros(f.From), min(db.Micros(f.To), db.Micros(f.Before)+1), db.Micros(f.Before), f.BeforeSeq, f.Action, f.Contains, like(f.Contains), f.Limit)
	if err != nil {
		return nil, problem.Wrap("read the frames", err)
	}
	defer rows.Close()
	out := []Exchange{}
	for rows.Next() {
		e := Exchange{Station: station}
		var at int64
		var notes, answer sql.NullString
		var answerAt sql.NullInt64
		if err := rows.Scan(&at, &e.seq, &e.Direction, &e.Action, &e.Text, &notes, &answerAt, &answer); err != nil {
			return nil, problem.Wrap("read the frames", err)
		}
		e.Time, e.AnswerAt, e.Answer = db.Time(at), db.ZeroTime(answerAt), answer.String
		if notes.Valid {
			if err := json.Unmarshal([]byte(notes.String), &e.Notes); err != nil {
				return nil, problem.Wrap("read the frames", err)
			}
		}
		out = append(out, e)
	}
	return out, problem.Wrap("read the frames", rows.Err())
}

// daysAhead is for how many days there are partitions before they are needed.
const daysAhead = 3

// prepare makes the partitions of the next days.
func (s table) prepare(ctx context.Context, now time.Time) error {
	made, err := s.db.KeepPartitions(ctx, "frames", db.Daily, now, daysAhead)
	if len(made) > 0 {
		s.log.Info("partitions made", "table", "frames", "partitions", made)
	}
	return err
}

// purge drops the days that are past; what no partition was for goes row by row, and is little.
func (s table) purge(ctx context.Context, before time.Time) error {
	gone, err := s.db.DropPartitions(ctx, "frames", before)
	for _, p := range gone {
		s.log.Info("frames forgotten", "reason", "retention", "partition", p.Name, "before", p.To, "rows", p.Rows, "bytes", p.Bytes)
	}
	if err != nil {
		return problem.Wrap("purge the frames", err)
	}
	remains := "frames"
	if s.db.Engine() == db.Postgres {
		remains = "frames_default"
	}
	var n int64
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		res, err := tx.Exec(`DELETE FROM `+remains+` WHERE at < $1`, db.Micros(before))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if n > 0 {
		s.log.Info("frames forgotten", "reason", "retention", "before", before, "rows", n)
	}
	return problem.Wrap("purge the frames", errors.Join(err, s.prepare(ctx, time.Now())))
}

func (s table) usage(ctx context.Context) (Usage, error) {
	u := Usage{Rows: -1}
	list, err := s.db.Partitions(ctx, "frames")
	if err != nil {
		return u, problem.Wrap("measure the frames", err)
	}
	for _, p := range list {
		u.Bytes += p.Bytes
		u.Parts++
		if p.Rows >= 0 {
			u.Rows = max(u.Rows, 0) + p.Rows
		}
		if !p.Default && !p.From.IsZero() && (u.Oldest.IsZero() || p.From.Before(u.Oldest)) {
			u.Oldest = p.From
		}
	}
	return u, nil
}

func (s table) close() error { return nil } // its opener closes the database
