package apptest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Match compares JSON with a pattern, which is JSON too. In the pattern
//
//	"<any>"      stands for any value that is not null, "<null>" for null
//	"<time>"     for a time in UTC, with Z and at most three digits of the second (OCPP 2.1 Part 2 3.1)
//	"<text>"     for any string that is not empty
//	"<id:NAME>"  for a string that is captured as NAME
//	"<more>": "" as a member of an object allows further members
//	"<more>"     as the last item of an array allows further items
//	"<unordered>" as the first item of an array lets the items come in any order
//
// The error names the first place that differs.
func Match(pattern, text string) (captured map[string]string, err error) {
	var want, got any
	if err := json.Unmarshal([]byte(pattern), &want); err != nil {
		return nil, fmt.Errorf("the pattern is no JSON: %w: %s", err, pattern)
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	captured = map[string]string{}
	return captured, match("", want, got, captured)
}

var stationTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$`)

func match(at string, want, got any, captured map[string]string) error {
	switch w := want.(type) {
	case string:
		return matchText(at, w, got, captured)
	case []any:
		g, ok := got.([]any)
		if !ok {
			return fmt.Errorf("%s: is no array", place(at))
		}
		return matchArray(at, w, g, captured)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: is no object", place(at))
		}
		return matchObject(at, w, g, captured)
	}
	if want != got {
		return fmt.Errorf("%s: is %v, want %v", place(at), got, want)
	}
	return nil
}

func matchText(at, want string, got any, captured map[string]string) error {
	text, isText := got.(string)
	name, capture := strings.CutPrefix(want, "<id:")
	switch {
	case want == "<any>":
		if got == nil {
			return fmt.Errorf("%s: is null", place(at))
		}
		return nil
	case want == "<null>" && got == nil:
		return nil
	case want == "<time>" && isText && stationTime.MatchString(text), want == "<text>" && isText && text != "":
		return nil
	case capture && isText:
		captured[strings.TrimSuffix(name, ">")] = text
		return nil
	case isText && text == want:
		return nil
	}
	return fmt.Errorf("%s: is %v, want %q", place(at), got, want)
}

func matchArray(at string, want, got []any, captured map[string]string) error {
	if len(want) > 0 && want[0] == "<unordered>" {
		return matchUnordered(at, want[1:], got, captured)
	}
	if n := len(want); n > 0 && want[n-1] == "<more>" {
		want = want[:n-1]
		if len(got) > len(want) {
			got = got[:len(want)]
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%s: has %d items, want %d", place(at), len(got), len(want))
	}
	for i := range want {
		if err := match(fmt.Sprintf("%s[%d]", at, i), want[i], got[i], captured); err != nil {
			return err
		}
	}
	return nil
}

func matchUnordered(at string, want, got []any, captured map[string]string) error {
	if len(want) != len(got) {
		return fmt.Errorf("%s: has %d items, want %d", place(at), len(got), len(want))
	}
	left := slices.Clone(got)
	for i, w := range want {
		found := slices.IndexFunc(left, func(g any) bool { return match("", w, g, captured) == nil })
		if found < 0 {
			return fmt.Errorf("%s: nothing matches item %d of the pattern", place(at), i)
		}
		left = slices.Delete(left, found, found+1)
	}
	return nil
}

func matchObject(at string, want, got map[string]any, captured map[string]string) error {
	for name, w := range want {
		if name == "<more>" {
			continue
		}
		g, ok := got[name]
		if !ok {
			return fmt.Errorf("%s: has no %s", place(at), name)
		}
		if err := match(at+"."+name, w, g, captured); err != nil {
			return err
		}
	}
	if _, more := want["<more>"]; more {
		return nil
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("%s: has a %s too many", place(at), name)
		}
	}
	return nil
}

func place(at string) string {
	if at == "" {
		return "the whole"
	}
	return strings.TrimPrefix(at, ".")
}
