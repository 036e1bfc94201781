package api

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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/page"
	"lumela/internal/problem"
)

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type itemView struct {
	Name string `json:"name"`
}

type itemInput struct {
	Wait int `query:"wait" minimum:"1" default:"1"`
	Body struct {
		Name  string `json:"name" minLength:"2"`
		Count int    `json:"count,omitempty"`
	}
}

// items is a small capability: it counts its calls and fails as it is told to.
type items struct{ calls atomic.Int64 }

func (i *items) register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "make-item", Method: http.MethodPost, Path: "/items", Tags: []string{"Items"}, DefaultStatus: 201},
		func(_ context.Context, in *itemInput) (*struct{ Body itemView }, error) {
			n := i.calls.Add(1)
			switch in.Body.Name {
			case "conflict":
				return nil, problem.New(problem.Conflict, "item %d is there", n)
			case "broken":
				return nil, errors.New("password=hunter2")
			case "wrapped":
				return nil, problem.Wrap("make", errors.New("password=hunter2"))
			case "panic":
				panic("password=hunter2")
			case "timeout":
				return nil, problem.New(problem.Timeout, "no answer")
			}
			return &struct{ Body itemView }{itemView{fmt.Sprintf("%s %d", in.Body.Name, n)}}, nil
		})
	huma.Register(api, huma.Operation{OperationID: "list-items", Method: http.MethodGet, Path: "/items", Tags: []string{"Items"}},
		func(_ context.Context, in *page.Query) (*page.Output[itemView], error) {
			_, err := in.Parse(1)
			return page.Of([]itemView{}, in.Limit, func(v itemView) []string { return []string{v.Name} }), err
		})
}

type world struct {
	h     http.Handler
	items *items
	db    *db.DB
}

// describing guards what the description sets for the whole framework.
var describing sync.Mutex

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	accounts := account.New(d, log)
	_, err := accounts.Bootstrap(t.Context(), "key")
	must(t, err)
	w := &world{items: &items{}, db: d}
	describing.Lock()
	defer describing.Unlock()
	w.h = New(d, accounts, log, nodeName, nil, w.items.register)
	return w
}

func fresh(t *testing.T) *world {
	t.Helper()
	return newWorld(t, dbtest.Open(t, dbtest.Fresh(t, db.SQLite, account.Migrations, Migrations)))
}

func (w *world) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://host"+Base+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer key")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

// Every failure, wherever it is found, is a problem with the right status that names the field and tells no secrets.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		part               string
	}{
		{"GET", "/nothing", "", 404, `"status":404`},
		{"GET", "/", "", 404, ""},
		{"DELETE", "/items", "", 405, `"status":405`},
		{"POST", "/items", `{"name":"x"}`, 422, "body.name"},
		{"POST", "/items", `{"name":"item","odd":1}`, 422, "odd"},
		{"POST", "/items", `{"name":"item","count":"many"}`, 422, "body.count"},
		{"POST", "/items", `{}`, 422, "name"},
		{"POST", "/items", `{"name":`, 400, ""},
		{"POST", "/items", ``, 400, ""},
		{"POST", "/items?wait=0", `{"name":"item"}`, 422, "query.wait"},
		{"POST", "/items?wait=x", `{"name":"item"}`, 422, "query.wait"},
		{"POST", "/items", `{"name":"conflict"}`, 409, "is there"},
		{"POST", "/items", `{"name":"broken"}`, 500, "our side"},
		{"POST", "/items", `{"name":"wrapped"}`, 500, "our side"},
		{"POST", "/items", `{"name":"panic"}`, 500, "our side"},
		{"GET", "/items?cursor=%25", "", 422, "cursor"},
		{"GET", "/items?cursor=%00", "", 422, "NUL"},
		{"GET", "/items?cursor=%ff", "", 422, "UTF-8"},
		{"GET", "/items?cursor=%zz", "", 422, ""},
		{"GET", "/items/%00", "", 422, ""},
	} {
		r := w.do(c.method, c.path, c.body)
		var p struct {
			Type, Title string
			Status      int
		}
		if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
			t.Errorf("%s %s: %v: %s", c.method, c.path, err, r.Body)
			continue
		}
		if r.Code != c.status || p.Status != c.status || p.Type != "about:blank" || p.Title == "" || !strings.Contains(r.Body.String(), c.part) {
			t.Errorf("%s %s %s: %d %s, want %d with %q", c.method, c.path, c.body, r.Code, r.Body, c.status, c.part)
		}
		if typ := r.Header().Get("Content-Type"); typ != "application/problem+json" {
			t.Errorf("%s %s %s: content type %q", c.method, c.path, c.body, typ)
		}
		if strings.Contains(r.Body.String(), "hunter2") {
			t.Errorf("%s %s: the cause is told: %s", c.method, c.path, r.Body)
		}
	}
	if r := w.do("GET", "/items", "", "Authorization", "Bearer wrong"); r.Code != 401 {
		t.Errorf("wrong key: %d", r.Code)
	}
	huge := httptest.NewRequest("POST", Base+"/items", strings.NewReader("{}"))
	huge.ContentLength = maxBody + 1
	rec := httptest.NewRecorder()
	if w.h.ServeHTTP(rec, huge); rec.Code != 429 {
		t.Errorf("too large: %d", rec.Code)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	for _, typ := range []string{"", "application/json", "application/x-www-form-urlencoded", "application/json; charset=utf-8"} {
		r := w.do("POST", "/items", `{"name":"item"}`, "Content-Type", typ)
		if r.Code != 201 || r.Header().Get("Content-Type") != "application/json" || r.Header().Get("X-Content-Type-Options") != "nosniff" ||
			r.Header().Get("Cache-Control") != "no-store" || strings.Contains(r.Body.String(), "$schema") {
			t.Errorf("sent as %q: %d %v %s", typ, r.Code, r.Header(), r.Body)
		}
	}
	if r := w.do("GET", "/items", ""); strings.TrimSpace(r.Body.String()) != `{"items":[],"next":null}` {
		t.Errorf("an empty list is %s", r.Body)
	}
}

// The same key gets the same answer, and the work is done once.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		w := newWorld(t, open(account.Migrations, Migrations))
		const ok = `{"name":"item"}`
		for _, c := range []struct {
			name, path, body, key string
			status                int
			calls                 int64 // made by this request
			replayed              bool
		}{
			{"first", "/items", ok, "k1", 201, 1, false},
			{"repeated", "/items", ok, "k1", 201, 0, true},
			{"another body", "/items", `{"name":"item2"}`, "k1", 422, 0, false},
			{"another address", "/items?wait=2", ok, "k1", 422, 0, false},
			{"another key", "/items", ok, "K1", 201, 1, false},
			{"without key", "/items", ok, "", 201, 1, false},
			{"refused", "/items", `{"name":"conflict"}`, "k2", 409, 1, false},
			{"refused again", "/items", `{"name":"conflict"}`, "k2", 409, 0, true},
			{"no answer", "/items", `{"name":"timeout"}`, "k3", 504, 1, false},
			{"the station may have acted", "/items", `{"name":"timeout"}`, "k3", 504, 0, true},
			{"our failure", "/items", `{"name":"broken"}`, "k4", 500, 1, false},
			{"may be tried again", "/items", `{"name":"broken"}`, "k4", 500, 1, false},
			{"our defect", "/items", `{"name":"panic"}`, "k5", 500, 1, false},
			{"may be tried again too", "/items", `{"name":"panic"}`, "k5", 500, 1, false},
			{"longest key", "/items", ok, strings.Repeat("k", maxKeySize), 201, 1, false},
			{"too long", "/items", ok, strings.Repeat("k", maxKeySize+1), 422, 0, false},
			{"no text", "/items", ok, "k\xff", 422, 0, false},
		} {
			before := w.items.calls.Load()
			header := []string{}
			if c.key != "" {
				header = []string{"Idempotency-Key", c.key}
			}
			r := w.do("POST", c.path, c.body, header...)
			if r.Code != c.status || w.items.calls.Load()-before != c.calls || (r.Header().Get("Idempotent-Replayed") != "") != c.replayed {
				t.Errorf("%s: %d, %d calls, replayed %q: %s", c.name, r.Code, w.items.calls.Load()-before, r.Header().Get("Idempotent-Replayed"), r.Body)
			}
		}
		one, two := w.do("POST", "/items", ok, "Idempotency-Key", "same"), w.do("POST", "/items", ok, "Idempotency-Key", "same")
		if one.Body.String() != two.Body.String() || one.Header().Get("Content-Type") != two.Header().Get("Content-Type") {
			t.Errorf("%s is replayed as %s", one.Body, two.Body)
		}
		if r := w.do("GET", "/items", "", "Idempotency-Key", "same"); r.Code != 200 || r.Header().Get("Idempotent-Replayed") != "" {
			t.Errorf("a read with the key: %d", r.Code)
		}
		must(t, w.db.Write(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE idempotency SET created_at = $1`, db.Micros(time.Now().Add(-keepKeys-time.Minute)))
			return err
		}))
		before := w.items.calls.Load()
		if r := w.do("POST", "/items", ok, "Idempotency-Key", "same"); r.Code != 201 || w.items.calls.Load() == before {
			t.Errorf("a day later: %d", r.Code)
		}
	})
}

// Many send the same at once: one works, the others hear that it does, or its answer.
func TestIdempotencyRace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		d := open(account.Migrations, Migrations)
		keys := &idempotency{db: d, log: slog.New(slog.DiscardHandler), node: nodeName}
		started, release := make(chan struct{}), make(chan struct{})
		var calls atomic.Int64
		h := keys.middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				close(started)
				<-release
			}
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
		}))
		send := func(organisation string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", "/x", strings.NewReader("body"))
			r.Header.Set("Idempotency-Key", "k")
			if organisation != "" {
				r = r.WithContext(account.With(r.Context(), account.Principal{Organisation: organisation}))
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec
		}
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- send("a") }()
		<-started
		for range 3 {
			if r := send("a"); r.Code != 409 {
				t.Errorf("while the first runs: %d %s", r.Code, r.Body)
			}
		}
		if r := send("b"); r.Code != 200 || r.Body.String() != "body" {
			t.Errorf("another organisation's key: %d %s", r.Code, r.Body)
		}
		if r := send(""); r.Code != 200 { // nobody: the operation refuses or does not need to know
			t.Errorf("without sign-in: %d", r.Code)
		}
		close(release)
		if r := <-first; r.Code != 200 || r.Body.String() != "body" {
			t.Errorf("the first: %d %s", r.Code, r.Body)
		}
		if r := send("a"); r.Body.String() != "body" || r.Header().Get("Idempotent-Replayed") == "" || calls.Load() != 3 {
			t.Errorf("afterwards: %s, %d calls", r.Body, calls.Load())
		}
	})
}

// The description says what is there, in names that clients can be generated from.
func TestDescription(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	r := w.do("GET", "/openapi.json", "")
	var spec struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]any }
	}
	must(t, json.Unmarshal(r.Body.Bytes(), &spec))
	if !strings.HasPrefix(spec.OpenAPI, "3.1") || spec.Paths["/items"]["post"].OperationID != "make-item" {
		t.Errorf("description %s", r.Body)
	}
	for _, name := range []string{"ApiItemView", "ApiItemViewList"} {
		if spec.Components.Schemas[name] == nil {
			t.Errorf("no schema %s in %v", name, spec.Components.Schemas)
		}
	}
	describing.Lock()
	made, err := Spec((&items{}).register)
	describing.Unlock()
	must(t, err)
	var a, b any
	must(t, errors.Join(json.Unmarshal(made, &a), json.Unmarshal(r.Body.Bytes(), &b)))
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("what is served is not what is written")
	}
	docs := w.do("GET", "/docs", "")
	for _, part := range []string{"<h2>Items</h2>", `id="make-item"`, Base + "/items", "cursor"} {
		if !strings.Contains(docs.Body.String(), part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	if csp := docs.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}

func TestTypeName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"station.View": "StationView", "session.SessionView": "SessionView", "page.list": "PageList",
		"idtoken.Token": "IdtokenToken", "session.session": "Session"} {
		if got := typeName(in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

// Whatever the address, the answer is one of ours, and no defect.
func TestAnyAddress(t *testing.T) {
	t.Parallel()
	w := fresh(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z%0-9/?=&.;+]{0,20}`).Draw(t, "rest")
		r, err := http.NewRequest("GET", "http://host"+Base+"/items"+text, http.NoBody)
		if err != nil {
			return // no client can send it
		}
		r.RequestURI = r.URL.RequestURI()
		rec := httptest.NewRecorder()
		if w.h.ServeHTTP(rec, r); rec.Code >= 500 {
			t.Fatalf("%s: %d %s", text, rec.Code, rec.Body)
		}
	})
}

func nodeName() string { return "this-node" }

// TestReleaseNode: the keys of a node that died are free again where its request had no answer yet, and only there.
func TestReleaseNode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		d := open(Migrations)
		claim := func(node, key string) *stored {
			t.Helper()
			old, err := (&idempotency{db: d, node: func() string { return node }}).claim(t.Context(), "org", key, "print")
			must(t, err)
			return old
		}
		for _, node := range []string{"dead", "alive"} {
			claim(node, node+" runs")
			claim(node, node+" answered")
			must(t, d.Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(`UPDATE idempotency SET status = 200, body = $2 WHERE key = $1`, node+" answered", []byte("{}"))
				return err
			}))
		}
		must(t, d.Write(t.Context(), func(tx *db.Tx) error { return ReleaseNode(tx, "dead") }))
		for key, kept := range map[string]bool{"dead runs": false, "dead answered": true, "alive runs": true, "alive answered": true} {
			if old := claim("heir", key); (old != nil) != kept {
				t.Errorf("%s: kept %t", key, old != nil)
			}
		}
	})
}
