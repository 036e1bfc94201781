package db_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// A migration may be for one engine alone, or differ between them under one number.
func TestMigratePerEngine(t *testing.T) {
	t.Parallel()
	set := fstest.MapFS{
		"0001_both.sql":          {Data: []byte("-- +goose Up\nCREATE TABLE of_both (id BIGINT);\n")},
		"0002_pair.sqlite.sql":   {Data: []byte("-- +goose Up\nCREATE TABLE pair_sqlite (id BIGINT);\n")},
		"0002_pair.postgres.sql": {Data: []byte("-- +goose Up\nCREATE TABLE pair_postgres (id BIGINT);\n")},
		"0003_one.postgres.sql":  {Data: []byte("-- +goose Up\nCREATE TABLE one_postgres (id BIGINT);\n")},
	}
	dbtest.Each(t, func(t *testing.T, open func(...fs.FS) *db.DB) {
		d := open(set)
		for table, want := range map[string]bool{"of_both": true, "pair_sqlite": d.Engine() == db.SQLite, "pair_postgres": d.Engine() == db.Postgres,
			"one_postgres": d.Engine() == db.Postgres} {
			var n int
			if err := d.QueryRow(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); (err == nil) != want {
				t.Errorf("%s: %v", table, err)
			}
		}
		err := d.Migrate(t.Context(), set, fstest.MapFS{"0004_x.mysql.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}})
		if err == nil || !strings.Contains(err.Error(), "mysql") {
			t.Errorf("an engine that does not exist: %v", err)
		}
	})
}

var partitioned = fstest.MapFS{"0001_reading.postgres.sql": {Data: []byte(`-- +goose Up
CREATE TABLE reading (station TEXT NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (station, at)) PARTITION BY RANGE (at);
CREATE TABLE reading_default PARTITION OF reading DEFAULT;
`)}}

var insertPart = db.NewInsert("reading", []string{"station", "at", "body"}, "ON CONFLICT DO NOTHING")

func names(list []db.Partition) []string {
	out := []string{}
	for _, p := range list {
		out = append(out, p.Name)
	}
	return out
}

// Rows of any time are kept, once; those of a span that has no partition move when it gets one; a partition that is
// dropped takes its rows and no others.
func TestPartitions(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.Fresh(t, db.Postgres, partitioned))
	ctx, now := t.Context(), time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC)
	store := func(at ...time.Time) {
		t.Helper()
		for range 2 { // the second time changes nothing
			mustWrite(t, d, func(tx *db.Tx) error {
				for _, a := range at {
					tx.Append(insertPart, "S", db.Micros(a), "b")
				}
				return nil
			})
		}
	}
	odd := []time.Time{time.Unix(0, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), now.AddDate(0, 0, -200)}
	store(odd...)
	store(now, now.Add(time.Second)) // on either side of a month's end
	may := time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)
	var many []time.Time
	for i := range 1000 {
		many = append(many, may.Add(time.Duration(i)*time.Minute))
	}
	store(many...)
	made, err := d.KeepPartitions(ctx, "reading", db.Monthly, now, 2)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(made)
	want := []string{"reading_p202505", "reading_p202603", "reading_p202604", "reading_p202605"}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if again, err := d.KeepPartitions(ctx, "reading", db.Monthly, now, 2); err != nil || len(again) > 0 {
		t.Errorf("the second time makes %v: %v", again, err)
	}
	store(append(append(odd, many...), now, now.Add(time.Second))...)
	for table, n := range map[string]int64{"reading": 1005, "reading_default": 3, "reading_p202505": 1000, "reading_p202603": 1, "reading_p202604": 1} {
		if got := count(t, d, "SELECT COUNT(*) FROM "+table); got != n {
			t.Errorf("%s has %d rows, want %d", table, got, n)
		}
	}
	list, err := d.Partitions(ctx, "reading")
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, d, func(tx *db.Tx) error { _, err := tx.Exec("UPDATE reading SET body = '' WHERE at >= 0"); return err })
	if err := d.RewritePartition(ctx, "reading", list[1]); err != nil {
		t.Fatal(err)
	}
	if n := count(t, d, "SELECT COUNT(*) FROM reading_p202505 WHERE body = ''"); n != 1000 {
		t.Errorf("after it was rewritten the partition has %d rows", n)
	}
	store(many[:1]...)
	gone, err := d.DropPartitions(ctx, "reading", time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"reading_p202505", "reading_p202603"}, names(gone)); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	if n := count(t, d, "SELECT COUNT(*) FROM reading"); n != 4 {
		t.Errorf("%d rows are left", n)
	}
	if list, err = d.Partitions(ctx, "reading"); err != nil || !cmp.Equal(names(list), []string{"reading_default", "reading_p202604", "reading_p202605"}) {
		t.Errorf("left are %v: %v", names(list), err)
	}
}

func TestWidths(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 2, 29, 23, 0, 0, 0, time.FixedZone("", -3600)) // the first of March, UTC
	if s := db.Monthly.Start(at); !s.Equal(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)) || db.Monthly.Next(s).Day() != 1 {
		t.Errorf("the month begins at %s", s)
	}
	if s := db.Daily.Start(at); !s.Equal(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)) || db.Daily.Next(s).Day() != 2 {
		t.Errorf("the day begins at %s", s)
	}
}

// BenchmarkPartitioned compares the insertion of rows into a plain and into a partitioned table.
//
//	go test ./internal/db -run '^$' -bench Partitioned
func BenchmarkPartitioned(b *testing.B) {
	plain := fstest.MapFS{"0001_reading.postgres.sql": {Data: []byte(`-- +goose Up
CREATE TABLE reading (station TEXT NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (station, at));
`)}}
	body := strings.Repeat("x", 300)
	for name, set := range map[string]fs.FS{"plain": plain, "partitioned": partitioned} {
		b.Run(name, func(b *testing.B) {
			d := dbtest.Open(b, dbtest.Fresh(b, db.Postgres, set))
			if name == "partitioned" {
				if _, err := d.KeepPartitions(b.Context(), "reading", db.Monthly, time.Now(), 2); err != nil {
					b.Fatal(err)
				}
			}
			write(b, d, func(tx *db.Tx, station string, n int64) error {
				tx.Append(insertPart, station, db.Micros(tx.Now())+n, body)
				return nil
			})
		})
	}
}
