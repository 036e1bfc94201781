package translate

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/govalues/decimal"

	"lumela/ocpp"
)

//go:generate go run lumela/internal/tool/translategen

// crossing carries one message over between 2.0.1 and 2.1: it knows the place that is being copied and collects what
// happens there. It lives on the stack; the path is only put into words when there is something to tell.
type crossing struct {
	// command is true for a request of a management system: what is lost there changes what a station does, so some
	// fields refuse the whole command that in a report are only lost.
	command bool
	depth   int
	path    [16]step
	notes   []Note
	refusal *Refusal
}

// step is one name on the way to a field; item is its index in a list, or -1.
type step struct {
	name string
	item int
}

// in enters a field, item one item of a list, out leaves either.
func (t *crossing) in(name string) {
	t.path[t.depth&15] = step{name, -1}
	t.depth++
}

func (t *crossing) item(name string, i int) {
	t.path[t.depth&15] = step{name, i}
	t.depth++
}

func (t *crossing) out() { t.depth-- }

// where is the path of the field that was entered, then name.
func (t *crossing) where(name string) string {
	var b []byte
	for _, s := range t.path[:t.depth] {
		b = append(b, '.')
		b = append(b, s.name...)
		if s.item >= 0 {
			b = append(strconv.AppendInt(append(b, '['), int64(s.item), 10), ']')
		}
	}
	if name != "" {
		b = append(append(b, '.'), name...)
	}
	if len(b) == 0 {
		return ""
	}
	return string(b[1:])
}

func (t *crossing) note(kind Kind, name, text string) {
	t.notes = append(t.notes, Note{Kind: kind, Path: t.where(name), Text: text})
}

// lost tells that a field has no place on the other side.
func (t *crossing) lost(name, text string) { t.note(Lost, name, text) }

// must refuses a command for a field that cannot be said; in a report the field is lost.
func (t *crossing) must(name, text string) {
	if t.command {
		t.refuse(name, text)
		return
	}
	t.lost(name, text)
}

// refuse ends the crossing of what is being copied. The first reason counts; the innermost container that can do
// without the part takes it back with softened.
func (t *crossing) refuse(name, text string) {
	if t.refusal == nil {
		t.refusal = &Refusal{Code: ocpp.PropertyConstraintViolation, Path: t.where(name), Reason: text}
	}
}

// softened turns a refusal that came since before into the loss of the part, and says whether there was one.
func (t *crossing) softened(before *Refusal) bool {
	if t.refusal == before {
		return false
	}
	t.notes = append(t.notes, Note{Kind: Lost, Path: t.refusal.Path, Text: t.refusal.Reason})
	t.refusal = before
	return true
}

// cut shortens a text to the bound of the other side.
func (t *crossing) cut(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	t.lost("", fmt.Sprintf("cut to %d characters", most))
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}

// fit passes a text that means nothing when it is cut.
func (t *crossing) fit(s string, most int) string {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		t.refuse("", fmt.Sprintf("longer than the %d characters that the other version allows", most))
	}
	return s
}

// within passes a number that must lie between least and most.
func (t *crossing) within(n, least, most int) int {
	switch {
	case n < least:
		t.refuse("", fmt.Sprintf("%d is less than the %d that the other version allows", n, least))
	case n > most:
		t.refuse("", fmt.Sprintf("%d is more than the %d that the other version allows", n, most))
	}
	return n
}

// clamp moves a number into the bounds of the other side.
func (t *crossing) clamp(n, least, most int) int {
	c := min(max(n, least), most)
	if c != n {
		t.note(Emulated, "", fmt.Sprintf("%d was made %d, the nearest value that the other version allows", n, c))
	}
	return c
}

// whole makes a decimal of an integer. It is exact up to 18 digits; what is beyond can be no physical quantity.
func (t *crossing) whole(n int) decimal.Decimal {
	d, err := decimal.New(int64(n), 0)
	if err != nil {
		t.refuse("", "is out of range")
	}
	return d
}

// down, up and near make an integer of a decimal: towards zero power, towards more, and to the nearest.
func (t *crossing) down(d decimal.Decimal) int { return t.integer(d, d.Floor(0)) }
func (t *crossing) up(d decimal.Decimal) int   { return t.integer(d, d.Ceil(0)) }
func (t *crossing) near(d decimal.Decimal) int { return t.integer(d, d.Round(0)) }

func (t *crossing) integer(d, rounded decimal.Decimal) int {
	n, _, ok := rounded.Int64(0)
	if !ok {
		t.refuse("", "is out of range")
		return 0
	}
	if d.Cmp(rounded) != 0 {
		t.note(Emulated, "", fmt.Sprintf("%s was rounded to %d", d, n))
	}
	return int(n)
}
