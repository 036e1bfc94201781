package bus

import (
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// Msg is a received message. Data belongs to the receiver.
type Msg struct {
	// Subject is the one published to, without wildcards.
	Subject string
	// Data is the payload; nil or empty when there is none.
	Data []byte

	m *nats.Msg
}

// WantsReply reports whether the message is a request.
func (m Msg) WantsReply() bool { return m.m != nil && m.m.Reply != "" }

// Respond answers a request. Only the first answer reaches the requester.
func (m Msg) Respond(data []byte) error {
	if !m.WantsReply() {
		return ErrNoReply
	}
	if err := m.m.Respond(data); err != nil {
		return fmt.Errorf("respond to %s: %w", m.Subject, known(err))
	}
	return nil
}

// maxQueued bounds what waits for one subscriber; later messages are dropped, as NATS
// does with slow consumers.
const maxQueued = 1 << 16

// Subscription is an interest in a subject. Its handler gets the messages one at a
// time in their order, on a goroutine that exists only while there are any.
type Subscription struct {
	b  *Bus
	ns *nats.Subscription
	fn func(Msg)

	mu      sync.Mutex
	queue   []*nats.Msg
	running bool
	ended   bool
	dropped int64
}

// Subscribe calls fn for every message to subject, in which "*" stands for one token and a
// final ">" for all that follow.
func (b *Bus) Subscribe(subject string, fn func(m Msg)) (*Subscription, error) {
	return b.subscribe(subject, "", fn)
}

// QueueSubscribe is Subscribe, except that each message goes to one only of all
// subscriptions, on any node, that share the queue's name.
func (b *Bus) QueueSubscribe(subject, queue string, fn func(m Msg)) (*Subscription, error) {
	if queue == "" {
		return nil, fmt.Errorf("subscribe to %s: empty queue name", subject)
	}
	return b.subscribe(subject, queue, fn)
}

func (b *Bus) subscribe(subject, queue string, fn func(m Msg)) (*Subscription, error) {
	s := &Subscription{b: b, fn: fn}
	b.mu.Lock()
	defer b.mu.Unlock()
	var err error
	if queue == "" {
		s.ns, err = b.nc.ChanSubscribe(subject, b.in)
	} else {
		s.ns, err = b.nc.ChanQueueSubscribe(subject, queue, b.in)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, known(err))
	}
	b.subs[s.ns] = s
	return s, nil
}

// Unsubscribe ends the interest. fn is not called for messages that have not yet
// reached it; a call that is running is not waited for.
func (s *Subscription) Unsubscribe() error {
	s.mu.Lock()
	s.ended = true
	s.b.settled(len(s.queue))
	s.queue = nil
	s.mu.Unlock()
	s.b.mu.Lock()
	delete(s.b.subs, s.ns)
	s.b.mu.Unlock()
	if err := s.ns.Unsubscribe(); err != nil {
		return fmt.Errorf("unsubscribe from %s: %w", s.ns.Subject, known(err))
	}
	return nil
}

// Dropped counts the messages lost because fn was too slow.
func (s *Subscription) Dropped() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// dispatch moves messages from the connection to their subscriptions.
func (b *Bus) dispatch() {
	defer b.pump.Done()
	for {
		select {
		case m := <-b.in:
			if m == nil {
				close(b.marked)
			} else if s := b.owner(m.Sub); s != nil {
				s.push(m)
			}
		case <-b.done:
			return
		}
	}
}

func (b *Bus) owner(ns *nats.Subscription) *Subscription {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.subs[ns]
}

func (s *Subscription) push(m *nats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return
	case len(s.queue) >= maxQueued:
		if s.dropped++; s.dropped&(s.dropped-1) == 0 { // at 1, 2, 4, 8 … to keep the log readable
			s.b.log.Error("bus: subscriber too slow, messages dropped", "subject", s.ns.Subject, "dropped", s.dropped)
		}
		return
	}
	s.b.pending.Add(1)
	s.queue = append(s.queue, m)
	if !s.running {
		s.running = true
		go s.run()
	}
}

func (s *Subscription) run() {
	for {
		s.mu.Lock()
		batch := s.queue
		s.queue = nil
		if len(batch) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for _, m := range batch {
			s.handle(m)
		}
	}
}

func (s *Subscription) handle(m *nats.Msg) {
	defer s.b.settled(1)
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	select {
	case <-s.b.done:
		return
	default:
	}
	if !ended {
		s.fn(Msg{Subject: m.Subject, Data: m.Data, m: m})
	}
}

// settled counts n messages as handled.
func (b *Bus) settled(n int) {
	if b.pending.Add(-int64(n)) == 0 {
		select {
		case b.idle <- struct{}{}:
		default:
		}
	}
}
