// Package frame is the log of raw OCPP frames: what each station said and was told, to the letter, with what was
// translated or mended. Frames are written in batches a moment after they passed; the log may lose the last moments in a
// crash of the machine, the ledger does not depend on it.
package frame

import (
	"context"
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

// MaxText is how much of a frame is kept; a longer one is cut and says so.
const MaxText = 256 << 10

// Log keeps frames.
type Log struct {
	db        *db.DB
	bus       *bus.Bus
	log       *slog.Logger
	retention time.Duration

	queue   chan Frame
	seq     atomic.Int64
	dropped atomic.Int64
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
	l := &Log{db: d, bus: b, log: log, retention: retention, queue: make(chan Frame, queueLength), done: make(chan struct{}),
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

// Add logs a frame. It never waits.
func (l *Log) Add(f Frame) {
	f.Seq = l.seq.Add(1)
	if len(f.Text) > MaxText {
		f.Text = f.Text[:MaxText]
		f.Notes = append(slices.Clip(f.Notes), translate.Note{Kind: Warning, Text: "cut: the frame is longer than the log keeps"})
	}
	f.Text, f.MessageID, f.Action = storable(f.Text), storable(f.MessageID), storable(f.Action)
	if l.isWatched(f.Station) {
		l.show(f)
	}
	select {
	case l.queue <- f:
	default:
		l.dropped.Add(1)
	}
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

var insertFrame = db.NewInsert("frames", []string{"station_id", "at", "seq", "direction", "type", "message_id", "action", "text", "notes"},
	"ON CONFLICT DO NOTHING")

const (
	batchSize  = 2048
	batchDelay = 200 * time.Millisecond
)

func (l *Log) run() {
	defer close(l.done)
	batch := make([]Frame, 0, batchSize)
	tick := time.NewTicker(batchDelay)
	defer tick.Stop()
	var told int64
	for {
		closing := false
		select {
		case f := <-l.queue:
			if batch = append(batch, f); len(batch) < batchSize {
				continue
			}
		case <-tick.C:
		case <-l.closing:
			closing = true
			for len(l.queue) > 0 {
				batch = append(batch, <-l.queue)
			}
		}
		l.write(batch)
		clear(batch)
		batch = batch[:0]
		if n := l.dropped.Load(); n > told {
			l.log.Warn("frames were not logged: the disk does not keep up", "count", n-told)
			told = n
		}
		if closing {
			return
		}
	}
}

func (l *Log) write(batch []Frame) {
	if len(batch) == 0 {
		return
	}
	err := l.db.Write(context.Background(), func(tx *db.Tx) error {
		for i := range batch {
			f := &batch[i]
			tx.Append(insertFrame, f.Station, db.Micros(f.Time), f.Seq, f.Direction, f.Type, f.MessageID, f.Action, f.Text, notesText(f.Notes))
		}
		return nil
	})
	if err != nil {
		l.dropped.Add(int64(len(batch)))
		l.log.Error("frames were not logged", "count", len(batch), "error", err)
	}
}

func notesText(notes []translate.Note) string {
	if len(notes) == 0 {
		return ""
	}
	raw, err := json.Marshal(notes)
	if err != nil {
		return ""
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

// List reads frames of a station, newest first.
func (l *Log) List(ctx context.Context, station string, f Filter) ([]Frame, error) {
	rows, err := l.db.Query(ctx, `SELECT at, seq, direction, type, message_id, action, text, notes FROM frames
		WHERE station_id = $1 AND at >= $2 AND at < $3 AND (at < $4 OR at = $4 AND seq < $5)
		AND ($6 = '' OR action = $6) AND ($7 = '' OR LOWER(text) LIKE LOWER($8) ESCAPE '\') ORDER BY at DESC, seq DESC LIMIT $9`,
		station, db.Micros(f.From), db.Micros(f.To), db.Micros(f.Before), f.BeforeSeq, f.Action, f.Contains, like(f.Contains), f.Limit)
	if err != nil {
		return nil, problem.Wrap("read the frames", err)
	}
	defer rows.Close()
	out := []Frame{}
	for rows.Next() {
		fr := Frame{Station: station, Notes: []translate.Note{}}
		var at int64
		var notes string
		if err := rows.Scan(&at, &fr.Seq, &fr.Direction, &fr.Type, &fr.MessageID, &fr.Action, &fr.Text, &notes); err != nil {
			return nil, problem.Wrap("read the frames", err)
		}
		fr.Time = db.Time(at)
		if notes != "" {
			if err := json.Unmarshal([]byte(notes), &fr.Notes); err != nil {
				return nil, problem.Wrap("read the frames", err)
			}
		}
		out = append(out, fr)
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
