// Package simtest is a small management system for tests of stations: it accepts everything, checks every frame
// strictly against the schemas, and keeps what it heard.
package simtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// Limit is how long a test waits for something that must happen.
const Limit = 20 * time.Second

// Heard is a request of a station.
type Heard struct {
	Station string
	Request ocpp.Request
	At      time.Time
}

// CSMS is a management system for one test.
type CSMS struct {
	URL string // to give to stations
	// Answer may answer a request instead of the default; nil, nil leaves it to that. Set it before stations connect.
	Answer func(station string, req ocpp.Request) (ocpp.Response, *ocpp.CallError)

	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	heard  []Heard
	news   chan struct{} // closed and replaced with each request or link
	links  map[string]*ocppj.Peer
	conns  map[string]*gws.Conn
	nextTx int
	broken []string
}

// New starts a management system that ends with the test. Frames that break a schema fail the test.
func New(t testing.TB) *CSMS {
	t.Helper()
	c := &CSMS{t: t, news: make(chan struct{}), links: map[string]*ocppj.Peer{}, conns: map[string]*gws.Conn{}}
	c.server = httptest.NewServer(http.HandlerFunc(c.accept))
	c.URL = "ws" + strings.TrimPrefix(c.server.URL, "http") + "/ocpp"
	t.Cleanup(func() {
		c.mu.Lock()
		conns, broken := c.conns, c.broken
		c.conns = nil
		c.mu.Unlock()
		for _, conn := range conns {
			_ = conn.NetConn().Close()
		}
		c.server.Close()
		for _, b := range broken {
			t.Error(b)
		}
	})
	return c
}

type handler struct {
	gws.BuiltinEventHandler
	peer *ocppj.Peer
}

func (h *handler) OnPing(c *gws.Conn, p []byte) { _ = c.WritePong(p) }

func (h *handler) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	h.peer.Receive(m.Data.String())
}

func (c *CSMS) accept(w http.ResponseWriter, r *http.Request) {
	id := path.Base(r.URL.Path)
	v, err := ocpp.ParseVersion(r.Header.Get("Sec-WebSocket-Protocol"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h := &handler{}
	conn, err := gws.NewUpgrader(h, &gws.ServerOption{SubProtocols: []string{v.Subprotocol()}}).Upgrade(w, r)
	if err != nil {
		return
	}
	h.peer = ocppj.NewPeer(ocppj.Options{Version: v, Role: ocpp.CSMS, Strict: true, Timeout: Limit,
		Send:   func(frame []byte) error { return conn.WriteMessage(gws.OpcodeText, frame) },
		Serve:  func(in *ocppj.Incoming) { c.serve(id, in) },
		Oddity: func(text string) { c.odd(id + ": " + text) }})
	c.mu.Lock()
	if c.conns == nil {
		c.mu.Unlock()
		_ = conn.NetConn().Close()
		return
	}
	c.links[id], c.conns[id] = h.peer, conn
	c.changed()
	c.mu.Unlock()
	go func() {
		conn.ReadLoop()
		h.peer.Close()
		c.mu.Lock()
		if c.links[id] == h.peer {
			delete(c.links, id)
			delete(c.conns, id)
			c.changed()
		}
		c.mu.Unlock()
	}()
}

func (c *CSMS) odd(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.Contains(text, "not sent") { // the link ended first
		c.broken = append(c.broken, text)
	}
}

func (c *CSMS) changed() {
	close(c.news)
	c.news = make(chan struct{})
}

func (c *CSMS) serve(id string, in *ocppj.Incoming) {
	var resp ocpp.Response
	var cerr *ocpp.CallError
	if c.Answer != nil {
		resp, cerr = c.Answer(id, in.Request)
	}
	c.mu.Lock()
	if resp == nil && cerr == nil {
		resp = c.usual(in.Request)
	}
	c.heard = append(c.heard, Heard{Station: id, Request: in.Request, At: time.Now()})
	c.changed()
	c.mu.Unlock()
	if cerr != nil {
		in.Fail(cerr)
		return
	}
	in.Reply(resp)
}

// usual accepts.
func (c *CSMS) usual(req ocpp.Request) ocpp.Response {
	now := time.Now().UTC()
	switch req.(type) {
	case *v16.BootNotificationRequest:
		return &v16.BootNotificationResponse{Status: v16.RegistrationStatusAccepted, CurrentTime: now, Interval: 300}
	case *v201.BootNotificationRequest:
		return &v201.BootNotificationResponse{Status: v201.RegistrationStatusAccepted, CurrentTime: now, Interval: 300}
	case *v21.BootNotificationRequest:
		return &v21.BootNotificationResponse{Status: v21.RegistrationStatusAccepted, CurrentTime: now, Interval: 300}
	case *v16.HeartbeatRequest:
		return &v16.HeartbeatResponse{CurrentTime: now}
	case *v201.HeartbeatRequest:
		return &v201.HeartbeatResponse{CurrentTime: now}
	case *v21.HeartbeatRequest:
		return &v21.HeartbeatResponse{CurrentTime: now}
	case *v16.AuthorizeRequest:
		return &v16.AuthorizeResponse{IDTagInfo: v16.IDTagInfo{Status: v16.AuthorizationStatusAccepted}}
	case *v201.AuthorizeRequest:
		return &v201.AuthorizeResponse{IDTokenInfo: v201.IDTokenInfo{Status: v201.AuthorizationStatusAccepted}}
	case *v21.AuthorizeRequest:
		return &v21.AuthorizeResponse{IDTokenInfo: v21.IDTokenInfo{Status: v21.AuthorizationStatusAccepted}}
	case *v16.StartTransactionRequest:
		c.nextTx++
		return &v16.StartTransactionResponse{TransactionID: c.nextTx, IDTagInfo: v16.IDTagInfo{Status: v16.AuthorizationStatusAccepted}}
	case *v16.SignCertificateRequest:
		return &v16.SignCertificateResponse{Status: v16.GenericStatusAccepted}
	case *v201.SignCertificateRequest:
		return &v201.SignCertificateResponse{Status: v201.GenericStatusAccepted}
	case *v21.SignCertificateRequest:
		return &v21.SignCertificateResponse{Status: v21.GenericStatusAccepted}
	case *v21.OpenPeriodicEventStreamRequest:
		return &v21.OpenPeriodicEventStreamResponse{Status: v21.GenericStatusAccepted}
	case *v21.PullDynamicScheduleUpdateRequest:
		return &v21.PullDynamicScheduleUpdateResponse{Status: v21.ChargingProfileStatusAccepted}
	}
	return req.NewResponse()
}

// Call sends a request to a station and gives its answer; a refusal fails the test.
func (c *CSMS) Call(id string, req ocpp.Request) ocpp.Response {
	c.t.Helper()
	resp, err := c.Try(id, req)
	if err != nil {
		c.t.Fatalf("%s to %s: %v", req.ActionName(), id, err)
	}
	return resp
}

// Try is Call that gives the refusal.
func (c *CSMS) Try(id string, req ocpp.Request) (ocpp.Response, error) {
	c.mu.Lock()
	p := c.links[id]
	c.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("station %s is not connected", id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	return p.Call(ctx, req)
}

// Drop cuts the link of a station.
func (c *CSMS) Drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.conns[id]; conn != nil {
		_ = conn.NetConn().Close()
	}
}

// Heard lists what came so far.
func (c *CSMS) Heard() []Heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

// Wait gives the first request of a type from the given index on for which fits is true (nil: any), and the index after
// it. The test fails when none comes in time.
func Wait[T ocpp.Request](c *CSMS, from int, fits func(T) bool) (T, int) {
	c.t.Helper()
	limit := time.After(Limit)
	for {
		c.mu.Lock()
		for i := from; i < len(c.heard); i++ {
			if m, ok := c.heard[i].Request.(T); ok && (fits == nil || fits(m)) {
				c.mu.Unlock()
				return m, i + 1
			}
			from = i + 1
		}
		news := c.news
		c.mu.Unlock()
		select {
		case <-news:
		case <-limit:
			var zero T
			var names []string
			for _, h := range c.Heard() {
				names = append(names, string(ocpp.Marshal(h.Request)))
			}
			c.t.Fatalf("no %T came; heard:\n%s", zero, strings.Join(names, "\n"))
			return zero, 0
		}
	}
}

// Connected waits until a station is connected, or is not.
func (c *CSMS) Connected(id string, want bool) {
	c.t.Helper()
	limit := time.After(Limit)
	for {
		c.mu.Lock()
		have := c.links[id] != nil
		news := c.news
		c.mu.Unlock()
		if have == want {
			return
		}
		select {
		case <-news:
		case <-limit:
			c.t.Fatalf("station %s: connected is still %v", id, have)
		}
	}
}
