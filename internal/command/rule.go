package command

import (
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// check holds a request to the rules that OCPP has beside the schema and that a CSMS must keep whatever the station.
func check(req ocpp.Request) error {
	switch r := req.(type) {
	case *v21.RequestStartTransactionRequest:
		p := r.ChargingProfile
		switch {
		case p == nil:
		case p.ChargingProfilePurpose != v21.ChargingProfilePurposeTxProfile:
			return problem.Field("chargingProfile.chargingProfilePurpose", "must be TxProfile (OCPP 2.1 F01.FR.09)")
		case p.TransactionID.OK:
			return problem.Field("chargingProfile.transactionId", "must not be set: the transaction begins only now (OCPP 2.1 F01.FR.11, OCPP 1.6 5.16.2)")
		}
	case *v21.SetChargingProfileRequest:
		p := &r.ChargingProfile
		tx := p.ChargingProfilePurpose == v21.ChargingProfilePurposeTxProfile
		switch {
		case tx && !p.TransactionID.OK:
			return problem.Field("chargingProfile.transactionId", "must be set for a TxProfile (OCPP 2.1 K01.FR.03)")
		case tx && r.EVSEID == 0:
			return problem.Field("evseId", "must name the EVSE of the transaction for a TxProfile (OCPP 2.1 K01.FR.16)")
		}
	case *v21.SendLocalListRequest:
		if r.VersionNumber <= 0 {
			return problem.Field("versionNumber", "must be greater than 0 (OCPP 2.1 D01.FR.18)")
		}
	}
	return nil
}
