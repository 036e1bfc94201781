// Command lumela-soak builds lumela, plays stations on it for a while, kills it with kill -9 at random instants, and
// compares the stations' account with what the node has stored:
//
//	go run ./internal/tool/soak/lumela-soak -d 1h -stations 200
//	go run ./internal/tool/soak/lumela-soak -database postgres://… -seed 42
//
// It ends with 0 when nothing was lost or doubled.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"lumela/internal/tool/soak"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lumela-soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	d := flag.Duration("d", time.Minute, "how long the stations play")
	stations := flag.Int("stations", 60, "number of stations")
	between := flag.Duration("between", 5*time.Second, "longest time between two kills; 0: none")
	seed := flag.Uint64("seed", rand.Uint64(), "of the random choices")
	database := flag.String("database", "", "postgres://… of an empty database; SQLite without")
	binary := flag.String("binary", "", "lumela; built when empty")
	flag.Parse()
	work, err := os.MkdirTemp("", "lumela-soak-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil { // what is left of a failure is evidence
			err = os.RemoveAll(work)
			return
		}
		fmt.Fprintln(os.Stderr, "the data directory is kept:", work)
	}()
	if *binary == "" {
		if *binary, err = soak.Build(work); err != nil {
			return err
		}
	}
	n, err := soak.NewNode([]string{*binary}, nil, work+"/data", *database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Remove()) }()
	if err := n.Start(); err != nil {
		return err
	}
	o := soak.Options{Targets: []string{n.Addr}, Key: n.Key, Database: *database, DataDir: n.Dir, Stations: *stations, Seed: *seed, Duration: *d, Between: *between}
	if *between > 0 {
		o.Kill = n.KillAndStart
	}
	r, err := soak.Run(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println(r)
	return errors.Join(r.OK(), n.Stop())
}
