package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lumela/internal/event"
	"lumela/internal/problem"
)

const (
	secretPrefix = "whsec_"
	// maxBody bounds what is sent: a larger event is not delivered, and the log says so.
	maxBody = 1 << 20
	// maxResponse bounds what is kept of an answer, maxRead what is read of it so that the connection can be used again.
	maxResponse = 1024
	maxRead     = 64 << 10
	maxURL      = 2048
)

func newSecret() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

func showSecret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// sign is the webhook-signature of a message: one for each key (Standard Webhooks, "Signature scheme").
func sign(keys [][]byte, id string, at time.Time, body string) string {
	var out []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body) // a hash takes everything
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, " ")
}

// message is the body of a delivery: the event as GET /events shows it, and its time under the name of the specification.
func message(e event.Event) (string, error) {
	raw, err := json.Marshal(struct {
		event.Event
		Timestamp time.Time `json:"timestamp"`
	}{e, e.Time})
	if err != nil {
		return "", fmt.Errorf("write the event: %w", err)
	}
	return string(raw), nil
}

// answer is what came of an attempt.
type answer struct {
	status int // 0 without an answer
	text   string
	err    string // "" for a success
}

// send makes one attempt. Its failure is part of the answer.
func (h *Webhooks) send(ctx context.Context, w *Webhook, d *Delivery) answer {
	if len(d.body) > maxBody {
		return answer{err: fmt.Sprintf("the event has %d bytes, at most %d are sent", len(d.body), maxBody)}
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(d.body))
	if err != nil {
		return answer{err: "the address cannot be used"}
	}
	now := h.clock.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Lumela-Webhooks/1")
	req.Header.Set("webhook-id", d.EventID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", sign(w.keys(now), d.EventID, now, d.body))
	resp, err := h.client.Do(req)
	if err != nil {
		return answer{err: h.explain(err)}
	}
	defer func() { _ = resp.Body.Close() }() // what is needed of it has been read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxRead))
	}
	a := answer{status: resp.StatusCode, text: clean(text)}
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		a.err = "redirects are not followed"
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		a.err = "the answer is not 2xx"
	case err != nil:
		a.err = h.explain(err)
	}
	return a
}

// clean makes a text of an answer that every database takes.
func clean(raw []byte) string {
	return strings.ToValidUTF8(string(bytes.ReplaceAll(raw, []byte{0}, nil)), "\uFFFD")
}

// explain says why there was no answer, without the address, which may hold keys.
func (h *Webhooks) explain(err error) string {
	var refused refusedError
	var dns *net.DNSError
	var op *net.OpError
	var u *url.Error
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no complete answer within %s", h.o.Timeout)
	case errors.As(err, &dns):
		return "the name of the host cannot be resolved"
	case errors.As(err, &op):
		return "the connection failed: " + op.Err.Error()
	case errors.As(err, &u):
		return u.Err.Error()
	}
	return err.Error()
}

// newClient makes the client of all attempts. It uses no proxy: what it connects to is what was checked.
func newClient(o Options) *http.Client {
	dialer := &net.Dialer{Timeout: o.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		if o.AllowPrivate {
			return nil
		}
		to, err := netip.ParseAddrPort(address)
		if err != nil || !public(to.Addr()) {
			return refusedError{}
		}
		return nil
	}}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: o.Timeout, MaxIdleConns: 100, MaxIdleConnsPerHost: 2,
			IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true},
	}
}

type refusedError struct{}

func (refusedError) Error() string {
	return "the address belongs to a private network or to the node itself; --webhook-allow-private would allow it"
}

// reserved are the networks that are not the public internet (IANA special-purpose address registries), beyond what netip
// knows, and those of IPv6 that lead to an address of IPv4.
var reserved = func() (out []netip.Prefix) {
	for _, text := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"} {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}()

// unicast6 are the public addresses of IPv6.
var unicast6 = netip.MustParsePrefix("2000::/3")

// public reports whether an address is of the public internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !unicast6.Contains(a) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// checkURL refuses what can never be sent to. What a name leads to is checked with each connection.
func (h *Webhooks) checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return problem.Field("url", "must have at most %d bytes", maxURL)
	case err != nil || u.Hostname() == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return problem.Field("url", "is not an address, as https://example.com/hook")
	case u.Scheme != "https" && (u.Scheme != "http" || !h.o.AllowPrivate):
		return problem.Field("url", "must begin with https://")
	case u.User != nil:
		return problem.Field("url", "must hold no user name or password: deliveries are signed")
	case u.Fragment != "":
		return problem.Field("url", "must have no fragment")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	addr, err := netip.ParseAddr(host)
	if !h.o.AllowPrivate && (err == nil && !public(addr) || host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		return problem.Field("url", "%s", refusedError{}.Error())
	}
	return nil
}
