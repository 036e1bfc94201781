package translate

import (
	"encoding/json"
	"strconv"
	"strings"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// lowerDataTransfer: P01. The data of 1.6 are text: a string stays what it is, any other JSON goes as its text, and is
// read back as JSON when the answer to it is an object or a list.
func lowerDataTransfer(m *v21.DataTransferRequest) (Exchange, error) {
	var notes notesOf
	structured := m.Data != "" && !strings.HasPrefix(string(m.Data), `"`)
	notes.emulated(structured, "data", "data of 1.6 are text: the JSON goes as text")
	req := &v16.DataTransferRequest{VendorID: m.VendorID, MessageID: m.MessageID, Data: rawText(m.Data)}
	return ask(req, func(r *v16.DataTransferResponse) Outcome {
		resp := &v21.DataTransferResponse{Status: v21.DataTransferStatus(r.Status)}
		switch text := strings.TrimSpace(r.Data.Or("")); {
		case !r.Data.OK:
		case structured && (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) && json.Valid([]byte(text)):
			resp.Data = ocpp.Raw(text)
		default:
			resp.Data = ocpp.Raw(ocpp.AppendString(nil, r.Data.V))
		}
		return Outcome{Response: resp}
	}, notes...), nil
}

// lowerCostUpdated: I02, as RunningCost of the California pricing note. What the note for 2.0.1 puts into customData
// are the other fields of RunningCost.
func lowerCostUpdated(d *Dialogue, m *v21.CostUpdatedRequest) (Exchange, error) {
	n, ok := d.State.Number(m.TransactionID)
	if !ok {
		return Exchange{}, outOfBounds("transactionId", "no 1.6 transaction is known by this id")
	}
	notes := notesOf{emulatedNote("", "DataTransfer RunningCost of the California pricing note")}
	fields := runningCost(m.CustomData)
	if fields == nil {
		notes.emulated(true, "totalCost", "without the details that a station may want beside it: meterValue, chargingPrice")
	}
	b := append([]byte(`{"transactionId":`), strconv.Itoa(n)...)
	b = ocpp.AppendDecimal(append(b, `,"cost":`...), m.TotalCost)
	if len(fields["timestamp"]) == 0 {
		b = ocpp.AppendTime(append(b, `,"timestamp":`...), d.Now)
	}
	if len(fields["state"]) == 0 {
		b = append(b, `,"state":"Charging"`...)
	}
	for _, name := range runningCostFields {
		if v := fields[name]; len(v) > 0 {
			b = append(append(b, `,"`+name+`":`...), v...)
		}
	}
	req := &v16.DataTransferRequest{VendorID: costVendor, MessageID: ocpp.Some("RunningCost"), Data: ocpp.Some(string(append(b, '}')))}
	return ask(req, func(r *v16.DataTransferResponse) Outcome {
		if r.Status == v16.DataTransferStatusAccepted {
			return Outcome{Response: &v21.CostUpdatedResponse{}}
		}
		return Outcome{Err: &ocpp.CallError{Code: ocpp.NotSupported, Description: "the station does not show costs: " + string(r.Status)}}
	}, notes...), nil
}

// runningCostFields are the fields of RunningCost beside the transaction and its cost.
var runningCostFields = []string{"timestamp", "meterValue", "state", "chargingPrice", "idlePrice", "nextPeriod", "triggerMeterValue"}

// runningCost reads customData of the California pricing note; nil when it is not.
func runningCost(c ocpp.CustomData) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	var vendor string
	if c == "" || json.Unmarshal([]byte(c), &fields) != nil || json.Unmarshal(fields["vendorId"], &vendor) != nil || vendor != costVendor {
		return nil
	}
	return fields
}
