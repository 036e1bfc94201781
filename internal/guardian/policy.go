package guardian

import "time"

// Policy holds the limits of the guardian. All are durations by our own clock, so that a station whose clock is wrong is
// treated like any other. Fields that are zero get the default.
type Policy struct {
	// Every is the time between two passes: 15 s. It is the precision of all other limits.
	Every time.Duration `yaml:"every"`
	// Answer is how long a station may take to send what it was asked for by TriggerMessage, before silence counts: 30 s,
	// the time that a call may take, since the message waits its turn behind others.
	Answer time.Duration `yaml:"answer"`

	// NoEnergyAfter is how long a session may say that it charges without any energy or power: 5 min. Cars take up to two
	// minutes to negotiate, and meters report every minute or slower.
	NoEnergyAfter time.Duration `yaml:"no-energy-after"`

	// EndSettle is how long a connector may be available while its session runs: 1 min. Stations report the connector
	// first and the end of the transaction after it, or have to retry it.
	EndSettle time.Duration `yaml:"end-settle"`
	// BootSettle is how long a station may take after its boot to go on with its transactions or to deliver what waits:
	// 2 min. OCPP lets it send queued messages only when it is accepted, one at a time.
	BootSettle time.Duration `yaml:"boot-settle"`
	// GoneAfter is how long a station with a running session may be offline: 24 h. A car is rarely plugged in longer; a
	// link that is down over night is common.
	GoneAfter time.Duration `yaml:"gone-after"`
	// UnclearFor is how long a station may leave open, after a boot or an unplugging, what has become of a transaction,
	// before its end is assumed: 24 h, as if it were away.
	UnclearFor time.Duration `yaml:"unclear-for"`

	// StuckAfter is how long a connector may be occupied without a session: 30 min. Some drivers plug in, and then look
	// for their card or their app; longer than this, nobody comes any more, or the plug was left behind.
	StuckAfter time.Duration `yaml:"stuck-after"`
	// ReservedAfter is the same for a reserved connector: 24 h. Reservations last hours by intention.
	ReservedAfter time.Duration `yaml:"reserved-after"`
	// SuspendedAfter is how long a session may be suspended by the car: 24 h. Full cars stay over night.
	SuspendedAfter time.Duration `yaml:"suspended-after"`

	// GapSettle is how long a missing message may be late before the station is asked: 1 min, a few retries of a station.
	GapSettle time.Duration `yaml:"gap-settle"`
	// QueuePause is the first pause before a station that still has messages to deliver is asked again: 1 min. Each pause
	// is twice as long as the one before, up to QueuePauseMost: 1 h.
	QueuePause time.Duration `yaml:"queue-pause"`
	// QueuePauseMost bounds the pauses.
	QueuePauseMost time.Duration `yaml:"queue-pause-most"`
	// QueueFor is how long a station is asked for a missing message: 72 h. MessageAttempts are over long before.
	QueueFor time.Duration `yaml:"queue-for"`

	// StartWithin is how long a remote start may take, where the station does not tell its EVConnectionTimeOut: 3 min.
	StartWithin time.Duration `yaml:"start-within"`
	// StartGrace is added to the station's own limit: 30 s, the way of its message to us.
	StartGrace time.Duration `yaml:"start-grace"`
	// StartLate is how much later than its limit a session can still be the effect of a remote start by its token and
	// EVSE alone: 15 min. By the number of the start it can be for a day.
	StartLate time.Duration `yaml:"start-late"`

	// AskAgain is how long a station that refused a request is not asked the same again: 24 h. One that does not know the
	// request is asked again after 30 days, or when its firmware or version has changed.
	AskAgain time.Duration `yaml:"ask-again"`
	// Keep is how long closed cases are kept: 90 days, the usual time in which a bill is disputed.
	Keep time.Duration `yaml:"keep"`
}

// defaults fills in what is not set.
func (p Policy) defaults() Policy {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&p.Every, 15 * time.Second}, {&p.Answer, 30 * time.Second}, {&p.NoEnergyAfter, 5 * time.Minute},
		{&p.EndSettle, time.Minute}, {&p.BootSettle, 2 * time.Minute}, {&p.GoneAfter, 24 * time.Hour}, {&p.UnclearFor, 24 * time.Hour},
		{&p.StuckAfter, 30 * time.Minute}, {&p.ReservedAfter, 24 * time.Hour}, {&p.SuspendedAfter, 24 * time.Hour},
		{&p.GapSettle, time.Minute}, {&p.QueuePause, time.Minute}, {&p.QueuePauseMost, time.Hour}, {&p.QueueFor, 72 * time.Hour},
		{&p.StartWithin, 3 * time.Minute}, {&p.StartGrace, 30 * time.Second}, {&p.StartLate, 15 * time.Minute},
		{&p.AskAgain, 24 * time.Hour}, {&p.Keep, 90 * 24 * time.Hour},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return p
}

// pause is how long to wait before asking for the n-th time again, n counting from 0.
func (p Policy) pause(n int) time.Duration {
	d := p.QueuePause
	for range n {
		if d *= 2; d >= p.QueuePauseMost {
			return p.QueuePauseMost
		}
	}
	return d
}

// unknownFor is how long a request that a station does not know is not made again.
const unknownFor = 30 * 24 * time.Hour
