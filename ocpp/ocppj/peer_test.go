package ocppj_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// wire records what a peer sends, and what it finds odd.
type wire struct {
	sent   []string
	odd    []string
	served []string
	broken error
}

// newPeer is the management system's end of a link; incoming requests get an empty answer, or the refusal that refuse
// gives.
func newPeer(w *wire, v ocpp.Version, change func(o *ocppj.Options)) *ocppj.Peer {
	o := ocppj.Options{Version: v, Role: ocpp.CSMS, Timeout: 10 * time.Second,
		Send: func(frame []byte) error {
			if w.broken == nil {
				w.sent = append(w.sent, string(frame))
			}
			return w.broken
		},
		Serve: func(in *ocppj.Incoming) {
			w.served = append(w.served, in.ID)
			in.Reply(in.Request.NewResponse())
		},
		Oddity: func(text string) { w.odd = append(w.odd, text) }}
	if change != nil {
		change(&o)
	}
	return ocppj.NewPeer(o)
}

// result is what a call came to.
type result struct {
	resp ocpp.Response
	err  error
}

func begin(ctx context.Context, p *ocppj.Peer, req ocpp.Request) chan result {
	c := make(chan result, 1)
	go func() {
		resp, err := p.Call(ctx, req)
		c <- result{resp, err}
	}()
	synctest.Wait()
	return c
}

// idOf reads the message id of a frame.
func idOf(t *testing.T, frame string) string {
	t.Helper()
	var parts []json.RawMessage
	var id string
	if err := json.Unmarshal([]byte(frame), &parts); err != nil || json.Unmarshal(parts[1], &id) != nil {
		t.Fatalf("no frame: %s", frame)
	}
	return id
}

func TestPeerOneCallAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := newPeer(&w, ocpp.V21, nil)
		var calls []chan result
		for i := range 5 {
			calls = append(calls, begin(t.Context(), p, &v21.GetTransactionStatusRequest{TransactionID: ocpp.Some(fmt.Sprint(i))}))
		}
		for i, c := range calls {
			if len(w.sent) != i+1 || !strings.Contains(w.sent[i], fmt.Sprintf(`{"transactionId":"%d"}`, i)) {
				t.Fatalf("before answer %d the wire holds %q", i, w.sent)
			}
			if !p.Busy() {
				t.Error("not busy")
			}
			p.Receive(`[3,"` + idOf(t, w.sent[i]) + `",{"messagesInQueue":true}]`)
			r := <-c
			if resp, ok := r.resp.(*v21.GetTransactionStatusResponse); r.err != nil || !ok || !resp.MessagesInQueue {
				t.Fatalf("call %d: %v %v", i, r.resp, r.err)
			}
			synctest.Wait()
		}
		if p.Busy() {
			t.Error("still busy")
		}
		seen := map[string]bool{}
		for _, frame := range w.sent {
			if id := idOf(t, frame); seen[id] || len(id) > ocppj.MaxID {
				t.Errorf("message id %s is used twice, or too long", id)
			} else {
				seen[id] = true
			}
		}
	})
}

func TestPeerTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := newPeer(&w, ocpp.V16, nil)
		start := time.Now()
		first, second := begin(t.Context(), p, &v16.ClearCacheRequest{}), begin(t.Context(), p, &v16.ClearCacheRequest{})
		if r := <-first; !errors.Is(r.err, ocppj.ErrTimeout) || time.Since(start) != 10*time.Second {
			t.Errorf("the first call: %v after %s", r.err, time.Since(start))
		}
		synctest.Wait()
		if len(w.sent) != 2 {
			t.Fatalf("the second call was not sent: %q", w.sent)
		}
		p.Receive(`[3,"` + idOf(t, w.sent[0]) + `",{"status":"Accepted"}]`) // too late: nobody waits for it
		if len(w.odd) != 1 || !strings.Contains(w.odd[0], "unknown message id") {
			t.Errorf("the late answer: %q", w.odd)
		}
		if r := <-second; !errors.Is(r.err, ocppj.ErrTimeout) || time.Since(start) != 20*time.Second {
			t.Errorf("the second call, whose time begins when it is sent: %v after %s", r.err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		blocker := begin(t.Context(), p, &v16.ClearCacheRequest{})
		if r := <-begin(ctx, p, &v16.ResetRequest{Type: v16.ResetTypeHard}); !errors.Is(r.err, ocppj.ErrTimeout) || !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("a call that waited longer than its context: %v", r.err)
		}
		p.Receive(`[3,"` + idOf(t, w.sent[2]) + `",{"status":"Accepted"}]`)
		if r := <-blocker; r.err != nil {
			t.Error(r.err)
		}
		synctest.Wait()
		if len(w.sent) != 3 {
			t.Errorf("a call that was given up was sent: %q", w.sent)
		}
	})
}

func TestPeerClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := newPeer(&w, ocpp.V201, nil)
		calls := []chan result{begin(t.Context(), p, &v201.ClearCacheRequest{}), begin(t.Context(), p, &v201.ClearCacheRequest{}), begin(t.Context(), p, &v201.ClearCacheRequest{})}
		p.Close()
		for i, c := range calls {
			if r := <-c; !errors.Is(r.err, ocppj.ErrClosed) {
				t.Errorf("call %d: %v", i, r.err)
			}
		}
		if _, err := p.Call(t.Context(), &v201.ClearCacheRequest{}); !errors.Is(err, ocppj.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		p.Receive(`[3,"` + idOf(t, w.sent[0]) + `",{"status":"Accepted"}]`)
		if len(w.sent) != 1 || p.Busy() {
			t.Errorf("sent %q", w.sent)
		}
		p.Close() // twice is harmless
	})
}

func TestPeerQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := newPeer(&w, ocpp.V21, func(o *ocppj.Options) { o.Queue = 3 })
		for range 4 { // one under way, three wait
			begin(t.Context(), p, &v21.ClearCacheRequest{})
		}
		if _, err := p.Call(t.Context(), &v21.ClearCacheRequest{}); !errors.Is(err, ocppj.ErrQueueFull) {
			t.Errorf("got %v", err)
		}
		p.Close()
	})
}

func TestPeerBrokenWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wire{broken: errors.New("broken pipe")}
		p := newPeer(&w, ocpp.V21, nil)
		if _, err := p.Call(t.Context(), &v21.ClearCacheRequest{}); !errors.Is(err, ocppj.ErrClosed) {
			t.Errorf("got %v", err)
		}
		p.Receive(`[2,"a","Heartbeat",{}]`)
		if len(w.odd) != 1 || !strings.Contains(w.odd[0], "broken pipe") {
			t.Errorf("an answer that could not be sent: %q", w.odd)
		}
	})
}

func TestPeerAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		version ocpp.Version
		answer  string // after the id
		strict  bool
		code    ocpp.Code
		err     error
		tells   string // the CALLRESULTERROR that must be sent
	}{
		{name: "refused", version: ocpp.V16, answer: `[4,ID,"SecurityError","no",{}]`, code: ocpp.SecurityError},
		{name: "refused without details", version: ocpp.V201, answer: `[4,ID,"NotSupported"]`, code: ocpp.NotSupported},
		{name: "code of another version", version: ocpp.V21, answer: `[4,ID,"FormationViolation","",{}]`, code: ocpp.FormatViolation},
		{name: "unknown code", version: ocpp.V21, answer: `[4,ID,"Whatever","",{}]`, code: ocpp.GenericError},
		{name: "bad answer 1.6", version: ocpp.V16, answer: `[3,ID,{"status":"Perhaps"}]`, err: ocppj.ErrBadAnswer},
		{name: "bad answer 2.1", version: ocpp.V21, answer: `[3,ID,{"status":"Perhaps"}]`, err: ocppj.ErrBadAnswer, tells: `[5,ID,"PropertyConstraintViolation"`},
		{name: "no object 2.1", version: ocpp.V21, answer: `[3,ID,[]]`, err: ocppj.ErrBadAnswer, tells: `[5,ID,"FormatViolation"`},
		{name: "extra property", version: ocpp.V21, answer: `[3,ID,{"status":"Accepted","x":1}]`},
		{name: "extra property, strict", version: ocpp.V21, answer: `[3,ID,{"status":"Accepted","x":1}]`, strict: true, err: ocppj.ErrBadAnswer, tells: `[5,ID,"FormatViolation"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var w wire
				p := newPeer(&w, c.version, func(o *ocppj.Options) { o.Strict = c.strict })
				var req ocpp.Request = &v21.ClearCacheRequest{}
				switch c.version {
				case ocpp.V16:
					req = &v16.ClearCacheRequest{}
				case ocpp.V201:
					req = &v201.ClearCacheRequest{}
				}
				call := begin(t.Context(), p, req)
				id := `"` + idOf(t, w.sent[0]) + `"`
				p.Receive(strings.Replace(c.answer, "ID", id, 1))
				r := <-call
				var refused *ocpp.CallError
				switch {
				case c.code != 0 || strings.Contains(c.answer, "[4,"):
					if !errors.As(r.err, &refused) || refused.Code != c.code {
						t.Errorf("got %v, want %s", r.err, c.code)
					}
				case !errors.Is(r.err, c.err) || c.err == nil && (r.err != nil || r.resp == nil):
					t.Errorf("got %v %v", r.resp, r.err)
				}
				switch {
				case c.tells == "" && len(w.sent) != 1:
					t.Errorf("sent %q", w.sent)
				case c.tells != "" && (len(w.sent) != 2 || !strings.HasPrefix(w.sent[1], strings.Replace(c.tells, "ID", id, 1))):
					t.Errorf("sent %q, want %s", w.sent, c.tells)
				}
			})
		})
	}
}

func TestPeerIgnoresUnknownAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w wire
		p := newPeer(&w, ocpp.V21, nil)
		call := begin(t.Context(), p, &v21.ClearCacheRequest{})
		for _, text := range []string{`[3,"x",{}]`, `[4,"x","GenericError","",{}]`, `[5,"x","GenericError","",{}]`, `[3]`, `[4,7]`, `[3,"x"]`} {
			p.Receive(text)
		}
		if len(w.sent) != 1 || len(w.odd) != 6 {
			t.Errorf("sent %q, odd %q", w.sent, w.odd)
		}
		p.Receive(`[3,"` + idOf(t, w.sent[0]) + `",{"status":"Accepted"}]`)
		if r := <-call; r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestPeerRepeatedFrames(t *testing.T) {
	t.Parallel()
	var w wire
	p := newPeer(&w, ocpp.V16, nil)
	p.Receive(`[2,"a","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]`)
	p.Receive(`[2,"a","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]`)
	if len(w.served) != 1 || len(w.sent) != 2 || w.sent[0] != w.sent[1] {
		t.Errorf("served %q, sent %q", w.served, w.sent)
	}
	p.Receive(`[2,"a","StatusNotification",{"connectorId":2,"errorCode":"NoError","status":"Available"}]`)
	if len(w.served) != 2 || len(w.odd) != 2 || !strings.Contains(w.odd[1], "used again") {
		t.Errorf("served %q, odd %q", w.served, w.odd)
	}
	for range 3 { // the answer tells the time: it is made each time
		p.Receive(`[2,"same","Heartbeat",{}]`)
	}
	if len(w.served) != 5 {
		t.Errorf("served %q", w.served)
	}
}

func TestPeerSend(t *testing.T) {
	t.Parallel()
	var w wire
	p := newPeer(&w, ocpp.V21, nil)
	p.Receive(`[6,"a","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-01-01T00:00:00Z","data":[{"t":0,"v":"1"}]}]`)
	if len(w.served) != 1 {
		t.Errorf("served %q: %q", w.served, w.odd)
	}
	for _, text := range []string{`[6,"b","NotifyPeriodicEventStream",{}]`, `[6,"c","Heartbeat",{}]`, `[6,"d","Nothing",{}]`, `[6]`, `[6,7]`, `[6,"e"]`, `[6,"f","NotifyPeriodicEventStream"]`} {
		p.Receive(text)
	}
	if len(w.sent) != 0 {
		t.Errorf("a SEND was answered: %q", w.sent)
	}
	p.Receive(`[2,"g","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-01-01T00:00:00Z","data":[{"t":0,"v":"1"}]}]`)
	if len(w.sent) != 1 || !strings.HasPrefix(w.sent[0], `[4,"g","FormatViolation"`) {
		t.Errorf("a SEND that came as CALL: %q", w.sent)
	}
}

func TestPeerTolerates(t *testing.T) {
	t.Parallel()
	const overlong = `[2,"a","StartTransaction",{"connectorId":1,"idTag":"0123456789-0123456789-x","meterStart":1,"timestamp":"2026-01-01T00:00:00Z"}]`
	var w wire
	p := newPeer(&w, ocpp.V16, nil)
	p.Receive(overlong)
	if len(w.served) != 0 || !strings.HasPrefix(w.sent[0], `[4,"a","PropertyConstraintViolation"`) {
		t.Errorf("served %q, sent %q", w.served, w.sent)
	}
	w = wire{}
	p = newPeer(&w, ocpp.V16, func(o *ocppj.Options) {
		o.Tolerate = func(action string, v ocpp.Violation) bool { return action == "StartTransaction" && v.Overlong }
		o.Serve = func(in *ocppj.Incoming) {
			if len(in.Violations) != 1 || !in.Violations[0].Tolerated {
				t.Errorf("violations %v", in.Violations)
			}
			in.Fail(&ocpp.CallError{Code: ocpp.InternalError})
		}
	})
	p.Receive(overlong)
	if len(w.sent) != 1 || w.sent[0] != `[4,"a","InternalError","",{}]` {
		t.Errorf("sent %q", w.sent)
	}
}
