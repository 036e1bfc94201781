package station

import (
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/problem"
)

// TestWhere: where a station is, and why it is not there any more, decides whether a command waits for it.
func TestWhere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		at := func(sec int) time.Time { return time.Unix(1_800_000_000+int64(sec), 0).UTC() }
		for _, id := range []ID{"S", "T", "NEVER"} {
			s.mustAdd(t, Station{ID: id})
		}
		where := func(id ID, want Whereabouts) {
			t.Helper()
			got, err := s.Where(ctx, id)
			must(t, err)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", id, d)
			}
		}
		where("NEVER", Whereabouts{})
		if _, err := s.Where(ctx, "NOBODY"); !problem.Is(err, problem.NotFound) {
			t.Errorf("nobody: %v", err)
		}
		first := Link{ID: "l1", Node: "n1", Station: "S", Protocol: "2.1", At: at(1)}
		must(t, s.Linked(ctx, home, first))
		where("S", Whereabouts{Node: "n1"})
		must(t, s.Unlinked(ctx, home, first, ReasonRestart, at(2)))
		where("S", Whereabouts{Ended: at(2), Reason: ReasonRestart})
		second := Link{ID: "l2", Node: "n2", Station: "S", Protocol: "2.1", At: at(3)}
		must(t, s.Linked(ctx, home, second))
		where("S", Whereabouts{Node: "n2"})
		must(t, s.Linked(ctx, home, Link{ID: "t1", Node: "n2", Station: "T", Protocol: "2.1", At: at(3)}))

		links, err := s.LinksAt(ctx, "n2")
		must(t, err)
		if d := cmp.Diff(map[ID]string{"S": "l2", "T": "t1"}, links); d != "" {
			t.Errorf("links (-want +got):\n%s", d)
		}
		if n, err := s.CountLinksAt(ctx, "n2"); err != nil || n != 2 {
			t.Errorf("%d links, %v", n, err)
		}
		for _, node := range []string{"n1", ""} {
			if n, err := s.CountLinksAt(ctx, node); err != nil || n != 0 {
				t.Errorf("node %q has %d links, %v", node, n, err)
			}
		}
		if nodes, err := s.LinkNodes(ctx); err != nil || !slices.Equal(nodes, []string{"n2"}) {
			t.Errorf("nodes %v, %v", nodes, err)
		}

		must(t, s.Unlink(ctx, "S", "l1", at(4))) // not its link any more
		where("S", Whereabouts{Node: "n2"})
		must(t, s.Unlink(ctx, "S", "l2", at(5)))
		where("S", Whereabouts{Ended: at(5), Reason: "its end was noticed late"})
		must(t, s.NodeLost(ctx, "n2", at(6)))
		where("T", Whereabouts{Ended: at(6), Reason: ReasonNodeLost})
	})
}
