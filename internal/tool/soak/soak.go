// Package soak puts stations on a node, or on several, that keep their own account of everything that they say and are
// answered, while the node is killed, or its database, at random instants. Afterwards their account is compared with what
// the node has stored: what was answered and is missing is lost, what is there twice is doubled.
//
// The stations speak each version of OCPP directly, not through Lumela's translation, and behave as real ones do: what was
// not answered is sent again after the next connection, with the same content; 1.6 keeps the order of its messages, 2.x
// now and then does not; some send again what was answered, under the same message id or a new one.
package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Options of a run.
type Options struct {
	// Targets are the nodes as host:port. Stations connect to any of them, the account is read from the first.
	Targets []string
	// Key is an API key with the role of an operator.
	Key string
	// Database is the URL of the nodes' PostgreSQL; when it is empty, DataDir is the data directory of the one node.
	Database, DataDir string
	// Stations is their number; the versions are dealt in turn.
	Stations int
	// Prefix begins the ids of the stations; "SOAK" when empty. Two runs on one database need different ones.
	Prefix string
	// Seed makes the random choices, which a second run with it repeats as far as a real kill at a real instant allows.
	Seed uint64
	// Duration is how long stations make new messages.
	Duration time.Duration
	// Pace is the longest pause of a station between two messages, 10 ms when 0.
	Pace time.Duration
	// Patience is how long a station waits for an answer before it gives the link up; 5 s when 0.
	Patience time.Duration
	// Drain is how long stations may need at the end for what they still have to say; a minute when 0.
	Drain time.Duration
	// Between is the longest time between two kills, which is at least a quarter of it; a second when 0.
	Between time.Duration
	// Kill does a harm to the nodes and mends it, n being its number. It returns when the nodes are, or will be, there
	// again. nil: none is done.
	Kill func(rng *rand.Rand, n int) error
}

func (o *Options) defaults() {
	for p, d := range map[*time.Duration]time.Duration{&o.Pace: 10 * time.Millisecond, &o.Patience: 5 * time.Second, &o.Drain: time.Minute, &o.Between: time.Second} {
		if *p <= 0 {
			*p = d
		}
	}
	if o.Prefix == "" {
		o.Prefix = "SOAK"
	}
}

const token = "50A4B07E"

// Run plays the stations and gives the account. The error is of the run itself; whether the accounts agree is for
// [Report.OK] to say.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.defaults()
	if err := o.request(ctx, "POST", "/tokens", `{"uid":"`+token+`","type":"ISO14443"}`, nil); err != nil && !strings.Contains(err.Error(), "HTTP 409") {
		return nil, fmt.Errorf("make the token: %w", err)
	}
	playing, over := context.WithTimeout(ctx, o.Duration)
	defer over()
	draining, tooLate := context.WithTimeout(ctx, o.Duration+o.Drain)
	defer tooLate()
	stations := make([]*station, o.Stations)
	failed := make([]error, o.Stations+1)
	var wg sync.WaitGroup
	for i := range stations {
		s := newStation(&o, i)
		stations[i] = s
		wg.Go(func() { failed[i] = s.run(playing, draining) })
	}
	r := &Report{Seed: o.Seed, Flags: map[string]int{}}
	if o.Kill != nil {
		wg.Go(func() { failed[o.Stations] = o.kill(playing, &r.Kills) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("seed %d: %w", o.Seed, err)
	}
	return r, o.account(ctx, r, stations)
}

func newStation(o *Options, i int) *station {
	rng := rand.New(rand.NewPCG(o.Seed, uint64(i)))
	s := &station{id: fmt.Sprintf("%s-%d", o.Prefix, i), version: versions[i%len(versions)], o: o, rng: rng}
	s.story = story{station: s.id, version: s.version, token: token, rng: rng, meter: 1_000_000 + rng.Int64N(1_000_000)}
	return s
}

// kill does harm until ctx ends.
func (o *Options) kill(ctx context.Context, n *int) error {
	rng := rand.New(rand.NewPCG(o.Seed, 1<<40))
	for {
		pause(ctx, o.Between/4+time.Duration(rng.Int64N(int64(o.Between*3/4)+1)))
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of the run
		}
		*n++
		if err := o.Kill(rng, *n); err != nil {
			return fmt.Errorf("kill %d: %w", *n, err)
		}
	}
}

// account compares what the stations say with what is stored.
func (o *Options) account(ctx context.Context, r *Report, stations []*station) error {
	rows, err := readStored(ctx, o.Database, o.DataDir)
	if err != nil {
		return err
	}
	for k := range rows {
		if !strings.HasPrefix(k.station, o.Prefix+"-") {
			delete(rows, k) // of another run
		}
	}
	for _, s := range stations {
		sessions, err := o.settled(ctx, s)
		if err != nil {
			return err
		}
		r.compare(s, rows, sessions)
	}
	for k, found := range rows {
		r.Invented += len(found)
		r.finding("invented: %s at %s: %v", k.station, time.UnixMicro(k.at).UTC().Format(timeLayout), found)
	}
	return nil
}
