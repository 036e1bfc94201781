package db_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// relay passes connections on to a PostgreSQL server and can be cut.
type relay struct {
	url    string
	target string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("host") == "" || q.Get("host")[0] != '/' {
		t.Skip("the test server is not on a unix socket")
	}
	r := &relay{target: filepath.Join(q.Get("host"), ".s.PGSQL.5432"), addr: "127.0.0.1:0"}
	r.mend()
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	q.Set("host", "127.0.0.1")
	q.Set("port", port)
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	r.url = u.String()
	t.Cleanup(r.cut)
	return r
}

func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		panic(fmt.Sprintf("relay: %v", err))
	}
	r.listener, r.addr = l, l.Addr().String()
	go r.accept(l)
}

func (r *relay) accept(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("unix", r.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, near, far)
		r.mu.Unlock()
		go pass(near, far)
		go pass(far, near)
	}
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // ends with either connection
	_ = to.Close()
	_ = from.Close()
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}
