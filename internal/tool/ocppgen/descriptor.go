package main

import (
	"bytes"
	"fmt"
	"go/format"
	"maps"
	"slices"
	"strings"
)

// descriptors gives the table of all types of the version with their constraints. It is a file of package ocpptest,
// so that only tests carry it.
func (m *model) descriptors() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, header, m.version, "ocpptest")
	fmt.Fprintf(&b, "var types%s = map[string]Type{\n", strings.ToUpper(m.pkg))
	for _, name := range slices.Sorted(maps.Keys(m.structs)) {
		fmt.Fprintf(&b, "\t%q: {", name)
		for _, f := range m.structs[name].fields {
			fmt.Fprintf(&b, "\n\t\t{%s},", f.descriptor())
		}
		b.WriteString("\n\t},\n")
	}
	fmt.Fprintf(&b, "}\n\nvar enums%s = map[string][]string{\n", strings.ToUpper(m.pkg))
	for _, name := range slices.Sorted(maps.Keys(m.enums)) {
		fmt.Fprintf(&b, "\t%q: {", name)
		for i, v := range m.enums[name].values {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q", v)
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n")
	src, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("descriptors of %s: %w", m.version, err)
	}
	return src, nil
}

var kindNames = map[kind]string{
	kindString: "String", kindInt: "Int", kindDecimal: "Decimal", kindBool: "Bool", kindTime: "Time",
	kindRaw: "Raw", kindCustom: "CustomData", kindEnum: "Enum", kindStruct: "Object",
}

// descriptor is the literal of an ocpptest.Field, without its braces; what is zero is left out.
func (f *field) descriptor() string {
	parts := []string{fmt.Sprintf("Name: %q, Kind: %s", f.json, kindNames[f.kind])}
	if f.kind == kindEnum || f.kind == kindStruct {
		parts = append(parts, fmt.Sprintf("Ref: %q", f.typ))
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"Required", f.required}, {"Array", f.array}, {"Tenths", f.tenths}, {"URI", f.uri}} {
		if flag.set {
			parts = append(parts, flag.name+": true")
		}
	}
	for _, bound := range []struct {
		name string
		n    int
	}{{"MaxLength", f.maxLength}, {"MinItems", f.minItems}, {"MaxItems", f.maxItems}} {
		if bound.n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", bound.name, bound.n))
		}
	}
	for _, bound := range []struct {
		name string
		v    *float64
	}{{"Min", f.min}, {"Max", f.max}} {
		if bound.v != nil {
			parts = append(parts, fmt.Sprintf("%s: bound(%g)", bound.name, *bound.v))
		}
	}
	return strings.Join(parts, ", ")
}
