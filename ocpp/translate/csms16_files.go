package translate

import (
	"strconv"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// maxLocation is the length of a URL in the messages of the security extension.
const maxLocation = 512

// unsupported reports whether a station says that it does not know a message.
func unsupported(r Reply) bool {
	return r.Err != nil && (r.Err.Code == ocpp.NotImplemented || r.Err.Code == ocpp.NotSupported)
}

// lowerGetLog: N01. A log of diagnostics can also be had from a station without the security extension.
func lowerGetLog(d *Dialogue, m *v21.GetLogRequest) (Exchange, error) {
	if m.LogType == v21.LogTypeDataCollectorLog {
		return Exchange{}, refuse("logType", "1.6 has no data collector")
	}
	secure := &v16.GetLogRequest{
		Log:     v16.LogParameters{RemoteLocation: m.Log.RemoteLocation, OldestTimestamp: m.Log.OldestTimestamp, LatestTimestamp: m.Log.LatestTimestamp},
		LogType: v16.LogType(m.LogType), RequestID: m.RequestID, Retries: m.Retries, RetryInterval: m.RetryInterval,
	}
	plain := &v16.GetDiagnosticsRequest{
		Location: m.Log.RemoteLocation, StartTime: m.Log.OldestTimestamp, StopTime: m.Log.LatestTimestamp,
		Retries: m.Retries, RetryInterval: m.RetryInterval,
	}
	x := Exchange{}
	known := d.State.Get(keySecurity) != "no"
	if _, long := cutRunes(m.Log.RemoteLocation, maxLocation); known && !long {
		x.Requests = append(x.Requests, secure)
	} else if m.LogType == v21.LogTypeSecurityLog {
		if long {
			return Exchange{}, outOfBounds("log.remoteLocation", "GetLog of 1.6 takes 512 characters")
		}
		return Exchange{}, refuse("logType", "the station has no security log")
	}
	if m.LogType == v21.LogTypeDiagnosticsLog {
		x.Requests = append(x.Requests, plain)
	}
	d.State.Put(keyLogRequest, strconv.Itoa(m.RequestID))
	x.Stop = func(_ int, r Reply) bool { return !unsupported(r) }
	x.Enough = func(int, Reply) bool { return true }
	x.Answer = func(replies []Reply) Outcome {
		return one(nil, func(r ocpp.Response) Outcome {
			if r, ok := r.(*v16.GetDiagnosticsResponse); ok {
				return foldDiagnostics(r)
			}
			return folded(r, func(r *v16.GetLogResponse) Outcome {
				return Outcome{Response: &v21.GetLogResponse{Status: v21.LogStatus(r.Status), Filename: r.Filename}}
			})
		}).Answer(firstSupported(replies))
	}
	return x, nil
}

// firstSupported leaves the reply that counts where a request is tried only after the one before it was not known.
func firstSupported(replies []Reply) []Reply {
	for len(replies) > 1 && unsupported(replies[0]) {
		replies = replies[1:]
	}
	return replies
}

// foldDiagnostics: without a file name there is nothing to upload (OCPP 1.6 §5.9).
func foldDiagnostics(r *v16.GetDiagnosticsResponse) Outcome {
	out := Outcome{
		Response: &v21.GetLogResponse{Status: v21.LogStatusAccepted, Filename: r.FileName},
		Notes:    []Note{emulatedNote("", "GetDiagnostics, as the station does not know GetLog")},
	}
	if r.FileName.Or("") == "" {
		out.Response = &v21.GetLogResponse{Status: v21.LogStatusRejected, StatusInfo: reason("NotFound", "the station has no diagnostics of that time")}
	}
	return out
}

// lowerUpdateFirmware: L01 where the firmware is signed, L02 where it is not.
func lowerUpdateFirmware(d *Dialogue, m *v21.UpdateFirmwareRequest) (Exchange, error) {
	f := &m.Firmware
	signed := f.Signature.OK && f.SigningCertificate.OK
	remember := func() {
		d.State.Put(keyFirmwareRequest, strconv.Itoa(m.RequestID))
		d.State.Put(keyFirmwareSigned, map[bool]string{true: "yes"}[signed])
	}
	if signed {
		if d.State.Get(keySecurity) == "no" {
			return Exchange{}, refuse("firmware.signature", "the station cannot check signatures, and unsigned firmware was not asked for")
		}
		if _, long := cutRunes(f.Location, maxLocation); long {
			return Exchange{}, outOfBounds("firmware.location", "SignedUpdateFirmware of 1.6 takes 512 characters")
		}
		remember()
		return ask(&v16.SignedUpdateFirmwareRequest{
			Retries: m.Retries, RetryInterval: m.RetryInterval, RequestID: m.RequestID,
			Firmware: v16.Firmware{
				Location: f.Location, RetrieveDateTime: f.RetrieveDateTime, InstallDateTime: f.InstallDateTime,
				SigningCertificate: f.SigningCertificate.V, Signature: f.Signature.V,
			},
		}, func(r *v16.SignedUpdateFirmwareResponse) Outcome {
			return Outcome{Response: &v21.UpdateFirmwareResponse{Status: v21.UpdateFirmwareStatus(r.Status)}}
		}), nil
	}
	var notes notesOf
	notes.lost(f.InstallDateTime.OK, "firmware.installDateTime", "an unsigned update of 1.6 is installed when it is there")
	notes.lost(f.Signature.OK, "firmware.signature", "of no use without the certificate")
	notes.lost(f.SigningCertificate.OK, "firmware.signingCertificate", "of no use without the signature")
	notes.emulated(true, "requestId", "kept here and given back with the reports about the update")
	remember()
	return ask(&v16.UpdateFirmwareRequest{
		Location: f.Location, RetrieveDate: f.RetrieveDateTime, Retries: m.Retries, RetryInterval: m.RetryInterval,
	}, func(*v16.UpdateFirmwareResponse) Outcome {
		return Outcome{Response: &v21.UpdateFirmwareResponse{Status: v21.UpdateFirmwareStatusAccepted}}
	}, notes...), nil
}
