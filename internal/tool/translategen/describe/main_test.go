package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDocsAreCurrent wants docs/translation.md as the loss table and the cases have it.
func TestDocsAreCurrent(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..", "..")
	want, err := document(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "docs", "translation.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/translation.md is not what go run ./internal/tool/translategen -docs makes")
	}
}
