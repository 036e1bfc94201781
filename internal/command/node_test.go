package command

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// TestOrderBetweenNodes: several nodes deliver the queue of a station at once; its commands go out one after the other, each
// once, in their order.
func TestOrderBetweenNodes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const commands, nodes = 12, 3
		ctx := t.Context()
		for i := range commands {
			c := &Command{ID: fmt.Sprintf("%02d", i), Organisation: org, Station: "S", Action: "TriggerMessage", Status: Queued, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
			must(t, w.add(ctx, c, fmt.Sprintf(`{"requestedMessage":"Heartbeat","evse":{"id":%d}}`, i+1)))
		}
		var mu sync.Mutex
		var sent []int
		under := 0
		caller := callerFunc(func(_ context.Context, _ station.ID, req ocpp.Request) (Result, error) {
			mu.Lock()
			if under++; under > 1 {
				t.Error("two commands of a station's queue are on their way")
			}
			sent = append(sent, req.(*v21.TriggerMessageRequest).EVSE.ID)
			mu.Unlock()
			time.Sleep(time.Millisecond) // the others look meanwhile
			mu.Lock()
			under--
			mu.Unlock()
			return Result{Response: &v21.TriggerMessageResponse{Status: v21.TriggerMessageStatusAccepted}}, nil
		})
		var wg sync.WaitGroup
		for i := range nodes {
			c := New(w.db, w.events, w.stations, caller, w.log, nil)
			c.SetNode(func() string { return fmt.Sprint("node-", i) })
			wg.Go(func() {
				for left := 1; left > 0 && ctx.Err() == nil; {
					c.Deliver(ctx, org, "S")
					must(t, w.db.QueryRow(ctx, `SELECT COUNT(*) FROM commands WHERE status = 'queued'`).Scan(&left))
				}
			})
		}
		wg.Wait()
		want := make([]int, commands)
		for i := range want {
			want[i] = i + 1
		}
		if !slices.Equal(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
	})
}

// TestRecoverOneNode: only what the dead node had on its way is settled.
func TestRecoverOneNode(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, node := range []string{"dead", "alive"} {
			w.SetNode(func() string { return node })
			must(t, w.add(ctx, &Command{ID: node, Organisation: org, Station: "S", Action: "ClearCache", Status: Sent, CreatedAt: time.Now(), ExpiresAt: time.Now()}, `{}`))
		}
		must(t, w.Recover(ctx, "dead"))
		for id, want := range map[string]Status{"dead": Unclear, "alive": Sent} {
			if got := w.read(t, id).Status; got != want {
				t.Errorf("the command of the %s node is %s", id, got)
			}
		}
	})
}

// TestInTurn: a command that may be queued does not overtake those that wait already, and what this node could not record
// the end of does not hold up the queue for ever.
func TestInTurn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		must(t, w.add(ctx, &Command{ID: "first", Organisation: org, Station: "S", Action: "ClearCache", Status: Queued, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}, `{}`))
		cmd, _, err := w.nextQueued(ctx, org, "S") // taken, and never finished
		must(t, err)
		if cmd == nil || cmd.ID != "first" {
			t.Fatalf("took %+v", cmd)
		}
		second, _, err := w.Send(ctx, account.System(org), Order{Station: "S", Request: &v21.ClearCacheRequest{}, Queue: true})
		must(t, err)
		if second.Status != Queued {
			t.Fatalf("the second is %s", second.Status)
		}
		never := func(station.ID) bool { return false }
		must(t, w.Sweep(ctx, never))
		if next, _, err := w.nextQueued(ctx, org, "S"); err != nil || next != nil {
			t.Errorf("took %+v, %v beside the first", next, err)
		}
		must(t, w.db.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE commands SET taken_at = $1 WHERE id = 'first'`, db.Micros(time.Now().Add(-MaxWait-2*time.Minute)))
			return err
		}))
		must(t, w.Sweep(ctx, never))
		if got := w.read(t, "first").Status; got != Unclear {
			t.Errorf("the first is %s", got)
		}
		if next, _, err := w.nextQueued(ctx, org, "S"); err != nil || next == nil || next.ID != second.ID {
			t.Errorf("took %+v, %v", next, err)
		}
	})
}
