// Package devicemodel speaks about the settings of a charging station in one
// language: the components and variables of OCPP 2.1. It knows how each
// OCPP 1.6 configuration key is called there, and how values cross over.
//
// The package is pure: no I/O, no clock, no state. Everything in it is total:
// any input gives an answer or an error, never a panic.
//
// # Keys and variables
//
// [FromKey] and [ToKey] translate names, [Lift] and [Lower] translate values.
// Three rules decide where the two models do not match one to one:
//
//   - A key that 2.1 has no word for, and every vendor's own key, is a
//     variable of the component [LegacyComponent]: the variable is the key,
//     in the spelling in which it came. Reaching a standard key under
//     LegacyConfiguration is allowed too and means "this key, literally".
//   - One key, several variables: one variable decides, and writing it writes
//     the key. The others follow it: they can be read, and writing one of them
//     alone is refused with [ErrFollows], because it would silently change
//     more than was asked for.
//   - Several keys, one variable: the keys concern different facets of it
//     (its value, its upper limit, its list of allowed values). A [Target]
//     names the facet; ToKey without a facet gives the key of the value, or
//     the only key there is.
//
// # Nothing is lost in silence
//
// Where the 2.1 form of a value cannot be turned back into exactly the string
// that the station gave, Lift adds that string as a variable of
// LegacyConfiguration. Lower uses it as long as it still says the same as the
// 2.1 variables, so that Lower(Lift(key, value)) is key and value, to the
// letter, whatever they are.
package devicemodel

import (
	"strings"
	"unicode/utf8"
)

// LegacyComponent is the component that carries configuration keys without a
// counterpart in 2.1. Its variables are the keys. Characters that an
// identifierString of 2.1 does not allow (a comma, a blank) are kept: escaping
// them could exceed the 50 characters that both versions allow.
const LegacyComponent = "LegacyConfiguration"

// Limits of the two versions, in characters.
const (
	MaxName        = 50   // key (OCPP 1.6 §7.17), component and variable name
	MaxKeyValue    = 500  // value of ChangeConfiguration, OCPP 1.6 §7.19
	MaxAttribute   = 2500 // value of a variable's attribute in 2.x
	maxIndex       = 999  // highest connector or EVSE number that a value is spread over
	maxStationSize = 256  // highest NumberOfConnectors that is spread over connectors
)

// Component names a part of a station. EVSE and Connector are 0 where the
// component belongs to the whole station, or to the whole EVSE.
type Component struct {
	Name      string
	Instance  string
	EVSE      int
	Connector int
}

// Variable names a property of a component.
type Variable struct {
	Name     string
	Instance string
}

// Key is an OCPP 1.6 configuration key.
type Key string

// Equal reports whether both name the same component. Names are CiString:
// their case does not count.
func (c Component) Equal(d Component) bool {
	return c.EVSE == d.EVSE && c.Connector == d.Connector && same(c.Name, d.Name) && same(c.Instance, d.Instance)
}

// Equal reports whether both name the same variable, whatever the case.
func (v Variable) Equal(w Variable) bool { return same(v.Name, w.Name) && same(v.Instance, w.Instance) }

// Equal reports whether both name the same key, whatever the case.
func (k Key) Equal(l Key) bool { return same(string(k), string(l)) }

// String writes the component as Name[Instance]@EVSE.Connector, leaving out
// what is not set.
func (c Component) String() string {
	s := c.Name
	if c.Instance != "" {
		s += "[" + c.Instance + "]"
	}
	if c.EVSE != 0 || c.Connector != 0 {
		s += "@" + itoa(c.EVSE)
	}
	if c.Connector != 0 {
		s += "." + itoa(c.Connector)
	}
	return s
}

// String writes the variable as Name[Instance].
func (v Variable) String() string {
	if v.Instance == "" {
		return v.Name
	}
	return v.Name + "[" + v.Instance + "]"
}

// Facet says which side of a variable a key speaks of.
type Facet int

// The facets of a variable that have keys in 1.6.
const (
	Actual     Facet = iota // the value: attribute Actual
	MaxLimit                // the characteristic maxLimit
	ValuesList              // the characteristic valuesList
)

func (f Facet) String() string {
	switch f {
	case MaxLimit:
		return "maxLimit"
	case ValuesList:
		return "valuesList"
	default:
		return "Actual"
	}
}

// Mutability says what may be done with a key or variable.
type Mutability int

// The mutabilities, spelled as MutabilityEnumType of 2.x.
const (
	ReadWrite Mutability = iota
	ReadOnly
	WriteOnly
)

func (m Mutability) String() string {
	switch m {
	case ReadOnly:
		return "ReadOnly"
	case WriteOnly:
		return "WriteOnly"
	default:
		return "ReadWrite"
	}
}

// Type is the type of a key's value in OCPP 1.6.
type Type int

// The types of OCPP 1.6 keys. List is a comma separated list.
const (
	String Type = iota
	Boolean
	Integer
	List
	DateTime
)

func (t Type) String() string {
	return [...]string{"string", "boolean", "integer", "CSL", "dateTime"}[clamp(int(t), 0, 4)]
}

// fold brings a name into the form in which names are compared. Only ASCII
// letters have a case in a CiString.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func same(a, b string) bool { return a == b || len(a) == len(b) && fold(a) == fold(b) }

func validName(s string) bool { return s != "" && utf8.RuneCountInString(s) <= MaxName }

func clamp(n, low, high int) int { return min(max(n, low), high) }

// cutFold removes a prefix from s, whatever its case.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !same(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// split takes a comma separated list apart and drops blanks around its items.
func split(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	items := strings.Split(s, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}
