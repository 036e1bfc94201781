package translate

import (
	"strconv"
	"strings"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

func itoa(n int) string { return strconv.Itoa(n) }

// noIDTag stands for the token of a transaction that nobody was authorised for, in words of OCPP 2.1 IdTokenEnum.
const noIDTag = "NoAuthorization"

// saidOfTransaction are the fields of a TransactionEvent that 1.6 has a place for.
var saidOfTransaction = []string{"eventType", "timestamp", "triggerReason", "seqNo", "transactionInfo.transactionId",
	"transactionInfo.chargingState", "transactionInfo.stoppedReason", "transactionInfo.remoteStartId", "evse.id",
	"idToken.idToken", "reservationId", "meterValue"}

// lowerTransaction says an event of a transaction. 1.6 begins a transaction when somebody is authorised, 2.1 may do so
// when the cable is in: what came before the token waits (OCPP 1.6 §4.8: StartTransaction needs an idTag).
func (t *talk) lowerTransaction(r *v21.TransactionEventRequest) Exchange {
	t.restOfTransaction(r)
	at := t.time("timestamp", r.Timestamp)
	evse := t.evseOf(r)
	switch {
	case r.EventType == v21.TransactionEventTypeEnded:
		return t.lowerEnded(r, evse, at)
	case r.EventType == v21.TransactionEventTypeStarted:
		return t.lowerStarted(r, evse, at)
	}
	return t.lowerUpdated(r, evse, at)
}

func (t *talk) restOfTransaction(r *v21.TransactionEventRequest) {
	said := saidOfTransaction[:len(saidOfTransaction):len(saidOfTransaction)]
	if r.EVSE != nil && r.EVSE.ConnectorID.Or(1) == 1 {
		said = append(said, "evse.connectorId")
	}
	if r.IDToken != nil && r.IDToken.Type == UntypedIDToken {
		said = append(said, "idToken.type")
	}
	if oursIn(r.TransactionInfo.CustomData, "reason16") != "" {
		said = append(said, "transactionInfo.customData")
	}
	if !r.Offline.V {
		said = append(said, "offline")
	}
	t.rest(r, said...)
}

// evseOf is the EVSE of an event: its own, or that of the transaction, or the first one.
func (t *talk) evseOf(r *v21.TransactionEventRequest) int {
	if r.EVSE != nil && r.EVSE.ID > 0 {
		return r.EVSE.ID
	}
	if evse, ok := t.d.State.EVSE(r.TransactionInfo.TransactionID); ok {
		return evse
	}
	if w, ok := t.waiting(r.TransactionInfo.TransactionID); ok {
		return w.evse
	}
	t.emulated("evse", "not given: connector 1")
	return 1
}

// waiting is the beginning of a transaction that 1.6 was not told yet.
type waiting struct {
	evse, meterStart int
	at               time.Time
	reservation      ocpp.Opt[int]
}

func (t *talk) waiting(id string) (waiting, bool) {
	parts := strings.Split(t.d.State.Get(keyWaiting(id)), " ")
	if len(parts) != 4 {
		return waiting{}, false
	}
	var n [4]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil {
			return waiting{}, false
		}
		n[i] = v
	}
	return waiting{evse: n[0], meterStart: n[1], at: time.UnixMicro(int64(n[2])).UTC(), reservation: ocpp.SomeIf(n[3], n[3] >= 0)}, true
}

func (t *talk) wait(id string, w waiting) {
	t.d.State.Put(keyWaiting(id), strings.Join([]string{itoa(w.evse), itoa(w.meterStart),
		strconv.FormatInt(w.at.UnixMicro(), 10), itoa(w.reservation.Or(-1))}, " "))
}

func (t *talk) lowerStarted(r *v21.TransactionEventRequest, evse int, at time.Time) Exchange {
	id := r.TransactionInfo.TransactionID
	w := waiting{evse: evse, at: at, reservation: r.ReservationID, meterStart: t.meterAt(r.MeterValue, evse, false)}
	if r.IDToken == nil && r.TransactionInfo.ChargingState.V != v21.ChargingStateCharging {
		t.wait(id, w)
		t.emulated("", "1.6 begins the transaction when somebody is authorised")
		return t.events(t.follow(r, evse, at, -1, true))
	}
	return t.start(r, w, at)
}

// start sends StartTransaction with what is known of the beginning, then what else the event tells.
func (t *talk) start(r *v21.TransactionEventRequest, w waiting, at time.Time) Exchange {
	id, tag := r.TransactionInfo.TransactionID, noIDTag
	switch {
	case r.IDToken != nil && r.IDToken.IDToken != "":
		tag = t.text("idToken.idToken", r.IDToken.IDToken, maxIDTag)
	default:
		t.emulated("idToken", "nobody was authorised: idTag "+noIDTag)
	}
	req := &v16.StartTransactionRequest{ConnectorID: w.evse, IDTag: tag, MeterStart: w.meterStart, Timestamp: w.at, ReservationID: w.reservation}
	more := t.follow(r, w.evse, at, -1, r.EventType == v21.TransactionEventTypeStarted)
	return several(t, 0, append([]ocpp.Request{req}, more...), func(a *v16.StartTransactionResponse) Outcome {
		f := &talk{d: t.d}
		f.d.State.Bind(id, a.TransactionID)
		f.d.State.Open(w.evse, id, tag)
		f.d.State.Put(keyWaiting(id), "")
		resp := &v21.TransactionEventResponse{}
		if r.IDToken != nil || a.IDTagInfo.Status != v16.AuthorizationStatusAccepted {
			resp.IDTokenInfo = f.liftTagInfo(&a.IDTagInfo)
		}
		return Outcome{Response: resp, Notes: f.notes}
	})
}

// events is an exchange of requests that have nothing to say in their answers. The values of a meter must arrive, a
// status may fail.
func (t *talk) events(reqs []ocpp.Request) Exchange {
	main := 0
	for i, r := range reqs {
		if _, ok := r.(*v16.MeterValuesRequest); ok {
			main = i
		}
	}
	if len(reqs) == 0 {
		return answered(&v21.TransactionEventResponse{}, nil, t.notes...)
	}
	return several(t, main, reqs, func(ocpp.Response) Outcome { return Outcome{Response: &v21.TransactionEventResponse{}} })
}

func (t *talk) lowerUpdated(r *v21.TransactionEventRequest, evse int, at time.Time) Exchange {
	id := r.TransactionInfo.TransactionID
	if w, ok := t.waiting(id); ok {
		if r.IDToken != nil || r.TransactionInfo.ChargingState.V == v21.ChargingStateCharging {
			if r.ReservationID.OK {
				w.reservation = r.ReservationID
			}
			return t.start(r, w, at)
		}
		return t.events(t.follow(r, evse, at, -1, false))
	}
	number, ok := t.d.State.Number(id)
	if !ok {
		number = -1
		t.lost("transactionInfo.transactionId", "1.6 has no number for this transaction")
	}
	if r.IDToken != nil {
		t.lost("idToken", "1.6 has no token in the middle of a transaction")
	}
	if r.ReservationID.OK {
		t.lost("reservationId", "1.6 has a reservation only where a transaction begins")
	}
	return t.events(t.follow(r, evse, at, number, false))
}

// follow is what an event tells beside the beginning: the state of the connector and the values of the meter. number is
// -1 while 1.6 has none for the transaction; first skips the register that became meterStart.
func (t *talk) follow(r *v21.TransactionEventRequest, evse int, at time.Time, number int, first bool) []ocpp.Request {
	var reqs []ocpp.Request
	if state := r.TransactionInfo.ChargingState; state.OK {
		if req := t.detailEvent(evse, t.detail(evse, state.V), at); req != nil {
			t.emulated("transactionInfo.chargingState", "StatusNotification")
			reqs = append(reqs, req)
		}
	}
	if r.TransactionInfo.StoppedReason.OK && r.EventType != v21.TransactionEventTypeEnded {
		t.lost("transactionInfo.stoppedReason", "1.6 has a reason only where a transaction ends")
	}
	t.remember(r.MeterValue, evse, true)
	values := t.lowerMeter("meterValue", r.MeterValue, first)
	if len(values) > 0 {
		if number < 0 {
			t.emulated("meterValue", "MeterValues of the connector: the transaction has no number yet")
		}
		reqs = append(reqs, &v16.MeterValuesRequest{ConnectorID: evse, TransactionID: ocpp.SomeIf(number, number >= 0), MeterValue: values})
	}
	return reqs
}

// reasons16 are the reasons that 1.6 has under another name; what is in neither list is Other.
var reasons16 = map[v21.Reason]v16.Reason{
	v21.ReasonImmediateReset: v16.ReasonHardReset,
	v21.ReasonMasterPass:     v16.ReasonLocal,
	v21.ReasonStoppedByEV:    v16.ReasonOther,
}

func (t *talk) lowerReason(r *v21.TransactionEventRequest) ocpp.Opt[v16.Reason] {
	from := r.TransactionInfo.StoppedReason
	if kept := v16.Reason(oursIn(r.TransactionInfo.CustomData, "reason16")); kept.Valid() {
		return ocpp.Some(kept)
	}
	if !from.OK { // absent is Local in both (OCPP 2.1 E06, OCPP 1.6 §6.49)
		return ocpp.Opt[v16.Reason]{}
	}
	to, ok := reasons16[from.V]
	switch same := v16.Reason(from.V); {
	case r.TriggerReason == v21.TriggerReasonUnlockCommand:
		to = v16.ReasonUnlockCommand
	case same.Valid():
		return ocpp.Some(same)
	case !ok:
		to = v16.ReasonOther
	}
	t.emulated("transactionInfo.stoppedReason", string(from.V)+" is "+string(to)+" in 1.6")
	return ocpp.Some(to)
}

func (t *talk) lowerEnded(r *v21.TransactionEventRequest, evse int, at time.Time) Exchange {
	id := r.TransactionInfo.TransactionID
	if _, ok := t.waiting(id); ok {
		t.d.State.Put(keyWaiting(id), "")
		t.lost("", "the transaction ended before anybody was authorised: 1.6 never knew it")
		return t.events(t.follow(r, evse, at, -1, false))
	}
	req := &v16.StopTransactionRequest{
		Timestamp: at, Reason: t.lowerReason(r), MeterStop: t.meterAt(r.MeterValue, evse, true),
		TransactionData: t.lowerMeter("meterValue", r.MeterValue, false),
	}
	number, ok := t.d.State.Number(id)
	if !ok {
		number = -1 // OCPP 1.6 errata 3.18
		t.emulated("transactionInfo.transactionId", "1.6 has no number for this transaction: -1")
	}
	req.TransactionID = number
	if r.IDToken != nil && r.IDToken.IDToken != "" {
		req.IDTag = ocpp.Some(t.text("idToken.idToken", r.IDToken.IDToken, maxIDTag))
	}
	if r.ReservationID.OK {
		t.lost("reservationId", "1.6 has a reservation only where a transaction begins")
	}
	reqs := []ocpp.Request{req}
	if r.TransactionInfo.StoppedReason.V != v21.ReasonEVDisconnected {
		if status := t.detailEvent(evse, v16.ChargePointStatusFinishing, at); status != nil {
			reqs = append(reqs, status)
		}
	}
	return several(t, 0, reqs, func(a *v16.StopTransactionResponse) Outcome {
		f := &talk{d: t.d}
		f.d.State.Close(id)
		resp := &v21.TransactionEventResponse{}
		if a.IDTagInfo != nil {
			resp.IDTokenInfo = f.liftTagInfo(a.IDTagInfo)
		}
		return Outcome{Response: resp, Notes: f.notes}
	})
}

// meterAt is the energy register at an end of the transaction, in whole Wh, rounded to the nearest and half to even;
// without a reading the last one that was heard of. last takes the last reading, else the first.
func (t *talk) meterAt(values []v21.MeterValue, evse int, last bool) int {
	wh, exact, ok := t.remember(values, evse, last)
	if ok {
		if !exact {
			t.emulated("meterValue", "the energy register is whole Wh in 1.6, rounded to the nearest")
		}
		return wh
	}
	wh, known := t.number(keyRegister(evse))
	if known {
		t.emulated("meterValue", "no reading of the energy register: the last one of the EVSE")
	} else {
		t.emulated("meterValue", "no reading of the energy register: 0 Wh")
	}
	return wh
}

// remember reads the energy register, preferably where the transaction begins or ends, and keeps it.
func (t *talk) remember(values []v21.MeterValue, evse int, last bool) (wh int, exact, ok bool) {
	context := v21.ReadingContextTransactionBegin
	if last {
		context = v21.ReadingContextTransactionEnd
	}
	var best *v21.SampledValue
	for i := range values {
		for j := range values[i].SampledValue {
			sv := &values[i].SampledValue[j]
			if !isRegister(sv) || !HasReading(sv) {
				continue
			}
			here, there := sv.Context.V == context, best != nil && best.Context.V == context
			if best == nil || here && !there || last && here == there {
				best = sv
			}
		}
	}
	if best == nil {
		return 0, false, false
	}
	if wh, exact, ok = wattHours(best); ok {
		t.d.State.Put(keyRegister(evse), itoa(wh))
	}
	return wh, exact, ok
}

// isRegister reports whether a value is of the register that 1.6 gives as meterStart and meterStop.
func isRegister(sv *v21.SampledValue) bool {
	return measurand(sv) == v21.MeasurandEnergyActiveImportRegister && !sv.Phase.OK &&
		sv.Location.Or(v21.LocationOutlet) == v21.LocationOutlet
}

// wattHours is a reading in whole Wh.
func wattHours(sv *v21.SampledValue) (wh int, exact, ok bool) {
	value, unit, ok := scaled(sv)
	if !ok {
		return 0, false, false
	}
	switch unit {
	case "", "Wh":
	case "kWh":
		thousand, err := decimal.New(1000, 0)
		if err != nil {
			return 0, false, false
		}
		if value, err = value.Mul(thousand); err != nil {
			return 0, false, false
		}
	default:
		return 0, false, false
	}
	whole, _, fits := value.Round(0).Int64(0)
	return int(whole), value.IsInt(), fits
}

// scaled is a value with its multiplier carried out, and its unit.
func scaled(sv *v21.SampledValue) (decimal.Decimal, string, bool) {
	u := sv.UnitOfMeasure
	if u == nil {
		return sv.Value, "", true
	}
	m := u.Multiplier.V
	if m == 0 || sv.Value.IsZero() {
		return sv.Value, u.Unit.V, true
	}
	if m < -18 || m > 18 {
		return decimal.Decimal{}, u.Unit.V, false
	}
	factor, err := decimal.Parse("1e" + itoa(m))
	if err != nil {
		return decimal.Decimal{}, u.Unit.V, false
	}
	value, err := sv.Value.Mul(factor)
	if err != nil {
		return decimal.Decimal{}, u.Unit.V, false
	}
	return value, u.Unit.V, true
}
