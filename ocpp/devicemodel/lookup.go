package devicemodel

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// match is a standard key, with the number at its end if it has one.
type match struct {
	spec  *KeySpec
	index int
}

// indexed is the one standard key that comes with a connector's number.
const indexed = "MeterPublicKey"

// key is the key in its standard spelling.
func (m match) key() string {
	if m.index > 0 {
		return string(m.spec.Key) + itoa(m.index)
	}
	return string(m.spec.Key)
}

// target is the variable that decides the key.
func (m match) target() Target {
	t := m.spec.Targets[0]
	if m.index > 0 {
		t.Component.EVSE = m.index
	}
	return t
}

type place struct {
	component, variable, instance string
	facet                         Facet
}

type directory struct {
	byKey   map[string]*KeySpec
	byPlace map[place]found
}

type found struct {
	spec   *KeySpec
	target Target
}

var index = sync.OnceValue(func() directory {
	d := directory{byKey: make(map[string]*KeySpec, len(table)), byPlace: make(map[place]found, len(table))}
	for i := range table {
		spec := &table[i]
		d.byKey[fold(string(spec.Key))] = spec
		for _, t := range spec.Targets {
			if !t.Legacy() {
				d.byPlace[placeOf(t.Component, t.Variable, t.Facet)] = found{spec, t}
			}
		}
	}
	return d
})

func placeOf(c Component, v Variable, f Facet) place {
	return place{fold(c.Name), fold(v.Name), fold(v.Instance), f}
}

// FromKey gives the variable that decides a configuration key. A key that is
// no standard key is a variable of [LegacyComponent]. It is false for a name
// that cannot be a key at all: empty, or of more than 50 characters.
func FromKey(key string) (Target, bool) {
	if !validName(key) {
		return Target{}, false
	}
	m, ok := lookup(key)
	switch {
	case !ok:
		return literal(key), true
	case m.target().Legacy():
		return literal(m.key()), true
	}
	return m.target(), true
}

// ToKey gives the configuration key through which a variable is known in 1.6,
// in its standard spelling, or false if 1.6 has no key for it. A key that
// concerns only the upper limit or the allowed values of the variable is given
// if there is none for its value: the facet of FromKey's answer tells.
func ToKey(c Component, v Variable) (Key, bool) {
	if same(c.Name, LegacyComponent) {
		return Key(v.Name), plainPlace(c) && v.Instance == "" && validName(v.Name)
	}
	for _, f := range []Facet{Actual, MaxLimit, ValuesList} {
		if m, _, ok := lookupPlace(c, v, f); ok {
			return Key(m.key()), true
		}
	}
	return "", false
}

// Key gives the configuration key of exactly this facet of the variable. It is
// the inverse of FromKey for every key, standard or not.
func (t Target) Key() (Key, bool) {
	if t.Legacy() {
		key, ok := ToKey(t.Component, t.Variable)
		return key, ok && t.Facet == Actual
	}
	m, _, ok := lookupPlace(t.Component, t.Variable, t.Facet)
	if !ok {
		return "", false
	}
	return Key(m.key()), true
}

// Keys gives the description of every standard key, sorted by its name.
func Keys() []KeySpec {
	specs := slices.Clone(table)
	for i := range specs {
		specs[i].Targets = slices.Clone(specs[i].Targets)
	}
	slices.SortFunc(specs, func(a, b KeySpec) int { return cmp.Compare(fold(string(a.Key)), fold(string(b.Key))) })
	return specs
}

// Spec gives the description of a standard key, or false for any other key.
func Spec(key string) (KeySpec, bool) {
	m, ok := lookup(key)
	if !ok {
		return KeySpec{}, false
	}
	spec := *m.spec
	spec.Targets = slices.Clone(spec.Targets)
	return spec, true
}

func lookup(key string) (match, bool) {
	d := index()
	if spec, ok := d.byKey[fold(key)]; ok {
		return match{spec: spec}, true
	}
	if rest, ok := cutFold(key, indexed); ok {
		if n, ok := number(rest, 1, maxIndex); ok {
			return match{d.byKey[fold(indexed)], n}, true
		}
	}
	return match{}, false
}

func lookupPlace(c Component, v Variable, f Facet) (match, Target, bool) {
	hit, ok := index().byPlace[placeOf(c, v, f)]
	if !ok || c.Instance != "" || c.EVSE < 0 || c.Connector < 0 || c.EVSE > maxIndex {
		return match{}, Target{}, false
	}
	m := match{spec: hit.spec}
	switch {
	case plainPlace(c):
	case !hit.spec.PerConnector:
		return match{}, Target{}, false
	case same(string(hit.spec.Key), indexed) && c.Connector == 0:
		m.index = c.EVSE
	case same(c.Name, "Connector") && c.EVSE > 0 && (c.Connector == 1 || c.Connector > 1 && same(v.Name, "Available")):
	default:
		return match{}, Target{}, false
	}
	return m, hit.target, true
}

func literal(key string) Target {
	return Target{Component: Component{Name: LegacyComponent}, Variable: Variable{Name: key}}
}

func plainPlace(c Component) bool { return c.EVSE == 0 && c.Connector == 0 && c.Instance == "" }

// number reads an integer in its shortest spelling, between low and high.
func number(s string, low, high int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= low && n <= high && itoa(n) == s
}

func itoa(n int) string { return strconv.Itoa(n) }
