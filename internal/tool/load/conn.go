// Package load makes the load of many stations from few CPU cycles, so that a measurement on one machine measures the
// node and not its clients. Its messages are made ahead, with marks where a number or the time is written in place; a
// call is then one write and, as a rule, one read, and allocates nothing.
//
// It is no station: package sim has those. It says what a measurement needs and checks only that answers are results.
package load

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Operation codes of RFC 6455 5.2.
const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// RefusedError is an upgrade that the server answered with another status than 101.
type RefusedError struct {
	Status     int           // HTTP
	RetryAfter time.Duration // as the server asks, 0 when it does not
}

// Error names the status.
func (e *RefusedError) Error() string {
	return "the upgrade was refused with HTTP " + strconv.Itoa(e.Status)
}

// Conn is a WebSocket as a client has it: plain, without extensions, one reader and one writer at a time.
type Conn struct {
	net  net.Conn
	buf  []byte // what was read: [r:w) is not used yet
	r, w int
}

// The key is the example of RFC 6455 1.3 and always the same: it protects caches, and there are none between.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// handshakeTimeout bounds the connection and its upgrade; a server in a storm is slow.
const handshakeTimeout = time.Minute

// Secure in front of an address asks for TLS. The certificate is not checked: a measured node has made it for itself.
const Secure = "tls:"

// Dial opens a WebSocket to ws://addr/path, or wss: where addr begins with [Secure]. The error is a *RefusedError when the
// server answers without an upgrade.
func Dial(addr, path, subprotocol string) (*Conn, error) {
	addr, secure := strings.CutPrefix(addr, Secure)
	nc, err := net.DialTimeout("tcp", addr, handshakeTimeout)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // as said above
	}
	c := &Conn{net: nc, buf: make([]byte, 512)}
	if err := c.upgrade(addr, path, subprotocol); err != nil {
		_ = nc.Close() // the reason is err
		return nil, err
	}
	return c, nil
}

func (c *Conn) upgrade(addr, path, subprotocol string) error {
	if err := c.net.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	_, err := c.net.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + handshakeKey + "\r\nSec-WebSocket-Protocol: " + subprotocol + "\r\n\r\n"))
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	head, err := c.head()
	if err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	lines := strings.Split(head, "\r\n")
	fields := strings.Fields(lines[0])
	if len(fields) < 2 {
		return fmt.Errorf("upgrade: the server answered %q", lines[0])
	}
	if fields[1] != "101" {
		return refused(fields[1], lines[1:])
	}
	if got := header(lines[1:], "Sec-WebSocket-Accept"); got != handshakeAccept {
		return fmt.Errorf("upgrade: the server accepts another key: %q", got)
	}
	if got := header(lines[1:], "Sec-WebSocket-Protocol"); got != subprotocol {
		return fmt.Errorf("upgrade: the server speaks %q, not %s", got, subprotocol)
	}
	return c.net.SetDeadline(time.Time{})
}

func refused(status string, headers []string) error {
	n, err := strconv.Atoi(status)
	if err != nil {
		return fmt.Errorf("upgrade: the server answered the status %q", status)
	}
	e := &RefusedError{Status: n}
	if s, err := strconv.Atoi(header(headers, "Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// maxHead is the longest answer to an upgrade.
const maxHead = 8 << 10

// head reads up to the empty line that ends the headers.
func (c *Conn) head() (string, error) {
	for {
		if i := bytes.Index(c.buf[c.r:c.w], []byte("\r\n\r\n")); i >= 0 {
			head := string(c.buf[c.r : c.r+i])
			c.r += i + 4
			return head, nil
		}
		if c.w-c.r > maxHead {
			return "", errors.New("the headers do not end")
		}
		if err := c.more(c.w - c.r + 1); err != nil {
			return "", err
		}
	}
}

func header(lines []string, name string) string {
	for _, line := range lines {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// more reads until n unused bytes are there.
func (c *Conn) more(n int) error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.r+n > len(c.buf) {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
		if n > len(c.buf) {
			bigger := make([]byte, max(n, 2*len(c.buf)))
			copy(bigger, c.buf[:c.w])
			c.buf = bigger
		}
	}
	for c.w-c.r < n {
		got, err := c.net.Read(c.buf[c.w:])
		c.w += got
		if err != nil && c.w-c.r < n {
			return err
		}
	}
	return nil
}

// ClosedError is a WebSocket that the server has closed in order.
type ClosedError struct {
	Code   int // RFC 6455 7.4, 0 when none was given
	Reason string
}

// Error names the code and the reason.
func (e *ClosedError) Error() string {
	return fmt.Sprintf("the server closed the link: %d %s", e.Code, e.Reason)
}

// maxMessage is the longest message that is read.
const maxMessage = 16 << 20

// Read gives the next text message. It is valid until the next Read. Pings are answered meanwhile; the error is a
// *ClosedError when the server closes, io.EOF or another error of the connection when it ends otherwise.
func (c *Conn) Read() ([]byte, error) {
	for {
		op, payload, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opText:
			return payload, nil
		case opPing:
			if err := c.Write(AppendFrame(nil, opPong, payload)); err != nil {
				return nil, err
			}
		case opPong:
		case opClose:
			e := &ClosedError{}
			if len(payload) >= 2 {
				e.Code, e.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			}
			return nil, e
		default:
			return nil, fmt.Errorf("unexpected frame of type %d", op)
		}
	}
}

// frame reads one frame of a server, which is never masked and, from the servers that are measured, never a fragment.
func (c *Conn) frame() (op byte, payload []byte, err error) {
	if c.w-c.r < 2 {
		if err := c.more(2); err != nil {
			return 0, nil, err
		}
	}
	b := c.buf[c.r:]
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("a fragment, an extension or a masked frame: % x", b[:2])
	}
	op = b[0] & 0x0f
	n, head := uint64(b[1]), 2
	switch n {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if err := c.need(head); err != nil {
		return 0, nil, err
	}
	switch b = c.buf[c.r:]; head {
	case 4:
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		n = binary.BigEndian.Uint64(b[2:])
	}
	if n > maxMessage {
		return 0, nil, fmt.Errorf("a message of %d bytes", n)
	}
	if err := c.need(head + int(n)); err != nil {
		return 0, nil, err
	}
	payload = c.buf[c.r+head : c.r+head+int(n)]
	c.r += head + int(n)
	return op, payload, nil
}

func (c *Conn) need(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if err := c.more(n); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// Write sends frames that AppendFrame has made.
func (c *Conn) Write(frames []byte) error {
	_, err := c.net.Write(frames)
	return err
}

// WriteText sends a text message.
func (c *Conn) WriteText(text string) error { return c.Write(AppendFrame(nil, opText, []byte(text))) }

// Close cuts the connection.
func (c *Conn) Close() error { return c.net.Close() }

// AppendFrame appends one unfragmented frame of a client. Its masking key is zero: the server unmasks as ever, and the
// payload can be changed in place.
func AppendFrame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, payload...)
}
