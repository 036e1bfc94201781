package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"lumela/internal/account"
	"lumela/internal/api"
	"lumela/internal/bus"
	"lumela/internal/command"
	"lumela/internal/csms"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/gateway"
	"lumela/internal/guardian"
	"lumela/internal/idtoken"
	"lumela/internal/job"
	"lumela/internal/overview"
	"lumela/internal/reservation"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/web"
)

// node is a node with everything that it has open, in the order in which it was opened.
type node struct {
	cfg Config
	log *slog.Logger

	name     string // of this process, which no other node of the cluster has
	db       *db.DB
	frameDB  *db.DB // the same database as db on PostgreSQL, nil on SQLite
	bus      *bus.Bus
	frames   *frame.Log
	events   *event.Log
	accounts *account.Accounts
	stations *station.Stations
	tokens   *idtoken.Tokens
	ledger   *session.Ledger
	booked   *reservation.Reservations
	commands *command.Commands
	guardian *guardian.Guardian
	csms     *csms.CSMS
	gateway  *gateway.Gateway
	jobs     *job.Runner
	metrics  *metrics

	first  account.Bootstrap
	closes []func() error
}

// open starts all parts. What fails leaves nothing open.
func open(ctx context.Context, cfg Config, log *slog.Logger) (n *node, err error) {
	n = &node{cfg: cfg, log: log, name: nodeName}
	if cfg.NATS != "" || cfg.Database != "" {
		n.name = uuid.NewString()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if err := n.openDatabase(ctx); err != nil { // first: everything else reads it
		return n, err
	}
	if n.bus, err = bus.Open(ctx, bus.Options{URL: cfg.NATS, Log: log}); err != nil {
		return n, err
	}
	n.onClose(n.bus.Close)
	if n.frames, err = frame.Open(ctx, frame.Options{DB: n.frameDB, Dir: cfg.DataDir, Retention: cfg.FrameRetention,
		MaxSize: int64(cfg.FrameMaxSize), Log: log}, n.bus); err != nil {
		return n, err
	}
	n.onClose(n.frames.Close)
	n.events = event.NewLog(n.db, n.bus, log)
	n.accounts = account.New(n.db, log)
	if n.first, err = n.accounts.Bootstrap(ctx, os.Getenv("LUMELA_BOOTSTRAP_API_KEY")); err != nil {
		return n, err
	}
	home, err := n.accounts.FirstOrganisation(ctx)
	if err != nil {
		return n, err
	}
	n.openCapabilities(home.ID)
	if cfg.NATS == "" && cfg.Database == "" { // alone: whatever was connected before this start is not any more
		if err := errors.Join(n.stations.NodeLost(ctx, nodeName, time.Now()), n.commands.Recover(ctx)); err != nil {
			return n, err
		}
	}
	if err := n.ledger.Recover(ctx); err != nil { // before stations can add to what is recovered
		return n, err
	}
	if err := n.openGateway(ctx); err != nil {
		return n, err
	}
	n.openJobs() // last: what they do concerns everything
	return n, nil
}

// openJobs starts what is done from time to time, by one node of the cluster.
func (n *node) openJobs() {
	n.jobs = job.New(n.db, n.name, n.log)
	n.onClose(n.jobs.Close)
	n.jobs.Every("purge-frames", time.Hour, func(ctx context.Context) error { return n.frames.Purge(ctx, time.Now()) })
	n.jobs.Every("purge-events", time.Hour, func(ctx context.Context) error { return n.events.Purge(ctx, time.Now()) })
	n.jobs.Every("expire-commands", time.Minute, n.commands.Expire)
	n.jobs.Every("guard-sessions", n.guardian.Every(), n.guardian.Pass)
}

// nodeName is the name of the only node of an embedded installation.
const nodeName = "local"

func (n *node) openDatabase(ctx context.Context) error {
	if n.cfg.Database != "" {
		shared, err := db.Open(ctx, db.Options{URL: n.cfg.Database, Log: n.log})
		if err != nil {
			return fmt.Errorf("open the database: %w", err)
		}
		n.db = shared
		n.onClose(shared.Close)
		// Frames have connections of their own, which need not wait for the disk.
		if n.frameDB, err = db.Open(ctx, db.Options{URL: n.cfg.Database, Relaxed: true, Committers: 1, Readers: 4, Log: n.log}); err != nil {
			return fmt.Errorf("open the database: %w", err)
		}
		n.onClose(n.frameDB.Close)
		return n.db.Migrate(ctx, append(migrations(), frame.Migrations)...)
	}
	if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	var err error
	if n.db, err = db.Open(ctx, db.Options{Path: filepath.Join(n.cfg.DataDir, "lumela.db"), Log: n.log}); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	n.onClose(n.db.Close)
	return n.db.Migrate(ctx, migrations()...) // frames have files of their own, so that they never hold up the ledger
}

func migrations() []fs.FS {
	return []fs.FS{event.Migrations, job.Migrations, account.Migrations, station.Migrations, idtoken.Migrations, reservation.Migrations,
		session.Migrations, command.Migrations, guardian.Migrations, api.Migrations}
}

func (n *node) openCapabilities(home string) {
	n.stations = station.New(n.db, n.events, n.log, station.Policy(n.cfg.Admission), home)
	n.tokens = idtoken.New(n.db)
	n.ledger = session.New(n.db, n.events, n.log)
	n.onClose(n.ledger.Close)
	n.booked = reservation.New(n.db)
	n.stations.SetRunning(n.ledger)
	n.csms = &csms.CSMS{Stations: n.stations, Tokens: n.tokens, Ledger: n.ledger, Reservations: n.booked, Log: n.log, Heartbeat: n.cfg.Heartbeat, Database: n.db}
	n.commands = command.New(n.db, n.events, n.stations, caller{n}, n.log, n.csms.Observe)
	n.csms.Commands = n.commands
	n.guardian = guardian.New(guardian.Parts{DB: n.db, Events: n.events, Stations: n.stations, Ledger: n.ledger, Commands: n.commands, Log: n.log}, n.cfg.Guardian)
	n.stations.LimitLinks(n.cfg.LinksPerHour)
	n.stations.SetPush(n.csms.PushPassword)
	n.stations.OnBlock(func(id station.ID, reason string) { n.gateway.Disconnect(string(id), reason) })
	n.stations.OnDecide(func(st *station.Station) { n.csms.Decided(st, n.gateway.Link(string(st.ID))) })
}

func (n *node) openGateway(ctx context.Context) error {
	secret, err := n.accounts.InstallationSecret(ctx, "transaction-numbers")
	if err != nil {
		return err
	}
	n.gateway, err = gateway.New(gateway.Options{Node: n.name, Secret: secret, MaxFrame: n.cfg.MaxFrame, CallTimeout: n.cfg.CallTimeout},
		n.csms, n.frames, n.bus, n.log)
	if err != nil {
		return err
	}
	n.onClose(n.gateway.Close)
	n.metrics = newMetrics(n)
	return nil
}

// attacked tells the operator of the installation of an address that attacks it.
func (n *node) attacked(remote, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.stations.AlarmOf(ctx, remote, reason); err != nil {
		n.log.Error("security event not recorded", "remote", remote, "error", err)
	}
}

// caller reaches the stations for the commands.
type caller struct{ n *node }

// Call implements command.Caller.
func (c caller) Call(ctx context.Context, id station.ID, req ocpp.Request) (command.Result, error) {
	if err := c.n.csms.Asking(ctx, id, req); err != nil {
		return command.Result{}, err
	}
	a, err := c.n.gateway.Call(ctx, string(id), req)
	c.n.csms.Asked(ctx, id, req, err)
	return command.Result{Response: a.Response, Notes: a.Notes}, err
}

// registrars are what the API is made of.
func (n *node) registrars() []api.Registrar {
	return []api.Registrar{n.accounts.Register, n.stations.Register, n.tokens.Register, n.booked.Register,
		func(h huma.API) { n.ledger.Register(h, n.frames) },
		func(h huma.API) { n.commands.Register(h, n.ledger) },
		n.guardian.Register,
		func(h huma.API) { n.frames.Register(h, n.stations.Resolve) },
		func(h huma.API) { overview.Register(h, n.stations, n.ledger) },
		func(h huma.API) { n.jobs.Register(h, viewer) },
		func(h huma.API) { n.events.Register(h, viewer) }}
}

// viewer is the organisation of a caller who may see what happens in it.
func viewer(ctx context.Context) (string, error) {
	p, err := account.Require(ctx, account.Viewer)
	return p.Organisation, err
}

// OpenAPI gives the description of the API, for documents and generated clients.
func OpenAPI() ([]byte, error) {
	n := &node{log: slog.New(slog.DiscardHandler), accounts: &account.Accounts{}, stations: &station.Stations{}, tokens: &idtoken.Tokens{},
		booked: &reservation.Reservations{}, ledger: &session.Ledger{}, commands: &command.Commands{}, guardian: &guardian.Guardian{}, frames: &frame.Log{}, events: &event.Log{}, jobs: &job.Runner{}}
	return api.Spec(n.registrars()...)
}

// handler is everything that the node serves over HTTP.
func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(api.Base+"/", api.New(n.db, n.accounts, n.log, n.registrars()...))
	mux.Handle("GET /metrics", n.metrics.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", n.readyz)
	mux.Handle("/", web.Handler())
	// Stations' paths are served before the router can clean them: an id may hold escaped slashes and dots.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gateway.Serves(r) {
			n.gateway.Handler().ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (n *node) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var err error
	switch {
	case n.gateway.Draining():
		err = errors.New("draining")
	case !n.bus.Healthy():
		err = errors.New("the bus is not connected")
	case n.db.Healthy() != nil:
		since, reason := n.db.Outage()
		err = fmt.Errorf("the database has not written since %s: %w", since.UTC().Format(time.RFC3339), reason)
	default:
		err = n.db.Ping(ctx)
	}
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, "not ready:", err)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

func (n *node) onClose(f func() error) { n.closes = append(n.closes, f) }

// close ends the parts in reverse order.
func (n *node) close() error {
	var errs []error
	for i := len(n.closes) - 1; i >= 0; i-- {
		errs = append(errs, n.closes[i]())
	}
	n.closes = nil
	return errors.Join(errs...)
}
