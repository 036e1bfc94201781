package csms_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/command"
	"lumela/internal/csms"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/gateway"
	"lumela/internal/idtoken"
	"lumela/internal/reservation"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/v21"
)

const organisation = "org"

// patience bounds every wait: long enough for a machine that does other things too.
const patience = 20 * time.Second

// platform is everything that stands behind a gateway, and the gateway.
type platform struct {
	*csms.CSMS
	db      *db.DB
	frames  *frame.Log
	gateway *gateway.Gateway
	url     string
}

// Call implements command.Caller.
func (p *platform) Call(ctx context.Context, id station.ID, req ocpp.Request) (command.Result, error) {
	a, err := p.gateway.Call(ctx, string(id), req)
	return command.Result{Response: a.Response, Notes: a.Notes}, err
}

// onEach runs a test with a platform on each engine. Unknown stations wait for an operator.
func onEach(t *testing.T, test func(t *testing.T, p *platform)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(event.Migrations, account.Migrations, station.Migrations, idtoken.Migrations, reservation.Migrations,
			session.Migrations, command.Migrations, frame.Migrations)
		test(t, newPlatform(t, d))
	})
}

func newPlatform(t *testing.T, d *db.DB) *platform {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(context.Background(), bus.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{db: d}
	if p.frames, err = frame.NewLog(d, b, log, time.Hour); err != nil {
		t.Fatal(err)
	}
	events := event.NewLog(d, b, log)
	p.CSMS = &csms.CSMS{Stations: station.New(d, events, log, station.Approve, organisation), Tokens: idtoken.New(d),
		Ledger: session.New(d, events, log), Reservations: reservation.New(d), Log: log, Heartbeat: 5 * time.Minute}
	p.Stations.SetRunning(p.Ledger)
	p.Commands = command.New(d, events, p.Stations, p, log, p.Observe)
	p.gateway, err = gateway.New(gateway.Options{Node: "local", Secret: []byte("secret"), Settle: time.Millisecond, CallTimeout: patience},
		p.CSMS, p.frames, b, log)
	if err != nil {
		t.Fatal(err)
	}
	p.Stations.OnDecide(func(st *station.Station) { p.Decided(st, p.gateway.Link(string(st.ID))) })
	server := httptest.NewServer(p.gateway.Handler())
	p.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.gateway.Drain(ctx)
		server.Close()
		if err := errors.Join(p.gateway.Close(), p.Ledger.Close(), p.frames.Close(), b.Close()); err != nil {
			t.Errorf("close the platform: %v", err)
		}
	})
	return p
}

// enrol makes a station known and accepted.
func (p *platform) enrol(t *testing.T, id station.ID, password string) {
	t.Helper()
	if err := p.Stations.Enrol(context.Background(), organisation, id, password); err != nil {
		t.Fatal(err)
	}
}

// peer is a station's end of a link.
type peer struct {
	gws.BuiltinEventHandler
	t      *testing.T
	conn   *gws.Conn
	peer   *ocppj.Peer
	closed chan struct{}
	read   chan struct{} // gets a value when the device model is asked for

	mu     sync.Mutex
	answer func(req ocpp.Request) (ocpp.Response, *ocpp.CallError)
}

// OnMessage implements gws.Event.
func (s *peer) OnMessage(_ *gws.Conn, m *gws.Message) {
	text := string(m.Bytes())
	_ = m.Close() // only gives the buffer back
	s.peer.Receive(text)
}

// OnClose implements gws.Event.
func (s *peer) OnClose(*gws.Conn, error) {
	s.peer.Close()
	close(s.closed)
}

// answers says how the station answers requests of the platform; nil and nil is as if nothing had been said.
func (s *peer) answers(f func(req ocpp.Request) (ocpp.Response, *ocpp.CallError)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// serve answers a request of the platform: with answer, else as a station without a device model.
func (s *peer) serve(in *ocppj.Incoming) {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		if resp, cerr := answer(in.Request); resp != nil {
			in.Reply(resp)
			return
		} else if cerr != nil {
			in.Fail(cerr)
			return
		}
	}
	if _, ok := in.Request.(*v21.GetBaseReportRequest); ok {
		s.read <- struct{}{}
		in.Reply(&v21.GetBaseReportResponse{Status: v21.GenericDeviceModelStatusNotSupported})
		return
	}
	in.Fail(&ocpp.CallError{Code: ocpp.NotSupported, Description: "not in this test"})
}

// dial connects a station that speaks 2.1; the error is that of the handshake.
func (p *platform) dial(t *testing.T, id, password string) (*peer, int, error) {
	t.Helper()
	s := &peer{t: t, closed: make(chan struct{}), read: make(chan struct{}, 10)}
	head := http.Header{"Sec-WebSocket-Protocol": {ocpp.V21.Subprotocol()}}
	if password != "" {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(id, password)
		head.Set("Authorization", r.Header.Get("Authorization"))
	}
	conn, resp, err := gws.NewClient(s, &gws.ClientOption{Addr: p.url + "/ocpp/" + id, RequestHeader: head, HandshakeTimeout: patience})
	status := 0
	if resp != nil {
		status = resp.StatusCode
		_ = resp.Body.Close() // the handshake has been read
	}
	if err != nil {
		return nil, status, err
	}
	s.conn = conn
	s.peer = ocppj.NewPeer(ocppj.Options{Version: ocpp.V21, Role: ocpp.Station, Timeout: patience, Serve: s.serve,
		Send: func(text []byte) error { return conn.WriteMessage(gws.OpcodeText, text) }})
	go conn.ReadLoop()
	t.Cleanup(func() {
		_ = conn.NetConn().Close() // it may be closed already
		<-s.closed
	})
	return s, status, nil
}

func (p *platform) connect(t *testing.T, id, password string) *peer {
	t.Helper()
	s, status, err := p.dial(t, id, password)
	if err != nil {
		t.Fatalf("station %s is not let in: %d %v", id, status, err)
	}
	return s
}

// password is what the stations of the tests show.
const password = "a password of a station"

// booted connects an accepted station that has booted and been asked for its device model.
func (p *platform) booted(t *testing.T, id string) *peer {
	t.Helper()
	p.enrol(t, station.ID(id), password)
	s := p.connect(t, id, password)
	s.boot(v21.RegistrationStatusAccepted)
	select {
	case <-s.read:
	case <-time.After(patience):
		t.Fatalf("station %s is not asked for its device model", id)
	}
	return s
}

var bootNotification = &v21.BootNotificationRequest{Reason: v21.BootReasonPowerUp,
	ChargingStation: v21.ChargingStation{Model: "Model", VendorName: "Vendor", SerialNumber: ocpp.Some("4711"), FirmwareVersion: ocpp.Some("1.0")}}

// boot says BootNotification and expects a status.
func (s *peer) boot(want v21.RegistrationStatus) *v21.BootNotificationResponse {
	s.t.Helper()
	resp := ask[*v21.BootNotificationResponse](s, bootNotification)
	if resp.Status != want {
		s.t.Fatalf("boot: %s, want %s", resp.Status, want)
	}
	return resp
}

// call sends a request and waits for the answer.
func (s *peer) call(req ocpp.Request) (ocpp.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.peer.Call(ctx, req)
}

// ask sends a request and expects an answer that is not an error.
func ask[R ocpp.Response](s *peer, req ocpp.Request) R {
	s.t.Helper()
	resp, err := s.call(req)
	if err != nil {
		s.t.Fatalf("%s: %v", req.ActionName(), err)
	}
	return resp.(R)
}

// refused sends a request and expects a CALLERROR of a code.
func (s *peer) refused(req ocpp.Request, want ocpp.Code) {
	s.t.Helper()
	resp, err := s.call(req)
	var cerr *ocpp.CallError
	if !errors.As(err, &cerr) || cerr.Code != want {
		s.t.Errorf("%s: %v %v, want CALLERROR %s", req.ActionName(), resp, err, want)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // polling
	}
}
