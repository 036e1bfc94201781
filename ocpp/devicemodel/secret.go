package devicemodel

import (
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Blank stands where a secret was.
const Blank = "********"

// secretEndings are how the names of configuration keys and variables end whose values are secrets: passwords of the
// station (AuthorizationKey of 1.6, BasicAuthPassword of 2.x), of its mobile network (APN), of its tunnel (VPN), and what
// vendors add to them. OCPP 1.6-J errata 3.12: an AuthorizationKey is never given back.
var secretEndings = []string{
	"password", "passwd", "passphrase", "passcode", "secret", "psk", "simpin", "pincode",
	"authorizationkey", "vpnkey", "apikey", "hmackey", "privatekey", "secretkey", "sharedkey", "accesskey", "masterkey",
	"encryptionkey", "networkkey", "wifikey", "wlankey", "wpakey",
}

// Secret reports whether the value of a configuration key or variable of this name must never be kept or shown. Letters
// may be upper or lower case; what separates words and numbers at the end do not count.
func Secret(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. /", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
	plain = strings.TrimRight(plain, "0123456789")
	return slices.ContainsFunc(secretEndings, func(ending string) bool { return strings.HasSuffix(plain, ending) })
}

// StationPassword reports whether a variable of this name is the password by which the station itself signs in.
func StationPassword(name string) bool {
	return strings.EqualFold(name, "BasicAuthPassword") || strings.EqualFold(name, "AuthorizationKey")
}

// Redact gives an OCPP frame or payload of any version with every secret blanked, and all else as it is, to the byte: the
// values of configuration keys and variables whose names say that they are secrets, members with such names, and the
// passwords in URLs. A text that is no JSON has all its values blanked when it names a secret.
func Redact(text string) string {
	if strings.Contains(text, "://") && strings.Contains(text, "@") {
		text = urlPassword.ReplaceAllString(text, "${1}"+Blank+"@")
	}
	if !mentionsSecret(text) {
		return text
	}
	r := redaction{text: text, tokens: json.NewDecoder(strings.NewReader(text))}
	if !r.all() {
		return everyValue.ReplaceAllString(text, "${1}"+Blank+"${2}")
	}
	return r.result()
}

var (
	// urlPassword is the user information of a URL with a password, RFC 3986 3.2.1.
	urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:(?://|\\/\\/)[^\s"/@:]*:)[^\s"/@]+@`)
	// everyValue are the values of a text that cannot be read.
	everyValue = regexp.MustCompile(`("(?i:value|attributeValue|actualValue|[a-z]*password|key|secret)"\s*:\s*")(?:[^"\\]|\\.)*("|$)`)
)

// mentionsSecret is a quick look: false means that no name in the text is that of a secret. It is asked for every frame.
func mentionsSecret(text string) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] | 0x20 {
		case 'p':
			if foldAt(text, i, "passw") || foldAt(text, i, "passp") || foldAt(text, i, "passc") || foldAt(text, i, "psk") || foldAt(text, i, "pincode") {
				return true
			}
		case 's':
			if foldAt(text, i, "secret") || foldAt(text, i, "simpin") {
				return true
			}
		case 'k': // the names of keys end in it; "key" by itself and "publicKey" are in many frames
			if foldAt(text, i, "key") && i > 0 && text[i-1] != '"' && !(i >= 6 && strings.EqualFold(text[i-6:i], "public")) {
				return true
			}
		case '\\' | 0x20:
			if foldAt(text, i, `\u`) { // a letter in disguise
				return true
			}
		}
	}
	return false
}

// foldAt reports whether a word stands at i, in upper or lower case.
func foldAt(text string, i int, word string) bool {
	return len(text)-i >= len(word) && strings.EqualFold(text[i:i+len(word)], word)
}

// redaction walks through a JSON text and collects where there are secrets.
type redaction struct {
	text   string
	tokens *json.Decoder
	blanks []span
}

// span is where a value stands in the text.
type span struct {
	from, to int
	text     bool // a string, not a number
}

// maxDepth bounds the nesting that is walked through; messages of OCPP have far less.
const maxDepth = 64

// all walks through the whole text; false when it is no JSON.
func (r *redaction) all() bool {
	if _, ok := r.value(0); !ok {
		return false
	}
	_, err := r.tokens.Token()
	return err == io.EOF
}

// item is what an object needs to know of a value in it.
type item struct {
	word  string // of a string
	name  string // of an object: its member name
	spans []span // itself, when it is a string or a number; the values of a list of attributes
}

// value reads one value.
func (r *redaction) value(depth int) (item, bool) {
	from := int(r.tokens.InputOffset())
	token, err := r.tokens.Token()
	if err != nil || depth > maxDepth {
		return item{}, false
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return r.object(depth)
		}
		return r.array(depth)
	case string:
		return item{word: t, spans: []span{r.span(from, true)}}, true
	case float64:
		return item{spans: []span{r.span(from, false)}}, true
	}
	return item{}, true
}

// span is where the token that was read last stands; what came before it ends at from.
func (r *redaction) span(from int, text bool) span {
	for from < len(r.text) && strings.IndexByte(" \t\r\n:,", r.text[from]) >= 0 {
		from++
	}
	return span{from: from, to: int(r.tokens.InputOffset()), text: text}
}

func (r *redaction) array(depth int) (item, bool) {
	var all item
	for r.tokens.More() {
		it, ok := r.value(depth + 1)
		if !ok {
			return item{}, false
		}
		all.spans = append(all.spans, it.spans...)
	}
	_, err := r.tokens.Token()
	return all, err == nil
}

// object reads an object, and blanks what its names say is secret: in 2.x {"variable":{"name":…},"attributeValue":…}, in
// 1.6 {"key":…,"value":…}, and members as "basicAuthPassword".
func (r *redaction) object(depth int) (item, bool) {
	members := map[string]item{}
	for r.tokens.More() {
		token, err := r.tokens.Token()
		if err != nil {
			return item{}, false
		}
		name, _ := token.(string)
		it, ok := r.value(depth + 1)
		if !ok {
			return item{}, false
		}
		name = strings.ToLower(name)
		if Secret(name) || name == "key" && members["password"].spans != nil { // the key of a VPN, which has a password too
			r.blanks = append(r.blanks, it.spans...)
		}
		if before, twice := members[name]; twice {
			it.spans = append(it.spans, before.spans...)
		}
		members[name] = it
	}
	if _, err := r.tokens.Token(); err != nil {
		return item{}, false
	}
	if key, vpn := members["key"], members["password"].spans != nil; vpn {
		r.blanks = append(r.blanks, key.spans...)
	}
	if Secret(members["key"].word) || Secret(members["variable"].name) || Secret(members["variable"].word) {
		for _, name := range []string{"value", "attributevalue", "actualvalue", "variableattribute"} {
			r.blanks = append(r.blanks, members[name].spans...)
		}
	}
	return item{name: members["name"].word, spans: members["value"].spans}, true
}

// result is the text with blanks.
func (r *redaction) result() string {
	slices.SortFunc(r.blanks, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	at := 0
	for _, p := range r.blanks {
		if p.from < at { // named twice
			continue
		}
		out.WriteString(r.text[at:p.from])
		if p.text {
			out.WriteString(`"` + Blank + `"`)
		} else {
			out.WriteString("0")
		}
		at = p.to
	}
	out.WriteString(r.text[at:])
	return out.String()
}
