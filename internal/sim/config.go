package sim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"lumela/internal/clock"
	"lumela/ocpp"
)

// Config describes one station. Zero values get sensible defaults; ID, Version and URL are needed.
type Config struct {
	ID                              string
	Version                         ocpp.Version
	URL                             string // ws://host:port/ocpp or wss://…; the id is appended, percent-encoded
	Vendor, Model, Serial, Firmware string
	EVSEs                           int // 1 when 0; at most 64
	ConnectorsPerEVSE               int // 1 when 0; at most 8
	MaxPowerW                       int // of one EVSE; 22000 when 0, 150000 for DC
	DC                              bool
	Phases                          int // of the supply; 3 when 0
	Password                        string
	TLS                             *tls.Config
	Tokens                          []string // that Auto presents
	Behaviour                       Behaviour
	Settings                        map[string]string // first values, by configuration key or Component.Variable
	Seed                            uint64
	Log                             *slog.Logger
	Clock                           clock.Clock  // the machine's when nil
	Scheduler                       *Scheduler   // the process's shared one when nil; must have the same Clock
	HTTP                            *http.Client // for firmware and logs; a client with a time limit when nil
	OnEvent                         func(Event)  // called without locks held, in order of the events of one goroutine
}

// Behaviour says what the surroundings of a station do by themselves.
type Behaviour struct {
	Auto          bool          // cars come and go by themselves
	SessionEvery  time.Duration // mean time between cars at one EVSE, in simulated time; 20 minutes when 0
	FirstWithin   time.Duration // the first car of a station comes to its first EVSE within this simulated time; 0 for no such promise
	SessionLength time.Duration // mean time that a car stays, in simulated time; 40 minutes when 0
	MeterInterval time.Duration // first value of the sample interval; 60 s when 0
	OfflineEvery  time.Duration // mean time between losses of the link; never when 0
	OfflineFor    time.Duration // mean length of such a loss; 30 s when 0
	FaultEvery    time.Duration // mean time between faults of an EVSE, in simulated time; never when 0
	RebootTime    time.Duration // that a reboot takes; 2 s when 0
	// Speed is how many seconds pass for cars, meters and sample intervals in one second of the clock; 1 when 0.
	// Timestamps, schedules of profiles and intervals of the link follow the clock.
	Speed float64
}

// Car is what is at the other end of the cable.
type Car struct {
	BatteryWh  int     // 60000 when 0
	SoC        float64 // per cent, 0 to 100
	TargetSoC  float64 // 100 when 0
	MaxAmps    int     // per phase, AC; 32 when 0
	Phases     int     // of the on-board charger; 3 when 0
	MaxDCWatts int     // 150000 when 0
}

// Event is something that happened to a station, for people and tests.
type Event struct {
	Time    time.Time
	Station string
	Kind    string // "link", "boot", "status", "transaction", "meter", "command", "message", "firmware", …
	EVSE    int    // 0 where the whole station is meant
	Text    string
}

// String is one line for a terminal.
func (e Event) String() string {
	if e.EVSE == 0 {
		return fmt.Sprintf("%s %s %s %s", e.Time.Format(time.TimeOnly), e.Station, e.Kind, e.Text)
	}
	return fmt.Sprintf("%s %s/%d %s %s", e.Time.Format(time.TimeOnly), e.Station, e.EVSE, e.Kind, e.Text)
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c *Config) fill() error {
	switch {
	case c.ID == "":
		return errors.New("a station needs an id")
	case c.Version < ocpp.V16 || c.Version > ocpp.V21:
		return fmt.Errorf("station %s: unknown OCPP version", c.ID)
	case c.EVSEs < 0 || c.EVSEs > 64 || c.ConnectorsPerEVSE < 0 || c.ConnectorsPerEVSE > 8:
		return fmt.Errorf("station %s: 1 to 64 EVSEs with 1 to 8 connectors each", c.ID)
	case c.Phases < 0 || c.Phases > 3 || c.MaxPowerW < 0 || c.Behaviour.Speed < 0:
		return fmt.Errorf("station %s: phases are 1 to 3, power and speed positive", c.ID)
	}
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return fmt.Errorf("station %s: %q is not the URL of a WebSocket", c.ID, c.URL)
	}
	orDefault(&c.Vendor, "Lumela")
	orDefault(&c.Model, "Virtual")
	orDefault(&c.Serial, "SN-"+cut(c.ID, 20))
	orDefault(&c.Firmware, "1.0.0")
	orDefault(&c.EVSEs, 1)
	orDefault(&c.ConnectorsPerEVSE, 1)
	orDefault(&c.Phases, 3)
	if c.DC {
		orDefault(&c.MaxPowerW, 150_000)
	}
	orDefault(&c.MaxPowerW, c.Phases*32*voltage)
	orDefault(&c.Log, slog.New(slog.DiscardHandler))
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Scheduler == nil {
		c.Scheduler = sharedScheduler(c.Clock)
	}
	if c.HTTP == nil {
		c.HTTP = transfers
	}
	b := &c.Behaviour
	orDefault(&b.SessionEvery, 20*time.Minute)
	orDefault(&b.SessionLength, 40*time.Minute)
	orDefault(&b.MeterInterval, time.Minute)
	orDefault(&b.OfflineFor, 30*time.Second)
	orDefault(&b.RebootTime, 2*time.Second)
	orDefault(&b.Speed, 1)
	return nil
}

// transfers is shared by all stations of the process: idle connections are kept few.
var transfers = &http.Client{Timeout: 5 * time.Minute}

func cut(s string, most int) string {
	r := []rune(s)
	if len(r) > most {
		return string(r[:most])
	}
	return s
}

func (c *Car) fill() {
	orDefault(&c.BatteryWh, 60_000)
	orDefault(&c.TargetSoC, 100)
	orDefault(&c.MaxAmps, 32)
	orDefault(&c.Phases, 3)
	orDefault(&c.MaxDCWatts, 150_000)
}
