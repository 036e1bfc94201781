package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// signed makes the first reading of a message one that the meter has signed.
func signed(m *message) {
	mv := &m.request.MeterValue[0]
	mv.SampledValue[0].SignedMeterValue = &v21.SignedMeterValue{SignedMeterData: "c2lnbmVk", EncodingMethod: "OCMF"}
}

// Thinning leaves the bill, the evidence and the memory of what came as they are; repetitions change nothing afterwards;
// what runs and what is held is not touched; forgetting leaves nothing.
func TestRetention(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l, ctx := b.open(), t.Context()
		story := []message{start(0, "1", by("A"), reads("0 Wh")), update(900, 1, "1", reads("1000 Wh")), update(1800, 2, "1", reads("2000 Wh"), signed),
			update(2700, 3, "1", reads("3000 Wh")), end(3600, 4, "1", reads("4000 Wh"))}
		for _, m := range story {
			apply(t, l, "OLD", m)
		}
		for _, m := range []message{start(0, "2", reads("0 Wh")), update(900, 1, "2", reads("1000 Wh"))} {
			apply(t, l, "RUNS", m)
		}
		for _, m := range []message{update(900, 3, "3", reads("1000 Wh")), update(950, 4, "3", reads("1100 Wh")), end(1800, 5, "3", reads("2000 Wh"))} {
			apply(t, l, "HELD", m) // its start never came
		}
		late := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
		s := sessions(t, l, "OLD")[0]
		before := line(s)
		if done, err := l.Thin(ctx, late, func(context.Context, *session.Session) (bool, error) { return true, nil }); err != nil || done.Sessions > 0 {
			t.Fatalf("what is to be kept is thinned out: %+v, %v", done, err)
		}
		done, err := l.Thin(ctx, late, nil)
		if err != nil || done.Sessions != 1 || done.Messages != 2 || done.Bytes <= 0 {
			t.Fatalf("thinned out %+v: %v", done, err)
		}
		if again, err := l.Thin(ctx, late, nil); err != nil || again.Sessions > 0 {
			t.Errorf("the second time thins out %+v: %v", again, err)
		}
		check := func(when string) {
			t.Helper()
			events, err := l.Events(ctx, s.ID)
			if err != nil {
				t.Fatal(err)
			}
			var readings []int
			for _, e := range events {
				readings = append(readings, len(e.Request.MeterValue))
			}
			if d := cmp.Diff([]int{1, 0, 1, 0, 1}, readings); d != "" {
				t.Errorf("%s readings of each message (-want +got):\n%s", when, d)
			}
			if after := line(sessions(t, l, "OLD")[0]); after != before {
				t.Errorf("%s the session is\n%s\nbefore it was\n%s", when, after, before)
			}
		}
		check("thinned out")
		for _, m := range story { // a station that sends its whole memory again, years later
			apply(t, l, "OLD", m)
		}
		check("after repetitions")
		if len(sessions(t, l, "RUNS")) != 1 || len(sessions(t, l, "HELD")) != 1 {
			t.Error("a session that runs or is held has gone")
		}
		done, err = l.Forget(ctx, late, nil)
		if err != nil || done.Sessions != 1 || done.Messages != 5 {
			t.Errorf("forgotten is %+v: %v", done, err)
		}
		if left := sessions(t, l, "OLD"); len(left) > 0 {
			t.Errorf("left is %s", lines(left))
		}
		if len(sessions(t, l, "RUNS")) != 1 || len(sessions(t, l, "HELD")) != 1 {
			t.Error("a session that runs or is held was forgotten")
		}
	})
}

// Readings outside transactions go with time, signed ones stay.
func TestForgetReadings(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l, ctx := b.open(), t.Context()
		moment := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i, place := range []int{0, 0, 1, 2, 2} {
			v := sample("1")
			if i == 4 {
				v.SignedMeterValue = &v21.SignedMeterValue{SignedMeterData: "c2lnbmVk", EncodingMethod: "OCMF"}
			}
			r := &v21.MeterValuesRequest{EVSEID: place, MeterValue: []v21.MeterValue{{Timestamp: moment.Add(time.Duration(i) * time.Hour), SampledValue: []v21.SampledValue{v}}}}
			for _, id := range []string{"A", "B"} {
				if err := l.Reading(ctx, stationID(id), r, moment); err != nil {
					t.Fatal(err)
				}
			}
		}
		for want, before := range map[int64]time.Time{2: moment.Add(time.Minute)} {
			if n, err := l.ForgetReadings(ctx, before); err != nil || n != want {
				t.Errorf("%d forgotten: %v", n, err)
			}
		}
		if n, err := l.ForgetReadings(ctx, moment.Add(24*time.Hour)); err != nil || n != 6 {
			t.Errorf("%d forgotten: %v", n, err)
		}
		left, err := l.Readings(ctx, station.Tenure{Station: "A"}, 2, moment, moment.Add(24*time.Hour))
		if err != nil || len(left) != 1 || left[0].SampledValue[0].SignedMeterValue == nil {
			t.Errorf("left are %+v: %v", left, err)
		}
	})
}
