package frame

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
)

// files keeps frames in SQLite files of one UTC day each, frames-2026-11-22.db, so that forgetting is deleting a file
// and gives its space back at once. A day that grows beyond a share of the greatest size goes on in a second file,
// frames-2026-11-22-2.db. The single file of earlier versions is kept as frames-until-2026-11-22.db until all of it
// is past its retention.
type files struct {
	dir     string
	maxSize int64 // of all files together, 0 for no bound
	part    int64 // from this size on a day goes on in another file
	log     *slog.Logger

	mu      sync.Mutex
	all     []*file // oldest first
	uses    int64   // counts uses, for the choice of what to close
	trimmed chan struct{}
	running sync.WaitGroup
	closing chan struct{}
	ended   bool
}

// file is one of the files. What is not in use has no database open, but for the few that were used last.
type file struct {
	path  string
	day   time.Time // its day; for the file of earlier versions the last of its days
	part  int
	until bool // the file of earlier versions

	db      *db.DB
	users   int
	lastUse int64
	gone    bool          // to be deleted by its last user
	opening chan struct{} // closed when the database is open, has failed to open, or is closed
}

const (
	// shares is into how many files the greatest size is cut at least.
	shares = 16
	// largestPart and smallestPart bound the size of one file.
	largestPart, smallestPart = 2 << 30, 4 << 20
	// openFiles is how many files stay open though nobody reads them.
	openFiles = 3
	// oldFile is the single file of earlier versions.
	oldFile = "frames.db"
	dayForm = "2006-01-02"
)

var fileName = regexp.MustCompile(`^frames-(until-)?(\d{4}-\d{2}-\d{2})(?:-(\d{1,6}))?\.db$`)

// openFilesIn takes over the files of a folder.
func openFilesIn(ctx context.Context, dir string, maxSize int64, log *slog.Logger) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the frames: %w", err)
	}
	s := &files{dir: dir, maxSize: maxSize, part: largestPart, log: log, trimmed: make(chan struct{}, 1), closing: make(chan struct{})}
	if maxSize > 0 {
		s.part = min(max(maxSize/shares, smallestPart), largestPart)
	}
	if err := takeOver(ctx, dir, log); err != nil {
		return nil, fmt.Errorf("take over the frames: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("find the frames: %w", err)
	}
	for _, entry := range entries {
		m := fileName.FindStringSubmatch(entry.Name())
		if m == nil {
			continue
		}
		day, err := time.Parse(dayForm, m[2])
		if err != nil {
			continue
		}
		f := &file{path: filepath.Join(dir, entry.Name()), day: day, part: 1, until: m[1] != ""}
		if m[3] != "" {
			f.part, _ = strconv.Atoi(m[3]) // digits, by the expression
		}
		s.all = append(s.all, f)
	}
	s.sort()
	s.running.Go(s.trimWhenAsked)
	return s, nil
}

// takeOver gives the single file of earlier versions its name among the others. Closing it moves its log into it.
func takeOver(ctx context.Context, dir string, log *slog.Logger) error {
	old := filepath.Join(dir, oldFile)
	if _, err := os.Stat(old); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	d, err := db.Open(ctx, db.Options{Path: old, Relaxed: true, Readers: 1, CacheMiB: 1, Log: log})
	if err != nil {
		return err
	}
	if err := errors.Join(d.Migrate(ctx, Migrations), d.Close()); err != nil {
		return err
	}
	name := "frames-until-" + time.Now().UTC().Format(dayForm) + ".db"
	log.Info("frames of an earlier version taken over", "file", name)
	return os.Rename(old, filepath.Join(dir, name))
}

func (s *files) sort() {
	slices.SortFunc(s.all, func(a, b *file) int {
		if a.until != b.until {
			if a.until {
				return -1
			}
			return 1
		}
		return cmp.Or(a.day.Compare(b.day), cmp.Compare(a.part, b.part))
	})
}

// acquire opens a file for one use; release must follow.
func (s *files) acquire(ctx context.Context, f *file) (*db.DB, error) {
	s.mu.Lock()
	if f.gone && f.users == 0 || s.ended {
		s.mu.Unlock()
		return nil, errGone
	}
	f.users++
	s.uses++
	f.lastUse = s.uses
	for f.opening != nil {
		wait := f.opening
		s.mu.Unlock()
		<-wait
		s.mu.Lock()
	}
	if f.db != nil {
		defer s.mu.Unlock()
		return f.db, nil
	}
	done := make(chan struct{})
	f.opening = done
	s.mu.Unlock()
	d, err := db.Open(ctx, db.Options{Path: f.path, Relaxed: true, Readers: 4, CacheMiB: 8, Log: s.log})
	if err == nil {
		if err = d.Migrate(ctx, Migrations); err != nil {
			err = errors.Join(err, d.Close())
			d = nil
		}
	}
	s.mu.Lock()
	f.opening = nil
	close(done)
	f.db = d
	s.mu.Unlock()
	if err != nil {
		s.release(f)
		return nil, fmt.Errorf("open %s: %w", filepath.Base(f.path), err)
	}
	return d, nil
}

// shrink gives back the caches of the newest file, the one that is written.
func (s *files) shrink(ctx context.Context) error {
	s.mu.Lock()
	if len(s.all) == 0 {
		s.mu.Unlock()
		return nil
	}
	f := s.all[len(s.all)-1]
	s.mu.Unlock()
	d, err := s.acquire(ctx, f)
	if err != nil {
		return err
	}
	defer s.release(f)
	return d.Shrink(ctx)
}

// errGone: the file was forgotten meanwhile, or the log is closed.
var errGone = errors.New("the file of frames is gone or closed")

// release ends a use: a file that is to go goes with its last user, and files that were not used for the longest time
// are closed.
func (s *files) release(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.users--
	if f.gone && f.users == 0 {
		s.shut(f)
	}
	idle := slices.DeleteFunc(slices.Clone(s.all), func(f *file) bool { return f.db == nil || f.users > 0 || f.opening != nil })
	slices.SortFunc(idle, func(a, b *file) int { return cmp.Compare(a.lastUse, b.lastUse) })
	for _, f := range idle[:max(0, len(idle)-openFiles)] {
		s.shut(f)
	}
}

// shut closes a file that nobody uses, and deletes it when it is to go, in the background: to close it is to move its
// log, which may take a second. Who wants it meanwhile waits. The caller holds the lock.
func (s *files) shut(f *file) {
	if s.ended {
		return // close does it
	}
	done, d := make(chan struct{}), f.db
	f.opening, f.db = done, nil
	s.running.Go(func() {
		var err error
		if d != nil {
			err = d.Close()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.gone && f.users == 0 {
			err = errors.Join(err, remove(f.path)) // under the lock, so that nobody makes it again
		}
		if err != nil {
			s.log.Error("file of frames not closed or removed", "file", filepath.Base(f.path), "error", err)
		}
		f.opening = nil
		close(done)
	})
}

func remove(path string) error {
	var errs []error
	for _, p := range []string{path, path + "-wal", path + "-shm"} { // a log without its file means nothing
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// size is what a file takes on the disk, with its write-ahead log.
func (f *file) size() int64 {
	var n int64
	for _, p := range []string{f.path, f.path + "-wal"} {
		if info, err := os.Stat(p); err == nil {
			n += info.Size()
		}
	}
	return n
}

// target gives the file that takes the frames of a day, a new one when there is none or the last one is full.
func (s *files) target(day time.Time) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last *file
	for _, f := range s.all {
		if !f.until && f.day.Equal(day) {
			last = f
		}
	}
	if last != nil && last.size() < s.part {
		return last
	}
	f := &file{day: day, part: 1}
	name := "frames-" + day.Format(dayForm)
	if last != nil {
		f.part = last.part + 1
		name += "-" + strconv.Itoa(f.part)
	}
	f.path = filepath.Join(s.dir, name+".db")
	s.all = append(s.all, f)
	s.sort()
	select { // a new file: the oldest may have to go
	case s.trimmed <- struct{}{}:
	default:
	}
	return f
}

func (s *files) write(ctx context.Context, batch []Exchange) error {
	slices.SortStableFunc(batch, func(a, b Exchange) int { return db.Daily.Start(a.Time).Compare(db.Daily.Start(b.Time)) })
	var errs []error
	for len(batch) > 0 {
		day := db.Daily.Start(batch[0].Time)
		n := 1
		for n < len(batch) && db.Daily.Start(batch[n].Time).Equal(day) {
			n++
		}
		f := s.target(day)
		d, err := s.acquire(ctx, f)
		if errors.Is(err, errGone) {
			f = s.target(day)
			d, err = s.acquire(ctx, f)
		}
		if err == nil {
			err = table{db: d, log: s.log}.write(ctx, batch[:n])
			s.release(f)
		}
		errs = append(errs, err)
		batch = batch[n:]
	}
	return errors.Join(errs...)
}

// list goes from the newest day to the oldest until it has enough. The file of earlier versions, whose days may overlap with
// the others', is always read.
func (s *files) list(ctx context.Context, station string, f Filter) ([]Exchange, error) {
	s.mu.Lock()
	all := slices.Clone(s.all)
	s.mu.Unlock()
	slices.Reverse(all)
	out := []Exchange{}
	var last time.Time
	for _, part := range all {
		if !part.until {
			if part.day.After(f.Before) || !part.day.Before(f.To) || !db.Daily.Next(part.day).After(f.From) {
				continue
			}
			if !part.day.Equal(last) && len(out) >= f.Limit {
				continue // a newer day has enough
			}
			last = part.day
		}
		got, err := s.listFile(ctx, part, station, f)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	slices.SortFunc(out, func(a, b Exchange) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.seq, a.seq)) })
	return out[:min(len(out), f.Limit)], nil
}

func (s *files) listFile(ctx context.Context, part *file, station string, f Filter) ([]Exchange, error) {
	d, err := s.acquire(context.WithoutCancel(ctx), part) // others may wait for the same file
	if errors.Is(err, errGone) {
		return nil, nil
	}
	if err != nil {
		return nil, problem.Wrap("read the frames", err)
	}
	defer s.release(part)
	return table{db: d, log: s.log}.list(ctx, station, f)
}

// purge deletes the files whose last moment is before the given one.
func (s *files) purge(_ context.Context, before time.Time) error {
	s.drop("retention", func(f *file) bool { return !db.Daily.Next(f.day).After(before) })
	s.trim()
	return nil
}

// trim deletes the oldest files until the rest is within the greatest size. The newest stays.
func (s *files) trim() {
	if s.maxSize <= 0 {
		return
	}
	s.mu.Lock()
	var total int64
	sizes := make(map[*file]int64, len(s.all))
	for _, f := range s.all {
		sizes[f] = f.size()
		total += sizes[f]
	}
	newest := len(s.all) - 1
	over := map[*file]bool{}
	for i, f := range s.all {
		if total+s.part <= s.maxSize || i == newest { // the newest may grow to its share
			break
		}
		over[f] = true
		total -= sizes[f]
	}
	s.mu.Unlock()
	if len(over) > 0 {
		s.drop("size", func(f *file) bool { return over[f] })
	}
}

func (s *files) trimWhenAsked() {
	for {
		select {
		case <-s.trimmed:
			s.trim()
		case <-s.closing:
			return
		}
	}
}

// drop forgets the files that are meant, and says so. A file that somebody reads is deleted when they have finished.
func (s *files) drop(reason string, meant func(f *file) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*file
	for _, f := range s.all {
		size := f.size()
		if !meant(f) {
			kept = append(kept, f)
			continue
		}
		s.log.Info("frames forgotten", "reason", reason, "file", filepath.Base(f.path), "bytes", size)
		f.gone = true
		if f.users == 0 && f.opening == nil { // else whoever is at it removes it
			s.shut(f)
		}
	}
	s.all = kept
}

func (s *files) usage(context.Context) (Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := Usage{Rows: -1}
	for _, f := range s.all {
		u.Bytes += f.size()
		u.Parts++
		if !f.until && u.Oldest.IsZero() {
			u.Oldest = f.day
		}
	}
	return u, nil
}

func (s *files) close() error {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	close(s.closing)
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.all {
		if f.db != nil {
			errs = append(errs, f.db.Close())
			f.db = nil
		}
	}
	return errors.Join(errs...)
}
