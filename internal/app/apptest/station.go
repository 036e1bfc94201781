package apptest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Dial says how a station connects. The zero Dial offers the subprotocol of the version at /ocpp/ID without a password.
type Dial struct {
	Path         string      // raw path of the request, instead of /ocpp/ID
	Subprotocols string      // value of Sec-WebSocket-Protocol, instead of the version's; "-" sends none
	User         string      // of HTTP Basic; the id when Password is set
	Password     string      // of HTTP Basic, raw bytes; "" sends none
	Header       http.Header // further headers
	From         string      // local address to connect from; each station has its own loopback address by default
	TLS          *tls.Config // connects with TLS
	Manual       bool        // the test answers every call, also those by which a node reads the device model
	Obedient     bool        // the station takes every password that the node gives it, see Station.Password
	Deaf         bool        // the station never reads what the node sends
}

// Station is a raw WebSocket client that plays a charging station.
type Station struct {
	ID       string
	Response *http.Response // of the handshake
	conn     net.Conn
	t        testing.TB
	manual   bool
	obedient bool

	write  sync.Mutex
	frames chan string   // text messages of the node
	closed chan struct{} // closed when the reading has ended
	code   int           // of the node's close frame; guarded by closed
	reason string
	pongs  atomic.Int64
	fences atomic.Int64

	password atomic.Pointer[string] // that the node has given it
}

var sources atomic.Uint32

// Source is a loopback address that nobody else in this process connects from, so that limits that count by address do
// not mix up tests.
func Source() string {
	n := sources.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 10+n>>16, n>>8&0xff, n&0xff)
}

// Dial connects a station and fails the test when it is not let in.
func (n *Node) Dial(t testing.TB, id, version string, d Dial) *Station {
	t.Helper()
	s, resp, err := n.TryDial(t, id, version, d)
	if err != nil {
		t.Fatalf("station %s: %v", id, err)
	}
	if s == nil {
		t.Fatalf("station %s: not let in: %s", id, resp.Status)
	}
	return s
}

// Refused connects a station that must not be let in, and gives the node's answer.
func (n *Node) Refused(t testing.TB, id, version string, d Dial) *http.Response {
	t.Helper()
	s, resp, err := n.TryDial(t, id, version, d)
	if err != nil {
		t.Fatalf("station %s: %v", id, err)
	}
	if s != nil {
		t.Fatalf("station %s: let in", id)
	}
	return resp
}

// TryDial connects a station: the station when it is let in, else the answer; the error is that of the connection.
func (n *Node) TryDial(t testing.TB, id, version string, d Dial) (*Station, *http.Response, error) {
	t.Helper()
	conn, err := n.Connect(d)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, nil, err
	}
	if _, err := io.WriteString(conn, handshake(id, version, d)); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(resp.Body)
		CheckLeak(t, "connecting "+id, string(body))
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return nil, resp, errors.Join(err, conn.Close())
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	s := &Station{ID: id, Response: resp, conn: conn, t: t, manual: d.Manual, obedient: d.Obedient, frames: make(chan string, 4096), closed: make(chan struct{})}
	if !d.Deaf {
		go s.read(br)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return s, resp, nil
}

// Connect opens the bare connection that a Dial would speak on, without a word.
func (n *Node) Connect(d Dial) (net.Conn, error) {
	from := d.From
	if from == "" {
		from = Source()
	}
	dialer := &net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	if d.TLS != nil {
		return tls.DialWithDialer(dialer, "tcp", n.HTTPSAddr, d.TLS)
	}
	return dialer.Dial("tcp", n.HTTPAddr)
}

func handshake(id, version string, d Dial) string {
	path := d.Path
	if path == "" {
		path = "/ocpp/" + url.PathEscape(id)
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	text := "GET " + path + " HTTP/1.1\r\nHost: lumela.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: " + base64.StdEncoding.EncodeToString(key) + "\r\n"
	offer := d.Subprotocols
	if offer == "" {
		offer = "ocpp" + version
	}
	if offer != "-" {
		text += "Sec-WebSocket-Protocol: " + offer + "\r\n"
	}
	if d.Password != "" {
		user := d.User
		if user == "" {
			user = id
		}
		text += "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+d.Password)) + "\r\n"
	}
	for name, values := range d.Header {
		for _, v := range values {
			text += name + ": " + v + "\r\n"
		}
	}
	return text + "\r\n"
}

// The opcodes of RFC 6455.
const (
	Continuation byte = 0
	Text         byte = 1
	Binary       byte = 2
	Close        byte = 8
	Ping         byte = 9
	Pong         byte = 10
)

// Frame is one WebSocket frame, with every bit under the caller's control.
type Frame struct {
	Opcode   byte
	More     bool // FIN is not set
	Reserved byte // RSV1 to RSV3 as 0x40, 0x20, 0x10
	Unmasked bool
	Payload  []byte
}

// Append writes the frame as bytes.
func (f Frame) Append(b []byte) []byte {
	first := f.Opcode | f.Reserved
	if !f.More {
		first |= 0x80
	}
	masked := byte(0x80)
	if f.Unmasked {
		masked = 0
	}
	b = append(b, first)
	switch n := len(f.Payload); {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	if f.Unmasked {
		return append(b, f.Payload...)
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range f.Payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// SendFrames writes frames in one go.
func (s *Station) SendFrames(frames ...Frame) {
	s.t.Helper()
	var b []byte
	for _, f := range frames {
		b = f.Append(b)
	}
	if err := s.SendBytes(b); err != nil {
		s.t.Fatalf("station %s: %v", s.ID, err)
	}
}

// SendBytes writes bytes as they are.
func (s *Station) SendBytes(b []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// Send sends one text message.
func (s *Station) Send(text string) {
	s.t.Helper()
	s.SendFrames(Frame{Opcode: Text, Payload: []byte(text)})
}

// read takes the node's frames until the connection ends.
func (s *Station) read(r *bufio.Reader) {
	defer close(s.closed)
	for {
		opcode, payload, err := readFrame(r)
		if err != nil {
			return
		}
		switch opcode {
		case Text:
			if s.manual || !s.answerReader(string(payload)) {
				s.frames <- string(payload)
			}
		case Ping:
			_ = s.SendBytes(Frame{Opcode: Pong, Payload: payload}.Append(nil)) // a broken connection ends the reading
		case Pong:
			s.pongs.Add(1)
		case Close:
			if len(payload) >= 2 {
				s.code, s.reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			}
			_ = s.SendBytes(Frame{Opcode: Close, Payload: payload}.Append(nil)) // the node may be gone already
			return
		}
	}
}

// readFrame reads one frame of a server, which is not masked and, from this server, not fragmented.
func readFrame(r *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("unexpected frame header %x", head)
	}
	n := uint64(head[1])
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(r, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(r, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil || n > 32<<20 {
		return 0, nil, errors.Join(err, fmt.Errorf("frame of %d bytes", n))
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0] & 0x0f, payload, err
}

// answerReader answers the requests by which a node reads the device model of a new station, which most tests are not
// about: there is none.
func (s *Station) answerReader(text string) bool {
	var frame []json.RawMessage
	if json.Unmarshal([]byte(text), &frame) != nil || len(frame) < 3 || string(frame[0]) != "2" {
		return false
	}
	payload := map[string]string{`"GetBaseReport"`: `{"status":"NotSupported"}`, `"GetConfiguration"`: `{}`}[string(frame[2])]
	if payload == "" && s.obedient && len(frame) > 3 {
		payload = s.takePassword(string(frame[2]), frame[3])
	}
	if payload == "" {
		return false
	}
	return s.SendBytes(Frame{Opcode: Text, Payload: []byte(`[3,` + string(frame[1]) + `,` + payload + `]`)}.Append(nil)) == nil
}

// takePassword takes a password that the node gives the station, and gives the answer; "" when the call is about something
// else.
func (s *Station) takePassword(action string, payload json.RawMessage) string {
	var p struct {
		Key, Value      string
		SetVariableData []struct {
			AttributeValue      string
			Component, Variable struct{ Name string }
		}
	}
	if json.Unmarshal(payload, &p) != nil {
		return ""
	}
	switch {
	case action == `"ChangeConfiguration"` && p.Key == "AuthorizationKey":
		s.password.Store(&p.Value)
		return `{"status":"Accepted"}`
	case action == `"SetVariables"` && len(p.SetVariableData) == 1 && p.SetVariableData[0].Variable.Name == "BasicAuthPassword":
		s.password.Store(&p.SetVariableData[0].AttributeValue)
		return `{"setVariableResult":[{"attributeStatus":"Accepted","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}`
	}
	return ""
}

// Password waits for a password that the node gives the station, and takes it over.
func (s *Station) Password() string {
	s.t.Helper()
	Poll(s.t, "a new password for "+s.ID, func() bool { return s.password.Load() != nil })
	return *s.password.Load()
}

// Next gives the next text message of the node.
func (s *Station) Next() string {
	s.t.Helper()
	select {
	case text := <-s.frames:
		if strings.HasPrefix(text, "[4,") || strings.HasPrefix(text, "[5,") {
			CheckLeak(s.t, "station "+s.ID, text)
		}
		return text
	case <-time.After(patience):
		s.t.Fatalf("station %s: no frame came", s.ID)
	case <-s.closed:
		select {
		case text := <-s.frames:
			return text
		default:
			s.t.Fatalf("station %s: the link ended (%d %s) when a frame was expected", s.ID, s.code, s.reason)
		}
	}
	return ""
}

// Unread gives a text message of the node that has come and was not looked at, "" when there is none. After [Station.WaitClosed]
// nothing more can come.
func (s *Station) Unread() string {
	select {
	case text := <-s.frames:
		return text
	default:
		return ""
	}
}

// Expect matches the next message with a pattern, see Match, and gives what the pattern captures.
func (s *Station) Expect(pattern string) map[string]string {
	s.t.Helper()
	text := s.Next()
	found, err := Match(pattern, text)
	if err != nil {
		s.t.Fatalf("station %s: %v\n got %s\nwant %s", s.ID, err, text, pattern)
	}
	return found
}

// Ask sends a message and matches the next one with a pattern.
func (s *Station) Ask(text, pattern string) map[string]string {
	s.t.Helper()
	s.Send(text)
	return s.Expect(pattern)
}

// Quiet makes sure that the node has nothing more to say: a Heartbeat is answered, and nothing comes before the answer.
// The station must be accepted.
func (s *Station) Quiet() {
	s.t.Helper()
	id := fmt.Sprintf("fence-%d", s.fences.Add(1))
	s.Ask(`[2,"`+id+`","Heartbeat",{}]`, `[3,"`+id+`",{"currentTime":"<time>"}]`)
}

// WaitClosed waits for the end of the link: the code and the reason of the node's close frame, 0 without one.
func (s *Station) WaitClosed() (code int, reason string) {
	s.t.Helper()
	select {
	case <-s.closed:
	case <-time.After(patience):
		s.t.Fatalf("station %s: the link was not closed", s.ID)
	}
	return s.code, s.reason
}

// Cut ends the connection without a word, as a power cut does.
func (s *Station) Cut() { _ = s.conn.Close() }

// Pongs is how many pongs came.
func (s *Station) Pongs() int64 { return s.pongs.Load() }

// Boot lets the station say BootNotification in its version and be accepted.
func (s *Station) Boot(version string) *Station {
	s.t.Helper()
	s.Ask(BootFrame(version), `[3,"boot",{"status":"Accepted","currentTime":"<time>","interval":300}]`)
	return s
}

// BootFrame is a complete BootNotification of a version, with the message id "boot".
func BootFrame(version string) string {
	if version == "1.6" {
		return `[2,"boot","BootNotification",{"chargePointVendor":"Vendor","chargePointModel":"Model"}]`
	}
	return `[2,"boot","BootNotification",{"reason":"PowerUp","chargingStation":{"vendorName":"Vendor","model":"Model"}}]`
}
