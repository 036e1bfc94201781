package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// model is everything that one version's package is generated from.
type model struct {
	pkg     string
	version string
	actions []action
	structs map[string]*structType
	enums   map[string]*enumType
}

// structType is a message or a type used by messages.
type structType struct {
	name    string
	message string // "Request", "Response", "Send" or ""
	action  string
	fields  []field
}

// field is one property.
type field struct {
	json, name string
	kind       kind
	typ        string // Go type of one value
	array      bool
	required   bool
	maxLength  int
	minItems   int
	maxItems   int
	min, max   *float64
	tenths     bool
	uri        bool // the schema has format uri, which the decoder leaves alone
}

type kind int

const (
	kindString kind = iota
	kindInt
	kindDecimal
	kindBool
	kindTime
	kindRaw
	kindCustom
	kindEnum
	kindStruct
)

type enumType struct {
	name   string
	values []string
}

func newModel(pkg, version string, actions []action) (*model, error) {
	m := &model{pkg: pkg, version: version, actions: actions, structs: map[string]*structType{}, enums: map[string]*enumType{}}
	for _, a := range actions {
		kind := "Request"
		if a.Response == nil {
			kind = "Send"
		}
		if err := m.addMessage(a.Name, kind, a.Name+"Request", a.Request); err != nil {
			return nil, err
		}
		if a.Response == nil {
			continue
		}
		if err := m.addMessage(a.Name, "Response", a.Name+"Response", a.Response); err != nil {
			return nil, err
		}
	}
	for name := range m.enums {
		if _, both := m.structs[name]; both {
			return nil, fmt.Errorf("%s is both a type and an enum", name)
		}
	}
	return m, nil
}

func (m *model) addMessage(action, kind, name string, n *node) error {
	s, err := m.structOf(name, name, n, n.Definitions)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.message, s.action = kind, action
	return m.addStruct(s)
}

func (m *model) addStruct(s *structType) error {
	if old, ok := m.structs[s.name]; ok {
		if !reflect.DeepEqual(old, s) {
			return fmt.Errorf("two different types %s", s.name)
		}
		return nil
	}
	m.structs[s.name] = s
	return nil
}

func (m *model) addEnum(e *enumType) error {
	if old, ok := m.enums[e.name]; ok {
		if !slices.Equal(old.values, e.values) {
			return fmt.Errorf("two different enums %s: %v and %v", e.name, old.values, e.values)
		}
		return nil
	}
	m.enums[e.name] = e
	return nil
}

func (m *model) structOf(message, name string, n *node, defs properties) (*structType, error) {
	s := &structType{name: name}
	for _, prop := range n.Properties.names {
		f, err := m.fieldOf(message, name, prop, n.Properties.nodes[prop], defs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", prop, err)
		}
		f.required = slices.Contains(n.Required, prop)
		s.fields = append(s.fields, *f)
	}
	if len(s.fields) > 64 {
		return nil, fmt.Errorf("%s has more than 64 properties", name)
	}
	return s, nil
}

func (m *model) fieldOf(message, owner, prop string, n *node, defs properties) (*field, error) {
	f := &field{json: prop, name: goName(prop)}
	if n.Type == "array" {
		f.array, f.minItems, f.maxItems = true, n.MinItems, n.MaxItems
		n = n.Items
	}
	def := ""
	if n.Ref != "" {
		def = strings.TrimPrefix(n.Ref, "#/definitions/")
		n = defs.nodes[def]
		if n == nil {
			return nil, fmt.Errorf("no definition %s", def)
		}
	}
	f.maxLength, f.min, f.max = n.MaxLength, n.Minimum, n.Maximum
	switch {
	case def == "CustomDataType":
		f.kind, f.typ = kindCustom, "ocpp.CustomData"
	case len(n.Enum) > 0:
		f.kind, f.typ = kindEnum, m.nameOf(message, owner, prop, def)
		return f, m.addEnum(&enumType{name: f.typ, values: n.Enum})
	case n.Type == "object" && len(n.Properties.names) > 0:
		f.kind, f.typ = kindStruct, m.nameOf(message, owner, prop, def)
		if f.typ == "" {
			return nil, fmt.Errorf("no name for the object %s.%s", owner, prop)
		}
		s, err := m.structOf(message, f.typ, n, defs)
		if err != nil {
			return nil, err
		}
		return f, m.addStruct(s)
	default:
		return f, f.scalar(n)
	}
	return f, nil
}

func (f *field) scalar(n *node) error {
	switch {
	case n.Type == "string" && n.Format == "date-time":
		f.kind, f.typ = kindTime, "time.Time"
	case n.Type == "string":
		f.kind, f.typ = kindString, "string"
		f.uri = n.Format == "uri"
	case n.Type == "integer":
		f.kind, f.typ = kindInt, "int"
	case n.Type == "number":
		f.kind, f.typ = kindDecimal, "decimal.Decimal"
		f.tenths = n.MultipleOf != nil
	case n.Type == "boolean":
		f.kind, f.typ = kindBool, "bool"
	case n.Type == "" || n.Type == "object":
		f.kind, f.typ = kindRaw, "ocpp.Raw"
	default:
		return fmt.Errorf("type %q is not known", n.Type)
	}
	return nil
}

// nameOf finds the Go name of a definition, or of an object or enum written in place.
func (m *model) nameOf(message, owner, prop, def string) string {
	if def != "" {
		name := typeName(def)
		if m.pkg == "v16" {
			if n, ok := inlineNames[message+"/"+name]; ok {
				return n
			}
		}
		return name
	}
	if n, ok := inlineNames[owner+"."+prop]; ok {
		return n
	}
	return inlineNames[prop]
}
