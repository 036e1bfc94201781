package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// model is what the generated Go files of one version say about its messages.
type model struct {
	pkg     string
	structs map[string]*structType
	enums   map[string]*enumType
	senders map[string]string // action -> "ocpp.Station", "ocpp.CSMS" or both
	actions []string          // in the order of the source
	sends   map[string]bool   // actions that travel as SEND
}

type structType struct {
	name   string
	fields []field
}

// byJSON finds a field by its name on the wire.
func (s *structType) byJSON(name string) *field {
	for i := range s.fields {
		if s.fields[i].json == name {
			return &s.fields[i]
		}
	}
	return nil
}

// field is one member of a struct with the bounds that its comment tells.
type field struct {
	name, json         string
	typ                string // as written in Go
	shape              shape
	elem               string // the type without Opt, * and []
	required           bool
	maxLen             int  // of a text, 0 for none
	minItems, maxItems int  // of a list, 0 for none
	least, most        *int // of a number
}

type shape int

const (
	plain shape = iota
	opt
	pointer
	list
)

type enumType struct {
	name   string
	values []enumValue
}

type enumValue struct{ ident, text string }

var (
	lengthBound = regexp.MustCompile(`at most (\d+) characters`)
	leastBound  = regexp.MustCompile(`at least (-?\d+)(,|$)`)
	mostBound   = regexp.MustCompile(`at most (-?\d+)(,|$)`)
	itemRange   = regexp.MustCompile(`(\d+) to (\d+) items`)
	itemLeast   = regexp.MustCompile(`at least (\d+) items?`)
	itemExact   = regexp.MustCompile(`(?:^|, )(?:exactly )?(\d+) items?(?:,|$)`)
	itemMost    = regexp.MustCompile(`at most (\d+) items?`)
)

// readModel parses the generated files in dir.
func readModel(dir string) (*model, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_gen.go"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	m := &model{
		pkg: filepath.Base(dir), structs: map[string]*structType{}, enums: map[string]*enumType{},
		senders: map[string]string{}, sends: map[string]bool{},
	}
	fset := token.NewFileSet()
	wire, consts, lists := map[string][]string{}, map[string]string{}, map[string][]string{}
	for _, name := range names {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the types of %s: %w", dir, err)
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					m.spec(fset, spec, consts, lists)
				}
			case *ast.FuncDecl:
				if decl.Name.Name == "DecodeJSON" {
					receiver := strings.TrimPrefix(source(fset, decl.Recv.List[0].Type), "*")
					wire[receiver] = wireNames(decl)
				}
			}
		}
	}
	for name, s := range m.structs {
		if len(wire[name]) != len(s.fields) && len(s.fields) > 0 {
			return nil, fmt.Errorf("%s.%s has %d fields and %d names", m.pkg, name, len(s.fields), len(wire[name]))
		}
		for i := range s.fields {
			s.fields[i].json = wire[name][i]
		}
	}
	for name, e := range m.enums {
		for _, ident := range lists[name+"Values"] {
			e.values = append(e.values, enumValue{ident, consts[ident]})
		}
		if len(e.values) == 0 {
			return nil, fmt.Errorf("%s.%s has no values", m.pkg, name)
		}
	}
	if len(m.actions) == 0 {
		return nil, fmt.Errorf("%s has no actions", dir)
	}
	sort.Strings(m.actions)
	return m, nil
}

// spec takes in one declaration.
func (m *model) spec(fset *token.FileSet, spec ast.Spec, consts map[string]string, lists map[string][]string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		switch t := spec.Type.(type) {
		case *ast.StructType:
			m.structs[spec.Name.Name] = readStruct(fset, spec.Name.Name, t)
		case *ast.Ident:
			if t.Name == "string" {
				m.enums[spec.Name.Name] = &enumType{name: spec.Name.Name}
			}
		}
	case *ast.ValueSpec:
		if len(spec.Values) != 1 {
			return
		}
		name := spec.Names[0].Name
		switch v := spec.Values[0].(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(v.Value); err == nil {
				consts[name] = text
			}
		case *ast.CompositeLit:
			switch {
			case name == "Actions":
				m.readActions(fset, v)
			case strings.HasSuffix(name, "Values"):
				for _, e := range v.Elts {
					if id, ok := e.(*ast.Ident); ok {
						lists[name] = append(lists[name], id.Name)
					}
				}
			}
		}
	}
}

// wireNames lists the member names that a decoder knows, in the order of the fields: the decoder of every struct
// marks each member that it met by the field's number.
func wireNames(decode *ast.FuncDecl) []string {
	var names []string
	ast.Inspect(decode, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 3 {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Once" {
			if lit, ok := call.Args[2].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(lit.Value) // a Go file that parses has proper literals
				names = append(names, text)
			}
		}
		return true
	})
	return names
}

func (m *model) readActions(fset *token.FileSet, lit *ast.CompositeLit) {
	for _, e := range lit.Elts {
		entry, ok := e.(*ast.CompositeLit)
		if !ok {
			continue
		}
		var name, sender string
		send := false
		for _, kv := range entry.Elts {
			pair := kv.(*ast.KeyValueExpr)
			value := source(fset, pair.Value)
			switch source(fset, pair.Key) {
			case "Name":
				name = strings.TrimPrefix(value, "Action")
			case "Sender":
				sender = value
			case "Send":
				send = value == "true"
			}
		}
		m.actions = append(m.actions, name)
		m.senders[name], m.sends[name] = sender, send
	}
}

func readStruct(fset *token.FileSet, name string, t *ast.StructType) *structType {
	s := &structType{name: name}
	for _, f := range t.Fields.List {
		if len(f.Names) != 1 {
			continue // the embedded mark of a response
		}
		s.fields = append(s.fields, readField(f.Names[0].Name, source(fset, f.Type), strings.TrimSpace(f.Comment.Text())))
	}
	return s
}

func readField(name, typ, comment string) field {
	f := field{name: name, typ: typ, elem: typ}
	switch {
	case strings.HasPrefix(typ, "ocpp.Opt["):
		f.shape, f.elem = opt, strings.TrimSuffix(strings.TrimPrefix(typ, "ocpp.Opt["), "]")
	case strings.HasPrefix(typ, "*"):
		f.shape, f.elem = pointer, typ[1:]
	case strings.HasPrefix(typ, "[]"):
		f.shape, f.elem = list, typ[2:]
	}
	f.required = strings.HasPrefix(comment, "required")
	if g := lengthBound.FindStringSubmatch(comment); g != nil {
		f.maxLen = number(g[1])
	}
	if f.shape == list {
		if g := itemRange.FindStringSubmatch(comment); g != nil {
			f.minItems, f.maxItems = number(g[1]), number(g[2])
		} else if g := itemLeast.FindStringSubmatch(comment); g != nil {
			f.minItems = number(g[1])
		} else if g := itemMost.FindStringSubmatch(comment); g != nil {
			f.maxItems = number(g[1])
		} else if g := itemExact.FindStringSubmatch(comment); g != nil {
			f.minItems, f.maxItems = number(g[1]), number(g[1])
		}
	}
	if g := leastBound.FindStringSubmatch(comment); g != nil {
		n := number(g[1])
		f.least = &n
	}
	if g := mostBound.FindStringSubmatch(comment); g != nil {
		n := number(g[1])
		f.most = &n
	}
	return f
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // the pattern has let only digits through
	return n
}

func source(fset *token.FileSet, n ast.Node) string {
	var b strings.Builder
	if err := printer.Fprint(&b, fset, n); err != nil {
		return ""
	}
	return b.String()
}
