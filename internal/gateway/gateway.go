// Package gateway holds the links to the stations: it lets them in by their security profile, keeps one live link per
// station, speaks each one's version of OCPP and hands everything on in 2.1 terms.
//
// One goroutine owns the reading of a link. The newest authenticated link of a station wins; links are told apart by
// object, never by the station's id, so that the end of an old link cannot take the new one with it.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"lumela/internal/bus"
	"lumela/internal/frame"
	"lumela/ocpp"
)

// Station is what the gateway must know of a station that it lets in.
type Station struct {
	ID           string
	Organisation string
	Strict       bool
	// CertificateName is the common name of the client certificate that let the station in, "" without one.
	CertificateName string
	// Accepted is true when the station has been accepted before and so need not boot again to be heard.
	Accepted bool
	// Stranger is true while the station is in the waiting room: anybody can be that, so its messages are kept short.
	Stranger bool
}

// Credentials are what a station shows when it connects.
type Credentials struct {
	TLS      bool
	ClientCN string // subject common name of a verified client certificate
	HasBasic bool
	Username string
	Password string   // raw bytes
	Other    []string // further spellings of the same password that the station's version allows
	Remote   string
}

// Refusal is the error of a station that is not let in.
type Refusal struct {
	Status int    // HTTP
	Reason string // for the operator
	// RetryAfter is when the station may come again, 0 for no advice.
	RetryAfter time.Duration
}

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

// ErrNotNow is in the errors of a platform that can take nobody in at the moment and has said so in its own log: the
// station hears 503 and when to come back, or 1013.
var ErrNotNow = errors.New("not at the moment")

// Platform is what stands behind the gateway. Its methods are called by many links at once.
type Platform interface {
	// Admit decides whether a station may connect. The error is a *Refusal, or anything else for a failure of ours, which
	// the station hears as 503.
	Admit(ctx context.Context, id string, v ocpp.Version, c Credentials) (Station, error)
	// Opened is called before the first frame of a link is read, Closed once after the last one.
	Opened(ctx context.Context, l *Link) error
	Closed(l *Link, reason string)
	// Handle answers a 2.1 request of the station. The requests of one link come one at a time.
	Handle(ctx context.Context, l *Link, req ocpp.Request) (ocpp.Response, *ocpp.CallError)
	// Ready is called, on a goroutine of its own, when the station may be sent requests.
	Ready(l *Link)
	// Seen tells when stations were last heard of.
	Seen(at map[string]time.Time)
}

// Options of a gateway. Zero values get defaults.
type Options struct {
	Node   string // name of this process in the cluster
	Secret []byte // makes transaction numbers of 1.6 impossible to guess
	// MaxFrame is the longest message in bytes, also after decompression; 1 MiB by default.
	MaxFrame int
	// CallTimeout is how long a station may take to answer a call; 30 s by default.
	CallTimeout time.Duration
	// Settle is how long a station that connects without booting is left alone before it is sent requests; 3 s by default.
	Settle time.Duration
	// AfterBoot is the same after an accepted BootNotification, from the answer on; 250 ms by default. Some stations lose or
	// refuse a request that is faster than their own reading of the answer.
	AfterBoot time.Duration
	// PingEvery is how long a link may be silent before it is pinged, DeadAfter before it is given up; 60 s and 3 min.
	PingEvery, DeadAfter time.Duration
	// MaxLinks is how many stations may be connected at once; 0 for any number. Those that are being let in at the same moment
	// may exceed it by MaxHandshakes.
	MaxLinks int
	// MaxHandshakes bounds the stations that are being let in at the same moment; 256 by default.
	MaxHandshakes int
	// Now is the machine's clock, which somebody may set at any moment: it stamps and never measures. time.Now by default.
	Now func() time.Time
	// Alarm tells the operator of an address that attacks the node as a whole and no station in particular; nil for nobody.
	Alarm func(remote, reason string)
}

func (o *Options) defaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.CallTimeout, 30*time.Second)
	def(&o.Settle, 3*time.Second)
	def(&o.AfterBoot, 250*time.Millisecond)
	def(&o.PingEvery, time.Minute)
	def(&o.DeadAfter, 3*time.Minute)
	if o.MaxFrame <= 0 {
		o.MaxFrame = 1 << 20
	}
	if o.MaxHandshakes <= 0 {
		o.MaxHandshakes = 256
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Gateway holds the links of this node.
type Gateway struct {
	o        Options
	platform Platform
	frames   *frame.Log
	bus      *bus.Bus
	log      *slog.Logger
	upgrader map[ocpp.Version]*gws.Upgrader
	strange  map[ocpp.Version]*gws.Upgrader // of strangers
	began    time.Time                      // what intervals are measured from, see age
	limiter  *limiter
	hands    chan struct{}

	mu    sync.RWMutex
	links map[string]*Link

	node     atomic.Pointer[string]
	draining atomic.Bool
	stop     chan struct{}
	stopped  sync.WaitGroup
	linked   sync.WaitGroup // what runs for the links
	subs     []*bus.Subscription
	Counters Counters
}

// Counters are figures of the gateway since it started.
type Counters struct {
	Accepted, Refused, FramesIn, FramesOut, Replaced, Stale atomic.Int64
}

// New makes a gateway and starts its housekeeping. Close ends it.
func New(o Options, p Platform, frames *frame.Log, b *bus.Bus, log *slog.Logger) (*Gateway, error) {
	o.defaults()
	g := &Gateway{o: o, platform: p, frames: frames, bus: b, log: log, upgrader: map[ocpp.Version]*gws.Upgrader{}, strange: map[ocpp.Version]*gws.Upgrader{},
		began: time.Now(), limiter: newLimiter(), hands: make(chan struct{}, o.MaxHandshakes), links: map[string]*Link{}, stop: make(chan struct{})}
	g.node.Store(&o.Node)
	for _, v := range ocpp.Versions {
		g.upgrader[v] = g.newUpgrader(v, o.MaxFrame)
		g.strange[v] = g.newUpgrader(v, min(o.MaxFrame, maxStrangersFrame))
	}
	if b.External() {
		if err := g.joinCluster(); err != nil {
			return nil, fmt.Errorf("join the cluster: %w", err)
		}
	}
	g.stopped.Add(1)
	go g.housekeep()
	return g, nil
}

// maxStrangersFrame is the longest message in bytes of a station in the waiting room: a buffer is made for a frame as soon
// as its header has come, and anybody can send headers.
const maxStrangersFrame = 128 << 10

// newUpgrader is tuned for many idle links: small read buffers, and the link itself is the connection's session storage.
func (g *Gateway) newUpgrader(v ocpp.Version, maxFrame int) *gws.Upgrader {
	return gws.NewUpgrader(handler{}, &gws.ServerOption{
		ReadBufferSize: 512, ReadMaxPayloadSize: maxFrame, WriteMaxPayloadSize: 16 << 20, CheckUtf8Enabled: true,
		SubProtocols: []string{v.Subprotocol()}, HandshakeTimeout: 10 * time.Second,
		NewSession:        func() gws.SessionStorage { return &Link{gateway: g, version: v} },
		PermessageDeflate: gws.PermessageDeflate{Enabled: true, Threshold: 1024, PoolSize: 4}, // OCPP 2.1 Part 4 5.1
		Logger:            quiet{},
	})
}

// quiet drops gws's own log: every error reaches OnClose.
type quiet struct{}

func (quiet) Error(...any) {}

// age is how long the gateway has run. Intervals are differences of ages: steps of the machine's clock do not reach them.
func (g *Gateway) age() time.Duration { return time.Since(g.began) }

// Link finds the live link of a station on this node, nil when there is none.
func (g *Gateway) Link(id string) *Link {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.links[id]
}

// Links is how many stations are connected to this node.
func (g *Gateway) Links() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.links)
}

// full reports whether a station cannot be let in because too many are connected. One that is connected already may come
// again: its new link replaces the old one.
func (g *Gateway) full(id string) bool {
	return g.o.MaxLinks > 0 && g.Links() >= g.o.MaxLinks && g.Link(id) == nil
}

// Disconnect closes a station's link on this node, if there is one.
func (g *Gateway) Disconnect(id, reason string) {
	if l := g.Link(id); l != nil {
		l.end(1000, reason)
	}
}

// register makes l the live link of its station and closes the one before it.
func (g *Gateway) register(l *Link) {
	g.mu.Lock()
	old := g.links[l.station.ID]
	g.links[l.station.ID] = l
	g.mu.Unlock()
	if old != nil {
		g.Counters.Replaced.Add(1)
		old.end(1000, replaced)
	}
	if g.draining.Load() { // it was being let in when the draining began
		l.close(1001, "the service is being restarted")
		return
	}
	g.announce(l)
}

// unregister forgets l, unless a newer link has taken its place.
func (g *Gateway) unregister(l *Link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.links[l.station.ID] == l {
		delete(g.links, l.station.ID)
	}
}

func (g *Gateway) all() []*Link {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]*Link, 0, len(g.links))
	for _, l := range g.links {
		out = append(out, l)
	}
	return out
}

const (
	sweepEvery = 5 * time.Second
	seenEvery  = 6 // sweeps between two reports of who was heard of
)

// housekeep pings silent links, gives dead ones up, and reports who was heard of.
func (g *Gateway) housekeep() {
	defer g.stopped.Done()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-g.stop:
			return
		case <-tick.C:
		}
		age := g.age()
		for _, l := range g.all() {
			l.sweep(age)
		}
		g.limiter.sweep(time.Now())
		if n%seenEvery == 0 {
			g.reportSeen()
		}
	}
}

func (g *Gateway) reportSeen() {
	seen := map[string]time.Time{}
	now, age := g.o.Now(), g.age()
	for _, l := range g.all() {
		if t := l.lastSeen.Load(); t != l.reported.Swap(t) {
			seen[l.station.ID] = now.Add(time.Duration(t)*time.Millisecond - age)
		}
	}
	if len(seen) > 0 {
		g.platform.Seen(seen)
	}
}

// Close ends the housekeeping and waits until the end of every link is recorded. Drain comes before it.
func (g *Gateway) Close() error {
	close(g.stop)
	g.stopped.Wait()
	g.draining.Store(true)
	for _, l := range g.all() {
		_ = l.conn.NetConn().Close() // it was not drained in time
	}
	g.linked.Wait()
	for _, s := range g.subs {
		if err := s.Unsubscribe(); err != nil {
			return fmt.Errorf("leave the cluster: %w", err)
		}
	}
	return nil
}

// Draining reports whether the gateway takes no new frames any more.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Handler serves the stations' URLs.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serveHTTP) }
