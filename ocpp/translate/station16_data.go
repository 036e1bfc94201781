package translate

import (
	"encoding/json"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// Vendor ids of the application notes of the Open Charge Alliance for 1.6: California pricing, and Plug & Charge.
const (
	costVendor = "org.openchargealliance.costmsg"
	pncVendor  = "org.openchargealliance.iso15118pnc"
)

// liftDataTransfer: the data of 1.6 are text, those of 2.1 any JSON; the text stays text.
func (t *talk) liftDataTransfer(r *v16.DataTransferRequest) (Exchange, error) {
	req := &v21.DataTransferRequest{VendorID: t.text("vendorId", r.VendorID, 255), MessageID: t.optText("messageId", r.MessageID, 50)}
	if r.Data.OK {
		req.Data = ocpp.Raw(ocpp.AppendString(nil, r.Data.V))
	}
	return single(t, req, func(a *v21.DataTransferResponse) Outcome {
		f := &talk{d: t.d}
		f.lostStatusInfo(a.StatusInfo)
		return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatus(a.Status), Data: rawText(a.Data)}, Notes: f.notes}
	}), nil
}

// rawText is a JSON value as the text that 1.6 carries: the content of a string, else the JSON text itself.
func rawText(r ocpp.Raw) ocpp.Opt[string] {
	if r == "" {
		return ocpp.Opt[string]{}
	}
	var s string
	if r[0] == '"' && json.Unmarshal([]byte(r), &s) == nil {
		return ocpp.Some(s)
	}
	return ocpp.Some(string(r))
}
