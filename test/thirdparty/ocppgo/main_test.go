// Package ocppgo proves that stations of github.com/lorenzodonini/ocpp-go charge through Lumela: the real program is
// started, the library plays charge points of OCPP 1.6 and charging stations of OCPP 2.0.1, and what the API shows and
// the library receives is compared field by field.
//
// The go command does not see that these tests depend on the program: run them with -count=1, or name the program by
// LUMELA_BIN.
package ocppgo

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lumela/test/thirdparty/node"
)

// lumela is the node that the tests of this package share, each with stations and tokens of its own.
var lumela *node.Node

func TestMain(m *testing.M) { os.Exit(node.Main(m, &lumela)) }

// inbox keeps what a station was asked, in order.
type inbox struct {
	mu  sync.Mutex
	got []any
}

func (b *inbox) add(request any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, request)
}

// all are the requests of one kind. A command's request is there when its answer is.
func all[T any](b *inbox) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []T
	for _, r := range b.got {
		if v, ok := r.(T); ok {
			out = append(out, v)
		}
	}
	return out
}

// last is the latest request of one kind.
func last[T any](t *testing.T, b *inbox) T {
	t.Helper()
	got := all[T](b)
	if len(got) == 0 {
		t.Fatalf("the station never got a %T", *new(T))
	}
	return got[len(got)-1]
}

// await takes what a station hands over from its own goroutine.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(15 * time.Second):
		t.Fatalf("%s did not come", what)
	}
	panic("unreachable")
}

// follower does what follows from an answered request, outside of the goroutine that reads. The library does not bear
// that a station is stopped while it sends.
type follower struct {
	mu      sync.Mutex
	leaving bool
	running sync.WaitGroup
}

// later runs f soon, unless the station is leaving.
func (f *follower) later(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.leaving {
		f.running.Go(do)
	}
}

// leave waits for what runs and then stops the station, once.
func (f *follower) leave(stop func()) {
	f.mu.Lock()
	first := !f.leaving
	f.leaving = true
	f.mu.Unlock()
	f.running.Wait()
	if first {
		stop()
	}
}

var names atomic.Int64

// fresh makes a name that no test of this run has used, also when tests are repeated. It fits into an idTag of 1.6.
func fresh(prefix string) string { return prefix + "-" + strconv.FormatInt(names.Add(1), 10) }

func ptr[T any](v T) *T { return &v }

// aWhileAgo is a time that a charge may have begun, in the whole seconds that the library sends.
func aWhileAgo() time.Time { return time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second) }

// must stops the test at an error of the library.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		return v
	}
}

// stateOf is the state of a station's first connector as the API shows it, "" when it is not known.
func stateOf(st node.Station) node.Connector {
	if len(st.EVSEs) == 0 || len(st.EVSEs[0].Connectors) == 0 {
		return node.Connector{}
	}
	return st.EVSEs[0].Connectors[0]
}

// awaitState waits until the API shows a state of the station's first connector.
func awaitState(t *testing.T, station, status, detail string) {
	t.Helper()
	node.Eventually(t, station+" "+status+" "+detail, func() node.Station { return lumela.Station(t, station) },
		func(st node.Station) bool {
			return stateOf(st) == node.Connector{ID: 1, Status: status, Detail: detail}
		})
}

// checkFrames demands that the frame log has, of one action, this many requests in a direction, each with its result.
func checkFrames(t *testing.T, station, action, direction string, calls int) {
	t.Helper()
	other := map[string]string{"in": "out", "out": "in"}[direction]
	node.Eventually(t, "frames of "+action, func() []node.Frame { return lumela.Frames(t, station, action) }, func(frames []node.Frame) bool {
		open, closed := map[string]bool{}, 0
		for _, f := range frames {
			switch {
			case f.Direction == direction && f.Type == "CALL":
				open[f.MessageID] = true
			case f.Direction == other && f.Type == "CALLRESULT" && open[f.MessageID]:
				closed++
			}
		}
		return len(open) == calls && closed == calls && len(frames) == 2*calls
	})
}
