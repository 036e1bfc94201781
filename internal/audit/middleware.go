package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/problem"
)

// Around records what one operation of the API does. spec is the whole description, base the path that it stands under.
// Operations that only read are left as they are.
func (l *Log) Around(spec *huma.OpenAPI, op *huma.Operation, base string, next http.Handler) http.Handler {
	if op.Method == http.MethodGet || op.Method == http.MethodHead || op.OperationID == "sign-in" { // attempts to sign in are told by account
		return next
	}
	w := &watch{log: l, op: op, base: base, next: next}
	words := strings.Split(strings.TrimPrefix(op.Path, "/"), "/")
	w.kind = words[0]
	if item := spec.Paths["/"+w.kind+"/{id}"]; item != nil && item.Get != nil && !strings.Contains(op.Path, "/commands/") {
		w.readable = true
	}
	return w
}

// watch is the record around one operation.
type watch struct {
	log      *Log
	op       *huma.Operation
	base     string
	next     http.Handler
	kind     string
	readable bool // objects of the kind have a GET
}

// ServeHTTP implements http.Handler.
func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p, err := account.From(r.Context())
	if err != nil { // nobody: the operation refuses, and there is nobody to record
		w.next.ServeHTTP(rw, r)
		return
	}
	e := &Entry{organisation: p.Organisation, Who: p.Name, Actor: p.Actor(), Role: p.Role, Operation: w.op.OperationID, Method: r.Method,
		Path: address(r.URL, w.base), Kind: w.kind, Object: r.PathValue("id")}
	e.Address, _, _ = net.SplitHostPort(r.RemoteAddr)
	if w.kind == "stations" {
		e.Station = e.Object
	}
	if !text(e.Object) || !text(e.Path) { // no database takes it, so no operation knows it
		w.next.ServeHTTP(rw, r)
		return
	}
	if err := w.log.begin(r.Context(), e); err != nil {
		problem.WriteHTTP(rw, err)
		return
	}
	w.run(rw, r, e)
}

// run does the operation, and answers when its outcome is recorded.
func (w *watch) run(rw http.ResponseWriter, r *http.Request, e *Entry) {
	// Whoever may change the object: only owners read the record.
	reader := account.With(r.Context(), account.System(e.organisation))
	if e.Object != "" && w.permitted(r) {
		e.Before = w.read(reader, r, e.Object)
	}
	body := &tee{ReadCloser: r.Body}
	r.Body = body
	a := &answer{ResponseWriter: rw, status: http.StatusOK}
	done := false
	defer func() {
		if !done { // it panicked: what answers that stands above
			e.Status, e.Outcome, e.Error = http.StatusInternalServerError, Failed, "a defect of ours"
			e.Request = redact(body.kept.Bytes(), body.length)
			w.log.end(r.Context(), e)
		}
	}()
	w.next.ServeHTTP(a, r)
	done = true
	e.Request = redact(body.kept.Bytes(), body.length)
	e.learn(a, body.kept.Bytes())
	if e.Outcome == Done && e.Object != "" {
		e.After = w.read(context.WithoutCancel(reader), r, e.Object)
	}
	if e.Station == "" {
		e.Station = stationOf(e.Before, e.After)
	}
	w.log.end(r.Context(), e)
	a.send()
}

// permitted reports whether the caller may do it at all: who may not costs no reading.
func (w *watch) permitted(r *http.Request) bool {
	needs := account.PermissionOf(w.op.Method, w.op.Path)
	if needs == "" {
		return true
	}
	_, err := account.May(r.Context(), needs)
	return err == nil
}

// learn takes from the answer how it ended, and the id of what was made.
func (e *Entry) learn(a *answer, request []byte) {
	var said struct{ ID, Station, Detail string }
	_ = json.Unmarshal(a.body.Bytes(), &said) // an answer of another form tells nothing
	var asked struct{ Station string }
	_ = json.Unmarshal(request, &asked)
	e.Status = a.status
	switch {
	case a.Header().Get("Idempotent-Replayed") != "":
		e.Outcome = Replayed
	case a.status >= 500:
		e.Outcome, e.Error = Failed, said.Detail
	case a.status >= 400:
		e.Outcome, e.Error = Refused, said.Detail
	default:
		e.Outcome = Done
	}
	if a.status >= 400 {
		return
	}
	if strings.Contains(e.Path, "/commands/") && said.ID != "" {
		e.Kind, e.Object = "commands", said.ID
	}
	if e.Object == "" {
		e.Object = said.ID
	}
	for _, station := range []string{said.Station, asked.Station} {
		if e.Station == "" {
			e.Station = station
		}
	}
	if e.Kind == "stations" && e.Station == "" {
		e.Station = e.Object
	}
}

// readFor bounds the reading of an object for the record.
const readFor = 5 * time.Second

// read gives an object as its GET shows it, nil when there is none.
func (w *watch) read(ctx context.Context, r *http.Request, id string) json.RawMessage {
	if !w.readable {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+"/"+w.kind+"/"+url.PathEscape(id), http.NoBody)
	if err != nil {
		return nil
	}
	get.Host, get.RemoteAddr, get.RequestURI = r.Host, r.RemoteAddr, get.URL.RequestURI()
	a := &answer{ResponseWriter: silent{http.Header{}}, status: http.StatusOK}
	w.next.ServeHTTP(a, get)
	if a.status != http.StatusOK {
		return nil
	}
	return redact(a.body.Bytes(), int64(a.body.Len()))
}

func stationOf(objects ...json.RawMessage) string {
	for _, o := range objects {
		var v struct{ Station string }
		if json.Unmarshal(o, &v) == nil && v.Station != "" {
			return v.Station
		}
	}
	return ""
}

// tee keeps the beginning of what is read.
type tee struct {
	io.ReadCloser
	kept   bytes.Buffer
	length int64
}

// Read implements io.Reader.
func (t *tee) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.length += int64(n)
	if room := maxKept - t.kept.Len(); room > 0 {
		t.kept.Write(b[:min(n, room)])
	}
	return n, err
}

// answer holds an answer back until it may go.
type answer struct {
	http.ResponseWriter
	status int
	wrote  bool
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.wrote = true
	return a.body.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) send() {
	a.ResponseWriter.WriteHeader(a.status)
	if a.body.Len() > 0 {
		_, _ = a.ResponseWriter.Write(a.body.Bytes()) // the client may be gone
	}
}

// silent is the connection of a request that nobody sent.
type silent struct{ header http.Header }

// Header implements http.ResponseWriter.
func (s silent) Header() http.Header { return s.header }

// Write implements http.ResponseWriter.
func (silent) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (silent) WriteHeader(int) {}
