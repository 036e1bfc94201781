package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"lumela/ocpp"
	"lumela/ocpp/ocppj"
)

// registration is what the management system said to the boot notification.
type registration uint8

const (
	unregistered registration = iota
	pending
	rejected
	accepted
)

// Station is one virtual charging station. Its methods may be called at any time by any goroutine.
type Station struct {
	cfg   Config
	front dialect
	sched *Scheduler
	// wakeAt and wakeIndex belong to the scheduler.
	wakeAt    time.Time
	wakeIndex int

	mu        sync.Mutex
	rnd       *rand.Rand
	agenda    agenda
	events    []Event
	evses     []*evse
	advanced  time.Time     // moment up to which the physics is counted
	simulated time.Duration // since the start
	onStep    func(e *evse, watts int, ms int64)

	link
	powered     bool
	running     bool
	firmware    string
	inoperative bool // the whole station
	scheduled   *bool
	resetWait   *resetPlan

	values       map[setting]string
	list         map[string]listEntry
	listVersion  int
	cache        map[string]cacheEntry
	profiles     []*profile
	reservations []*reservation
	extras       extras

	heartbeat, alignedTimer, offlineTimer *task
}

// New makes a station, which does nothing before Run.
func New(c Config) (*Station, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	s := &Station{cfg: c, sched: c.Scheduler, wakeIndex: -1, powered: true, firmware: c.Firmware}
	s.rnd = rand.New(rand.NewPCG(c.Seed, hashID(c.ID)))
	if err := s.firstSettings(); err != nil {
		return nil, err
	}
	s.advanced = s.now()
	s.link.init()
	for i := range c.EVSEs {
		s.evses = append(s.evses, &evse{id: i + 1, state: stateIdle, connectorOff: make([]bool, c.ConnectorsPerEVSE),
			reported: make([]string, c.ConnectorsPerEVSE), pending: make([]*task, c.ConnectorsPerEVSE),
			meter: energy(s.rnd.IntN(5_000_000)) * 3_600_000})
	}
	if c.Version == ocpp.V16 {
		s.front = &front16{s: s}
	} else {
		s.front = &front2{s: s}
	}
	return s, nil
}

func hashID(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}

func (s *Station) now() time.Time { return s.cfg.Clock.Now().UTC() }

// simDuration is how long the clock needs for a simulated time.
func (s *Station) simDuration(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)/s.cfg.Behaviour.Speed), time.Millisecond)
}

// unlock ends a locked section: the next wake-up is planned, the sender started, and events are told.
func (s *Station) unlock() {
	events := s.events
	s.events = nil
	var at time.Time
	if s.running && len(s.agenda) > 0 {
		at = s.agenda[0].at
	}
	s.sched.set(s, at)
	send := s.startSending()
	s.mu.Unlock()
	if send {
		go s.drain()
	}
	if s.cfg.OnEvent != nil {
		for _, e := range events {
			s.cfg.OnEvent(e)
		}
	}
}

// event notes something for OnEvent; e may be nil.
func (s *Station) event(e *evse, kind, text string) {
	if s.cfg.OnEvent == nil {
		return
	}
	ev := Event{Time: s.now(), Station: s.cfg.ID, Kind: kind, Text: text}
	if e != nil {
		ev.EVSE = e.id
	}
	s.events = append(s.events, ev)
}

// evseAt is the EVSE of a number counted from 1, nil when there is none.
func (s *Station) evseAt(id int) *evse {
	if id < 1 || id > len(s.evses) {
		return nil
	}
	return s.evses[id-1]
}

// do runs one hand's work on an EVSE with the lock held.
func (s *Station) do(id int, f func(e *evse) error) error {
	s.mu.Lock()
	defer s.unlock()
	e := s.evseAt(id)
	if e == nil {
		return fmt.Errorf("station %s has no EVSE %d", s.cfg.ID, id)
	}
	s.advance(s.now())
	return f(e)
}

// PlugIn connects a car to the first free connector that is in service.
func (s *Station) PlugIn(evseID int, car Car) error {
	return s.do(evseID, func(e *evse) error {
		if e.plugged > 0 {
			return fmt.Errorf("EVSE %d has a car already", evseID)
		}
		car.fill()
		s.plug(e, car)
		return nil
	})
}

// plug puts the cable of a car into the first connector that is in service.
func (s *Station) plug(e *evse, car Car) {
	e.car, e.plugged, e.paused, e.finishing = car, 1, false, false
	for i, off := range e.connectorOff {
		if !off {
			e.plugged = i + 1
			break
		}
	}
	s.event(e, "plug", fmt.Sprintf("car plugged in with %.0f %%", car.SoC))
	s.cancel(e.connectTimer)
	running := e.tx
	s.edges(e, "CablePluggedIn")
	if running != nil && e.tx == running {
		e.state = stateConnected
		s.txUpdated(e, "CablePluggedIn")
	}
	s.step(e)
}

// Unplug takes the cable out of the car, whatever goes on.
func (s *Station) Unplug(evseID int) error {
	return s.do(evseID, func(e *evse) error {
		if e.plugged == 0 {
			return fmt.Errorf("EVSE %d has no car", evseID)
		}
		s.unplug(e)
		return nil
	})
}

func (s *Station) unplug(e *evse) {
	s.event(e, "plug", "car unplugged")
	e.plugged, e.finishing, e.locked = 0, false, false
	s.flow(e, s.now())
	s.edges(e, "EVCommunicationLost")
	if e.tx == nil {
		e.auth, e.blocked = nil, false
	} else { // it goes on until the token or the management system ends it
		e.state = stateIdle
		s.txUpdated(e, "EVCommunicationLost")
	}
	s.step(e)
	s.idle()
}

// PresentToken holds a card to the reader of an EVSE.
func (s *Station) PresentToken(evseID int, uid string) error {
	return s.do(evseID, func(e *evse) error {
		if !s.powered {
			return fmt.Errorf("station %s has no power", s.cfg.ID)
		}
		s.event(e, "token", uid)
		s.presented(e, token{id: uid, typ: "ISO14443"})
		return nil
	})
}

// PauseCar lets the car want no energy for a while, as a full or cold one does; a second call with false ends that.
func (s *Station) PauseCar(evseID int, paused bool) error {
	return s.do(evseID, func(e *evse) error {
		e.paused = paused
		s.step(e)
		return nil
	})
}

// Fault breaks an EVSE; code is a ChargePointErrorCode of OCPP 1.6, "OtherError" when empty.
func (s *Station) Fault(evseID int, code string) error {
	return s.do(evseID, func(e *evse) error {
		orDefault(&code, "OtherError")
		s.setFault(e, code)
		return nil
	})
}

// setFault breaks or repairs an EVSE and tells of it.
func (s *Station) setFault(e *evse, code string) {
	if e.fault == code {
		return
	}
	was := e.fault
	e.fault = code
	s.event(e, "fault", orWord(code, "cleared"))
	if !s.offline() {
		s.front.faulted(e, orWord(code, was))
	}
	s.step(e)
}

// ClearFault repairs an EVSE.
func (s *Station) ClearFault(evseID int) error {
	return s.do(evseID, func(e *evse) error {
		s.setFault(e, "")
		return nil
	})
}

// GoOffline cuts the network; the station works on.
func (s *Station) GoOffline() { s.cable(true) }

// GoOnline brings the network back.
func (s *Station) GoOnline() { s.cable(false) }

// PowerCut takes the mains away: the link drops without a word and nothing works.
func (s *Station) PowerCut() {
	s.mu.Lock()
	defer s.unlock()
	if !s.powered {
		return
	}
	s.advance(s.now())
	s.powered = false
	s.event(nil, "power", "cut")
	for _, e := range s.evses {
		s.flow(e, s.now())
	}
	s.dropLink("power cut")
}

// PowerOn brings the mains back; transactions that ran end with the reason PowerLoss.
func (s *Station) PowerOn() {
	s.mu.Lock()
	defer s.unlock()
	if s.powered {
		return
	}
	s.advance(s.now())
	s.powered = true
	s.event(nil, "power", "on")
	for _, e := range s.evses {
		s.endTx(e, "AbnormalCondition", "PowerLoss")
		e.auth = nil
	}
	s.restart("PowerUp")
}

// Snapshot is what a station is at one moment.
type Snapshot struct {
	ID           string
	Online       bool // connected and accepted
	Registration string
	Firmware     string
	Queued       int // transaction messages that wait
	EVSEs        []EVSEState
}

// EVSEState is one EVSE of a Snapshot.
type EVSEState struct {
	ID            int
	Status        string // of the first connector, in the words of the version
	Plugged       bool
	Authorised    string // token, "" for none
	TransactionID string // as the version calls it, "" for none
	ChargingState string
	PowerW        int
	OfferedW      int
	MeterWh       int
	SoC           float64
	Fault         string
}

// State tells how the station is.
func (s *Station) State() Snapshot {
	s.mu.Lock()
	defer s.unlock()
	s.advance(s.now())
	snap := Snapshot{ID: s.cfg.ID, Online: s.peer != nil && s.reg == accepted, Firmware: s.firmware, Queued: len(s.txQueue),
		Registration: [...]string{"", "Pending", "Rejected", "Accepted"}[s.reg]}
	for _, e := range s.evses {
		st := EVSEState{ID: e.id, Status: s.front.statusOf(e, max(1, e.plugged)), Plugged: e.plugged > 0, ChargingState: string(e.state),
			PowerW: e.power, OfferedW: e.offered, MeterWh: e.meter.wh(), SoC: e.car.SoC, Fault: e.fault}
		if e.auth != nil {
			st.Authorised = e.auth.token.id
		}
		if e.tx != nil {
			st.TransactionID = s.front.txID(e.tx)
		}
		snap.EVSEs = append(snap.EVSEs, st)
	}
	return snap
}

// Run connects the station and keeps it connected until ctx ends. It may run once at a time.
func (s *Station) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return fmt.Errorf("station %s runs already", s.cfg.ID)
	}
	s.running = true
	s.ctx = ctx
	s.advanced = s.now()
	s.planAuto()
	s.planAligned()
	s.unlock()
	defer func() {
		s.mu.Lock()
		s.running = false
		s.unlock()
	}()
	return s.keepConnected(ctx)
}

// dialect is one version's way to say what the core does.
type dialect interface {
	// boot makes a boot notification; booted reads its answer.
	boot(reason string) ocpp.Request
	booted(resp ocpp.Response) (reg registration, interval int, now time.Time)
	heartbeat() ocpp.Request
	// statusOf is the status of a connector in the version's words, with its error code in 1.6.
	statusOf(e *evse, connector int) string
	status(e *evse, connector int, status string) ocpp.Request
	stationStatus() ocpp.Request // nil where the version has none
	authorize(t token) ocpp.Request
	authorized(resp ocpp.Response) authResult
	// txEvent queues the messages for one event of a transaction.
	txEvent(tx *transaction, ev *txEvent)
	txID(tx *transaction) string
	// readings queues meter values outside transactions' own messages.
	readings(e *evse, context string, samples []sample)
	// faulted tells of a fault beyond the status, where the version has a message for it; code is also that of a fault
	// that has ended.
	faulted(e *evse, code string)
	firmwareStatus(status string, request int) ocpp.Request
	logStatus(status string, request int) ocpp.Request
	security(kind, info string) ocpp.Request
	signCertificate(csr string) ocpp.Request
	reservationEnded(id int, status string) ocpp.Request // nil where the version has none
	// serve answers a request of the management system.
	serve(in *ocppj.Incoming) (ocpp.Response, *ocpp.CallError)
}

func newID() string { return uuid.NewString() }
