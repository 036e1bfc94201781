package api

import (
	"bytes"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docs is a readable page of the API, made on the node: it needs nothing from the internet.
func docs(spec *huma.OpenAPI) http.HandlerFunc {
	var page bytes.Buffer
	if err := docsPage.Execute(&page, outline(spec)); err != nil {
		slog.Error("API page not made", "error", err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		_, _ = w.Write(page.Bytes()) // the client may be gone
	}
}

type docsTag struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	Method, Path, ID, Summary, Description string
	Parameters                             []docsParameter
	Body, Response                         string
}

type docsParameter struct{ Name, In, Type, Doc string }

// outline sorts the operations by tag and path.
func outline(spec *huma.OpenAPI) []docsTag {
	byTag := map[string][]docsOperation{}
	for _, path := range slices.Sorted(maps.Keys(spec.Paths)) {
		item := spec.Paths[path]
		for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if o != nil {
				tag := strings.Join(o.Tags, ", ")
				byTag[tag] = append(byTag[tag], docsOperationOf(spec, o))
			}
		}
	}
	var out []docsTag
	for _, name := range slices.Sorted(maps.Keys(byTag)) {
		out = append(out, docsTag{Name: name, Operations: byTag[name]})
	}
	return out
}

func docsOperationOf(spec *huma.OpenAPI, o *huma.Operation) docsOperation {
	d := docsOperation{Method: o.Method, Path: Base + o.Path, ID: o.OperationID, Summary: o.Summary, Description: o.Description}
	for _, p := range o.Parameters {
		typ := ""
		if p.Schema != nil {
			typ = p.Schema.Type
			for i, v := range p.Schema.Enum {
				typ += map[bool]string{true: ": ", false: " | "}[i == 0] + toText(v)
			}
		}
		d.Parameters = append(d.Parameters, docsParameter{Name: p.Name, In: p.In, Type: typ, Doc: p.Description})
	}
	if o.RequestBody != nil {
		d.Body = schemaName(spec, o.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		if strings.HasPrefix(status, "2") {
			d.Response = strings.TrimSpace(status + " " + schemaName(spec, o.Responses[status].Content))
		}
	}
	return d
}

func toText(v any) string {
	s, _ := v.(string)
	return s
}

// schemaName names the properties of a body.
func schemaName(spec *huma.OpenAPI, content map[string]*huma.MediaType) string {
	for _, typ := range slices.Sorted(maps.Keys(content)) {
		s := content[typ].Schema
		if s == nil {
			continue
		}
		if s.Ref != "" {
			s = spec.Components.Schemas.SchemaFromRef(s.Ref)
		}
		if s == nil || len(s.Properties) == 0 {
			return typ
		}
		return "{" + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ") + "}"
	}
	return ""
}

var docsPage = template.Must(template.New("docs").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Lumela API</title>
<style>
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code{font:13px/1.4 ui-monospace,monospace}details{border:1px solid #8886;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}b.m{display:inline-block;min-width:4.2rem}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;vertical-align:top}
</style></head><body><h1>Lumela API</h1>
<p>The machine-readable description is <a href="openapi.json">openapi.json</a> (OpenAPI 3.1). Send an API key as <code>Authorization: Bearer KEY</code>.
Errors are RFC 9457 problems; lists answer <code>{"items":[…],"next":cursor}</code>; times are RFC 3339 UTC, energy Wh, power W.</p>
{{range .}}<h2>{{.Name}}</h2>{{range .Operations}}<details id="{{.ID}}"><summary><b class="m">{{.Method}}</b> <code>{{.Path}}</code> {{.Summary}}</summary>
{{with .Description}}<p>{{.}}</p>{{end}}{{with .Parameters}}<table>{{range .}}<tr><td><code>{{.Name}}</code></td><td>{{.In}}</td><td>{{.Type}}</td><td>{{.Doc}}</td></tr>{{end}}</table>{{end}}
{{with .Body}}<p>Body <code>{{.}}</code></p>{{end}}{{with .Response}}<p>Answer <code>{{.}}</code></p>{{end}}</details>{{end}}{{end}}
</body></html>`))
