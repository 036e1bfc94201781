package sim

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
)

// link is the part of a station that talks.
type link struct {
	ctx        context.Context
	conn       *gws.Conn
	peer       *ocppj.Peer
	changed    chan struct{} // poked when a waiting connector should look again
	unplugged  bool          // the network cable is out
	rebooting  bool
	reg        registration
	bootReason string
	bootTimer  *task
	pingTimer  *task
	failures   int
	lost       time.Time // when the link was lost

	out     []*message // what is lost with the link
	txQueue []*message // what is kept until it is answered
	seq     uint64
	sending bool
	serving bool
	retryAt time.Time
	silent  bool     // nothing came since the last ping
	slots   []string // of the network profiles, in the order of the last boot
	relink  string   // why the link is to be made anew after the answer that is being given
}

// message is a request that waits to be sent. It is built at the last moment.
type message struct {
	seq      uint64
	build    func() ocpp.Request
	done     func(resp ocpp.Response, err error)
	always   bool // may go before the station is accepted
	durable  bool
	tx       *transaction // that the message is about, where it matters
	attempts int
}

func (l *link) init() {
	l.changed = make(chan struct{}, 1)
	l.bootReason = "PowerUp"
}

// send queues a request that is lost when there is no link; done may be nil.
func (s *Station) send(req ocpp.Request, done func(ocpp.Response, error)) {
	s.queue(&message{build: func() ocpp.Request { return req }, done: done})
}

func (s *Station) queue(m *message) {
	s.seq++
	m.seq = s.seq
	if m.durable {
		s.txQueue = append(s.txQueue, m)
		return
	}
	if s.peer == nil || s.reg != accepted && !m.always {
		if m.done != nil {
			m.done(nil, ocppj.ErrClosed)
		}
		return
	}
	s.out = append(s.out, m)
}

// startSending says whether a sender must be started, and marks it as running.
func (s *Station) startSending() bool {
	if s.sending || s.serving || s.next() == nil {
		return false
	}
	s.sending = true
	return true
}

// next is the message whose turn it is: the older one of the heads of both queues that may go.
func (s *Station) next() *message {
	if s.peer == nil || s.serving || s.ctx.Err() != nil {
		return nil
	}
	var m *message
	if len(s.out) > 0 {
		m = s.out[0]
	}
	if s.reg == accepted && len(s.txQueue) > 0 && !s.now().Before(s.retryAt) {
		if t := s.txQueue[0]; m == nil || t.seq < m.seq {
			m = t
		}
	}
	return m
}

// drain sends until nothing may go. It ends, so that a quiet station needs no goroutine for it.
func (s *Station) drain() {
	s.mu.Lock()
	for {
		m := s.next()
		if m == nil {
			s.sending = false
			s.unlock()
			return
		}
		if !m.durable {
			s.out = s.out[1:]
		}
		peer, ctx, timeout := s.peer, s.ctx, s.seconds(setMessageTimeout)
		req := m.build()
		if req == nil { // it has become pointless
			s.finish(m, nil, errPointless)
			continue
		}
		s.event(nil, "message", req.ActionName())
		s.unlock() // this starts no second sender: sending is set
		ctx, cancel := context.WithTimeout(ctx, timeout)
		resp, err := peer.Call(ctx, req)
		cancel()
		s.mu.Lock()
		s.finish(m, resp, err)
	}
}

var errPointless = errors.New("the message has become pointless")

// finish deals with the answer to a message, or its failure.
func (s *Station) finish(m *message, resp ocpp.Response, err error) {
	s.advance(s.now())
	if m.durable {
		if !s.settled(m, err) {
			return
		}
		for i, q := range s.txQueue {
			if q == m {
				s.txQueue = append(s.txQueue[:i:i], s.txQueue[i+1:]...)
				break
			}
		}
	}
	if err != nil && !errors.Is(err, errPointless) {
		s.event(nil, "error", err.Error())
	}
	if m.done != nil {
		m.done(resp, err)
	}
	s.idle()
}

// settled says whether a transaction message is done with: answered, or failed too often (OCPP 1.6 4.10, 2.1 E13). The
// end of the link does not count as a failure.
func (s *Station) settled(m *message, err error) bool {
	if err == nil || errors.Is(err, errPointless) {
		return true
	}
	if errors.Is(err, ocppj.ErrClosed) || s.ctx.Err() != nil {
		return false
	}
	m.attempts++
	if m.attempts >= s.num(setMessageAttempts) {
		return true
	}
	wait := s.seconds(setMessageInterval) * time.Duration(m.attempts)
	s.retryAt = s.now().Add(wait)
	s.after(wait, func() {})
	return false
}

// wantLink says whether the station should be connected now.
func (s *Station) wantLink() bool { return s.powered && !s.unplugged && !s.rebooting }

func (s *Station) poke() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// keepConnected is the life of the link.
func (s *Station) keepConnected(ctx context.Context) error {
	for ctx.Err() == nil {
		s.mu.Lock()
		want := s.wantLink()
		s.unlock()
		if !want {
			select {
			case <-s.changed:
			case <-ctx.Done():
			}
			continue
		}
		conn, err := s.dial()
		if err != nil {
			s.backOff(ctx, err)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.WriteClose(1000, nil) })
		s.attach(conn)
		conn.ReadLoop()
		stop()
		if s.detach(conn) && ctx.Err() == nil {
			s.backOff(ctx, errors.New("the link was lost"))
		}
	}
	return nil
}

// backOff waits longer after each failure, OCPP 2.1 Part 4 5.3.
func (s *Station) backOff(ctx context.Context, err error) {
	s.mu.Lock()
	n := min(s.failures, s.num(setBackOffRepeat))
	s.failures++
	wait := s.seconds(setBackOffMin) << n
	if r := s.num(setBackOffRandom); r > 0 {
		wait += time.Duration(s.rnd.Int64N(int64(r) * int64(time.Second)))
	}
	wait = max(wait, 10*time.Millisecond)
	s.event(nil, "link", fmt.Sprintf("no link: %v; next try in %v", err, wait.Round(time.Millisecond)))
	s.unlock()
	timer := s.cfg.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-s.changed:
	case <-ctx.Done():
	}
}

// dial opens the WebSocket.
func (s *Station) dial() (*gws.Conn, error) {
	s.mu.Lock()
	base, tlsConfig := s.target()
	address := strings.TrimRight(base, "/") + "/" + url.PathEscape(s.cfg.ID)
	header := http.Header{}
	header.Set("Sec-WebSocket-Protocol", s.cfg.Version.Subprotocol())
	password := s.cfg.Password
	if p, ok := s.values[setPassword]; ok {
		password = p
	}
	s.unlock()
	if password != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.cfg.ID+":"+password)))
	}
	conn, resp, err := gws.NewClient(&socket{s: s}, &gws.ClientOption{Addr: address, RequestHeader: header, TlsConfig: tlsConfig,
		ReadBufferSize: 2048, ReadMaxPayloadSize: 1 << 20, WriteMaxPayloadSize: 1 << 20, NewSession: noSession})
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("connecting to %s: HTTP %d: %w", address, resp.StatusCode, err)
		}
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	if got := conn.SubProtocol(); got != s.cfg.Version.Subprotocol() {
		_ = conn.WriteClose(1002, nil)
		return nil, fmt.Errorf("connecting to %s: the server chose the subprotocol %q", address, got)
	}
	return conn, nil
}

// target is where to connect and with what: the network profile whose turn it is, as the priority of the last boot has
// it, or the address of the configuration. A profile that fails three times gives way to the next. OCPP 2.1 B09 and B10.
func (s *Station) target() (string, *tls.Config) {
	base := s.cfg.URL
	if n := len(s.slots); n > 0 {
		slot, err := strconv.Atoi(s.slots[s.failures/3%n])
		if p, ok := s.extras.networks[slot]; ok && err == nil {
			base = p.OCPPCsmsURL
		}
	}
	t := s.cfg.TLS
	if t != nil && s.extras.chain != "" {
		if pair, err := s.ownCertificate(); err == nil {
			t = t.Clone()
			t.Certificates = []tls.Certificate{pair}
		}
	}
	return base, t
}

// none is a session that keeps nothing: the maps of the usual one are memory that each station would pay for.
type none struct{}

func noSession() gws.SessionStorage { return none{} }

func (none) Len() int                     { return 0 }
func (none) Load(string) (any, bool)      { return nil, false }
func (none) Delete(string)                {}
func (none) Store(string, any)            {}
func (none) Range(func(string, any) bool) {}

// attach makes a connection the link of the station.
func (s *Station) attach(conn *gws.Conn) {
	s.mu.Lock()
	defer s.unlock()
	if !s.wantLink() {
		_ = conn.NetConn().Close()
		return
	}
	s.conn, s.silent = conn, false
	s.failures = 0
	s.peer = ocppj.NewPeer(ocppj.Options{Version: s.cfg.Version, Role: ocpp.Station, Queue: 8,
		Send:     func(frame []byte) error { return conn.WriteMessage(gws.OpcodeText, frame) },
		Serve:    s.serve,
		Oddity:   s.oddity,
		Tolerate: func(string, ocpp.Violation) bool { return false },
	})
	s.event(nil, "link", "connected")
	s.planPing()
	switch {
	case s.reg != accepted:
		s.sendBoot(s.bootReason)
	default:
		s.reconnected()
	}
}

func (s *Station) oddity(text string) {
	s.cfg.Log.Debug("odd frame", "station", s.cfg.ID, "what", text)
}

// reconnected is what a station says that kept running without a link.
func (s *Station) reconnected() {
	s.send(s.front.heartbeat(), s.gotHeartbeat)
	all := s.cfg.Version != ocpp.V16 && s.now().Sub(s.lost) > s.seconds(setOfflineThreshold) // OCPP 2.1 B04.FR.01
	for _, e := range s.evses {
		for i := range e.reported {
			if all {
				e.reported[i] = ""
			}
		}
		s.report(e)
	}
	s.planHeartbeat()
}

// detach forgets a connection and says whether it ended against the station's will.
func (s *Station) detach(conn *gws.Conn) (lost bool) {
	s.mu.Lock()
	peer := s.peer
	if s.conn == conn {
		s.dropped()
		s.event(nil, "link", "disconnected")
		lost = s.wantLink()
	}
	s.unlock()
	if peer != nil && lost {
		peer.Close()
	}
	return lost
}

// dropped clears what belongs to one link.
func (s *Station) dropped() {
	s.conn, s.peer = nil, nil
	s.lost = s.now()
	out := s.out
	s.out = nil
	s.cancel(s.heartbeat)
	s.cancel(s.pingTimer)
	s.cancel(s.bootTimer)
	for _, m := range out {
		if m.done != nil {
			m.done(nil, ocppj.ErrClosed)
		}
	}
}

// dropLink ends the link from this side.
func (s *Station) dropLink(why string) {
	if s.conn == nil {
		s.poke()
		return
	}
	conn, peer := s.conn, s.peer
	s.event(nil, "link", "dropped: "+why)
	s.dropped()
	go func() { // the lock is held, and writing may block
		if why != "power cut" && why != "offline" {
			_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
			_ = conn.WriteClose(1000, nil)
		}
		_ = conn.NetConn().Close() // the read loop sees the error and ends
		peer.Close()
	}()
	s.poke()
}

func (s *Station) cable(out bool) {
	s.mu.Lock()
	defer s.unlock()
	if s.unplugged == out {
		return
	}
	s.unplugged = out
	if out {
		s.dropLink("offline")
		return
	}
	s.failures = 0
	s.poke()
}

// sendBoot sends a boot notification; it is sent again as the answer wants.
func (s *Station) sendBoot(reason string) {
	s.cancel(s.bootTimer)
	s.queue(&message{always: true, build: func() ocpp.Request { return s.front.boot(reason) }, done: func(resp ocpp.Response, err error) {
		if err != nil {
			if s.peer != nil {
				s.bootTimer = s.after(s.seconds(setBackOffMin)+time.Second, func() { s.sendBoot(reason) })
			}
			return
		}
		s.booted(resp, reason)
	}})
}

func (s *Station) booted(resp ocpp.Response, reason string) {
	reg, interval, _ := s.front.booted(resp)
	was := s.reg
	s.reg = reg
	s.event(nil, "boot", [...]string{"", "Pending", "Rejected", "Accepted"}[reg])
	if reg != accepted {
		wait := time.Duration(interval) * time.Second
		if interval <= 0 {
			wait = 30 * time.Second
		}
		s.bootTimer = s.after(wait, func() { s.sendBoot(reason) })
		return
	}
	if interval > 0 {
		if err := s.set(setHeartbeat, fmt.Sprint(interval)); err != nil {
			s.event(nil, "error", err.Error())
		}
	}
	s.planHeartbeat()
	if was == accepted {
		return
	}
	if req := s.front.stationStatus(); req != nil {
		s.send(req, nil)
	}
	for _, e := range s.evses {
		clear(e.reported)
		s.report(e)
		if e.tx != nil && e.tx.resumed {
			e.tx.resumed = false
			s.txUpdated(e, "TxResumed")
		}
	}
	s.afterBoot()
}

func (s *Station) planHeartbeat() {
	s.cancel(s.heartbeat)
	if s.peer == nil || s.reg != accepted {
		return
	}
	s.heartbeat = s.after(s.seconds(setHeartbeat), func() {
		s.send(s.front.heartbeat(), s.gotHeartbeat)
		s.planHeartbeat()
	})
}

func (s *Station) gotHeartbeat(ocpp.Response, error) {}

func (s *Station) planPing() {
	s.cancel(s.pingTimer)
	if d := s.seconds(setPing); d > 0 && s.conn != nil {
		s.pingTimer = s.after(d, func() {
			if s.conn == nil {
				return
			}
			if s.silent {
				s.silent = false
				s.dropLink("no answer to a ping")
				return
			}
			s.silent = true
			_ = s.conn.WritePing(nil) // a broken link shows in the read loop
			s.planPing()
		})
	}
}

// serve answers a request; what it causes is sent after the answer.
func (s *Station) serve(in *ocppj.Incoming) {
	s.mu.Lock()
	s.serving = true
	s.advance(s.now())
	s.event(nil, "command", in.Action)
	resp, cerr := s.front.serve(in)
	s.unlock()
	if cerr != nil {
		in.Fail(cerr)
	} else {
		in.Reply(resp)
	}
	s.mu.Lock()
	s.serving = false
	s.idle()
	s.unlock()
}

// socket hears of one WebSocket.
type socket struct{ s *Station }

// OnOpen is part of gws.Event.
func (*socket) OnOpen(*gws.Conn) {}

// OnClose is part of gws.Event; the read loop's end tells the same.
func (*socket) OnClose(*gws.Conn, error) {}

// OnPing answers, as RFC 6455 wants.
func (*socket) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

// OnPong shows that the link lives.
func (k *socket) OnPong(*gws.Conn, []byte) {
	k.s.mu.Lock()
	k.s.silent = false
	k.s.mu.Unlock()
}

// OnMessage takes a frame.
func (k *socket) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	if m.Opcode != gws.OpcodeText {
		return
	}
	k.s.mu.Lock()
	peer := k.s.peer
	current := k.s.conn == c
	k.s.silent = false
	k.s.mu.Unlock()
	if current {
		peer.Receive(m.Data.String())
	}
}
