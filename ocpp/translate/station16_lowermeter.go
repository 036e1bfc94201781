package translate

import (
	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

func (t *talk) lowerMeterValues(r *v21.MeterValuesRequest) Exchange {
	t.rest(r, "evseId", "meterValue")
	t.remember(r.MeterValue, r.EVSEID, true)
	values := t.lowerMeter("meterValue", r.MeterValue, false)
	if len(values) == 0 {
		t.lost("meterValue", "no value that 1.6 could carry")
		return answered(&v21.MeterValuesResponse{}, nil, t.notes...)
	}
	return single(t, &v16.MeterValuesRequest{ConnectorID: r.EVSEID, MeterValue: values}, func(*v16.MeterValuesResponse) Outcome {
		return Outcome{Response: &v21.MeterValuesResponse{}}
	})
}

// measurands16 are the measurands of 2.1 that 1.6 has under another name.
var measurands16 = map[v21.Measurand]v16.Measurand{
	v21.MeasurandCurrentImportOffered: v16.MeasurandCurrentOffered,
	v21.MeasurandPowerImportOffered:   v16.MeasurandPowerOffered,
	v21.MeasurandDisplayPresentSoC:    v16.MeasurandSoC,
}

// lowerMeter lowers meter values. beginning leaves out the register at the beginning of a transaction, which
// StartTransaction carries.
func (t *talk) lowerMeter(path string, values []v21.MeterValue, beginning bool) []v16.MeterValue {
	var lowered []v16.MeterValue
	for i := range values {
		mv := &values[i]
		p := path + "[" + itoa(i) + "]"
		out := v16.MeterValue{Timestamp: t.time(p+".timestamp", mv.Timestamp)}
		for j := range mv.SampledValue {
			sv := &mv.SampledValue[j]
			if beginning && sv.Context.V == v21.ReadingContextTransactionBegin && sv.SignedMeterValue == nil && isRegister(sv) {
				continue
			}
			out.SampledValue = append(out.SampledValue, t.lowerSample(p+".sampledValue["+itoa(j)+"]", sv)...)
		}
		if len(out.SampledValue) > 0 {
			lowered = append(lowered, out)
		}
	}
	return lowered
}

// lowerSample gives the value and, after it, its signed data: 1.6 has them as values of their own.
func (t *talk) lowerSample(path string, sv *v21.SampledValue) []v16.SampledValue {
	m := ocpp.Opt[v16.Measurand]{}
	if sv.Measurand.OK {
		m = ocpp.Some(v16.Measurand(sv.Measurand.V))
		if to, ok := measurands16[sv.Measurand.V]; ok {
			t.emulated(path+".measurand", string(sv.Measurand.V)+" is "+string(to)+" in 1.6")
			m.V = to
		}
		if !m.V.Valid() {
			t.lost(path, "1.6 has no measurand "+string(sv.Measurand.V))
			return nil
		}
	}
	if sv.Location.V == v21.LocationUpstream {
		t.lost(path, "1.6 has no location Upstream")
		return nil
	}
	base := v16.SampledValue{
		Measurand: m,
		Context:   word(t, path+".context", sv.Context, v16.ReadingContext.Valid),
		Phase:     word(t, path+".phase", sv.Phase, v16.Phase.Valid),
		Location:  word(t, path+".location", sv.Location, v16.Location.Valid),
	}
	var out []v16.SampledValue
	if value, unit, ok := scaled(sv); !ok {
		t.lost(path+".value", "too large or too small with its multiplier")
	} else if HasReading(sv) {
		base.Unit = t.lowerUnit(path, unit)
		plain := base
		plain.Value = value.String()
		out = append(out, plain)
	}
	if s := sv.SignedMeterValue; s != nil {
		signed := base
		signed.Value, signed.Format = s.SignedMeterData, ocpp.Some(v16.ValueFormatSignedData)
		out = append(out, signed)
		t.lostSigned(path, s)
	}
	return out
}

func (t *talk) lowerUnit(path, unit string) ocpp.Opt[v16.UnitOfMeasure] {
	switch u := v16.UnitOfMeasure(unit); {
	case unit == "":
	case u.Valid():
		return ocpp.Some(u)
	default:
		t.lost(path+".unitOfMeasure.unit", "1.6 has no unit "+unit)
	}
	return ocpp.Opt[v16.UnitOfMeasure]{}
}

// lostSigned notes what stands beside signed data. The text itself is kept byte for byte.
func (t *talk) lostSigned(path string, s *v21.SignedMeterValue) {
	if s.EncodingMethod != encodingMethod(s.SignedMeterData) {
		t.lost(path+".signedMeterValue.encodingMethod", "1.6 has no place for it")
	}
	if s.SigningMethod.OK {
		t.lost(path+".signedMeterValue.signingMethod", "1.6 has no place for it")
	}
	if s.PublicKey.OK {
		t.lost(path+".signedMeterValue.publicKey", "1.6 has no place for it: the key is configured")
	}
}
