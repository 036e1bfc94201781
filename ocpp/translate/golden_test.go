package translate_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
)

var update = flag.Bool("update", false, "rewrite the results in testdata")

// TestGolden runs every case of testdata. A case is a text file:
//
//	# what it shows
//	from: 1.6 station            version and sender of the request
//	to: 2.1                      version it is translated into
//	now: 2026-01-02T03:04:05Z    optional, the time of receipt
//	state: open evse=1 tx=12 token=ABC
//	state: bind tx=abc number=12
//	state: put key value
//	evses: 1 2                   number of connectors of each EVSE
//	model: Component[Instance]@evse.connector Variable[Instance] = value
//	before: Action {json}        a request of the same sender that came before, answered by empty answers
//	-- request --
//	Action {json}
//	----------
//	-- requests --               what the other end is asked
//	-- replies --                what it answers: {json} or CALLERROR Code text; an input, never rewritten
//	-- response --               what the sender gets
//	-- then --                   requests to the sender that follow
//	-- notes --                  kind, field and text, first those of the request
//
// A request that is refused has "-- refusal --" in place of all that. go test -update rewrites the results.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("looking for cases: %d found, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := parseCase(t, string(text))
			got := c.input + "----------\n" + c.run(t)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("result differs (-file +got):\n%s", diff)
			}
		})
	}
}

// golden is one case.
type golden struct {
	input    string
	dialogue *translate.Dialogue
	version  ocpp.Version // of the sender
	role     ocpp.Role    // of the sender
	target   ocpp.Version
	before   []string
	request  string
	replies  []string
}

func parseCase(t *testing.T, text string) *golden {
	t.Helper()
	input, results, _ := strings.Cut(strings.ReplaceAll(text, "\r", ""), "----------\n")
	head, request, ok := strings.Cut(input, "-- request --\n")
	if !ok {
		t.Fatal("the case has no request")
	}
	memory := translate.NewMemory("golden", []byte("golden"))
	model := &goldenModel{}
	c := &golden{input: input, request: strings.TrimSpace(request), dialogue: &translate.Dialogue{
		Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), State: memory,
	}}
	for line := range strings.Lines(head) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "" || line[0] == '#':
			continue
		case !ok:
			t.Fatalf("not a line of the head: %q", line)
		}
		switch name {
		case "from":
			c.version, c.role = parseEnd(t, value)
		case "to":
			c.target = must(ocpp.ParseVersion(value))(t)
		case "now":
			c.dialogue.Now = must(time.Parse(time.RFC3339, value))(t)
		case "state":
			prepare(t, memory, value)
		case "model":
			model.add(t, value)
			c.dialogue.Model = model
		case "evses":
			for _, n := range strings.Fields(value) {
				model.evses = append(model.evses, must(strconv.Atoi(n))(t))
			}
			c.dialogue.Model = model
		case "before":
			c.before = append(c.before, value)
		default:
			t.Fatalf("unknown line of the head: %q", line)
		}
	}
	for line := range strings.Lines(section(results, "replies")) {
		c.replies = append(c.replies, strings.TrimSpace(line))
	}
	return c
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// section is the text of a section of the results.
func section(results, name string) string {
	_, after, ok := strings.Cut("\n"+results, "\n-- "+name+" --\n")
	if !ok {
		return ""
	}
	body, _, _ := strings.Cut("\n"+after, "\n-- ")
	return strings.Trim(body, "\n")
}

func parseEnd(t *testing.T, s string) (ocpp.Version, ocpp.Role) {
	t.Helper()
	version, role, _ := strings.Cut(s, " ")
	for _, r := range []ocpp.Role{ocpp.Station, ocpp.CSMS} {
		if r.String() == role {
			return must(ocpp.ParseVersion(version))(t), r
		}
	}
	t.Fatalf("not a version and a sender: %q", s)
	return 0, 0
}

func prepare(t *testing.T, s translate.State, line string) {
	t.Helper()
	what, rest, _ := strings.Cut(line, " ")
	if what == "put" {
		key, value, _ := strings.Cut(rest, " ")
		s.Put(key, value)
		return
	}
	args := map[string]string{}
	for _, a := range strings.Fields(rest) {
		name, value, _ := strings.Cut(a, "=")
		args[name] = value
	}
	number := func(name string) int { return must(strconv.Atoi(args[name]))(t) }
	switch what {
	case "open":
		s.Open(number("evse"), args["tx"], args["token"])
		s.NextSeqNo(args["tx"]) // that of Started
	case "bind":
		s.Bind(args["tx"], number("number"))
	default:
		t.Fatalf("unknown state: %q", line)
	}
}

func (c *golden) parse(t *testing.T, line string) ocpp.Request {
	t.Helper()
	action, text, _ := strings.Cut(line, " ")
	req := ocpptest.NewRequest(c.version, action)
	if req == nil {
		t.Fatalf("OCPP %s has no action %s", c.version, action)
	}
	if err, bad := ocpp.Decode(text, req, false).First(); bad {
		t.Fatalf("%s: %v", line, err)
	}
	return req
}

func (c *golden) translate(req ocpp.Request) (translate.Exchange, error) {
	if c.version == ocpp.V21 {
		return translate.Lower(c.dialogue, c.target, c.role, req)
	}
	return translate.Lift(c.dialogue, c.role, req)
}

// run carries the case out and gives the text of its results.
func (c *golden) run(t *testing.T) string {
	t.Helper()
	for _, line := range c.before {
		if _, err := c.translate(c.parse(t, line)); err != nil {
			t.Fatalf("before: %v", err)
		}
	}
	x, err := c.translate(c.parse(t, c.request))
	if err != nil {
		refusal, ok := err.(*translate.Refusal)
		if !ok {
			t.Fatalf("not a refusal: %v", err)
		}
		return fmt.Sprintf("-- refusal --\n%s %s\n", refusal.Code, refusal)
	}
	var b bytes.Buffer
	b.WriteString("-- requests --\n")
	for _, r := range x.Requests {
		writeMessage(t, &b, c.target, r)
	}
	b.WriteString("-- replies --\n")
	for _, line := range c.replies {
		b.WriteString(line + "\n")
	}
	out := x.Answer(c.reply(t, x))
	b.WriteString("-- response --\n")
	switch {
	case out.Err != nil && out.Response != nil:
		t.Error("both a response and an error")
	case out.Err != nil:
		fmt.Fprintf(&b, "CALLERROR %s %s\n", out.Err.Code, out.Err.Description)
	case out.Response == nil:
		b.WriteString("none\n")
	default:
		check(t, c.version, out.Response)
		fmt.Fprintf(&b, "%s\n", ocpp.Marshal(out.Response))
	}
	if len(out.Then) > 0 {
		b.WriteString("-- then --\n")
		for _, r := range out.Then {
			writeMessage(t, &b, c.version, r)
		}
	}
	if notes := append(append([]translate.Note{}, x.Notes...), out.Notes...); len(notes) > 0 {
		b.WriteString("-- notes --\n")
		for _, n := range notes {
			fmt.Fprintf(&b, "%s %s: %s\n", n.Kind, n.Path, n.Text)
		}
	}
	return b.String()
}

// reply pairs the requests with the replies of the case, up to the one that ends the exchange.
func (c *golden) reply(t *testing.T, x translate.Exchange) []translate.Reply {
	t.Helper()
	var replies []translate.Reply
	for i, req := range x.Requests {
		resp := req.NewResponse()
		if resp == nil {
			replies = append(replies, translate.Reply{})
			continue
		}
		if len(c.replies) <= i {
			t.Fatalf("the case has no reply to %s", req.ActionName())
		}
		if text, ok := strings.CutPrefix(c.replies[i], "CALLERROR "); ok {
			name, description, _ := strings.Cut(text, " ")
			r := translate.Reply{Err: &ocpp.CallError{Code: codeOf(t, name), Description: description}}
			replies = append(replies, r)
			if x.Ends(i, r) {
				return replies
			}
			continue
		}
		if err, bad := ocpp.Decode(c.replies[i], resp, true).First(); bad {
			t.Fatalf("reply %d: %v", i, err)
		}
		r := translate.Reply{Response: resp}
		replies = append(replies, r)
		if x.Ends(i, r) {
			break
		}
	}
	if len(c.replies) > len(x.Requests) {
		t.Errorf("%d replies for %d requests", len(c.replies), len(x.Requests))
	}
	return replies
}

func codeOf(t *testing.T, name string) ocpp.Code {
	t.Helper()
	for code := ocpp.GenericError; code <= ocpp.TypeConstraintViolation; code++ {
		if code.String() == name {
			return code
		}
	}
	t.Fatalf("unknown error code %q", name)
	return 0
}

func writeMessage(t *testing.T, b *bytes.Buffer, v ocpp.Version, m ocpp.Message) {
	t.Helper()
	check(t, v, m)
	fmt.Fprintf(b, "%s %s\n", m.ActionName(), ocpp.Marshal(m))
}

// check fails when a message is not valid in its version.
func check(t *testing.T, v ocpp.Version, m ocpp.Message) {
	t.Helper()
	if m.Version() != v {
		t.Errorf("%s is of OCPP %s, want %s", m.ActionName(), m.Version(), v)
	}
	if err := m.Validate(); err != nil {
		t.Errorf("%s %s: %v", m.ActionName(), ocpp.Marshal(m), err)
	}
}

// goldenModel is the device model of a case.
type goldenModel struct {
	variables []goldenVariable
	evses     []int
}

type goldenVariable struct {
	component, componentInstance string
	evse, connector              int
	variable, variableInstance   string
	value                        string
	readOnly                     bool
}

// add reads "Component[Instance]@evse.connector Variable[Instance] = value", with "readonly" before it all when it is.
func (m *goldenModel) add(t *testing.T, line string) {
	t.Helper()
	var v goldenVariable
	line, v.readOnly = strings.CutPrefix(line, "readonly ")
	names, value, ok := strings.Cut(line, " = ")
	component, variable, ok2 := strings.Cut(names, " ")
	if !ok || !ok2 {
		t.Fatalf("not a variable: %q", line)
	}
	v.value = value
	component, place, _ := strings.Cut(component, "@")
	if place != "" {
		evse, connector, ok := strings.Cut(place, ".")
		v.evse = must(strconv.Atoi(evse))(t)
		if ok {
			v.connector = must(strconv.Atoi(connector))(t)
		}
	}
	v.component, v.componentInstance = instance(component)
	v.variable, v.variableInstance = instance(variable)
	m.variables = append(m.variables, v)
}

func instance(s string) (name, inst string) {
	name, inst, _ = strings.Cut(s, "[")
	return name, strings.TrimSuffix(inst, "]")
}

func (m *goldenModel) Variable(component, componentInstance string, evse, connector int, variable, variableInstance string) (string, bool) {
	for _, v := range m.variables {
		if v.component == component && v.componentInstance == componentInstance && v.evse == evse && v.connector == connector &&
			v.variable == variable && v.variableInstance == variableInstance {
			return v.value, true
		}
	}
	return "", false
}

func (m *goldenModel) Each(f func(component, componentInstance string, evse, connector int, variable, variableInstance, value string, readOnly bool) bool) {
	for _, v := range m.variables {
		if !f(v.component, v.componentInstance, v.evse, v.connector, v.variable, v.variableInstance, v.value, v.readOnly) {
			return
		}
	}
}

func (m *goldenModel) EVSEs() []int { return m.evses }
