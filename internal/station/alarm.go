package station

import (
	"context"
	"sync"
	"time"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/problem"
)

// alarmEvery is how often the same alarm is told. An attack of thousands of attempts is one event a minute with their
// number, not thousands of events.
const alarmEvery = time.Minute

// maxAlarms bounds the memory of alarms that were told lately.
const maxAlarms = 10_000

// alarms holds back what was told lately. The zero value is ready.
type alarms struct {
	mu   sync.Mutex
	told map[string]*told
}

type told struct {
	at   time.Time // with its monotonic part: steps of the clock do not matter
	held int       // alarms since then that were not told
}

// due reports whether an alarm is to be told now, and how many like it were held back since the last one.
func (a *alarms) due(key string, now time.Time) (held int, due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.told[key]; t != nil && now.Sub(t.at) < alarmEvery {
		t.held++
		return 0, false
	} else if t != nil {
		held = t.held
	}
	if len(a.told) >= maxAlarms {
		for k, t := range a.told {
			if now.Sub(t.at) >= alarmEvery {
				delete(a.told, k)
			}
		}
	}
	if a.told == nil || len(a.told) >= maxAlarms {
		a.told = map[string]*told{}
	}
	a.told[key] = &told{at: now}
	return held, true
}

// alarm is the data of a security event.
type alarm struct {
	Reason string     `json:"reason"`
	Remote string     `json:"remote,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	Held   int        `json:"before,omitempty"` // like this one since the last that was told
}

// Alarm tells the operator that somebody tried to take a station's place, or that a station behaves like an attacker. The
// same of the same station is told once a minute.
func (s *Stations) Alarm(ctx context.Context, st *Station, reason, remote string) error {
	return s.tell(ctx, st.Organisation, st.ID, alarm{Reason: reason, Remote: remote}, string(st.ID)+" "+reason)
}

// AlarmOf tells the operator of the installation of an address that attacks it, once a minute.
func (s *Stations) AlarmOf(ctx context.Context, remote, reason string) error {
	return s.tell(ctx, s.home, "", alarm{Reason: reason, Remote: remote}, remote+" "+reason)
}

func (s *Stations) tell(ctx context.Context, organisation string, id ID, a alarm, key string) error {
	held, due := s.alarms.due(key, time.Now())
	if !due {
		return nil
	}
	a.Held = held
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		s.events.Record(tx, event.New(event.Security, organisation, string(id), tx.Now(), a))
		return nil
	})
	return problem.Wrap("record the security event", err)
}
