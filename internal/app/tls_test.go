package app_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
)

// authority signs certificates.
type authority struct {
	cert   *x509.Certificate
	key    crypto.Signer
	serial atomic.Int64
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Operator"}}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a.serial.Store(1)
	return a
}

// issue makes a certificate for a key, valid until notAfter.
func (a *authority) issue(t testing.TB, name string, key crypto.Signer, notAfter time.Time, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial.Add(1)), Subject: pkix.Name{CommonName: name, Organization: []string{"Operator"}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: notAfter, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"lumela.test"}}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// station makes a client certificate.
func (a *authority) station(t testing.TB, name string) tls.Certificate {
	t.Helper()
	return a.issue(t, name, newKey(t), time.Now().Add(time.Hour), x509.ExtKeyUsageClientAuth)
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, file, typ string, raw []byte) string {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tlsNode is a node with TLS: an ECDSA and an RSA pair, a CA of the stations and its revocation list.
type tlsNode struct {
	*apptest.Node
	servers, stations *authority
	revoked           tls.Certificate // of a station, for any name: revocation counts first
}

func startTLS(t *testing.T) *tlsNode {
	t.Helper()
	n := &tlsNode{servers: newAuthority(t, "Root of the servers"), stations: newAuthority(t, "Root of the stations")}
	dir := t.TempDir()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var certs, keys []string
	for name, key := range map[string]crypto.Signer{"ecdsa": newKey(t), "rsa": rsaKey} {
		pair := n.servers.issue(t, "lumela.test", key, time.Now().Add(time.Hour), x509.ExtKeyUsageServerAuth)
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, writePEM(t, filepath.Join(dir, name+".crt"), "CERTIFICATE", pair.Certificate[0]))
		keys = append(keys, writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", raw))
	}
	n.revoked = n.stations.station(t, "revoked")
	leaf, err := x509.ParseCertificate(n.revoked.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute),
		NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: leaf.SerialNumber, RevocationTime: time.Now()}}},
		n.stations.cert, n.stations.key)
	if err != nil {
		t.Fatal(err)
	}
	n.Node = apptest.Start(t, apptest.With(func(c *app.Config) {
		c.HTTPS, c.TLSCert, c.TLSKey = "127.0.0.1:0", certs, keys
		c.TLSClientCA = writePEM(t, filepath.Join(dir, "stations.crt"), "CERTIFICATE", n.stations.cert.Raw)
		c.TLSClientCRL = writePEM(t, filepath.Join(dir, "stations.crl"), "X509 CRL", list)
	}))
	return n
}

// client is what a station trusts and shows.
func (n *tlsNode) client(certs ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(n.servers.cert)
	return &tls.Config{RootCAs: roots, ServerName: "lumela.test", Certificates: certs, MinVersion: tls.VersionTLS10} //nolint:gosec // old stations are played
}

// faultOldTLS: OCPP 2.0.1 A00.FR.314.
func faultOldTLS(t *testing.T, f *fault) {
	n := f.tls()
	for _, newest := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		cfg := n.client()
		cfg.MaxVersion = newest
		if c, err := n.Connect(apptest.Dial{TLS: cfg}); err == nil {
			_ = c.Close()
			t.Errorf("%s was agreed on", tls.VersionName(newest))
		}
	}
	id, password := f.withPassword(t, n.Node, 2)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := n.client()
		cfg.MinVersion, cfg.MaxVersion = version, version
		n.Dial(t, id, f.version, apptest.Dial{TLS: cfg, Password: password}).Boot(f.version)
	}
}

// faultRSAKeyExchange: OCPP 2.0.1 A00.FR.318.
func faultRSAKeyExchange(t *testing.T, f *fault) {
	n := f.tls()
	id, password := f.withPassword(t, n.Node, 2)
	for _, suite := range []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384} {
		cfg := n.client()
		cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, []uint16{suite}
		n.Dial(t, id, f.version, apptest.Dial{TLS: cfg, Password: password}).Boot(f.version)
	}
}

// faultWeakSuites: OCPP 2.0.1 A00.FR.320, OCPP 2.0.1 A00.FR.322.
func faultWeakSuites(t *testing.T, f *fault) {
	n := f.tls()
	for _, suite := range []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_RC4_128_SHA} {
		cfg := n.client()
		cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, []uint16{suite}
		if c, err := n.Connect(apptest.Dial{TLS: cfg}); err == nil {
			_ = c.Close()
			t.Errorf("%s was agreed on", tls.CipherSuiteName(suite))
		}
	}
	faultNullSuites(t, n)
}

// faultNullSuites says a ClientHello of TLS 1.2 by hand that offers only suites without encryption.
func faultNullSuites(t *testing.T, n *tlsNode) {
	hello := []byte{3, 3}
	hello = append(hello, make([]byte, 32)...)                                // random
	hello = append(hello, 0, 0, 6, 0, 0x01, 0, 0x02, 0, 0x3b, 1, 0)           // no session, NULL_MD5, NULL_SHA, NULL_SHA256, no compression
	handshake := append([]byte{1, 0, 0, byte(len(hello))}, hello...)          // ClientHello
	record := append([]byte{22, 3, 1, 0, byte(len(handshake))}, handshake...) // handshake record
	conn, err := net.DialTimeout("tcp", n.HTTPSAddr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(record); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := conn.Read(first); err != nil || first[0] != 21 {
		t.Errorf("a client without encryption heard record type %d (%v), want an alert", first[0], err)
	}
}

// profile3 makes a station of security profile 3.
func (f *fault) profile3(t *testing.T) string {
	t.Helper()
	id := f.id()
	f.tls().Want(t, 201, "POST", "/stations", fmt.Sprintf(`{"id":%q,"securityProfile":3,"strict":%v}`, id, f.strict))
	return id
}

// faultNoCertificate: OCPP 2.0.1 A00.FR.407, OCPP 2.0.1 A00.FR.408.
func faultNoCertificate(t *testing.T, f *fault) {
	n, id := f.tls(), f.profile3(t)
	events := n.Listen(t, "/events")
	if resp := n.Refused(t, id, f.version, apptest.Dial{TLS: n.client()}); resp.StatusCode != 401 {
		t.Errorf("got %s", resp.Status)
	}
	wantSecurityEvent(events, id)
	n.Dial(t, id, f.version, apptest.Dial{TLS: n.client(n.stations.station(t, id))}).Boot(f.version)
}

// ended checks that a connection came to nothing before a WebSocket began.
func ended(t *testing.T, f *fault, id string, cert tls.Certificate) {
	t.Helper()
	n := f.tls()
	s, resp, err := n.TryDial(t, id, f.version, apptest.Dial{TLS: n.client(cert)})
	if s != nil || err == nil && resp.StatusCode != 401 {
		t.Errorf("the certificate was taken: %v", resp)
	}
	before := s
	if before == nil { // the station itself is let in with a good certificate
		n.Dial(t, id, f.version, apptest.Dial{TLS: n.client(n.stations.station(t, id))}).Boot(f.version)
	}
}

func faultExpiredCertificate(t *testing.T, f *fault) {
	id := f.profile3(t)
	ended(t, f, id, f.tls().stations.issue(t, id, newKey(t), time.Now().Add(-time.Hour), x509.ExtKeyUsageClientAuth))
}

// faultOtherCommonName: OCPP 2.0.1 A00.FR.405.
func faultOtherCommonName(t *testing.T, f *fault) {
	id := f.profile3(t)
	ended(t, f, id, f.tls().stations.station(t, "somebody-else"))
	ended(t, f, id, newAuthority(t, "A root that nobody knows").station(t, id))
}

// faultRevokedCertificate: OCPP 2.0.1 A00.FR.702.
func faultRevokedCertificate(t *testing.T, f *fault) {
	id := f.profile3(t)
	ended(t, f, id, f.tls().revoked)
	resp, err := handshakeOnly(f.tls(), f.tls().revoked)
	if err == nil {
		t.Errorf("a revoked certificate got through the handshake: %s", resp)
	}
}

// handshakeOnly makes a plain request, so that a refusal of TLS is told from one of the station's name.
func handshakeOnly(n *tlsNode, cert tls.Certificate) (string, error) {
	conn, err := n.Connect(apptest.Dial{TLS: n.client(cert)})
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: lumela.test\r\n\r\n")); err != nil {
		return "", err
	}
	head := make([]byte, 12)
	_, err = conn.Read(head)
	return string(head), err
}

// faultSerialNumber: OCPP 2.0.1 B01.FR.11, OCPP 2.0.1 B01.FR.12.
func faultSerialNumber(t *testing.T, f *fault) {
	n, id := f.tls(), f.profile3(t)
	events := n.Listen(t, "/events")
	s := n.Dial(t, id, f.version, apptest.Dial{TLS: n.client(n.stations.station(t, id))})
	if f.is16() {
		s.Ask(`[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M","chargePointSerialNumber":"OTHER-1"}]`,
			`[3,"1",{"status":"Rejected","currentTime":"<time>","interval":"<any>"}]`)
		wantSecurityEvent(events, id)
		return
	}
	s.Send(`[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":{"vendorName":"V","model":"M","serialNumber":"OTHER-1"}}]`)
	if code, reason := s.WaitClosed(); code == 0 || reason == "" {
		t.Errorf("closed with %d %q", code, reason)
	}
	wantSecurityEvent(events, id)
	n.Dial(t, id, f.version, apptest.Dial{TLS: n.client(n.stations.station(t, id))}).
		Ask(`[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":{"vendorName":"V","model":"M","serialNumber":"`+id+`"}}]`,
			`[3,"1",{"status":"Accepted","currentTime":"<time>","interval":300}]`)
}
