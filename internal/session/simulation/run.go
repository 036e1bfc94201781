package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"lumela/internal/bus"
	"lumela/internal/clock"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/session"
)

// Store is a database that outlives the processes that open it.
type Store interface {
	// Open opens it as a new process does. o carries what the simulation needs; the store adds where.
	Open(o db.Options) (*db.DB, error)
	// Crash makes the store what a process that is killed now leaves behind. The handle of the dead process goes on to work on
	// something that nobody reads any more, or is refused.
	Crash() error
	// Nodes is how many processes may have it open at once.
	Nodes() int
}

// Figures say what a run has gone through.
type Figures struct {
	Steps, Sent, Answered, Repeated, Crashes, Faults, Moves, Assumed, Sessions, Messages int
}

// Add adds another run's figures.
func (f *Figures) Add(g Figures) {
	f.Steps, f.Sent, f.Answered, f.Repeated = f.Steps+g.Steps, f.Sent+g.Sent, f.Answered+g.Answered, f.Repeated+g.Repeated
	f.Crashes, f.Faults, f.Moves, f.Assumed = f.Crashes+g.Crashes, f.Faults+g.Faults, f.Moves+g.Moves, f.Assumed+g.Assumed
	f.Sessions, f.Messages = f.Sessions+g.Sessions, f.Messages+g.Messages
}

// String lists the figures.
func (f Figures) String() string {
	return fmt.Sprintf("%d steps, %d messages sent, %d answered, %d of them repeated; %d crashes, %d disk faults, %d moves between nodes, %d ends assumed; %d sessions of %d messages",
		f.Steps, f.Sent, f.Answered, f.Repeated, f.Crashes, f.Faults, f.Moves, f.Assumed, f.Sessions, f.Messages)
}

// Run plays the world of a seed for a number of steps and holds the ledger to the truth. The error says what is wrong,
// and how it came to that.
func Run(seed uint64, steps int, store Store) (Figures, error) {
	w := &world{rng: rand.New(rand.NewPCG(seed, seed)), store: store, clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	w.chargers = newChargers(w.rng, 2+w.rng.IntN(3), w.clock.Now())
	err := w.play(steps)
	if err != nil {
		err = fmt.Errorf("seed %d: %w\nlast steps:\n  %s", seed, err, strings.Join(w.history, "\n  "))
	}
	return w.Figures, errors.Join(err, w.close())
}

// world is a run.
type world struct {
	rng      *rand.Rand
	store    Store
	clock    *clock.Fake
	chargers []*charger
	nodes    []*process
	all      []message // that were answered
	history  []string  // the latest steps
	migrated bool
	Figures
}

// process is one node.
type process struct {
	db     *db.DB
	bus    *bus.Bus
	ledger *session.Ledger
	fault  atomic.Pointer[fault]
}

// fault is what happens at a point of the next group transactions.
type fault struct {
	at   db.Point
	hit  bool
	dead func() error // the process is killed there
}

var errDisk = errors.New("the disk fails, as the simulation wants")

const mostHistory = 60

func (w *world) did(format string, args ...any) {
	if w.history = append(w.history, fmt.Sprintf(format, args...)); len(w.history) > mostHistory {
		w.history = w.history[1:]
	}
}

func (w *world) play(steps int) error {
	for range w.store.Nodes() {
		p, err := w.start()
		if err != nil {
			return err
		}
		w.nodes = append(w.nodes, p)
	}
	for range steps {
		w.Steps++
		if err := w.step(); err != nil {
			return err
		}
	}
	return w.end()
}

// start starts a node on the store as it is.
func (w *world) start() (*process, error) {
	p := &process{}
	log := slog.New(slog.DiscardHandler)
	var err error
	if p.db, err = w.store.Open(db.Options{Clock: w.clock, Fault: p.fail, Log: log}); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if !w.migrated {
		if err := p.db.Migrate(context.Background(), event.Migrations, session.Migrations); err != nil {
			return nil, errors.Join(err, p.db.Close())
		}
		w.migrated = true
	}
	if p.bus, err = bus.Open(context.Background(), bus.Options{Log: log}); err != nil {
		return nil, errors.Join(err, p.db.Close())
	}
	p.ledger = session.New(p.db, event.NewLog(p.db, p.bus, log), log)
	if err := p.ledger.Recover(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("recover: %w", err), p.stop())
	}
	return p, nil
}

// stop ends a node in order.
func (p *process) stop() error {
	return errors.Join(p.ledger.Close(), p.bus.Close(), p.db.Close())
}

// kill forgets a node that is dead. Its database handle is of no use any more.
func (p *process) kill() {
	_ = p.bus.Close() // the dead tell nothing
	_ = p.db.Close()  // what it says is of a store that is gone
	_ = p.ledger.Close()
}

// fail is asked by the database.
func (p *process) fail(at db.Point) error {
	f := p.fault.Load()
	if f == nil || f.at != at || f.hit {
		return nil
	}
	f.hit = true
	if f.dead != nil {
		return errors.Join(errDisk, f.dead())
	}
	return errDisk
}

// step is one thing that happens in the world.
func (w *world) step() error {
	w.clock.Advance(time.Duration(w.rng.IntN(240)) * time.Second)
	for _, c := range w.chargers {
		c.live(w.rng, w.clock.Now())
	}
	c := w.chargers[w.rng.IntN(len(w.chargers))]
	switch n := w.rng.IntN(100); {
	case n < 62:
		for range 1 + w.rng.IntN(8) { // a queue is sent at once
			if err := w.send(c, nil); err != nil {
				return err
			}
		}
		return nil
	case n < 68:
		return w.repeat(c)
	case n < 74:
		return w.send(c, &fault{at: w.point()})
	case n < 80:
		return w.sendAndDie(c)
	case n < 84:
		return w.restart(w.rng.IntN(len(w.nodes)))
	case n < 90:
		return w.move(c)
	case n < 93:
		w.did("%s loses its link", c.id)
		return w.release(c)
	case n < 96:
		return w.assume()
	case n < 99:
		return w.look()
	}
	w.did("%s is offline for hours", c.id)
	w.clock.Advance(time.Duration(w.rng.IntN(180)) * time.Minute)
	return nil
}

func (w *world) point() db.Point {
	return []db.Point{db.BeforeBegin, db.BeforeCommit, db.AfterCommit}[w.rng.IntN(3)]
}

// send has a station send one message. With a fault the node may not be able to store it; then it must not say so.
func (w *world) send(c *charger, f *fault) error {
	if len(c.outbox) == 0 {
		return nil
	}
	p, i := w.nodes[c.node], c.pick(w.rng)
	m := c.outbox[i]
	w.Sent++
	p.fault.Store(f)
	_, err := p.ledger.Apply(context.Background(), m.event(w.clock.Now()))
	p.fault.Store(nil)
	switch {
	case err != nil && f == nil:
		return fmt.Errorf("%s is not stored: %w", m.String(), err)
	case err != nil:
		w.Faults++
		w.did("%s is not answered: fault %s", m.String(), f.at)
	case w.rng.IntN(12) == 0:
		w.all = append(w.all, m)
		w.did("%s is answered; the answer is lost", m.String())
	default:
		w.Answered++
		w.all = append(w.all, c.settled(i))
		w.did("%s is answered", m.String())
	}
	return nil
}

// repeat has a station send again what was answered.
func (w *world) repeat(c *charger) error {
	if len(c.answered) == 0 {
		return nil
	}
	m := c.answered[w.rng.IntN(len(c.answered))]
	w.Repeated++
	w.did("%s is sent again", m.String())
	if _, err := w.nodes[c.node].ledger.Apply(context.Background(), m.event(w.clock.Now())); err != nil {
		return fmt.Errorf("%s, sent again, is refused: %w", m.String(), err)
	}
	return nil
}

// sendAndDie kills the station's node at some point of storing a message, and starts another on what is left.
func (w *world) sendAndDie(c *charger) error {
	p := w.nodes[c.node]
	var crash error
	f := &fault{at: w.point(), dead: func() error { crash = w.store.Crash(); return crash }}
	w.did("node %d dies %s", c.node, f.at)
	if err := w.send(c, f); err != nil {
		return err
	}
	if !f.hit { // nothing was written
		if crash = w.store.Crash(); crash != nil {
			return fmt.Errorf("crash: %w", crash)
		}
	}
	if crash != nil {
		return fmt.Errorf("crash: %w", crash)
	}
	p.kill()
	return w.replace(c.node)
}

func (w *world) replace(node int) error {
	w.Crashes++
	next, err := w.start()
	if err != nil {
		return err
	}
	w.nodes[node] = next
	return w.check()
}

// restart stops a node in order and starts it again.
func (w *world) restart(node int) error {
	w.did("node %d restarts", node)
	for _, c := range w.chargers {
		if c.node == node {
			if err := w.release(c); err != nil {
				return err
			}
		}
	}
	if err := w.nodes[node].stop(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return w.replace(node)
}

// move connects a station elsewhere. The old node may not have noticed.
func (w *world) move(c *charger) error {
	old := c.node
	c.node = w.rng.IntN(len(w.nodes))
	w.Moves++
	noticed := w.rng.IntN(2) == 0
	w.did("%s moves from node %d to %d, noticed: %t", c.id, old, c.node, noticed)
	if !noticed {
		return nil
	}
	return w.nodes[old].ledger.Release(context.Background(), c.id)
}

func (w *world) release(c *charger) error {
	if err := w.nodes[c.node].ledger.Release(context.Background(), c.id); err != nil {
		return fmt.Errorf("release %s: %w", c.id, err)
	}
	return nil
}

// assume ends a running session without its station's word.
func (w *world) assume() error {
	p := w.nodes[w.rng.IntN(len(w.nodes))]
	active, err := p.ledger.Active(context.Background())
	if err != nil || len(active) == 0 {
		return err
	}
	slices.SortFunc(active, func(a, b *session.Session) int { return strings.Compare(a.TransactionID, b.TransactionID) })
	s := active[w.rng.IntN(len(active))]
	w.Assumed++
	w.did("the end of %s is assumed", s.TransactionID)
	_, err = p.ledger.AssumeEnd(context.Background(), organisation, s.ID, session.Act{Who: session.Guardian, Text: "nothing was heard of it"}, nil)
	if err != nil {
		return fmt.Errorf("assume the end of %s: %w", s.TransactionID, err)
	}
	return nil
}

// look reads a session with all of its messages, as people do at any time.
func (w *world) look() error {
	p := w.nodes[w.rng.IntN(len(w.nodes))]
	active, err := p.ledger.Active(context.Background())
	if err != nil || len(active) == 0 {
		return err
	}
	_, err = p.ledger.Events(context.Background(), active[w.rng.IntN(len(active))].ID)
	return err
}

func (w *world) close() error {
	var errs []error
	for _, p := range w.nodes {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}
