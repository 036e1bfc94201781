package translate

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// component and variable in the words of the device model.
func component(c *v21.Component) devicemodel.Component {
	out := devicemodel.Component{Name: c.Name, Instance: c.Instance.Or("")}
	if c.EVSE != nil {
		out.EVSE, out.Connector = c.EVSE.ID, c.EVSE.ConnectorID.Or(0)
	}
	return out
}

func variable(v *v21.Variable) devicemodel.Variable {
	return devicemodel.Variable{Name: v.Name, Instance: v.Instance.Or("")}
}

// keyed tells whether any key of 1.6 speaks of a component, by its name in lower case.
var keyed = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{strings.ToLower(devicemodel.LegacyComponent): true}
	for _, k := range devicemodel.Keys() {
		for _, t := range k.Targets {
			names[strings.ToLower(t.Component.Name)] = true
		}
	}
	return names
})

// keyFor finds the key whose value is the Actual attribute of a variable, or says why there is none. The words of
// the statuses are those of GetVariables and of SetVariables alike.
func keyFor(c devicemodel.Component, v devicemodel.Variable, attribute ocpp.Opt[v21.AttributeType]) (key devicemodel.Key, status string) {
	key, ok := devicemodel.ToKey(c, v)
	if ok {
		t, known := devicemodel.FromKey(string(key))
		ok = known && t.Facet == devicemodel.Actual
	}
	switch {
	case !ok && !keyed()[strings.ToLower(c.Name)]:
		return "", string(v21.GetVariableStatusUnknownComponent)
	case !ok:
		return "", string(v21.GetVariableStatusUnknownVariable)
	case attribute.Or(v21.AttributeTypeActual) != v21.AttributeTypeActual:
		return "", string(v21.GetVariableStatusNotSupportedAttributeType)
	}
	return key, ""
}

func foldKey(k devicemodel.Key) string { return strings.ToLower(string(k)) }

// lowerGetVariables: B06. All keys are asked for at once, or as many at a time as the station takes.
func lowerGetVariables(d *Dialogue, m *v21.GetVariablesRequest) (Exchange, error) {
	results := make([]v21.GetVariableResult, len(m.GetVariableData))
	keys := make([]devicemodel.Key, len(results)) // "" where the result is already known
	var ask []string
	seen := map[string]bool{}
	for i := range m.GetVariableData {
		q := &m.GetVariableData[i]
		results[i] = v21.GetVariableResult{AttributeType: q.AttributeType, Component: q.Component, Variable: q.Variable}
		key, status := keyFor(component(&q.Component), variable(&q.Variable), q.AttributeType)
		if status != "" {
			results[i].AttributeStatus = v21.GetVariableStatus(status)
			continue
		}
		if spec, ok := devicemodel.Spec(string(key)); ok && spec.Mutability == devicemodel.WriteOnly {
			results[i].AttributeStatus = v21.GetVariableStatusRejected // OCPP 2.1 B06.FR.09
			results[i].AttributeStatusInfo = reason("WriteOnly", "")
			continue
		}
		keys[i] = key
		if !seen[foldKey(key)] {
			seen[foldKey(key)] = true
			ask = append(ask, string(key))
		}
	}
	x := Exchange{Answer: func(replies []Reply) Outcome { return foldGetVariables(m, results, keys, replies) }}
	for chunk := range slices.Chunk(ask, keysPerCall(d, len(ask))) {
		x.Requests = append(x.Requests, &v16.GetConfigurationRequest{Key: chunk})
	}
	return x, nil
}

// keysPerCall is the station's GetConfigurationMaxKeys when it is known, else all of n.
func keysPerCall(d *Dialogue, n int) int {
	n = max(n, 1)
	if d.Model == nil {
		return n
	}
	text, ok := d.Model.Variable("DeviceDataCtrlr", "", 0, 0, "ItemsPerMessage", "GetVariables")
	if most, err := strconv.Atoi(text); ok && err == nil && most > 0 {
		return min(most, n)
	}
	return n
}

// foldGetVariables completes the results from what the station told.
func foldGetVariables(m *v21.GetVariablesRequest, results []v21.GetVariableResult, keys []devicemodel.Key, replies []Reply) Outcome {
	values, present := []devicemodel.Value(nil), map[string]v16.KeyValue{}
	for _, r := range replies {
		if r.Err != nil {
			return Outcome{Err: r.Err}
		}
		conf, ok := r.Response.(*v16.GetConfigurationResponse)
		if !ok {
			return folded(r.Response, func(*v16.GetConfigurationResponse) Outcome { return Outcome{} })
		}
		for _, kv := range conf.ConfigurationKey {
			present[strings.ToLower(kv.Key)] = kv
			lifted, err := devicemodel.Lift(kv.Key, kv.Value.Or(""))
			if err == nil { // an error means a key that nobody can have asked for
				values = append(values, lifted...)
			}
		}
	}
	for i := range results {
		if keys[i] == "" {
			continue
		}
		r := &results[i]
		kv, ok := present[foldKey(keys[i])]
		if !ok {
			r.AttributeStatus = v21.GetVariableStatusUnknownVariable
			continue
		}
		q := &m.GetVariableData[i]
		value, found := actual(values, component(&q.Component), variable(&q.Variable))
		if !found && strings.EqualFold(q.Component.Name, devicemodel.LegacyComponent) {
			value, found = kv.Value.Or(""), true
		}
		if !found {
			r.AttributeStatus = v21.GetVariableStatusUnknownVariable
			continue
		}
		r.AttributeStatus, r.AttributeValue = v21.GetVariableStatusAccepted, ocpp.Some(value)
	}
	return Outcome{Response: &v21.GetVariablesResponse{GetVariableResult: results}}
}

func actual(values []devicemodel.Value, c devicemodel.Component, v devicemodel.Variable) (string, bool) {
	for _, x := range values {
		if x.Facet == devicemodel.Actual && x.Component.Equal(c) && x.Variable.Equal(v) {
			return x.Value, true
		}
	}
	return "", false
}

// lowerSetVariables: B05. Variables that share a key are written together, each key with one ChangeConfiguration.
func lowerSetVariables(d *Dialogue, m *v21.SetVariablesRequest) (Exchange, error) {
	results := make([]v21.SetVariableResult, len(m.SetVariableData))
	groups := map[string][]int{}
	var order []string
	for i := range m.SetVariableData {
		q := &m.SetVariableData[i]
		results[i] = v21.SetVariableResult{AttributeType: q.AttributeType, Component: q.Component, Variable: q.Variable}
		key, status := keyFor(component(&q.Component), variable(&q.Variable), q.AttributeType)
		if status != "" {
			results[i].AttributeStatus = v21.SetVariableStatus(status)
			continue
		}
		if groups[foldKey(key)] == nil {
			order = append(order, foldKey(key))
		}
		groups[foldKey(key)] = append(groups[foldKey(key)], i)
	}
	x := Exchange{Stop: func(int, Reply) bool { return false }}
	var written [][]int // results that request i decides
	for _, key := range order {
		kv, members := lowerKey(d, m, groups[key], results)
		if kv == nil {
			continue
		}
		x.Requests = append(x.Requests, &v16.ChangeConfigurationRequest{Key: string(kv.Key), Value: kv.Value})
		written = append(written, members)
	}
	x.Answer = func(replies []Reply) Outcome { return foldSetVariables(results, written, replies) }
	return x, nil
}

// lowerKey forms the value of one key from the entries that speak of it. Entries that cannot be said get their
// result here; the others are returned as members.
func lowerKey(d *Dialogue, m *v21.SetVariablesRequest, entries []int, results []v21.SetVariableResult) (*devicemodel.KeyValue, []int) {
	values := make([]devicemodel.Value, len(entries))
	for j, i := range entries {
		q := &m.SetVariableData[i]
		values[j] = devicemodel.Value{Component: component(&q.Component), Variable: variable(&q.Variable), Value: q.AttributeValue}
	}
	all, complete := withNeighbours(d, values)
	if !complete {
		for _, i := range entries {
			results[i].AttributeStatus = v21.SetVariableStatusRejected
			results[i].AttributeStatusInfo = reason("MissingParam", "1.6 has one key for all connectors, and what the others have is not known")
		}
		return nil, nil
	}
	keys, err := devicemodel.Lower(all)
	var members []int
	for j, i := range entries {
		if e := problemOf(err, values[j]); e != nil {
			results[i].AttributeStatus, results[i].AttributeStatusInfo = setProblem(e)
			continue
		}
		members = append(members, i)
	}
	if len(keys) == 0 || len(members) == 0 {
		for _, i := range members {
			results[i].AttributeStatus = v21.SetVariableStatusRejected
		}
		return nil, nil
	}
	return &keys[0], members
}

// setProblem says why a value cannot be written.
func setProblem(err error) (v21.SetVariableStatus, *v21.StatusInfo) {
	switch {
	case errors.Is(err, devicemodel.ErrNoKey):
		return v21.SetVariableStatusUnknownVariable, nil
	case errors.Is(err, devicemodel.ErrFollows):
		return v21.SetVariableStatusRejected, reason("ReadOnly", err.Error())
	case errors.Is(err, devicemodel.ErrTooLong):
		return v21.SetVariableStatusRejected, reason("TooLargeElement", err.Error())
	}
	return v21.SetVariableStatusRejected, reason("InvalidValue", err.Error())
}

// withNeighbours adds the variables that are written with the same key, before those that change. It is false when
// the key has such neighbours and the model of the station is not known.
func withNeighbours(d *Dialogue, values []devicemodel.Value) ([]devicemodel.Value, bool) {
	key, _ := devicemodel.ToKey(values[0].Component, values[0].Variable)
	spec, ok := devicemodel.Spec(string(key))
	if !ok || !spec.PerConnector || len(spec.Targets) < 2 || values[0].Component.Name == devicemodel.LegacyComponent {
		return values, true
	}
	if d.Model == nil {
		return nil, false
	}
	var all []devicemodel.Value
	d.Model.Each(func(c, ci string, evse, connector int, v, vi, value string, _ bool) bool {
		n := devicemodel.Value{
			Component: devicemodel.Component{Name: c, Instance: ci, EVSE: evse, Connector: connector},
			Variable:  devicemodel.Variable{Name: v, Instance: vi}, Value: value,
		}
		k, ok := devicemodel.ToKey(n.Component, n.Variable)
		_, changed := actual(values, n.Component, n.Variable)
		if ok && k.Equal(key) && !changed && !strings.EqualFold(c, devicemodel.LegacyComponent) {
			all = append(all, n)
		}
		return true
	})
	return append(all, values...), true
}

// problemOf finds the error that Lower gave for one value.
func problemOf(err error, v devicemodel.Value) error {
	if err == nil {
		return nil
	}
	var list []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	} else {
		list = []error{err}
	}
	for _, e := range list {
		var ve *devicemodel.ValueError
		if errors.As(e, &ve) && ve.Value.Component.Equal(v.Component) && ve.Value.Variable.Equal(v.Variable) {
			return ve.Err
		}
	}
	return nil
}

// foldSetVariables gives every entry the answer to its key. Where no key was answered, the error is passed on.
func foldSetVariables(results []v21.SetVariableResult, written [][]int, replies []Reply) Outcome {
	var failure *ocpp.CallError
	failed := 0
	for n, members := range written {
		status, info := v21.SetVariableStatusRejected, reason("InternalError", "no answer")
		if n < len(replies) {
			switch conf, ok := replies[n].Response.(*v16.ChangeConfigurationResponse); {
			case replies[n].Err != nil:
				failed++
				failure, info = replies[n].Err, reason("InternalError", replies[n].Err.Error())
			case ok:
				status, info = setStatus21(conf.Status), nil
			}
		}
		for _, i := range members {
			results[i].AttributeStatus, results[i].AttributeStatusInfo = status, info
		}
	}
	if failed > 0 && failed == len(results) {
		return Outcome{Err: failure}
	}
	return Outcome{Response: &v21.SetVariablesResponse{SetVariableResult: results}}
}

// setStatus21: NotSupported of 1.6 means that the station does not know the key (OCPP 1.6 §5.3).
func setStatus21(s v16.ConfigurationStatus) v21.SetVariableStatus {
	switch s {
	case v16.ConfigurationStatusAccepted:
		return v21.SetVariableStatusAccepted
	case v16.ConfigurationStatusRebootRequired:
		return v21.SetVariableStatusRebootRequired
	case v16.ConfigurationStatusNotSupported:
		return v21.SetVariableStatusUnknownVariable
	}
	return v21.SetVariableStatusRejected
}
