package translate_test

import (
	"testing"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/ocpptest"
	"lumela/ocpp/translate"
)

// FuzzLift16 lifts whatever a 1.6 end may send.
func FuzzLift16(f *testing.F) {
	f.Add("BootNotification", `{"chargePointVendor":"V","chargePointModel":"M"}`, `{"status":"Accepted","currentTime":"2026-01-02T03:04:05Z","interval":60}`)
	f.Add("StartTransaction", `{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"2026-01-02T03:04:05Z"}`, `{"idTokenInfo":{"status":"Accepted"}}`)
	f.Add("MeterValues", `{"connectorId":1,"meterValue":[{"timestamp":"2026-01-02T03:04:05Z","sampledValue":[{"value":"1.5"}]}]}`, `{}`)
	f.Add("RemoteStartTransaction", `{"idTag":"A","connectorId":1}`, `{"status":"Accepted"}`)
	f.Add("GetConfiguration", `{"key":["HeartbeatInterval"]}`, `{"getVariableResult":[]}`)
	f.Fuzz(func(t *testing.T, action, payload, reply string) { fuzzLift(t, ocpp.V16, action, payload, reply) })
}

// FuzzLift201 lifts whatever a 2.0.1 end may send.
func FuzzLift201(f *testing.F) {
	f.Add("Heartbeat", `{}`, `{"currentTime":"2026-01-02T03:04:05Z"}`)
	f.Add("TransactionEvent", `{"eventType":"Started","timestamp":"2026-01-02T03:04:05Z","triggerReason":"Authorized","seqNo":0,"transactionInfo":{"transactionId":"T"}}`, `{}`)
	f.Add("SetVariables", `{"setVariableData":[{"attributeValue":"1","component":{"name":"C"},"variable":{"name":"V"}}]}`, `{"setVariableResult":[]}`)
	f.Fuzz(func(t *testing.T, action, payload, reply string) { fuzzLift(t, ocpp.V201, action, payload, reply) })
}

// FuzzLower says whatever a 2.1 end may send in both older versions.
func FuzzLower(f *testing.F) {
	f.Add("TransactionEvent", `{"eventType":"Started","timestamp":"2026-01-02T03:04:05Z","triggerReason":"Authorized","seqNo":0,"evse":{"id":1,"connectorId":1},"idToken":{"idToken":"A","type":"ISO14443"},"transactionInfo":{"transactionId":"T"}}`, `{}`)
	f.Add("SetChargingProfile", `{"evseId":1,"chargingProfile":{"id":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":[{"id":1,"chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":0,"setpoint":-5}]}]}}`, `{"status":"Accepted"}`)
	f.Add("NotifyEvent", `{"generatedAt":"2026-01-02T03:04:05Z","seqNo":0,"eventData":[{"eventId":1,"timestamp":"2026-01-02T03:04:05Z","trigger":"Delta","actualValue":"Occupied","component":{"name":"Connector","evse":{"id":1,"connectorId":1}},"eventNotificationType":"HardWiredNotification","variable":{"name":"AvailabilityState"}}]}`, `{}`)
	f.Fuzz(func(t *testing.T, action, payload, reply string) {
		req := ocpptest.NewRequest(ocpp.V21, action)
		if req == nil || unreadable(payload, req) {
			return
		}
		for _, v := range []ocpp.Version{ocpp.V16, ocpp.V201} {
			for _, role := range senders(req) {
				x, err := translate.Lower(fuzzDialogue(), v, role, req)
				fuzzExchange(t, x, err, reply)
			}
		}
	})
}

func fuzzLift(t *testing.T, v ocpp.Version, action, payload, reply string) {
	req := ocpptest.NewRequest(v, action)
	if req == nil || unreadable(payload, req) {
		return
	}
	for _, role := range senders(req) {
		x, err := translate.Lift(fuzzDialogue(), role, req)
		fuzzExchange(t, x, err, reply)
	}
}

// unreadable says that a message breaks its schema: such a one is never translated.
func unreadable(text string, m ocpp.Message) bool {
	_, bad := ocpp.Decode(text, m, false).First()
	return bad
}

func senders(req ocpp.Request) []ocpp.Role {
	var roles []ocpp.Role
	for _, r := range []ocpp.Role{ocpp.Station, ocpp.CSMS} {
		if req.Sender()&r != 0 {
			roles = append(roles, r)
		}
	}
	return roles
}

func fuzzDialogue() *translate.Dialogue {
	return &translate.Dialogue{
		Now:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		State: translate.NewMemory("station", []byte("secret")),
	}
}

// fuzzExchange wants valid requests, and a valid answer to a valid reply.
func fuzzExchange(t *testing.T, x translate.Exchange, err error, reply string) {
	if err != nil {
		if _, ok := err.(*translate.Refusal); !ok {
			t.Fatalf("not a refusal: %v", err)
		}
		return
	}
	var replies []translate.Reply
	for i, r := range x.Requests {
		if err := r.Validate(); err != nil {
			t.Fatalf("%s %s: %v", r.ActionName(), ocpp.Marshal(r), err)
		}
		resp := r.NewResponse()
		if resp == nil {
			replies = append(replies, translate.Reply{})
			continue
		}
		answer := translate.Reply{Response: resp}
		if unreadable(reply, resp) {
			answer = translate.Reply{Err: &ocpp.CallError{Code: ocpp.InternalError}}
		}
		replies = append(replies, answer)
		if answer.Err != nil && (x.Stop == nil || x.Stop(i, answer)) {
			break
		}
	}
	out := x.Answer(replies)
	if out.Response != nil {
		if err := out.Response.Validate(); err != nil {
			t.Fatalf("%s %s: %v", out.Response.ActionName(), ocpp.Marshal(out.Response), err)
		}
	}
	for _, r := range out.Then {
		if err := r.Validate(); err != nil {
			t.Fatalf("then %s %s: %v", r.ActionName(), ocpp.Marshal(r), err)
		}
	}
}
