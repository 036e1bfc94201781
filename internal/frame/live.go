package frame

import (
	"encoding/json"
	"time"

	"lumela/internal/bus"
	"lumela/internal/problem"
)

// Frames of a station travel over the bus only while somebody follows them: a follower announces itself every few
// seconds, and the node that holds the link sends until the announcement is old.
const (
	watchSubject = "lumela.watch."
	frameSubject = "lumela.frame."
	watchFor     = 15 * time.Second
	watchEvery   = 5 * time.Second
)

func (l *Log) watch(m bus.Msg) {
	l.watchMu.Lock()
	defer l.watchMu.Unlock()
	now := time.Now()
	for id, until := range l.watched {
		if now.After(until) {
			delete(l.watched, id)
		}
	}
	l.watched[string(m.Data)] = now.Add(watchFor)
}

func (l *Log) isWatched(station string) bool {
	l.watchMu.RLock()
	defer l.watchMu.RUnlock()
	if len(l.watched) == 0 {
		return false
	}
	until, ok := l.watched[station]
	return ok && time.Now().Before(until)
}

func (l *Log) show(organisation string, f Frame) {
	body, err := json.Marshal(f)
	if err == nil {
		err = l.bus.Publish(frameSubject+bus.Token(organisation)+"."+bus.Token(f.Station), body)
	}
	if err != nil {
		l.log.Warn("frame not shown", "error", err)
	}
}

// Follow sends the frames of a station to C as they pass, while it is the organisation's, until stop is called. A follower
// that does not keep up misses frames.
func (l *Log) Follow(organisation, station string) (c <-chan Frame, stop func(), err error) {
	out := make(chan Frame, 1024)
	sub, err := l.bus.Subscribe(frameSubject+bus.Token(organisation)+"."+bus.Token(station), func(m bus.Msg) {
		var f Frame
		if err := json.Unmarshal(m.Data, &f); err != nil {
			l.log.Warn("unreadable frame", "error", err)
			return
		}
		select {
		case out <- f:
		default:
		}
	})
	if err != nil {
		return nil, nil, problem.Wrap("follow the frames", err)
	}
	ended := make(chan struct{})
	announce := func() {
		if err := l.bus.Publish(watchSubject+bus.Token(station), []byte(station)); err != nil {
			l.log.Warn("follower of frames not announced", "error", err)
		}
	}
	announce()
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				announce()
			case <-ended:
				return
			}
		}
	}()
	return out, func() {
		close(ended)
		if err := sub.Unsubscribe(); err != nil {
			l.log.Warn("follower of frames not ended", "error", err)
		}
	}, nil
}
