package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"pgregory.net/rapid"
)

// server is a small central system on the WebSocket library of the node: respond gives the messages that answer one.
type server struct {
	gws.BuiltinEventHandler
	respond func(c *gws.Conn, text string) []string
}

func (s server) OnMessage(c *gws.Conn, m *gws.Message) {
	for _, text := range s.respond(c, string(m.Bytes())) {
		_ = c.WriteString(text) // a broken connection ends the read loop
	}
	_ = m.Close()
}

func serve(t *testing.T, respond func(c *gws.Conn, text string) []string) string {
	t.Helper()
	upgrader := gws.NewUpgrader(server{respond: respond}, &gws.ServerOption{SubProtocols: []string{"ocpp1.6", "ocpp2.0.1"}})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "refuse") {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func result(text, payload string) string {
	id := strings.Split(text, `"`)[1]
	return `[3,"` + id + `",` + payload + `]`
}

func connect(t *testing.T, addr string) *Station {
	t.Helper()
	s, err := Connect(addr, "S-1", V16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRefusedUpgradeSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	_, err := Connect(serve(t, nil), "refuse", V16)
	var r *RefusedError
	if !errors.As(err, &r) || r.Status != 503 || r.RetryAfter != 7*time.Second {
		t.Fatalf("got %v", err)
	}
}

func TestMessagesOfEveryLengthCross(t *testing.T) {
	t.Parallel()
	s := connect(t, serve(t, func(_ *gws.Conn, text string) []string { return []string{text} }))
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 200_000} {
		want := strings.Repeat("x", n)
		if err := s.conn.WriteText(want); err != nil {
			t.Fatal(err)
		}
		got, err := s.conn.Read()
		if err != nil || string(got) != want {
			t.Fatalf("length %d came back as %d: %v", n, len(got), err)
		}
	}
}

func TestServersCallsAndPingsAreAnsweredMeanwhile(t *testing.T) {
	t.Parallel()
	answers := make(chan string, 2)
	s := connect(t, serve(t, func(c *gws.Conn, text string) []string {
		if !strings.Contains(text, `"BootNotification"`) {
			answers <- text
			return nil
		}
		_ = c.WritePing([]byte("p"))
		return []string{`[2,"c1","GetConfiguration",{}]`, `[2,"c2","Reset",{"type":"Soft"}]`, result(text, `{"status":"Accepted"}`)}
	}))
	if err := s.Boot(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`[3,"c1",{"configurationKey":`, `[4,"c2","NotSupported"`} {
		if got := <-answers; !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s…", got, want)
		}
	}
}

func TestBootThatIsNotAccepted(t *testing.T) {
	t.Parallel()
	s := connect(t, serve(t, func(_ *gws.Conn, text string) []string { return []string{result(text, `{"status":"Pending"}`)} }))
	if err := s.Boot(); err == nil || !strings.Contains(err.Error(), "Pending") {
		t.Fatalf("got %v", err)
	}
}

func TestDriveCountsOnlyResults(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	addr := serve(t, func(_ *gws.Conn, text string) []string {
		seen.Add(1)
		return []string{result(text, `{}`)}
	})
	stations := []*Station{connect(t, addr), connect(t, addr)}
	res, err := Drive(stations, []*Call{Heartbeat(), Heartbeat()}, Loop{Measure: 50 * time.Millisecond, Begin: nothing, End: nothing})
	if err != nil {
		t.Fatal(err)
	}
	if n := seen.Load(); res.Calls == 0 || res.Calls > n || res.Calls < n-4 {
		t.Errorf("counted %d of %d", res.Calls, n)
	}
}

func TestPacedCallsAreNotMoreThanTheirPace(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(_ *gws.Conn, text string) []string { return []string{result(text, `{}`)} })
	res, err := Drive([]*Station{connect(t, addr)}, []*Call{Heartbeat()},
		Loop{Measure: 100 * time.Millisecond, Every: 10 * time.Millisecond, Begin: nothing, End: nothing})
	if most := int64(res.Elapsed/(10*time.Millisecond)) + 1; err != nil || res.Calls == 0 || res.Calls > most {
		t.Errorf("%d calls, at most %d: %v", res.Calls, most, err)
	}
}

func nothing() error { return nil }

func TestDriveEndsAtARefusal(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(_ *gws.Conn, text string) []string {
		return []string{strings.Replace(result(text, `"InternalError","",{}`), "[3", "[4", 1)}
	})
	_, err := Drive([]*Station{connect(t, addr)}, []*Call{Heartbeat()}, Loop{Warm: time.Minute, Begin: nothing, End: nothing})
	if err == nil || !strings.Contains(err.Error(), "InternalError") {
		t.Fatalf("got %v", err)
	}
}

func TestHoldEndsWithTheLink(t *testing.T) {
	t.Parallel()
	s := connect(t, serve(t, func(c *gws.Conn, _ string) []string {
		_ = c.WriteClose(1001, []byte("bye"))
		return nil
	}))
	if err := s.conn.WriteText("go"); err != nil {
		t.Fatal(err)
	}
	if err := s.Hold(); err != nil {
		t.Fatal(err)
	}
	cut := connect(t, serve(t, func(c *gws.Conn, _ string) []string {
		_ = c.NetConn().(*net.TCPConn).SetLinger(0)
		_ = c.NetConn().Close()
		return nil
	}))
	if err := cut.conn.WriteText("go"); err != nil {
		t.Fatal(err)
	}
	if err := cut.Hold(); err == nil {
		t.Fatal("a link that broke off is no error")
	}
}

func TestMarksAreWrittenInPlace(t *testing.T) {
	t.Parallel()
	c := NewCall("X", `{"n":`+Counter+`,"t":"`+Now+`","m":"`+Counter+`"}`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_789_000, time.FixedZone("", 3600))
	c.next(at)
	frame := c.next(at)
	text := frame[len(frame)-c.Size():]
	want := `[2,"4e7b2c10-0000-4000-8000-000100000002","X",{"n":100000002,"t":"2026-01-02T02:04:05.006Z","m":"100000002"}]`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if done, err := c.answered([]byte(`[3,"4e7b2c10-0000-4000-8000-000100000001",{}]`)); done || err != nil {
		t.Errorf("the answer to the call before is taken: %v", err)
	}
	if done, err := c.answered([]byte(`[3,"4e7b2c10-0000-4000-8000-000100000002",{}]`)); !done || err != nil {
		t.Errorf("the answer is not taken: %v", err)
	}
}

func TestCallsAllocateNothing(t *testing.T) {
	c := NewCall("X", `{"n":`+Counter+`,"t":"`+Now+`"}`)
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { c.next(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMeterValuesAreJSON(t *testing.T) {
	t.Parallel()
	for _, v := range []Version{V16, V201} {
		addr := serve(t, func(_ *gws.Conn, text string) []string {
			return []string{result(text, `{"transactionId":7,"idTagInfo":{"status":"Accepted"},"idTokenInfo":{"status":"Accepted"}}`)}
		})
		s, err := Connect(addr, "S", v)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		c, err := s.Begin("T")
		if err != nil {
			t.Fatal(err)
		}
		frame := c.next(time.Now())
		if text := frame[len(frame)-c.Size():]; !json.Valid(text) || bytes.Contains(text, []byte("##")) || len(text) < 750 {
			t.Errorf("%s: %s", v, text)
		}
	}
}

func TestQuantilesAreWithinTheirStep(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "d"))
		i := bucket(d)
		if d >= upper(i) || i > 0 && d < upper(i-1) {
			t.Fatalf("%s is in step %d, which ends at %s", d, i, upper(i))
		}
		var h Histogram
		h.Add(d)
		if got := h.Quantile(0.5); got > d || h.Count() != 1 {
			t.Fatalf("one duration of %s has the median %s", d, got)
		}
	})
	var a, b Histogram
	for i := range 100 {
		a.Add(time.Duration(i) * time.Millisecond)
	}
	b.Add(time.Second)
	a.Merge(&b)
	if q := a.Quantile(0.5); q < 47*time.Millisecond || q > 54*time.Millisecond {
		t.Errorf("median %s", q)
	}
	if q := a.Quantile(1); q != time.Second {
		t.Errorf("maximum %s", q)
	}
}
