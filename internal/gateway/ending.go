package gateway

import (
	"net/http"
	"strings"
	"time"
)

// Why links end, where somebody decides by it.
const (
	replaced = "replaced by a newer link"
	notText  = "OCPP is text"
)

// ByStation reports whether the station ended the link itself, replaced it, or broke the rules so that it had to be
// closed; false when the platform ended it, or the link fell silent. It is asked when the link has ended.
func (l *Link) ByStation() bool {
	if l.gateway.draining.Load() {
		return false
	}
	p := l.reason.Load()
	return p == nil || strings.HasPrefix(*p, replaced) || *p == notText
}

// closeTime is how long the other end may take to accept a close frame; then the connection is cut.
const closeTime = 2 * time.Second

// end closes the link without making anybody wait: whoever is at the other end may have stopped reading long ago.
func (l *Link) end(code uint16, reason string) {
	go func() {
		cut := time.AfterFunc(closeTime, func() { _ = l.conn.NetConn().Close() })
		l.close(code, reason)
		cut.Stop()
	}()
}

// alarm tells the operator of an address that attacks the node.
func (g *Gateway) alarm(remote, reason string) {
	if g.o.Alarm != nil {
		g.o.Alarm(remote, reason)
	}
}

// maxLogged is how much of a stranger's words goes to the log.
const maxLogged = 128

// excerpt is the beginning of a text from outside.
func excerpt(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + "…"
}

// offered is what a station offered to speak, in short.
func offered(r *http.Request) string {
	return excerpt(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ", "))
}
