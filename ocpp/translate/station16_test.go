package translate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
	"lumela/ocpp/v16"
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
			t.Run(string(direction)+"/"+a.Name, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) { c.checkTable(t, e) })
			})
		}
	}
}

// checkTable holds what a random message loses against its entry, half of the time within a transaction.
func (c crossing) checkTable(t *rapid.T, e translate.Entry) {
	d := newDialogue()
	if slices.Contains([]string{"MeterValues", "StatusNotification", "StopTransaction", "TransactionEvent"}, e.Action) && rapid.Bool().Draw(t, "charging") {
		start := map[ocpp.Version]string{ocpp.V16: "StartTransaction", ocpp.V21: "TransactionEvent"}[c.from]
		c.exchange(t, d, drawRequest(t, c.from, start))
	}
	x, err := c.translate(d, drawRequest(t, c.from, e.Action))
	var refusal *translate.Refusal
	if errors.As(err, &refusal) {
		wantNote(t, e, translate.InRequest, translate.Note{Kind: translate.Refused, Path: refusal.Path})
		return
	}
	if e.Kind == translate.Refused {
		t.Fatalf("%s is refused in the table but crosses", e.Action)
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

// thereAndBack tells a 1.6 management system through 2.1 what a 1.6 station says: it is to be what the station said.
func thereAndBack(t *rapid.T, d *translate.Dialogue, req ocpp.Request) []ocpp.Request {
	x, err := translate.Lift(d, ocpp.Station, req)
	if err != nil {
		t.Fatal(err)
	}
	far := newDialogue()
	var back []ocpp.Request
	for _, r := range x.Requests {
		y, err := translate.Lower(far, ocpp.V16, ocpp.Station, r)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, y.Requests...)
	}
	return back
}

func drawTime(t *rapid.T) time.Time {
	return receipt.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(t, "seconds")) * time.Second)
}

func drawSamples(t *rapid.T) []v16.MeterValue {
	sample := func(t *rapid.T) v16.SampledValue {
		sv := v16.SampledValue{Value: rapid.StringMatching(`-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?`).Filter(func(s string) bool {
			return !strings.HasPrefix(s, "-0")
		}).Draw(t, "value")}
		measurands := slices.DeleteFunc(slices.Clone(v16.MeasurandValues), func(m v16.Measurand) bool {
			return m == v16.MeasurandRPM || m == v16.MeasurandTemperature
		})
		sv.Measurand = ocpp.SomeIf(rapid.SampledFrom(measurands).Draw(t, "measurand"), rapid.Bool().Draw(t, "has"))
		sv.Context = ocpp.SomeIf(rapid.SampledFrom(v16.ReadingContextValues).Draw(t, "context"), rapid.Bool().Draw(t, "has"))
		sv.Phase = ocpp.SomeIf(rapid.SampledFrom(v16.PhaseValues).Draw(t, "phase"), rapid.Bool().Draw(t, "has"))
		sv.Location = ocpp.SomeIf(rapid.SampledFrom(v16.LocationValues).Draw(t, "location"), rapid.Bool().Draw(t, "has"))
		units := slices.DeleteFunc(slices.Clone(v16.UnitOfMeasureValues), func(u v16.UnitOfMeasure) bool { return u == v16.UnitOfMeasureCelcius })
		sv.Unit = ocpp.SomeIf(rapid.SampledFrom(units).Draw(t, "unit"), rapid.Bool().Draw(t, "has"))
		return sv
	}
	var values []v16.MeterValue
	for range rapid.IntRange(1, 3).Draw(t, "values") {
		mv := v16.MeterValue{Timestamp: drawTime(t)}
		for range rapid.IntRange(1, 4).Draw(t, "samples") {
			mv.SampledValue = append(mv.SampledValue, sample(t))
		}
		if rapid.Bool().Draw(t, "signed") {
			mv.SampledValue = append(mv.SampledValue, v16.SampledValue{Value: ocpptest.DrawText(t, 200),
				Format: ocpp.Some(v16.ValueFormatSignedData), Measurand: ocpp.Some(v16.MeasurandEnergyActiveExportRegister),
				Location: ocpp.Some(v16.LocationBody), Context: ocpp.Some(v16.ReadingContextTransactionEnd), Phase: ocpp.Some(v16.PhaseN)})
		}
		values = append(values, mv)
	}
	return values
}

func TestStation16ThereAndBack(t *testing.T) {
	t.Parallel()
	tag := rapid.StringMatching(`[A-Z0-9]{1,20}`)
	draws := map[string]func(*rapid.T) ocpp.Request{
		"MeterValues": func(t *rapid.T) ocpp.Request {
			return &v16.MeterValuesRequest{ConnectorID: rapid.IntRange(0, 9).Draw(t, "connector"), MeterValue: drawSamples(t)}
		},
		"StatusNotification": func(t *rapid.T) ocpp.Request {
			return &v16.StatusNotificationRequest{ConnectorID: rapid.IntRange(1, 9).Draw(t, "connector"), Timestamp: ocpp.Some(drawTime(t)),
				Status: rapid.SampledFrom(v16.ChargePointStatusValues).Draw(t, "status"), ErrorCode: v16.ChargePointErrorCodeNoError}
		},
		"StartTransaction": func(t *rapid.T) ocpp.Request {
			return &v16.StartTransactionRequest{ConnectorID: rapid.IntRange(1, 9).Draw(t, "connector"), IDTag: tag.Draw(t, "tag"),
				MeterStart: rapid.IntRange(-5, 1e9).Draw(t, "meter"), Timestamp: drawTime(t),
				ReservationID: ocpp.SomeIf(rapid.IntRange(0, 9).Draw(t, "reservation"), rapid.Bool().Draw(t, "has"))}
		},
		"Authorize": func(t *rapid.T) ocpp.Request { return &v16.AuthorizeRequest{IDTag: tag.Draw(t, "tag")} },
		"BootNotification": func(t *rapid.T) ocpp.Request {
			text := func(n string) ocpp.Opt[string] { return ocpp.Some(tag.Draw(t, n)) }
			return &v16.BootNotificationRequest{ChargePointVendor: tag.Draw(t, "vendor"), ChargePointModel: tag.Draw(t, "model"),
				ChargePointSerialNumber: text("serial"), ChargeBoxSerialNumber: text("box"), FirmwareVersion: text("firmware"),
				ICCID: text("iccid"), IMSI: text("imsi"), MeterType: text("type"), MeterSerialNumber: text("meter")}
		},
		"DataTransfer": func(t *rapid.T) ocpp.Request {
			return &v16.DataTransferRequest{VendorID: tag.Draw(t, "vendor"), MessageID: ocpp.Some(tag.Draw(t, "message")),
				Data: ocpp.Some(ocpptest.DrawText(t, 200))}
		},
	}
	for name, draw := range draws {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				req := draw(t)
				back := thereAndBack(t, newDialogue(), req)
				if len(back) == 0 {
					t.Fatalf("%s %s came back as nothing", name, ocpp.Marshal(req))
				}
				if diff := cmp.Diff(string(ocpp.Marshal(req)), string(ocpp.Marshal(back[0]))); diff != "" {
					t.Fatalf("%s came back changed (-sent +back):\n%s", name, diff)
				}
			})
		})
	}
}

// TestStation16Transaction sends a whole charge of a 1.6 station through 2.1 to a 1.6 management system that numbers
// transactions its own way, and wants the same readings under the other number.
func TestStation16Transaction(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		near, far := newDialogue(), newDialogue()
		number := rapid.IntRange(1, 1<<31-1).Draw(t, "number")
		var heard []ocpp.Request
		say := func(req ocpp.Request) ocpp.Response {
			x, err := translate.Lift(near, ocpp.Station, req)
			if err != nil {
				t.Fatal(err)
			}
			var replies []translate.Reply
			for _, r := range x.Requests {
				y, err := translate.Lower(far, ocpp.V16, ocpp.Station, r)
				if err != nil {
					t.Fatal(err)
				}
				var inner []translate.Reply
				for _, q := range y.Requests {
					heard = append(heard, q)
					resp := q.NewResponse()
					if s, ok := resp.(*v16.StartTransactionResponse); ok {
						s.TransactionID, s.IDTagInfo.Status = number, v16.AuthorizationStatusAccepted
					}
					inner = append(inner, translate.Reply{Response: resp})
				}
				replies = append(replies, translate.Reply{Response: y.Answer(inner).Response})
			}
			return x.Answer(replies).Response
		}
		start := &v16.StartTransactionRequest{ConnectorID: 2, IDTag: "TAG", MeterStart: 100, Timestamp: receipt}
		started, ok := say(start).(*v16.StartTransactionResponse)
		if !ok || started.IDTagInfo.Status != v16.AuthorizationStatusAccepted {
			t.Fatalf("start was answered by %v", started)
		}
		values := drawSamples(t)
		say(&v16.MeterValuesRequest{ConnectorID: 2, TransactionID: ocpp.Some(started.TransactionID), MeterValue: values})
		reason := rapid.SampledFrom(v16.ReasonValues).Draw(t, "reason")
		stop := &v16.StopTransactionRequest{MeterStop: 900, Timestamp: receipt.Add(time.Hour), TransactionID: started.TransactionID,
			Reason: ocpp.Some(reason), IDTag: ocpp.Some("TAG"), TransactionData: values}
		say(stop)
		want := []ocpp.Request{start, &v16.MeterValuesRequest{ConnectorID: 2, TransactionID: ocpp.Some(number), MeterValue: values}}
		heard = slices.DeleteFunc(heard, func(r ocpp.Request) bool { return r.ActionName() == v16.ActionStatusNotification })
		if len(heard) != 3 {
			t.Fatalf("%d messages arrived, want 3", len(heard))
		}
		for i, w := range want {
			if diff := cmp.Diff(string(ocpp.Marshal(w)), string(ocpp.Marshal(heard[i]))); diff != "" {
				t.Fatalf("message %d (-want +got):\n%s", i, diff)
			}
		}
		got, ok := heard[2].(*v16.StopTransactionRequest)
		if !ok || got.MeterStop != 900 || got.TransactionID != number || got.Reason.V != reason || got.IDTag.V != "TAG" ||
			len(got.TransactionData) != len(values)+1 { // and meterStop
			t.Fatalf("stop arrived as %s", ocpp.Marshal(heard[2]))
		}
	})
}
