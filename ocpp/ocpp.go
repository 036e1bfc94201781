// Package ocpp holds what the three dialects of the Open Charge Point Protocol have in common: versions,
// roles, the shape of a message, optional values, and the JSON codec that the generated message packages
// v16, v201 and v21 are built on.
//
// The packages below it do no input or output and know nothing of any application, so they can be used as a
// library: ocppj frames messages, translate turns one dialect into another, devicemodel names variables.
package ocpp

import "fmt"

// Version is a dialect of OCPP, in the order of their age.
type Version uint8

// The dialects. The zero Version is none of them.
const (
	V16 Version = iota + 1
	V201
	V21
)

// Versions lists the dialects, oldest first.
var Versions = []Version{V16, V201, V21}

// String is the number that people use: 1.6, 2.0.1, 2.1.
func (v Version) String() string {
	switch v {
	case V16:
		return "1.6"
	case V201:
		return "2.0.1"
	case V21:
		return "2.1"
	}
	return "unknown"
}

// Subprotocol is the WebSocket subprotocol name, OCPP 2.1 Part 4 3.1.2.
func (v Version) Subprotocol() string {
	if v < V16 || v > V21 {
		return ""
	}
	return "ocpp" + v.String()
}

// ParseVersion reads "1.6", "2.0.1" or "2.1", with or without "ocpp" before it.
func ParseVersion(s string) (Version, error) {
	for _, v := range Versions {
		if s == v.String() || s == v.Subprotocol() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("unknown OCPP version %q: want 1.6, 2.0.1 or 2.1", s)
}

// Role says who may send a request. It is a set: DataTransfer goes both ways.
type Role uint8

// The two ends of a link.
const (
	Station Role = 1 << iota // the charging station (1.6: charge point)
	CSMS                     // the charging station management system (1.6: central system)
)

// String names the ends in the set.
func (r Role) String() string {
	switch r {
	case Station:
		return "station"
	case CSMS:
		return "csms"
	case Station | CSMS:
		return "both"
	}
	return "none"
}

// Other is the opposite end; the set of both stays as it is.
func (r Role) Other() Role {
	if r == Station || r == CSMS {
		return r ^ (Station | CSMS)
	}
	return r
}

// Message is any request or response of any dialect. The message types are generated; all are pointers.
type Message interface {
	// ActionName is the name on the wire, without "Request" or "Response".
	ActionName() string
	// Version is the dialect that the message belongs to.
	Version() Version
	// AppendJSON appends the payload as JSON. It does not validate.
	AppendJSON(b []byte) []byte
	// DecodeJSON reads the payload. What is wrong with it is collected in the decoder; the message holds what
	// could be read.
	DecodeJSON(d *Decoder)
	// Validate checks every constraint of the official schema and gives a Violations, or nil.
	Validate() error
}

// Request is a message that starts an exchange (CALL, or SEND in 2.1).
type Request interface {
	Message
	// Sender says who may send it.
	Sender() Role
	// NewResponse makes an empty message of the type that answers this request; nil for a SEND.
	NewResponse() Response
}

// Response is a message that answers a request (CALLRESULT).
type Response interface {
	Message
	// IsResponse marks the type.
	IsResponse()
}

// ResponseMark makes a type a Response; generated types embed it.
type ResponseMark struct{}

// IsResponse implements Response.
func (ResponseMark) IsResponse() {}

// ActionInfo describes one action of a dialect.
type ActionInfo struct {
	Name   string
	Sender Role
	Send   bool // true where the action travels as SEND and has no response (2.1 only)
}

// Opt is a value that a message may leave out. The zero Opt is absent. It needs no allocation and keeps the
// difference between absent and empty, which OCPP makes.
type Opt[T any] struct {
	V  T
	OK bool
}

// Some is a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, OK: true} }

// SomeIf is v when ok, else absent.
func SomeIf[T any](v T, ok bool) Opt[T] {
	if !ok {
		return Opt[T]{}
	}
	return Opt[T]{V: v, OK: true}
}

// NonZero is v unless it is the zero value of its type, which becomes absent.
func NonZero[T comparable](v T) Opt[T] {
	var zero T
	return SomeIf(v, v != zero)
}

// Get returns the value and whether it is there.
func (o Opt[T]) Get() (T, bool) { return o.V, o.OK }

// Or returns the value, or def when it is absent.
func (o Opt[T]) Or(def T) T {
	if o.OK {
		return o.V
	}
	return def
}

// Raw is a JSON value kept as the text it came in: DataTransfer's data, vendor extensions. The empty Raw is absent.
type Raw string

// CustomData is the customData object of OCPP 2.x, kept as JSON text. The empty CustomData is absent.
type CustomData string
