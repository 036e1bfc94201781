package account

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 with what every authenticator app knows
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

// Time-based one-time passwords, RFC 6238: HMAC-SHA-1, steps of 30 seconds from the Unix epoch, 6 digits.
const (
	otpStep   = 30 * time.Second
	otpDigits = 6
	otpSecret = 20 // bytes, RFC 4226 section 4 R6
	otpDrift  = 1  // steps before and after that count as well, RFC 6238 section 5.2
)

// hotp is the code of a counter, RFC 4226 section 5.3.
func hotp(secret []byte, counter int64, digits int) string {
	var message [8]byte
	binary.BigEndian.PutUint64(message[:], uint64(counter))
	mac := hmac.New(sha1.New, secret)
	mac.Write(message[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod)
}

// otpMatch finds the step of a code; steps up to the one that was used last do not count. ok is false for a wrong code.
func otpMatch(secret []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	present := now.Unix() / int64(otpStep/time.Second)
	for s := present - otpDrift; s <= present+otpDrift; s++ {
		if subtle.ConstantTimeCompare([]byte(hotp(secret, s, otpDigits)), []byte(code)) == 1 && s > last {
			return s, true
		}
	}
	return 0, false
}

// otpText is the secret as people type it.
func otpText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// otpURL is what the picture for the authenticator app holds.
func otpURL(email string, secret []byte) string {
	v := url.Values{"secret": {otpText(secret)}, "issuer": {"Lumela"}}
	return (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/Lumela:" + email, RawQuery: v.Encode()}).String()
}
