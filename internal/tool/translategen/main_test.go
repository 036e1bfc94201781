package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedIsCurrent makes the files again and wants the same bytes. It also is the test that every field and word
// that differs has a decision: without one the generator ends.
func TestGeneratedIsCurrent(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := outputs(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate ./ocpp/translate makes", name)
		}
	}
}

// TestMissingDecisionEndsTheRun takes decisions away and wants the generator to name what lacks one.
func TestMissingDecisionEndsTheRun(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	old, err := readModel(filepath.Join(root, "ocpp", "v201"))
	if err != nil {
		t.Fatal(err)
	}
	middle, err := readModel(filepath.Join(root, "ocpp", "v21"))
	if err != nil {
		t.Fatal(err)
	}
	wants := func(what string) {
		t.Helper()
		if _, err := generate(old, middle); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want an error about %s, got %v", what, err)
		}
	}
	without := func(key string) func() {
		v := downVerdicts[key]
		delete(downVerdicts, key)
		return func() { downVerdicts[key] = v }
	}
	back := without("VPN.server") // bounded more tightly
	wants("VPN.server")
	back()
	back = without("Transaction.tariffId") // absent
	wants("Transaction.tariffId")
	back()
	word := downWords["Measurand"]["Voltage.Minimum"]
	delete(downWords["Measurand"], "Voltage.Minimum")
	wants("Measurand.Voltage.Minimum")
	downWords["Measurand"]["Voltage.Minimum"] = word
	downVerdicts["VPN.nothing"] = verdict{how: lost}
	wants("VPN.nothing, which needs none")
	delete(downVerdicts, "VPN.nothing")
}
