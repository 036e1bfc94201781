package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// doorkeeper is a platform that lets nobody in and notes who came.
type doorkeeper struct {
	platform
	answer error
	asked  string
	shown  Credentials
	v      ocpp.Version
}

func (d *doorkeeper) Admit(_ context.Context, id string, v ocpp.Version, c Credentials) (Station, error) {
	d.asked, d.v, d.shown = id, v, c
	return Station{}, d.answer
}

// FuzzHandshake makes any request that an HTTP server can read: it is answered without a panic, with a status that stations
// know, with a body that tells nothing but the status; and whoever is asked about has an id of one segment and a version
// that was offered.
func FuzzHandshake(f *testing.F) {
	for _, path := range []string{"/ocpp/CP1", "/ocpp/", "/ocpp", "/ocpp/a/b", "/ocpp/a%2Fb", "/ocpp/..%2f..", "/ocpp/%00", "/ocpp/%FF", "/ocpp16/X", "/ocpp2.1/%C3%A9", "//ocpp/x",
		"/ocpp/" + strings.Repeat("x", 3000), "/ocpp/x?id=y", "http://evil/ocpp/x", "*"} {
		f.Add(path, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ocpp1.6, ocpp2.1\r\nAuthorization: Basic Q1AxOnBhc3M=\r\n", uint8(0))
	}
	f.Add("/ocpp/x", "Upgrade: WebSocket\r\nSec-WebSocket-Protocol: "+strings.Repeat("ocpp9,", 2000)+"ocpp2.0.1\r\n", uint8(1))
	f.Add("/ocpp/x", "Upgrade: websocket\r\nSec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic Og==\r\nTransfer-Encoding: chunked\r\n", uint8(2))
	f.Add("/ocpp/x", "Upgrade: h2c\r\nContent-Length: 5\r\n", uint8(3))
	errs := []error{&Refusal{Status: 404, Reason: "secret reason"}, &Refusal{Status: 401, Reason: "secret reason"}, &Refusal{Status: 429, Reason: "secret reason", RetryAfter: time.Minute},
		fmt.Errorf("secret reason"), nil}
	var n atomic.Int64
	d := &doorkeeper{}
	g := newGateway(f, d)
	f.Fuzz(func(t *testing.T, path, header string, outcome uint8) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: h\r\n" + header + "\r\n")))
		if err != nil {
			return
		}
		r.RemoteAddr = fmt.Sprintf("192.0.2.1%d:7", n.Add(1)) // each from its own address: limits are not what is tested
		d.answer, d.asked, d.v = errs[int(outcome)%len(errs)], "", 0
		w := httptest.NewRecorder() // cannot be hijacked
		g.serveHTTP(w, r)
		switch w.Code {
		case 400, 401, 404, 426, 429, 503:
		case 500:
			if d.asked == "" || d.answer != nil {
				t.Fatalf("%q %q: 500", path, header)
			}
		default:
			t.Fatalf("%q %q: %d", path, header, w.Code)
		}
		if strings.Contains(w.Body.String(), "secret") || w.Body.Len() > 100 {
			t.Fatalf("%q: the body is %q", path, w.Body)
		}
		if (w.Code == 429 || w.Code == 503) != (w.Header().Get("Retry-After") != "") {
			t.Fatalf("%q: %d with Retry-After %q", path, w.Code, w.Header().Get("Retry-After"))
		}
		if d.asked != "" && (!Serves(r) || d.v == 0 || !strings.Contains(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","), d.v.Subprotocol())) {
			t.Fatalf("%q %q: asked about %q in %s", path, header, d.asked, d.v)
		}
	})
}

// FuzzNegotiate: the version is one that was offered, and the newest of those.
func FuzzNegotiate(f *testing.F) {
	for _, offer := range []string{"", "ocpp1.6", "ocpp1.6,ocpp2.1", " ocpp2.0.1 ,,", "ocpp1.6\tocpp2.1", "OCPP2.1", "ocpp2.10"} {
		f.Add(offer, "")
		f.Add("ocpp1.6", offer)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		got := negotiate([]string{one, other})
		newest := ocpp.Version(0)
		for _, v := range ocpp.Versions {
			for _, word := range append(strings.Split(one, ","), strings.Split(other, ",")...) {
				if strings.TrimSpace(word) == v.Subprotocol() {
					newest = max(newest, v)
				}
			}
		}
		if got != newest {
			t.Fatalf("%q, %q: %s", one, other, got)
		}
	})
}

// registrar is a platform whose answer to a boot the test chooses.
type registrar struct {
	platform
	status v21.RegistrationStatus
	heard  int // messages other than boots
}

func (p *registrar) Handle(ctx context.Context, l *Link, req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
	if _, ok := req.(*v21.BootNotificationRequest); !ok {
		p.heard++
		return p.platform.Handle(ctx, l, req)
	}
	if p.status == v21.RegistrationStatusAccepted {
		l.Accept(true)
	} else if l.Accept(false); p.status == v21.RegistrationStatusRejected {
		l.Reject()
	}
	return &v21.BootNotificationResponse{CurrentTime: time.Now().UTC().Truncate(time.Second), Interval: 300, Status: p.status}, nil
}

// FuzzStates plays messages and decisions in any order. What the platform hears is what the state of the link allows: before
// acceptance only what was asked for, while the node drains nothing; and every call has one answer, until the node drains.
func FuzzStates(f *testing.F) {
	for _, seed := range []string{"", "bh", "hbh", "Phth", "Rhth", "Rhahh", "aDhh", "Pthrthh", "baRhbDbh", "x9bh3{}h", "PtttthhhAh"} {
		for v := range uint8(3) {
			f.Add(seed, v)
		}
	}
	frames := map[rune]string{'h': `[2,"ID","Heartbeat",{}]`, 'x': `[2,"ID","Nonsense",{}]`, '9': `[9,"ID"]`, '3': `[3,"ID",{}]`, '{': `{}`}
	p := &registrar{}
	g := newGateway(f, p)
	f.Fuzz(func(t *testing.T, script string, version uint8) {
		if len(script) > 64 {
			return
		}
		v := ocpp.Versions[int(version)%3]
		l, station := connect(t, g, v, false)
		p.status = v21.RegistrationStatusAccepted
		defer g.draining.Store(false)
		accepted, asked, drains := false, false, false
		for i, op := range script {
			before := p.heard
			switch op {
			case 'P', 'R', 'A': // what the platform will answer to the next boot
				p.status = map[rune]v21.RegistrationStatus{'P': v21.RegistrationStatusPending, 'R': v21.RegistrationStatusRejected, 'A': v21.RegistrationStatusAccepted}[op]
			case 'a': // an operator accepts
				l.Accept(true)
				accepted = true
			case 'r': // or rejects
				l.Reject()
				accepted, asked = false, false
			case 't': // the platform asks for a heartbeat
				l.expect(triggers(v21.MessageTriggerHeartbeat)...)
				asked = true
			case 'D':
				g.draining.Store(true)
				drains = true
			case 'b':
				boot := `{"reason":"PowerUp","chargingStation":{"vendorName":"V","model":"M"}}`
				if v == ocpp.V16 {
					boot = `{"chargePointVendor":"V","chargePointModel":"M"}`
				}
				l.receive(fmt.Sprintf(`[2,"%d","BootNotification",%s]`, i, boot))
				if drains {
					break
				}
				if got := station.answer(t, i); !strings.HasPrefix(got, `[3,`) || !strings.Contains(got, string(p.status)) {
					t.Fatalf("%q, step %d: %s", script, i, got)
				}
				if accepted = p.status == v21.RegistrationStatusAccepted; p.status == v21.RegistrationStatusRejected {
					asked = false
				}
			default:
				text, ok := frames[op]
				if !ok {
					break
				}
				l.receive(strings.Replace(text, "ID", fmt.Sprint(i), 1))
				if op != 'h' {
					break
				}
				may := !drains && (accepted || asked)
				if heard := p.heard > before; heard != may {
					t.Fatalf("%q, step %d: heard %v, accepted %v, asked for %v, draining %v", script, i, heard, accepted, asked, drains)
				}
				if drains {
					break
				}
				got := station.answer(t, i)
				if may && !strings.HasPrefix(got, `[3,`) || !may && !strings.Contains(got, `"SecurityError"`) {
					t.Fatalf("%q, step %d: %s; accepted %v, asked for %v", script, i, got, accepted, asked)
				}
			}
		}
	})
}

// answer gives the answer to the call with a number; those of earlier frames are passed over.
func (f *far) answer(t testing.TB, id int) string {
	t.Helper()
	for {
		got := f.next(t)
		for _, kind := range []string{"3", "4"} {
			if strings.HasPrefix(got, fmt.Sprintf(`[%s,"%d",`, kind, id)) {
				return got
			}
		}
	}
}
