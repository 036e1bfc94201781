package station

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lumela/internal/problem"
)

func TestCheckID(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"": false, ".": false, "..": false, "...": true, "a:b": false, "a/b": false, `a\b`: false, "a\x00": false, "a\x7f": false, "a\tb": false,
		"CP-1_é*. %": true, "\xff": false, strings.Repeat("é", 48): true, strings.Repeat("e", 49): false,
	} {
		err := CheckID(id)
		if (err == nil) != ok || err != nil && (!problem.Is(err, problem.Invalid) || problem.Of(err).Field != "id") {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// An accepted id fits OCPP's identity, a user name of HTTP Basic, one segment of a path, and a database.
func TestCheckIDLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "id")
		if CheckID(id) != nil {
			return
		}
		if n := utf8.RuneCountInString(id); n < 1 || n > MaxID || !utf8.ValidString(id) || strings.ContainsAny(id, ":/\\\x00\r\n") {
			t.Fatalf("%q passed", id)
		}
		user, password, ok := ParseBasic("Basic " + base64.StdEncoding.EncodeToString([]byte(id+":pass:word")))
		if !ok || user != id || password != "pass:word" {
			t.Fatalf("as user name it became %q with password %q", user, password)
		}
	})
}

func TestParseBasic(t *testing.T) {
	t.Parallel()
	enc := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		header, user, password string
		ok                     bool
	}{
		{"Basic " + enc("u:p"), "u", "p", true},
		{"basic " + enc("u:p"), "u", "p", true},
		{"BASIC  " + enc("u:p") + " ", "u", "p", true},
		{"Basic " + enc("u:\x00\xff:"), "u", "\x00\xff:", true},
		{"Basic " + enc("u:"), "u", "", true},
		{"Basic " + enc("u"), "u", "", false},
		{"Basic ?", "", "", false},
		{"Basic", "", "", false},
		{"Bearer " + enc("u:p"), "", "", false},
		{"", "", "", false},
	} {
		user, password, ok := ParseBasic(c.header)
		if ok != c.ok || ok && (user != c.user || password != c.password) {
			t.Errorf("%q: %q, %q, %v", c.header, user, password, ok)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for protocol, most := range map[string]int{"": 64, "2.1": 64, "2.0.1": 40, "1.6": 40} {
		for password, ok := range map[string]bool{
			strings.Repeat("x", 15): false, strings.Repeat("~", 16): true, strings.Repeat(" ", most): true, strings.Repeat("x", most+1): false,
			strings.Repeat("é", 20): false, strings.Repeat("x", 20) + "\x00": false, strings.Repeat("x", 20) + "\x7f": false, NewPassword(): true,
		} {
			err := CheckPassword(password, protocol)
			if (err == nil) != ok || err != nil && problem.Of(err).Field != "password" {
				t.Errorf("%q for %q: %v", password, protocol, err)
			}
		}
	}
	if one, other := NewPassword(), NewPassword(); one == other {
		t.Error("passwords are not random")
	}
}

// The authentication matrix: profile x TLS x what is shown.
func TestCheck(t *testing.T) {
	t.Parallel()
	const id, password = "CP1", "correct horse battery"
	shows := map[string]Credentials{
		"nothing":           {},
		"right password":    {HasBasic: true, Username: id, Password: password},
		"wrong password":    {HasBasic: true, Username: id, Password: password + "!"},
		"empty password":    {HasBasic: true, Username: id},
		"wrong user":        {HasBasic: true, Username: "CP2", Password: password},
		"own certificate":   {ClientCN: id},
		"serial's":          {ClientCN: "SN-7"},
		"other certificate": {ClientCN: "CP2"},
		"both":              {ClientCN: id, HasBasic: true, Username: id, Password: "whatever"},
		"other's and basic": {ClientCN: "CP2", HasBasic: true, Username: id, Password: password},
	}
	basic := map[string]int{"nothing": 401, "right password": 0, "wrong password": 401, "empty password": 401, "wrong user": 401,
		"own certificate": 401, "serial's": 401, "other certificate": 401, "both": 401, "other's and basic": 0}
	certificate := map[string]int{"nothing": 401, "right password": 401, "wrong password": 401, "empty password": 401, "wrong user": 401,
		"own certificate": 0, "serial's": 0, "other certificate": 401, "both": 0, "other's and basic": 401}
	anything, nothing := map[string]int{}, map[string]int{}
	for name := range shows {
		anything[name], nothing[name] = 0, 403
	}
	for _, c := range []struct {
		profile  int
		password bool
		tls      bool
		want     map[string]int
	}{
		{0, false, false, anything}, {0, false, true, anything}, // OCPP 2.1 A00.FR.203 begins at profile 1
		{0, true, false, basic}, {0, true, true, basic}, // one that has a password must show it
		{1, true, false, basic}, {1, true, true, basic},
		{2, true, false, nothing}, {2, true, true, basic},
		{3, false, false, nothing}, {3, false, true, certificate},
		{3, true, true, certificate},
		{1, false, false, map[string]int{"nothing": 401, "right password": 401, "empty password": 401}},
	} {
		st := &Station{ID: id, SecurityProfile: c.profile, SerialNumber: "SN-7"}
		if c.password {
			st.setPassword(password)
		}
		for name, want := range c.want {
			shown := shows[name]
			shown.TLS = c.tls
			got, r := 0, (*Refusal)(nil)
			if err := st.check(shown); errors.As(err, &r) {
				got = r.Status
			} else if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("profile %d, password %v, TLS %v, shows %s: %d, want %d", c.profile, c.password, c.tls, name, got, want)
			}
			// Forgetting a password is no attack; showing a wrong one, or none of what a profile demands, may be one.
			if r != nil && r.Attack != (name != "nothing" && shown.HasBasic || c.profile >= 2 && (!c.tls || c.profile == 3)) {
				t.Errorf("profile %d, TLS %v, shows %s: attack %v (%s)", c.profile, c.tls, name, r.Attack, r.Reason)
			}
		}
	}
	if err := (&Station{ID: id, SecurityProfile: 3}).check(Credentials{TLS: true}); err == nil {
		t.Error("no certificate matches the empty serial number")
	}
}

// What was set opens, in any of the spellings that are shown with it, and nothing else does.
func TestPasswordSpellings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.StringN(1, 64, -1).Draw(t, "set")
		shown := rapid.StringN(1, 64, -1).Draw(t, "shown")
		others := rapid.SliceOfN(rapid.StringN(1, 64, -1), 0, 3).Draw(t, "others")
		at := rapid.IntRange(-1, len(others)).Draw(t, "at")
		switch {
		case at == len(others):
			shown = set
		case at >= 0:
			others[at] = set
		}
		var st Station
		st.setPassword(set)
		c := Credentials{Password: shown, Other: others}
		if got, want := c.matches(st.salt, st.mac), shown == set || slices.Contains(others, set); got != want {
			t.Fatalf("%q against %q and %q: %v", set, shown, others, got)
		}
		if (&Credentials{}).matches(nil, nil) || (&Credentials{Password: set}).matches(nil, nil) {
			t.Fatal("a password that is not set opens")
		}
	})
}

// The state of an EVSE does not depend on the order of its connectors, is one that a connector has, and says that it can
// be used when a connector can.
func TestStronger(t *testing.T) {
	t.Parallel()
	states := []string{"Available", "Occupied", "Reserved", "Unavailable", "Faulted"}
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.SampledFrom(states), 1, 4).Draw(t, "states")
		fold := func(list []string) (s string) {
			for _, c := range list {
				s = stronger(s, c)
			}
			return s
		}
		has := map[string]bool{}
		for _, s := range list {
			has[s] = true
		}
		got := fold(list)
		if shuffled := rapid.Permutation(list).Draw(t, "shuffled"); fold(shuffled) != got {
			t.Fatalf("%v is %s, %v is %s", list, got, shuffled, fold(shuffled))
		}
		switch {
		case !has[got]:
			t.Fatalf("%v is %s", list, got)
		case has["Occupied"] && got != "Occupied":
			t.Fatalf("%v is not occupied but %s", list, got)
		case has["Available"] && (got == "Faulted" || got == "Unavailable"):
			t.Fatalf("%v is %s", list, got)
		}
	})
}
