package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"lumela/internal/tool/load"
)

// IdleFigures are the memory of idle stations, in bytes per station. What is there before them is taken off: once with
// a node that has just started, which has its caches to fill yet, and once with one that all stations have visited.
type IdleFigures struct {
	Version    string  `json:"version"`
	Stations   int     `json:"stations"`
	StartRSS   float64 `json:"startRssBytes"`   // of the node, without stations
	RSS        float64 `json:"rssBytes"`        // as it is a moment after the last one has come
	Settled    float64 `json:"settledRssBytes"` // after a collection, free memory given back
	Heap       float64 `json:"heapBytes"`       // spans in use
	Live       float64 `json:"liveBytes"`       // objects in them
	Stack      float64 `json:"stackBytes"`
	AgainRSS   float64 `json:"againSettledRssBytes"` // all have been there before
	AgainHeap  float64 `json:"againHeapBytes"`
	AgainStack float64 `json:"againStackBytes"`
	LeftHeap   float64 `json:"leftHeapBytes"` // objects that stay when all have left, above the node's start
	Aim        float64 `json:"aimBytes"`
}

const aimIdle = 16 << 10

// BootFigures are a storm of stations.
type BootFigures struct {
	Version   string  `json:"version"`
	Transport string  `json:"transport"` // ws or wss
	Stations  int     `json:"stations"`
	AtOnce    int     `json:"atOnce"`
	Seconds   float64 `json:"seconds"` // until all were accepted
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50Ms"` // of a station, from its first attempt until it was accepted
	P99       float64 `json:"p99Ms"`
	CPU       float64 `json:"cpuUs"`    // of the node, per station
	Refused   int64   `json:"refused"`  // attempts that were sent away for a moment
	RSS       float64 `json:"rssBytes"` // of the node afterwards
}

func measureIdle(o *options) ([]IdleFigures, error) {
	var out []IdleFigures
	for _, v := range versions {
		p, err := startNode(o, "idle", "", "--max-stations", strconv.Itoa(o.stations))
		if err != nil {
			return nil, err
		}
		f, err := idle(o, p, v)
		if err != nil {
			err = p.explain(err)
			_ = p.stop() // the reason is err
			return nil, fmt.Errorf("%s: %w", v, err)
		}
		if err := p.stop(); err != nil {
			return nil, err
		}
		out = append(out, *f)
	}
	return out, nil
}

// calmAfter is how long a node may take to notice that a storm has passed, and to give its memory back.
const calmAfter = 15 * time.Second

// memory is what a node uses.
type memory struct{ found, rss, heap, live, stack float64 }

func (p *process) memory() (memory, error) {
	found, err := p.metrics()
	if err != nil {
		return memory{}, err
	}
	for range 4 { // each collection halves a stack at most
		if err := p.settle(); err != nil {
			return memory{}, err
		}
	}
	m, err := p.metrics()
	return memory{found["process_resident_memory_bytes"], m["process_resident_memory_bytes"],
		m["go_memstats_heap_inuse_bytes"], m["go_memstats_heap_alloc_bytes"], m["go_memstats_stack_inuse_bytes"]}, err
}

func idle(o *options, p *process, v load.Version) (*IdleFigures, error) {
	start, err := p.memory()
	if err != nil {
		return nil, err
	}
	first, err := visit(o, p, v, "idle-"+string(v))
	if err != nil {
		return nil, err
	}
	empty, err := p.memory()
	if err != nil {
		return nil, err
	}
	if o.profiles != "" { // what stays behind
		if err := p.save("heap", filepath.Join(o.profiles, "left-"+string(v)+".heap.pprof")); err != nil {
			return nil, err
		}
	}
	again, err := visit(o, p, v, "")
	if err != nil {
		return nil, err
	}
	each := func(with, without float64) float64 { return math.Round((with - without) / float64(o.stations)) }
	return &IdleFigures{Version: string(v), Stations: o.stations, StartRSS: start.rss, RSS: each(first.found, start.found),
		Settled: each(first.rss, start.rss), Heap: each(first.heap, start.heap),
		Live: each(first.live, start.live), Stack: each(first.stack, start.stack),
		AgainRSS: each(again.rss, empty.rss), AgainHeap: each(again.heap, empty.heap), AgainStack: each(again.stack, empty.stack),
		LeftHeap: each(empty.live, start.live), Aim: aimIdle}, nil
}

// visit connects and boots all stations, waits until the node has nothing more to ask them, reads its memory, and lets
// them go. profile names the profile of the heap, if one is asked for.
func visit(o *options, p *process, v load.Version, profile string) (memory, error) {
	stations, _, err := load.Storm(p.addr, names(o.stations), func(int) load.Version { return v }, min(o.atOnce, o.stations))
	if err != nil {
		return memory{}, err
	}
	var wg sync.WaitGroup
	held := make(chan error, len(stations))
	for _, s := range stations {
		wg.Go(func() { held <- s.Hold() })
	}
	m, err := func() (memory, error) {
		if err := p.quiet(); err != nil {
			return memory{}, err
		}
		time.Sleep(calmAfter)
		m, err := p.memory()
		if err == nil && o.profiles != "" && profile != "" {
			err = errors.Join(p.save("heap", filepath.Join(o.profiles, profile+".heap.pprof")),
				p.save("goroutine", filepath.Join(o.profiles, profile+".goroutine.pprof")))
		}
		return m, err
	}()
	load.CloseAll(stations)
	wg.Wait()
	close(held)
	for e := range held {
		if err == nil {
			err = e
		}
	}
	if err != nil {
		return memory{}, err
	}
	return m, p.until("all stations have left", func(m map[string]float64) bool { return m["lumela_stations_connected"] == 0 })
}

// quiet waits until the node exchanges no frames for two seconds, so that what follows a boot is over.
func (p *process) quiet() error {
	last, since := -1.0, time.Now()
	return p.until("the node is quiet", func(m map[string]float64) bool {
		if n := m["lumela_frames_in_total"] + m["lumela_frames_out_total"]; n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
}

// until waits for a state of the node's figures.
func (p *process) until(what string, reached func(map[string]float64) bool) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		m, err := p.metrics()
		if err != nil {
			return err
		}
		if reached(m) {
			return nil
		}
	}
	return fmt.Errorf("waited in vain until %s", what)
}

// measureBoot lets all stations come, for each version first at most atOnce at the same moment, then all at once, plain
// and by TLS.
func measureBoot(o *options) ([]BootFigures, error) {
	var out []BootFigures
	for _, v := range versions {
		for _, way := range []BootFigures{
			{Transport: "ws", AtOnce: min(o.atOnce, o.storm)}, {Transport: "ws", AtOnce: o.storm}, {Transport: "wss", AtOnce: o.storm},
		} {
			f := way
			f.Version, f.Stations = string(v), o.storm
			if err := f.measure(o, v); err != nil {
				return nil, fmt.Errorf("%s by %s, %d at once: %w", v, f.Transport, f.AtOnce, err)
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// measure runs one storm on a node of its own.
func (f *BootFigures) measure(o *options, v load.Version) error {
	p, err := startNode(o, "boot", "", "--max-stations", strconv.Itoa(o.storm))
	if err != nil {
		return err
	}
	addr := p.addr
	if f.Transport == "wss" {
		addr = load.Secure + p.tls
	}
	if err := f.boot(o, p, v, addr); err != nil {
		err = p.explain(err)
		_ = p.stop() // the reason is err
		return err
	}
	return p.stop()
}

func (f *BootFigures) boot(o *options, p *process, v load.Version, addr string) error {
	before, err := p.cpu()
	if err != nil {
		return err
	}
	profiled := p.profile(o, fmt.Sprintf("boot-%s-%s-%d", v, f.Transport, f.AtOnce))
	profiled.begin()
	stations, res, err := load.Storm(addr, names(o.storm), func(int) load.Version { return v }, f.AtOnce)
	if err != nil {
		return err
	}
	defer load.CloseAll(stations)
	after, err := p.cpu()
	if err != nil {
		return err
	}
	m, err := p.metrics()
	if err != nil {
		return err
	}
	f.Seconds, f.PerSecond = math.Round(100*res.Elapsed.Seconds())/100, math.Round(float64(o.storm)/res.Elapsed.Seconds())
	f.P50, f.P99 = ms(res.Accepted.Quantile(0.5)), ms(res.Accepted.Quantile(0.99))
	f.CPU, f.Refused, f.RSS = perCall(after-before, int64(o.storm)), res.Refused, m["process_resident_memory_bytes"]
	return profiled.end()
}
