package app_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
)

var update = flag.Bool("update", false, "write the golden files again")

const openAPIFile = "testdata/openapi.json"

// TestOpenAPIGolden shows every change of the API's face as a change of a file.
func TestOpenAPIGolden(t *testing.T) {
	t.Parallel()
	spec, err := app.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	spec = append(spec, '\n')
	if *update {
		if err := os.WriteFile(openAPIFile, spec, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(golden) != string(spec) {
		old, now := strings.Split(string(golden), "\n"), strings.Split(string(spec), "\n")
		for i := range min(len(old), len(now)) {
			if old[i] != now[i] {
				t.Fatalf("the API has changed at line %d of its description:\n- %s\n+ %s\nIf this is meant: go test ./internal/app -run OpenAPI -update", i+1, old[i], now[i])
			}
		}
		t.Fatalf("the API's description has %d lines, it had %d", len(now), len(old))
	}
}

type spec struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Parameters  []struct{ Name, In string }
		Responses   map[string]struct {
			Content map[string]any
		}
	}
}

// TestOpenAPIServed: what the node serves is what it describes. Every described operation is routed (it never answers 405
// or the 404 of an unknown route), and every path of CONTRACT.md is described.
func TestOpenAPIServed(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	served := (&apptest.Client{Base: n.Base}).Want(t, 200, "GET", "/openapi.json", "")
	var s spec
	if err := json.Unmarshal([]byte(served.Body), &s); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", s.OpenAPI)
	}
	if strings.Contains(served.Body, `"type":["array","null"]`) {
		t.Error("an array may be null")
	}
	docs := n.Want(t, 200, "GET", "/docs", "").Body
	for path, methods := range s.Paths {
		for method, op := range methods {
			if op.OperationID == "" || op.Responses["default"].Content["application/problem+json"] == nil && path != "/events" && !strings.HasSuffix(path, "/live") {
				t.Errorf("%s %s: no id, or no problem described", method, path)
			}
			if !strings.Contains(docs, `id="`+op.OperationID+`"`) {
				t.Errorf("%s %s is not on the page of documents", method, path)
			}
			where := strings.NewReplacer("{id}", "nobody", "{action}", "Reset").Replace(path)
			r := (&apptest.Client{Base: n.Base}).Do(t, strings.ToUpper(method), where, "")
			if r.Status == 404 || r.Status == 405 {
				t.Errorf("%s %s is described and not served: %d %s", method, path, r.Status, r.Body)
			}
		}
	}
	for _, line := range []string{"get /stations", "post /stations", "get /stations/{id}", "patch /stations/{id}", "delete /stations/{id}", "post /stations/{id}/accept",
		"post /stations/{id}/reject", "post /stations/{id}/password", "post /stations/{id}/commands/{action}", "get /commands/{id}", "get /stations/{id}/frames",
		"get /stations/{id}/frames/live", "get /tokens", "post /tokens", "get /tokens/{id}", "patch /tokens/{id}", "delete /tokens/{id}", "get /sessions",
		"get /sessions/{id}", "get /sessions/{id}/meter-values", "get /sessions/{id}/frames", "post /sessions/{id}/stop", "get /events"} {
		method, path, _ := strings.Cut(line, " ")
		if _, ok := s.Paths[path][method]; !ok {
			t.Errorf("%s is promised and not described", line)
		}
	}
}

// TestEveryRouteIsDescribed finds the routes in the source of the capabilities: what is registered past the framework
// would be missing in the description.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*/*.go")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "../app/") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(raw), "\n") {
			if strings.Contains(line, ".HandleFunc(") && !strings.Contains(line, `"/docs"`) {
				t.Errorf("%s:%d registers a route that no description has: %s", file, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// TestDocsOffline: the page of documents asks nobody else for anything.
func TestDocsOffline(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	r := (&apptest.Client{Base: n.Base}).Want(t, 200, "GET", "/docs", "")
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") || !strings.Contains(r.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", r.Header)
	}
	for _, word := range []string{"<script", "http://", "https://", "src="} {
		if strings.Contains(r.Body, word) {
			t.Errorf("the page holds %s", word)
		}
	}
}
