// Command devicemodelgen writes the tables of package devicemodel that come
// from the official appendices, and the page that documents the configuration
// keys:
//
//	go run ./internal/tool/devicemodelgen         # ocpp/devicemodel/standard_gen.go
//	go run ./internal/tool/devicemodelgen -docs   # docs/configuration-keys.md
//
// The appendices are CSV files of the Open Charge Alliance, read from
// ocpp-appendices/VERSION below the folder that LUMELA_SHARED names, or below
// ../shared beside the repository. Only names, types, units and the required
// flag are taken over, none of the texts.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	docs := flag.Bool("docs", false, "write docs/configuration-keys.md instead of the tables")
	flag.Parse()
	if err := run(*docs); err != nil {
		fmt.Fprintln(os.Stderr, "devicemodelgen:", err)
		os.Exit(1)
	}
}

func run(docs bool) error {
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	if docs {
		return write(filepath.Join(root, "docs", "configuration-keys.md"), keysPage())
	}
	source, err := generate(appendices(root))
	if err != nil {
		return err
	}
	return write(filepath.Join(root, "ocpp", "devicemodel", "standard_gen.go"), source)
}

// appendices is the folder with one folder of CSV files per version.
func appendices(root string) string {
	shared := os.Getenv("LUMELA_SHARED")
	if shared == "" {
		shared = filepath.Join(root, "..", "shared")
	}
	return filepath.Join(shared, "ocpp-appendices")
}

// repositoryRoot is the nearest folder upwards that holds go.mod.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the repository: no go.mod here or above")
		}
		dir = parent
	}
}

// write leaves a file alone that already has the content, so that a build
// sees no change.
func write(name string, content []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
