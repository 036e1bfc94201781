package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"lumela/ocpp"
)

// Prefixes are the paths that stations connect to. The path never decides the version: OCPP 2.1 Part 4 3.1.2.
var Prefixes = []string{"/ocpp/", "/ocpp16/", "/ocpp1.6/", "/ocpp201/", "/ocpp2.0.1/", "/ocpp21/", "/ocpp2.1/"}

// admitTimeout bounds the decision about one station; the database may be slow.
const admitTimeout = 10 * time.Second

func (g *Gateway) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if g.draining.Load() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "restarting", http.StatusServiceUnavailable)
		return
	}
	remote := remoteHost(r)
	if !g.enter(r.Context()) {
		g.refuse(w, r, &Refusal{Status: http.StatusServiceUnavailable, Reason: "too many stations connect at this moment"}, 3*time.Second)
		return
	}
	defer func() { <-g.hands }()
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Method != http.MethodGet {
		w.Header().Set("Upgrade", "websocket")
		w.Header()["Connection"] = []string{"close", "Upgrade"} // what follows is no station's
		http.Error(w, "this is the address of charging stations: connect by WebSocket", http.StatusUpgradeRequired)
		return
	}
	id, ok := stationID(r)
	if !ok {
		g.refuseFor(w, r, remote, "", &Refusal{Status: http.StatusNotFound, Reason: "no station id in the path"})
		return
	}
	if g.full(id) {
		g.refuse(w, r, &Refusal{Status: http.StatusServiceUnavailable, Reason: "this node has as many stations as it may have (max-stations)"}, time.Minute)
		return
	}
	if wait := g.limiter.blocked(pair(remote, id)); wait > 0 {
		g.refuse(w, r, &Refusal{Status: http.StatusTooManyRequests, Reason: "too many wrong passwords for this station from this address"}, wait)
		return
	}
	version := negotiate(r.Header.Values("Sec-WebSocket-Protocol"))
	if version == 0 {
		g.refuse(w, r, &Refusal{Status: http.StatusBadRequest, Reason: "no OCPP version in common; offered: " + offered(r)}, 0)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), admitTimeout)
	defer cancel()
	st, err := g.platform.Admit(ctx, id, version, credentials(r, version, remote))
	if err != nil {
		g.refuseFor(w, r, remote, id, err)
		return
	}
	g.upgrade(w, r, st, version, remote)
}

// enterTimeout is how long a station waits for its turn to be let in. A storm of thousands passes in less; a station that
// is sent away comes back later and makes it longer.
const enterTimeout = 8 * time.Second

// enter waits for a place among those that are being let in.
func (g *Gateway) enter(ctx context.Context) bool {
	select {
	case g.hands <- struct{}{}:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, enterTimeout)
	defer cancel()
	select {
	case g.hands <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// pair is what wrong passwords are counted under: many stations may share one address, and one that fails must not shut
// the others out.
func pair(remote, id string) string { return remote + " " + id }

// refuseFor answers a station that is not let in. Once an address has failed too often it hears 429 for every failure, so
// that it cannot find out which ids exist; a station with the right password is still let in from there.
func (g *Gateway) refuseFor(w http.ResponseWriter, r *http.Request, remote, id string, err error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		if !errors.Is(err, ErrNotNow) {
			g.log.Error("station not let in", "path", r.URL.Path, "error", err)
		}
		refusal = &Refusal{Status: http.StatusServiceUnavailable, Reason: "the platform cannot decide at the moment"}
		g.refuse(w, r, refusal, 10*time.Second)
		return
	}
	if refusal.RetryAfter > 0 { // not for what it showed: there is nothing to guess
		g.refuse(w, r, refusal, refusal.RetryAfter)
		return
	}
	if refusal.Status != http.StatusNotFound {
		g.limiter.failed(pair(remote, id))
	}
	wait := g.limiter.blocked(remote)
	if g.limiter.failed(remote) {
		g.alarm(remote, "too many unknown stations or wrong passwords from one address")
	}
	if wait > 0 {
		g.refuse(w, r, &Refusal{Status: http.StatusTooManyRequests, Reason: refusal.Reason}, wait)
		return
	}
	g.refuse(w, r, refusal, 0)
}

// refuse answers without an upgrade. The body says nothing that the status does not: what exists is nobody's business.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, refusal *Refusal, retryAfter time.Duration) {
	g.Counters.Refused.Add(1)
	level := slog.LevelInfo
	if refusal.Status == http.StatusTooManyRequests { // it was told of when the limit was reached
		level = slog.LevelDebug
	}
	g.log.Log(r.Context(), level, "station refused", "path", excerpt(r.URL.Path), "remote", r.RemoteAddr, "status", refusal.Status, "reason", refusal.Reason)
	if refusal.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="charging station"`)
	}
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)+1))
	}
	w.Header().Set("Connection", "close") // a station that comes again makes a connection of its own
	http.Error(w, http.StatusText(refusal.Status), refusal.Status)
}

// Serves reports whether a request is for a station's URL.
func Serves(r *http.Request) bool {
	for _, prefix := range Prefixes {
		if strings.HasPrefix(r.URL.EscapedPath(), prefix) {
			return true
		}
	}
	return false
}

// stationID reads the last part of the path: percent-decoded, one segment.
func stationID(r *http.Request) (string, bool) {
	path := r.URL.EscapedPath()
	for _, prefix := range Prefixes {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			if strings.Contains(rest, "/") {
				return "", false
			}
			id, err := url.PathUnescape(rest)
			return id, err == nil && id != ""
		}
	}
	return "", false
}

// negotiate picks the newest version that both sides speak, whatever the order of the offer; 0 is none. The newest says
// most, and a station that offers it can speak it.
func negotiate(offers []string) ocpp.Version {
	best := ocpp.Version(0)
	for _, line := range offers {
		for offer := range strings.SplitSeq(line, ",") {
			for _, v := range ocpp.Versions {
				if strings.TrimSpace(offer) == v.Subprotocol() && v > best {
					best = v
				}
			}
		}
	}
	return best
}

func credentials(r *http.Request, v ocpp.Version, remote string) Credentials {
	c := Credentials{TLS: r.TLS != nil, Remote: remote}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && len(r.TLS.PeerCertificates) > 0 {
		c.ClientCN = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	c.Username, c.Password, c.HasBasic = r.BasicAuth()
	if v == ocpp.V16 {
		c.Other = spellings(c.Password)
	}
	return c
}

// spellings are the other forms of a 1.6 AuthorizationKey: it is set as hexadecimal digits and may come as the bytes that
// they spell or as the digits themselves, OCPP-J 1.6 6.2.2. A 2.x password is text and only itself.
func spellings(shown string) []string {
	digits := hex.EncodeToString([]byte(shown))
	out := []string{digits, strings.ToUpper(digits)}
	if raw, err := hex.DecodeString(shown); err == nil {
		out = append(out, string(raw))
	}
	return out
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// upgrade makes the WebSocket and starts the link on a goroutine of its own: the handler's grown stack and the request
// are freed, which is a third of the memory of an idle link.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, st Station, v ocpp.Version, remote string) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "this server cannot upgrade", http.StatusInternalServerError)
		return
	}
	conn, rw, err := hijacker.Hijack()
	if err != nil {
		g.log.Error("connection not taken over", "station", st.ID, "error", err)
		return
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		_ = conn.Close() // it is broken already
		return
	}
	r.Header.Set("Sec-WebSocket-Protocol", v.Subprotocol())
	upgraders := g.upgrader
	if st.Stranger {
		upgraders = g.strange
	}
	socket, err := upgraders[v].UpgradeFromConn(wire{conn}, reader(conn, rw.Reader), r)
	if err != nil {
		g.log.Info("handshake failed", "station", st.ID, "error", err)
		return
	}
	g.Counters.Accepted.Add(1)
	l := socket.Session().(*Link)
	l.start(st, socket, remote)
	g.linked.Add(1)
	go l.run()
}

// wire is the connection of a link. A station that does not read is given up: what waits for it is bounded by the buffers of
// the connection and by writeTime. And it mends one word of gws, which says 1011, a defect of the server, where a compressed
// message is longer than the limit: RFC 6455 7.4.1 has 1009 for it.
type wire struct{ net.Conn }

var (
	tooLargeAsDefect = append([]byte{0x03, 0xf3}, gws.ErrMessageTooLarge.Error()...) // 1011
	tooLarge         = append([]byte{0x03, 0xf1}, gws.ErrMessageTooLarge.Error()...) // 1009
)

func (w wire) Write(b []byte) (int, error) {
	if len(b) == 2+len(tooLarge) && b[0] == 0x88 && bytes.Equal(b[2:], tooLargeAsDefect) { // a close frame of a server has no mask
		copy(b[2:], tooLarge)
	}
	if err := w.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Write(b)
	if err != nil {
		_ = w.Close() // part of a frame may be written: nothing can follow
	}
	return n, err
}

// writeTime is how long a station may take to make room for a frame.
const writeTime = 20 * time.Second

// reader is a small buffer over the connection that begins with what the HTTP server has read ahead: a hasty station
// sends its first frame before it has seen the answer.
func reader(conn net.Conn, ahead *bufio.Reader) *bufio.Reader {
	n := ahead.Buffered()
	if n == 0 {
		return bufio.NewReaderSize(conn, 512)
	}
	head, _ := ahead.Peek(n) // n bytes are there
	return bufio.NewReaderSize(io.MultiReader(bytes.NewReader(bytes.Clone(head)), conn), 512)
}

// handler turns the events of gws into calls of the link.
type handler struct{ gws.BuiltinEventHandler }

func (handler) OnMessage(c *gws.Conn, m *gws.Message) {
	l := c.Session().(*Link)
	if m.Opcode != gws.OpcodeText {
		_ = m.Close()
		l.close(1003, notText)
		return
	}
	text := string(m.Bytes())
	_ = m.Close() // only gives the buffer back
	l.receive(text)
}

func (handler) OnPing(c *gws.Conn, payload []byte) {
	c.Session().(*Link).touch()
	_ = c.WritePong(payload) // a broken connection ends the read loop
}

func (handler) OnPong(c *gws.Conn, _ []byte) { c.Session().(*Link).touch() }

func (handler) OnClose(c *gws.Conn, err error) { c.Session().(*Link).ended(err) }
