package translate_test

import (
	"errors"
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
