package translate

import (
	"errors"
	"strings"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// reportSize is the number of variables in one NotifyReport: enough for a few messages a station, and small enough
// for any reader.
const reportSize = 50

// lowerGetBaseReport: B07. The report is what the station's keys say; nothing is added to them. A summary is about
// availability and problems, of which no key speaks.
func lowerGetBaseReport(d *Dialogue, m *v21.GetBaseReportRequest) (Exchange, error) {
	if m.ReportBase == v21.ReportBaseSummaryInventory {
		return answered(&v21.GetBaseReportResponse{
			Status: v21.GenericDeviceModelStatusNotSupported, StatusInfo: reason("UnsupportedParam", "1.6 has no summary"),
		}, nil, Note{Kind: Refused, Path: "reportBase", Text: "1.6 has no summary"}), nil
	}
	note := emulatedNote("", "the keys of GetConfiguration, reported as variables")
	return ask(&v16.GetConfigurationRequest{}, func(r *v16.GetConfigurationResponse) Outcome {
		out := Outcome{Response: &v21.GetBaseReportResponse{Status: v21.GenericDeviceModelStatusAccepted}}
		keys := r.ConfigurationKey
		if m.ReportBase == v21.ReportBaseConfigurationInventory { // B07: only what an operator can set
			keys = nil
			for _, kv := range r.ConfigurationKey {
				if !kv.Readonly {
					keys = append(keys, kv)
				}
			}
		}
		data, notes := reportData(keys)
		if out.Notes = notes; len(data) == 0 {
			out.Response = &v21.GetBaseReportResponse{Status: v21.GenericDeviceModelStatusEmptyResultSet}
			return out
		}
		out.Then = notifyReports(d, m.RequestID, data)
		return out
	}, note), nil
}

// lowerGetReport: B08. Criteria ask for components that are active, available, enabled or have a problem; the keys
// know only Available and Enabled.
func lowerGetReport(d *Dialogue, m *v21.GetReportRequest) (Exchange, error) {
	for _, c := range m.ComponentCriteria {
		if c != v21.ComponentCriterionAvailable && c != v21.ComponentCriterionEnabled {
			return answered(&v21.GetReportResponse{
				Status: v21.GenericDeviceModelStatusNotSupported, StatusInfo: reason("UnsupportedParam", "1.6 does not tell which components are "+string(c)),
			}, nil, Note{Kind: Refused, Path: "componentCriteria", Text: "1.6 has no such report"}), nil
		}
	}
	note := emulatedNote("", "the keys of GetConfiguration, reported as variables")
	return ask(&v16.GetConfigurationRequest{}, func(r *v16.GetConfigurationResponse) Outcome {
		data, notes := reportData(r.ConfigurationKey)
		data = chosen(data, m)
		out := Outcome{Response: &v21.GetReportResponse{Status: v21.GenericDeviceModelStatusAccepted}, Notes: notes}
		if len(data) == 0 {
			out.Response = &v21.GetReportResponse{Status: v21.GenericDeviceModelStatusEmptyResultSet}
			return out
		}
		out.Then = notifyReports(d, m.RequestID, data)
		return out
	}, note), nil
}

// reportData says keys as variables, one for each place of the device model.
func reportData(keys []v16.KeyValue) ([]v21.ReportData, []Note) {
	var data []v21.ReportData
	var notes []Note
	at := map[string]int{}
	for _, kv := range keys {
		values, err := devicemodel.Lift(kv.Key, kv.Value.Or(""))
		if err != nil {
			notes = append(notes, lostNote("configurationKey", kv.Key+": "+lossReason(err)))
			continue
		}
		spec, standard := devicemodel.Spec(kv.Key)
		for _, v := range values {
			id := strings.ToLower(v.Component.String() + "/" + v.Variable.String())
			i, known := at[id]
			if !known {
				i, at[id] = len(data), len(data)
				data = append(data, v21.ReportData{
					Component: component21(v.Component), Variable: variable21(v.Variable),
					VariableAttribute: []v21.VariableAttribute{{Type: ocpp.Some(v21.AttributeTypeActual)}},
				})
			}
			fillReport(&data[i], v, kv, spec, standard)
		}
	}
	return data, notes
}

func lossReason(err error) string {
	if errors.Is(err, devicemodel.ErrName) {
		return "not the name of a key"
	}
	return "longer than a variable may be"
}

// fillReport adds what one key tells of a variable.
func fillReport(r *v21.ReportData, v devicemodel.Value, kv v16.KeyValue, spec devicemodel.KeySpec, standard bool) {
	c := r.VariableCharacteristics
	if c == nil {
		c = &v21.VariableCharacteristics{DataType: v21.DataTypeString}
		r.VariableCharacteristics = c
	}
	switch v.Facet {
	case devicemodel.MaxLimit:
		if n, err := decimal.Parse(v.Value); err == nil {
			c.DataType, c.MaxLimit = v21.DataTypeInteger, ocpp.Some(n)
		}
		return
	case devicemodel.ValuesList:
		list, _ := cutRunes(v.Value, 1000)
		c.DataType, c.ValuesList = v21.DataTypeOptionList, ocpp.SomeIf(list, list != "")
		return
	}
	a := &r.VariableAttribute[0]
	a.Mutability = ocpp.Some(v21.MutabilityReadWrite)
	switch {
	case standard && spec.Mutability == devicemodel.WriteOnly:
		a.Mutability = ocpp.Some(v21.MutabilityWriteOnly) // B07: the value of such a variable is never told
	case kv.Readonly:
		a.Mutability = ocpp.Some(v21.MutabilityReadOnly)
		a.Value = ocpp.SomeIf(v.Value, kv.Value.OK)
	default:
		a.Value = ocpp.SomeIf(v.Value, kv.Value.OK)
	}
	if standard && v.Component.Name != devicemodel.LegacyComponent {
		c.DataType = dataType21(spec, v)
		if u, cut := cutRunes(spec.Unit, 16); u != "" && !cut {
			c.Unit = ocpp.Some(u)
		}
	}
}

// dataType21 is the type that the value really has: a station may put anything into a key.
func dataType21(spec devicemodel.KeySpec, v devicemodel.Value) v21.DataType {
	switch _, err := decimal.Parse(v.Value); {
	case strings.EqualFold(v.Value, "true") || strings.EqualFold(v.Value, "false"):
		return v21.DataTypeBoolean
	case spec.Type == devicemodel.Integer && err == nil:
		return v21.DataTypeInteger
	case spec.Type == devicemodel.List:
		return v21.DataTypeMemberList
	case spec.Type == devicemodel.DateTime:
		return v21.DataTypeDateTime
	}
	return v21.DataTypeString
}

func component21(c devicemodel.Component) v21.Component {
	out := v21.Component{Name: c.Name, Instance: ocpp.SomeIf(c.Instance, c.Instance != "")}
	if c.EVSE > 0 {
		out.EVSE = &v21.EVSE{ID: c.EVSE, ConnectorID: ocpp.SomeIf(c.Connector, c.Connector > 0)}
	}
	return out
}

func variable21(v devicemodel.Variable) v21.Variable {
	return v21.Variable{Name: v.Name, Instance: ocpp.SomeIf(v.Instance, v.Instance != "")}
}

// chosen keeps the variables that a GetReport asks for.
func chosen(data []v21.ReportData, m *v21.GetReportRequest) []v21.ReportData {
	var out []v21.ReportData
	for i := range data {
		if inQuestion(&data[i], m.ComponentVariable) && fits(data, &data[i], m.ComponentCriteria) {
			out = append(out, data[i])
		}
	}
	return out
}

// inQuestion: a component without EVSE or instance asks for all of them, without a variable for all variables
// (OCPP 2.1 B08.FR.20, OCPP 2.1 B08.FR.21).
func inQuestion(r *v21.ReportData, list []v21.ComponentVariable) bool {
	if len(list) == 0 {
		return true
	}
	has := component(&r.Component)
	for i := range list {
		c := component(&list[i].Component)
		if !strings.EqualFold(c.Name, has.Name) || c.Instance != "" && !strings.EqualFold(c.Instance, has.Instance) ||
			c.EVSE != 0 && c.EVSE != has.EVSE || c.Connector != 0 && c.Connector != has.Connector {
			continue
		}
		if v := list[i].Variable; v == nil || strings.EqualFold(v.Name, r.Variable.Name) &&
			(!v.Instance.OK || strings.EqualFold(v.Instance.V, r.Variable.Instance.Or(""))) {
			return true
		}
	}
	return false
}

// fits: a component fits a criterion when its variable of that name is true or is not there (B08).
func fits(data []v21.ReportData, r *v21.ReportData, criteria []v21.ComponentCriterion) bool {
	if len(criteria) == 0 {
		return true
	}
	for _, criterion := range criteria {
		ok := true
		for i := range data {
			if component(&data[i].Component).Equal(component(&r.Component)) && data[i].Variable.Name == string(criterion) {
				ok = data[i].VariableAttribute[0].Value.Or("true") == "true"
			}
		}
		if ok {
			return true
		}
	}
	return false
}

// notifyReports puts variables into numbered messages, all but the last to be continued.
func notifyReports(d *Dialogue, request int, data []v21.ReportData) []ocpp.Request {
	var out []ocpp.Request
	for first := 0; first < len(data); first += reportSize {
		next := min(first+reportSize, len(data))
		out = append(out, &v21.NotifyReportRequest{
			RequestID: request, GeneratedAt: d.Now, ReportData: data[first:next],
			Tbc: ocpp.SomeIf(true, next < len(data)), SeqNo: len(out),
		})
	}
	return out
}
