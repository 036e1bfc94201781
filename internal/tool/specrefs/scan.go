package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// finding is a mention with its place.
type finding struct {
	mention
	file string // slash separated, from the root of the repository
	line int
}

// scan reads the comments of all Go files that people write, and the strings
// of their tests too. Generated files, testdata, dependencies and this tool's
// own folder, which is full of examples, are left out.
func scan(root fs.FS, c *catalogue) ([]finding, error) {
	var found []finding
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := path.Base(name); name != "." && (base[0] == '.' || base[0] == '_' || base == "node_modules" || base == "testdata" || base == "vendor" || name == "internal/tool/specrefs") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		more, err := scanFile(name, source, c)
		found = append(found, more...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for references: %w", err)
	}
	return found, nil
}

func scanFile(name string, source []byte, c *catalogue) ([]finding, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	var found []finding
	look := func(text string, pos token.Pos) {
		for _, m := range mentions(text, c) {
			line := files.Position(pos).Line + strings.Count(text[:m.offset], "\n")
			found = append(found, finding{m, name, line})
		}
	}
	for _, group := range file.Comments {
		for _, p := range passages(group, files) {
			look(p.text, p.pos)
		}
	}
	if strings.HasSuffix(name, "_test.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					look(text, lit.Pos())
				}
			}
			return true
		})
	}
	return found, nil
}

type passage struct {
	text string
	pos  token.Pos
}

// passages gives the text of a group of comments without its markers, one line for
// each line of the source, so that a reference may go over the end of a line.
func passages(group *ast.CommentGroup, files *token.FileSet) []passage {
	var all []passage
	next := -1
	for _, comment := range group.List {
		text := comment.Text
		if body, ok := strings.CutPrefix(text, "//"); ok {
			text = body
		} else {
			text = strings.TrimSuffix(strings.TrimPrefix(text, "/*"), "*/")
		}
		if line := files.Position(comment.Pos()).Line; len(all) > 0 && line == next {
			all[len(all)-1].text += "\n" + text
		} else {
			all = append(all, passage{text, comment.Pos()})
		}
		next = files.Position(comment.End()).Line + 1
	}
	return all
}
