package history

import (
	"context"
	"slices"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/internal/session"
	"lumela/internal/station"
)

const (
	// batch is how many sessions are taken in at once.
	batch = 500
	// runningEvery is how often a session that runs is taken in.
	runningEvery = 5 * time.Minute
	// settles is how long the row of a running session may be behind its messages.
	settles = 15 * time.Second
	// grace is how long after its end an hour's states are counted: the messages of its last moments are on the disk then.
	grace = 2 * time.Minute
	// mostHours bounds how many hours of states are counted at once, after a long stop.
	mostHours = 31 * 24
	// stationsAtOnce is how many stations' states are counted in one transaction.
	stationsAtOnce = 50

	statesDone = "states"
	rebuilding = "rebuild"
)

// Update takes in what has changed since the last time. It may be repeated, and left at any point; one node at a time calls it.
func (h *History) Update(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.continueRebuild(ctx); err != nil {
		return err
	}
	for {
		marks, err := h.ledger.Marks(ctx, batch)
		if err != nil {
			return err
		}
		if len(marks) == 0 {
			break
		}
		ids := make([]string, len(marks))
		for i, m := range marks {
			ids[i] = m.Session
			delete(h.read, m.Session)
		}
		if err := h.take(ctx, ids); err != nil {
			return err
		}
		if err := h.ledger.Unmark(ctx, marks); err != nil {
			return err
		}
	}
	if err := h.takeRunning(ctx); err != nil {
		return err
	}
	return h.countStates(ctx)
}

// take computes sessions again.
func (h *History) take(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	for step := range slices.Chunk(slices.Compact(ids), batch) {
		hours, err := h.takeStep(ctx, step)
		if err != nil {
			return err
		}
		if err := h.addUp(ctx, hours, true); err != nil {
			return err
		}
	}
	return nil
}

func (h *History) takeStep(ctx context.Context, ids []string) (touched, error) {
	courses := make([]*session.Course, 0, len(ids))
	for _, id := range ids {
		c, err := h.ledger.Course(ctx, id)
		if problem.Is(err, problem.NotFound) { // forgotten since, past its retention: what it added stays
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.Thinned { // what it added when it had all its readings stays
			continue
		}
		courses = append(courses, c)
	}
	return h.replace(ctx, courses, false)
}

// takeRunning takes in the running sessions that have changed.
func (h *History) takeRunning(ctx context.Context) error {
	running, err := h.ledger.Running(ctx)
	if err != nil {
		return err
	}
	now := h.now()
	var ids []string
	still := make(map[string]lastRead, len(running))
	for _, r := range running {
		was, known := h.read[r.ID]
		settled := was.updated.Equal(r.UpdatedAt) && was.at.Sub(r.UpdatedAt) > settles
		if known && (settled || now.Sub(was.at) < runningEvery) {
			still[r.ID] = was
			continue
		}
		ids = append(ids, r.ID)
		still[r.ID] = lastRead{updated: r.UpdatedAt, at: now}
	}
	if err := h.take(ctx, ids); err != nil {
		return err
	}
	h.read = still
	return nil
}

// countStates counts how long connectors were in which state, for the hours that are over and not counted yet.
func (h *History) countStates(ctx context.Context) error {
	until := db.Time(hourOf(db.Micros(h.now().Add(-grace))))
	at, after, err := h.progress(ctx, statesDone)
	if err != nil {
		return err
	}
	from := db.Time(at)
	if at == 0 {
		from = until.Add(-mostHours * time.Hour) // of an older installation: the last month
	}
	for from.Before(until) {
		to := from.Add(mostHours * time.Hour)
		if to.After(until) {
			to = until
		}
		if err := h.countStatesBetween(ctx, from, to, after); err != nil {
			return err
		}
		if err := h.setProgress(ctx, statesDone, db.Micros(to), ""); err != nil {
			return err
		}
		from, after = to, ""
	}
	return nil
}

// countStatesBetween counts the states of all stations after one.
func (h *History) countStatesBetween(ctx context.Context, from, to time.Time, after string) error {
	for {
		list, err := h.stations.After(ctx, station.ID(after), stationsAtOnce)
		if err != nil || len(list) == 0 {
			return err
		}
		after = string(list[len(list)-1].ID)
		hours := touched{}
		rows := map[owner]map[[2]int64]*figures{}
		for _, st := range list {
			o := owner{st.Organisation, string(st.ID)}
			stretches, err := h.stations.Stretches(ctx, st.ID, from, to)
			if err != nil {
				return err
			}
			if rows[o] = statesOf(stretches); len(rows[o]) == 0 {
				delete(rows, o)
			}
			for key := range rows[o] {
				hours.add(o, key[0])
			}
		}
		err = h.db.Write(ctx, func(tx *db.Tx) error {
			for o, list := range rows {
				if err := writeStates(tx, o, list); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return problem.Wrap("write the states of connectors", err)
		}
		if err := h.addUp(ctx, hours, false); err != nil {
			return err
		}
		if err := h.setProgress(ctx, statesDone, db.Micros(from), after); err != nil {
			return err
		}
	}
}

// statesOf adds stretches up by hour and EVSE.
func statesOf(stretches []station.Stretch) map[[2]int64]*figures {
	out := map[[2]int64]*figures{}
	for _, st := range stretches {
		split(db.Micros(st.From), db.Micros(st.To), func(h, us int64) {
			key := [2]int64{h, int64(st.EVSE)}
			if out[key] == nil {
				out[key] = &figures{}
			}
			if to := out[key].state(st.Status); to != nil {
				*to += us
			}
		})
	}
	return out
}

// Rebuild has everything that sessions add computed again from the ledger, station by station, by the next updates. What
// sessions have added whose readings are past their retention stays.
func (h *History) Rebuild(ctx context.Context) error {
	return h.setProgress(ctx, rebuilding, 1, "")
}

func (h *History) continueRebuild(ctx context.Context) error {
	asked, after, err := h.progress(ctx, rebuilding)
	if err != nil || asked == 0 {
		return err
	}
	for n := 0; ; n++ {
		if n == 20 || n%500 == 0 {
			if err := h.analyze(ctx); err != nil {
				return err
			}
		}
		id, err := h.ledger.NextStation(ctx, after)
		if err != nil {
			return err
		}
		if id == "" {
			break
		}
		refs, err := h.ledger.OfStation(ctx, id)
		if err != nil {
			return err
		}
		ids := make([]string, len(refs))
		for i, r := range refs {
			ids[i] = r.ID
		}
		if err := h.rebuildStation(ctx, ids); err != nil {
			return err
		}
		after = id
		if err := h.setProgress(ctx, rebuilding, asked, after); err != nil {
			return err
		}
	}
	all, err := h.allHours(ctx)
	if err != nil {
		return err
	}
	if err := h.addUpOrganisations(ctx, all); err != nil {
		return err
	}
	h.log.Info("history computed again")
	return h.setProgress(ctx, rebuilding, 0, "")
}

// rebuildStation is take for all sessions of a station; the sums of organisations follow at the end.
func (h *History) rebuildStation(ctx context.Context, ids []string) error {
	mine := touched{}
	for step := range slices.Chunk(ids, batch) {
		hours, err := h.takeStep(ctx, step)
		if err != nil {
			return err
		}
		for o, list := range hours {
			for at := range list {
				mine.add(o, at)
			}
		}
	}
	for o, list := range mine {
		err := h.db.Write(ctx, func(tx *db.Tx) error {
			for _, run := range runs(list, 30*day) {
				if err := addUpStation(tx, o, run, true); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return problem.Wrap("add up the history", err)
		}
	}
	return nil
}

// Take takes in sessions that were just imported; [History.Sum] must follow.
func (h *History) Take(ctx context.Context, courses []*session.Course) error {
	_, err := h.replace(ctx, courses, true)
	return err
}

// Sum computes all sums of some stations of an organisation again from what their sessions add, and those of the organisation.
func (h *History) Sum(ctx context.Context, organisation string, stations []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	const ever = int64(1) << 60
	for i, id := range stations {
		if i == 20 || i%500 == 0 {
			if err := h.analyze(ctx); err != nil {
				return err
			}
		}
		err := h.db.Write(ctx, func(tx *db.Tx) error {
			return addUpStation(tx, owner{organisation, id}, [2]int64{-ever, ever}, true)
		})
		if err != nil {
			return problem.Wrap("add up the history", err)
		}
	}
	all, err := h.allHours(ctx)
	if err != nil {
		return err
	}
	return h.addUpOrganisations(ctx, touched{owner{organisation: organisation}: all[owner{organisation: organisation}]})
}
