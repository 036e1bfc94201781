package session

import (
	"fmt"
	"strconv"
	"time"
)

// ClockTolerance is how far a station's clock may differ from ours before its sessions are flagged.
const ClockTolerance = 5 * time.Minute

// clockNoise is what the way of a message and a clock without fractions make; nothing is corrected for it.
const clockNoise = time.Minute

// Times outside these years were told by a clock that was not set: no station has kept a message since before the first.
const (
	firstYear = 2020
	lastYear  = 2200
)

// checkClock looks at one message while the session runs. What waited for a connection can only look older than it is,
// so a time ahead of ours is proof, one behind it is not.
func (s *Session) checkClock(e Event) {
	r := e.Request
	if unset(r.Timestamp) {
		s.flag(ClockUnset, unsetText(r.Timestamp), e.ReceivedAt)
		return
	}
	if r.Offline.OK && r.Offline.V {
		return
	}
	diff := r.Timestamp.Sub(e.ReceivedAt)
	switch {
	case diff > ClockTolerance || e.Sequenced && diff < -24*time.Hour:
		code, text := clockText(diff)
		s.flag(code, text, e.ReceivedAt)
		s.setOffset(diff)
	case diff >= -ClockTolerance:
		s.setOffset(diff)
	}
}

func (s *Session) setOffset(diff time.Duration) {
	if s.ClockOffset == nil || (*s.ClockOffset-diff).Abs() > 10*time.Second {
		latest := diff // values that were given out never change; most messages come here and make none
		s.ClockOffset = &latest
	}
}

func unset(t time.Time) bool { y := t.Year(); return y < firstYear || y > lastYear }

func unsetText(t time.Time) string {
	if t.Year() > lastYear {
		return "the station's clock was not set: it told the year " + strconv.Itoa(t.Year()) + " or a later one"
	}
	return "the station's clock was not set: it told " + t.UTC().Format(time.DateOnly)
}

// clockText says what is wrong with a clock that differs by diff. OCPP 2.1 Part 2 3.1 wants UTC; a difference that is
// the offset of a time zone is most likely local time.
func clockText(diff time.Duration) (code, text string) {
	way := "ahead of"
	if diff < 0 {
		way = "behind"
	}
	text = fmt.Sprintf("the station's clock is %s %s ours", diff.Abs().Round(time.Second), way)
	if z, ok := zoneOffset(diff); ok {
		return ClockLocalTime, text + ", like local time of UTC" + z + " marked as UTC"
	}
	return ClockDifference, text
}

// zoneOffset finds the time zone whose local time a difference is, within two minutes. Zones are whole or half hours
// from -12:00 to +14:00, and three with three quarters.
func zoneOffset(diff time.Duration) (string, bool) {
	quarters := int(diff.Round(15*time.Minute) / (15 * time.Minute))
	if (diff-time.Duration(quarters)*15*time.Minute).Abs() > 2*time.Minute || quarters == 0 || quarters < -48 || quarters > 56 {
		return "", false
	}
	if quarters%2 != 0 && quarters != 23 && quarters != 35 && quarters != 51 { // +05:45, +08:45, +12:45
		return "", false
	}
	sign := '+'
	if quarters < 0 {
		sign, quarters = '-', -quarters
	}
	return fmt.Sprintf("%c%02d:%02d", sign, quarters/4, quarters%4*15), true
}

// readClock estimates how far the station's clock is from ours by all messages of a session, and corrects its times where
// that is known. A message that waited looks older than it is, so that the greatest difference is the best estimate;
// behind ours it is known only when two messages came as far apart as the station says that they were made.
func (s *Session) readClock(told []Stored, found findings) {
	s.ClockOffset, s.StartedCorrected, s.EndedCorrected = nil, time.Time{}, time.Time{}
	var best *Stored
	for i := range told {
		e := &told[i]
		switch {
		case unset(e.Request.Timestamp):
			found.find(ClockUnset, "%s", unsetText(e.Request.Timestamp))
		case e.Request.Offline.Or(false):
		default:
			if d := e.difference(); d > ClockTolerance {
				code, text := clockText(d)
				found.find(code, "%s", text)
			}
			if best == nil || e.difference() > best.difference() {
				best = e
			}
		}
	}
	if best == nil {
		return
	}
	offset := best.difference()
	if offset < -ClockTolerance {
		if !s.Sequenced || offset > -24*time.Hour {
			if !livelyAs(best, told) {
				return
			}
		}
		code, text := clockText(offset)
		found.find(code, "%s", text)
	}
	s.ClockOffset = &offset
	for i := range told {
		e := &told[i]
		d := e.difference()
		if d < offset-clockNoise || unset(e.Request.Timestamp) { // it waited, or was told by another clock
			d = offset
		}
		if d.Abs() <= clockNoise || unset(e.Request.Timestamp) {
			continue
		}
		switch {
		case e.hash == s.startHash:
			s.StartedCorrected = s.StartedAt.Add(-d)
		case e.hash == s.endHash:
			s.EndedCorrected = s.EndedAt.Add(-d)
		}
	}
}

// difference is how far a message's time is ahead of its arrival.
func (e *Stored) difference() time.Duration { return e.Request.Timestamp.Sub(e.ReceivedAt) }

// livelyAs reports whether another message, at least a minute away, came with the same difference: then neither waited.
func livelyAs(best *Stored, told []Stored) bool {
	for i := range told {
		e := &told[i]
		if e.Request.Offline.Or(false) || e.ReceivedAt.Sub(best.ReceivedAt).Abs() < time.Minute {
			continue
		}
		if (e.difference() - best.difference()).Abs() <= 30*time.Second {
			return true
		}
	}
	return false
}
