package app_test

import (
	"bytes"
	"compress/flate"
	"net/http"
	"strings"
	"testing"

	"lumela/internal/app/apptest"
)

func faultSecondLink(t *testing.T, f *fault) {
	first := f.station(t)
	p, _ := resetting(t, f, first)
	second := f.open().Dial(t, first.ID, f.version, apptest.Dial{})
	if code, reason := first.WaitClosed(); code != 1000 || !strings.Contains(reason, "newer") {
		t.Errorf("the old link was closed with %d %q", code, reason)
	}
	if r := p.Wait(t); r.Status != 504 || !strings.Contains(r.Body, "not known") {
		t.Errorf("the call that was under way: %d %s", r.Status, r.Body)
	}
	second.Boot(f.version).Quiet()
	apptest.Poll(t, "the history of the links", func() bool {
		return strings.Contains(f.open().Want(t, 200, "GET", "/stations/"+first.ID+"/link-history", "").Body, "replaced by a newer link")
	})
	if resp := f.closed().Refused(t, first.ID, f.version, apptest.Dial{}); resp.StatusCode != 404 {
		t.Errorf("another installation: %s", resp.Status)
	}
}

func faultHalfOpen(t *testing.T, f *fault) {
	first := f.station(t) // it answers nothing any more, and its end is not told
	second := f.open().Dial(t, first.ID, f.version, apptest.Dial{})
	second.Quiet()
	_ = first
}

func faultOldLinkEnds(t *testing.T, f *fault) {
	first := f.station(t)
	second := f.open().Dial(t, first.ID, f.version, apptest.Dial{}).Boot(f.version)
	first.WaitClosed()
	first.Cut()
	apptest.Poll(t, "the end of the old link", func() bool {
		return f.open().Count(t, `SELECT COUNT(*) FROM link_history WHERE station_id = $1 AND disconnected_at IS NOT NULL`, first.ID) == 1
	})
	second.Quiet()
	var st struct{ Online bool }
	if f.open().Get(t, "/stations/"+first.ID, &st); !st.Online {
		t.Error("the station is offline")
	}
	p, id := resetting(t, f, second)
	second.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	if r := p.Wait(t); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func faultCallBeforeBoot(t *testing.T, f *fault) {
	id := f.station(t).ID
	s := f.open().Dial(t, id, f.version, apptest.Dial{}) // it is known and accepted, and has not booted on this link
	s.Quiet()
	p := f.open().Begin("POST", "/stations/"+id+"/commands/Reset", `{"type":"Immediate"}`)
	s.Boot(f.version) // its first frame is the answer: nothing was sent before
	s.Send(`[3,"` + s.Expect(`[2,"<id:call>","Reset","<any>"]`)["call"] + `",{"status":"Accepted"}]`)
	if r := p.Wait(t); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func wantClosed(t *testing.T, s *apptest.Station, code int) {
	t.Helper()
	if got, reason := s.WaitClosed(); got != code {
		t.Errorf("closed with %d %q, want %d", got, reason, code)
	}
}

func faultBinary(t *testing.T, f *fault) {
	s := f.station(t)
	s.SendFrames(apptest.Frame{Opcode: apptest.Binary, Payload: []byte(call("a", "Heartbeat", `{}`))})
	wantClosed(t, s, 1003)
}

func faultBadFrames(t *testing.T, f *fault) {
	for name, frame := range map[string]apptest.Frame{
		"unmasked":            {Opcode: apptest.Text, Unmasked: true, Payload: []byte(call("a", "Heartbeat", `{}`))},
		"reserved bit":        {Opcode: apptest.Text, Reserved: 0x20, Payload: []byte(call("a", "Heartbeat", `{}`))},
		"long control frame":  {Opcode: apptest.Ping, Payload: bytes.Repeat([]byte("x"), 126)},
		"split control frame": {Opcode: apptest.Ping, More: true, Payload: []byte("x")},
		"unknown opcode":      {Opcode: 5, Payload: []byte("x")},
		"lonely continuation": {Opcode: apptest.Continuation, Payload: []byte("x")},
	} {
		s := f.station(t)
		s.SendFrames(frame)
		if code, reason := s.WaitClosed(); code != 1002 {
			t.Errorf("%s: closed with %d %q", name, code, reason)
		}
	}
	s := f.station(t)
	s.SendFrames(apptest.Frame{Opcode: apptest.Text, Payload: []byte("[2,\"\xff\xfe\",\"Heartbeat\",{}]")})
	wantClosed(t, s, 1007)
}

func faultFragments(t *testing.T, f *fault) {
	s := f.station(t)
	text := call("a", "Heartbeat", "{"+strings.Repeat(" ", 980)+"}")
	var all []apptest.Frame
	for i := range len(text) {
		opcode := apptest.Continuation
		if i == 0 {
			opcode = apptest.Text
		}
		all = append(all, apptest.Frame{Opcode: opcode, More: i < len(text)-1, Payload: []byte{text[i]}})
		if i%100 == 50 {
			all = append(all, apptest.Frame{Opcode: apptest.Ping, Payload: []byte("p")})
		}
	}
	s.SendFrames(all...)
	s.Expect(`[3,"a",{"currentTime":"<time>"}]`)
	apptest.Poll(t, "the pongs", func() bool { return s.Pongs() == int64((len(text)+49)/100) })
}

func faultInflation(t *testing.T, f *fault) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := bytes.Repeat([]byte{' '}, 1<<20)
	for range 64 { // 64 MiB; the limit counts, not the size
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	s := f.dial(t, apptest.Dial{Header: http.Header{"Sec-WebSocket-Extensions": {"permessage-deflate; client_no_context_takeover; server_no_context_takeover"}}})
	if got := s.Response.Header.Get("Sec-WebSocket-Extensions"); !strings.Contains(got, "permessage-deflate") {
		t.Fatalf("no compression: %q", got)
	}
	s.SendFrames(apptest.Frame{Opcode: apptest.Text, Reserved: 0x40, Payload: bytes.TrimSuffix(packed.Bytes(), []byte{0, 0, 0xff, 0xff})})
	wantClosed(t, s, 1009)
}

func faultTooLong(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(f.begun("a", stamp(5), ""), `[3,"a","<any>"]`)
	s.Send(call("b", "Heartbeat", "{"+strings.Repeat(" ", 900<<10)+"}"))
	s.Expect(`[3,"b",{"currentTime":"<time>"}]`)
	if err := s.SendBytes(apptest.Frame{Opcode: apptest.Text, Payload: bytes.Repeat([]byte(" "), 1<<20+1)}.Append(nil)); err != nil {
		t.Logf("the node stopped listening: %v", err)
	}
	wantClosed(t, s, 1009)
	if count, session := sessions(t, f.open(), s.ID); count != 1 || session.State != "active" {
		t.Errorf("%d sessions, %s", count, session.State)
	}
}

func faultStop(t *testing.T, f *fault) {
	n := apptest.Start(t)
	s := n.Dial(t, "S", f.version, apptest.Dial{}).Boot(f.version)
	s.Ask(f.begun("a", stamp(5), ""), `[3,"a","<any>"]`)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s, 1001)
	if n.Count(t, `SELECT COUNT(*) FROM link_history WHERE disconnected_at IS NULL`) != 0 {
		t.Error("the end of the link is not in the database")
	}
}
