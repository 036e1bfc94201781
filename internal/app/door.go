package app

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// door bounds the connections of the node: there is a limit of open files, and the database needs some of them. When the
// house is full, whoever came in and said nothing must leave, then whoever is done and only keeps the line; when everybody
// is busy, the newcomer is turned away. Stations say something at once.
type door struct {
	most int

	mu      sync.Mutex
	inside  int
	waiting list.List // of *visitor: those that are no links, in the order in which they came
	left    int64     // that had to leave
	turned  int64     // that were turned away
}

const (
	// filesInReserve are for databases, logs and connections of our own.
	filesInReserve = 512
	// silence is how long a connection may say nothing before it has to leave a full house.
	silence = 2 * time.Second
)

// newDoor takes its bound from the limit of open files.
func newDoor() *door {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 1024 // what every system allows
	}
	most := int64(1 << 20)
	if limit.Cur < 1<<20 {
		most = int64(limit.Cur)
	}
	return &door{most: int(max(most-filesInReserve, most/2))}
}

// visitor is one connection.
type visitor struct {
	net.Conn
	door  *door
	place *list.Element // among those that wait, nil for a link and when it is gone; guarded by door.mu
	since time.Time
	state http.ConnState // guarded by door.mu
	once  sync.Once
}

// Close implements net.Conn.
func (v *visitor) Close() error {
	v.once.Do(func() { v.door.leave(v) })
	return v.Conn.Close()
}

func (d *door) leave(v *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	if v.place != nil {
		d.waiting.Remove(v.place)
		v.place = nil
	}
}

// enter lets a connection in; nil when there is no place.
func (d *door) enter(c net.Conn) *visitor {
	v := &visitor{Conn: c, door: d, since: time.Now()}
	var leaves *visitor
	d.mu.Lock()
	full := d.inside >= d.most
	if full {
		if leaves = d.whoLeaves(v.since); leaves == nil {
			d.turned++
			d.mu.Unlock()
			return nil
		}
		d.left++
	}
	d.inside++
	v.place = d.waiting.PushBack(v)
	d.mu.Unlock()
	if leaves != nil {
		_ = leaves.Close() // nothing was said on it, or everything
	}
	return v
}

// whoLeaves finds a connection that does nothing.
func (d *door) whoLeaves(now time.Time) *visitor {
	var idle *visitor
	for e := d.waiting.Front(); e != nil; e = e.Next() {
		v := e.Value.(*visitor)
		switch {
		case v.state == http.StateNew && now.Sub(v.since) > silence:
			return v
		case v.state == http.StateIdle && idle == nil:
			idle = v
		}
	}
	return idle
}

// changed is the http.Server's ConnState.
func (d *door) changed(c net.Conn, state http.ConnState) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	v, ok := c.(*visitor)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v.state = state
	if state == http.StateHijacked && v.place != nil { // it is a link from now on
		d.waiting.Remove(v.place)
		v.place = nil
	}
}

// guarded is a listener behind the door.
type guarded struct {
	net.Listener
	door *door
}

// Accept implements net.Listener.
func (g guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := g.door.enter(c); v != nil {
			return v, nil
		}
		_ = c.Close() // nothing was said on it
	}
}

// bodyTime bounds the reading of a request's body, also of one that nobody wants and that is read away.
const bodyTime = time.Minute

// boundBody sets a deadline for a request's body. After one whose length is not told the connection ends: what a proxy in
// front took for the rest of it must not be taken for a request here, RFC 9112 6.3.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // where there is none to set, there is no network
	}
}
