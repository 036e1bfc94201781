package apptest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Client is a user of the API. The zero Key sends no Authorization.
type Client struct {
	Base string // http://host:port
	Key  string
	HTTP *http.Client // nil: a client without cookies that follows no redirect
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// JSON reads the body as any JSON value.
func (r Response) JSON(t testing.TB) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil {
		t.Fatalf("the answer is no JSON: %v\n%s", err, r.Body)
	}
	return v
}

// Into reads the body into v.
func (r Response) Into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), v); err != nil {
		t.Fatalf("the answer does not fit: %v\n%s", err, r.Body)
	}
}

var plainHTTP = &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// apiPath puts the base of the API before a path that has none.
func apiPath(path string) string {
	if strings.HasPrefix(path, "//") {
		return path[1:] // from the root of the server
	}
	return "/api/v1" + path
}

// Request makes a request of the API: path is below /api/v1, unless it begins with "//", which stands for the root of the
// server. headers are "Name: value".
func (c *Client) Request(ctx context.Context, method, path, body string, headers ...string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+apiPath(path), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.Key)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return req, nil
}

// Try makes a request and gives its failure to the caller, so that it may be used on any goroutine.
func (c *Client) Try(method, path, body string, headers ...string) (Response, error) {
	req, err := c.Request(context.Background(), method, path, body, headers...)
	if err != nil {
		return Response{}, err
	}
	resp, err := c.http().Do(req)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = resp.Body.Close() }() // read to the end
	raw, err := io.ReadAll(resp.Body)
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: string(raw)}, err
}

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return plainHTTP
}

// Do makes a request.
func (c *Client) Do(t testing.TB, method, path, body string, headers ...string) Response {
	t.Helper()
	r, err := c.Try(method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.Status >= 400 {
		CheckLeak(t, method+" "+path, r.Body)
	}
	return r
}

// Want makes a request whose answer must have a status.
func (c *Client) Want(t testing.TB, status int, method, path, body string, headers ...string) Response {
	t.Helper()
	r := c.Do(t, method, path, body, headers...)
	if r.Status != status {
		t.Fatalf("%s %s: status %d, want %d\n%s", method, path, r.Status, status, r.Body)
	}
	return r
}

// Get reads a resource into v.
func (c *Client) Get(t testing.TB, path string, v any) {
	t.Helper()
	c.Want(t, http.StatusOK, "GET", path, "").Into(t, v)
}

// Pending is a request under way.
type Pending struct {
	what string
	c    chan Response
	err  error
}

// Begin makes a request on a goroutine of its own: a command that waits for the station which the test plays.
func (c *Client) Begin(method, path, body string, headers ...string) *Pending {
	p := &Pending{what: method + " " + path, c: make(chan Response, 1)}
	go func() {
		r, err := c.Try(method, path, body, headers...)
		p.err = err
		p.c <- r
	}()
	return p
}

// Wait gives the answer.
func (p *Pending) Wait(t testing.TB) Response {
	t.Helper()
	select {
	case r := <-p.c:
		if p.err != nil {
			t.Fatalf("%s: %v", p.what, p.err)
		}
		if r.Status >= 400 {
			CheckLeak(t, p.what, r.Body)
		}
		return r
	case <-time.After(patience):
		t.Fatalf("%s: no answer", p.what)
	}
	return Response{}
}

// Event is one server-sent event.
type Event struct{ ID, Type, Data string }

// Events is a stream of server-sent events.
type Events struct {
	t      testing.TB
	c      chan Event
	cancel context.CancelFunc
}

// Listen opens a stream; it has begun when Listen returns.
func (c *Client) Listen(t testing.TB, path string, headers ...string) *Events {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := c.Request(ctx, "GET", path, "", headers...)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		raw, _ := io.ReadAll(resp.Body) // for the report only
		t.Fatalf("GET %s: %s %s\n%s", path, resp.Status, resp.Header.Get("Content-Type"), raw)
	}
	e := &Events{t: t, c: make(chan Event, 1024), cancel: cancel}
	go func() {
		defer func() { _ = resp.Body.Close() }()
		defer close(e.c)
		scanner := bufio.NewScanner(resp.Body)
		scanner.Buffer(nil, 1<<20)
		var ev Event
		for scanner.Scan() {
			name, value, _ := strings.Cut(scanner.Text(), ": ")
			switch name {
			case "id":
				ev.ID = value
			case "event":
				ev.Type = value
			case "data":
				ev.Data = value
			case "":
				if ev.Type != "" {
					e.c <- ev
				}
				ev = Event{}
			}
		}
	}()
	return e
}

// Next gives the next event that accept takes; those before it are passed over.
func (e *Events) Next(what string, accept func(Event) bool) Event {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case ev, ok := <-e.c:
			if !ok {
				e.t.Fatalf("the stream ended before: %s", what)
			}
			if accept(ev) {
				return ev
			}
		case <-deadline:
			e.t.Fatalf("no event: %s", what)
		}
	}
}

// Of gives the next event of a type.
func (e *Events) Of(typ string) Event {
	e.t.Helper()
	return e.Next(typ, func(ev Event) bool { return ev.Type == typ })
}

// Close ends the stream.
func (e *Events) Close() { e.cancel() }

// C is the stream as a channel, closed when it ends.
func (e *Events) C() <-chan Event { return e.c }
