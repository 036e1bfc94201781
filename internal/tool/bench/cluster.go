package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"lumela/internal/tool/load"
)

// NodeFigures are one of several nodes that share many idle stations.
type NodeFigures struct {
	Node     int     `json:"node"`
	Stations int     `json:"stations"`
	Seconds  float64 `json:"seconds"` // until all of them were accepted
	StartRSS float64 `json:"startRssBytes"`
	RSS      float64 `json:"rssBytes"` // of the node, settled
	Each     float64 `json:"rssPerStationBytes"`
}

const clusterNodes = 3

// measureCluster spreads idle stations over three nodes on one PostgreSQL and one NATS server. The stations of each node
// are held by a process of their own, because open files are limited per process.
func measureCluster(o *options) ([]NodeFigures, error) {
	base, stop, err := o.postgres()
	if err != nil || base == "" {
		return nil, err
	}
	defer stop()
	bus, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return nil, err
	}
	bus.Start()
	defer bus.Shutdown()
	if !bus.ReadyForConnections(startTime) {
		return nil, errors.New("the NATS server does not start")
	}
	var out []NodeFigures
	err = withDatabase(base, fmt.Sprintf("cluster_%d", os.Getpid()), func(database string) error {
		out, err = cluster(o, database, bus.ClientURL())
		return err
	})
	return out, err
}

// member is a node with the process that holds its stations.
type member struct {
	node  *process
	held  *exec.Cmd
	start memory
	NodeFigures
}

func cluster(o *options, database, nats string) (out []NodeFigures, err error) {
	members := make([]*member, clusterNodes)
	defer func() {
		for _, m := range members {
			if m != nil {
				m.end()
			}
		}
	}()
	for i := range members {
		n := o.spread / clusterNodes
		node, err := startNode(o, "cluster", database, "--nats", nats, "--max-stations", strconv.Itoa(n+100))
		if err != nil {
			return nil, err
		}
		members[i] = &member{node: node, NodeFigures: NodeFigures{Node: i + 1, Stations: n}}
		if members[i].start, err = node.memory(); err != nil {
			return nil, err
		}
	}
	var wg sync.WaitGroup
	failures := make([]error, len(members))
	for i, m := range members {
		wg.Go(func() { failures[i] = m.fill() })
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return nil, err
	}
	for _, m := range members {
		if err := m.node.quiet(); err != nil {
			return nil, err
		}
	}
	for _, m := range members {
		now, err := m.node.memory()
		if err != nil {
			return nil, err
		}
		m.StartRSS, m.RSS = m.start.rss, now.rss
		m.Each = math.Round((now.rss - m.start.rss) / float64(m.Stations))
		out = append(out, m.NodeFigures)
	}
	return out, nil
}

// holdArgument makes this program hold idle stations until its input ends.
const holdArgument = "hold-stations"

// fill starts the process that holds the stations of a node and waits until all are accepted.
func (m *member) fill() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m.held = exec.Command(self, holdArgument, m.node.addr, fmt.Sprintf("N%d", m.Node), strconv.Itoa(m.Stations))
	m.held.Stderr, m.held.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := m.held.StdinPipe()
	if err != nil {
		return err
	}
	_ = in // it is closed when the process is ended
	text, err := m.held.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := m.held.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(text).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		return m.node.explain(fmt.Errorf("the stations of node %d did not come in: %q %w", m.Node, line, err))
	}
	m.Seconds = math.Round(10*time.Since(begin).Seconds()) / 10
	return nil
}

func (m *member) end() {
	if m.held != nil && m.held.Process != nil {
		_ = m.held.Process.Kill() // it holds nothing that matters
		_ = m.held.Wait()
	}
	if err := m.node.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: node not stopped:", err)
	}
}

// hold connects count stations of OCPP 1.6 to addr and keeps them there.
func hold(addr, prefix, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%05d", prefix, i+1)
	}
	stations, _, err := load.Storm(addr, ids, func(int) load.Version { return load.V16 }, holdAtOnce)
	if err != nil {
		return err
	}
	for _, s := range stations {
		go func() {
			if err := s.Hold(); err != nil {
				fmt.Fprintln(os.Stderr, "bench hold:", s.ID, err)
				os.Exit(1)
			}
		}()
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// holdAtOnce is how many stations of a node connect at the same moment.
const holdAtOnce = 200

func printCluster(w io.Writer, figures []NodeFigures) {
	lines := []string{"node\tstations\tall accepted s\tnode alone MiB\tRSS MiB\tbytes per station\taim"}
	for _, f := range figures {
		lines = append(lines, fmt.Sprintf("%d\t%d\t%.1f\t%.0f\t%.0f\t%.0f\t%d", f.Node, f.Stations, f.Seconds, f.StartRSS/(1<<20), f.RSS/(1<<20), f.Each, aimIdle))
	}
	table(w, "Idle stations over three nodes, one PostgreSQL and one NATS server on the same machine", lines, "")
}
