// Package command sends operations to stations, in OCPP 2.1 terms whatever version a station speaks: at once, or when an
// offline station comes back. Every command and its result is kept.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// Status is how far a command got.
type Status string

// The states of a command.
const (
	Queued  Status = "queued"  // waits for the station to come back
	Sent    Status = "sent"    // on its way
	OK      Status = "ok"      // answered; whether the station agreed is in the response
	Failed  Status = "failed"  // refused, or not possible
	Unclear Status = "timeout" // no answer in time: the station may have acted
	Expired Status = "expired" // the station did not come back in time
)

// Command is one operation on one station.
type Command struct {
	ID           string
	Organisation string
	Station      station.ID
	Action       string
	Request      string // OCPP 2.1 payload, secrets blanked
	Status       Status
	Response     string // OCPP 2.1 payload, "" for none
	Error        string
	Translation  []translate.Note
	By           string
	CreatedAt    time.Time
	FinishedAt   time.Time
	ExpiresAt    time.Time
	Outcome      *Outcome // what came of a remote start; nil while it is not known, and for all other commands
}

// Result is the answer of a station, in 2.1 terms.
type Result struct {
	Response ocpp.Response
	Notes    []translate.Note
}

// Caller reaches the stations. Its errors are problems: Offline when the station has no link, Timeout when no answer came,
// Inexpressible when its version cannot say the request, Refused when it answered with an error, TooMany when too many
// calls wait for it, Unavailable when its node cannot be reached. After Offline and Unavailable nothing was sent.
type Caller interface {
	Call(ctx context.Context, id station.ID, req ocpp.Request) (Result, error)
}

// Observer hears of commands that stations have answered, before the caller does.
type Observer func(ctx context.Context, organisation string, id station.ID, req ocpp.Request, resp ocpp.Response) error

// Commands sends and keeps commands.
type Commands struct {
	db       *db.DB
	events   *event.Log
	stations *station.Stations
	caller   Caller
	log      *slog.Logger
	observe  Observer
	node     func() string // name of this node, under which it takes commands

	mu         sync.Mutex
	delivering map[station.ID]bool // stations that Deliver runs for; true: it must look again
}

// New makes the sender. observe may be nil.
func New(d *db.DB, events *event.Log, stations *station.Stations, caller Caller, log *slog.Logger, observe Observer) *Commands {
	c := &Commands{db: d, events: events, stations: stations, caller: caller, log: log, observe: observe,
		node: func() string { return "" }, delivering: map[station.ID]bool{}}
	stations.OnRemove(c.cancel, nil)
	return c
}

// Bounds of waiting.
const (
	DefaultWait = 30 * time.Second
	MaxWait     = 5 * time.Minute
	QueueFor    = 7 * 24 * time.Hour // how long a queued command waits for its station
)

// Parse reads a 2.1 payload strictly, and holds it to the rules that a CSMS must keep. The error names the field.
func Parse(action string, payload []byte) (ocpp.Request, error) {
	req := v21.NewRequest(action)
	switch {
	case req == nil:
		return nil, problem.New(problem.NotFound, "OCPP 2.1 has no action %s", action)
	case req.Sender()&ocpp.CSMS == 0:
		return nil, problem.New(problem.Invalid, "%s is sent by stations, not to them", action)
	}
	if len(strings.TrimSpace(string(payload))) == 0 {
		payload = []byte("{}")
	}
	if violations := ocpp.Decode(string(payload), req, true); len(violations) > 0 {
		v := violations[0]
		return nil, &problem.Error{Kind: problem.Invalid, Field: v.Path, Text: v.Reason, Err: violations}
	}
	return req, check(req)
}

// Order is what to send.
type Order struct {
	Station station.ID
	Request ocpp.Request
	Wait    time.Duration // 0: DefaultWait
	Queue   bool          // keep it for an offline station
}

// Send sends a command and waits for the answer. With Queue, and the station offline, the command is kept and its status
// is Queued. The command is returned with errors too, when it was kept.
func (c *Commands) Send(ctx context.Context, p account.Principal, o Order) (*Command, Result, error) {
	if _, err := c.stations.Of(ctx, p.Organisation, o.Station); err != nil {
		return nil, Result{}, err
	}
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	cmd := &Command{ID: uuid.Must(uuid.NewV7()).String(), Organisation: p.Organisation, Station: o.Station, Action: o.Request.ActionName(),
		Request: public(o.Request), Status: Sent, By: p.Name, CreatedAt: time.Now()}
	cmd.ExpiresAt = cmd.CreatedAt.Add(QueueFor)
	payload := cmd.Request
	if o.Queue { // it may have to be sent from here later, with its secrets
		payload = string(ocpp.Marshal(o.Request))
	}
	if o.Queue {
		behind, err := c.queued(ctx, o.Station)
		if err != nil {
			return nil, Result{}, err
		}
		if behind { // in its turn
			return c.join(ctx, cmd, payload)
		}
	}
	if err := c.add(ctx, cmd, payload); err != nil {
		return nil, Result{}, err
	}
	res, err := c.run(ctx, cmd, o.Request, o.Wait)
	if o.Queue && unsent(err) {
		return cmd, Result{}, c.enqueue(context.WithoutCancel(ctx), cmd)
	}
	c.settle(cmd, res, err)
	if ferr := c.finish(context.WithoutCancel(ctx), cmd); ferr != nil {
		return cmd, res, errors.Join(err, ferr)
	}
	return cmd, res, err
}

// enqueue keeps a command until its station comes back. It may have done so meanwhile and found nothing waiting.
func (c *Commands) enqueue(ctx context.Context, cmd *Command) error {
	cmd.Status = Queued
	if err := c.finish(ctx, cmd); err != nil {
		return err
	}
	c.deliverIfOnline(ctx, cmd)
	return nil
}

// run makes the call and lets the observer hear of the answer.
func (c *Commands) run(ctx context.Context, cmd *Command, req ocpp.Request, wait time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	res, err := c.call(ctx, cmd.Station, req)
	if err != nil || c.observe == nil || res.Response == nil {
		return res, err
	}
	return res, c.observe(context.WithoutCancel(ctx), cmd.Organisation, cmd.Station, req, res.Response)
}

func (c *Commands) call(ctx context.Context, id station.ID, req ocpp.Request) (Result, error) {
	if r, ok := req.(*v21.SendLocalListRequest); ok {
		return c.sendList(ctx, id, r)
	}
	return c.caller.Call(ctx, id, req)
}

// settle writes the outcome into the command.
func (c *Commands) settle(cmd *Command, res Result, err error) {
	cmd.Translation, cmd.FinishedAt = res.Notes, time.Now()
	if res.Response != nil {
		cmd.Response = public(res.Response)
	}
	switch {
	case err == nil:
		cmd.Status = OK
	case problem.Of(err).Kind == problem.Timeout:
		cmd.Status, cmd.Error = Unclear, problem.Of(err).Text
	default:
		cmd.Status, cmd.Error = Failed, problem.Of(err).Text
	}
}

// Deliver sends the commands that wait for a station, in their order, until it is offline again or none is left. While
// it runs for a station, a second call only makes it look again.
func (c *Commands) Deliver(ctx context.Context, organisation string, id station.ID) {
	c.mu.Lock()
	if _, runs := c.delivering[id]; runs {
		c.delivering[id] = true
		c.mu.Unlock()
		return
	}
	c.delivering[id] = false
	c.mu.Unlock()
	for {
		c.deliverAll(ctx, organisation, id)
		c.mu.Lock()
		if !c.delivering[id] {
			delete(c.delivering, id)
			c.mu.Unlock()
			return
		}
		c.delivering[id] = false
		c.mu.Unlock()
	}
}

func (c *Commands) deliverAll(ctx context.Context, organisation string, id station.ID) {
	for {
		cmd, payload, err := c.nextQueued(ctx, organisation, id)
		if err != nil {
			if !db.IsOutage(err) { // which is told once; it is sent after the next connection
				c.log.Error("queued command not read", "station", id, "error", err)
			}
			return
		}
		if cmd == nil {
			return
		}
		offline := false
		if time.Now().After(cmd.ExpiresAt) {
			cmd.Status, cmd.Error, cmd.FinishedAt = Expired, "the station did not come back in time", time.Now()
		} else if offline = c.deliverOne(ctx, cmd, payload); offline {
			cmd.Status = Queued
		}
		if err := c.finish(context.WithoutCancel(ctx), cmd); err != nil {
			c.log.Error("queued command not finished", "station", id, "error", err)
			return
		}
		if offline {
			return
		}
	}
}

func (c *Commands) deliverOne(ctx context.Context, cmd *Command, payload string) (offline bool) {
	req, err := Parse(cmd.Action, []byte(payload))
	if err != nil {
		c.settle(cmd, Result{}, err)
		return false
	}
	res, err := c.run(ctx, cmd, req, DefaultWait)
	if unsent(err) {
		return true
	}
	c.settle(cmd, res, err)
	return false
}

// View is a command as the API shows it.
type View struct {
	ID          string           `json:"id"`
	Station     string           `json:"station"`
	Action      string           `json:"action"`
	Request     json.RawMessage  `json:"request"`
	Status      Status           `json:"status" enum:"queued,sent,ok,failed,timeout,expired"`
	Response    json.RawMessage  `json:"response,omitempty"`
	Error       string           `json:"error,omitempty"`
	Translation []translate.Note `json:"translation"`
	By          string           `json:"by"`
	CreatedAt   time.Time        `json:"createdAt"`
	FinishedAt  *time.Time       `json:"finishedAt"`
	Outcome     *Outcome         `json:"outcome,omitempty" doc:"What came of an accepted remote start"`
}

func (cmd *Command) view() View {
	v := View{ID: cmd.ID, Station: string(cmd.Station), Action: cmd.Action, Request: json.RawMessage(cmd.Request), Status: cmd.Status,
		Error: cmd.Error, Translation: cmd.Translation, By: cmd.By, CreatedAt: cmd.CreatedAt.UTC(), Outcome: cmd.Outcome}
	if v.Translation == nil {
		v.Translation = []translate.Note{}
	}
	if cmd.Response != "" {
		v.Response = json.RawMessage(cmd.Response)
	}
	if !cmd.FinishedAt.IsZero() {
		t := cmd.FinishedAt.UTC()
		v.FinishedAt = &t
	}
	return v
}
