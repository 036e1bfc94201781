package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
	"lumela/internal/tool/soak"
)

// processNode is a node in a process of its own, seen as any node.
func processNode(n *soak.Node) *apptest.Node {
	return &apptest.Node{Client: &apptest.Client{Base: "http://" + n.Addr, Key: n.Key}, HTTPAddr: n.Addr, Config: app.Config{DataDir: n.Dir}}
}

// memory reads a figure of a process in MiB: VmRSS is what it has, VmHWM the most that it had.
func memory(t testing.TB, pid int, name string) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("the memory of a process is not told here: %v", err)
	}
	_, rest, _ := strings.Cut(string(raw), name+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("no %s", name)
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// storm is a fleet of small stations that always want to be connected: each comes back as soon as it may.
type storm struct {
	addr    string
	from    string
	booted  atomic.Int64 // stations that are connected and accepted at this moment
	sent    atomic.Int64 // away, with 429 or 503
	unkind  atomic.Int64 // of these without Retry-After
	pending sync.WaitGroup
}

// keep keeps one station connected until ctx ends.
func (s *storm) keep(ctx context.Context, id, version string) {
	defer s.pending.Done()
	for ctx.Err() == nil {
		wait, err := s.once(ctx, id, version)
		if err != nil && wait == 0 {
			wait = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// once connects, boots, and stays until the link ends. wait is what the node asked for.
func (s *storm) once(ctx context.Context, id, version string) (wait time.Duration, err error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(s.from)}}
	conn, err := dialer.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, "GET /ocpp/"+id+" HTTP/1.1\r\nHost: storm\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp"+version+"\r\n\r\n"); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(conn, 512)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		s.sent.Add(1)
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			s.unkind.Add(1)
		}
		return time.Duration(seconds) * time.Second, errors.Join(err, resp.Body.Close())
	}
	if _, err := conn.Write(apptest.Frame{Opcode: apptest.Text, Payload: []byte(apptest.BootFrame(version))}.Append(nil)); err != nil {
		return 0, err
	}
	answer := make([]byte, 64)
	if _, err := io.ReadFull(r, answer); err != nil {
		return 0, err
	}
	if !strings.Contains(string(answer), `[3,"boot"`) {
		return 0, fmt.Errorf("the boot of %s was answered with %q", id, answer)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return 0, err
	}
	s.booted.Add(1)
	defer s.booted.Add(-1)
	_, err = io.Copy(io.Discard, r)
	return 0, err
}

// playStorm restarts a node under a fleet: everybody is back soon, nobody was blocked for it, and the memory of the node
// stays bounded meanwhile.
func playStorm(t *testing.T, size, mostMiB int, soon time.Duration, end func(*soak.Node) error) {
	n := startChild(t, t.TempDir(), "")
	ctx, cancel := context.WithCancel(t.Context())
	s := &storm{addr: n.Addr, from: apptest.Source()}
	defer func() { cancel(); s.pending.Wait() }()
	s.pending.Add(size)
	for i := range size {
		go s.keep(ctx, fmt.Sprintf("STORM-%d", i), []string{"1.6", "2.0.1", "2.1"}[i%3])
	}
	await := func() time.Duration {
		t.Helper()
		began := time.Now()
		for s.booted.Load() < int64(size) {
			if time.Since(began) > soon {
				t.Fatalf("after %s only %d of %d stations are back; %d were sent away", soon, s.booted.Load(), size, s.sent.Load())
			}
			time.Sleep(5 * time.Millisecond)
		}
		return time.Since(began)
	}
	first := await()
	began := time.Now()
	if err := end(n); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d stations came in %s; the node ended in %s", size, first, time.Since(began))
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	took := await()
	most := memory(t, n.Pid(), "VmHWM")
	t.Logf("%d stations were back after %s; %d were sent away for a while; the node had %d MiB at most", size, took, s.sent.Load(), most)
	if most > mostMiB {
		t.Errorf("the node had %d MiB", most)
	}
	if s.unkind.Load() > 0 {
		t.Errorf("%d stations were sent away and not told when to come back", s.unkind.Load())
	}
	node := processNode(n)
	if blocked := node.Count(t, `SELECT COUNT(*) FROM stations WHERE blocked_until IS NOT NULL`); blocked != 0 {
		t.Errorf("%d stations are blocked because the node was restarted", blocked)
	}
	var o struct{ Stations struct{ Online int } }
	if node.Get(t, "/overview", &o); o.Stations.Online != size {
		t.Errorf("%d stations are online", o.Stations.Online)
	}
}

// faultStorm is played once, with stations of all versions at the same time.
func faultStorm(t *testing.T, f *fault) {
	if f.version == "2.1" {
		playStorm(t, 2_000, 400, 30*time.Second, (*soak.Node).Stop)
	}
}

// TestSoakStorm is the same with ten thousand stations and a node that is killed.
func TestSoakStorm(t *testing.T) {
	if os.Getenv("LUMELA_SOAK") == "" {
		t.Skip("LUMELA_SOAK is not set: this one is for make soak")
	}
	playStorm(t, 10_000, 1_200, 2*time.Minute, (*soak.Node).Kill)
}

// faultReconnects: one that ends its links all the time is left out for a while, and nobody else.
func faultReconnects(t *testing.T, f *fault) {
	n, from := f.open(), apptest.Source()
	id, password := f.withPassword(t, n, 1)
	good := n.Dial(t, f.id(), f.version, apptest.Dial{From: from}).Boot(f.version)
	events := n.Listen(t, "/events")
	dial := apptest.Dial{From: from, Password: password}
	var refused *http.Response
	links := 0
	for ; refused == nil && links < 500; links++ {
		s, resp, err := n.TryDial(t, id, f.version, dial)
		switch {
		case err != nil:
			t.Fatal(err)
		case s == nil:
			refused = resp
		default:
			s.Cut()
		}
	}
	if refused == nil || refused.StatusCode != 429 || links < 61 {
		t.Fatalf("after %d links: %+v", links, refused)
	}
	if after, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || after < 1 || after > 1000 {
		t.Errorf("Retry-After %q", refused.Header.Get("Retry-After"))
	}
	if resp := n.Refused(t, id, f.version, apptest.Dial{Password: "somebody else's!"}); resp.StatusCode != 401 {
		t.Errorf("a stranger hears of the block: %s", resp.Status)
	}
	view := func() (st struct {
		Blocked *struct {
			Reason string
			Until  time.Time
		}
	}) {
		n.Get(t, "/stations/"+id, &st)
		return st
	}
	if b := view().Blocked; b == nil || !strings.Contains(b.Reason, "links") || time.Until(b.Until) <= 0 || time.Until(b.Until) > time.Hour {
		t.Errorf("the operator sees %+v: %s", b, n.Want(t, 200, "GET", "/stations/"+id, "").Body)
	}
	wantSecurityEvent(events, id)
	good.Quiet()
	n.Dial(t, f.id(), f.version, apptest.Dial{From: from}).Boot(f.version)
	n.Want(t, 200, "POST", "/stations/"+id+"/unblock", "")
	if b := view().Blocked; b != nil {
		t.Errorf("still blocked: %+v", b)
	}
	n.Dial(t, id, f.version, dial).Boot(f.version).Quiet()
}
