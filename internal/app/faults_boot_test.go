package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lumela/internal/app/apptest"
)

// faultBeforeBoot: OCPP-J 1.6 errata 3.10, OCPP 2.0.1 B01.FR.10.
func faultBeforeBoot(t *testing.T, f *fault) {
	s := f.dial(t, apptest.Dial{})
	s.Ask(f.status("a", 1), callError("a", "SecurityError"))
	s.Ask(f.begun("b", stamp(1), ""), callError("b", "SecurityError"))
	if count, _ := sessions(t, f.open(), s.ID); count != 0 {
		t.Errorf("%d sessions", count)
	}
	s.Boot(f.version).Ask(f.status("c", 1), `[3,"c",{}]`)
}

// pending is a station in the waiting room of the approving node.
func (f *fault) pending(t *testing.T, d apptest.Dial) *apptest.Station {
	t.Helper()
	s := f.approve().Dial(t, f.id(), f.version, d)
	if f.strict {
		f.approve().Want(t, 200, "PATCH", "/stations/"+s.ID, `{"strict":true}`)
		s = f.approve().Dial(t, s.ID, f.version, d)
	}
	s.Ask(apptest.BootFrame(f.version), `[3,"boot",{"status":"Pending","currentTime":"<time>","interval":"<any>"}]`)
	return s
}

// faultPendingTriggered: OCPP 2.0.1 B02.FR.02, OCPP 2.0.1 B02.FR.09.
func faultPendingTriggered(t *testing.T, f *fault) {
	s := f.pending(t, apptest.Dial{})
	s.Ask(f.status("a", 1), callError("a", "SecurityError"))
	p := f.approve().Begin("POST", "/stations/"+s.ID+"/commands/TriggerMessage", `{"requestedMessage":"StatusNotification","evse":{"id":1,"connectorId":1}}`)
	id := s.Expect(`[2,"<id:call>","TriggerMessage","<any>"]`)["call"]
	s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	s.Ask(f.status("b", 1), `[3,"b",{}]`)
	if r := p.Wait(t); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if f.is16() {
		return
	}
	p = f.approve().Begin("POST", "/stations/"+s.ID+"/commands/GetReport", `{"requestId":7}`)
	id = s.Expect(`[2,"<id:call>","GetReport",{"requestId":7}]`)["call"]
	s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	s.Ask(call("r", "NotifyReport", `{"requestId":7,"generatedAt":"`+stamp(0)+`","seqNo":0,"reportData":[{"component":{"name":"Controller"},"variable":{"name":"Model"},"variableAttribute":[{"value":"X"}]}]}`),
		`[3,"r",{}]`)
	if r := p.Wait(t); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	f.approve().Want(t, 409, "POST", "/stations/"+s.ID+"/commands/RequestStartTransaction", `{"remoteStartId":1,"idToken":{"idToken":"T","type":"Central"}}`)
}

// faultRejected: OCPP 2.0.1 B03.FR.07.
func faultRejected(t *testing.T, f *fault) {
	s := f.dial(t, apptest.Dial{})
	f.open().Want(t, 200, "POST", "/stations/"+s.ID+"/reject", "")
	s.Ask(apptest.BootFrame(f.version), `[3,"boot",{"status":"Rejected","currentTime":"<time>","interval":"<any>"}]`)
	s.Ask(call("a", "Heartbeat", `{}`), callError("a", "SecurityError"))
	s.Ask(f.begun("b", stamp(0), ""), callError("b", "SecurityError"))
	f.open().Want(t, 200, "POST", "/stations/"+s.ID+"/accept", "")
	s.Send(`[3,"` + s.Expect(`[2,"<id:call>","TriggerMessage",{"requestedMessage":"BootNotification"}]`)["call"] + `",{"status":"Accepted"}]`)
	s.Boot(f.version).Quiet()
}

func faultBootStorm(t *testing.T, f *fault) {
	s := f.station(t)
	events := f.open().Listen(t, "/events")
	began := time.Now()
	for i := range 100 {
		id := fmt.Sprint("b", i)
		s.Ask(strings.Replace(apptest.BootFrame(f.version), `"boot"`, `"`+id+`"`, 1), `[3,"`+id+`",{"status":"Accepted","currentTime":"<time>","interval":300}]`)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("100 boots took %s", took)
	}
	s.Quiet()
	wantSecurityEvent(events, s.ID)
	if n := f.open().Count(t, `SELECT COUNT(*) FROM events WHERE station_id = $1`, s.ID); n > 20 {
		t.Errorf("100 boots made %d events", n)
	}
}

func faultClock(t *testing.T, f *fault) {
	s := f.dial(t, apptest.Dial{})
	check := func(text, field string) {
		var frame []any
		apptest.Response{Body: text}.Into(t, &frame)
		said := frame[2].(map[string]any)[field].(string)
		at, err := time.Parse(time.RFC3339Nano, said)
		if diff := time.Since(at); err != nil || diff < -time.Second || diff > time.Second {
			t.Errorf("%s: %v off (%v)", said, diff, err)
		}
		if _, err := apptest.Match(`"<time>"`, quoted(said)); err != nil {
			t.Errorf("%s: not UTC with at most three digits: %v", said, err)
		}
	}
	s.Send(apptest.BootFrame(f.version))
	check(s.Next(), "currentTime")
	for i := range 20 { // a time without a fraction is seldom
		s.Send(call(fmt.Sprint("h", i), "Heartbeat", `{}`))
		check(s.Next(), "currentTime")
	}
}

// faultWaitingRoom: OCPP 2.1 A00.FR.806.
func faultWaitingRoom(t *testing.T, f *fault) {
	const password = "what it shows first"
	s := f.pending(t, apptest.Dial{Password: password, Obedient: true})
	s.Ask(f.begun("a", stamp(0), ""), callError("a", "SecurityError"))
	n := f.approve()
	var st struct {
		Admission       string
		SecurityProfile int
	}
	if n.Get(t, "/stations/"+s.ID, &st); st.Admission != "pending" || st.SecurityProfile != 1 {
		t.Errorf("%+v", st)
	}
	for _, other := range []string{"", "somebody else's!"} {
		if resp := n.Refused(t, s.ID, f.version, apptest.Dial{Password: other}); resp.StatusCode != 401 {
			t.Errorf("password %q: %s", other, resp.Status)
		}
	}
	n.Want(t, 409, "POST", "/stations/"+s.ID+"/commands/RequestStartTransaction", `{"remoteStartId":1,"idToken":{"idToken":"T","type":"Central"}}`)
	n.Want(t, 200, "POST", "/stations/"+s.ID+"/accept", "")
	s.Send(`[3,"` + s.Expect(`[2,"<id:call>","TriggerMessage",{"requestedMessage":"BootNotification"}]`)["call"] + `",{"status":"Accepted"}]`)
	s.Boot(f.version).Ask(f.begun("c", stamp(0), ""), `[3,"c","<any>"]`)
	given := s.Password()
	apptest.Poll(t, "the end of the password of the waiting room", func() bool {
		return n.Count(t, `SELECT COUNT(*) FROM stations WHERE id = $1 AND NOT rotate_password AND next_mac IS NULL`, s.ID) == 1
	})
	if resp := n.Refused(t, s.ID, f.version, apptest.Dial{Password: password}); resp.StatusCode != 401 {
		t.Errorf("what it showed in the waiting room: %s", resp.Status)
	}
	n.Dial(t, s.ID, f.version, apptest.Dial{Password: given}).Boot(f.version).Quiet()
}
