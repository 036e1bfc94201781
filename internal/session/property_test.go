package session_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// truth is what really happened in a transaction.
type truth struct {
	says       []message
	start, end time.Time
	wh         int64
	card       string
}

// mostPerSecond is what 300 kW deliver in a second, in mWh.
const mostPerSecond = 83_000

// drawTruth makes a transaction: a start, updates with a growing register, an end. Any message may lack its reading.
func drawTruth(t *rapid.T) truth {
	card := rapid.SampledFrom([]string{"CARD", "0481", ""}).Draw(t, "card")
	unnumbered := rapid.Bool().Draw(t, "unnumbered")
	meter := rapid.Int64Range(0, 1e12).Draw(t, "register, mWh")
	states := []v21.ChargingState{v21.ChargingStateCharging, v21.ChargingStateSuspendedEV, v21.ChargingStateEVConnected}
	n := rapid.IntRange(0, 4).Draw(t, "updates")
	tr := truth{card: card}
	var first, last int64
	read := false
	seconds := 0
	for i := range n + 2 {
		typ := v21.TransactionEventTypeUpdated
		switch i {
		case 0:
			typ = v21.TransactionEventTypeStarted
		case n + 1:
			typ = v21.TransactionEventTypeEnded
		}
		m := at(seconds, typ, i, "T", charging(states[i%len(states)]))
		m.v16 = unnumbered
		if i == 0 {
			on(1)(&m)
			by(card)(&m)
		}
		if rapid.IntRange(0, 3).Draw(t, "reading") > 0 {
			reads(fmt.Sprintf("%d.%06d kWh", meter/1e6, meter%1e6))(&m)
			if !read {
				first, read = meter, true
			}
			last = meter
		}
		tr.says = append(tr.says, m)
		pause := rapid.IntRange(1, 900).Draw(t, "pause")
		meter += rapid.Int64Range(0, int64(pause)*mostPerSecond).Draw(t, "energy, mWh")
		seconds += pause
	}
	tr.start, tr.end = tr.says[0].request.Timestamp, tr.says[n+1].request.Timestamp
	tr.wh = (last - first + 500) / 1000
	return tr
}

// drawDelivery puts the messages in any order, some several times. One without sequence numbers keeps its own order: its
// messages of one link wait for each other.
func drawDelivery(t *rapid.T, says []message) []message {
	out := slices.Clone(says)
	if !says[0].v16 {
		out = rapid.Permutation(out).Draw(t, "order")
	}
	for range rapid.IntRange(0, 6).Draw(t, "repetitions") {
		i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
		again := out[i]
		if rapid.Bool().Draw(t, "offline") {
			offline(&again)
		}
		out = slices.Insert(out, rapid.IntRange(i+1, len(out)).Draw(t, "where"), again)
	}
	return out
}

var stations atomic.Int64

// TestAnyDelivery: however a transaction is delivered, the ledger comes to what happened, in one session without a flag.
func TestAnyDelivery(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		rapid.Check(t, func(rt *rapid.T) {
			tr := drawTruth(rt)
			id := station.ID("S" + strconv.FormatInt(stations.Add(1), 10))
			l := b.open()
			for _, m := range drawDelivery(rt, tr.says) {
				switch rapid.IntRange(0, 5).Draw(rt, "mishap") {
				case 0: // a crash
					l = b.open()
				case 1: // a start after a crash
					l = b.open()
					if err := l.Recover(context.Background()); err != nil {
						rt.Fatal(err)
					}
				case 2: // a connection lost
					if err := l.Release(context.Background(), id); err != nil {
						rt.Fatal(err)
					}
				}
				if _, err := l.Apply(context.Background(), m.event(id)); err != nil {
					rt.Fatal(err)
				}
			}
			for name, l := range map[string]*session.Ledger{"this": l, "another": b.open()} {
				list := sessions(t, l, id)
				if len(list) != 1 {
					rt.Fatalf("%s ledger has %d sessions, not one: %q", name, len(list), lines(list))
				}
				s := list[0]
				if s.State != session.Ended || s.EnergyWh() != tr.wh || !s.StartedAt.Equal(tr.start) || !s.EndedAt.Equal(tr.end) || s.TokenUID != tr.card {
					rt.Errorf("%s ledger has %s, but it was %d Wh from %s to %s for %q", name, line(s), tr.wh, tr.start, tr.end, tr.card)
				}
				for _, f := range s.Flags {
					if f.Open() && f.Code != session.MeterUnknown && (f.Code != session.MeterZero || s.Last.MWh > 0) {
						rt.Errorf("%s ledger flags %s: %s", name, f.Code, f.Text)
					}
				}
			}
		})
	})
}
