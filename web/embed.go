// Package web holds the console: a TypeScript application that Vite builds into dist, embedded into the binary.
//
// The built files are not kept in the repository. A binary that was built without them works all the same and
// says on its pages that the front end is missing.
package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed all:dist
var dist embed.FS

// noncePlaceholder stands in the built index.html where each response gets a nonce of its own. The console hands
// it to the libraries that add <style> elements, which the content security policy would refuse otherwise.
const noncePlaceholder = "__CSP_NONCE__"

const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lumela</title></head><body>
<h1>Lumela is running, its front end was not built</h1>
<p>This binary was made without the console's pages. Run <code>make build</code> (it needs Node) and start it again.</p>
<p>The API works without them: see <a href="/api/v1/docs">/api/v1/docs</a>.</p>
</body></html>
`

// Handler serves the console: built files as they are, and index.html for every other path, so that each page of
// the console has an address that can be opened directly. Files whose name carries a hash may be cached for ever;
// index.html is always asked for again. It answers GET and HEAD only.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		// Only an invalid path makes fs.Sub fail, and "dist" is valid.
		files = dist
	}
	return handler(files)
}

func handler(files fs.FS) http.Handler {
	index, err := fs.ReadFile(files, "index.html")
	built := err == nil
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		setSecurity(w.Header())
		if !built {
			servePage(w, r, []byte(notBuilt), "")
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if name != "" && name != "index.html" && serveFile(w, r, files, name) {
			return
		}
		if strings.HasPrefix(name, "assets/") {
			// A page from before an update asks for a file that is gone: an HTML answer would only confuse it.
			http.NotFound(w, r)
			return
		}
		nonce := newNonce()
		servePage(w, r, bytes.ReplaceAll(index, []byte(noncePlaceholder), []byte(nonce)), nonce)
	})
}

// setSecurity sets the headers that hold for every answer.
func setSecurity(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// policy is the content security policy of a page. Scripts come from this origin only; <style> elements need the
// nonce. Style attributes are allowed because virtualised lists and charts place their parts with them.
func policy(nonce string) string {
	style := "style-src 'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	return "default-src 'none'; script-src 'self'; " + style + "; style-src-attr 'unsafe-inline'; " +
		"img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

func newNonce() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails, as crypto/rand documents
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func servePage(w http.ResponseWriter, r *http.Request, page []byte, nonce string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy(nonce))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(page) // the only failure is that the reader has gone
	}
}

// serveFile serves one built file, its gzip copy where there is one and the client takes it. It reports whether
// the file exists.
func serveFile(w http.ResponseWriter, r *http.Request, files fs.FS, name string) bool {
	if strings.HasPrefix(path.Base(name), ".") || strings.HasSuffix(name, ".gz") {
		return false
	}
	body, ok := open(files, name)
	if !ok {
		return false
	}
	defer func() { _ = body.Close() }()
	h := w.Header()
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		h.Set("Content-Type", kind)
	}
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "public, max-age=3600")
	}
	if packed, found := open(files, name+".gz"); found {
		defer func() { _ = packed.Close() }()
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = packed
		}
	}
	http.ServeContent(w, r, name, time.Time{}, body)
	return true
}

type file interface {
	io.ReadSeeker
	io.Closer
}

// open opens a regular file that can seek, as those of embed.FS and fstest.MapFS can.
func open(files fs.FS, name string) (file, bool) {
	f, err := files.Open(name)
	if err != nil {
		return nil, false
	}
	info, err := f.Stat()
	seeker, ok := f.(file)
	if err != nil || info.IsDir() || !ok {
		_ = f.Close()
		return nil, false
	}
	return seeker, true
}

// acceptsGzip reads Accept-Encoding: gzip named and not refused by a quality of zero.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !found {
			return true
		}
		value, err := strconv.ParseFloat(q, 64)
		return err == nil && value > 0
	}
	return false
}
