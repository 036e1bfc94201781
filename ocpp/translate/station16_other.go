package translate

import (
	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// liftDiagnosticsStatus: the request id is the one of the GetLog that became a GetDiagnostics. An Idle has none
// (OCPP 2.1 LogStatusNotificationRequest).
func (t *talk) liftDiagnosticsStatus(r *v16.DiagnosticsStatusNotificationRequest) Exchange {
	req := &v21.LogStatusNotificationRequest{}
	switch r.Status {
	case v16.DiagnosticsStatusIdle, v16.DiagnosticsStatusUploaded, v16.DiagnosticsStatusUploading:
		req.Status = v21.UploadLogStatus(r.Status)
	default:
		req.Status = v21.UploadLogStatusUploadFailure
	}
	if req.Status != v21.UploadLogStatusIdle {
		req.RequestID = t.remembered(keyLogRequest)
	}
	return single(t, req, func(*v21.LogStatusNotificationResponse) Outcome {
		return Outcome{Response: &v16.DiagnosticsStatusNotificationResponse{}}
	})
}

// remembered is the id of the request that a notification without one belongs to.
func (t *talk) remembered(key string) ocpp.Opt[int] {
	n, ok := t.number(key)
	if !ok {
		t.lost("", "the notification has no request id and none is remembered")
	}
	return ocpp.SomeIf(n, ok)
}

func (t *talk) liftFirmwareStatus(r *v16.FirmwareStatusNotificationRequest) Exchange {
	req := &v21.FirmwareStatusNotificationRequest{Status: v21.FirmwareStatus(r.Status)}
	if req.Status != v21.FirmwareStatusIdle {
		req.RequestID = t.remembered(keyFirmwareRequest)
	}
	return single(t, req, func(*v21.FirmwareStatusNotificationResponse) Outcome {
		return Outcome{Response: &v16.FirmwareStatusNotificationResponse{}}
	})
}

func (t *talk) liftSecurityEvent(r *v16.SecurityEventNotificationRequest) Exchange {
	req := &v21.SecurityEventNotificationRequest{
		Type: t.text("type", r.Type, 50), Timestamp: t.time("timestamp", r.Timestamp),
		TechInfo: t.optText("techInfo", r.TechInfo, 255),
	}
	return single(t, req, func(*v21.SecurityEventNotificationResponse) Outcome {
		return Outcome{Response: &v16.SecurityEventNotificationResponse{}}
	})
}

// liftSignCertificate: in 1.6 it is always the certificate of the charge point; the request id that 2.1 asks for
// (OCPP 2.1 A02.FR.25) is counted here.
func (t *talk) liftSignCertificate(r *v16.SignCertificateRequest) Exchange {
	req := &v21.SignCertificateRequest{
		CSR:             t.text("csr", r.CSR, 5500),
		CertificateType: ocpp.Some(v21.CertificateSigningUseChargingStationCertificate),
		RequestID:       ocpp.Some(t.nextNumber(keySignRequest)),
	}
	return single(t, req, func(a *v21.SignCertificateResponse) Outcome {
		f := &talk{d: t.d}
		f.lostStatusInfo(a.StatusInfo)
		return Outcome{Response: &v16.SignCertificateResponse{Status: v16.GenericStatus(a.Status)}, Notes: f.notes}
	})
}

func (t *talk) liftLogStatus(r *v16.LogStatusNotificationRequest) Exchange {
	req := &v21.LogStatusNotificationRequest{Status: v21.UploadLogStatus(r.Status), RequestID: r.RequestID}
	if !r.RequestID.OK && req.Status != v21.UploadLogStatusIdle {
		req.RequestID = t.remembered(keyLogRequest)
	}
	return single(t, req, func(*v21.LogStatusNotificationResponse) Outcome {
		return Outcome{Response: &v16.LogStatusNotificationResponse{}}
	})
}

func (t *talk) liftSignedFirmwareStatus(r *v16.SignedFirmwareStatusNotificationRequest) Exchange {
	req := &v21.FirmwareStatusNotificationRequest{Status: v21.FirmwareStatus(r.Status), RequestID: r.RequestID}
	if !r.RequestID.OK && req.Status != v21.FirmwareStatusIdle {
		req.RequestID = t.remembered(keyFirmwareRequest)
	}
	return single(t, req, func(*v21.FirmwareStatusNotificationResponse) Outcome {
		return Outcome{Response: &v16.SignedFirmwareStatusNotificationResponse{}}
	})
}
