package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lumela/ocpp/devicemodel"
)

// The committed files are what the generator writes today.
func TestCommittedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	compareFile(t, filepath.Join(root, "docs", "configuration-keys.md"), keysPage())
	dir := appendices(root)
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		t.Skip("the OCPP appendices are not here: set LUMELA_SHARED to compare the tables with them")
	}
	source, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	compareFile(t, filepath.Join(root, "ocpp", "devicemodel", "standard_gen.go"), source)
}

func compareFile(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run the generator again", name)
	}
}

// Both versions' appendices have rows that a plain reader of CSV stumbles
// over; these stand for each kind of them.
func TestReadVariables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "variables.csv"), "Name ; DataType ; Unit ; Description\nSign; boolean ;\n")
	put(t, filepath.Join(dir, "dm_components_vars.csv"), strings.Join([]string{
		"Specific Component;Variable;Instance;Required?;DataType;Unit;Description",
		`C;Quoted;;no;OptionList;;"one text`, `over ""two"" lines; it seems"`,
		";;;;;;",
		"C;Sign;;;;",
		"EV;DepartureTime;;no;DateTime;;",
		"EV;Energy.minSet;;V2X;decimal;Wh;5\xa0%", "EV;Energy.maxSet;;V2X;decimal;Wh;",
		`B;Key ;<n>;yes;string;; a "word";`,
	}, "\n")+"\n")
	got, err := readVariables(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []devicemodel.StandardVariable{
		{Component: "B", Variable: "Key", Instance: "<n>", Type: "string", Need: devicemodel.Required},
		{Component: "C", Variable: "Quoted", Type: "OptionList"},
		{Component: "C", Variable: "Sign", Type: "boolean"},
		{Component: "EV", Variable: "DepartureTime", Type: "dateTime"},
		{Component: "EV", Variable: "Energy", Type: "decimal", Unit: "Wh", Need: devicemodel.RequiredForV2X},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("readVariables (-want +got):\n%s", diff)
	}
	put(t, filepath.Join(dir, "dm_components_vars.csv"), "h\nC;V;;perhaps;string;;\n")
	if _, err := readVariables(dir); err == nil || !strings.Contains(err.Error(), `"perhaps"`) {
		t.Errorf("an unknown need gave %v", err)
	}
	if _, err := readVariables(t.TempDir()); err == nil {
		t.Error("missing appendices gave no error")
	}
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
