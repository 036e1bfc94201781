package command

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

func tokens(from, to int) []v21.AuthorizationData {
	var out []v21.AuthorizationData
	for i := from; i < to; i++ {
		out = append(out, v21.AuthorizationData{IDToken: v21.IDToken{IDToken: fmt.Sprintf("TAG%05d", i), Type: "ISO14443"},
			IDTokenInfo: &v21.IDTokenInfo{Status: v21.AuthorizationStatusAccepted}})
	}
	return out
}

func list(n, version int, update v21.UpdateType) *v21.SendLocalListRequest {
	return &v21.SendLocalListRequest{VersionNumber: version, UpdateType: update, LocalAuthorizationList: tokens(0, n)}
}

// TestSplitLaw: the messages of a split list keep every limit, add up to the list in its order, begin as it was meant and go
// on as Differential, with versions that go up one by one to the one that was asked for.
func TestSplitLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "tokens")
		l := listLimits{perMessage: rapid.IntRange(0, 70).Draw(t, "perMessage"), bytes: rapid.SampledFrom([]int{0, 300, 1000, 100_000}).Draw(t, "bytes")}
		update := rapid.SampledFrom(v21.UpdateTypeValues).Draw(t, "update")
		version := rapid.IntRange(1, 100).Draw(t, "version")
		r := list(n, version, update)
		parts, err := split(r, l)
		if err != nil {
			if version > 60 || problem.Of(err).Field != "versionNumber" {
				t.Fatal(err)
			}
			return
		}
		var all []v21.AuthorizationData
		for i, p := range parts {
			all = append(all, p.LocalAuthorizationList...)
			if l.perMessage > 0 && len(p.LocalAuthorizationList) > l.perMessage {
				t.Fatalf("part %d has %d tokens", i, len(p.LocalAuthorizationList))
			}
			if size := len(ocpp.Marshal(p)); l.bytes > 0 && size > l.bytes {
				t.Fatalf("part %d has %d bytes of %d", i, size, l.bytes)
			}
			if want := version - len(parts) + 1 + i; p.VersionNumber != want || want < 1 {
				t.Fatalf("part %d is version %d, want %d", i, p.VersionNumber, want)
			}
			if i == 0 && p.UpdateType != update || i > 0 && p.UpdateType != v21.UpdateTypeDifferential {
				t.Fatalf("part %d is %s", i, p.UpdateType)
			}
			if len(parts) > 1 && len(p.LocalAuthorizationList) == 0 {
				t.Fatalf("part %d is empty", i)
			}
		}
		whole := v21.SendLocalListRequest{VersionNumber: version, UpdateType: update, LocalAuthorizationList: all}
		if got, want := string(ocpp.Marshal(&whole)), string(ocpp.Marshal(r)); got != want {
			t.Fatalf("the parts make\n%s, want\n%s", got, want)
		}
	})
}

func TestSplitRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r           *v21.SendLocalListRequest
		l           listLimits
		field, text string
	}{
		{list(11, 9, v21.UpdateTypeFull), listLimits{entries: 10}, "localAuthorizationList", "LocalAuthListMaxLength"},
		{list(11, 9, v21.UpdateTypeDifferential), listLimits{entries: 10}, "localAuthorizationList", "holds 10"},
		{list(11, 2, v21.UpdateTypeFull), listLimits{perMessage: 3}, "versionNumber", "at least 4"},
		{list(1, 2, v21.UpdateTypeFull), listLimits{bytes: 60}, "localAuthorizationList", "BytesPerMessage"},
	} {
		_, err := split(c.r, c.l)
		if e := problem.Of(err); err == nil || e.Kind != problem.Invalid || e.Field != c.field || !strings.Contains(e.Text, c.text) {
			t.Errorf("%+v: %v", c.l, err)
		}
	}
	removed := list(20, 9, v21.UpdateTypeDifferential)
	for i := range removed.LocalAuthorizationList {
		removed.LocalAuthorizationList[i].IDTokenInfo = nil
	}
	if parts, err := split(removed, listLimits{entries: 10}); err != nil || len(parts) != 1 {
		t.Errorf("tokens that are taken out need no room: %v", err)
	}
}

// TestSendList: the limits are those that the station has reported; the messages go out one after the other, and stop at
// the first that is not taken.
func TestSendList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		limit := func(name, value, most string) station.Variable {
			return station.Variable{Component: "LocalAuthListCtrlr", Variable: name, Attribute: "Actual", Value: value, MaxLimit: most}
		}
		must(t, w.stations.Keep(t.Context(), org, "S", []station.Variable{limit("ItemsPerMessage", "2", ""), limit("Entries", "0", "5")}))
		send := func(n int) (*Command, error) {
			cmd, _, err := w.Send(t.Context(), who, Order{Station: "S", Request: list(n, 10, v21.UpdateTypeFull)})
			return cmd, err
		}
		if _, err := send(6); !problem.Is(err, problem.Invalid) || len(w.peer.heard()) != 0 {
			t.Fatalf("a list that is too large: %v, sent %v", err, w.peer.heard())
		}
		w.peer.answer = func(_ context.Context, req ocpp.Request) (Result, error) {
			status := v21.SendLocalListStatusAccepted
			if req.(*v21.SendLocalListRequest).VersionNumber == 20 {
				status = v21.SendLocalListStatusFailed
			}
			return Result{Response: &v21.SendLocalListResponse{Status: status}}, nil
		}
		cmd, err := send(5)
		must(t, err)
		heard := w.peer.heard()
		if len(heard) != 3 || cmd.Status != OK || len(cmd.Translation) != 1 || !strings.Contains(cmd.Translation[0].Text, "versions 8 to 10") {
			t.Errorf("%d messages, %+v", len(heard), cmd)
		}
		for i, want := range []string{`"updateType":"Full"`, `"updateType":"Differential"`, `"versionNumber":10`} {
			if !strings.Contains(heard[i], want) {
				t.Errorf("message %d: %s", i, heard[i])
			}
		}
		cmd, _, err = w.Send(t.Context(), who, Order{Station: "S", Request: list(5, 21, v21.UpdateTypeFull)})
		must(t, err)
		if n := len(w.peer.heard()); n != 5 || !strings.Contains(cmd.Response, "Failed") || !strings.Contains(cmd.Translation[1].Text, "message 2 of 3") {
			t.Errorf("%d messages, %+v", n, cmd)
		}
		w.peer.answer = func(_ context.Context, req ocpp.Request) (Result, error) {
			if req.(*v21.SendLocalListRequest).UpdateType == v21.UpdateTypeFull {
				return Result{Response: &v21.SendLocalListResponse{Status: v21.SendLocalListStatusAccepted}}, nil
			}
			return Result{}, problem.New(problem.Offline, "gone")
		}
		cmd, _, err = w.Send(t.Context(), who, Order{Station: "S", Request: list(5, 30, v21.UpdateTypeFull), Queue: true})
		if !problem.Is(err, problem.Timeout) || cmd.Status != Unclear || !strings.Contains(cmd.Error, "up to version 28") {
			t.Errorf("a link that ends in between: %+v, %v", cmd, err)
		}
	})
}

// TestRules: what OCPP demands of a CSMS beside the schema is refused before anything is sent, and named.
func TestRules(t *testing.T) {
	t.Parallel()
	const schedule = `"chargingSchedule":[{"id":1,"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16}]}]`
	profile := func(purpose, more string) string {
		return `{"id":1,"stackLevel":0,"chargingProfilePurpose":"` + purpose + `","chargingProfileKind":"Relative",` + more + schedule + `}`
	}
	const tx = `"transactionId":"T",`
	start := `{"idToken":{"idToken":"A","type":"Central"},"remoteStartId":1,"chargingProfile":`
	for _, c := range []struct{ action, payload, field string }{
		{"RequestStartTransaction", start + profile("TxProfile", "") + "}", ""},
		{"RequestStartTransaction", start + profile("TxProfile", tx) + "}", "chargingProfile.transactionId"},
		{"RequestStartTransaction", start + profile("TxDefaultProfile", "") + "}", "chargingProfile.chargingProfilePurpose"},
		{"SetChargingProfile", `{"evseId":1,"chargingProfile":` + profile("TxProfile", tx) + "}", ""},
		{"SetChargingProfile", `{"evseId":1,"chargingProfile":` + profile("TxProfile", "") + "}", "chargingProfile.transactionId"},
		{"SetChargingProfile", `{"evseId":0,"chargingProfile":` + profile("TxProfile", tx) + "}", "evseId"},
		{"SetChargingProfile", `{"evseId":0,"chargingProfile":` + profile("TxDefaultProfile", "") + "}", ""},
		{"SendLocalList", `{"versionNumber":0,"updateType":"Full"}`, "versionNumber"},
		{"SendLocalList", `{"versionNumber":1,"updateType":"Full"}`, ""},
	} {
		_, err := Parse(c.action, []byte(c.payload))
		if c.field == "" && err != nil || c.field != "" && (err == nil || problem.Of(err).Field != c.field || problem.Of(err).Kind != problem.Invalid) {
			t.Errorf("%s %s: %v, want %q", c.action, c.payload, err, c.field)
		}
	}
}

// TestRemoved: what waits for a station does not outlive it: not even when it is made known again at once.
func TestRemoved(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.peer.set(false)
		waiting := w.queue(t, secretOrder())
		must(t, w.stations.Remove(t.Context(), org, "S"))
		w.known(t, "S")
		w.peer.set(true)
		w.Deliver(t.Context(), org, "S")
		if heard := w.peer.heard(); len(heard) != 0 {
			t.Errorf("sent to the new station: %v", heard)
		}
		got := w.read(t, waiting.ID)
		if got.Status != Failed || !strings.Contains(got.Error, "removed") || got.FinishedAt.IsZero() {
			t.Errorf("%+v", got)
		}
		if kept := w.raw(t); strings.Contains(kept, secretOrder().SetVariableData[0].AttributeValue) {
			t.Errorf("its secret is kept: %s", kept)
		}
	})
}
