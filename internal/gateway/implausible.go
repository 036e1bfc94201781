package gateway

import (
	"strconv"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// mostExact is the largest integer that every JSON reader keeps exactly; meters and sequences never get there.
const mostExact = 1<<53 - 1

// implausible refuses values that the schemas allow and that cannot be true: a negative meter, a sequence number beyond
// 32 bits, an empty list of samples (cardinality 1..*, OCPP 1.6 §6.31).
func implausible(req ocpp.Request) *ocpp.CallError {
	switch r := req.(type) {
	case *v16.StartTransactionRequest:
		return meterRegister("meterStart", r.MeterStart)
	case *v16.StopTransactionRequest:
		return meterRegister("meterStop", r.MeterStop)
	case *v16.MeterValuesRequest:
		if len(r.MeterValue) == 0 {
			return &ocpp.CallError{Code: ocpp.OccurrenceConstraintViolation, Description: "meterValue: must have at least 1 item"}
		}
		for i := range r.MeterValue {
			if len(r.MeterValue[i].SampledValue) == 0 {
				return &ocpp.CallError{Code: ocpp.OccurrenceConstraintViolation,
					Description: "meterValue[" + strconv.Itoa(i) + "].sampledValue: must have at least 1 item"}
			}
		}
	case *v201.TransactionEventRequest:
		return sequenceNumber(r.SeqNo)
	case *v21.TransactionEventRequest:
		return sequenceNumber(r.SeqNo)
	}
	return nil
}

func meterRegister(field string, wh int) *ocpp.CallError {
	if wh >= 0 && wh <= mostExact {
		return nil
	}
	return &ocpp.CallError{Code: ocpp.PropertyConstraintViolation, Description: field + ": must be between 0 and 2^53-1, is " + strconv.Itoa(wh)}
}

func sequenceNumber(n int) *ocpp.CallError {
	if n >= 0 && n <= 1<<31-1 {
		return nil
	}
	return &ocpp.CallError{Code: ocpp.PropertyConstraintViolation, Description: "seqNo: must be between 0 and 2^31-1, is " + strconv.Itoa(n)}
}
