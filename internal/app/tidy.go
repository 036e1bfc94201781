package app

import (
	"context"
	"errors"
	"runtime/debug"
	"time"
)

const (
	// tidyEvery is how often a node looks whether a storm has passed.
	tidyEvery = 10 * time.Second
	// stormOf is the number of new links after which memory is worth being given back.
	stormOf = 500
	// tidyAgain is when it is done once more: a collection halves a stack at most.
	tidyAgain = time.Minute
	// tidyAnyway is when it is done though the node is busy: then it is simply as busy as this.
	tidyAnyway = 2 * time.Minute
)

// storm is what a node knows of the stations that have come at once.
type storm struct {
	links, frames int64     // in all, when it was looked at last
	tidied        int64     // links in all when memory was given back last
	since, again  time.Time // zero for no storm, and for nothing to do
}

// passed looks at a node and reports whether its memory is worth being given back now: hardly any station comes, and those
// that are there say what they say at rest. live is how many are connected.
func (s *storm) passed(links, frames, live int64, now time.Time) bool {
	calm := links-s.links < stormOf/10 && frames-s.frames < max(stormOf/2, live/4)
	s.links, s.frames = links, frames
	if s.since.IsZero() && links-s.tidied >= stormOf {
		s.since, s.again = now, time.Time{}
	}
	switch {
	case !s.since.IsZero() && (calm || now.Sub(s.since) >= tidyAnyway):
		s.tidied, s.since, s.again = links, time.Time{}, now.Add(tidyAgain)
		return true
	case !s.again.IsZero() && !now.Before(s.again):
		s.again = time.Time{}
		return true
	}
	return false
}

// tidy gives memory back to the system when a storm of stations has passed: what was needed to let thousands in at once is
// several times what they need while they are idle, and Go by itself would keep it for minutes, SQLite for ever.
func (n *node) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	var s storm
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c := &n.gateway.Counters
		if !s.passed(c.Accepted.Load(), c.FramesIn.Load(), int64(n.gateway.Links()), time.Now()) {
			continue
		}
		if err := errors.Join(n.db.Shrink(ctx), n.frames.Shrink(ctx)); err != nil && ctx.Err() == nil {
			n.log.Warn("memory of a storm not given back", "error", err)
		}
		debug.FreeOSMemory()
	}
}
