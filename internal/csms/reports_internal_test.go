package csms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestReportLaw: whatever order the parts come in, repeated or not, a report is complete exactly when every number up to the
// last one has come, and it keeps track of few.
func TestReportLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.IntRange(1, 40).Draw(t, "parts")
		sent := rapid.SliceOfN(rapid.IntRange(0, parts-1), 0, 120).Draw(t, "sent")
		r, came := newReport(), map[int]bool{}
		for _, n := range sent {
			r.take(n, n < parts-1)
			came[n] = true
			if want := len(came) == parts; r.complete() != want {
				t.Fatalf("complete after %v of %d: %v", sent, parts, r.complete())
			}
			if r.complete() && r.gap() {
				t.Fatal("a complete report with a gap")
			}
			if r.last >= 0 && len(came) < parts && !r.gap() {
				t.Fatalf("the gap in %v of %d is not seen", sent, parts)
			}
		}
	})
}

// TestReportsAreBounded: a station that invents numbers costs little, and does not disturb the report that is waited for.
func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	var all reports
	mine := all.expect("link", 7)
	for i := range 10_000 {
		all.take("link", 1000+i, 5, true) // wrong request ids
		all.take("link", 7, 2*i+2, true)  // never what is missing
	}
	if n := len(all.of["link"]); n > maxReports {
		t.Errorf("%d reports are noted", n)
	}
	if n := len(mine.ahead); n > maxAhead {
		t.Errorf("%d parts are noted", n)
	}
	all.take("link", 7, 0, true)
	all.take("link", 7, 1, false)
	if complete, ended := all.state(mine); complete || !ended {
		t.Errorf("complete %t, ended %t", complete, ended)
	}
	all.forgetAll("link")
	if len(all.of) != 0 {
		t.Errorf("left: %v", all.of)
	}
}

// TestStrayReports: parts of a report that nobody here asked for are counted too, and forgotten when it is complete.
func TestStrayReports(t *testing.T) {
	t.Parallel()
	var all reports
	if ended, gap := all.take("link", 9, 0, true); ended || gap {
		t.Error("a first part is no gap")
	}
	if ended, gap := all.take("link", 9, 2, false); !ended || !gap {
		t.Error("the gap is not seen")
	}
	if ended, gap := all.take("link", 9, 1, true); !ended || gap {
		t.Error("the late part does not close the gap")
	}
	if len(all.of["link"]) != 0 {
		t.Error("a complete report is still noted")
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	var r rate
	now := time.Now()
	for i := range 5 {
		if n := r.count("A", now); n != i+1 {
			t.Errorf("%d, want %d", n, i+1)
		}
	}
	if n := r.count("B", now); n != 1 {
		t.Errorf("another station counts %d", n)
	}
	if n := r.count("A", now.Add(time.Minute)); n != 1 || len(r.of) != 1 {
		t.Errorf("a minute later: %d of %d stations", n, len(r.of))
	}
}

// csr makes a certificate request.
func csr(t *testing.T, key any, change func(*x509.CertificateRequest)) string {
	t.Helper()
	c := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "4711", Organization: []string{"Operator"}}}
	change(c)
	der, err := x509.CreateCertificateRequest(rand.Reader, c, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func TestCSRDefect(t *testing.T) {
	t.Parallel()
	key := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	good := key(elliptic.P256())
	const weakRSA = `-----BEGIN CERTIFICATE REQUEST-----
MIIBYTCBywIBADAiMREwDwYDVQQKDAhPcGVyYXRvcjENMAsGA1UEAwwENDcxMTCB
nzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAuiRIACc1HxGK1r8tB7dsNyhMhA0N
WJcVIoRjhbHtiarUnOOfMLoSjH5K1BzKTQOi9z3nG/OuKCfHvRTvmgqn04LZepl5
N9nIBIm8kIfxx2C2NpG4RDBmCt8p61kuT0Od3gLRlWyKb/5+cEMBpB+F13ewOHqf
idqW7fmyokp0KcMCAwEAAaAAMA0GCSqGSIb3DQEBCwUAA4GBAD0dBdLh1QQEermF
8P8ieMb394kIBEmZ9qqMEVJLBAWFGsjpUYKnmQgj/eVuY8785qtEQtETYUvZ0PyQ
lEYZUrYSTSp49qbz2T8zKVtpzSXaRPogl88pxyGXb0kjq/QJ0m20yDtTyWl0ic2x
K/Zsqh/tltcFMVJNfM6G63e98yhO
-----END CERTIFICATE REQUEST-----` // made elsewhere: Go makes no RSA keys of 1024 bits any more
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	same := func(*x509.CertificateRequest) {}
	ca, err := asn1.Marshal(struct{ CA bool }{true})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := asn1.Marshal(struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	constraint := func(value []byte) func(*x509.CertificateRequest) {
		return func(c *x509.CertificateRequest) {
			c.ExtraExtensions = []pkix.Extension{{Id: basicConstraints, Value: value}}
		}
	}
	forged := csr(t, good, same)
	block, _ := pem.Decode([]byte(forged))
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, c := range map[string]struct{ text, want string }{
		"good":             {csr(t, good, same), ""},
		"good RSA":         {csr(t, strong, same), ""},
		"no authority":     {csr(t, good, constraint(leaf)), ""},
		"nothing":          {"", "PEM"},
		"a certificate":    {strings.ReplaceAll(forged, "CERTIFICATE REQUEST", "CERTIFICATE"), "PEM"},
		"not DER":          {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "read"},
		"weak RSA":         {weakRSA, "1024"},
		"two":              {forged + forged, "more than one"},
		"another's serial": {csr(t, good, func(c *x509.CertificateRequest) { c.Subject.CommonName = "4712" }), "common name"},
		"no name":          {csr(t, good, func(c *x509.CertificateRequest) { c.Subject.CommonName = "" }), "common name"},
		"names":            {csr(t, good, func(c *x509.CertificateRequest) { c.DNSNames = []string{"platform.example"} }), "alternative"},
		"authority":        {csr(t, good, constraint(ca)), "authority"},
		"odd constraint":   {csr(t, good, constraint([]byte{1, 2, 3})), "authority"},
		"forged":           {string(pem.EncodeToMemory(block)), "signature"},
	} {
		got := csrDefect(c.text, "4711")
		if c.want == "" && got != "" || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := csrDefect(csr(t, good, same), ""); got != "" {
		t.Errorf("a station that tells no serial number: %s", got)
	}
}

func FuzzCSR(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----")
	f.Fuzz(func(t *testing.T, text string) {
		if csrDefect(text, "4711") == "" {
			t.Errorf("accepted: %q", text)
		}
	})
}
