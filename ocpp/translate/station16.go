package translate

import "lumela/ocpp"

func liftStation16(*Dialogue, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}

func lowerStation16(*Dialogue, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}
