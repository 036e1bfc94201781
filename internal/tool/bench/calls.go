package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"lumela/internal/tool/load"
)

// CallFigures are what one kind of call costs, in microseconds of CPU of the server, beside the bare server.
type CallFigures struct {
	Version     string  `json:"version"`
	Stations    int     `json:"stations"`
	FrameBytes  int     `json:"frameBytes"`
	PerSecond   float64 `json:"perSecond"`
	P50         float64 `json:"p50Ms"`
	P99         float64 `json:"p99Ms"`
	CPU         float64 `json:"cpuUs"`
	Database    float64 `json:"databaseCpuUs,omitempty"` // of the PostgreSQL server
	EchoCPU     float64 `json:"echoCpuUs"`
	EchoPerS    float64 `json:"echoPerSecond"`
	Ratio       float64 `json:"ratio"` // CPU / EchoCPU
	AimRatio    float64 `json:"aimRatio"`
	AimCPU      float64 `json:"aimCpuUs"`
	FramesLost  float64 `json:"framesNotLogged"`
	CallsPerTxn float64 `json:"callsPerCommit,omitempty"`
}

// kind is a call that is measured.
type kind struct {
	name             string
	aimRatio, aimCPU float64
	prepare          func(*load.Station) (*load.Call, error)
}

const token = "BENCH"

var (
	heartbeat = kind{"heartbeat", 2, 20, func(*load.Station) (*load.Call, error) { return load.Heartbeat(), nil }}
	meter     = kind{"meter", 4, 50, func(s *load.Station) (*load.Call, error) { return s.Begin(token) }}
)

// versions are measured apart.
var versions = []load.Version{load.V16, load.V201}

// measureCalls runs the closed loops of a kind. database is empty for SQLite.
func measureCalls(o *options, k kind, database string) ([]CallFigures, error) {
	var out []CallFigures
	for _, v := range versions {
		for _, n := range o.links {
			f, err := measureNode(o, k, v, n, database)
			if err != nil {
				return nil, fmt.Errorf("%s, %d stations: %w", v, n, err)
			}
			out = append(out, *f)
		}
	}
	return out, nil
}

// measureNode measures the node, and at once afterwards the bare server with frames of the same size.
func measureNode(o *options, k kind, v load.Version, n int, database string) (*CallFigures, error) {
	f := &CallFigures{Version: string(v), Stations: n, AimRatio: k.aimRatio, AimCPU: k.aimCPU}
	name := fmt.Sprintf("%s-%s-%d", k.name, v, n)
	if database != "" {
		name += "-postgres"
	}
	p, err := startNode(o, name, database, "--max-stations", strconv.Itoa(n))
	if err != nil {
		return nil, err
	}
	calls, err := f.node(o, p, k, v, n, name, database)
	if err != nil {
		err = p.explain(err)
		_ = p.stop() // the reason is err
		return nil, err
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	return f, f.echo(o, v, calls)
}

// node fills in the figures of the node and gives the messages that were used.
func (f *CallFigures) node(o *options, p *process, k kind, v load.Version, n int, name, database string) ([]*load.Call, error) {
	if err := post(context.Background(), "http://"+p.addr+"/api/v1/tokens", `{"uid":"`+token+`","type":"ISO14443"}`); err != nil {
		return nil, err
	}
	stations, _, err := load.Storm(p.addr, names(n), func(int) load.Version { return v }, min(o.atOnce, n))
	if err != nil {
		return nil, err
	}
	defer load.CloseAll(stations)
	calls, err := prepare(k, stations)
	if err != nil {
		return nil, err
	}
	f.FrameBytes = calls[0].Size()
	w := watch{process: p, database: database}
	profiled := p.profile(o, name)
	res, err := load.Drive(stations, calls, load.Loop{Warm: o.warm, Measure: o.measure, Every: o.every(n),
		Begin: func() error { profiled.begin(); return w.begin() }, End: w.end})
	if err != nil {
		return nil, err
	}
	f.fill(res, &w)
	return calls, profiled.end()
}

// prepare makes the call of each station, which may take a call of its own.
func prepare(k kind, stations []*load.Station) ([]*load.Call, error) {
	calls, failures := make([]*load.Call, len(stations)), make([]error, len(stations))
	turns := make(chan struct{}, 500)
	var wg sync.WaitGroup
	for i, s := range stations {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if calls[i], failures[i] = k.prepare(s); failures[i] != nil {
				failures[i] = fmt.Errorf("%s: %w", s.ID, failures[i])
			}
		})
	}
	wg.Wait()
	return calls, errors.Join(failures...)
}

func (f *CallFigures) fill(res *load.Result, w *watch) {
	f.PerSecond = math.Round(res.PerSecond())
	f.P50, f.P99 = ms(res.Latency.Quantile(0.5)), ms(res.Latency.Quantile(0.99))
	f.CPU = perCall(w.cpu, res.Calls)
	f.Database = perCall(w.databaseCPU, res.Calls)
	f.FramesLost = w.delta("lumela_frames_not_logged_total")
	if commits := w.delta("lumela_db_commits_total"); commits > 0 {
		f.CallsPerTxn = math.Round(10*float64(res.Calls)/commits) / 10
	}
}

// echo fills in the figures of the bare server.
func (f *CallFigures) echo(o *options, v load.Version, calls []*load.Call) error {
	p, err := startEcho()
	if err != nil {
		return err
	}
	defer func() { _ = p.stop() }() // it keeps nothing
	stations := make([]*load.Station, len(calls))
	defer func() { load.CloseAll(stations) }()
	for i, id := range names(len(calls)) {
		if stations[i], err = load.ConnectEcho(p.addr, id, v); err != nil {
			return err
		}
	}
	var before, after time.Duration
	res, err := load.Drive(stations, calls, load.Loop{Warm: o.warm / 2, Measure: o.measure, Every: o.every(len(calls)),
		Begin: func() (err error) { before, err = p.cpu(); return err },
		End:   func() (err error) { after, err = p.cpu(); return err }})
	if err != nil {
		return fmt.Errorf("bare server: %w", err)
	}
	f.EchoCPU, f.EchoPerS = perCall(after-before, res.Calls), math.Round(res.PerSecond())
	f.Ratio = math.Round(100*f.CPU/f.EchoCPU) / 100
	return nil
}

// every is the time between two calls of one of n stations.
func (o *options) every(n int) time.Duration {
	if o.rate == 0 {
		return 0
	}
	return time.Duration(float64(n) / o.rate * float64(time.Second))
}

// watch reads what a node has used meanwhile.
type watch struct {
	process          *process
	database         string
	cpu, databaseCPU time.Duration
	before, after    map[string]float64
}

func (w *watch) begin() error {
	var err error
	if w.before, err = w.process.metrics(); err != nil {
		return err
	}
	if w.database != "" {
		if w.databaseCPU, err = serverCPU(w.database); err != nil {
			return err
		}
	}
	w.cpu, err = w.process.cpu()
	return err
}

func (w *watch) end() error {
	cpu, err := w.process.cpu()
	if err != nil {
		return err
	}
	w.cpu = cpu - w.cpu
	if w.database != "" {
		if cpu, err = serverCPU(w.database); err != nil {
			return err
		}
		w.databaseCPU = cpu - w.databaseCPU
	}
	w.after, err = w.process.metrics()
	return err
}

func (w *watch) delta(name string) float64 { return w.after[name] - w.before[name] }

// profiling stores the profiles of one measurement while it runs.
type profiling struct {
	begin func()
	end   func() error
}

// profile prepares the profiles of a measurement, when they are asked for: where the CPU goes, and what is allocated.
func (p *process) profile(o *options, name string) profiling {
	if o.profiles == "" {
		return profiling{func() {}, func() error { return nil }}
	}
	seconds := int(math.Ceil(o.measure.Seconds()))
	results := make(chan error, 2)
	save := func(query, suffix string) {
		go func() {
			results <- p.save(fmt.Sprintf("%s?seconds=%d", query, max(1, seconds-1)), filepath.Join(o.profiles, name+suffix))
		}()
	}
	return profiling{
		begin: func() { save("profile", ".cpu.pprof"); save("allocs", ".allocs.pprof") },
		end: func() error {
			first, second := <-results, <-results
			if first != nil {
				return first
			}
			return second
		},
	}
}

func perCall(d time.Duration, calls int64) float64 {
	if calls == 0 {
		return 0
	}
	return math.Round(10*float64(d.Nanoseconds())/1000/float64(calls)) / 10
}

func ms(d time.Duration) float64 { return math.Round(d.Seconds()*1e5) / 100 }

// names are the ids of n stations.
func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("BENCH-%05d", i+1)
	}
	return out
}

// databaseName is a fresh database for one measurement.
func databaseName(name string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace("bench_" + name)
}
