package ocpp

import (
	"strings"
)

// Code says what kind of rule a payload breaks. The wire spelling differs by version, see package ocppj.
type Code uint8

// The error codes of OCPP-J, in the words of 2.x.
const (
	GenericError Code = iota
	FormatViolation
	InternalError
	MessageTypeNotSupported
	NotImplemented
	NotSupported
	OccurrenceConstraintViolation
	PropertyConstraintViolation
	ProtocolError
	RPCFrameworkError
	SecurityError
	TypeConstraintViolation
)

// Violation is one broken rule: what, and where.
type Violation struct {
	Code Code
	// Path names the field from the top of the payload, as in "meterValue[0].sampledValue[2].unit".
	// It is empty when the payload as a whole is meant.
	Path string
	// Reason says which constraint is broken, with its bound. It never quotes more than a short part of the value.
	Reason string
	// Tolerated is true for deviations that a lenient reader accepts: unknown properties, nulls, repeated keys,
	// times without a zone. What was read is usable.
	Tolerated bool
	// Overlong is true when a text is longer than its schema allows. It is an error, unless the receiver
	// chooses to store it all the same (a transaction must not be lost for a long tag).
	Overlong bool
	// Zoneless is true when a time has no zone and was taken for UTC: an error to a strict reader, unless the receiver
	// accepts it all the same.
	Zoneless bool
}

// Error names the field and the reason.
func (v Violation) Error() string {
	if v.Path == "" {
		return v.Reason
	}
	return v.Path + ": " + v.Reason
}

// Violations is all that is wrong with a payload, in the order of the text. It is an error when not empty.
type Violations []Violation

// Error joins the violations.
func (vs Violations) Error() string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.Error()
	}
	return strings.Join(parts, "; ")
}

// First returns the first violation that is not tolerated.
func (vs Violations) First() (Violation, bool) {
	for _, v := range vs {
		if !v.Tolerated {
			return v, true
		}
	}
	return Violation{}, false
}

// quote shortens a value for an error text.
func quote(s string) string {
	const most = 40
	r := []rune(s)
	if len(r) > most {
		return "\"" + string(r[:most]) + "…\""
	}
	return "\"" + s + "\""
}
