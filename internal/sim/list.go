package sim

import "strings"

// listUpdate is a SendLocalList of any version.
type listUpdate struct {
	version int
	full    bool
	lines   []listLine
}

type listLine struct {
	id, typ string
	result  *authResult // nil removes
}

// updateList takes a new local list, or changes to it; the answer is a word of SendLocalList.
func (s *Station) updateList(u *listUpdate) string {
	switch {
	case !s.flag(setListEnabled):
		if s.isV16() {
			return "NotSupported"
		}
		return "Failed"
	case len(u.lines) > s.num(setListSend):
		return "Failed"
	case !u.full && u.version <= s.listVersion:
		return "VersionMismatch"
	case u.full && u.version <= 0:
		return "Failed"
	}
	next := make(map[string]listEntry, len(u.lines))
	if !u.full {
		for k, v := range s.list {
			next[k] = v
		}
	}
	for _, l := range u.lines {
		key := strings.ToLower(l.id)
		switch {
		case l.result == nil && u.full:
			return "Failed"
		case l.result == nil:
			delete(next, key)
		default:
			next[key] = listEntry{result: *l.result, typ: l.typ}
		}
	}
	if len(next) > s.num(setListMax) {
		return "Failed"
	}
	s.list, s.listVersion = next, u.version
	s.values[setListEntries] = itoa(len(next))
	for k := range next { // what the list says makes the cache pointless
		delete(s.cache, k)
	}
	return "Accepted"
}
