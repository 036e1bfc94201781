// Command year fills a database with what a network leaves behind in a year, and measures what consoles ask of it: sizes,
// rows, and how long the queries take.
//
//	go run ./internal/tool/year -dir /tmp/year
//	go run ./internal/tool/year -database postgres://…
//
// With -only-queries it measures what an earlier run has left.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"lumela/internal/account"
	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/history"
	"lumela/internal/session"
	"lumela/internal/station"
)

type options struct {
	dir, database              string
	stations, days             int
	perDay                     float64
	meterMinutes, framesPerDay int
	rounds                     int
	onlyQueries                bool
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "data directory of an embedded node; made when missing")
	flag.StringVar(&o.database, "database", "", "postgres://… instead")
	flag.IntVar(&o.stations, "stations", 1000, "stations, each with two EVSEs")
	flag.IntVar(&o.days, "days", 365, "days until now")
	flag.Float64Var(&o.perDay, "sessions", 3, "sessions a day and station")
	flag.IntVar(&o.meterMinutes, "meter-minutes", 15, "minutes between two readings")
	flag.IntVar(&o.framesPerDay, "frames", 200, "frames of each station on the last day")
	flag.IntVar(&o.rounds, "rounds", 200, "how often each query is asked")
	flag.BoolVar(&o.onlyQueries, "only-queries", false, "measure what is there")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "year:", err)
		os.Exit(1)
	}
}

// world is an opened installation.
type world struct {
	o        options
	db       *db.DB
	ledger   *session.Ledger
	history  *history.History
	frames   *frame.Log
	stations *station.Stations
	org      string
	now      time.Time
}

func run(ctx context.Context, o options) (err error) {
	if (o.dir == "") == (o.database == "") {
		return errors.New("give either -dir or -database")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	dbo := db.Options{URL: o.database, Relaxed: true, CacheMiB: 256, Log: log}
	if o.dir != "" {
		dbo.Path = filepath.Join(o.dir, "lumela.db")
	}
	d, err := db.Open(ctx, dbo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	sets := []fs.FS{event.Migrations, account.Migrations, station.Migrations, session.Migrations, history.Migrations}
	fo := frame.Options{Dir: o.dir, Retention: 30 * 24 * time.Hour, Log: log}
	if o.database != "" {
		sets, fo.DB = append(sets, frame.Migrations), d
	}
	if err := d.Migrate(ctx, sets...); err != nil {
		return err
	}
	b, err := bus.Open(ctx, bus.Options{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	w := &world{o: o, db: d, org: "year", now: time.Now().UTC().Truncate(24 * time.Hour)}
	events := event.NewLog(d, b, log)
	w.stations = station.New(d, events, log, station.Open, w.org)
	w.ledger = session.New(d, events, log)
	defer func() { err = errors.Join(err, w.ledger.Close()) }()
	w.history = history.New(d, w.ledger, w.stations, log)
	if w.frames, err = frame.Open(ctx, fo, b); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.frames.Close()) }()
	fmt.Printf("%s, %d cores, %s, %s; %d stations, %d days, %.1f sessions a day, a reading every %d minutes\n", runtime.GOARCH, runtime.NumCPU(), d.Engine(),
		time.Now().Format(time.DateOnly), o.stations, o.days, o.perDay, o.meterMinutes)
	if !o.onlyQueries {
		if err := w.fill(ctx); err != nil {
			return err
		}
	}
	if err := w.sizes(ctx); err != nil {
		return err
	}
	if err := w.ask(ctx); err != nil {
		return err
	}
	return w.explain(ctx)
}
