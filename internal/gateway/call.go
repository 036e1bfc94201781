package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"lumela/internal/bus"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// Answer is what a station answered, in 2.1 terms.
type Answer struct {
	Response ocpp.Response
	Notes    []translate.Note
}

// Call sends a 2.1 request to a station, on whichever node its link is, and waits for the answer.
func (g *Gateway) Call(ctx context.Context, id string, req ocpp.Request) (Answer, error) {
	if l := g.Link(id); l != nil {
		return l.Call(ctx, req)
	}
	if !g.bus.External() {
		return Answer{}, offline(id)
	}
	return g.callAfar(ctx, id, req)
}

func offline(id string) error { return problem.New(problem.Offline, "station %s has no link", id) }

// Call sends a 2.1 request to the station in its own version. Calls wait until the station has settled.
func (l *Link) Call(ctx context.Context, req ocpp.Request) (Answer, error) {
	if !l.calls.begin() { // the station is being sent to another node
		return Answer{}, offline(l.station.ID)
	}
	defer l.calls.end()
	if !l.accepted.Load() {
		if err := l.callBeforeAcceptance(req); err != nil {
			return Answer{}, err
		}
	} else {
		select {
		case <-l.ready:
		case <-l.ctx.Done():
			return Answer{}, offline(l.station.ID)
		case <-l.calls.leaving():
			return Answer{}, offline(l.station.ID)
		case <-ctx.Done():
			return Answer{}, problem.New(problem.Timeout, "the station has not settled yet; nothing was sent")
		}
	}
	l.words.Lock()
	l.dialogue.Now = time.Now()
	ex, err := translate.Lower(&l.dialogue, l.version, ocpp.CSMS, req)
	l.words.Unlock()
	if err != nil {
		return Answer{}, inexpressible(l.version, err)
	}
	ex.Notes = append(saidAs(req, ex.Requests), ex.Notes...)
	replies, err := l.exchange(ctx, ex)
	if err != nil {
		return Answer{Notes: ex.Notes}, err
	}
	l.words.Lock()
	out := ex.Answer(replies)
	l.words.Unlock()
	a := Answer{Response: out.Response, Notes: append(ex.Notes, out.Notes...)}
	if out.Err != nil {
		return a, &problem.Error{Kind: problem.Refused, Text: "the station answered " + out.Err.Error(), Err: out.Err}
	}
	l.handleThen(out.Then)
	return a, nil
}

// saidAs notes which other requests of the station's version carry out a request.
func saidAs(req ocpp.Request, said []ocpp.Request) []translate.Note {
	var names []string
	for _, r := range said {
		if name := r.ActionName(); name != req.ActionName() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []translate.Note{{Kind: translate.Emulated, Text: "sent as " + strings.Join(names, ", then ")}}
}

// exchange sends the requests of an exchange one after the other.
func (l *Link) exchange(ctx context.Context, ex translate.Exchange) ([]translate.Reply, error) {
	var replies []translate.Reply
	for i, req := range ex.Requests {
		if err := req.Validate(); err != nil {
			return nil, &problem.Error{Kind: problem.Inexpressible, Err: err,
				Text: "OCPP " + l.version.String() + " cannot carry this " + req.ActionName() + ": " + err.Error()}
		}
		resp, err := l.peer.Call(ctx, req)
		r := translate.Reply{Response: resp}
		if err != nil && !errors.As(err, &r.Err) {
			return nil, l.unanswered(err)
		}
		replies = append(replies, r)
		if ex.Ends(i, r) {
			break
		}
	}
	return replies, nil
}

// callBeforeAcceptance allows what a station in the waiting room may be asked, OCPP 2.0.1 B02.FR.02, and expects what it
// was triggered to say.
func (l *Link) callBeforeAcceptance(req ocpp.Request) error {
	switch r := req.(type) {
	case *v21.RequestStartTransactionRequest, *v21.RequestStopTransactionRequest:
		return problem.New(problem.Conflict, "the station has not been accepted yet") // OCPP 2.0.1 B02.FR.05
	case *v21.TriggerMessageRequest:
		l.expect(triggers(r.RequestedMessage)...)
	case *v21.GetBaseReportRequest, *v21.GetReportRequest:
		l.expect(v21.ActionNotifyReport)
	}
	return nil
}

// trigger is what a station that is not accepted may say for a while, in the words of any version.
type trigger struct {
	actions []string
	until   time.Time
}

// triggerFor is how long a station may take to say what it was asked for.
const triggerFor = time.Minute

// expect adds to what the station may say.
func (l *Link) expect(actions ...string) {
	t := &trigger{actions: actions, until: time.Now().Add(triggerFor)}
	if old := l.triggered.Load(); old != nil && time.Now().Before(old.until) {
		t.actions = append(t.actions, old.actions...)
	}
	l.triggered.Store(t)
}

// asked reports whether the station was asked for a message.
func (l *Link) asked(action string) bool {
	t := l.triggered.Load()
	return t != nil && time.Now().Before(t.until) && slices.Contains(t.actions, action)
}

// triggers are the messages by which stations of any version answer a trigger.
func triggers(m v21.MessageTrigger) []string {
	switch m {
	case v21.MessageTriggerLogStatusNotification:
		return []string{string(m), "DiagnosticsStatusNotification"}
	case v21.MessageTriggerFirmwareStatusNotification:
		return []string{string(m), "SignedFirmwareStatusNotification"}
	case v21.MessageTriggerTransactionEvent:
		return []string{string(m), v21.ActionMeterValues}
	}
	if strings.HasPrefix(string(m), "Sign") {
		return []string{v21.ActionSignCertificate}
	}
	return []string{string(m)}
}

// handleThen gives the platform what follows from an answer as if the station had said it.
func (l *Link) handleThen(then []ocpp.Request) {
	for _, req := range then {
		if _, cerr := l.gateway.platform.Handle(l.ctx, l, req); cerr != nil {
			l.gateway.log.Warn("message that follows an answer refused", "station", l.station.ID, "action", req.ActionName(), "error", cerr)
		}
	}
}

func inexpressible(v ocpp.Version, err error) error {
	var refusal *translate.Refusal
	if errors.As(err, &refusal) {
		return &problem.Error{Kind: problem.Inexpressible, Field: refusal.Path, Text: refusal.Reason + " (the station speaks OCPP " + v.String() + ")", Err: err}
	}
	return problem.Wrap("translate the request", err)
}

// unanswered says what is known when no answer came.
func (l *Link) unanswered(err error) error {
	e := &problem.Error{Kind: problem.Timeout, Err: err}
	switch {
	case errors.Is(err, ocppj.ErrClosed):
		e.Text = "the link ended before the answer came; whether the station acted is not known"
	case errors.Is(err, ocppj.ErrQueueFull):
		e.Kind, e.Text = problem.TooMany, "too many requests are waiting for this station"
	case errors.Is(err, ocppj.ErrBadAnswer):
		e.Kind, e.Text = problem.Refused, "the station's answer is not valid: "+err.Error()
	default:
		e.Text = "the station did not answer in time; whether it acted is not known"
	}
	return e
}

// Between nodes, a call travels as a request on the subject of its station; the node that holds the link answers.

const (
	callSubject = "lumela.call."
	linkSubject = "lumela.link."
)

type callWire struct {
	Station string          `json:"station"`
	Action  string          `json:"action"`
	Payload json.RawMessage `json:"payload"`
	Until   time.Time       `json:"until"`
}

type answerWire struct {
	Response json.RawMessage  `json:"response,omitempty"`
	Notes    []translate.Note `json:"notes,omitempty"`
	Kind     problem.Kind     `json:"kind"`
	Text     string           `json:"text,omitempty"`
	Field    string           `json:"field,omitempty"`
	Failed   bool             `json:"failed,omitempty"`
	Miss     bool             `json:"miss,omitempty"` // this node does not hold the link
}

func (g *Gateway) callAfar(ctx context.Context, id string, req ocpp.Request) (Answer, error) {
	if !g.bus.Healthy() { // the request would wait for the bus and nobody would know
		return Answer{}, offline(id)
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(g.o.CallTimeout)
	}
	body, err := json.Marshal(callWire{Station: id, Action: req.ActionName(), Payload: ocpp.Marshal(req), Until: until})
	if err != nil {
		return Answer{}, problem.Wrap("write the request", err)
	}
	raw, err := g.bus.Request(ctx, callSubject+bus.Token(id), body)
	switch {
	case errors.Is(err, bus.ErrNoResponders):
		return Answer{}, offline(id)
	case errors.Is(err, bus.ErrClosed):
		return Answer{}, &problem.Error{Op: "reach the node of the station", Kind: problem.Unavailable, Text: "this node is being stopped; nothing was sent", Err: err}
	case err != nil: // it may have arrived
		return Answer{}, &problem.Error{Op: "reach the node of the station", Kind: problem.Timeout, Err: err,
			Text: "no answer came from the node that holds the station's link; whether the station acted is not known"}
	}
	return readAnswer(id, req, raw)
}

func readAnswer(id string, req ocpp.Request, raw []byte) (Answer, error) {
	var w answerWire
	if err := json.Unmarshal(raw, &w); err != nil {
		return Answer{}, problem.Wrap("read the answer of the station's node", err)
	}
	a := Answer{Notes: w.Notes}
	switch {
	case w.Miss:
		return a, offline(id)
	case w.Failed:
		return a, &problem.Error{Kind: w.Kind, Text: w.Text, Field: w.Field}
	case len(w.Response) > 0:
		a.Response = req.NewResponse()
		if violations := ocpp.Decode(string(w.Response), a.Response, false); violations != nil {
			if _, bad := violations.First(); bad {
				return a, problem.Wrap("read the station's answer", violations)
			}
		}
	}
	return a, nil
}

// joinCluster listens for calls to the stations of this node and for links that replace ours. Each station has its own
// subject, subscribed while its link is live.
func (g *Gateway) joinCluster() error {
	sub, err := g.bus.Subscribe(linkSubject+"*", func(m bus.Msg) {
		var n struct{ Station, Link string }
		if json.Unmarshal(m.Data, &n) != nil {
			return
		}
		if l := g.Link(n.Station); l != nil && l.id != n.Link {
			g.Counters.Replaced.Add(1)
			l.close(1000, replaced+" on another node")
		}
	})
	if err != nil {
		return err
	}
	g.subs = append(g.subs, sub)
	return g.hearRemovals()
}

// announce lets other nodes close their link of the same station, and takes the calls for it.
func (g *Gateway) announce(l *Link) {
	if !g.bus.External() {
		return
	}
	body, err := json.Marshal(map[string]string{"Station": l.station.ID, "Link": l.id})
	if err == nil {
		err = g.bus.Publish(linkSubject+bus.Token(l.station.ID), body)
	}
	if err != nil {
		g.log.Warn("link not announced to other nodes", "station", l.station.ID, "error", err)
	}
	sub, err := g.bus.Subscribe(callSubject+bus.Token(l.station.ID), func(m bus.Msg) { go g.answerAfar(l, m) })
	if err != nil {
		g.log.Error("link not reachable from other nodes", "station", l.station.ID, "error", err)
		return
	}
	context.AfterFunc(l.ctx, func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, bus.ErrClosed) {
			g.log.Warn("link still announced", "station", l.station.ID, "error", err)
		}
	})
}

func (g *Gateway) answerAfar(l *Link, m bus.Msg) {
	var call callWire
	var w answerWire
	if err := json.Unmarshal(m.Data, &call); err != nil {
		return
	}
	ctx, cancel := context.WithDeadline(l.ctx, call.Until)
	defer cancel()
	req := v21.NewRequest(call.Action)
	if req == nil {
		w.Failed, w.Kind, w.Text = true, problem.Invalid, "unknown action"
	} else {
		_ = ocpp.Decode(string(call.Payload), req, false) // it was validated where it came in
		a, err := l.Call(ctx, req)
		w.Notes = a.Notes
		if a.Response != nil {
			w.Response = ocpp.Marshal(a.Response)
		}
		if err != nil {
			e := problem.Of(err)
			w.Failed, w.Kind, w.Text, w.Field = true, e.Kind, e.Text, e.Field
		}
	}
	body, err := json.Marshal(w)
	if err == nil {
		err = m.Respond(body)
	}
	if err != nil {
		g.log.Warn("answer not sent to the other node", "station", l.station.ID, "error", err)
	}
}
