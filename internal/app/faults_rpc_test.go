package app_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lumela/internal/app/apptest"
)

func call(id, action, payload string) string {
	return `[2,"` + id + `","` + action + `",` + payload + `]`
}

// stamp is a time of n seconds ago as stations write it.
func stamp(ago int) string {
	return time.Now().Add(-time.Duration(ago) * time.Second).UTC().Format("2006-01-02T15:04:05Z")
}

// begun is the message that begins a charge: the same bytes each time for the same time.
func (f *fault) begun(id, at, extra string) string {
	if f.is16() {
		return call(id, "StartTransaction", `{"connectorId":1,"idTag":"TAG","meterStart":100,"timestamp":"`+at+`"`+extra+`}`)
	}
	return call(id, "TransactionEvent", `{"eventType":"Started","timestamp":"`+at+`","triggerReason":"Authorized","seqNo":0,`+
		`"transactionInfo":{"transactionId":"tx-1"},"evse":{"id":1,"connectorId":1},"idToken":{"idToken":"TAG","type":"ISO14443"}`+extra+`}`)
}

// sessions counts the sessions of a station, and gives the first.
func sessions(t *testing.T, n *apptest.Node, id string) (count int, first sessionView) {
	t.Helper()
	var list struct{ Items []sessionView }
	n.Get(t, "/sessions?station="+id, &list)
	if len(list.Items) > 0 {
		first = list.Items[0]
	}
	return len(list.Items), first
}

type sessionView struct {
	ID, Station, TransactionID, State, Token, StoppedReason, ChargingState string
	EVSE, Connector                                                        int
	EnergyWh, PowerW                                                       int64
	MeterStartWh, MeterStopWh                                              *int64
	StartedAt, EndedAt                                                     string
	Flags                                                                  []struct{ Code, Text string }
}

func (f *fault) unreadable() string { return f.by("FormationViolation", "RpcFrameworkError") }

func faultNotAnArray(t *testing.T, f *fault) {
	s := f.station(t)
	for _, text := range []string{`{}`, `{"a":1}`, `"x"`, `17`, `null`, `not JSON`, ``} {
		s.Ask(text, callError("-1", f.unreadable()))
	}
	s.Quiet()
}

func faultShortArrays(t *testing.T, f *fault) {
	s := f.station(t)
	for text, id := range map[string]string{`[]`: "-1", `[2]`: "-1", `[2,"a"]`: "a", `[2,"b","Heartbeat"]`: "b", `["2","c","Heartbeat",{}]`: "-1"} {
		s.Ask(text, callError(id, f.unreadable()))
	}
	for _, text := range []string{`[3]`, `[3,"a"]`, `[4]`} { // an answer is never answered
		s.Send(text)
	}
	s.Quiet()
}

func faultUnknownType(t *testing.T, f *fault) {
	s := f.station(t)
	for i, text := range []string{`[9,"a0",{}]`, `[0,"a1",{}]`, `[7,"a2","Heartbeat",{}]`, `[-1,"a3"]`} {
		s.Send(text)
		if f.version == "2.0.1" {
			s.Expect(callError(fmt.Sprintf("a%d", i), "MessageTypeNotSupported"))
		}
	}
	s.Quiet()
}

func faultSend(t *testing.T, f *fault) {
	s := f.station(t)
	const good = `{"id":1,"pending":0,"basetime":"2026-01-01T00:00:00Z","data":[{"t":0.5,"v":"16.2"}]}`
	s.Send(`[6,"a","NotifyPeriodicEventStream",` + good + `]`)
	if f.version == "2.0.1" {
		s.Expect(callError("a", "MessageTypeNotSupported"))
	}
	s.Quiet()
	s.Send(`[6,"b","NotifyPeriodicEventStream",{"id":"x"}]`)
	s.Send(`[6,"c","Nonsense",{}]`)
	s.Send(`[6,"d"]`)
	if f.version == "2.0.1" {
		for _, id := range []string{"b", "c", "d"} {
			s.Expect(callError(id, "MessageTypeNotSupported"))
		}
	}
	s.Quiet()
	if f.version != "2.1" {
		return
	}
	var list struct{ Items []struct{ Action string } }
	f.open().Get(t, "/stations/"+s.ID+"/notices?action=NotifyPeriodicEventStream", &list)
	if len(list.Items) != 1 {
		t.Errorf("%d streams of events were processed, want 1", len(list.Items))
	}
}

func faultLongID(t *testing.T, f *fault) {
	long := strings.Repeat("i", 37)
	s := f.station(t)
	if f.strict {
		s.Ask(call(long, "Heartbeat", `{}`), callError(long[:36], f.unreadable()))
		s.Quiet()
		return
	}
	s.Ask(call(long, "Heartbeat", `{}`), `[3,"`+long+`",{"currentTime":"<time>"}]`)
	if n := notes(t, f.open(), s.ID, long); !strings.Contains(n, "36 characters") {
		t.Errorf("no warning: %q", n)
	}
	s.Ask(call(strings.Repeat("€", 36), "Heartbeat", `{}`), `[3,"`+strings.Repeat("€", 36)+`",{"currentTime":"<time>"}]`)
}

func faultNoID(t *testing.T, f *fault) {
	s := f.station(t)
	for _, id := range []string{`7`, `null`, `""`, `{}`, `true`} {
		s.Ask(`[2,`+id+`,"Heartbeat",{}]`, callError("-1", f.unreadable()))
	}
	s.Quiet()
}

func faultRepeated(t *testing.T, f *fault) {
	s := f.station(t)
	text := f.begun("same", stamp(10), "")
	s.SendFrames(apptest.Frame{Opcode: apptest.Text, Payload: []byte(text)}, apptest.Frame{Opcode: apptest.Text, Payload: []byte(text)})
	first, second := s.Next(), s.Next()
	if first != second || !strings.HasPrefix(first, `[3,"same",`) {
		t.Errorf("two answers:\n%s\n%s", first, second)
	}
	if count, _ := sessions(t, f.open(), s.ID); count != 1 {
		t.Errorf("%d sessions", count)
	}
}

func faultSameIDOtherBody(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(call("1000000", "Authorize", f.by(`{"idTag":"OTHER"}`, `{"idToken":{"idToken":"OTHER","type":"Central"}}`)), `[3,"1000000","<any>"]`)
	s.Ask(f.begun("1000000", stamp(10), ""), `[3,"1000000","<any>"]`)
	if count, _ := sessions(t, f.open(), s.ID); count != 1 {
		t.Errorf("%d sessions", count)
	}
	if n := notes(t, f.open(), s.ID, "TAG"); !strings.Contains(n, "used again") {
		t.Errorf("no warning: %q", n)
	}
}

func faultUnsupported(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(call("a", f.by("RemoteStartTransaction", "RequestStartTransaction"), f.by(`{"idTag":"T"}`, `{"idToken":{"idToken":"T","type":"Central"},"remoteStartId":1}`)),
		callError("a", "NotSupported"))
	if !f.is16() { // an action of stations that would need a service that the platform does not have
		s.Ask(call("b", "Get15118EVCertificate", `{"iso15118SchemaVersion":"urn:iso:15118:2:2013:MsgDef","action":"Install","exiRequest":"AAAA"}`), callError("b", "NotSupported"))
	}
	s.Quiet()
}

func faultWrongCase(t *testing.T, f *fault) {
	s := f.station(t)
	for _, action := range []string{"bootnotification", "HEARTBEAT", "heartbeat", "", "Nonsense", " Heartbeat"} {
		s.Ask(call("a"+action, action, `{}`), callError("a"+action, "NotImplemented"))
	}
}

func faultOtherVersionsAction(t *testing.T, f *fault) {
	s := f.station(t)
	if f.is16() {
		s.Ask(call("a", "TransactionEvent", `{}`), callError("a", "NotImplemented"))
		return
	}
	s.Ask(call("a", "StartTransaction", `{}`), callError("a", "NotImplemented"))
	s.Ask(call("b", "StopTransaction", `{}`), callError("b", "NotImplemented"))
}

func faultUnknownAnswer(t *testing.T, f *fault) {
	s := f.station(t)
	s.Send(`[3,"nobody-asked",{"status":"Accepted"}]`)
	s.Send(`[4,"nobody-asked","InternalError","",{}]`)
	s.Quiet()
	if n := notes(t, f.open(), s.ID, `[3,"nobody-asked"`); !strings.Contains(n, "unknown message id") {
		t.Errorf("not noted: %q", n)
	}
}

// resetting begins a Reset by the API and gives the id of the call that reaches the station.
func resetting(t *testing.T, f *fault, s *apptest.Station) (*apptest.Pending, string) {
	t.Helper()
	p := f.open().Begin("POST", "/stations/"+s.ID+"/commands/Reset", `{"type":"Immediate"}`)
	return p, s.Expect(`[2,"<id:call>","Reset",{"type":"` + f.by("Hard", "Immediate") + `"}]`)["call"]
}

func faultInvalidAnswer(t *testing.T, f *fault) {
	s := f.station(t)
	for _, payload := range []string{`{"status":"Perhaps"}`, `{}`, `[]`, `{"status":7}`} {
		p, id := resetting(t, f, s)
		s.Send(`[3,"` + id + `",` + payload + `]`)
		if r := p.Wait(t); r.Status != 502 {
			t.Errorf("%s: the command ended with %d %s", payload, r.Status, r.Body)
		}
		if f.version == "2.1" {
			s.Expect(`[5,"` + id + `","<text>","<any>",{}]`)
		}
		s.Quiet()
	}
}

func faultOddCallError(t *testing.T, f *fault) {
	s := f.station(t)
	for _, rest := range []string{`"VendorTrouble","it hurts",{}`, `"InternalError","short"`, `"NotSupported"`, `"GenericError","x",{"a":[1]}`} {
		p, id := resetting(t, f, s)
		s.Send(`[4,"` + id + `",` + rest + `]`)
		r := p.Wait(t)
		if r.Status != 502 || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: the command ended with %d %s", rest, r.Status, r.Body)
		}
		if strings.Contains(rest, "Vendor") && (!strings.Contains(r.Body, "GenericError") || !strings.Contains(r.Body, "VendorTrouble")) {
			t.Errorf("%s: %s", rest, r.Body)
		}
	}
	s.Quiet()
}

func faultPayloadShape(t *testing.T, f *fault) {
	s := f.station(t)
	for i, payload := range []string{`[]`, `"x"`, `17`} {
		id := fmt.Sprint("a", i)
		s.Ask(call(id, "Heartbeat", payload), callError(id, f.by("FormationViolation", "FormatViolation")))
	}
	s.Ask(`[2,"b","Heartbeat",{]`, callError("b", f.by("FormationViolation", "FormatViolation")))
	s.Quiet()
}

func faultDuplicateKeys(t *testing.T, f *fault) {
	payload := f.by(`{"idTag":"FIRST","idTag":"LAST"}`, `{"idToken":{"idToken":"FIRST","type":"Central","idToken":"LAST"}}`)
	s := f.station(t)
	if f.strict {
		s.Ask(call("a", "Authorize", payload), callError("a", f.by("FormationViolation", "FormatViolation")))
		return
	}
	f.open().Want(t, 201, "POST", "/tokens", `{"uid":"last"}`, "Idempotency-Key: duplicate-keys")
	s.Ask(call("a", "Authorize", payload), `[3,"a",{"`+f.by("idTagInfo", "idTokenInfo")+`":{"status":"Accepted"}}]`)
	if n := notes(t, f.open(), s.ID, "FIRST"); n == "" {
		t.Error("not logged")
	}
}

func faultCrossing(t *testing.T, f *fault) {
	s := f.station(t)
	p, id := resetting(t, f, s)
	s.Quiet() // our call is open, and the node answers
	s.Ask(f.begun("x", stamp(5), ""), `[3,"x","<any>"]`)
	s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	if r := p.Wait(t); r.Status != 200 || !strings.Contains(r.Body, "Accepted") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func faultPipelined(t *testing.T, f *fault) {
	s := f.station(t)
	var all []apptest.Frame
	for i := range 50 {
		text := call(fmt.Sprint("p", i), "Heartbeat", `{}`)
		if i%5 == 0 {
			text = f.status(fmt.Sprint("p", i), 1)
		}
		all = append(all, apptest.Frame{Opcode: apptest.Text, Payload: []byte(text)})
	}
	s.SendFrames(all...)
	for i := range 50 {
		s.Expect(`[3,"p` + fmt.Sprint(i) + `","<any>"]`)
	}
	s.Quiet()
}

// status is a StatusNotification of an available connector.
func (f *fault) status(id string, connector int) string {
	if f.is16() {
		return call(id, "StatusNotification", fmt.Sprintf(`{"connectorId":%d,"errorCode":"NoError","status":"Available","timestamp":"%s"}`, connector, stamp(0)))
	}
	return call(id, "StatusNotification", fmt.Sprintf(`{"timestamp":"%s","connectorStatus":"Available","evseId":%d,"connectorId":1}`, stamp(0), connector))
}

// faultSigned: OCPP 2.1 Part 4 7.2.
func faultSigned(t *testing.T, f *fault) {
	s := f.dial(t, apptest.Dial{})
	inner := `{"reason":"PowerUp","chargingStation":{"vendorName":"Signed","model":"M"}}`
	jws := `{"payload":"` + base64.RawURLEncoding.EncodeToString([]byte(inner)) + `","signatures":[{"protected":"eyJhbGciOiJFUzI1NiJ9","signature":"AAAA"}]}`
	if f.is16() {
		s.Boot("1.6").Ask(call("a", "BootNotification-Signed", jws), callError("a", "NotImplemented"))
		return
	}
	s.Ask(call("a", "BootNotification-Signed", jws), `[3,"a",{"status":"Accepted","currentTime":"<time>","interval":300}]`)
	var st struct{ Vendor string }
	if f.open().Get(t, "/stations/"+s.ID, &st); st.Vendor != "Signed" {
		t.Errorf("vendor %q", st.Vendor)
	}
	if n := notes(t, f.open(), s.ID, "BootNotification-Signed"); !strings.Contains(n, "not verified") {
		t.Errorf("the log does not say that the signature was not looked at: %q", n)
	}
	s.Ask(call("b", "Heartbeat-Signed", `{"payload":"%%%"}`), callError("b", "FormatViolation"))
}

// errorCodes are the tables of the versions: OCPP-J 1.6 4.2.3, OCPP 2.0.1 Part 4 4.3.
var errorCodes = map[string][]string{
	"1.6": {"NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "FormationViolation", "PropertyConstraintViolation",
		"OccurenceConstraintViolation", "TypeConstraintViolation", "GenericError"},
	"2": {"FormatViolation", "GenericError", "InternalError", "MessageTypeNotSupported", "NotImplemented", "NotSupported", "OccurrenceConstraintViolation",
		"PropertyConstraintViolation", "ProtocolError", "RpcFrameworkError", "SecurityError", "TypeConstraintViolation"},
}

func faultErrorsOfOurs(t *testing.T, f *fault) {
	s := f.station(t)
	table := errorCodes[f.by("1.6", "2")]
	huge := strings.Repeat("é", 3000)
	for _, text := range []string{`{}`, `[2]`, call("a", huge, `{}`), call("b", "Heartbeat", `[]`), call("c", "Authorize", `{}`),
		call("d", "Authorize", `{"`+huge+`":1}`), call("e", "StatusNotification", `{"connectorId":"`+huge+`"}`), call("f", "Authorize", f.by(`{"idTag":7}`, `{"idToken":7}`)),
		call("g", "BootNotification", `{"reason":"`+huge+`","chargingStation":{}}`), call("h", "Reset", `{}`), `[2,"i","Heartbeat"`} {
		s.Send(text)
		var frame []any
		found := s.Next()
		if _, err := apptest.Match(`[4,"<text>","<text>","<any>",{}]`, found); err != nil {
			t.Errorf("%.60s: %v\n%s", text, err, found)
			continue
		}
		apptest.Response{Body: found}.Into(t, &frame)
		if !strings.Contains(" "+strings.Join(table, " ")+" ", " "+frame[2].(string)+" ") {
			t.Errorf("%.60s: %s is not in the table of the version", text, frame[2])
		}
		if n := utf8.RuneCountInString(frame[3].(string)); n > 255 {
			t.Errorf("%.60s: a description of %d characters", text, n)
		}
	}
}
