// Package event carries what has happened to everybody who wants to know: the live stream of the console and the API,
// and other nodes. An event is written in the transaction of the fact that it tells of and published after the commit,
// so it is never early and never lost; what changes every few seconds (power, energy) is published only.
package event

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"lumela/internal/bus"
	"lumela/internal/db"
)

// Event is one thing that happened.
type Event struct {
	ID           string          `json:"id"` // UUIDv7: sorts by time
	Type         string          `json:"type"`
	Time         time.Time       `json:"time"`
	Organisation string          `json:"-"`
	Station      string          `json:"station,omitempty"`
	Data         json.RawMessage `json:"data"`
}

// The types of events.
const (
	StationPending     = "station.pending"
	StationAccepted    = "station.accepted"
	StationUpdated     = "station.updated"
	StationRemoved     = "station.removed"
	StationOnline      = "station.online"
	StationOffline     = "station.offline"
	ConnectorStatus    = "connector.status"
	SessionStarted     = "session.started"
	SessionUpdated     = "session.updated"     // not kept
	SessionEnded       = "session.ended"       // once for each session
	SessionCorrected   = "session.corrected"   // what had ended is not what it was taken for
	MessageQuarantined = "message.quarantined" // a station's message was kept, answered, and not processed
	CommandFinished    = "command.finished"
	// A remote start was accepted and no transaction came of it in time.
	RemoteStartExpired = "remotestart.expired"
	// A connector has been occupied or reserved for long without a session, and its end.
	ConnectorStuck   = "connector.stuck"
	ConnectorUnstuck = "connector.unstuck"
	NoticeReceived   = "notice"
	Security         = "security"
	Integrity        = "integrity"      // something stored is damaged
	WebhookPaused    = "webhook.paused" // it has failed for days, or its receiver is gone for good
	WebhookMissed    = "webhook.missed" // events may not have been delivered: they were not kept long enough
	Resync           = "resync"         // made by a stream that cannot resume: fetch everything again
)

// Retention is how long events are kept for streams that resume.
const Retention = 24 * time.Hour

// Log writes and publishes events.
type Log struct {
	db  *db.DB
	bus *bus.Bus
	log *slog.Logger
	hub Hub
}

// NewLog makes the log of a node.
func NewLog(d *db.DB, b *bus.Bus, log *slog.Logger) *Log {
	l := &Log{db: d, bus: b, log: log}
	l.hub.log = l
	return l
}

var insertEvent = db.NewInsert("events", []string{"organisation_id", "id", "type", "at", "station_id", "data"}, "ON CONFLICT DO NOTHING")

// New makes an event of now. Data that cannot be written as JSON is a defect of the caller.
func New(typ, organisation, station string, at time.Time, data any) Event {
	raw, err := json.Marshal(data)
	if err != nil {
		raw = []byte("null")
		slog.Error("event without data", "type", typ, "error", err)
	}
	return Event{ID: uuid.Must(uuid.NewV7()).String(), Type: typ, Time: at.UTC(), Organisation: organisation, Station: station, Data: raw}
}

// Record keeps the event in the transaction and publishes it after the commit.
func (l *Log) Record(tx *db.Tx, e Event) {
	tx.Append(insertEvent, e.Organisation, e.ID, e.Type, db.Micros(e.Time), e.Station, string(e.Data))
	tx.AfterCommit(func() { l.Publish(e) })
}

const subject = "lumela.event."

// Publish sends an event that is not kept.
func (l *Log) Publish(e Event) {
	if !l.hub.wanted() && !l.clustered() {
		return
	}
	body, err := json.Marshal(wire{e, e.Organisation})
	if err == nil {
		err = l.bus.Publish(subject+bus.Token(e.Organisation), body)
	}
	if err != nil {
		l.log.Warn("event not published", "type", e.Type, "error", err)
	}
}

// clustered reports whether other nodes may listen.
func (l *Log) clustered() bool { return l.bus.External() }

// Wanted reports whether anybody can be listening, so that callers may spare the making of an event that is not kept.
func (l *Log) Wanted() bool { return l.hub.wanted() || l.clustered() }

type wire struct {
	Event
	Org string `json:"org"`
}

// Hub gives each live stream of this node its events. It listens on the bus only while somebody listens to it.
type Hub struct {
	log     *Log
	mu      sync.Mutex
	streams map[*Stream]struct{}
	sub     *bus.Subscription
	tail    *tail  // nil where the bus is enough
	passed  recent // guarded by mu
	n       atomic.Int32
}

func (h *Hub) wanted() bool { return h.n.Load() > 0 }

// Stream is one listener's queue of events.
type Stream struct {
	C            chan Event // closed when the listener was too slow
	organisation string
	hub          *Hub
}

// streamBuffer is how many events a slow listener may lag before its stream is cut; it then resumes by its last id.
const streamBuffer = 4096

// Listen starts a stream of an organisation's events. Close must be called.
func (l *Log) Listen(organisation string) (*Stream, error) {
	h := &l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == nil {
		h.streams = map[*Stream]struct{}{}
	}
	if h.sub == nil {
		sub, err := l.bus.Subscribe(subject+"*", h.receive)
		if err != nil {
			return nil, fmt.Errorf("listen to events: %w", err)
		}
		h.sub = sub
	}
	s := &Stream{C: make(chan Event, streamBuffer), organisation: organisation, hub: h}
	h.streams[s] = struct{}{}
	h.n.Add(1)
	return s, nil
}

// Close ends the stream.
func (s *Stream) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s)
}

// drop removes a stream; the caller holds the lock.
func (h *Hub) drop(s *Stream) {
	if _, ok := h.streams[s]; !ok {
		return
	}
	delete(h.streams, s)
	close(s.C)
	h.n.Add(-1)
	if len(h.streams) == 0 && h.sub != nil {
		if err := h.sub.Unsubscribe(); err != nil {
			h.log.log.Warn("event subscription not ended", "error", err)
		}
		h.sub = nil
	}
	if len(h.streams) == 0 {
		h.passed.clear()
		if h.tail != nil {
			h.tail.cancel()
			h.tail = nil
		}
	}
}

func (h *Hub) receive(m bus.Msg) {
	var w wire
	if err := json.Unmarshal(m.Data, &w); err != nil {
		h.log.log.Warn("unreadable event", "error", err)
		return
	}
	w.Event.Organisation = w.Org
	h.deliver(w.Event)
}

// deliver passes an event on to the streams that want it, once.
func (h *Hub) deliver(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) == 0 || !h.passed.add(e.ID, time.Now()) {
		return
	}
	for s := range h.streams {
		if s.organisation != e.Organisation {
			continue
		}
		select {
		case s.C <- e:
		default:
			h.drop(s)
		}
	}
}

// Since reads the kept events that a listener may not have seen whose last one has this id, oldest first, at most most;
// some of the seconds before come again, with the same ids. ok is false when the id is older than the events that are
// kept, or too much was missed, so that the listener must fetch everything again.
func (l *Log) Since(ctx context.Context, organisation, id string, most int) (events []Event, ok bool, err error) {
	last, perr := uuid.Parse(id)
	if perr != nil || last.Version() != 7 {
		return nil, false, nil //nolint:nilerr // an id that is none of ours is as good as one that is forgotten
	}
	sec, nsec := last.Time().UnixTime()
	at := time.Unix(sec, nsec)
	if time.Since(at) > Retention {
		return nil, false, nil
	}
	events, ok, err = l.missed(ctx, organisation, id, at, most)
	if err != nil || !ok {
		return nil, false, err
	}
	return events, len(events) <= most, nil
}

// Purge forgets events past their retention.
func (l *Log) Purge(ctx context.Context, now time.Time) error {
	return l.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM events WHERE at < $1`, db.Micros(now.Add(-Retention)))
		return err
	})
}
