package ocpptest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
)

const schemaDir = "../../../shared/ocpp-schemas"

// compile reads one official schema, formats asserted. It skips the test where the schemas are not at hand.
func compile(t *testing.T, v ocpp.Version, typeName string) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(schemaDir, v.String(), typeName+".json"))
	if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(typeName, "Request") {
		// A SEND has one file without a suffix.
		raw, err = os.ReadFile(filepath.Join(schemaDir, v.String(), strings.TrimSuffix(typeName, "Request")+".json"))
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("mem:"+typeName, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:" + typeName)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accepts(t interface{ Fatalf(string, ...any) }, s *jsonschema.Schema, text string) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return s.Validate(doc)
}

// eachMessage runs a subtest for every message of every version, with its schema.
func eachMessage(t *testing.T, test func(t *testing.T, s *jsonschema.Schema, fresh func() ocpp.Message)) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(schemaDir, "index.json")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the official schemas are not next to the repository, nothing to compare with")
	}
	for _, v := range ocpp.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			for _, a := range ocpptest.Actions(v) {
				makers := []func() ocpp.Message{func() ocpp.Message { return ocpptest.NewRequest(v, a.Name) }}
				if !a.Send {
					makers = append(makers, func() ocpp.Message { return ocpptest.NewResponse(v, a.Name) })
				}
				for _, fresh := range makers {
					name := ocpptest.TypeName(fresh())
					t.Run(name, func(t *testing.T) { test(t, compile(t, v, name), fresh) })
				}
			}
		})
	}
}

// Random valid text is accepted by the schema and by the strict decoder; what the encoder writes of it is accepted by
// both too, and reads as the same message.
func TestRandomMessagesAgreeWithSchema(t *testing.T) {
	t.Parallel()
	eachMessage(t, func(t *testing.T, s *jsonschema.Schema, fresh func() ocpp.Message) {
		// Every message has few runs of its own, as there are several hundred of them.
		for seed := range 12 {
			version, name := fresh().Version(), ocpptest.TypeName(fresh())
			text := rapid.Custom(func(t *rapid.T) string { return ocpptest.DrawJSON(t, version, name) }).Example(seed)
			if err := accepts(t, s, text); err != nil {
				t.Fatalf("drawn text against the schema: %v\n%s", err, text)
			}
			m := fresh()
			if vs := ocpp.Decode(text, m, true); len(vs) > 0 {
				t.Fatalf("drawn text against the decoder: %v\n%s", vs, text)
			}
			out := string(ocpp.Marshal(m))
			if err := accepts(t, s, out); err != nil {
				t.Fatalf("encoded text against the schema: %v\n%s", err, out)
			}
			again := fresh()
			if vs := ocpp.Decode(out, again, true); len(vs) > 0 {
				t.Fatalf("encoded text against the decoder: %v\n%s", vs, out)
			}
			if diff := cmp.Diff(m, again); diff != "" {
				t.Fatalf("read, written and read again (-first +second):\n%s", diff)
			}
		}
	})
}

// deviations are the only inputs on which the strict decoder and the schema disagree, on purpose.
var deviations = []struct {
	why     string
	version ocpp.Version
	action  string
	text    string
	schema  bool // what the schema says; the decoder says the opposite
}{
	{"U+0000 can be stored by no database column and is in no field's alphabet", ocpp.V16, "Authorize", `{"idTag":"a\u0000"}`, true},
	{"an integer has 64 bits", ocpp.V16, "RemoteStopTransaction", `{"transactionId":9223372036854775808}`, true},
	{"an integer has 64 bits, in any notation", ocpp.V16, "RemoteStopTransaction", `{"transactionId":1e30}`, true},
	{"a number has 19 digits", ocpp.V201, "CostUpdated", `{"totalCost":12345678901234567890,"transactionId":"t"}`, true},
	{"a number has 19 digits, a fraction beyond them is rounded", ocpp.V16, "SetChargingProfile", tenths("1.00000000000000000000001"), false},
	{"the first instant of the year 1 says that a clock is not set, the zero time stands for it", ocpp.V16, "StatusNotification",
		`{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"0001-01-01T00:00:00Z"}`, true},
	{"a zone may carry a time out of the years that RFC 3339 can write", ocpp.V16, "StatusNotification",
		`{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"9999-12-31T23:59:59-01:00"}`, true},
	{"a URI is kept as the operator typed it: only the station can tell what it is able to reach", ocpp.V16, "GetDiagnostics", `{"location":"not a uri"}`, false},
	{"more than 32 levels are no OCPP message", ocpp.V201, "DataTransfer",
		`{"vendorId":"v","data":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, true},
	{"a repeated member is ambiguous", ocpp.V16, "Authorize", `{"idTag":"a","idTag":"b"}`, true},
}

func tenths(limit string) string {
	return `{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile",` +
		`"chargingProfileKind":"Absolute","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":` + limit + `}]}}}`
}

func TestDeviationsFromSchema(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join(schemaDir, "index.json")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the official schemas are not next to the repository, nothing to compare with")
	}
	for _, c := range deviations {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			m := ocpptest.NewRequest(c.version, c.action)
			schemaErr := accepts(t, compile(t, c.version, c.action+"Request"), c.text)
			vs := ocpp.Decode(c.text, m, true)
			if (schemaErr == nil) != c.schema || (len(vs) == 0) == c.schema {
				t.Fatalf("schema: %v; decoder: %v", schemaErr, vs)
			}
		})
	}
}

// Every constraint of every message, broken one at a time, is seen by the schema and by the decoder, which names the
// code and the exact place.
func TestBrokenMessagesAgreeWithSchema(t *testing.T) {
	t.Parallel()
	seen := map[ocpp.Version]map[string]bool{ocpp.V16: {}, ocpp.V201: {}, ocpp.V21: {}}
	eachMessage(t, func(t *testing.T, s *jsonschema.Schema, fresh func() ocpp.Message) {
		m := fresh()
		b := &breaker{t: t, seen: seen[m.Version()], table: ocpptest.SchemaOf(m.Version()), schema: s, fresh: fresh}
		doc := b.fullObject(ocpptest.TypeName(m), 0)
		b.doc = func() string { return render(doc) }
		b.good("all fields present")
		b.breakObject(ocpptest.TypeName(m), doc, "")
	})
}

// object keeps its members in an order, so that violations come in one.
type object struct {
	names  []string
	values map[string]any
}

type text string    // a JSON string, not yet quoted
type literal string // JSON as it stands

func render(v any) string {
	switch v := v.(type) {
	case *object:
		var parts []string
		for _, name := range v.names {
			if value, ok := v.values[name]; ok {
				parts = append(parts, fmt.Sprintf("%q:%s", name, render(value)))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = render(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	case text:
		return string(ocpp.AppendString(nil, string(v)))
	case literal:
		return string(v)
	}
	panic(fmt.Sprintf("render %T", v))
}

// breaker holds one valid document with all fields, and breaks it in every way, mending it after each.
type breaker struct {
	t      *testing.T
	table  ocpptest.Schema
	schema *jsonschema.Schema
	fresh  func() ocpp.Message
	doc    func() string
	seen   map[string]bool // types whose values were broken in another message already
}

func (b *breaker) good(what string) {
	b.t.Helper()
	src := b.doc()
	if err := accepts(b.t, b.schema, src); err != nil {
		b.t.Fatalf("%s: schema: %v\n%s", what, err, src)
	}
	if vs := ocpp.Decode(src, b.fresh(), true); len(vs) > 0 {
		b.t.Fatalf("%s: decoder: %v\n%s", what, vs, src)
	}
}

func (b *breaker) bad(what string, code ocpp.Code, path string) ocpp.Violation {
	b.t.Helper()
	src := b.doc()
	if accepts(b.t, b.schema, src) == nil {
		b.t.Errorf("%s at %s: the schema accepts it\n%s", what, path, src)
	}
	vs := ocpp.Decode(src, b.fresh(), true)
	if len(vs) != 1 || vs[0].Code != code || vs[0].Path != path || vs[0].Tolerated {
		b.t.Fatalf("%s: want one violation of code %d at %s, got %+v\n%s", what, code, path, vs, src)
	}
	return vs[0]
}

func (b *breaker) fullObject(name string, depth int) *object {
	o := &object{values: map[string]any{}}
	for _, f := range b.table.Types[name] {
		o.names = append(o.names, f.Name)
		if !f.Array {
			o.values[f.Name] = b.plain(f, depth)
			continue
		}
		n := max(f.MinItems, 1)
		if depth == 0 && (f.MaxItems == 0 || f.MaxItems >= 2) {
			n = max(n, 2)
		}
		items := make([]any, n)
		for i := range items {
			items[i] = b.plain(f, depth)
		}
		o.values[f.Name] = items
	}
	return o
}

// plain is one ordinary valid value.
func (b *breaker) plain(f ocpptest.Field, depth int) any {
	switch f.Kind {
	case ocpptest.Object:
		return b.fullObject(f.Ref, depth+1)
	case ocpptest.Enum:
		return text(b.table.Enums[f.Ref][0])
	case ocpptest.Int, ocpptest.Decimal:
		return literal(fmt.Sprint(max(f.Min.Or(ocpp.MinInt), min(5, f.Max.Or(ocpp.MaxInt)))))
	case ocpptest.Bool:
		return literal("true")
	case ocpptest.Time:
		return text("2025-01-31T23:59:59.5+01:00")
	case ocpptest.CustomData:
		return literal(`{"vendorId":"v","more":[1]}`)
	case ocpptest.Raw:
		return literal(`{"a":[null]}`)
	}
	if f.URI {
		return text("https://example.com/x")
	}
	return text("x")
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (b *breaker) breakObject(name string, o *object, path string) {
	o.names = append(o.names, "notOfTheSchema")
	o.values["notOfTheSchema"] = literal("1")
	_ = b.bad("unknown property", ocpp.FormatViolation, join(path, "notOfTheSchema"))
	delete(o.values, "notOfTheSchema")
	// ocppgen makes sure that all schemas of a version define a type alike: of one that was met before, only its
	// place in this message is new.
	again := b.seen[name]
	b.seen[name] = true
	for _, f := range b.table.Types[name] {
		at := join(path, f.Name)
		whole := o.values[f.Name]
		set := func(v any) { o.values[f.Name] = v }
		delete(o.values, f.Name)
		if f.Required {
			_ = b.bad("missing", ocpp.OccurrenceConstraintViolation, at)
		} else {
			b.good("absent " + at)
		}
		if f.Kind != ocpptest.Raw {
			set(literal("null"))
			_ = b.bad("null", ocpp.TypeConstraintViolation, at)
		}
		set(whole)
		if again {
			continue
		}
		if !f.Array {
			b.breakValue(f, whole, set, at)
			set(whole)
			continue
		}
		items := whole.([]any)
		set(text("not an array"))
		_ = b.bad("array of wrong type", ocpp.TypeConstraintViolation, at)
		b.breakLength(f, items, set, at)
		set(whole)
		last := len(items) - 1
		good := items[last]
		b.breakValue(f, good, func(v any) { items[last] = v }, fmt.Sprintf("%s[%d]", at, last))
		items[last] = good
	}
}

func (b *breaker) breakLength(f ocpptest.Field, items []any, set func(any), at string) {
	if f.MinItems > 0 {
		set(items[:f.MinItems-1])
		_ = b.bad("too few items", ocpp.OccurrenceConstraintViolation, at)
	} else {
		set([]any{})
		b.good("no items " + at)
	}
	if f.MaxItems > 0 {
		many := make([]any, f.MaxItems+1)
		for i := range many {
			many[i] = items[0]
		}
		set(many)
		_ = b.bad("too many items", ocpp.OccurrenceConstraintViolation, at)
		set(many[1:])
		b.good("most items " + at)
	}
}

// wrongTypes are values of another type than the kind.
var wrongTypes = map[ocpptest.Kind][]literal{
	ocpptest.String: {"5", "true", `["x"]`, "{}"}, ocpptest.Enum: {"5", "[]"}, ocpptest.Time: {"1735689600", "{}"},
	ocpptest.Int: {`"5"`, "1.5", "5e-1", "true"}, ocpptest.Decimal: {`"5"`, "[5]"}, ocpptest.Bool: {`"true"`, "1", "0"},
	ocpptest.Object: {`"x"`, "[]", "5"}, ocpptest.CustomData: {`"x"`, "[]", "5"},
}

var badTimes = []text{"", "yesterday", "2025-02-30T00:00:00Z", "2025-01-01T00:00:00", "2025-01-01 00:00:00Z", "2025-01-01",
	"2025-13-01T00:00:00Z", "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:00.Z", "2025-01-01T00:00:00+0100",
	"2025-01-01T00:00:60Z", "2025-01-01T00:00:00+24:00", "25-01-01T00:00:00Z", "2025-01-01T00:00:00Zulu", "2025-01-01T1:00:00Z",
	"2025-01-01T00:00:00,5Z", "2023-02-29T00:00:00Z", "2025-00-01T00:00:00Z", "2025-01-00T00:00:00Z", "+025-01-01T00:00:00Z"}

var goodTimes = []text{"2024-02-29T00:00:00Z", "2025-01-01t00:00:00z", "2025-01-01T00:00:00.123456789012Z", "2016-12-31T23:59:60Z",
	"2017-01-01T00:59:60+01:00", "2025-01-01T00:00:00-23:59", "1970-01-01T00:00:00-00:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"}

func (b *breaker) breakValue(f ocpptest.Field, good any, set func(any), at string) {
	for _, v := range wrongTypes[f.Kind] {
		set(v)
		_ = b.bad("wrong type "+string(v), ocpp.TypeConstraintViolation, at)
	}
	switch f.Kind {
	case ocpptest.Object:
		set(good)
		b.breakObject(f.Ref, good.(*object), at)
	case ocpptest.Enum:
		for _, v := range []text{"", "notInTheList", text(b.table.Enums[f.Ref][0]) + " ", text(strings.ToUpper(b.table.Enums[f.Ref][0])) + "_"} {
			set(v)
			_ = b.bad("wrong word", ocpp.PropertyConstraintViolation, at)
		}
	case ocpptest.String:
		if f.MaxLength > 0 {
			set(text(strings.Repeat("😀", f.MaxLength)))
			b.good("longest text " + at)
			set(text(strings.Repeat("ä", f.MaxLength+1)))
			if v := b.bad("one character too long", ocpp.PropertyConstraintViolation, at); !v.Overlong {
				b.t.Errorf("%s is not marked as overlong", at)
			}
		}
	case ocpptest.Time:
		for _, v := range badTimes {
			set(v)
			_ = b.bad("bad time "+string(v), ocpp.PropertyConstraintViolation, at)
		}
		for _, v := range goodTimes {
			set(v)
			b.good("time " + string(v))
		}
	case ocpptest.Int, ocpptest.Decimal:
		b.breakNumber(f, set, at)
	case ocpptest.CustomData:
		set(literal("{}"))
		_ = b.bad("no vendor", ocpp.OccurrenceConstraintViolation, at+".vendorId")
		set(literal(`{"vendorId":5}`))
		_ = b.bad("vendor of wrong type", ocpp.TypeConstraintViolation, at+".vendorId")
		set(literal(`{"vendorId":"` + strings.Repeat("v", 256) + `"}`))
		_ = b.bad("vendor too long", ocpp.PropertyConstraintViolation, at+".vendorId")
	}
}

func (b *breaker) breakNumber(f ocpptest.Field, set func(any), at string) {
	step := big.NewRat(1, 1)
	if f.Kind == ocpptest.Decimal {
		step = big.NewRat(1, 1000)
	}
	outside := func(n int, sign int64) literal {
		v := new(big.Rat).Add(big.NewRat(int64(n), 1), new(big.Rat).Mul(step, big.NewRat(sign, 1)))
		if v.IsInt() {
			return literal(v.Num().String())
		}
		return literal(v.FloatString(3))
	}
	if n, ok := f.Min.Get(); ok {
		set(literal(fmt.Sprint(n)))
		b.good("least number " + at)
		set(outside(n, -1))
		_ = b.bad("number too small", ocpp.PropertyConstraintViolation, at)
	}
	if n, ok := f.Max.Get(); ok {
		set(literal(fmt.Sprint(n)))
		b.good("greatest number " + at)
		set(outside(n, 1))
		_ = b.bad("number too great", ocpp.PropertyConstraintViolation, at)
	}
	if f.Tenths {
		for _, v := range []literal{"0.15", "1e-2", "16.0001"} {
			set(v)
			_ = b.bad("not a tenth", ocpp.PropertyConstraintViolation, at)
		}
		for _, v := range []literal{"0.1", "16.10", "1e3", "-0.3"} {
			set(v)
			b.good("tenth " + at)
		}
	}
	if f.Kind == ocpptest.Int && !f.Max.OK {
		for _, v := range []literal{"1.0", "5e2", "120e-1"} {
			set(v)
			b.good("integer " + at)
		}
	}
}
