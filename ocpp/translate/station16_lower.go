package translate

import "lumela/ocpp"

func lowerStation16(_ *Dialogue, req ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: req.ActionName() + " cannot be said in 1.6"}
}
