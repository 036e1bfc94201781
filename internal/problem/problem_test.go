package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/internal/problem"
	"lumela/ocpp"
)

var kinds = []struct {
	kind   problem.Kind
	status int
	code   ocpp.Code
}{
	{problem.Internal, 500, ocpp.InternalError},
	{problem.Invalid, 422, ocpp.PropertyConstraintViolation},
	{problem.NotFound, 404, ocpp.PropertyConstraintViolation},
	{problem.Conflict, 409, ocpp.InternalError},
	{problem.Offline, 409, ocpp.InternalError},
	{problem.Unauthorized, 401, ocpp.SecurityError},
	{problem.Forbidden, 403, ocpp.SecurityError},
	{problem.Inexpressible, 422, ocpp.NotSupported},
	{problem.Timeout, 504, ocpp.InternalError},
	{problem.Unavailable, 503, ocpp.InternalError},
	{problem.TooMany, 429, ocpp.InternalError},
	{problem.Refused, 502, ocpp.InternalError},
}

// Each kind has its HTTP form and its word for a station, and neither tells the cause.
func TestKinds(t *testing.T) {
	t.Parallel()
	titles := map[string]bool{}
	for _, k := range kinds {
		err := problem.Wrap("outer step", &problem.Error{Op: "secret step", Kind: k.kind, Text: "plain words", Field: "a.b", Err: errors.New("password=hunter2")})
		w := httptest.NewRecorder()
		problem.WriteHTTP(w, err)
		if w.Code != k.status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("kind %d: HTTP %d, %s; want %d", k.kind, w.Code, w.Header().Get("Content-Type"), k.status)
		}
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		title, _ := body["title"].(string)
		if title == "" || k.kind != problem.Inexpressible && titles[title] {
			t.Errorf("kind %d: title %q is empty or another's", k.kind, title)
		}
		titles[title] = true
		delete(body, "title")
		want := map[string]any{"type": "about:blank", "status": float64(k.status), "detail": "a.b: plain words",
			"errors": []any{map[string]any{"message": "plain words", "location": "a.b"}}}
		if d := cmp.Diff(want, body); d != "" {
			t.Errorf("kind %d (-want +got):\n%s", k.kind, d)
		}
		ce := problem.CallError(err)
		if ce.Code != k.code || ce.Description != "plain words" || ce.Details != "" {
			t.Errorf("kind %d: CALLERROR %v, want %v and the plain words", k.kind, ce, k.code)
		}
		if !problem.Is(err, k.kind) || problem.Of(err).Kind != k.kind {
			t.Errorf("kind %d is lost by wrapping", k.kind)
		}
		for _, part := range []string{"outer step", "secret step", "plain words", "a.b", "hunter2"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the log does not get %q: %s", part, err)
			}
		}
	}
}

func TestUnknownErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want problem.Kind
	}{
		{errors.New("disk on fire"), problem.Internal},
		{fmt.Errorf("asking: %w", context.DeadlineExceeded), problem.Timeout},
		{fmt.Errorf("asking: %w", context.Canceled), problem.Unavailable},
	} {
		for _, err := range []error{c.err, problem.Wrap("doing", c.err), fmt.Errorf("more: %w", problem.Wrap("doing", c.err))} {
			if got := problem.Of(err).Kind; got != c.want {
				t.Errorf("%v is of kind %d, want %d", err, got, c.want)
			}
			if !errors.Is(err, errors.Unwrap(c.err)) && !errors.Is(err, c.err) {
				t.Errorf("%v has lost its cause", err)
			}
			w := httptest.NewRecorder()
			problem.WriteHTTP(w, err)
			if body := w.Body.String(); strings.Contains(body, "fire") || strings.Contains(body, "asking") || strings.Contains(body, "doing") {
				t.Errorf("the answer tells the cause: %s", body)
			}
			if text := problem.CallError(err).Description; strings.Contains(text, "fire") || strings.Contains(text, "asking") {
				t.Errorf("the station is told the cause: %s", text)
			}
		}
	}
	if err := problem.Wrap("doing", nil); err != nil {
		t.Errorf("nothing wrapped is %v", err)
	}
	if problem.Is(nil, problem.Internal) {
		t.Error("no error is of no kind")
	}
}

// A station's own word goes through as it is.
func TestCallErrorPasses(t *testing.T) {
	t.Parallel()
	ce := &ocpp.CallError{Code: ocpp.OccurrenceConstraintViolation, Description: "twice", Details: `{"a":1}`}
	if got := problem.CallError(problem.Wrap("boot", ce)); got != ce {
		t.Errorf("got %v, want the error itself", got)
	}
}

func TestOtherStatus(t *testing.T) {
	t.Parallel()
	raw, err := problem.Field("x", "is %s", "odd").JSON(415)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), `"status":415`) {
		t.Errorf("status not in %s", raw)
	}
}

// Whatever the texts, the answer is JSON and holds nothing of operation and cause.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const mark = "\u2622CAUSE\u2622"
		e := &problem.Error{Op: mark, Err: errors.New(mark), Kind: rapid.SampledFrom(kinds).Draw(t, "kind").kind,
			Text: rapid.String().Draw(t, "text"), Field: rapid.String().Draw(t, "field")}
		raw, err := e.MarshalJSON()
		if err != nil || !json.Valid(raw) {
			t.Fatalf("%v, %s", err, raw)
		}
		if strings.Contains(string(raw), mark) && !strings.Contains(e.Text+e.Field, mark) {
			t.Fatalf("cause in %s", raw)
		}
	})
}
