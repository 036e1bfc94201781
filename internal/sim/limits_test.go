package sim

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"lumela/ocpp"
)

func drawProfile(t *rapid.T, now time.Time, id int) *profile {
	whole := func(label string, from, to int) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Minute
	}
	p := &profile{id: id, evse: rapid.IntRange(0, 2).Draw(t, "evse"), stack: rapid.IntRange(0, 3).Draw(t, "stack"),
		purpose: rapid.SampledFrom([]string{purposeMax, purposeDefault, purposeTx}).Draw(t, "purpose"),
		kind:    rapid.SampledFrom([]string{"Absolute", "Recurring", "Relative"}).Draw(t, "kind"), weekly: rapid.Bool().Draw(t, "weekly")}
	if rapid.Bool().Draw(t, "bounded") {
		p.from = now.Add(whole("from", -600, 600))
		p.to = p.from.Add(whole("length", 1, 3000))
	}
	sc := schedule{watts: rapid.Bool().Draw(t, "watts")}
	if p.kind != "Relative" {
		sc.start = now.Add(whole("start", -3000, 600))
	}
	if rapid.Bool().Draw(t, "ends") {
		sc.duration = whole("duration", 1, 1500)
	}
	start := time.Duration(0)
	for range rapid.IntRange(1, 5).Draw(t, "periods") {
		limit := float64(rapid.IntRange(0, 40).Draw(t, "limit"))
		if sc.watts {
			limit *= 690
		}
		sc.periods = append(sc.periods, period{start: start, limit: limit, phases: rapid.IntRange(0, 3).Draw(t, "phases")})
		start += whole("gap", 1, 300)
	}
	p.schedules = []schedule{sc}
	return p
}

// TestCompositeIsWhatFlows compares the composite schedule with the limit of every minute of it, for any mix of
// profiles.
func TestCompositeIsWhatFlows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, f := lone(t, ocpp.V21, rapid.Bool().Draw(t, "dc"))
		if rapid.Bool().Draw(t, "charging") {
			s.presentedNow(t)
			f.Advance(7 * time.Minute)
			s.wake()
		}
		e := s.evses[0]
		now := f.Now()
		for id := range rapid.IntRange(0, 6).Draw(t, "profiles") {
			p := drawProfile(t, now, id)
			if p.purpose == purposeTx {
				p.tx, p.evse = e.tx, 1
			}
			if s.checkProfile(p) == "" {
				s.profiles = append(s.profiles, p)
			}
		}
		length := 48 * time.Hour
		pieces := s.composite(e, now, length)
		if len(pieces) == 0 || pieces[0].start != 0 {
			t.Fatalf("pieces %+v", pieces)
		}
		i := 0
		for o := time.Duration(0); o < length; o += time.Minute {
			for i+1 < len(pieces) && pieces[i+1].start <= o {
				i++
			}
			if want := s.limitAt(e, now.Add(o)); pieces[i].watts != want {
				t.Fatalf("after %v: %d W, the limit is %d W", o, pieces[i].watts, want)
			}
			if pieces[i].watts > s.cfg.MaxPowerW {
				t.Fatalf("after %v: %d W is more than the hardware has", o, pieces[i].watts)
			}
		}
	})
}

// presentedNow starts a transaction at the first EVSE.
func (s *Station) presentedNow(t *rapid.T) {
	if err := s.PlugIn(1, Car{SoC: 5, BatteryWh: 200_000}); err != nil {
		t.Fatal(err)
	}
	if err := s.PresentToken(1, "A"); err != nil {
		t.Fatal(err)
	}
	if s.evses[0].tx == nil {
		t.Fatal("no transaction")
	}
}
