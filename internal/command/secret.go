package command

import (
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// blank stands for a secret in the record.
const blank = "********"

// publicPayload is the payload without secrets, for the record.
func publicPayload(req ocpp.Request) string {
	switch r := req.(type) {
	case *v21.SetVariablesRequest:
		blanked := *r
		blanked.SetVariableData = append([]v21.SetVariableData(nil), r.SetVariableData...)
		for i := range blanked.SetVariableData {
			if station.SecretVariable(blanked.SetVariableData[i].Variable.Name) {
				blanked.SetVariableData[i].AttributeValue = blank
			}
		}
		req = &blanked
	case *v21.SetNetworkProfileRequest:
		blanked := *r
		blanked.ConnectionData = publicProfile(r.ConnectionData)
		req = &blanked
	}
	return string(ocpp.Marshal(req))
}

func publicProfile(p v21.NetworkConnectionProfile) v21.NetworkConnectionProfile {
	if p.BasicAuthPassword.OK {
		p.BasicAuthPassword = ocpp.Some(blank)
	}
	if p.APN != nil {
		apn := *p.APN
		if apn.APNPassword.OK {
			apn.APNPassword = ocpp.Some(blank)
		}
		if apn.SimPIN.OK {
			apn.SimPIN = ocpp.Some(0)
		}
		p.APN = &apn
	}
	if p.VPN != nil {
		vpn := *p.VPN
		vpn.Password, vpn.Key = blank, blank
		p.VPN = &vpn
	}
	return p
}

// publicResponse is the answer without secrets: some stations of 1.6 tell their AuthorizationKey when asked.
func publicResponse(resp ocpp.Response) string {
	r, ok := resp.(*v21.GetVariablesResponse)
	if !ok {
		return string(ocpp.Marshal(resp))
	}
	blanked := *r
	blanked.GetVariableResult = append([]v21.GetVariableResult(nil), r.GetVariableResult...)
	for i := range blanked.GetVariableResult {
		v := &blanked.GetVariableResult[i]
		if station.SecretVariable(v.Variable.Name) && v.AttributeValue.OK {
			v.AttributeValue = ocpp.Some(blank)
		}
	}
	return string(ocpp.Marshal(&blanked))
}
