// Command specrefs checks the references to the OCPP specifications that the
// code makes in its comments and tests, and draws docs/coverage.md from them:
//
//	go run ./internal/tool/specrefs          # check, and write the page
//	go run ./internal/tool/specrefs -check   # check, and fail if the page is stale
//
// A reference has one of these forms:
//
//	OCPP 2.0.1 E02.FR.05    a requirement; also OCPP 2.1, and WP for the
//	                        security whitepaper of 1.6
//	OCPP 2.1 FR.03, V2X.02  requirements of no use case
//	OCPP 2.1 E02            a use case as a whole
//	OCPP 1.6 §4.8           a section; the sign may be left out
//	OCPP-J 1.6 4.2.3        a section of the JSON specification
//	OCPP 2.1 Part 4 4.2.4   a section of a part
//
// More requirements, or sections with their sign, of the same document may
// follow after a comma, "and" or "or". A requirement without its document is
// an error. The three text files beside this one say what exists, how use
// cases are called, and what is supported.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "fail if docs/coverage.md is stale, and write nothing")
	root := flag.String("root", ".", "the repository's folder")
	flag.Parse()
	if err := run(*root, *check, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "specrefs:", err)
		os.Exit(1)
	}
}

// run writes one line for each bad reference to problems.
func run(root string, check bool, problems io.Writer) error {
	c, err := parseCatalogue(requirementsText)
	if err != nil {
		return err
	}
	cases, err := parseUseCases(useCasesText, c)
	if err != nil {
		return err
	}
	support, err := parseSupport(supportText, c)
	if err != nil {
		return err
	}
	found, err := scan(os.DirFS(root), c)
	if err != nil {
		return err
	}
	var good []finding
	for _, f := range found {
		if f.problem == "" {
			good = append(good, f)
			continue
		}
		_, _ = fmt.Fprintf(problems, "%s:%d: %s\n", f.file, f.line, f.problem)
	}
	page, name := coverage(cases, support, good, c), filepath.Join(root, "docs", "coverage.md")
	err = store(name, page, check)
	if bad := len(found) - len(good); bad > 0 {
		err = errors.Join(fmt.Errorf("%d bad references", bad), err)
	}
	return err
}

func store(name string, page []byte, check bool) error {
	old, err := os.ReadFile(name)
	switch {
	case err == nil && bytes.Equal(old, page):
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("comparing the coverage page: %w", err)
	case check:
		return fmt.Errorf("%s is stale: run go run ./internal/tool/specrefs", name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing the coverage page: %w", err)
	}
	if err := os.WriteFile(name, page, 0o644); err != nil {
		return fmt.Errorf("writing the coverage page: %w", err)
	}
	return nil
}
