// Command translategen writes the parts of package translate that follow from the types of ocpp/v201 and ocpp/v21: the
// copies of every message between the two, and the part of the loss table that tells about them. The decisions about
// what differs are in decisions.go; a difference without a decision ends the run. With -docs it writes
// docs/translation.md from the whole table instead.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	root := flag.String("root", "", "root of the module; found from the current folder by default")
	docs := flag.Bool("docs", false, "write docs/translation.md")
	flag.Parse()
	if err := run(*root, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "translategen:", err)
		os.Exit(1)
	}
}

// run writes the files that are asked for.
func run(root string, docs bool) error {
	if root == "" {
		var err error
		if root, err = moduleRoot(); err != nil {
			return err
		}
	}
	if docs {
		describe := exec.Command("go", "run", "./internal/tool/translategen/describe")
		describe.Dir, describe.Stderr = root, os.Stderr
		if err := describe.Run(); err != nil {
			return fmt.Errorf("write docs/translation.md: %w", err)
		}
		return nil
	}
	files, err := outputs(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return fmt.Errorf("write the generated copies: %w", err)
		}
	}
	return nil
}

// outputs makes the generated Go files, by their path from the root of the module.
func outputs(root string) (map[string][]byte, error) {
	old, err := readModel(filepath.Join(root, "ocpp", "v201"))
	if err != nil {
		return nil, err
	}
	middle, err := readModel(filepath.Join(root, "ocpp", "v21"))
	if err != nil {
		return nil, err
	}
	copies, err := generate(old, middle)
	if err != nil {
		return nil, err
	}
	entries, err := table(old, middle)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"ocpp/translate/v201_gen.go": copies, "ocpp/translate/v201_table_gen.go": entries}, nil
}

// moduleRoot is the nearest folder above that holds go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("find the module: no go.mod above %s", dir)
		}
		dir = up
	}
}
