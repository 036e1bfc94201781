package translate

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// maxSigned is the length of signedMeterData in 2.1, in characters.
const maxSigned = 32768

// noReading marks a sampled value that exists for its signed data only: 2.1 demands a number beside them.
const noReading = `{"vendorId":"` + CustomDataVendor + `","value":"none"}`

// HasReading reports whether the number of a sampled value was measured. It is false for signed data of a 1.6 station
// from which no reading could be taken; the number is then 0 and says nothing.
func HasReading(v *v21.SampledValue) bool { return v.CustomData != noReading }

// liftMeterValues: values of a transaction are an event of it, others are MeterValues. Connector 0 is the main meter
// (OCPP 1.6 §4.7), EVSE 0 in 2.1.
func (t *talk) liftMeterValues(r *v16.MeterValuesRequest) Exchange {
	connector := r.ConnectorID
	if connector < 0 {
		t.lost("connectorId", "negative: the main meter is meant")
		connector = 0
	}
	values, events := t.liftMeter("meterValue", r.MeterValue, t.outlet(connector))
	t.noteUnread("meterValue", values)
	reqs := events
	if len(values) > 0 {
		var main ocpp.Request = &v21.MeterValuesRequest{EVSEID: connector, MeterValue: values}
		if id, ok := t.meterTransaction(r, connector); ok {
			at := values[len(values)-1].Timestamp
			main = t.numbered(&v21.TransactionEventRequest{
				EventType: v21.TransactionEventTypeUpdated, Timestamp: at, TriggerReason: meterTrigger(values),
				TransactionInfo: v21.Transaction{TransactionID: id}, EVSE: t.outlet(connector), MeterValue: values,
			})
		}
		reqs = append([]ocpp.Request{main}, events...)
	}
	done := Outcome{Response: &v16.MeterValuesResponse{}}
	if len(reqs) == 0 {
		t.lost("meterValue", "no value that 2.1 could carry")
		return Exchange{Answer: func([]Reply) Outcome { return done }, Notes: t.notes}
	}
	return Exchange{
		Requests: reqs, Notes: t.notes,
		Stop: func(i int, _ Reply) bool { return i == 0 },
		Answer: func(replies []Reply) Outcome {
			if len(replies) == 0 {
				return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "no answer"}}
			}
			if replies[0].Err != nil {
				return Outcome{Err: replies[0].Err}
			}
			out := done
			out.Notes = refusals(reqs, replies)
			if r := replies[0].Response; r != nil {
				out.Notes = append(out.Notes, lostCustomData(r)...)
			}
			ev, ok := reqs[0].(*v21.TransactionEventRequest)
			if a, answered := replies[0].Response.(*v21.TransactionEventResponse); ok && answered {
				f := &talk{d: t.d}
				out.Then = f.foldUpdated(a, ev.TransactionInfo.TransactionID)
				out.Notes = append(out.Notes, f.notes...)
			}
			return out
		},
	}
}

// noteUnread tells which numbers stand for nothing.
func (t *talk) noteUnread(path string, values []v21.MeterValue) {
	for i := range values {
		for j := range values[i].SampledValue {
			if !HasReading(&values[i].SampledValue[j]) {
				t.emulated(fmt.Sprintf("%s[%d]", path, i), "signed data without a plain reading: the number beside them says nothing")
			}
		}
	}
}

// meterTransaction is the transaction that values belong to. Some stations give 0 or -1 for one that they have no
// number of: then it is the one that runs on the connector.
func (t *talk) meterTransaction(r *v16.MeterValuesRequest, connector int) (string, bool) {
	if !r.TransactionID.OK {
		return "", false
	}
	id := t.d.State.TransactionID(r.TransactionID.V)
	if r.TransactionID.V > 0 {
		return id, true
	}
	if _, open := t.d.State.EVSE(id); open {
		return id, true
	}
	if running, ok := t.d.State.Running(connector); ok {
		t.emulated("transactionId", "not a number that was given: the transaction that runs on the connector is meant")
		return running, true
	}
	t.lost("transactionId", "not a number that was given, and no transaction runs on the connector")
	return "", false
}

func meterTrigger(values []v21.MeterValue) v21.TriggerReason {
	for _, mv := range values {
		for _, sv := range mv.SampledValue {
			switch sv.Context.V {
			case v21.ReadingContextSampleClock:
				return v21.TriggerReasonMeterValueClock
			case v21.ReadingContextTrigger:
				return v21.TriggerReasonTrigger
			}
		}
	}
	return v21.TriggerReasonMeterValuePeriodic
}

// liftMeter lifts meter values. What 2.1 has no measurand for, temperature and the speed of a fan, becomes events.
// A value that cannot be read costs itself only.
func (t *talk) liftMeter(path string, values []v16.MeterValue, evse *v21.EVSE) ([]v21.MeterValue, []ocpp.Request) {
	var lifted []v21.MeterValue
	var events []v21.EventData
	for i, mv := range values {
		at := t.time(fmt.Sprintf("%s[%d].timestamp", path, i), mv.Timestamp)
		var samples []v21.SampledValue
		var signed []v21.SampledValue
		for j := range mv.SampledValue {
			sv, p := &mv.SampledValue[j], fmt.Sprintf("%s[%d].sampledValue[%d]", path, i, j)
			if ev, ok := t.sampleEvent(p, sv, evse, at); ok {
				if ev != nil {
					events = append(events, *ev)
				}
				continue
			}
			s, ok := t.liftSample(p, sv)
			switch {
			case !ok:
			case s.SignedMeterValue != nil:
				signed = append(signed, s)
			default:
				samples = append(samples, s)
			}
		}
		if samples = joinSigned(samples, signed); len(samples) > 0 {
			lifted = append(lifted, v21.MeterValue{Timestamp: at, SampledValue: samples})
		} else if len(mv.SampledValue) == 0 {
			t.lost(fmt.Sprintf("%s[%d]", path, i), "without a value")
		}
	}
	if len(events) == 0 {
		return lifted, nil
	}
	return lifted, []ocpp.Request{&v21.NotifyEventRequest{GeneratedAt: t.d.Now, EventData: events}}
}

// joinSigned puts signed data beside the plain reading of the same thing, where there is one.
func joinSigned(plain, signed []v21.SampledValue) []v21.SampledValue {
next:
	for _, s := range signed {
		for i := range plain {
			p := &plain[i]
			if p.SignedMeterValue == nil && p.Context == s.Context && p.Phase == s.Phase && p.Location == s.Location &&
				measurand(p) == measurand(&s) {
				p.SignedMeterValue = s.SignedMeterValue
				continue next
			}
		}
		plain = append(plain, s)
	}
	return plain
}

func measurand(v *v21.SampledValue) v21.Measurand {
	return v.Measurand.Or(v21.MeasurandEnergyActiveImportRegister)
}

// liftSample lifts one value; false when there is nothing that 2.1 could hold.
func (t *talk) liftSample(path string, sv *v16.SampledValue) (v21.SampledValue, bool) {
	if sv.Measurand.OK && !v21.Measurand(sv.Measurand.V).Valid() {
		t.lost(path, fmt.Sprintf("2.1 has no measurand %.40q", string(sv.Measurand.V)))
		return v21.SampledValue{}, false
	}
	s := v21.SampledValue{
		Measurand: ocpp.SomeIf(v21.Measurand(sv.Measurand.V), sv.Measurand.OK),
		Context:   word(t, path+".context", sv.Context, v21.ReadingContext.Valid),
		Phase:     word(t, path+".phase", sv.Phase, v21.Phase.Valid),
		Location:  word(t, path+".location", sv.Location, v21.Location.Valid),
	}
	if sv.Unit.OK {
		s.UnitOfMeasure = &v21.UnitOfMeasure{Unit: ocpp.Some(t.liftUnit(path, sv.Unit.V))}
	}
	if sv.Format.V == v16.ValueFormatSignedData {
		return t.liftSigned(path, sv.Value, s)
	}
	value, exact, err := readDecimal(sv.Value)
	if err != nil {
		t.lost(path+".value", fmt.Sprintf("not a number: %.40q", sv.Value))
		return s, false
	}
	if !exact {
		t.lost(path+".value", fmt.Sprintf("rounded to 19 digits: %.60q", sv.Value))
	}
	s.Value = value
	return s, true
}

// liftUnit keeps the unit; 1.6 knows two spellings of Celsius in its schema.
func (t *talk) liftUnit(path string, u v16.UnitOfMeasure) string {
	if u == v16.UnitOfMeasureCelcius {
		return string(v16.UnitOfMeasureCelsius)
	}
	return t.text(path+".unit", string(u), 20)
}

// readDecimal reads a number as stations write it: some put it in blanks or quotes. exact is false when it has more
// digits than fit.
func readDecimal(s string) (value decimal.Decimal, exact bool, err error) {
	s = strings.Trim(s, " \t\r\n'\"")
	value, err = decimal.Parse(s)
	if err != nil {
		return decimal.Decimal{}, false, err
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	digits := strings.TrimLeft(strings.Replace(strings.TrimLeft(mantissa, "+-"), ".", "", 1), "0")
	return value, len(digits) <= 19, nil
}

// liftSigned keeps signed data byte for byte: nothing but the very text can be verified.
func (t *talk) liftSigned(path, text string, s v21.SampledValue) (v21.SampledValue, bool) {
	if len([]rune(text)) > maxSigned {
		t.lost(path+".value", fmt.Sprintf("signed data of more than %d characters cannot be carried", maxSigned))
		return s, false
	}
	s.SignedMeterValue = &v21.SignedMeterValue{SignedMeterData: text, EncodingMethod: encodingMethod(text)}
	value, unit, ok := readOCMF(text)
	if !ok {
		s.CustomData = noReading
		return s, true
	}
	s.Value = value
	if s.UnitOfMeasure == nil && unit != "" {
		s.UnitOfMeasure = &v21.UnitOfMeasure{Unit: ocpp.Some(unit)}
	} else if s.UnitOfMeasure != nil && unit != "" {
		s.UnitOfMeasure.Unit = ocpp.Some(unit)
	}
	return s, true
}

// encodingMethod names the format of signed data as OCPP 2.1 SignedMeterValueType does.
func encodingMethod(text string) string {
	switch {
	case strings.HasPrefix(text, "OCMF|"):
		return "OCMF"
	case strings.HasPrefix(text, "<?xml"), strings.HasPrefix(text, "<values"):
		return "EDL"
	}
	return "Unknown"
}

// readOCMF takes the last reading out of an Open Charge Metering Format record. The signature is not looked at here.
func readOCMF(text string) (value decimal.Decimal, unit string, ok bool) {
	rest, found := strings.CutPrefix(text, "OCMF|")
	payload, _, cut := strings.Cut(rest, "|{")
	if !found || !cut {
		return decimal.Decimal{}, "", false
	}
	var record struct {
		Readings []struct {
			Value json.Number `json:"RV"`
			Unit  string      `json:"RU"`
		} `json:"RD"`
	}
	if err := json.Unmarshal([]byte(payload), &record); err != nil || len(record.Readings) == 0 {
		return decimal.Decimal{}, "", false // not a record that we can read: the text is kept as it is
	}
	last := record.Readings[len(record.Readings)-1]
	value, exact, err := readDecimal(last.Value.String())
	if err != nil || !exact || len(last.Unit) > 20 {
		return decimal.Decimal{}, "", false
	}
	return value, last.Unit, true
}

// sampleEvent turns the two measurands that 2.1 has in its device model into events: true when sv is one of them, with
// no event when its value cannot be read.
func (t *talk) sampleEvent(path string, sv *v16.SampledValue, evse *v21.EVSE, at time.Time) (*v21.EventData, bool) {
	component, variable := "", ""
	switch sv.Measurand.V {
	case v16.MeasurandTemperature:
		component, variable = "TemperatureSensor", "Temperature"
	case v16.MeasurandRPM:
		component, variable = "AirCoolingSystem", "FanSpeed"
	default:
		return nil, false
	}
	value, _, err := readDecimal(sv.Value)
	if err != nil || sv.Format.V == v16.ValueFormatSignedData {
		t.lost(path, fmt.Sprintf("not a number: %.40q", sv.Value))
		return nil, true
	}
	if evse != nil {
		evse = &v21.EVSE{ID: evse.ID}
	}
	ev := t.event(v21.Component{Name: component, EVSE: evse, Instance: ocpp.NonZero(string(sv.Location.V))},
		variable, value.String(), at)
	ev.Trigger = v21.EventTriggerPeriodic
	ev.CustomData = ours("unit", strings.Replace(string(sv.Unit.V), "Celcius", "Celsius", 1),
		"context", string(sv.Context.V), "phase", string(sv.Phase.V))
	t.emulated(path, "NotifyEvent of "+component+"."+variable)
	return &ev, true
}

// foldUpdated is what a 1.6 station can do with the answer to an Updated event: end a transaction whose token was
// refused, show a cost.
func (t *talk) foldUpdated(a *v21.TransactionEventResponse, id string) []ocpp.Request {
	info := t.foldVerdict(a, 0)
	then := t.foldCost(a, id, false)
	if info == nil || info.Status == v16.AuthorizationStatusAccepted || info.Status == v16.AuthorizationStatusConcurrentTx {
		return then
	}
	number, ok := t.d.State.Number(id)
	if !ok {
		t.lost("idTokenInfo", "the transaction has no number of 1.6")
		return then
	}
	t.emulated("idTokenInfo", "a token that was refused during the transaction: RemoteStopTransaction")
	return append(then, &v16.RemoteStopTransactionRequest{TransactionID: number})
}
