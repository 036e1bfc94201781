// Package problem is the one error that crosses Lumela's boundaries. It says what was being done, what kind of failure
// it is, and a text that is safe to show; the cause stays inside. Over HTTP it is an RFC 9457 problem.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"lumela/ocpp"
)

// Kind says what went wrong in terms a caller can act on.
type Kind int

// The kinds. The zero Kind is Internal.
const (
	Internal      Kind = iota // a defect or an unexpected failure of ours
	Invalid                   // the input breaks a rule that Text names
	NotFound                  // no such object, or none that the caller may see
	Conflict                  // the object is not in a state for this
	Offline                   // the station has no link
	Unauthorized              // who are you?
	Forbidden                 // not with this role
	Inexpressible             // the station's OCPP version has no way to say it
	Timeout                   // no answer in time; the effect is unknown
	Unavailable               // a part that is needed does not work at the moment
	TooMany                   // a stated limit is reached
	Refused                   // the station answered with an error
)

var kinds = map[Kind]struct {
	status int
	title  string
}{
	Internal: {500, "Internal error"}, Invalid: {422, "Invalid input"}, NotFound: {404, "Not found"},
	Conflict: {409, "Conflict"}, Offline: {409, "Station is offline"}, Unauthorized: {401, "Not signed in"},
	Forbidden: {403, "Not allowed"}, Inexpressible: {422, "Not expressible"}, Timeout: {504, "No answer in time"},
	Unavailable: {503, "Not available at the moment"}, TooMany: {429, "Limit reached"}, Refused: {502, "Refused by the station"},
}

// Error is a failure at a boundary.
type Error struct {
	Op    string // what was being done, for the log
	Kind  Kind
	Text  string // safe to show to the caller
	Field string // the input field that is wrong, "" for none
	Err   error  // the cause, for the log only
}

// New makes an error without a cause. The text is formatted.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// Field makes an Invalid error about one field of the input.
func Field(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Text: fmt.Sprintf(format, args...)}
}

// Wrap adds what was being done to an error. A *Error inside keeps its kind and text.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", op, err)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Op: op, Kind: Timeout, Text: "it took too long", Err: err}
	case errors.Is(err, context.Canceled):
		return &Error{Op: op, Kind: Unavailable, Text: "the request was given up", Err: err}
	}
	var passing interface{ Unavailable() bool }
	if errors.As(err, &passing) && passing.Unavailable() {
		return &Error{Op: op, Kind: Unavailable, Text: "it cannot be stored at the moment; try again later", Err: err}
	}
	return &Error{Op: op, Kind: Internal, Text: "something went wrong on our side; the log has the details", Err: err}
}

// Of finds the Error in a chain; any other error is Internal.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	_ = errors.As(Wrap("", err), &e)
	return e
}

// Is reports whether the error is of a kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Error gives everything that is known, for logs.
func (e *Error) Error() string {
	s := e.Text
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// GetStatus is the HTTP status. It makes the error an answer of the HTTP API as it is.
func (e *Error) GetStatus() int { return kinds[e.Kind].status }

// ContentType is that of RFC 9457.
func (*Error) ContentType(string) string { return "application/problem+json" }

// MarshalJSON writes the RFC 9457 problem: nothing of the cause.
func (e *Error) MarshalJSON() ([]byte, error) { return e.JSON(e.GetStatus()) }

// JSON is the RFC 9457 problem with another HTTP status than the kind's own.
func (e *Error) JSON(status int) ([]byte, error) {
	type detail struct {
		Message  string `json:"message"`
		Location string `json:"location,omitempty"`
	}
	body := struct {
		Type   string   `json:"type"`
		Title  string   `json:"title"`
		Status int      `json:"status"`
		Detail string   `json:"detail,omitempty"`
		Errors []detail `json:"errors,omitempty"`
	}{Type: "about:blank", Title: kinds[e.Kind].title, Status: status, Detail: e.Text}
	if e.Field != "" {
		body.Detail = e.Field + ": " + e.Text
		body.Errors = []detail{{Message: e.Text, Location: e.Field}}
	}
	return json.Marshal(body)
}

// WriteHTTP answers a plain HTTP request with the problem of err.
func WriteHTTP(w http.ResponseWriter, err error) {
	e := Of(err)
	body, _ := e.MarshalJSON() // a struct of strings and numbers always has a JSON form
	w.Header().Set("Content-Type", e.ContentType(""))
	w.WriteHeader(e.GetStatus())
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
}

// CallError is the error as a station hears it.
func CallError(err error) *ocpp.CallError {
	var ce *ocpp.CallError
	if errors.As(err, &ce) {
		return ce
	}
	e := Of(err)
	code := ocpp.InternalError
	switch e.Kind {
	case Invalid, NotFound:
		code = ocpp.PropertyConstraintViolation
	case Unauthorized, Forbidden:
		code = ocpp.SecurityError
	case Inexpressible:
		code = ocpp.NotSupported
	}
	return &ocpp.CallError{Code: code, Description: e.Text}
}
