// Package frame is the log of raw OCPP frames: what each station said and was told, to the letter, with what was
// translated or mended. Frames are written in batches a moment after they passed; the log may lose the last moments in a
// crash of the machine, the ledger does not depend on it.
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
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/translate"
)

// Note tells what was done with a frame: the kinds of package translate, and these.
const (
	Mended  translate.Kind = "mended"  // a known deviation was put right
	Warning translate.Kind = "warning" // a deviation was tolerated, or the frame refused
)

// Frame is one frame of a station's link.
type Frame struct {
	Station   string           `json:"-"`
	Seq       int64            `json:"seq" doc:"Orders frames of the same moment"`
	Time      time.Time        `json:"time"`
	Direction string           `json:"direction" enum:"in,out" doc:"in: from the station"`
	Type      string           `json:"type" enum:"CALL,CALLRESULT,CALLERROR,CALLRESULTERROR,SEND,INVALID"`
	MessageID string           `json:"messageId"`
	Action    string           `json:"action" doc:"Of the call; answers carry the action of their call"`
	Text      string           `json:"text"`
	Notes     []translate.Note `json:"notes"`
}

// The directions.
const (
	In  = "in"
	Out = "out"
)

// Exchange is a call with the answer that it got at once, or a frame by itself.
type Exchange struct {
	Station   string
	Time      time.Time
	Direction string // of the call
	Action    string
	Text      string
	Notes     []translate.Note
	AnswerAt  time.Time // zero without an answer
	Answer    string

	seq int64
}

// frames takes the exchange apart: the call, and the answer that went the other way.
func (e *Exchange) frames() []Frame {
	out := []Frame{frameOf(e, e.seq, e.Time, e.Direction, e.Text)}
	out[0].Notes = e.Notes
	if e.Answer != "" {
		back := Out
		if e.Direction == Out {
			back = In
		}
		out = append(out, frameOf(e, e.seq, e.AnswerAt, back, e.Answer))
	}
	return out
}

var typeNames = map[ocppj.MessageType]string{ocppj.Call: "CALL", ocppj.CallResult: "CALLRESULT", ocppj.CallError: "CALLERROR",
	ocppj.CallResultError: "CALLRESULTERROR", ocppj.Send: "SEND"}

func frameOf(e *Exchange, seq int64, at time.Time, direction, text string) Frame {
	f := Frame{Station: e.Station, Seq: seq, Time: at, Direction: direction, Action: e.Action, Text: text, Type: "INVALID", Notes: []translate.Note{}}
	if parsed, err := ocppj.Parse(text, ocpp.V21, false); err == nil { // 2.1 has every type of frame
		f.Type, f.MessageID = typeNames[parsed.Type], parsed.ID
		if f.Action == "" {
			f.Action = parsed.Action
		}
	}
	return f
}

// MaxText is how much of a frame is kept; a longer one is cut and says so.
const MaxText = 256 << 10

// Log keeps frames.
type Log struct {
	db        *db.DB
	bus       *bus.Bus
	log       *slog.Logger
	retention time.Duration

	queue   chan Exchange
	seq     atomic.Int64
	dropped atomic.Int64
	flush   chan chan struct{}
	done    chan struct{}
	closing chan struct{}
	once    sync.Once

	watchMu sync.RWMutex
	watched map[string]time.Time // stations whose frames somebody follows, until when
	watches *bus.Subscription
}

// queueLength bounds the memory of frames that wait to be written. When the disk cannot keep up, frames beyond it are
// not logged, and the log says how many.
const queueLength = 16_384

// NewLog starts the writer of a node.
func NewLog(d *db.DB, b *bus.Bus, log *slog.Logger, retention time.Duration) (*Log, error) {
	l := &Log{db: d, bus: b, log: log, retention: retention, queue: make(chan Exchange, queueLength), flush: make(chan chan struct{}), done: make(chan struct{}),
		closing: make(chan struct{}), watched: map[string]time.Time{}}
	l.seq.Store(time.Now().UnixMilli())
	sub, err := b.Subscribe(watchSubject+"*", l.watch)
	if err != nil {
		return nil, problem.Wrap("listen for followers of frames", err)
	}
	l.watches = sub
	go l.run()
	return l, nil
}

// Add logs an exchange. It never waits.
func (l *Log) Add(e Exchange) {
	e.seq = l.seq.Add(1)
	cut := cutText(&e.Text)
	if cutText(&e.Answer) || cut {
		e.Notes = append(slices.Clip(e.Notes), translate.Note{Kind: Warning, Text: "cut: the frame is longer than the log keeps"})
	}
	e.Text, e.Answer, e.Action = storable(e.Text), storable(e.Answer), storable(e.Action)
	if l.isWatched(e.Station) {
		for _, f := range e.frames() {
			l.show(f)
		}
	}
	select {
	case l.queue <- e:
	default:
		l.dropped.Add(1)
	}
}

func cutText(text *string) bool {
	if len(*text) <= MaxText {
		return false
	}
	*text = (*text)[:MaxText]
	return true
}

// storable replaces what PostgreSQL takes in no text, NUL and broken UTF-8: one such frame would cost the whole batch.
func storable(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", string(utf8.RuneError))
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// Dropped is how many frames were not logged because the disk did not keep up.
func (l *Log) Dropped() int64 { return l.dropped.Load() }

var insertFrame = db.NewInsert("frames", []string{"station_id", "at", "seq", "direction", "action", "text", "notes", "answer_at", "answer"},
	"ON CONFLICT DO NOTHING")

// A batch is large, so that the frames of one station in it stand beside each other on the disk: a row on a page of its
// own costs four times as much. Readers have it written at once.
const (
	batchSize  = 8192
	batchDelay = time.Second
)

func (l *Log) run() {
	defer close(l.done)
	batch := make([]Exchange, 0, 256)
	tick := time.NewTicker(batchDelay)
	defer tick.Stop()
	var told int64
	for {
		closing := false
		var waiting chan struct{}
		select {
		case e := <-l.queue:
			if batch = append(batch, e); len(batch) < batchSize {
				continue
			}
		case <-tick.C:
		case waiting = <-l.flush:
			batch = l.take(batch)
		case <-l.closing:
			closing = true
			batch = l.take(batch)
		}
		l.write(batch)
		clear(batch)
		batch = batch[:0]
		if cap(batch) > 1024 && len(l.queue) == 0 {
			batch = make([]Exchange, 0, 256) // a storm is over
		}
		if waiting != nil {
			close(waiting)
		}
		if n := l.dropped.Load(); n > told {
			l.log.Warn("frames were not logged: the disk does not keep up", "count", n-told)
			told = n
		}
		if closing {
			return
		}
	}
}

// take adds what is in the queue now.
func (l *Log) take(batch []Exchange) []Exchange {
	for n := len(l.queue); n > 0; n-- {
		batch = append(batch, <-l.queue)
	}
	return batch
}

// settle has everything written that was logged before.
func (l *Log) settle(ctx context.Context) error {
	written := make(chan struct{})
	select {
	case l.flush <- written:
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Log) write(batch []Exchange) {
	if len(batch) == 0 {
		return
	}
	slices.SortFunc(batch, func(a, b Exchange) int {
		return cmp.Or(strings.Compare(a.Station, b.Station), a.Time.Compare(b.Time), cmp.Compare(a.seq, b.seq))
	})
	err := l.db.Write(context.Background(), func(tx *db.Tx) error {
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
	if err != nil {
		l.dropped.Add(int64(len(batch)))
		l.log.Error("frames were not logged", "count", len(batch), "error", err)
	}
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

// Close writes what waits and ends the writer.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.closing) })
	<-l.done
	return l.watches.Unsubscribe()
}

// Filter selects frames.
type Filter struct {
	From, To  time.Time
	Action    string
	Contains  string // in the text, in upper or lower case
	Before    time.Time
	BeforeSeq int64
	Limit     int
}

// List reads exchanges of a station, newest first.
func (l *Log) List(ctx context.Context, station string, f Filter) ([]Exchange, error) {
	if err := l.settle(ctx); err != nil {
		return nil, problem.Wrap("write the latest frames", err)
	}
	rows, err := l.db.Query(ctx, `SELECT at, seq, direction, action, text, notes, answer_at, answer FROM frames
		WHERE station_id = $1 AND at >= $2 AND at < $3 AND (at < $4 OR at = $4 AND seq < $5)
		AND ($6 = '' OR action = $6) AND ($7 = '' OR LOWER(text) LIKE LOWER($8) ESCAPE '\' OR LOWER(answer) LIKE LOWER($8) ESCAPE '\') ORDER BY at DESC, seq DESC LIMIT $9`,
		station, db.Micros(f.From), db.Micros(f.To), db.Micros(f.Before), f.BeforeSeq, f.Action, f.Contains, like(f.Contains), f.Limit)
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

func like(s string) string {
	b := make([]byte, 0, len(s)+8)
	b = append(b, '%')
	for i := range len(s) {
		if s[i] == '%' || s[i] == '_' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '%'))
}

// Purge forgets frames past their retention.
func (l *Log) Purge(ctx context.Context, now time.Time) error {
	rows, err := l.db.Query(ctx, `SELECT DISTINCT station_id FROM frames`)
	if err != nil {
		return problem.Wrap("purge the frames", err)
	}
	var stations []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return problem.Wrap("purge the frames", err)
		}
		stations = append(stations, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return problem.Wrap("purge the frames", err)
	}
	for _, id := range stations { // by primary key, in steps, so that the writer is never held up for long
		if err := l.db.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(`DELETE FROM frames WHERE station_id = $1 AND at < $2`, id, db.Micros(now.Add(-l.retention)))
			return err
		}); err != nil {
			return problem.Wrap("purge the frames", err)
		}
	}
	return nil
}
