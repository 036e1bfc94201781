package station

import (
	"fmt"
	"time"
)

// A station whose links end all the time keeps everybody busy and charges nobody: it is left out for a while, with a
// reason that the operator sees. Only links count that the station ended or replaced itself; a restart of the platform,
// which ends all of them, does not.
const (
	// DefaultLinks is how many links a station may end within an hour.
	DefaultLinks = 60
	linksWindow  = time.Hour
	blockFor     = 15 * time.Minute
)

// LimitLinks changes how many links a station may end within an hour; 0 is no limit. It is called once, before the first
// request.
func (s *Stations) LimitLinks(perHour int) { s.perHour = perHour }

// OnBlock says who must know at once when a station is blocked: whoever holds its link. It is called once, before the
// first request.
func (s *Stations) OnBlock(f func(id ID, reason string)) { s.onBlock = f }

// blockedFor is how long the station is still not let in. An end that is further away than a block lasts was written by
// a clock that has been set back since, and counts no more.
func (st *Station) blockedFor(now time.Time) time.Duration {
	left := st.BlockedUntil.Sub(now)
	if st.BlockedUntil.IsZero() || left <= 0 || left > blockFor {
		return 0
	}
	return left
}

func blockReason(links int) string {
	return fmt.Sprintf("it ended %d links within an hour", links)
}

// BlockView is a block as the API shows it.
type BlockView struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

func (st *Station) block() *BlockView {
	if st.blockedFor(time.Now()) == 0 {
		return nil
	}
	return &BlockView{Reason: st.BlockedReason, Until: st.BlockedUntil.UTC()}
}
