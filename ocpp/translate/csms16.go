package translate

import "lumela/ocpp"

func liftCSMS16(*Dialogue, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}

func lowerCSMS16(*Dialogue, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}
