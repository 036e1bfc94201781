// Command ocppgen generates the message packages ocpp/v16, ocpp/v201 and ocpp/v21 from the official JSON schemas, and
// the tables of their constraints in ocpp/ocpptest, which tests draw messages from.
//
//	ocppgen [-schemas DIR] [-out DIR] [-check]
//
// The schemas' descriptive text is not carried over. With -check nothing is written: the command fails when the
// committed files differ from what it would write. Where the schemas are absent it says so and leaves the files as
// they are.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	schemas := flag.String("schemas", "../shared/ocpp-schemas", "folder with index.json and one folder per version")
	out := flag.String("out", "ocpp", "folder that holds the packages v16, v201 and v21")
	check := flag.Bool("check", false, "compare with the committed files, write nothing")
	flag.Parse()
	if err := run(*schemas, *out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "ocppgen:", err)
		os.Exit(1)
	}
}

func run(schemas, out string, check bool) error {
	if _, err := os.Stat(filepath.Join(schemas, "index.json")); errors.Is(err, fs.ErrNotExist) {
		fmt.Println("ocppgen: no schemas at", schemas+": the generated files stay as they are")
		return nil
	}
	for _, v := range []struct{ pkg, version string }{{"v16", "1.6"}, {"v201", "2.0.1"}, {"v21", "2.1"}} {
		actions, err := readActions(schemas, v.version)
		if err != nil {
			return err
		}
		m, err := newModel(v.pkg, v.version, actions)
		if err != nil {
			return fmt.Errorf("%s: %w", v.version, err)
		}
		files, err := m.files()
		if err != nil {
			return err
		}
		for name, text := range files {
			if err := put(filepath.Join(out, v.pkg, name), text, check); err != nil {
				return err
			}
		}
		table, err := m.descriptors()
		if err != nil {
			return err
		}
		if err := put(filepath.Join(out, "ocpptest", "descriptor_"+v.pkg+"_gen.go"), table, check); err != nil {
			return err
		}
	}
	return nil
}

func put(path string, text []byte, check bool) error {
	if !check {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, text) {
		return fmt.Errorf("%s is not what the schemas give: run make generate", path)
	}
	return nil
}
