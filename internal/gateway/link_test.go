package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/frame"
	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/v21"
)

// platform answers every request with the smallest answer that 2.1 allows.
type platform struct {
	mu     sync.Mutex
	heard  []string
	closed chan string
}

func (*platform) Admit(_ context.Context, id string, _ ocpp.Version, _ Credentials) (Station, error) {
	return Station{ID: id, Organisation: "o", Accepted: true}, nil
}
func (*platform) Opened(context.Context, *Link) error { return nil }
func (p *platform) Closed(_ *Link, reason string) {
	if p.closed != nil {
		p.closed <- reason
	}
}
func (*platform) Ready(*Link)               {}
func (*platform) Seen(map[string]time.Time) {}

func (p *platform) Handle(_ context.Context, l *Link, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
	if err := req.Validate(); err != nil {
		// What a station says may break a rule that is tolerated; it is still a 2.1 message that can be written.
		if !json.Valid(ocpp.Marshal(req)) {
			panic("a message that is no JSON came through: " + err.Error())
		}
	}
	p.mu.Lock()
	p.heard = append(p.heard, req.ActionName())
	p.mu.Unlock()
	switch r := req.(type) {
	case *v21.BootNotificationRequest:
		l.Accept(true)
		return &v21.BootNotificationResponse{CurrentTime: time.Now().UTC().Truncate(time.Second), Interval: 300, Status: v21.RegistrationStatusAccepted}, nil
	case *v21.HeartbeatRequest:
		return &v21.HeartbeatResponse{CurrentTime: time.Now().UTC().Truncate(time.Second)}, nil
	case *v21.AuthorizeRequest:
		return &v21.AuthorizeResponse{IDTokenInfo: v21.IDTokenInfo{Status: v21.AuthorizationStatusAccepted}}, nil
	case *v21.TransactionEventRequest:
		resp := &v21.TransactionEventResponse{}
		if r.IDToken != nil {
			resp.IDTokenInfo = &v21.IDTokenInfo{Status: v21.AuthorizationStatusInvalid}
		}
		return resp, nil
	case *v21.DataTransferRequest:
		return &v21.DataTransferResponse{Status: v21.DataTransferStatusUnknownVendorID}, nil
	}
	if resp := req.NewResponse(); resp == nil || resp.Validate() == nil {
		return resp, nil
	}
	return nil, &ocpp.CallError{Code: ocpp.NotSupported, Description: "not here"}
}

// newGateway makes a gateway whose frames are logged into a database of the test.
func newGateway(t testing.TB, p Platform) *Gateway {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(context.Background(), bus.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, db.Options{Path: filepath.Join(t.TempDir(), "frames.db"), Relaxed: true, Log: log})
	if err := d.Migrate(context.Background(), frame.Migrations); err != nil {
		t.Fatal(err)
	}
	frames, err := frame.NewLog(d, b, log, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Node: "test", Secret: []byte("secret"), CallTimeout: time.Minute}, p, frames, b, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, end := range []func() error{g.Close, frames.Close, b.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

// far is the station's end of a link without a network: it takes the frames of the gateway.
type far struct {
	conn net.Conn
	text chan string
}

// connect makes a link over a pipe. Its reading goroutine is not started: the test feeds it.
func connect(t testing.TB, g *Gateway, v ocpp.Version, accepted bool) (*Link, *far) {
	t.Helper()
	near, other := net.Pipe()
	f := &far{conn: other, text: make(chan string, 1024)}
	go f.read()
	r := &http.Request{Method: http.MethodGet, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {v.Subprotocol()}}}
	socket, err := g.upgrader[v].UpgradeFromConn(near, bufio.NewReader(near), r)
	if err != nil {
		t.Fatal(err)
	}
	l := socket.Session().(*Link)
	l.start(Station{ID: "S", Organisation: "o", Accepted: accepted}, socket, "here")
	t.Cleanup(func() {
		l.cancel()
		l.peer.Close()
		_ = near.Close()
		_ = other.Close()
	})
	return l, f
}

// read takes what the gateway writes, which is not compressed since it was not agreed on.
func (f *far) read() {
	defer close(f.text)
	r := bufio.NewReader(f.conn)
	if _, err := http.ReadResponse(r, nil); err != nil {
		return
	}
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		n := uint64(head[1])
		var long [8]byte
		switch n {
		case 126:
			_, _ = io.ReadFull(r, long[6:]) // a failure shows in the next read
			n = binary.BigEndian.Uint64(long[:])
		case 127:
			_, _ = io.ReadFull(r, long[:])
			n = binary.BigEndian.Uint64(long[:])
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		if head[0]&0x0f == 1 {
			f.text <- string(payload)
		}
	}
}

// next gives the frame that the gateway has written. Writes to a pipe end when they are read, so it is here at once.
func (f *far) next(t testing.TB) string {
	t.Helper()
	select {
	case text := <-f.text:
		return text
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was written")
		return ""
	}
}

func TestLinkTranslates(t *testing.T) {
	t.Parallel()
	p := &platform{}
	l, f := connect(t, newGateway(t, p), ocpp.V16, true)
	l.receive(`[2,"a","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"2026-01-01T00:00:00Z"}]`)
	if got := f.next(t); !strings.HasPrefix(got, `[3,"a",{"idTagInfo":`) && !strings.HasPrefix(got, `[3,"a",{"transactionId":`) {
		t.Error(got)
	}
	if !slices.Equal(p.heard, []string{"TransactionEvent"}) {
		t.Errorf("the platform heard %q", p.heard)
	}
}

func TestLinkRefusesBeforeAcceptance(t *testing.T) {
	t.Parallel()
	p := &platform{}
	l, f := connect(t, newGateway(t, p), ocpp.V21, false)
	l.receive(`[2,"a","Heartbeat",{}]`)
	if got := f.next(t); !strings.HasPrefix(got, `[4,"a","SecurityError"`) || len(p.heard) != 0 {
		t.Errorf("%s; the platform heard %q", got, p.heard)
	}
	l.expect(triggers(v21.MessageTriggerHeartbeat)...) // as a TriggerMessage does
	l.receive(`[2,"b","Heartbeat",{}]`)
	if got := f.next(t); !strings.HasPrefix(got, `[3,"b",`) {
		t.Error(got)
	}
	l.receive(`[2,"c","StatusNotification",{"timestamp":"2026-11-01T10:00:00Z","connectorStatus":"Available","evseId":1,"connectorId":1}]`)
	if got := f.next(t); !strings.HasPrefix(got, `[4,"c","SecurityError"`) {
		t.Errorf("what was not asked for is heard: %s", got)
	}
	l.Reject() // an operator rejects the station
	l.receive(`[2,"d","Heartbeat",{}]`)
	if got := f.next(t); !strings.HasPrefix(got, `[4,"d","SecurityError"`) {
		t.Errorf("a rejected station is heard: %s", got)
	}
}

func TestLinkDrainingHearsNothing(t *testing.T) {
	t.Parallel()
	p := &platform{}
	g := newGateway(t, p)
	l, f := connect(t, g, ocpp.V21, true)
	g.draining.Store(true)
	l.receive(`[2,"a","Heartbeat",{}]`)
	l.close(1001, "end")
	if text, open := <-f.text; open || len(p.heard) != 0 {
		t.Errorf("%s; the platform heard %q", text, p.heard)
	}
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offers []string
		want   ocpp.Version
	}{
		{nil, 0}, {[]string{""}, 0}, {[]string{"ocpp"}, 0}, {[]string{"ocpp2.0"}, 0}, {[]string{"OCPP1.6"}, 0},
		{[]string{"ocpp1.6"}, ocpp.V16}, {[]string{"ocpp1.6,ocpp2.0.1"}, ocpp.V201}, {[]string{" ocpp2.1 , ocpp1.6 "}, ocpp.V21},
		{[]string{"ocpp1.6", "ocpp2.1"}, ocpp.V21}, {[]string{"mqtt, ocpp0.1, ocpp1.6"}, ocpp.V16},
	} {
		if got := negotiate(c.offers); got != c.want {
			t.Errorf("%q: %s", c.offers, got)
		}
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	for range maxAttempts - 1 {
		l.failed("a")
	}
	if l.blocked("a") > 0 {
		t.Error("blocked too early")
	}
	if l.failed("a"); l.blocked("a") <= 0 || l.blocked("b") > 0 {
		t.Error("not blocked, or somebody else")
	}
	for i := range maxAddresses + 1000 {
		l.failed(fmt.Sprint(i))
	}
	if n := len(l.seen); n > maxAddresses {
		t.Errorf("%d names are remembered", n)
	}
	l.sweep(time.Now().Add(attemptWindow + blockFor + time.Second))
	if len(l.seen) != 0 {
		t.Errorf("%d names are left", len(l.seen))
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[2,"a","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET"}]`,
		`[2,"a","ChangeConfiguration",{"value" : "SE\"CRET","key":"AuthorizationKey"}]`,
		`[2,"a","SetVariables",{"setVariableData":[{"attributeValue":"SECRET","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]`,
		`[2,"a","SetVariables",{"setVariableData":[{"attributeValue":"SECRET","component":{"name":"SecurityCtrlr"},"variable":{"name":"basicauthpassword"}}]}]`,
		`[3,"a",{"configurationKey":[{"key":"AUTHORIZATIONKEY","readonly":false,"value":"SECRET"}]}]`,
		`[2,"a","SetNetworkProfile",{"configurationSlot":1,"connectionData":{"basicAuthPassword":"SECRET"}}]`,
	} {
		if got := redact(text); strings.Contains(got, "SECRET") || strings.Contains(got, "CRET") || !json.Valid([]byte(got)) {
			t.Errorf("%s became %s", text, got)
		}
	}
	const harmless = `[2,"a","ChangeConfiguration",{"key":"HeartbeatInterval","value":"60"}]`
	if got := redact(harmless); got != harmless {
		t.Error(got)
	}
}

// checkAnswer holds what the gateway wrote to the rules of the version: a frame that the station can read, an answer to the
// request of text, without a violation of the schema.
func checkAnswer(t *testing.T, v ocpp.Version, text, answer string) {
	t.Helper()
	f, ferr := ocppj.Parse(answer, v, false)
	if ferr != nil || !json.Valid([]byte(answer)) {
		t.Fatalf("%q was answered with %q: %v", text, answer, ferr)
	}
	switch f.Type {
	case ocppj.CallResult:
		asked, ferr := ocppj.Parse(text, v, false)
		if ferr != nil || asked.ID != f.ID {
			t.Fatalf("%q was answered with %q", text, answer)
		}
		req := ocppj.NewRequest(v, strings.TrimSuffix(asked.Action, "-Signed"))
		if req == nil || req.NewResponse() == nil {
			t.Fatalf("%q was answered with %q", text, answer)
		}
		if violations := ocpp.Decode(f.Payload, req.NewResponse(), true); len(violations) > 0 {
			t.Fatalf("%q was answered with %q: %v", text, answer, violations)
		}
	case ocppj.CallError, ocppj.CallResultError:
		if n := utf8.RuneCountInString(f.Error.Description); f.Warning != "" || n > 255 || f.Error.Details != "{}" {
			t.Fatalf("%q was answered with %q: %s, %d characters", text, answer, f.Warning, n)
		}
	default:
		t.Fatalf("%q was answered with %q", text, answer)
	}
}

// FuzzLink feeds a link in each of its states: not accepted, accepted, with a request of ours under way. It never panics,
// answers at most once, and only with what its version allows.
func FuzzLink(f *testing.F) {
	for _, seed := range []string{`[2,"a","Heartbeat",{}]`, `[2,"a","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]`,
		`[2,"a","BootNotification",{"reason":"PowerUp","chargingStation":{"vendorName":"V","model":"M"}}]`,
		`[2,"a","StartTransaction",{"connectorId":1,"idTag":"T","meterStart":0,"timestamp":"2026-01-01T00:00:00Z"}]`,
		`[2,"a","StopTransaction",{"transactionId":7,"meterStop":0,"timestamp":"2026-01-01T00:00:00Z","transactionData":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1","format":"SignedData"}]}]}]`,
		`[2,"a","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1.5","unit":"Celcius","measurand":"Temperature"}]}]}]`,
		`[2,"a","StatusNotification",{"connectorId":0,"errorCode":"GroundFailure","status":"Faulted","info":"x"}]`,
		`[2,"a","TransactionEvent",{"eventType":"Started","timestamp":"2026-01-01T00:00:00Z","triggerReason":"Authorized","seqNo":0,"transactionInfo":{"transactionId":"t"},"idToken":{"idToken":"T","type":"Central"}}]`,
		`[2,"a","Heartbeat-Signed",{"payload":"e30"}]`, `[2,"a","NotifyReport",{"requestId":1,"generatedAt":"2026-01-01T00:00:00Z","seqNo":0}]`,
		`[2,"a","DataTransfer",{"vendorId":"x","data":"y"}]`, `[3,"ID",{"status":"Accepted"}]`, `[3,"ID",{"status":1}]`, `[4,"ID","InternalError","",{}]`, `[5,"ID","X","",{}]`,
		`[6,"a","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-01-01T00:00:00Z","data":[{"t":0,"v":"1"}]}]`, `[9]`, `{}`, "\xff"} {
		for state := range uint8(9) {
			f.Add(seed, state)
		}
	}
	p := &platform{}
	g := newGateway(f, p)
	f.Fuzz(func(t *testing.T, text string, state uint8) {
		v := ocpp.Versions[int(state)%3]
		l, station := connect(t, g, v, state/3%3 != 0)
		if state/3%3 == 2 { // a request of ours is under way
			l.becomeReady()
			ctx, cancel := context.WithCancel(context.Background())
			called := make(chan struct{})
			go func() {
				defer close(called)
				_, _ = l.Call(ctx, &v21.ClearCacheRequest{}) // whatever it comes to
			}()
			id := strings.Split(station.next(t), `"`)[1]
			text = strings.ReplaceAll(text, `"ID"`, `"`+id+`"`)
			defer func() { cancel(); <-called }()
		}
		l.receive(text)
		l.close(1000, "the end")
		answers := 0
		for answer := range station.text {
			if answers++; answers > 1 {
				t.Fatalf("%q has a second answer: %q", text, answer)
			}
			checkAnswer(t, v, text, answer)
		}
	})
}
