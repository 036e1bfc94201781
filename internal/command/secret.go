package command

import (
	"lumela/ocpp"
	"lumela/ocpp/devicemodel"
)

// public is a payload without secrets, for the record and for whoever asks: some stations tell their AuthorizationKey.
func public(m ocpp.Message) string { return devicemodel.Redact(string(ocpp.Marshal(m))) }
