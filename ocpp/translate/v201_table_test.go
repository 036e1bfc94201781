package translate_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
)

type entryKey struct {
	version   ocpp.Version
	from      ocpp.Role
	action    string
	direction translate.Direction
}

func entries(t *testing.T) map[entryKey]translate.Entry {
	t.Helper()
	all := map[entryKey]translate.Entry{}
	for _, e := range translate.Table() {
		key := entryKey{e.Version, e.From, e.Action, e.Direction}
		if _, twice := all[key]; twice {
			t.Errorf("two entries for %v", key)
		}
		all[key] = e
	}
	return all
}

// TestTableIsComplete wants an entry for every message, both ways and for each sender: those of the older version going
// up, those of 2.1 going down.
func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	all := entries(t)
	for _, old := range []ocpp.Version{ocpp.V16, ocpp.V201} {
		for _, role := range ends {
			for _, way := range []struct {
				direction translate.Direction
				version   ocpp.Version
			}{{translate.Up, old}, {translate.Down, ocpp.V21}} {
				for _, a := range ocpptest.Actions(way.version) {
					key := entryKey{old, role, a.Name, way.direction}
					e, ok := all[key]
					if want := a.Sender&role != 0; ok != want {
						t.Errorf("%s %s %s of a %s: in the table %v, want %v", old, way.direction, a.Name, role, ok, want)
					}
					delete(all, key)
					if ok {
						checkEntry(t, e)
					}
				}
			}
		}
	}
	for key := range all {
		t.Errorf("an entry for no message: %v", key)
	}
}

func checkEntry(t *testing.T, e translate.Entry) {
	t.Helper()
	switch e.Kind {
	case translate.Same:
	case translate.Emulated, translate.Refused:
		if e.How == "" {
			t.Errorf("%s %s %s: %s without saying how or why", e.Version, e.Direction, e.Action, e.Kind)
		}
	default:
		t.Errorf("%s %s %s: kind %q", e.Version, e.Direction, e.Action, e.Kind)
	}
	for _, f := range e.Fields {
		if f.Path == "" || f.Text == "" || f.Kind == translate.Same || f.In != translate.InRequest && f.In != translate.InResponse {
			t.Errorf("%s %s %s: incomplete field %+v", e.Version, e.Direction, e.Action, f)
		}
	}
}

// TestTableSaysWhy201Refuses wants a reason for every message of 2.1 that 2.0.1 lacks.
func TestTableSaysWhy201Refuses(t *testing.T) {
	t.Parallel()
	for _, e := range translate.Table() {
		if e.Version == ocpp.V201 && e.Kind == translate.Refused && !strings.Contains(e.How, ": it has ") {
			t.Errorf("%s is refused without a reason", e.Action)
		}
	}
}

// TestTableRefusesWhatCodeRefuses draws a message for every entry: what the table refuses never crosses, anything else
// crosses for some message.
func TestTableRefusesWhatCodeRefuses(t *testing.T) {
	t.Parallel()
	for key, e := range entries(t) {
		version := key.version
		if key.direction == translate.Down {
			version = ocpp.V21
		}
		draw := rapid.Custom(func(t *rapid.T) ocpp.Request {
			req := ocpptest.NewRequest(version, key.action)
			ocpptest.Draw(t, req)
			return req
		})
		crossed, tries := false, 5000 // profiles with many periods of 2.1 seldom cross
		if e.Kind == translate.Refused {
			tries = 100
		}
		for seed := range tries {
			req := draw.Example(seed)
			var err error
			if key.direction == translate.Down {
				_, err = translate.Lower(dialogue(), key.version, key.from, req)
			} else {
				_, err = translate.Lift(dialogue(), key.from, req)
			}
			crossed = crossed || err == nil
			if crossed && e.Kind != translate.Refused {
				break
			}
		}
		if crossed == (e.Kind == translate.Refused) {
			t.Errorf("%s %s %s of a %s: crosses %v, but is %s in the table", key.version, key.direction, key.action, key.from, crossed, e.Kind)
		}
	}
}

var index = regexp.MustCompile(`\[\d+\]`)

// normal is a path without the numbers of items; the last item of a list counts as the list.
func normal(path string) string {
	return strings.TrimSuffix(index.ReplaceAllString(path, "[]"), "[]")
}

// TestTableAgreesWithCode201 holds every note and every refusal against the table.
func TestTableAgreesWithCode201(t *testing.T) {
	t.Parallel()
	checkTable(t, ocpp.V201)
}

// told is one thing that the table tells.
type told struct {
	entryKey
	part translate.Part
	path string
	kind translate.Kind
}

// checkTable draws messages between a version and 2.1 and wants the table to tell what comes out. A note on the whole
// message is told by How; that 1.6 has no customData is told once for all.
func checkTable(t *testing.T, old ocpp.Version) {
	all := entries(t)
	fields := map[told]bool{}
	for key, e := range all {
		for _, f := range e.Fields {
			fields[told{key, f.In, normal(f.Path), f.Kind}] = true
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		role := rapid.SampledFrom(ends).Draw(t, "sender")
		direction := rapid.SampledFrom([]translate.Direction{translate.Up, translate.Down}).Draw(t, "direction")
		version := old
		if direction == translate.Down {
			version = ocpp.V21
		}
		req := ocpptest.DrawRequest(t, version, role)
		key := entryKey{old, role, req.ActionName(), direction}
		var x translate.Exchange
		var err error
		if direction == translate.Up {
			x, err = translate.Lift(dialogue(), role, req)
		} else {
			x, err = translate.Lower(dialogue(), old, role, req)
		}
		want := func(part translate.Part, path string, kind translate.Kind) {
			whole := path == "" && all[key].How != ""
			if whole || old == ocpp.V16 && strings.HasSuffix(path, "customData") {
				return
			}
			if !fields[told{key, part, normal(path), kind}] {
				t.Fatalf("the table of %s %s %s of a %s does not tell that %s of the %s is %s",
					old, direction, key.action, role, normal(path), part, kind)
			}
		}
		if err != nil {
			if all[key].Kind != translate.Refused {
				want(translate.InRequest, err.(*translate.Refusal).Path, translate.Refused)
			}
			return
		}
		for _, n := range x.Notes {
			want(translate.InRequest, n.Path, n.Kind)
		}
		var replies []translate.Reply
		for _, r := range x.Requests {
			replies = append(replies, translate.Reply{Response: ocpptest.DrawResponse(t, r.Version(), r.ActionName())})
		}
		for _, n := range x.Answer(replies).Notes {
			want(translate.InResponse, n.Path, n.Kind)
		}
	})
}
