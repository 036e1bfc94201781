package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// BenchmarkWrite is 500 writers that each store one meter value of about 300 bytes and
// wait for it to be durable. us-cpu/row is the CPU time of this process (the server's
// comes on top on PostgreSQL).
//
//	go test ./internal/db -run '^$' -bench Write
func BenchmarkWrite(b *testing.B) {
	schema := fstest.MapFS{"0001_value.sql": {Data: []byte(`-- +goose Up
CREATE TABLE value (
	tx TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL, arrived BIGINT NOT NULL,
	energy BIGINT, signed BOOLEAN NOT NULL, body TEXT NOT NULL,
	PRIMARY KEY (tx, seq)
) /*CLUSTERED*/;
`)}}
	columns := []string{"tx", "seq", "at", "arrived", "energy", "signed", "body"}
	ins := db.NewInsert("value", columns, "ON CONFLICT DO NOTHING")
	text := "INSERT INTO value (" + strings.Join(columns, ", ") + ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"
	body := strings.Repeat(`{"measurand":"Power.Active"},`, 8)
	for _, engine := range []db.Engine{db.SQLite, db.Postgres} {
		for _, way := range []string{"append", "append+savepoint", "append in order", "exec", "exec+savepoint", "exec+1%fail", "exec+read"} {
			b.Run(string(engine)+"/"+way, func(b *testing.B) {
				d := dbtest.Open(b, dbtest.Fresh(b, engine, schema))
				if strings.HasSuffix(way, "+savepoint") {
					db.AlwaysSave(d)
				}
				var order atomic.Int64
				write(b, d, func(tx *db.Tx, station string, n int64) error {
					now := db.Micros(tx.Now())
					switch way {
					case "append in order": // all rows of a commit side by side, on few pages
						tx.Append(ins, "one", order.Add(1), now, now, n, true, body)
						return nil
					case "append", "append+savepoint":
						tx.Append(ins, station, n, now, now, n, true, body)
						return nil
					}
					if way == "exec+read" {
						var last *int64
						if err := tx.QueryRow("SELECT max(seq) FROM value WHERE tx = $1", station).Scan(&last); err != nil {
							return err
						}
					}
					_, err := tx.Exec(text, station, n, now, now, n, true, body)
					if way == "exec+1%fail" && n%100 == 99 {
						return errOwn
					}
					return err
				})
			})
		}
	}
}

func write(b *testing.B, d *db.DB, fn func(tx *db.Tx, station string, n int64) error) {
	const writers = 500
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	before, start := cpu(), time.Now()
	for w := range writers {
		wg.Go(func() {
			station := fmt.Sprintf("0192f0a1-5c7e-7bbd-8000-%012d", w)
			for n := int64(0); left.Add(-1) >= 0; n++ {
				err := d.WriteKey(context.Background(), station, func(tx *db.Tx) error { return fn(tx, station, n) })
				if err != nil && !errors.Is(err, errOwn) {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took, used := time.Since(start), cpu()-before
	s := d.Stats()
	b.ReportMetric(float64(b.N)/took.Seconds(), "rows/s")
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N), "us-cpu/row")
	b.ReportMetric(float64(s.Writes)/float64(max(s.Commits, 1)), "rows/commit")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
