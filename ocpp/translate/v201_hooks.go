package translate

import (
	"strconv"
	"strings"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v201"
	"lumela/ocpp/v21"
)

// nothingLeft is the reason when every item of a list that must not be empty was lost.
const nothingLeft = "no item of the list can be said in the other version"

// lower201TokenType finds the type of a token in the closed list of 2.0.1. Types are compared without regard to case,
// as all identifiers are.
func lower201TokenType(t *crossing, typ string) v201.IDTokenType {
	if v := v201.IDTokenType(typ); v.Valid() {
		return v
	}
	for _, v := range v201.IDTokenTypeValues {
		if strings.EqualFold(string(v), typ) {
			return v
		}
	}
	near := v201.IDTokenTypeCentral
	switch {
	case strings.EqualFold(typ, "DirectPayment"):
		near = v201.IDTokenTypeLocal
	case strings.EqualFold(typ, "EVCCID"):
		near = v201.IDTokenTypeMacAddress
	}
	t.note(Emulated, "", "2.0.1 has no token type "+typ+": "+string(near)+" is used")
	return near
}

// lower201LimitSource finds the source of a limit in the closed list of 2.0.1.
func lower201LimitSource(t *crossing, source string) v201.ChargingLimitSource {
	if v := v201.ChargingLimitSource(source); v.Valid() {
		return v
	}
	t.note(Emulated, "", "2.0.1 has no source "+source+": Other is used")
	return v201.ChargingLimitSourceOther
}

// lower201LimitSourceExact is lower201LimitSource for a filter: another source would select other profiles.
func lower201LimitSourceExact(t *crossing, source string) v201.ChargingLimitSource {
	v := v201.ChargingLimitSource(source)
	if !v.Valid() {
		t.refuse("", "2.0.1 has no source "+source)
	}
	return v
}

// lower201ConnectorType finds the type of a connector in the closed list of 2.0.1.
func lower201ConnectorType(t *crossing, typ string) v201.Connector {
	v := v201.Connector(typ)
	if !v.Valid() {
		t.refuse("", "2.0.1 has no connector type "+typ)
	}
	return v
}

// lower201UseLocalTime keeps a schedule from running at the wrong hour.
func lower201UseLocalTime(t *crossing, in *v21.ChargingSchedule, _ *v201.ChargingSchedule) {
	if in.UseLocalTime.OK && in.UseLocalTime.V {
		t.must("useLocalTime", "2.0.1 schedules run in UTC")
	}
}

// lower201Limits gives every period the one limit that 2.0.1 has.
func lower201Limits(t *crossing, in *v21.ChargingSchedule, out *v201.ChargingSchedule) {
	for i := range in.ChargingSchedulePeriod {
		t.item("chargingSchedulePeriod", i)
		out.ChargingSchedulePeriod[i].Limit = periodLimit(t, &in.ChargingSchedulePeriod[i], in.ChargingRateUnit)
		t.out()
	}
}

// periodLimit is the limit that keeps a 2.0.1 station within what a period of 2.1 allows. OCPP 2.1 Q: the modes of
// operation say which of limit and setpoint counts.
func periodLimit(t *crossing, p *v21.ChargingSchedulePeriod, unit v21.ChargingRateUnit) decimal.Decimal {
	for _, d := range []struct {
		name string
		set  bool
	}{{"dischargeLimit", p.DischargeLimit.OK}, {"dischargeLimit_L2", p.DischargeLimitL2.OK}, {"dischargeLimit_L3", p.DischargeLimitL3.OK}} {
		if d.set {
			t.lost(d.name, "2.0.1 cannot discharge")
		}
	}
	limits := phases{p.Limit, p.LimitL2, p.LimitL3}
	setpoints := phases{p.Setpoint, p.SetpointL2, p.SetpointL3}
	switch mode := p.OperationMode.Or(v21.OperationModeChargingOnly); mode {
	case v21.OperationModeChargingOnly:
		if limits.any() {
			return limits.least(t, "limit", unit)
		}
		if setpoints.any() {
			return setpointLimit(t, setpoints, unit)
		}
		t.refuse("limit", "2.0.1 wants a limit in every period")
	case v21.OperationModeIdle:
		t.note(Emulated, "operationMode", "Idle was made a limit of 0")
	case v21.OperationModeCentralSetpoint:
		if !setpoints.any() {
			t.refuse("setpoint", "CentralSetpoint without a setpoint")
			return decimal.Decimal{}
		}
		limit := setpointLimit(t, setpoints, unit)
		if limits.any() {
			if most := limits.least(t, "limit", unit); most.Cmp(limit) < 0 {
				return most
			}
		}
		return limit
	default:
		if !t.command && limits.any() {
			t.lost("operationMode", "2.0.1 has no mode "+string(mode))
			return limits.least(t, "limit", unit)
		}
		t.refuse("operationMode", "2.0.1 has no mode "+string(mode))
	}
	return decimal.Decimal{}
}

// setpointLimit makes a limit of a setpoint for charging.
func setpointLimit(t *crossing, setpoints phases, unit v21.ChargingRateUnit) decimal.Decimal {
	limit := setpoints.least(t, "setpoint", unit)
	if limit.IsNeg() {
		t.refuse("setpoint", "2.0.1 cannot discharge")
		return decimal.Decimal{}
	}
	t.note(Emulated, "setpoint", "the setpoint was made a limit; the car may take less")
	return limit
}

// phases are the values for L1, L2 and L3. The first is for all phases when the others are absent.
type phases [3]ocpp.Opt[decimal.Decimal]

func (p phases) any() bool { return p[0].OK || p[1].OK || p[2].OK }

// least is the one value for all phases that exceeds that of none: in ampere the smallest, which counts per phase, in
// watt the smallest times the number of phases, as 2.0.1 means the sum of the phases.
func (p phases) least(t *crossing, name string, unit v21.ChargingRateUnit) decimal.Decimal {
	if !p[1].OK && !p[2].OK {
		return p[0].V
	}
	var least decimal.Decimal
	n := int64(0)
	for _, v := range p {
		if v.OK && (n == 0 || v.V.Cmp(least) < 0) {
			least = v.V
		}
		if v.OK {
			n++
		}
	}
	if unit == v21.ChargingRateUnitW {
		sum, err := least.Mul(decimal.MustNew(n, 0))
		if err != nil {
			t.refuse(name, "is out of range")
			return decimal.Decimal{}
		}
		least = sum
	}
	t.note(Emulated, name, "2.0.1 has one value for all phases: the smallest is used")
	return least
}

// lower201Tariff shows the driver the price as a text: 2.0.1 has no tariffs, but a message for the holder of the token.
func lower201Tariff(t *crossing, in *v21.AuthorizeResponse, out *v201.AuthorizeResponse) {
	switch {
	case in.Tariff == nil:
		return
	case len(in.Tariff.Description) == 0:
		t.lost("tariff", "2.0.1 has no tariffs, and this one has no description to show")
		return
	case out.IDTokenInfo.PersonalMessage != nil:
		t.lost("tariff", "2.0.1 has no tariffs, and there is another personalMessage to show")
		return
	}
	text := &in.Tariff.Description[0]
	for i := range in.Tariff.Description {
		if d := &in.Tariff.Description[i]; d.Language.OK && d.Language == in.IDTokenInfo.Language1 {
			text = d
			break
		}
	}
	out.IDTokenInfo.PersonalMessage = new(v201.MessageContent)
	t.in("tariff")
	t.in("description")
	lower201MessageContent(t, text, out.IDTokenInfo.PersonalMessage)
	t.out()
	t.out()
	t.note(Emulated, "tariff", "the description is shown as idTokenInfo.personalMessage")
}

// lower201RequestID tells that rememberSigning keeps the number.
func lower201RequestID(t *crossing, in *v21.SignCertificateRequest, _ *v201.SignCertificateRequest) {
	if in.RequestID.OK {
		t.note(Emulated, "requestId", "kept here, and given back in the CertificateSigned for the same certificateType")
	}
}

// rememberSigning keeps the number of a signing request of a 2.1 station for the certificate that answers it: 2.0.1 has
// no place for it. OCPP 2.1 A02: CertificateSigned carries the requestId of SignCertificate.
func rememberSigning(d *Dialogue, r *v21.SignCertificateRequest) {
	if d == nil || d.State == nil {
		return
	}
	value := ""
	if r.RequestID.OK {
		value = strconv.Itoa(r.RequestID.V)
	}
	d.State.Put(signingKey(r.CertificateType), value)
}

// recallSigning puts the number back.
func recallSigning(d *Dialogue, r *v21.CertificateSignedRequest) {
	if d == nil || d.State == nil || r.RequestID.OK {
		return
	}
	key := signingKey(r.CertificateType)
	n, err := strconv.Atoi(d.State.Get(key))
	if err != nil {
		return // the station gave no number
	}
	r.RequestID = ocpp.Some(n)
	d.State.Put(key, "")
}

func signingKey(use ocpp.Opt[v21.CertificateSigningUse]) string {
	return "signing201." + string(use.Or(v21.CertificateSigningUseChargingStationCertificate))
}
