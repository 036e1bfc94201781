package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/problem"
)

// idempotency answers a repeated POST of the same Idempotency-Key with the first answer, for a day. The same key with
// another request is refused; while the first request still runs, the second hears 409.
type idempotency struct {
	db   *db.DB
	log  *slog.Logger
	node func() string // name of this node, under which requests run
}

// ReleaseNode frees the keys whose request was running on a node that is no more: it may be sent again.
func ReleaseNode(tx *db.Tx, node string) error {
	if _, err := tx.Exec(`DELETE FROM idempotency WHERE node = $1 AND status = $2`, node, running); err != nil {
		return fmt.Errorf("release the idempotency keys of node %s: %w", node, err)
	}
	return nil
}

const (
	keepKeys   = 24 * time.Hour
	maxKeySize = 255
	running    = 0 // status of a request that has no answer yet
)

func (i *idempotency) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		p, err := account.From(r.Context())
		if key == "" || r.Method != http.MethodPost || err != nil || account.Private(strings.TrimPrefix(r.URL.Path, Base)) {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKeySize {
			problem.WriteHTTP(w, problem.Field("Idempotency-Key", "must have at most %d bytes", maxKeySize))
			return
		}
		if strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			problem.WriteHTTP(w, problem.Field("Idempotency-Key", "must be printable ASCII"))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			problem.WriteHTTP(w, problem.Field("body", "cannot be read: %s", err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		i.once(w, r, next, p.Organisation, key, fingerprint(r, body))
	})
}

func fingerprint(r *http.Request, body []byte) string {
	h := sha256.New()
	h.Write([]byte(r.Method + "\n" + r.URL.RequestURI() + "\n"))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

type stored struct {
	fingerprint string
	status      int
	contentType string
	body        []byte
}

func (i *idempotency) once(w http.ResponseWriter, r *http.Request, next http.Handler, organisation, key, print string) {
	old, err := i.claim(r.Context(), organisation, key, print)
	switch {
	case err != nil:
		problem.WriteHTTP(w, err)
		return
	case old != nil && old.fingerprint != print:
		problem.WriteHTTP(w, problem.Field("Idempotency-Key", "was used for another request"))
		return
	case old != nil && old.status == running:
		problem.WriteHTTP(w, problem.New(problem.Conflict, "the first request with this Idempotency-Key is still running"))
		return
	case old != nil:
		w.Header().Set("Content-Type", old.contentType)
		w.Header().Set("Idempotent-Replayed", "true")
		w.WriteHeader(old.status)
		_, _ = w.Write(old.body) // the client may be gone
		return
	}
	rec := &recorder{ResponseWriter: w, path: strings.TrimPrefix(r.URL.Path, Base), status: http.StatusOK}
	done := false
	defer func() { i.settle(organisation, key, rec, done) }()
	next.ServeHTTP(rec, r)
	done = true
}

// claim takes the key for this request; when it was taken before, what is known of the first is returned.
func (i *idempotency) claim(ctx context.Context, organisation, key, print string) (*stored, error) {
	var old *stored
	err := i.db.Write(ctx, func(tx *db.Tx) error {
		old = nil
		if _, err := tx.Exec(`DELETE FROM idempotency WHERE created_at < $1`, db.Micros(tx.Now().Add(-keepKeys))); err != nil {
			return err
		}
		res, err := tx.Exec(`INSERT INTO idempotency (organisation_id, key, fingerprint, status, content_type, created_at, node)
			VALUES ($1, $2, $3, $4, '', $5, $6) ON CONFLICT DO NOTHING`, organisation, key, print, running, db.Micros(tx.Now()), i.node())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		old = &stored{}
		return tx.QueryRow(`SELECT fingerprint, status, content_type, body FROM idempotency WHERE organisation_id = $1 AND key = $2`, organisation, key).
			Scan(&old.fingerprint, &old.status, &old.contentType, &old.body)
	})
	return old, problem.Wrap("claim the idempotency key", err)
}

// settle keeps the answer. A request that failed for a reason of ours may be tried again under the same key.
func (i *idempotency) settle(organisation, key string, rec *recorder, done bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := i.db.Write(ctx, func(tx *db.Tx) error {
		if !done || rec.status >= 500 && rec.status != http.StatusGatewayTimeout && rec.status != http.StatusBadGateway {
			_, err := tx.Exec(`DELETE FROM idempotency WHERE organisation_id = $1 AND key = $2`, organisation, key)
			return err
		}
		_, err := tx.Exec(`UPDATE idempotency SET status = $3, content_type = $4, body = $5 WHERE organisation_id = $1 AND key = $2`,
			organisation, key, rec.status, rec.Header().Get("Content-Type"), account.Replayable(rec.path, rec.body.Bytes()))
		return err
	})
	if err != nil && !errors.Is(err, db.ErrClosed) {
		i.log.Error("answer of an idempotent request not kept", "error", err)
	}
}

// recorder keeps a copy of the answer.
type recorder struct {
	http.ResponseWriter
	path   string // without Base
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if !strings.HasPrefix(r.Header().Get("Content-Type"), "text/event-stream") {
		r.body.Write(b)
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
