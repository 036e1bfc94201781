package app_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lumela/internal/account"
	"lumela/internal/app/apptest"
)

func faultUnknownStation(t *testing.T, f *fault) {
	if resp := f.closed().Refused(t, f.id(), f.version, apptest.Dial{}); resp.StatusCode != 404 {
		t.Errorf("got %s", resp.Status)
	}
}

func faultNoPassword(t *testing.T, f *fault) {
	for profile, dial := range map[int]apptest.Dial{1: {}, 2: {TLS: f.tls().client()}} {
		n := f.tls().Node
		id, _ := f.withPassword(t, n, profile)
		resp := n.Refused(t, id, f.version, dial)
		if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("profile %d: %s, WWW-Authenticate %q", profile, resp.Status, resp.Header.Get("WWW-Authenticate"))
		}
	}
}

func faultOtherUser(t *testing.T, f *fault) {
	id, password := f.withPassword(t, f.open(), 1)
	if resp := f.open().Refused(t, id, f.version, apptest.Dial{User: id + "x", Password: password}); resp.StatusCode != 401 {
		t.Errorf("got %s", resp.Status)
	}
	f.open().Dial(t, id, f.version, apptest.Dial{Password: password}).Boot(f.version)
}

func faultOtherStation(t *testing.T, f *fault) {
	a, password := f.withPassword(t, f.open(), 1)
	b, _ := f.withPassword(t, f.open(), 1)
	events := f.open().Listen(t, "/events")
	if resp := f.open().Refused(t, b, f.version, apptest.Dial{User: a, Password: password}); resp.StatusCode != 401 {
		t.Errorf("got %s", resp.Status)
	}
	wantSecurityEvent(events, b)
}

func faultHexKey(t *testing.T, f *fault) {
	n := f.open()
	id, _ := f.withPassword(t, n, 1)
	const key = "00112233445566778899aabbccddeeff01234567"
	raw, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	n.Want(t, 200, "POST", "/stations/"+id+"/password", `{"password":"`+key+`"}`)
	n.Dial(t, id, f.version, apptest.Dial{Password: key}).Boot(f.version)
	if f.is16() {
		n.Dial(t, id, f.version, apptest.Dial{Password: string(raw)}).Boot(f.version)
		return
	}
	if resp := n.Refused(t, id, f.version, apptest.Dial{Password: string(raw)}); resp.StatusCode != 401 {
		t.Errorf("the bytes that the password spells: %s", resp.Status)
	}
	sizes := map[int]int{15: 422, 16: 200, 40: 200, 41: 422}
	if f.version == "2.1" {
		sizes = map[int]int{15: 422, 16: 200, 41: 200, 64: 200, 65: 422}
	}
	for size, status := range sizes {
		n.Want(t, status, "POST", "/stations/"+id+"/password", `{"password":"`+strings.Repeat("p", size)+`"}`)
	}
}

func faultWithoutTLS(t *testing.T, f *fault) {
	id, password := f.withPassword(t, f.open(), 2)
	events := f.open().Listen(t, "/events")
	resp := f.open().Refused(t, id, f.version, apptest.Dial{Password: password})
	if resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Errorf("got %s", resp.Status)
	}
	wantSecurityEvent(events, id)
	third := f.id()
	f.open().Want(t, 201, "POST", "/stations", `{"id":"`+third+`","securityProfile":3,"password":"0123456789abcdef"}`)
	resp = f.open().Refused(t, third, f.version, apptest.Dial{Password: "0123456789abcdef"})
	if resp.StatusCode != 401 && resp.StatusCode != 403 {
		t.Errorf("profile 3: %s", resp.Status)
	}
}

func faultUnknownSubprotocol(t *testing.T, f *fault) {
	s := f.open().Dial(t, f.id(), f.version, apptest.Dial{Subprotocols: "ocpp0.1, ocpp" + f.version})
	if got := s.Response.Header.Get("Sec-WebSocket-Protocol"); got != "ocpp"+f.version {
		t.Errorf("subprotocol %q", got)
	}
	s.Boot(f.version)
	for _, offer := range []string{"-", "ocpp0.1", "mqtt, ocpp1.5"} {
		if resp := f.open().Refused(t, f.id(), f.version, apptest.Dial{Subprotocols: offer}); resp.StatusCode != 400 {
			t.Errorf("offer %q: %s", offer, resp.Status)
		}
	}
}

func faultTwoSubprotocols(t *testing.T, f *fault) {
	for _, offer := range []string{"ocpp1.6, ocpp2.0.1", "ocpp2.0.1, ocpp1.6", "ocpp1.6,ocpp2.0.1"} {
		s := f.open().Dial(t, f.id(), "", apptest.Dial{Subprotocols: offer})
		if got := s.Response.Header.Get("Sec-WebSocket-Protocol"); got != "ocpp2.0.1" {
			t.Errorf("offer %q: subprotocol %q", offer, got)
		}
		s.Boot("2.0.1")
	}
}

func faultPathOfAnotherVersion(t *testing.T, f *fault) {
	for _, folder := range []string{"ocpp16", "ocpp201", "ocpp21", "ocpp1.6", "ocpp2.0.1"} {
		id := f.id()
		s := f.open().Dial(t, id, f.version, apptest.Dial{Path: "/" + folder + "/" + id})
		if got := s.Response.Header.Get("Sec-WebSocket-Protocol"); got != "ocpp"+f.version {
			t.Errorf("%s: subprotocol %q", folder, got)
		}
		s.Boot(f.version)
	}
}

func faultEscapedIDs(t *testing.T, f *fault) {
	n := f.open()
	for raw, id := range map[string]string{"RDAM%20123": "RDAM 123", "RDAM%7C123": "RDAM|123", "caf%C3%A9": "café"} {
		n.Dial(t, "", f.version, apptest.Dial{Path: "/ocpp/" + raw + "." + f.version}).Boot(f.version)
		var st struct{ ID string }
		n.Get(t, "/stations/"+raw+"."+f.version, &st)
		if st.ID != id+"."+f.version {
			t.Errorf("%s became %q", raw, st.ID)
		}
	}
	before := n.Count(t, `SELECT COUNT(*) FROM stations WHERE id LIKE '%..%' OR id LIKE '%/%' OR id LIKE '%:%' OR id = ''`)
	for _, raw := range []string{"a%2Fb", "a%00b", "..%2Fx", "../x", "..", "%2e%2e", strings.Repeat("x", 300), strings.Repeat("y", 49), "a:b", "a%3Ab", "",
		"a%0D%0Ab", "%FF%FE", "a%5Cb"} {
		resp := n.Refused(t, "", f.version, apptest.Dial{Path: "/ocpp/" + raw})
		if resp.StatusCode != 400 && resp.StatusCode != 404 {
			t.Errorf("%.40s: %s", raw, resp.Status)
		}
	}
	if after := n.Count(t, `SELECT COUNT(*) FROM stations WHERE id LIKE '%..%' OR id LIKE '%/%' OR id LIKE '%:%' OR id = ''`); after != before {
		t.Errorf("%d stations were made", after-before)
	}
	n.Dial(t, strings.Repeat("z", 43)+f.version, f.version, apptest.Dial{}).Boot(f.version)
}

func faultScan(t *testing.T, f *fault) {
	n := f.closed()
	from := apptest.Source()
	id, password := f.withPassword(t, n, 1)
	events := n.Listen(t, "/events")
	statuses := map[int]int{}
	for i := range 60 {
		resp := n.Refused(t, fmt.Sprintf("%s-scan-%d", f.id(), i), f.version, apptest.Dial{From: from})
		statuses[resp.StatusCode]++
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if statuses[404]+statuses[429] != 60 || statuses[429] < 30 {
		t.Errorf("60 unknown ids from one address: %v", statuses)
	}
	// From the same address: an id that exists is no longer told from one that does not, and whoever has its password is let in.
	if resp := n.Refused(t, id, f.version, apptest.Dial{From: from, Password: "wrong password!!"}); resp.StatusCode != 429 {
		t.Errorf("known id with a wrong password: %s", resp.Status)
	}
	n.Dial(t, id, f.version, apptest.Dial{From: from, Password: password}).Boot(f.version)
	events.Next("security event of the address", func(e apptest.Event) bool {
		return e.Type == "security" && strings.Contains(e.Data, `"remote":"`+from+`"`) && !strings.Contains(e.Data, `"station"`)
	})
}

// faultSlowHandshake is played once: the version is not known yet when it happens.
func faultSlowHandshake(t *testing.T, f *fault) {
	if f.version != "2.1" {
		return
	}
	n := f.closed()
	const silent = 100
	from := apptest.Source()
	ended := make(chan error, silent+1)
	wait := func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(25 * time.Second)) // if it fails the read does too
		_, err := io.Copy(io.Discard, c)                        // there may be an answer before the end
		ended <- err
	}
	for range silent {
		c, err := n.Connect(apptest.Dial{From: from})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		go wait(c)
	}
	slow, err := n.Connect(apptest.Dial{From: from})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slow.Close() })
	go func() { // one byte a second, until the node has enough
		for _, b := range []byte("GET /ocpp/SLOW HTTP/1.1\r\nHost: slow") {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	go wait(slow)
	id, password := f.withPassword(t, n, 1)
	n.Dial(t, id, f.version, apptest.Dial{Password: password}).Boot(f.version).Quiet()
	for range silent + 1 {
		if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a handshake that does not come to its end was not closed")
		}
	}
}

func faultBrowser(t *testing.T, f *fault) {
	n := f.open()
	r := (&apptest.Client{Base: n.Base}).Want(t, 200, "POST", "/auth/sign-in", `{"email":"`+account.FirstEmail+`","password":"`+n.Password+`"}`)
	cookie, _, _ := strings.Cut(r.Header.Get("Set-Cookie"), ";")
	if cookie == "" {
		t.Fatal("no cookie")
	}
	id, _ := f.withPassword(t, n, 1)
	resp := n.Refused(t, id, f.version, apptest.Dial{Header: http.Header{"Origin": {"https://evil.example"}, "Cookie": {cookie}}})
	if resp.StatusCode != 401 {
		t.Errorf("got %s", resp.Status)
	}
}
