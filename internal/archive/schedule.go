package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Schedule makes backups of a running node from time to time and keeps the newest.
type Schedule struct {
	Options BackupOptions
	To      string        // folder of the backups
	Every   time.Duration // at least this long between two
	Keep    int           // how many, at least 1
	Log     *slog.Logger

	Done, Failed atomic.Int64 // since the start
	Last         atomic.Int64 // when the newest backup was made, in seconds since 1970; 0 for none
	LastSize     atomic.Int64 // of the newest made since the start, in bytes
}

// namePrefix and nameForm make the names of scheduled backups, which sort by time.
const (
	namePrefix = "lumela-"
	nameForm   = "20060102T150405Z"
)

// Run makes a backup when the newest is older than Every, and deletes those beyond Keep. It is to be called often: a
// backup that failed is tried again by the next call.
func (s *Schedule) Run(ctx context.Context, now time.Time) error {
	if err := os.MkdirAll(s.To, 0o700); err != nil {
		s.Failed.Add(1)
		return fmt.Errorf("make the folder of the backups: %w", err)
	}
	made, err := s.made(now)
	if err != nil {
		s.Failed.Add(1)
		return err
	}
	if len(made) > 0 && now.Sub(made[len(made)-1]) < s.Every {
		return nil
	}
	began := time.Now()
	file := filepath.Join(s.To, namePrefix+now.UTC().Format(nameForm)+Extension)
	res, err := WriteFile(file, false, func(w io.Writer) error { return WriteBackup(ctx, w, s.Options) })
	if err != nil {
		s.Failed.Add(1)
		return fmt.Errorf("scheduled backup: %w", err)
	}
	s.Done.Add(1)
	s.Last.Store(now.Unix())
	s.LastSize.Store(res.Size)
	s.Log.Info("backup made", "file", file, "bytes", res.Size, "took", time.Since(began).Round(time.Millisecond))
	return s.forget(now)
}

// made are the times of the backups in the folder, oldest first. Other files are left alone, and so is what a clock that was
// ahead has made: it must not hold up the others.
func (s *Schedule) made(now time.Time) ([]time.Time, error) {
	entries, err := os.ReadDir(s.To)
	if err != nil {
		return nil, fmt.Errorf("read the folder of the backups: %w", err)
	}
	var out []time.Time
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), Extension)
		if at, err := time.Parse(namePrefix+nameForm, name); ok && err == nil && !at.After(now) && e.Type().IsRegular() {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	if len(out) > 0 {
		s.Last.Store(out[len(out)-1].Unix())
	}
	return out, nil
}

func (s *Schedule) forget(now time.Time) error {
	made, err := s.made(now)
	if err != nil {
		return err
	}
	var errs []error
	for _, at := range made[:max(0, len(made)-max(1, s.Keep))] {
		if err := os.Remove(filepath.Join(s.To, namePrefix+at.Format(nameForm)+Extension)); err != nil {
			errs = append(errs, fmt.Errorf("delete an old backup: %w", err))
		}
	}
	return errors.Join(errs...)
}
