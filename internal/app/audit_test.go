package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"

	"lumela/internal/account"
	"lumela/internal/app"
	"lumela/internal/app/apptest"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// somebody is a path of an operation with ids that nobody has.
func (o operation) somebody() string {
	parts := strings.Split(o.path, "/")
	for i, p := range parts {
		if p == "{action}" {
			parts[i] = "Reset"
		} else if strings.HasPrefix(p, "{") {
			parts[i] = "0199a000-0000-7000-8000-000000000000"
		}
	}
	return strings.Join(parts, "/")
}

// status is that of an answer whose body may never end.
func status(t *testing.T, c *apptest.Client, method, path, body string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := c.Request(ctx, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // its status is all
	return resp.StatusCode
}

// TestAccessTable calls every operation of the API as every role: what the table forbids is refused, and what it allows is not.
func TestAccessTable(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	for _, role := range account.Roles {
		c := n.AddKey(t, string(role))
		for _, o := range operations(t, n) {
			if strings.HasPrefix(o.path, "/auth/") { // of the caller only
				if account.PermissionOf(o.method, o.path) != "" {
					t.Errorf("%s %s needs a permission", o.method, o.path)
				}
				continue
			}
			needs := account.PermissionOf(o.method, o.path)
			if !slices.ContainsFunc(account.Grants, func(g account.Grant) bool { return g.Permission == needs }) {
				t.Errorf("%s %s needs %q, which is not in the table of account.Grants: put it there", o.method, o.path, needs)
				continue
			}
			got := status(t, c, o.method, o.somebody(), "{}")
			if allowed := role.Has(needs); (got != http.StatusForbidden) != allowed || got == http.StatusUnauthorized {
				t.Errorf("%s %s as %s: %d; the table says %t (%s)", o.method, o.path, role, got, allowed, needs)
			}
		}
	}
}

// TestScopedKeys: a key with one scope may do what needs it, and nothing else.
func TestScopedKeys(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	ops := operations(t, n)
	for _, scope := range []account.Permission{account.StationsRead, account.StationsCommand, account.TokensWrite, account.AccountsWrite, account.AuditRead} {
		var made struct{ Key string }
		n.Want(t, 201, "POST", "/api-keys", `{"name":"narrow","role":"owner","scopes":["`+string(scope)+`"]}`).Into(t, &made)
		c := &apptest.Client{Base: n.Base, Key: made.Key}
		for _, o := range ops {
			needs := account.PermissionOf(o.method, o.path)
			if needs == "" {
				continue
			}
			if got := status(t, c, o.method, o.somebody(), "{}"); (got != http.StatusForbidden) != (needs == scope) {
				t.Errorf("%s %s with the scope %s: %d, it needs %s", o.method, o.path, scope, got, needs)
			}
		}
	}
}

// TestNothingSecretRecorded walks all changing operations with secrets under every name that looks like one, in the form that
// the description wants and in forms that it does not, and looks for them in the whole record.
func TestNothingSecretRecorded(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	var s struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Schema schema }
			}
		}
		Components struct{ Schemas map[string]schema }
	}
	n.Want(t, 200, "GET", "/openapi.json", "").Into(t, &s)
	const mark = "S3CR3T"
	names := []string{"password", "newPassword", "secret", "webhookSecret", "apiKey", "key", "token", "accessToken", "code", "recoveryCode", "pin", "privateKey", "signingSecret"}
	bodies := 0
	for path, methods := range s.Paths {
		for method, op := range methods {
			o := operation{strings.ToUpper(method), path}
			if o.method == "GET" || o.path == "/auth/sign-out" {
				continue
			}
			fill := map[string]any{}
			if body, ok := op.RequestBody.Content["application/json"]; ok {
				known := body.Schema
				if known.Ref != "" {
					known = s.Components.Schemas[known.Ref[strings.LastIndex(known.Ref, "/")+1:]]
				}
				for name, p := range known.Properties {
					fill[name] = p.example(mark, looksSecret(name))
				}
			}
			exact, err := json.Marshal(fill)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				fill[name] = mark + "-" + name
			}
			fill["deep"] = []any{map[string]any{"client_secret": mark, "url": "https://user:" + mark + "@example.org/"}}
			more, err := json.Marshal(fill)
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{string(exact), string(more), `password=` + mark, `[{"password":"` + mark + `"}]`} {
				n.Do(t, o.method, o.somebody()+"?apiKey="+mark+"&secret="+mark, body)
				if o.path != "/auth/sign-in" { // only attempts are recorded, not what is none
					bodies++
				}
			}
		}
	}
	n.Do(t, "POST", "/auth/sign-in", `{"email":"owner@lumela.local","password":"`+mark+`","code":"`+mark+`"}`)
	all := ""
	for _, e := range record(t, n.Client, "") {
		all += fmt.Sprintf("%+v\n", e)
	}
	if bodies < 80 || strings.Count(all, "\n") < bodies {
		t.Errorf("%d requests, %d entries", bodies, strings.Count(all, "\n"))
	}
	if i := strings.Index(all, mark); i >= 0 {
		t.Errorf("the record tells a secret: …%s…", all[max(0, i-400):i+20])
	}
	h := n.Count(t, `SELECT COUNT(*) FROM audit_entries WHERE request LIKE '%`+mark+`%' OR was LIKE '%`+mark+`%' OR became LIKE '%`+mark+`%' OR error LIKE '%`+mark+`%' OR path LIKE '%`+mark+`%'`)
	if h != 0 {
		t.Errorf("%d rows hold a secret", h)
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Enum       []any
	Format     string
	Properties map[string]schema
}

func looksSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"password", "secret", "key", "code"}, func(w string) bool { return strings.Contains(name, w) }) || name == "old" || name == "new"
}

// example is a value of a schema; texts hold the mark where they are secrets.
func (s schema) example(mark string, secret bool) any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "date-time":
		return "2040-01-01T00:00:00Z"
	case s.Type == "boolean":
		return true
	case s.Type == "integer" || s.Type == "number":
		return 1
	case s.Type == "array":
		return []any{}
	case s.Type == "object" || s.Ref != "":
		return map[string]any{}
	case secret:
		return mark + "-0123456789abcdef"
	}
	return "x"
}

type entry struct {
	ID, Who, Actor, Role, Address, Operation, Method, Path, Kind, Object, Station, Outcome, Error string
	Request, Before, After                                                                        map[string]any
	Status                                                                                        int
}

// record reads the whole record, page by page; query begins with &.
func record(t *testing.T, c *apptest.Client, query string) (out []entry) {
	t.Helper()
	cursor := ""
	for {
		var list struct {
			Items []json.RawMessage
			Next  *string
		}
		c.Get(t, "/audit?limit=50"+query+cursor, &list)
		for _, raw := range list.Items {
			var e entry
			_ = json.Unmarshal(raw, &e) // a request that is no object stays away
			out = append(out, e)
		}
		if list.Next == nil {
			return out
		}
		cursor = "&cursor=" + *list.Next
	}
}

// TestAuditTrail: what an operator does is told with its object before and after, on both engines.
func TestAuditTrail(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]apptest.Option{"sqlite": nil, "postgres": {apptest.OnPostgres()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playTrail(t, apptest.Start(t, options...))
		})
	}
}

func playTrail(t *testing.T, n *apptest.Node) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &apptest.Client{Base: n.Base, HTTP: &http.Client{Jar: jar}}
	const console = account.ConsoleHeader + ": 1"
	c.Want(t, 401, "POST", "/auth/sign-in", `{"email":"owner@lumela.local","password":"guess"}`)
	c.Want(t, 200, "POST", "/auth/sign-in", `{"email":"owner@lumela.local","password":"`+n.Password+`"}`)
	c.Want(t, 201, "POST", "/stations", `{"id":"S","password":"a-password-of-a-station"}`, console)
	c.Want(t, 200, "PATCH", "/stations/S", `{"strict":true}`, console)
	c.Want(t, 202, "POST", "/stations/S/commands/ClearCache?queue=true", `{}`, console)
	var token struct{ ID string }
	n.Want(t, 201, "POST", "/tokens", `{"uid":"T"}`, "Idempotency-Key: once").Into(t, &token)
	n.Want(t, 201, "POST", "/tokens", `{"uid":"T"}`, "Idempotency-Key: once")
	viewer := n.AddKey(t, "viewer")
	viewer.Want(t, 403, "DELETE", "/stations/S", "")
	c.Want(t, 204, "DELETE", "/stations/S", "", console)
	first := n.Want(t, 201, "POST", "/api-keys", `{"name":"K","role":"viewer"}`, "Idempotency-Key: key")
	again := n.Want(t, 201, "POST", "/api-keys", `{"name":"K","role":"viewer"}`, "Idempotency-Key: key")
	if !strings.Contains(first.Body, `"key":"lumela_`) || strings.Contains(again.Body, "lumela_") || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("shown once: %s, then %s", first.Body, again.Body)
	}
	c.Want(t, 204, "POST", "/auth/sign-out", "", console)
	got := record(t, n.Client, "")
	slices.Reverse(got)
	want := []string{"sign-in owner@lumela.local refused 401", "sign-in owner@lumela.local done 200", "create-station owner@lumela.local done 201 S",
		"patch-station owner@lumela.local done 200 S", "send-command owner@lumela.local done 202 S", "create-token key bootstrap done 201", "create-token key bootstrap replayed 201",
		"delete-station key viewer refused 403 S", "delete-station owner@lumela.local done 204 S", "create-api-key key bootstrap done 201", "create-api-key key bootstrap replayed 201",
		"sign-out owner@lumela.local done 204"}
	for i, e := range got {
		line := strings.TrimSpace(fmt.Sprintf("%s %s %s %d %s", e.Operation, e.Who, e.Outcome, e.Status, e.Station))
		if i >= len(want) || line != want[i] {
			t.Errorf("entry %d: %s", i, line)
		}
		if e.Address != "127.0.0.1" || e.ID == "" || e.Actor == "" {
			t.Errorf("%+v", e)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	patch := got[3]
	if patch.Before["strict"] != false || patch.After["strict"] != true || patch.Request["strict"] != true || patch.Object != "S" || patch.Path != "/stations/S" {
		t.Errorf("%+v", patch)
	}
	if got[2].Before != nil || got[2].After["id"] != "S" || got[8].Before["strict"] != true || got[8].After != nil || got[5].Object != token.ID {
		t.Errorf("%+v\n%+v\n%+v", got[2], got[8], got[5])
	}
	if cmd := got[4]; cmd.Kind != "commands" || cmd.Object == "" || cmd.Path != "/stations/S/commands/ClearCache?queue=true" {
		t.Errorf("%+v", cmd)
	}
	for query, count := range map[string]int{"&station=S": 5, "&who=owner@lumela.local": 7, "&operation=create-token": 2, "&object=" + token.ID: 2} {
		if list := record(t, n.Client, query); len(list) < 1 || query != "&object="+token.ID && len(list) != count {
			t.Errorf("%s: %d entries", query, len(list))
		}
	}
	if r := n.Want(t, 200, "GET", "/retention", ""); !strings.Contains(r.Body, `"class":"audit"`) || !strings.Contains(r.Body, `"period":"9600h0m0s"`) {
		t.Errorf("%s", r.Body)
	}
}

// TestRevokedEverywhere: keys, roles and sign-ins that are taken away on one node end on the others.
func TestRevokedEverywhere(t *testing.T) {
	t.Parallel()
	shared := dbtest.Fresh(t, db.Postgres).URL
	on := apptest.With(func(c *app.Config) { c.Database = shared })
	here, there := apptest.Start(t, on), apptest.Start(t, on)
	var key struct{ ID, Key string }
	here.Want(t, 201, "POST", "/api-keys", `{"name":"K","role":"viewer"}`).Into(t, &key)
	c := &apptest.Client{Base: there.Base, Key: key.Key}
	c.Want(t, 200, "GET", "/stations", "")
	here.Want(t, 204, "DELETE", "/api-keys/"+key.ID, "")
	apptest.Poll(t, "the key to end on the other node", func() bool { return c.Do(t, "GET", "/stations", "").Status == 401 })
}
