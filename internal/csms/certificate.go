package csms

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"sync"
	"time"

	"lumela/internal/gateway"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// There is no certification authority behind the platform yet, and it asks nobody for the state of a certificate: the
// address would be one that the station chooses. Each such message has an answer of its own for that, and gets it.

// signCertificate rejects a request for a certificate: OCPP 2.1 A02.FR.12, WP A02.FR.12. What is wrong with the request
// itself, if anything, is told.
func (c *CSMS) signCertificate(ctx context.Context, l *gateway.Link, r *v21.SignCertificateRequest) (ocpp.Response, error) {
	id, organisation := station.ID(l.Station().ID), l.Station().Organisation
	resp := &v21.SignCertificateResponse{Status: v21.GenericStatusRejected}
	switch n := c.signing.count(id, time.Now()); {
	case n > maxSigning+1:
		resp.StatusInfo = &v21.StatusInfo{ReasonCode: "RateLimitExceeded"}
		return resp, nil
	case n == maxSigning+1:
		resp.StatusInfo = &v21.StatusInfo{ReasonCode: "RateLimitExceeded"}
		return resp, c.alarm(ctx, l, fmt.Sprintf("more than %d certificate requests within a minute", maxSigning))
	}
	st, err := c.Stations.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	resp.StatusInfo = &v21.StatusInfo{ReasonCode: "UnsupportedRequest", AdditionalInfo: ocpp.Some("this platform issues no certificates")}
	if defect := csrDefect(r.CSR, st.SerialNumber); defect != "" {
		resp.StatusInfo = &v21.StatusInfo{ReasonCode: "InvalidCSR", AdditionalInfo: ocpp.Some(defect)}
	}
	return resp, c.Stations.Note(ctx, organisation, id, r)
}

// alarm tells the operator of something about a station that may be an attack.
func (c *CSMS) alarm(ctx context.Context, l *gateway.Link, reason string) error {
	st, err := c.Stations.Of(ctx, l.Station().Organisation, station.ID(l.Station().ID))
	if err != nil {
		return err
	}
	return c.Stations.Alarm(ctx, st, reason, l.Remote())
}

// maxSigning is how many certificate requests of a station are looked at within a minute: checking one costs a
// verification of its signature, and none is urgent.
const maxSigning = 10

// rate counts the messages of stations within minutes. The zero value is ready.
type rate struct {
	mu    sync.Mutex
	since time.Time
	of    map[station.ID]int
}

// count adds one and gives how many there were in this minute.
func (r *rate) count(id station.ID, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || now.Sub(r.since) >= time.Minute {
		r.since, r.of = now, map[station.ID]int{}
	}
	r.of[id]++
	return r.of[id]
}

// csrDefect says what is wrong with a certificate signing request of a station; "" for nothing. serial is what the station
// has said of itself, "" for nothing. OCPP 2.1 A00.FR.501 to OCPP 2.1 A00.FR.511.
func csrDefect(text, serial string) string {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
		return "no certificate request in PEM"
	}
	if len(rest) > 2 {
		return "more than one request"
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "cannot be read"
	}
	switch key := csr.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 || n > 8192 {
			return fmt.Sprintf("RSA key of %d bits", n)
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 224 {
			return "elliptic curve of less than 224 bits"
		}
	case ed25519.PublicKey:
	default:
		return "key of an unknown kind"
	}
	if csr.CheckSignature() != nil {
		return "the signature is not that of its key"
	}
	if len(csr.DNSNames)+len(csr.IPAddresses)+len(csr.EmailAddresses)+len(csr.URIs) > 0 {
		return "has alternative names"
	}
	if wantsCA(csr) {
		return "asks to be an authority"
	}
	if csr.Subject.CommonName == "" || serial != "" && csr.Subject.CommonName != serial {
		return "the common name is not the serial number of the station"
	}
	return ""
}

var basicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19} // RFC 5280 4.2.1.9

func wantsCA(csr *x509.CertificateRequest) bool {
	for _, e := range csr.Extensions {
		var v struct {
			IsCA bool `asn1:"optional"`
			Path int  `asn1:"optional,default:-1"`
		}
		if !e.Id.Equal(basicConstraints) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &v); err != nil || v.IsCA {
			return true
		}
	}
	return false
}

// certificateStatus answers that the state of a certificate could not be found out: OCPP 2.1 M06.FR.09.
func certificateStatus() *v21.GetCertificateStatusResponse {
	return &v21.GetCertificateStatusResponse{Status: v21.GetCertificateStatusFailed,
		StatusInfo: &v21.StatusInfo{ReasonCode: "UnsupportedRequest", AdditionalInfo: ocpp.Some("this platform asks no OCSP responder")}}
}

// chainStatus is the same for a chain of certificates.
func chainStatus(r *v21.GetCertificateChainStatusRequest) *v21.GetCertificateChainStatusResponse {
	resp := &v21.GetCertificateChainStatusResponse{}
	for i := range r.CertificateStatusRequests {
		q := &r.CertificateStatusRequests[i]
		resp.CertificateStatus = append(resp.CertificateStatus, v21.CertificateStatus{CertificateHashData: q.CertificateHashData,
			Source: q.Source, Status: v21.CertificateStatusTypeFailed, NextUpdate: now()})
	}
	return resp
}

// firmwareStatus records how an update goes, and tells the operator when an image is not what it should be.
func (c *CSMS) firmwareStatus(ctx context.Context, l *gateway.Link, r *v21.FirmwareStatusNotificationRequest) error {
	switch r.Status {
	case v21.FirmwareStatusInvalidSignature, v21.FirmwareStatusInstallVerificationFailed: // OCPP 2.1 L01.FR.04
		if err := c.alarm(ctx, l, "firmware not installed: "+string(r.Status)); err != nil {
			return err
		}
	}
	return c.Stations.Note(ctx, l.Station().Organisation, station.ID(l.Station().ID), r)
}
