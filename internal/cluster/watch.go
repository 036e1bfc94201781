package cluster

import "time"

// watch finds silent nodes by its own clock: it notes when it last saw the number of each node change.
type watch struct {
	deadAfter time.Duration
	// gap is the longest pause between two looks after which this node trusts its own watching. After a longer one,
	// because the database was away or this process was frozen, everybody gets the whole time again: the others may have
	// been kept from beating by the same thing.
	gap  time.Duration
	seen map[string]mark
	last time.Time
}

type mark struct {
	beat int64
	at   time.Time // when the number was first seen
}

// look takes the nodes as they were read just now and returns those that have been silent for too long.
func (w *watch) look(now time.Time, self string, nodes []Node) (silent []Node) {
	calm := !w.last.IsZero() && now.Sub(w.last) <= w.gap
	w.last = now
	seen := make(map[string]mark, len(nodes))
	for _, n := range nodes {
		if n.ID == self || !n.State.Alive() {
			continue
		}
		m, known := w.seen[n.ID]
		if !known || m.beat != n.beat || !calm {
			m = mark{beat: n.beat, at: now}
		}
		seen[n.ID] = m
		if now.Sub(m.at) >= w.deadAfter {
			silent = append(silent, n)
		}
	}
	w.seen = seen
	return silent
}
