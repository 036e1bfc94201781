package ocppj

import (
	"encoding/base64"
	"fmt"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// NewRequest makes an empty request of an action in a version, nil when the version has no such action.
func NewRequest(v ocpp.Version, action string) ocpp.Request {
	switch v {
	case ocpp.V16:
		return v16.NewRequest(action)
	case ocpp.V201:
		return v201.NewRequest(action)
	case ocpp.V21:
		return v21.NewRequest(action)
	}
	return nil
}

// Actions lists the actions of a version.
func Actions(v ocpp.Version) []ocpp.ActionInfo {
	switch v {
	case ocpp.V16:
		return v16.Actions
	case ocpp.V201:
		return v201.Actions
	case ocpp.V21:
		return v21.Actions
	}
	return nil
}

const signedSuffix = "-Signed"

// DecodeRequest reads the payload of a CALL or SEND from the given end. A signed message of 2.x (OCPP 2.1 Part 4 7.2)
// gives the message inside; its signature is not verified, which the violations say. The error says why there is no
// request at all; broken rules of the payload are in the violations.
func DecodeRequest(v ocpp.Version, from ocpp.Role, action, payload string, strict bool) (ocpp.Request, ocpp.Violations, *ocpp.CallError) {
	var notes ocpp.Violations
	if inner, signed := strings.CutSuffix(action, signedSuffix); signed && v != ocpp.V16 {
		text, err := unwrapSigned(payload)
		if err != nil {
			return nil, nil, &ocpp.CallError{Code: ocpp.FormatViolation, Description: err.Error()}
		}
		action, payload = inner, text
		notes = ocpp.Violations{{Code: ocpp.SecurityError, Reason: "the signature of the message was not verified", Tolerated: true}}
	}
	req := NewRequest(v, action)
	if req == nil {
		return nil, nil, &ocpp.CallError{Code: ocpp.NotImplemented, Description: "OCPP " + v.String() + " has no such action"}
	}
	if req.Sender()&from == 0 {
		return nil, nil, &ocpp.CallError{Code: ocpp.NotSupported, Description: action + " is not sent by the " + from.String()}
	}
	return req, append(notes, ocpp.Decode(payload, req, strict)...), nil
}

// unwrapSigned takes the payload out of a JSON Web Signature in flattened form.
func unwrapSigned(payload string) (string, error) {
	d := ocpp.NewDecoder(payload, false)
	if !d.BeginObject() {
		return "", fmt.Errorf("a signed message must be a JWS object")
	}
	text := ""
	for first := true; ; first = false {
		key, more := d.NextKey(first)
		if !more {
			break
		}
		if key == "payload" {
			text, _ = d.String(key, 0)
			continue
		}
		d.Skip()
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || text == "" {
		return "", fmt.Errorf("a signed message must have a base64url payload")
	}
	return string(raw), nil
}
