package devicemodel

import "slices"

//go:generate go run lumela/internal/tool/devicemodelgen

// Version names a version of OCPP with a device model.
type Version string

// The versions with a device model.
const (
	V201 Version = "2.0.1"
	V21  Version = "2.1"
)

// Need says whether a station must have a variable.
type Need uint8

// The needs that the appendices tell apart.
const (
	Optional Need = iota
	Required
	RequiredForV2X
)

func (n Need) String() string { return [...]string{"optional", "required", "V2X"}[clamp(int(n), 0, 2)] }

// AnyComponent is the component of the standard variables that any component
// may have.
const AnyComponent = "<generic>"

// StandardVariable is a row of the standard device model. Instance may be a
// placeholder, such as <language>. Unit may name alternatives, "W, kW".
type StandardVariable struct {
	Component string
	Variable  string
	Instance  string
	Type      string // DataEnumType, or the string type the specification names
	Unit      string
	Need      Need
}

// Standard lists the variables that a version standardises, sorted by
// component, variable and instance; nothing for an unknown version.
func Standard(v Version) []StandardVariable {
	switch v {
	case V201:
		return slices.Clone(standard201[:])
	case V21:
		return slices.Clone(standard21[:])
	}
	return nil
}

// StandardComponents lists the names of the components that a version
// standardises, sorted; nothing for an unknown version.
func StandardComponents(v Version) []string {
	switch v {
	case V201:
		return slices.Clone(components201[:])
	case V21:
		return slices.Clone(components21[:])
	}
	return nil
}
