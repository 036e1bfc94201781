package api

import (
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// schemaNames names the schemas of the description: a type View of package station is StationView, a page of them
// StationViewList. Bodies written in place take the name of their operation's input or output.
func schemaNames(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, args, generic := strings.Cut(t.Name(), "[")
	if generic {
		inner := strings.TrimSuffix(args, "]")
		return typeName(path.Base(inner)) + name
	}
	if t.Name() == "" || !strings.HasPrefix(t.PkgPath(), "lumela/") {
		return huma.DefaultSchemaNamer(t, hint)
	}
	return typeName(path.Base(t.PkgPath()) + "." + t.Name())
}

// typeName joins package and type, unless the type says the package already.
func typeName(qualified string) string {
	pkg, name, _ := strings.Cut(qualified, ".")
	title := strings.ToUpper(pkg[:1]) + pkg[1:]
	if strings.HasPrefix(strings.ToLower(name), pkg) {
		return strings.ToUpper(name[:1]) + name[1:]
	}
	return title + strings.ToUpper(name[:1]) + name[1:]
}
