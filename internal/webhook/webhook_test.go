package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/clock"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/job"
	"lumela/internal/problem"
)

const org = "org"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// post is a request that the receiver got.
type post struct {
	id, typ   string
	signature string
	at        string
	body      string
}

// receiver is somebody else's system. It verifies signatures by itself, from the specification.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []post
	answer func(w http.ResponseWriter, r *http.Request, p post)
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost {
			return // the sender gave up
		}
		var e struct{ ID, Type string }
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("no JSON: %s", body)
		}
		p := post{id: req.Header.Get("webhook-id"), typ: e.Type, signature: req.Header.Get("webhook-signature"), at: req.Header.Get("webhook-timestamp"), body: string(body)}
		if p.id != e.ID || p.id == "" {
			t.Errorf("the message of event %q has the id %q", e.ID, p.id)
		}
		r.mu.Lock()
		r.posts = append(r.posts, p)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, req, p)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) set(answer func(http.ResponseWriter, *http.Request, post)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) got() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

func (r *receiver) ids() (out []string) {
	for _, p := range r.got() {
		out = append(out, p.id)
	}
	return out
}

// verified reports whether one of a message's signatures is of a secret.
func verified(t *testing.T, secret string, p post) bool {
	t.Helper()
	raw, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(raw)
	if !ok || err != nil || len(key) < 24 {
		t.Fatalf("%q is no secret", secret)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(p.id + "." + p.at + "." + p.body))
	return slices.Contains(strings.Split(p.signature, " "), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

type world struct {
	t     *testing.T
	d     *db.DB
	log   *event.Log
	clock *clock.Fake
	h     *Webhooks
	r     *receiver
}

func newWorld(t *testing.T, d *db.DB, o Options) *world {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Options{Log: quiet})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	w := &world{t: t, d: d, log: event.NewLog(d, b, quiet), clock: clock.NewFake(time.Now()), r: newReceiver(t)}
	must(t, d.Write(t.Context(), func(tx *db.Tx) error {
		for _, id := range []string{org, "rival"} {
			if _, err := tx.Exec(`INSERT INTO organisations (id, name, created_at) VALUES ($1, $1, 0)`, id); err != nil {
				return err
			}
		}
		return nil
	}))
	o.AllowPrivate, o.Clock = true, w.clock
	w.h = New(d, w.log, quiet, o)
	return w
}

var schema = []fs.FS{event.Migrations, account.Migrations, job.Migrations, Migrations}

// each runs a test on both engines.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) { test(t, newWorld(t, open(schema...), Options{})) })
}

func (w *world) add(types ...string) (id, secret string) {
	w.t.Helper()
	hook := &Webhook{Organisation: org, URL: w.r.URL, Types: types}
	secret, err := w.h.Add(w.t.Context(), hook)
	must(w.t, err)
	return hook.ID, secret
}

func (w *world) happen(organisation, typ string) string {
	w.t.Helper()
	e := event.New(typ, organisation, "S", time.Now(), map[string]string{"text": typ})
	must(w.t, w.d.Write(w.t.Context(), func(tx *db.Tx) error { w.log.Record(tx, e); return nil }))
	return e.ID
}

// turn gives a webhook its turn.
func (w *world) turn(id string) *Webhook {
	w.t.Helper()
	hook, err := w.h.Get(w.t.Context(), org, id)
	must(w.t, err)
	if hook.Status == Active {
		must(w.t, w.h.turn(w.t.Context(), hook))
	}
	hook, err = w.h.Get(w.t.Context(), org, id)
	must(w.t, err)
	return hook
}

func (w *world) deliveries(id string) []*Delivery {
	w.t.Helper()
	list, err := w.h.Deliveries(w.t.Context(), org, id, "", "", "", 1000)
	must(w.t, err)
	return list
}

func (w *world) told(typ string) (n int) {
	w.t.Helper()
	must(w.t, w.d.QueryRow(w.t.Context(), `SELECT COUNT(*) FROM events WHERE type = $1 AND organisation_id = $2`, typ, org).Scan(&n))
	return n
}

func fails(status int) func(http.ResponseWriter, *http.Request, post) {
	return func(rw http.ResponseWriter, _ *http.Request, _ post) {
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, strings.Repeat("no\x00\xff", 1000)) // the sender may have gone
	}
}

func TestDeliveredInOrderAndOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.happen(org, event.SessionEnded) // before there was a webhook
		all, secret := w.add()
		some, _ := w.add("session.*", event.Security)
		var want, wantSome []string
		for i := range mostTaken + 20 {
			typ := []string{event.SessionStarted, event.StationOnline, event.Security, event.SessionEnded}[i%4]
			id := w.happen(org, typ)
			want = append(want, id)
			if typ != event.StationOnline {
				wantSome = append(wantSome, id)
			}
			if i%100 == 0 {
				w.happen("rival", typ)
			}
		}
		for range 4 {
			w.turn(all)
		}
		if got := w.r.ids(); !slices.Equal(got, want) {
			t.Fatalf("%d messages of %d, or in another order", len(got), len(want))
		}
		for _, p := range w.r.got()[:3] {
			if !verified(t, secret, p) || !strings.Contains(p.body, `"timestamp":`) || !strings.Contains(p.body, `"station":"S"`) {
				t.Errorf("signature %s of %s", p.signature, p.body)
			}
		}
		before := len(w.r.got())
		for range 4 {
			w.turn(some)
		}
		if got := w.r.ids()[before:]; !slices.Equal(got, wantSome) {
			t.Errorf("the filter lets %d pass, want %d", len(got), len(wantSome))
		}
		if d := w.deliveries(all)[0]; d.Status != Delivered || d.Attempts != 1 || d.ResponseStatus != 200 || d.NextAttempt != nil || d.Error != "" {
			t.Errorf("the log says %+v", d)
		}
	})
}

// One event that the receiver does not take holds up the others for three attempts, no longer, and is given up in the end.
func TestOneEventFails(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, _ := w.add()
		bad, good := w.happen(org, event.Security), w.happen(org, event.SessionEnded)
		w.r.set(func(rw http.ResponseWriter, r *http.Request, p post) {
			if p.id == bad {
				fails(500)(rw, r, p)
			}
		})
		w.turn(id)
		w.clock.Advance(6 * time.Second)
		w.turn(id)
		if got := w.r.ids(); !slices.Equal(got, []string{bad, bad}) {
			t.Fatalf("got %v", got)
		}
		if d := w.deliveries(id)[1]; d.Status != Pending || d.Attempts != 2 || d.ResponseStatus != 500 || len(d.Response) == 0 || len(d.Response) > 3*maxResponse ||
			strings.ContainsRune(d.Response, 0) || d.Error == "" || d.NextAttempt == nil {
			t.Errorf("the log says %+v", d)
		}
		for range 2 { // three attempts; then the webhook waits before it tries another event
			w.clock.Advance(6 * time.Minute)
			w.turn(id)
		}
		if got := w.r.ids(); got[2] != bad || !slices.Contains(got, good) {
			t.Fatalf("got %v, want the good one behind three of the bad one", got)
		}
		for range 12 {
			w.clock.Advance(27 * time.Hour)
			w.happen(org, event.StationOnline) // others succeed meanwhile
			w.turn(id)
		}
		list, err := w.h.Deliveries(t.Context(), org, id, string(Failed), "", "", 10)
		must(t, err)
		if len(list) != 1 || list[0].EventID != bad || list[0].Attempts != len(pauses)+1 || list[0].NextAttempt != nil {
			t.Fatalf("given up: %+v", list)
		}
		w.r.set(nil)
		again, err := w.h.Resend(t.Context(), org, id, list[0].ID)
		must(t, err)
		if again.Status != Pending {
			t.Errorf("sent again: %+v", again)
		}
		w.turn(id)
		if list, err = w.h.Deliveries(t.Context(), org, id, string(Failed), "", "", 10); err != nil || len(list) != 0 {
			t.Errorf("after it was sent again %+v, %v", list, err)
		}
	})
}

// A receiver that is away for days gets everything when it comes back, also what the log of events has forgotten.
func TestReceiverComesBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, _ := w.add()
		w.r.set(fails(503))
		var want []string
		for range 10 {
			want = append(want, w.happen(org, event.SessionEnded))
		}
		for range 50 {
			w.turn(id)
			w.clock.Advance(time.Hour)
		}
		must(t, w.log.Purge(t.Context(), time.Now().Add(event.Retention+time.Minute)))
		if hook := w.turn(id); hook.Status != Active || hook.FailingSince == nil {
			t.Fatalf("meanwhile %+v", hook)
		}
		n := len(w.r.got())
		w.r.set(nil)
		w.clock.Advance(longestProbe + time.Second)
		w.turn(id)
		var got []string
		for _, p := range w.r.got()[n:] {
			got = append(got, p.id)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d came of %d", len(got), len(want))
		}
		if hook := w.turn(id); hook.FailingSince != nil || hook.SucceededAt == nil {
			t.Errorf("afterwards %+v", hook)
		}
	})
}

func TestPaused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, _ := w.add()
		waiting := w.happen(org, event.SessionEnded)
		w.r.set(fails(500))
		for range 98 {
			w.turn(id)
			w.clock.Advance(time.Hour)
			if len(w.deliveries(id)) == 0 {
				t.Fatal("nothing was taken")
			}
			w.happen(org, event.StationOnline) // so that there is always something to try
		}
		hook := w.turn(id)
		if hook.Status != Paused || hook.Reason == "" || w.told(event.WebhookPaused) != 1 {
			t.Fatalf("after four days %+v, told %d times", hook, w.told(event.WebhookPaused))
		}
		n := len(w.r.got())
		w.clock.Advance(time.Hour)
		w.turn(id)
		if len(w.r.got()) != n {
			t.Error("a paused webhook is sent to")
		}
		if _, err := w.h.Resend(t.Context(), org, id, w.deliveries(id)[0].ID); !problem.Is(err, problem.Conflict) {
			t.Errorf("a paused webhook takes one more: %v", err)
		}
		w.r.set(nil)
		active := Active
		_, _, err := w.h.Change(t.Context(), org, id, Change{Status: &active})
		must(t, err)
		w.turn(id)
		if list, err := w.h.Deliveries(t.Context(), org, id, string(Pending), "", "", 1000); err != nil || len(list) != 0 {
			t.Errorf("%d still wait: %v", len(list), err)
		}
		if !slices.Contains(w.r.ids()[:n], waiting) {
			t.Error("the first was never tried")
		}
		w.r.set(fails(http.StatusGone))
		w.happen(org, event.SessionEnded)
		if hook := w.turn(id); hook.Status != Paused || w.told(event.WebhookPaused) != 2 {
			t.Errorf("after 410 %+v", hook)
		}
	})
}

// Timeouts and redirects are failures, and nothing but the named address is asked.
func TestTimeoutAndRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, schema...)), Options{Timeout: 50 * time.Millisecond})
	id, secret := w.add()
	over := make(chan struct{})
	defer close(over)
	w.r.set(func(_ http.ResponseWriter, r *http.Request, _ post) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	d, err := w.h.Test(t.Context(), org, id)
	must(t, err)
	if d.Status != Failed || d.ResponseStatus != 0 || !strings.Contains(d.Error, "within 50ms") || d.NextAttempt != nil {
		t.Errorf("a timeout is %+v", d)
	}
	w.h.client.Timeout, w.h.o.Timeout = 0, 15*time.Second
	elsewhere := newReceiver(t)
	w.r.set(func(rw http.ResponseWriter, r *http.Request, _ post) {
		http.Redirect(rw, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	if d, err = w.h.Test(t.Context(), org, id); err != nil || d.Status != Failed || d.ResponseStatus != 307 || len(elsewhere.got()) != 0 {
		t.Errorf("a redirect is %+v, %v", d, err)
	}
	w.r.set(nil)
	if d, err = w.h.Test(t.Context(), org, id); err != nil || d.Status != Delivered || d.Type != TestType || !verified(t, secret, w.r.got()[2]) {
		t.Errorf("a test is %+v, %v", d, err)
	}
	if n := len(w.deliveries(id)); n != 3 {
		t.Errorf("the log has %d entries", n)
	}
}

func TestRotation(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, first := w.add()
		_, second, err := w.h.Change(t.Context(), org, id, Change{Rotate: true})
		must(t, err)
		send := func() post {
			w.happen(org, event.SessionEnded)
			w.turn(id)
			got := w.r.got()
			return got[len(got)-1]
		}
		if p := send(); first == second || !verified(t, first, p) || !verified(t, second, p) {
			t.Error("both secrets sign for a day")
		}
		w.clock.Advance(oldSecret)
		if p := send(); verified(t, first, p) || !verified(t, second, p) || strings.Contains(p.signature, " ") {
			t.Error("after a day the new one signs alone")
		}
	})
}

func TestTenants(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		id, _ := w.add()
		w.happen(org, event.SessionEnded)
		w.turn(id)
		d := w.deliveries(id)[0]
		off := Disabled
		calls := map[string]func() error{
			"get": func() error { _, err := w.h.Get(ctx, "rival", id); return err },
			"change": func() error {
				_, _, err := w.h.Change(ctx, "rival", id, Change{Status: &off, Rotate: true})
				return err
			},
			"remove":     func() error { return w.h.Remove(ctx, "rival", id) },
			"test":       func() error { _, err := w.h.Test(ctx, "rival", id); return err },
			"deliveries": func() error { _, err := w.h.Deliveries(ctx, "rival", id, "", "", "", 9); return err },
			"resend":     func() error { _, err := w.h.Resend(ctx, "rival", id, d.ID); return err },
		}
		for name, call := range calls {
			if err := call(); !problem.Is(err, problem.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if list, err := w.h.List(ctx, "rival"); err != nil || len(list) != 0 {
			t.Errorf("listed %v, %v", list, err)
		}
		other := &Webhook{Organisation: "rival", URL: w.r.URL}
		_, err := w.h.Add(ctx, other)
		must(t, err)
		if _, err := w.h.Resend(ctx, "rival", other.ID, d.ID); !problem.Is(err, problem.NotFound) {
			t.Errorf("resend of another webhook's delivery: %v", err)
		}
		if hook := w.turn(id); hook.Status != Active {
			t.Error("another organisation changed the webhook")
		}
		must(t, w.h.Remove(ctx, org, id))
		must(t, w.h.Purge(ctx))
		var n int
		must(t, w.d.QueryRow(ctx, `SELECT COUNT(*) FROM webhook_deliveries`).Scan(&n))
		if n != 0 {
			t.Errorf("the log of a removed webhook has %d entries", n)
		}
	})
}

// What was not read while it was kept is said to be missed, once.
func TestMissed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, _ := w.add(event.SessionEnded, event.WebhookMissed)
		must(t, w.d.Write(t.Context(), func(tx *db.Tx) error { // no node ran for a day
			_, err := tx.Exec(`UPDATE webhooks SET place = $1`, fmt.Sprintf("%d/", db.Micros(time.Now().Add(-event.Retention-time.Hour))))
			return err
		}))
		kept := w.happen(org, event.SessionEnded)
		w.turn(id)
		w.turn(id)
		if got := w.r.ids(); len(got) != 2 || got[0] != kept || w.r.got()[1].typ != event.WebhookMissed {
			t.Errorf("delivered %v", got)
		}
		if n := w.told(event.WebhookMissed); n != 1 {
			t.Fatalf("told %d times", n)
		}
	})
}

// Two nodes deliver each event once, and the second goes on when the first stops.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, schema...)
	a := newWorld(t, dbtest.Open(t, o), Options{Poll: 5 * time.Millisecond})
	a.h.clock, a.h.o.Clock = clock.System, clock.System
	id, _ := a.add()
	quiet := slog.New(slog.DiscardHandler)
	second := dbtest.Open(t, o)
	b := New(second, event.NewLog(second, nil, quiet), quiet, Options{AllowPrivate: true, Poll: 5 * time.Millisecond})
	jobs := []*job.Runner{job.New(a.d, "a", quiet), job.New(second, "b", quiet)}
	jobs[0].Every("deliver", 10*time.Millisecond, a.h.Run)
	jobs[1].Every("deliver", 10*time.Millisecond, b.Run)
	t.Cleanup(func() { must(t, jobs[0].Close()); must(t, jobs[1].Close()) })
	var want []string
	happen := func() {
		t.Helper()
		for range 50 {
			want = append(want, a.happen(org, event.SessionEnded))
		}
		poll(t, "all to be delivered", func() bool {
			var n int
			must(t, a.d.QueryRow(t.Context(), `SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'delivered'`, id).Scan(&n))
			return n == len(want)
		})
	}
	happen()
	for i, r := range jobs {
		must(t, r.Close())
		jobs[i] = job.New(second, "b", quiet)
	}
	jobs[1].Every("deliver", 10*time.Millisecond, b.Run) // another goes on where the first was
	happen()
	if got := a.r.ids(); !slices.Equal(got, want) {
		t.Errorf("%d messages for %d events, or in another order", len(got), len(want))
	}
}

// poll waits until ok reports true.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
		"198.18.0.1", "192.0.0.192", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
		"2002:7f00:1::", "2001:0:1::1", "2001:db8::1", "fec0::1", "::7f00:1"} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("%s counts as public", text)
		}
	}
	for _, text := range []string{"8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s does not count as public", text)
		}
	}
	strict := New(nil, nil, slog.New(slog.DiscardHandler), Options{})
	for _, bad := range []string{"", "x", "http://example.com", "ftp://example.com", "https://", "https://user:pw@example.com", "https://localhost/x", "https://a.localhost",
		"https://127.0.0.1", "https://[::1]:8443/", "https://169.254.169.254/latest", "https://example.com/#f", "https://exa mple.com", "https://example.com/\n",
		"https://example.com/" + strings.Repeat("a", maxURL)} {
		if err := strict.checkURL(bad); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	must(t, strict.checkURL("https://example.com:8443/hook?key=1"))
	for _, bad := range []string{"", "Session.ended", "session.", "*", "session*", "resync", "a b", strings.Repeat("a", 65)} {
		if err := checkTypes([]string{bad}); !problem.Is(err, problem.Invalid) {
			t.Errorf("type %q: %v", bad, err)
		}
	}
}

// A name that leads to the node itself is refused when connecting, whatever it looked like before.
func TestDialIsChecked(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	h := New(nil, nil, slog.New(slog.DiscardHandler), Options{})
	for _, host := range []string{"127.0.0.1", "localhost"} {
		address := strings.Replace(r.URL, "127.0.0.1", host, 1) + "/?key=hush"
		a := h.send(context.Background(), &Webhook{URL: address, secret: newSecret()}, &Delivery{EventID: "e", body: "{}"})
		if a.status != 0 || !strings.Contains(a.err, "private network") || strings.Contains(a.err, "hush") {
			t.Errorf("%s: %+v", host, a)
		}
	}
	if len(r.got()) != 0 {
		t.Error("the node was reached")
	}
	big := h.send(context.Background(), &Webhook{URL: "https://example.com"}, &Delivery{body: strings.Repeat("x", maxBody+1)})
	if big.status != 0 || !strings.Contains(big.err, fmt.Sprint(maxBody)) {
		t.Errorf("an event that is too large: %+v", big)
	}
}
