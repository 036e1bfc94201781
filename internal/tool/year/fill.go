package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/govalues/decimal"

	"lumela/internal/db"
	"lumela/internal/frame"
	"lumela/internal/session"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

func name(i int) string { return fmt.Sprintf("YEAR-%06d", i) }

// fill writes the year, day by day, as it would have come.
func (w *world) fill(ctx context.Context) error {
	begin := time.Now()
	for i := range w.o.stations {
		if err := w.stations.Enrol(ctx, w.org, station.ID(name(i)), "a-password-of-the-year"); err != nil {
			return err
		}
	}
	for m := w.now.AddDate(0, 0, -w.o.days); m.Before(w.now); m = db.Monthly.Next(db.Monthly.Start(m)) {
		if _, err := w.ledger.Prepare(ctx, m); err != nil {
			return err
		}
	}
	meters := make([]int64, w.o.stations*2)
	days := make(chan []*session.Course, 2)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { // the history is written while the next day is made
		for courses := range days {
			if failed == nil {
				failed = w.history.Take(ctx, courses)
			}
		}
	})
	sessions := 0
	for day := range w.o.days {
		rng := rand.New(rand.NewPCG(uint64(day), 7))
		var transactions [][]session.Event
		for i := range w.o.stations {
			transactions = append(transactions, w.day(rng, i, w.now.AddDate(0, 0, day-w.o.days), meters)...)
		}
		sessions += len(transactions)
		for len(transactions) > 0 {
			n := min(len(transactions), 1000)
			courses, err := w.ledger.Import(ctx, transactions[:n])
			if err != nil {
				return err
			}
			days <- courses
			transactions = transactions[n:]
		}
		if day%30 == 29 {
			fmt.Printf("  %d days, %d sessions, %s\n", day+1, sessions, time.Since(begin).Round(time.Second))
		}
	}
	close(days)
	wg.Wait()
	if failed != nil {
		return failed
	}
	written := time.Since(begin)
	names := make([]string, w.o.stations)
	for i := range names {
		names[i] = name(i)
	}
	if err := w.history.Sum(ctx, w.org, names); err != nil {
		return err
	}
	fmt.Printf("%d sessions written in %s, sums in %s\n", sessions, written.Round(time.Second), (time.Since(begin) - written).Round(time.Second))
	return w.fillFrames(ctx)
}

// day makes the transactions of one station on one day, on both EVSEs in turn.
func (w *world) day(rng *rand.Rand, i int, day time.Time, meters []int64) [][]session.Event {
	n := int(w.o.perDay)
	if rng.Float64() < w.o.perDay-float64(n) {
		n++
	}
	var out [][]session.Event
	for k := range n {
		gap := 24 * time.Hour / time.Duration(n)
		at := day.Add(time.Duration(k)*gap + time.Duration(rng.IntN(int(gap/2/time.Second)))*time.Second)
		out = append(out, w.transaction(rng, i, 1+k%2, at, time.Duration(30+rng.IntN(180))*time.Minute, &meters[i*2+k%2]))
	}
	return out
}

// transaction is one session with clock-aligned readings and 3.7 to 22 kW.
func (w *world) transaction(rng *rand.Rand, i, evse int, at time.Time, length time.Duration, meter *int64) []session.Event {
	id := fmt.Sprintf("%s-%d-%d", name(i), evse, at.Unix())
	watts := 3700 + rng.Int64N(18_300)
	var out []session.Event
	last := at
	message := func(typ v21.TransactionEventType, trigger v21.TriggerReason, now time.Time, state v21.ChargingState) {
		*meter += watts * int64(now.Sub(last)/time.Second) * 1000 / 3600
		last = now
		r := &v21.TransactionEventRequest{EventType: typ, Timestamp: now, TriggerReason: trigger, SeqNo: len(out), EVSE: &v21.EVSE{ID: evse, ConnectorID: ocpp.Some(1)},
			TransactionInfo: v21.Transaction{TransactionID: id[len(id)-min(len(id), 36):], ChargingState: ocpp.Some(state)},
			MeterValue: []v21.MeterValue{{Timestamp: now, SampledValue: []v21.SampledValue{
				{Value: decimal.MustNew(*meter, 3), Context: ocpp.Some(v21.ReadingContextSamplePeriodic), Measurand: ocpp.Some(v21.MeasurandEnergyActiveImportRegister),
					UnitOfMeasure: &v21.UnitOfMeasure{Unit: ocpp.Some("Wh")}},
				{Value: decimal.MustNew(watts, 0), Measurand: ocpp.Some(v21.MeasurandPowerActiveImport), UnitOfMeasure: &v21.UnitOfMeasure{Unit: ocpp.Some("W")}},
				{Value: decimal.MustNew(16, 0), Measurand: ocpp.Some(v21.MeasurandCurrentImport), UnitOfMeasure: &v21.UnitOfMeasure{Unit: ocpp.Some("A")}},
			}}}}
		if typ == v21.TransactionEventTypeStarted {
			r.IDToken = &v21.IDToken{IDToken: fmt.Sprintf("04%010X", rng.IntN(5000)), Type: "ISO14443"}
		}
		out = append(out, session.Event{Organisation: w.org, Station: station.ID(name(i)), Request: r, ReceivedAt: now.Add(time.Second), Sequenced: true})
	}
	end := at.Add(length)
	message(v21.TransactionEventTypeStarted, v21.TriggerReasonAuthorized, at, v21.ChargingStateCharging)
	step := time.Duration(w.o.meterMinutes) * time.Minute
	for now := at.Truncate(step).Add(step); now.Before(end); now = now.Add(step) {
		message(v21.TransactionEventTypeUpdated, v21.TriggerReasonMeterValueClock, now, v21.ChargingStateCharging)
	}
	message(v21.TransactionEventTypeEnded, v21.TriggerReasonEVCommunicationLost, end, v21.ChargingStateIdle)
	return out
}

// fillFrames writes the frames of the last day.
func (w *world) fillFrames(ctx context.Context) error {
	text := `[2,"0123456789","MeterValues",{"evseId":1,"meterValue":[{"timestamp":"2026-11-22T10:00:00Z","sampledValue":[{"value":123456.789,"measurand":"Energy.Active.Import.Register","unitOfMeasure":{"unit":"Wh"}}]}]}]`
	n := 0
	for i := range w.o.framesPerDay {
		at := w.now.Add(-24*time.Hour + time.Duration(i)*24*time.Hour/time.Duration(max(1, w.o.framesPerDay)))
		for s := range w.o.stations {
			w.frames.Add(frame.Exchange{Station: name(s), Time: at, Direction: frame.In, Action: "MeterValues", Text: text, AnswerAt: at.Add(time.Millisecond), Answer: `[3,"0123456789",{}]`})
			if n++; n%8000 == 0 { // whoever reads has everything written first
				if _, err := w.frames.List(ctx, name(s), frame.Filter{Limit: 1}); err != nil {
					return err
				}
			}
		}
	}
	if lost := w.frames.Dropped(); lost > 0 {
		return fmt.Errorf("%d frames were dropped", lost)
	}
	return nil
}
