package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"lumela/ocpp"
)

// steppedClock is the machine's clock while somebody sets it.
type steppedClock struct {
	mu   sync.Mutex
	step time.Duration
}

func (c *steppedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.step)
}

func (c *steppedClock) set(step time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = step
}

// witness is a platform that notes when stations were seen.
type witness struct {
	platform
	mu   sync.Mutex
	seen map[string]time.Time
}

func (w *witness) Seen(at map[string]time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, t := range at {
		w.seen[id] = t
	}
}

// TestClockSteps: whatever somebody does to the clock of the machine, no link is taken for dead, blocks and limits last as
// long as they were to, and what stations were seen at is told by the clock as it is now.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	w := &witness{seen: map[string]time.Time{}}
	g := newGateway(t, w)
	clock := &steppedClock{}
	g.o.Now = clock.now
	l, f := connect(t, g, ocpp.V21, true)
	g.register(l)
	for range maxAttempts {
		g.limiter.failed("stranger")
	}
	for i, step := range []time.Duration{0, time.Hour, -time.Hour, 24 * time.Hour, 0} {
		clock.set(step)
		l.receive(fmt.Sprintf(`[2,"%d","Heartbeat",{}]`, i))
		if got := f.next(t); !strings.HasPrefix(got, `[3,`) {
			t.Fatalf("step %s: %s", step, got)
		}
		time.Sleep(2 * time.Millisecond) // so that the time of this frame is another than that of the last
		l.touch()
		l.sweep(g.age())
		g.limiter.sweep(time.Now())
		if l.reason.Load() != nil || l.pinged.Load() {
			t.Errorf("step %s: the link is closed or pinged: %v", step, l.reason.Load())
		}
		if left := g.limiter.blocked("stranger"); left <= 0 || left > blockFor {
			t.Errorf("step %s: blocked for %s", step, left)
		}
		g.reportSeen()
		if off := w.seen["S"].Sub(clock.now()); off > 0 || off < -10*time.Second {
			t.Errorf("step %s: seen %s off", step, off)
		}
	}
	l.sweep(g.age() + g.o.DeadAfter + time.Second)
	if p := l.reason.Load(); p == nil || *p != "no sign of life" {
		t.Error("a link that is silent is not given up any more")
	}
}

// TestUnfinishedFrame: a frame that does not come to its end is no sign of life.
func TestUnfinishedFrame(t *testing.T) {
	t.Parallel()
	g := newGateway(t, &platform{})
	l, f := connect(t, g, ocpp.V21, true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.conn.ReadLoop()
	}()
	begun := g.age()
	header := binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, 1<<20)
	for _, b := range append(header, make([]byte, 1000)...) {
		if _, err := f.conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if last := time.Duration(l.lastSeen.Load()) * time.Millisecond; last > begun {
		t.Errorf("it was taken for a sign of life: %s after %s", last, begun)
	}
	l.sweep(begun + g.o.DeadAfter + time.Second)
	<-ended
}

// TestDeafStation: one that does not read what it is sent is given up, and nobody waits for it longer.
func TestDeafStation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // it takes nothing that is not read
		w := wire{near}
		began := time.Now()
		if _, err := w.Write([]byte("frame")); err == nil {
			t.Fatal("it was written to nobody")
		}
		if took := time.Since(began); took != writeTime {
			t.Errorf("given up after %s", took)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the connection is open: %v", err)
		}
		if _, err := w.Write([]byte("close frame")); err == nil || time.Since(began) != writeTime {
			t.Errorf("the next one waits again: %v", err)
		}
	})
}

// TestByStation: links that the platform ends are not the station's doing.
func TestByStation(t *testing.T) {
	t.Parallel()
	g := newGateway(t, &platform{})
	for reason, want := range map[string]bool{"": true, replaced: true, replaced + " on another node": true, notText: true, "no sign of life": false,
		"the service is being restarted": false, "try again later": false, "blocked: it ended 61 links within an hour": false} {
		l := &Link{gateway: g}
		if reason != "" {
			l.reason.Store(&reason)
		}
		if got := l.ByStation(); got != want {
			t.Errorf("%q: %v", reason, got)
		}
	}
	g.draining.Store(true)
	if (&Link{gateway: g}).ByStation() {
		t.Error("a link that ends in a drain counts")
	}
	g.draining.Store(false)
}

// TestSpellings: a 1.6 key is the bytes that its digits spell, in either case; whatever is shown, what was set is among the
// spellings exactly when it is the same key.
func TestSpellings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 8, 20).Draw(t, "key")
		forms := []string{string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw))}
		shown, set := rapid.SampledFrom(forms).Draw(t, "shown"), rapid.SampledFrom(forms[:1]).Draw(t, "set")
		if shown == forms[0] {
			set = rapid.SampledFrom(forms).Draw(t, "set as")
		}
		if !slices.Contains(append(spellings(shown), shown), set) {
			t.Fatalf("%q does not open %q", shown, set)
		}
		other := slices.Clone(raw)
		other[0]++
		if slices.Contains(append(spellings(string(other)), string(other)), set) {
			t.Fatal("another key opens")
		}
	})
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth("S", "00112233445566778899aabbccddeeff")
	for _, v := range []ocpp.Version{ocpp.V201, ocpp.V21} {
		if c := credentials(r, v, "here"); len(c.Other) != 0 {
			t.Errorf("%s: a text has other spellings", v)
		}
	}
	if c := credentials(r, ocpp.V16, "here"); len(c.Other) != 3 {
		t.Errorf("1.6: %q", c.Other)
	}
}

// TestStrangersFrames: a station of the waiting room cannot make the node keep large buffers.
func TestStrangersFrames(t *testing.T) {
	t.Parallel()
	g := newGateway(t, &platform{})
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	r := &http.Request{Method: http.MethodGet, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {"ocpp2.1"}}}
	socket, err := g.strange[ocpp.V21].UpgradeFromConn(near, bufio.NewReader(near), r)
	if err != nil {
		t.Fatal(err)
	}
	l := socket.Session().(*Link)
	l.start(Station{ID: "S", Stranger: true}, socket, "here")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.conn.ReadLoop()
	}()
	header := binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, maxStrangersFrame+1)
	if _, err := far.Write(append(header, 1, 2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// TestExcerpt: what a stranger says fills no log.
func TestExcerpt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "short", strings.Repeat("é", 1000), string(bytes.Repeat([]byte{0xff}, 1000))} {
		if got := excerpt(text); len(got) > maxLogged+3 || len(text) <= maxLogged && got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}
