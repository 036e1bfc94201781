package translate

import (
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// maxLocation21 is the length of a URL in 2.1.
const maxLocation21 = 2000

// retries21 drops a number of attempts below 0, which says nothing.
func retries21(n ocpp.Opt[int], notes *notesOf) ocpp.Opt[int] {
	if n.Or(0) < 0 {
		notes.lost(true, "retries", "must be at least 0 in 2.1")
		return ocpp.Opt[int]{}
	}
	return n
}

// liftGetDiagnostics: the name of the file is known only when the station gives one; without it a 1.6 system takes it
// that there is none.
func liftGetDiagnostics(d *Dialogue, m *v16.GetDiagnosticsRequest) (Exchange, error) {
	if _, long := cutRunes(m.Location, maxLocation21); long {
		return Exchange{}, outOfBounds("location", "2.1 takes 2000 characters")
	}
	var notes notesOf
	req := &v21.GetLogRequest{
		Log:     v21.LogParameters{RemoteLocation: m.Location, OldestTimestamp: m.StartTime, LatestTimestamp: m.StopTime},
		LogType: v21.LogTypeDiagnosticsLog, RequestID: nextRequest(d), Retries: retries21(m.Retries, &notes), RetryInterval: m.RetryInterval,
	}
	d.State.Put(keyLogRequest, strconv.Itoa(req.RequestID))
	return ask(req, func(r *v21.GetLogResponse) Outcome {
		resp := &v16.GetDiagnosticsResponse{}
		var notes notesOf
		if r.Status == v21.LogStatusRejected {
			notes.emulated(true, "status", "1.6 says Rejected by leaving out the file name")
		} else {
			resp.FileName = r.Filename
			notes.lost(!r.Filename.OK, "status", "the upload was accepted, but the station gave no name of the file")
		}
		return Outcome{Response: resp, Notes: notes}
	}, notes...), nil
}

func liftGetLog(d *Dialogue, m *v16.GetLogRequest) (Exchange, error) {
	var notes notesOf
	req := &v21.GetLogRequest{
		Log:     v21.LogParameters{RemoteLocation: m.Log.RemoteLocation, OldestTimestamp: m.Log.OldestTimestamp, LatestTimestamp: m.Log.LatestTimestamp},
		LogType: v21.LogType(m.LogType), RequestID: m.RequestID, Retries: retries21(m.Retries, &notes), RetryInterval: m.RetryInterval,
	}
	d.State.Put(keyLogRequest, strconv.Itoa(m.RequestID))
	return ask(req, func(r *v21.GetLogResponse) Outcome {
		return Outcome{Response: &v16.GetLogResponse{Status: v16.LogStatus(r.Status), Filename: r.Filename}}
	}, notes...), nil
}

// liftUpdateFirmware: the answer of 1.6 cannot say no. A refusal is told as a download that failed.
func liftUpdateFirmware(d *Dialogue, m *v16.UpdateFirmwareRequest) (Exchange, error) {
	if _, long := cutRunes(m.Location, maxLocation21); long {
		return Exchange{}, outOfBounds("location", "2.1 takes 2000 characters")
	}
	var notes notesOf
	req := &v21.UpdateFirmwareRequest{
		Retries: retries21(m.Retries, &notes), RetryInterval: m.RetryInterval, RequestID: nextRequest(d),
		Firmware: v21.Firmware{Location: m.Location, RetrieveDateTime: m.RetrieveDate},
	}
	rememberFirmware(d, req.RequestID, false)
	return ask(req, func(r *v21.UpdateFirmwareResponse) Outcome {
		out := Outcome{Response: &v16.UpdateFirmwareResponse{}}
		if r.Status != v21.UpdateFirmwareStatusAccepted && r.Status != v21.UpdateFirmwareStatusAcceptedCanceled {
			out.Then = []ocpp.Request{&v16.FirmwareStatusNotificationRequest{Status: v16.FirmwareStatusDownloadFailed}}
			out.Notes = []Note{emulatedNote("status", "1.6 cannot refuse an update: "+string(r.Status)+" is reported as DownloadFailed")}
		}
		return out
	}, notes...), nil
}

func rememberFirmware(d *Dialogue, request int, signed bool) {
	d.State.Put(keyFirmwareRequest, strconv.Itoa(request))
	d.State.Put(keyFirmwareSigned, map[bool]string{true: "yes"}[signed])
}

func liftSignedUpdateFirmware(d *Dialogue, m *v16.SignedUpdateFirmwareRequest) (Exchange, error) {
	var notes notesOf
	f := &m.Firmware
	req := &v21.UpdateFirmwareRequest{
		Retries: retries21(m.Retries, &notes), RetryInterval: m.RetryInterval, RequestID: m.RequestID,
		Firmware: v21.Firmware{
			Location: f.Location, RetrieveDateTime: f.RetrieveDateTime, InstallDateTime: f.InstallDateTime,
			SigningCertificate: ocpp.Some(f.SigningCertificate), Signature: ocpp.Some(f.Signature),
		},
	}
	rememberFirmware(d, m.RequestID, true)
	return ask(req, func(r *v21.UpdateFirmwareResponse) Outcome {
		return Outcome{Response: &v16.SignedUpdateFirmwareResponse{Status: v16.SignedUpdateFirmwareStatus(r.Status)}}
	}, notes...), nil
}

func liftCertificateSigned(m *v16.CertificateSignedRequest) (Exchange, error) {
	req := &v21.CertificateSignedRequest{
		CertificateChain: m.CertificateChain, CertificateType: ocpp.Some(v21.CertificateSigningUseChargingStationCertificate),
	}
	return ask(req, func(r *v21.CertificateSignedResponse) Outcome {
		return Outcome{Response: &v16.CertificateSignedResponse{Status: v16.CertificateSignedStatus(r.Status)}}
	}), nil
}

func liftInstallCertificate(m *v16.InstallCertificateRequest) (Exchange, error) {
	req := &v21.InstallCertificateRequest{CertificateType: v21.InstallCertificateUseManufacturerRootCertificate, Certificate: m.Certificate}
	if m.CertificateType == v16.CertificateUseCentralSystemRootCertificate {
		req.CertificateType = v21.InstallCertificateUseCSMSRootCertificate
	}
	return ask(req, func(r *v21.InstallCertificateResponse) Outcome {
		return Outcome{Response: &v16.InstallCertificateResponse{Status: v16.InstallCertificateStatus(r.Status)}}
	}), nil
}

func liftDeleteCertificate(m *v16.DeleteCertificateRequest) (Exchange, error) {
	return ask(&v21.DeleteCertificateRequest{CertificateHashData: hash21(m.CertificateHashData)}, func(r *v21.DeleteCertificateResponse) Outcome {
		return Outcome{Response: &v16.DeleteCertificateResponse{Status: v16.DeleteCertificateStatus(r.Status)}}
	}), nil
}

func liftGetInstalledCertificateIds(m *v16.GetInstalledCertificateIdsRequest) (Exchange, error) {
	use := v21.GetCertificateIDUseManufacturerRootCertificate
	if m.CertificateType == v16.CertificateUseCentralSystemRootCertificate {
		use = v21.GetCertificateIDUseCSMSRootCertificate
	}
	req := &v21.GetInstalledCertificateIdsRequest{CertificateType: []v21.GetCertificateIDUse{use}}
	return ask(req, func(r *v21.GetInstalledCertificateIdsResponse) Outcome {
		var notes notesOf
		resp := &v16.GetInstalledCertificateIdsResponse{Status: v16.GetInstalledCertificateStatus(r.Status)}
		for _, c := range r.CertificateHashDataChain {
			if c.CertificateType != use {
				notes.lost(true, "certificateHashDataChain", "a "+string(c.CertificateType)+" was not asked for")
				continue
			}
			notes.lost(len(c.ChildCertificateHashData) > 0, "certificateHashDataChain.childCertificateHashData", "1.6 lists single certificates")
			h := &c.CertificateHashData
			resp.CertificateHashData = append(resp.CertificateHashData, v16.CertificateHashData{
				HashAlgorithm: v16.HashAlgorithm(h.HashAlgorithm), IssuerNameHash: h.IssuerNameHash, IssuerKeyHash: h.IssuerKeyHash, SerialNumber: h.SerialNumber,
			})
		}
		return Outcome{Response: resp, Notes: notes}
	}), nil
}

// liftCSMSDataTransfer reads what 1.6 carries in data: Plug & Charge, prices, and what only the two ends understand.
func liftCSMSDataTransfer(d *Dialogue, m *v16.DataTransferRequest) (Exchange, error) {
	switch {
	case isPnC(m):
		return liftCSMSPnC(m)
	case strings.EqualFold(m.VendorID, costVendor):
		return liftCost(d, m)
	}
	req := &v21.DataTransferRequest{VendorID: m.VendorID, MessageID: m.MessageID}
	if m.Data.OK {
		req.Data = ocpp.Raw(ocpp.AppendString(nil, m.Data.V))
	}
	return ask(req, func(r *v21.DataTransferResponse) Outcome {
		return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatus(r.Status), Data: rawText(r.Data)}}
	}), nil
}

// transferred answers a DataTransfer that needs nothing of the station.
func transferred(s v16.DataTransferStatus, notes ...Note) (Exchange, error) {
	return answered(&v16.DataTransferResponse{Status: s}, nil, notes...), nil
}

// liftCSMSPnC gives a Plug & Charge message its own name. Its payload is that of 2.0.1, and of 2.1.
func liftCSMSPnC(m *v16.DataTransferRequest) (Exchange, error) {
	var req ocpp.Request
	switch m.MessageID.Or("") {
	case v21.ActionCertificateSigned, v21.ActionInstallCertificate, v21.ActionDeleteCertificate, v21.ActionGetInstalledCertificateIds, v21.ActionTriggerMessage:
		req = v21.NewRequest(m.MessageID.V)
	default:
		return transferred(v16.DataTransferStatusUnknownMessageID)
	}
	if v, bad := ocpp.Decode(m.Data.Or(""), req, false).First(); bad {
		return Exchange{}, outOfBounds("data", v.Error())
	}
	if err := req.Validate(); err != nil {
		return Exchange{}, outOfBounds("data", err.Error())
	}
	return one(req, func(r ocpp.Response) Outcome {
		return Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatusAccepted, Data: ocpp.Some(string(withoutCustomData(r)))}}
	}), nil
}

// priceText is the text part of SetUserPrice and FinalCost.
type priceText struct {
	IDToken       string          `json:"idToken"`
	TransactionID json.Number     `json:"transactionId"`
	Cost          json.Number     `json:"cost"`
	PriceText     string          `json:"priceText"`
	Extra         []priceLanguage `json:"priceTextExtra"`
	QRCodeText    string          `json:"qrCodeText"`
}

type priceLanguage struct {
	Format   string `json:"format"`
	Language string `json:"language"`
	Content  string `json:"content"`
}

// displayTime is how long a price stays on the display.
const displayTime = 2 * time.Minute

// liftCost says the messages of the California pricing note in 2.1: costs by CostUpdated with the customData of the
// note for 2.0.1, texts by SetDisplayMessage.
func liftCost(d *Dialogue, m *v16.DataTransferRequest) (Exchange, error) {
	var p priceText
	if err := json.Unmarshal([]byte(m.Data.Or("")), &p); err != nil {
		return Exchange{}, outOfBounds("data", "not the JSON of the California pricing note")
	}
	var x Exchange
	switch m.MessageID.Or("") {
	case "SetUserPrice":
		show, notes := displayMessage(d, "user/"+p.IDToken, &p)
		notes = append(notes, emulatedNote("data", "shown for two minutes; 2.1 has no message for one token"))
		x.Requests, x.Notes = []ocpp.Request{show}, notes
	case "RunningCost", "FinalCost":
		cost, err := costUpdated(d, m, &p)
		if err != nil {
			return Exchange{}, err
		}
		x.Requests, x.Notes = []ocpp.Request{cost}, []Note{emulatedNote("data", "CostUpdated")}
		if p.PriceText != "" {
			show, notes := displayMessage(d, "final/"+p.TransactionID.String(), &p)
			x.Requests, x.Notes = append(x.Requests, show), append(x.Notes, append(notes, emulatedNote("data.priceText", "shown for two minutes"))...)
		}
	default:
		return transferred(v16.DataTransferStatusUnknownMessageID)
	}
	x.Stop = func(i int, _ Reply) bool { return i == 0 }
	x.Answer = func(replies []Reply) Outcome {
		return one(nil, func(r ocpp.Response) Outcome { return foldCostTransfer(r, replies) }).Answer(replies)
	}
	return x, nil
}

// foldCostTransfer answers with what became of the first request; a text that is not shown besides is noted.
func foldCostTransfer(r ocpp.Response, replies []Reply) Outcome {
	out := Outcome{Response: &v16.DataTransferResponse{Status: v16.DataTransferStatusAccepted}}
	if s, ok := r.(*v21.SetDisplayMessageResponse); ok && s.Status != v21.DisplayMessageStatusAccepted {
		out.Response = &v16.DataTransferResponse{Status: v16.DataTransferStatusRejected}
	}
	for _, later := range replies[1:] {
		s, ok := later.Response.(*v21.SetDisplayMessageResponse)
		if later.Err != nil || ok && s.Status != v21.DisplayMessageStatusAccepted {
			out.Notes = append(out.Notes, lostNote("data.priceText", "the station does not show it"))
		}
	}
	return out
}

func costUpdated(d *Dialogue, m *v16.DataTransferRequest, p *priceText) (*v21.CostUpdatedRequest, error) {
	n, err := strconv.Atoi(p.TransactionID.String())
	if err != nil {
		return nil, outOfBounds("data.transactionId", "must be the number of a transaction")
	}
	cost, err := decimal.Parse(p.Cost.String())
	if err != nil {
		return nil, outOfBounds("data.cost", "must be a number")
	}
	req := &v21.CostUpdatedRequest{TotalCost: cost, TransactionID: d.State.TransactionID(n)}
	var fields map[string]json.RawMessage
	if m.MessageID.V == "RunningCost" && json.Unmarshal([]byte(m.Data.V), &fields) == nil {
		b := []byte(`{"vendorId":"` + costVendor + `"`)
		for _, name := range runningCostFields {
			if v := fields[name]; len(v) > 0 {
				b = append(append(b, `,"`+name+`":`...), v...)
			}
		}
		req.CustomData = ocpp.CustomData(append(b, '}'))
	}
	return req, nil
}

// displayMessage makes a message of a price text. Its id is made of what it is about, so that a later text for the same
// takes its place.
func displayMessage(d *Dialogue, about string, p *priceText) (*v21.SetDisplayMessageRequest, []Note) {
	h := fnv.New32a()
	h.Write([]byte(about))
	var notes notesOf
	content := func(path, format, language, text string) v21.MessageContent {
		text, cut := cutRunes(text, 1024)
		notes.lost(cut, path, "cut at 1024 characters")
		c := v21.MessageContent{Format: v21.MessageFormat(format), Content: text}
		if !c.Format.Valid() {
			c.Format = v21.MessageFormatUTF8
		}
		if short, cut := cutRunes(language, 8); language != "" && !cut {
			c.Language = ocpp.Some(short)
		}
		return c
	}
	info := v21.MessageInfo{
		ID: int(h.Sum32() & 0x7fffffff), Priority: v21.MessagePriorityInFront, EndDateTime: ocpp.Some(d.Now.Add(displayTime)),
		Message: content("data.priceText", "UTF8", "", p.PriceText),
	}
	for i, e := range p.Extra {
		if i == 4 {
			notes.lost(true, "data.priceTextExtra", "2.1 takes four more languages")
			break
		}
		info.MessageExtra = append(info.MessageExtra, content("data.priceTextExtra", e.Format, e.Language, e.Content))
	}
	if p.QRCodeText != "" {
		if len(info.MessageExtra) < 4 {
			info.MessageExtra = append(info.MessageExtra, content("data.qrCodeText", string(v21.MessageFormatQRCODE), "", p.QRCodeText))
		} else {
			notes.lost(true, "data.qrCodeText", "2.1 takes four more texts")
		}
	}
	return &v21.SetDisplayMessageRequest{Message: info}, notes
}
