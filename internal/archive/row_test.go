package archive

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var everyKind = Table{Name: "t", Columns: []Column{{"t", Text}, {"i", Int}, {"b", Bool}, {"x", Bytes}}}

func anyRow(t *rapid.T) []any {
	or := func(label string, v func() any) any {
		if rapid.IntRange(0, 4).Draw(t, label) == 0 {
			return nil
		}
		return v()
	}
	return []any{
		or("null text", func() any {
			if rapid.Bool().Draw(t, "raw") {
				return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes as text"))
			}
			return rapid.String().Draw(t, "text")
		}),
		or("null int", func() any { return rapid.Int64().Draw(t, "int") }),
		or("null bool", func() any { return rapid.Bool().Draw(t, "bool") }),
		or("null bytes", func() any { return append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...) }),
	}
}

func TestRowsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := anyRow(t)
		line, err := appendRow(nil, &everyKind, want)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]any, len(want))
		if err := parseRow(string(line), &everyKind, got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", line, diff)
		}
	})
}

func TestValuesThatFitNoColumnAreRefused(t *testing.T) {
	t.Parallel()
	for _, row := range [][]any{{int64(1), nil, nil, nil}, {nil, "1", nil, nil}, {nil, nil, int64(2), nil}, {nil, nil, nil, true}, {1.5, nil, nil, nil}} {
		if line, err := appendRow(nil, &everyKind, row); err == nil {
			t.Errorf("%v was written as %s", row, line)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	for _, line := range []string{`["a\n",1,true,"AQI="]`, `[null,null,null,null]`, `[["gA=="],-1,false,""]`, `["`, `[`, `["\`, `[1]`, `["a",1,true,"!"]`, `["a",1,true,""],`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		values := make([]any, len(everyKind.Columns))
		if parseRow(line, &everyKind, values) != nil {
			return
		}
		again, err := appendRow(nil, &everyKind, values)
		if err != nil {
			t.Fatal(err)
		}
		back := make([]any, len(values))
		if err := parseRow(string(again), &everyKind, back); err != nil || !cmp.Equal(values, back) {
			t.Fatalf("%q became %v, then %v (%v)", line, values, back, err)
		}
	})
}
