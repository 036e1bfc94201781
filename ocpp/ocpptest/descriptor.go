// Package ocpptest draws random schema-valid OCPP messages of every version for property tests, and describes the
// constraints of the official schemas as tables. No product code imports it.
package ocpptest

import (
	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// Kind is the kind of a field's value, or of the items of an array.
type Kind uint8

// The kinds.
const (
	String Kind = iota
	Int
	Decimal
	Bool
	Time
	Raw
	CustomData
	Enum
	Object
)

// Field is one property with the constraints of its schema.
type Field struct {
	Name     string // on the wire
	Kind     Kind
	Ref      string // the type of an Object, the list of an Enum
	Required bool
	Array    bool
	Tenths   bool // a multiple of 0.1
	URI      bool // format uri
	// MaxLength is in characters, MinItems and MaxItems in items; 0 is no bound.
	MaxLength, MinItems, MaxItems int
	// Min and Max bound numbers, inclusively.
	Min, Max ocpp.Opt[int]
}

// Type is the fields of an object in the order of the schema.
type Type []Field

func bound(n int) ocpp.Opt[int] { return ocpp.Some(n) }

// Schema is the types and word lists of one version. Messages are named by their action with "Request" or
// "Response" after it.
type Schema struct {
	Types map[string]Type
	Enums map[string][]string
}

// SchemaOf gives the constraints of a version; an unknown version has none.
func SchemaOf(v ocpp.Version) Schema {
	switch v {
	case ocpp.V16:
		return Schema{typesV16, enumsV16}
	case ocpp.V201:
		return Schema{typesV201, enumsV201}
	case ocpp.V21:
		return Schema{typesV21, enumsV21}
	}
	return Schema{}
}

// Actions lists the actions of a version; an unknown version has none.
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

// NewRequest makes an empty request, or nil when the version has no such action.
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

// NewResponse makes an empty response, or nil when the action has none.
func NewResponse(v ocpp.Version, action string) ocpp.Response {
	switch v {
	case ocpp.V16:
		return v16.NewResponse(action)
	case ocpp.V201:
		return v201.NewResponse(action)
	case ocpp.V21:
		return v21.NewResponse(action)
	}
	return nil
}

// TypeName is the name of a message in its Schema.
func TypeName(m ocpp.Message) string {
	if _, ok := m.(ocpp.Response); ok {
		return m.ActionName() + "Response"
	}
	return m.ActionName() + "Request"
}
