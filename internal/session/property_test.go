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
			nodes := []*session.Ledger{b.open(), b.open()}
			l := nodes[0]
			for _, m := range drawDelivery(rt, tr.says) {
				switch rapid.IntRange(0, 6).Draw(rt, "mishap") {
				case 3: // the station goes to the other node
					if err := l.Release(context.Background(), id); err != nil {
						rt.Fatal(err)
					}
					nodes[0], nodes[1] = nodes[1], l
					l = nodes[0]
				case 4: // and the first node has not noticed
					nodes[0], nodes[1] = nodes[1], l
					l = nodes[0]
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
			for _, node := range append(nodes, l) { // links end, also on a node that has not noticed that the station is gone
				if err := node.Release(context.Background(), id); err != nil {
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

// TestAnyOrderOfOddities: whatever is odd about a transaction that numbers its messages, the ledger comes to the same for
// every order and repetition of them, and says the same about it.
func TestAnyOrderOfOddities(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		rapid.Check(t, func(rt *rapid.T) {
			says := drawOddity(rt)
			var want string
			for range 2 {
				id := station.ID("S" + strconv.FormatInt(stations.Add(1), 10))
				nodes := []*session.Ledger{b.open(), b.open()}
				for _, m := range drawDelivery(rt, says) {
					node := rapid.IntRange(0, 1).Draw(rt, "node")
					if _, err := nodes[node].Apply(context.Background(), m.event(id)); err != nil {
						rt.Fatal(err)
					}
					if err := nodes[node].Release(context.Background(), id); err != nil {
						rt.Fatal(err)
					}
				}
				list := sessions(t, b.open(), id)
				if len(list) != 1 {
					rt.Fatalf("%d sessions: %q", len(list), lines(list))
				}
				got := judged(list[0])
				if want == "" {
					want = got
				} else if got != want {
					rt.Fatalf("the order matters:\n%s\n%s", want, got)
				}
			}
		})
	})
}

// judged is a session with the texts of its open flags, in an order of their own.
func judged(s *session.Session) string {
	var flags []string
	for _, f := range s.Flags {
		if f.Open() {
			flags = append(flags, f.Code+": "+f.Text)
		}
	}
	slices.Sort(flags)
	return fmt.Sprintf("%s %s %s..%s %d Wh %s %+v..%+v corrected %s..%s %q", s.State, s.TokenUID, s.StartedAt, s.EndedAt, s.EnergyWh(), s.Billing(),
		s.First, s.Last, s.StartedCorrected, s.EndedCorrected, flags)
}

// drawOddity makes a numbered transaction whose register and clock do anything.
func drawOddity(t *rapid.T) []message {
	n := rapid.IntRange(0, 4).Draw(t, "updates")
	var says []message
	for i := range n + 2 {
		typ := v21.TransactionEventTypeUpdated
		switch i {
		case 0:
			typ = v21.TransactionEventTypeStarted
		case n + 1:
			typ = v21.TransactionEventTypeEnded
		}
		m := at(600*i, typ, i, "T", on(1), by("CARD"))
		if rapid.IntRange(0, 4).Draw(t, "reading") > 0 {
			reads(rapid.SampledFrom([]string{"0", "5", "1000", "5000", "6000", "5000000", "5001000", "910031000"}).Draw(t, "register"))(&m)
		}
		slips := []int{0, 0, 0, 7200, 601, -86400}
		switch i { // a start after the end is another use of the id
		case 0:
			slips = slips[:1]
		case n + 1:
			slips = slips[:5]
		}
		slip := rapid.SampledFrom(slips).Draw(t, "clock")
		setTime(&m, m.request.Timestamp.Add(time.Duration(slip)*time.Second))
		says = append(says, m)
	}
	return says
}
