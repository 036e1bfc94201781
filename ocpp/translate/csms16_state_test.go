package translate

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/govalues/decimal"
	"pgregory.net/rapid"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// TestCSMS16RoundTrip: what a 1.6 management system says to a 1.6 station by way of 2.1 arrives as it was said, unless
// a note tells what was lost.
func TestCSMS16RoundTrip(t *testing.T) {
	t.Parallel()
	carried := map[string]bool{} // actions of which one at least came through
	for _, a := range v16.Actions {
		if a.Sender&ocpp.CSMS == 0 || slices.Contains([]string{
			// Said in other words on the way: the configuration, and what is asked for in two ways.
			v16.ActionGetConfiguration, v16.ActionChangeConfiguration, v16.ActionExtendedTriggerMessage, v16.ActionGetDiagnostics,
		}, a.Name) {
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			d := testDialogue()
			d.State.Bind("tx-1", 7)
			req := v16.NewRequest(a.Name)
			ocpptest.Draw(t, req)
			switch m := req.(type) {
			case *v16.DataTransferRequest:
				m.VendorID = "somebody"
			case *v16.TriggerMessageRequest:
				if m.RequestedMessage == v16.MessageTriggerDiagnosticsStatusNotification {
					return // the same state is asked for in the words of the security extension
				}
			}
			up, err := Lift(d, ocpp.CSMS, req)
			if err != nil || len(up.Requests) != 1 || loses(up.Notes) {
				return
			}
			down, err := Lower(d, ocpp.V16, ocpp.CSMS, up.Requests[0])
			if err != nil {
				if r := err.(*Refusal); !strings.HasPrefix(r.Path, "idToken") && !strings.Contains(r.Path, "dToken") {
					t.Fatalf("%s came up and does not go down again: %v\n%s", a.Name, err, ocpp.Marshal(req))
				}
				return // an empty idTag
			}
			if len(down.Requests) == 0 || loses(down.Notes) {
				return
			}
			// An empty list says the same as none (OCPP 2.1 D01.FR.04); 2.1 has only the second.
			said := strings.Replace(string(ocpp.Marshal(req)), `"localAuthorizationList":[],`, "", 1)
			if diff := cmp.Diff(shorter(said), shorter(string(ocpp.Marshal(down.Requests[0])))); diff != "" {
				t.Fatalf("%s changed (-said +arrived):\n%s\n%v", a.Name, diff, append(up.Notes, down.Notes...))
			}
			carried[a.Name] = true
		})
	}
	for _, action := range []string{
		v16.ActionRemoteStartTransaction, v16.ActionRemoteStopTransaction, v16.ActionReset, v16.ActionChangeAvailability, v16.ActionUnlockConnector,
		v16.ActionClearCache, v16.ActionTriggerMessage, v16.ActionSendLocalList, v16.ActionReserveNow, v16.ActionSetChargingProfile,
		v16.ActionClearChargingProfile, v16.ActionGetCompositeSchedule, v16.ActionUpdateFirmware, v16.ActionSignedUpdateFirmware, v16.ActionGetLog,
		v16.ActionInstallCertificate, v16.ActionDeleteCertificate, v16.ActionDataTransfer,
	} {
		if !carried[action] {
			t.Errorf("no %s came through", action)
		}
	}
}

var zeros = regexp.MustCompile(`(\.\d*?)0+([,}])`)

// shorter drops the zeros at the end of decimals.
func shorter(text string) string { return zeros.ReplaceAllString(text, "$1$2") }

// loses reports whether anything but the type that an idTag was given on the way is lost.
func loses(notes []Note) bool {
	return slices.ContainsFunc(notes, func(n Note) bool { return n.Kind == Lost && !strings.HasSuffix(n.Path, "dToken.type") })
}

// answer carries out an exchange with these answers.
func answer(t *testing.T, x Exchange, err error, responses ...ocpp.Response) Outcome {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var replies []Reply
	for _, r := range responses {
		replies = append(replies, Reply{Response: r})
	}
	return x.Answer(replies)
}

func TestRemoteStartIsRemembered(t *testing.T) {
	t.Parallel()
	d := testDialogue()
	start := &v21.RequestStartTransactionRequest{IDToken: v21.IDToken{IDToken: "AbC", Type: "Central"}, RemoteStartID: 42}
	x, err := Lower(d, ocpp.V16, ocpp.CSMS, start)
	if got := d.State.Get("remotestart/abc"); got != "42" {
		t.Errorf("before the answer, which StartTransaction may overtake, the id is %q, want 42", got)
	}
	answer(t, x, err, &v16.RemoteStartTransactionResponse{Status: v16.RemoteStartStopStatusAccepted})
	if got := d.State.Get("remotestart/abc"); got != "42" {
		t.Errorf("after Accepted the id is %q, want 42", got)
	}
	x, err = Lower(d, ocpp.V16, ocpp.CSMS, start)
	answer(t, x, err, &v16.RemoteStartTransactionResponse{Status: v16.RemoteStartStopStatusRejected})
	if got := d.State.Get("remotestart/abc"); got != "" {
		t.Errorf("after Rejected the id is %q, want none", got)
	}
	x, err = Lower(d, ocpp.V16, ocpp.CSMS, start)
	if err != nil {
		t.Fatal(err)
	}
	x.Answer([]Reply{{Err: &ocpp.CallError{Code: ocpp.InternalError}}})
	if got := d.State.Get("remotestart/abc"); got != "" {
		t.Errorf("after an error the id is %q, want none", got)
	}
}

func TestRequestIDsAreRemembered(t *testing.T) {
	t.Parallel()
	d := testDialogue()
	for _, req := range []ocpp.Request{
		&v21.GetLogRequest{RequestID: 5, LogType: v21.LogTypeDiagnosticsLog, Log: v21.LogParameters{RemoteLocation: "ftp://a"}},
		&v21.UpdateFirmwareRequest{RequestID: 6, Firmware: v21.Firmware{Location: "ftp://a", RetrieveDateTime: testTime}},
	} {
		if _, err := Lower(d, ocpp.V16, ocpp.CSMS, req); err != nil {
			t.Fatal(err)
		}
	}
	if log, firmware := d.State.Get("log/requestId"), d.State.Get("firmware/requestId"); log != "5" || firmware != "6" {
		t.Errorf("log %q, firmware %q; want 5 and 6", log, firmware)
	}
}

// TestProfilesAreRemembered: what was accepted is reported until it is cleared, replaced, or its transaction is over.
func TestProfilesAreRemembered(t *testing.T) {
	t.Parallel()
	d := testDialogue()
	d.State.Bind("tx", 7)
	d.State.Open(1, "tx", "TAG")
	set := func(evse, id, level int, purpose v21.ChargingProfilePurpose, status v16.ChargingProfileStatus) {
		t.Helper()
		p := v21.ChargingProfile{
			ID: id, StackLevel: level, ChargingProfilePurpose: purpose, ChargingProfileKind: v21.ChargingProfileKindRelative,
			ChargingSchedule: []v21.ChargingSchedule{{ID: 9, ChargingRateUnit: v21.ChargingRateUnitA, ChargingSchedulePeriod: []v21.ChargingSchedulePeriod{{Limit: ocpp.Some(decimal.MustNew(16, 0))}}}},
		}
		if purpose == v21.ChargingProfilePurposeTxProfile {
			p.TransactionID = ocpp.Some("tx")
		}
		x, err := Lower(d, ocpp.V16, ocpp.CSMS, &v21.SetChargingProfileRequest{EVSEID: evse, ChargingProfile: p})
		answer(t, x, err, &v16.SetChargingProfileResponse{Status: status})
	}
	reported := func() []int {
		t.Helper()
		x, err := Lower(d, ocpp.V16, ocpp.CSMS, &v21.GetChargingProfilesRequest{RequestID: 1})
		var ids []int
		for _, r := range answer(t, x, err).Then {
			for _, p := range r.(*v21.ReportChargingProfilesRequest).ChargingProfile {
				ids = append(ids, p.ID)
			}
		}
		return ids
	}
	want := func(when string, ids ...int) {
		t.Helper()
		if got := reported(); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", when, got, ids)
		}
	}
	want("at first")
	set(0, 1, 0, v21.ChargingProfilePurposeChargingStationMaxProfile, v16.ChargingProfileStatusAccepted)
	set(1, 2, 0, v21.ChargingProfilePurposeTxDefaultProfile, v16.ChargingProfileStatusRejected)
	want("one accepted, one rejected", 1)
	set(1, 3, 0, v21.ChargingProfilePurposeTxDefaultProfile, v16.ChargingProfileStatusAccepted)
	set(1, 4, 0, v21.ChargingProfilePurposeTxDefaultProfile, v16.ChargingProfileStatusAccepted)
	set(1, 5, 0, v21.ChargingProfilePurposeTxProfile, v16.ChargingProfileStatusAccepted)
	want("replaced on the same level", 1, 4, 5)
	set(0, 4, 3, v21.ChargingProfilePurposeTxDefaultProfile, v16.ChargingProfileStatusAccepted)
	want("replaced by its id", 1, 4, 5)
	d.State.Close("tx")
	want("after the transaction", 1, 4)
	x, err := Lower(d, ocpp.V16, ocpp.CSMS, &v21.ClearChargingProfileRequest{ChargingProfileID: ocpp.Some(1)})
	answer(t, x, err, &v16.ClearChargingProfileResponse{Status: v16.ClearChargingProfileStatusUnknown})
	want("cleared by id, which the station did not know", 1, 4)
	x, err = Lower(d, ocpp.V16, ocpp.CSMS, &v21.ClearChargingProfileRequest{ChargingProfileID: ocpp.Some(1)})
	answer(t, x, err, &v16.ClearChargingProfileResponse{Status: v16.ClearChargingProfileStatusAccepted})
	want("cleared by id", 4)
	x, err = Lower(d, ocpp.V16, ocpp.CSMS, &v21.ClearChargingProfileRequest{ChargingProfileCriteria: &v21.ClearChargingProfile{StackLevel: ocpp.Some(3)}})
	answer(t, x, err, &v16.ClearChargingProfileResponse{Status: v16.ClearChargingProfileStatusAccepted})
	want("cleared by level")
}

// TestLimitsNeverGrow: whatever 2.1 allows, 1.6 allows no more.
func TestLimitsNeverGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := new(v21.SetChargingProfileRequest)
		ocpptest.Draw(t, m)
		plainProfile(t, &m.ChargingProfile)
		m.ChargingProfile.TransactionID = ocpp.Opt[string]{}
		x, err := Lower(testDialogue(), ocpp.V16, ocpp.CSMS, m)
		if err != nil {
			t.Fatalf("a profile that only limits is refused: %v", err)
		}
		lowered := x.Requests[0].(*v16.SetChargingProfileRequest).CsChargingProfiles.ChargingSchedule.ChargingSchedulePeriod
		for i, p := range m.ChargingProfile.ChargingSchedule[0].ChargingSchedulePeriod {
			for _, limit := range []ocpp.Opt[decimal.Decimal]{p.Limit, p.LimitL2, p.LimitL3} {
				if limit.OK && lowered[i].Limit.Cmp(limit.V) > 0 {
					t.Fatalf("period %d: %v became %v", i, limit.V, lowered[i].Limit)
				}
			}
		}
	})
}

// TestReportsAreNumbered: the parts of a report have numbers from 0, and all but the last are to be continued.
func TestReportsAreNumbered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3*reportSize+1).Draw(t, "variables")
		parts := notifyReports(testDialogue(), 7, make([]v21.ReportData, n))
		total := 0
		for i, r := range parts {
			part := r.(*v21.NotifyReportRequest)
			total += len(part.ReportData)
			if part.SeqNo != i || part.RequestID != 7 || part.Tbc.Or(false) != (i < len(parts)-1) || len(part.ReportData) == 0 {
				t.Fatalf("part %d of %d: %+v", i, len(parts), part)
			}
		}
		if total != n {
			t.Fatalf("%d variables in the parts, want %d", total, n)
		}
	})
}
