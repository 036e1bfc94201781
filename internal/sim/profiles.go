package sim

import (
	"cmp"
	"math"
	"slices"
	"time"

	"lumela/ocpp/v21"
)

// Purposes of profiles, in the words of OCPP 2.1; 1.6 calls the second ChargePointMaxProfile.
const (
	purposeExternal = "ChargingStationExternalConstraints"
	purposeMax      = "ChargingStationMaxProfile"
	purposeDefault  = "TxDefaultProfile"
	purposeTx       = "TxProfile"
	purposePriority = "PriorityCharging"
	purposeLocal    = "LocalGeneration"
)

// profile is a charging profile in the form in which limits are computed from it.
type profile struct {
	id, evse, stack    int
	purpose, kind      string // kind: Absolute, Recurring, Relative, Dynamic
	weekly             bool
	from, to           time.Time // zero for unbounded
	tx                 *transaction
	schedules          []schedule
	original           *v21.ChargingProfile // for reports of 2.x
	source             string
	pull               *task
	maxOffline         time.Duration
	invalidAfter, dead bool
}

type schedule struct {
	start    time.Time     // zero when it counts from the start of the transaction
	duration time.Duration // 0 for no end
	watts    bool
	periods  []period
}

type period struct {
	start  time.Duration
	limit  float64 // W or A; below zero for none
	phases int     // 0 when not given
}

// bound is the limit that a profile sets at a time, in W, and until when it stays so at most (zero: for ever).
func (s *Station) bound(p *profile, e *evse, at time.Time) (watts float64, ok bool) {
	if s.expired(p, at) || !p.from.IsZero() && at.Before(p.from) || !p.to.IsZero() && !at.Before(p.to) {
		return 0, false
	}
	for i := range p.schedules {
		sc := &p.schedules[i]
		begin, ok := s.scheduleStart(p, sc, e, at)
		if !ok {
			continue
		}
		offset := at.Sub(begin)
		if offset < 0 || sc.duration > 0 && offset >= sc.duration {
			continue
		}
		var now *period
		for j := range sc.periods {
			if sc.periods[j].start <= offset {
				now = &sc.periods[j]
			}
		}
		if now != nil && now.limit >= 0 {
			return s.watts(sc, now, e), true
		}
	}
	return 0, false
}

// watts is the limit of a period as power.
func (s *Station) watts(sc *schedule, p *period, e *evse) float64 {
	if sc.watts {
		return p.limit
	}
	phases := s.cfg.Phases
	if p.phases > 0 {
		phases = min(phases, p.phases)
	}
	if s.cfg.DC {
		return p.limit * dcVoltage
	}
	if e != nil && e.plugged > 0 {
		phases = min(phases, max(1, e.car.Phases))
	}
	return p.limit * float64(phases*voltage)
}

// scheduleStart is when a schedule began that may be running at a time.
func (s *Station) scheduleStart(p *profile, sc *schedule, e *evse, at time.Time) (time.Time, bool) {
	switch p.kind {
	case "Relative":
		if e != nil && e.tx != nil {
			return e.tx.started, true
		}
		return at, p.purpose != purposeTx // without a transaction the first period stands for what would be
	case "Recurring":
		every := 24 * time.Hour
		if p.weekly {
			every *= 7
		}
		if sc.start.IsZero() {
			return time.Time{}, false
		}
		n := math.Floor(float64(at.Sub(sc.start)) / float64(every))
		return sc.start.Add(time.Duration(n) * every), true
	}
	if sc.start.IsZero() {
		if e != nil && e.tx != nil {
			return e.tx.started, true
		}
		return at, true
	}
	return sc.start, true
}

// leading is the limit of the profile of a purpose that counts now: the highest stack level that has a limit; the
// EVSE's own before the station's.
func (s *Station) leading(purpose string, e *evse, at time.Time) (float64, bool) {
	best, level, own, found := 0.0, -1, false, false
	for _, p := range s.profiles {
		if p.purpose != purpose || !appliesTo(p, e) {
			continue
		}
		if p.tx != nil && (e == nil || p.tx != e.tx) {
			continue
		}
		w, ok := s.bound(p, e, at)
		if !ok {
			continue
		}
		mine := p.evse > 0
		if p.stack > level || p.stack == level && mine && !own {
			best, level, own, found = w, p.stack, mine, true
		}
	}
	return best, found
}

func appliesTo(p *profile, e *evse) bool {
	if e == nil {
		return p.evse == 0
	}
	return p.evse == 0 || p.evse == e.id
}

// limitAt is what an EVSE may give at a time, in W: the lowest of the purposes, OCPP 1.6 3.13.3, OCPP 2.1 K01.
func (s *Station) limitAt(e *evse, at time.Time) int {
	limit := float64(s.cfg.MaxPowerW)
	if !s.cfg.DC && e.plugged > 0 {
		limit = min(limit, float64(s.nominalPhases(e)*32*voltage))
	}
	for _, purpose := range [...]string{purposeExternal, purposeMax} {
		if w, ok := s.leading(purpose, e, at); ok {
			limit = min(limit, w/float64(max(1, s.sharers(e))))
		}
	}
	w, ok := s.txLimit(e, at)
	if extra, has := s.leading(purposeLocal, e, at); has && ok {
		w += extra
	}
	if ok {
		limit = min(limit, w)
	}
	return int(max(0, limit))
}

func (s *Station) txLimit(e *evse, at time.Time) (float64, bool) {
	if e.tx != nil && e.tx.priority {
		if w, ok := s.leading(purposePriority, e, at); ok {
			return w, true
		}
	}
	if w, ok := s.leading(purposeTx, e, at); ok {
		return w, true
	}
	return s.leading(purposeDefault, e, at)
}

// sharers is how many EVSEs share the station's limit, with this one.
func (s *Station) sharers(e *evse) int {
	n := 1
	for _, x := range s.evses {
		if x != e && x.contactorClosed() {
			n++
		}
	}
	return n
}

// install puts a profile in, in the place of those that it replaces. It gives a reason when it may not be.
func (s *Station) install(p *profile) string {
	if reason := s.checkProfile(p); reason != "" {
		return reason
	}
	s.profiles = slices.DeleteFunc(s.profiles, func(q *profile) bool {
		gone := q.id == p.id || q.purpose == p.purpose && q.stack == p.stack && q.evse == p.evse && q.tx == p.tx
		if gone {
			s.cancel(q.pull)
		}
		return gone
	})
	if len(s.profiles) >= s.num(setMaxProfiles) {
		return "TooManyProfiles"
	}
	s.profiles = append(s.profiles, p)
	s.limitsChanged()
	return ""
}

func (s *Station) checkProfile(p *profile) string {
	switch {
	case p.evse > len(s.evses) || p.evse < 0:
		return "UnknownEvse"
	case p.stack < 0 || p.stack > s.num(setMaxStack):
		return "InvalidStackLevel"
	case len(p.schedules) == 0:
		return "InvalidSchedule"
	case p.purpose == purposeMax && (p.evse != 0 || p.kind == "Relative"):
		return "InvalidProfile"
	case p.purpose == purposeTx && p.tx == nil:
		return "TxNotFound"
	}
	for _, sc := range p.schedules {
		if len(sc.periods) == 0 || len(sc.periods) > s.num(setMaxPeriods) || sc.periods[0].start != 0 {
			return "InvalidSchedule"
		}
		if !slices.IsSortedFunc(sc.periods, func(a, b period) int { return cmp.Compare(a.start, b.start) }) {
			return "InvalidSchedule"
		}
		if p.kind == "Recurring" && sc.start.IsZero() {
			return "InvalidSchedule"
		}
	}
	return ""
}

// limitsChanged lets new limits act at once.
func (s *Station) limitsChanged() {
	s.advance(s.now())
	for _, e := range s.evses {
		s.step(e)
	}
}

// dropTxProfiles removes the profiles of a transaction that has ended.
func (s *Station) dropTxProfiles(tx *transaction) {
	s.profiles = slices.DeleteFunc(s.profiles, func(p *profile) bool {
		if p.tx == tx {
			s.cancel(p.pull)
		}
		return p.tx == tx
	})
}

// clearProfiles removes what fits and says whether anything did.
func (s *Station) clearProfiles(fits func(*profile) bool) bool {
	before := len(s.profiles)
	s.profiles = slices.DeleteFunc(s.profiles, func(p *profile) bool {
		gone := p.purpose != purposeExternal && fits(p)
		if gone {
			s.cancel(p.pull)
		}
		return gone
	})
	if len(s.profiles) == before {
		return false
	}
	s.limitsChanged()
	return true
}

// maxPieces is how many periods a schedule of 2.1 may have.
const maxPieces = 1024

// expired says whether the station has been offline for longer than a profile allows, OCPP 2.1 K01, maxOfflineDuration.
func (s *Station) expired(p *profile, at time.Time) bool {
	if p.maxOffline <= 0 || p.dead {
		return p.dead
	}
	late := s.peer == nil && !s.lost.IsZero() && at.Sub(s.lost) > p.maxOffline
	if late && p.invalidAfter && !at.After(s.now()) {
		p.dead = true
	}
	return late
}

// piece is a part of a composite schedule.
type piece struct {
	start time.Duration
	watts int
}

// composite is the limits of an EVSE, or of the station for e nil, over a time: what would flow at most.
func (s *Station) composite(e *evse, from time.Time, d time.Duration) []piece {
	at := func(t time.Time) int {
		if e != nil {
			return s.limitAt(e, t)
		}
		limit := float64(s.cfg.MaxPowerW * len(s.evses))
		for _, purpose := range [...]string{purposeExternal, purposeMax} {
			if w, ok := s.leading(purpose, nil, t); ok {
				limit = min(limit, w)
			}
		}
		return int(limit)
	}
	var out []piece
	for _, o := range s.changePoints(e, from, d) {
		if len(out) == maxPieces {
			break
		}
		w := at(from.Add(o))
		if len(out) == 0 || out[len(out)-1].watts != w {
			out = append(out, piece{start: o, watts: w})
		}
	}
	return out
}

// changePoints lists, in order, when a limit may change within a time. Offsets are whole seconds.
func (s *Station) changePoints(e *evse, from time.Time, d time.Duration) []time.Duration {
	offsets := []time.Duration{0}
	add := func(t time.Time) {
		o := t.Sub(from)
		if o > 0 && o < d {
			offsets = append(offsets, (o + time.Second - 1).Truncate(time.Second))
		}
	}
	for _, p := range s.profiles {
		if !appliesTo(p, e) {
			continue
		}
		add(p.from)
		add(p.to)
		for i := range p.schedules {
			sc := &p.schedules[i]
			step := d + 1
			if p.kind == "Recurring" {
				step = 24 * time.Hour
			}
			for look := time.Duration(0); look <= d+step; look += step {
				begin, ok := s.scheduleStart(p, sc, e, from.Add(look))
				if !ok {
					continue
				}
				add(begin)
				for _, per := range sc.periods {
					add(begin.Add(per.start))
				}
				if sc.duration > 0 {
					add(begin.Add(sc.duration))
				}
			}
		}
	}
	slices.Sort(offsets)
	return slices.Compact(offsets)
}
