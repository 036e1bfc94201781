package archive

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is what a column holds, the same on both engines.
type Kind string

// The kinds. Whatever else a schema might use is an error until it is given a form here.
const (
	Text  Kind = "text"
	Int   Kind = "int" // up to 64 bits
	Bool  Kind = "bool"
	Bytes Kind = "bytes"
)

// kindOf reads the type of a column as it was declared (SQLite) or as the server names it (PostgreSQL).
func kindOf(declared string) (Kind, error) {
	switch strings.ToUpper(declared) {
	case "TEXT":
		return Text, nil
	case "BIGINT", "INTEGER", "SMALLINT":
		return Int, nil
	case "BOOLEAN":
		return Bool, nil
	case "BYTEA", "BLOB":
		return Bytes, nil
	}
	return "", fmt.Errorf("no form is known for the type %q", declared)
}

// Column is one column of a table.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// Table is a table as it is exported: its columns in the order of the rows' values.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	Key     []string `json:"key,omitempty"` // primary key, the order of the rows
	refers  []string // tables that its foreign keys name
}

func (t *Table) columnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// appendRow writes one row as a JSON array in a line: null, number, true or false, text as string, bytes as base64. Text
// that is not UTF-8, which SQLite keeps as it is, stands as base64 in an array of its own.
func appendRow(b []byte, t *Table, values []any) ([]byte, error) {
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, t.Columns[i].Kind, v); err != nil {
			return b, fmt.Errorf("column %s.%s: %w", t.Name, t.Columns[i].Name, err)
		}
	}
	return append(b, ']', '\n'), nil
}

func appendValue(b []byte, kind Kind, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case int64:
		if kind == Int {
			return strconv.AppendInt(b, v, 10), nil
		}
		if kind == Bool && (v == 0 || v == 1) {
			return strconv.AppendBool(b, v == 1), nil
		}
	case bool:
		if kind == Bool {
			return strconv.AppendBool(b, v), nil
		}
	case string:
		if kind == Text {
			return appendText(b, v), nil
		}
		if kind == Bytes {
			return appendBase64(b, []byte(v)), nil
		}
	case []byte:
		if kind == Text {
			return appendText(b, string(v)), nil
		}
		if kind == Bytes {
			return appendBase64(b, v), nil
		}
	}
	return b, fmt.Errorf("a value of the type %T does not fit %q", v, kind)
}

func appendBase64(b, v []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, v)
	return append(b, '"')
}

func appendText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		return append(appendBase64(append(b, '['), []byte(s)), ']')
	}
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(append(b, s[start:]...), '"')
}

// parseRow reads a line of appendRow into values, which has a place per column: nil, string, int64, bool or []byte.
func parseRow(line string, t *Table, values []any) error {
	p := rowParser{rest: strings.TrimSuffix(line, "\n")}
	if !p.take('[') {
		return damaged("a row of %s is no array", t.Name)
	}
	for i, c := range t.Columns {
		if i > 0 && !p.take(',') {
			return damaged("a row of %s has %d values instead of %d", t.Name, i, len(t.Columns))
		}
		var err error
		if values[i], err = p.value(c.Kind); err != nil {
			return damaged("column %s.%s: %v", t.Name, c.Name, err)
		}
	}
	if !p.take(']') || p.rest != "" {
		return damaged("a row of %s has more values than columns", t.Name)
	}
	return nil
}

type rowParser struct{ rest string }

func (p *rowParser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *rowParser) value(kind Kind) (any, error) {
	if p.rest == "" {
		return nil, errors.New("the row ends too early")
	}
	switch p.rest[0] {
	case '"':
		s, err := p.text()
		if err != nil || kind == Text {
			return s, err
		}
		if kind != Bytes {
			return nil, fmt.Errorf("a text where %q is expected", kind)
		}
		return base64.StdEncoding.AppendDecode([]byte{}, []byte(s))
	case '[':
		p.rest = p.rest[1:]
		s, err := p.text()
		if err != nil || !p.take(']') || kind != Text {
			return nil, errors.Join(err, errors.New("no text"))
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		return string(raw), err
	}
	end := strings.IndexAny(p.rest, ",]")
	if end < 0 {
		return nil, errors.New("the row ends too early")
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	switch {
	case word == "null":
		return nil, nil
	case kind == Int:
		return strconv.ParseInt(word, 10, 64)
	case kind == Bool && (word == "true" || word == "false"):
		return word == "true", nil
	}
	return nil, fmt.Errorf("%.20q where %q is expected", word, kind)
}

func (p *rowParser) text() (string, error) {
	if !p.take('"') {
		return "", errors.New("no text")
	}
	escaped := false
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			if !escaped {
				return s, nil
			}
			var out string
			err := json.Unmarshal([]byte(`"`+s+`"`), &out)
			return out, err
		}
	}
	return "", errors.New("a text does not end")
}
