package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/lxzan/gws"

	"lumela/internal/frame"
	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/translate"
)

// Link is the live connection of one station. It lives from the upgrade to the close of its socket, on one reading
// goroutine; requests to the station are sent by whoever makes them.
type Link struct {
	gateway *Gateway
	version ocpp.Version
	station Station
	id      string
	node    string // name of this node when the link began
	remote  string
	opened  time.Time
	conn    *gws.Conn
	peer    *ocppj.Peer

	serving sync.Mutex // held while a frame is processed
	in      current    // the frame under way; guarded by serving

	words    sync.Mutex // guards dialogue
	dialogue translate.Dialogue
	state    *translate.Memory

	calls flight // requests to the station that are under way

	out     sync.Mutex // guards calling
	calling struct{ id, action string }

	lastSeen  atomic.Int64 // age of the gateway in ms
	reported  atomic.Int64 // lastSeen when it was last reported
	pinged    atomic.Bool
	accepted  atomic.Bool
	deaf      atomic.Bool             // a message was not answered, so that those after it are not heard
	triggered atomic.Pointer[trigger] // what is heard before acceptance, because we asked for it
	reason    atomic.Pointer[string]

	ready     chan struct{} // closed when the station may be sent requests
	readyOnce sync.Once
	ctx       context.Context
	cancel    context.CancelFunc
}

// current is what is known of the incoming frame while it is processed.
type current struct {
	action   string
	notes    []translate.Note
	answerAt time.Time
	answer   string
	putOff   bool // it is not answered
}

func (l *Link) start(st Station, conn *gws.Conn, remote string) {
	l.station, l.conn, l.remote, l.opened = st, conn, remote, time.Now()
	l.id, l.node = uuid.NewString(), l.gateway.Node()
	l.calls.open()
	l.ready = make(chan struct{})
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.accepted.Store(st.Accepted)
	l.touch()
	l.state = translate.NewMemory(st.ID, l.gateway.o.Secret)
	l.dialogue = translate.Dialogue{State: l.state}
	l.peer = ocppj.NewPeer(ocppj.Options{Version: l.version, Role: ocpp.CSMS, Strict: st.Strict, Timeout: l.gateway.o.CallTimeout,
		Send: l.send, Serve: l.serve, Tolerate: l.tolerate, Oddity: l.oddity})
}

// run owns the reading of the link until it ends. Stations are silent most of the time, on the frames that stand on this
// goroutine's stack: the collector halves a stack of which less than a quarter is used, and these few are just below that
// for one of 8 KiB, to which the first messages let it grow. Whatever is added here, or wrapped around it, costs 4 KiB a
// station.
func (l *Link) run() {
	if l.open() {
		l.conn.ReadLoop()
	}
	l.gateway.linked.Done()
}

// open makes the link known, and reports whether it is to be read.
func (l *Link) open() bool {
	ctx, cancel := context.WithTimeout(l.ctx, admitTimeout)
	err := l.gateway.platform.Opened(ctx, l)
	cancel()
	if err != nil {
		if !errors.Is(err, ErrNotNow) {
			l.gateway.log.Error("link not opened", "station", l.station.ID, "error", err)
		}
		l.close(1013, "try again later")
		l.cancel()
		l.peer.Close()
		return false
	}
	l.gateway.register(l)
	if l.station.Accepted {
		settle := time.AfterFunc(l.gateway.o.Settle, l.becomeReady)
		context.AfterFunc(l.ctx, func() { settle.Stop() })
	}
	return true
}

// ID tells this link from others of the same station.
func (l *Link) ID() string { return l.id }

// Station is who is at the other end.
func (l *Link) Station() Station { return l.station }

// Version is the dialect of the link.
func (l *Link) Version() ocpp.Version { return l.version }

// CertificateName is the common name of the station's client certificate, "" without one.
func (l *Link) CertificateName() string { return l.station.CertificateName }

// Sequenced reports whether the station numbers the events of a transaction itself.
func (l *Link) Sequenced() bool { return l.version != ocpp.V16 }

// Remote is the address of the other end.
func (l *Link) Remote() string { return l.remote }

// Opened is when the link began.
func (l *Link) Opened() time.Time { return l.opened }

// Node is the name of the node that holds the link.
func (l *Link) Node() string { return l.node }

// PutOff leaves the request under way without an answer and closes the link: what must not be answered before it is stored
// cannot be stored now. A station that gets no answer because its link ended keeps the message and sends it again later; a
// CALLERROR would count as one of its attempts, after the last of which it throws the message away (OCPP 2.0.1 E13.FR.04).
// Only Platform.Handle may call it.
func (l *Link) PutOff(reason string) {
	l.in.putOff = true
	l.in.notes = append(l.in.notes, translate.Note{Kind: frame.Warning, Text: "not answered: " + reason})
	l.deaf.Store(true)
	l.close(1013, "try again later")
}

// Done is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.ctx.Done() }

// Accept says whether the station takes part: from the answer to its BootNotification on, or when an operator decides.
func (l *Link) Accept(yes bool) { l.accepted.Store(yes) }

// Reject takes the station out, whatever it was asked for before.
func (l *Link) Reject() {
	l.accepted.Store(false)
	l.triggered.Store(nil)
}

// Accepted reports whether the station takes part.
func (l *Link) Accepted() bool { return l.accepted.Load() }

// Transaction tells the translation of a transaction that ran before the link began.
func (l *Link) Transaction(evse int, transactionID, token string) {
	l.state.Open(evse, transactionID, token)
}

// Close ends the link.
func (l *Link) Close(reason string) { l.close(1000, reason) }

func (l *Link) close(code uint16, reason string) {
	if l.reason.CompareAndSwap(nil, &reason) && l.conn != nil {
		_ = l.conn.WriteClose(code, []byte(reason)) // it may be broken; the read loop ends either way
	}
}

func (l *Link) touch() {
	l.lastSeen.Store(l.gateway.age().Milliseconds())
	l.pinged.Store(false)
}

// sweep pings a silent link once and gives it up when it stays silent.
func (l *Link) sweep(age time.Duration) {
	silent := age - time.Duration(l.lastSeen.Load())*time.Millisecond
	switch {
	case silent > l.gateway.o.DeadAfter:
		l.reason.CompareAndSwap(nil, ptr("no sign of life"))
		_ = l.conn.NetConn().Close() // it is dead; a close frame would wait for nobody
	case silent > l.gateway.o.PingEvery && l.pinged.CompareAndSwap(false, true):
		go func() { _ = l.conn.WritePing(nil) }() // a full send buffer must not hold up the sweep
	}
}

func ptr[T any](v T) *T { return &v }

// ended is called once, when the read loop has ended.
func (l *Link) ended(err error) {
	reason := "closed"
	if p := l.reason.Load(); p != nil {
		reason = *p
	} else if err != nil {
		reason = err.Error()
		var closed *gws.CloseError
		if errors.As(err, &closed) && closed.Code == 0 {
			reason = "closed by the station"
		}
	}
	l.cancel()
	l.peer.Close()
	l.gateway.unregister(l)
	l.gateway.platform.Closed(l, reason)
}

// receive processes one text message of the station.
func (l *Link) receive(text string) {
	l.serving.Lock()
	defer l.serving.Unlock()
	if l.gateway.draining.Load() && !isAnswer(text) || l.deaf.Load() {
		return // not answered: the station sends it again elsewhere
	}
	now := time.Now()
	l.touch()
	l.gateway.Counters.FramesIn.Add(1)
	l.in = current{action: l.answered(text)}
	l.peer.Receive(text)
	l.logIn(text, now)
}

// oddity notes what was strange about the frame under way. Answers that could not be sent, from other goroutines, end
// with the link, which is logged.
func (l *Link) oddity(text string) {
	l.in.notes = append(l.in.notes, translate.Note{Kind: frame.Warning, Text: text})
}

// tolerate accepts what can be stored all the same: money must not be lost for a tag that is too long. A time without a zone
// is UTC whatever the station: OCPP 1.6 §3.14, OCPP 2.1 Part 2 3.1.
func (l *Link) tolerate(action string, v ocpp.Violation) bool {
	if v.Zoneless {
		return true
	}
	if l.station.Strict || !v.Overlong {
		return false
	}
	switch action {
	case "StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent":
		return true
	}
	return false
}

// serve answers a request of the station: up to 2.1, to the platform, and down again.
func (l *Link) serve(in *ocppj.Incoming) {
	l.in.action = in.Action
	for _, v := range in.Violations {
		l.in.notes = append(l.in.notes, translate.Note{Kind: frame.Warning, Path: v.Path, Text: v.Reason})
	}
	if err := l.mayServe(in); err != nil {
		in.Fail(err)
		return
	}
	if l.version == ocpp.V21 {
		resp, cerr := l.gateway.platform.Handle(l.ctx, l, in.Request)
		if !l.in.putOff {
			l.reply(in, resp, cerr)
		}
		return
	}
	l.words.Lock()
	l.dialogue.Now = time.Now()
	ex, err := translate.Lift(&l.dialogue, ocpp.Station, in.Request)
	l.words.Unlock()
	if err != nil {
		in.Fail(callError(err))
		return
	}
	l.in.notes = append(l.in.notes, ex.Notes...)
	replies := make([]translate.Reply, 0, 2)
	for i, req := range ex.Requests {
		resp, cerr := l.gateway.platform.Handle(l.ctx, l, req)
		if l.in.putOff {
			return
		}
		r := translate.Reply{Response: resp, Err: cerr}
		replies = append(replies, r)
		if ex.Ends(i, r) {
			break
		}
	}
	l.words.Lock()
	out := ex.Answer(replies)
	l.words.Unlock()
	l.in.notes = append(l.in.notes, out.Notes...)
	l.reply(in, out.Response, out.Err)
	l.follow(out.Then)
}

// follow sends requests that follow from an answer to the station.
func (l *Link) follow(then []ocpp.Request) {
	if len(then) == 0 {
		return
	}
	go func() {
		for _, req := range then {
			if _, err := l.peer.Call(l.ctx, req); err != nil {
				l.gateway.log.Warn("request that follows an answer failed", "station", l.station.ID, "action", req.ActionName(), "error", err)
			}
		}
	}()
}

func (l *Link) reply(in *ocppj.Incoming, resp ocpp.Response, cerr *ocpp.CallError) {
	switch {
	case cerr != nil:
		in.Fail(cerr)
	case resp == nil && in.Request.NewResponse() != nil:
		in.Fail(&ocpp.CallError{Code: ocpp.InternalError, Description: "no answer"})
	default:
		in.Reply(resp)
	}
	if l.accepted.Load() && in.Action == "BootNotification" {
		time.AfterFunc(l.gateway.o.AfterBoot, l.becomeReady)
	}
}

// mayServe refuses what may not be said now, or cannot be true whatever the schema says.
func (l *Link) mayServe(in *ocppj.Incoming) *ocpp.CallError {
	// OCPP-J 1.6 errata 3.10, OCPP 2.0.1 B02.FR.09, OCPP 2.0.1 B03.FR.07: before acceptance only what we asked for.
	if in.Action != "BootNotification" && !l.accepted.Load() && !l.asked(in.Action) {
		return &ocpp.CallError{Code: ocpp.SecurityError, Description: "the station is not accepted: send BootNotification first"}
	}
	return implausible(in.Request)
}

// becomeReady lets requests to the station pass.
func (l *Link) becomeReady() {
	if l.ctx.Err() != nil { // the link has ended meanwhile
		return
	}
	l.readyOnce.Do(func() {
		close(l.ready)
		if !l.gateway.draining.Load() {
			l.gateway.linked.Go(func() { l.gateway.platform.Ready(l) })
		}
	})
}

func callError(err error) *ocpp.CallError {
	var refusal *translate.Refusal
	if errors.As(err, &refusal) {
		return refusal.CallError()
	}
	return &ocpp.CallError{Code: ocpp.InternalError, Description: "the message could not be translated"}
}

// The link is its own session storage for gws: it needs no map.

// Len implements gws.SessionStorage.
func (l *Link) Len() int { return 0 }

// Load implements gws.SessionStorage.
func (l *Link) Load(string) (any, bool) { return nil, false }

// Delete implements gws.SessionStorage.
func (l *Link) Delete(string) {}

// Store implements gws.SessionStorage.
func (l *Link) Store(string, any) {}

// Range implements gws.SessionStorage.
func (l *Link) Range(func(string, any) bool) {}
