// Package bus carries events and commands between nodes over NATS: a server inside
// the process when a node is alone, an external cluster otherwise. Delivery is at
// most once and nothing is stored; what must not be lost is in the database.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

var (
	// ErrNoResponders is returned by Request when nobody listens to the subject.
	ErrNoResponders = errors.New("bus: nobody listens")
	// ErrNoReply is returned by Respond to a message that was not a request.
	ErrNoReply = errors.New("bus: message asks for no reply")
	// ErrClosed is returned after Drain or Close.
	ErrClosed = errors.New("bus: closed")
)

// MaxPayload bounds a message's bytes on the embedded server (8 MiB). An external
// one has its own limit, 1 MB unless configured.
const MaxPayload = 8 << 20

// Options say where the bus is.
type Options struct {
	// URL is one or more comma-separated NATS URLs; empty starts a server inside the
	// process that listens on no port.
	URL string
	// StoreDir turns on JetStream in the embedded server, every write synced to disk
	// there. Empty: no JetStream.
	StoreDir string
	// Name is shown in the server's monitoring; "lumela" when empty.
	Name string
	// Log receives connection changes and dropped messages; nil means slog.Default().
	Log *slog.Logger
}

// Bus is a connection to NATS. All methods are safe for concurrent use.
type Bus struct {
	log    *slog.Logger
	server *server.Server // nil when external
	nc     *nats.Conn
	// in receives the messages of all subscriptions, so that an idle subscription
	// has neither goroutine nor buffer.
	in      chan *nats.Msg
	mu      sync.RWMutex // held while subscribing, so that no message overtakes its entry
	subs    map[*nats.Subscription]*Subscription
	pending atomic.Int64  // messages in the subscriptions' queues
	idle    chan struct{} // wakes Drain when pending falls to 0
	marked  chan struct{} // closed when Drain's mark has come through in
	done    chan struct{}
	pump    sync.WaitGroup
	once    sync.Once
	ending  atomic.Bool
}

const (
	inbox         = 1 << 16         // messages on their way to all subscriptions
	startDeadline = 5 * time.Second // for the embedded server, which takes milliseconds
)

// Open starts or reaches the server. An external server must be reachable now;
// later the bus reconnects for ever, waiting up to a few seconds between attempts.
func Open(ctx context.Context, o Options) (*Bus, error) {
	b := &Bus{
		log: o.Log, in: make(chan *nats.Msg, inbox), subs: map[*nats.Subscription]*Subscription{},
		idle: make(chan struct{}, 1), marked: make(chan struct{}), done: make(chan struct{}),
	}
	if b.log == nil {
		b.log = slog.Default()
	}
	if o.Name == "" {
		o.Name = "lumela"
	}
	url := o.URL
	opts := b.clientOptions(ctx, o.Name)
	if url == "" {
		if err := b.serve(o); err != nil {
			return nil, fmt.Errorf("start the embedded bus: %w", err)
		}
		url = "nats://embedded"
		opts = append(opts, nats.InProcessServer(b.server))
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		b.stopServer()
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	b.nc = nc
	b.pump.Add(1)
	go b.dispatch()
	return b, nil
}

func (b *Bus) clientOptions(ctx context.Context, name string) []nats.Option {
	opts := []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a server whose accounts are being reloaded must not end it
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(750*time.Millisecond, 2*time.Second),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !b.ending.Load() {
				b.log.Warn("bus: connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			b.log.Info("bus: connected again", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			b.log.Error("bus: asynchronous error", "subject", subject, "err", err)
		}),
	}
	if until, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(max(time.Until(until), time.Millisecond)))
	} else {
		opts = append(opts, nats.Timeout(startDeadline))
	}
	return opts
}

func (b *Bus) serve(o Options) error {
	so := &server.Options{
		ServerName: o.Name, DontListen: true, NoSigs: true, NoLog: true,
		MaxPayload: MaxPayload, MaxPending: 256 << 20, WriteDeadline: 10 * time.Second,
	}
	if o.StoreDir != "" {
		so.JetStream, so.StoreDir, so.SyncAlways = true, o.StoreDir, true
	}
	s, err := server.NewServer(so)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(startDeadline) {
		s.Shutdown()
		return fmt.Errorf("not ready within %v", startDeadline)
	}
	b.server = s
	return nil
}

func (b *Bus) stopServer() {
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

// Conn is the connection itself, for what this package has no words for (JetStream).
func (b *Bus) Conn() *nats.Conn { return b.nc }

// Healthy reports whether the bus is connected.
func (b *Bus) Healthy() bool { return b.nc.IsConnected() }

// Publish sends data to whoever listens to subject, now or never. It returns before
// the message has left; while the connection is away messages wait in a buffer of 8 MiB,
// and Publish fails when that is full. data may be used again afterwards.
func (b *Bus) Publish(subject string, data []byte) error {
	if err := b.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("publish to %s: %w", subject, known(err))
	}
	return nil
}

// Flush returns when the server has seen all that was published and subscribed before.
func (b *Bus) Flush(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok { // which NATS insists on
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("flush the bus: %w", known(err))
	}
	return nil
}

// Request sends data and returns the first answer. It fails with [ErrNoResponders] when
// nobody listens to subject and with ctx's error when ctx ends first: give it a deadline.
func (b *Bus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	m, err := b.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", subject, known(err))
	}
	return m.Data, nil
}

// known turns NATS errors that callers act on into this package's.
func known(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNoResponders
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return ErrClosed
	}
	return err
}

// Drain stops taking messages, lets the subscribers finish those that have arrived,
// sends what they published, and closes the bus. When ctx ends first it closes at
// once and returns ctx's error.
func (b *Bus) Drain(ctx context.Context) error {
	if b.ending.Swap(true) {
		return b.Close()
	}
	err := b.drain(ctx)
	return errors.Join(err, b.Close())
}

func (b *Bus) drain(ctx context.Context) error {
	b.mu.RLock()
	for ns := range b.subs {
		// It fails only when the connection is closed, which Flush reports.
		_ = ns.Drain()
	}
	b.mu.RUnlock()
	// After this round trip everything that was on the way is in our channel, and the
	// mark behind it.
	if err := b.Flush(ctx); err != nil {
		return err
	}
	select {
	case b.in <- nil:
	case <-ctx.Done():
		return fmt.Errorf("drain the bus: %w", ctx.Err())
	}
	for marked := b.marked; marked != nil || b.pending.Load() > 0; {
		select {
		case <-marked:
			marked = nil
		case <-b.idle:
		case <-ctx.Done():
			return fmt.Errorf("drain the bus: %w", ctx.Err())
		}
	}
	return b.Flush(ctx)
}

// Close ends the connection and the embedded server. Messages not yet handled are
// dropped; a handler that is running is not waited for.
func (b *Bus) Close() error {
	b.once.Do(func() {
		b.ending.Store(true)
		b.nc.Close()
		close(b.done)
		b.pump.Wait()
		b.stopServer()
	})
	return nil
}
