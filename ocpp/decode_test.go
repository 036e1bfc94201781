package ocpp_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

const status16 = `{"connectorId":1,"errorCode":"NoError","status":"Available"%s}`

// What a lenient reader tolerates is recorded, and what was read is usable; a strict reader refuses it.
func TestLenientTolerates(t *testing.T) {
	t.Parallel()
	full := func(more string) string { return fmt.Sprintf(status16, more) }
	for _, c := range []struct {
		name, text, path string
		want             v16.StatusNotificationRequest
	}{
		{"null for an optional text", full(`,"info":null`), "info", v16.StatusNotificationRequest{}},
		{"null for an optional time", full(`,"timestamp":null`), "timestamp", v16.StatusNotificationRequest{}},
		{"unknown property", full(`,"x":{"y":[1,2,{}]},"info":"i"`), "x", v16.StatusNotificationRequest{Info: ocpp.Some("i")}},
		{"duplicate key, the last wins", full(`,"info":"a","info":"b"`), "info", v16.StatusNotificationRequest{Info: ocpp.Some("b")}},
		{"time without zone", full(`,"timestamp":"2025-01-02T03:04:05"`), "timestamp",
			v16.StatusNotificationRequest{Timestamp: ocpp.Some(time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC))}},
		{"time with a space", full(`,"timestamp":"2025-01-02 03:04:05+01:00"`), "timestamp",
			v16.StatusNotificationRequest{Timestamp: ocpp.Some(time.Date(2025, 1, 2, 2, 4, 5, 0, time.UTC))}},
		{"time with a comma", full(`,"timestamp":"2025-01-02T03:04:05,25Z"`), "timestamp",
			v16.StatusNotificationRequest{Timestamp: ocpp.Some(time.Date(2025, 1, 2, 3, 4, 5, 250e6, time.UTC))}},
		{"zone without a colon", full(`,"timestamp":"2025-01-02T03:04:05-0130"`), "timestamp",
			v16.StatusNotificationRequest{Timestamp: ocpp.Some(time.Date(2025, 1, 2, 4, 34, 5, 0, time.UTC))}},
		{"a clock that is not set", full(`,"timestamp":"0001-01-01T00:00:00Z"`), "timestamp",
			v16.StatusNotificationRequest{Timestamp: ocpp.Some(time.Time{})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var m v16.StatusNotificationRequest
			vs := ocpp.Decode(c.text, &m, false)
			if len(vs) != 1 || !vs[0].Tolerated || vs[0].Path != c.path {
				t.Errorf("lenient: want one tolerated violation at %s, got %+v", c.path, vs)
			}
			if _, bad := vs.First(); bad {
				t.Errorf("lenient: First finds a violation that counts")
			}
			c.want.ConnectorID, c.want.ErrorCode, c.want.Status = 1, v16.ChargePointErrorCodeNoError, v16.ChargePointStatusAvailable
			if diff := cmp.Diff(c.want, m); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			strict := ocpp.Decode(c.text, new(v16.StatusNotificationRequest), true)
			if v, bad := strict.First(); !bad || v.Path != c.path {
				t.Errorf("strict: %+v", strict)
			}
		})
	}
}

// What even a lenient reader refuses, with its code and exact path.
func TestViolations(t *testing.T) {
	t.Parallel()
	const sample = `{"connectorId":1,"meterValue":[{"timestamp":"2025-01-01T00:00:00Z","sampledValue":[{"value":"1"},{"value":"1"},%s]}]}`
	meter := func() ocpp.Message { return new(v16.MeterValuesRequest) }
	for _, c := range []struct {
		name, text string
		fresh      func() ocpp.Message
		code       ocpp.Code
		path       string
	}{
		{"deep enum", fmt.Sprintf(sample, `{"value":"1","unit":"lightyear"}`), meter, ocpp.PropertyConstraintViolation, "meterValue[0].sampledValue[2].unit"},
		{"deep type", fmt.Sprintf(sample, `{"value":1}`), meter, ocpp.TypeConstraintViolation, "meterValue[0].sampledValue[2].value"},
		{"deep missing", fmt.Sprintf(sample, `{"unit":"Wh"}`), meter, ocpp.OccurrenceConstraintViolation, "meterValue[0].sampledValue[2].value"},
		{"item of wrong type", fmt.Sprintf(sample, `"x"`), meter, ocpp.TypeConstraintViolation, "meterValue[0].sampledValue[2]"},
		{"null for a required field", `{"idTag":null}`, func() ocpp.Message { return new(v16.AuthorizeRequest) }, ocpp.OccurrenceConstraintViolation, "idTag"},
		{"payload is an array", `[]`, meter, ocpp.FormatViolation, ""},
		{"payload is a text", `"x"`, meter, ocpp.FormatViolation, ""},
		{"customData without vendor", `{"customData":{"x":1}}`, func() ocpp.Message { return new(v21.HeartbeatRequest) }, ocpp.OccurrenceConstraintViolation, "customData.vendorId"},
		{"first scalar item", `{"key":[5,"a"]}`, func() ocpp.Message { return new(v16.GetConfigurationRequest) }, ocpp.TypeConstraintViolation, "key[0]"},
		{"later scalar item", `{"key":["a",5,"b"]}`, func() ocpp.Message { return new(v16.GetConfigurationRequest) }, ocpp.TypeConstraintViolation, "key[1]"},
		{"a bad item counts as an item", `{"getVariableData":[5]}`, func() ocpp.Message { return new(v201.GetVariablesRequest) }, ocpp.TypeConstraintViolation, "getVariableData[0]"},
		{"a bad scalar item counts as an item", `{"id":[true]}`, func() ocpp.Message { return new(v201.ClearVariableMonitoringRequest) },
			ocpp.TypeConstraintViolation, "id[0]"},
		{"U+0000", `{"idTag":"\u0000"}`, func() ocpp.Message { return new(v16.AuthorizeRequest) }, ocpp.PropertyConstraintViolation, "idTag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			vs := ocpp.Decode(c.text, c.fresh(), false)
			if len(vs) != 1 || vs[0].Tolerated || vs[0].Code != c.code || vs[0].Path != c.path {
				t.Fatalf("want one violation of code %d at %q, got %+v", c.code, c.path, vs)
			}
		})
	}
}

// A duplicate object replaces the first one whole.
func TestDuplicateObjectReplaces(t *testing.T) {
	t.Parallel()
	var m v201.AuthorizeRequest
	_ = ocpp.Decode(`{"idToken":{"idToken":"a","type":"Central","additionalInfo":[{"additionalIdToken":"x","type":"y"}]},"idToken":{"idToken":"b","type":"eMAID"}}`, &m, false)
	want := v201.AuthorizeRequest{IDToken: v201.IDToken{IDToken: "b", Type: v201.IDTokenTypeEMAID}}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

// A payload with endless faults keeps few of them, and one that counts is never hidden behind tolerated ones.
func TestViolationsAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteByte('{')
	for i := range 1000 {
		fmt.Fprintf(&b, `"x%d":1,`, i)
	}
	b.WriteString(`"idTag":5}`)
	vs := ocpp.Decode(b.String(), new(v16.AuthorizeRequest), false)
	if len(vs) != ocpp.MaxViolations {
		t.Errorf("%d violations", len(vs))
	}
	if _, bad := vs.First(); !bad {
		t.Error("the wrong type is lost among the unknown properties")
	}
}

// The name of an unknown property is the sender's text: it is cut short and can be stored.
func TestUnknownPropertyNameIsShort(t *testing.T) {
	t.Parallel()
	vs := ocpp.Decode(`{"\u0000`+strings.Repeat("ä", 10000)+`":1}`, new(v16.HeartbeatRequest), true)
	if len(vs) != 1 || len(vs[0].Path) > 200 || strings.Contains(vs[0].Path, "\x00") {
		t.Fatalf("%.300q", vs)
	}
}

func TestDepthLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ open, end string }{{"[", "]"}, {`{"a":`, "}"}} {
		for depth, ok := range map[int]bool{1: true, ocpp.MaxDepth - 1: true, ocpp.MaxDepth: false, 100_000: false} {
			inner := strings.Repeat(c.open, depth-1) + strings.TrimSuffix(c.open, `"a":`) + strings.Repeat(c.end, depth)
			vs := ocpp.Decode(`{"vendorId":"v","data":`+inner+`}`, new(v201.DataTransferRequest), true)
			if (len(vs) == 0) != ok {
				t.Errorf("%d levels of %s under the payload: %v", depth, c.open, vs)
			}
		}
	}
}

// syntaxErrors are broken in every way that JSON knows; encoding/json must agree with each of them.
var syntaxErrors = []string{
	"", " ", "{", "}", "[", "]", "{]", "[}", "{,}", "[,]", "[1,]", `{"a":1,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`,
	"[1 2]", `{"a":1}}`, "[1]]", "1 2", "{} {}", "nul", "nulll", "True", "tru", "fals", "falsey", "NaN", "Infinity", "undefined",
	"01", "-", "-01", "+1", "1.", ".5", "1e", "1e+", "1.e3", "0x10", "1_000", "--1", "1-", "00", "-0.", "1E-",
	`"`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u"`, `"\U0041"`, `"\u+123"`, "\"a\nb\"", "\"\x00\"", "\"\t\"", `'a'`, "\x00", "{}\x00",
	"/* */{}", "{}//", "\ufeff{}", "\u00a0{}", "[1,,2]", `{"a":1,,"b":2}`, `{"a":[1}`, `{"a":{"b":1]`, "{\v}", "[\f]", `{1:2}`, `{null:1}`,
}

var goodSyntax = []string{
	"{}", " { } ", "[]", "\t[\n]\r", "0", "-0", "-0.0", "1e5", "1E+05", "0e0", "1.5e-7", "true", "false", "null", `""`, `"\u0041\n\/"`,
	`{"":""}`, `{"a":{"a":{"a":[[],{}]}}}`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx"`, `"\ud83d\n"`, "\"\x7f\"", "\"\u2028\"",
	"123456789012345678901234567890", "1e999", "\"\xff\"", "\"\xed\xa0\x80\"",
}

// skip passes over one value as the decoder does with any it does not know. Up to MaxDepth its verdict is that of
// encoding/json; U+0000 is refused in fields only.
func skip(text string) ocpp.Violations {
	d := ocpp.NewDecoder(text, true)
	d.Skip()
	d.End()
	return d.Violations()
}

func TestSyntaxAsEncodingJSON(t *testing.T) {
	t.Parallel()
	for want, texts := range map[bool][]string{false: syntaxErrors, true: goodSyntax} {
		for _, text := range texts {
			if got := json.Valid([]byte(text)); got != want {
				t.Errorf("the table is wrong on %q", text)
			}
			vs := skip(text)
			if (len(vs) == 0) != want {
				t.Errorf("%q: %v", text, vs)
			}
			if !want && (vs[0].Code != ocpp.FormatViolation || !strings.HasPrefix(vs[0].Reason, "not JSON") || vs[0].Tolerated) {
				t.Errorf("%q: %+v", text, vs)
			}
			// Inside of a message the fault is the same, wherever it stands.
			inside := `{"vendorId":"v","data":` + text + `}`
			if vs := ocpp.Decode(inside, new(v21.DataTransferRequest), true); json.Valid([]byte(inside)) != (len(vs) == 0) {
				t.Errorf("%q: %v", inside, vs)
			}
		}
	}
}

// Random texts made of the tokens of JSON, some of them valid: the verdict is that of encoding/json.
func TestRandomSyntaxAsEncodingJSON(t *testing.T) {
	t.Parallel()
	tokens := rapid.SampledFrom([]string{"{", "}", "[", "]", ",", ":", `"a"`, `"`, `\`, "1", "-", ".5", "e", "0", "true", "null", " ", "\n", `"\u00`, "41\"", "\x01", "ä", "\xff", `"k":`})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(tokens, 0, 12).Draw(t, "tokens"), "")
		if vs := skip(text); json.Valid([]byte(text)) != (len(vs) == 0) {
			t.Fatalf("%q: %v", text, vs)
		}
	})
}

// One byte of a valid message is changed, removed or added: the verdict on the syntax is that of encoding/json.
func TestDamagedMessageSyntax(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(ocpp.Versions).Draw(t, "version")
		m := ocpptest.DrawRequest(t, v, ocpp.Station|ocpp.CSMS)
		b := ocpp.Marshal(m)
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		with := rapid.SampledFrom([]string{"", ",", "\"", "{", "}", "]", ":", "0", "\\", "\x00", " ", "e"}).Draw(t, "with")
		text := string(b[:at]) + with + string(b[at+rapid.IntRange(0, 1).Draw(t, "removed"):])
		vs := ocpp.Decode(text, ocpptest.NewRequest(v, m.ActionName()), true)
		broken := false
		for _, v := range vs {
			broken = broken || strings.HasPrefix(v.Reason, "not JSON")
		}
		if len(vs) < ocpp.MaxViolations && broken == json.Valid([]byte(text)) {
			t.Fatalf("%s\n%v", text, vs)
		}
	})
}

// Strings read as encoding/json reads them: escapes, surrogate pairs and lone surrogates.
func TestEscapesAsEncodingJSON(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{"a", "ä", "😀", `\n`, `\"`, `\\`, `\/`, `\b`, `\f`, `\r`, `\t`, `\u0041`, `\u00e4`, `\uD83D`, `\ude00`, `\ud83d\ude00`, `\uFFFF`, `\u20ac`, "\u2028", "01234567"})
	rapid.Check(t, func(t *rapid.T) {
		text := `"` + strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), "") + `"`
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		d := ocpp.NewDecoder(text, true)
		got, ok := d.String("x", 0)
		d.End()
		if !ok || got != want || d.Err() != nil {
			t.Fatalf("%s: got %q, want %q, %v", text, got, want, d.Err())
		}
		var back string
		if err := json.Unmarshal(ocpp.AppendString(nil, got), &back); err != nil || back != got {
			t.Fatalf("%q is written as %s: %v", got, ocpp.AppendString(nil, got), err)
		}
	})
}

// Bytes that are not UTF-8 become U+FFFD on the way in and on the way out.
func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	var m v16.AuthorizeRequest
	if vs := ocpp.Decode("{\"idTag\":\"a\xffb\"}", &m, true); len(vs) > 0 || m.IDTag != "a\ufffdb" {
		t.Errorf("read %q, %v", m.IDTag, vs)
	}
	m.IDTag = "a\xc3\"\xffb"
	if got, want := string(ocpp.Marshal(&m)), "{\"idTag\":\"a\ufffd\\\"\ufffdb\"}"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// Decimals keep every digit that they came with.
func TestDecimalsAreExact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "0.10": "0.10", "-12.5": "-12.5", "1e3": "1000", "1.5E-3": "0.0015", "9999999999999999999": "9999999999999999999",
		"0.1234567890123456789": "0.1234567890123456789", "12345678901234567": "12345678901234567", "123456789012345678": "123456789012345678",
		"-999999999999999999": "-999999999999999999", "0.12345678901234567895": "0.1234567890123456790", "100e-2": "1.00",
	} {
		d := ocpp.NewDecoder(text, true)
		v, ok := d.Decimal("x")
		if !ok || v.String() != want || d.Err() != nil {
			t.Errorf("%s: got %s, want %s, %v", text, v, want, d.Err())
		}
	}
	for _, text := range []string{"10000000000000000000", "1e19", "-1e300", "1e999999999"} {
		d := ocpp.NewDecoder(text, false)
		if _, ok := d.Decimal("x"); ok || d.Err() == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestIntegers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"0": 0, "-0": 0, "9223372036854775807": ocpp.MaxInt, "-9223372036854775808": ocpp.MinInt, "1.0": 1, "25e1": 250, "-120E-1": -12} {
		d := ocpp.NewDecoder(text, true)
		if n, ok := d.Int("x"); !ok || n != want || d.Err() != nil {
			t.Errorf("%s: got %d, %v", text, n, d.Err())
		}
	}
	for text, code := range map[string]ocpp.Code{
		"9223372036854775808": ocpp.PropertyConstraintViolation, "1e19": ocpp.PropertyConstraintViolation, "1e400": ocpp.PropertyConstraintViolation,
		"0.5": ocpp.TypeConstraintViolation, `"1"`: ocpp.TypeConstraintViolation, "1e-1": ocpp.TypeConstraintViolation,
	} {
		d := ocpp.NewDecoder(text, true)
		if _, ok := d.Int("x"); ok || len(d.Violations()) != 1 || d.Violations()[0].Code != code {
			t.Errorf("%s: %+v", text, d.Violations())
		}
	}
}

// A time that a message forgot is found by Validate and never sent as the year 1.
func TestForgottenTimeIsFound(t *testing.T) {
	t.Parallel()
	err := (&v16.HeartbeatResponse{}).Validate()
	if err == nil || !strings.Contains(err.Error(), "currentTime") {
		t.Fatalf("%v", err)
	}
	if got := string(ocpp.Marshal(&v16.HeartbeatResponse{})); got != `{"currentTime":null}` {
		t.Fatalf("%s", got)
	}
}

// Every time that RFC 3339 can write reads as package time reads it.
func TestTimesAsPackageTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := ocpptest.DrawTimeText(t)
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		got, zoned, err := ocpp.ParseTime(text)
		if err != nil || !zoned || !got.Equal(want) || got.Location() != time.UTC {
			t.Fatalf("%s: got %s, want %s, %v", text, got, want, err)
		}
	})
}

// The committed packages are what the generator makes of the schemas.
func TestGeneratedIsClean(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join("..", "..", "shared", "ocpp-schemas", "index.json")); err != nil {
		t.Skip("the official schemas are not next to the repository, nothing to generate from")
	}
	cmd := exec.Command("go", "run", "./internal/tool/ocppgen", "-check")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
