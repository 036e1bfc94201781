package audit

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"lumela/ocpp/devicemodel"
)

// secretWords are names of members, without separators, whose values are never recorded, beside those that
// [devicemodel.Secret] knows.
var secretWords = []string{"key", "keys", "pin", "code", "codes", "otp", "totp", "token", "credential", "credentials", "cookie", "authorization", "bearer",
	"old", "new"}

// secretEnds are ends of names, alike.
var secretEnds = []string{"token", "passwords", "secrets", "credential", "credentials", "recoverycode", "recoverycodes", "signingkey", "webhookkey", "apikeys",
	"clientkey", "authkey", "otpcode", "pin"}

// identifiers look like secrets and are names of drivers' tokens.
var identifiers = []string{"idtoken", "groupidtoken", "tokenid", "idtokens"}

// secretName reports whether the value of a member or parameter of this name is never recorded.
func secretName(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. /", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
	if slices.Contains(identifiers, plain) {
		return false
	}
	return devicemodel.Secret(name) || slices.Contains(secretWords, plain) ||
		slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(plain, end) })
}

// maxKept bounds what is kept of a request or an object, in bytes.
const maxKept = 64 << 10

// redact gives a body with its secrets blanked, as JSON; nil for none. What is no JSON, or longer than maxKept, is told by
// its length.
func redact(body []byte, length int64) json.RawMessage {
	if length == 0 {
		return nil
	}
	note := func(text string) json.RawMessage {
		out, _ := json.Marshal(map[string]any{"omitted": text, "bytes": length}) // a text and a number always have a JSON form
		return out
	}
	if length > int64(len(body)) {
		return note("too long")
	}
	// OCPP first: it knows variables by their names.
	dec := json.NewDecoder(strings.NewReader(devicemodel.Redact(string(body))))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return note("no JSON")
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(blank(v)) != nil || bytes.Contains(out.Bytes(), []byte(`\u0000`)) {
		return note("no text")
	}
	return bytes.TrimSpace(out.Bytes())
}

// blank blanks the values of members whose names say that they are secrets.
func blank(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if secretName(name) && value != nil {
				v[name] = devicemodel.Blank
			} else {
				v[name] = blank(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = blank(v[i])
		}
	}
	return v
}

// address is a path with its query, secrets blanked.
func address(u *url.URL, base string) string {
	path := strings.TrimPrefix(u.EscapedPath(), base)
	if u.RawQuery == "" {
		return path
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return path
	}
	for name := range q {
		if secretName(name) {
			q[name] = []string{devicemodel.Blank}
		}
	}
	return path + "?" + q.Encode()
}

// text reports whether a database takes it.
func text(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
