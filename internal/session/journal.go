package session

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// journal writes the messages of transactions. What must be on disk before the answer is one row in the order of
// arrival; a moment later many such rows are moved together to where the messages of one session stand side by side. Whoever
// reads the messages of a session has them moved first, so that session_events is always the whole truth for the reader.
//
// PostgreSQL does well what the journal is for, and several nodes write there: messages go to session_events at once.
type journal struct {
	db  *db.DB
	log *slog.Logger
	off bool

	mu      sync.Mutex
	tag     int64                // of this program in its ids, so that two that write to one file do not meet
	last    int64                // id given last
	looked  int64                // up to this id no row is somebody else's, or it has been moved
	newest  int64                // id committed last, by us
	own     int                  // rows of ours in the journal
	adopted bool                 // what was there before us has been moved
	pending map[string][]message // committed and not yet moved, by session, in the order of their ids
	n       int

	moving  sync.Mutex // held while everything is moved
	wake    chan struct{}
	closing chan struct{}
	done    chan struct{}
	once    sync.Once
}

// message is a row of session_events.
type message struct {
	id       int64 // in the journal
	session  string
	at       int64
	hash     string
	received int64
	seqNo    int
	typ      string
	offline  bool
	payload  string
}

func (m *message) args() []any {
	return []any{m.session, m.at, m.hash, m.received, m.seqNo, m.typ, m.offline, m.payload}
}

const (
	moveEvery = 15 * time.Second
	moveAt    = 20_000 // messages: about 30 MB at the most
	moveStep  = 2_000  // messages in one transaction, so that stations never wait for long
	tags      = 1_000  // ids are microseconds times this
)

// The tags of journals that are opened one after the other differ, within a program and most likely between two.
var (
	firstTag = rand.Int64N(tags)
	opened   atomic.Int64
)

func newJournal(d *db.DB, log *slog.Logger) *journal {
	j := &journal{db: d, log: log, tag: (firstTag + opened.Add(1)) % tags, off: d == nil || d.Engine() != db.SQLite, pending: map[string][]message{},
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	if j.off {
		close(j.done)
		return j
	}
	go j.run()
	return j
}

// add writes a message in the transaction.
func (j *journal) add(tx *db.Tx, m message) {
	if j.off {
		tx.Append(insertEvent, m.args()...)
		return
	}
	j.mu.Lock()
	m.id = max(j.last+tags, tx.Now().UnixMicro()*tags+j.tag)
	j.last = m.id
	j.mu.Unlock()
	tx.Append(insertJournal, append([]any{m.id}, m.args()...)...)
	tx.AfterCommit(func() { j.committed(m) })
}

func (j *journal) committed(m message) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.newest = max(j.newest, m.id)
	j.own++
	j.pending[m.session] = append(j.pending[m.session], m)
	if j.n++; j.n >= moveAt {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

// settle moves the messages of one session within a transaction that is going to read them.
func (j *journal) settle(tx *db.Tx, session string) error {
	if j.off {
		return nil
	}
	if err := j.adopt(tx); err != nil {
		return err
	}
	j.mu.Lock()
	list := slices.Clone(j.pending[session])
	j.mu.Unlock()
	for i := range list {
		if err := moveOne(tx, &list[i]); err != nil {
			return err
		}
	}
	if len(list) > 0 {
		tx.AfterCommit(func() { j.forget(session, list[len(list)-1].id) })
	}
	return nil
}

// settled is settle for a reader outside a transaction.
func (j *journal) settled(ctx context.Context, session string) error {
	if j.off {
		return nil
	}
	j.mu.Lock()
	nothing := j.adopted && len(j.pending[session]) == 0
	j.mu.Unlock()
	if nothing {
		return nil
	}
	return j.db.Write(ctx, func(tx *db.Tx) error { return j.settle(tx, session) })
}

// forget drops the messages of a session up to an id: they have been moved.
func (j *journal) forget(session string, upTo int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.pending[session]
	gone := 0
	for gone < len(list) && list[gone].id <= upTo {
		gone++
	}
	j.n -= gone
	if gone == len(list) {
		delete(j.pending, session)
	} else if gone > 0 {
		j.pending[session] = slices.Clone(list[gone:])
	}
}

// adopt moves what somebody else has written to the journal: this program before it was killed, or another on the same
// file. Each row is looked at once.
func (j *journal) adopt(tx *db.Tx) error {
	j.mu.Lock()
	looked, adopted := j.looked, j.adopted
	j.mu.Unlock()
	newest, others, err := lookIntoJournal(tx, looked, j.tag)
	if err != nil {
		return err
	}
	if others || !adopted {
		if err := moveAll(tx); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.adopted, j.looked, j.last = true, max(j.looked, newest), max(j.last, newest)
	})
	return nil
}

func (j *journal) run() {
	defer close(j.done)
	tick := time.NewTicker(moveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-j.wake:
		case <-j.closing:
			return
		}
		if j.db.Healthy() != nil {
			continue // an outage is told once; it is moved afterwards
		}
		if err := j.move(context.Background()); err != nil {
			j.log.Error("journal not moved, it is tried again", "error", err)
		}
	}
}

// move moves everything that is committed and takes it out of the journal. Rows of the one committer become visible in the
// order of their ids, so that nothing below the newest is still to come.
func (j *journal) move(ctx context.Context) error {
	j.moving.Lock()
	defer j.moving.Unlock()
	j.mu.Lock()
	newest, own := j.newest, j.own
	all := make([]message, 0, j.n)
	for _, list := range j.pending {
		all = append(all, list...)
	}
	j.mu.Unlock()
	slices.SortFunc(all, func(a, b message) int { return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.at, b.at)) })
	for step := range slices.Chunk(all, moveStep) {
		err := j.db.Write(ctx, func(tx *db.Tx) error {
			for i := range step {
				tx.Append(insertEvent, step[i].args()...)
			}
			return nil
		})
		if err != nil {
			return problem.Wrap("move the journal", err)
		}
	}
	if own == 0 {
		return nil
	}
	if err := j.shorten(ctx, newest, own); err != nil {
		return problem.Wrap("shorten the journal", err)
	}
	for i := range all {
		if i+1 == len(all) || all[i+1].session != all[i].session {
			j.forget(all[i].session, newest)
		}
	}
	return nil
}

// shorten deletes what has been moved. When there is more than we know of, somebody else has written to the journal, and
// all of it is moved first.
func (j *journal) shorten(ctx context.Context, newest int64, own int) error {
	err := j.db.Write(ctx, func(tx *db.Tx) error {
		rows, err := journalRows(tx, newest)
		if err != nil {
			return err
		}
		if rows != own {
			if err := moveAll(tx); err != nil {
				return err
			}
		}
		return emptyJournal(tx, newest)
	})
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.own -= own
	return nil
}

// close moves what is left.
func (j *journal) close(ctx context.Context) error {
	if j.off {
		return nil
	}
	j.once.Do(func() { close(j.closing) })
	<-j.done
	return j.move(ctx)
}
