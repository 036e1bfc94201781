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
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"lumela/internal/account"
	"lumela/internal/api"
	"lumela/internal/archive"
	"lumela/internal/audit"
	"lumela/internal/bus"
	"lumela/internal/cluster"
	"lumela/internal/command"
	"lumela/internal/csms"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/gateway"
	"lumela/internal/guardian"
	"lumela/internal/history"
	"lumela/internal/idtoken"
	"lumela/internal/job"
	"lumela/internal/overview"
	"lumela/internal/reservation"
	"lumela/internal/retention"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/internal/webhook"
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
	history  *history.History
	keeper   *retention.Keeper
	events   *event.Log
	accounts *account.Accounts
	audit    *audit.Log
	stations *station.Stations
	tokens   *idtoken.Tokens
	ledger   *session.Ledger
	booked   *reservation.Reservations
	commands *command.Commands
	guardian *guardian.Guardian
	webhooks *webhook.Webhooks
	csms     *csms.CSMS
	gateway  *gateway.Gateway
	jobs     *job.Runner
	member   *cluster.Member
	metrics  *metrics
	size     int // how many stations may be connected

	draining atomic.Bool // it takes no new connections, or will not soon
	beats    int         // heartbeats so far; with gone used by the heartbeat alone
	gone     map[station.ID]string

	crashed    bool         // the last run did not end in order
	damages    atomic.Int64 // found in the database
	complaints []string     // of damages, until they are events

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
	if n.size, err = sizeOf(cfg, log); err != nil { // before anything is touched
		return n, err
	}
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
	n.audit = audit.New(n.db, log)
	n.accounts.OnSignIn(n.audit.SignedIn)
	if n.first, err = n.accounts.Bootstrap(ctx, os.Getenv("LUMELA_BOOTSTRAP_API_KEY")); err != nil {
		return n, err
	}
	home, err := n.accounts.FirstOrganisation(ctx)
	if err != nil {
		return n, err
	}
	n.openCapabilities(home.ID)
	n.openHistory(ctx)
	n.jobs = job.New(n.db, n.name, n.log)
	if err := n.joinCluster(ctx); err != nil { // before stations can add to what is taken over
		return n, err
	}
	n.onClose(n.leaveCluster) // when the gateway is closed
	if err := n.openGateway(ctx); err != nil {
		return n, err
	}
	if err := errors.Join(n.member.Start(), n.hearOperators()); err != nil {
		return n, err
	}
	n.startCheck(home.ID)
	n.openJobs() // last: what they do concerns everything
	return n, nil
}

// openJobs starts what is done from time to time, by one node of the cluster.
func (n *node) openJobs() {
	n.onClose(n.jobs.Close)
	n.jobs.Every("purge-frames", time.Hour, func(ctx context.Context) error { return n.frames.Purge(ctx, time.Now()) })
	n.jobs.Every("purge-events", time.Hour, func(ctx context.Context) error { return n.events.Purge(ctx, time.Now()) })
	n.jobs.Every("expire-commands", time.Minute, n.commands.Expire)
	n.scheduleBackups()
	n.keepHistory()
	n.jobs.Every("guard-sessions", n.guardian.Every(), n.guardian.Pass)
	n.jobs.Every("deliver-webhooks", time.Second, n.webhooks.Run)
	n.jobs.Every("purge-webhooks", time.Hour, n.webhooks.Purge)
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
	err := archive.Unfinished(n.cfg.DataDir)
	if err != nil {
		return err
	}
	release, err := lockDir(n.cfg.DataDir)
	if err != nil {
		return err
	}
	n.onClose(release)
	path := filepath.Join(n.cfg.DataDir, databaseFile)
	if err := n.inspect(path); err != nil {
		return err
	}
	if n.db, err = db.Open(ctx, db.Options{Path: path, Log: n.log}); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	n.onClose(n.db.Close)
	return n.db.Migrate(ctx, migrations()...) // frames have files of their own, so that they never hold up the ledger
}

func migrations() []fs.FS {
	return []fs.FS{event.Migrations, job.Migrations, account.Migrations, audit.Migrations, station.Migrations, idtoken.Migrations, reservation.Migrations,
		cluster.Migrations, session.Migrations, history.Migrations, command.Migrations, guardian.Migrations, webhook.Migrations, api.Migrations}
}

func (n *node) openCapabilities(home string) {
	n.stations = station.New(n.db, n.events, n.log, station.Policy(n.cfg.Admission), home)
	n.tokens = idtoken.New(n.db)
	n.ledger = session.New(n.db, n.events, n.log)
	n.onClose(n.ledger.Close)
	n.booked = reservation.New(n.db)
	n.stations.SetRunning(n.ledger)
	n.ledger.SetLimits(evsePower{n.stations})
	n.csms = &csms.CSMS{Stations: n.stations, Tokens: n.tokens, Ledger: n.ledger, Reservations: n.booked, Log: n.log, Heartbeat: n.cfg.Heartbeat, Database: n.db}
	n.commands = command.New(n.db, n.events, n.stations, caller{n}, n.log, n.csms.Observe)
	n.csms.Commands = n.commands
	n.guardian = guardian.New(guardian.Parts{DB: n.db, Events: n.events, Stations: n.stations, Ledger: n.ledger, Commands: n.commands, Log: n.log}, n.cfg.Guardian)
	n.webhooks = webhook.New(n.db, n.events, n.log, webhook.Options{AllowPrivate: n.cfg.WebhookAllowPrivate})
	n.stations.LimitLinks(n.cfg.LinksPerHour)
	n.stations.SetPush(n.csms.PushPassword)
	n.stations.OnBlock(n.blocked)
	n.stations.OnRemove(n.booked.StationRemoved, func(organisation string, id station.ID) { n.gateway.Removed(organisation, string(id)) })
	n.stations.OnDecide(n.decided)
}

func (n *node) openGateway(ctx context.Context) error {
	secret, err := n.accounts.InstallationSecret(ctx, "transaction-numbers")
	if err != nil {
		return err
	}
	n.gateway, err = gateway.New(gateway.Options{Node: n.name, Secret: secret, MaxFrame: n.cfg.MaxFrame, CallTimeout: n.cfg.CallTimeout, MaxLinks: n.size,
		Alarm: n.attacked},
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

// registrars are what the API is made of.
func (n *node) registrars() []api.Registrar {
	return []api.Registrar{n.accounts.Register, n.audit.Register, n.stations.Register, n.tokens.Register, n.booked.Register,
		func(h huma.API) { n.ledger.Register(h, n.frames, n.stations) },
		func(h huma.API) { n.commands.Register(h, n.ledger) },
		n.guardian.Register, n.webhooks.Register,
		n.history.Register, n.keeper.Register,
		func(h huma.API) { n.frames.Register(h, n.visible) },
		func(h huma.API) { overview.Register(h, n.stations, n.ledger) },
		func(h huma.API) { n.jobs.Register(h, viewer) },
		func(h huma.API) { n.member.Register(h, viewer) },
		func(h huma.API) { n.events.Register(h, viewer) }}
}

// visible is the station of a path as the caller may see it.
func (n *node) visible(ctx context.Context, id string) (frame.Scope, error) {
	t, err := n.stations.Resolve(ctx, id)
	return frame.Scope{Station: string(t.Station), Organisation: t.Organisation, Since: t.Since}, err
}

// viewer is the organisation of a caller who may see what happens in it.
func viewer(ctx context.Context) (string, error) {
	p, err := account.Require(ctx, account.Viewer)
	return p.Organisation, err
}

// OpenAPI gives the description of the API, for documents and generated clients.
func OpenAPI() ([]byte, error) {
	n := &node{log: slog.New(slog.DiscardHandler), accounts: &account.Accounts{}, audit: &audit.Log{}, stations: &station.Stations{}, tokens: &idtoken.Tokens{},
		booked: &reservation.Reservations{}, ledger: &session.Ledger{}, commands: &command.Commands{}, guardian: &guardian.Guardian{}, frames: &frame.Log{},
		history: &history.History{}, keeper: &retention.Keeper{}, events: &event.Log{}, jobs: &job.Runner{}, webhooks: &webhook.Webhooks{}, member: &cluster.Member{}}
	return api.Spec(n.registrars()...)
}

// handler is everything that the node serves over HTTP.
func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(api.Base+"/", api.New(n.db, n.accounts, n.log, n.member.ID, n.audit.Around, n.registrars()...))
	mux.Handle("GET /metrics", n.metrics.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", n.readyz)
	mux.Handle("/", web.Handler())
	// Stations' paths are served before the router can clean them: an id may hold escaped slashes and dots.
	return n.closing(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		boundBody(w, r)
		if gateway.Serves(r) {
			n.gateway.Handler().ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
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
