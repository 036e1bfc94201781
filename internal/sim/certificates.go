package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// certHash names a certificate as OCPP does: hashes of its issuer's name and key, and its serial number.
type certHash struct{ algorithm, name, key, serial string }

func (h certHash) equal(o certHash) bool {
	trim := func(s string) string { return strings.TrimLeft(strings.ToLower(s), "0") }
	return h.algorithm == o.algorithm && same(h.name, o.name) && same(h.key, o.key) && trim(h.serial) == trim(o.serial)
}

// installed is a root certificate in the station's store.
type installed struct {
	use  string
	hash certHash
	cert *x509.Certificate
}

// hashOf names a self-signed certificate: its issuer is itself. RFC 6960 4.1.1.
func hashOf(c, issuer *x509.Certificate) (certHash, error) {
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &spki); err != nil {
		return certHash{}, fmt.Errorf("reading the public key: %w", err)
	}
	name, key := sha256.Sum256(c.RawIssuer), sha256.Sum256(spki.Key.RightAlign())
	return certHash{"SHA256", hex.EncodeToString(name[:]), hex.EncodeToString(key[:]), c.SerialNumber.Text(16)}, nil
}

// installCertificate puts a root into the store; the answer is a word of InstallCertificate.
func (s *Station) installCertificate(use, text string) string {
	c, err := parseCertificate(text)
	if err != nil {
		s.securityEvent("InvalidCsmsCertificate", err.Error())
		return "Rejected"
	}
	now := s.now()
	if now.After(c.NotAfter) || now.Before(c.NotBefore) {
		return "Rejected"
	}
	h, err := hashOf(c, c)
	if err != nil {
		return "Failed"
	}
	x := &s.extras
	i := slices.IndexFunc(x.certificates, func(o installed) bool { return o.use == use && o.hash.equal(h) })
	if i < 0 && len(x.certificates) >= s.num(setCertMax) {
		return "Rejected"
	}
	if i >= 0 {
		x.certificates = slices.Delete(x.certificates, i, i+1)
	}
	x.certificates = append(x.certificates, installed{use: use, hash: h, cert: c})
	return "Accepted"
}

// deleteCertificate removes a root; the answer is a word of DeleteCertificate.
func (s *Station) deleteCertificate(h certHash) string {
	x := &s.extras
	before := len(x.certificates)
	x.certificates = slices.DeleteFunc(x.certificates, func(o installed) bool { return o.hash.equal(h) })
	if len(x.certificates) == before {
		return "NotFound"
	}
	return "Accepted"
}

// makeCSR makes a new key and a request for a certificate with it.
func (s *Station) makeCSR() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	subject := pkix.Name{CommonName: s.cfg.ID, Organization: []string{s.text(setOrganization)}, SerialNumber: s.cfg.Serial}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	if err != nil {
		return "", fmt.Errorf("making a certificate request: %w", err)
	}
	s.extras.key = key
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// certificateSigned takes the station's own certificate when it fits the key that was made for it.
func (s *Station) certificateSigned(chain string) string {
	if err := s.checkChain(chain); err != nil {
		s.securityEvent("InvalidChargingStationCertificate", err.Error())
		return "Rejected"
	}
	s.extras.chain, s.extras.ownKey = chain, s.extras.key
	s.event(nil, "certificate", "accepted")
	s.relink = "new certificate"
	return "Accepted"
}

// ownCertificate is the certificate that was signed for this station, with its key.
func (s *Station) ownCertificate() (tls.Certificate, error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.extras.ownKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the own key: %w", err)
	}
	pair, err := tls.X509KeyPair([]byte(s.extras.chain), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("using the own certificate: %w", err)
	}
	return pair, nil
}

func (s *Station) checkChain(chain string) error {
	if len(chain) > s.num(setCertChain) {
		return fmt.Errorf("the chain is too long")
	}
	leaf, err := parseCertificate(chain)
	if err != nil {
		return err
	}
	now := s.now()
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return fmt.Errorf("the certificate is not valid now")
	}
	key := s.extras.key
	if key == nil {
		return fmt.Errorf("no certificate was asked for")
	}
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(&key.PublicKey) {
		return fmt.Errorf("the certificate has another key")
	}
	if leaf.Subject.CommonName != s.cfg.ID {
		return fmt.Errorf("the certificate is for %q", leaf.Subject.CommonName)
	}
	return nil
}
