package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// suites are those that a CSMS must support besides TLS 1.3's, OCPP 2.0.1 A00.FR.318, and the modern ones of browsers. The
// two with RSA key exchange are off by default in Go: stations with old chips need them, and an RSA certificate.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
}

func tlsConfig(cfg Config) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites} // OCPP 2.0.1 A00.FR.314
	for i := range cfg.TLSCert {
		pair, err := tls.LoadX509KeyPair(cfg.TLSCert[i], cfg.TLSKey[i])
		if err != nil {
			return nil, fmt.Errorf("load the certificate %s: %w", cfg.TLSCert[i], err)
		}
		c.Certificates = append(c.Certificates, pair)
	}
	if cfg.TLSClientCA == "" {
		return c, nil
	}
	raw, err := os.ReadFile(cfg.TLSClientCA)
	if err != nil {
		return nil, fmt.Errorf("load the stations' CA: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("load the stations' CA: %s holds no certificate in PEM", cfg.TLSClientCA)
	}
	// Browsers show none; whether a station must is decided by its profile.
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if cfg.TLSClientCRL == "" {
		return c, nil
	}
	list, err := readCRL(cfg.TLSClientCRL)
	if err != nil {
		return nil, err
	}
	c.VerifyConnection = func(s tls.ConnectionState) error { return notRevoked(list, s) }
	return c, nil
}

func readCRL(file string) (*x509.RevocationList, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load the revocation list: %w", err)
	}
	if block, _ := pem.Decode(raw); block != nil {
		raw = block.Bytes
	}
	list, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, fmt.Errorf("load the revocation list %s: %w", file, err)
	}
	return list, nil
}

// notRevoked refuses certificates on the list of their issuer. OCPP 2.0.1 A00.FR.702.
func notRevoked(list *x509.RevocationList, s tls.ConnectionState) error {
	for _, chain := range s.VerifiedChains {
		if len(chain) < 2 || list.CheckSignatureFrom(chain[1]) != nil {
			continue
		}
		if time.Now().After(list.NextUpdate) && !list.NextUpdate.IsZero() {
			return errors.New("the revocation list is out of date")
		}
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(chain[0].SerialNumber) == 0 {
				return errors.New("the client certificate is revoked")
			}
		}
	}
	return nil
}
