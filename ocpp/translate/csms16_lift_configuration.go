package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// variablesPerCall is the number of variables that any station is expected to take in one message; 2.1 has a limit
// for each station (ItemsPerMessage), which is not known where there is no model.
const variablesPerCall = 20

// liftGetConfiguration answers from the model of the station when it is known, else asks for the variables.
func liftGetConfiguration(d *Dialogue, m *v16.GetConfigurationRequest) (Exchange, error) {
	if d.Model != nil {
		return answered(configuration(m.Key, modelKeys(d.Model)), nil, emulatedNote("", "answered from what the station told of its variables")), nil
	}
	var targets []devicemodel.Target
	if len(m.Key) == 0 {
		for _, spec := range devicemodel.Keys() {
			for _, t := range spec.Targets {
				if !spec.PerConnector && spec.Mutability != devicemodel.WriteOnly && t.Facet == devicemodel.Actual && !t.Legacy() && !t.Follows {
					targets = append(targets, t)
				}
			}
		}
	}
	for _, key := range m.Key {
		if isWriteOnly(key) {
			continue
		}
		if t, ok := devicemodel.FromKey(key); ok && t.Facet == devicemodel.Actual {
			targets = append(targets, t)
		}
	}
	x := Exchange{Notes: []Note{emulatedNote("", "the variables that stand for the keys; whether an unknown key can be written is not told")}}
	for chunk := range slices.Chunk(targets, variablesPerCall) {
		req := &v21.GetVariablesRequest{}
		for _, t := range chunk {
			req.GetVariableData = append(req.GetVariableData, v21.GetVariableData{Component: component21(t.Component), Variable: variable21(t.Variable)})
		}
		x.Requests = append(x.Requests, req)
	}
	x.Answer = func(replies []Reply) Outcome {
		var values []devicemodel.Value
		for _, r := range replies {
			got, ok := r.Response.(*v21.GetVariablesResponse)
			switch {
			case r.Err != nil:
				return Outcome{Err: r.Err}
			case !ok:
				return folded(r.Response, func(*v21.GetVariablesResponse) Outcome { return Outcome{} })
			}
			values = append(values, readValues(got)...)
		}
		return Outcome{Response: configuration(m.Key, lowerValues(values, nil))}
	}
	return x, nil
}

func isWriteOnly(key string) bool {
	spec, ok := devicemodel.Spec(key)
	return ok && spec.Mutability == devicemodel.WriteOnly
}

func readValues(r *v21.GetVariablesResponse) []devicemodel.Value {
	var values []devicemodel.Value
	for i := range r.GetVariableResult {
		v := &r.GetVariableResult[i]
		if v.AttributeStatus == v21.GetVariableStatusAccepted && v.AttributeType.Or(v21.AttributeTypeActual) == v21.AttributeTypeActual {
			values = append(values, devicemodel.Value{Component: component(&v.Component), Variable: variable(&v.Variable), Value: v.AttributeValue.Or("")})
		}
	}
	return values
}

// modelKeys says a whole model as keys.
func modelKeys(m Model) []v16.KeyValue {
	var values []devicemodel.Value
	fixed := map[string]bool{}
	m.Each(func(c, ci string, evse, connector int, v, vi, value string, readOnly bool) bool {
		x := devicemodel.Value{
			Component: devicemodel.Component{Name: c, Instance: ci, EVSE: evse, Connector: connector},
			Variable:  devicemodel.Variable{Name: v, Instance: vi}, Value: value,
		}
		if key, ok := devicemodel.ToKey(x.Component, x.Variable); ok {
			values = append(values, x)
			fixed[foldKey(key)] = fixed[foldKey(key)] || readOnly
		}
		return true
	})
	keys := lowerValues(values, fixed)
	const connectors = "NumberOfConnectors"
	if n := len(m.EVSEs()); n > 0 && !slices.ContainsFunc(keys, func(kv v16.KeyValue) bool { return kv.Key == connectors }) {
		keys = append(keys, v16.KeyValue{Key: connectors, Readonly: true, Value: ocpp.Some(strconv.Itoa(n))})
	}
	return keys
}

// lowerValues forms the keys that the values say, without those that must not be read. A variable that no key
// carries is nothing that was asked for.
func lowerValues(values []devicemodel.Value, fixed map[string]bool) []v16.KeyValue {
	pairs, _ := devicemodel.Lower(values)
	var keys []v16.KeyValue
	for _, kv := range pairs {
		spec, ok := devicemodel.Spec(string(kv.Key))
		if ok && spec.Mutability == devicemodel.WriteOnly {
			continue
		}
		keys = append(keys, v16.KeyValue{
			Key: string(kv.Key), Readonly: ok && spec.Mutability == devicemodel.ReadOnly || fixed[foldKey(kv.Key)], Value: ocpp.Some(kv.Value),
		})
	}
	return keys
}

// configuration answers for the keys that were asked for, in their spelling; for all when none were.
func configuration(asked []string, keys []v16.KeyValue) *v16.GetConfigurationResponse {
	if len(asked) == 0 {
		return &v16.GetConfigurationResponse{ConfigurationKey: keys}
	}
	resp := &v16.GetConfigurationResponse{}
	for _, key := range asked {
		i := slices.IndexFunc(keys, func(kv v16.KeyValue) bool { return strings.EqualFold(kv.Key, key) })
		switch {
		case i >= 0:
			kv := keys[i]
			kv.Key = key
			resp.ConfigurationKey = append(resp.ConfigurationKey, kv)
		case isWriteOnly(key):
			resp.ConfigurationKey = append(resp.ConfigurationKey, v16.KeyValue{Key: key})
		default:
			resp.UnknownKey = append(resp.UnknownKey, key)
		}
	}
	return resp
}

// liftChangeConfiguration writes the variables that a key stands for. Those that follow the key are written with it,
// but do not decide the answer.
func liftChangeConfiguration(m *v16.ChangeConfigurationRequest) (Exchange, error) {
	values, err := devicemodel.Lift(m.Key, m.Value)
	if err != nil { // an answer of the protocol, not a failure of the translation
		return answered(&v16.ChangeConfigurationResponse{Status: v16.ConfigurationStatusNotSupported}, nil), nil //nolint:nilerr
	}
	spec, standard := devicemodel.Spec(m.Key)
	target, _ := devicemodel.FromKey(m.Key)
	if target.Facet != devicemodel.Actual { // a limit of the station, not a setting
		return answered(&v16.ChangeConfigurationResponse{Status: v16.ConfigurationStatusRejected}, nil), nil
	}
	var notes notesOf
	req := &v21.SetVariablesRequest{}
	var decides []bool
	for _, v := range values {
		legacy := strings.EqualFold(v.Component.Name, devicemodel.LegacyComponent)
		if legacy != target.Legacy() || v.Facet != devicemodel.Actual {
			notes.lost(legacy, "value", "the variables of 2.1 do not say all of it: "+spec.Loss)
			continue
		}
		req.SetVariableData = append(req.SetVariableData, v21.SetVariableData{
			AttributeValue: v.Value, Component: component21(v.Component), Variable: variable21(v.Variable),
		})
		decides = append(decides, !standard || !follows(spec, v))
	}
	if len(req.SetVariableData) == 0 {
		return answered(&v16.ChangeConfigurationResponse{Status: v16.ConfigurationStatusRejected}, nil, notes...), nil
	}
	return ask(req, func(r *v21.SetVariablesResponse) Outcome { return foldChangeConfiguration(r, decides) }, notes...), nil
}

func follows(spec devicemodel.KeySpec, v devicemodel.Value) bool {
	return slices.ContainsFunc(spec.Targets, func(t devicemodel.Target) bool {
		return t.Follows && strings.EqualFold(t.Component.Name, v.Component.Name) && t.Variable.Equal(v.Variable)
	})
}

// foldChangeConfiguration gives the worst of the deciding results. Stations answer in the order of the question.
func foldChangeConfiguration(r *v21.SetVariablesResponse, decides []bool) Outcome {
	rank := []v16.ConfigurationStatus{
		v16.ConfigurationStatusAccepted, v16.ConfigurationStatusRebootRequired, v16.ConfigurationStatusNotSupported, v16.ConfigurationStatusRejected,
	}
	worst := 0
	var notes notesOf
	for i := range r.SetVariableResult {
		res := &r.SetVariableResult[i]
		status := setStatus16(res.AttributeStatus)
		if i < len(decides) && !decides[i] {
			notes.lost(status != v16.ConfigurationStatusAccepted, "value", fmt.Sprintf("%.50s was not changed with it: %s", res.Variable.Name, res.AttributeStatus))
			continue
		}
		worst = max(worst, slices.Index(rank, status))
	}
	return Outcome{Response: &v16.ChangeConfigurationResponse{Status: rank[worst]}, Notes: notes}
}

func setStatus16(s v21.SetVariableStatus) v16.ConfigurationStatus {
	switch s {
	case v21.SetVariableStatusAccepted:
		return v16.ConfigurationStatusAccepted
	case v21.SetVariableStatusRebootRequired:
		return v16.ConfigurationStatusRebootRequired
	case v21.SetVariableStatusRejected:
		return v16.ConfigurationStatusRejected
	}
	return v16.ConfigurationStatusNotSupported
}
