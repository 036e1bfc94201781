package archive

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	to := filepath.Join(t.TempDir(), "backups")
	s := &Schedule{Options: BackupOptions{Dir: dataDir(t, someRows)}, To: to, Every: time.Hour, Keep: 2, Log: slog.New(slog.DiscardHandler)}
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	run := func(after time.Duration) { t.Helper(); must(t, s.Run(t.Context(), start.Add(after))) }
	names := func() (out []string) {
		t.Helper()
		entries, err := os.ReadDir(to)
		must(t, err)
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	run(0)
	run(30 * time.Minute) // not due
	if diff := cmp.Diff([]string{"lumela-20260304T050607Z.backup"}, names()); diff != "" {
		t.Fatal(diff)
	}
	must(t, os.WriteFile(filepath.Join(to, "mine.backup"), nil, 0o600))
	run(time.Hour)
	run(3 * time.Hour)
	want := []string{"lumela-20260304T060607Z.backup", "lumela-20260304T080607Z.backup", "mine.backup"}
	if diff := cmp.Diff(want, names()); diff != "" {
		t.Error(diff)
	}
	if s.Done.Load() != 3 || s.Failed.Load() != 0 || s.Last.Load() != start.Add(3*time.Hour).Unix() || s.LastSize.Load() == 0 {
		t.Errorf("figures: %d %d %d", s.Done.Load(), s.Failed.Load(), s.Last.Load())
	}
	if _, err := Check(t.Context(), filepath.Join(to, want[1]), known(t)); err != nil {
		t.Error(err)
	}
	// A failure is told, counted, and tried again by the next run; older backups stay.
	dir := s.Options.Dir
	s.Options.Dir = t.TempDir()
	if err := s.Run(t.Context(), start.Add(5*time.Hour)); err == nil || !strings.Contains(err.Error(), "scheduled backup") {
		t.Errorf("failed: %v", err)
	}
	s.Options.Dir = dir
	run(5*time.Hour + 10*time.Minute)
	if s.Failed.Load() != 1 || s.Done.Load() != 4 || len(names()) != 3 {
		t.Errorf("after a failure: %d %d %v", s.Failed.Load(), s.Done.Load(), names())
	}
	// A clock that was ahead once does not stop the backups.
	must(t, os.WriteFile(filepath.Join(to, "lumela-20990101T000000Z.backup"), nil, 0o600))
	run(7 * time.Hour)
	run(7*time.Hour + 10*time.Minute)
	if s.Done.Load() != 5 {
		t.Errorf("a backup from the future holds up the others, or makes them too many: %d", s.Done.Load())
	}
}
