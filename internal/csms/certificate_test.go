package csms_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// TestCertificateServices: there is no authority behind the platform. Each message of certificates gets the answer of its
// own for that, and nobody is asked over the network.
func TestCertificateServices(t *testing.T) {
	var asked atomic.Int64
	responder := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(responder.Close)
	onEach(t, func(t *testing.T, p *platform) {
		s := p.booted(t, "S")
		signed := ask[*v21.SignCertificateResponse](s, &v21.SignCertificateRequest{CSR: "no request at all"})
		if signed.Status != v21.GenericStatusRejected || signed.StatusInfo.ReasonCode != "InvalidCSR" {
			t.Errorf("SignCertificate: %+v", signed)
		}
		hash := v21.CertificateHashData{HashAlgorithm: v21.HashAlgorithmSHA256, IssuerNameHash: "a", IssuerKeyHash: "b", SerialNumber: "1"}
		one := ask[*v21.GetCertificateStatusResponse](s, &v21.GetCertificateStatusRequest{OCSPRequestData: v21.OCSPRequestData{
			HashAlgorithm: hash.HashAlgorithm, IssuerNameHash: "a", IssuerKeyHash: "b", SerialNumber: "1", ResponderURL: responder.URL}})
		if one.Status != v21.GetCertificateStatusFailed || one.OCSPResult.OK {
			t.Errorf("GetCertificateStatus: %+v", one)
		}
		chain := ask[*v21.GetCertificateChainStatusResponse](s, &v21.GetCertificateChainStatusRequest{CertificateStatusRequests: []v21.CertificateStatusRequestInfo{
			{CertificateHashData: hash, Source: v21.CertificateStatusSourceOCSP, Urls: []string{responder.URL}}}})
		if len(chain.CertificateStatus) != 1 || chain.CertificateStatus[0].Status != v21.CertificateStatusTypeFailed {
			t.Errorf("GetCertificateChainStatus: %+v", chain)
		}
		vat := ask[*v21.VatNumberValidationResponse](s, &v21.VatNumberValidationRequest{VATNumber: "DE1"})
		if vat.Status != v21.GenericStatusRejected || vat.VATNumber != "DE1" {
			t.Errorf("VatNumberValidation: %+v", vat)
		}
		dynamic := ask[*v21.PullDynamicScheduleUpdateResponse](s, &v21.PullDynamicScheduleUpdateRequest{ChargingProfileID: 5})
		if dynamic.Status != v21.ChargingProfileStatusRejected || dynamic.ScheduleUpdate != nil {
			t.Errorf("PullDynamicScheduleUpdate: %+v", dynamic)
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("the responder was asked %d times", n)
		}
	})
}

// TestMissingPart: a report with a hole is asked for again at once; the whole one ends it. Other reports that come between,
// parts that come twice or in another order, change nothing.
func TestMissingPart(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		asked := make(chan int, 8)
		p.enrol(t, "S", password)
		s := p.connect(t, "S", password)
		s.answers(func(req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
			if r, ok := req.(*v21.GetBaseReportRequest); ok {
				asked <- r.RequestID
				return &v21.GetBaseReportResponse{Status: v21.GenericDeviceModelStatusAccepted}, nil
			}
			return nil, nil
		})
		s.boot(v21.RegistrationStatusAccepted)
		const parts = 6
		say := func(request, seqNo int, more bool) {
			ask[*v21.NotifyReportResponse](s, &v21.NotifyReportRequest{RequestID: request, GeneratedAt: time.Now().UTC(), SeqNo: seqNo, Tbc: ocpp.Some(more)})
		}
		read := func() bool {
			st, err := p.Stations.Get(context.Background(), station.ID("S"))
			return err == nil && !st.ModelReadAt.IsZero()
		}
		next := func() int {
			t.Helper()
			select {
			case id := <-asked:
				return id
			case <-time.After(patience):
				t.Fatal("the report was not asked for")
			}
			return 0
		}
		first := next()
		for _, n := range []int{0, 1, 1, 4, 2, 5} { // 3 is lost
			say(first, n, n < parts-1)
			say(first+1, n, true) // a report that nobody asked for
		}
		second := next()
		if second == first {
			t.Error("the same number again")
		}
		if read() {
			t.Error("a report with a hole counts as read")
		}
		for _, n := range []int{5, 3, 4, 0, 2, 2, 1} {
			say(second, n, n < parts-1)
		}
		eventually(t, "the whole report to count", read)
		if len(asked) != 0 {
			t.Error("asked for once more")
		}
	})
}
