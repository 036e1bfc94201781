package app_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lumela/internal/app/apptest"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/sim"
	"lumela/internal/tool/soak"
	"lumela/ocpp"
)

// network is an installation of three nodes, each a process of its own, on one PostgreSQL and a NATS cluster, behind a
// balancer.
type network struct {
	t        *testing.T
	database string
	sql      *sql.DB
	nats     *apptest.NATS
	nodes    []*soak.Node
	balancer *apptest.Balancer
	*apptest.Client
	// One for each node, where the network can be cut.
	toNATS, toDatabase []*apptest.Relay
}

const many = 3

// newNetwork starts all nodes at the same moment, on an empty database.
func newNetwork(t *testing.T, cuttable bool, more ...string) *network {
	t.Helper()
	w := &network{t: t, database: dbtest.Fresh(t, db.Postgres).URL, nats: apptest.StartNATS(t, many)}
	var err error
	if w.sql, err = sql.Open("pgx", w.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.sql.Close() }) // nothing is pending
	addrs := make([]string, many)
	for i := range many {
		database, bus := w.database, w.nats.Addr(i)
		if cuttable {
			relay, through := apptest.RelayPostgres(t, database)
			w.toDatabase, database = append(w.toDatabase, relay), through
			w.toNATS = append(w.toNATS, apptest.NewRelay(t, "tcp", bus))
			bus = w.toNATS[i].Addr
		}
		n := child(t, t.TempDir(), database, append([]string{"--nats", "nats://" + bus, "--node-name", fmt.Sprint("node-", i), "--links-per-hour", "100000"}, more...)...)
		if err := n.Begin(); err != nil {
			t.Fatal(err)
		}
		w.nodes, addrs[i] = append(w.nodes, n), n.Addr
	}
	for _, n := range w.nodes {
		if err := n.Await(http.StatusOK); err != nil {
			t.Fatal(err)
		}
	}
	w.balancer = apptest.NewBalancer(t, addrs...)
	apptest.Poll(t, "all backends in service", func() bool { return w.balancer.Ready() == many })
	w.Client = &apptest.Client{Base: "http://" + w.balancer.Addr, Key: w.nodes[0].Key}
	return w
}

// at is a node as those see it who talk to it and not to the balancer.
func (w *network) at(i int) *apptest.Node {
	addr := w.nodes[i].Addr
	return &apptest.Node{Client: &apptest.Client{Base: "http://" + addr, Key: w.Key}, HTTPAddr: addr}
}

type clusterNode struct {
	ID, Name, State string
	Links           int
	Bus             bool
}

// registered are the nodes of the registry with a name, the latest last.
func (w *network) registered(name string) (found []clusterNode) {
	w.t.Helper()
	var list struct{ Items []clusterNode }
	w.Get(w.t, "/nodes", &list)
	for _, n := range list.Items {
		if n.Name == name {
			found = append(found, n)
		}
	}
	return found
}

// query reads one text from the database.
func (w *network) query(text string, args ...any) (value string) {
	w.t.Helper()
	if err := w.sql.QueryRow(text, args...).Scan(&value); err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	return value
}

// nodeOf is the name of the node that the database says a station is on, "" for none.
func (w *network) nodeOf(station string) string {
	w.t.Helper()
	return w.query(`SELECT COALESCE((SELECT n.name FROM stations s JOIN nodes n ON n.id = s.link_node WHERE s.id = $1), '')`, station)
}

// metric sums a figure of some nodes.
func (w *network) metric(name string, nodes ...int) (sum float64) {
	w.t.Helper()
	for _, i := range nodes {
		r := w.at(i).Want(w.t, 200, "GET", "//metrics", "")
		for line := range strings.Lines(r.Body) {
			var v float64
			if rest, ok := strings.CutPrefix(line, name+" "); ok {
				if _, err := fmt.Sscan(rest, &v); err != nil {
					w.t.Fatal(err)
				}
				sum += v
			}
		}
	}
	return sum
}

func (w *network) signal(i int, s syscall.Signal) {
	w.t.Helper()
	if err := syscall.Kill(w.nodes[i].Pid(), s); err != nil {
		w.t.Fatal(err)
	}
}

const clearCache = "/commands/ClearCache"

// TestClusterIsOneNetwork: three nodes started at once on an empty database are one installation: a command reaches a
// station on any of them, a newer link closes the older one, also when the bus is silent, events come by any node, a key
// that is taken away is so everywhere, jobs run once, and without the bus each node goes on with its own stations.
func TestClusterIsOneNetwork(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, false)
	if twice := w.query(`SELECT COUNT(*) - COUNT(DISTINCT version_id) FROM goose_db_version WHERE is_applied`); twice != "0" {
		t.Errorf("%s migrations ran twice", twice)
	}
	for i := range many {
		if n := w.registered(fmt.Sprint("node-", i)); len(n) != 1 || n[0].State != "up" || !n[0].Bus {
			t.Errorf("node %d is registered as %+v", i, n)
		}
	}
	events := w.at(2).Listen(t, "/events")
	a := w.at(0).Dial(t, "A", "2.0.1", apptest.Dial{})
	a.Boot("2.0.1")
	online := events.Of("station.online")
	for i := range many { // from every node
		p := w.at(i).Begin("POST", "/stations/A"+clearCache, `{}`)
		id := a.Expect(`[2,"<id:id>","ClearCache",{}]`)["id"]
		a.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
		if r := p.Wait(t); r.Status != 200 {
			t.Errorf("command by node %d: %d %s", i, r.Status, r.Body)
		}
	}
	resumed := w.at(1).Listen(t, "/events", "Last-Event-ID: "+online.ID)
	resumed.Of("command.finished")

	second := w.at(1).Dial(t, "A", "2.0.1", apptest.Dial{}) // the first hears of it by the bus
	if code, reason := a.WaitClosed(); code != 1000 {
		t.Errorf("the older link was closed with %d %s", code, reason)
	}
	apptest.Poll(t, "the station is on node-1", func() bool { return w.nodeOf("A") == "node-1" })
	w.at(0).Want(t, 200, "POST", "/stations/A/reject", "") // its link hears of it
	said := 0
	apptest.Poll(t, "the link knows of the rejection", func() bool {
		said++
		second.Send(fmt.Sprintf(`[2,"r%d","StatusNotification",{"timestamp":"2026-01-01T00:00:00Z","connectorStatus":"Available","evseId":1,"connectorId":1}]`, said))
		return strings.HasPrefix(second.Next(), `[4,`)
	})
	w.at(2).Want(t, 200, "POST", "/stations/A/accept", "")
	trigger := second.Expect(`[2,"<id:id>","TriggerMessage",{"requestedMessage":"BootNotification"}]`)["id"]
	second.Send(`[3,"` + trigger + `",{"status":"Accepted"}]`)
	second.Boot("2.0.1")

	key := w.addKey("viewer")
	for i := range many {
		(&apptest.Client{Base: w.at(i).Base, Key: key}).Want(t, 200, "GET", "/stations", "")
	}
	w.query(`WITH gone AS (DELETE FROM api_keys WHERE name = $1 RETURNING 1) SELECT COUNT(*) FROM gone`, key)
	for i := range many {
		c := &apptest.Client{Base: w.at(i).Base, Key: key}
		apptest.Poll(t, "the key has stopped working", func() bool { return c.Do(t, "GET", "/stations", "").Status == 401 })
	}

	w.nats.Stop()
	second.Quiet() // its own node still serves it
	r := w.at(0).Do(t, "POST", "/stations/A"+clearCache, `{}`)
	if r.Status != 503 || !strings.Contains(r.Body, "cannot be reached") {
		t.Errorf("a command to another node without the bus: %d %s", r.Status, r.Body)
	}
	w.at(0).Want(t, 202, "POST", "/stations/A"+clearCache+"?queue=true", `{}`)
	id := second.Expect(`[2,"<id:id>","ClearCache",{}]`)["id"] // its own node finds it in the queue
	second.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	if r := w.at(0).Do(t, "GET", "//readyz", ""); r.Status != 200 || !strings.Contains(r.Body, "the bus is not reached") {
		t.Errorf("without the bus: %d %s", r.Status, r.Body)
	}
	third := w.at(2).Dial(t, "A", "2.0.1", apptest.Dial{}) // the second can hear of it by the database only
	if code, reason := second.WaitClosed(); code != 1000 {
		t.Errorf("the older link was closed with %d %s", code, reason)
	}
	if n := w.nodeOf("A"); n != "node-2" {
		t.Errorf("the station is on %q", n)
	}
	w.nats.Start()
	for i := range many {
		apptest.Poll(t, "the bus is reached again", func() bool { return !strings.Contains(w.at(i).Do(t, "GET", "//readyz", "").Body, "bus") })
	}
	p := w.at(0).Begin("POST", "/stations/A"+clearCache, `{}`)
	id = third.Expect(`[2,"<id:id>","ClearCache",{}]`)["id"]
	third.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	if r := p.Wait(t); r.Status != 200 {
		t.Errorf("a command after the bus came back: %d %s", r.Status, r.Body)
	}
	w.stop()
}

// addKey makes an API key of the first organisation.
func (w *network) addKey(role string) string {
	n := &apptest.Node{Client: w.Client}
	n.Config.Database = w.database
	c := n.AddKey(w.t, role)
	w.query(`WITH named AS (UPDATE api_keys SET name = $1 WHERE name = $2 RETURNING 1) SELECT COUNT(*) FROM named`, c.Key, role)
	return c.Key
}

// stop ends all nodes.
func (w *network) stop() {
	w.t.Helper()
	var ends sync.WaitGroup
	for i, n := range w.nodes {
		ends.Go(func() {
			begun := time.Now()
			if err := n.Stop(); err != nil {
				w.t.Errorf("node %d: %v", i, err)
			}
			if took := time.Since(begun); took > 10*time.Second {
				w.t.Errorf("node %d took %s to stop", i, took)
			}
		})
	}
	ends.Wait()
}

// TestClusterNodeKilled: while stations with their own account speak through the balancer, one node is killed and another
// frozen for longer than it takes to be declared dead. What was answered is stored, once; one node declares each; what the
// killed one held is free again; the frozen one comes back under another name without its links.
func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, false)
	held := w.at(0).Dial(t, "HELD", "2.0.1", apptest.Dial{})
	held.Boot("2.0.1")
	stuck := w.at(1).Dial(t, "STUCK", "2.0.1", apptest.Dial{})
	stuck.Boot("2.0.1")
	running := make(chan struct{})
	go func() {
		defer close(running)
		_, _ = w.at(0).Try("POST", "/stations/HELD"+clearCache, `{}`, "Idempotency-Key: once") // it dies with the node
	}()
	held.Expect(`[2,"<text>","ClearCache",{}]`)
	w.query(`WITH held AS (UPDATE jobs SET holder = $1, lease_until = $2, due_at = 0 WHERE name = 'purge-events' RETURNING 1) SELECT COUNT(*) FROM held`,
		w.registered("node-0")[0].ID, time.Now().Add(time.Hour).UnixMicro())
	var killed time.Time
	harm := func(_ *rand.Rand, n int) error {
		switch n {
		case 1:
			killed = time.Now()
			return w.nodes[0].Kill()
		case 2:
			return syscall.Kill(w.nodes[1].Pid(), syscall.SIGSTOP)
		}
		return nil
	}
	r, err := soak.Run(t.Context(), soak.Options{Targets: []string{w.balancer.Addr}, Key: w.Key, Database: w.database, Stations: 15, Duration: 5 * time.Second,
		Pace: 40 * time.Millisecond, Patience: 2 * time.Second, Between: 1500 * time.Millisecond, Kill: harm, Seed: rand.Uint64()})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if err := r.OK(); err != nil {
		t.Error(err)
	}
	if r.Kills < 2 || r.Answered < 100 {
		t.Errorf("%d kills, %d messages: that proves nothing", r.Kills, r.Answered)
	}
	<-running
	apptest.Poll(t, "the killed node is taken over", func() bool { n := w.registered("node-0"); return len(n) == 1 && n[0].State == "dead" })
	if took := time.Since(killed); took > 25*time.Second {
		t.Errorf("the killed node was taken over after %s", took)
	}
	if n := w.nodeOf("HELD"); n != "" {
		t.Errorf("a station of the killed node is said to be on %s", n)
	}
	if status := w.query(`SELECT status FROM commands WHERE station_id = 'HELD' AND action = 'ClearCache'`); status != "timeout" {
		t.Errorf("the command that the killed node had on its way is %s", status)
	}
	if n := w.query(`SELECT COUNT(*) FROM jobs WHERE holder = (SELECT id FROM nodes WHERE name = 'node-0')`); n != "0" {
		t.Errorf("%s jobs wait for the lease of the killed node", n)
	}
	held = w.at(2).Dial(t, "HELD", "2.0.1", apptest.Dial{})
	again := w.Begin("POST", "/stations/HELD"+clearCache, `{}`, "Idempotency-Key: once")
	id := held.Expect(`[2,"<id:id>","ClearCache",{}]`)["id"]
	held.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	if r := again.Wait(t); r.Status != 200 {
		t.Errorf("the key of a request that died with its node: %d %s", r.Status, r.Body)
	}
	apptest.Poll(t, "the frozen node is taken over", func() bool { n := w.registered("node-1"); return len(n) == 1 && n[0].State == "dead" })
	if n := w.nodeOf("STUCK"); n != "" {
		t.Errorf("a station of the frozen node is said to be on %s", n)
	}
	if n := w.metric("lumela_cluster_nodes_declared_dead_total", 2); n != 2 {
		t.Errorf("%v nodes were declared dead, by the only one left", n)
	}
	w.signal(1, syscall.SIGCONT)
	apptest.Poll(t, "the frozen node is back under another name", func() bool { n := w.registered("node-1"); return len(n) == 2 && n[1].State == "up" })
	if code, reason := stuck.WaitClosed(); code != 1012 {
		t.Errorf("the frozen node closed its links with %d %s", code, reason)
	}
	stuck = w.at(1).Dial(t, "STUCK", "2.0.1", apptest.Dial{})
	stuck.Quiet()
	if n := w.nodeOf("STUCK"); n != "node-1" {
		t.Errorf("the station is said to be on %q", n)
	}
	if err := w.nodes[0].Start(); err != nil {
		t.Fatal(err)
	}
	w.stop()
}

// callers use the API all the time and keep what failed.
type callers struct {
	mu     sync.Mutex
	calls  int
	failed []string
}

func (c *callers) note(what string, r apptest.Response, err error, want int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if err != nil || r.Status != want {
		c.failed = append(c.failed, fmt.Sprintf("%s: %d %s %v", what, r.Status, strings.TrimSpace(r.Body), err))
	}
}

// TestClusterRollingRestart: all nodes are restarted one after the other while the API is used, stations charge and streams
// are listened to: no call fails, no message is lost and no event missed.
func TestClusterRollingRestart(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	playing, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	var wg, stations sync.WaitGroup
	fleet, err := sim.NewFleet(sim.FleetConfig{Count: 6, IDPrefix: "SIM-", Versions: []ocpp.Version{ocpp.V16, ocpp.V201, ocpp.V21}, Station: sim.Config{URL: "ws://" + w.balancer.Addr + "/ocpp",
		Settings: map[string]string{"RetryBackOffWaitMinimum": "0", "RetryBackOffRandomRange": "1", "RetryBackOffRepeatTimes": "0"}}})
	if err != nil {
		t.Fatal(err)
	}
	stations.Go(func() { _ = fleet.Run(playing) }) // it ends with the test
	apptest.Poll(t, "all stations online", func() bool { return w.query(`SELECT COUNT(*) FROM stations WHERE booted_at IS NOT NULL`) == "6" })
	clients := &callers{}
	use := func(i int) {
		c := &apptest.Client{Base: w.Base, Key: w.Key, HTTP: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
		for n := 0; ctx.Err() == nil; n++ {
			if i%2 == 0 {
				r, err := c.Try("GET", "/stations?limit=3", "")
				clients.note("GET", r, err, 200)
			} else {
				station := fmt.Sprintf("SIM-%06d", n%6+1)
				r, err := c.Try("POST", "/stations/"+station+clearCache+"?wait=20s", `{}`)
				clients.note("POST to "+station, r, err, 200)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	for i := range 4 {
		wg.Go(func() { use(i) })
	}
	seen := map[string]bool{}
	streams, over := context.WithCancel(t.Context())
	defer over()
	var listening sync.WaitGroup
	listening.Go(func() { w.listen(streams, seen) })
	for i, n := range w.nodes {
		if err := n.Stop(); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		apptest.Poll(t, "the node is in service", func() bool { return w.balancer.Ready() == many })
	}
	apptest.Poll(t, "all stations are back", func() bool { return w.query(`SELECT COUNT(*) FROM stations WHERE connected_at IS NOT NULL`) == "6" })
	cancel()
	wg.Wait()
	hangUp()
	stations.Wait()
	clients.mu.Lock()
	if len(clients.failed) > 0 || clients.calls < 200 {
		t.Errorf("%d of %d calls failed:\n%s", len(clients.failed), clients.calls, strings.Join(clients.failed[:min(10, len(clients.failed))], "\n"))
	}
	t.Logf("%d calls", clients.calls)
	clients.mu.Unlock()
	last := w.query(`SELECT id FROM events ORDER BY at DESC, id DESC LIMIT 1`)
	deadline := time.Now().Add(10 * time.Second)
	for !w.has(seen, last) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	over()
	listening.Wait()
	missed := 0
	for id := range strings.SplitSeq(w.query(`SELECT STRING_AGG(id, ' ') FROM events WHERE type = 'command.finished'`), " ") {
		if !seen[id] {
			missed++
		}
	}
	if missed > 0 || len(seen) < 100 {
		t.Errorf("%d events missed, %d seen", missed, len(seen))
	}
	w.stop()
}

var seenMu sync.Mutex

func (w *network) has(seen map[string]bool, id string) bool {
	seenMu.Lock()
	defer seenMu.Unlock()
	return seen[id]
}

// listen is a client of the live events that comes again with its last id whenever a stream ends.
func (w *network) listen(ctx context.Context, seen map[string]bool) {
	last := ""
	for ctx.Err() == nil {
		err := w.Stream(ctx, "/events", last, func(e apptest.Event) {
			seenMu.Lock()
			defer seenMu.Unlock()
			last, seen[e.ID] = e.ID, true
			if e.Type == "resync" {
				w.t.Error("a stream could not be resumed")
			}
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("stream not served: %v", err)
			return
		}
	}
}

// TestClusterPartition: a node is cut from NATS, from PostgreSQL and from both, under load.
func TestClusterPartition(t *testing.T) {
	t.Parallel()
	partitions(t, 9*time.Second, 4*time.Second)
}

// TestSoakPartition is TestClusterPartition for as long as LUMELA_SOAK says.
func TestSoakPartition(t *testing.T) {
	t.Parallel()
	text := os.Getenv("LUMELA_SOAK")
	if text == "" {
		t.Skip("LUMELA_SOAK is not set: no long test is wanted")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	partitions(t, d, 40*time.Second)
}

// partitions cuts nodes off for random times, at most longest, while stations with their own account speak through the
// balancer: what was answered is stored, once, and after the healing each station is on one node.
func partitions(t *testing.T, d, longest time.Duration) {
	w := newNetwork(t, true)
	cuts := 0
	harm := func(rng *rand.Rand, n int) error {
		i := rng.IntN(many)
		kind := (n - 1) % 3
		cuts++
		if kind != 0 {
			w.toDatabase[i].Cut()
			defer w.toDatabase[i].Mend()
		}
		if kind != 1 {
			w.toNATS[i].Cut()
			defer w.toNATS[i].Mend()
		}
		time.Sleep(time.Second + time.Duration(rng.Int64N(int64(longest-time.Second))))
		return nil
	}
	r, err := soak.Run(t.Context(), soak.Options{Targets: []string{w.balancer.Addr}, Key: w.Key, Database: w.database, Stations: 12, Duration: d,
		Pace: 60 * time.Millisecond, Patience: 3 * time.Second, Between: time.Second, Kill: harm, Seed: rand.Uint64()})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if err := r.OK(); err != nil {
		t.Error(err)
	}
	if cuts < 2 || r.Answered < 100 {
		t.Errorf("%d cuts, %d messages: that proves nothing", cuts, r.Answered)
	}
	for i := range many {
		apptest.Poll(t, "the node serves again", func() bool { status, _ := w.nodes[i].Ready(); return status == 200 })
		n := w.registered(fmt.Sprint("node-", i))
		if last := n[len(n)-1]; last.State != "up" {
			t.Errorf("node %d is %+v", i, last)
		}
	}
	s := w.at(0).Dial(t, "AFTER", "2.0.1", apptest.Dial{})
	s.Boot("2.0.1")
	p := w.at(1).Begin("POST", "/stations/AFTER"+clearCache, `{}`)
	id := s.Expect(`[2,"<id:id>","ClearCache",{}]`)["id"]
	s.Send(`[3,"` + id + `",{"status":"Accepted"}]`)
	if r := p.Wait(t); r.Status != 200 {
		t.Errorf("a command after the healing: %d %s", r.Status, r.Body)
	}
	// The stations of the account have hung up: no node may still have one, nor the database.
	apptest.Poll(t, "links and database agree", func() bool {
		return w.query(`SELECT COUNT(*) FROM stations WHERE connected_at IS NOT NULL`) == "1" && w.metric("lumela_stations_connected", 0, 1, 2) == 1
	})
	w.stop()
}
