package translate

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// testTime is the time of every message of these tests.
var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func testDialogue() *Dialogue {
	return &Dialogue{Now: testTime, State: NewMemory("cs1", []byte("secret"))}
}

// mustValidate fails for a message that breaks the schema of its version.
func mustValidate(t *rapid.T, m ocpp.Message) {
	t.Helper()
	if err := m.Validate(); err != nil {
		t.Fatalf("%s %s: %v\n%s", m.Version(), m.ActionName(), err, ocpp.Marshal(m))
	}
}

// carryOut answers the requests of an exchange with random replies, and checks all that comes out of it.
func carryOut(t *rapid.T, x Exchange, source ocpp.Request, target ocpp.Version) Outcome {
	var replies []Reply
	for i, req := range x.Requests {
		if req.Version() != target {
			t.Fatalf("%s became a request of %s", source.ActionName(), req.Version())
		}
		mustValidate(t, req)
		r := Reply{Response: req.NewResponse()}
		if rapid.IntRange(0, 4).Draw(t, "refusal") == 0 {
			code := rapid.SampledFrom([]ocpp.Code{ocpp.NotImplemented, ocpp.NotSupported, ocpp.InternalError, ocpp.GenericError}).Draw(t, "code")
			r = Reply{Err: &ocpp.CallError{Code: code, Description: "no"}}
		} else {
			ocpptest.Draw(t, r.Response)
			knownReply(t, req, r.Response)
		}
		replies = append(replies, r)
		if x.Ends(i, r) {
			break
		}
	}
	out := x.Answer(replies)
	for _, n := range append(x.Notes, out.Notes...) {
		if n.Kind == "" || n.Kind == Same || n.Text == "" {
			t.Fatalf("%s: note says nothing: %+v", source.ActionName(), n)
		}
	}
	for _, m := range out.Then {
		mustValidate(t, m)
		if m.Version() != source.Version() || m.Sender()&ocpp.Station == 0 {
			t.Fatalf("%s is followed by a %s of %s", source.ActionName(), m.ActionName(), m.Version())
		}
	}
	switch {
	case (out.Response == nil) == (out.Err == nil):
		t.Fatalf("%s is answered by %v and %v", source.ActionName(), out.Response, out.Err)
	case out.Response != nil:
		mustValidate(t, out.Response)
		if out.Response.ActionName() != source.ActionName() || out.Response.Version() != source.Version() {
			t.Fatalf("%s of %s is answered by %s of %s", source.ActionName(), source.Version(), out.Response.ActionName(), out.Response.Version())
		}
	}
	return out
}

// entryOf finds a message in the table.
func entryOf(t *testing.T, direction, action string) Entry {
	for _, e := range tableCSMS16() {
		if e.Action == action && string(e.Direction) == direction {
			return e
		}
	}
	t.Fatalf("the table has no entry to %s %s", direction, action)
	return Entry{}
}

var numbers = regexp.MustCompile(`\[\d+\]`)

// toldInTable checks that the table tells of everything that a translation notes. A note on customData or statusInfo, which
// any message can have, stands in the table once for the whole message.
func toldInTable(t *rapid.T, e Entry, part Part, notes []Note) {
	for _, n := range notes {
		path := numbers.ReplaceAllString(n.Path, "[]")
		last := path[strings.LastIndexByte(path, '.')+1:]
		ok := path == "" && e.How != "" && (n.Kind == Emulated || e.Kind == Refused) || last == "customData" || last == "statusInfo" || last == "attributeStatusInfo"
		for _, f := range e.Fields {
			ok = ok || f.In == part && f.Path == path && f.Kind == n.Kind
		}
		if !ok {
			t.Fatalf("the table does not tell of %s %s: %s %s %q: %s", e.Direction, e.Action, part, n.Kind, path, n.Text)
		}
	}
}

func TestCSMS16AnyRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		from, to ocpp.Version
	}{{"lower", ocpp.V21, ocpp.V16}, {"lift", ocpp.V16, ocpp.V21}} {
		for _, a := range ocpptest.Actions(c.from) {
			if a.Sender&ocpp.CSMS == 0 {
				continue
			}
			t.Run(c.name+"/"+a.Name, func(t *testing.T) {
				t.Parallel()
				entry := entryOf(t, c.name, a.Name)
				rapid.Check(t, func(t *rapid.T) {
					d := testDialogue()
					d.State.Bind("tx-1", 7)
					d.State.Open(1, "tx-1", "TAG")
					if rapid.Bool().Draw(t, "insecure") {
						d.State.Put(keySecurity, "no")
					}
					req := ocpptest.NewRequest(c.from, a.Name)
					ocpptest.Draw(t, req)
					known(t, req)
					var x Exchange
					var err error
					if c.to == ocpp.V16 {
						x, err = Lower(d, ocpp.V16, ocpp.CSMS, req)
					} else {
						x, err = Lift(d, ocpp.CSMS, req)
					}
					if err != nil {
						mustRefuse(t, err)
						toldInTable(t, entry, InRequest, []Note{{Kind: Refused, Path: err.(*Refusal).Path, Text: err.(*Refusal).Reason}})
						return
					}
					toldInTable(t, entry, InRequest, x.Notes)
					toldInTable(t, entry, InResponse, carryOut(t, x, req, c.to).Notes)
				})
			})
		}
	}
}

// known makes the random request one that means something to the station, half of the time: about its transaction,
// its variables, or in the words of an application note.
func known(t *rapid.T, req ocpp.Request) {
	if !rapid.Bool().Draw(t, "known") {
		return
	}
	switch m := req.(type) {
	case *v21.SetChargingProfileRequest:
		plainProfile(t, &m.ChargingProfile)
	case *v21.RequestStartTransactionRequest:
		if m.IDToken.IDToken = "TAG"; m.ChargingProfile != nil {
			plainProfile(t, m.ChargingProfile)
		}
	case *v21.RequestStopTransactionRequest:
		m.TransactionID = "tx-1"
	case *v21.CostUpdatedRequest:
		m.TransactionID = "tx-1"
	case *v21.GetVariablesRequest:
		for i := range m.GetVariableData {
			place := anyTarget(t)
			m.GetVariableData[i].Component, m.GetVariableData[i].Variable = component21(place.Component), variable21(place.Variable)
		}
	case *v21.SetVariablesRequest:
		for i := range m.SetVariableData {
			place := anyTarget(t)
			m.SetVariableData[i].Component, m.SetVariableData[i].Variable = component21(place.Component), variable21(place.Variable)
		}
	case *v16.GetConfigurationRequest:
		for i := range m.Key {
			m.Key[i] = anyKey(t)
		}
	case *v16.ChangeConfigurationRequest:
		m.Key = anyKey(t)
	case *v16.DataTransferRequest:
		noteMessage(t, m)
	}
}

func anyKey(t *rapid.T) string {
	return string(rapid.SampledFrom(devicemodel.Keys()).Draw(t, "key").Key)
}

func anyTarget(t *rapid.T) devicemodel.Target {
	place := rapid.SampledFrom(rapid.SampledFrom(devicemodel.Keys()).Draw(t, "key").Targets).Draw(t, "target")
	if place.Component.Name == "Connector" {
		place.Component.EVSE, place.Component.Connector = rapid.IntRange(1, 3).Draw(t, "evse"), 1
	}
	return place
}

// plainProfile takes from a profile most of what 1.6 cannot say.
func plainProfile(t *rapid.T, p *v21.ChargingProfile) {
	p.ChargingProfilePurpose = v21.ChargingProfilePurposeTxProfile
	if p.ChargingProfileKind == v21.ChargingProfileKindDynamic {
		p.ChargingProfileKind = v21.ChargingProfileKindAbsolute
	}
	if p.TransactionID.OK {
		p.TransactionID.V = "tx-1"
	}
	for i := range p.ChargingSchedule {
		s := &p.ChargingSchedule[i]
		s.LimitAtSoC, s.UseLocalTime.V = nil, false
		for j := range s.ChargingSchedulePeriod {
			q := &s.ChargingSchedulePeriod[j]
			*q = v21.ChargingSchedulePeriod{
				StartPeriod: q.StartPeriod, Limit: ocpp.Some(q.Limit.V), LimitL2: q.LimitL2, LimitL3: q.LimitL3, NumberPhases: q.NumberPhases, PhaseToUse: q.PhaseToUse,
			}
		}
	}
}

// noteMessage makes a DataTransfer of one of the application notes.
func noteMessage(t *rapid.T, m *v16.DataTransferRequest) {
	switch name := rapid.SampledFrom([]string{
		"SetUserPrice", "RunningCost", "FinalCost", v21.ActionCertificateSigned, v21.ActionInstallCertificate, v21.ActionDeleteCertificate,
		v21.ActionGetInstalledCertificateIds, v21.ActionTriggerMessage,
	}).Draw(t, "message"); name {
	case "SetUserPrice", "RunningCost", "FinalCost":
		m.VendorID, m.MessageID = costVendor, ocpp.Some(name)
		m.Data = ocpp.Some(rapid.SampledFrom([]string{
			`{"transactionId":7,"cost":1.25,"state":"Charging","meterValue":5,"chargingPrice":{"kWhPrice":0.3}}`,
			`{"transactionId":7,"cost":3,"priceText":"3 EUR","priceTextExtra":[{"format":"UTF8","language":"nl","content":"x"}],"qrCodeText":"https://a.b"}`,
			`{"idToken":"TAG","priceText":"1 EUR"}`, `{}`, `[]`, ``,
		}).Draw(t, "data"))
	default:
		inner := v21.NewRequest(name)
		ocpptest.Draw(t, inner)
		m.VendorID, m.MessageID, m.Data = pncVendor, ocpp.Some(name), ocpp.Some(string(ocpp.Marshal(inner)))
	}
}

// knownReply makes the random reply one that a station could give to this request, half of the time.
func knownReply(t *rapid.T, req ocpp.Request, resp ocpp.Response) {
	if !rapid.Bool().Draw(t, "apt") {
		return
	}
	switch r := resp.(type) {
	case *v16.GetConfigurationResponse:
		asked := req.(*v16.GetConfigurationRequest).Key
		for i := range r.ConfigurationKey {
			r.ConfigurationKey[i].Key = anyKey(t)
			if i < len(asked) {
				r.ConfigurationKey[i].Key = asked[i]
			}
			if rapid.Bool().Draw(t, "number") {
				r.ConfigurationKey[i].Value = ocpp.Some("30")
			}
		}
	case *v21.GetVariablesResponse:
		asked := req.(*v21.GetVariablesRequest).GetVariableData
		for i := range r.GetVariableResult[:min(len(asked), len(r.GetVariableResult))] {
			r.GetVariableResult[i].Component, r.GetVariableResult[i].Variable = asked[i].Component, asked[i].Variable
			r.GetVariableResult[i].AttributeStatus = v21.GetVariableStatusAccepted
		}
	case *v16.DataTransferResponse:
		if m, ok := req.(*v16.DataTransferRequest); ok && m.VendorID == pncVendor {
			inner := v21.NewResponse(m.MessageID.V)
			ocpptest.Draw(t, inner)
			r.Status, r.Data = v16.DataTransferStatusAccepted, ocpp.Some(string(ocpp.Marshal(inner)))
		}
	}
}

// mustRefuse checks that an error is a refusal that says why.
func mustRefuse(t *rapid.T, err error) {
	r, ok := err.(*Refusal)
	if !ok || r.Reason == "" {
		t.Fatalf("not a refusal with a reason: %#v", err)
	}
}
