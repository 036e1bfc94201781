package sim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"lumela/ocpp"
)

// firmwareJob is one update of the firmware.
type firmwareJob struct {
	location          string
	retrieve, install time.Time
	request, retries  int
	interval          time.Duration
	signer, signature string
	attempt           int
	canceled          bool
}

// maxDownload bounds what a station takes from a server.
const maxDownload = 64 << 20

// updateFirmware starts an update, in the place of one that goes on; the answer is a word of UpdateFirmware.
func (s *Station) updateFirmware(j *firmwareJob) string {
	status := "Accepted"
	if old := s.extras.firmwareJob; old != nil {
		if s.extras.firmwareStatus == "Installing" || s.extras.firmwareStatus == "InstallRebooting" {
			return "Rejected"
		}
		old.canceled = true
		status = "AcceptedCanceled"
	}
	s.extras.firmwareJob, s.extras.firmwareRequest = j, j.request
	wait := j.retrieve.Sub(s.now())
	if wait > 0 && j.request != 0 {
		s.firmwareStatus("DownloadScheduled")
	}
	s.after(max(0, wait), func() { s.download(j) })
	return status
}

// firmwareStatus notes and tells a status.
func (s *Station) firmwareStatus(status string) {
	s.extras.firmwareStatus = status
	s.event(nil, "firmware", status)
	if req := s.front.firmwareStatus(status, s.extras.firmwareRequest); req != nil {
		s.send(req, nil)
	}
}

func (s *Station) download(j *firmwareJob) {
	if j.canceled {
		return
	}
	s.firmwareStatus("Downloading")
	ctx, client := s.ctx, s.cfg.HTTP
	go func() {
		image, err := fetch(ctx, client, j.location)
		s.mu.Lock()
		defer s.unlock()
		if j.canceled {
			return
		}
		if err == nil {
			s.firmwareStatus("Downloaded")
			s.verify(j, image)
			return
		}
		s.event(nil, "error", "firmware: "+err.Error())
		j.attempt++
		if j.attempt <= j.retries && !errors.Is(err, errLocation) {
			s.after(j.interval, func() { s.download(j) })
			return
		}
		s.extras.firmwareJob = nil
		s.firmwareStatus("DownloadFailed")
	}()
}

var errLocation = errors.New("only http and https can be used")

func fetch(ctx context.Context, client *http.Client, location string) ([]byte, error) {
	if !strings.HasPrefix(location, "http://") && !strings.HasPrefix(location, "https://") {
		return nil, fmt.Errorf("%w: %q", errLocation, location)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, location, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocation, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", location, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("downloading %s: HTTP %d", location, resp.StatusCode)
	}
	image, err := io.ReadAll(io.LimitReader(resp.Body, maxDownload+1))
	if err == nil && len(image) > maxDownload {
		err = errors.New("too large")
	}
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", location, err)
	}
	return image, nil
}

// verify checks the signature of an image where there is one, and waits for the time to install.
func (s *Station) verify(j *firmwareJob, image []byte) {
	if j.signer != "" {
		if err := checkSignature(j.signer, j.signature, image); err != nil {
			s.extras.firmwareJob = nil
			s.firmwareStatus("InvalidSignature")
			s.securityEvent("InvalidFirmwareSignature", err.Error())
			return
		}
		s.firmwareStatus("SignatureVerified")
	}
	version := versionOf(j.location, image)
	wait := j.install.Sub(s.now())
	if wait > 0 && j.request != 0 {
		s.firmwareStatus("InstallScheduled")
	}
	s.after(max(0, wait), func() { s.putIn(j, version) })
}

// putIn installs when nothing charges, and reboots with the new version.
func (s *Station) putIn(j *firmwareJob, version string) {
	if j.canceled {
		return
	}
	if s.anyTx(nil) {
		s.after(time.Second, func() { s.putIn(j, version) })
		return
	}
	s.firmwareStatus("Installing")
	s.after(time.Second, func() {
		s.firmware = version
		if j.request != 0 {
			s.firmwareStatus("InstallRebooting")
		}
		s.resetWait = &resetPlan{reason: "FirmwareUpdate"}
		s.after(time.Second, s.idle) // the status goes out first
	})
}

// versionOf names an image: its first line where that is a version, else its file name with a part of its hash.
func versionOf(location string, image []byte) string {
	line, _, _ := bytes.Cut(image, []byte("\n"))
	if v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("version=")); ok && len(v) > 0 && len(v) <= 40 {
		return string(v)
	}
	sum := sha256.Sum256(image)
	name := strings.TrimSuffix(path.Base(location), path.Ext(location))
	return cut(name, 30) + "+" + hex.EncodeToString(sum[:4])
}

func validSigner(text string, now time.Time) bool {
	c, err := parseCertificate(text)
	return err == nil && !now.Before(c.NotBefore) && now.Before(c.NotAfter)
}

// checkSignature verifies a base64 signature over the SHA-256 of an image, OCPP 2.1 L01.
func checkSignature(signer, signature string, image []byte) error {
	c, err := parseCertificate(signer)
	if err != nil {
		return err
	}
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(signature))
	if err != nil {
		return fmt.Errorf("reading the signature: %w", err)
	}
	sum := sha256.Sum256(image)
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, sum[:], sig) {
			return nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPSS(key, crypto.SHA256, sum[:], sig, nil) == nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil {
			return nil
		}
	}
	return errors.New("the signature does not fit the image")
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(strings.ReplaceAll(text, `\n`, "\n")))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a certificate in PEM form")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	return c, nil
}

// logJob is one upload of a log.
type logJob struct {
	location, kind, name string
	request, retries     int
	interval             time.Duration
	attempt              int
	canceled             bool
}

// uploadLog starts an upload; it gives the name of the file and a word of GetLog.
func (s *Station) uploadLog(j *logJob) (name, status string) {
	status = "Accepted"
	if old := s.extras.logJob; old != nil {
		old.canceled = true
		status = "AcceptedCanceled"
	}
	j.name = fmt.Sprintf("%s-%s-%s.txt", strings.ToLower(j.kind), safeName(s.cfg.ID), s.now().Format("20060102T150405Z"))
	s.extras.logJob, s.extras.logRequest = j, j.request
	s.after(0, func() { s.upload(j) })
	return j.name, status
}

func safeName(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, cut(id, 100))
}

func (s *Station) logState(j *logJob, status string) {
	s.extras.logStatus = status
	s.event(nil, "log", status)
	s.send(s.front.logStatus(status, j.request), nil)
}

func (s *Station) upload(j *logJob) {
	if j.canceled {
		return
	}
	s.logState(j, "Uploading")
	text := s.logText(j.kind)
	ctx, client := s.ctx, s.cfg.HTTP
	go func() {
		status, err := put(ctx, client, j, text)
		s.mu.Lock()
		defer s.unlock()
		if j.canceled {
			return
		}
		if err != nil {
			s.event(nil, "error", "log: "+err.Error())
			j.attempt++
			if j.attempt <= j.retries && !errors.Is(err, errLocation) {
				s.after(j.interval, func() { s.upload(j) })
				return
			}
		}
		s.extras.logJob = nil
		s.logState(j, status)
	}()
}

// put uploads by PUT to the file below the location, and by POST to the location where PUT is not allowed.
func put(ctx context.Context, client *http.Client, j *logJob, text string) (status string, err error) {
	if !strings.HasPrefix(j.location, "http://") && !strings.HasPrefix(j.location, "https://") {
		return "NotSupportedOperation", fmt.Errorf("%w: %q", errLocation, j.location)
	}
	target := j.location
	if strings.HasSuffix(target, "/") {
		target += j.name
	}
	code := 0
	for _, method := range [...]string{http.MethodPut, http.MethodPost} {
		req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(text))
		if err != nil {
			return "BadMessage", fmt.Errorf("%w: %w", errLocation, err)
		}
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
		resp, err := client.Do(req)
		if err != nil {
			return "UploadFailure", fmt.Errorf("uploading to %s: %w", target, err)
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
		resp.Body.Close()
		if code = resp.StatusCode; code/100 == 2 {
			return "Uploaded", nil
		}
		if code != http.StatusMethodNotAllowed && code != http.StatusNotImplemented {
			break
		}
	}
	status = "UploadFailure"
	if code == http.StatusUnauthorized || code == http.StatusForbidden {
		status = "PermissionDenied"
	}
	return status, fmt.Errorf("uploading to %s: HTTP %d", target, code)
}

// logText is the log that a station keeps of itself.
func (s *Station) logText(kind string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s\nmade at %s\nfirmware %s, %s %s, OCPP %s\n", kind, s.cfg.ID, s.now().Format(time.RFC3339), s.firmware,
		s.cfg.Vendor, s.cfg.Model, s.cfg.Version)
	for _, line := range s.extras.securityLog {
		b.WriteString(line + "\n")
	}
	if kind == "SecurityLog" {
		return b.String()
	}
	for _, e := range s.evses {
		fmt.Fprintf(&b, "EVSE %d: %s, %d Wh, %d W\n", e.id, s.front.statusOf(e, max(1, e.plugged)), e.meter.wh(), e.power)
	}
	for i := range settings {
		if sp := &settings[i]; !sp.writeOnly {
			fmt.Fprintf(&b, "%s %s.%s = %s\n", sp.key, sp.comp, sp.variable, s.text(setting(i)))
		}
	}
	return b.String()
}

// requestCertificate asks for a certificate of the station, and says whether it could.
func (s *Station) requestCertificate() bool {
	csr, err := s.makeCSR()
	if err != nil {
		s.event(nil, "error", err.Error())
		return false
	}
	s.queue(&message{always: true, build: func() ocpp.Request { return s.front.signCertificate(csr) }})
	return true
}
