package main

import (
	"fmt"
	"io"
	"os"

	"lumela/internal/tool/load"
)

// BusyFigures are how a node answers while many stations are connected and send meter values, which are on disk before
// the answer.
type BusyFigures struct {
	CallFigures
	Engine  string  `json:"engine"`
	Offered float64 `json:"offeredPerSecond"` // 0: as many as there can be
}

// The aim: so many calls a second, 99 of 100 answered within so many milliseconds.
const (
	aimBusyPerSecond = 20_000
	aimBusyP99       = 100
)

// measureBusy offers meter values at rising rates, on SQLite and, where it is installed, on PostgreSQL.
func measureBusy(o *options) ([]BusyFigures, error) {
	base, stop, err := o.postgres()
	if err != nil {
		return nil, err
	}
	defer stop()
	var out []BusyFigures
	for _, engine := range []string{"SQLite", "PostgreSQL"} {
		if engine == "PostgreSQL" && base == "" {
			continue
		}
		for _, v := range versions {
			for _, rate := range o.rates {
				f, err := busy(o, v, rate, engine, base)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, %.0f calls/s: %w", engine, v, rate, err)
				}
				out = append(out, *f)
			}
		}
	}
	return out, nil
}

func busy(o *options, v load.Version, rate float64, engine, base string) (*BusyFigures, error) {
	f := &BusyFigures{CallFigures: CallFigures{Version: string(v), Stations: o.busy}, Engine: engine, Offered: rate}
	own := *o
	own.rate = rate
	run := func(database string) error {
		name := fmt.Sprintf("busy-%s-%s-%.0f", engine, v, rate)
		p, err := startNode(&own, name, database, "--max-stations", fmt.Sprint(o.busy))
		if err != nil {
			return err
		}
		if _, err := f.node(&own, p, meter, v, o.busy, name, database); err != nil {
			err = p.explain(err)
			_ = p.stop() // the reason is err
			return err
		}
		return p.stop()
	}
	if engine == "SQLite" {
		return f, run("")
	}
	return f, withDatabase(base, fmt.Sprintf("busy_%s_%.0f_%d", v, rate, os.Getpid()), run)
}

func printBusy(w io.Writer, figures []BusyFigures) {
	lines := []string{"database\tOCPP\tstations\toffered/s\tanswered/s\tp50 ms\tp99 ms\tCPU us\tdatabase CPU us\tcalls/commit\tframes not logged\taim"}
	for _, f := range figures {
		offered, met := "all", "-"
		if f.Offered > 0 {
			offered = fmt.Sprintf("%.0f", f.Offered)
		}
		if f.Offered == 0 || f.Offered >= aimBusyPerSecond {
			met = "missed"
			if f.PerSecond >= 0.99*aimBusyPerSecond && f.P99 < aimBusyP99 {
				met = "met"
			}
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%s\t%.0f\t%.2f\t%.2f\t%.1f\t%s\t%s\t%.0f\t%s", f.Engine, f.Version, f.Stations, offered,
			f.PerSecond, f.P50, f.P99, f.CPU, orDash(f.Database), orDash(f.CallsPerTxn), f.FramesLost, met))
	}
	table(w, "Meter values of many connected stations, on disk before the answer", lines,
		fmt.Sprintf("aim: %d/s with a p99 below %d ms. The load runs on the same machine.\n", aimBusyPerSecond, aimBusyP99))
}

// postgres is a server to measure with: the one that was named, or one of our own; url is empty where there is none.
func (o *options) postgres() (url string, stop func(), err error) {
	nothing := func() {}
	switch o.database {
	case "none":
		return "", nothing, nil
	case "auto":
		url, stop, err = ownPostgres(o.work)
		if err == nil && url == "" {
			fmt.Print("PostgreSQL is not installed: not measured\n\n")
			stop = nothing
		}
		return url, stop, err
	}
	return o.database, nothing, nil
}
