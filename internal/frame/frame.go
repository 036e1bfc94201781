// Package frame is the log of raw OCPP frames: what each station said and was told, to the letter, with what was
// translated or mended. Frames are written in batches a moment after they passed; the log may lose the last moments in a
// crash of the machine, the ledger does not depend on it.
package frame

import (
	"context"
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
	Station string
	// Organisation is whose station it is at the moment; those who follow the station live are told apart by it.
	Organisation string
	Time         time.Time
	Direction    string // of the call
	Action       string
	Text         string
	Notes        []translate.Note
	AnswerAt     time.Time // zero without an answer
	Answer       string

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
	store     store
	bus       *bus.Bus
	log       *slog.Logger
	retention time.Duration

	queue   chan Exchange
	seq     atomic.Int64
	dropped atomic.Int64
	waiting atomic.Int64 // bytes of the frames that wait
	flush   chan chan struct{}
	done    chan struct{}
	closing chan struct{}
	once    sync.Once
	ended   sync.Once
	endErr  error
	failure atomic.Pointer[error] // of the latest batch

	watchMu sync.RWMutex
	watched map[string]time.Time // stations whose frames somebody follows, until when
	watches *bus.Subscription
}

// queueLength bounds the memory of frames that wait to be written. When the disk cannot keep up, frames beyond it are
// not logged, and the log says how many.
const queueLength = 16_384

// maxWaiting bounds the texts of the frames that wait to be written, in bytes: some frames are a thousand times as long as
// others.
const maxWaiting = 64 << 20

// Options say where frames are kept and for how long.
type Options struct {
	// DB is the PostgreSQL database that keeps them, in a table partitioned by day. nil: files in Dir.
	DB *db.DB
	// Dir is the folder of the files, one for each day.
	Dir string
	// Retention is how long frames are kept; up to a day more, because whole days are forgotten.
	Retention time.Duration
	// MaxSize bounds the bytes of all files in Dir: the oldest go first, whatever Retention says. 0: no bound.
	MaxSize int64
	Log     *slog.Logger
}

// Open opens the log of a node and starts its writer. Migrations must have run in DB.
func Open(ctx context.Context, o Options, b *bus.Bus) (*Log, error) {
	if o.DB != nil {
		s := table{db: o.DB, log: o.Log}
		if err := s.prepare(ctx, time.Now()); err != nil {
			o.Log.Warn("no partitions of frames for the next days yet", "error", err) // the default one takes them
		}
		return newLog(s, b, o.Log, o.Retention)
	}
	s, err := openFilesIn(ctx, o.Dir, o.MaxSize, o.Log)
	if err != nil {
		return nil, err
	}
	l, err := newLog(s, b, o.Log, o.Retention)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return l, nil
}

// NewLog starts the writer of a node whose frames are all in one table of a database.
func NewLog(d *db.DB, b *bus.Bus, log *slog.Logger, retention time.Duration) (*Log, error) {
	return newLog(table{db: d, log: log}, b, log, retention)
}

func newLog(s store, b *bus.Bus, log *slog.Logger, retention time.Duration) (*Log, error) {
	l := &Log{store: s, bus: b, log: log, retention: retention, queue: make(chan Exchange, queueLength), flush: make(chan chan struct{}), done: make(chan struct{}),
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
			l.show(e.Organisation, f)
		}
	}
	if l.waiting.Add(e.size()) <= maxWaiting {
		select {
		case l.queue <- e:
			return
		default:
		}
	}
	l.waiting.Add(-e.size())
	l.dropped.Add(1)
}

// size is how much memory the texts take.
func (e *Exchange) size() int64 { return int64(len(e.Text) + len(e.Answer)) }

func cutText(text *string) bool {
	if len(*text) <= MaxText {
		return false
	}
	*text = strings.Clone((*text)[:MaxText]) // so that the rest is not kept
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
	size := int64(0)
	for i := range batch {
		size += batch[i].size()
	}
	err := l.store.write(context.Background(), batch)
	l.waiting.Add(-size)
	l.failure.Store(&err)
	if err != nil {
		l.dropped.Add(int64(len(batch)))
		l.log.Error("frames were not logged", "count", len(batch), "error", err)
	}
}

// Shrink gives back the memory that page caches have grown to.
func (l *Log) Shrink(ctx context.Context) error {
	return problem.Wrap("shrink the caches of the frames", l.store.shrink(ctx))
}

// Close writes what waits and ends the writer.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.closing) })
	<-l.done
	return l.closed()
}

// closed ends what the writer wrote to, once.
func (l *Log) closed() error {
	l.ended.Do(func() { l.endErr = errors.Join(l.watches.Unsubscribe(), l.store.close()) })
	return l.endErr
}

// Healthy is why the latest frames could not be kept, nil when they could.
func (l *Log) Healthy() error {
	if p := l.failure.Load(); p != nil {
		return *p
	}
	return nil
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
	return l.store.list(ctx, station, f)
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

// Purge forgets frames past their retention. It is cheap: whole days go at once.
func (l *Log) Purge(ctx context.Context, now time.Time) error {
	return l.store.purge(ctx, now.Add(-l.retention))
}

// Retention is how long frames are kept.
func (l *Log) Retention() time.Duration { return l.retention }

// Usage tells what the log takes at the moment.
func (l *Log) Usage(ctx context.Context) (Usage, error) { return l.store.usage(ctx) }
