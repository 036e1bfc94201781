package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var built = fstest.MapFS{
	"index.html":               {Data: []byte(`<meta name="csp-nonce" content="__CSP_NONCE__"><div id="root">`)},
	"icon.svg":                 {Data: []byte("<svg/>")},
	".gitkeep":                 {Data: nil},
	"assets/index-abc12.js":    {Data: []byte("plain script")},
	"assets/index-abc12.js.gz": {Data: []byte("packed script")},
	"assets/font-1.woff2":      {Data: []byte("font")},
}

func TestHandler(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path, accept string
		status                     int
		body                       string
		header                     map[string]string
	}{
		{name: "root", path: "/", status: 200, body: `id="root"`, header: map[string]string{"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8"}},
		{name: "page of the console", path: "/stations/CS-1", status: 200, body: `id="root"`},
		{name: "id with a dot", path: "/stations/site.7", status: 200, body: `id="root"`},
		{name: "index by name has a nonce too", path: "/index.html", status: 200, body: `id="root"`},
		{name: "hashed asset", path: "/assets/index-abc12.js", status: 200, body: "plain script", header: map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding", "Content-Encoding": ""}},
		{name: "packed asset", path: "/assets/index-abc12.js", accept: "br, gzip;q=0.8", status: 200, body: "packed script", header: map[string]string{"Content-Encoding": "gzip"}},
		{name: "gzip refused", path: "/assets/index-abc12.js", accept: "gzip;q=0", status: 200, body: "plain script"},
		{name: "no packed copy", path: "/assets/font-1.woff2", accept: "gzip", status: 200, body: "font", header: map[string]string{"Content-Encoding": ""}},
		{name: "asset of an older build", path: "/assets/index-old.js", status: 404, body: "not found"},
		{name: "packed copy by name", path: "/assets/index-abc12.js.gz", status: 404, body: "not found"},
		{name: "hidden file", path: "/.gitkeep", status: 200, body: `id="root"`},
		{name: "folder", path: "/assets/", status: 200, body: `id="root"`},
		{name: "outside", path: "/../embed.go", status: 200, body: `id="root"`},
		{name: "unhashed file", path: "/icon.svg", status: 200, body: "<svg/>", header: map[string]string{"Content-Type": "image/svg+xml", "Cache-Control": "public, max-age=3600"}},
		{name: "no writing", method: http.MethodPost, path: "/", status: 405, body: "only GET", header: map[string]string{"Allow": "GET, HEAD"}},
		{name: "head", method: http.MethodHead, path: "/", status: 200},
	}
	serve := handler(built)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method := tt.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequest(method, "http://localhost/", nil)
			r.URL.Path = tt.path
			if tt.accept != "" {
				r.Header.Set("Accept-Encoding", tt.accept)
			}
			w := httptest.NewRecorder()
			serve.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			body := w.Body.String()
			if !strings.Contains(body, tt.body) || (method == http.MethodHead && body != "") {
				t.Errorf("body %q, want %q in it", body, tt.body)
			}
			for key, want := range tt.header {
				if got := w.Header().Get(key); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
		})
	}
}

func TestNonceIsFreshAndInPolicy(t *testing.T) {
	t.Parallel()
	serve := handler(built)
	seen := map[string]bool{}
	for range 3 {
		w := httptest.NewRecorder()
		serve.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		_, rest, _ := strings.Cut(w.Body.String(), `content="`)
		nonce, _, _ := strings.Cut(rest, `"`)
		if len(nonce) < 20 || seen[nonce] {
			t.Fatalf("nonce %q is short or was used before", nonce)
		}
		seen[nonce] = true
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "'nonce-"+nonce+"'") || strings.Contains(csp, "script-src 'self' 'unsafe") {
			t.Errorf("policy %q", csp)
		}
	}
}

func TestNotBuilt(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(handler(fstest.MapFS{".gitkeep": {}}))
	defer server.Close()
	for _, path := range []string{"/", "/stations/x", "/assets/index-abc12.js"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "make build") {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
}

func TestHandlerOfThisBuild(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Lumela") {
		t.Errorf("%d %q", w.Code, w.Body.String())
	}
	if strings.Contains(w.Body.String(), noncePlaceholder) {
		t.Error("the nonce was not filled in")
	}
}
