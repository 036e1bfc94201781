package gateway

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Node is the present name of this node in the cluster.
func (g *Gateway) Node() string { return *g.node.Load() }

// OutOfReach is the reason of the end of links whose node the others took for dead.
const OutOfReach = "this node was out of reach"

// Rename gives this node, which the others took for dead, another name, and closes every link of the old one: its stations
// may be elsewhere already. New links begin under the new name.
func (g *Gateway) Rename(name string) {
	g.node.Store(&name)
	g.CloseAll(OutOfReach)
}

// CloseAll sends every station away; they come back at once, to whatever node lets them in.
func (g *Gateway) CloseAll(reason string) {
	for _, l := range g.all() {
		go l.sendAway(reason)
	}
}

// goodbyeTimeout is how long a station may take to hear a close frame.
const goodbyeTimeout = 2 * time.Second

// sendAway closes the link with 1012 (RFC 6455 registry: service restart), whether or not the other end reads.
func (l *Link) sendAway(reason string) {
	cut := time.AfterFunc(goodbyeTimeout, func() { _ = l.conn.NetConn().Close() })
	defer cut.Stop()
	l.close(1012, reason)
	<-l.ctx.Done()
}

// LinkIDs are the live links of this node by station.
func (g *Gateway) LinkIDs() map[string]string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make(map[string]string, len(g.links))
	for id, l := range g.links {
		out[id] = l.id
	}
	return out
}

// CloseStale ends a link that is not the station's any more: because a newer one took its place elsewhere, or because the
// node was taken for dead.
func (g *Gateway) CloseStale(id, link string, newer bool) {
	l := g.Link(id)
	if l == nil || l.id != link {
		return
	}
	g.Counters.Stale.Add(1)
	g.log.Warn("link closed that is not the station's any more", "station", id, "newer", newer)
	if newer {
		l.close(1000, replaced+" on another node")
		return
	}
	go l.sendAway(OutOfReach)
}

// isAnswer reports whether a frame is the answer to a call of ours, [3,…] or [4,…].
func isAnswer(text string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(text, " \t\r\n"), "[")
	rest = strings.TrimLeft(rest, " \t\r\n")
	return ok && rest != "" && (rest[0] == '3' || rest[0] == '4')
}

// drainRest is what Drain keeps of its time for the closing of the links.
const drainRest = 1500 * time.Millisecond

// Drain takes no new frames and no new calls, lets those that are under way finish, and closes every link with 1001. It
// returns when all are closed or ctx ends; the calls are given up a moment before.
func (g *Gateway) Drain(ctx context.Context) {
	g.draining.Store(true)
	calling, cancel := ctx, context.CancelFunc(func() {})
	if until, ok := ctx.Deadline(); ok {
		calling, cancel = context.WithDeadline(ctx, until.Add(-drainRest))
	}
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range g.all() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			l.calls.finish(calling)
			l.serving.Lock() // the frame under way
			defer l.serving.Unlock()
			l.close(1001, "the service is being restarted")
		}()
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		g.waitEmpty(ctx)
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (g *Gateway) waitEmpty(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for g.Links() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// flight counts what is under way, until no more is taken.
type flight struct {
	mu    sync.Mutex
	n     int
	going chan struct{} // closed when no more is taken
	gone  bool
	empty chan struct{} // closed when the last one has ended after that
}

func (f *flight) open() { f.going, f.empty = make(chan struct{}), make(chan struct{}) }

// begin reports whether one more may be under way.
func (f *flight) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return false
	}
	f.n++
	return true
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.gone {
		close(f.empty)
	}
}

// leaving is closed when no more is taken.
func (f *flight) leaving() <-chan struct{} { return f.going }

// finish takes no more and waits until all is done or ctx ends.
func (f *flight) finish(ctx context.Context) {
	f.mu.Lock()
	if !f.gone {
		f.gone = true
		close(f.going)
		if f.n == 0 {
			close(f.empty)
		}
	}
	f.mu.Unlock()
	select {
	case <-f.empty:
	case <-ctx.Done():
	}
}
