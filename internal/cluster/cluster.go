// Package cluster knows the nodes of an installation: who is there, who has died, and who takes over.
//
// A node has a row and raises a number in it every few seconds. The others watch the number by their own clocks; when it
// stands still for too long, one of them declares the node dead by changing its row, and only that one takes over what
// the dead node held. A node that finds its row changed, because it was frozen or cut off, gives up all that it held
// under its old name and goes on under a new one: names are never used twice, so nothing that it still writes under the
// old one can be mistaken. DESIGN.md beside this file gives the whole argument.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"lumela/internal/bus"
	"lumela/internal/db"
)

// The times of the registry.
const (
	// BeatEvery is how often a node says that it lives, and looks whether the others do.
	BeatEvery = 2500 * time.Millisecond
	// DeadAfter is how long a node may be silent before it is declared dead.
	DeadAfter = 10 * time.Second
	// remember is how long the rows of nodes that are gone are kept.
	remember = 24 * time.Hour
)

// State is how a node stands.
type State string

// The states of a node.
const (
	Up       State = "up"
	Draining State = "draining" // it takes nothing new and will leave
	Lost     State = "lost"     // declared dead; what it held is being taken over
	Dead     State = "dead"     // taken over
	Left     State = "left"     // it ended in order
)

// Alive reports whether a node in this state serves.
func (s State) Alive() bool { return s == Up || s == Draining }

// Node is one process of the installation.
type Node struct {
	ID        string     `json:"id" doc:"Made at the start; never used twice"`
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	State     State      `json:"state" enum:"up,draining,lost,dead,left"`
	StartedAt time.Time  `json:"startedAt" doc:"When it began under this id"`
	SeenAt    time.Time  `json:"seenAt" doc:"Last heartbeat, by the node's own clock"`
	Links     int64      `json:"links" doc:"Stations with a link to the node, as of the last heartbeat"`
	Bus       bool       `json:"bus" doc:"Whether the node reached the bus at the last heartbeat"`
	EndedAt   *time.Time `json:"endedAt" doc:"When it left or was declared dead"`

	beat int64
	heir string
}

// Hooks are what the rest of the node does for the registry, and what it wants to hear. Each may be nil.
type Hooks struct {
	// Links counts the stations that are linked to this node.
	Links func() int
	// TakeOver frees what a node that is no more held. It may be called again for the same node, by this one or another,
	// and must bear it. An error means that it is called again at the next heartbeat.
	TakeOver func(ctx context.Context, node string) error
	// Renamed is called when the others have declared this node dead under its old name. When it returns, nothing may be
	// done under the old name any more: all links are closed.
	Renamed func(old, now string)
	// CutOff is called once per outage when this node has not reached the database for DeadAfter although others do, or
	// when it reaches nobody at all. The others have declared it dead, or will: its stations are better off elsewhere.
	CutOff func()
	// Beat is called after each heartbeat that reached the database.
	Beat func(ctx context.Context)
}

// Options of a member.
type Options struct {
	ID      string // made when empty
	Name    string // shown to people; need not be unique
	Version string
	// BeatEvery and DeadAfter are the package's when 0.
	BeatEvery, DeadAfter time.Duration
	Hooks                Hooks
}

// Member is this process in the cluster.
type Member struct {
	o   Options
	db  *db.DB
	bus *bus.Bus
	log *slog.Logger

	id    atomic.Pointer[string]
	watch watch
	sub   *bus.Subscription

	mu       sync.Mutex
	draining bool
	beaten   time.Time // last heartbeat that reached the database
	others   []Node    // as of then
	mute     int       // heartbeats in a row without the bus
	cut      bool
	failing  bool // the last heartbeat did not reach the database

	cancel   context.CancelFunc
	done     chan struct{}
	Counters Counters
}

// Counters are figures of the member since it started.
type Counters struct {
	Declared atomic.Int64 // nodes that this one declared dead
	Renamed  atomic.Int64 // times that this one was declared dead
	CutOff   atomic.Int64 // times that it gave up its links because it did not reach the database
}

// New makes a member that has not joined yet.
func New(d *db.DB, b *bus.Bus, log *slog.Logger, o Options) *Member {
	if o.ID == "" {
		o.ID = uuid.NewString()
	}
	if o.BeatEvery <= 0 {
		o.BeatEvery = BeatEvery
	}
	if o.DeadAfter <= 0 {
		o.DeadAfter = DeadAfter
	}
	m := &Member{o: o, db: d, bus: b, log: log, watch: watch{deadAfter: o.DeadAfter, gap: 2 * o.BeatEvery}}
	m.id.Store(&o.ID)
	return m
}

// ID is the present name of this node. It changes when the others have declared it dead.
func (m *Member) ID() string { return *m.id.Load() }

// SetHooks says who is told of what. It is called before Start.
func (m *Member) SetHooks(h Hooks) { m.o.Hooks = h }

// Join writes this node's row and reports whether no other node is there, dead or alive: then whatever an earlier
// process held is this node's to take over.
func (m *Member) Join(ctx context.Context) (alone bool, err error) {
	if err := m.register(ctx, m.ID()); err != nil {
		return false, err
	}
	if m.db.Engine() == db.SQLite { // a file has one process: all others are gone
		if err := m.outlive(ctx); err != nil {
			return false, err
		}
	}
	nodes, err := m.read(ctx)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	m.beaten, m.others = time.Now(), nodes
	m.mu.Unlock()
	return !slices.ContainsFunc(nodes, func(n Node) bool { return n.ID != m.ID() && (n.State.Alive() || n.State == Lost) }), nil
}

// Start begins to beat and to watch. On SQLite there is nobody to watch, and no reason to write.
func (m *Member) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.done = cancel, make(chan struct{})
	if m.db.Engine() == db.SQLite {
		close(m.done)
		return nil
	}
	var err error
	if m.sub, err = m.bus.Subscribe(askSubject, m.answer); err != nil {
		cancel()
		close(m.done)
		return fmt.Errorf("join the cluster: %w", err)
	}
	go m.run(ctx)
	return nil
}

// Drain lets the others know that this node will leave.
func (m *Member) Drain(ctx context.Context) error {
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
	return m.setState(ctx, m.ID(), Draining)
}

// Leave ends the watching and the row. All links are closed before.
func (m *Member) Leave(ctx context.Context) error {
	if m.cancel == nil {
		return nil
	}
	m.cancel()
	<-m.done
	var err error
	if m.sub != nil {
		if err = m.sub.Unsubscribe(); errors.Is(err, bus.ErrClosed) {
			err = nil
		}
	}
	return errors.Join(err, m.setState(ctx, m.ID(), Left))
}

func (m *Member) run(ctx context.Context) {
	defer close(m.done)
	for {
		t := time.NewTimer(m.o.BeatEvery - m.o.BeatEvery/10 + rand.N(m.o.BeatEvery/5+1)) // nodes should not all beat at once
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		m.turn(ctx)
	}
}

// turn is one heartbeat and what follows from it.
func (m *Member) turn(ctx context.Context) {
	beating, cancel := context.WithTimeout(ctx, 2*m.o.BeatEvery)
	nodes, err := m.beat(beating)
	cancel()
	if ctx.Err() != nil {
		return
	}
	m.tell(err)
	if err != nil {
		m.suspect(ctx)
		return
	}
	m.mu.Lock()
	m.beaten, m.others, m.cut = time.Now(), nodes, false
	if m.mute++; m.bus.Healthy() {
		m.mute = 0
	}
	m.mu.Unlock()
	for _, n := range m.watch.look(time.Now(), m.ID(), nodes) {
		m.declare(ctx, n)
	}
	for _, n := range nodes {
		m.inherit(ctx, n, nodes)
	}
	if m.o.Hooks.Beat != nil {
		m.o.Hooks.Beat(ctx)
	}
}

// beat raises this node's number and reads all nodes. A node whose row says that it is dead gets a new name first.
func (m *Member) beat(ctx context.Context) ([]Node, error) {
	alive, err := m.raise(ctx)
	if err != nil {
		return nil, err
	}
	if !alive {
		if err := m.rename(ctx); err != nil {
			return nil, err
		}
	}
	return m.read(ctx)
}

// rename gives this node, which the others take for dead, a new name. The new row stands before anything is done under
// the new name; the old one's links are closed before.
func (m *Member) rename(ctx context.Context) error {
	old, now := m.ID(), uuid.NewString()
	if err := m.register(ctx, now); err != nil {
		return err
	}
	m.Counters.Renamed.Add(1)
	m.log.Warn("the other nodes took this one for dead: it closes its links and goes on under a new name", "old", old, "new", now)
	m.id.Store(&now)
	if m.o.Hooks.Renamed != nil {
		m.o.Hooks.Renamed(old, now)
	}
	return nil
}

// tell logs the loss of the database and its return, once each.
func (m *Member) tell(err error) {
	m.mu.Lock()
	was, since := m.failing, m.beaten
	m.failing = err != nil
	m.mu.Unlock()
	switch {
	case err != nil && !was:
		m.log.Warn("heartbeat does not reach the database", "error", err)
	case err == nil && was:
		m.log.Info("heartbeat reaches the database again", "away", time.Since(since).Round(time.Second))
	}
}

// declare makes a silent node lost, unless it has beaten since or another node was first, and becomes its heir.
func (m *Member) declare(ctx context.Context, n Node) {
	won, err := m.markLost(ctx, n)
	if err != nil {
		m.log.Error("silent node not declared dead, it is tried again", "node", n.ID, "name", n.Name, "error", err)
		return
	}
	if !won {
		return
	}
	m.Counters.Declared.Add(1)
	m.log.Warn("node declared dead: it has been silent for too long", "node", n.ID, "name", n.Name, "links", n.Links, "last", n.SeenAt)
	m.takeOver(ctx, n.ID)
}

// inherit goes on with taking a lost node over: this node is its heir, or the heir is gone itself.
func (m *Member) inherit(ctx context.Context, n Node, nodes []Node) {
	if n.State != Lost {
		return
	}
	if n.heir != m.ID() {
		if slices.ContainsFunc(nodes, func(h Node) bool { return h.ID == n.heir && h.State.Alive() }) {
			return
		}
		won, err := m.succeed(ctx, n)
		if err != nil {
			m.log.Error("lost node not taken over, it is tried again", "node", n.ID, "error", err)
		}
		if err != nil || !won {
			return
		}
	}
	m.takeOver(ctx, n.ID)
}

// takeOverTimeout bounds one attempt: the heartbeat must go on. What was done stays done.
const takeOverTimeout = 30 * time.Second

func (m *Member) takeOver(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, takeOverTimeout)
	defer cancel()
	beating := m.keepBeating(ctx)
	defer beating()
	begun := time.Now()
	if f := m.o.Hooks.TakeOver; f != nil {
		if err := f(ctx, id); err != nil {
			m.log.Error("lost node not taken over, it is tried again", "node", id, "error", err)
			return
		}
	}
	if err := m.setState(ctx, id, Dead); err != nil {
		m.log.Error("lost node not taken over, it is tried again", "node", id, "error", err)
		return
	}
	m.log.Info("lost node taken over", "node", id, "took", time.Since(begun).Round(time.Millisecond))
}

// keepBeating raises this node's number while it does something long. The function that it gives ends it.
func (m *Member) keepBeating(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(m.o.BeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := m.raise(ctx); err == nil { // a row that says dead is seen at the next turn
				m.mu.Lock()
				m.beaten = time.Now()
				m.mu.Unlock()
			}
		}
	}()
	return func() { cancel(); <-done }
}

const askSubject = "lumela.cluster.ask"

// suspect asks the others, when the database has been out of reach for too long, whether it is so for them as well.
// Where they reach it this node is cut off; where nobody is reached at all it most likely is too, and where the others
// lack the database as well the stations are as well off here as anywhere.
func (m *Member) suspect(ctx context.Context) {
	m.mu.Lock()
	wait := m.cut || time.Since(m.beaten) < m.o.DeadAfter || !m.bus.External()
	m.mu.Unlock()
	if wait {
		return
	}
	reason := "neither the database nor the bus is reached"
	if m.bus.Healthy() {
		asking, cancel := context.WithTimeout(ctx, m.o.BeatEvery/2)
		_, err := m.bus.Request(asking, askSubject, []byte(m.ID()))
		cancel()
		if err != nil {
			return
		}
		reason = "other nodes reach the database"
	}
	m.mu.Lock()
	m.cut = true
	m.mu.Unlock()
	m.Counters.CutOff.Add(1)
	m.log.Error("this node is cut off: it closes its links, so that the stations find another node", "because", reason)
	if m.o.Hooks.CutOff != nil {
		m.o.Hooks.CutOff()
	}
}

// answer tells another node that this one reaches the database. Silence says that it does not.
func (m *Member) answer(msg bus.Msg) {
	if string(msg.Data) == m.ID() || !m.Fresh() {
		return
	}
	if err := msg.Respond([]byte(m.ID())); err != nil && !errors.Is(err, bus.ErrClosed) {
		m.log.Warn("another node's question not answered", "error", err)
	}
}

// Fresh reports whether the last heartbeats reached the database.
func (m *Member) Fresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.failing && time.Since(m.beaten) < 2*m.o.BeatEvery
}

// Silence is how long ago the last heartbeat reached the database.
func (m *Member) Silence() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.beaten)
}

// Alive counts the nodes that serve, this one included, as of the last heartbeat.
func (m *Member) Alive() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, o := range m.others {
		if o.State.Alive() {
			n++
		}
	}
	return n
}

// muteAfter is how many heartbeats without the bus make a node say so: by then the others have told whether they have it.
const muteAfter = 3

// Mute reports whether this node has been without the bus for some heartbeats while another node that serves has it.
func (m *Member) Mute() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mute >= muteAfter && slices.ContainsFunc(m.others, func(n Node) bool { return n.ID != m.ID() && n.State == Up && n.Bus })
}
