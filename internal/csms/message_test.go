package csms_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/govalues/decimal"

	"lumela/internal/db"
	"lumela/internal/idtoken"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

func (p *platform) token(t *testing.T, token idtoken.Token) {
	t.Helper()
	if token.Status == "" {
		token.Status = idtoken.Active
	}
	if err := p.Tokens.Add(context.Background(), organisation, &token); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) tokens(t *testing.T) {
	t.Helper()
	yesterday, tomorrow := time.Now().UTC().AddDate(0, 0, -1), time.Now().UTC().AddDate(0, 0, 1)
	p.token(t, idtoken.Token{UID: "GOOD", Type: "ISO14443", Group: "FAMILY", ValidUntil: &tomorrow})
	p.token(t, idtoken.Token{UID: "BLOCKED", Type: "ISO14443", Status: idtoken.Blocked})
	p.token(t, idtoken.Token{UID: "EXPIRED", Type: "ISO14443", ValidUntil: &yesterday})
	p.token(t, idtoken.Token{UID: "ANY"})
}

// decisions are tokens and what a station hears of them.
var decisions = []struct {
	uid, typ string
	want     v21.AuthorizationStatus
	group    string
}{
	{"GOOD", "ISO14443", v21.AuthorizationStatusAccepted, "FAMILY"},
	{"good", "iso14443", v21.AuthorizationStatusAccepted, "FAMILY"},
	{"GOOD", "KeyCode", v21.AuthorizationStatusUnknown, ""},
	{"ANY", "KeyCode", v21.AuthorizationStatusAccepted, ""},
	{"BLOCKED", "ISO14443", v21.AuthorizationStatusBlocked, ""},
	{"EXPIRED", "ISO14443", v21.AuthorizationStatusExpired, ""},
	{"NEVER SEEN", "ISO14443", v21.AuthorizationStatusUnknown, ""},
	{"", "NoAuthorization", v21.AuthorizationStatusAccepted, ""},
}

// TestAuthorize: what a station hears of a token, asked alone or with the start of a transaction.
func TestAuthorize(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		s := p.booted(t, "S")
		p.tokens(t)
		for i, d := range decisions {
			name := d.uid + " " + d.typ
			id := v21.IDToken{IDToken: d.uid, Type: d.typ}
			check := func(info *v21.IDTokenInfo) {
				t.Helper()
				group := ""
				if info == nil {
					t.Fatalf("%s: no decision", name)
				}
				if info.GroupIDToken != nil {
					group = info.GroupIDToken.IDToken
				}
				if info.Status != d.want || group != d.group || info.CacheExpiryDateTime.OK != (d.group != "" || d.uid == "EXPIRED") {
					t.Errorf("%s: %s group %q until %v, want %s group %q", name, info.Status, group, info.CacheExpiryDateTime, d.want, d.group)
				}
			}
			alone := ask[*v21.AuthorizeResponse](s, &v21.AuthorizeRequest{IDToken: id})
			check(&alone.IDTokenInfo)
			started := ask[*v21.TransactionEventResponse](s, transaction(v21.TransactionEventTypeStarted, strconv.Itoa(i), 0, 1000, &id))
			check(started.IDTokenInfo)
			got, flagged := p.session(t, strconv.Itoa(i)), false
			for _, f := range got.Flags {
				flagged = flagged || f.Code == session.TokenRefused
			}
			if refused := d.want != v21.AuthorizationStatusAccepted; flagged != refused {
				t.Errorf("%s: session flagged %v, want %v", name, flagged, refused)
			}
		}
		// No service checks contract certificates here, so none is accepted, whatever the token.
		resp := ask[*v21.AuthorizeResponse](s, &v21.AuthorizeRequest{IDToken: v21.IDToken{IDToken: "GOOD", Type: "ISO14443"}, Certificate: ocpp.Some("PEM")})
		if resp.IDTokenInfo.Status != v21.AuthorizationStatusInvalid || resp.CertificateStatus.V != v21.AuthorizeCertificateStatusNoCertificateAvailable {
			t.Errorf("with a certificate: %s %s", resp.IDTokenInfo.Status, resp.CertificateStatus.V)
		}
	})
}

// began is when the transactions of the tests begin: a moment ago, in whole seconds as stations have it.
var began = time.Now().UTC().Truncate(time.Second).Add(-time.Minute)

func transaction(typ v21.TransactionEventType, id string, seqNo int, wh int64, token *v21.IDToken) *v21.TransactionEventRequest {
	at := began.Add(time.Duration(seqNo) * time.Second)
	return &v21.TransactionEventRequest{EventType: typ, Timestamp: at, SeqNo: seqNo, TriggerReason: v21.TriggerReasonAuthorized, IDToken: token,
		TransactionInfo: v21.Transaction{TransactionID: id}, EVSE: &v21.EVSE{ID: 1, ConnectorID: ocpp.Some(1)},
		MeterValue: []v21.MeterValue{{Timestamp: at, SampledValue: []v21.SampledValue{{Value: decimal.MustNew(wh, 0)}}}}}
}

// session finds the one session of a transaction of station S.
func (p *platform) session(t *testing.T, transaction string) *session.Session {
	t.Helper()
	far := time.Now().AddDate(1, 0, 0)
	list, err := p.Ledger.List(context.Background(), organisation, session.Filter{Station: "S", To: far, Before: far, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var found *session.Session
	for _, s := range list {
		if s.TransactionID != transaction {
			continue
		}
		if found != nil {
			t.Fatalf("transaction %s has two sessions", transaction)
		}
		found = s
	}
	if found == nil {
		t.Fatalf("transaction %s has no session", transaction)
	}
	return found
}

// TestTransaction: it is in the ledger when it is answered; a repetition gets the same answer and changes nothing; a link
// that ends in the middle loses nothing; a reservation that is used is not free any more.
func TestTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		s := p.booted(t, "S")
		p.tokens(t)
		good := &v21.IDToken{IDToken: "GOOD", Type: "ISO14443"}
		s.answers(func(req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
			if _, ok := req.(*v21.ReserveNowRequest); ok {
				return &v21.ReserveNowResponse{Status: v21.ReserveNowStatusAccepted}, nil
			}
			return nil, nil
		})
		p.order(t, "S", &v21.ReserveNowRequest{ID: 7, ExpiryDateTime: time.Now().UTC().Add(time.Hour), IDToken: *good})
		if got := p.reservation(t, 7); got != "Active" {
			t.Errorf("the reservation is %s", got)
		}
		start := transaction(v21.TransactionEventTypeStarted, "T", 0, 1000, good)
		start.ReservationID = ocpp.Some(7)
		for range 2 {
			if resp := ask[*v21.TransactionEventResponse](s, start); resp.IDTokenInfo == nil || resp.IDTokenInfo.Status != v21.AuthorizationStatusAccepted {
				t.Errorf("start: %+v", resp.IDTokenInfo)
			}
		}
		if got := p.reservation(t, 7); got != "Used" {
			t.Errorf("the reservation is %s", got)
		}
		if resp := ask[*v21.TransactionEventResponse](s, transaction(v21.TransactionEventTypeUpdated, "T", 1, 1500, nil)); resp.IDTokenInfo != nil {
			t.Errorf("a decision that nobody asked for: %+v", resp.IDTokenInfo)
		}
		if got := p.session(t, "T"); got.State != session.Active || got.EnergyWh() != 500 || got.TokenUID != "GOOD" {
			t.Errorf("running: %s %d Wh %s", got.State, got.EnergyWh(), got.TokenUID)
		}
		_ = s.conn.NetConn().Close() // as a power cut does
		s = p.connect(t, "S", password)
		ask[*v21.TransactionEventResponse](s, transaction(v21.TransactionEventTypeEnded, "T", 2, 1700, nil))
		ask[*v21.TransactionEventResponse](s, transaction(v21.TransactionEventTypeUpdated, "T", 1, 1500, nil))
		got := p.session(t, "T")
		if got.State != session.Ended || got.EnergyWh() != 700 || len(got.Flags) > 0 || got.ReservationID == nil || *got.ReservationID != 7 {
			t.Errorf("ended: %s %d Wh %v reservation %v", got.State, got.EnergyWh(), got.Flags, got.ReservationID)
		}
	})
}

// reservation reads the status of a reservation of station S.
func (p *platform) reservation(t *testing.T, id int) (status string) {
	t.Helper()
	err := p.db.QueryRow(context.Background(), `SELECT status FROM reservations WHERE station_id = 'S' AND id = $1`, id).Scan(&status)
	if errors.Is(err, db.ErrNoRows) {
		return "unknown"
	}
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// TestNotices: what the platform has no service for is refused as NotSupported; what only has to be known is answered. Both
// are stored and shown.
func TestNotices(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		s := p.booted(t, "S")
		now := time.Now().UTC().Truncate(time.Second)
		s.refused(&v21.Get15118EVCertificateRequest{ISO15118SchemaVersion: "urn:iso:15118:2:2013:MsgDef", Action: v21.CertificateActionInstall, EXIRequest: "x"}, ocpp.NotSupported)
		ask[*v21.SecurityEventNotificationResponse](s, &v21.SecurityEventNotificationRequest{Type: "TamperDetectionActivated", Timestamp: now})
		ask[*v21.LogStatusNotificationResponse](s, &v21.LogStatusNotificationRequest{Status: v21.UploadLogStatusUploaded, RequestID: ocpp.Some(1)})
		transfer := ask[*v21.DataTransferResponse](s, &v21.DataTransferRequest{VendorID: "com.example"})
		if transfer.Status != v21.DataTransferStatusUnknownVendorID {
			t.Errorf("DataTransfer: %s", transfer.Status)
		}
		ask[*v21.MeterValuesResponse](s, &v21.MeterValuesRequest{EVSEID: 1, MeterValue: []v21.MeterValue{{Timestamp: now,
			SampledValue: []v21.SampledValue{{Value: decimal.MustNew(5, 0)}}}}})
		notices, err := p.Stations.Notices(context.Background(), "S", "", time.Now().Add(time.Hour), 100)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, n := range notices {
			got = n.Action + " " + got
		}
		if want := "Get15118EVCertificate SecurityEventNotification LogStatusNotification DataTransfer "; got != want {
			t.Errorf("notices: %s, want %s", got, want)
		}
		values, err := p.Ledger.Readings(context.Background(), station.Tenure{Station: "S"}, 1, now, now)
		if err != nil || len(values) != 1 || fmt.Sprint(values[0].SampledValue[0].Value) != "5" {
			t.Errorf("meter values: %v %v", values, err)
		}
	})
}
