package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lumela/internal/app/apptest"
)

// faultHashCost: the check of a station's password is one HMAC-SHA256 over a random salt, 0.8 µs on one core, so that ten
// thousand stations that come back at once cost the node some 10 ms. A slow hash, as people's passwords have, would cost
// minutes.
func faultHashCost(t *testing.T, f *fault) {
	n := f.open()
	id, password := f.withPassword(t, n, 1)
	h, err := sql.Open("sqlite", "file:"+filepath.Join(n.Config.DataDir, "lumela.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }() // only read
	var salt, mac []byte
	if err := h.QueryRow(`SELECT password_salt, password_mac FROM stations WHERE id = $1`, id).Scan(&salt, &mac); err != nil {
		t.Fatal(err)
	}
	once := hmac.New(sha256.New, salt)
	once.Write([]byte(password))
	if len(salt) < 16 || !hmac.Equal(once.Sum(nil), mac) {
		t.Error("what is kept of a password is not one HMAC-SHA256 over a random salt")
	}
	n.Dial(t, id, f.version, apptest.Dial{Password: password}).Boot(f.version)
}

// faultGuessedTransactions: the numbers that 1.6 stations are given cannot be guessed, and whoever knows one can do nothing
// with it on another station.
func faultGuessedTransactions(t *testing.T, f *fault) {
	victim, thief := f.station(t), f.station(t)
	at := stamp(30)
	victim.Ask(f.begun("a", at, ""), `[3,"a","<any>"]`)
	_, session := sessions(t, f.open(), victim.ID)
	if f.is16() {
		number, err := strconv.Atoi(session.TransactionID)
		if err != nil || number >= 1 && number < 100_000 {
			t.Errorf("transaction %s", session.TransactionID)
		}
		// The same start of the same station on another installation has another number: it depends on a secret.
		elsewhere := f.approve()
		elsewhere.Want(t, 201, "POST", "/stations", `{"id":"`+victim.ID+`"}`)
		elsewhere.Dial(t, victim.ID, f.version, apptest.Dial{}).Boot(f.version).Ask(f.begun("a", at, ""), `[3,"a","<any>"]`)
		if _, other := sessions(t, elsewhere, victim.ID); other.TransactionID == session.TransactionID {
			t.Errorf("transaction %s on both", other.TransactionID)
		}
	}
	end := `{"eventType":"Ended","timestamp":"` + stamp(0) + `","triggerReason":"StopAuthorized","seqNo":1,"transactionInfo":{"transactionId":"` + session.TransactionID + `"}}`
	action := "TransactionEvent"
	if f.is16() {
		action, end = "StopTransaction", `{"transactionId":`+session.TransactionID+`,"meterStop":999999,"timestamp":"`+stamp(0)+`"}`
	}
	thief.Ask(call("b", action, end), `[3,"b","<any>"]`)
	if _, after := sessions(t, f.open(), victim.ID); after.ID != session.ID || after.State != "active" || after.EnergyWh != session.EnergyWh {
		t.Errorf("another station changed it: %+v", after)
	}
}

func faultTxProfile(t *testing.T, f *fault) {
	s := f.station(t)
	profile := func(more string) string {
		return `{"id":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative",` + more +
			`"chargingSchedule":[{"id":1,"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16}]}]}`
	}
	start := `{"idToken":{"idToken":"TAG","type":"Central"},"remoteStartId":1,"evseId":1,"chargingProfile":`
	for path, body := range map[string]string{
		"RequestStartTransaction": start + profile(`"transactionId":"tx-1",`) + `}`,
		"SetChargingProfile":      `{"evseId":1,"chargingProfile":` + profile("") + `}`,
	} {
		playScenarios(t, f.open().Client, []scenario{{"POST", "/stations/" + s.ID + "/commands/" + path, body, 422, problemPattern("422", "chargingProfile.transactionId"), nil}})
	}
	s.Quiet() // nothing was sent
	r := f.command(t, s, "RequestStartTransaction", start+profile("")+`}`, func(id, frame string) {
		if strings.Contains(frame, "transactionId") || !strings.Contains(frame, "TxProfile") {
			t.Errorf("sent %s", frame)
		}
		s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	})
	if r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	s.Ask(f.begun("a", stamp(0), ""), `[3,"a","<any>"]`)
	_, session := sessions(t, f.open(), s.ID)
	r = f.command(t, s, "SetChargingProfile", `{"evseId":1,"chargingProfile":`+profile(`"transactionId":"`+session.TransactionID+`",`)+`}`, func(id, frame string) {
		if !strings.Contains(frame, f.by(`"transactionId":`+session.TransactionID, `"transactionId":"`+session.TransactionID+`"`)) {
			t.Errorf("sent %s", frame)
		}
		s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	})
	if r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func faultPull(t *testing.T, f *fault) {
	s := f.station(t)
	for i, profile := range []string{"1", "0", "-7", "2147483647"} {
		id := fmt.Sprint("p", i)
		s.Ask(call(id, "PullDynamicScheduleUpdate", `{"chargingProfileId":`+profile+`}`), `[3,"`+id+`",{"status":"Rejected","statusInfo":{"reasonCode":"InvalidProfileId"}}]`)
	}
}

// modelRequest waits for the request by which the node reads the device model: its message id and request id, 0 for 1.6.
func modelRequest(t *testing.T, s *apptest.Station) (id string, request int) {
	t.Helper()
	frame := s.Next()
	var parts []json.RawMessage
	var body struct{ RequestID int }
	if err := json.Unmarshal([]byte(frame), &parts); err != nil || len(parts) != 4 || json.Unmarshal(parts[3], &body) != nil {
		t.Fatal(frame)
	}
	if action := frameAction(t, frame); action != "GetBaseReport" && action != "GetConfiguration" {
		t.Fatalf("asked for %s", action)
	}
	return frameID(t, frame), body.RequestID
}

// faultLongReport: 5,000 variables in 200 messages, of which one is lost. 1.6 has them in one answer.
func faultLongReport(t *testing.T, f *fault) {
	const messages, each, lost = 200, 25, 77
	s := f.dial(t, apptest.Dial{Manual: true}).Boot(f.version)
	id, request := modelRequest(t, s)
	if f.is16() {
		var keys []string
		for i := range messages * each {
			keys = append(keys, fmt.Sprintf(`{"key":"Vendor.Key%d","readonly":false,"value":"%d"}`, i, i))
		}
		s.Send(`[3,"` + id + `",{"configurationKey":[` + strings.Join(keys, ",") + `]}]`)
	} else {
		s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
		report := func(request, n int) {
			var data []string
			for i := range each {
				data = append(data, reportData("Vendor", fmt.Sprint("Variable", n*each+i), "v"))
			}
			message := fmt.Sprintf("r%d-%d", request, n)
			s.Ask(call(message, "NotifyReport", fmt.Sprintf(`{"requestId":%d,"generatedAt":"%s","seqNo":%d,"tbc":%t,"reportData":[%s]}`,
				request, stamp(0), n, n < messages-1, strings.Join(data, ","))), `[3,"`+message+`",{}]`)
		}
		for n := range messages {
			if n != lost {
				report(request, n)
			}
		}
		id, again := modelRequest(t, s) // it is asked for again
		if again == request {
			t.Error("the same number again")
		}
		if view := f.view(t, s.ID); view.ModelReadAt != nil {
			t.Error("a report with a hole counts as read")
		}
		s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
		for n := range messages {
			report(again, n)
		}
	}
	apptest.Poll(t, "the whole report to count", func() bool { return f.view(t, s.ID).ModelReadAt != nil })
	var vars struct{ Items []struct{ Component string } }
	f.open().Get(t, "/stations/"+s.ID+"/variables?component="+f.by("", "Vendor"), &vars)
	if len(vars.Items) < messages*each {
		t.Errorf("%d variables", len(vars.Items))
	}
	s.Quiet() // it is asked no more
}

type modelView struct{ ModelReadAt *string }

func (f *fault) view(t *testing.T, id string) (v modelView) {
	t.Helper()
	f.open().Get(t, "/stations/"+id, &v)
	return v
}

// faultLongList: a list goes out in messages of the size that the station can take, or not at all.
func faultLongList(t *testing.T, f *fault) {
	s := f.dial(t, apptest.Dial{Manual: true}).Boot(f.version)
	id, request := modelRequest(t, s)
	if f.is16() {
		s.Send(`[3,"` + id + `",{"configurationKey":[{"key":"SendLocalListMaxLength","readonly":true,"value":"10"},{"key":"LocalAuthListMaxLength","readonly":true,"value":"25"}]}]`)
	} else {
		s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
		s.Ask(call("r", "NotifyReport", fmt.Sprintf(`{"requestId":%d,"generatedAt":"%s","seqNo":0,"reportData":[%s,%s]}`, request, stamp(0),
			reportData("LocalAuthListCtrlr", "ItemsPerMessage", "10"),
			`{"component":{"name":"LocalAuthListCtrlr"},"variable":{"name":"Entries"},"variableAttribute":[{"value":"0"}],"variableCharacteristics":{"dataType":"integer","maxLimit":25,"supportsMonitoring":false}}`)),
			`[3,"r",{}]`)
	}
	apptest.Poll(t, "the device model", func() bool { return f.view(t, s.ID).ModelReadAt != nil })
	list := func(n, version int) string {
		var tokens []string
		for i := range n {
			tokens = append(tokens, fmt.Sprintf(`{"idToken":{"idToken":"TAG%03d","type":"ISO14443"},"idTokenInfo":{"status":"Accepted"}}`, i))
		}
		return fmt.Sprintf(`{"versionNumber":%d,"updateType":"Full","localAuthorizationList":[%s]}`, version, strings.Join(tokens, ","))
	}
	for body, limit := range map[string]string{list(26, 7): "25", list(25, 2): "at least 3"} {
		r := f.open().Want(t, 422, "POST", "/stations/"+s.ID+"/commands/SendLocalList", body)
		if !strings.Contains(r.Body, limit) {
			t.Errorf("the limit is not named: %s", r.Body)
		}
	}
	s.Quiet() // nothing was sent
	p := f.open().Begin("POST", "/stations/"+s.ID+"/commands/SendLocalList", list(25, 7))
	for i, want := range []struct {
		kind  string
		count int
	}{{"Full", 10}, {"Differential", 10}, {"Differential", 5}} {
		frame := s.Next()
		version := fmt.Sprintf(`"%s":%d`, f.by("listVersion", "versionNumber"), 5+i)
		if strings.Count(frame, "TAG") != want.count || !strings.Contains(frame, `"updateType":"`+want.kind+`"`) || !strings.Contains(frame, version) {
			t.Errorf("message %d: %s", i, frame)
		}
		s.Send(`[3,"` + frameID(t, frame) + `",{"status":"Accepted"}]`)
	}
	if r := p.Wait(t); r.Status != 200 || !strings.Contains(r.Body, `"status":"Accepted"`) || !strings.Contains(r.Body, "sent in 3 messages") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

// faultSameIDs: a station that uses our message ids for its own calls confuses nobody.
func faultSameIDs(t *testing.T, f *fault) {
	s := f.station(t)
	seen := map[string]bool{}
	for range 5 {
		r := f.command(t, s, "ClearCache", `{}`, func(id, _ string) {
			if seen[id] {
				t.Errorf("id %s twice", id)
			}
			seen[id] = true
			s.Ask(call(id, "Heartbeat", `{}`), `[3,"`+id+`",{"currentTime":"<time>"}]`)
			s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
		})
		if r.Status != 200 || !strings.Contains(r.Body, `"Accepted"`) {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	s.Send(`[3,"nobody-asked",{"status":"Accepted"}]`) // an answer to nothing goes nowhere
	s.Quiet()
}

// faultNoEquivalent: what a station's version cannot say is refused with the reason, or said in another way; both are told.
func faultNoEquivalent(t *testing.T, f *fault) {
	s := f.station(t)
	type order struct{ action, body string }
	unknown := map[string]order{
		"1.6":   {"SetDisplayMessage", `{"message":{"id":1,"priority":"AlwaysFront","message":{"format":"UTF8","content":"x"}}}`},
		"2.0.1": {"ClearTariffs", `{}`},
	}
	if o, ok := unknown[f.version]; ok {
		r := f.open().Want(t, 422, "POST", "/stations/"+s.ID+"/commands/"+o.action, o.body)
		if _, err := apptest.Match(`{"title":"Not expressible","detail":"<text>","<more>":""}`, r.Body); err != nil {
			t.Errorf("%v: %s", err, r.Body)
		}
		s.Quiet() // nothing was sent
		var list struct {
			Items []struct{ Action, Status, Error string }
		}
		f.open().Get(t, "/stations/"+s.ID+"/commands", &list)
		recorded := false
		for _, c := range list.Items {
			recorded = recorded || c.Action == o.action && c.Status == "failed" && c.Error != ""
		}
		if !recorded {
			t.Errorf("the record: %+v", list.Items)
		}
	}
	lossy := map[string]order{
		"1.6": {"RequestStartTransaction", `{"idToken":{"idToken":"TAG","type":"Central"},"remoteStartId":1,"evseId":1,"groupIdToken":{"idToken":"GROUP","type":"Central"}}`},
	}
	if o, ok := lossy[f.version]; ok {
		r := f.command(t, s, o.action, o.body, func(id, _ string) { s.Send(`[3,"` + id + `",{"status":"Accepted"}]`) })
		if r.Status != 200 || !strings.Contains(r.Body, `"kind":"lost"`) {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	s.Ask(call("x", "NotYetInvented", `{}`), callError("x", "NotImplemented")) // in the other direction, and in 2.1
}
