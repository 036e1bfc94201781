package account

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/problem"
)

type opener = func(migrations ...fs.FS) *db.DB

func open(t *testing.T, open opener) *Accounts {
	t.Helper()
	return New(open(Migrations), slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, opener func(migrations ...fs.FS) *db.DB) {
		ctx := t.Context()
		a := open(t, opener)
		first, err := a.Bootstrap(ctx, "the-first-key")
		if err != nil || !first.Fresh || first.Email != FirstEmail || len(first.Password) < 16 {
			t.Fatalf("first start made %+v, %v", first, err)
		}
		again, err := a.Bootstrap(ctx, "another-key")
		if err != nil || again.Fresh || again.Password != "" || again.Email != FirstEmail {
			t.Fatalf("second start made %+v, %v", again, err)
		}
		u, err := a.SignIn(ctx, Credentials{Email: " Owner@Lumela.Local ", Password: first.Password, Address: "host"})
		if err != nil || u.Role != Owner || u.Email != FirstEmail {
			t.Fatalf("owner is %+v, %v", u, err)
		}
		org, err := a.FirstOrganisation(ctx)
		if err != nil || org.ID != u.Organisation || org.Name == "" {
			t.Fatalf("organisation %+v, %v", org, err)
		}
		p, err := a.Key(ctx, "the-first-key")
		if want := (Principal{Organisation: org.ID, Role: Owner, Name: "key bootstrap", KeyID: p.KeyID}); err != nil || p != want || p.KeyID == "" {
			t.Errorf("key gives %+v, %v; want %+v", p, err, want)
		}
		if cached, err := a.Key(ctx, "the-first-key"); err != nil || cached != p {
			t.Errorf("the second look gives %+v, %v", cached, err)
		}
		for _, key := range []string{"another-key", "", hashKey("the-first-key"), "The-First-Key"} {
			if _, err := a.Key(ctx, key); !problem.Is(err, problem.Unauthorized) {
				t.Errorf("key %q: %v, want Unauthorized", key, err)
			}
		}
		var kept string
		if err := a.db.QueryRow(ctx, `SELECT hash FROM api_keys`).Scan(&kept); err != nil || strings.Contains(kept, "the-first-key") {
			t.Errorf("the key is kept as %q, %v", kept, err)
		}
	})
}

// TestKeyTakenAway: a key that any node has taken away works no longer than what was read of it may be used.
func TestKeyTakenAway(t *testing.T) {
	t.Parallel()
	a := New(dbtest.Open(t, dbtest.Fresh(t, db.SQLite, Migrations)), slog.New(slog.DiscardHandler))
	if _, err := a.Bootstrap(t.Context(), "the-key"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Key(t.Context(), "the-key"); err != nil {
		t.Fatal(err)
	}
	if err := a.db.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(`DELETE FROM api_keys`); return err }); err != nil {
		t.Fatal(err)
	}
	known := a.keys[hashKey("the-key")]
	if left := time.Until(known.until); left > keyAge || keyAge > 5*time.Second {
		t.Errorf("what was read is used for %s more", left)
	}
	known.until = time.Now()
	a.keys[hashKey("the-key")] = known
	if p, err := a.Key(t.Context(), "the-key"); !problem.Is(err, problem.Unauthorized) || len(a.keys) != 0 {
		t.Errorf("got %+v, %v; remembered %v", p, err, a.keys)
	}
}

// Nodes of a new cluster start at the same moment: one of them makes the organisation.
func TestBootstrapRace(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, Migrations)
	const nodes = 3
	made := make([]Bootstrap, nodes)
	secrets := make([]string, nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		a := New(dbtest.Open(t, o), slog.New(slog.DiscardHandler))
		wg.Go(func() {
			var err error
			if made[i], err = a.Bootstrap(context.Background(), "key"); err != nil {
				t.Error(err)
			}
			secret, err := a.InstallationSecret(context.Background(), "numbers")
			if err != nil {
				t.Error(err)
			}
			secrets[i] = string(secret)
		})
	}
	wg.Wait()
	fresh := 0
	for i, b := range made {
		if b.Fresh {
			fresh++
			if _, err := New(dbtest.Open(t, o), slog.New(slog.DiscardHandler)).SignIn(t.Context(), Credentials{Email: b.Email, Password: b.Password, Address: "h"}); err != nil {
				t.Errorf("the password that was shown does not work: %v", err)
			}
		}
		if secrets[i] != secrets[0] || len(secrets[i]) < 32 {
			t.Errorf("nodes have the secrets %q", secrets)
		}
	}
	if fresh != 1 {
		t.Errorf("%d nodes made the first organisation", fresh)
	}
}

func TestInstallationSecret(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, opener func(migrations ...fs.FS) *db.DB) {
		a := open(t, opener)
		get := func(a *Accounts, name string) string {
			s, err := a.InstallationSecret(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return string(s)
		}
		one := get(a, "one")
		if other := New(a.db, a.log); get(a, "one") != one || get(other, "one") != one {
			t.Error("the secret changes")
		}
		if get(a, "two") == one {
			t.Error("two names have one secret")
		}
	})
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, opener func(migrations ...fs.FS) *db.DB) {
		a := open(t, opener)
		b, err := a.Bootstrap(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.SignIn(t.Context(), Credentials{Email: "not an address", Password: b.Password, Address: "h"}); problem.Of(err).Field != "email" {
			t.Errorf("no address: %v", err)
		}
		_, wrong := a.SignIn(t.Context(), Credentials{Email: FirstEmail, Password: "wrong", Address: "h"})
		_, unknown := a.SignIn(t.Context(), Credentials{Email: "nobody@example.com", Password: b.Password, Address: "h"})
		if !problem.Is(wrong, problem.Unauthorized) || !problem.Is(unknown, problem.Unauthorized) || wrong.Error() != unknown.Error() {
			t.Errorf("wrong password %q and unknown address %q differ", wrong, unknown)
		}
		for range maxFailures {
			a.limiter.take("attacker")
		}
		if _, err := a.SignIn(t.Context(), Credentials{Email: FirstEmail, Password: b.Password, Address: "attacker"}); !problem.Is(err, problem.TooMany) {
			t.Errorf("an attacker's right guess: %v", err)
		}
		if _, err := a.SignIn(t.Context(), Credentials{Email: FirstEmail, Password: b.Password, Address: "h"}); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		for range maxFailures {
			a.limiter.take(FirstEmail)
		}
		if _, err := a.SignIn(t.Context(), Credentials{Email: FirstEmail, Password: b.Password, Address: "h2"}); !problem.Is(err, problem.TooMany) {
			t.Errorf("many failures of one address: %v", err)
		}
	})
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		for i := range maxFailures {
			if !l.take("x") {
				t.Fatalf("locked out after %d attempts", i)
			}
		}
		if l.take("x") || !l.take("y") {
			t.Error("the name is not locked out, or another is")
		}
		time.Sleep(failureWindow + time.Second) // the bubble's clock
		for i := range maxFailures {
			if !l.take("x") {
				t.Fatalf("still locked out after the window: %d", i)
			}
		}
		l.giveBack("x")
		if !l.take("x") || l.take("x") {
			t.Error("what was given back does not count")
		}
		l.succeeded("x")
		if !l.take("x") {
			t.Error("attempts before a success count on")
		}
		l.giveBack("nobody")
	})
}

// TestLimiterCountsBefore: attempts that are made at once do not slip through while the passwords are checked.
func TestLimiterCountsBefore(t *testing.T) {
	t.Parallel()
	var l limiter
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 10 * maxFailures {
		wg.Go(func() {
			if l.take("x") {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != maxFailures {
		t.Errorf("%d attempts at once were let through", passed.Load())
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	var l limiter
	for i := range maxNames + 10 {
		l.take(strings.Repeat("n", 1+i%200) + string(rune('a'+i%26)) + time.Duration(i).String())
	}
	if len(l.seen) > maxNames {
		t.Errorf("%d names are kept", len(l.seen))
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	hash, err := hashPassword("pässword 1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := hashPassword("pässword 1")
	if err != nil || other == hash {
		t.Errorf("the hash has no salt of its own: %q, %v", other, err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash is %q", hash)
	}
	if !checkPassword(hash, "pässword 1") || checkPassword(hash, "pässword 2") || checkPassword(hash, "") {
		t.Error("the password is not told from others")
	}
	if checkPassword(dummyHash(), "") {
		t.Error("the unknown user has a password")
	}
	parts := strings.Split(hash, "$")
	for _, bad := range []string{"", "$", "$$$$$", "pässword 1",
		"$argon2i$" + strings.Join(parts[2:], "$"),
		"$argon2id$v=19$m=19456,t=0,p=1$" + parts[4] + "$" + parts[5],
		"$argon2id$v=19$m=19456,t=2,p=0$" + parts[4] + "$" + parts[5],
		"$argon2id$v=19$m=4294967295,t=2,p=1$" + parts[4] + "$" + parts[5],
		"$argon2id$v=19$m=8,t=4294967295,p=1$" + parts[4] + "$" + parts[5],
		"$argon2id$v=19$m=19456,t=2$" + parts[4] + "$" + parts[5],
		"$argon2id$v=19$m=19456,t=2,p=1$?$" + parts[5],
		"$argon2id$v=19$m=19456,t=2,p=1$" + parts[4] + "$",
		"$argon2id$v=19$m=19456,t=2,p=1$" + parts[4] + "$?",
		hash + "$", hash[:len(hash)-3]} {
		if checkPassword(bad, "pässword 1") {
			t.Errorf("the malformed %q matches", bad)
		}
	}
}

func TestMalformedHashes(t *testing.T) {
	t.Parallel()
	hash, err := hashPassword("right")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(hash)-1).Draw(t, "cut")
		bad := hash[:i] + rapid.StringMatching(`[$,=0-9a-z]{0,3}`).Draw(t, "put") + hash[i+1:]
		if parts := strings.Split(bad, "$"); len(parts) == 6 && parts[3] != strings.Split(hash, "$")[3] {
			bad = strings.Replace(bad, parts[3], "m=8,t=0,p=0", 1) // costs are tabled above, here they would only cost time
		}
		if checkPassword(bad, "wrong") {
			t.Fatalf("%q matches the wrong password", bad)
		}
	})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	if len(ranks) != len(Roles) {
		t.Errorf("%d roles have a level, there are %d", len(ranks), len(Roles))
	}
	order := []Role{"", Viewer, Operator, Owner}
	for has, role := range order {
		for needs := 1; needs < len(order); needs++ {
			p := Principal{Role: role}
			if got := p.Allows(order[needs]); got != (has >= needs) {
				t.Errorf("role %q for %q: %v", role, order[needs], got)
			}
			_, err := Require(With(t.Context(), p), order[needs])
			if (err == nil) != (has >= needs) || err != nil && !problem.Is(err, problem.Forbidden) {
				t.Errorf("role %q for %q: %v", role, order[needs], err)
			}
		}
	}
	if _, err := Require(t.Context(), Viewer); !problem.Is(err, problem.Unauthorized) {
		t.Errorf("nobody: %v", err)
	}
	if !System("o").Allows(Owner) || System("o").Organisation != "o" {
		t.Error("the system may not do everything in its organisation")
	}
}

func TestSessionStore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, opener func(migrations ...fs.FS) *db.DB) {
		s := (*sessionStore)(open(t, opener))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		find := func(token, want string) {
			t.Helper()
			data, ok, err := s.Find(token)
			if err != nil || ok != (want != "") || string(data) != want {
				t.Errorf("%s: %q, %v, %v; want %q", token, data, ok, err, want)
			}
		}
		find("a", "")
		must(s.Commit("a", []byte("one"), time.Now().Add(time.Hour)))
		must(s.Commit("old", []byte("x"), time.Now().Add(-time.Second)))
		find("a", "one")
		find("old", "")
		must(s.Commit("a", []byte("two"), time.Now().Add(time.Hour)))
		find("a", "two")
		var n int
		must(s.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM sign_ins`).Scan(&n))
		if n != 1 {
			t.Errorf("%d sign-ins are kept, the expired one among them", n)
		}
		must(s.Delete("a"))
		must(s.Delete("a"))
		find("a", "")
	})
}

// Who makes a request: a key, a signed-in person, or nobody.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, opener func(migrations ...fs.FS) *db.DB) {
		a := open(t, opener)
		if _, err := a.Bootstrap(t.Context(), "k1"); err != nil {
			t.Fatal(err)
		}
		owner, _, err := a.userByEmail(t.Context(), FirstEmail)
		if err != nil {
			t.Fatal(err)
		}
		h := a.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/in" {
				a.sessions.Put(r.Context(), "user", r.URL.Query().Get("user"))
				return
			}
			p, err := From(r.Context())
			if err != nil {
				problem.WriteHTTP(w, err)
				return
			}
			_, _ = w.Write([]byte(p.Name + " " + string(p.Role)))
		}))
		signIn := func(user string) string {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/in?user="+user, nil))
			c := w.Result().Cookies()
			if len(c) != 1 || !c[0].HttpOnly || c[0].Name != "lumela_session" {
				t.Fatalf("cookies %v", c)
			}
			return "lumela_session=" + c[0].Value
		}
		cookie, ghost := signIn(owner.ID), signIn("no-such-user")
		for _, c := range []struct {
			name, method string
			header       map[string]string
			status       int
			body         string
		}{
			{"nobody", "GET", nil, 401, ""},
			{"key", "POST", map[string]string{"Authorization": "Bearer k1"}, 200, "key bootstrap owner"},
			{"scheme in any case", "POST", map[string]string{"Authorization": "bearer k1"}, 200, "key bootstrap owner"},
			{"wrong key", "GET", map[string]string{"Authorization": "Bearer k2"}, 401, ""},
			{"no key", "GET", map[string]string{"Authorization": "Bearer "}, 401, ""},
			{"wrong key with a good cookie", "GET", map[string]string{"Authorization": "Bearer k2", "Cookie": cookie}, 401, ""},
			{"another scheme", "GET", map[string]string{"Authorization": "Basic azE6"}, 401, ""},
			{"cookie", "GET", map[string]string{"Cookie": cookie}, 200, FirstEmail + " owner"},
			{"cookie of another site's page", "POST", map[string]string{"Cookie": cookie}, 403, ""},
			{"cookie of the console", "POST", map[string]string{"Cookie": cookie, ConsoleHeader: "1"}, 200, FirstEmail + " owner"},
			{"cookie of a user who is gone", "GET", map[string]string{"Cookie": ghost}, 401, ""},
			{"made-up cookie", "GET", map[string]string{"Cookie": "lumela_session=abc"}, 401, ""},
		} {
			r := httptest.NewRequest(c.method, "/x", nil)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
				t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.status, c.body)
			}
		}
	})
}
