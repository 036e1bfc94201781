package app_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lumela/internal/app/apptest"
)

// siege is a node in a process of its own that is attacked while an innocent station charges on it.
type siege struct {
	*apptest.Node
	pid     int
	answers atomic.Int64 // that the innocent station got
	worst   atomic.Int64 // it waited for one, in ns
}

const (
	// siegeMiB bounds the memory of a node under all attacks at once. It has 60 to 70 MiB when nobody is there.
	siegeMiB = 450
	// siegeWait bounds what an innocent station waits for an answer meanwhile, on a machine that also runs the attacks.
	siegeWait = 10 * time.Second
)

// TestSiege attacks one node in all ways at once. The innocent station keeps charging and loses nothing, the node's memory
// stays bounded, and afterwards it is as before.
func TestSiege(t *testing.T) {
	t.Parallel()
	n := startChild(t, t.TempDir(), "", "--admission", "closed")
	s := &siege{Node: processNode(n), pid: n.Pid()}
	var made struct{ Password string }
	s.Want(t, 201, "POST", "/stations", `{"id":"INNOCENT","securityProfile":1}`).Into(t, &made)
	innocent := s.Dial(t, "INNOCENT", "2.1", apptest.Dial{Password: made.Password}).Boot("2.1")
	stop, charged := make(chan struct{}), make(chan int)
	go s.charge(innocent, stop, charged)
	var attacks sync.WaitGroup
	for name, attack := range map[string]func(t *testing.T, s *siege){
		"deep nesting": attackNesting, "huge frames": attackHugeFrames, "fragments": attackFragments, "pings": attackPings,
		"calls without reading": attackCalls, "slow frames": attackSlowFrames, "silence": attackSilence, "slow headers": attackSlowHeaders,
		"wrong passwords": attackPasswords, "many addresses": attackAddresses, "huge headers": attackHeaders, "smuggling": attackSmuggling,
		"paths": attackPaths, "slow body": attackSlowBody, "TLS": attackTLS,
	} {
		attacks.Go(func() { // all at once; as parallel tests they would wait for each other
			t.Run(name, func(t *testing.T) { attack(t, s) })
		})
	}
	attacks.Wait()
	close(stop)
	events := <-charged
	most, worst := memory(t, s.pid, "VmHWM"), time.Duration(s.worst.Load())
	t.Logf("the node had %d MiB at most; the innocent station got %d answers and waited %s at most", most, s.answers.Load(), worst)
	if most > siegeMiB {
		t.Errorf("the node had %d MiB", most)
	}
	if worst > siegeWait || s.answers.Load() < 10 {
		t.Errorf("the innocent station got %d answers and waited %s for one", s.answers.Load(), worst)
	}
	if count, session := sessions(t, s.Node, "INNOCENT"); count != 1 || session.State != "ended" || session.EnergyWh != int64(events) {
		t.Errorf("%d sessions, %+v, want %d Wh", count, session, events)
	}
	s.Dial(t, "INNOCENT", "2.1", apptest.Dial{Password: made.Password}).Boot("2.1").Quiet()
}

// charge plays a charge until stop is closed, and says what the meter shows in the end.
func (s *siege) charge(st *apptest.Station, stop chan struct{}, charged chan int) {
	event := func(kind string, seq int) {
		began := time.Now()
		st.Ask(call(fmt.Sprint("e", seq), "TransactionEvent", fmt.Sprintf(`{"eventType":%q,"timestamp":%q,"triggerReason":"MeterValuePeriodic","seqNo":%d,`+
			`"transactionInfo":{"transactionId":"tx"},"evse":{"id":1,"connectorId":1},"meterValue":[{"timestamp":%q,"sampledValue":[{"value":%d,"measurand":"Energy.Active.Import.Register"}]}]}`,
			kind, stamp(0), seq, stamp(0), 1000+seq)), fmt.Sprintf(`[3,"e%d",{"<more>":""}]`, seq))
		s.answers.Add(1)
		s.worst.Store(max(s.worst.Load(), int64(time.Since(began))))
	}
	event("Started", 0)
	seq := 1
	for tick := time.NewTicker(50 * time.Millisecond); ; seq++ {
		select {
		case <-tick.C:
			event("Updated", seq)
			continue
		case <-stop:
			tick.Stop()
		}
		event("Ended", seq)
		charged <- seq
		return
	}
}

var attackers atomic.Int64

// attacker is a station of the attacker's own: known, without a password.
func (s *siege) attacker(t *testing.T, version string, d apptest.Dial) *apptest.Station {
	t.Helper()
	id := fmt.Sprint("ATTACKER-", attackers.Add(1))
	s.Want(t, 201, "POST", "/stations", `{"id":"`+id+`"}`)
	return s.Dial(t, id, version, d)
}

func attackNesting(t *testing.T, s *siege) {
	const deep = 300_000
	lists := strings.Repeat("[", deep) + strings.Repeat("]", deep)
	objects := strings.Repeat(`{"a":`, deep/4) + "1" + strings.Repeat("}", deep/4)
	for _, version := range []string{"1.6", "2.0.1", "2.1"} {
		st := s.attacker(t, version, apptest.Dial{}).Boot(version)
		for i, text := range []string{lists, objects, call("ID", "Heartbeat", `{"x":`+lists+`}`), call("ID", "DataTransfer", `{"vendorId":"v","data":`+objects+`}`),
			call("ID", "DataTransfer", `{"vendorId":"v","data":`+lists[:deep]), strings.Repeat("[", 900_000), `[2,"ID","Authorize",` + objects + `]`,
			call("ID", "Heartbeat", `{"customData":{"vendorId":"v","x":`+lists+`}}`)} {
			st.Send(strings.ReplaceAll(text, "ID", fmt.Sprint("n", i)))
			if got := st.Next(); !strings.HasPrefix(got, "[3,") && !strings.HasPrefix(got, "[4,") {
				t.Errorf("%s, text %d: %.100s", version, i, got)
			}
		}
		st.Quiet()
	}
	for _, body := range []string{lists, objects, `{"id":` + objects + `}`} {
		if r := s.Do(t, "POST", "/stations", body); r.Status < 400 || r.Status >= 500 {
			t.Errorf("the API took it: %d %.200s", r.Status, r.Body)
		}
	}
	s.Do(t, "POST", "/stations/INNOCENT/commands/DataTransfer", `{"vendorId":"v","data":`+objects+`}`)
}

func attackHugeFrames(t *testing.T, s *siege) {
	var wg sync.WaitGroup
	text := call("h", "Heartbeat", `{"x":"`+strings.Repeat("x", 1<<20-100)+`"}`)
	frame := apptest.Frame{Opcode: apptest.Text, Payload: []byte(text)}.Append(nil)
	long := apptest.Frame{Opcode: apptest.Text, Payload: bytes.Repeat([]byte("x"), 1<<20+1)}.Append(nil)
	for range 10 {
		st := s.attacker(t, "2.1", apptest.Dial{}).Boot("2.1")
		wg.Go(func() {
			for range 10 {
				if err := st.SendBytes(frame); err != nil {
					t.Error(err)
					return
				}
				if got := st.Next(); !strings.HasPrefix(got, `[3,"h"`) {
					t.Errorf("%.100s", got)
				}
			}
			_ = st.SendBytes(long) // the node may close before it has all
			if code, _ := st.WaitClosed(); code != 1009 && code != 0 {
				t.Errorf("closed with %d", code)
			}
		})
	}
	wg.Wait()
}

func attackFragments(t *testing.T, s *siege) {
	st := s.attacker(t, "2.0.1", apptest.Dial{}).Boot("2.0.1")
	send := func(opcode byte, more bool, payload string, times int) {
		var b []byte
		for range times {
			b = apptest.Frame{Opcode: opcode, More: more, Payload: []byte(payload)}.Append(b)
		}
		_ = st.SendBytes(b) // the node closes when it has enough
	}
	send(apptest.Text, true, `[2,"f","Heartbeat",{`, 1)
	for range 20 {
		send(apptest.Continuation, true, "", 5_000)
		send(apptest.Ping, false, "p", 10)
	}
	send(apptest.Continuation, true, " ", 50_000)
	send(apptest.Continuation, false, "}]", 1)
	st.Expect(`[3,"f",{"currentTime":"<time>"}]`)
	send(apptest.Text, true, "[", 1)
	for range 3 {
		send(apptest.Continuation, true, strings.Repeat(" ", 400<<10), 1)
	}
	wantClosed(t, st, 1009)
}

// flood sends frames to a node whose answers nobody reads, until the node takes no more for a while or has closed.
func flood(s *siege, t *testing.T, frame apptest.Frame) {
	st := s.attacker(t, "1.6", apptest.Dial{Deaf: true})
	chunk := bytes.Repeat(frame.Append(nil), 500)
	sent := 0
	for began := time.Now(); time.Since(began) < 40*time.Second; sent += len(chunk) {
		if err := st.SendBytes(chunk); err != nil {
			t.Logf("after %d KiB: %v", sent>>10, err)
			apptest.Poll(t, "the end of the link of one that reads nothing", func() bool {
				return s.Count(t, `SELECT COUNT(*) FROM link_history WHERE station_id = $1 AND disconnected_at IS NULL`, st.ID) == 0
			})
			return
		}
		if sent > 256<<20 {
			t.Error("the node takes everything from one that reads nothing")
			return
		}
	}
}

func attackPings(t *testing.T, s *siege) {
	flood(s, t, apptest.Frame{Opcode: apptest.Ping, Payload: bytes.Repeat([]byte("p"), 125)})
}

func attackCalls(t *testing.T, s *siege) {
	flood(s, t, apptest.Frame{Opcode: apptest.Text, Payload: []byte(call("flood", strings.Repeat("NoSuchAction", 10), `{}`))})
}

func attackSlowFrames(t *testing.T, s *siege) {
	for range 30 { // a header that promises all that is allowed, and a byte of it
		st := s.attacker(t, "2.1", apptest.Dial{})
		frame := apptest.Frame{Opcode: apptest.Text, Payload: make([]byte, 1<<20)}.Append(nil)
		if err := st.SendBytes(frame[:15]); err != nil {
			t.Fatal(err)
		}
	}
}

// silent opens connections that say only what first is, and waits until the node has closed all of them.
func silent(t *testing.T, s *siege, count int, first string) {
	from := apptest.Source()
	var wg sync.WaitGroup
	for range count {
		c, err := s.Connect(apptest.Dial{From: from})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer func() { _ = c.Close() }()
			_ = c.SetReadDeadline(time.Now().Add(40 * time.Second)) // if it fails the read does too
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a connection without a request was not closed")
			}
		})
	}
	wg.Wait()
}

func attackSilence(t *testing.T, s *siege) { silent(t, s, 3_000, "") }
func attackSlowHeaders(t *testing.T, s *siege) {
	silent(t, s, 500, "GET /ocpp/INNOCENT HTTP/1.1\r\nHost: h\r\nX: ")
}

func attackSlowBody(t *testing.T, s *siege) {
	for range 50 { // each holds one connection, for a minute at most; the next test of the node's end would wait for it
		c, err := s.Connect(apptest.Dial{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, "POST /api/v1/auth/sign-in HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
}

// attackPasswords guesses from one address.
func attackPasswords(t *testing.T, s *siege) {
	from := apptest.Source()
	var made struct{ Password string }
	s.Want(t, 201, "POST", "/stations", `{"id":"GUESSED","securityProfile":1}`).Into(t, &made)
	statuses := map[int]int{}
	began := time.Now()
	for i := range 1_000 {
		statuses[s.Refused(t, "GUESSED", "2.1", apptest.Dial{From: from, Password: fmt.Sprintf("guess number %d", i)}).StatusCode]++
	}
	if statuses[401]+statuses[429] != 1_000 || statuses[401] > 60 { // a limit a minute
		t.Errorf("1000 guesses in %s: %v", time.Since(began), statuses)
	}
	for _, id := range []string{"GUESSED", "UNKNOWN"} { // which of them exists is no longer told
		if resp := s.Refused(t, id, "2.1", apptest.Dial{From: from, Password: "0123456789abcdef"}); resp.StatusCode != 429 {
			t.Errorf("%s: %s", id, resp.Status)
		}
	}
	s.Dial(t, "GUESSED", "2.1", apptest.Dial{Password: made.Password}).Boot("2.1").Quiet()
	if n := s.Count(t, `SELECT COUNT(*) FROM events WHERE type = 'security' AND station_id = 'GUESSED'`); n < 1 || n > 3 {
		t.Errorf("%d security events", n)
	}
}

// attackAddresses guesses from many addresses: nothing but the password itself protects the station, and it does.
func attackAddresses(t *testing.T, s *siege) {
	var made struct{ Password string }
	s.Want(t, 201, "POST", "/stations", `{"id":"SURROUNDED","securityProfile":1}`).Into(t, &made)
	for i := range 1_000 {
		if resp := s.Refused(t, "SURROUNDED", "1.6", apptest.Dial{Password: fmt.Sprintf("guess number %d", i)}); resp.StatusCode != 401 {
			t.Fatalf("guess %d: %s", i, resp.Status)
		}
	}
	s.Dial(t, "SURROUNDED", "1.6", apptest.Dial{Password: made.Password}).Boot("1.6").Quiet()
	if n := s.Count(t, `SELECT COUNT(*) FROM events WHERE type = 'security' AND station_id = 'SURROUNDED'`); n < 1 || n > 3 {
		t.Errorf("%d security events", n)
	}
}

// raw says bytes on a new connection and gives all that comes back.
func raw(t *testing.T, s *siege, text string) string {
	t.Helper()
	c, err := s.Connect(apptest.Dial{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }() // the node may answer before it has all
	answer, _ := io.ReadAll(c)                     // how it was closed does not matter
	return string(answer)
}

func attackHeaders(t *testing.T, s *siege) {
	upgrade := " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for name, text := range map[string]string{
		"long path":         "GET /ocpp/" + strings.Repeat("x", 100_000) + upgrade + "\r\n",
		"long header":       "GET /ocpp/INNOCENT" + upgrade + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"many headers":      "GET /ocpp/INNOCENT" + upgrade + strings.Repeat("X: x\r\n", 100_000) + "\r\n",
		"many subprotocols": "GET /ocpp/INNOCENT" + upgrade + "Sec-WebSocket-Protocol: " + strings.Repeat("ocpp0.1, ", 3_000) + "ocpp0.2\r\nConnection: close\r\n\r\n",
		"long password": "GET /ocpp/INNOCENT" + upgrade + "Sec-WebSocket-Protocol: ocpp1.6\r\nConnection: close\r\nAuthorization: Basic " +
			base64.StdEncoding.EncodeToString([]byte("INNOCENT:"+strings.Repeat("p", 20_000))) + "\r\n\r\n",
	} {
		answer := raw(t, s, text)
		if !strings.HasPrefix(answer, "HTTP/1.1 4") {
			t.Errorf("%s: %.200q", name, answer)
		}
		apptest.CheckLeak(t, name, answer)
	}
}

// attackSmuggling: whatever two readers could understand in two ways is refused, and nothing after it is taken for a request.
func attackSmuggling(t *testing.T, s *siege) {
	const next = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	for name, text := range map[string]string{
		"length and chunks":    "POST /ocpp/X HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
		"two lengths":          "POST /ocpp/X HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 400\r\n\r\nabcd" + next,
		"odd chunks":           "POST /ocpp/X HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + next,
		"two hosts":            "GET /ocpp/X HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n" + next,
		"no host":              "GET /ocpp/X HTTP/1.1\r\n\r\n" + next,
		"folded header":        "GET /ocpp/X HTTP/1.1\r\nHost: h\r\n X: y\r\n\r\n" + next,
		"space before colon":   "GET /ocpp/X HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\nabcde" + next,
		"NUL in a header":      "GET /ocpp/X HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n" + next,
		"negative length":      "POST /ocpp/X HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n" + next,
		"line break in a path": "GET /ocpp/X\r\nInjected: yes HTTP/1.1\r\nHost: h\r\n\r\n" + next,
		"no version":           "GET /ocpp/X\r\n\r\n" + next,
		"HTTP/2 preface":       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + next,
		"TLS":                  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + next,
	} {
		answer := raw(t, s, text)
		if strings.Count(answer, "HTTP/1.") > 1 || strings.Contains(answer, "ok\n") || strings.HasPrefix(answer, "HTTP/1.1 101") || strings.HasPrefix(answer, "HTTP/1.1 2") {
			t.Errorf("%s: %q", name, answer)
		}
		apptest.CheckLeak(t, name, answer)
	}
	// An upgrade with a body: what follows is neither a frame nor a request before it is refused or taken as frames.
	answer := raw(t, s, "GET /ocpp/INNOCENT HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ocpp2.1\r\n\r\n"+next)
	if strings.Contains(answer, "ok\n") || strings.HasPrefix(answer, "HTTP/1.1 101") {
		t.Errorf("an upgrade of HTTP/1.0: %q", answer)
	}
}

func attackPaths(t *testing.T, s *siege) {
	for _, path := range []string{"/ocpp/../../etc/passwd", "/ocpp/..%2f..%2fetc%2fpasswd", "/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/..%5c..%5clumela.db",
		"//etc/passwd", "/ocpp/%00", "/ocpp/a%00b", "/ocpp/%ff%fe", "/ocpp/" + strings.Repeat("a", 49), "/ocpp/" + strings.Repeat("%41", 300), "/ocpp//INNOCENT", "/ocpp/INNOCENT/",
		"/ocpp/INNOCENT%20", "/OCPP/INNOCENT", "/ocpp/innocent", "/ocpp/INNOCENT%3Aadmin", "/ocpp/%E2%80%AEINNOCENT", "/api/v1/../../data/lumela.db", "/api/v1/stations/..%2f..%2fusers"} {
		answer := raw(t, s, "GET "+path+" HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp2.1\r\n\r\n")
		if strings.HasPrefix(answer, "HTTP/1.1 101") || strings.HasPrefix(answer, "HTTP/1.1 5") || strings.Contains(answer, "root:") || strings.Contains(answer, "SQLite format") {
			t.Errorf("%s: %.300q", path, answer)
		}
	}
}

// TestNothingLeaks compares what a tenant hears of another's objects with what it hears of none: to the letter the same.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	other := n.AddOrganisation(t, "Other", "owner")
	s := n.Dial(t, "SECRET-STATION", "2.1", apptest.Dial{}).Boot("2.1")
	f := &fault{version: "2.1"}
	s.Ask(f.begun("a", stamp(5), ""), `[3,"a","<any>"]`)
	var token, reservationless struct{ ID string }
	n.Want(t, 201, "POST", "/tokens", `{"uid":"SECRET-TOKEN"}`).Into(t, &token)
	_, session := sessions(t, n, s.ID)
	p := n.Begin("POST", "/stations/"+s.ID+"/commands/Reset", `{"type":"Immediate"}`)
	s.Send(`[3,"` + s.Expect(`[2,"<id:call>","Reset","<any>"]`)["call"] + `",{"status":"Accepted"}]`)
	p.Wait(t).Into(t, &reservationless)
	var spec struct {
		Paths map[string]map[string]json.RawMessage
	}
	(&apptest.Client{Base: n.Base}).Want(t, 200, "GET", "/openapi.json", "").Into(t, &spec)
	foreign := map[string]string{"stations": s.ID, "tokens": token.ID, "sessions": session.ID, "commands": reservationless.ID}
	compared := 0
	for path, methods := range spec.Paths {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		id := foreign[kind]
		if id == "" || !strings.HasPrefix(rest, "{") {
			continue
		}
		none := strings.Repeat("0", len(id)-1) + "1"
		for method := range methods {
			say := func(id string) string {
				where := strings.Replace(strings.Replace(path, "{action}", "ClearCache", 1), path[strings.Index(path, "{"):strings.Index(path, "}")+1], url.PathEscape(id), 1)
				r := other.Do(t, strings.ToUpper(method), where, map[bool]string{true: "{}", false: ""}[method == "post" || method == "patch" || method == "put"])
				return fmt.Sprint(r.Status, strings.ReplaceAll(r.Body, id, "ID"))
			}
			if theirs, nobodys := say(id), say(none); theirs != nobodys || strings.HasPrefix(theirs, "2") {
				t.Errorf("%s %s:\n of another tenant: %s\n of nobody:         %s", method, path, theirs, nobodys)
			}
			compared++
		}
	}
	if compared < 15 {
		t.Errorf("only %d operations were compared", compared)
	}
	n.Want(t, 200, "GET", "/stations/"+s.ID, "")
	for _, list := range []string{"/stations", "/tokens", "/sessions", "/reservations", "/overview"} {
		if body := other.Want(t, 200, "GET", list, "").Body; strings.Contains(body, "SECRET") {
			t.Errorf("%s: %s", list, body)
		}
	}
}

// attackTLS, on a node of its own: clients that begin a handshake and do not end it hold up nobody.
func attackTLS(t *testing.T, _ *siege) {
	n := startTLS(t)
	var wg sync.WaitGroup
	for i := range 300 {
		c, err := net.Dial("tcp", n.HTTPSAddr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(40 * time.Second)) // if it fails the read does too
			_, _ = c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")[:i%12])
			if _, err := bufio.NewReader(c).ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a handshake without an end was not given up")
			}
		})
	}
	var made struct{ Password string }
	n.Want(t, 201, "POST", "/stations", `{"id":"PATIENT","securityProfile":2}`).Into(t, &made)
	began := time.Now()
	n.Dial(t, "PATIENT", "2.1", apptest.Dial{TLS: n.client(), Password: made.Password}).Boot("2.1").Quiet()
	if took := time.Since(began); took > siegeWait {
		t.Errorf("a station came in after %s", took)
	}
	wg.Wait()
}

// TestStrangersInTheWaitingRoom: one who opens the door to all ids at once is stopped, and messages of strangers are short.
func TestStrangersInTheWaitingRoom(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t, apptest.Admission("approve"))
	from := apptest.Source()
	statuses := map[int]int{}
	for i := range 220 {
		s, resp, err := n.TryDial(t, fmt.Sprint("STRANGER-", i), "1.6", apptest.Dial{From: from})
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			if resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			statuses[resp.StatusCode]++
			continue
		}
		statuses[http.StatusSwitchingProtocols]++
		if i == 0 {
			s.SendFrames(apptest.Frame{Opcode: apptest.Text, Payload: bytes.Repeat([]byte(" "), 200<<10)})
			wantClosed(t, s, 1009)
		}
		s.Cut()
	}
	if statuses[101] != 200 || statuses[429] != 20 {
		t.Errorf("220 strangers from one address: %v", statuses)
	}
	n.Dial(t, "ANOTHER", "1.6", apptest.Dial{}).Ask(apptest.BootFrame("1.6"), `[3,"boot",{"status":"Pending","currentTime":"<time>","interval":"<any>"}]`)
}

// TestPasswordPush: the three ends of a change of a station's password, in each version.
func TestPasswordPush(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	for _, version := range []string{"1.6", "2.0.1", "2.1"} {
		answer := func(status string) string {
			if version == "1.6" {
				return `{"status":"` + status + `"}`
			}
			return `{"setVariableResult":[{"attributeStatus":"` + status + `","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}`
		}
		for name, c := range map[string]struct {
			answer       string // "" cuts the line instead
			status       int
			old, newOpen int // after it, in this order: 0 let in, or the status
		}{
			"accepted": {answer("Accepted"), 200, 401, 0},
			"rejected": {answer("Rejected"), 502, 0, 401},
			"unclear":  {"", 504, 0, 401}, // the old one is shown: the station has not taken the other
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				const old, fresh = "the old password", "the new password"
				id := strings.ReplaceAll(version+"-"+name, " ", "-")
				n.Want(t, 201, "POST", "/stations", fmt.Sprintf(`{"id":%q,"password":%q}`, id, old))
				s := n.Dial(t, id, version, apptest.Dial{Password: old, Manual: true}).Boot(version)
				var p *apptest.Pending
				for p == nil { // the device model is asked for first
					frame := s.Next()
					var f []json.RawMessage
					if err := json.Unmarshal([]byte(frame), &f); err != nil {
						t.Fatal(err)
					}
					if reader := strings.Contains(frame, "GetBaseReport") || strings.Contains(frame, "GetConfiguration"); !reader {
						t.Fatal(frame)
					}
					s.Send(`[3,` + string(f[1]) + `,` + map[bool]string{true: `{}`, false: `{"status":"NotSupported"}`}[version == "1.6"] + `]`)
					p = n.Begin("POST", "/stations/"+id+"/password", `{"password":"`+fresh+`","push":true}`)
				}
				frame := s.Next()
				if !strings.Contains(frame, fresh) {
					t.Fatal(frame)
				}
				if c.answer == "" {
					s.Cut()
				} else {
					s.Send(`[3,` + strings.Split(frame, ",")[1] + `,` + c.answer + `]`)
				}
				if r := p.Wait(t); r.Status != c.status {
					t.Errorf("the push ended with %d %s", r.Status, r.Body)
				}
				for shown, want := range map[string]int{old: c.old, fresh: c.newOpen} {
					if shown == fresh && c.answer == "" {
						continue // whichever comes first settles it
					}
					got := 0
					if s, resp, err := n.TryDial(t, id, version, apptest.Dial{Password: shown}); err != nil {
						t.Fatal(err)
					} else if s == nil {
						got = resp.StatusCode
					}
					if got != want {
						t.Errorf("%s: %d, want %d", shown, got, want)
					}
				}
				if resp, want := n.Want(t, 200, "GET", "/stations/"+id+"/frames?limit=100", "").Body, "****"; strings.Contains(resp, fresh) || !strings.Contains(resp, want) {
					t.Errorf("the password is in the log: %s", resp)
				}
			})
		}
	}
	n.Want(t, 201, "POST", "/stations", `{"id":"OFFLINE","password":"the old password"}`)
	n.Want(t, 409, "POST", "/stations/OFFLINE/password", `{"push":true}`)
	n.Dial(t, "OFFLINE", "2.1", apptest.Dial{Password: "the old password"}).Boot("2.1")
}
