// Package apptest starts whole nodes inside a test and talks to them as the outside does: over HTTP as a user of the API,
// and over WebSocket as a charging station with its hands on every byte.
package apptest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	_ "modernc.org/sqlite"             // registers the driver "sqlite"

	"lumela/internal/app"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// Key is the API key of the first organisation of every node that Start makes; its role is owner.
const Key = "apptest-key-of-the-first-organisation"

// patience bounds every wait of this package: long enough for a machine that does other things too.
const patience = 20 * time.Second

// Node is a running node.
type Node struct {
	*Client // of the first organisation

	Config    app.Config
	HTTPAddr  string // host:port without TLS, "" when not served
	HTTPSAddr string // host:port with TLS, "" when not served
	Password  string // of the first user, whose address is account.FirstEmail; "" when the database was not new

	stop    context.CancelFunc
	done    chan error
	stopped sync.Once
	err     error
}

// Option changes the configuration of a node before it starts.
type Option func(t testing.TB, c *app.Config)

// Admission sets what an unknown station gets: closed, approve or open.
func Admission(policy string) Option {
	return func(_ testing.TB, c *app.Config) { c.Admission = policy }
}

// With changes any setting.
func With(f func(c *app.Config)) Option { return func(_ testing.TB, c *app.Config) { f(c) } }

// OnPostgres gives the node a fresh PostgreSQL database; the test is skipped where there is no server.
func OnPostgres() Option {
	return func(t testing.TB, c *app.Config) { c.Database = dbtest.Fresh(t, db.Postgres).URL }
}

var bootstrapKey = sync.OnceValue(func() error { return os.Setenv("LUMELA_BOOTSTRAP_API_KEY", Key) })

// Start starts a node on free ports of the loopback interface, with a database of its own. It is stopped, and its drain
// checked, when the test ends.
func Start(t testing.TB, options ...Option) *Node {
	t.Helper()
	if err := bootstrapKey(); err != nil {
		t.Fatal(err)
	}
	cfg := app.Default()
	cfg.DataDir, cfg.HTTP, cfg.Admission = t.TempDir(), "127.0.0.1:0", "open"
	for _, o := range options {
		o(t, &cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &Node{Config: cfg, stop: cancel, done: make(chan error, 1)}
	out := &announcement{said: make(chan struct{})}
	level := slog.LevelError
	if os.Getenv("LUMELA_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	go func() { n.done <- app.Run(ctx, cfg, log, out) }()
	select {
	case <-out.said:
	case err := <-n.done:
		cancel()
		t.Fatalf("the node did not start: %v", err)
	case <-time.After(patience):
		cancel()
		t.Fatal("the node did not start in time")
	}
	n.read(out.text())
	n.Client = &Client{Base: "http://" + n.HTTPAddr, Key: Key}
	if n.HTTPAddr == "" {
		n.Client = nil
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Errorf("the node did not stop cleanly: %v", err)
		}
	})
	return n
}

var (
	addresses = regexp.MustCompile(`(wss?)://([0-9.:]+)/ocpp/`)
	password  = regexp.MustCompile(`password (\S+)`)
)

// read takes the addresses and the first password from what the node prints.
func (n *Node) read(text string) {
	for _, m := range addresses.FindAllStringSubmatch(text, -1) {
		if m[1] == "wss" {
			n.HTTPSAddr = m[2]
		} else {
			n.HTTPAddr = m[2]
		}
	}
	if m := password.FindStringSubmatch(text); m != nil {
		n.Password = m[1]
	}
}

// Stop drains the node as SIGTERM would and waits for its end. Later calls give the same result.
func (n *Node) Stop() error {
	n.stopped.Do(func() {
		n.stop()
		select {
		case n.err = <-n.done:
		case <-time.After(patience):
			n.err = errors.New("it still runs")
		}
	})
	return n.err
}

// announcement receives what a node prints when it is ready.
type announcement struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	once sync.Once
	said chan struct{}
}

func (a *announcement) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buf.Write(b)
	a.once.Do(func() { close(a.said) })
	return len(b), nil
}

func (a *announcement) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buf.String()
}

// AddOrganisation makes another tenant, with one API key of the given role, and gives a client for it.
func (n *Node) AddOrganisation(t testing.TB, name, role string) *Client {
	t.Helper()
	key := name + "-" + uuid.NewString()
	sum := sha256.Sum256([]byte(key))
	org, now := uuid.Must(uuid.NewV7()).String(), time.Now().UnixMicro()
	n.Exec(t, `INSERT INTO organisations (id, name, created_at) VALUES ($1, $2, $3)`, org, name, now)
	n.Exec(t, `INSERT INTO api_keys (id, organisation_id, name, role, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		uuid.NewString(), org, name, role, hex.EncodeToString(sum[:]), now)
	return &Client{Base: n.Base, Key: key}
}

// AddKey makes another API key of the first organisation.
func (n *Node) AddKey(t testing.TB, role string) *Client {
	t.Helper()
	key := uuid.NewString()
	sum := sha256.Sum256([]byte(key))
	n.Exec(t, `INSERT INTO api_keys (id, organisation_id, name, role, hash, created_at)
		SELECT $1, id, $2, $3, $4, $5 FROM organisations ORDER BY created_at LIMIT 1`,
		uuid.NewString(), role, role, hex.EncodeToString(sum[:]), time.Now().UnixMicro())
	return &Client{Base: n.Base, Key: key}
}

// Exec runs SQL on the node's database, behind its back.
func (n *Node) Exec(t testing.TB, text string, args ...any) {
	t.Helper()
	h := n.open(t)
	defer func() { _ = h.Close() }() // nothing is pending
	if _, err := h.Exec(text, args...); err != nil {
		t.Fatalf("%s: %v", strings.TrimSpace(text), err)
	}
}

// Count runs a query that gives one number.
func (n *Node) Count(t testing.TB, text string, args ...any) (count int) {
	t.Helper()
	h := n.open(t)
	defer func() { _ = h.Close() }() // nothing is pending
	if err := h.QueryRow(text, args...).Scan(&count); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return count
}

func (n *Node) open(t testing.TB) *sql.DB {
	t.Helper()
	driver, name := "pgx", n.Config.Database
	if name == "" {
		driver, name = "sqlite", "file:"+filepath.Join(n.Config.DataDir, "lumela.db")+"?_pragma=busy_timeout(10000)"
	}
	h, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Poll waits until ok reports true. It is for what the node does after it has answered.
func Poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
