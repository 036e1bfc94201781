package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"lumela/internal/api"
	"lumela/internal/bus"
	"lumela/internal/cluster"
	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/gateway"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
)

// clustered reports whether other nodes may share the database.
func (n *node) clustered() bool { return n.cfg.NATS != "" || n.cfg.Database != "" }

// joinCluster registers this node, and takes over what earlier processes held where nobody else will.
func (n *node) joinCluster(ctx context.Context) error {
	name := n.cfg.NodeName
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return fmt.Errorf("find the name of this machine; --node-name gives another: %w", err)
		}
	}
	n.member = cluster.New(n.db, n.bus, n.log, cluster.Options{ID: n.name, Name: name, Version: Version})
	n.member.SetHooks(cluster.Hooks{Links: n.links, TakeOver: n.takeOver, Beat: n.beat, Renamed: n.renamed,
		CutOff: func() { n.gateway.CloseAll("this node does not reach the database") }})
	n.commands.SetNode(n.member.ID)
	alone, err := n.member.Join(ctx)
	if err != nil {
		return err
	}
	if !alone { // what is there is the other nodes' business, or that of the heirs of those that died
		return nil
	}
	orphans, err := n.stations.LinkNodes(ctx)
	if err != nil {
		return err
	}
	if !n.clustered() { // its name is the same at every start
		orphans = append(orphans, n.name)
	}
	slices.Sort(orphans)
	for _, orphan := range append(slices.Compact(orphans), "") { // "": from before there was a registry
		if err := n.release(ctx, orphan); err != nil {
			return err
		}
	}
	return n.ledger.Recover(ctx) // before stations can add to what is recovered
}

// links counts the links of this node; the gateway opens after the node has joined.
func (n *node) links() int {
	if n.gateway == nil {
		return 0
	}
	return n.gateway.Links()
}

// ledgerShare is how long the sessions of a dead node may take to be computed again before its stations are shown offline.
const ledgerShare = 15 * time.Second

// takeOver frees what a node held that is no more. Sessions come first, because the links say which they are; they are
// right as soon as somebody goes on with them in any case, so their failure does not hold up the rest.
func (n *node) takeOver(ctx context.Context, node string) error {
	held, err := n.stations.LinksAt(ctx, node)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		recovering, cancel := context.WithTimeout(ctx, ledgerShare)
		if err := n.ledger.RecoverOn(recovering, func(id station.ID) bool { _, ok := held[id]; return ok }); err != nil {
			n.log.Error("sessions of a lost node not computed again; they will be when their stations speak", "node", node, "error", err)
		}
		cancel()
	}
	return n.release(ctx, node)
}

// release frees the stations, commands, requests and jobs of a node that is no more.
func (n *node) release(ctx context.Context, node string) error {
	var lost error
	if node != "" {
		lost = n.stations.NodeLost(ctx, node, time.Now())
	}
	return errors.Join(lost, n.commands.Recover(ctx, node), n.db.Write(ctx, func(tx *db.Tx) error {
		if err := api.ReleaseNode(tx, node); err != nil {
			return err
		}
		return n.jobs.ReleaseNode(tx, node)
	}))
}

// renamed is called when the others have taken this node for dead.
func (n *node) renamed(_, now string) {
	if n.gateway != nil {
		n.gateway.Rename(now)
	}
}

// How many heartbeats lie between two looks at every link, and between two at the queues.
const (
	compareEvery = 6
	sweepEvery   = 2
)

// beat compares the links of this node with what the database says of them, and looks after the queues.
func (n *node) beat(ctx context.Context) {
	if n.gateway == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	n.beats++
	if err := n.compareLinks(ctx, n.beats%compareEvery == 0); err != nil {
		n.log.Warn("links not compared with the database", "error", err)
	}
	if n.beats%sweepEvery != 0 || n.draining.Load() {
		return
	}
	if err := n.commands.Sweep(ctx, func(id station.ID) bool { return n.gateway.Link(string(id)) != nil }); err != nil {
		n.log.Warn("queues not looked after", "error", err)
	}
}

// compareLinks closes the links whose station has another one, which the bus failed to say, and ends those that the
// database still has although they are gone. It is one count as long as the numbers agree.
func (n *node) compareLinks(ctx context.Context, thorough bool) error {
	mine, node := n.gateway.LinkIDs(), n.member.ID() // before the database is read: what is compared was in it by then
	count, err := n.stations.CountLinksAt(ctx, node)
	if err != nil || count == len(mine) && !thorough {
		return err
	}
	rows, err := n.stations.LinksAt(ctx, node)
	if err != nil {
		return err
	}
	for id, link := range mine {
		if rows[station.ID(id)] == link {
			continue
		}
		where, err := n.stations.Where(ctx, station.ID(id))
		if err != nil && !problem.Is(err, problem.NotFound) {
			return err
		}
		n.gateway.CloseStale(id, link, where.Node != "")
	}
	gone := map[station.ID]string{}
	for id, link := range rows {
		if l := n.gateway.Link(string(id)); l == nil || l.ID() != link {
			gone[id] = link
		}
	}
	for id, link := range gone {
		if n.gone[id] == link { // twice: one that begins, or has just ended, is between database and gateway for a moment
			if err := n.stations.Unlink(ctx, id, link, time.Now()); err != nil {
				return err
			}
		}
	}
	n.gone = gone
	return nil
}

const (
	// findFor is how long a command looks for a station that is said to be somewhere, or expected back: as long as it takes
	// to notice that a node is dead, and a little more.
	findFor = cluster.DeadAfter + 2*time.Second
	// expectFor is how long after the end of its node a station is expected back.
	expectFor = 10 * time.Second
	lookEvery = 100 * time.Millisecond
)

// call reaches a station on whichever node it is, also while it moves from one to another.
func (n *node) call(ctx context.Context, id station.ID, req ocpp.Request) (gateway.Answer, error) {
	begun := time.Now()
	for {
		a, err := n.gateway.Call(ctx, string(id), req)
		if !problem.Is(err, problem.Offline) || !n.clustered() {
			return a, err
		}
		where, werr := n.stations.Where(ctx, id)
		if werr != nil {
			return a, errors.Join(err, werr)
		}
		if where.Node == "" && !expected(where) {
			return a, err
		}
		apart := where.Node != "" && where.Node != n.member.ID() && !n.bus.Healthy()
		if apart || time.Since(begun) > findFor {
			if where.Node == "" {
				return a, err
			}
			return a, &problem.Error{Op: "reach the station", Kind: problem.Unavailable, Err: err,
				Text: "the node that holds the station's link cannot be reached at the moment; nothing was sent"}
		}
		select {
		case <-ctx.Done():
			return a, problem.New(problem.Timeout, "the station was moving to another node; nothing was sent")
		case <-time.After(lookEvery):
		}
	}
}

// expected reports whether a station lost its link through a node and has not had the time to come back.
func expected(w station.Whereabouts) bool {
	return (w.Reason == station.ReasonRestart || w.Reason == station.ReasonNodeLost || w.Reason == gateway.OutOfReach) && time.Since(w.Ended) < expectFor
}

// What an operator decides of a station by one node concerns the link that another one may hold.
const (
	decidedSubject = "lumela.station.decided"
	blockedSubject = "lumela.station.blocked"
)

// hearOperators does for the links of this node what was decided by another one.
func (n *node) hearOperators() error {
	if !n.bus.External() {
		return nil
	}
	decided, err := n.bus.Subscribe(decidedSubject, func(m bus.Msg) {
		link := n.gateway.Link(string(m.Data))
		if link == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		st, err := n.stations.Get(ctx, station.ID(m.Data))
		if err != nil {
			n.log.Warn("decision by another node not carried out; the station hears of it when it boots", "station", string(m.Data), "error", err)
			return
		}
		n.csms.Decided(st, link)
	})
	if err != nil {
		return fmt.Errorf("listen to other nodes: %w", err)
	}
	blocked, err := n.bus.Subscribe(blockedSubject, func(m bus.Msg) {
		var b blockedStation
		if err := json.Unmarshal(m.Data, &b); err != nil {
			n.log.Warn("unreadable block", "error", err)
			return
		}
		n.gateway.Disconnect(b.Station, b.Reason)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("listen to other nodes: %w", err), decided.Unsubscribe())
	}
	n.onClose(func() error { return errors.Join(decided.Unsubscribe(), blocked.Unsubscribe()) })
	return nil
}

type blockedStation struct{ Station, Reason string }

// decided tells the link of a station, wherever it is, that an operator has accepted or rejected it.
func (n *node) decided(st *station.Station) {
	if l := n.gateway.Link(string(st.ID)); l != nil || !n.bus.External() {
		n.csms.Decided(st, l)
		return
	}
	if err := n.bus.Publish(decidedSubject, []byte(st.ID)); err != nil {
		n.log.Warn("decision not told to the other nodes; the station hears of it when it boots", "station", st.ID, "error", err)
	}
}

// blocked ends the link of a station, wherever it is.
func (n *node) blocked(id station.ID, reason string) {
	if n.gateway.Link(string(id)) != nil || !n.bus.External() {
		n.gateway.Disconnect(string(id), reason)
		return
	}
	body, err := json.Marshal(blockedStation{string(id), reason})
	if err == nil {
		err = n.bus.Publish(blockedSubject, body)
	}
	if err != nil {
		n.log.Warn("block not told to the other nodes; it holds from the station's next link on", "station", id, "error", err)
	}
}

// Call implements command.Caller.
func (c caller) Call(ctx context.Context, id station.ID, req ocpp.Request) (command.Result, error) {
	if err := c.n.csms.Asking(ctx, id, req); err != nil {
		return command.Result{}, err
	}
	a, err := c.n.call(ctx, id, req)
	c.n.csms.Asked(ctx, id, req, err)
	return command.Result{Response: a.Response, Notes: a.Notes}, err
}

// notReady is why this node should get no new connections, nil when it should. A node without the bus still serves its own
// stations and answers the API from the database, so that a lost bus alone must not take every node out of service; where
// others have the bus they are the better choice.
func (n *node) notReady(ctx context.Context) error {
	switch {
	case n.draining.Load() || n.gateway.Draining():
		return errors.New("draining")
	case n.db.Healthy() != nil:
		since, reason := n.db.Outage()
		return fmt.Errorf("the database has not written since %s: %w", since.UTC().Format(time.RFC3339), reason)
	case !n.bus.Healthy() && (!n.bus.External() || n.member.Mute()):
		return errors.New("the bus is not connected")
	}
	return n.db.Ping(ctx)
}

func (n *node) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := n.notReady(ctx); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, "not ready:", err)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
	if !n.bus.Healthy() {
		_, _ = fmt.Fprintln(w, "the bus is not reached: commands reach only the stations of this node")
	}
}

// closing tells the clients of a node that drains to come by a new connection next time, which leads elsewhere.
func (n *node) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.draining.Load() && !gateway.Serves(r) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// leaveTimeout bounds the last word of a node; without it the others find out by themselves.
const leaveTimeout = 2 * time.Second

func (n *node) leaveCluster() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := n.member.Leave(ctx); err != nil {
		n.log.Warn("the other nodes do not know that this one has left; they will notice", "error", err)
	}
	return nil
}
