package account

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/problem"
)

// The test values of RFC 6238 appendix B (SHA-1) and RFC 4226 appendix D.
func TestOTPVectors(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130"} {
		if got := hotp(secret, at/30, 8); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(secret, int64(i), otpDigits); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
	now := time.Unix(59, 0)
	for offset, want := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		if _, ok := otpMatch(secret, hotp(secret, 1+offset, otpDigits), now, -2); ok != want {
			t.Errorf("%d steps off: %t", offset, ok)
		}
	}
	if _, ok := otpMatch(secret, hotp(secret, 1, otpDigits), now, 1); ok {
		t.Error("a code works twice")
	}
	if u := otpURL("a b@example.org", secret); !strings.HasPrefix(u, "otpauth://totp/Lumela:a%20b@example.org?issuer=Lumela&secret="+otpText(secret)) {
		t.Error(u)
	}
}

// house is an API with accounts only.
type house struct {
	*Accounts
	t        *testing.T
	url      string
	owner    *browser
	attempts []Attempt
	mu       sync.Mutex
	late     time.Duration // by which the clock of the accounts is ahead
}

type browser struct {
	h     *house
	c     *http.Client
	agent string
}

type answerOf struct {
	status int
	body   map[string]any
	text   string
}

func newHouse(t *testing.T, opener opener) *house {
	t.Helper()
	h := &house{Accounts: open(t, opener), t: t}
	h.now = func() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return time.Now().Add(h.late) }
	h.OnSignIn(func(_ context.Context, a Attempt) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.attempts = append(h.attempts, a)
		return nil
	})
	b, err := h.Bootstrap(t.Context(), "the-key")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Register(humago.New(mux, huma.DefaultConfig("test", "1")))
	srv := httptest.NewServer(h.Middleware(mux))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	h.owner = h.browser("Firefox")
	h.owner.want(200, "POST", "/auth/sign-in", `{"email":"`+FirstEmail+`","password":"`+b.Password+`"}`)
	return h
}

func (h *house) wait(d time.Duration) { h.mu.Lock(); h.late += d; h.mu.Unlock() }

func (h *house) browser(agent string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{h: h, c: &http.Client{Jar: jar}, agent: agent}
}

// want makes a request; headers are name, value.
func (b *browser) want(status int, method, path, body string, headers ...string) answerOf {
	b.h.t.Helper()
	req, err := http.NewRequestWithContext(b.h.t.Context(), method, b.h.url+path, strings.NewReader(body))
	if err != nil {
		b.h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", b.agent)
	req.Header.Set(ConsoleHeader, "1")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(resp.Body); err != nil {
		b.h.t.Fatal(err)
	}
	out := answerOf{status: resp.StatusCode, text: raw.String()}
	if raw.Len() > 0 {
		if err := json.Unmarshal(raw.Bytes(), &out.body); err != nil {
			b.h.t.Fatalf("%s %s: %v %s", method, path, err, out.text)
		}
	}
	if out.status != status {
		b.h.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, out.status, status, out.text)
	}
	return out
}

func (a answerOf) str(name string) string { s, _ := a.body[name].(string); return s }

func each(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, opener func(migrations ...fs.FS) *db.DB) { test(t, newHouse(t, opener)) })
}

func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		o := h.owner
		for body, status := range map[string]int{`{"email":"no address","role":"viewer"}`: 422, `{"email":"Bob <b@example.org>","role":"viewer"}`: 422,
			`{"email":"b@example.org","role":"host"}`: 422, `{"email":"` + FirstEmail + `","role":"viewer"}`: 409} {
			o.want(status, "POST", "/users", body)
		}
		made := o.want(201, "POST", "/users", `{"email":" Kim@Example.org ","name":"Kim","role":"operator"}`)
		id, once := made.str("id"), made.str("password")
		if made.str("email") != "kim@example.org" || len(once) < 16 || made.body["passwordOnce"] != true {
			t.Fatalf("invited %s", made.text)
		}
		kim := h.browser("Chrome")
		signIn := func(b *browser, status int, password string) answerOf {
			t.Helper()
			return b.want(status, "POST", "/auth/sign-in", `{"email":"kim@example.org","password":"`+password+`"}`)
		}
		if me := signIn(kim, 200, once); !strings.Contains(me.text, `"permissions":[]`) {
			t.Errorf("with the one-time password: %s", me.text)
		}
		kim.want(422, "POST", "/auth/password", `{"old":"`+once+`","new":"short"}`)
		kim.want(422, "POST", "/auth/password", `{"old":"wrong","new":"a long password"}`)
		kim.want(422, "POST", "/auth/password", `{"old":"`+once+`","new":"`+once+`"}`)
		other := h.browser("Safari")
		signIn(other, 200, once)
		kim.want(204, "POST", "/auth/password", `{"old":"`+once+`","new":"a long password"}`)
		other.want(401, "GET", "/auth/me", "")
		if me := kim.want(200, "GET", "/auth/me", ""); !strings.Contains(me.text, "stations:command") || strings.Contains(me.text, "accounts:") {
			t.Errorf("an operator: %s", me.text)
		}
		signIn(other, 401, once)
		signIn(other, 200, "a long password")
		kim.want(403, "GET", "/users", "")
		kim.want(403, "POST", "/users", `{"email":"x@example.org","role":"viewer"}`)
		if l := o.want(200, "GET", "/users", ""); strings.Count(l.text, `"id"`) != 2 || strings.Contains(l.text, "argon2") {
			t.Errorf("users %s", l.text)
		}
		o.want(200, "PATCH", "/users/"+id, `{"role":"viewer"}`) // counts at once
		if me := kim.want(200, "GET", "/auth/me", ""); strings.Contains(me.text, "stations:command") {
			t.Errorf("a viewer: %s", me.text)
		}
		o.want(200, "PATCH", "/users/"+id, `{"disabled":true}`)
		kim.want(401, "GET", "/auth/me", "")
		signIn(kim, 401, "a long password")
		o.want(200, "PATCH", "/users/"+id, `{"disabled":false}`)
		kim.want(401, "GET", "/auth/me", "") // the sign-in has ended
		signIn(kim, 200, "a long password")
		again := o.want(200, "PATCH", "/users/"+id, `{"resetPassword":true}`).str("password")
		kim.want(401, "GET", "/auth/me", "")
		signIn(kim, 401, "a long password")
		h.wait(onceFor + time.Minute)
		signIn(kim, 401, again)
		o.want(404, "PATCH", "/users/nobody", `{"name":"x"}`)
		o.want(204, "DELETE", "/users/"+id, "")
		o.want(404, "GET", "/users/"+id, "")
		o.want(404, "DELETE", "/users/"+id, "")
	})
}

func TestLastOwner(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		first, _, err := h.userByEmail(t.Context(), FirstEmail)
		if err != nil {
			t.Fatal(err)
		}
		o := h.owner
		o.want(201, "POST", "/users", `{"email":"v@example.org","role":"viewer"}`)
		for _, change := range []string{`{"role":"operator"}`, `{"disabled":true}`} {
			o.want(409, "PATCH", "/users/"+first.ID, change)
		}
		o.want(409, "DELETE", "/users/"+first.ID, "")
		second := o.want(201, "POST", "/users", `{"email":"o@example.org","role":"owner"}`).str("id")
		var wg sync.WaitGroup // two owners remove each other at the same moment
		p := Principal{Organisation: first.Organisation, Role: Owner}
		errs := make([]error, 2)
		for i, id := range []string{first.ID, second} {
			wg.Go(func() { errs[i] = h.RemoveUser(context.Background(), p, id) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("one of them must stay: %v, %v", errs[0], errs[1])
		}
	})
}

func TestSignIns(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		pass := h.owner.want(201, "POST", "/users", `{"email":"a@example.org","role":"viewer"}`).str("password")
		in := `{"email":"a@example.org","password":"` + pass + `"}`
		one, two := h.browser("Phone"), h.browser("Laptop")
		one.want(200, "POST", "/auth/sign-in", in)
		two.want(200, "POST", "/auth/sign-in", in)
		var list struct{ Items []SignInView }
		if err := json.Unmarshal([]byte(one.want(200, "GET", "/auth/sessions", "").text), &list); err != nil || len(list.Items) != 2 {
			t.Fatalf("%+v %v", list, err)
		}
		var laptop SignInView
		for _, s := range list.Items {
			if s.Address != "127.0.0.1" || s.Current != (s.Agent == "Phone") || s.ID == "" || s.CreatedAt.IsZero() || s.ExpiresAt.Before(s.SeenAt) {
				t.Errorf("%+v", s)
			}
			if s.Agent == "Laptop" {
				laptop = s
			}
		}
		h.owner.want(404, "DELETE", "/auth/sessions/"+laptop.ID, "") // somebody else's
		var token string
		var data []byte
		if err := h.db.QueryRow(t.Context(), `SELECT token, data FROM sign_ins WHERE id = $1`, laptop.ID).Scan(&token, &data); err != nil {
			t.Fatal(err)
		}
		one.want(204, "DELETE", "/auth/sessions/"+laptop.ID, "")
		two.want(401, "GET", "/auth/me", "")
		if err := (*sessionStore)(h.Accounts).Commit(token, data, time.Now().Add(time.Hour)); err != nil { // a request that was under way ends
			t.Fatal(err)
		}
		two.want(401, "GET", "/auth/me", "")
		one.want(404, "DELETE", "/auth/sessions/"+laptop.ID, "")
		one.want(200, "GET", "/auth/me", "")
		one.want(403, "GET", "/auth/sessions", "", "Authorization", "Bearer the-key")
		if a := h.attempts[len(h.attempts)-1]; a.Who != "a@example.org" || a.Refused != "" || a.UserID == "" || a.Address != "127.0.0.1" || a.Organisation == "" {
			t.Errorf("%+v", a)
		}
		one.want(401, "POST", "/auth/sign-in", `{"email":"stranger@example.org","password":"x"}`)
		if a := h.attempts[len(h.attempts)-1]; a.Who != "stranger@example.org" || a.Refused != "unknown e-mail address" || a.Organisation == "" {
			t.Errorf("%+v", a)
		}
	})
}

func TestAPIKeys(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		o := h.owner
		for _, bad := range []string{`{"name":"","role":"viewer"}`, `{"name":"x","role":"king"}`, `{"name":"x","role":"viewer","scopes":["tokens:write"]}`,
			`{"name":"x","role":"owner","scopes":["nonsense"]}`, `{"name":"x","role":"owner","expiresAt":"2001-01-01T00:00:00Z"}`} {
			o.want(422, "POST", "/api-keys", bad)
		}
		expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		made := o.want(201, "POST", "/api-keys", `{"name":"meter","role":"owner","scopes":["stations:read","accounts:read","accounts:write"],"expiresAt":"`+expires+`"}`)
		key, id := made.str("key"), made.str("id")
		if !strings.HasPrefix(key, "lumela_") || len(key) < 40 || made.str("createdBy") != FirstEmail || made.body["lastUsedAt"] != nil {
			t.Fatalf("%s", made.text)
		}
		p, err := h.Key(t.Context(), key)
		if err != nil || p.KeyID != id || p.Name != "key meter" || p.Scopes != "stations:read accounts:read accounts:write" {
			t.Fatalf("%+v %v", p, err)
		}
		machine := h.browser("curl")
		bearer := []string{"Authorization", "Bearer " + key}
		seen := machine.want(200, "GET", "/api-keys/"+id, "", bearer...)
		if seen.str("lastUsedAt") == "" || strings.Contains(seen.text, key) || strings.Contains(seen.text, hashKey(key)) {
			t.Errorf("%s", seen.text)
		}
		machine.want(403, "POST", "/api-keys", `{"name":"more","role":"owner"}`, bearer...)
		machine.want(403, "POST", "/users", `{"email":"more@example.org","role":"viewer"}`, bearer...)
		machine.want(201, "POST", "/api-keys", `{"name":"less","role":"viewer","scopes":["stations:read"]}`, bearer...)
		if l := machine.want(200, "GET", "/api-keys?limit=2", "", bearer...); l.body["next"] == nil || strings.Count(l.text, `"createdBy"`) != 2 {
			t.Errorf("%s", l.text)
		}
		h.wait(2 * time.Hour)
		machine.want(401, "GET", "/api-keys", "", bearer...)
		h.wait(-2 * time.Hour)
		machine.want(200, "GET", "/api-keys", "", bearer...)
		other := New(h.db, h.log) // another node, which has read it
		if _, err := other.Key(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		o.want(204, "DELETE", "/api-keys/"+id, "")
		machine.want(401, "GET", "/api-keys", "", bearer...)
		o.want(404, "DELETE", "/api-keys/"+id, "")
		other.now = func() time.Time { return time.Now().Add(keyAge + time.Millisecond) }
		if _, err := other.Key(t.Context(), key); !problem.Is(err, problem.Unauthorized) {
			t.Errorf("on another node: %v", err)
		}
	})
}

func TestSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		o := h.owner
		pass := o.want(201, "POST", "/users", `{"email":"a@example.org","role":"viewer"}`)
		b := h.browser("Phone")
		in := func(status int, code string) answerOf {
			t.Helper()
			return b.want(status, "POST", "/auth/sign-in", `{"email":"a@example.org","password":"`+pass.str("password")+`","code":"`+code+`"}`)
		}
		in(200, "")
		b.want(422, "POST", "/auth/totp", `{"password":"wrong"}`)
		b.want(409, "POST", "/auth/totp/confirm", `{"code":"123456"}`)
		enrolled := b.want(200, "POST", "/auth/totp", `{"password":"`+pass.str("password")+`"}`)
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(enrolled.str("secret"))
		if err != nil || !strings.Contains(enrolled.str("url"), enrolled.str("secret")) {
			t.Fatalf("%s %v", enrolled.text, err)
		}
		code := func(offset int64) string { return hotp(secret, h.now().Unix()/30+offset, otpDigits) }
		in(200, "") // not confirmed yet
		b.want(422, "POST", "/auth/totp/confirm", `{"code":"000"}`)
		confirmed := b.want(200, "POST", "/auth/totp/confirm", `{"code":"`+code(0)+`"}`)
		var codes struct{ RecoveryCodes []string }
		if err := json.Unmarshal([]byte(confirmed.text), &codes); err != nil || len(codes.RecoveryCodes) != recoveryCodes {
			t.Fatalf("%s %v", confirmed.text, err)
		}
		b.want(409, "POST", "/auth/totp", `{"password":"`+pass.str("password")+`"}`)
		if r := in(401, ""); !strings.Contains(r.text, `"location":"code"`) {
			t.Errorf("without a code: %s", r.text)
		}
		in(401, code(0)) // used for the confirmation
		in(401, code(5))
		h.wait(2 * time.Minute)
		used := code(0)
		in(200, used)
		in(401, used)
		recovery := codes.RecoveryCodes[3]
		in(200, strings.ToLower(recovery))
		in(401, recovery)
		h.wait(2 * time.Minute)
		renewed := b.want(200, "POST", "/auth/totp/recovery-codes", `{"code":"`+code(0)+`"}`)
		in(401, codes.RecoveryCodes[4])
		if strings.Contains(renewed.text, codes.RecoveryCodes[4]) {
			t.Error("the same codes again")
		}
		h.limiter = limiter{} // that of passwords, which is tested elsewhere
		for range maxCodeFailures - 1 {
			in(401, "0000000")
		}
		h.limiter = limiter{}
		h.wait(2 * time.Minute)
		in(429, code(0)) // right, and too late
		if a := h.attempts[len(h.attempts)-1]; a.Refused == "" || a.UserID == "" {
			t.Errorf("%+v", a)
		}
		h.wait(codeLock)
		in(200, code(0))
		h.wait(time.Minute)
		b.want(422, "POST", "/auth/totp/remove", `{"password":"`+pass.str("password")+`","code":"0000000"}`)
		b.want(204, "POST", "/auth/totp/remove", `{"password":"`+pass.str("password")+`","code":"`+code(0)+`"}`)
		h.limiter = limiter{}
		in(200, "")
		b.want(200, "POST", "/auth/totp", `{"password":"`+pass.str("password")+`"}`)
		o.want(200, "PATCH", "/users/"+pass.str("id"), `{"resetSecondFactor":true}`)
		b.want(409, "POST", "/auth/totp/confirm", `{"code":"123456"}`)
	})
}

// TestCodeOnce: a code that is used twice at the same moment, on two nodes, works once.
func TestCodeOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		secret, err := h.enrol(ctx, "u")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.confirm(ctx, "u", hotp(secret, h.now().Unix()/30, otpDigits)); err != nil {
			t.Fatal(err)
		}
		h.wait(10 * time.Minute)
		code := hotp(secret, h.now().Unix()/30, otpDigits)
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = h.proveFactor(context.Background(), "u", code, true) })
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else if !problem.Is(err, problem.Unauthorized) {
				t.Error(err)
			}
		}
		if good != 1 {
			t.Errorf("it worked %d times", good)
		}
	})
}
