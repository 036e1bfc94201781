package app_test

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"lumela/internal/account"
	"lumela/internal/app/apptest"
)

// scenario is one request and what must come back. Scenarios of a table are played in their order on one node.
type scenario struct {
	method, path, body string
	status             int
	pattern            string // of the answer, see apptest.Match; "" for any
	headers            []string
}

// problemPattern is an RFC 9457 problem of a status.
func problemPattern(status, field string) string {
	p := `{"type":"about:blank","title":"<text>","status":` + status
	if field != "" {
		p += `,"detail":"<text>","errors":[{"message":"<text>","location":"` + field + `"}]}`
		return p
	}
	return p + `,"<more>":""}`
}

// playScenarios plays a table, and holds every answer to the rules of all: problems are RFC 9457, everything else JSON.
func playScenarios(t *testing.T, c *apptest.Client, table []scenario) {
	t.Helper()
	for _, s := range table {
		r := c.Do(t, s.method, s.path, s.body, s.headers...)
		where := s.method + " " + s.path + " " + s.body
		if r.Status != s.status {
			t.Errorf("%s: status %d, want %d\n%s", where, r.Status, s.status, r.Body)
			continue
		}
		typ := r.Header.Get("Content-Type")
		switch {
		case r.Status >= 400:
			if typ != "application/problem+json" {
				t.Errorf("%s: the problem is %q: %s", where, typ, r.Body)
			}
			if _, err := apptest.Match(`{"type":"<text>","title":"<text>","status":"<any>","<more>":""}`, r.Body); err != nil {
				t.Errorf("%s: no problem as RFC 9457 has it: %v\n%s", where, err, r.Body)
			}
		case r.Status == http.StatusNoContent:
			if r.Body != "" {
				t.Errorf("%s: 204 with %s", where, r.Body)
			}
		case typ != "application/json":
			t.Errorf("%s: the answer is %q", where, typ)
		}
		if s.pattern == "" {
			continue
		}
		if _, err := apptest.Match(s.pattern, r.Body); err != nil {
			t.Errorf("%s: %v\n got %s\nwant %s", where, err, r.Body, s.pattern)
		}
	}
}

func TestAPIStations(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	n.Dial(t, "LIVE", "2.1", apptest.Dial{}).Boot("2.1")
	playScenarios(t, n.Client, []scenario{
		{"POST", "/stations", `{"id":"CP1"}`, 201, `{"id":"CP1","securityProfile":0,"admission":"accepted","online":false,"strict":false,"lastSeen":"<null>","createdAt":"<text>","<more>":""}`, nil},
		{"POST", "/stations", `{"id":"CP1"}`, 409, problemPattern("409", ""), nil},
		{"POST", "/stations", `{"id":"CP2","securityProfile":1}`, 201, `{"id":"CP2","securityProfile":1,"password":"<text>","<more>":""}`, nil},
		{"POST", "/stations", `{"id":"CP3","securityProfile":2,"password":"0123456789abcdef","strict":true}`, 201, `{"securityProfile":2,"strict":true,"<more>":""}`, nil},
		{"POST", "/stations", `{"id":"CP4","password":"short"}`, 422, problemPattern("422", "password"), nil},
		{"POST", "/stations", `{"id":"CP4","securityProfile":4}`, 422, problemPattern("422", "body.securityProfile"), nil},
		{"POST", "/stations", `{"id":"a:b"}`, 422, problemPattern("422", "id"), nil},
		{"POST", "/stations", `{"id":""}`, 422, problemPattern("422", "id"), nil},
		{"POST", "/stations", `{"id":".."}`, 422, problemPattern("422", "id"), nil},
		{"POST", "/stations", `{}`, 422, problemPattern("422", "body"), nil},
		{"POST", "/stations", `{"id":"CP4","colour":"red"}`, 422, "", nil},
		{"POST", "/stations", `{"id":`, 400, "", nil},
		{"POST", "/stations", `[]`, 422, "", nil},
		{"POST", "/stations", `{"id":7}`, 422, "", nil},
		{"GET", "/stations/CP1", "", 200, `{"id":"CP1","<more>":""}`, nil},
		{"GET", "/stations/NOBODY", "", 404, problemPattern("404", ""), nil},
		{"GET", "/stations?limit=2", "", 200, `{"items":[{"id":"CP1","<more>":""},{"id":"CP2","<more>":""}],"next":"<text>"}`, nil},
		{"GET", "/stations?limit=0", "", 422, problemPattern("422", "query.limit"), nil},
		{"GET", "/stations?limit=1001", "", 422, "", nil},
		{"GET", "/stations?cursor=nonsense!", "", 422, problemPattern("422", "cursor"), nil},
		{"GET", "/stations?online=true", "", 200, `{"items":[{"id":"LIVE","<more>":""}],"next":"<null>"}`, nil},
		{"GET", "/stations?online=perhaps", "", 422, "", nil},
		{"GET", "/stations?search=liv", "", 200, `{"items":[{"id":"LIVE","<more>":""}],"next":"<null>"}`, nil},
		{"GET", "/stations?search=%25", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations?status=Faulted", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations?admission=rejected", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"PATCH", "/stations/CP1", `{"strict":true}`, 200, `{"strict":true,"securityProfile":0,"<more>":""}`, nil},
		{"PATCH", "/stations/CP1", `{"securityProfile":2}`, 422, problemPattern("422", "securityProfile"), nil},
		{"PATCH", "/stations/CP1", `{"securityProfile":3}`, 200, `{"strict":true,"securityProfile":3,"<more>":""}`, nil},
		{"PATCH", "/stations/NOBODY", `{"strict":true}`, 404, "", nil},
		{"POST", "/stations/CP1/reject", "", 200, `{"admission":"rejected","<more>":""}`, nil},
		{"GET", "/stations?admission=rejected", "", 200, `{"items":[{"id":"CP1","<more>":""}],"next":"<null>"}`, nil},
		{"POST", "/stations/CP1/accept", "", 200, `{"admission":"accepted","<more>":""}`, nil},
		{"POST", "/stations/NOBODY/accept", "", 404, "", nil},
		{"POST", "/stations/CP1/unblock", "", 200, `{"id":"CP1","blocked":"<null>","<more>":""}`, nil},
		{"POST", "/stations/NOBODY/unblock", "", 404, "", nil},
		{"POST", "/stations/CP2/password", "", 200, `{"password":"<text>"}`, nil},
		{"POST", "/stations/CP2/password", `{"push":true}`, 409, problemPattern("409", ""), nil},
		{"POST", "/stations/CP2/password", `{"password":"fedcba9876543210"}`, 200, `{"password":"fedcba9876543210"}`, nil},
		{"POST", "/stations/CP2/password", `{"password":"tooshort"}`, 422, problemPattern("422", "password"), nil},
		{"POST", "/stations/NOBODY/password", "", 404, "", nil},
		{"GET", "/stations/CP1/variables", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations/CP1/status-history", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations/LIVE/link-history", "", 200, `{"items":[{"protocol":"2.1","disconnectedAt":"<null>","<more>":""}],"next":"<null>"}`, nil},
		{"GET", "/stations/CP1/notices", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations/CP1/commands", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations/CP1/frames", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/stations/CP1/frames?from=yesterday", "", 422, "", nil},
		{"GET", "/stations/NOBODY/frames", "", 404, "", nil},
		{"GET", "/stations/NOBODY/variables", "", 404, "", nil},
		{"GET", "/stations/NOBODY/commands", "", 404, "", nil},
		{"DELETE", "/stations/CP1", "", 204, "", nil},
		{"DELETE", "/stations/CP1", "", 404, "", nil},
		{"GET", "/stations/CP1", "", 404, "", nil},
	})
}

func TestAPITokensAndSessions(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	var token struct{ ID string }
	n.Want(t, 201, "POST", "/tokens", `{"uid":"A1"}`).Into(t, &token)
	playScenarios(t, n.Client, []scenario{
		{"POST", "/tokens", `{"uid":"a1"}`, 409, problemPattern("409", ""), nil},
		{"POST", "/tokens", `{"uid":"a1","type":"iso14443"}`, 201, `{"uid":"a1","type":"ISO14443","status":"active","group":"","validUntil":"<null>","<more>":""}`, nil},
		{"POST", "/tokens", `{"uid":"B","type":"Nonsense"}`, 422, problemPattern("422", "type"), nil},
		{"POST", "/tokens", `{"uid":""}`, 422, problemPattern("422", "body.uid"), nil},
		{"POST", "/tokens", `{"uid":"B","status":"asleep"}`, 422, problemPattern("422", "body.status"), nil},
		{"POST", "/tokens", `{"uid":"B","validUntil":"tomorrow"}`, 422, "", nil},
		{"GET", "/tokens/" + token.ID, "", 200, `{"uid":"A1","<more>":""}`, nil},
		{"GET", "/tokens?uid=A1", "", 200, `{"items":["<any>","<any>"],"next":"<null>"}`, nil},
		{"GET", "/tokens?limit=1", "", 200, `{"items":["<any>"],"next":"<text>"}`, nil},
		{"PATCH", "/tokens/" + token.ID, `{"status":"blocked","validUntil":"2030-01-01T00:00:00Z","note":"lost"}`, 200, `{"status":"blocked","validUntil":"2030-01-01T00:00:00Z","note":"lost","<more>":""}`, nil},
		{"PATCH", "/tokens/" + token.ID, `{"forever":true}`, 200, `{"status":"blocked","validUntil":"<null>","<more>":""}`, nil},
		{"PATCH", "/tokens/" + token.ID, `{"forever":true,"validUntil":"2030-01-01T00:00:00Z"}`, 422, problemPattern("422", "forever"), nil},
		{"PATCH", "/tokens/nobody", `{"note":"x"}`, 404, "", nil},
		{"DELETE", "/tokens/" + token.ID, "", 204, "", nil},
		{"GET", "/tokens/" + token.ID, "", 404, "", nil},
		{"DELETE", "/tokens/" + token.ID, "", 404, "", nil},
		{"GET", "/sessions", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/sessions?state=sleeping", "", 422, "", nil},
		{"GET", "/sessions/nobody", "", 404, "", nil},
		{"GET", "/sessions/nobody/meter-values", "", 404, "", nil},
		{"GET", "/sessions/nobody/frames", "", 404, "", nil},
		{"POST", "/sessions/nobody/stop", "", 404, "", nil},
		{"GET", "/sessions?cursor=AAAA", "", 422, problemPattern("422", "cursor"), nil},
		{"GET", "/reservations", "", 200, `{"items":[],"next":"<null>"}`, nil},
		{"GET", "/commands/nobody", "", 404, "", nil},
		{"GET", "/overview", "", 200, `{"stations":{"total":0,"online":0,"pending":0},"connectors":"<any>","sessions":{"active":0,"today":0},"energyTodayWh":0,"powerW":0}`, nil},
	})
}

// TestAPIPages walks through every list page by page: no item twice, none missing.
func TestAPIPages(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	const total = 7
	s := n.Dial(t, "S", "2.1", apptest.Dial{}).Boot("2.1")
	for i := range total {
		digit := string(rune('0' + i))
		n.Want(t, 201, "POST", "/stations", `{"id":"P`+digit+`"}`)
		n.Want(t, 201, "POST", "/tokens", `{"uid":"T`+digit+`"}`)
		s.Ask(call(digit, "TransactionEvent", `{"eventType":"Ended","timestamp":"`+stamp(60)+`","triggerReason":"Deauthorized","seqNo":0,"transactionInfo":{"transactionId":"X`+digit+`"},"evse":{"id":1}}`), `[3,"`+digit+`",{}]`)
	}
	for path, want := range map[string]int{"/stations": total + 1, "/tokens": total, "/sessions": total, "/stations/S/frames": 2 * (total + 1)} {
		apptest.Poll(t, path+" page by page", func() bool {
			seen, cursor := map[string]bool{}, ""
			for pages := 0; ; pages++ {
				var list struct {
					Items []map[string]any
					Next  *string
				}
				n.Get(t, path+"?limit=3"+cursor, &list)
				for _, item := range list.Items {
					key, _ := item["id"].(string)
					if text, ok := item["text"].(string); ok {
						key = text
					}
					if seen[key] {
						t.Fatalf("%s: %q comes twice", path, key)
					}
					seen[key] = true
				}
				if list.Next == nil {
					break
				}
				least := 3
				if strings.HasSuffix(path, "/frames") { // a call and its answer stay together
					least = 1
				}
				if len(list.Items) < least || len(list.Items) > 3 || pages > 40 {
					t.Fatalf("%s: page %d has %d items and a next one", path, pages, len(list.Items))
				}
				cursor = "&cursor=" + *list.Next
			}
			return len(seen) >= want // frames are written a moment later, and the reading of the device model is among them
		})
	}
}

func TestAPICommands(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t, apptest.With(short))
	old := n.Dial(t, "OLD", "1.6", apptest.Dial{}).Boot("1.6")
	n.Dial(t, "NEW", "2.1", apptest.Dial{}).Boot("2.1")
	n.Want(t, 201, "POST", "/stations", `{"id":"OFF"}`)
	apptest.Poll(t, "the device model to be asked for", func() bool {
		var list struct{ Items []map[string]any }
		n.Get(t, "/stations/NEW/commands", &list)
		return len(list.Items) > 0
	})
	playScenarios(t, n.Client, []scenario{
		{"POST", "/stations/NOBODY/commands/Reset", `{"type":"Immediate"}`, 404, problemPattern("404", ""), nil},
		{"POST", "/stations/OFF/commands/Reset", `{"type":"Immediate"}`, 409, `{"title":"Station is offline","status":409,"<more>":""}`, nil},
		{"POST", "/stations/OLD/commands/Nonsense", `{}`, 404, "", nil},
		{"POST", "/stations/OLD/commands/BootNotification", `{}`, 422, "", nil},
		{"POST", "/stations/OLD/commands/Reset", `{"type":"Now"}`, 422, problemPattern("422", "type"), nil},
		{"POST", "/stations/OLD/commands/Reset", `{}`, 422, problemPattern("422", "type"), nil},
		{"POST", "/stations/OLD/commands/Reset", `{"type":"Immediate","extra":1}`, 422, problemPattern("422", "extra"), nil},
		{"POST", "/stations/OLD/commands/Reset", `not json`, 422, "", nil},
		{"POST", "/stations/OLD/commands/Reset?wait=nonsense", `{"type":"Immediate"}`, 422, problemPattern("422", "wait"), nil},
		{"POST", "/stations/OLD/commands/Reset?wait=10h", `{"type":"Immediate"}`, 422, problemPattern("422", "wait"), nil},
		{"POST", "/stations/OLD/commands/SetDisplayMessage", `{"message":{"id":1,"priority":"AlwaysFront","message":{"format":"UTF8","content":"x"}}}`, 422,
			`{"title":"Not expressible","status":422,"detail":"<text>","<more>":""}`, nil},
		{"POST", "/stations/NEW/commands/ReserveNow", `{"id":1,"expiryDateTime":"soon","idToken":{"idToken":"T","type":"Central"}}`, 422, problemPattern("422", "expiryDateTime"), nil},
		{"POST", "/stations/NEW/commands/Reset?wait=100ms", `{"type":"Immediate"}`, 504, problemPattern("504", ""), nil},
		{"GET", "/stations/NEW/commands?limit=1", "", 200, `{"items":[{"action":"Reset","status":"timeout","error":"<text>","by":"key bootstrap","<more>":""}],"next":"<text>"}`, nil},
	})
	p := n.Begin("POST", "/stations/OLD/commands/ChangeAvailability?wait=10s", `{"operationalStatus":"Inoperative","evse":{"id":1}}`)
	id := old.Expect(`[2,"<id:call>","ChangeAvailability",{"connectorId":1,"type":"Inoperative"}]`)["call"]
	old.Send(`[3,"` + id + `",{"status":"Scheduled"}]`)
	if _, err := apptest.Match(`{"id":"<text>","status":"ok","response":{"status":"Scheduled"},"translation":[]}`, p.Wait(t).Body); err != nil {
		t.Error(err)
	}
}

func TestAPIIdempotency(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	other := n.AddOrganisation(t, "other", "owner")
	const key = "Idempotency-Key: once"
	first := n.Want(t, 201, "POST", "/tokens", `{"uid":"X"}`, key)
	again := n.Want(t, 201, "POST", "/tokens", `{"uid":"X"}`, key)
	if first.Body != again.Body || again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the answer is not the first one:\n%s\n%s\n%v", first.Body, again.Body, again.Header)
	}
	playScenarios(t, n.Client, []scenario{
		{"POST", "/tokens", `{"uid":"Y"}`, 422, problemPattern("422", "Idempotency-Key"), []string{key}},
		{"POST", "/stations", `{"id":"X"}`, 422, problemPattern("422", "Idempotency-Key"), []string{key}},
		{"POST", "/tokens", `{"uid":"Y"}`, 422, problemPattern("422", "Idempotency-Key"), []string{"Idempotency-Key: " + strings.Repeat("k", 256)}},
		{"POST", "/tokens", `{"uid":"Z"}`, 201, "", nil},
		{"POST", "/tokens", `{"uid":"Z"}`, 409, "", []string{"Idempotency-Key: two"}},
		{"POST", "/tokens", `{"uid":"Z"}`, 409, "", []string{"Idempotency-Key: two"}},
	})
	other.Want(t, 201, "POST", "/tokens", `{"uid":"Y"}`, key) // a key is its organisation's own

	s := n.Dial(t, "S", "2.1", apptest.Dial{}).Boot("2.1")
	p := n.Begin("POST", "/stations/S/commands/ClearCache", `{}`, "Idempotency-Key: cmd")
	id := s.Expect(`[2,"<id:call>","ClearCache",{}]`)["call"]
	n.Want(t, 409, "POST", "/stations/S/commands/ClearCache", `{}`, "Idempotency-Key: cmd")
	s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	done := p.Wait(t)
	if again := n.Want(t, 200, "POST", "/stations/S/commands/ClearCache", `{}`, "Idempotency-Key: cmd"); again.Body != done.Body {
		t.Errorf("the command was sent again: %s", again.Body)
	}
	s.Quiet()
}

func TestAPIErrors(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	playScenarios(t, n.Client, []scenario{
		{"GET", "/nowhere", "", 404, problemPattern("404", ""), nil},
		{"GET", "/", "", 404, problemPattern("404", ""), nil},
		{"GET", "/stations/", "", 404, problemPattern("404", ""), nil},
		{"GET", "/stations/a/b/c/d", "", 404, "", nil},
		{"PUT", "/stations", `{}`, 405, problemPattern("405", ""), nil},
		{"DELETE", "/overview", "", 405, "", nil},
		{"POST", "/docs", "", 404, "", nil},
	})
	if allow := n.Do(t, "PUT", "/stations", `{}`).Header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
		t.Errorf("Allow: %q", allow)
	}
	playScenarios(t, &apptest.Client{Base: n.Base}, []scenario{
		{"GET", "/stations", "", 401, problemPattern("401", ""), nil},
		{"POST", "/tokens", `{"uid":"X"}`, 401, "", nil},
		{"GET", "/events", "", 401, "", nil},
		{"GET", "/auth/me", "", 401, "", nil},
		{"GET", "/stations", "", 401, "", []string{"Authorization: Bearer wrong"}},
		{"GET", "/stations", "", 401, "", []string{"Authorization: Basic d3Jvbmc="}},
	})
	playScenarios(t, n.AddKey(t, string(account.Viewer)), []scenario{
		{"GET", "/stations", "", 200, "", nil},
		{"POST", "/stations", `{"id":"X"}`, 403, problemPattern("403", ""), nil},
		{"POST", "/tokens", `{"uid":"X"}`, 403, "", nil},
		{"DELETE", "/stations/X", "", 403, "", nil},
		{"POST", "/stations/X/commands/Reset", `{"type":"Immediate"}`, 403, "", nil},
	})
	for _, path := range []string{"//healthz", "//readyz", "//metrics"} {
		(&apptest.Client{Base: n.Base}).Want(t, 200, "GET", path, "")
	}
	if r := n.Do(t, "GET", "//ocpp/X", ""); r.Status != http.StatusUpgradeRequired {
		t.Errorf("a browser at a station's address: %d", r.Status)
	}
}

func TestAPISignIn(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &apptest.Client{Base: n.Base, HTTP: &http.Client{Jar: jar}}
	good := `{"email":" Owner@Lumela.local ","password":"` + n.Password + `"}`
	playScenarios(t, c, []scenario{
		{"POST", "/auth/sign-in", `{"email":"owner@lumela.local","password":"wrong"}`, 401, problemPattern("401", ""), nil},
		{"POST", "/auth/sign-in", `{"email":"nobody@lumela.local","password":"wrong"}`, 401, problemPattern("401", ""), nil},
		{"POST", "/auth/sign-in", `{"email":"no address","password":"wrong"}`, 422, problemPattern("422", "email"), nil},
		{"GET", "/auth/me", "", 401, "", nil},
		{"POST", "/auth/sign-in", good, 200, `{"user":{"email":"owner@lumela.local","name":"Owner","<more>":""},"organisation":{"id":"<text>","name":"<text>"},"role":"owner","permissions":"<any>"}`, nil},
		{"GET", "/auth/me", "", 200, `{"user":{"email":"owner@lumela.local","<more>":""},"organisation":"<any>","role":"owner","permissions":"<any>"}`, nil},
		{"GET", "/stations", "", 200, "", nil},
		{"POST", "/stations", `{"id":"X"}`, 403, problemPattern("403", ""), nil}, // as another site's page could send it
		{"POST", "/stations", `{"id":"X"}`, 201, "", []string{account.ConsoleHeader + ": 1"}},
		{"DELETE", "/stations/X", "", 204, "", []string{account.ConsoleHeader + ": 1"}},
		{"POST", "/auth/sign-out", "", 204, "", []string{account.ConsoleHeader + ": 1"}},
		{"GET", "/auth/me", "", 401, "", nil},
	})
	cookie := (&apptest.Client{Base: n.Base}).Want(t, 200, "POST", "/auth/sign-in", good).Header.Get("Set-Cookie")
	for _, part := range []string{"lumela_session=", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q has no %s", cookie, part)
		}
	}
	for range 12 { // guessing is slowed down, also for the right password
		c.Do(t, "POST", "/auth/sign-in", `{"email":"owner@lumela.local","password":"guess"}`)
	}
	playScenarios(t, c, []scenario{{"POST", "/auth/sign-in", good, 429, problemPattern("429", ""), nil}})
}

// TestAPITenants: what belongs to one organisation does not exist for another.
func TestAPITenants(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	other := n.AddOrganisation(t, "rival", "owner")
	s := n.Dial(t, "OURS", "2.1", apptest.Dial{}).Boot("2.1")
	s.Ask(call("1", "TransactionEvent", `{"eventType":"Started","timestamp":"`+stamp(60)+`","triggerReason":"CablePluggedIn","seqNo":0,"transactionInfo":{"transactionId":"T"},"evse":{"id":1}}`), `[3,"1",{}]`)
	_, session := sessions(t, n, "OURS")
	var token, command struct{ ID string }
	n.Want(t, 201, "POST", "/tokens", `{"uid":"X"}`).Into(t, &token)
	n.Want(t, 201, "POST", "/stations", `{"id":"OFF"}`)
	n.Want(t, 202, "POST", "/stations/OFF/commands/ClearCache?queue=true", `{}`).Into(t, &command)
	events := other.Listen(t, "/events")
	const nothing = `{"items":[],"next":"<null>"}`
	table := []scenario{
		{"GET", "/stations", "", 200, nothing, nil}, {"GET", "/tokens", "", 200, nothing, nil}, {"GET", "/sessions", "", 200, nothing, nil},
		{"GET", "/sessions?station=OURS", "", 200, nothing, nil}, {"GET", "/reservations?station=OURS", "", 200, nothing, nil},
		{"GET", "/overview", "", 200, `{"stations":{"total":0,"online":0,"pending":0},"sessions":{"active":0,"today":0},"<more>":""}`, nil},
		{"GET", "/tokens/" + token.ID, "", 404, "", nil}, {"PATCH", "/tokens/" + token.ID, `{"note":"x"}`, 404, "", nil}, {"DELETE", "/tokens/" + token.ID, "", 404, "", nil},
		{"GET", "/commands/" + command.ID, "", 404, "", nil},
		{"POST", "/stations/OURS/commands/Reset", `{"type":"Immediate"}`, 404, "", nil},
		{"POST", "/stations/OURS/commands/Reset?queue=true", `{"type":"Immediate"}`, 404, "", nil},
		{"PATCH", "/stations/OURS", `{"strict":true}`, 404, "", nil}, {"DELETE", "/stations/OURS", "", 404, "", nil},
		{"POST", "/stations/OURS/accept", "", 404, "", nil}, {"POST", "/stations/OURS/reject", "", 404, "", nil}, {"POST", "/stations/OURS/password", "", 404, "", nil},
	}
	for _, sub := range []string{"", "/variables", "/status-history", "/link-history", "/notices", "/frames", "/frames/live", "/commands"} {
		table = append(table, scenario{"GET", "/stations/OURS" + sub, "", 404, "", nil})
	}
	for _, sub := range []string{"", "/meter-values", "/frames"} {
		table = append(table, scenario{"GET", "/sessions/" + session.ID + sub, "", 404, "", nil})
	}
	playScenarios(t, other, append(table, scenario{"POST", "/sessions/" + session.ID + "/stop", "", 404, "", nil}))
	s.Quiet() // nothing of it reached the station
	n.Want(t, 201, "POST", "/stations", `{"id":"LATER"}`)
	other.Want(t, 201, "POST", "/stations", `{"id":"THEIRS"}`)
	if e := events.Next("any event", func(apptest.Event) bool { return true }); !strings.Contains(e.Data, "THEIRS") {
		t.Errorf("another organisation's event came: %s", e.Data)
	}
	other.Want(t, 409, "POST", "/stations", `{"id":"OURS"}`)
}

func TestAPIEvents(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	first := n.Listen(t, "/events")
	s := n.Dial(t, "S", "2.1", apptest.Dial{})
	online := first.Of("station.online")
	if _, err := apptest.Match(`{"id":"`+online.ID+`","type":"station.online","time":"<text>","station":"S","data":{"protocol":"2.1","<more>":""}}`, online.Data); err != nil {
		t.Errorf("%v: %s", err, online.Data)
	}
	s.Boot("2.1")
	first.Of("station.updated")
	first.Close()
	s.Ask(call("1", "StatusNotification", `{"timestamp":"`+stamp(0)+`","connectorStatus":"Occupied","evseId":2,"connectorId":1}`), `[3,"1",{}]`)
	s.Ask(call("2", "TransactionEvent", `{"eventType":"Started","timestamp":"`+stamp(60)+`","triggerReason":"CablePluggedIn","seqNo":0,"transactionInfo":{"transactionId":"T"},"evse":{"id":2}}`), `[3,"2",{}]`)
	again := n.Listen(t, "/events", "Last-Event-ID: "+online.ID) // what was missed comes first
	if e := again.Of("connector.status"); !strings.Contains(e.Data, `"evse":2`) || !strings.Contains(e.Data, "Occupied") {
		t.Errorf("%s", e.Data)
	}
	again.Of("session.started")
	s.Ask(call("3", "TransactionEvent", `{"eventType":"Ended","timestamp":"`+stamp(0)+`","triggerReason":"EVDeparted","seqNo":1,"transactionInfo":{"transactionId":"T"}}`), `[3,"3",{}]`)
	again.Of("session.ended")
	s.Cut()
	again.Of("station.offline")
	for _, unknown := range []string{"nonsense", "00000000-0000-4000-8000-000000000000"} {
		n.Listen(t, "/events?after="+unknown).Of("resync")
	}
	frames := n.Listen(t, "/stations/S/frames/live")
	back := n.Dial(t, "S", "2.1", apptest.Dial{})
	apptest.Poll(t, "the follower of frames to be known", func() bool {
		back.Quiet()
		select {
		case e := <-frames.C():
			return e.Type == "frame" && strings.Contains(e.Data, "Heartbeat")
		default:
			return false
		}
	})
}

// TestAPISecrets: no list, log or history shows a password.
func TestAPISecrets(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	for version, id := range map[string]string{"1.6": "OLD", "2.1": "NEW"} {
		s := n.Dial(t, id, version, apptest.Dial{}).Boot(version)
		p := n.Begin("POST", "/stations/"+id+"/commands/SetVariables", `{"setVariableData":[{"attributeValue":"top-secret-password","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}`)
		if version == "1.6" {
			call := s.Expect(`[2,"<id:call>","ChangeConfiguration",{"key":"AuthorizationKey","value":"<text>"}]`)["call"]
			s.Send(`[3,"` + call + `",{"status":"Accepted"}]`)
		} else {
			call := s.Expect(`[2,"<id:call>","SetVariables","<any>"]`)["call"]
			s.Send(`[3,"` + call + `",{"setVariableResult":[{"attributeStatus":"Accepted","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]`)
		}
		if r := p.Wait(t); r.Status != 200 {
			t.Errorf("%s: %d %s", version, r.Status, r.Body)
		}
		notes(t, n, id, `{"status":"Accepted"}`[:10])
		for _, path := range []string{"/stations/" + id, "/stations/" + id + "/frames?limit=1000", "/stations/" + id + "/commands", "/stations/" + id + "/variables", "/stations/" + id + "/notices"} {
			if body := n.Want(t, 200, "GET", path, "").Body; strings.Contains(body, "top-secret") || strings.Contains(body, "746f702d736563726574") {
				t.Errorf("%s shows the password: %s", path, body)
			}
		}
	}
}
