package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lumela/internal/app/apptest"
	"lumela/internal/tool/soak"
)

// durabilityFaults are the cases of the family D of the list of faults but D09, which is a simulation of the ledger.
var durabilityFaults = map[string]func(t *testing.T){
	"D01": faultKilledAfterReply, "D03": faultTornRecord, "D04": faultFlippedBit, "D06": faultDiskFull, "D07": faultKilledInMigration,
}

// TestDurabilityFaults plays crashes and broken disks.
func TestDurabilityFaults(t *testing.T) {
	t.Parallel()
	for id, play := range durabilityFaults {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			play(t)
		})
	}
}

// teller plays one station through a transaction, over several links.
type teller struct {
	id, version string
	number      int // of the transaction, 1.6
}

// tellers are stations of each version and mode, known to the node.
func tellers(t *testing.T, n *apptest.Node) (out []*teller) {
	t.Helper()
	for _, version := range []string{"1.6", "2.0.1", "2.1"} {
		for _, mode := range []string{"lenient", "strict"} {
			p := &teller{id: "D-" + version + "-" + mode, version: version}
			n.Want(t, 201, "POST", "/stations", `{"id":"`+p.id+`"}`)
			n.Want(t, 200, "PATCH", "/stations/"+p.id, fmt.Sprintf(`{"strict":%v}`, mode == "strict"))
			out = append(out, p)
		}
	}
	return out
}

// tell boots and says the message at a place of the transaction: 0 starts it, 3 ends it. It returns with the answer.
func (p *teller) tell(t *testing.T, n *apptest.Node, place int) {
	t.Helper()
	s := n.Dial(t, p.id, p.version, apptest.Dial{}).Boot(p.version)
	s.Send(p.frame(place))
	var answer []json.RawMessage
	if err := json.Unmarshal([]byte(s.Next()), &answer); err != nil || len(answer) != 3 || string(answer[0]) != "3" {
		t.Fatalf("%s, message %d: answered with %s, %v", p.id, place, answer, err)
	}
	if p.version == "1.6" && place == 0 {
		var start struct{ TransactionID int }
		if err := json.Unmarshal(answer[2], &start); err != nil || start.TransactionID == 0 {
			t.Fatalf("%s: %s, %v", p.id, answer[2], err)
		}
		p.number = start.TransactionID
	}
	s.Cut()
}

// frame is the message at a place: register 1000000 + 250 Wh each.
func (p *teller) frame(place int) string {
	at := fmt.Sprintf("2026-11-01T10:%02d:00Z", 10*place)
	wh := 1_000_000 + 250*place
	switch {
	case p.version != "1.6":
		typ := []string{"Started", "Updated", "Updated", "Ended"}[place]
		return fmt.Sprintf(`[2,"m","TransactionEvent",{"eventType":%q,"timestamp":%q,"triggerReason":"MeterValuePeriodic","seqNo":%d,"transactionInfo":{"transactionId":"tx"},`+
			`"evse":{"id":1,"connectorId":1},"meterValue":[{"timestamp":%q,"sampledValue":[{"value":%d}]}]}]`, typ, at, place, at, wh)
	case place == 0:
		return fmt.Sprintf(`[2,"m","StartTransaction",{"connectorId":1,"idTag":"50A4B07E","meterStart":%d,"timestamp":%q}]`, wh, at)
	case place == 3:
		return fmt.Sprintf(`[2,"m","StopTransaction",{"transactionId":%d,"meterStop":%d,"timestamp":%q}]`, p.number, wh, at)
	}
	return fmt.Sprintf(`[2,"m","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":%q,"sampledValue":[{"value":"%d"}]}]}]`, p.number, at, wh)
}

// wantEnergy compares the one session of each teller with what it has told. The figures of a node that was killed are
// computed again when it has been declared dead, on PostgreSQL by another one.
func wantEnergy(t *testing.T, n *apptest.Node, all []*teller, wh int, state string) {
	t.Helper()
	for _, p := range all {
		apptest.Poll(t, fmt.Sprintf("%s: one session, %s with %d Wh", p.id, state, wh), func() bool {
			var list struct {
				Items []struct {
					ID, State string
					EnergyWh  int `json:"energyWh"`
				}
			}
			n.Get(t, "/sessions?station="+p.id, &list)
			if len(list.Items) != 1 {
				t.Fatalf("%s has %d sessions", p.id, len(list.Items))
			}
			return list.Items[0].EnergyWh == wh && list.Items[0].State == state
		})
	}
}

// again kills a node and starts it.
func again(t *testing.T, n *soak.Node, meanwhile func()) {
	t.Helper()
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile()
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
}

// faultKilledAfterReply: kill -9 right after the reply to each message of a transaction.
func faultKilledAfterReply(t *testing.T) {
	engines(t, func(t *testing.T, database string) {
		process := startChild(t, t.TempDir(), database)
		n := nodeOf(process)
		all := tellers(t, n)
		for place := range 4 {
			for _, p := range all {
				p.tell(t, n, place)
			}
			again(t, process, nil)
			if got := n.Count(t, stored(database)); got != (place+1)*len(all) {
				t.Errorf("after message %d there are %d messages, want %d", place, got, (place+1)*len(all))
			}
		}
		wantEnergy(t, n, all, 750, "ended")
	})
}

// stored counts the messages of all sessions.
func stored(database string) string {
	if database != "" {
		return `SELECT COUNT(*) FROM session_events`
	}
	return `SELECT COUNT(*) FROM (SELECT session_id, at, hash FROM session_events UNION SELECT session_id, at, hash FROM session_journal)`
}

// faultTornRecord: the log is cut at any byte, as a crash of the machine in the middle of a write leaves it. What was whole
// is there, the start says so, and the stations' repetition makes it complete.
func faultTornRecord(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 3))
	process := startChild(t, t.TempDir(), "")
	n := nodeOf(process)
	all := tellers(t, n)
	for place := range 4 {
		for _, p := range all {
			p.tell(t, n, place)
		}
	}
	wal := filepath.Join(process.Dir, "lumela.db-wal")
	again(t, process, func() {
		info, err := os.Stat(wal)
		if err != nil || info.Size() < 10_000 {
			t.Fatalf("the log: %v, %v", info, err)
		}
		// In the last tenth: what came before has been asked for by nobody else.
		if err := os.Truncate(wal, info.Size()-rng.Int64N(info.Size()/10)); err != nil {
			t.Fatal(err)
		}
	})
	log := mustLog(t, process)
	if !strings.Contains(log, "recovered to the last whole transaction") || strings.Contains(log, "is damaged") {
		t.Errorf("seed %d: the log does not speak of the recovery, or speaks of damage:\n%s", seed, log)
	}
	for _, p := range all {
		p.tell(t, n, 2)
		p.tell(t, n, 3)
	}
	wantEnergy(t, n, all, 750, "ended")
	if text, ok := runCheck(t, process); !ok {
		t.Errorf("seed %d: %s", seed, text)
	}
}

// faultFlippedBit: one bit of a stored message, and one in the middle of the write-ahead log.
func faultFlippedBit(t *testing.T) {
	t.Run("message", func(t *testing.T) {
		t.Parallel()
		process := startChild(t, t.TempDir(), "")
		n := nodeOf(process)
		all := tellers(t, n)
		for place := range 3 {
			for _, p := range all {
				p.tell(t, n, place)
			}
		}
		if err := process.Stop(); err != nil {
			t.Fatal(err)
		}
		if text, ok := runCheck(t, process); !ok {
			t.Fatalf("before the damage: %s", text)
		}
		flipped := flip(t, filepath.Join(process.Dir, "lumela.db"), "1000250") // in session_events; the row of the session holds numbers
		if flipped < len(all) {
			t.Fatalf("the reading stands %d times in the file", flipped)
		}
		text, ok := runCheck(t, process)
		if ok || strings.Count(text, "is damaged") < len(all) {
			t.Errorf("lumela check: %v, %s", ok, text)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(mustLog(t, process), "a stored message is damaged"); got < len(all) {
			t.Errorf("the log speaks %d times of damage, want %d", got, len(all))
		}
		wantDamages(t, n, len(all))
		for _, p := range all { // the session goes on, and is held
			p.tell(t, n, 3)
			var list struct {
				Items []struct{ Flags []struct{ Code string } }
			}
			n.Get(t, "/sessions?station="+p.id, &list)
			if text := fmt.Sprint(list.Items); len(list.Items) != 1 || !strings.Contains(text, "damaged") {
				t.Errorf("%s: the session is not flagged: %s", p.id, text)
			}
		}
	})
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		process := startChild(t, t.TempDir(), "")
		n := nodeOf(process)
		for _, p := range tellers(t, n) {
			p.tell(t, n, 0)
		}
		wal := filepath.Join(process.Dir, "lumela.db-wal")
		again(t, process, func() {
			raw, err := os.ReadFile(wal)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)/2] ^= 0x04
			if err := os.WriteFile(wal, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		})
		if log := mustLog(t, process); !strings.Contains(log, "write-ahead log is damaged in the middle") {
			t.Errorf("the damage is not told:\n%s", log)
		}
		if kept, err := filepath.Glob(wal + ".damaged-*"); err != nil || len(kept) != 1 {
			t.Errorf("the damaged log is not kept: %v, %v", kept, err)
		}
		wantDamages(t, n, 1)
	})
}

// flip changes one bit of each place where a text stands in a file.
func flip(t *testing.T, path, text string) (n int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; ; {
		i := bytes.Index(raw[at:], []byte(text))
		if i < 0 {
			break
		}
		at += i
		raw[at+3] ^= 0x01
		n++
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantDamages(t *testing.T, n *apptest.Node, least int) {
	t.Helper()
	apptest.Poll(t, "lumela_integrity_errors_total", func() bool {
		var got int
		_, after, _ := strings.Cut(n.Want(t, http.StatusOK, "GET", "//metrics", "").Body, "\nlumela_integrity_errors_total ")
		_, err := fmt.Sscan(after, &got)
		return err == nil && got >= least
	})
}

func mustLog(t *testing.T, n *soak.Node) string {
	t.Helper()
	text, err := n.Log()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// runCheck runs lumela check on a node's database.
func runCheck(t *testing.T, n *soak.Node) (text string, ok bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "check", "--data-dir", n.Dir)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// faultDiskFull: full disks and their like, under load.
func faultDiskFull(t *testing.T) {
	testOutages(t, func(t *testing.T, o *outage) { outageUnderLoad(t, o, 4*time.Second) })
}

// faultKilledInMigration: the first start, which makes all tables, is killed at instants that sweep over it; the next one
// goes on where it was.
func faultKilledInMigration(t *testing.T) {
	engines(t, func(t *testing.T, database string) {
		process := child(t, t.TempDir(), database)
		for delay := 20 * time.Millisecond; delay < 500*time.Millisecond; delay = delay * 3 / 2 {
			if err := process.Begin(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(delay) // the instant of the kill is what is tested
			if err := process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		n := nodeOf(process)
		all := tellers(t, n)
		for _, p := range all {
			p.tell(t, n, 0)
			p.tell(t, n, 3)
		}
		for _, p := range all {
			var list struct{ Items []struct{ State string } }
			if n.Get(t, "/sessions?station="+p.id, &list); len(list.Items) != 1 || list.Items[0].State != "ended" {
				t.Errorf("%s: %+v", p.id, list.Items)
			}
		}
	})
}

// TestDataDirectoryInUse: two nodes on one data directory would each keep figures that the other does not know.
func TestDataDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startChild(t, dir, "")
	second := child(t, dir, "")
	if err := second.Begin(); err != nil {
		t.Fatal(err)
	}
	if code := second.Wait(); code != 1 {
		t.Errorf("the second node ended with %d, want 1", code)
	}
	if log := mustLog(t, second); !strings.Contains(log, "another lumela uses this data directory") || !strings.Contains(log, fmt.Sprint("process ", first.Pid())) {
		t.Errorf("the second node says:\n%s", log)
	}
	if status, text := first.Ready(); status != 200 {
		t.Errorf("the first node: %d %s", status, text)
	}
	if err := first.Kill(); err != nil { // which frees the directory
		t.Fatal(err)
	}
	if err := second.Start(); err != nil {
		t.Error(err)
	}
}
