package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"pgregory.net/rapid"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/ocpp/devicemodel"
)

// world is an API with one kind of object, lamps, whose colour can be changed, and the record around it.
type world struct {
	t     *testing.T
	log   *Log
	h     http.Handler
	lamps map[string]string
	began func() // called when a lamp is changed
}

type lamp struct {
	ID       string `json:"id"`
	Colour   string `json:"colour"`
	Station  string `json:"station"`
	Password string `json:"password"`
}

func newWorld(t *testing.T, open func(...fs.FS) *db.DB) *world {
	t.Helper()
	w := &world{t: t, log: New(open(Migrations), slog.New(slog.NewTextHandler(t.Output(), nil))), lamps: map[string]string{"1": "red"}, began: func() {}}
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("test", "1"))
	type id struct {
		ID string `path:"id"`
	}
	type out struct{ Body lamp }
	of := func(id string) (*out, error) {
		c, ok := w.lamps[id]
		if !ok {
			return nil, problem.New(problem.NotFound, "no such lamp")
		}
		return &out{lamp{id, c, "ST", "hunter2"}}, nil
	}
	register := func(name, method, path string) huma.Operation {
		return huma.Operation{OperationID: name, Method: method, Path: path}
	}
	huma.Register(api, register("get-lamp", "GET", "/lamps/{id}"), func(_ context.Context, in *id) (*out, error) { return of(in.ID) })
	huma.Register(api, register("patch-lamp", "PATCH", "/lamps/{id}"), func(_ context.Context, in *struct {
		ID   string `path:"id"`
		Body struct {
			Colour string `json:"colour"`
			Secret string `json:"secret,omitempty"`
		}
	}) (*out, error) {
		w.began()
		switch in.Body.Colour {
		case "broken":
			return nil, errors.New("the lamp broke")
		case "panic":
			panic("defect")
		}
		if _, err := of(in.ID); err != nil {
			return nil, err
		}
		w.lamps[in.ID] = in.Body.Colour
		return of(in.ID)
	})
	huma.Register(api, register("make-lamp", "POST", "/lamps"), func(_ context.Context, _ *struct{}) (*out, error) {
		w.lamps["2"] = "blue"
		return of("2")
	})
	huma.Register(api, register("delete-lamp", "DELETE", "/lamps/{id}"), func(_ context.Context, in *id) (*struct{}, error) {
		delete(w.lamps, in.ID)
		return nil, nil
	})
	w.log.Register(api)
	routes := http.NewServeMux()
	routes.Handle("/", mux)
	for path, item := range api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op != nil {
				routes.Handle(op.Method+" "+path, w.log.Around(api.OpenAPI(), op, "", mux))
			}
		}
	}
	w.h = routes
	return w
}

var owner = account.Principal{Organisation: "org", Role: account.Owner, Name: "key K", KeyID: "k1"}

func (w *world) as(p account.Principal, method, path, body string) (rec *httptest.ResponseRecorder) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(account.With(w.t.Context(), p), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = "[2001:db8::1]:4711"
	rec = httptest.NewRecorder()
	defer func() { _ = recover() }() // of the lamp that panics
	w.h.ServeHTTP(rec, r)
	return rec
}

func (w *world) entries(query string) (list page.List[Entry]) {
	w.t.Helper()
	r := w.as(owner, "GET", "/audit"+query, "")
	if err := json.Unmarshal(r.Body.Bytes(), &list); err != nil || r.Code != 200 {
		w.t.Fatalf("%d %s %v", r.Code, r.Body, err)
	}
	return list
}

func TestEntries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		w := newWorld(t, open)
		for _, c := range []struct {
			method, path, body      string
			status                  int
			outcome                 Outcome
			object, before, after   string
			request, err, operation string
		}{
			{"PATCH", "/lamps/1?secret=top&x=1", `{"colour":"blue","secret":"top"}`, 200, Done, "1", `"colour":"red"`, `"colour":"blue"`, `{"colour":"blue","secret":"********"}`, "", "patch-lamp"},
			{"PATCH", "/lamps/9", `{"colour":"blue"}`, 404, Refused, "9", "null", "null", `{"colour":"blue"}`, "no such lamp", "patch-lamp"},
			{"PATCH", "/lamps/1", `{"colour":`, 400, Refused, "1", `"colour":"blue"`, "null", `{"bytes":10,"omitted":"no JSON"}`, "validation failed", "patch-lamp"},
			{"PATCH", "/lamps/1", `{"colour":"broken"}`, 500, Failed, "1", `"colour":"blue"`, "null", `{"colour":"broken"}`, "unexpected error occurred", "patch-lamp"},
			{"PATCH", "/lamps/1", `{"colour":"panic"}`, 500, Failed, "1", `"colour":"blue"`, "null", `{"colour":"panic"}`, "a defect of ours", "patch-lamp"},
			{"POST", "/lamps", "", 200, Done, "2", "null", `"colour":"blue"`, "null", "", "make-lamp"},
			{"DELETE", "/lamps/2", "", 204, Done, "2", `"colour":"blue"`, "null", "null", "", "delete-lamp"},
		} {
			r := w.as(owner, c.method, c.path, c.body)
			e := w.entries("?limit=1").Items[0]
			if e.Operation != c.operation || e.Outcome != c.outcome || e.Status != c.status || e.Object != c.object || string(e.Request) != c.request || e.EndedAt == nil {
				t.Errorf("%s %s: answered %d; %+v, request %s", c.method, c.path, r.Code, e, e.Request)
			}
			if !strings.Contains(string(e.Before), c.before) || !strings.Contains(string(e.After), c.after) || e.Error != c.err {
				t.Errorf("%s %s: before %s, after %s, error %q", c.method, c.path, e.Before, e.After, e.Error)
			}
			if e.Who != "key K" || e.Actor != "k1" || e.Role != account.Owner || e.Address != "2001:db8::1" || e.Kind != "lamps" || e.Method != c.method {
				t.Errorf("%+v", e)
			}
			if all := fmt.Sprintf("%s %s %s %s", e.Path, e.Request, e.Before, e.After); strings.Contains(all, "hunter2") || strings.Contains(all, "top") {
				t.Errorf("a secret: %s", all)
			}
			if c.outcome == Done && e.Station != "ST" {
				t.Errorf("%s %s: station %q", c.method, c.path, e.Station)
			}
		}
		if n := len(w.entries("").Items); n != 7 {
			t.Errorf("%d entries: reads are recorded", n)
		}
		if r := w.as(account.Principal{Organisation: "other", Role: account.Owner}, "GET", "/audit", ""); !strings.Contains(r.Body.String(), `"items":[]`) {
			t.Errorf("another organisation sees %s", r.Body)
		}
		if r := w.as(account.Principal{Organisation: "org", Role: account.Operator}, "GET", "/audit", ""); r.Code != 403 {
			t.Errorf("an operator: %d", r.Code)
		}
	})
}

// TestBeforeItBegins: the entry is in the database before the change, and a change that cannot be recorded is not made.
func TestBeforeItBegins(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		w := newWorld(t, open)
		w.began = func() {
			list, err := w.log.List(t.Context(), "org", Filter{To: time.Now().Add(time.Hour), Limit: 1})
			if err != nil || len(list) != 1 || list[0].Outcome != Unknown || list[0].EndedAt != nil {
				t.Errorf("while it runs: %+v, %v", list, err)
			}
		}
		if r := w.as(owner, "PATCH", "/lamps/1", `{"colour":"blue"}`); r.Code != 200 {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		w.began = func() { t.Error("it was changed unrecorded") }
		if err := w.log.db.Close(); err != nil {
			t.Fatal(err)
		}
		if r := w.as(owner, "PATCH", "/lamps/1", `{"colour":"green"}`); r.Code < 500 || w.lamps["1"] != "blue" {
			t.Errorf("without a database: %d %s", r.Code, r.Body)
		}
	})
}

func TestFiltersAndPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		w := newWorld(t, open)
		for i := range 5 {
			p := account.Principal{Organisation: "org", Role: account.Owner, Name: fmt.Sprintf("p%d@example.org", i%2), UserID: fmt.Sprintf("u%d", i%2)}
			w.as(p, "PATCH", "/lamps/1", `{"colour":"blue"}`)
		}
		w.as(owner, "POST", "/lamps", "")
		if err := w.log.SignedIn(t.Context(), account.Attempt{Organisation: "org", Who: "p1@example.org", Refused: "wrong password", Address: "host"}); err != nil {
			t.Fatal(err)
		}
		past, future := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		for query, want := range map[string]int{"": 7, "?who=p0@example.org": 3, "?who=u1": 2, "?who=p1@example.org": 3, "?operation=sign-in": 1, "?object=1": 5, "?object=2": 1,
			"?station=ST": 6, "?from=" + past: 7, "?from=" + future: 0, "?to=" + past: 0, "?to=" + future: 7, "?who=u1&object=2": 0, "?station=ST%27": 0} {
			if got := w.entries(query).Items; len(got) != want {
				t.Errorf("%s: %d entries, want %d", query, len(got), want)
			}
		}
		seen, cursor := map[string]bool{}, ""
		for {
			list := w.entries("?limit=2" + cursor)
			for _, e := range list.Items {
				if seen[e.ID] {
					t.Errorf("%s twice", e.ID)
				}
				seen[e.ID] = true
			}
			if list.Next == nil {
				break
			}
			cursor = "&cursor=" + *list.Next
		}
		if len(seen) != 7 {
			t.Errorf("%d entries page by page", len(seen))
		}
	})
}

func TestPurge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		l := New(open(Migrations), slog.New(slog.DiscardHandler))
		ctx := t.Context()
		err := l.db.Write(ctx, func(tx *db.Tx) error {
			for i := range purgeStep + 5 {
				e := &Entry{ID: fmt.Sprint(i), organisation: "org", At: time.Now().Add(-100 * time.Hour)}
				if i < 3 {
					e.At = time.Now()
				}
				if err := insert(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for keep, want := range map[time.Duration]int{0: purgeStep + 5, 200 * time.Hour: purgeStep + 5} {
			if err := l.Purge(ctx, keep); err != nil {
				t.Fatal(err)
			}
			if n := count(t, l); n != want {
				t.Errorf("kept for %s: %d, want %d", keep, n, want)
			}
		}
		if err := l.Purge(ctx, 50*time.Hour); err != nil || count(t, l) != 3 {
			t.Errorf("%v, %d are left", err, count(t, l))
		}
	})
}

func count(t *testing.T, l *Log) (n int) {
	t.Helper()
	if err := l.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit_entries`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":1.50,"b":[{"password":"x","Api_Key":"y"}]}`:                                                               `{"a":1.50,"b":[{"Api_Key":"********","password":"********"}]}`,
		`{"code":"123456","recoveryCodes":["a"],"old":"x"}`:                                                             `{"code":"********","old":"********","recoveryCodes":"********"}`,
		`{"idToken":{"idToken":"T","type":"Central"}}`:                                                                  `{"idToken":{"idToken":"T","type":"Central"}}`,
		`{"setVariableData":[{"attributeValue":"x","component":{"name":"C"},"variable":{"name":"BasicAuthPassword"}}]}`: `{"setVariableData":[{"attributeValue":"********","component":{"name":"C"},"variable":{"name":"BasicAuthPassword"}}]}`,
		`{"url":"ftp://u:pw@host/<f>"}`:                                                                                 `{"url":"ftp://u:********@host/<f>"}`,
		`"text"`:                                                                                                        `"text"`, `{"secret":null}`: `{"secret":null}`, `{} {}`: `{"bytes":5,"omitted":"no JSON"}`, `password=x`: `{"bytes":10,"omitted":"no JSON"}`,
		`{"a":"\u0000"}`: `{"bytes":14,"omitted":"no text"}`,
	} {
		if got := string(redact([]byte(in), int64(len(in)))); got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
	if got := string(redact([]byte(`{"a`), maxKept+1)); !strings.Contains(got, "too long") || redact(nil, 0) != nil {
		t.Error(got)
	}
}

// Whatever the form of a body, what stands under a secret's name is gone.
func TestRedactAnyForm(t *testing.T) {
	t.Parallel()
	names := []string{"password", "newPassword", "secret", "webhook_secret", "apiKey", "key", "token", "accessToken", "code", "pin", "privateKey", "Authorization"}
	rapid.Check(t, func(t *rapid.T) {
		text, _ := json.Marshal(map[string]string{rapid.SampledFrom(names).Draw(t, "name"): "S3CR3T"})
		for range rapid.IntRange(0, 6).Draw(t, "depth") {
			wrap := rapid.SampledFrom([]string{`{"a":%s}`, `[%s]`, `[1,%s,{"b":null}]`, `{"x":"y","c":%s,"d":[]}`}).Draw(t, "wrap")
			text = fmt.Appendf(nil, wrap, text)
		}
		got := redact(text, int64(len(text)))
		if strings.Contains(string(got), "S3CR3T") || !json.Valid(got) || !strings.Contains(string(got), devicemodel.Blank) {
			t.Fatalf("%s: %s", text, got)
		}
	})
}

func TestTee(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxKept+100)
	b := &tee{ReadCloser: io.NopCloser(strings.NewReader(long))}
	if all, err := io.ReadAll(b); err != nil || string(all) != long || b.kept.Len() != maxKept || b.length != int64(len(long)) {
		t.Errorf("read %d, kept %d, length %d, %v", len(all), b.kept.Len(), b.length, err)
	}
}
