package sim

import (
	"slices"
	"strings"
	"time"

	"lumela/ocpp"
)

const (
	v16Version = ocpp.V16
	maxCache   = 64
)

// token is what a driver identifies with.
type token struct {
	id  string
	typ string // of 2.x
}

// authResult is what the management system says about a token.
type authResult struct {
	status   string // in the words of the version; Accepted is the same in all
	group    string
	expires  time.Time // zero for none
	evses    []int     // where it may be used; nil for everywhere
	priority int
	ok       bool // an answer came
}

type listEntry struct {
	result authResult
	typ    string
}

type cacheEntry struct {
	result authResult
	used   time.Time
}

func same(a, b string) bool { return strings.EqualFold(a, b) }

// presented deals with a token at the reader: it starts, or stops what the same driver or group started.
func (s *Station) presented(e *evse, t token) {
	if e.auth == nil {
		if e.tx != nil && e.tx.auth != nil { // stopped, the cable is still locked in: the same reader starts no second one
			return
		}
		s.begin(e, t, "Authorized")
		return
	}
	if same(e.auth.token.id, t.id) {
		if e.tx == nil { // taken back before the cable came
			e.auth = nil
			s.cancel(e.connectTimer)
			s.report(e)
			return
		}
		s.stopBy(e, "StopAuthorized", "Local", &t)
		return
	}
	if e.auth.group == "" {
		s.event(e, "token", t.id+" is not the one that started")
		return
	}
	was := e.auth
	s.authorize(t, func(r authResult) {
		if e.auth == was && r.status == "Accepted" && same(r.group, was.group) {
			s.stopBy(e, "StopAuthorized", "Local", &t)
		}
	})
}

// begin authorises a token for an EVSE.
func (s *Station) begin(e *evse, t token, trigger string) {
	if s.outOfService(e) || e.fault != "" {
		s.event(e, "token", t.id+": out of service")
		return
	}
	s.authorize(t, func(r authResult) {
		s.event(e, "authorize", t.id+" "+r.status)
		if r.status != "Accepted" || e.auth != nil || s.outOfService(e) || r.evses != nil && !slices.Contains(r.evses, e.id) {
			return
		}
		held := s.reservedFor(e)
		if held != nil && !held.fits(t, r.group) {
			s.event(e, "authorize", t.id+": reserved for another")
			return
		}
		a := &authorisation{token: t, group: r.group}
		if held == nil {
			held = s.reservationOf(t, r.group)
		}
		if held != nil {
			a.reserved = held.id
		}
		s.grant(e, a, trigger)
	})
}

// grant lets a token use an EVSE: a transaction begins, or the time for the cable.
func (s *Station) grant(e *evse, a *authorisation, trigger string) {
	e.auth, e.finishing, e.blocked = a, false, false
	running := e.tx != nil
	s.edges(e, trigger)
	if running && e.tx != nil {
		s.txUpdated(e, trigger)
		s.step(e)
	}
	s.report(e)
	if e.plugged > 0 {
		return
	}
	s.cancel(e.connectTimer)
	e.connectTimer = s.after(s.seconds(setConnectTimeout), func() {
		if e.auth != a || e.plugged > 0 {
			return
		}
		s.event(e, "authorize", "no cable in time")
		e.auth = nil
		if e.tx != nil {
			s.endTx(e, "EVConnectTimeout", "Timeout")
		}
		s.report(e)
	})
}

// authorize asks whoever may say: the list, the cache, the management system; answer runs with the lock held, now or
// later. OCPP 1.6 3.5 and 4.1, OCPP 2.1 C10 to C14.
func (s *Station) authorize(t token, answer func(authResult)) {
	known, local := s.knownToken(t)
	if local && known.status == "Accepted" && s.flag(setLocalPreAuthorize) {
		answer(known)
		return
	}
	if s.offline() {
		answer(s.authorizeOffline(known, local))
		return
	}
	s.send(s.front.authorize(t), func(resp ocpp.Response, err error) {
		if err != nil {
			if s.offline() {
				answer(s.authorizeOffline(known, local))
				return
			}
			answer(authResult{status: "Invalid"})
			return
		}
		r := s.front.authorized(resp)
		s.remember(t, r)
		answer(r)
	})
}

func (s *Station) authorizeOffline(known authResult, local bool) authResult {
	switch {
	case local && s.flag(setAuthorizeOffline):
		return known
	case !local && s.flag(setOfflineUnknown):
		return authResult{status: "Accepted", ok: true}
	}
	return authResult{status: "Invalid"}
}

// knownToken looks in the local list, then in the cache; the list wins.
func (s *Station) knownToken(t token) (authResult, bool) {
	now := s.now()
	if s.flag(setListEnabled) {
		if l, ok := s.list[strings.ToLower(t.id)]; ok {
			if !l.result.expires.IsZero() && !l.result.expires.After(now) {
				l.result.status = "Expired"
			}
			return l.result, true
		}
	}
	if !s.flag(setAuthCache) {
		return authResult{}, false
	}
	key := strings.ToLower(t.id)
	c, ok := s.cache[key]
	if !ok {
		return authResult{}, false
	}
	life := s.seconds(setAuthCacheLife)
	if !c.result.expires.IsZero() && !c.result.expires.After(now) || life > 0 && now.Sub(c.used) > life {
		delete(s.cache, key)
		return authResult{}, false
	}
	return c.result, true
}

// remember puts what was heard of a token into the cache; the least recently used goes when it is full.
func (s *Station) remember(t token, r authResult) {
	if !s.flag(setAuthCache) || !r.ok || t.id == "" {
		return
	}
	key := strings.ToLower(t.id)
	if _, listed := s.list[key]; listed && s.flag(setListEnabled) {
		return
	}
	if s.cache == nil {
		s.cache = make(map[string]cacheEntry, 4)
	}
	if _, again := s.cache[key]; !again && len(s.cache) >= maxCache {
		oldest := ""
		for k, c := range s.cache {
			if oldest == "" || c.used.Before(s.cache[oldest].used) {
				oldest = k
			}
		}
		delete(s.cache, oldest)
	}
	s.cache[key] = cacheEntry{result: r, used: s.now()}
}
