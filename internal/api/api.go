// Package api is the HTTP face of a node: it mounts what the capabilities register, under /api/v1, with one form of
// errors, sign-in, idempotency and an OpenAPI description that is made from the code.
package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/problem"
)

// Base is the path of the API.
const Base = "/api/v1"

// Version of the API, in its description.
const Version = "1.0.0"

// Registrar adds operations to the API.
type Registrar func(api huma.API)

// Recorder puts the record of who did what around an operation; base is the path that the description stands under.
type Recorder func(spec *huma.OpenAPI, op *huma.Operation, base string, next http.Handler) http.Handler

// New makes the handler of everything under Base. node tells the present name of this node. Without record nothing is recorded.
func New(d *db.DB, accounts *account.Accounts, log *slog.Logger, node func() string, record Recorder, registrars ...Registrar) http.Handler {
	mux := http.NewServeMux()
	h := describe(mux, registrars...)
	mux.HandleFunc("GET "+Base+"/docs", docs(h.OpenAPI()))
	keys := &idempotency{db: d, log: log, node: node}
	return recoverer(log, accounts.Middleware(perOperation(h.OpenAPI(), record, keys.middleware(fallback(mux)))))
}

// perOperation holds every operation to the table of roles, and has it recorded, before anything else is done about it.
func perOperation(spec *huma.OpenAPI, record Recorder, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	for _, item := range spec.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch, item.Head, item.Options} {
			if op == nil {
				continue
			}
			h := account.Guard(op, next)
			if record != nil {
				h = record(spec, op, Base, h)
			}
			mux.Handle(op.Method+" "+Base+op.Path, h)
		}
	}
	return mux
}

// setFramework sets what the framework keeps in variables of its package: once, since a process may hold several nodes.
var setFramework = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.NewError = newError
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return newError(status, msg, errs...)
	}
})

// describe builds the API on a mux.
func describe(mux *http.ServeMux, registrars ...Registrar) huma.API {
	setFramework()
	cfg := huma.DefaultConfig("Lumela", Version)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/openapi", "", ""
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaNames)
	cfg.CreateHooks = nil // no $schema links in the answers
	cfg.Servers = []*huma.Server{{URL: Base}}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":    {Type: "http", Scheme: "bearer", Description: "API key"},
		"cookie": {Type: "apiKey", In: "cookie", Name: "lumela_session", Description: "Sign-in of the console; changing requests need the header " + account.ConsoleHeader},
	}
	cfg.Security = []map[string][]string{{"key": {}}, {"cookie": {}}}
	sub := http.NewServeMux()
	mux.Handle(Base+"/", http.StripPrefix(Base, sub))
	h := humago.New(sub, cfg)
	for _, r := range registrars {
		r(h)
	}
	return h
}

// Spec gives the OpenAPI description of what the registrars add.
func Spec(registrars ...Registrar) ([]byte, error) {
	return json.MarshalIndent(describe(http.NewServeMux(), registrars...).OpenAPI(), "", "  ")
}

// newError makes the problem of an error that the framework finds, mostly in the input.
func newError(status int, msg string, errs ...error) huma.StatusError {
	kind := problem.Invalid
	switch status {
	case http.StatusNotFound:
		kind = problem.NotFound
	case http.StatusUnauthorized:
		kind = problem.Unauthorized
	case http.StatusForbidden:
		kind = problem.Forbidden
	case http.StatusInternalServerError:
		kind = problem.Internal
	}
	for _, err := range errs {
		var e *problem.Error
		if errors.As(err, &e) {
			return e
		}
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			return &Problem{problem: &problem.Error{Kind: kind, Field: detail.Location, Text: detail.Message}, status: status}
		}
		if kind == problem.Internal {
			slog.Error("request failed", "error", err)
			msg = "something went wrong on our side; the log has the details"
		} else if err != nil {
			msg = err.Error()
		}
	}
	return &Problem{problem: &problem.Error{Kind: kind, Text: msg}, status: status}
}

// Problem is an RFC 9457 problem with the exact HTTP status of the framework.
type Problem struct {
	problem *problem.Error
	status  int
}

func (s *Problem) Error() string { return s.problem.Error() }

// GetStatus is the HTTP status.
func (s *Problem) GetStatus() int { return s.status }

// ContentType is that of RFC 9457.
func (s *Problem) ContentType(want string) string { return s.problem.ContentType(want) }

// MarshalJSON writes the problem.
func (s *Problem) MarshalJSON() ([]byte, error) { return s.problem.JSON(s.status) }

// Schema describes the problem: huma cannot see through its JSON form.
func (*Problem) Schema(huma.Registry) *huma.Schema {
	text := &huma.Schema{Type: huma.TypeString}
	detail := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"message": text, "location": text}, Required: []string{"message"}}
	return &huma.Schema{Type: huma.TypeObject, Description: "RFC 9457", Required: []string{"type", "title", "status"}, Properties: map[string]*huma.Schema{
		"type": text, "title": text, "detail": text, "status": {Type: huma.TypeInteger}, "errors": {Type: huma.TypeArray, Items: detail}}}
}

// fallback answers what no operation matches with a problem instead of plain text.
func fallback(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBody {
			problem.WriteHTTP(w, problem.New(problem.TooMany, "the request is larger than %d bytes", maxBody))
			return
		}
		if !storable(r.URL) { // PostgreSQL takes no such text
			problem.WriteHTTP(w, problem.New(problem.Invalid, "the address holds NUL or what is not UTF-8"))
			return
		}
		// The API takes nothing but JSON: what a client forgets to say, or says by the default of its tool, is that.
		if typ := r.Header.Get("Content-Type"); typ == "" || strings.HasPrefix(typ, "application/x-www-form-urlencoded") {
			r.Header.Set("Content-Type", "application/json")
		}
		mux.ServeHTTP(&problemWriter{ResponseWriter: w}, r)
	})
}

const maxBody = 8 << 20

// storable reports whether the path and the query of an address are text.
func storable(u *url.URL) bool {
	query, err := url.QueryUnescape(u.RawQuery)
	return err == nil && utf8.ValidString(u.Path) && utf8.ValidString(query) && !strings.ContainsRune(u.Path+query, 0)
}

// problemWriter turns the plain-text 404 and 405 of the router into problems.
type problemWriter struct {
	http.ResponseWriter
	swallow bool
}

func (p *problemWriter) WriteHeader(status int) {
	plain := p.Header().Get("Content-Type") == "text/plain; charset=utf-8"
	if plain && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		p.swallow = true
		body, _ := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status})
		p.Header().Set("Content-Type", "application/problem+json")
		p.ResponseWriter.WriteHeader(status)
		_, _ = p.ResponseWriter.Write(body) // the client may be gone
		return
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *problemWriter) Write(b []byte) (int, error) {
	if p.swallow {
		return len(b), nil
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (p *problemWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// recoverer keeps a defect in one request from ending the process.
func recoverer(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				log.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
				problem.WriteHTTP(w, problem.New(problem.Internal, "something went wrong on our side; the log has the details"))
			}
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
