package app

import (
	"fmt"
	"log/slog"
)

const (
	// smallNode is a size below which a node that is told nothing says that the machine has made it small.
	smallNode = 10_000
	// mostUnset is the size of a node that is told nothing, where the machine allows more: 2 GiB of memory at the least.
	mostUnset = 100_000
	// spareFiles are for everything but the stations: databases with their logs, NATS, those who use console and API, stations
	// that are being let in (256) and those that are refused at the same moment.
	spareFiles = 512
	// reconnects is the share of the stations, one in so many, whose new link may be open before the old one is closed.
	reconnects = 20
)

// filesFor is how many open files a node of a size needs. A virtual station's end of its link is in this process too.
func filesFor(stations, demo int) uint64 {
	return uint64(stations) + uint64(stations)/reconnects + uint64(demo) + spareFiles
}

// sizeOf is the size of the node with these settings.
func sizeOf(cfg Config, log *slog.Logger) (int, error) {
	limit, err := openFiles()
	if err != nil {
		return 0, fmt.Errorf("find the limit of open files: %w", err)
	}
	return size(cfg.MaxStations, cfg.Demo, limit, log)
}

// size is how many stations a node lets in at once. One that was set must fit the limit of open files, or the node does
// not start: it would fail at the worst moment, when all stations come at once. One that was not set is made to fit.
func size(set, demo int, limit uint64, log *slog.Logger) (int, error) {
	if set > 0 {
		if need := filesFor(set, demo); need > limit {
			return 0, fmt.Errorf("max-stations is %d, which needs %d open files, and the limit of this process is %d: raise it (ulimit -Hn %d before the start; "+
				"LimitNOFILE=%d in a systemd unit; ulimits.nofile of a container) or set max-stations to %d", set, need, limit, need, need, fitting(demo, limit))
		}
		return set, nil
	}
	n := min(fitting(demo, limit), mostUnset)
	if n < smallNode {
		log.Warn("the limit of open files makes this a small node", "limit", limit, "max-stations", n, "needed for 10,000 stations", filesFor(smallNode, demo))
	}
	return n, nil
}

// fitting is the greatest size for a limit, 1 at least.
func fitting(demo int, limit uint64) int {
	free := int64(min(limit, 1<<31)) - spareFiles - int64(demo)
	return int(max(1, free*reconnects/(reconnects+1)))
}
