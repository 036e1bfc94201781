package app

import (
	"testing"
	"time"
)

func TestStormPasses(t *testing.T) {
	t.Parallel()
	var s storm
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		links, frames, live int64
		want                bool
	}{
		{3, 10, 3, false},
		{4_000, 9_000, 3_900, false},     // they come
		{5_000, 30_000, 5_000, false},    // and say much
		{5_000, 30_400, 5_000, true},     // and are calm
		{5_010, 30_900, 5_000, false},    // once is enough
		{5_020, 31_400, 5_000, false},    //
		{5_030, 31_900, 5_000, false},    //
		{5_040, 32_400, 5_000, false},    //
		{5_050, 32_900, 5_000, false},    //
		{5_060, 33_400, 5_000, true},     // and once more after a minute
		{5_070, 33_900, 5_000, false},    //
		{6_000, 90_000, 6_000, false},    // the next storm, of stations that are never calm
		{6_000, 190_000, 6_000, false},   //
		{6_000, 290_000, 6_000, false},   //
		{6_000, 390_000, 6_000, false},   //
		{6_000, 490_000, 6_000, false},   //
		{6_000, 590_000, 6_000, false},   //
		{6_000, 690_000, 6_000, false},   //
		{6_000, 790_000, 6_000, false},   //
		{6_000, 890_000, 6_000, false},   //
		{6_000, 990_000, 6_000, false},   //
		{6_000, 1e6 + 1e5, 6_000, false}, //
		{6_000, 1e6 + 2e5, 6_000, false}, //
		{6_000, 1e6 + 3e5, 6_000, true},  // after two minutes
	} {
		if got := s.passed(c.links, c.frames, c.live, now.Add(time.Duration(i)*tidyEvery)); got != c.want {
			t.Errorf("look %d: %t", i, got)
		}
	}
}
