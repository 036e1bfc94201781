package translate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"sync"
	"time"
)

// State is what a dialogue remembers between messages. Memory is the implementation for a station that is connected to
// this process; a gateway between two systems keeps it on disk.
type State interface {
	// StartNumber gives the number that the 1.6 transaction of these particulars has: always the same for the same
	// particulars, so that a repeated StartTransaction meets its first; between 1 and 2^31-1 and not guessable.
	StartNumber(connector int, idTag string, meterStart int, timestamp time.Time) int
	// Number gives the 1.6 number of a transaction id, when one was bound to it.
	Number(transactionID string) (int, bool)
	// TransactionID is the reverse of Number. Without a binding it is the number as text.
	TransactionID(number int) string
	// Bind remembers that the transaction id is number for the 1.6 end.
	Bind(transactionID string, number int)
	// Open remembers that a transaction runs on an EVSE, Close that it ended.
	Open(evse int, transactionID, idToken string)
	Close(transactionID string)
	// Running gives the transaction that runs on an EVSE.
	Running(evse int) (transactionID string, ok bool)
	// EVSE gives the EVSE of a running transaction.
	EVSE(transactionID string) (evse int, ok bool)
	// NextSeqNo counts the events of a transaction from 0.
	NextSeqNo(transactionID string) int
	// Put and Get keep small facts of requests under way, by key: the request id of a firmware update, the last error
	// of a connector. An empty value forgets the key.
	Put(key, value string)
	Get(key string) string
}

// Memory is a State that lives as long as the process. It is safe for concurrent use.
type Memory struct {
	station string
	secret  []byte

	mu      sync.Mutex
	numbers map[string]int
	ids     map[int]string
	running map[int]string
	evses   map[string]int
	seqNos  map[string]int
	facts   map[string]string
}

// NewMemory makes the state of one station. The secret makes transaction numbers impossible to guess; it must stay the
// same for the life of an installation.
func NewMemory(station string, secret []byte) *Memory {
	return &Memory{station: station, secret: secret}
}

// StartNumber implements State with a keyed hash, so that it needs no storage.
func (m *Memory) StartNumber(connector int, idTag string, meterStart int, timestamp time.Time) int {
	mac := hmac.New(sha256.New, m.secret)
	b := make([]byte, 0, 128)
	b = append(append(b, m.station...), 0)
	b = append(strconv.AppendInt(b, int64(connector), 10), 0)
	b = append(append(b, idTag...), 0)
	b = append(strconv.AppendInt(b, int64(meterStart), 10), 0)
	b = strconv.AppendInt(b, timestamp.UnixMicro(), 10)
	mac.Write(b)
	n := binary.BigEndian.Uint32(mac.Sum(nil)) & 0x7fffffff
	if n == 0 {
		n = 1
	}
	return int(n)
}

// Number implements State: a transaction id that is a number in text is that number, unless another was bound.
func (m *Memory) Number(id string) (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.numbers[id]; ok {
		return n, true
	}
	n, err := strconv.Atoi(id)
	return n, err == nil && strconv.Itoa(n) == id
}

// TransactionID implements State.
func (m *Memory) TransactionID(number int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id, ok := m.ids[number]; ok {
		return id
	}
	return strconv.Itoa(number)
}

// Bind implements State.
func (m *Memory) Bind(id string, number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.numbers == nil {
		m.numbers, m.ids = map[string]int{}, map[int]string{}
	}
	m.numbers[id], m.ids[number] = number, id
}

// Open implements State.
func (m *Memory) Open(evse int, id, _ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running == nil {
		m.running, m.evses = map[int]string{}, map[string]int{}
	}
	m.running[evse], m.evses[id] = id, evse
}

// Close implements State.
func (m *Memory) Close(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if evse, ok := m.evses[id]; ok {
		delete(m.evses, id)
		if m.running[evse] == id {
			delete(m.running, evse)
		}
	}
	delete(m.seqNos, id)
	if n, ok := m.numbers[id]; ok {
		delete(m.numbers, id)
		delete(m.ids, n)
	}
}

// Running implements State.
func (m *Memory) Running(evse int) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ok := m.running[evse]
	return id, ok
}

// EVSE implements State.
func (m *Memory) EVSE(id string) (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	evse, ok := m.evses[id]
	return evse, ok
}

// NextSeqNo implements State.
func (m *Memory) NextSeqNo(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seqNos == nil {
		m.seqNos = map[string]int{}
	}
	n := m.seqNos[id]
	m.seqNos[id] = n + 1
	return n
}

// Put implements State.
func (m *Memory) Put(key, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == "" {
		delete(m.facts, key)
		return
	}
	if m.facts == nil {
		m.facts = map[string]string{}
	}
	m.facts[key] = value
}

// Get implements State.
func (m *Memory) Get(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.facts[key]
}
