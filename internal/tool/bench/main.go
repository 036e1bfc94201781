// Command bench measures a node: it builds lumela, runs it as a process of its own, puts load on it from this one, and
// prints what a call costs. Beside each figure stands that of a bare WebSocket server, which sends the same frames back,
// measured in the same run: absolute figures move with the machine, the ratios hold.
//
//	go run ./internal/tool/bench             all of it, some minutes
//	go run ./internal/tool/bench -quick      seconds, for a look whether it works
//	go run ./internal/tool/bench -only meter -cpuprofile DIR
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options of a run.
type options struct {
	links    []int         // of the closed loops
	stations int           // that are idle in one process
	storm    int           // that boot at once
	busy     int           // that are connected while some call
	rates    []float64     // calls per second of all busy stations together; 0 for as many as there can be
	spread   int           // that are idle over three nodes
	atOnce   int           // handshakes of the boots under way
	rate     float64       // calls per second of all stations together, 0 for as many as there can be
	measure  time.Duration // of each closed loop
	warm     time.Duration // before it
	only     map[string]bool
	database string
	profiles string // folder, "" for none
	binary   string
	work     string // temporary folder
}

// The parts of a run, in their order.
var parts = []string{"heartbeat", "meter", "busy", "idle", "boot", "cluster"}

func main() {
	if len(os.Args) == 5 && os.Args[1] == holdArgument {
		if err := hold(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, "bench hold:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 2 && os.Args[1] == echoArgument {
		if err := serveEcho(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench echo:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	o, jsonFile, err := parse()
	if err != nil {
		return err
	}
	if o.work, err = os.MkdirTemp("", "lumela-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(o.work) }() // a temporary folder
	if o.binary == "" {
		if o.binary, err = build(o.work); err != nil {
			return err
		}
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return err
		}
	}
	r := &Report{Machine: machine(o.work), Started: time.Now().UTC()}
	r.Machine.print(os.Stdout)
	if err := measureAll(o, r); err != nil {
		return err
	}
	if jsonFile == "" {
		return nil
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(raw, '\n'), 0o644)
}

func measureAll(o *options, r *Report) error {
	for _, part := range parts {
		if !o.only[part] {
			continue
		}
		if err := measurePart(part, o, r); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

func measurePart(part string, o *options, r *Report) error {
	var err error
	switch part {
	case "heartbeat":
		if r.Heartbeat, err = measureCalls(o, heartbeat, ""); err == nil {
			printCalls(os.Stdout, "Heartbeat", r.Heartbeat)
		}
	case "meter":
		if r.Meter, err = measureCalls(o, meter, ""); err != nil {
			return err
		}
		printCalls(os.Stdout, "Meter values, on disk before the answer, SQLite", r.Meter)
		return measurePostgres(o, r)
	case "busy":
		if r.Busy, err = measureBusy(o); err == nil {
			printBusy(os.Stdout, r.Busy)
		}
	case "idle":
		if r.Idle, err = measureIdle(o); err == nil {
			printIdle(os.Stdout, r.Idle)
		}
	case "boot":
		if r.Boot, err = measureBoot(o); err == nil {
			printBoot(os.Stdout, r.Boot)
		}
	case "cluster":
		if r.Cluster, err = measureCluster(o); err == nil && r.Cluster != nil {
			printCluster(os.Stdout, r.Cluster)
		}
	}
	return err
}

func parse() (*options, string, error) {
	o := &options{only: map[string]bool{}}
	quick := flag.Bool("quick", false, "a few seconds in all: 50 links for a second, 200 stations")
	seconds := flag.Float64("seconds", 5, "length of each closed loop")
	links := flag.String("links", "500,2000", "stations in the closed loops")
	flag.Float64Var(&o.rate, "rate", 0, "calls per second of all stations together; 0: closed loops, each station calls again at once")
	flag.IntVar(&o.stations, "stations", 15_000, "stations that are idle in one process")
	flag.IntVar(&o.storm, "storm", 10_000, "stations that boot at once")
	flag.IntVar(&o.busy, "busy", 5_000, "stations that are connected while some of them call")
	rates := flag.String("rates", "10000,20000,0", "calls per second of all busy stations together; 0: each calls again at once")
	flag.IntVar(&o.spread, "spread", 50_000, "stations that are idle over three nodes")
	flag.IntVar(&o.atOnce, "at-once", 200, "stations that are let in at the same moment while memory is measured")
	only := flag.String("only", strings.Join(parts, ","), "parts to measure")
	flag.StringVar(&o.database, "database", "auto", "postgres://… of an empty server to measure too; auto: one of scripts/test-postgres.sh where PostgreSQL is installed; none")
	flag.StringVar(&o.profiles, "cpuprofile", "", "folder for CPU and memory profiles of the node")
	flag.StringVar(&o.binary, "binary", "", "lumela to measure; built by default")
	jsonFile := flag.String("json", "", "file for the figures in JSON")
	flag.Parse()
	set := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { set[f.Name] = true })
	o.measure, o.warm = time.Duration(*seconds*float64(time.Second)), 2*time.Second
	if *quick {
		o.warm = 300 * time.Millisecond
		for name, small := range map[string]func(){
			"seconds":  func() { o.measure = time.Second },
			"links":    func() { *links = "50" },
			"stations": func() { o.stations = 200 },
			"storm":    func() { o.storm = 200 },
			"busy":     func() { o.busy = 100 },
			"rates":    func() { *rates = "1000" },
			"spread":   func() { o.spread = 300 },
			"database": func() { o.database = "none" },
		} {
			if !set[name] {
				small()
			}
		}
	}
	for text := range strings.SplitSeq(*links, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return nil, "", fmt.Errorf("-links: %q is no number of stations", text)
		}
		o.links = append(o.links, n)
	}
	for text := range strings.SplitSeq(*rates, ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || rate < 0 {
			return nil, "", fmt.Errorf("-rates: %q is no number of calls", text)
		}
		o.rates = append(o.rates, rate)
	}
	for name := range strings.SplitSeq(*only, ",") {
		o.only[strings.TrimSpace(name)] = true
	}
	for name := range o.only {
		if !strings.Contains(","+strings.Join(parts, ",")+",", ","+name+",") {
			return nil, "", fmt.Errorf("-only: %q is none of %s", name, strings.Join(parts, ", "))
		}
	}
	if o.measure <= 0 || o.rate < 0 || min(o.stations, o.storm, o.busy, o.spread, o.atOnce) < 1 {
		return nil, "", errors.New("-seconds, -stations, -storm, -busy, -spread and -at-once must be above 0, -rate not below")
	}
	return o, *jsonFile, nil
}

// build makes the binary as make build does, with the names of functions left in.
func build(dir string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "lumela")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "./cmd/lumela")
	cmd.Dir, cmd.Stderr, cmd.Env = root, os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build lumela: %w", err)
	}
	return binary, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
