package session

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp/v21"
)

// Act is something that was done to a session and is no message of its station.
type Act struct {
	At   time.Time // zero: now
	Who  string    // a person, an API key, Guardian or Bookkeeper
	Kind string    // a short word for programs, as "end-assumed"
	Text string    // what was done and why, in words for people
	Data any       // optional particulars, written as JSON: a command's id, what was before and after
}

// Who acts when no person does.
const (
	Guardian   = "guardian"
	Bookkeeper = "ledger"
)

// The kinds of acts that the ledger itself records.
const (
	ActEndAssumed    = "end-assumed"    // the session was ended without its station's word
	ActUndone        = "undone"         // an assumed end gave way to the truth
	ActResumed       = "resumed"        // a session that was taken for ended goes on
	ActFlagResolved  = "flag-resolved"  // the reason of a flag has gone
	ActRemoteStarted = "remote-started" // the session is the effect of a command
)

var insertAct = db.NewInsert("session_acts", []string{"session_id", "at", "id", "who", "kind", "words", "data"}, "")

// Act records within a transaction what is done to a session in it.
func (l *Ledger) Act(tx *db.Tx, s *Session, a Act) {
	if a.At.IsZero() {
		a.At = tx.Now()
	}
	data := ""
	if a.Data != nil {
		raw, err := json.Marshal(a.Data)
		if err != nil { // a defect of the caller: the act itself must not be lost for it
			l.log.Error("act without its data", "session", s.ID, "kind", a.Kind, "error", err)
		}
		data = string(raw)
	}
	tx.Append(insertAct, s.ID, db.Micros(a.At), uuid.Must(uuid.NewV7()).String(), a.Who, a.Kind, a.Text, data)
}

// Record is [Ledger.Act] in a transaction of its own.
func (l *Ledger) Record(ctx context.Context, s *Session, a Act) error {
	err := l.db.WriteKey(ctx, string(s.Station), func(tx *db.Tx) error {
		l.Act(tx, s, a)
		return nil
	})
	return problem.Wrap("record what was done to the session", err)
}

// Entry is one thing of a session's timeline.
type Entry struct {
	ID          string          `json:"id"`
	At          time.Time       `json:"at" doc:"By our clock: a message's arrival, the moment of everything else"`
	Type        string          `json:"type" enum:"message,flag,act,command"`
	Kind        string          `json:"kind" doc:"Started, Updated or Ended; the flag's code; the act's kind; the command's action"`
	Text        string          `json:"text" doc:"In words for people"`
	Who         string          `json:"who" doc:"The station, a person or key, guardian or ledger"`
	Message     *MessageEntry   `json:"message,omitempty"`
	Data        json.RawMessage `json:"data,omitempty" doc:"Particulars of an act or a command"`
	StationTime *time.Time      `json:"stationTime,omitempty" doc:"By the station's clock, of messages"`
}

// MessageEntry is the short form of a message of the station.
type MessageEntry struct {
	Trigger       string `json:"trigger" doc:"Why the station sent it, empty when it does not tell"`
	SeqNo         *int   `json:"seqNo" doc:"Null when the station does not number its messages"`
	Offline       bool   `json:"offline" doc:"The station had no link when it happened"`
	ChargingState string `json:"chargingState"`
	RegisterWh    *int64 `json:"registerWh" doc:"Of the meter, when the message carries it"`
}

// Timeline reads what happened to a session in the order in which it became known here, with what further sources tell.
func (l *Ledger) Timeline(ctx context.Context, s *Session, further ...Entry) ([]Entry, error) {
	events, err := l.Events(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	acts, err := l.acts(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(further)
	for i := range events {
		out = append(out, messageEntry(s, &events[i]))
	}
	out = append(out, flagEntries(s, acts)...)
	out = append(out, acts...)
	slices.SortStableFunc(out, Entry.compare)
	return out, nil
}

// key places an entry among those of the same moment: orders before messages, what they caused after them.
func (e Entry) key() string {
	rank := slices.Index([]string{"command", "message", "flag", "act"}, e.Type)
	return strconv.Itoa(rank) + e.ID
}

func (e Entry) compare(o Entry) int { return cmp.Or(e.At.Compare(o.At), cmp.Compare(e.key(), o.key())) }

// Cursor is the entry's place in the timeline.
func (e Entry) Cursor() []string { return []string{strconv.FormatInt(db.Micros(e.At), 10), e.key()} }

// After drops the entries up to a cursor.
func After(list []Entry, cursor []string) ([]Entry, error) {
	if cursor[0] == "" {
		return list, nil
	}
	us, err := strconv.ParseInt(cursor[0], 10, 64)
	if err != nil {
		return nil, problem.Field("cursor", "is not a cursor of this list")
	}
	at := db.Time(us)
	first := slices.IndexFunc(list, func(e Entry) bool {
		return cmp.Or(e.At.Truncate(time.Microsecond).Compare(at), cmp.Compare(e.key(), cursor[1])) > 0
	})
	if first < 0 {
		return nil, nil
	}
	return list[first:], nil
}

func messageEntry(s *Session, e *Stored) Entry {
	r := e.Request
	at := r.Timestamp.UTC()
	m := &MessageEntry{Trigger: string(r.TriggerReason), Offline: r.Offline.Or(false), ChargingState: string(r.TransactionInfo.ChargingState.Or(""))}
	if s.Sequenced {
		n := r.SeqNo
		m.SeqNo = &n
	}
	for i := range r.MeterValue {
		if mwh, ok := total(&r.MeterValue[i], v21.MeasurandEnergyActiveImportRegister, milli); ok {
			m.RegisterWh = Register{MWh: mwh, Known: true}.wh()
		}
	}
	return Entry{ID: e.hash, At: e.ReceivedAt.UTC(), Type: "message", Kind: string(r.EventType), Who: string(s.Station), StationTime: &at,
		Message: m, Text: messageText(r, e.ReceivedAt)}
}

// lateAfter is how much later than its own time a message must arrive to be called late.
const lateAfter = 2 * time.Minute

func messageText(r *v21.TransactionEventRequest, received time.Time) string {
	text := map[v21.TransactionEventType]string{v21.TransactionEventTypeStarted: "The transaction started",
		v21.TransactionEventTypeUpdated: "The transaction goes on", v21.TransactionEventTypeEnded: "The transaction ended"}[r.EventType]
	if reason, ok := r.TransactionInfo.StoppedReason.Get(); ok && r.EventType == v21.TransactionEventTypeEnded {
		text += ": " + string(reason)
	}
	if late := received.Sub(r.Timestamp); late > lateAfter {
		text += " (told " + late.Round(time.Second).String() + " later)"
	}
	return text
}

// resolved is what an act of kind ActFlagResolved says of the flag.
type resolved struct {
	Code  string    `json:"code"`
	Text  string    `json:"text"`
	SetAt time.Time `json:"setAt"`
}

// flagEntries are the moments at which flags were set: those that the session carries, and those that were taken away.
func flagEntries(s *Session, acts []Entry) []Entry {
	var out []Entry
	set := func(code, text string, at time.Time) {
		id := code + "@" + strconv.FormatInt(db.Micros(at), 10)
		if slices.ContainsFunc(out, func(e Entry) bool { return e.ID == id }) { // it went after the end, and is kept
			return
		}
		out = append(out, Entry{ID: id, At: at.UTC(), Type: "flag", Kind: code, Text: text, Who: Bookkeeper})
	}
	for _, f := range s.Flags {
		set(f.Code, f.Text, f.At)
	}
	for _, a := range acts {
		var r resolved
		if a.Kind == ActFlagResolved && json.Unmarshal(a.Data, &r) == nil && r.Code != "" {
			set(r.Code, r.Text, r.SetAt)
		}
	}
	return out
}

// acts reads what was done to a session.
func (l *Ledger) acts(ctx context.Context, session string) ([]Entry, error) {
	rows, err := l.db.Query(ctx, `SELECT id, at, who, kind, words, data FROM session_acts WHERE session_id = $1 ORDER BY at, id`, session)
	if err != nil {
		return nil, problem.Wrap("read what was done to the session", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		e := Entry{Type: "act"}
		var at int64
		var data string
		if err := rows.Scan(&e.ID, &at, &e.Who, &e.Kind, &e.Text, &data); err != nil {
			return nil, problem.Wrap("read what was done to the session", err)
		}
		e.At = db.Time(at)
		if data != "" {
			e.Data = json.RawMessage(data)
		}
		out = append(out, e)
	}
	return out, problem.Wrap("read what was done to the session", rows.Err())
}
