package app

import (
	"log/slog"
	"strings"
	"testing"
)

func TestSizeFitsTheLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		set, demo int
		limit     uint64
		want      int
		err       string
	}{
		{0, 0, 20_000, 18_560, ""},
		{0, 0, 1 << 63, 100_000, ""},
		{0, 0, 1024, 487, ""},
		{0, 6, 1024, 481, ""},
		{0, 0, 256, 1, ""},
		{15_000, 0, 20_000, 15_000, ""},
		{18_560, 0, 20_000, 18_560, ""},
		{18_561, 0, 20_000, 0, "which needs 20001 open files, and the limit of this process is 20000"},
		{1000, 0, 1024, 0, "set max-stations to 487"},
	} {
		got, err := size(c.set, c.demo, c.limit, slog.New(slog.DiscardHandler))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
	for limit := uint64(600); limit < 70_000; limit += 37 { // what is proposed is taken
		if n := fitting(0, limit); filesFor(n, 0) > limit || filesFor(n+2, 0) <= limit {
			t.Fatalf("limit %d: %d stations", limit, n)
		}
	}
}

func TestOpenFilesIsKnown(t *testing.T) {
	t.Parallel()
	if n, err := openFiles(); err != nil || n < 64 {
		t.Errorf("%d, %v", n, err)
	}
}
