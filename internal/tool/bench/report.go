package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// Report is all that a run has measured.
type Report struct {
	Started       time.Time     `json:"started"`
	Machine       Machine       `json:"machine"`
	Heartbeat     []CallFigures `json:"heartbeat,omitempty"`
	Meter         []CallFigures `json:"meter,omitempty"`
	MeterPostgres []CallFigures `json:"meterPostgres,omitempty"`
	Busy          []BusyFigures `json:"busy,omitempty"`
	Idle          []IdleFigures `json:"idle,omitempty"`
	Boot          []BootFigures `json:"boot,omitempty"`
	Cluster       []NodeFigures `json:"cluster,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"`
	MemoryMB int     `json:"memoryMb"`
	Kernel   string  `json:"kernel"`
	Go       string  `json:"go"`
	SyncMs   float64 `json:"fdatasyncMs"` // median of one 4 KiB block
	Load     string  `json:"load"`        // before the run: 1, 5 and 15 minutes
}

// machine finds the facts. What cannot be read is left empty.
func machine(dir string) Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: field("/proc/cpuinfo", "model name"), Kernel: line("/proc/sys/kernel/osrelease"),
		Load: strings.Join(strings.Fields(line("/proc/loadavg") + " ")[:3], " "), SyncMs: syncTime(dir)}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryMB = int(info.Totalram * uint64(info.Unit) >> 20)
	}
	return m
}

func line(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "? ? ?"
	}
	return strings.TrimSpace(string(raw))
}

func field(file, name string) string {
	for l := range strings.Lines(line(file)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// syncTime is the median time of writing a block to the disk for good, in ms; 0 when it could not be measured.
func syncTime(dir string) float64 {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // a probe
	block, times := make([]byte, 4096), make([]time.Duration, 51)
	for i := range times {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return ms(times[len(times)/2])
}

func (m *Machine) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "%s, %d cores, %d MiB, Linux %s, %s, fdatasync %.2f ms, load before: %s\n\n",
		m.CPU, m.Cores, m.MemoryMB, m.Kernel, m.Go, m.SyncMs, m.Load) // w is the terminal
}

// table prints lines of columns under a title.
func table(w io.Writer, title string, lines []string, note string) {
	_, _ = fmt.Fprintln(w, title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, l := range lines {
		_, _ = fmt.Fprintln(t, l+"\t")
	}
	_ = t.Flush()
	_, _ = fmt.Fprintln(w, note)
}

func printCalls(w io.Writer, title string, figures []CallFigures) {
	lines := []string{"OCPP\tstations\tbytes\tcalls/s\tp50 ms\tp99 ms\tCPU us\tbare CPU us\tbare calls/s\tratio\taim\tcalls/commit\tnot logged\tdatabase CPU us"}
	for _, f := range figures {
		lines = append(lines, fmt.Sprintf("%s\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.1f\t%.1f\t%.0f\t%.2f\t%s\t%s\t%.0f\t%s", f.Version, f.Stations, f.FrameBytes,
			f.PerSecond, f.P50, f.P99, f.CPU, f.EchoCPU, f.EchoPerS, f.Ratio, aim(f), orDash(f.CallsPerTxn), f.FramesLost, orDash(f.Database)))
	}
	table(w, title, lines, "CPU: user and system time of the server per call. bare: a WebSocket server that echoes frames of the same size.\n")
}

func aim(f CallFigures) string {
	met := "missed"
	if f.Ratio <= f.AimRatio || f.CPU <= f.AimCPU {
		met = "met"
	}
	return fmt.Sprintf("%.0fx or %.0f us: %s", f.AimRatio, f.AimCPU, met)
}

func orDash(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", v)
}

func printIdle(w io.Writer, figures []IdleFigures) {
	lines := []string{"OCPP\tstations\tnode alone MiB\tRSS\tRSS settled\theap\tlive\tstack\tagain: RSS\theap\tstack\tlive left\taim"}
	for _, f := range figures {
		lines = append(lines, fmt.Sprintf("%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f", f.Version, f.Stations, math.Round(f.StartRSS/(1<<20)),
			f.RSS, f.Settled, f.Heap, f.Live, f.Stack, f.AgainRSS, f.AgainHeap, f.AgainStack, f.LeftHeap, f.Aim))
	}
	table(w, "Memory of an idle, booted station, bytes", lines, "again: settled, above a node that all stations had visited before, so without the caches that fill once.\nlive left: objects that stay when all have gone, above the node's start.\n")
}

func printBoot(w io.Writer, figures []BootFigures) {
	lines := []string{"OCPP\ttransport\tstations\tat once\tall accepted s\tstations/s\tp50 ms\tp99 ms\tCPU us each\tsent away\tnode RSS MiB"}
	for _, f := range figures {
		lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%d\t%.2f\t%.0f\t%.2f\t%.2f\t%.0f\t%d\t%.0f", f.Version, f.Transport, f.Stations, f.AtOnce, f.Seconds, f.PerSecond, f.P50, f.P99, f.CPU, f.Refused, f.RSS/(1<<20)))
	}
	table(w, "Storm of unknown stations, from the connection to the accepted BootNotification", lines,
		"sent away: upgrades answered with 503 or 429, which the stations tried again when the answer said.\n")
}
