package sim

import (
	"crypto/ecdsa"
	"math"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp/v21"
)

// extras is what most stations use rarely; the zero value is an empty station.
type extras struct {
	firmwareStatus  string
	firmwareRequest int
	signedFirmware  bool
	firmwareJob     *firmwareJob
	logStatus       string
	logRequest      int
	logJob          *logJob

	certificates []installed
	key          *ecdsa.PrivateKey // of the certificate that was asked for last
	chain        string            // the station's own certificate
	ownKey       *ecdsa.PrivateKey // of that certificate
	csrRequest   int

	remoteProfile *profile
	monitors      []*monitor
	monitorID     int
	eventID       int
	displays      []v21.MessageInfo
	networks      map[int]v21.NetworkConnectionProfile
	tariffs       map[int]v21.Tariff // by EVSE
	ders          []derControl
	streams       []*stream
	securityLog   []string
}

// decimalOf is a number with at most three decimals.
func decimalOf(v float64) decimal.Decimal {
	d, err := decimal.NewFromFloat64(math.Round(v*1000) / 1000)
	if err != nil {
		return decimal.Decimal{} // only NaN and infinities, which no meter shows
	}
	return d.Trim(0)
}

// tenths is a number with one decimal, as limits of 1.6 have it.
func tenths(v float64) decimal.Decimal { return decimalOf(math.Round(v*10) / 10) }

// amps is a power as current per phase.
func (s *Station) amps(e *evse, watts int) float64 {
	phases := s.cfg.Phases
	if s.cfg.DC {
		return float64(watts) / dcVoltage
	}
	if e != nil && e.plugged > 0 {
		phases = s.nominalPhases(e)
	}
	return float64(watts) / float64(phases*voltage)
}

// securityEvent notes a security event and tells it.
func (s *Station) securityEvent(kind, info string) {
	s.extras.securityLog = append(s.extras.securityLog, s.now().Format(time.RFC3339)+" "+kind+" "+info)
	if n := len(s.extras.securityLog); n > 100 {
		s.extras.securityLog = s.extras.securityLog[n-100:]
	}
	s.send(s.front.security(kind, info), nil)
}

// afterBoot tells what a reboot finished.
func (s *Station) afterBoot() {
	x := &s.extras
	switch {
	case x.firmwareStatus == "Installing" || x.firmwareStatus == "InstallRebooting":
		s.firmwareStatus("Installed")
		s.securityEvent("FirmwareUpdated", s.firmware)
		x.firmwareJob = nil
	case s.bootReason == "RemoteReset":
		s.securityEvent("ResetOrReboot", s.bootReason)
	default:
		s.securityEvent("StartupOfTheDevice", s.bootReason)
	}
}

func lower(s string) string { return strings.ToLower(s) }
