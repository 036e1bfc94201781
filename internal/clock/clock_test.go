package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestFakeFiresInOrder(t *testing.T) {
	t.Parallel()
	f := NewFake(start)
	late, early := f.NewTimer(3*time.Second), f.After(time.Second)
	f.Advance(2 * time.Second)
	if got := <-early; !got.Equal(start.Add(time.Second)) {
		t.Errorf("early fired at %v", got)
	}
	select {
	case got := <-late.C():
		t.Fatalf("late fired at %v, before its time", got)
	default:
	}
	f.Advance(time.Second)
	if got := <-late.C(); !got.Equal(start.Add(3 * time.Second)) {
		t.Errorf("late fired at %v", got)
	}
	if got := f.Now(); !got.Equal(start.Add(3 * time.Second)) {
		t.Errorf("now is %v", got)
	}
}

func TestFakeStopAndReset(t *testing.T) {
	t.Parallel()
	f := NewFake(start)
	tm := f.NewTimer(time.Second)
	if !tm.Stop() || tm.Stop() {
		t.Error("Stop: want true for the pending timer, false afterwards")
	}
	f.Advance(time.Minute)
	if tm.Reset(time.Second) {
		t.Error("Reset of a stopped timer says it was pending")
	}
	f.Advance(time.Second)
	if tm.Reset(time.Hour) {
		t.Error("Reset of a fired timer says it was pending")
	}
	select {
	case <-tm.C():
		t.Error("a value of the earlier setting survived Reset")
	default:
	}
	if got := f.After(0); len(got) != 1 {
		t.Error("After(0) did not fire at once")
	}
}

func TestFakeBlockUntil(t *testing.T) {
	t.Parallel()
	f := NewFake(start)
	done := make(chan time.Time)
	go func() { done <- <-f.After(time.Second) }()
	f.BlockUntil(1)
	f.Advance(time.Second)
	if got := <-done; !got.Equal(start.Add(time.Second)) {
		t.Errorf("woke at %v", got)
	}
}

func TestSystem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := System.Now()
		<-System.After(time.Second)
		tm := System.NewTimer(time.Hour)
		if !tm.Reset(time.Second) {
			t.Error("Reset of a pending timer says it was not")
		}
		<-tm.C()
		if d := System.Now().Sub(begin); d != 2*time.Second {
			t.Errorf("waited %v, want 2s", d)
		}
		if tm.Stop() {
			t.Error("Stop of a fired timer says it was pending")
		}
	})
}
