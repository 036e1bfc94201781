package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"
)

func open(t testing.TB, o Options) *Bus {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// listen starts a server as an operator would run it; port 0 takes any.
func listen(t testing.TB, port int) (*server.Server, string) {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s, s.ClientURL()
}

// each runs test with two nodes: the same embedded bus twice, and two buses on one server.
func each(t *testing.T, test func(t *testing.T, one, two *Bus)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b := open(t, Options{})
		test(t, b, b)
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		_, url := listen(t, 0)
		test(t, open(t, Options{URL: url}), open(t, Options{URL: url}))
	})
}

func subscribe(t testing.TB, b *Bus, subject string, fn func(Msg)) *Subscription {
	t.Helper()
	s, err := b.Subscribe(subject, fn)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t testing.TB, b *Bus, subject, text string) {
	t.Helper()
	if err := b.Publish(subject, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func next[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}

func TestInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, one, two *Bus) {
		const n = 20_000
		done := make(chan string, 1)
		seen := 0 // no lock: calls of one handler never overlap
		subscribe(t, two, "event.*", func(m Msg) {
			if string(m.Data) != strconv.Itoa(seen) || m.Subject != "event.a" {
				done <- fmt.Sprintf("message %d is %s %q", seen, m.Subject, m.Data)
			}
			if seen++; seen == n {
				done <- ""
			}
		})
		for i := range n {
			publish(t, one, "event.a", strconv.Itoa(i))
		}
		if wrong := next(t, done); wrong != "" {
			t.Error(wrong)
		}
	})
}

func TestRequest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, one, two *Bus) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := one.Request(ctx, "command.x", nil); !errors.Is(err, ErrNoResponders) {
			t.Errorf("nobody listens: %v", err)
		}
		respond := make(chan error, 1)
		s := subscribe(t, two, "command.x", func(m Msg) { respond <- m.Respond(append([]byte("re: "), m.Data...)) })
		got, err := one.Request(ctx, "command.x", []byte("reset"))
		if err != nil || string(got) != "re: reset" {
			t.Errorf("the answer is %q, %v", got, err)
		}
		if err := next(t, respond); err != nil {
			t.Error(err)
		}
		publish(t, one, "command.x", "no request")
		if err := next(t, respond); !errors.Is(err, ErrNoReply) {
			t.Errorf("an answer to no request: %v", err)
		}
		short, stop := context.WithCancel(ctx)
		subscribe(t, two, "command.silent", func(Msg) { stop() })
		if _, err := one.Request(short, "command.silent", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a silent listener: %v", err)
		}
		if err := s.Unsubscribe(); err != nil {
			t.Error(err)
		}
		if err := two.Flush(ctx); err != nil {
			t.Error(err)
		}
		if _, err := one.Request(ctx, "command.x", nil); !errors.Is(err, ErrNoResponders) {
			t.Errorf("after Unsubscribe: %v", err)
		}
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, one, two *Bus) {
		const n = 300
		var got [n]atomic.Int64
		var total sync.WaitGroup
		total.Add(n)
		for _, b := range []*Bus{one, two, two} {
			_, err := b.QueueSubscribe("work", "workers", func(m Msg) {
				i, _ := strconv.Atoi(string(m.Data))
				got[i].Add(1)
				total.Done()
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			publish(t, one, "work", strconv.Itoa(i))
		}
		total.Wait()
		for i := range got {
			if c := got[i].Load(); c != 1 {
				t.Errorf("message %d came %d times", i, c)
			}
		}
		if _, err := one.QueueSubscribe("work", "", func(Msg) {}); err == nil {
			t.Error("an empty queue name was accepted")
		}
	})
}

func TestBadSubjects(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	if _, err := b.Subscribe("a..b", func(Msg) {}); err == nil {
		t.Error("subscribed to a..b")
	}
	if err := b.Publish("", nil); err == nil {
		t.Error("published to nothing")
	}
	if err := b.Publish("big", make([]byte, MaxPayload+1)); err == nil {
		t.Error("published more than MaxPayload")
	}
}

func TestDrainFinishesWhatArrived(t *testing.T) {
	t.Parallel()
	_, url := listen(t, 0)
	sender, receiver := open(t, Options{URL: url}), open(t, Options{URL: url})
	const n = 500
	var handled atomic.Int64
	gate, first := make(chan struct{}), make(chan struct{})
	began := sync.OnceFunc(func() { close(first) })
	subscribe(t, receiver, "in", func(m Msg) {
		began()
		<-gate
		handled.Add(1)
		if err := receiver.Publish("out", m.Data); err != nil {
			t.Error(err)
		}
	})
	out := make(chan struct{}, n)
	subscribe(t, sender, "out", func(Msg) { out <- struct{}{} })
	for range n {
		publish(t, sender, "in", "x")
	}
	if err := sender.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	next(t, first)
	drained := make(chan error, 1)
	go func() { drained <- receiver.Drain(t.Context()) }()
	close(gate)
	if err := next(t, drained); err != nil {
		t.Fatal(err)
	}
	if handled.Load() != n {
		t.Errorf("%d messages handled, want %d", handled.Load(), n)
	}
	for range n {
		next(t, out)
	}
	if err := receiver.Publish("in", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("publish after Drain: %v", err)
	}
	if receiver.Healthy() {
		t.Error("healthy after Drain")
	}
}

func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	release, began := make(chan struct{}), make(chan struct{})
	defer close(release)
	subscribe(t, b, "in", func(Msg) { close(began); <-release })
	publish(t, b, "in", "x")
	next(t, began)
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- b.Drain(ctx) }()
	cancel()
	if err := next(t, drained); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain returned %v", err)
	}
}

func TestReconnects(t *testing.T) {
	t.Parallel()
	s, url := listen(t, 0)
	b := open(t, Options{URL: url})
	got := make(chan string, 100)
	subscribe(t, b, "event", func(m Msg) { got <- string(m.Data) })
	port := s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	poll(t, func() bool { return !b.Healthy() })
	listen(t, port)
	poll(t, b.Healthy)
	publish(t, b, "event", "after")
	if m := next(t, got); m != "after" {
		t.Errorf("got %q", m)
	}
}

// poll waits for what another component does in its own time.
func poll(t *testing.T, what func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("waited for too long")
		}
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := Open(t.Context(), Options{URL: "nats://" + addr}); err == nil {
		t.Error("connected to nobody")
		_ = b.Close()
	}
}

func TestEmbeddedListensNowhere(t *testing.T) {
	t.Parallel()
	b := open(t, Options{})
	if a := b.server.Addr(); a != nil {
		t.Errorf("listens on %v", a)
	}
	if b.server.JetStreamEnabled() {
		t.Error("JetStream runs unasked")
	}
	if c := open(t, Options{StoreDir: t.TempDir()}); !c.server.JetStreamEnabled() {
		t.Error("JetStream does not run although asked for")
	}
}

// TestManySubscriptions: one per station is affordable.
func TestManySubscriptions(t *testing.T) {
	b := open(t, Options{})
	const n = 20_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	got := make(chan string, 1)
	for i := range n {
		if _, err := b.Subscribe("station."+Token(fmt.Sprintf("CP %d", i)), func(m Msg) { got <- m.Subject }); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)) / n
	t.Logf("%d bytes each", each)
	if more := runtime.NumGoroutine() - goroutines; each > 4096 || more > 100 {
		t.Errorf("%d bytes a subscription, %d goroutines more", each, more)
	}
	publish(t, b, "station."+Token("CP 12345"), "")
	if s := next(t, got); s != "station.CP%2012345" {
		t.Errorf("came on %s", s)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "%", "CP-1_x": "CP-1_x", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", "a b": "a%20b", "%": "%25", "é": "%C3%A9", "$SYS": "%24SYS",
	} {
		if got := Token(in); got != want {
			t.Errorf("Token(%q) = %q, want %q", in, got, want)
		}
	}
	for _, bad := range []string{"", "a.b", "%4", "%zz", "%41", "%2a", "a%"} {
		if s, err := ParseToken(bad); err == nil {
			t.Errorf("ParseToken(%q) = %q", bad, s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "id"))
		token := Token(s)
		if strings.ContainsAny(token, ". *>\t\r\n\x00") || token == "" {
			t.Fatalf("%q is no token", token)
		}
		if back, err := ParseToken(token); err != nil || back != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
	})
}
