package load

import (
	"fmt"
	"strconv"
)

// Heartbeat is the shortest call that there is.
func Heartbeat() *Call { return NewCall("Heartbeat", `{}`) }

// Begin starts a transaction of the token on connector or EVSE 1 and gives the message that brings its next meter
// values: five samples. The energy register stands at CounterStart Wh when the transaction begins.
func (s *Station) Begin(token string) (*Call, error) {
	if s.Version == V16 {
		return s.begin16(token)
	}
	id := "load-" + s.ID
	start := fill(`{"eventType":"Started","timestamp":"` + Now + `","triggerReason":"Authorized","seqNo":` + strconv.Itoa(CounterStart) +
		`,"transactionInfo":{"transactionId":"` + id + `","chargingState":"Charging"},"evse":{"id":1,"connectorId":1},"idToken":{"idToken":"` +
		token + `","type":"ISO14443"},"meterValue":[{"timestamp":"` + Now + `","sampledValue":[{"value":` + strconv.Itoa(CounterStart) +
		`,"context":"Transaction.Begin"}]}]}`)
	var answer struct {
		IDTokenInfo struct{ Status string } `json:"idTokenInfo"`
	}
	if err := s.Ask("TransactionEvent", start, &answer); err != nil {
		return nil, err
	}
	if answer.IDTokenInfo.Status != "Accepted" {
		return nil, fmt.Errorf("the token is %s", answer.IDTokenInfo.Status)
	}
	return NewCall("TransactionEvent", `{"eventType":"Updated","timestamp":"`+Now+`","triggerReason":"MeterValuePeriodic","seqNo":`+Counter+
		`,"transactionInfo":{"transactionId":"`+id+`","chargingState":"Charging"},"evse":{"id":1,"connectorId":1},"meterValue":[{"timestamp":"`+Now+
		`","sampledValue":[`+
		`{"value":`+Counter+`,"context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","location":"Outlet","unitOfMeasure":{"unit":"Wh"}},`+
		`{"value":11042.5,"context":"Sample.Periodic","measurand":"Power.Active.Import","location":"Outlet","unitOfMeasure":{"unit":"W"}},`+
		`{"value":16.1,"context":"Sample.Periodic","measurand":"Current.Import","phase":"L1","location":"Outlet","unitOfMeasure":{"unit":"A"}},`+
		`{"value":229.8,"context":"Sample.Periodic","measurand":"Voltage","phase":"L1-N","location":"Outlet","unitOfMeasure":{"unit":"V"}},`+
		`{"value":54,"context":"Sample.Periodic","measurand":"SoC","location":"EV","unitOfMeasure":{"unit":"Percent"}}]}]}`), nil
}

func (s *Station) begin16(token string) (*Call, error) {
	var answer struct {
		TransactionID int                     `json:"transactionId"`
		Info          struct{ Status string } `json:"idTagInfo"`
	}
	start := fill(`{"connectorId":1,"idTag":"` + token + `","meterStart":` + strconv.Itoa(CounterStart) + `,"timestamp":"` + Now + `"}`)
	if err := s.Ask("StartTransaction", start, &answer); err != nil {
		return nil, err
	}
	if answer.Info.Status != "Accepted" {
		return nil, fmt.Errorf("the token is %s", answer.Info.Status)
	}
	return NewCall("MeterValues", `{"connectorId":1,"transactionId":`+strconv.Itoa(answer.TransactionID)+`,"meterValue":[{"timestamp":"`+Now+
		`","sampledValue":[`+
		`{"value":"`+Counter+`","context":"Sample.Periodic","format":"Raw","measurand":"Energy.Active.Import.Register","location":"Outlet","unit":"Wh"},`+
		`{"value":"11042.5","context":"Sample.Periodic","format":"Raw","measurand":"Power.Active.Import","location":"Outlet","unit":"W"},`+
		`{"value":"16.1","context":"Sample.Periodic","format":"Raw","measurand":"Current.Import","phase":"L1","location":"Outlet","unit":"A"},`+
		`{"value":"229.8","context":"Sample.Periodic","format":"Raw","measurand":"Voltage","phase":"L1-N","location":"Outlet","unit":"V"},`+
		`{"value":"54","context":"Sample.Periodic","format":"Raw","measurand":"SoC","location":"EV","unit":"Percent"}]}]}`), nil
}
