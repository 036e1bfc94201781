package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lumela/internal/sse"
)

// drainTime is how long a stopping node waits for what is under way. Together with the rest it stays below 10 s.
const drainTime = 5 * time.Second

// Run runs a node until ctx ends, then drains it.
func Run(ctx context.Context, cfg Config, log *slog.Logger, stdout io.Writer) error {
	stopProfiles, err := serveProfiles(log) // first: the start can be measured too
	if err != nil {
		return err
	}
	defer stopProfiles()
	n, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	s, err := n.listen()
	if err != nil {
		return errors.Join(err, n.close())
	}
	if err := n.announce(stdout, s); err != nil {
		log.Error("start not announced", "error", err)
	}
	background, stopBackground := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { n.tidy(background) })
	if cfg.Demo > 0 {
		wg.Go(func() { n.demonstrate(background, s.plain) })
	}
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	log.Info("stopping")
	stopBackground()
	n.drain(s)
	wg.Wait()
	return errors.Join(err, n.close())
}

// drain ends the serving without a call that fails. First the node says that it is not ready and goes on as before, until
// balancers have noticed; its clients are told to come by a new connection. Then nobody new is let in. Streams end at once,
// their clients resume elsewhere. Stations are sent away as soon as they have answered what they were asked; last comes the
// API, some of whose calls wait for stations that are on their way to another node.
func (n *node) drain(s *servers) {
	n.draining.Store(true)
	if n.clustered() && n.cfg.DrainDelay > 0 {
		telling, cancel := context.WithTimeout(context.Background(), n.cfg.DrainDelay)
		if err := n.member.Drain(telling); err != nil {
			n.log.Warn("the other nodes do not know that this one drains", "error", err)
		}
		<-telling.Done()
		cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, l := range s.listeners {
		_ = l.Close() // nothing of it is needed any more
	}
	close(s.ending)
	var serving sync.WaitGroup
	for _, srv := range s.all {
		serving.Go(func() {
			if err := srv.Shutdown(ctx); err != nil {
				n.log.Warn("HTTP server not drained in time", "error", err)
				s.giveUp()
				_ = srv.Close() // what is left is cut
			}
		})
	}
	n.gateway.Drain(ctx)
	serving.Wait()
	s.giveUp()
}

// servers are the HTTP servers of a node.
type servers struct {
	all        []*http.Server
	plain, tls net.Addr // nil when not served
	listeners  []net.Listener
	failed     chan error
	ending     chan struct{}      // closed to end the streams
	giveUp     context.CancelFunc // ends the requests that are under way
}

func (n *node) listen() (*servers, error) {
	s := &servers{failed: make(chan error, 2), ending: make(chan struct{})}
	base, cancel := context.WithCancel(sse.WithEnd(context.Background(), s.ending))
	s.giveUp = cancel
	handler, door := n.handler(), newDoor()
	start := func(addr string, secure bool) (net.Addr, error) {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		l = guarded{l, door}
		srv := &http.Server{Handler: handler, ConnState: door.changed, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
			ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return base }}
		s.all, s.listeners = append(s.all, srv), append(s.listeners, l)
		serve := func() error { return srv.Serve(l) }
		if secure {
			if srv.TLSConfig, err = tlsConfig(n.cfg); err != nil {
				return nil, errors.Join(err, l.Close())
			}
			serve = func() error { return srv.ServeTLS(l, "", "") }
		}
		go func() {
			if err := serve(); !errors.Is(err, http.ErrServerClosed) && !n.draining.Load() {
				s.failed <- fmt.Errorf("serve %s: %w", addr, err)
			}
		}()
		return l.Addr(), nil
	}
	var err error
	if n.cfg.HTTP != "" {
		if s.plain, err = start(n.cfg.HTTP, false); err != nil {
			return nil, err
		}
	}
	if n.cfg.HTTPS != "" {
		if s.tls, err = start(n.cfg.HTTPS, true); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// passwordFile keeps the first password in the data directory until somebody deletes it.
const passwordFile = "first-password.txt"

// announce prints where the node is and how to sign in.
func (n *node) announce(w io.Writer, s *servers) error {
	path := filepath.Join(n.cfg.DataDir, passwordFile)
	if n.first.Fresh {
		if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(n.first.Password+"\n"), 0o600); err != nil {
			return err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  Lumela %s is running.\n\n", Version)
	for _, a := range []struct {
		addr           net.Addr
		scheme, socket string
	}{{s.plain, "http", "ws"}, {s.tls, "https", "wss"}} {
		if a.addr != nil {
			fmt.Fprintf(&b, "  Console    %s://%s/\n  Stations   %s://%s/ocpp/{stationId}\n", a.scheme, visible(a.addr), a.socket, visible(a.addr))
		}
	}
	if password, err := os.ReadFile(path); err == nil {
		fmt.Fprintf(&b, "  Sign in    %s  password %s   (kept in %s until you delete it)\n", n.first.Email, strings.TrimSpace(string(password)), path)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// visible is an address that a browser on this machine can open.
func visible(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
