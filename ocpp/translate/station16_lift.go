package translate

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// liftBoot: 1.6 has two serial numbers; the one of the charge box is deprecated (OCPP 1.6 §6.3). The meter, which 2.1
// describes in the device model only, travels as customData.
func (t *talk) liftBoot(r *v16.BootNotificationRequest) Exchange {
	serial, box := r.ChargePointSerialNumber, r.ChargeBoxSerialNumber
	if !serial.OK {
		serial, box = box, ocpp.Opt[string]{}
	}
	station := v21.ChargingStation{
		VendorName:      t.text("chargePointVendor", r.ChargePointVendor, 50),
		Model:           t.text("chargePointModel", r.ChargePointModel, 20),
		SerialNumber:    t.optText("chargePointSerialNumber", serial, 25),
		FirmwareVersion: t.optText("firmwareVersion", r.FirmwareVersion, 50),
		CustomData: ours("chargeBoxSerialNumber", box.V, "meterType", r.MeterType.V,
			"meterSerialNumber", r.MeterSerialNumber.V),
	}
	for _, f := range []struct{ name, value string }{
		{"chargeBoxSerialNumber", box.V}, {"meterType", r.MeterType.V}, {"meterSerialNumber", r.MeterSerialNumber.V},
	} {
		if f.value != "" {
			t.emulated(f.name, "customData of chargingStation")
		}
	}
	if r.ICCID.OK || r.IMSI.OK {
		station.Modem = &v21.Modem{ICCID: t.optText("iccid", r.ICCID, 20), IMSI: t.optText("imsi", r.IMSI, 20)}
	}
	req := &v21.BootNotificationRequest{Reason: v21.BootReasonUnknown, ChargingStation: station}
	return single(t, req, func(a *v21.BootNotificationResponse) Outcome {
		f := &talk{d: t.d}
		f.lostStatusInfo(a.StatusInfo)
		return Outcome{Response: &v16.BootNotificationResponse{
			Status: v16.RegistrationStatus(a.Status), CurrentTime: a.CurrentTime, Interval: a.Interval,
		}, Notes: f.notes}
	})
}

func (t *talk) lostStatusInfo(info *v21.StatusInfo) {
	if info != nil {
		t.lost("statusInfo", "1.6 has no place for reasons: "+info.ReasonCode)
	}
}

func (t *talk) liftAuthorize(r *v16.AuthorizeRequest) Exchange {
	req := &v21.AuthorizeRequest{IDToken: t.liftTag("idTag", r.IDTag)}
	return single(t, req, func(a *v21.AuthorizeResponse) Outcome {
		f := &talk{d: t.d}
		if a.Tariff != nil {
			f.lost("tariff", "a 1.6 Authorize cannot carry a tariff")
		}
		if len(a.AllowedEnergyTransfer) > 0 {
			f.lost("allowedEnergyTransfer", "1.6 has no energy transfer modes")
		}
		if a.CertificateStatus.OK {
			f.lost("certificateStatus", "a 1.6 Authorize carries no certificate")
		}
		return Outcome{Response: &v16.AuthorizeResponse{IDTagInfo: f.foldIDTokenInfo(&a.IDTokenInfo, 0)}, Notes: f.notes}
	})
}

func (t *talk) liftTag(path, tag string) v21.IDToken {
	return v21.IDToken{IDToken: t.text(path, tag, 255), Type: UntypedIDToken}
}

// foldIDTokenInfo says a 2.1 verdict in 1.6. A token that is valid at other EVSEs only is Invalid at this one; evse 0
// stands for a question that names none.
func (t *talk) foldIDTokenInfo(info *v21.IDTokenInfo, evse int) v16.IDTagInfo {
	tag := v16.IDTagInfo{Status: t.foldAuthorization(info.Status), ExpiryDate: info.CacheExpiryDateTime}
	if tag.ExpiryDate.OK && !writable(tag.ExpiryDate.V) {
		t.lost("idTokenInfo.cacheExpiryDateTime", "not a time")
		tag.ExpiryDate = ocpp.Opt[time.Time]{}
	}
	if len(info.EVSEID) > 0 {
		if evse > 0 && !containsInt(info.EVSEID, evse) && tag.Status == v16.AuthorizationStatusAccepted {
			t.emulated("idTokenInfo.evseId", "the token is not valid at this EVSE: Invalid")
			tag.Status = v16.AuthorizationStatusInvalid
		} else {
			t.lost("idTokenInfo.evseId", "1.6 cannot restrict a token to connectors")
		}
	}
	if g := info.GroupIDToken; g != nil {
		if len([]rune(g.IDToken)) <= 20 {
			tag.ParentIDTag = ocpp.Some(g.IDToken)
		} else {
			t.lost("idTokenInfo.groupIdToken", "longer than the 20 characters of a parentIdTag")
		}
	}
	if info.ChargingPriority.OK {
		t.lost("idTokenInfo.chargingPriority", "1.6 has no charging priority")
	}
	if info.Language1.OK || info.Language2.OK {
		t.lost("idTokenInfo.language1", "1.6 has no languages of a token")
	}
	if info.PersonalMessage != nil {
		t.lost("idTokenInfo.personalMessage", "1.6 has no personal message")
	}
	return tag
}

func containsInt(list []int, n int) bool {
	for _, v := range list {
		if v == n {
			return true
		}
	}
	return false
}

func (t *talk) foldAuthorization(s v21.AuthorizationStatus) v16.AuthorizationStatus {
	if w := v16.AuthorizationStatus(s); w.Valid() {
		return w
	}
	to := v16.AuthorizationStatusInvalid
	if s == v21.AuthorizationStatusNoCredit {
		to = v16.AuthorizationStatusBlocked
	}
	t.emulated("idTokenInfo.status", string(s)+" is "+string(to)+" in 1.6")
	return to
}

// liftStart: the number of the transaction follows from the content, so that a repeated StartTransaction meets its
// first (OCPP 1.6 §4.8 lets a station repeat it until it is answered).
func (t *talk) liftStart(r *v16.StartTransactionRequest) Exchange {
	s := t.d.State
	number := s.StartNumber(r.ConnectorID, r.IDTag, r.MeterStart, r.Timestamp)
	id := s.TransactionID(number)
	at := t.time("timestamp", r.Timestamp)
	token := t.liftTag("idTag", r.IDTag)
	req := &v21.TransactionEventRequest{
		EventType: v21.TransactionEventTypeStarted, Timestamp: at, TriggerReason: v21.TriggerReasonAuthorized,
		TransactionInfo: v21.Transaction{TransactionID: id}, IDToken: &token, EVSE: t.outlet(r.ConnectorID),
		MeterValue: []v21.MeterValue{register(r.MeterStart, at, v21.ReadingContextTransactionBegin)},
	}
	if r.ReservationID.OK {
		if r.ReservationID.V >= 0 {
			req.ReservationID = r.ReservationID
		} else {
			t.lost("reservationId", "2.1 has no negative reservation ids")
		}
	}
	if n, ok := t.number(remoteStartKey(r.IDTag)); ok {
		req.TriggerReason = v21.TriggerReasonRemoteStart
		req.TransactionInfo.RemoteStartID = ocpp.Some(n)
	}
	t.begin(r.ConnectorID, id, r.IDTag)
	req.TransactionInfo.ChargingState = t.firstChargingState(r.ConnectorID, id)
	return single(t, req, func(a *v21.TransactionEventResponse) Outcome {
		f := &talk{d: t.d}
		s.Put(remoteStartKey(r.IDTag), "")
		info := f.foldVerdict(a, r.ConnectorID)
		if info == nil {
			info = &v16.IDTagInfo{Status: v16.AuthorizationStatusAccepted}
		}
		return Outcome{Response: &v16.StartTransactionResponse{IDTagInfo: *info, TransactionID: number},
			Then: f.foldCost(a, id, false), Notes: f.notes}
	})
}

// outlet is the EVSE of a 1.6 connector; none for connector 0.
func (t *talk) outlet(connector int) *v21.EVSE {
	if connector <= 0 {
		return nil
	}
	return &v21.EVSE{ID: connector, ConnectorID: ocpp.Some(1)}
}

// begin opens a transaction once: the event Started has the sequence number 0 however often it is told.
func (t *talk) begin(connector int, id, tag string) {
	s := t.d.State
	if _, open := s.EVSE(id); open {
		return
	}
	s.NextSeqNo(id)
	if connector > 0 {
		s.Open(connector, id, tag)
		s.Put(keyTag(connector), tag)
	}
}

// firstChargingState is what the connector said of itself before its transaction began.
func (t *talk) firstChargingState(connector int, id string) ocpp.Opt[v21.ChargingState] {
	if connector <= 0 {
		return ocpp.Opt[v21.ChargingState]{}
	}
	state, ok := chargingState16(v16.ChargePointStatus(t.d.State.Get(keyStatus(connector))))
	if ok {
		t.d.State.Put(keyChargingState(connector), id+" "+string(state))
	}
	return ocpp.SomeIf(state, ok)
}

// numbered gives an event after Started its sequence number. The events of a transaction whose beginning this memory
// has not seen, or that ended, are numbered by their time and content, high above all counted ones: not the number of
// another event, in the order of time, and the same again when the station repeats itself.
func (t *talk) numbered(ev *v21.TransactionEventRequest) *v21.TransactionEventRequest {
	id := ev.TransactionInfo.TransactionID
	if evse, open := t.d.State.EVSE(id); open && t.d.State.Get(keyUncounted(evse)) != id {
		if ev.SeqNo = t.d.State.NextSeqNo(id); ev.SeqNo > 0 {
			return ev
		}
		t.d.State.Put(keyUncounted(evse), id) // 0 is Started, which was counted elsewhere
	}
	last := uint32(63)
	if ev.EventType != v21.TransactionEventTypeEnded {
		ev.SeqNo = 0
		h := fnv.New32a()
		h.Write(ocpp.Marshal(ev))
		last = h.Sum32() % 63
	}
	const window = 1<<24 - 1 // seconds: more than half a year, in which the order holds
	ev.SeqNo = 1<<30 | int(ev.Timestamp.Unix()&window)<<6 | int(last)
	return ev
}

// foldVerdict gives the idTagInfo that an event was answered with and notes what else the answer held.
func (t *talk) foldVerdict(a *v21.TransactionEventResponse, evse int) *v16.IDTagInfo {
	if a.ChargingPriority.OK {
		t.lost("chargingPriority", "1.6 has no charging priority")
	}
	if a.TransactionLimit != nil {
		t.lost("transactionLimit", "1.6 has no transaction limits")
	}
	if a.UpdatedPersonalMessage != nil || len(a.UpdatedPersonalMessageExtra) > 0 {
		t.lost("updatedPersonalMessage", "1.6 has no personal message")
	}
	if a.IDTokenInfo == nil {
		return nil
	}
	info := t.foldIDTokenInfo(a.IDTokenInfo, evse)
	return &info
}

// liftStop closes a transaction. Stations stop transactions that nobody knows, with the ids -1, 0 and 2^63-1; all of
// them are told (OCPP 1.6 §4.10: sanity checks do not keep the central system from answering).
func (t *talk) liftStop(r *v16.StopTransactionRequest) Exchange {
	id := t.stopID(r)
	at := t.time("timestamp", r.Timestamp)
	reason := r.Reason.Or(v16.ReasonLocal) // OCPP 1.6 §6.49
	stopped, trigger := t.liftReason(reason)
	if trigger == v21.TriggerReasonRemoteStop {
		t.d.State.Put(keyRemoteStop(id), "")
	}
	req := &v21.TransactionEventRequest{
		EventType: v21.TransactionEventTypeEnded, Timestamp: at, TriggerReason: trigger,
		TransactionInfo: v21.Transaction{TransactionID: id, StoppedReason: ocpp.Some(stopped)},
	}
	if reason == v16.ReasonSoftReset || reason == v16.ReasonUnlockCommand {
		req.TransactionInfo.CustomData = ours("reason16", string(reason))
	}
	if evse, ok := t.d.State.EVSE(id); ok {
		req.EVSE = t.outlet(evse)
		t.d.State.Put(keyChargingState(evse), "")
		t.d.State.Put(keyTag(evse), "")
	}
	if r.IDTag.OK {
		token := t.liftTag("idTag", r.IDTag.V)
		req.IDToken = &token
	}
	values, events := t.liftMeter("transactionData", r.TransactionData, req.EVSE)
	values = append(values, t.finalRegister(r, at, values))
	req.MeterValue = values
	t.noteUnread("transactionData", req.MeterValue)
	t.numbered(req)
	t.d.State.Close(id)
	return several(t, 0, append([]ocpp.Request{req}, events...), func(a *v21.TransactionEventResponse) Outcome {
		f := &talk{d: t.d}
		info := f.foldVerdict(a, 0)
		return Outcome{Response: &v16.StopTransactionResponse{IDTagInfo: info}, Then: f.foldCost(a, id, true), Notes: f.notes}
	})
}

// stopID finds the transaction that a station without a proper number means: the only one that runs, unless it began
// with another tag.
func (t *talk) stopID(r *v16.StopTransactionRequest) string {
	s := t.d.State
	id := s.TransactionID(r.TransactionID)
	if r.TransactionID > 0 {
		return id
	}
	if _, open := s.EVSE(id); open {
		return id
	}
	found, connector := "", 0
	for evse := 1; evse <= t.evses(); evse++ {
		if running, ok := s.Running(evse); ok {
			if found != "" {
				return id
			}
			found, connector = running, evse
		}
	}
	if found == "" || r.IDTag.OK && !strings.EqualFold(r.IDTag.V, s.Get(keyTag(connector))) {
		return id
	}
	t.emulated("transactionId", "the station did not know the number "+strconv.Itoa(r.TransactionID)+": the transaction that runs is meant")
	return found
}

// evses is how many EVSEs are looked at: those of the model, else as many as stations commonly have at most.
func (t *talk) evses() int {
	if t.d.Model != nil {
		if n := len(t.d.Model.EVSEs()); n > 0 {
			return n
		}
	}
	return 32
}

var stopReasons16 = map[v16.Reason]struct {
	reason  v21.Reason
	trigger v21.TriggerReason
}{
	v16.ReasonDeAuthorized:   {v21.ReasonDeAuthorized, v21.TriggerReasonDeauthorized},
	v16.ReasonEmergencyStop:  {v21.ReasonEmergencyStop, v21.TriggerReasonAbnormalCondition},
	v16.ReasonEVDisconnected: {v21.ReasonEVDisconnected, v21.TriggerReasonEVDeparted},
	v16.ReasonHardReset:      {v21.ReasonImmediateReset, v21.TriggerReasonResetCommand},
	v16.ReasonLocal:          {v21.ReasonLocal, v21.TriggerReasonStopAuthorized},
	v16.ReasonOther:          {v21.ReasonOther, v21.TriggerReasonAbnormalCondition},
	v16.ReasonPowerLoss:      {v21.ReasonPowerLoss, v21.TriggerReasonAbnormalCondition},
	v16.ReasonReboot:         {v21.ReasonReboot, v21.TriggerReasonResetCommand},
	v16.ReasonRemote:         {v21.ReasonRemote, v21.TriggerReasonRemoteStop},
	v16.ReasonSoftReset:      {v21.ReasonImmediateReset, v21.TriggerReasonResetCommand},
	v16.ReasonUnlockCommand:  {v21.ReasonOther, v21.TriggerReasonUnlockCommand},
}

func (t *talk) liftReason(r v16.Reason) (v21.Reason, v21.TriggerReason) {
	to, ok := stopReasons16[r]
	switch {
	case !ok:
		t.lost("reason", "not a reason of 1.6: Other")
		to = stopReasons16[v16.ReasonOther]
	case string(to.reason) != string(r):
		t.emulated("reason", string(r)+" is "+string(to.reason)+" with the trigger "+string(to.trigger))
	}
	return to.reason, to.trigger
}

// register is a reading of the energy register in Wh, as 1.6 gives it at both ends of a transaction.
func register(wh int, at time.Time, context v21.ReadingContext) v21.MeterValue {
	value, err := decimal.New(int64(wh), 0)
	if err != nil {
		value = decimal.Zero // not reached: scale 0 is always valid
	}
	return v21.MeterValue{Timestamp: at, SampledValue: []v21.SampledValue{{
		Value: value, Context: ocpp.Some(context), Measurand: ocpp.Some(v21.MeasurandEnergyActiveImportRegister),
		UnitOfMeasure: &v21.UnitOfMeasure{Unit: ocpp.Some("Wh")},
	}}}
}

// finalRegister is meterStop. Signed data that came for it without a reading of its own is put beside it.
func (t *talk) finalRegister(r *v16.StopTransactionRequest, at time.Time, values []v21.MeterValue) v21.MeterValue {
	final := register(r.MeterStop, at, v21.ReadingContextTransactionEnd)
	for i := range values {
		for j := range values[i].SampledValue {
			sv := &values[i].SampledValue[j]
			if sv.SignedMeterValue != nil && !HasReading(sv) && sv.Context.V == v21.ReadingContextTransactionEnd &&
				sv.Measurand.Or(v21.MeasurandEnergyActiveImportRegister) == v21.MeasurandEnergyActiveImportRegister {
				sv.Value, sv.CustomData = final.SampledValue[0].Value, ""
				sv.UnitOfMeasure = final.SampledValue[0].UnitOfMeasure
			}
		}
	}
	return final
}
