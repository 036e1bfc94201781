package session_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// BenchmarkApply: 500 stations that each send the periodic values of a running transaction and wait for the disk, on
// SQLite as the ledger has it. us-cpu/op is the processor time of the whole process for one message.
func BenchmarkApply(b *testing.B) {
	const many = 500
	books := newBooks(b, dbtest.Open(b, dbtest.Fresh(b, db.SQLite, migrations()...)))
	l := books.open()
	for i := range many {
		apply(b, l, station.ID("S"+strconv.Itoa(i)), start(0, "T"))
	}
	var next atomic.Int64
	var senders sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began, spent := time.Now(), processorTime(b)
	for i := range many {
		id := station.ID("S" + strconv.Itoa(i))
		senders.Go(func() {
			for n := 1; next.Add(1) <= int64(b.N); n++ {
				m := update(n*30, n, "T", reads(strconv.Itoa(1000+n*90)+" Wh", "10800 power", "230 L1", "55 soc"), charging(v21.ChargingStateCharging))
				if _, err := l.Apply(context.Background(), m.event(id)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-spent).Microseconds())/float64(b.N), "us-cpu/op")
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "messages/s")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
