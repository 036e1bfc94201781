package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// The cost of a person's password: argon2id with 19 MiB, 2 passes, 1 lane (the OWASP recommendation).
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonKey    = 32
)

// What a stored hash may ask for at most.
const (
	maxArgonMemory = 1 << 20 // KiB
	maxArgonTime   = 64
)

func hashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64(salt), b64(key)), nil
}

// checkPassword compares in constant time. A malformed hash matches nothing.
func checkPassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false
	}
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false
	}
	if passes == 0 || lanes == 0 || memory > maxArgonMemory || passes > maxArgonTime { // argon2 panics on none, and too much would hold up the node
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) == 0 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// dummyHash makes the check of an unknown address cost as much as that of a known one.
var dummyHash = sync.OnceValue(func() string {
	hash, _ := hashPassword(Secret(16)) // cannot fail: crypto/rand does not
	return hash
})

// limiter slows down guessing: after maxFailures attempts without success within its window a name is locked out until the
// window ends.
type limiter struct {
	mu   sync.Mutex
	seen map[string]*failures
}

type failures struct {
	n     int
	until time.Time
}

const (
	maxFailures   = 10
	failureWindow = 5 * time.Minute
	maxNames      = 10_000 // memory bound; beyond it the table is cleared of what has passed, then of everything
)

// take counts an attempt before it is made, so that many at once count as well; false says that it may not be made.
func (l *limiter) take(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.seen == nil || len(l.seen) >= maxNames {
		l.forget(now)
	}
	f := l.seen[name]
	if f == nil || now.After(f.until) {
		f = &failures{}
		l.seen[name] = f
	}
	if f.n >= maxFailures {
		return false
	}
	f.n++
	f.until = now.Add(failureWindow)
	return true
}

// giveBack takes one attempt off that turned out to be no guess.
func (l *limiter) giveBack(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.seen[name]; f != nil && f.n > 0 {
		f.n--
	}
}

func (l *limiter) succeeded(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, name)
}

func (l *limiter) forget(now time.Time) {
	for name, f := range l.seen {
		if now.After(f.until) {
			delete(l.seen, name)
		}
	}
	if l.seen == nil || len(l.seen) >= maxNames {
		l.seen = map[string]*failures{}
	}
}
