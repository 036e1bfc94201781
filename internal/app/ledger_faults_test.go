package app_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lumela/internal/app/apptest"
)

// ledgerFaults are the stimuli of the family T, transactions. Each is played in every version whose column says something,
// by a station that is treated leniently and by a strict one.
var ledgerFaults = map[string]func(t *testing.T, x *charge){
	"T02": faultAnswerLost, "T03": faultNeverStopped, "T05": faultUnusableNumber, "T06": faultStopTwice, "T08": faultOthersNumber,
	"T11": faultSameNumberSameContent, "T12": faultSameNumberOtherContent, "T14": faultNeverStarted, "T15": faultToldLater,
	"T17": faultIDAgain, "T18": faultFirstNumber, "T20": faultTooMuchEnergy, "T21": faultClocks, "T23": faultValuesBeside,
	"T24": faultLongStop, "T26": faultDatabaseBusy, "T27": faultNeverProcessed,
}

// ledgerFaultsElsewhere are played by the tests of the guardian, which asks stations.
var ledgerFaultsElsewhere = map[string]string{
	"T09": "a gap is asked for with GetTransactionStatus",
	"T29": "a remote start without a transaction expires",
}

// TestLedgerFaults plays every case of the family T.
func TestLedgerFaults(t *testing.T) {
	t.Parallel()
	nodes := newFaultNodes(t)
	for _, c := range readFaults(t) {
		if c.ID[:1] != "T" || ledgerFaultsElsewhere[c.ID] != "" {
			continue
		}
		play := ledgerFaults[c.ID]
		if play == nil {
			t.Errorf("%s has no test: %s", c.ID, c.Stimulus)
			continue
		}
		for _, version := range []string{"1.6", "2.0.1", "2.1"} {
			if c.behaviour(version) == "n/a" {
				continue
			}
			for _, mode := range []string{"lenient", "strict"} {
				t.Run(c.ID+"/"+version+"/"+mode, func(t *testing.T) {
					t.Parallel()
					f := &fault{faultCase: c, faultNodes: nodes, version: version}
					play(t, newCharge(t, f, mode == "strict"))
				})
			}
		}
	}
}

// charge is a station that charges, in the words of its version.
type charge struct {
	*fault
	s      *apptest.Station
	node   *apptest.Node
	strict bool
	id     string // of the transaction; the number of 1.6 as text
	calls  int
}

func newCharge(t *testing.T, f *fault, strict bool) *charge {
	t.Helper()
	return chargeOn(t, f, f.open(), strict)
}

func chargeOn(t *testing.T, f *fault, n *apptest.Node, strict bool) *charge {
	t.Helper()
	id := f.id()
	if strict {
		n.Want(t, 201, "POST", "/stations", `{"id":"`+id+`"}`)
		n.Want(t, 200, "PATCH", "/stations/"+id, `{"strict":true}`)
	}
	return &charge{fault: f, node: n, strict: strict, id: "tx-1", s: n.Dial(t, id, f.version, apptest.Dial{}).Boot(f.version)}
}

// again is a new connection of the station, after a loss or a reboot.
func (x *charge) again(t *testing.T) {
	t.Helper()
	x.s = x.node.Dial(t, x.s.ID, x.version, apptest.Dial{}).Boot(x.version)
}

// next gives a message id that was not used before.
func (x *charge) next() string {
	x.calls++
	return fmt.Sprintf("m%d", x.calls)
}

// said is a message and the id by which it is answered.
type said struct{ id, text string }

func (x *charge) frame(action, payload string) said {
	id := x.next()
	return said{id, call(id, action, payload)}
}

// event is a TransactionEvent of 2.x, so many seconds ago.
func (x *charge) event(typ string, seqNo, ago, wh int, more string) said {
	context := map[string]string{"Started": "Transaction.Begin", "Updated": "Sample.Periodic", "Ended": "Transaction.End"}[typ]
	trigger := map[string]string{"Started": "CablePluggedIn", "Updated": "MeterValuePeriodic", "Ended": "EVCommunicationLost"}[typ]
	at := stamp(ago)
	return x.frame("TransactionEvent", fmt.Sprintf(`{"eventType":"%s","timestamp":"%s","triggerReason":"%s","seqNo":%d,"transactionInfo":{"transactionId":"%s"},`+
		`"evse":{"id":1,"connectorId":1}%s,"meterValue":[{"timestamp":"%s","sampledValue":[{"value":%d,"context":"%s"}]}]}`,
		typ, at, trigger, seqNo, x.id, more, at, wh, context))
}

// start, meter and stop are the messages of a transaction so many seconds ago, with the register in Wh.
func (x *charge) start(ago, wh int) said {
	if x.is16() {
		return x.frame("StartTransaction", fmt.Sprintf(`{"connectorId":1,"idTag":"TAG","meterStart":%d,"timestamp":"%s"}`, wh, stamp(ago)))
	}
	return x.event("Started", 0, ago, wh, `,"idToken":{"idToken":"TAG","type":"ISO14443"}`)
}

func (x *charge) meter(seqNo, ago, wh int) said {
	if x.is16() {
		return x.frame("MeterValues", fmt.Sprintf(`{"connectorId":1,"transactionId":%s,"meterValue":[{"timestamp":"%s","sampledValue":[{"value":"%d"}]}]}`, x.id, stamp(ago), wh))
	}
	return x.event("Updated", seqNo, ago, wh, "")
}

func (x *charge) stop(seqNo, ago, wh int) said {
	if x.is16() {
		return x.frame("StopTransaction", fmt.Sprintf(`{"transactionId":%s,"meterStop":%d,"timestamp":"%s"}`, x.id, wh, stamp(ago)))
	}
	return x.event("Ended", seqNo, ago, wh, "")
}

// send sends frames, each after the answer to the one before, which must be a CALLRESULT. The number of a 1.6 transaction
// is taken from its start.
func (x *charge) send(t *testing.T, frames ...said) {
	t.Helper()
	for _, f := range frames {
		x.s.Send(f.text)
		x.answered(t, f)
	}
}

func (x *charge) answered(t *testing.T, f said) {
	t.Helper()
	answer := x.s.Next()
	if !strings.HasPrefix(answer, `[3,"`+f.id+`",`) {
		t.Fatalf("%.300s\n is answered with %s", f.text, answer)
	}
	if strings.Contains(f.text, `"StartTransaction"`) {
		var a []json.RawMessage
		var conf struct{ TransactionID json.Number }
		if err := json.Unmarshal([]byte(answer), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(a[2], &conf); err != nil || conf.TransactionID == "" {
			t.Fatalf("no number: %s", answer)
		}
		x.id = conf.TransactionID.String()
	}
}

// sold is what the API tells of a session.
type sold struct {
	sessionView
	Billing            string
	ClockOffsetSeconds *int64
	StartedAtCorrected *time.Time
}

// line is the session in short, with the codes of its open flags, those in brackets that were resolved.
func (s sold) line() string {
	out := fmt.Sprintf("%s %s %d Wh", s.State, s.Billing, s.EnergyWh)
	for _, f := range s.Flags {
		out += " !" + f.Code
	}
	return out
}

// sessions are those of the station, latest start first.
func (x *charge) sessions(t *testing.T) []sold {
	t.Helper()
	var list struct{ Items []sold }
	x.node.Get(t, "/sessions?station="+x.s.ID, &list)
	return list.Items
}

// want compares the sessions of the station, latest start first.
func (x *charge) want(t *testing.T, want ...string) []sold {
	t.Helper()
	list := x.sessions(t)
	var got []string
	for _, s := range list {
		got = append(got, s.line())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("sessions\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return list
}

// faultAnswerLost: the link breaks before the answer is read; the station sends the same again, with another message id.
func faultAnswerLost(t *testing.T, x *charge) {
	first := x.start(600, 1000)
	x.s.Send(first.text)
	apptest.Poll(t, "the start is stored", func() bool { return len(x.sessions(t)) == 1 })
	x.s.Cut()
	number := x.sessions(t)[0].TransactionID
	x.again(t)
	x.send(t, said{"again", strings.Replace(first.text, `"`+first.id+`"`, `"again"`, 1)})
	if x.is16() && x.id != number {
		t.Errorf("the number was %s and is %s", number, x.id)
	}
	last := x.stop(1, 300, 1700)
	x.send(t, last)
	x.again(t)
	x.send(t, said{"last", strings.Replace(last.text, `"`+last.id+`"`, `"last"`, 1)})
	x.want(t, "ended held 700 Wh !token-refused")
}

func faultNeverStopped(t *testing.T, x *charge) {
	x.send(t, x.start(900, 1000))
	x.send(t, x.meter(1, 600, 1500))
	x.id = "tx-2"
	x.send(t, x.start(300, 1800))
	x.want(t, "active running 0 Wh !token-refused", "ended held 500 Wh !token-refused !end-unknown")
}

func faultUnusableNumber(t *testing.T, x *charge) {
	x.send(t, x.start(600, 1000))
	right := x.id
	for i, number := range []string{"-1", "0"} {
		x.id = number
		stop := x.stop(0, 300-i, 1600)
		x.send(t, said{stop.id, strings.Replace(stop.text, `"meterStop"`, `"idTag":"ELSE","meterStop"`, 1)}) // another's: not this one
	}
	list := x.sessions(t)
	if len(list) != 3 || list[0].Billing != "held" || list[1].Billing != "held" || list[2].State != "active" {
		t.Fatalf("%+v", list)
	}
	x.id = "-1"
	stop := x.stop(0, 200, 1700)
	x.send(t, stop)
	for _, s := range x.sessions(t) {
		if s.TransactionID == right && (s.State != "ended" || s.EnergyWh != 700) {
			t.Errorf("the one that ran: %s", s.line())
		}
	}
	again := said{"again", strings.Replace(stop.text, `"`+stop.id+`"`, `"again"`, 1)}
	x.again(t)
	x.send(t, again)
	if n := len(x.sessions(t)); n != 3 {
		t.Errorf("%d sessions after a repetition", n)
	}
}

func faultStopTwice(t *testing.T, x *charge) {
	x.send(t, x.start(600, 1000))
	stop := x.stop(1, 300, 1700)
	x.send(t, stop, stop, said{"other", strings.Replace(stop.text, `"`+stop.id+`"`, `"other"`, 1)})
	x.want(t, "ended held 700 Wh !token-refused")
	x.send(t, x.stop(1, 290, 9700)) // another value: the first counts, and somebody must look
	x.want(t, "ended held 700 Wh !token-refused !conflict")
	if n := x.node.Count(t, `SELECT COUNT(*) FROM events WHERE type = 'session.ended' AND station_id = '`+x.s.ID+`'`); n != 1 {
		t.Errorf("the end was told %d times", n)
	}
}

func faultOthersNumber(t *testing.T, x *charge) {
	events := x.node.Listen(t, "/events")
	x.send(t, x.start(600, 1000))
	thief := chargeOn(t, x.fault, x.node, x.strict)
	thief.id = x.id
	thief.send(t, thief.meter(1, 300, 5000), thief.stop(2, 200, 9000))
	x.want(t, "active running 0 Wh !token-refused")
	if !x.is16() { // ids of 2.x belong to their station
		thief.want(t, "ended held 4000 Wh !start-unknown")
		return
	}
	thief.want(t)
	wantSecurityEvent(events, thief.s.ID)
	x.node.Want(t, 200, "GET", "/quarantine?station="+thief.s.ID, "")
	var kept struct {
		Items []struct{ Action, Reason, Payload string }
	}
	x.node.Get(t, "/quarantine?station="+thief.s.ID, &kept)
	if len(kept.Items) != 2 || !strings.Contains(kept.Items[0].Payload, x.id) {
		t.Errorf("quarantine: %+v", kept)
	}
	x.send(t, x.stop(1, 100, 1700))
	x.want(t, "ended held 700 Wh !token-refused")
}

func faultSameNumberSameContent(t *testing.T, x *charge) {
	update := x.meter(1, 300, 1500)
	x.send(t, x.start(600, 1000), update, update, said{"other", strings.Replace(update.text, `"`+update.id+`"`, `"other"`, 1)}, x.stop(2, 200, 1600))
	list := x.want(t, "ended held 600 Wh !token-refused")
	x.wantValues(t, list[0].ID, 3)
}

// wantValues compares the number of meter values of a session.
func (x *charge) wantValues(t *testing.T, session string, want int) {
	t.Helper()
	var values struct{ Items []any }
	x.node.Get(t, "/sessions/"+session+"/meter-values", &values)
	if len(values.Items) != want {
		t.Errorf("%d meter values, want %d: %v", len(values.Items), want, values.Items)
	}
}

func faultSameNumberOtherContent(t *testing.T, x *charge) {
	x.send(t, x.start(600, 1000), x.meter(1, 400, 1300), x.meter(1, 300, 1500), x.stop(2, 200, 1600))
	list := x.want(t, "ended held 600 Wh !token-refused !conflict")
	x.wantValues(t, list[0].ID, 4)
}

func faultNeverStarted(t *testing.T, x *charge) {
	x.send(t, x.meter(7, 400, 1300), x.stop(8, 200, 1600))
	x.want(t, "ended held 300 Wh !start-unknown")
	x.id = "tx-2"
	x.send(t, x.stop(4, 100, 1600))
	x.want(t, "ended held 0 Wh !start-unknown", "ended held 300 Wh !start-unknown")
}

func faultToldLater(t *testing.T, x *charge) {
	status := func(ago int, text string) said {
		return x.frame("StatusNotification", x.by(`{"connectorId":1,"errorCode":"NoError","status":"`+text+`","timestamp":"`+stamp(ago)+`"}`,
			`{"timestamp":"`+stamp(ago)+`","connectorStatus":"`+text+`","evseId":1,"connectorId":1}`))
	}
	x.send(t, status(1, "Available"))
	past := func(f said) said {
		f.text = strings.Replace(f.text, `"seqNo"`, `"offline":true,"seqNo"`, 1)
		return f
	}
	x.send(t, past(x.start(7200, 1000)))
	x.send(t, past(x.meter(1, 6000, 1500)), past(x.stop(2, 5000, 1700)))
	list := x.want(t, "ended held 700 Wh !token-refused")
	if list[0].PowerW != 0 || list[0].ChargingState != "" && list[0].State == "active" {
		t.Errorf("history is shown as the present: %+v", list[0])
	}
	var st struct {
		EVSEs []struct {
			Connectors []struct{ Status string }
			Session    any
		}
	}
	x.node.Get(t, "/stations/"+x.s.ID, &st)
	if len(st.EVSEs) != 1 || len(st.EVSEs[0].Connectors) != 1 || st.EVSEs[0].Connectors[0].Status != "Available" || st.EVSEs[0].Session != nil {
		t.Errorf("the present state of the EVSE: %+v", st.EVSEs)
	}
}

func faultIDAgain(t *testing.T, x *charge) {
	x.send(t, x.start(900, 1000), x.meter(1, 800, 1200))
	x.again(t)
	x.send(t, x.start(600, 1500), x.meter(1, 500, 1600), x.stop(2, 300, 1900))
	x.want(t, "ended held 400 Wh !id-reused !token-refused", "ended held 200 Wh !token-refused !end-unknown")
	x.again(t)
	x.send(t, x.start(200, 2000))
	if list := x.sessions(t); len(list) != 3 || list[0].State != "active" || list[0].ID == list[1].ID {
		t.Errorf("%+v", list)
	}
}

func faultFirstNumber(t *testing.T, x *charge) {
	x.send(t, x.start(600, 1000), x.stop(1, 500, 1100))
	x.id = "tx-2"
	x.send(t, x.event("Started", 4711, 400, 1100, ""), x.event("Updated", 4712, 300, 1200, ""), x.event("Ended", 4713, 200, 1300, ""))
	x.want(t, "ended ready 200 Wh", "ended held 100 Wh !token-refused")
}

func faultTooMuchEnergy(t *testing.T, x *charge) {
	x.send(t, x.start(600, 1000))
	x.send(t, x.stop(1, 300, 5_001_000))
	list := x.want(t, "ended held 5000000 Wh !token-refused !energy-implausible")
	if !strings.Contains(list[0].Flags[1].Text, "kW") {
		t.Errorf("a reason that nobody understands: %q", list[0].Flags[1].Text)
	}
	r := x.node.Want(t, 422, "POST", "/sessions/"+list[0].ID+"/release", `{"reason":""}`)
	if !strings.Contains(r.Body, "reason") {
		t.Errorf("%s", r.Body)
	}
	x.node.Want(t, 200, "POST", "/sessions/"+list[0].ID+"/release", `{"reason":"a ship"}`)
	x.node.Want(t, 409, "POST", "/sessions/"+list[0].ID+"/release", `{"reason":"a ship"}`)
	x.want(t, "ended ready 5000000 Wh !token-refused !energy-implausible")
	x.node.Want(t, 403, "POST", "/sessions/"+list[0].ID+"/release", `{"reason":"a ship"}`, "Authorization: Bearer "+x.node.AddKey(t, "viewer").Key)
}

func faultClocks(t *testing.T, x *charge) {
	for i, c := range []struct {
		at, flag  string
		offset    int64 // -1: not known
		corrected bool
	}{
		{"1970-01-01T00:10:00Z", "clock-unset", -1, false},
		{"2000-01-01T00:10:00Z", "clock-unset", -1, false},
		{"12026-01-01T00:10:00Z", "clock-unset", -1, false},
		{stamp(-7200), "clock-local-time", 7200, true},
		{stamp(-600), "clock-difference", 600, true},
		{stamp(-86400), "clock-difference", 86400, true},
	} {
		one := chargeOn(t, x.fault, x.node, x.strict)
		start := one.start(300, 1000+i)
		at := stamp(300)
		far := strings.HasPrefix(c.at, "12026")
		for _, s := range []string{at, stamp(301), stamp(299)} {
			start.text = strings.ReplaceAll(start.text, s, c.at)
		}
		if far && x.strict {
			one.s.Ask(start.text, callError(start.id, "PropertyConstraintViolation"))
			continue
		}
		one.send(t, start)
		list := one.sessions(t)
		if len(list) != 1 || len(list[0].Flags) != 2 || list[0].Flags[1].Code != c.flag {
			t.Fatalf("%s: %+v", c.at, list)
		}
		if offset := list[0].ClockOffsetSeconds; c.offset < 0 && offset != nil || c.offset >= 0 && (offset == nil || *offset < c.offset-30 || *offset > c.offset) {
			t.Errorf("%s: offset %v", c.at, offset)
		}
		received := one.node.Want(t, 200, "GET", "/sessions/"+list[0].ID+"/timeline", "").Body
		if !strings.Contains(received, `"stationTime"`) {
			t.Errorf("%s: both times are not shown: %s", c.at, received)
		}
	}
}

func faultValuesBeside(t *testing.T, x *charge) {
	beside := func(ago, wh int) said {
		return x.frame("MeterValues", x.by(fmt.Sprintf(`{"connectorId":1,"meterValue":[{"timestamp":"%s","sampledValue":[{"value":"%d","context":"Sample.Clock"}]}]}`, stamp(ago), wh),
			fmt.Sprintf(`{"evseId":1,"meterValue":[{"timestamp":"%s","sampledValue":[{"value":%d,"context":"Sample.Clock"}]}]}`, stamp(ago), wh)))
	}
	x.send(t, x.start(900, 1000), beside(800, 1200))
	x.send(t, x.stop(1, 600, 1500), beside(590, 1500), x.meter(2, 580, 1600))
	list := x.want(t, "ended held 500 Wh !token-refused")
	x.wantValues(t, list[0].ID, 5)
	r := x.node.Want(t, 200, "GET", "/sessions/"+list[0].ID+"/meter-values", "")
	if strings.Count(r.Body, `"beside":true`) != 2 {
		t.Errorf("%s", r.Body)
	}
}

func faultLongStop(t *testing.T, x *charge) {
	x.send(t, x.start(7200, 1000))
	var data []string
	size := 0
	for i := 0; size < 500_000; i++ {
		v := fmt.Sprintf(`{"timestamp":"%s","sampledValue":[{"value":"%d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"}]}`, stamp(7199-i), 1000+i)
		size += len(v)
		data = append(data, v)
	}
	stop := x.stop(1, 300, 10_000)
	x.send(t, said{stop.id, strings.Replace(stop.text, `"meterStop"`, `"transactionData":[`+strings.Join(data, ",")+`],"meterStop"`, 1)})
	list := x.want(t, "ended held 9000 Wh !token-refused")
	x.wantValues(t, list[0].ID, len(data)+2)
}

// faultDatabaseBusy: while the database takes no writes nothing is answered; afterwards the same message is.
func faultDatabaseBusy(t *testing.T, x *charge) {
	n := apptest.Start(t)
	one := chargeOn(t, x.fault, n, x.strict)
	free := holdDatabase(t, n)
	start := one.start(300, 1000)
	one.s.Send(start.text)
	answer := make(chan string, 1)
	go func() { answer <- one.s.Next() }()
	select {
	case a := <-answer:
		t.Errorf("answered before it could be stored: %s", a)
	case <-time.After(300 * time.Millisecond):
	}
	free()
	if a := <-answer; !strings.HasPrefix(a, `[3,"`+start.id+`",`) {
		t.Errorf("answered with %s", a)
	}
	one.want(t, "active running 0 Wh !token-refused")
}

// holdDatabase keeps everybody else from writing to the database of an embedded node until the function that it gives is
// called.
func holdDatabase(t *testing.T, n *apptest.Node) (free func()) {
	t.Helper()
	h, err := sql.Open("sqlite", "file:"+filepath.Join(n.Config.DataDir, "lumela.db")+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := h.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), h.Close()); err != nil {
			t.Error(err)
		}
	}
}

// faultNeverProcessed: the database refuses what the ledger makes of this one transaction, whatever is tried.
func faultNeverProcessed(t *testing.T, x *charge) {
	events := x.node.Listen(t, "/events")
	table := "defect_" + strings.NewReplacer("-", "_", ".", "_").Replace(x.s.ID)
	x.node.Exec(t, `CREATE TRIGGER `+table+` BEFORE INSERT ON sessions WHEN NEW.station_id = '`+x.s.ID+`' BEGIN SELECT RAISE(ABORT, 'a defect'); END`)
	start := x.start(300, 1000)
	x.send(t, start)
	events.Next("the quarantine is told", func(e apptest.Event) bool { return e.Type == "message.quarantined" && strings.Contains(e.Data, x.s.ID) })
	x.again(t)
	x.send(t, said{"again", strings.Replace(start.text, `"`+start.id+`"`, `"again"`, 1)})
	var kept struct {
		Items []struct{ Action, Reason, Payload string }
	}
	x.node.Get(t, "/quarantine?station="+x.s.ID, &kept)
	if len(kept.Items) != 1 || kept.Items[0].Action != "TransactionEvent" || !strings.Contains(kept.Items[0].Payload, `"TAG"`) || !strings.Contains(kept.Items[0].Reason, "a defect") {
		t.Errorf("quarantine: %+v", kept)
	}
	x.want(t)
	x.send(t, x.frame("Heartbeat", `{}`))
}
