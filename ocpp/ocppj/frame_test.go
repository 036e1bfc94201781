package ocppj_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
)

func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 37)
	for _, c := range []struct {
		text    string
		version ocpp.Version
		strict  bool
		want    ocppj.Frame
	}{
		{text: `[2,"a","Heartbeat",{}]`, version: ocpp.V16, want: ocppj.Frame{Type: ocppj.Call, ID: "a", Action: "Heartbeat", Payload: `{}`}},
		{text: " [ 2 , \"a\" , \"Heartbeat\" , { } ] \n", version: ocpp.V21, want: ocppj.Frame{Type: ocppj.Call, ID: "a", Action: "Heartbeat", Payload: `{ } `}},
		{text: `[3,"a",{"x":"]"}]`, version: ocpp.V201, want: ocppj.Frame{Type: ocppj.CallResult, ID: "a", Payload: `{"x":"]"}`}},
		{text: `[4,"a","InternalError","text",{"k":1}]`, version: ocpp.V16,
			want: ocppj.Frame{Type: ocppj.CallError, ID: "a", Error: &ocpp.CallError{Code: ocpp.InternalError, Description: "text", Details: `{"k":1}`}}},
		{text: `[4,"a"]`, version: ocpp.V16, want: ocppj.Frame{Type: ocppj.CallError, ID: "a", Error: &ocpp.CallError{}}},
		{text: `[5,"a","FormatViolation","",{}]`, version: ocpp.V21,
			want: ocppj.Frame{Type: ocppj.CallResultError, ID: "a", Error: &ocpp.CallError{Code: ocpp.FormatViolation, Details: `{}`}}},
		{text: `[6,"a","X",{}]`, version: ocpp.V21, want: ocppj.Frame{Type: ocppj.Send, ID: "a", Action: "X", Payload: `{}`}},
		{text: `[2,"` + long + `","X",{}]`, version: ocpp.V21,
			want: ocppj.Frame{Type: ocppj.Call, ID: long, Action: "X", Payload: `{}`, Warning: "message id of more than 36 characters"}},
	} {
		got, err := ocppj.Parse(c.text, c.version, c.strict)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.text, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 37)
	for _, c := range []struct {
		text               string
		version            ocpp.Version
		strict             bool
		id                 string
		code               ocpp.Code
		ignore, answerable bool
	}{
		{text: ``, version: ocpp.V16, id: "-1", code: ocpp.FormatViolation, answerable: true},
		{text: `{}`, version: ocpp.V21, id: "-1", code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[`, version: ocpp.V21, id: "-1", code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[]`, version: ocpp.V201, id: "-1", code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[2]`, version: ocpp.V201, id: "-1", code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[2,""]`, version: ocpp.V201, id: "-1", code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[2,"a"]`, version: ocpp.V201, id: "a", code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[2,"a",7,{}]`, version: ocpp.V16, id: "a", code: ocpp.FormatViolation, answerable: true},
		{text: `[2,"` + long + `","X",{}]`, version: ocpp.V21, strict: true, id: long[:36], code: ocpp.RPCFrameworkError, answerable: true},
		{text: `[3,7,{}]`, version: ocpp.V21, id: "-1", code: ocpp.RPCFrameworkError},
		{text: `[3,"a"]`, version: ocpp.V21, id: "a", code: ocpp.RPCFrameworkError},
		{text: `[6,"a"]`, version: ocpp.V21, id: "a", code: ocpp.RPCFrameworkError},
		{text: `[6,"a","X",{}]`, version: ocpp.V16, id: "a", code: ocpp.MessageTypeNotSupported, ignore: true},
		{text: `[6,"a","X",{}]`, version: ocpp.V201, id: "a", code: ocpp.MessageTypeNotSupported, answerable: true},
		{text: `[9,"a"]`, version: ocpp.V21, id: "a", code: ocpp.MessageTypeNotSupported, ignore: true},
		{text: `[9]`, version: ocpp.V201, id: "-1", code: ocpp.MessageTypeNotSupported, answerable: true},
	} {
		_, err := ocppj.Parse(c.text, c.version, c.strict)
		if err == nil {
			t.Errorf("%s: parsed", c.text)
			continue
		}
		if err.ID != c.id || err.Err.Code != c.code || err.Ignore != c.ignore || err.Answerable != c.answerable {
			t.Errorf("%s in %s: %+v", c.text, c.version, *err)
		}
	}
}

// codeTexts are the tables of OCPP-J 1.6 4.2.3 and OCPP 2.0.1 Part 4 4.3.
func TestCodeText(t *testing.T) {
	t.Parallel()
	for code := ocpp.GenericError; code <= ocpp.TypeConstraintViolation; code++ {
		for _, v := range ocpp.Versions {
			text := ocppj.CodeText(v, code)
			back, known := ocppj.ParseCode(text)
			if !known || back != code && v != ocpp.V16 {
				t.Errorf("%s in %s is %q, which reads as %s", code, v, text, back)
			}
		}
	}
	for code, want := range map[ocpp.Code]string{ocpp.FormatViolation: "FormationViolation", ocpp.OccurrenceConstraintViolation: "OccurenceConstraintViolation",
		ocpp.RPCFrameworkError: "FormationViolation", ocpp.MessageTypeNotSupported: "NotSupported"} {
		if got := ocppj.CodeText(ocpp.V16, code); got != want {
			t.Errorf("%s in 1.6 is %q, want %q", code, got, want)
		}
	}
}

// FuzzParse: whatever comes, Parse does not panic, and what it takes is a frame whose parts can be sent again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`[2,"a","Heartbeat",{}]`, `[3,"a",{}]`, `[4,"a","X","y",{}]`, `[5,"a","X","y",{}]`, `[6,"a","X",{}]`, `[9,"a"]`, `[2,"\ud800","é",[]]`,
		`[2,"a","b",{"c":[1,2,{"d":null}]}]]`, `[`, `{}`, ``, "[2,\"0\",\"\x80\",", "[2,\"0\",\"\xff\xff\",{}]", `[2.0,"a","b",{}]`, `[2,"` + strings.Repeat("x", 200) + `","y",{}]`} {
		f.Add(seed, uint8(0), false)
		f.Add(seed, uint8(2), true)
	}
	f.Fuzz(func(t *testing.T, text string, version uint8, strict bool) {
		v := ocpp.Versions[int(version)%len(ocpp.Versions)]
		frame, err := ocppj.Parse(text, v, strict)
		if err != nil {
			if utf8.RuneCountInString(err.ID) > 4*ocppj.MaxID || err.ID == "" {
				t.Fatalf("the id of the error is %q", err.ID)
			}
			if answer := ocppj.AppendError(nil, v, err.ID, &err.Err); !json.Valid(answer) {
				t.Fatalf("the answer is no JSON: %s", answer)
			}
			return
		}
		if frame.ID == "" || frame.Type < ocppj.Call || frame.Type > ocppj.Send {
			t.Fatalf("frame %+v", frame)
		}
		if !json.Valid([]byte(text)) || frame.Type != ocppj.Call && frame.Type != ocppj.Send {
			return
		}
		var parts []json.RawMessage
		if json.Unmarshal([]byte(text), &parts) == nil && len(parts) == 4 && !json.Valid([]byte(frame.Payload)) {
			t.Fatalf("the payload of %s is %q", text, frame.Payload)
		}
	})
}
