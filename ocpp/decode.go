package ocpp

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/govalues/decimal"
)

const (
	// MaxDepth is how deep objects and arrays may nest. The deepest official message has 11 levels.
	MaxDepth = 32
	// MaxViolations is how many violations one decoder keeps; the rest is counted with the last.
	MaxViolations = 16
)

// Decoder reads one JSON value and collects what is wrong with it. The generated DecodeJSON methods drive it: one
// pass decodes and validates, without reflection. Strings that need no unescaping share the memory of the text.
//
// A syntax error ends the reading; any other violation skips or keeps the value and goes on.
// A Decoder is for one text and one goroutine.
type Decoder struct {
	src        string
	pos        int
	depth      int
	strict     bool
	broken     bool // a syntax error was met: every read fails from here on
	nul        bool // an escaped U+0000 was met; as it stands it would be a syntax error
	violations Violations
}

// NewDecoder reads src. A strict decoder marks no violation as tolerated. What is not UTF-8 in src becomes U+FFFD, so
// that every text that is read can be stored and written.
func NewDecoder(src string, strict bool) *Decoder {
	return &Decoder{src: validText(src), strict: strict}
}

func validText(src string) string {
	if utf8.ValidString(src) {
		return src
	}
	return strings.ToValidUTF8(src, "\ufffd")
}

// Violations is what was found so far.
func (d *Decoder) Violations() Violations { return d.violations }

// Err is the violations as an error when one of them is not tolerated, else nil.
func (d *Decoder) Err() error {
	if _, bad := d.violations.First(); bad {
		return d.violations
	}
	return nil
}

// End checks that nothing but white space follows the value.
func (d *Decoder) End() {
	if d.broken {
		return
	}
	d.space()
	if d.pos < len(d.src) {
		d.syntax("text after the end of the value")
	}
}

// Decode reads a whole payload into m.
func Decode(src string, m Message, strict bool) Violations {
	d := Decoder{src: validText(src), strict: strict}
	m.DecodeJSON(&d)
	d.End()
	return d.violations
}

// Fail adds a violation at the field name of the object that is being read.
func (d *Decoder) Fail(code Code, name, reason string) {
	d.add(Violation{Code: code, Path: name, Reason: reason})
}

func (d *Decoder) tolerate(code Code, name, reason string) {
	d.add(Violation{Code: code, Path: name, Reason: reason, Tolerated: !d.strict})
}

func (d *Decoder) add(v Violation) {
	if len(d.violations) >= MaxViolations {
		last := &d.violations[MaxViolations-1]
		last.Tolerated = last.Tolerated && v.Tolerated
		return
	}
	d.violations = append(d.violations, v)
}

func (d *Decoder) syntax(what string) {
	if d.broken {
		return
	}
	d.broken = true
	d.Fail(FormatViolation, "", "not JSON: "+what+" at byte "+strconv.Itoa(d.pos))
	d.pos = len(d.src)
}

// Mark is the number of violations so far, for Under.
func (d *Decoder) Mark() int { return len(d.violations) }

// Under puts the field name before the paths of all violations since mark.
func (d *Decoder) Under(name string, mark int) {
	for i := mark; i < len(d.violations); i++ {
		v := &d.violations[i]
		if strings.HasPrefix(v.Reason, "not JSON") {
			continue
		}
		switch {
		case v.Path == "":
			v.Path = name
		case v.Path[0] == '[':
			v.Path = name + v.Path
		default:
			v.Path = name + "." + v.Path
		}
	}
}

// UnderItem is Under for the item i of an array.
func (d *Decoder) UnderItem(i, mark int) {
	if mark < len(d.violations) {
		d.Under("["+strconv.Itoa(i)+"]", mark)
	}
}

func (d *Decoder) space() {
	for d.pos < len(d.src) {
		switch d.src[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// peek returns the next byte after white space, 0 at the end.
func (d *Decoder) peek() byte {
	if d.pos < len(d.src) {
		if c := d.src[d.pos]; c > ' ' {
			return c
		}
	}
	d.space()
	if d.pos < len(d.src) {
		return d.src[d.pos]
	}
	return 0
}

// BeginObject enters an object. For any other value it records a violation, skips the value and returns false.
func (d *Decoder) BeginObject() bool { return d.begin('{', "an object") }

// BeginArray enters an array, like BeginObject.
func (d *Decoder) BeginArray() bool { return d.begin('[', "an array") }

func (d *Decoder) begin(open byte, what string) bool {
	c := d.peek()
	if c != open {
		d.mismatch("", what)
		return false
	}
	if d.depth++; d.depth > MaxDepth {
		d.syntax("more than " + strconv.Itoa(MaxDepth) + " levels")
		return false
	}
	d.pos++
	return true
}

// mismatch records that a value has the wrong type, and skips it. A null is reported as such: lenient readers
// take it for an absent value.
func (d *Decoder) mismatch(name, want string) {
	if d.broken {
		return
	}
	c := d.peek()
	d.Skip()
	if d.broken {
		return
	}
	if c == 'n' {
		d.tolerate(TypeConstraintViolation, name, "must be "+want+", is null")
		return
	}
	if d.depth == 0 && name == "" {
		d.Fail(FormatViolation, name, "must be "+want+", is "+typeName(c))
		return
	}
	d.Fail(TypeConstraintViolation, name, "must be "+want+", is "+typeName(c))
}

func typeName(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// NextKey returns the next member name of the object, or false after its end. first is true before the first one.
func (d *Decoder) NextKey(first bool) (string, bool) {
	c := d.peek()
	if c == '}' {
		d.pos++
		d.depth--
		return "", false
	}
	if !first {
		if c != ',' {
			d.syntax("want , or }")
			return "", false
		}
		d.pos++
		c = d.peek()
	}
	if c != '"' {
		d.syntax("want a member name")
		return "", false
	}
	key, ok := d.text()
	if !ok {
		return "", false
	}
	if d.peek() != ':' {
		d.syntax("want :")
		return "", false
	}
	d.pos++
	return key, true
}

// NextItem reports whether another item of the array follows; first is true before the first one.
func (d *Decoder) NextItem(first bool) bool {
	c := d.peek()
	if c == ']' {
		d.pos++
		d.depth--
		return false
	}
	if first {
		if c == 0 {
			d.syntax("unexpected end")
		}
		return !d.broken
	}
	if c != ',' {
		d.syntax("want , or ]")
		return false
	}
	d.pos++
	return true
}

// Once records a member, and reports whether it is the first of its name. A repeated one is a violation; the last
// value wins for lenient readers.
func (d *Decoder) Once(seen *uint64, bit uint, name string) bool {
	if *seen&(1<<bit) != 0 {
		d.repeated(name)
		return false
	}
	*seen |= 1 << bit
	return true
}

// repeated stays out of line, so that Once is a few instructions in each of its thousands of places.
//
//go:noinline
func (d *Decoder) repeated(name string) {
	d.tolerate(FormatViolation, name, "given more than once")
}

// Unknown records a member that the schema does not have, and skips it.
func (d *Decoder) Unknown(key string) {
	d.Skip()
	if !d.broken {
		d.tolerate(FormatViolation, shortKey(key), "unknown property")
	}
}

// shortKey makes a member name fit for a path: no schema has a name of more than 40 bytes.
func shortKey(key string) string {
	const most = 64
	if r := []rune(key); len(r) > most {
		key = string(r[:most]) + "…"
	}
	return strings.ReplaceAll(key, "\x00", "\ufffd")
}

// Missing records every required member that was not seen. names are the members in the order of their bits. It stays
// out of line like repeated.
//
//go:noinline
func (d *Decoder) Missing(seen, required uint64, names []string) {
	if d.broken {
		return
	}
	for i, name := range names {
		bit := uint64(1) << uint(i)
		if required&bit != 0 && seen&bit == 0 {
			d.Fail(OccurrenceConstraintViolation, name, "required")
		}
	}
}

// Null consumes a null where a required value should be and reports it as missing; else it returns false.
func (d *Decoder) Null(name string) bool {
	if d.peek() != 'n' {
		return false
	}
	d.Skip()
	if !d.broken {
		if d.strict {
			d.Fail(TypeConstraintViolation, name, "must not be null")
		} else {
			d.Fail(OccurrenceConstraintViolation, name, "required, is null")
		}
	}
	return true
}

// Items checks the number of items of an array against its bounds; most 0 means no upper bound.
func (d *Decoder) Items(name string, n, least, most int) {
	switch {
	case d.broken:
	case n < least:
		d.Fail(OccurrenceConstraintViolation, name, fmt.Sprintf("must have at least %d items, has %d", least, n))
	case most > 0 && n > most:
		d.Fail(OccurrenceConstraintViolation, name, fmt.Sprintf("must have at most %d items, has %d", most, n))
	}
}

// BadEnum records a value that is not in its list. It stays out of line like repeated.
//
//go:noinline
func (d *Decoder) BadEnum(name, value string) {
	d.Fail(PropertyConstraintViolation, name, quote(value)+" is not an allowed value")
}

// String reads a text of at most most characters; 0 means no bound. An overlong text is returned and recorded.
func (d *Decoder) String(name string, most int) (string, bool) {
	if d.peek() != '"' {
		d.mismatch(name, "a string")
		return "", false
	}
	s, ok := d.text()
	if !ok {
		return "", false
	}
	if most > 0 && len(s) > most {
		if n := utf8.RuneCountInString(s); n > most {
			d.add(Violation{Code: PropertyConstraintViolation, Path: name, Overlong: true,
				Reason: fmt.Sprintf("must have at most %d characters, has %d", most, n)})
		}
	}
	if d.nul && strings.IndexByte(s, 0) >= 0 {
		// No database column, log or PDF can hold it, and no field of OCPP needs it.
		d.Fail(PropertyConstraintViolation, name, "must not contain U+0000")
		return "", false
	}
	return s, true
}

// text reads the string whose opening quote is next.
func (d *Decoder) text() (string, bool) {
	start := d.pos + 1
	i := start + plainPrefix(d.src[start:])
	if i == len(d.src) {
		d.pos = i
		d.syntax("string without end")
		return "", false
	}
	switch d.src[i] {
	case '"':
		d.pos = i + 1
		return d.src[start:i], true
	case '\\':
		return d.unescape(start, i)
	}
	d.pos = i
	d.syntax("control character in a string")
	return "", false
}

// plainPrefix is the number of bytes before the first quote, backslash or control character, len(s) if there is none.
// It looks at eight bytes at a time, as most of a payload is inside of strings.
func plainPrefix(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		b := s[i : i+8]
		x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		quotes, slashes := x^ones*'"', x^ones*'\\'
		// A borrow reaches only bytes above a true hit, so that the lowest hit is exact.
		hits := ((x-ones*0x20)&^x | (quotes-ones)&^quotes | (slashes-ones)&^slashes) & tops
		if hits != 0 {
			return i + bits.TrailingZeros64(hits)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c == '"' || c == '\\' || c < 0x20 {
			break
		}
	}
	return i
}

// unescape reads the rest of a string from the first backslash at i on.
func (d *Decoder) unescape(start, i int) (string, bool) {
	b := append(make([]byte, 0, i-start+32), d.src[start:i]...)
	for i < len(d.src) {
		c := d.src[i]
		switch {
		case c == '"':
			d.pos = i + 1
			return string(b), true
		case c < 0x20:
			d.pos = i
			d.syntax("control character in a string")
			return "", false
		case c != '\\':
			b = append(b, c)
			i++
			continue
		}
		if i+1 >= len(d.src) {
			break
		}
		n := 2
		switch e := d.src[i+1]; e {
		case '"', '\\', '/':
			b = append(b, e)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, size := hexRune(d.src[i:])
			if size == 0 {
				d.pos = i
				d.syntax("bad \\u escape")
				return "", false
			}
			b = utf8.AppendRune(b, r)
			d.nul = d.nul || r == 0
			n = size
		default:
			d.pos = i
			d.syntax("unknown escape")
			return "", false
		}
		i += n
	}
	d.pos = len(d.src)
	d.syntax("string without end")
	return "", false
}

// hexRune reads \uXXXX, or a surrogate pair of two, from the start of s. The size is 0 when it is malformed; a lone
// surrogate becomes U+FFFD.
func hexRune(s string) (r rune, size int) {
	one := func(s string) (rune, bool) {
		if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(s[2:6], 16, 32)
		return rune(n), err == nil
	}
	r, ok := one(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if low, ok := one(s[6:]); ok {
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, 12
		}
	}
	return utf8.RuneError, 6
}

// Bool reads true or false.
func (d *Decoder) Bool(name string) (v, ok bool) {
	switch c := d.peek(); {
	case c == 't' && strings.HasPrefix(d.src[d.pos:], "true"):
		d.pos += 4
		return true, true
	case c == 'f' && strings.HasPrefix(d.src[d.pos:], "false"):
		d.pos += 5
		return false, true
	}
	d.mismatch(name, "a boolean")
	return false, false
}

// number returns the text of the number that is next, and whether it is a plain integer.
func (d *Decoder) number() (text string, plain, ok bool) {
	start, i := d.pos, d.pos
	src := d.src
	digits := func() int {
		n := i
		for i < len(src) && src[i] >= '0' && src[i] <= '9' {
			i++
		}
		return i - n
	}
	plain = true
	if i < len(src) && src[i] == '-' {
		i++
	}
	zero := i < len(src) && src[i] == '0'
	n := digits()
	good := n == 1 || n > 1 && !zero
	if good && i < len(src) && src[i] == '.' {
		i++
		plain = false
		good = digits() > 0
	}
	if good && i < len(src) && (src[i] == 'e' || src[i] == 'E') {
		i++
		plain = false
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		good = digits() > 0
	}
	if !good {
		d.syntax("bad number")
		return "", false, false
	}
	d.pos = i
	return src[start:i], plain, true
}

func isNumber(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

// Int reads an integer of at most 64 bits. 1.0 and 1e3 are integers, as JSON Schema has it.
func (d *Decoder) Int(name string) (int, bool) {
	if !isNumber(d.peek()) {
		d.mismatch(name, "an integer")
		return 0, false
	}
	text, plain, ok := d.number()
	if !ok {
		return 0, false
	}
	if plain {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			d.Fail(PropertyConstraintViolation, name, "must fit into 64 bits")
			return 0, false
		}
		return int(n), true
	}
	v, err := decimal.Parse(text)
	switch {
	case err != nil:
		d.Fail(PropertyConstraintViolation, name, "must fit into 64 bits")
	case !v.IsInt():
		d.Fail(TypeConstraintViolation, name, "must be an integer, is "+quote(text))
	default:
		if whole, _, fits := v.Int64(0); fits {
			return int(whole), true
		}
		d.Fail(PropertyConstraintViolation, name, "must fit into 64 bits")
	}
	return 0, false
}

// IntRange is Int with bounds; a value outside them is returned and recorded.
func (d *Decoder) IntRange(name string, least, most int) (int, bool) {
	n, ok := d.Int(name)
	if ok && n < least {
		d.Fail(PropertyConstraintViolation, name, fmt.Sprintf("must be at least %d, is %d", least, n))
	}
	if ok && n > most {
		d.Fail(PropertyConstraintViolation, name, fmt.Sprintf("must be at most %d, is %d", most, n))
	}
	return n, ok
}

// MaxInt and MinInt stand for "no bound" in IntRange.
const (
	MaxInt = math.MaxInt
	MinInt = math.MinInt
)

// Decimal reads a number exactly: up to 19 significant digits, more are rounded half to even.
func (d *Decoder) Decimal(name string) (decimal.Decimal, bool) {
	if !isNumber(d.peek()) {
		d.mismatch(name, "a number")
		return decimal.Decimal{}, false
	}
	text, plain, ok := d.number()
	if !ok {
		return decimal.Decimal{}, false
	}
	if plain && len(text) < 18 {
		n, _ := strconv.ParseInt(text, 10, 64)
		return decimal.MustNew(n, 0), true
	}
	v, err := decimal.Parse(text)
	if err != nil {
		d.Fail(PropertyConstraintViolation, name, "must have at most 19 digits before the point, is "+quote(text))
		return decimal.Decimal{}, false
	}
	return v, true
}

// DecimalRange is Decimal with optional bounds.
func (d *Decoder) DecimalRange(name string, least, most Opt[int]) (decimal.Decimal, bool) {
	v, ok := d.Decimal(name)
	if !ok {
		return v, ok
	}
	if least.OK && v.Cmp(decimal.MustNew(int64(least.V), 0)) < 0 {
		d.Fail(PropertyConstraintViolation, name, fmt.Sprintf("must be at least %d, is %s", least.V, v))
	}
	if most.OK && v.Cmp(decimal.MustNew(int64(most.V), 0)) > 0 {
		d.Fail(PropertyConstraintViolation, name, fmt.Sprintf("must be at most %d, is %s", most.V, v))
	}
	return v, true
}

// Tenths is Decimal for the values of OCPP 1.6 that have at most one digit after the point.
func (d *Decoder) Tenths(name string) (decimal.Decimal, bool) {
	v, ok := d.Decimal(name)
	if ok && v.MinScale() > 1 {
		d.Fail(PropertyConstraintViolation, name, "must have at most one digit after the point, is "+v.String())
	}
	return v, ok
}

// Raw reads any value as its text.
func (d *Decoder) Raw(string) (Raw, bool) {
	d.space()
	start := d.pos
	d.Skip()
	if d.broken {
		return "", false
	}
	return Raw(d.src[start:d.pos]), true
}

// CustomData reads a customData object: any members, with a vendorId of at most 255 characters.
func (d *Decoder) CustomData(name string) (CustomData, bool) {
	d.space()
	start, mark, found := d.pos, d.Mark(), false
	if !d.BeginObject() {
		d.Under(name, mark)
		return "", false
	}
	for first := true; ; first = false {
		key, more := d.NextKey(first)
		if !more {
			break
		}
		if key == "vendorId" {
			_, _ = d.String(key, 255)
			found = true
			continue
		}
		d.Skip()
	}
	if d.broken {
		return "", false
	}
	if !found {
		d.Fail(OccurrenceConstraintViolation, "vendorId", "required")
	}
	d.Under(name, mark)
	return CustomData(d.src[start:d.pos]), true
}

// Skip passes over one value of any type, checking its syntax.
func (d *Decoder) Skip() {
	switch c := d.peek(); {
	case d.broken:
	case c == '{':
		if !d.BeginObject() {
			return
		}
		for first := true; ; first = false {
			if _, more := d.NextKey(first); !more {
				return
			}
			d.Skip()
		}
	case c == '[':
		if !d.BeginArray() {
			return
		}
		for first := true; d.NextItem(first); first = false {
			d.Skip()
		}
	case c == '"':
		d.text()
	case isNumber(c):
		d.number()
	default:
		for _, word := range []string{"true", "false", "null"} {
			if strings.HasPrefix(d.src[d.pos:], word) {
				d.pos += len(word)
				return
			}
		}
		d.syntax("want a value")
	}
}

// Object reports whether an object comes next. For any other value it records a violation and skips the value.
func (d *Decoder) Object() bool {
	if d.peek() == '{' {
		return true
	}
	d.mismatch("", "an object")
	return false
}

// Text is what is read, and what Offset counts in: the text that was given, with what is not UTF-8 replaced.
func (d *Decoder) Text() string { return d.src }

// Offset is the position of the next value in Text, after white space.
func (d *Decoder) Offset() int {
	d.space()
	return d.pos
}
