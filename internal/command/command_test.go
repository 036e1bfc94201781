package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

const org = "org"

var who = account.Principal{Organisation: org, Role: account.Operator, Name: "me"}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// peer plays the stations.
type peer struct {
	mu     sync.Mutex
	online bool
	calls  []string // payloads, in their order
	answer func(ctx context.Context, req ocpp.Request) (Result, error)
}

// Call implements Caller.
func (p *peer) Call(ctx context.Context, _ station.ID, req ocpp.Request) (Result, error) {
	p.mu.Lock()
	if !p.online {
		p.mu.Unlock()
		return Result{}, problem.New(problem.Offline, "the station is offline")
	}
	p.calls = append(p.calls, string(ocpp.Marshal(req)))
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		return answer(ctx, req)
	}
	return Result{Response: req.NewResponse()}, nil
}

func (p *peer) set(online bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.online = online
}

func (p *peer) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

type world struct {
	*Commands
	peer     *peer
	stations *station.Stations
	events   *event.Log
}

func newWorld(t *testing.T, d *db.DB, p *peer, observe Observer) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Options{Log: log})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	events := event.NewLog(d, b, log)
	stations := station.New(d, events, log, station.Open, org)
	return &world{New(d, events, stations, p, log, observe), p, stations, events}
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		w := newWorld(t, open(event.Migrations, station.Migrations, Migrations), &peer{online: true}, nil)
		w.known(t, "S")
		test(t, w)
	})
}

func (w *world) known(t *testing.T, id string) {
	t.Helper()
	_, err := w.stations.Authenticate(t.Context(), id, station.Credentials{})
	must(t, err)
}

func unlock(n int) *v21.UnlockConnectorRequest {
	return &v21.UnlockConnectorRequest{EVSEID: n, ConnectorID: 1}
}

func payloads(from, to int) []string {
	out := []string{}
	for i := from; i < to; i++ {
		out = append(out, string(ocpp.Marshal(unlock(i))))
	}
	return out
}

func (w *world) queue(t rapid.TB, req ocpp.Request) *Command {
	t.Helper()
	cmd, _, err := w.Send(context.Background(), who, Order{Station: "S", Request: req, Queue: true})
	must(t, err)
	if cmd.Status != Queued {
		t.Fatalf("command is %s", cmd.Status)
	}
	return cmd
}

func (w *world) read(t rapid.TB, id string) *Command {
	t.Helper()
	cmd, err := w.Get(context.Background(), org, id)
	must(t, err)
	return cmd
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		action, payload string
		kind            problem.Kind
		field           string // that the error names
	}{
		{"Teleport", `{}`, problem.NotFound, ""},
		{"reset", `{}`, problem.NotFound, ""},
		{"BootNotification", `{}`, problem.Invalid, ""},
		{"Reset", `{}`, problem.Invalid, "type"},
		{"Reset", ``, problem.Invalid, "type"},
		{"Reset", `{"type":"Now"}`, problem.Invalid, "type"},
		{"Reset", `{"type":"Immediate","evseId":"1"}`, problem.Invalid, "evseId"},
		{"Reset", `{"type":"Immediate","evseID":1}`, problem.Invalid, "evseID"},
		{"SetVariables", `{"setVariableData":[{"attributeValue":"1","component":{"name":"C"},"variable":{}}]}`, problem.Invalid, "setVariableData[0].variable.name"},
		{"Reset", `[]`, problem.Invalid, ""},
		{"Reset", `{"type":`, problem.Invalid, ""},
		{"Reset", "\x00\xff", problem.Invalid, ""},
	} {
		_, err := Parse(c.action, []byte(c.payload))
		if !problem.Is(err, c.kind) || c.field != "" && problem.Of(err).Field != c.field || problem.Of(err).Text == "" {
			t.Errorf("%s %s: %v of field %q, want field %q", c.action, c.payload, err, problem.Of(err).Field, c.field)
		}
	}
	for action, payload := range map[string]string{"ClearCache": " ", "Reset": `{"type":"Immediate"}`, "DataTransfer": `{"vendorId":"v"}`} {
		if req, err := Parse(action, []byte(payload)); err != nil || req.ActionName() != action {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestParseAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.SampledFrom([]string{"Reset", "SetVariables", "SetChargingProfile", "DataTransfer", "x"}).Draw(t, "action")
		req, err := Parse(action, rapid.SliceOf(rapid.Byte()).Draw(t, "payload"))
		if (req == nil) != (err != nil) {
			t.Fatalf("%v, %v", req, err)
		}
	})
}

// How a command ends, for every way in which a call can.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		note := translate.Note{Kind: translate.Emulated, Text: "how"}
		for _, c := range []struct {
			err  error
			want Status
		}{
			{want: OK},
			{err: problem.New(problem.Timeout, "no answer"), want: Unclear},
			{err: problem.New(problem.Offline, "offline"), want: Failed},
			{err: problem.New(problem.Refused, "refused"), want: Failed},
			{err: problem.New(problem.Inexpressible, "1.6 cannot"), want: Failed},
			{err: problem.New(problem.TooMany, "too many"), want: Failed},
			{err: errors.New("cause"), want: Failed},
			{err: context.DeadlineExceeded, want: Unclear},
		} {
			w.peer.answer = func(context.Context, ocpp.Request) (Result, error) {
				r := Result{Notes: []translate.Note{note}}
				if c.err == nil {
					r.Response = &v21.UnlockConnectorResponse{Status: v21.UnlockStatusUnlocked}
				}
				return r, c.err
			}
			cmd, res, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(1)})
			if !errors.Is(err, c.err) {
				t.Errorf("%v: the caller hears %v", c.err, err)
			}
			if (res.Response != nil) != (c.err == nil) {
				t.Errorf("%v: response %v", c.err, res.Response)
			}
			got := w.read(t, cmd.ID)
			if got.Status != c.want || got.FinishedAt.IsZero() || got.By != "me" || got.Action != "UnlockConnector" || got.Station != "S" {
				t.Errorf("%v: kept %+v", c.err, got)
			}
			if (got.Error == "") != (c.err == nil) || strings.Contains(got.Error, "cause") {
				t.Errorf("%v: error text %q", c.err, got.Error)
			}
			if c.err == nil && got.Response != `{"status":"Unlocked"}` {
				t.Errorf("response %q", got.Response)
			}
			if d := cmp.Diff([]translate.Note{note}, got.Translation); d != "" {
				t.Errorf("notes (-want +got):\n%s", d)
			}
			var n int
			must(t, w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM events WHERE type = $1 AND data LIKE $2`, event.CommandFinished, "%"+cmd.ID+"%").Scan(&n))
			if n != 1 {
				t.Errorf("%v: told %d times", c.err, n)
			}
		}
	})
}

func TestTenants(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		cmd, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(1)})
		must(t, err)
		if _, _, err := w.Send(t.Context(), account.System("other"), Order{Station: "S", Request: unlock(1)}); !problem.Is(err, problem.NotFound) {
			t.Errorf("another's station: %v", err)
		}
		if _, err := w.Get(t.Context(), "other", cmd.ID); !problem.Is(err, problem.NotFound) {
			t.Errorf("another's command: %v", err)
		}
		if list, err := w.List(t.Context(), "other", "S", "", 9); err != nil || len(list) != 0 {
			t.Errorf("another's commands: %v, %v", list, err)
		}
		w.peer.set(false)
		w.queue(t, unlock(2))
		w.peer.set(true)
		w.Deliver(t.Context(), "other", "S") // the id has come to another organisation
		if n := len(w.peer.heard()); n != 1 {
			t.Errorf("the station heard %d commands", n)
		}
	})
}

// What is queued arrives in its order and once, through links that come and go.
func TestQueueLaw(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		runs, sent := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			if runs++; runs > 8 {
				return // each step is a commit
			}
			w.peer.set(false)
			var queued []*Command
			first := sent
			for range rapid.IntRange(1, 5).Draw(t, "queued") {
				queued = append(queued, w.queue(t, unlock(sent)))
				sent++
			}
			w.Deliver(context.Background(), org, "S") // still offline
			if got := w.read(t, queued[0].ID); got.Status != Queued {
				t.Fatalf("the command is %s", got.Status)
			}
			left := rapid.IntRange(0, len(queued)).Draw(t, "calls before the link is lost")
			w.peer.mu.Lock()
			w.peer.online = true
			w.peer.answer = func(_ context.Context, req ocpp.Request) (Result, error) {
				w.peer.mu.Lock()
				defer w.peer.mu.Unlock()
				if left--; left == 0 {
					w.peer.online = false
				}
				return Result{Response: req.NewResponse()}, nil
			}
			w.peer.mu.Unlock()
			w.Deliver(context.Background(), org, "S")
			w.peer.set(true)
			w.Deliver(context.Background(), org, "S")
			w.Deliver(context.Background(), org, "S")
			if d := cmp.Diff(payloads(first, sent), w.peer.heard()[first:]); d != "" {
				t.Fatalf("(-queued +heard):\n%s", d)
			}
			for _, cmd := range queued {
				if got := w.read(t, cmd.ID); got.Status != OK {
					t.Fatalf("a command is %s", got.Status)
				}
			}
		})
	})
}

// A station that boots again while its commands are being delivered does not get them twice, nor does one whose new link
// is on another node.
func TestDeliverOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			o := dbtest.Fresh(t, engine, event.Migrations, station.Migrations, Migrations)
			p := &peer{}
			w := newWorld(t, dbtest.Open(t, o), p, nil)
			w.known(t, "S")
			nodes := []*world{w}
			if engine == db.Postgres {
				nodes = append(nodes, newWorld(t, dbtest.Open(t, o), p, nil))
			}
			const n = 12
			for i := range n {
				w.queue(t, unlock(i))
			}
			p.set(true)
			var wg sync.WaitGroup
			for range 3 {
				for _, node := range nodes {
					wg.Go(func() { node.Deliver(context.Background(), org, "S") })
				}
			}
			wg.Wait()
			got := p.heard()
			if len(nodes) > 1 {
				slices.Sort(got) // between nodes only once is promised
			}
			want := payloads(0, n)
			if len(nodes) > 1 {
				slices.Sort(want)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-queued +heard):\n%s", d)
			}
		})
	}
}

// The station comes back between the failed call and the queue: nothing else would send the command.
func TestQueuedTooLate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		must(t, w.stations.Linked(t.Context(), org, station.Link{ID: "l", Station: "S", At: time.Now()}))
		heard := make(chan struct{})
		w.peer.set(false)
		w.caller = callerFunc(func(ctx context.Context, id station.ID, req ocpp.Request) (Result, error) {
			res, err := w.peer.Call(ctx, id, req)
			w.peer.set(true) // from now on
			if err == nil {
				close(heard)
			}
			return res, err
		})
		cmd := w.queue(t, unlock(1))
		select {
		case <-heard:
		case <-time.After(10 * time.Second):
			t.Fatal("the command waits for ever")
		}
		for deadline := time.Now().Add(10 * time.Second); w.read(t, cmd.ID).Status != OK; {
			if time.Now().After(deadline) {
				t.Fatal("the command is not finished")
			}
		}
	})
}

type callerFunc func(ctx context.Context, id station.ID, req ocpp.Request) (Result, error)

func (f callerFunc) Call(ctx context.Context, id station.ID, req ocpp.Request) (Result, error) {
	return f(ctx, id, req)
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.peer.set(false)
		old, young := w.queue(t, secretOrder()), w.queue(t, unlock(2))
		must(t, w.db.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE commands SET expires_at = $2 WHERE id = $1`, old.ID, db.Micros(time.Now().Add(-time.Second)))
			return err
		}))
		w.peer.set(true)
		w.Deliver(t.Context(), org, "S")
		if got := w.read(t, old.ID); got.Status != Expired || got.Error == "" || got.FinishedAt.IsZero() {
			t.Errorf("the old one is %+v", got)
		}
		if got := w.read(t, young.ID); got.Status != OK {
			t.Errorf("the young one is %+v", got)
		}
		if d := cmp.Diff(payloads(2, 3), w.peer.heard()); d != "" {
			t.Errorf("(-want +heard):\n%s", d)
		}
		if raw := w.raw(t); strings.Contains(raw, "hunter2") {
			t.Errorf("the secret of an expired command is kept: %s", raw)
		}
	})
}

func secretOrder() *v21.SetVariablesRequest {
	return &v21.SetVariablesRequest{SetVariableData: []v21.SetVariableData{
		{AttributeValue: "hunter2", Component: v21.Component{Name: "SecurityCtrlr"}, Variable: v21.Variable{Name: "basicAuthPassword"}},
		{AttributeValue: "60", Component: v21.Component{Name: "OCPPCommCtrlr"}, Variable: v21.Variable{Name: "HeartbeatInterval"}}}}
}

// raw is everything that the database holds of commands and events.
func (w *world) raw(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, text := range []string{`SELECT request || response || error || translation FROM commands`, `SELECT data FROM events`} {
		rows, err := w.db.Query(t.Context(), text)
		must(t, err)
		for rows.Next() {
			var s string
			must(t, rows.Scan(&s))
			b.WriteString(s + "\n")
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
	}
	return b.String()
}

// Secrets reach the station, and nobody else: neither while the command waits nor in the record.
func TestSecrets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		profile := &v21.SetNetworkProfileRequest{ConfigurationSlot: 1, ConnectionData: v21.NetworkConnectionProfile{
			OCPPInterface: v21.OCPPInterfaceWired0, OCPPTransport: v21.OCPPTransportJSON, MessageTimeout: 30, OCPPCsmsURL: "wss://x", SecurityProfile: 2,
			BasicAuthPassword: ocpp.Some("hunter2"),
			APN:               &v21.APN{APN: "a", APNPassword: ocpp.Some("hunter2"), SimPIN: ocpp.Some(86753), APNAuthentication: v21.APNAuthenticationPAP},
			VPN:               &v21.VPN{Server: "s", User: "u", Password: "hunter2", Key: "hunter2", Type: v21.VPNTypeIKEv2}}}
		asked := &v21.GetVariablesRequest{GetVariableData: []v21.GetVariableData{{Component: v21.Component{Name: "SecurityCtrlr"}, Variable: v21.Variable{Name: "AuthorizationKey"}}}}
		w.peer.answer = func(_ context.Context, req ocpp.Request) (Result, error) {
			if _, ok := req.(*v21.GetVariablesRequest); ok {
				return Result{Response: &v21.GetVariablesResponse{GetVariableResult: []v21.GetVariableResult{{AttributeStatus: v21.GetVariableStatusAccepted,
					AttributeValue: ocpp.Some("hunter2"), Component: asked.GetVariableData[0].Component, Variable: asked.GetVariableData[0].Variable}}}}, nil
			}
			return Result{Response: req.NewResponse()}, nil
		}
		w.peer.set(false)
		var ids []string
		for _, req := range []ocpp.Request{secretOrder(), profile} {
			ids = append(ids, w.queue(t, req).ID)
		}
		for _, id := range ids { // while it waits
			if got := w.read(t, id); strings.Contains(got.Request, "hunter2") || strings.Contains(got.Request, "86753") || !strings.Contains(got.Request, devicemodel.Blank) {
				t.Errorf("a waiting command shows %s", got.Request)
			}
		}
		if list, err := w.List(t.Context(), org, "S", "", 9); err != nil || len(list) != 2 || strings.Contains(list[0].Request+list[1].Request, "hunter2") {
			t.Errorf("the list shows %v, %v", list, err)
		}
		w.peer.set(true)
		w.Deliver(t.Context(), org, "S")
		_, res, err := w.Send(t.Context(), who, Order{Station: "S", Request: asked})
		must(t, err)
		if got := res.Response.(*v21.GetVariablesResponse).GetVariableResult[0].AttributeValue.V; got != "hunter2" {
			t.Errorf("the answer itself was changed to %q", got)
		}
		w.peer.answer = func(context.Context, ocpp.Request) (Result, error) {
			return Result{}, problem.New(problem.Timeout, "no answer")
		}
		if _, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: profile}); err == nil {
			t.Error("no error")
		}
		heard := strings.Join(w.peer.heard(), "\n")
		if n := strings.Count(heard, "hunter2"); n != 1+4+4 {
			t.Errorf("the station heard %d secrets: %s", n, heard)
		}
		if raw := w.raw(t); strings.Contains(raw, "hunter2") || strings.Contains(raw, "86753") || !strings.Contains(raw, `"attributeValue":"60"`) {
			t.Errorf("kept: %s", raw)
		}
	})
}

func TestObserver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		var seen []string
		var fail error
		p := &peer{}
		w := newWorld(t, open(event.Migrations, station.Migrations, Migrations), p,
			func(_ context.Context, organisation string, id station.ID, req ocpp.Request, resp ocpp.Response) error {
				seen = append(seen, fmt.Sprintf("%s %s %s %T", organisation, id, req.ActionName(), resp))
				return fail
			})
		w.known(t, "S")
		w.queue(t, unlock(1)) // offline: no answer, nothing to hear of
		p.set(true)
		w.Deliver(t.Context(), org, "S")
		_, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(2)})
		must(t, err)
		line := "org S UnlockConnector *v21.UnlockConnectorResponse"
		if d := cmp.Diff([]string{line, line}, seen); d != "" {
			t.Errorf("(-want +seen):\n%s", d)
		}
		fail = errors.New("not kept")
		cmd, res, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(3)})
		if !errors.Is(err, fail) || res.Response == nil {
			t.Errorf("an observer's failure: %v, %v", res, err)
		}
		if got := w.read(t, cmd.ID); got.Status != Failed || got.Response == "" {
			t.Errorf("kept %+v", got)
		}
		p.answer = func(context.Context, ocpp.Request) (Result, error) {
			return Result{}, problem.New(problem.Refused, "no")
		}
		if _, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(4)}); !problem.Is(err, problem.Refused) || len(seen) != 3 {
			t.Errorf("a refusal was observed: %v, %v", seen, err)
		}
	})
}

// The wait of an order ends the call.
func TestWait(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Fresh(t, db.SQLite, event.Migrations, station.Migrations, Migrations))
	w := newWorld(t, d, &peer{online: true}, nil)
	w.known(t, "S")
	left := make(chan time.Duration, 1)
	w.peer.answer = func(ctx context.Context, req ocpp.Request) (Result, error) {
		until, _ := ctx.Deadline()
		left <- time.Until(until)
		return Result{Response: req.NewResponse()}, nil
	}
	for wait, most := range map[time.Duration]time.Duration{0: DefaultWait, time.Hour: time.Hour, time.Minute: time.Minute} {
		_, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(1), Wait: wait})
		must(t, err)
		if got := <-left; got > most || got < most-20*time.Second {
			t.Errorf("wait %v gives the call %v", wait, got)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.known(t, "T")
		var want []string
		for i := range 15 {
			cmd, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: unlock(i)})
			must(t, err)
			want = append(want, cmd.ID)
			_, _, err = w.Send(t.Context(), who, Order{Station: "T", Request: unlock(i)})
			must(t, err)
		}
		slices.Reverse(want)
		rapid.Check(t, func(t *rapid.T) {
			limit := rapid.IntRange(1, 20).Draw(t, "limit")
			var got []string
			for before := ""; ; before = got[len(got)-1] {
				list, err := w.List(context.Background(), org, "S", before, limit)
				must(t, err)
				for _, cmd := range list {
					got = append(got, cmd.ID)
				}
				if len(list) < limit {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("pages give %v", got)
			}
		})
	})
}
