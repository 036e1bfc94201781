package station

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"lumela/internal/db"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
	"lumela/ocpp/v21"
)

type nullMicros = sql.NullInt64

// Variable is one attribute of one variable of a station's device model.
type Variable struct {
	Component         string    `json:"component"`
	ComponentInstance string    `json:"componentInstance"`
	EVSE              int       `json:"evse" doc:"0 for the station as a whole"`
	Connector         int       `json:"connector" doc:"0 for the EVSE as a whole"`
	Variable          string    `json:"variable"`
	VariableInstance  string    `json:"variableInstance"`
	Attribute         string    `json:"attribute"`
	Value             string    `json:"value"`
	Mutability        string    `json:"mutability"`
	DataType          string    `json:"dataType"`
	Unit              string    `json:"unit"`
	MaxLimit          string    `json:"maxLimit" doc:"Largest value where the station tells it, else empty"`
	UpdatedAt         time.Time `json:"updatedAt"`
}

// ReportVariables turns a part of a report into variables. Values of secrets and of write-only variables are left out.
func ReportVariables(report []v21.ReportData) []Variable {
	var out []Variable
	for _, r := range report {
		v := Variable{Component: r.Component.Name, ComponentInstance: r.Component.Instance.Or(""), Variable: r.Variable.Name,
			VariableInstance: r.Variable.Instance.Or("")}
		if r.Component.EVSE != nil {
			v.EVSE, v.Connector = r.Component.EVSE.ID, r.Component.EVSE.ConnectorID.Or(0)
		}
		if r.VariableCharacteristics != nil {
			c := r.VariableCharacteristics
			v.DataType, v.Unit = string(c.DataType), c.Unit.Or("")
			if c.MaxLimit.OK {
				v.MaxLimit = c.MaxLimit.V.String()
			}
		}
		for _, a := range r.VariableAttribute {
			v.Attribute = string(a.Type.Or(v21.AttributeTypeActual))
			v.Mutability = string(a.Mutability.Or(v21.MutabilityReadWrite))
			v.Value = a.Value.Or("")
			if devicemodel.Secret(v.Variable) || v.Mutability == string(v21.MutabilityWriteOnly) {
				v.Value = ""
			}
			out = append(out, v)
		}
	}
	return out
}

// Keep stores variables of a station's device model; those that are there already get the new value. The error is NotFound
// when the station does not belong to the organisation any more.
func (s *Stations) Keep(ctx context.Context, organisation string, id ID, vars []Variable) error {
	err := s.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		if err := owned(tx, organisation, id); err != nil {
			return err
		}
		return keepVariables(tx, id, vars)
	})
	return problem.Wrap("keep the device model", err)
}

// ModelRead records that the whole device model of a station has been read.
func (s *Stations) ModelRead(ctx context.Context, organisation string, id ID) error {
	err := s.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE stations SET model_read_at = $3 WHERE id = $1 AND organisation_id = $2`, string(id), organisation, db.Micros(tx.Now()))
		return err
	})
	return problem.Wrap("record that the device model was read", err)
}

func keepVariables(tx *db.Tx, id ID, vars []Variable) error {
	for i := range vars {
		if err := keepVariable(tx, id, &vars[i]); err != nil {
			return err
		}
	}
	return nil
}

func keepVariable(tx *db.Tx, id ID, v *Variable) error {
	value := v.Value
	if devicemodel.Secret(v.Variable) {
		value = ""
	}
	_, err := tx.Exec(`INSERT INTO variables (station_id, component, component_instance, evse, connector, variable, variable_instance,
		attribute, value, mutability, data_type, unit, updated_at, max_limit) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (station_id, component, component_instance, evse, connector, variable, variable_instance, attribute) DO UPDATE SET
			value = excluded.value, updated_at = excluded.updated_at,
			mutability = CASE WHEN excluded.mutability = '' THEN variables.mutability ELSE excluded.mutability END,
			max_limit = CASE WHEN excluded.max_limit = '' THEN variables.max_limit ELSE excluded.max_limit END,
			data_type = CASE WHEN excluded.data_type = '' THEN variables.data_type ELSE excluded.data_type END,
			unit = CASE WHEN excluded.unit = '' THEN variables.unit ELSE excluded.unit END`,
		string(id), v.Component, v.ComponentInstance, v.EVSE, v.Connector, v.Variable, v.VariableInstance, v.Attribute, value,
		v.Mutability, v.DataType, v.Unit, db.Micros(tx.Now()), v.MaxLimit)
	if err != nil || v.EVSE == 0 || v.Connector == 0 || !strings.EqualFold(v.Component, "Connector") || !strings.EqualFold(v.Variable, "ConnectorType") {
		return err
	}
	_, err = tx.Exec(`UPDATE connectors SET type = $4 WHERE station_id = $1 AND evse = $2 AND connector = $3`, string(id), v.EVSE, v.Connector, v.Value)
	return err
}

// Variables reads the device model of a station, of one component when component is not empty.
func (s *Stations) Variables(ctx context.Context, id ID, component string) ([]Variable, error) {
	rows, err := s.db.Query(ctx, `SELECT component, component_instance, evse, connector, variable, variable_instance, attribute, value,
		mutability, data_type, unit, max_limit, updated_at FROM variables WHERE station_id = $1 AND ($2 = '' OR LOWER(component) = LOWER($2))
		ORDER BY component, component_instance, evse, connector, variable, variable_instance, attribute`, string(id), component)
	if err != nil {
		return nil, problem.Wrap("read the device model", err)
	}
	defer rows.Close()
	out := []Variable{}
	for rows.Next() {
		var v Variable
		var at int64
		if err := rows.Scan(&v.Component, &v.ComponentInstance, &v.EVSE, &v.Connector, &v.Variable, &v.VariableInstance, &v.Attribute,
			&v.Value, &v.Mutability, &v.DataType, &v.Unit, &v.MaxLimit, &at); err != nil {
			return nil, problem.Wrap("read the device model", err)
		}
		v.UpdatedAt = db.Time(at)
		out = append(out, v)
	}
	return out, problem.Wrap("read the device model", rows.Err())
}

// Notice is a message of a station that is stored and shown as it came.
type Notice struct {
	ID      string    `json:"id"`
	Action  string    `json:"action"`
	At      time.Time `json:"at"`
	Payload ocpp.Raw  `json:"-"`
}

var insertNotice = db.NewInsert("notices", []string{"station_id", "at", "id", "action", "payload"}, "ON CONFLICT DO NOTHING")

// Note stores a message of a station that nothing else keeps, without the secrets that it may name.
func (s *Stations) Note(ctx context.Context, organisation string, id ID, m ocpp.Message) error {
	payload := devicemodel.Redact(string(ocpp.Marshal(m)))
	err := s.db.WriteKey(ctx, string(id), func(tx *db.Tx) error {
		if err := owned(tx, organisation, id); err != nil {
			return err
		}
		n := Notice{ID: newID(), Action: m.ActionName(), At: tx.Now(), Payload: ocpp.Raw(payload)}
		tx.Append(insertNotice, string(id), db.Micros(n.At), n.ID, n.Action, payload)
		s.recordNotice(tx, organisation, id, n)
		return nil
	})
	return problem.Wrap("keep the message", err)
}

// Notices reads the stored messages of a station, newest first; of one action when action is not empty.
func (s *Stations) Notices(ctx context.Context, id ID, action string, before time.Time, limit int) ([]Notice, error) {
	rows, err := s.db.Query(ctx, `SELECT id, action, at, payload FROM notices WHERE station_id = $1 AND at < $2 AND ($3 = '' OR action = $3)
		ORDER BY at DESC, id DESC LIMIT $4`, string(id), db.Micros(before), action, limit)
	if err != nil {
		return nil, problem.Wrap("read the messages", err)
	}
	defer rows.Close()
	out := []Notice{}
	for rows.Next() {
		var n Notice
		var at int64
		var payload string
		if err := rows.Scan(&n.ID, &n.Action, &at, &payload); err != nil {
			return nil, problem.Wrap("read the messages", err)
		}
		n.At, n.Payload = db.Time(at), ocpp.Raw(payload)
		out = append(out, n)
	}
	return out, problem.Wrap("read the messages", rows.Err())
}
