package translate

import (
	"encoding/json"
	"fmt"
	"slices"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// pncMessage wraps the payload of a 2.x message: the messages of Plug & Charge carry those of 2.0.1 as text (application
// note Plug & Charge for 1.6).
func pncMessage(action string, payload []byte) *v16.DataTransferRequest {
	return &v16.DataTransferRequest{VendorID: pncVendor, MessageID: ocpp.Some(action), Data: ocpp.Some(string(payload))}
}

// withoutCustomData is a 2.x payload for 1.6, where customData has no place.
func withoutCustomData(m ocpp.Message) []byte {
	b := ocpp.Marshal(m)
	var v any
	if len(lostCustomData(m)) == 0 || json.Unmarshal(b, &v) != nil {
		return b
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "customData")
			for _, e := range v {
				strip(e)
			}
		case []any:
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(v)
	if out, err := json.Marshal(v); err == nil {
		return out
	}
	return b
}

// foldPnC reads the answer that a DataTransfer carries into resp, and gives the error of one that carries none.
func foldPnC(r ocpp.Response, resp ocpp.Response) *ocpp.CallError {
	m, ok := r.(*v16.DataTransferResponse)
	switch {
	case !ok:
		return &ocpp.CallError{Code: ocpp.InternalError, Description: fmt.Sprintf("unexpected answer %T", r)}
	case m.Status == v16.DataTransferStatusUnknownVendorID || m.Status == v16.DataTransferStatusUnknownMessageID:
		return &ocpp.CallError{Code: ocpp.NotSupported, Description: "the station does not know the Plug & Charge messages"}
	case m.Status != v16.DataTransferStatusAccepted:
		return &ocpp.CallError{Code: ocpp.GenericError, Description: "the station rejected the Plug & Charge message"}
	}
	if v, bad := ocpp.Decode(m.Data.Or(""), resp, false).First(); bad {
		return &ocpp.CallError{Code: ocpp.FormatViolation, Description: "the station's Plug & Charge answer: " + v.Error()}
	}
	if err := resp.Validate(); err != nil {
		return &ocpp.CallError{Code: ocpp.FormatViolation, Description: "the station's Plug & Charge answer: " + err.Error()}
	}
	return nil
}

// throughPnC is the exchange of a 2.1 request whose payload 1.6 carries in a DataTransfer, answered by resp.
func throughPnC(req ocpp.Request, notes ...Note) Exchange {
	notes = append(notes, emulatedNote("", "DataTransfer of Plug & Charge"))
	return one(pncMessage(req.ActionName(), withoutCustomData(req)), func(r ocpp.Response) Outcome {
		resp := req.NewResponse()
		if err := foldPnC(r, resp); err != nil {
			return Outcome{Err: err}
		}
		return Outcome{Response: resp}
	}, notes...)
}

// lowerCertificateSigned: A02, A03.
func lowerCertificateSigned(m *v21.CertificateSignedRequest) (Exchange, error) {
	var notes notesOf
	switch m.CertificateType.Or(v21.CertificateSigningUseChargingStationCertificate) {
	case v21.CertificateSigningUseV2GCertificate:
		wire := &v21.CertificateSignedRequest{CertificateChain: m.CertificateChain, CertificateType: m.CertificateType}
		notes.lost(m.RequestID.OK, "requestId", "1.6 does not number requests for a certificate")
		return throughPnC(wire, notes...), nil
	case v21.CertificateSigningUseV2G20Certificate:
		return Exchange{}, refuse("certificateType", "1.6 knows ISO 15118-2 only")
	}
	notes.lost(m.RequestID.OK, "requestId", "1.6 does not number requests for a certificate")
	return ask(&v16.CertificateSignedRequest{CertificateChain: m.CertificateChain}, func(r *v16.CertificateSignedResponse) Outcome {
		return Outcome{Response: &v21.CertificateSignedResponse{Status: v21.CertificateSignedStatus(r.Status)}}
	}, notes...), nil
}

// maxCertificate is the length of a certificate in the security extension and in Plug & Charge.
const maxCertificate = 5500

// lowerInstallCertificate: M05.
func lowerInstallCertificate(m *v21.InstallCertificateRequest) (Exchange, error) {
	if _, long := cutRunes(m.Certificate, maxCertificate); long {
		return Exchange{}, outOfBounds("certificate", "1.6 takes certificates of 5500 characters")
	}
	req := &v16.InstallCertificateRequest{Certificate: m.Certificate}
	switch m.CertificateType {
	case v21.InstallCertificateUseCSMSRootCertificate:
		req.CertificateType = v16.CertificateUseCentralSystemRootCertificate
	case v21.InstallCertificateUseManufacturerRootCertificate:
		req.CertificateType = v16.CertificateUseManufacturerRootCertificate
	case v21.InstallCertificateUseOEMRootCertificate:
		return Exchange{}, refuse("certificateType", "1.6 has no root certificates of vehicle makers")
	default:
		return throughPnC(m), nil
	}
	return ask(req, func(r *v16.InstallCertificateResponse) Outcome {
		return Outcome{Response: &v21.InstallCertificateResponse{Status: v21.InstallCertificateStatus(r.Status)}}
	}), nil
}

// lowerDeleteCertificate: M04. 1.6 keeps the certificates of Plug & Charge behind messages of their own. Which of the
// two stores has it cannot be seen from its hash: the second is asked when the first does not have it.
func lowerDeleteCertificate(m *v21.DeleteCertificateRequest) (Exchange, error) {
	h := &m.CertificateHashData
	req := &v16.DeleteCertificateRequest{CertificateHashData: v16.CertificateHashData{
		HashAlgorithm: v16.HashAlgorithm(h.HashAlgorithm), IssuerNameHash: h.IssuerNameHash, IssuerKeyHash: h.IssuerKeyHash, SerialNumber: h.SerialNumber,
	}}
	return Exchange{
		Requests: []ocpp.Request{req, pncMessage(m.ActionName(), withoutCustomData(m))},
		Stop:     func(_ int, r Reply) bool { return !unsupported(r) },
		Enough: func(_ int, r Reply) bool {
			a, ok := r.Response.(*v16.DeleteCertificateResponse)
			return !ok || a.Status != v16.DeleteCertificateStatusNotFound
		},
		Answer: func(replies []Reply) Outcome {
			first := one(req, func(r ocpp.Response) Outcome {
				return folded(r, func(r *v16.DeleteCertificateResponse) Outcome {
					return Outcome{Response: &v21.DeleteCertificateResponse{Status: v21.DeleteCertificateStatus(r.Status)}}
				})
			}).Answer(replies)
			if a, ok := first.Response.(*v21.DeleteCertificateResponse); ok && a.Status != v21.DeleteCertificateStatusNotFound || len(replies) < 2 || replies[1].Err != nil {
				return first
			}
			if second := new(v21.DeleteCertificateResponse); foldPnC(replies[1].Response, second) == nil {
				return Outcome{Response: second, Notes: []Note{emulatedNote("", "DataTransfer of Plug & Charge, as the station did not find it among its own")}}
			}
			return first
		},
	}, nil
}

// lowerGetInstalledCertificateIds: M03. 1.6 is asked for one type at a time; those of Plug & Charge go together.
func lowerGetInstalledCertificateIds(m *v21.GetInstalledCertificateIdsRequest) (Exchange, error) {
	types := m.CertificateType
	if len(types) == 0 {
		types = []v21.GetCertificateIDUse{
			v21.GetCertificateIDUseCSMSRootCertificate, v21.GetCertificateIDUseManufacturerRootCertificate,
			v21.GetCertificateIDUseV2GRootCertificate, v21.GetCertificateIDUseMORootCertificate, v21.GetCertificateIDUseV2GCertificateChain,
		}
	}
	x := Exchange{Stop: func(int, Reply) bool { return false }}
	var uses []v21.GetCertificateIDUse // the type that request i asks for, "" for those of Plug & Charge
	var pnc []v21.GetCertificateIDUse
	for _, t := range types {
		use := v16.CertificateUseCentralSystemRootCertificate
		switch t {
		case v21.GetCertificateIDUseOEMRootCertificate:
			x.Notes = append(x.Notes, lostNote("certificateType", "1.6 has no root certificates of vehicle makers"))
			continue
		case v21.GetCertificateIDUseManufacturerRootCertificate:
			use = v16.CertificateUseManufacturerRootCertificate
		case v21.GetCertificateIDUseCSMSRootCertificate:
		default:
			if !slices.Contains(pnc, t) {
				pnc = append(pnc, t)
			}
			continue
		}
		if !slices.Contains(uses, t) {
			x.Requests, uses = append(x.Requests, &v16.GetInstalledCertificateIdsRequest{CertificateType: use}), append(uses, t)
		}
	}
	if len(pnc) > 0 {
		wire := &v21.GetInstalledCertificateIdsRequest{CertificateType: pnc}
		x.Requests, uses = append(x.Requests, pncMessage(m.ActionName(), ocpp.Marshal(wire))), append(uses, "")
		x.Notes = append(x.Notes, emulatedNote("", "those of Plug & Charge by DataTransfer"))
	}
	x.Answer = func(replies []Reply) Outcome { return foldCertificateIDs(uses, replies) }
	return x, nil
}

// foldCertificateIDs joins the lists. One that the station cannot give counts as empty, unless it gives none at all.
func foldCertificateIDs(uses []v21.GetCertificateIDUse, replies []Reply) Outcome {
	resp := &v21.GetInstalledCertificateIdsResponse{Status: v21.GetInstalledCertificateStatusNotFound}
	var failure *ocpp.CallError
	var notes []Note
	good := 0
	for i, r := range replies[:min(len(replies), len(uses))] {
		err := r.Err
		switch a, own := r.Response.(*v16.GetInstalledCertificateIdsResponse); {
		case err != nil:
		case own && uses[i] != "":
			for _, h := range a.CertificateHashData {
				resp.CertificateHashDataChain = append(resp.CertificateHashDataChain, v21.CertificateHashDataChain{
					CertificateType: uses[i], CertificateHashData: hash21(h),
				})
			}
		default:
			chain := new(v21.GetInstalledCertificateIdsResponse)
			if err = foldPnC(r.Response, chain); err == nil {
				resp.CertificateHashDataChain = append(resp.CertificateHashDataChain, chain.CertificateHashDataChain...)
			}
		}
		if err != nil {
			failure = err
			notes = append(notes, lostNote("certificateHashDataChain", err.Error()))
			continue
		}
		good++
	}
	if good == 0 && failure != nil {
		return Outcome{Err: failure}
	}
	if len(resp.CertificateHashDataChain) > 0 {
		resp.Status = v21.GetInstalledCertificateStatusAccepted
	}
	return Outcome{Response: resp, Notes: notes}
}

func hash21(h v16.CertificateHashData) v21.CertificateHashData {
	return v21.CertificateHashData{
		HashAlgorithm: v21.HashAlgorithm(h.HashAlgorithm), IssuerNameHash: h.IssuerNameHash, IssuerKeyHash: h.IssuerKeyHash, SerialNumber: h.SerialNumber,
	}
}
