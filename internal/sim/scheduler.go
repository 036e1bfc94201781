package sim

import (
	"container/heap"
	"sync"
	"time"

	"lumela/internal/clock"
)

// Scheduler wakes stations when something of theirs is due. Thousands of stations share one, with few goroutines.
type Scheduler struct {
	clock clock.Clock
	mu    sync.Mutex
	queue wakeups
	poke  chan struct{}
	due   chan *Station
}

const schedulerWorkers = 4

var shared struct {
	once sync.Once
	s    *Scheduler
}

// sharedScheduler is the one of the process for the machine's clock, else a new one.
func sharedScheduler(c clock.Clock) *Scheduler {
	if c != clock.System {
		return NewScheduler(c)
	}
	shared.once.Do(func() { shared.s = NewScheduler(c) })
	return shared.s
}

// NewScheduler starts a scheduler on a clock. It lives as long as the process.
func NewScheduler(c clock.Clock) *Scheduler {
	s := &Scheduler{clock: c, poke: make(chan struct{}, 1), due: make(chan *Station)}
	go s.run()
	for range schedulerWorkers {
		go func() {
			for st := range s.due {
				st.wake()
			}
		}()
	}
	return s
}

// set says when a station next wants to be woken; the zero time means never.
func (s *Scheduler) set(st *Station, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queued := st.wakeIndex >= 0
	switch {
	case at.IsZero() && queued:
		heap.Remove(&s.queue, st.wakeIndex)
		return
	case at.IsZero():
		return
	case queued && st.wakeAt.Equal(at):
		return
	}
	st.wakeAt = at
	if queued {
		heap.Fix(&s.queue, st.wakeIndex)
	} else {
		heap.Push(&s.queue, st)
	}
	if s.queue[0] == st {
		select {
		case s.poke <- struct{}{}:
		default:
		}
	}
}

func (s *Scheduler) run() {
	timer := s.clock.NewTimer(time.Hour)
	for {
		now := s.clock.Now()
		var ready []*Station
		wait := time.Hour
		s.mu.Lock()
		for len(s.queue) > 0 {
			if d := s.queue[0].wakeAt.Sub(now); d > 0 {
				wait = min(d, wait)
				break
			}
			st, _ := heap.Pop(&s.queue).(*Station)
			ready = append(ready, st)
		}
		s.mu.Unlock()
		for _, st := range ready {
			s.due <- st
		}
		if len(ready) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C():
		case <-s.poke:
		}
	}
}

// wakeups is a heap of stations by the time of their next wake-up.
type wakeups []*Station

func (w wakeups) Len() int           { return len(w) }
func (w wakeups) Less(i, j int) bool { return w[i].wakeAt.Before(w[j].wakeAt) }
func (w wakeups) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].wakeIndex, w[j].wakeIndex = i, j
}

// Push is part of heap.Interface.
func (w *wakeups) Push(x any) {
	st, _ := x.(*Station)
	st.wakeIndex = len(*w)
	*w = append(*w, st)
}

// Pop is part of heap.Interface.
func (w *wakeups) Pop() any {
	old := *w
	st := old[len(old)-1]
	st.wakeIndex = -1
	*w = old[:len(old)-1]
	return st
}

// task is one thing that a station will do at a time.
type task struct {
	at    time.Time
	do    func()
	index int
}

// agenda is a heap of tasks by time. It is guarded by its station.
type agenda []*task

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

// Push is part of heap.Interface.
func (a *agenda) Push(x any) {
	t, _ := x.(*task)
	t.index = len(*a)
	*a = append(*a, t)
}

// Pop is part of heap.Interface.
func (a *agenda) Pop() any {
	old := *a
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*a = old[:len(old)-1]
	return t
}

// at plans do; the lock of the station is held when it runs.
func (s *Station) at(when time.Time, do func()) *task {
	t := &task{at: when, do: do}
	heap.Push(&s.agenda, t)
	return t
}

func (s *Station) after(d time.Duration, do func()) *task { return s.at(s.now().Add(d), do) }

// cancel takes a task back; nil and done ones are fine.
func (s *Station) cancel(t *task) {
	if t != nil && t.index >= 0 && t.index < len(s.agenda) && s.agenda[t.index] == t {
		heap.Remove(&s.agenda, t.index)
	}
}

// wake runs what is due.
func (s *Station) wake() {
	s.mu.Lock()
	now := s.now()
	s.advance(now)
	for len(s.agenda) > 0 && !s.agenda[0].at.After(now) {
		t, _ := heap.Pop(&s.agenda).(*task)
		t.do()
	}
	s.unlock()
}
