package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"lumela/ocpp"
)

// FleetConfig describes many stations that differ in id, version, seed and a little in kind.
type FleetConfig struct {
	Count    int
	IDPrefix string         // "SIM-" when empty; ids are the prefix and a number of six digits
	Versions []ocpp.Version // taken in turn; all three when empty
	Station  Config         // of every station; ID, Version, Seed and Serial are set for each
	DCEvery  int            // every n-th station is a DC one; 0 for none
	Ramp     time.Duration  // time over which the stations start
}

// Fleet is many stations of one process.
type Fleet struct {
	Stations []*Station
	ramp     time.Duration
}

// NewFleet makes the stations.
func NewFleet(c FleetConfig) (*Fleet, error) {
	if c.Count < 1 {
		return nil, fmt.Errorf("a fleet needs at least one station, not %d", c.Count)
	}
	orDefault(&c.IDPrefix, "SIM-")
	if len(c.Versions) == 0 {
		c.Versions = ocpp.Versions
	}
	f := &Fleet{ramp: c.Ramp}
	for i := range c.Count {
		sc := c.Station
		sc.ID = fmt.Sprintf("%s%06d", c.IDPrefix, i+1)
		sc.Version = c.Versions[i%len(c.Versions)]
		sc.Serial = ""
		sc.Seed += uint64(i)
		if c.DCEvery > 0 && i%c.DCEvery == c.DCEvery-1 {
			sc.DC, sc.MaxPowerW = true, 0
		}
		s, err := New(sc)
		if err != nil {
			return nil, err
		}
		f.Stations = append(f.Stations, s)
	}
	return f, nil
}

// Run runs all stations until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(f.Stations))
	pause := f.ramp / time.Duration(len(f.Stations))
	for _, s := range f.Stations {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := s.Run(ctx); err != nil {
				errs <- err
			}
		}()
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// RunFleet makes stations and runs them until ctx ends.
func RunFleet(ctx context.Context, c FleetConfig) error {
	f, err := NewFleet(c)
	if err != nil {
		return err
	}
	return f.Run(ctx)
}

// Totals sums a fleet up.
type Totals struct {
	Stations, Online, Transactions, Queued int
	PowerW                                 int
	EnergyWh                               int // of all meters
}

// Totals counts what the stations are doing.
func (f *Fleet) Totals() Totals {
	t := Totals{Stations: len(f.Stations)}
	for _, s := range f.Stations {
		st := s.State()
		if st.Online {
			t.Online++
		}
		t.Queued += st.Queued
		for _, e := range st.EVSEs {
			t.PowerW += e.PowerW
			t.EnergyWh += e.MeterWh
			if e.TransactionID != "" {
				t.Transactions++
			}
		}
	}
	return t
}
