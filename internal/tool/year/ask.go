package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/frame"
	"lumela/internal/history"
	"lumela/internal/page"
	"lumela/internal/session"
	"lumela/internal/station"
)

// sizes prints what there is.
func (w *world) sizes(ctx context.Context) error {
	size, err := w.db.Size(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("database %d MB", size.Bytes>>20)
	if w.o.dir != "" {
		frames := int64(0)
		list, err := filepath.Glob(filepath.Join(w.o.dir, "frames*"))
		if err != nil {
			return err
		}
		for _, p := range list {
			if info, err := os.Stat(p); err == nil {
				frames += info.Size()
			}
		}
		fmt.Printf(", frames %d MB", frames>>20)
	}
	for _, table := range []string{"sessions", "session_events", "history_parts", "history_hours", "history_days"} {
		var n int64
		if err := w.db.QueryRow(ctx, `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil {
			return err
		}
		fmt.Printf(", %s %d", table, n)
	}
	fmt.Println()
	return nil
}

// ask measures what a console asks for.
func (w *world) ask(ctx context.Context) error {
	from, to := page.Span{}.Bounds()
	year := w.now.AddDate(-1, 0, 0)
	some := func() string { return name(rand.IntN(w.o.stations)) }
	moment := func() time.Time { return w.now.Add(-time.Duration(rand.Int64N(int64(w.o.days) * int64(24*time.Hour)))) }
	var ids []string
	first, err := w.ledger.List(ctx, w.org, session.Filter{From: from, To: to, Before: moment(), Limit: 1000})
	if err != nil {
		return err
	}
	for _, s := range first {
		ids = append(ids, s.ID)
	}
	if len(ids) == 0 {
		return fmt.Errorf("there are no sessions")
	}
	buckets := func(q history.Query) (int, error) {
		list, err := w.history.Buckets(ctx, w.org, q)
		return len(list), err
	}
	sessions := func(f session.Filter) (int, error) {
		f.From, f.To, f.Limit = from, to, 101
		if f.Before.IsZero() {
			f.Before = to
		}
		list, err := w.ledger.List(ctx, w.org, f)
		return len(list), err
	}
	for _, q := range []struct {
		name string
		ask  func() (int, error)
	}{
		{"history of a station by day, a year", func() (int, error) { return buckets(history.Query{Station: some(), From: year, Resolution: "day"}) }},
		{"history of a station by hour, a week", func() (int, error) {
			at := moment()
			return buckets(history.Query{Station: some(), From: at.AddDate(0, 0, -7), To: at, Resolution: "hour"})
		}},
		{"history of an organisation by day, a year", func() (int, error) { return buckets(history.Query{From: year, Resolution: "day"}) }},
		{"history of an organisation by month, a year", func() (int, error) { return buckets(history.Query{From: year, Resolution: "month"}) }},
		{"sessions, first page", func() (int, error) { return sessions(session.Filter{}) }},
		{"sessions, a deep page", func() (int, error) { return sessions(session.Filter{Before: moment(), BeforeID: "z"}) }},
		{"sessions of a station, first page", func() (int, error) { return sessions(session.Filter{Station: station.ID(some())}) }},
		{"sessions of a station, a deep page", func() (int, error) {
			return sessions(session.Filter{Station: station.ID(some()), Before: moment(), BeforeID: "z"})
		}},
		{"meter values of a session", func() (int, error) {
			list, err := w.ledger.Events(ctx, ids[rand.IntN(len(ids))])
			return len(list), err
		}},
		{"frames of a station, an hour", func() (int, error) {
			at := w.now.Add(-time.Duration(1+rand.IntN(23)) * time.Hour)
			list, err := w.frames.List(ctx, some(), frame.Filter{From: at, To: at.Add(time.Hour), Before: to, Limit: 100})
			return len(list), err
		}},
		{"overview: totals of today", func() (int, error) {
			t, err := w.ledger.Totals(ctx, w.org, w.now.AddDate(0, 0, -1))
			return t.Today, err
		}},
	} {
		var took []time.Duration
		rows := 0
		for range w.o.rounds {
			begin := time.Now()
			n, err := q.ask()
			if err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			took = append(took, time.Since(begin))
			rows = max(rows, n)
		}
		slices.Sort(took)
		at := func(p int) float64 { return float64(took[(len(took)-1)*p/100].Microseconds()) / 1000 }
		fmt.Printf("| %-44s | %6d | %8.1f | %8.1f |\n", q.name, rows, at(50), at(99))
	}
	return nil
}

// questions are the texts behind what is asked, for their plans.
var questions = map[string]string{
	"history of a station":      `SELECT at, SUM(energy_mwh) FROM history_days WHERE organisation_id = 'year' AND station_id = 'YEAR-000001' AND at >= 1 AND at < 9000000000000000 GROUP BY at ORDER BY at`,
	"history of an hour's sums": `SELECT at, SUM(energy_mwh) FROM history_hours WHERE organisation_id = 'year' AND at >= 1790000000000000 AND at < 1790003600000000 AND station_id <> '' GROUP BY at`,
	"parts of a station":        `SELECT at, SUM(energy_mwh) FROM history_parts WHERE organisation_id = 'year' AND station_id = 'YEAR-000001' AND at >= 1790000000000000 AND at < 1790003600000000 GROUP BY at`,
	"sessions": `SELECT id FROM sessions WHERE organisation_id = 'year' AND started_at >= 0 AND started_at < 1780000000000000
		AND (started_at < 1780000000000000 OR started_at = 1780000000000000 AND id < 'z') ORDER BY started_at DESC, id DESC LIMIT 101`,
	"sessions of a station": `SELECT id FROM sessions WHERE organisation_id = 'year' AND started_at >= 0 AND started_at < 1780000000000000
		AND station_id = 'YEAR-000001' ORDER BY started_at DESC, id DESC LIMIT 101`,
	"messages of a session": `SELECT payload FROM session_events WHERE session_id = 'x' ORDER BY at, seq_no, received_at`,
	"totals": `SELECT SUM(power_w) FROM (SELECT power_w FROM sessions WHERE organisation_id = 'year' AND started_at >= 1795000000000000
		UNION ALL SELECT power_w FROM sessions WHERE state = 'active' AND organisation_id || '' = 'year' AND started_at + 0 < 1795000000000000) AS s`,
	"old sessions": `SELECT id FROM sessions WHERE state = 'ended' AND ended_at < 1700000000000000 AND thinned_at IS NULL ORDER BY ended_at LIMIT 50`,
}

// explain looks at the plans, and fails when one reads a whole large table.
func (w *world) explain(ctx context.Context) error {
	prefix, whole := "EXPLAIN QUERY PLAN ", "SCAN "
	if w.db.Engine() == db.Postgres {
		prefix, whole = "EXPLAIN ", "Seq Scan on "
	}
	var bad []string
	for what, text := range questions {
		rows, err := w.db.Query(ctx, prefix+text)
		if err != nil {
			return fmt.Errorf("explain %s: %w", what, err)
		}
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				return err
			}
			line := fmt.Sprint(*values[len(values)-1].(*any))
			if strings.Contains(line, whole) && !strings.Contains(line, "_default") && !strings.Contains(line, "USING") && line != "SCAN s" {
				bad = append(bad, what+": "+line)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("whole tables are read:\n%s", strings.Join(bad, "\n"))
	}
	fmt.Println("no query reads a whole table")
	return nil
}
