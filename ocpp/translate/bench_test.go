package translate_test

import (
	"testing"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
)

// The benchmarks are the way of a frequent message up and of its answer down, as for a station of this process, and the
// other way round.

func BenchmarkLift(b *testing.B) {
	for _, c := range []struct {
		name            string
		version         ocpp.Version
		action, payload string
		reply           string
	}{
		{"Heartbeat201", ocpp.V201, "Heartbeat", `{}`, `{"currentTime":"2026-01-02T03:04:05Z"}`},
		{"StatusNotification201", ocpp.V201, "StatusNotification", `{"timestamp":"2026-01-02T03:04:05Z","connectorStatus":"Occupied","evseId":1,"connectorId":1}`, `{}`},
		{"TransactionEvent201", ocpp.V201, "TransactionEvent", transactionEvent, `{"idTokenInfo":{"status":"Accepted"}}`},
		{"Heartbeat16", ocpp.V16, "Heartbeat", `{}`, `{"currentTime":"2026-01-02T03:04:05Z"}`},
		{"MeterValues16", ocpp.V16, "MeterValues", meterValues16, `{}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			req, reply := decoded(b, ocpptest.NewRequest(c.version, c.action), c.payload), []translate.Reply(nil)
			d := benchDialogue()
			b.ReportAllocs()
			for b.Loop() {
				x, err := translate.Lift(d, ocpp.Station, req)
				if err != nil {
					b.Fatal(err)
				}
				if reply == nil {
					resp := x.Requests[0].NewResponse()
					reply = []translate.Reply{{Response: decoded(b, resp, c.reply)}}
				}
				if out := x.Answer(reply); out.Response == nil {
					b.Fatal(out.Err)
				}
			}
		})
	}
}

func BenchmarkLower(b *testing.B) {
	for _, c := range []struct {
		name            string
		version         ocpp.Version
		action, payload string
	}{
		{"Heartbeat201", ocpp.V201, "Heartbeat", `{}`},
		{"TransactionEvent201", ocpp.V201, "TransactionEvent", transactionEvent},
		{"Heartbeat16", ocpp.V16, "Heartbeat", `{}`},
		{"MeterValues16", ocpp.V16, "MeterValues", `{"evseId":1,"meterValue":[` + meterValue + `]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			req := decoded(b, ocpptest.NewRequest(ocpp.V21, c.action), c.payload)
			d := benchDialogue()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := translate.Lower(d, c.version, ocpp.Station, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const (
	meterValue = `{"timestamp":"2026-01-02T03:04:05Z","sampledValue":[` +
		`{"value":1234.5,"context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unitOfMeasure":{"unit":"Wh"}},` +
		`{"value":16.1,"context":"Sample.Periodic","measurand":"Current.Import","phase":"L1","unitOfMeasure":{"unit":"A"}},` +
		`{"value":230,"context":"Sample.Periodic","measurand":"Voltage","phase":"L1-N","unitOfMeasure":{"unit":"V"}}]}`
	transactionEvent = `{"eventType":"Updated","meterValue":[` + meterValue + `],"timestamp":"2026-01-02T03:04:05Z",` +
		`"triggerReason":"MeterValuePeriodic","seqNo":7,"evse":{"id":1,"connectorId":1},` +
		`"idToken":{"idToken":"04A1B2C3D4E5F6","type":"ISO14443"},"transactionInfo":{"transactionId":"4711","chargingState":"Charging"}}`
	meterValues16 = `{"connectorId":1,"transactionId":4711,"meterValue":[{"timestamp":"2026-01-02T03:04:05Z","sampledValue":[` +
		`{"value":"1234.5","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","unit":"Wh"},` +
		`{"value":"16.1","context":"Sample.Periodic","measurand":"Current.Import","phase":"L1","unit":"A"},` +
		`{"value":"230","context":"Sample.Periodic","measurand":"Voltage","phase":"L1-N","unit":"V"}]}]}`
)

func benchDialogue() *translate.Dialogue {
	m := translate.NewMemory("station", []byte("secret"))
	m.Open(1, "4711", "04A1B2C3D4E5F6")
	m.Bind("4711", 4711)
	return &translate.Dialogue{Now: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), State: m}
}

func decoded[M ocpp.Message](b *testing.B, m M, text string) M {
	b.Helper()
	if v, bad := ocpp.Decode(text, m, true).First(); bad {
		b.Fatal(v)
	}
	return m
}
