package ocpptest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lumela/ocpp"
)

// Draw fills m with random content that its schema allows: optional fields come and go, texts have edge lengths,
// unicode and characters that need escaping, numbers lie at their bounds, arrays are as short or as long as they
// may be within reason. What m held before is forgotten. The same rapid state gives the same message.
func Draw(t *rapid.T, m ocpp.Message) {
	reflect.ValueOf(m).Elem().SetZero()
	text := DrawJSON(t, m.Version(), TypeName(m))
	if vs := ocpp.Decode(text, m, true); len(vs) > 0 {
		t.Fatalf("%s %s: drawn text is refused: %v\n%s", m.Version(), TypeName(m), vs, text)
	}
}

// DrawAction draws the name of an action that role may send.
func DrawAction(t *rapid.T, v ocpp.Version, role ocpp.Role) string {
	var names []string
	for _, a := range Actions(v) {
		if a.Sender&role != 0 {
			names = append(names, a.Name)
		}
	}
	return rapid.SampledFrom(names).Draw(t, "action")
}

// DrawRequest draws a request that role may send. In 2.1 it may be one that travels as SEND.
func DrawRequest(t *rapid.T, v ocpp.Version, role ocpp.Role) ocpp.Request {
	m := NewRequest(v, DrawAction(t, v, role))
	Draw(t, m)
	return m
}

// DrawResponse draws a response to an action; nil when the action has none.
func DrawResponse(t *rapid.T, v ocpp.Version, action string) ocpp.Response {
	m := NewResponse(v, action)
	if m != nil {
		Draw(t, m)
	}
	return m
}

// DrawJSON draws the JSON text of a type of SchemaOf(v), with white space and escapes as a station may write them.
func DrawJSON(t *rapid.T, v ocpp.Version, typeName string) string {
	d := drawer{t: t, schema: SchemaOf(v), left: 150}
	if _, ok := d.schema.Types[typeName]; !ok {
		t.Fatalf("OCPP %s has no type %s", v, typeName)
	}
	d.spaced = rapid.IntRange(0, 9).Draw(t, "spaced") == 9
	d.object(typeName)
	return d.b.String()
}

// drawer writes one text. left is how many more values it may hold before only what is required is written, so that
// the widest messages stay small enough for thousands of runs.
type drawer struct {
	t      *rapid.T
	schema Schema
	b      strings.Builder
	left   int
	spaced bool
}

// One object is drawn bare, full, or mixed.
const (
	bare = iota
	mixed
	full
)

func (d *drawer) space() {
	if d.spaced {
		d.b.WriteString(" \n\t")
	}
}

func (d *drawer) object(name string) {
	fields := d.schema.Types[name]
	mode := mixed
	if d.left <= 0 {
		mode = bare
	} else if len(fields) > 0 {
		mode = rapid.SampledFrom([]int{bare, mixed, mixed, full}).Draw(d.t, name)
	}
	d.b.WriteByte('{')
	comma := false
	for _, f := range fields {
		with := f.Required || mode == full || mode == mixed && rapid.Bool().Draw(d.t, f.Name+"?")
		if !with {
			continue
		}
		if comma {
			d.b.WriteByte(',')
		}
		comma = true
		d.space()
		d.b.WriteString(strconv.Quote(f.Name))
		d.b.WriteByte(':')
		d.space()
		d.field(f)
	}
	d.b.WriteByte('}')
}

func (d *drawer) field(f Field) {
	if !f.Array {
		d.value(f)
		return
	}
	n := d.items(f)
	d.b.WriteByte('[')
	for i := range n {
		if i > 0 {
			d.b.WriteByte(',')
		}
		d.space()
		d.value(f)
	}
	d.b.WriteByte(']')
}

// items draws the length of an array: its least, a few, or its most where that is not many.
func (d *drawer) items(f Field) int {
	if d.left <= 0 {
		return f.MinItems
	}
	most := 3
	if f.MaxItems > 0 && (f.MaxItems <= 5 || f.MaxItems <= 24 && f.Kind != Object) {
		most = f.MaxItems
	}
	return rapid.OneOf(rapid.IntRange(f.MinItems, max(f.MinItems, min(most, 3))),
		rapid.SampledFrom([]int{f.MinItems, max(f.MinItems, most)})).Draw(d.t, f.Name+"#")
}

func (d *drawer) value(f Field) {
	d.left--
	switch f.Kind {
	case Object:
		d.object(f.Ref)
	case Enum:
		d.b.WriteString(strconv.Quote(rapid.SampledFrom(d.schema.Enums[f.Ref]).Draw(d.t, f.Name)))
	case String:
		d.string(f)
	case Int:
		d.b.WriteString(strconv.Itoa(DrawInt(d.t, f.Min, f.Max)))
	case Decimal:
		d.decimal(f)
	case Bool:
		d.b.WriteString(strconv.FormatBool(rapid.Bool().Draw(d.t, f.Name)))
	case Time:
		d.b.WriteString(strconv.Quote(DrawTimeText(d.t)))
	case CustomData:
		d.customData()
	case Raw:
		d.raw(3)
	}
}

// DrawInt draws an integer within optional bounds, often at one of them or at the edge of 32 or 64 bits.
func DrawInt(t *rapid.T, least, most ocpp.Opt[int]) int {
	var edges []int
	for _, n := range []int{0, 1, -1, 7, 1<<31 - 1, -1 << 31, 1 << 31, ocpp.MaxInt, ocpp.MinInt, least.V, least.V + 1, most.V, most.V - 1} {
		if n >= least.Or(ocpp.MinInt) && n <= most.Or(ocpp.MaxInt) {
			edges = append(edges, n)
		}
	}
	small := rapid.IntRange(max(least.Or(-1000), -1_000_000), min(most.Or(1_000_000), 1_000_000))
	return rapid.OneOf(small, small, rapid.SampledFrom(edges)).Draw(t, "int")
}

func (d *drawer) decimal(f Field) {
	scale := 1
	if !f.Tenths {
		scale = rapid.IntRange(0, 6).Draw(d.t, "scale")
	}
	// Within bounds the integer part is drawn, then a fraction towards zero, so that the value stays within.
	n := rapid.OneOf(
		rapid.IntRange(max(f.Min.Or(-1000), -1000), min(f.Max.Or(1_000_000), 1_000_000)),
		rapid.SampledFrom([]int{f.Min.Or(-1_000_000_000_000), f.Max.Or(1_000_000_000_000), max(f.Min.Or(0), min(0, f.Max.Or(0)))}),
	).Draw(d.t, f.Name)
	text := strconv.Itoa(n)
	inner := (!f.Min.OK || n > f.Min.V || f.Min.V >= 0) && (!f.Max.OK || n < f.Max.V || f.Max.V <= 0)
	if scale > 0 && inner && rapid.Bool().Draw(d.t, "fraction") {
		digits := rapid.IntRange(0, pow10(scale)-1).Draw(d.t, "digits")
		if n == 0 && f.Max.OK && f.Max.V == 0 {
			text = "-0"
		}
		text += fmt.Sprintf(".%0*d", scale, digits)
	} else if rapid.IntRange(0, 9).Draw(d.t, "exponent") == 9 {
		text += rapid.SampledFrom([]string{"e0", "E+0", "0e-1", "00E-2"}).Draw(d.t, "notation")
	}
	if text[0] == '0' && len(text) > 1 && text[1] == '0' {
		text = "0"
	}
	d.b.WriteString(text)
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

// DrawTimeText draws an RFC 3339 time with any zone and any number of fraction digits up to nanoseconds.
func DrawTimeText(t *rapid.T) string {
	sec := rapid.OneOf(rapid.Int64Range(1_500_000_000, 2_000_000_000),
		rapid.SampledFrom([]int64{0, -1, 951_782_400, 4_102_444_799, -62_135_510_000, 253_402_214_400})).Draw(t, "second")
	nano := rapid.SampledFrom([]int64{0, 0, 1_000_000, 123_000_000, 999_999_999, 1, 500_000_000}).Draw(t, "nano")
	at := time.Unix(sec, nano).UTC()
	zone := rapid.SampledFrom([]int{0, 0, 0, 60, -480, 345, 840, -720}).Draw(t, "zone")
	layout := rapid.SampledFrom([]string{time.RFC3339Nano, "2006-01-02T15:04:05.000000000Z07:00"}).Draw(t, "layout")
	return at.In(time.FixedZone("", zone*60)).Format(layout)
}

// pieces are what texts are made of: plain, quoted, escaped, of two to four bytes, and what breaks careless code.
var pieces = []string{
	"a", "Z", "0", " ", "\"", "\\", "/", "\n", "\r\n", "\t", "\b", "\f", "\u0001", "\u001f", "\u007f", "ä", "ß", "€", "東",
	"😀", "\u2028", "\u2029", "\ufeff", "\ufffd", "é", "<script>", "'", "%s", "{}", "[", ":", ",", "null", "../", "\u202e",
}

// DrawText draws a text of at most most characters; 0 means no bound. It is often empty, or exactly that long.
func DrawText(t *rapid.T, most int) string {
	limit := most
	if most == 0 || most > 300 && rapid.IntRange(0, 4).Draw(t, "long") < 4 {
		limit = 40
	}
	var n int
	if shape := rapid.IntRange(0, 5).Draw(t, "shape"); shape == 5 {
		n = limit
	} else {
		n = rapid.IntRange(0, min(limit, 12)).Draw(t, "length")
	}
	if n == 0 {
		return ""
	}
	seed := rapid.SliceOfN(rapid.SampledFrom(pieces), 1, min(n, 4)).Draw(t, "text")
	one := strings.Join(seed, "")
	runes := []rune(strings.Repeat(one, n/utf8.RuneCountInString(one)+1))
	return string(runes[:n])
}

func (d *drawer) string(f Field) {
	s := ""
	if f.URI {
		s = rapid.SampledFrom([]string{"https://example.com/", "ftp://user:pw@host:21/a%20b?c=d#e", "urn:x:y", "http://[::1]:80"}).Draw(d.t, f.Name)
	} else {
		s = DrawText(d.t, f.MaxLength)
	}
	d.quoted(s)
}

// quoted writes s as JSON, in one of three spellings: as few escapes as allowed, those of encoding/json, or all.
func (d *drawer) quoted(s string) {
	switch rapid.IntRange(0, 5).Draw(d.t, "spelling") {
	case 0:
		b, err := json.Marshal(s)
		if err != nil {
			d.t.Fatalf("write %q: %v", s, err)
		}
		d.b.Write(b)
	case 1:
		d.b.WriteByte('"')
		for _, r := range s {
			if r >= 0x10000 {
				r -= 0x10000
				fmt.Fprintf(&d.b, `\u%04X\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
				continue
			}
			fmt.Fprintf(&d.b, `\u%04x`, r)
		}
		d.b.WriteByte('"')
	default:
		d.b.Write(ocpp.AppendString(nil, s))
	}
}

func (d *drawer) customData() {
	d.b.WriteString(`{"vendorId":`)
	d.quoted(DrawText(d.t, 255))
	for i := range rapid.IntRange(0, 2).Draw(d.t, "members") {
		fmt.Fprintf(&d.b, `,"m%d":`, i)
		d.raw(2)
	}
	d.b.WriteByte('}')
}

// raw writes any value, nested at most depth deep.
func (d *drawer) raw(depth int) {
	d.left--
	switch rapid.IntRange(0, 5+min(depth, 1)*2).Draw(d.t, "raw") {
	case 0:
		d.b.WriteString("true")
	case 1:
		d.b.WriteString("-12.50e+3")
	case 2:
		d.b.WriteString("12345678901234567890123")
	case 3, 4, 5:
		d.quoted(DrawText(d.t, 60))
	case 6:
		d.b.WriteByte('[')
		for i := range rapid.IntRange(0, 3).Draw(d.t, "items") {
			if i > 0 {
				d.b.WriteString(", ")
			}
			d.raw(depth - 1)
		}
		d.b.WriteByte(']')
	case 7:
		d.b.WriteByte('{')
		for i := range rapid.IntRange(0, 3).Draw(d.t, "members") {
			if i > 0 {
				d.b.WriteByte(',')
			}
			fmt.Fprintf(&d.b, `"k%d": `, i)
			d.raw(depth - 1)
		}
		d.b.WriteByte('}')
	}
}
