package devicemodel

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Errors of Lift and Lower, found with errors.Is.
var (
	ErrName    = errors.New("name is empty or longer than 50 characters")
	ErrTooLong = errors.New("value is too long")
	ErrNoKey   = errors.New("OCPP 1.6 has no configuration key for this variable")
	ErrFollows = errors.New("the variable follows another one and cannot be written alone")
	ErrValue   = errors.New("the value cannot be said in the configuration key")
)

// Value is what one facet of a variable holds.
type Value struct {
	Component Component
	Variable  Variable
	Facet     Facet
	Value     string
}

func (v Value) String() string {
	return fmt.Sprintf("%v.%v (%v)", v.Component, v.Variable, v.Facet)
}

// KeyValue is a configuration key with its value.
type KeyValue struct {
	Key   Key
	Value string
}

// ValueError says why one variable could not be lowered.
type ValueError struct {
	Value Value
	Err   error
}

func (e *ValueError) Error() string { return e.Value.String() + ": " + e.Err.Error() }

// Unwrap gives the reason, one of the errors above.
func (e *ValueError) Unwrap() error { return e.Err }

// Lift turns a configuration key and its value into variables of 2.1, the
// deciding one first. What the variables cannot carry follows as a variable of
// [LegacyComponent], so that Lower gives back the same key and value, to the
// letter. The value is not judged: what does not fit the key's type is passed
// on as it is. EVSE n stands for connector n of 1.6: a caller with another map
// renumbers. It fails with [ErrName] or, beyond 2500 characters, [ErrTooLong].
func Lift(key, value string) ([]Value, error) {
	if !validName(key) {
		return nil, fmt.Errorf("lifting configuration key %.60q: %w", key, ErrName)
	}
	if n := utf8.RuneCountInString(value); n > MaxAttribute {
		return nil, fmt.Errorf("lifting configuration key %q: %d characters: %w", key, n, ErrTooLong)
	}
	m, ok := lookup(key)
	if !ok {
		return []Value{raw(key, value)}, nil
	}
	values := m.lift(value)
	if m.target().Legacy() {
		return append([]Value{raw(key, value)}, values...), nil
	}
	if back, err := m.lower(values); err != nil || back != value || m.key() != key {
		values = append(values, raw(key, value))
	}
	return values, nil
}

// Lower turns variables of 2.1 into configuration keys, in the order in which
// they first appear. It gives every key that it could form; the error joins a
// [ValueError] for each variable that none of them carries. Values are bounded
// by the 500 characters of OCPP 1.6 §7.19.
//
// A key is written as a whole: whoever changes one item of a key that spans
// several variables, such as the phase rotation of one connector, passes the
// others with it.
func Lower(values []Value) ([]KeyValue, error) {
	var order []string
	groups := map[string]*group{}
	var problems []error
	for _, v := range values {
		id, m, ok := groupOf(v)
		if !ok {
			problems = append(problems, &ValueError{v, ErrNoKey})
			continue
		}
		g := groups[id]
		if g == nil {
			g = &group{match: m}
			groups[id] = g
			order = append(order, id)
		}
		if same(v.Component.Name, LegacyComponent) {
			g.raw = &v
		} else {
			g.values = append(g.values, v)
		}
	}
	var keys []KeyValue
	for _, id := range order {
		kv, bad := groups[id].lower()
		problems = append(problems, bad...)
		if kv != nil {
			keys = append(keys, *kv)
		}
	}
	return keys, errors.Join(problems...)
}

// group is everything that was said about one key.
type group struct {
	match  match
	raw    *Value
	values []Value
}

func groupOf(v Value) (id string, m match, ok bool) {
	if same(v.Component.Name, LegacyComponent) {
		if !plainPlace(v.Component) || v.Variable.Instance != "" || !validName(v.Variable.Name) || v.Facet != Actual {
			return "", match{}, false
		}
		if m, ok = lookup(v.Variable.Name); ok {
			return fold(m.key()), m, true
		}
		return fold(v.Variable.Name), match{}, true
	}
	m, _, ok = lookupPlace(v.Component, v.Variable, v.Facet)
	if !ok || m.spec.PerConnector && same(v.Component.Name, "Connector") && v.Component.EVSE == 0 {
		return "", match{}, false
	}
	return fold(m.key()), m, true
}

// lower forms the key. The literal string wins while it says the same as the
// variables beside it; after one of them was changed it is stale.
func (g *group) lower() (*KeyValue, []error) {
	key, text, fresh := "", "", []Value(nil)
	var err error
	switch {
	case g.raw != nil && (g.match.spec == nil || g.match.target().Legacy() || g.agrees()):
		key, text = g.raw.Variable.Name, g.raw.Value
	default:
		key = g.match.key()
		text, err = g.match.lower(g.values)
	}
	if err == nil && utf8.RuneCountInString(text) > MaxKeyValue {
		err = ErrTooLong
	}
	if err != nil {
		return nil, g.all(err)
	}
	if g.match.spec != nil {
		fresh = g.match.lift(text)
	}
	var bad []error
	for _, v := range g.values {
		if g.match.follows(v) && !contains(fresh, v) {
			bad = append(bad, &ValueError{v, ErrFollows})
		}
	}
	return &KeyValue{Key(key), text}, bad
}

func (g *group) agrees() bool {
	fresh := g.match.lift(g.raw.Value)
	for _, v := range g.values {
		if !contains(fresh, v) {
			return false
		}
	}
	return true
}

func (g *group) all(err error) []error {
	var bad []error
	if g.raw != nil && len(g.values) == 0 {
		bad = append(bad, &ValueError{*g.raw, err})
	}
	for _, v := range g.values {
		bad = append(bad, &ValueError{v, err})
	}
	return bad
}

// lift gives the variables of a value, without the literal string.
func (m match) lift(value string) []Value {
	values := m.rule().lift(m.spec, value)
	if m.index > 0 {
		for i := range values {
			values[i].Component.EVSE = m.index
		}
	}
	return values
}

// lower gives the value that the deciding variables say.
func (m match) lower(values []Value) (string, error) {
	var deciding []Value
	for _, v := range values {
		if !m.follows(v) {
			deciding = append(deciding, v)
		}
	}
	if len(deciding) == 0 {
		return "", ErrFollows
	}
	return m.rule().lower(m.spec, deciding)
}

func (m match) follows(v Value) bool {
	_, t, ok := lookupPlace(v.Component, v.Variable, v.Facet)
	return ok && t.Follows
}

func (m match) rule() rule {
	switch {
	case m.spec.rule != nil:
		return m.spec.rule
	case m.spec.Targets[0].Legacy():
		return untouched{}
	case m.spec.Type == Boolean:
		return boolean{}
	default:
		return plain{}
	}
}

func raw(key, value string) Value {
	t := literal(key)
	return Value{Component: t.Component, Variable: t.Variable, Value: value}
}

func contains(values []Value, v Value) bool {
	for _, w := range values {
		if w.Component.Equal(v.Component) && w.Variable.Equal(v.Variable) && w.Facet == v.Facet && w.Value == v.Value {
			return true
		}
	}
	return false
}
