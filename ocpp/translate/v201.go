package translate

import "lumela/ocpp"

func lift201(*Dialogue, ocpp.Role, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}

func lower201(*Dialogue, ocpp.Role, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}
