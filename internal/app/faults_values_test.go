package app_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"lumela/internal/app/apptest"
)

func faultWrongType(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(call("a", "StatusNotification", f.by(`{"connectorId":"1","errorCode":"NoError","status":"Available"}`,
		`{"timestamp":"2026-01-01T00:00:00Z","connectorStatus":"Available","evseId":1,"connectorId":"1"}`)), callError("a", "TypeConstraintViolation"))
	s.Ask(call("b", "Authorize", f.by(`{"idTag":12}`, `{"idToken":{"idToken":12,"type":"Central"}}`)), callError("b", "TypeConstraintViolation"))
	s.Quiet()
}

func faultUnknownEnum(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(call("a", "StatusNotification", f.by(`{"connectorId":1,"errorCode":"NoError","status":"Asleep"}`,
		`{"timestamp":"2026-01-01T00:00:00Z","connectorStatus":"Asleep","evseId":1,"connectorId":1}`)), callError("a", "PropertyConstraintViolation"))
}

func faultExtraProperty(t *testing.T, f *fault) {
	s := f.station(t)
	if f.strict {
		s.Ask(call("a", "Heartbeat", `{"vendorThing":1}`), callError("a", f.by("FormationViolation", "FormatViolation")))
		if !f.is16() {
			s.Ask(call("b", "Heartbeat", `{"customData":{"vendorId":"com.example","more":1}}`), `[3,"b",{"currentTime":"<time>"}]`)
		}
		return
	}
	s.Ask(call("a", "Heartbeat", `{"vendorThing":{"deep":[1,2]}}`), `[3,"a",{"currentTime":"<time>"}]`)
	if n := notes(t, f.open(), s.ID, "vendorThing"); !strings.Contains(n, "warning") {
		t.Errorf("no warning: %q", n)
	}
}

func faultEmptyArray(t *testing.T, f *fault) {
	s := f.station(t)
	code := f.by("OccurenceConstraintViolation", "OccurrenceConstraintViolation")
	field := f.by("connectorId", "evseId")
	s.Ask(call("a", "MeterValues", `{"`+field+`":1,"meterValue":[]}`), callError("a", code))
	s.Ask(call("b", "MeterValues", `{"`+field+`":1,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[]}]}`), callError("b", code))
}

func faultBadTime(t *testing.T, f *fault) {
	s := f.station(t)
	for i, at := range []string{"222222017-10-27T19:10:11Z", "2026-02-30T00:00:00Z", "yesterday", "", "2026-01-01", "2026-01-01T25:00:00Z"} {
		id := fmt.Sprint("a", i)
		s.Ask(call(id, "StatusNotification", f.by(`{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"`+at+`"}`,
			`{"timestamp":"`+at+`","connectorStatus":"Available","evseId":1,"connectorId":1}`)), callError(id, "PropertyConstraintViolation"))
	}
	s.Ask(f.begun("b", "222222017-10-27T19:10:11Z", ""), callError("b", "PropertyConstraintViolation"))
	if count, _ := sessions(t, f.open(), s.ID); count != 0 {
		t.Errorf("%d sessions were stored", count)
	}
	for _, path := range []string{"/status-history", "/notices", "/variables"} {
		var list struct{ Items []any }
		if f.open().Get(t, "/stations/"+s.ID+path, &list); len(list.Items) != 0 {
			t.Errorf("%s: %v was stored", path, list.Items)
		}
	}
	for _, path := range []string{"/stations", "/stations/" + s.ID, "/sessions", "/overview", "/stations/" + s.ID + "/frames"} {
		f.open().Want(t, 200, "GET", path, "")
	}
}

func faultOffsets(t *testing.T, f *fault) {
	s := f.station(t)
	for i, c := range []struct{ said, kept, warned string }{
		{"2026-01-02T12:00:00+02:00", "2026-01-02T10:00:00Z", ""},
		{"2026-01-02T12:00:00.1234567Z", "2026-01-02T12:00:00.123456Z", ""},
		{"2026-01-02T13:00:00", "2026-01-02T13:00:00Z", "zone"},
		{"2026-01-02T10:30:00.5-05:30", "2026-01-02T16:00:00.5Z", ""},
	} {
		id := fmt.Sprint("a", i)
		text := call(id, "StatusNotification", f.by(fmt.Sprintf(`{"connectorId":%d,"errorCode":"NoError","status":"Available","timestamp":"%s"}`, i+1, c.said),
			fmt.Sprintf(`{"timestamp":"%s","connectorStatus":"Available","evseId":%d,"connectorId":1}`, c.said, i+1)))
		s.Ask(text, `[3,"`+id+`",{}]`)
		var list struct {
			Items []struct {
				EVSE int
				At   time.Time
			}
		}
		f.open().Get(t, "/stations/"+s.ID+"/status-history?limit=1", &list)
		want, err := time.Parse(time.RFC3339Nano, c.kept)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != 1 || !list.Items[0].At.Equal(want) || list.Items[0].At.Location() != time.UTC {
			t.Errorf("%s was kept as %v", c.said, list.Items)
		}
		if n := notes(t, f.open(), s.ID, c.said); !strings.Contains(n, c.warned) {
			t.Errorf("%s: notes %q", c.said, n)
		}
	}
}

func faultCelcius(t *testing.T, f *fault) {
	s := f.station(t)
	for _, unit := range []string{"Celcius", "Celsius"} {
		s.Ask(call(unit, "MeterValues", `{"connectorId":1,"meterValue":[{"timestamp":"`+stamp(0)+`","sampledValue":[{"value":"31","measurand":"Temperature","unit":"`+unit+`"}]}]}`),
			`[3,"`+unit+`",{}]`)
	}
}

func faultNoReason(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(f.begun("a", stamp(60), ""), `[3,"a","<any>"]`)
	_, session := sessions(t, f.open(), s.ID)
	s.Ask(call("b", "StopTransaction", `{"transactionId":`+session.TransactionID+`,"meterStop":1100,"timestamp":"`+stamp(0)+`"}`), `[3,"b","<any>"]`)
	if _, session = sessions(t, f.open(), s.ID); session.State != "ended" || session.StoppedReason != "Local" || session.EnergyWh != 1000 {
		t.Errorf("%+v", session)
	}
}

// hostile are texts that must come through as they are.
var hostile = []string{`<script>alert(1)</script>`, `"quoted" 'twice' \back`, `=cmd()|x`, "CR\r\nLF: x", "\u202ertl\u202c", `';DROP TABLE--`, `{{.}}${x}%s`}

func quoted(text string) string {
	raw, _ := json.Marshal(text) // a string always has a JSON form
	return string(raw)
}

func faultHostileText(t *testing.T, f *fault) {
	n := f.open()
	for i, text := range hostile {
		short := text
		if len([]rune(short)) > 20 {
			short = string([]rune(text)[:20])
		}
		s := f.dial(t, apptest.Dial{})
		s.Ask(call("a", "BootNotification", f.by(`{"chargePointVendor":`+quoted(short)+`,"chargePointModel":"M"}`,
			`{"reason":"PowerUp","chargingStation":{"vendorName":`+quoted(short)+`,"model":"M"}}`)), `[3,"a","<any>"]`)
		var st struct{ Vendor string }
		if n.Get(t, "/stations/"+s.ID, &st); st.Vendor != short {
			t.Errorf("vendor %q became %q", short, st.Vendor)
		}
		s.Ask(strings.Replace(f.begun("b", stamp(5), ""), `"TAG"`, quoted(short), 1), `[3,"b","<any>"]`)
		if _, session := sessions(t, n, s.ID); session.Token != short {
			t.Errorf("token %q became %q", short, session.Token)
		}
		if f.is16() {
			s.Ask(call("c", "StatusNotification", `{"connectorId":1,"errorCode":"OtherError","status":"Faulted","info":`+quoted(text)+`,"timestamp":"`+stamp(0)+`"}`), `[3,"c",{}]`)
			if raw := n.Want(t, 200, "GET", "/stations/"+s.ID, "").Body; !strings.Contains(unquoteAll(raw), text) {
				t.Errorf("info %q is not in %s", text, raw)
			}
		} else {
			s.Ask(call("c", "SecurityEventNotification", `{"type":"X","timestamp":"`+stamp(0)+`","techInfo":`+quoted(text)+`}`), `[3,"c",{}]`)
			if raw := n.Want(t, 200, "GET", "/stations/"+s.ID+"/notices", "").Body; !strings.Contains(unquoteAll(raw), text) {
				t.Errorf("techInfo %q is not in %s", text, raw)
			}
		}
		r := n.Want(t, 200, "GET", "/stations/"+s.ID, "")
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d: a browser could take the answer for a page: %s", i, r.Body)
		}
		n.Want(t, 200, "GET", "/stations?search="+url.QueryEscape(short), "")
		if f.is16() && !strings.ContainsAny(text, "\r\n") { // the book of tokens takes no control characters
			n.Want(t, 201, "POST", "/tokens", `{"uid":`+quoted(fmt.Sprint(i, f.strict, text))+`,"note":`+quoted(text)+`}`)
		}
	}
}

// unquoteAll gives all strings of a JSON text, one after the other.
func unquoteAll(raw string) string {
	var b strings.Builder
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			b.WriteString(v + "\x00")
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	var v any
	if json.Unmarshal([]byte(raw), &v) == nil {
		walk(v)
	}
	return b.String()
}

func faultNumbers(t *testing.T, f *fault) {
	s := f.station(t)
	for i, number := range []string{"1.5", "-1", "9007199254740993", "1e3", "99999999999999999999999", `"7"`, "null", "true"} {
		id := fmt.Sprint("a", i)
		text := strings.Replace(strings.Replace(f.begun(id, stamp(5), ""), `"meterStart":100`, `"meterStart":`+number, 1), `"seqNo":0`, `"seqNo":`+number, 1)
		s.Send(text)
		answer := s.Next()
		if number == "1e3" && strings.HasPrefix(answer, `[3,`) {
			continue // an integer, written in another way
		}
		if !strings.HasPrefix(answer, `[4,"`+id+`","TypeConstraintViolation"`) && !strings.HasPrefix(answer, `[4,"`+id+`","PropertyConstraintViolation"`) &&
			!(number == "null" && strings.Contains(answer, "ConstraintViolation")) {
			t.Errorf("%s: %s", number, answer)
		}
	}
	if count, _ := sessions(t, f.open(), s.ID); count > 1 {
		t.Errorf("%d sessions", count)
	}
}
