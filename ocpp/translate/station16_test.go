package translate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
)

var receipt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newDialogue() *translate.Dialogue {
	return &translate.Dialogue{Now: receipt, State: translate.NewMemory("S1", []byte("secret")),
		Model: &goldenModel{evses: []int{1, 2}, variables: []goldenVariable{{component: "CustomizationCtrlr",
			variable: "CustomImplementationEnabled", variableInstance: "org.openchargealliance.costmsg", value: "true"}}}}
}

// crossing translates in one direction.
type crossing struct {
	from, to  ocpp.Version
	translate func(*translate.Dialogue, ocpp.Request) (translate.Exchange, error)
}

var (
	up16 = crossing{ocpp.V16, ocpp.V21, func(d *translate.Dialogue, r ocpp.Request) (translate.Exchange, error) {
		return translate.Lift(d, ocpp.Station, r)
	}}
	down16 = crossing{ocpp.V21, ocpp.V16, func(d *translate.Dialogue, r ocpp.Request) (translate.Exchange, error) {
		return translate.Lower(d, ocpp.V16, ocpp.Station, r)
	}}
)

// TestStation16AnyMessage holds both directions to it that any valid message, at any point of a dialogue, becomes valid
// messages or a refusal, and that any valid answer and any CALLERROR becomes a valid answer.
func TestStation16AnyMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []crossing{up16, down16} {
		for _, a := range ocpptest.Actions(c.from) {
			if a.Sender&ocpp.Station == 0 {
				continue
			}
			t.Run(c.from.String()+"/"+a.Name, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) {
					d := newDialogue()
					for range rapid.IntRange(0, 3).Draw(t, "before") {
						action := rapid.SampledFrom([]string{a.Name, "StatusNotification", "MeterValues",
							map[ocpp.Version]string{ocpp.V16: "StartTransaction", ocpp.V21: "TransactionEvent"}[c.from]}).Draw(t, "action")
						c.exchange(t, d, drawRequest(t, c.from, action))
					}
					c.exchange(t, d, drawRequest(t, c.from, a.Name))
				})
			})
		}
	}
}

func drawRequest(t *rapid.T, v ocpp.Version, action string) ocpp.Request {
	req := ocpptest.NewRequest(v, action)
	ocpptest.Draw(t, req)
	return req
}

// exchange carries one exchange out with random answers.
func (c crossing) exchange(t *rapid.T, d *translate.Dialogue, req ocpp.Request) {
	x, err := c.translate(d, req)
	if err != nil {
		var refusal *translate.Refusal
		if !errors.As(err, &refusal) || refusal.Reason == "" {
			t.Fatalf("%s: not a refusal with a reason: %v", req.ActionName(), err)
		}
		return
	}
	var replies []translate.Reply
	for i, r := range x.Requests {
		valid(t, c.to, ocpp.Station, r)
		reply := translate.Reply{Response: ocpptest.DrawResponse(t, c.to, r.ActionName())}
		if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
			reply = translate.Reply{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "down"}}
		}
		replies = append(replies, reply)
		if reply.Err != nil && (x.Stop == nil || x.Stop(i, reply)) {
			break
		}
	}
	out := x.Answer(replies)
	switch {
	case (out.Response == nil) == (out.Err == nil) && req.NewResponse() != nil:
		t.Fatalf("%s: neither or both of response %v and error %v", req.ActionName(), out.Response, out.Err)
	case out.Response != nil:
		if out.Response.ActionName() != req.ActionName() {
			t.Fatalf("%s is answered by %s", req.ActionName(), out.Response.ActionName())
		}
		valid(t, c.from, 0, out.Response)
	}
	for _, r := range out.Then {
		valid(t, c.from, ocpp.CSMS, r)
	}
	for _, n := range append(x.Notes, out.Notes...) {
		if n.Text == "" || n.Kind == "" {
			t.Fatalf("%s: a note without content: %+v", req.ActionName(), n)
		}
	}
}

func valid(t *rapid.T, v ocpp.Version, sender ocpp.Role, m ocpp.Message) {
	if m.Version() != v {
		t.Fatalf("%s is of OCPP %s, want %s", m.ActionName(), m.Version(), v)
	}
	if r, ok := m.(ocpp.Request); ok && r.Sender()&sender == 0 {
		t.Fatalf("%s is not sent by the %s", m.ActionName(), sender)
	}
	if err := m.Validate(); err != nil {
		t.Fatalf("%s %s: %v", m.ActionName(), ocpp.Marshal(m), err)
	}
}

// tableOf gives the entries of one direction by action.
func tableOf(direction translate.Direction) map[string]translate.Entry {
	all := map[string]translate.Entry{}
	for _, e := range translate.Table() {
		if e.Version == ocpp.V16 && e.From == ocpp.Station && e.Direction == direction {
			all[e.Action] = e
		}
	}
	return all
}

// TestStation16Table wants an entry for every message that a station may send, and every note and refusal of random
// messages in it.
func TestStation16Table(t *testing.T) {
	t.Parallel()
	for direction, c := range map[translate.Direction]crossing{translate.Up: up16, translate.Down: down16} {
		table := tableOf(direction)
		for _, a := range ocpptest.Actions(c.from) {
			if a.Sender&ocpp.Station == 0 {
				continue
			}
			e, ok := table[a.Name]
			if !ok {
				t.Errorf("no entry for %s %s", direction, a.Name)
				continue
			}
			rapid.Check(t, func(t *rapid.T) {
				d := newDialogue()
				c.exchange(t, d, drawRequest(t, c.from, map[translate.Direction]string{translate.Up: "StartTransaction", translate.Down: "TransactionEvent"}[direction]))
				x, err := c.translate(d, drawRequest(t, c.from, a.Name))
				var refusal *translate.Refusal
				if errors.As(err, &refusal) {
					wantNote(t, e, translate.InRequest, translate.Note{Kind: translate.Refused, Path: refusal.Path})
					return
				}
				if e.Kind == translate.Refused {
					t.Fatalf("%s is refused in the table but crosses", a.Name)
				}
				for _, n := range x.Notes {
					wantNote(t, e, translate.InRequest, n)
				}
				var replies []translate.Reply
				for _, r := range x.Requests {
					replies = append(replies, translate.Reply{Response: ocpptest.DrawResponse(t, c.to, r.ActionName())})
				}
				for _, n := range x.Answer(replies).Notes {
					wantNote(t, e, translate.InResponse, n)
				}
			})
		}
	}
}

// wantNote fails when the entry does not tell of a note, or of one above it.
func wantNote(t *rapid.T, e translate.Entry, part translate.Part, n translate.Note) {
	path := normal(n.Path)
	if path == "" && (e.How != "" || slices.ContainsFunc(e.Fields, func(f translate.FieldNote) bool { return f.Path == "requestId" })) {
		return
	}
	for _, f := range e.Fields {
		above := normal(f.Path)
		if rest, ok := strings.CutPrefix(path, above); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && f.In == part && f.Kind == n.Kind {
			return
		}
		if n.Kind == translate.Lost && strings.HasSuffix(path, "customData") && f.Path == "customData" && f.In == part {
			return
		}
	}
	t.Fatalf("the table of %s %s does not tell that %q of the %s is %s: %s", e.Direction, e.Action, path, part, n.Kind, n.Text)
}
