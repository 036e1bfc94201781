package ocpp_test

import (
	"encoding/json"
	"testing"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

const meterValues16 = `{"connectorId":2,"transactionId":4711,"meterValue":[{"timestamp":"2025-03-01T12:30:45.123Z","sampledValue":[` +
	`{"value":"1234567","context":"Sample.Periodic","format":"Raw","measurand":"Energy.Active.Import.Register","location":"Outlet","unit":"Wh"},` +
	`{"value":"11034.5","context":"Sample.Periodic","format":"Raw","measurand":"Power.Active.Import","location":"Outlet","unit":"W"},` +
	`{"value":"16.02","context":"Sample.Periodic","format":"Raw","measurand":"Current.Import","phase":"L1","location":"Outlet","unit":"A"},` +
	`{"value":"15.98","context":"Sample.Periodic","format":"Raw","measurand":"Current.Import","phase":"L2","location":"Outlet","unit":"A"},` +
	`{"value":"16.00","context":"Sample.Periodic","format":"Raw","measurand":"Current.Import","phase":"L3","location":"Outlet","unit":"A"}]}]}`

const transactionEvent = `{"eventType":"Updated","timestamp":"2025-03-01T12:30:45.123Z","triggerReason":"MeterValuePeriodic","seqNo":17,` +
	`"offline":false,"numberOfPhasesUsed":3,"cableMaxCurrent":32,"transactionInfo":{"transactionId":"018f4a3e-7c1d-7b0a-9c55-0123456789ab",` +
	`"chargingState":"Charging","timeSpentCharging":1800},"evse":{"id":1,"connectorId":1},"idToken":{"idToken":"04A1B2C3D4E5F6","type":"ISO14443"},` +
	`"meterValue":[{"timestamp":"2025-03-01T12:30:45Z","sampledValue":[` +
	`{"value":1234.567,"context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","location":"Outlet","unitOfMeasure":{"unit":"kWh","multiplier":0}},` +
	`{"value":11034.5,"context":"Sample.Periodic","measurand":"Power.Active.Import","location":"Outlet","unitOfMeasure":{"unit":"W"}},` +
	`{"value":16.02,"context":"Sample.Periodic","measurand":"Current.Import","phase":"L1","unitOfMeasure":{"unit":"A"}}]}]}`

// plainMeterValues is what a program without generated code would use.
type plainMeterValues struct {
	ConnectorID   int  `json:"connectorId"`
	TransactionID *int `json:"transactionId,omitempty"`
	MeterValue    []struct {
		Timestamp    string `json:"timestamp"`
		SampledValue []struct {
			Value     string  `json:"value"`
			Context   *string `json:"context,omitempty"`
			Format    *string `json:"format,omitempty"`
			Measurand *string `json:"measurand,omitempty"`
			Phase     *string `json:"phase,omitempty"`
			Location  *string `json:"location,omitempty"`
			Unit      *string `json:"unit,omitempty"`
		} `json:"sampledValue"`
	} `json:"meterValue"`
}

// The generated codec decodes, validates and encodes; encoding/json only decodes and encodes. The ratio of the two
// is what the generated code is worth.
func BenchmarkCodec(b *testing.B) {
	for _, c := range []struct {
		name, text string
		fresh      func() ocpp.Message
		plain      func() any
	}{
		{"MeterValues16", meterValues16, func() ocpp.Message { return new(v16.MeterValuesRequest) }, func() any { return new(plainMeterValues) }},
		{"TransactionEvent201", transactionEvent, func() ocpp.Message { return new(v201.TransactionEventRequest) }, func() any { return new(map[string]any) }},
		{"TransactionEvent21", transactionEvent, func() ocpp.Message { return new(v21.TransactionEventRequest) }, func() any { return new(map[string]any) }},
		{"Heartbeat16", `{}`, func() ocpp.Message { return new(v16.HeartbeatRequest) }, func() any { return new(struct{}) }},
	} {
		b.Run(c.name+"/decode", func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				if vs := ocpp.Decode(c.text, c.fresh(), true); len(vs) > 0 {
					b.Fatal(vs)
				}
			}
		})
		b.Run(c.name+"/encode", func(b *testing.B) {
			m := c.fresh()
			if vs := ocpp.Decode(c.text, m, true); len(vs) > 0 {
				b.Fatal(vs)
			}
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = m.AppendJSON(buf[:0])
			}
		})
		b.Run(c.name+"/both", func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				m := c.fresh()
				if vs := ocpp.Decode(c.text, m, true); len(vs) > 0 {
					b.Fatal(vs)
				}
				buf = m.AppendJSON(buf[:0])
			}
		})
		b.Run(c.name+"/both-encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			text := []byte(c.text)
			for b.Loop() {
				m := c.plain()
				if err := json.Unmarshal(text, m); err != nil {
					b.Fatal(err)
				}
				if _, err := json.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
