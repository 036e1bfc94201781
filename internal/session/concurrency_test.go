package session_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"lumela/internal/session"
	"lumela/internal/station"
)

// TestManyStations: many stations, each heard on several goroutines, while users look and links end. Every figure is as
// if they had come one after the other.
func TestManyStations(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		const many, evses, updates = 50, 3, 5
		l := b.open()
		var speaking, looking sync.WaitGroup
		for i := range many {
			id := station.ID("S" + strconv.Itoa(i))
			for evse := 1; evse <= evses; evse++ {
				speaking.Go(func() { transact(t, l, id, evse, updates) })
			}
		}
		over := make(chan struct{})
		for range 2 {
			looking.Go(func() { look(t, l, over) })
		}
		speaking.Wait()
		close(over)
		looking.Wait()
		for _, l := range []*session.Ledger{l, b.open()} {
			for i := range many {
				id := station.ID("S" + strconv.Itoa(i))
				list := sessions(t, l, id)
				if len(list) != evses {
					t.Fatalf("station %s has %d sessions, not %d: %q", id, len(list), evses, lines(list))
				}
				for _, s := range list {
					if want := int64(100 * s.EVSE * (updates + 1)); s.State != session.Ended || s.EnergyWh() != want || len(s.Flags) > 0 {
						t.Errorf("station %s: %s, want %d Wh", id, line(s), want)
					}
				}
			}
		}
	})
}

// transact tells one transaction of an EVSE, which takes up 100 Wh times its number between two messages; each message
// is sent twice, and the link ends in the middle.
func transact(t *testing.T, l *session.Ledger, id station.ID, evse, updates int) {
	tx := fmt.Sprintf("T%d", evse)
	wh := func(i int) func(*message) { return reads(strconv.Itoa(1000 + 100*evse*i)) }
	says := []message{start(0, tx, on(evse), wh(0))}
	for i := range updates {
		says = append(says, update(10*(i+1), i+1, tx, wh(i+1)))
	}
	says = append(says, end(10*(updates+1), updates+1, tx, wh(updates+1)))
	for i, m := range says {
		for range 2 {
			if _, err := l.Apply(context.Background(), m.event(id)); err != nil {
				t.Errorf("station %s: %v", id, err)
				return
			}
		}
		if i == updates/2 {
			if err := l.Release(context.Background(), id); err != nil {
				t.Errorf("station %s: %v", id, err)
			}
		}
	}
}

// look reads what users read, until over.
func look(t *testing.T, l *session.Ledger, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
		}
		for _, s := range sessions(t, l, "S7") {
			_ = line(s)
		}
		if _, err := l.RunningOn(context.Background(), []station.ID{"S1", "S2", "S3"}); err != nil {
			t.Error(err)
			return
		}
		if _, err := l.Totals(context.Background(), organisation, noon); err != nil {
			t.Error(err)
			return
		}
	}
}
