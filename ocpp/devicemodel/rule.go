package devicemodel

import (
	"encoding/json"
	"slices"
	"strings"
)

// rule converts the value of a key. Lift may give nothing, for a value that
// it cannot read; lower gets at least one value, none of them following.
type rule interface {
	lift(spec *KeySpec, value string) []Value
	lower(spec *KeySpec, values []Value) (string, error)
}

func (t Target) holding(value string) Value {
	return Value{Component: t.Component, Variable: t.Variable, Facet: t.Facet, Value: value}
}

func last(values []Value) string { return values[len(values)-1].Value }

// plain passes the value on.
type plain struct{}

func (plain) lift(s *KeySpec, value string) []Value { return []Value{s.Targets[0].holding(value)} }

func (plain) lower(_ *KeySpec, values []Value) (string, error) { return last(values), nil }

// untouched is the rule of keys that live under LegacyConfiguration.
type untouched struct{}

func (untouched) lift(*KeySpec, string) []Value { return nil }

func (untouched) lower(*KeySpec, []Value) (string, error) { return "", ErrNoKey }

// boolean brings true and false into the lower case that 2.x prescribes.
type boolean struct{ plain }

func (boolean) lift(s *KeySpec, value string) []Value {
	if f := fold(value); f == "true" || f == "false" {
		value = f
	}
	return plain{}.lift(s, value)
}

// list drops blanks between the items of a list.
type list struct{}

func (list) lift(s *KeySpec, value string) []Value {
	return plain{}.lift(s, strings.Join(split(value), ","))
}

func (list) lower(_ *KeySpec, values []Value) (string, error) {
	return strings.Join(split(last(values)), ","), nil
}

// mirrored gives every target the same value.
type mirrored struct{ plain }

func (mirrored) lift(s *KeySpec, value string) []Value {
	values := make([]Value, len(s.Targets))
	for i, t := range s.Targets {
		values[i] = t.holding(value)
	}
	return values
}

// measurands translates a list of measurands. OCPP 1.6 §9.1.17 lets a phase
// follow the measurand; MeasurandEnumType of 2.1 does not, and it has neither
// RPM nor Temperature.
type measurands struct{ list }

func (measurands) lift(s *KeySpec, value string) []Value {
	var kept []string
	for _, item := range split(value) {
		item = withoutPhase(item)
		if same(item, "RPM") || same(item, "Temperature") || slices.ContainsFunc(kept, func(k string) bool { return same(k, item) }) {
			continue
		}
		kept = append(kept, item)
	}
	return plain{}.lift(s, strings.Join(kept, ","))
}

func withoutPhase(item string) string {
	if i := strings.LastIndexByte(item, '.'); i > 0 {
		switch fold(item[i+1:]) {
		case "l1", "l2", "l3", "n", "l1-n", "l2-n", "l3-n", "l1-l2", "l2-l3", "l3-l1":
			return item[:i]
		}
	}
	return item
}

// rateUnit names quantities in 1.6 (§9.4.2) and units in 2.1.
type rateUnit struct{}

func (rateUnit) lift(s *KeySpec, value string) []Value {
	return []Value{s.Targets[0].holding(renamed(value, "Current", "A", "Power", "W"))}
}

func (rateUnit) lower(_ *KeySpec, values []Value) (string, error) {
	return renamed(last(values), "A", "Current", "W", "Power"), nil
}

func renamed(value string, pairs ...string) string {
	items := split(value)
	for i, item := range items {
		for p := 0; p < len(pairs); p += 2 {
			if same(item, pairs[p]) {
				items[i] = pairs[p+1]
			}
		}
	}
	return strings.Join(items, ",")
}

// phaseRotation spreads items "connector.rotation", OCPP 1.6 §9.1.7.
type phaseRotation struct{}

func (phaseRotation) lift(s *KeySpec, value string) []Value {
	var values []Value
	for _, item := range split(value) {
		connector, rotation, ok := strings.Cut(item, ".")
		n, valid := number(connector, 0, maxIndex)
		if !ok || !valid || rotation == "" {
			return nil
		}
		v := s.Targets[1].holding(rotation)
		if n > 0 {
			v = s.Targets[0].holding(rotation)
			v.Component.EVSE, v.Component.Connector = n, 1
		}
		if i := slices.IndexFunc(values, func(w Value) bool { return w.Component.Equal(v.Component) }); i >= 0 {
			values[i] = v
			continue
		}
		values = append(values, v)
	}
	return values
}

func (phaseRotation) lower(_ *KeySpec, values []Value) (string, error) {
	rotations := map[int]string{}
	for _, v := range values {
		if v.Value == "" || strings.ContainsAny(v.Value, ", ") {
			return "", ErrValue
		}
		rotations[v.Component.EVSE] = v.Value
	}
	var items []string
	for _, n := range sorted(rotations) {
		items = append(items, itoa(n)+"."+rotations[n])
	}
	return strings.Join(items, ","), nil
}

// connectorCount counts. A connector of 1.6 is an outlet that can be used on
// its own (OCPP 1.6 §2.2), which is an EVSE in 2.1.
type connectorCount struct{}

func (connectorCount) lift(s *KeySpec, value string) []Value {
	n, ok := number(value, 1, maxStationSize)
	if !ok {
		return nil
	}
	values := make([]Value, n)
	for i := range values {
		values[i] = s.Targets[0].holding("true")
		values[i].Component.EVSE, values[i].Component.Connector = i+1, 1
	}
	return values
}

func (connectorCount) lower(_ *KeySpec, values []Value) (string, error) {
	present := map[int]bool{}
	for _, v := range values {
		if same(v.Value, "true") {
			present[v.Component.EVSE] = true
		}
	}
	return itoa(len(present)), nil
}

// featureProfiles tells which optional controllers a station has,
// OCPP 1.6 §9.1.29. The targets stand in the order of profiles below.
type featureProfiles struct{}

var optionalProfiles = [...]string{"LocalAuthListManagement", "Reservation", "SmartCharging"}

func (featureProfiles) lift(s *KeySpec, value string) []Value {
	items := split(value)
	values := make([]Value, len(optionalProfiles))
	for i, profile := range optionalProfiles {
		has := slices.ContainsFunc(items, func(item string) bool { return same(item, profile) })
		values[i] = s.Targets[i].holding(map[bool]string{true: "true", false: "false"}[has])
	}
	return values
}

func (featureProfiles) lower(s *KeySpec, values []Value) (string, error) {
	profiles := []string{"Core", "FirmwareManagement"}
	for i, profile := range optionalProfiles {
		for _, v := range values {
			if same(v.Component.Name, s.Targets[i].Component.Name) && same(v.Value, "true") {
				profiles = append(profiles, profile)
				break
			}
		}
	}
	return strings.Join(append(profiles, "RemoteTrigger"), ","), nil
}

// defaultPrice reads the texts out of the JSON object of the California note.
type defaultPrice struct{ untouched }

func (defaultPrice) lift(s *KeySpec, value string) []Value {
	var price struct {
		Text    *string `json:"priceText"`
		Offline *string `json:"priceTextOffline"`
	}
	if err := json.Unmarshal([]byte(value), &price); err != nil {
		return nil // not the object of the note: only the literal key remains
	}
	var values []Value
	for i, text := range []*string{price.Text, price.Offline} {
		if text != nil {
			values = append(values, s.Targets[i+1].holding(*text))
		}
	}
	return values
}

func sorted(m map[int]string) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
