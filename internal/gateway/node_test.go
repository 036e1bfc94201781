package gateway

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"lumela/internal/bus"
	"lumela/internal/problem"
	"lumela/ocpp/v21"
)

// TestFlight: what is under way is waited for, what comes after the end is not taken.
func TestFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flight
		f.open()
		for range 2 {
			if !f.begin() {
				t.Fatal("not taken")
			}
		}
		finished := make(chan struct{})
		go func() { defer close(finished); f.finish(t.Context()) }()
		synctest.Wait()
		select {
		case <-f.leaving():
		default:
			t.Error("those that wait do not hear of the end")
		}
		if f.begin() {
			t.Error("taken after the end")
		}
		f.end()
		synctest.Wait()
		select {
		case <-finished:
			t.Error("finished with one under way")
		default:
		}
		f.end()
		<-finished
		f.finish(t.Context()) // once more changes nothing

		var g flight
		g.open()
		g.begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		g.finish(ctx)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("gave up after %s", took)
		}
		g.end()
	})
}

func TestIsAnswer(t *testing.T) {
	t.Parallel()
	if !isAnswer(" [ 4,\"a\"]") {
		t.Error("spaces do not count")
	}
	for text, want := range map[string]bool{`[3,"a",{}]`: true, `[4,"a"]`: true, `[2,"a","Heartbeat",{}]`: false, `[6,"a"]`: false, "": false, "[": false, "3": false} {
		if got := isAnswer(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// TestCallWithoutBus: a call to another node fails at once while the bus is away, and says that the station was not
// reached, so that the caller may ask the database why.
func TestCallWithoutBus(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	b, err := bus.Open(t.Context(), bus.Options{URL: s.ClientURL(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // nothing is pending
	g := &Gateway{bus: b, links: map[string]*Link{}}
	g.o.defaults()
	heard := make(chan struct{})
	if _, err := b.Subscribe(callSubject+">", func(bus.Msg) { close(heard) }); err != nil { // a node that dies over the call
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := g.Call(ctx, "S", &v21.ClearCacheRequest{}); !problem.Is(err, problem.Timeout) {
		t.Errorf("no answer came: %v, want a Timeout: the station may have acted", err)
	}
	<-heard
	gone, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := g.Call(gone, "S", &v21.ClearCacheRequest{}); !problem.Is(err, problem.Timeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller went: %v, want a Timeout: the station may have acted", err)
	}
	s.Shutdown()
	s.WaitForShutdown()
	for b.Healthy() {
		time.Sleep(time.Millisecond)
	}
	begun := time.Now()
	if _, err := g.Call(t.Context(), "S", &v21.ClearCacheRequest{}); !problem.Is(err, problem.Offline) || time.Since(begun) > time.Second {
		t.Errorf("without the bus: %v after %s", err, time.Since(begun))
	}
}
