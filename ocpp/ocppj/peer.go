package ocppj

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/google/uuid"

	"lumela/ocpp"
)

// Errors of Peer.Call besides *ocpp.CallError, which is the other end's refusal.
var (
	// ErrClosed: the link ended. Whether the other end has acted on the call is not known.
	ErrClosed = errors.New("the link was closed before the answer came")
	// ErrQueueFull: too many calls wait for this station already.
	ErrQueueFull = errors.New("too many calls are waiting on this link")
	// ErrTimeout: no answer within the time for one. The other end may have acted on the call.
	ErrTimeout = errors.New("no answer in time")
	// ErrBadAnswer: the answer breaks the schema so that it cannot be used.
	ErrBadAnswer = errors.New("the answer is not valid")
)

// Options of a Peer.
type Options struct {
	Version ocpp.Version
	Role    ocpp.Role // of this end
	Strict  bool      // refuse what a lenient reader tolerates
	Timeout time.Duration
	Queue   int // most calls that wait for the one under way
	// Send writes a frame; the bytes may be kept.
	Send func(frame []byte) error
	// Serve answers an incoming request with Reply or Fail, before it returns or later. Calls come one at a time, in
	// the order of the frames.
	Serve func(in *Incoming)
	// Tolerate says whether a violation that is an error by the schema is accepted all the same. nil: never.
	Tolerate func(action string, v ocpp.Violation) bool
	// Oddity hears of frames that are ignored or answered with an error, and of warnings. nil: nobody does.
	Oddity func(text string)
}

// Peer is one end of one link: it answers the other end's calls and correlates its own. Only one CALL is under way in
// each direction, the rest waits in order (OCPP-J 1.6 4.1.1, OCPP 2.1 Part 4 4.1.1).
type Peer struct {
	o Options

	mu      sync.Mutex
	current *outgoing
	waiting []*outgoing
	closed  bool

	// answered remembers the last answers, so that a repeated frame gets the same one.
	answered [4]stored
	next     int
}

type stored struct {
	id   string
	hash uint64
	text []byte
}

type outgoing struct {
	id    string
	req   ocpp.Request
	reply chan answer
	sent  time.Time // zero while it waits for its turn
}

type answer struct {
	resp ocpp.Response
	err  error
}

// Incoming is a request of the other end.
type Incoming struct {
	ID         string
	Action     string
	Request    ocpp.Request
	Violations ocpp.Violations // tolerated ones
	Payload    string

	peer *Peer
	hash uint64
}

// NewPeer makes one end of a link.
func NewPeer(o Options) *Peer {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Queue <= 0 {
		o.Queue = 64
	}
	return &Peer{o: o}
}

// Receive takes the next frame from the wire. It is called by one goroutine.
func (p *Peer) Receive(text string) {
	f, ferr := Parse(text, p.o.Version, p.o.Strict)
	if ferr != nil {
		p.oddity("frame refused: " + ferr.Error())
		if !ferr.Ignore && ferr.Answerable {
			p.send(AppendError(nil, p.o.Version, ferr.ID, &ferr.Err))
		}
		return
	}
	if f.Warning != "" {
		p.oddity(f.Warning)
	}
	switch f.Type {
	case Call, Send:
		p.request(f)
	default:
		p.answer(f)
	}
}

var hashSeed = maphash.MakeSeed()

func (p *Peer) request(f Frame) {
	in := &Incoming{ID: f.ID, Action: f.Action, Payload: f.Payload, peer: p}
	if f.Type == Call {
		var h maphash.Hash
		h.SetSeed(hashSeed)
		_, _ = h.WriteString(f.Action)
		_ = h.WriteByte(0)
		_, _ = h.WriteString(f.Payload)
		in.hash = h.Sum64()
		if text, again := p.repeated(f.ID, in.hash); text != nil {
			p.oddity("frame repeated, the stored answer is sent again")
			p.send(text)
			return
		} else if again {
			p.oddity("message id used again for another message")
		}
	}
	req, violations, cerr := DecodeRequest(p.o.Version, p.o.Role.Other(), f.Action, f.Payload, p.o.Strict)
	if cerr == nil {
		cerr = p.judge(req, violations, f.Type)
	}
	if cerr != nil {
		p.oddity(f.Action + " refused: " + cerr.Error())
		if f.Type == Call {
			in.Fail(cerr)
		}
		return
	}
	in.Request, in.Action, in.Violations = req, req.ActionName(), violations
	p.o.Serve(in)
}

// repeated finds the stored answer to the same frame, and whether the id was used before for another one.
func (p *Peer) repeated(id string, hash uint64) (text []byte, other bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.answered {
		if s.text != nil && s.id == id {
			if s.hash == hash {
				return s.text, false
			}
			other = true
		}
	}
	return nil, other
}

// judge finds the first violation that may not be tolerated, and whether the frame has the type of its action.
func (p *Peer) judge(req ocpp.Request, violations ocpp.Violations, typ MessageType) *ocpp.CallError {
	if send := req.NewResponse() == nil; send != (typ == Send) {
		return &ocpp.CallError{Code: ocpp.FormatViolation, Description: "wrong message type for " + req.ActionName()}
	}
	for i := range violations {
		v := &violations[i]
		if v.Tolerated {
			continue
		}
		if p.o.Tolerate != nil && p.o.Tolerate(req.ActionName(), *v) {
			v.Tolerated = true
			continue
		}
		return &ocpp.CallError{Code: v.Code, Description: v.Error()}
	}
	return nil
}

// Reply answers a request. The answer to a SEND is not sent.
func (in *Incoming) Reply(resp ocpp.Response) {
	if in.Request != nil && in.Request.NewResponse() == nil {
		return
	}
	in.finish(AppendResult(make([]byte, 0, 128), in.ID, resp))
}

// Fail refuses a request. A SEND is never answered.
func (in *Incoming) Fail(e *ocpp.CallError) {
	if in.Request != nil && in.Request.NewResponse() == nil {
		return
	}
	in.finish(AppendError(make([]byte, 0, 128), in.peer.o.Version, in.ID, e))
}

func (in *Incoming) finish(text []byte) {
	p := in.peer
	if len(text) <= 1024 && !tellsTime(in.Action) { // longer answers are made again: repeating a request is harmless
		p.mu.Lock()
		p.answered[p.next] = stored{id: in.ID, hash: in.hash, text: text}
		p.next = (p.next + 1) % len(p.answered)
		p.mu.Unlock()
	}
	p.send(text)
}

// tellsTime reports whether the answer to an action tells the time, so that an old one would be wrong. Some stations use one
// message id for ever.
func tellsTime(action string) bool { return action == "Heartbeat" || action == "BootNotification" }

func (p *Peer) send(text []byte) {
	if err := p.o.Send(text); err != nil {
		p.oddity("not sent: " + err.Error())
	}
}

func (p *Peer) oddity(text string) {
	if p.o.Oddity != nil {
		p.o.Oddity(text)
	}
}

// answer gives a CALLRESULT, CALLERROR or CALLRESULTERROR to the call that waits for it.
func (p *Peer) answer(f Frame) {
	if f.Type == CallResultError {
		p.oddity("the other end could not use our answer: " + f.Error.Error())
		return
	}
	p.mu.Lock()
	c := p.current
	if c == nil || c.id != f.ID {
		p.mu.Unlock()
		p.oddity("answer to an unknown message id ignored")
		return
	}
	p.mu.Unlock()
	if f.Type == CallError {
		p.finish(c, answer{err: f.Error})
		return
	}
	resp := c.req.NewResponse()
	violations := ocpp.Decode(f.Payload, resp, p.o.Strict)
	for _, v := range violations {
		if v.Tolerated || v.Overlong && !p.o.Strict {
			p.oddity("answer to " + c.req.ActionName() + ": " + v.Error())
			continue
		}
		if p.o.Version == ocpp.V21 { // OCPP 2.1 Part 4 4.2.3
			p.send(AppendResultError(nil, f.ID, &ocpp.CallError{Code: v.Code, Description: v.Error()}))
		}
		p.finish(c, answer{err: fmt.Errorf("%w: %s", ErrBadAnswer, v.Error())})
		return
	}
	p.finish(c, answer{resp: resp})
}

// finish ends the call under way, once, and starts the next.
func (p *Peer) finish(c *outgoing, a answer) {
	p.mu.Lock()
	if p.current != c {
		p.mu.Unlock()
		return
	}
	p.current = nil
	p.mu.Unlock()
	c.reply <- a
	p.pump()
}

// pump sends the next waiting call when none is under way.
func (p *Peer) pump() {
	for {
		p.mu.Lock()
		if p.current != nil || p.closed || len(p.waiting) == 0 {
			p.mu.Unlock()
			return
		}
		c := p.waiting[0]
		p.waiting = p.waiting[1:]
		p.current, c.sent = c, time.Now()
		p.mu.Unlock()
		err := p.o.Send(AppendCall(make([]byte, 0, 256), c.id, c.req.ActionName(), c.req))
		if err == nil {
			return
		}
		p.mu.Lock()
		mine := p.current == c
		if mine {
			p.current = nil
		}
		p.mu.Unlock()
		if mine {
			c.reply <- answer{err: fmt.Errorf("%w: %w", ErrClosed, err)}
		}
	}
}

// Call sends a request and waits for its answer: a response, an *ocpp.CallError, or one of the errors above. The time
// limit begins when the request is sent; ctx also covers the waiting before. A SEND returns nil at once.
func (p *Peer) Call(ctx context.Context, req ocpp.Request) (ocpp.Response, error) {
	if req.NewResponse() == nil {
		return nil, p.o.Send(AppendSend(nil, uuid.NewString(), req.ActionName(), req))
	}
	c := &outgoing{id: uuid.NewString(), req: req, reply: make(chan answer, 1)}
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return nil, ErrClosed
	case len(p.waiting) >= p.o.Queue:
		p.mu.Unlock()
		return nil, ErrQueueFull
	}
	p.waiting = append(p.waiting, c)
	p.mu.Unlock()
	p.pump()

	timer := time.NewTimer(p.o.Timeout)
	defer timer.Stop()
	for {
		select {
		case a := <-c.reply:
			return a.resp, a.err
		case <-ctx.Done():
			return p.abandon(c, fmt.Errorf("%w: %w", ErrTimeout, ctx.Err()))
		case <-timer.C:
			left := p.timeLeft(c)
			if left <= 0 {
				return p.abandon(c, ErrTimeout)
			}
			timer.Reset(left)
		}
	}
}

// timeLeft is how long the answer to c may still take; the whole time while it waits for its turn.
func (p *Peer) timeLeft(c *outgoing) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.sent.IsZero() {
		return p.o.Timeout
	}
	return p.o.Timeout - time.Since(c.sent)
}

// abandon gives a call up. An answer that came at the same moment is taken.
func (p *Peer) abandon(c *outgoing, err error) (ocpp.Response, error) {
	p.mu.Lock()
	for i, w := range p.waiting {
		if w == c {
			p.waiting = append(p.waiting[:i:i], p.waiting[i+1:]...)
			break
		}
	}
	current := p.current == c
	if current {
		p.current = nil
	}
	p.mu.Unlock()
	if current {
		p.pump()
	}
	select {
	case a := <-c.reply:
		return a.resp, a.err
	default:
		return nil, err
	}
}

// Busy reports whether a call is under way or waiting.
func (p *Peer) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current != nil || len(p.waiting) > 0
}

// Close fails every call that is under way or waiting, and all later ones, with ErrClosed.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	all := p.waiting
	if p.current != nil {
		all = append([]*outgoing{p.current}, all...)
	}
	p.current, p.waiting = nil, nil
	p.mu.Unlock()
	for _, c := range all {
		c.reply <- answer{err: ErrClosed}
	}
}
