package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"lumela/internal/app/apptest"
)

// operation is one operation of the API, as its description has it.
type operation struct{ method, path string }

// operations reads the description that a node serves.
func operations(t *testing.T, n *apptest.Node) []operation {
	t.Helper()
	var s spec
	n.Want(t, 200, "GET", "/openapi.json", "").Into(t, &s)
	var out []operation
	for path, methods := range s.Paths {
		for method := range methods {
			out = append(out, operation{strings.ToUpper(method), path})
		}
	}
	if len(out) < 30 {
		t.Fatalf("only %d operations", len(out))
	}
	return out
}

func (o operation) streams() bool { return o.path == "/events" || strings.HasSuffix(o.path, "/live") }

// at is the path with the ids of a tenant's objects; "" when the tenant has no object of the kind.
func (o operation) at(t *testing.T, ids map[string]string) string {
	t.Helper()
	path := strings.NewReplacer("{action}", "Reset", "{deliveryId}", "0199a000-0000-7000-8000-000000000001").Replace(o.path)
	if !strings.Contains(path, "{") {
		return path
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	id, known := ids[kind]
	if !known || !strings.HasPrefix(rest, "{id}") || strings.Count(path, "{") != 1 {
		t.Errorf("%s %s: this test has no object for it", o.method, o.path)
		return ""
	}
	return strings.Replace(path, "{id}", id, 1)
}

// bodies are what operations need to come as far as looking for their object.
var bodies = map[string]string{
	"PATCH /stations/{id}": `{"strict":true}`, "PATCH /tokens/{id}": `{"note":"mine"}`, "POST /stations/{id}/commands/{action}": `{"type":"Immediate"}`,
	"PATCH /users/{id}": `{"name":"mine"}`, "PATCH /webhooks/{id}": `{"description":"mine"}`,
	"POST /sessions/{id}/close": `{"reason":"because"}`, "POST /sessions/{id}/release": `{"reason":"because"}`,
}

// asked is what an entry of the record holds of a request: whoever asked for another's object knows what they asked for.
var asked = regexp.MustCompile(`"(path|object|station)":"[^"]*"`)

// told is what an answer tells besides what its reader has said.
func (o operation) told(answer string) string {
	if o.path == "/audit" {
		return asked.ReplaceAllString(answer, "")
	}
	return answer
}

func (o operation) body() string { return bodies[o.method+" "+o.path] }

// tenant is an organisation with one object of every kind. Everything that it says holds its mark.
type tenant struct {
	*apptest.Client
	mark string
	ids  map[string]string
	s    *apptest.Station
}

// furnish gives a tenant a connected station with a running session, a token, a command, a reservation, a user, a key
// and a webhook.
func (f *fault) furnish(t *testing.T, c *apptest.Client, mark, station string) *tenant {
	t.Helper()
	n := &apptest.Node{Client: c, HTTPAddr: f.open().HTTPAddr}
	x := &tenant{Client: c, mark: mark, ids: map[string]string{"stations": station}}
	c.Want(t, 201, "POST", "/stations", fmt.Sprintf(`{"id":%q,"strict":%t}`, station, f.strict))
	var token, session struct{ ID string }
	c.Want(t, 201, "POST", "/tokens", `{"uid":"`+mark+`","note":"`+mark+`"}`).Into(t, &token)
	x.ids["tokens"] = token.ID
	var user, key struct{ ID string }
	c.Want(t, 201, "POST", "/users", `{"email":"`+strings.ToLower(mark)+`@example.org","name":"`+mark+`","role":"viewer"}`).Into(t, &user)
	c.Want(t, 201, "POST", "/api-keys", `{"name":"`+mark+`","role":"viewer"}`).Into(t, &key)
	x.ids["users"], x.ids["api-keys"] = user.ID, key.ID
	var hook struct{ ID string }
	c.Want(t, 201, "POST", "/webhooks", `{"url":"https://example.org/`+mark+`","description":"`+mark+`","types":["webhook.paused"]}`).Into(t, &hook)
	x.ids["webhooks"] = hook.ID
	x.s = n.Dial(t, station, f.version, apptest.Dial{})
	x.s.Ask(f.by(call("boot", "BootNotification", `{"chargePointVendor":"`+mark+`","chargePointModel":"M"}`),
		call("boot", "BootNotification", `{"reason":"PowerUp","chargingStation":{"vendorName":"`+mark+`","model":"M"}}`)), `[3,"boot","<any>"]`)
	x.s.Ask(call("d", "DataTransfer", `{"vendorId":"`+mark+`"}`), `[3,"d","<any>"]`)
	x.s.Ask(f.by(call("s", "StatusNotification", `{"connectorId":1,"errorCode":"NoError","status":"Available","info":"`+mark+`"}`),
		call("s", "StatusNotification", `{"timestamp":"`+stamp(0)+`","connectorStatus":"Available","evseId":1,"connectorId":1}`)), `[3,"s",{}]`)
	x.measure(f, "m0") // before any charge: it must not be taken for one of a former owner
	if f.is16() {
		x.s.Ask(call("c", "StatusNotification", `{"connectorId":1,"errorCode":"NoError","status":"Charging"}`), `[3,"c",{}]`)
	}
	x.s.Ask(strings.Replace(f.begun("a", stamp(30), ""), `"TAG"`, `"`+mark+`"`, 1), `[3,"a","<any>"]`)
	x.measure(f, "m1")
	var list struct{ Items []struct{ ID string } }
	c.Get(t, "/sessions?station="+station, &list)
	if len(list.Items) != 1 {
		t.Fatalf("%s has %d sessions", mark, len(list.Items))
	}
	session.ID = list.Items[0].ID
	x.ids["sessions"] = session.ID
	p := c.Begin("POST", "/stations/"+station+"/commands/ReserveNow?wait=15s", `{"id":5,"expiryDateTime":"2030-01-01T00:00:00Z","evseId":1,"idToken":{"idToken":"`+mark+`","type":"Central"}}`)
	x.s.Send(`[3,"` + frameID(t, x.s.Next()) + `",{"status":"Accepted"}]`)
	var command struct{ ID string }
	p.Wait(t).Into(t, &command)
	x.ids["commands"] = command.ID
	return x
}

// measure sends a meter value that names no transaction.
func (x *tenant) measure(f *fault, id string) {
	x.s.Ask(call(id, "MeterValues", `{"`+f.by("connectorId", "evseId")+`":1,"meterValue":[{"timestamp":"`+stamp(0)+`","sampledValue":[{"value":`+
		f.by(`"`+x.reading()+`"`, x.reading())+`}]}]}`), `[3,"`+id+`",{}]`)
}

// reading is a meter value that nobody else has: its digits stand for the mark.
func (x *tenant) reading() string {
	sum := 0
	for _, c := range x.mark {
		sum = sum*31 + int(c)
	}
	return fmt.Sprint(7_000_000 + sum%900_000)
}

// faultOtherTenant: what belongs to another organisation does not exist, on any route, in any list, in any stream, and
// under any Idempotency-Key.
func faultOtherTenant(t *testing.T, f *fault) {
	n := f.open()
	mine, theirs := n.AddOrganisation(t, "mine", "owner"), n.AddOrganisation(t, "theirs", "owner")
	x := f.furnish(t, theirs, "MARK"+strings.ReplaceAll(f.id(), "-", ""), f.id())
	nobody := map[string]string{"stations": "NOBODY-HERE"}
	for _, kind := range []string{"tokens", "sessions", "commands", "users", "api-keys", "webhooks"} {
		nobody[kind] = "0199a000-0000-7000-8000-000000000000"
	}
	live, theirLive := mine.Listen(t, "/events"), theirs.Listen(t, "/events")
	for _, o := range operations(t, n) {
		if strings.HasPrefix(o.path, "/auth/") { // only of the caller
			continue
		}
		path := o.at(t, x.ids)
		switch {
		case path == "":
		case path != o.path: // of one object
			compareUnknown(t, o, mine, path, o.at(t, nobody), x.ids, nobody)
		case o.method == "GET" && !o.streams():
			if r := mine.Do(t, "GET", path, ""); x.in(o.told(r.Body)) {
				t.Errorf("%s shows another organisation's: %s", path, r.Body)
			}
			for _, query := range []string{"station=" + x.ids["stations"], "search=" + x.mark, "uid=" + x.mark} {
				if r := mine.Do(t, "GET", path+"?"+query, ""); x.in(o.told(r.Body)) {
					t.Errorf("%s?%s shows another organisation's: %s", path, query, r.Body)
				}
			}
		}
	}
	for kind := range x.ids { // nothing was changed meanwhile
		for _, o := range operations(t, n) {
			if o.method == "GET" && o.path == "/"+kind+"/{id}" {
				theirs.Want(t, 200, "GET", o.at(t, x.ids), "")
			}
		}
	}
	first := theirs.Want(t, 201, "POST", "/tokens", `{"uid":"`+x.mark+`-2"}`, "Idempotency-Key: "+x.mark)
	second := mine.Want(t, 201, "POST", "/tokens", `{"uid":"`+x.mark+`-2"}`, "Idempotency-Key: "+x.mark)
	if first.Body == second.Body || second.Header.Get("Idempotent-Replayed") != "" {
		t.Error("an Idempotency-Key gave another organisation's answer")
	}
	x.s.Ask(call("e", "DataTransfer", `{"vendorId":"`+x.mark+`"}`), `[3,"e","<any>"]`)
	known := theirLive.Of("notice").ID
	resumed := mine.Listen(t, "/events", "Last-Event-ID: "+known) // an id that another organisation has seen
	mine.Want(t, 201, "POST", "/stations", `{"id":"`+f.id()+`"}`)
	for _, stream := range []*apptest.Events{live, resumed} {
		stream.Next("my own event", func(e apptest.Event) bool {
			if x.in(e.Data) {
				t.Errorf("another organisation's event: %s", e.Data)
			}
			return e.Type == "station.accepted"
		})
	}
}

// in reports whether a text tells something of the tenant.
func (x *tenant) in(text string) bool {
	if strings.Contains(text, x.mark) || strings.Contains(text, x.reading()) {
		return true
	}
	for _, id := range x.ids {
		if strings.Contains(text, `"`+id+`"`) {
			return true
		}
	}
	return false
}

// compareUnknown asks for another's object and for one that does not exist: the answers are the same, but for the id.
func compareUnknown(t *testing.T, o operation, c *apptest.Client, path, unknown string, ids, nobody map[string]string) {
	t.Helper()
	theirs, none := c.Do(t, o.method, path, o.body()), c.Do(t, o.method, unknown, o.body())
	said, want := theirs.Body, none.Body
	for kind, id := range ids {
		said, want = strings.ReplaceAll(said, id, "ID"), strings.ReplaceAll(want, nobody[kind], "ID")
	}
	if theirs.Status != 404 || none.Status != 404 || said != want || theirs.Header.Get("Content-Type") != none.Header.Get("Content-Type") {
		t.Errorf("%s %s: another's is %d %s\nan unknown one is %d %s", o.method, o.path, theirs.Status, theirs.Body, none.Status, none.Body)
	}
}

// everything is what a tenant can read of its objects by all operations of the API.
func (x *tenant) everything(t *testing.T, n *apptest.Node) string {
	t.Helper()
	var all strings.Builder
	for _, o := range operations(t, n) {
		if o.method != "GET" || o.streams() || strings.HasPrefix(o.path, "/auth/") {
			continue
		}
		path := o.at(t, x.ids)
		for _, query := range []string{"", "?from=1971-01-01T00:00:00Z&limit=1000", "?search=A&from=1971-01-01T00:00:00Z"} {
			fmt.Fprintf(&all, "GET %s%s\n%s\n", path, query, x.Do(t, "GET", path+query, "").Body)
		}
	}
	return all.String()
}

// TestSoldStation: a station that one organisation has removed and another has made known takes nothing along, and what it
// says from then on is told to its new owner only.
func TestSoldStation(t *testing.T) {
	t.Parallel()
	nodes := newFaultNodes(t)
	for _, version := range []string{"1.6", "2.0.1", "2.1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			playSale(t, &fault{faultCase: faultCase{ID: "SOLD"}, faultNodes: nodes, version: version})
		})
	}
}

func playSale(t *testing.T, f *fault) {
	n := f.open()
	station := f.id()
	seller := f.furnish(t, n.AddOrganisation(t, "seller", "owner"), "SELLER"+strings.ReplaceAll(station, "-", ""), station)
	events, frames := seller.Listen(t, "/events"), seller.Listen(t, "/stations/"+station+"/frames/live")
	seller.s.Quiet()
	frames.Of("frame")
	seller.Want(t, 204, "DELETE", "/stations/"+station, "")
	if code, reason := seller.s.WaitClosed(); code != 1000 || !strings.Contains(reason, "removed") {
		t.Errorf("the link of the removed station: %d %s", code, reason)
	}
	buyer := f.furnish(t, n.AddOrganisation(t, "buyer", "owner"), "BUYER"+strings.ReplaceAll(station, "-", ""), station)
	if of(t, buyer, "commands") == of(t, seller, "commands") || buyer.ids["sessions"] == seller.ids["sessions"] {
		t.Error("they share an object")
	}
	if got := buyer.everything(t, n); strings.Contains(got, seller.mark) || strings.Contains(got, seller.reading()) || strings.Contains(got, seller.ids["sessions"]) {
		t.Errorf("the new owner sees what was before:\n%s", around(got, seller))
	}
	delete(seller.ids, "stations")
	seller.ids["stations"] = station // it is a stranger's now
	if got := seller.everything(t, n); strings.Contains(got, buyer.mark) || strings.Contains(got, buyer.reading()) || strings.Contains(got, buyer.ids["sessions"]) {
		t.Errorf("the former owner sees what came after:\n%s", around(got, buyer))
	}
	seller.Want(t, 200, "GET", "/sessions/"+seller.ids["sessions"], "") // its own stays
	seller.Want(t, 404, "GET", "/stations/"+station, "")
	buyer.s.Quiet()
	wantNone(t, "events", seller, events, buyer)
	wantNone(t, "frames", seller, frames, buyer)
}

func of(t *testing.T, x *tenant, kind string) string {
	t.Helper()
	return x.Want(t, 200, "GET", "/"+kind+"/"+x.ids[kind], "").Body
}

// around is the first place of a text that tells of a tenant.
func around(text string, x *tenant) string {
	for _, word := range []string{x.mark, x.reading(), x.ids["sessions"]} {
		if i := strings.Index(text, word); i >= 0 {
			route := strings.LastIndex(text[:i], "\nGET ")
			return text[max(0, route):min(len(text), route+80)] + " … " + text[max(0, i-200):min(len(text), i+100)]
		}
	}
	return ""
}

// wantNone makes sure that a stream, whose end is marked by an event of its owner, has told nothing of another tenant.
func wantNone(t *testing.T, what string, owner *tenant, stream *apptest.Events, other *tenant) {
	t.Helper()
	stream.Close()
	for e := range stream.C() {
		if strings.Contains(e.Data, other.mark) || strings.Contains(e.Data, other.ids["sessions"]) {
			t.Errorf("%s still hears %s of the station: %s", owner.mark, what, e.Data)
		}
	}
}

// TestStreamsOfStrangers: a stream of another's station is refused like one of a station that does not exist.
func TestStreamsOfStrangers(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	n.Want(t, 201, "POST", "/stations", `{"id":"THEIRS"}`)
	c := n.AddOrganisation(t, "mine", "owner")
	answer := func(id string) string {
		req, err := c.Request(context.Background(), http.MethodGet, "/stations/"+id+"/frames/live", "")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }() // read to its end
		raw, err := io.ReadAll(resp.Body)
		if err != nil || !json.Valid(raw) {
			t.Fatalf("%s: %v", raw, err)
		}
		return strings.ReplaceAll(resp.Status+string(raw), id, "ID")
	}
	if theirs, none := answer("THEIRS"), answer("NOBODY"); theirs != none || !strings.HasPrefix(theirs, "404") {
		t.Errorf("%s\n%s", theirs, none)
	}
}
