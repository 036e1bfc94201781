package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
	"lumela/internal/guardian"
)

// watchful are limits of the guardian that fit a test. Answers take part of a second on a machine that does other things.
func watchful(c *app.Config) {
	c.Guardian = guardian.Policy{Every: 20 * time.Millisecond, Answer: time.Second, NoEnergyAfter: time.Hour, EndSettle: 50 * time.Millisecond,
		BootSettle: 50 * time.Millisecond, GapSettle: 50 * time.Millisecond, QueuePause: 100 * time.Millisecond, QueuePauseMost: 100 * time.Millisecond,
		StuckAfter: time.Hour, StartWithin: 300 * time.Millisecond, StartGrace: 50 * time.Millisecond}
}

// guarded is a station on a node whose guardian is quick.
type guarded struct {
	t       *testing.T
	n       *apptest.Node
	st      *apptest.Station
	id      string
	version string
	pending []string // frames that came while another was waited for
	sent    int
	seqNo   int
	tx      string // the transaction id as JSON
}

// eachGuarded plays a story with a station of each version, lenient and strict.
func eachGuarded(t *testing.T, versions []string, play func(t *testing.T, g *guarded)) {
	t.Helper()
	t.Parallel()
	n := apptest.Start(t, apptest.With(watchful))
	n.Want(t, 201, "POST", "/tokens", `{"uid":"CARD","type":"ISO14443"}`)
	for _, version := range versions {
		for _, strict := range []bool{false, true} {
			name := version + map[bool]string{false: "-lenient", true: "-strict"}[strict]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := &guarded{t: t, n: n, id: name, version: version}
				n.Want(t, 201, "POST", "/stations", `{"id":"`+name+`"}`)
				n.Want(t, 200, "PATCH", "/stations/"+name, fmt.Sprintf(`{"strict":%t}`, strict))
				g.connect()
				play(t, g)
			})
		}
	}
}

var allVersions = []string{"1.6", "2.0.1", "2.1"}

func (g *guarded) connect() {
	g.t.Helper()
	g.st, g.pending = g.n.Dial(g.t, g.id, g.version, apptest.Dial{}).Boot(g.version), nil
}

func (g *guarded) is16() bool { return g.version == "1.6" }

// next gives the next frame that is wanted; others wait for their turn.
func (g *guarded) next(wanted func(f []json.RawMessage) bool) []json.RawMessage {
	g.t.Helper()
	split := func(text string) (f []json.RawMessage) {
		if err := json.Unmarshal([]byte(text), &f); err != nil || len(f) < 3 {
			g.t.Fatalf("no frame: %s", text)
		}
		return f
	}
	for i, text := range g.pending {
		if f := split(text); wanted(f) {
			g.pending = slices.Delete(g.pending, i, i+1)
			return f
		}
	}
	for {
		text := g.st.Next()
		f := split(text)
		if wanted(f) {
			return f
		}
		g.pending = append(g.pending, text)
	}
}

// say sends a request and gives the answer's payload.
func (g *guarded) say(action, payload string) string {
	g.t.Helper()
	g.sent++
	id := fmt.Sprintf("m%d", g.sent)
	g.st.Send(`[2,"` + id + `","` + action + `",` + payload + `]`)
	f := g.next(func(f []json.RawMessage) bool { return string(f[1]) == `"`+id+`"` })
	if string(f[0]) != "3" {
		g.t.Fatalf("%s %s: answered %s", action, payload, f)
	}
	return string(f[2])
}

// hear waits for a request of the node and answers it; the payload must hold some text.
func (g *guarded) hear(action, holds, answer string) {
	g.t.Helper()
	f := g.next(func(f []json.RawMessage) bool { return string(f[0]) == "2" && string(f[2]) == `"`+action+`"` })
	if !strings.Contains(string(f[3]), holds) {
		g.t.Fatalf("%s %s, want %s in it", action, f[3], holds)
	}
	g.st.Send(`[3,` + string(f[1]) + `,` + answer + `]`)
}

func millis(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// event sends a TransactionEvent of 2.x.
func (g *guarded) event(typ, trigger string, at time.Time, info, more string) {
	g.t.Helper()
	g.say("TransactionEvent", fmt.Sprintf(`{"eventType":%q,"timestamp":%q,"triggerReason":%q,"seqNo":%d,"transactionInfo":{"transactionId":%s%s}%s}`,
		typ, millis(at), trigger, g.seqNo, g.tx, info, more))
	g.seqNo++
}

func register2(at time.Time, wh int) string {
	return fmt.Sprintf(`,"meterValue":[{"timestamp":%q,"sampledValue":[{"value":%d}]}]`, millis(at), wh)
}

// start begins a transaction at 1000 Wh.
func (g *guarded) start(remote string) {
	g.t.Helper()
	now := time.Now()
	if g.is16() {
		var conf struct{ TransactionID int }
		answer := g.say("StartTransaction", fmt.Sprintf(`{"connectorId":1,"idTag":"CARD","meterStart":1000,"timestamp":%q}`, millis(now)))
		if err := json.Unmarshal([]byte(answer), &conf); err != nil || conf.TransactionID == 0 {
			g.t.Fatalf("StartTransaction answered %s", answer)
		}
		g.tx = fmt.Sprint(conf.TransactionID)
		return
	}
	g.tx, g.seqNo = `"tx-`+g.id+`"`, 0
	g.event("Started", "Authorized", now, `,"chargingState":"Charging"`+remote, `,"evse":{"id":1,"connectorId":1},"idToken":{"idToken":"CARD","type":"ISO14443"}`+register2(now, 1000))
}

// meter tells 1500 Wh, and when.
func (g *guarded) meter() time.Time {
	g.t.Helper()
	now := time.Now()
	if g.is16() {
		g.say("MeterValues", fmt.Sprintf(`{"connectorId":1,"transactionId":%s,"meterValue":[{"timestamp":%q,"sampledValue":[{"value":"1500"}]}]}`, g.tx, millis(now)))
		return now
	}
	g.event("Updated", "MeterValuePeriodic", now, "", register2(now, 1500))
	return now
}

// stop ends the transaction at 4000 Wh, which the station tells late.
func (g *guarded) stop(at time.Time) {
	g.t.Helper()
	if g.is16() {
		g.say("StopTransaction", fmt.Sprintf(`{"transactionId":%s,"meterStop":4000,"timestamp":%q,"reason":"EVDisconnected"}`, g.tx, millis(at)))
		return
	}
	g.event("Ended", "EVDeparted", at, `,"stoppedReason":"EVDisconnected"`, `,"offline":true`+register2(at, 4000))
}

func (g *guarded) free() {
	g.t.Helper()
	now := millis(time.Now())
	if g.is16() {
		g.say("StatusNotification", `{"connectorId":1,"errorCode":"NoError","status":"Available","timestamp":"`+now+`"}`)
		return
	}
	g.say("StatusNotification", `{"timestamp":"`+now+`","connectorStatus":"Available","evseId":1,"connectorId":1}`)
}

type watchedSession struct {
	ID, State, EndedAt, Billing string
	EnergyWh                    int
	Flags                       []struct {
		Code       string
		ResolvedAt *time.Time
	}
}

func (s watchedSession) flagged(code string) bool {
	for _, f := range s.Flags {
		if f.Code == code && f.ResolvedAt == nil {
			return true
		}
	}
	return false
}

// session is the station's only session, when it is as it shall be.
func (g *guarded) session(what string, ok func(s watchedSession) bool) watchedSession {
	g.t.Helper()
	var list struct{ Items []watchedSession }
	apptest.Poll(g.t, what, func() bool {
		g.n.Get(g.t, "/sessions?station="+g.id, &list)
		return len(list.Items) == 1 && ok(list.Items[0])
	})
	return list.Items[0]
}

func (g *guarded) ended(what string) watchedSession {
	g.t.Helper()
	return g.session(what, func(s watchedSession) bool { return s.State == "ended" })
}

// timeline reads the whole timeline in small pages: kinds of acts, and the types in their order.
func (g *guarded) timeline(id string) (acts, types []string) {
	g.t.Helper()
	cursor, last := "", time.Time{}
	for {
		var p struct {
			Items []struct {
				Type, Kind, Text, Who string
				At                    time.Time
			}
			Next *string
		}
		g.n.Get(g.t, "/sessions/"+id+"/timeline?limit=2"+cursor, &p)
		for _, e := range p.Items {
			if e.At.Before(last) || e.Text == "" || e.Who == "" {
				g.t.Fatalf("entry %+v after %v", e, last)
			}
			last = e.At
			types = append(types, e.Type)
			if e.Type == "act" {
				acts = append(acts, e.Kind)
			}
		}
		if p.Next == nil {
			return acts, types
		}
		cursor = "&cursor=" + *p.Next
	}
}

func (g *guarded) wantActs(id string, want ...string) {
	g.t.Helper()
	acts, types := g.timeline(id)
	for _, w := range want {
		if !slices.Contains(acts, w) {
			g.t.Fatalf("the timeline has acts %v (%v), want %v", acts, types, want)
		}
	}
}

// answersThatItIsOver plays a station that is asked what has become of its transaction.
func (g *guarded) answersThatItIsOver() {
	g.t.Helper()
	if g.is16() {
		g.hear("TriggerMessage", `"connectorId":1`, `{"status":"Accepted"}`)
		g.free()
		return
	}
	g.hear("GetTransactionStatus", g.tx, `{"ongoingIndicator":false,"messagesInQueue":false}`)
}

// TestPowerCut: the station starts again and has forgotten its transaction; days later it remembers.
func TestPowerCut(t *testing.T) {
	eachGuarded(t, allVersions, func(t *testing.T, g *guarded) {
		g.start("")
		last := g.meter()
		g.st.Cut()
		g.connect()
		g.answersThatItIsOver()
		s := g.ended("the orphaned session ends")
		if at, err := time.Parse(time.RFC3339, s.EndedAt); err != nil || !at.Equal(last.Truncate(time.Millisecond)) || s.EnergyWh != 500 || !s.flagged("end-unknown") || s.Billing == "ready" {
			t.Fatalf("%+v, want the end at %v", s, last)
		}
		g.wantActs(s.ID, "asked", "end-assumed")
		g.stop(last.Add(10 * time.Millisecond))
		g.session("the true end counts", func(s watchedSession) bool { return s.EnergyWh == 3000 && !s.flagged("end-unknown") })
		g.wantActs(s.ID, "asked", "end-assumed", "undone")
	})
}

// TestGoesOnAfterBoot: a transaction that the station goes on with is left alone.
func TestGoesOnAfterBoot(t *testing.T) {
	eachGuarded(t, allVersions, func(t *testing.T, g *guarded) {
		g.start("")
		g.st.Cut()
		g.connect()
		g.meter()
		// The next case of this station proves that the one of the boot is done with.
		var list struct{ Items []struct{ State string } }
		for range 3 {
			g.st.Quiet()
			g.n.Get(t, "/sessions?station="+g.id, &list)
			if len(list.Items) != 1 || list.Items[0].State != "active" {
				t.Fatalf("sessions %+v", list.Items)
			}
		}
		g.stop(time.Now())
		s := g.ended("the session ends")
		if s.EnergyWh != 3000 || s.flagged("end-unknown") {
			t.Fatalf("%+v", s)
		}
	})
}

// TestUnpluggedWithoutStop: the connector is free, and no end was reported.
func TestUnpluggedWithoutStop(t *testing.T) {
	eachGuarded(t, allVersions, func(t *testing.T, g *guarded) {
		g.start("")
		g.meter()
		g.free()
		g.answersThatItIsOver()
		s := g.ended("the session without an end ends")
		if s.EnergyWh != 500 || !s.flagged("end-unknown") {
			t.Fatalf("%+v", s)
		}
		g.wantActs(s.ID, "asked", "end-assumed")
	})
}

// TestClosedByHand: an operator ends a session, and the truth comes days later.
func TestClosedByHand(t *testing.T) {
	eachGuarded(t, allVersions, func(t *testing.T, g *guarded) {
		g.start("")
		last := g.meter()
		s := g.session("the session runs", func(s watchedSession) bool { return s.EnergyWh == 500 })
		path, body := "/sessions/"+s.ID+"/close", `{"reason":"the station was dug up"}`
		g.n.AddKey(t, "viewer").Want(t, 403, "POST", path, body)
		g.n.AddOrganisation(t, "other-"+g.id, "owner").Want(t, 404, "POST", path, body)
		g.n.Want(t, 422, "POST", path, `{"reason":""}`)
		asked := g.n.Begin("POST", path, body)
		if !g.is16() {
			g.hear("GetTransactionStatus", g.tx, `{"ongoingIndicator":true,"messagesInQueue":false}`)
		}
		if r := asked.Wait(t); r.Status != 409 {
			t.Fatalf("closed while it runs: %d %s", r.Status, r.Body)
		}
		g.n.Want(t, 200, "POST", path, `{"reason":"the station was dug up","force":true}`)
		g.n.Want(t, 409, "POST", path, body)
		if s = g.ended("the session is closed"); s.EnergyWh != 500 || !s.flagged("end-unknown") {
			t.Fatalf("%+v", s)
		}
		g.stop(last.Add(10 * time.Millisecond))
		s = g.session("the true end counts", func(s watchedSession) bool { return s.EnergyWh == 3000 })
		if s.flagged("end-unknown") {
			t.Fatalf("%+v", s)
		}
		g.wantActs(s.ID, "end-assumed", "undone")
	})
}

// TestClosedAndGoesOn: a session that was closed by mistake goes on with the station's next word about it.
func TestClosedAndGoesOn(t *testing.T) {
	eachGuarded(t, allVersions, func(t *testing.T, g *guarded) {
		g.start("")
		s := g.session("the session runs", func(s watchedSession) bool { return s.State == "active" })
		g.n.Want(t, 200, "POST", "/sessions/"+s.ID+"/close", `{"reason":"a mistake","force":true}`)
		g.meter()
		g.session("the session goes on", func(s watchedSession) bool {
			return s.State == "active" && !s.flagged("end-unknown") && s.EnergyWh == 500
		})
		g.wantActs(s.ID, "end-assumed", "resumed")
		g.stop(time.Now())
		if s := g.ended("the session ends"); s.EnergyWh != 3000 {
			t.Fatalf("%+v", s)
		}
	})
}

// TestGapOfMessages is T09 of the faults: a message is missing; the station is asked until it delivers it, or has none left.
func TestGapOfMessages(t *testing.T) {
	eachGuarded(t, []string{"2.0.1", "2.1"}, func(t *testing.T, g *guarded) {
		g.start("")
		g.seqNo = 2 // 1 is kept back
		now := time.Now()
		g.event("Ended", "EVDeparted", now, `,"stoppedReason":"EVDisconnected"`, register2(now, 2000))
		s := g.ended("the session ends")
		if !s.flagged("sequence-gap") || s.Billing != "held" {
			t.Fatalf("%+v", s)
		}
		g.hear("GetTransactionStatus", g.tx, `{"ongoingIndicator":false,"messagesInQueue":true}`)
		g.hear("GetTransactionStatus", g.tx, `{"ongoingIndicator":false,"messagesInQueue":true}`)
		if strings.Contains(g.id, "strict") { // delivered after all
			g.seqNo = 1
			g.event("Updated", "MeterValuePeriodic", now.Add(-time.Millisecond), "", "")
			g.session("the gap is closed", func(s watchedSession) bool { return !s.flagged("sequence-gap") })
			g.wantActs(s.ID, "asked", "flag-resolved")
			return
		}
		g.hear("GetTransactionStatus", g.tx, `{"ongoingIndicator":false,"messagesInQueue":false}`)
		apptest.Poll(t, "the session stays incomplete", func() bool {
			acts, _ := g.timeline(s.ID)
			return slices.Contains(acts, "incomplete")
		})
		if s := g.ended("still"); !s.flagged("sequence-gap") {
			t.Fatalf("%+v", s)
		}
	})
}

// TestRemoteStartWithoutTransaction is T29 of the faults: the station accepts, and nothing comes of it in time.
func TestRemoteStartWithoutTransaction(t *testing.T) {
	eachGuarded(t, allVersions, func(t *testing.T, g *guarded) {
		events := g.n.Listen(t, "/events")
		sent := g.n.Begin("POST", "/stations/"+g.id+"/commands/RequestStartTransaction",
			`{"remoteStartId":77,"evseId":1,"idToken":{"idToken":"CARD","type":"ISO14443"}}`)
		if g.is16() {
			g.hear("RemoteStartTransaction", `"idTag":"CARD"`, `{"status":"Accepted"}`)
		} else {
			g.hear("RequestStartTransaction", `"remoteStartId":77`, `{"status":"Accepted"}`)
		}
		var order struct{ ID string }
		sent.Wait(t).Into(t, &order)
		events.Next("the remote start expires", func(e apptest.Event) bool {
			return e.Type == "remotestart.expired" && strings.Contains(e.Data, order.ID)
		})
		type outcome struct{ State, Session, Text string }
		var cmd struct{ Outcome *outcome }
		g.n.Get(t, "/commands/"+order.ID, &cmd)
		if cmd.Outcome == nil || cmd.Outcome.State != "expired" || cmd.Outcome.Text == "" {
			t.Fatalf("%+v", cmd.Outcome)
		}
		g.start(`,"remoteStartId":77`)
		apptest.Poll(t, "the late start is linked", func() bool {
			g.n.Get(t, "/commands/"+order.ID, &cmd)
			return cmd.Outcome.State == "started"
		})
		s := g.session("the session", func(s watchedSession) bool { return s.ID == cmd.Outcome.Session })
		_, types := g.timeline(s.ID)
		if !slices.Contains(types, "command") || types[0] != "command" {
			t.Fatalf("the timeline has %v", types)
		}
		g.wantActs(s.ID, "remote-started")
	})
}
