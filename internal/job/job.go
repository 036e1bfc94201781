// Package job does periodic work once, however many nodes there are.
//
// A job is a row: when it is due, and which node has it. A node takes a due job by changing its row, holds it by renewing
// a lease while it works, and gives it back with the time of the next run. When a node dies its lease ends, or the cluster
// takes it away ([Runner.ReleaseNode]), and another node runs the job: work must therefore bear being begun twice.
//
// Leases compare the clocks of nodes: they must agree within [Lease] less a renewal, which any NTP does.
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"lumela/internal/db"
)

// Lease is how long a job stays with a node that is not heard of any more.
const Lease = 30 * time.Second

const (
	renewEvery = Lease / 3
	// firstAfter bounds the wait for the first run of a job that is new: a start has enough to do.
	firstAfter = time.Minute
	// pollEvery bounds how long a node sleeps on what it has read of a job: another node may have died.
	pollEvery = Lease
)

// Runner runs the jobs of a node.
type Runner struct {
	db   *db.DB
	node string
	log  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	jobs   sync.WaitGroup
}

// New makes the runner of a node. node is its name, which no other node has.
func New(d *db.DB, node string, log *slog.Logger) *Runner {
	r := &Runner{db: d, node: node, log: log}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Every has run called by one of the nodes that name the job, interval after the end of the last run. run ends soon
// when its context does: the node stops, or has lost the job to another. Its error is logged and kept, and the job runs
// again at its next time. A name stands for the same work on every node.
func (r *Runner) Every(name string, interval time.Duration, run func(ctx context.Context) error) {
	j := &work{r: r, name: name, interval: interval, run: run}
	r.jobs.Go(j.loop)
}

// Close ends the jobs of this node and waits for those that run.
func (r *Runner) Close() error {
	r.cancel()
	r.jobs.Wait()
	return nil
}

// ReleaseNode takes the jobs from a node that is known to be dead, so that others need not wait for the end of the lease.
func (r *Runner) ReleaseNode(tx *db.Tx, node string) error {
	if err := releaseNode(tx, node); err != nil {
		return fmt.Errorf("release the jobs of node %s: %w", node, err)
	}
	return nil
}

// Jobs reads the state of all jobs, by name.
func (r *Runner) Jobs(ctx context.Context) ([]State, error) { return list(ctx, r.db) }

// State is how a job stands.
type State struct {
	Name      string     `json:"name"`
	DueAt     time.Time  `json:"dueAt"`
	Node      string     `json:"node" doc:"That runs it now, empty for none"`
	StartedAt *time.Time `json:"startedAt" doc:"Of the last run"`
	EndedAt   *time.Time `json:"endedAt" doc:"Of the last run"`
	Runs      int64      `json:"runs"`
	Failures  int64      `json:"failures" doc:"In a row"`
	Error     string     `json:"error" doc:"Of the last run"`

	leaseUntil time.Time
}

// free reports whether a node may take the job at a time.
func (s *State) free(now time.Time) bool { return s.Node == "" || now.After(s.leaseUntil) }

// work is a job on this node.
type work struct {
	r        *Runner
	name     string
	interval time.Duration
	run      func(ctx context.Context) error
	problem  string // logged last, so that a database that is away is said once
}

func (j *work) loop() {
	for {
		wait, err := j.step(j.r.ctx)
		j.tell(err)
		t := time.NewTimer(wait + rand.N(wait/20+time.Millisecond)) // nodes should not all ask at once
		select {
		case <-j.r.ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// tell logs an error when it is new, and its end.
func (j *work) tell(err error) {
	switch {
	case j.r.ctx.Err() != nil:
	case err == nil:
		if j.problem != "" {
			j.r.log.Info("job goes on", "job", j.name)
		}
		j.problem = ""
	case err.Error() != j.problem:
		j.problem = err.Error()
		j.r.log.Error("job not run, it is tried again", "job", j.name, "error", err)
	}
}

// step runs the job when it is due and free, and says how long to wait until the next look.
func (j *work) step(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	s, err := read(ctx, j.r.db, j.name)
	if errors.Is(err, db.ErrNoRows) {
		err = j.r.db.Write(ctx, func(tx *db.Tx) error { return add(tx, j.name, now.Add(min(j.interval, firstAfter))) })
		if err == nil {
			s, err = read(ctx, j.r.db, j.name)
		}
	}
	if err != nil {
		return min(j.interval, pollEvery), fmt.Errorf("read the job: %w", err)
	}
	if wait := s.DueAt.Sub(now); wait > 0 {
		return min(wait, max(j.interval, pollEvery)), nil
	}
	if !s.free(now) {
		return min(s.leaseUntil.Sub(now)+time.Millisecond, pollEvery), nil
	}
	mine, err := j.take(ctx)
	if err != nil || !mine {
		return min(j.interval, time.Second), err
	}
	return j.interval, j.work(ctx)
}

func (j *work) take(ctx context.Context) (mine bool, err error) {
	err = j.r.db.Write(ctx, func(tx *db.Tx) error {
		var err error
		mine, err = take(tx, j.name, j.r.node)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take the job: %w", err)
	}
	return mine, nil
}

// work runs the job that this node has taken.
func (j *work) work(ctx context.Context) error {
	running, lost := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { j.hold(running, lost) })
	failure := j.call(running)
	lost()
	renewing.Wait()
	text := ""
	if failure != nil && ctx.Err() == nil {
		text = failure.Error()
		j.r.log.Error("job failed", "job", j.name, "error", failure)
	}
	// The job is given back even when the node is stopping: that is when others wait for it.
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), Lease/2)
	defer cancel()
	err := j.r.db.Write(back, func(tx *db.Tx) error {
		return giveBack(tx, j.name, j.r.node, tx.Now().Add(j.interval), text)
	})
	if err != nil {
		return fmt.Errorf("give the job back: %w", err)
	}
	return nil
}

// call runs the work; a panic is its error.
func (j *work) call(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			j.r.log.Error("job panicked", "job", j.name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return j.run(ctx)
}

// hold renews the lease until ctx ends, and ends the work when the job is another node's.
func (j *work) hold(ctx context.Context, lost context.CancelFunc) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mine := true
		err := j.r.db.Write(ctx, func(tx *db.Tx) error {
			var err error
			mine, err = renew(tx, j.name, j.r.node)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && mine:
			renewed = time.Now()
		case !mine, time.Since(renewed) > Lease-renewEvery:
			j.r.log.Warn("job lost to another node", "job", j.name, "error", err)
			lost()
			return
		}
	}
}
