package ocpp

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/govalues/decimal"
)

// The append functions are what the generated encoders are made of. Each appends one JSON value to b.

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\ufffd"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// AppendInt appends n.
func AppendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

// AppendBool appends true or false.
func AppendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// AppendDecimal appends d in plain notation with all its digits.
func AppendDecimal(b []byte, d decimal.Decimal) []byte {
	b, _ = d.AppendText(b) // a Decimal always has a text of at most 22 bytes
	return b
}

// AppendTime appends t in UTC with as many digits of the second as it has, or null for the zero time, so that
// a forgotten time is found by Validate and never sent as the year 1.
func AppendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// AppendRaw appends a JSON value as it is, or null when there is none.
func AppendRaw[T ~string](b []byte, r T) []byte {
	if r == "" {
		return append(b, "null"...)
	}
	return append(b, r...)
}

// CloseObject ends an object whose members were each written with a comma before them, from start on.
func CloseObject(b []byte, start int) []byte {
	if len(b) == start {
		return append(b, '{', '}')
	}
	b[start] = '{'
	return append(b, '}')
}

// CloseArray ends an array whose items were each written with a comma before them, from start on.
func CloseArray(b []byte, start int) []byte {
	if len(b) == start {
		return append(b, '[', ']')
	}
	b[start] = '['
	return append(b, ']')
}

// Marshal returns the payload of m as JSON.
func Marshal(m Message) []byte { return m.AppendJSON(make([]byte, 0, 256)) }

// ValidateJSON checks a message against the constraints of its schema: it writes m and reads it again into the
// fresh message of the same type, strictly. Generated Validate methods call it.
func ValidateJSON(m, fresh Message) error {
	d := Decoder{src: validText(string(m.AppendJSON(make([]byte, 0, 512)))), strict: true}
	fresh.DecodeJSON(&d)
	d.End()
	if len(d.violations) > 0 {
		return d.violations
	}
	return nil
}
