package soak

import (
	"math/rand/v2"
	"strings"
	"testing"

	"lumela/internal/tool/load"
)

// played is a station that made two transactions, the second still open, and got an answer to every message; with what a
// good node has of it.
func played(v load.Version) (*station, map[key][]stored, map[string][]session) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &station{id: "SOAK-0", version: v, rng: rng}
	s.story = story{station: s.id, version: v, token: token, rng: rng, meter: 1000}
	rows, sessions := map[key][]stored{}, map[string][]session{}
	for len(s.story.all) < 2 || s.story.now == nil {
		m := s.story.next(false)
		m.answered = true
		rows[key{s.id, m.at.UnixMicro()}] = []stored{{session: m.tx.id, kind: m.kind, wh: m.wh}}
	}
	for i, tx := range s.story.all {
		state := "ended"
		if i == 1 {
			state = "active"
		}
		sessions[tx.id] = []session{{ID: tx.id, TransactionID: tx.id, State: state, EnergyWh: tx.last - tx.start}}
	}
	return s, rows, sessions
}

// TestAccountFinds: an account that could not find a loss would prove nothing.
func TestAccountFinds(t *testing.T) {
	t.Parallel()
	first := func(s *station) (*transaction, key) {
		tx := s.story.all[0]
		return tx, key{s.id, tx.messages[0].at.UnixMicro()}
	}
	for name, c := range map[string]struct {
		harm func(s *station, rows map[key][]stored, sessions map[string][]session)
		want func(r *Report) bool
	}{
		"nothing": {func(*station, map[key][]stored, map[string][]session) {}, func(r *Report) bool { return r.OK() == nil && r.Sessions == 2 }},
		"lost":    {func(s *station, rows map[key][]stored, _ map[string][]session) { _, k := first(s); delete(rows, k) }, func(r *Report) bool { return r.Lost == 1 }},
		"unanswered": {func(s *station, rows map[key][]stored, _ map[string][]session) {
			tx, k := first(s)
			tx.messages[0].answered = false
			delete(rows, k)
		}, func(r *Report) bool { return r.OK() == nil }},
		"altered": {func(s *station, rows map[key][]stored, _ map[string][]session) { _, k := first(s); rows[k][0].wh++ }, func(r *Report) bool { return r.Lost == 1 }},
		"doubled": {func(s *station, rows map[key][]stored, _ map[string][]session) {
			_, k := first(s)
			rows[k] = append(rows[k], rows[k][0])
		}, func(r *Report) bool { return r.Doubled == 1 }},
		"two sessions": {func(s *station, _ map[key][]stored, sessions map[string][]session) {
			tx, _ := first(s)
			sessions[tx.id] = append(sessions[tx.id], sessions[tx.id][0])
		}, func(r *Report) bool { return r.Doubled == 1 }},
		"no session": {func(s *station, _ map[key][]stored, sessions map[string][]session) {
			tx, _ := first(s)
			delete(sessions, tx.id)
		}, func(r *Report) bool { return r.Lost == 1 }},
		"energy": {func(s *station, _ map[key][]stored, sessions map[string][]session) {
			tx, _ := first(s)
			sessions[tx.id][0].EnergyWh--
		}, func(r *Report) bool { return r.Differing == 1 }},
		"state": {func(s *station, _ map[key][]stored, sessions map[string][]session) {
			tx, _ := first(s)
			sessions[tx.id][0].State = "active"
		}, func(r *Report) bool { return r.Differing == 1 }},
		"renumbered": {func(s *station, _ map[key][]stored, _ map[string][]session) { s.renumbered = 1 }, func(r *Report) bool { return r.Doubled == 1 }},
		"refused":    {func(s *station, _ map[key][]stored, _ map[string][]session) { s.refused = 1 }, func(r *Report) bool { return r.OK() != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, v := range versions {
				s, rows, sessions := played(v)
				c.harm(s, rows, sessions)
				r := &Report{Flags: map[string]int{}}
				r.compare(s, rows, sessions)
				if !c.want(r) {
					t.Errorf("%s: %s\n%s", v, r, strings.Join(r.Findings, "\n"))
				}
			}
		})
	}
}

// TestStoryRepeats: the same seed makes the same story, but for its times.
func TestStoryRepeats(t *testing.T) {
	t.Parallel()
	a, b := newStation(&Options{Seed: 7, Prefix: "X"}, 3), newStation(&Options{Seed: 7, Prefix: "X"}, 3)
	for range 100 {
		x, y := a.story.next(false), b.story.next(false)
		if x.kind != y.kind || x.wh != y.wh || x.id != y.id || x.tx.id != y.tx.id {
			t.Fatalf("%+v and %+v", x, y)
		}
	}
}
