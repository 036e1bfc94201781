package translate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
)

var ends = []ocpp.Role{ocpp.Station, ocpp.CSMS}

func dialogue() *translate.Dialogue {
	return &translate.Dialogue{State: translate.NewMemory("station", []byte("secret"))}
}

// TestAny201RequestIsValidIn21 holds for every message that a 2.0.1 end may send: what comes out is valid 2.1, and every
// valid answer becomes a valid answer of 2.0.1.
func TestAny201RequestIsValidIn21(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom(ends).Draw(t, "sender")
		req := ocpptest.DrawRequest(t, ocpp.V201, role)
		x, err := translate.Lift(dialogue(), role, req)
		checkExchange(t, req, x, err)
	})
}

// TestAny21RequestIsValidIn201 is the same the other way.
func TestAny21RequestIsValidIn201(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom(ends).Draw(t, "sender")
		req := ocpptest.DrawRequest(t, ocpp.V21, role)
		x, err := translate.Lower(dialogue(), ocpp.V201, role, req)
		checkExchange(t, req, x, err)
	})
}

// checkExchange answers an exchange with random valid responses and with an error.
func checkExchange(t *rapid.T, req ocpp.Request, x translate.Exchange, err error) {
	if err != nil {
		refusal, ok := err.(*translate.Refusal)
		if !ok || refusal.Reason == "" {
			t.Fatalf("%s: not a refusal with a reason: %#v", req.ActionName(), err)
		}
		return
	}
	checkNotes(t, req, x.Notes)
	var replies, failures []translate.Reply
	for _, r := range x.Requests {
		if err := r.Validate(); err != nil {
			t.Fatalf("%s %s\nbecame %s\n%v", req.ActionName(), ocpp.Marshal(req), ocpp.Marshal(r), err)
		}
		replies = append(replies, translate.Reply{Response: ocpptest.DrawResponse(t, r.Version(), r.ActionName())})
		failures = append(failures, translate.Reply{Err: &ocpp.CallError{Code: ocpp.InternalError}})
	}
	out := x.Answer(replies)
	checkNotes(t, req, out.Notes)
	switch {
	case out.Err != nil && out.Response != nil:
		t.Fatalf("%s: both a response and an error", req.ActionName())
	case out.Response != nil:
		if err := out.Response.Validate(); err != nil {
			t.Fatalf("answer to %s %s: %v", req.ActionName(), ocpp.Marshal(out.Response), err)
		}
		if got, want := ocpptest.TypeName(out.Response), req.ActionName()+"Response"; got != want || out.Response.Version() != req.Version() {
			t.Fatalf("answer is a %s of %s, want %s of %s", got, out.Response.Version(), want, req.Version())
		}
	case out.Err == nil && req.NewResponse() != nil:
		t.Fatalf("%s: neither a response nor an error", req.ActionName())
	}
	if len(failures) > 0 {
		if out := x.Answer(failures); out.Err == nil {
			t.Fatalf("%s: a CALLERROR became %s", req.ActionName(), ocpp.Marshal(out.Response))
		}
	}
}

func checkNotes(t *rapid.T, req ocpp.Request, notes []translate.Note) {
	for _, n := range notes {
		if n.Text == "" || n.Path == "" || n.Kind != translate.Lost && n.Kind != translate.Emulated {
			t.Fatalf("%s: incomplete note %#v", req.ActionName(), n)
		}
	}
}

// TestRoundTrip201 lifts and lowers: what crosses both ways without a note comes back as it was.
func TestRoundTrip201(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom(ends).Draw(t, "sender")
		req := ocpptest.DrawRequest(t, ocpp.V201, role)
		up, err := translate.Lift(dialogue(), role, req)
		if err != nil || len(up.Notes) > 0 {
			t.Skip("2.1 is narrower here")
		}
		down, err := translate.Lower(dialogue(), ocpp.V201, role, up.Requests[0])
		if err != nil || len(down.Notes) > 0 {
			t.Fatalf("%s %s\nlifted without loss cannot be lowered: %v %v", req.ActionName(), ocpp.Marshal(req), err, down.Notes)
		}
		if diff := cmp.Diff(string(ocpp.Marshal(req)), string(ocpp.Marshal(down.Requests[0]))); diff != "" {
			t.Fatalf("came back different (-sent +back):\n%s", diff)
		}
	})
}

// TestNothingOf21IsDroppedInSilence lowers and lifts: a 2.1 request that crossed without a note comes back as it was.
func TestNothingOf21IsDroppedInSilence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom(ends).Draw(t, "sender")
		req := ocpptest.DrawRequest(t, ocpp.V21, role)
		down, err := translate.Lower(dialogue(), ocpp.V201, role, req)
		if err != nil || len(down.Notes) > 0 {
			t.Skip("2.0.1 has no twin")
		}
		up, err := translate.Lift(dialogue(), role, down.Requests[0])
		if err != nil {
			t.Fatalf("%s lowered without loss cannot be lifted: %v", req.ActionName(), err)
		}
		for _, n := range up.Notes {
			if n.Kind == translate.Lost {
				t.Fatalf("%s: %v", req.ActionName(), n)
			}
		}
		want, got := withoutDefaults(string(ocpp.Marshal(req))), withoutDefaults(string(ocpp.Marshal(up.Requests[0])))
		if diff := cmp.Diff(want, got); diff != "" && len(up.Notes) == 0 {
			t.Fatalf("came back different (-sent +back):\n%s", diff)
		}
	})
}

// withoutDefaults leaves out what says the same as nothing: these members of 2.1 are false, or ChargingOnly, when they
// are absent.
func withoutDefaults(text string) string {
	for _, member := range []string{
		`"evseSleep":false`, `"preconditioningRequest":false`, `"useLocalTime":false`, `"invalidAfterOfflineDuration":false`,
		`"isLocalGeneration":false`, `"operationMode":"ChargingOnly"`,
	} {
		text = strings.ReplaceAll(text, ","+member, "")
		text = strings.ReplaceAll(text, member+",", "")
		text = strings.ReplaceAll(text, member, "")
	}
	return text
}
