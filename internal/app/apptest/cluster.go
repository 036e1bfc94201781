package apptest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is a cluster of NATS servers inside the test, joined by routes over the loopback interface. A client hears of no
// server but the one that it is told of.
type NATS struct {
	t       testing.TB
	options []*server.Options
	servers []*server.Server
}

// StartNATS starts a cluster of n servers. It ends with the test.
func StartNATS(t testing.TB, n int) *NATS {
	t.Helper()
	c := &NATS{t: t, servers: make([]*server.Server, n)}
	for i := range n {
		o := &server.Options{ServerName: fmt.Sprintf("nats-%d", i), Host: "127.0.0.1", Port: freePort(t), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: t.Name(), Host: "127.0.0.1", Port: freePort(t), NoAdvertise: true, PoolSize: -1}}
		if i > 0 {
			o.Routes = []*url.URL{{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", c.options[0].Cluster.Port)}}
		}
		c.options = append(c.options, o)
	}
	c.Start()
	t.Cleanup(c.Stop)
	return c
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // only its number is wanted
	return l.Addr().(*net.TCPAddr).Port
}

// Start starts the servers that do not run and waits until they know each other.
func (c *NATS) Start() {
	c.t.Helper()
	for i, o := range c.options {
		s, err := server.NewServer(o.Clone())
		if err != nil {
			c.t.Fatal(err)
		}
		s.Start()
		c.servers[i] = s
	}
	for _, s := range c.servers {
		if !s.ReadyForConnections(patience) {
			c.t.Fatal("a NATS server did not start")
		}
		Poll(c.t, "routes between the NATS servers", func() bool { return s.NumRoutes() >= len(c.servers)-1 })
	}
}

// Stop ends all servers, as if each had crashed.
func (c *NATS) Stop() {
	for _, s := range c.servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// Addr is the address of a server, host:port.
func (c *NATS) Addr(i int) string { return fmt.Sprintf("127.0.0.1:%d", c.options[i].Port) }

// Relay passes TCP connections on and can be cut, as a network between two machines can: nothing gets through and nobody
// hears that it does not.
type Relay struct {
	Addr string // host:port to connect to

	network, target string
	listener        net.Listener

	mu    sync.Mutex
	cut   chan struct{} // closed while everything passes
	conns map[net.Conn]bool
}

// NewRelay makes a relay to a server. It ends with the test.
func NewRelay(t testing.TB, network, target string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), network: network, target: target, listener: l, cut: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(r.cut)
	go r.accept()
	t.Cleanup(func() {
		_ = l.Close() // so that nobody new comes
		r.Mend()
		r.drop()
	})
	return r
}

// RelayPostgres makes a relay to the PostgreSQL of a URL, and the URL that leads through it.
func RelayPostgres(t testing.TB, database string) (*Relay, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	network, target := "tcp", u.Host
	if dir := q.Get("host"); dir != "" {
		network, target = "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	r := NewRelay(t, network, target)
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	q.Set("host", host)
	q.Set("port", port)
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return r, u.String()
}

// Cut stops everything that is on its way, and what comes. Connections stay.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = make(chan struct{})
}

// Mend lets everything pass again, what was stopped first. Connections that were given up meanwhile are gone.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.cut:
	default:
		close(r.cut)
	}
}

// drop ends all connections.
func (r *Relay) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close() // it is not needed any more
	}
}

func (r *Relay) passes() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

func (r *Relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			<-r.passes()
			far, err := net.Dial(r.network, r.target)
			if err != nil {
				_ = near.Close() // the other end sees it
				return
			}
			r.hold(near, far)
			go r.pass(near, far)
			r.pass(far, near)
		}()
	}
}

func (r *Relay) hold(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.conns[c] = true
	}
}

func (r *Relay) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		<-r.passes()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close() // one end has gone
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, to)
	delete(r.conns, from)
}

// Balancer is a TCP balancer: it takes the backends in turn, skips those whose /readyz is not 200 or that refuse a
// connection, and knows nothing of what passes. The connections of a backend that keeps silent are
// ended.
type Balancer struct {
	Addr string // host:port

	backends []string
	listener net.Listener
	mu       sync.Mutex
	next     int
	ready    map[string]bool
	conns    map[net.Conn]string // to the backends
}

const (
	probeEvery   = 100 * time.Millisecond // how often the balancer asks whether a backend is ready
	probeTimeout = 3 * time.Second        // longer than a backend takes to say that its database is away
)

// NewBalancer makes a balancer. It ends with the test.
func NewBalancer(t testing.TB, backends ...string) *Balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &Balancer{Addr: l.Addr().String(), backends: backends, listener: l, ready: map[string]bool{}, conns: map[net.Conn]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	var probing sync.WaitGroup
	for _, backend := range backends {
		probing.Go(func() { b.probe(ctx, backend) })
	}
	go b.accept()
	t.Cleanup(func() {
		cancel()
		_ = l.Close() // so that nobody new comes
		probing.Wait()
	})
	return b
}

func (b *Balancer) probe(ctx context.Context, backend string) {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		ready, silent := false, false
		if req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+backend+"/readyz", nil); err == nil {
			resp, err := client.Do(req)
			var timeout net.Error
			switch {
			case err == nil:
				_ = resp.Body.Close() // the status is enough
				ready = resp.StatusCode == http.StatusOK
			case errors.As(err, &timeout):
				silent = timeout.Timeout()
			}
		}
		b.mu.Lock()
		b.ready[backend] = ready
		for c, to := range b.conns {
			if to == backend && silent {
				_ = c.Close() // its client comes again, to another one
			}
		}
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Ready reports how many backends are in service.
func (b *Balancer) Ready() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, ready := range b.ready {
		if ready {
			n++
		}
	}
	return n
}

func (b *Balancer) accept() {
	for {
		near, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.serve(near)
	}
}

func (b *Balancer) serve(near net.Conn) {
	far, backend, err := b.dial()
	if err != nil {
		_ = near.Close() // the client sees it
		return
	}
	b.mu.Lock()
	b.conns[far] = backend
	b.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near) // ends with either connection
		halfClose(far)
	}()
	_, _ = io.Copy(near, far) // ends with either connection
	halfClose(near)
	<-done
	_, _ = near.Close(), far.Close() // both have ended
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, far)
}

// halfClose passes the end of one direction on; when the server has ended the client need not say anything more.
func halfClose(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.CloseWrite() // it may be closed already
		_ = t.SetReadDeadline(time.Now().Add(time.Second))
	}
}

// dial connects to the backend whose turn it is.
func (b *Balancer) dial() (net.Conn, string, error) {
	b.mu.Lock()
	var order []string
	for i := range b.backends {
		if backend := b.backends[(b.next+i)%len(b.backends)]; b.ready[backend] {
			order = append(order, backend)
		}
	}
	b.next++
	b.mu.Unlock()
	for _, backend := range order {
		if c, err := net.DialTimeout("tcp", backend, time.Second); err == nil {
			return c, backend, nil
		}
	}
	return nil, "", errors.New("no backend is ready")
}

// Stream listens to server-sent events, from after the event with the id last when it is not empty, until the stream ends.
// The error is that of a stream that was not served, or not ended in order.
func (c *Client) Stream(ctx context.Context, path, last string, each func(Event)) error {
	var headers []string
	if last != "" {
		headers = append(headers, "Last-Event-ID: "+last)
	}
	req, err := c.Request(ctx, http.MethodGet, path, "", headers...)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to the end
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return scanEvents(resp.Body, each)
}

// scanEvents reads a stream to its end.
func scanEvents(r io.Reader, each func(Event)) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	var ev Event
	for scanner.Scan() {
		name, value, _ := strings.Cut(scanner.Text(), ": ")
		switch name {
		case "id":
			ev.ID = value
		case "event":
			ev.Type = value
		case "data":
			ev.Data = value
		case "":
			if ev.Type != "" {
				each(ev)
			}
			ev = Event{}
		}
	}
	return scanner.Err()
}
