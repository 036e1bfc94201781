package session_test

import (
	"slices"
	"testing"
	"time"

	"lumela/ocpp/v21"
)

// clock sets a message's own time, and that of its samples, to seconds after noon; it still comes when it came.
func clock(seconds int) func(*message) {
	return func(m *message) { setTime(m, noon.Add(time.Duration(seconds)*time.Second)) }
}

func setTime(m *message, at time.Time) {
	m.request.Timestamp = at
	m.request.MeterValue = slices.Clone(m.request.MeterValue)
	for i := range m.request.MeterValue {
		m.request.MeterValue[i].Timestamp = at
	}
}

// in sets the year of a message's time.
func in(year int) func(*message) {
	return func(m *message) { setTime(m, m.request.Timestamp.AddDate(year-m.request.Timestamp.Year(), 0, 0)) }
}

// odd is a story that comes to the same whether the station numbers its messages or not; wants that differ are given.
type odd struct {
	name   string
	says   []message
	want   []string
	want16 []string // nil: as want
	only   string   // "16" or "2": the story makes no sense for the others
}

func (o odd) stories() []story {
	var out []story
	if o.only != "16" {
		out = append(out, story{o.name + ", numbered", o.says, o.want})
	}
	if o.only != "2" {
		says := slices.Clone(o.says)
		for i := range says {
			v16(&says[i])
		}
		want := o.want
		if o.want16 != nil {
			want = o.want16
		}
		out = append(out, story{o.name + ", not numbered", says, want})
	}
	return out
}

// TestOddities: every odd thing is stored, and flagged.
func TestOddities(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		for _, o := range slices.Concat(oddMeters(), oddClocks(), oddIdentities()) {
			tell(t, b, o.stories())
		}
	})
}

// minutes later, with a reading in Wh.
func at2(minutes, n int, wh string) message { return update(60*minutes, n, "T", reads(wh)) }

func ends(minutes, n int, wh ...string) message { return end(60*minutes, n, "T", reads(wh...)) }

func oddMeters() []odd {
	begins := func(wh string) message { return start(0, "T", reads(wh)) }
	one := func(what string) []string { return []string{"T ended evse 1 CARD +0..+3600 " + what} }
	power := func(w string) func(*message) { return reads("1000", w+" power") }
	return []odd{
		{name: "stands at zero", says: []message{begins("0"), at2(30, 1, "0"), ends(60, 2, "0")}, want: one("0 Wh !meter-zero")},
		{name: "delivers nothing", says: []message{begins("500"), ends(60, 1, "500")}, want: one("0 Wh")},
		{name: "says nothing", says: []message{begins("0"), ends(60, 1)}, want: one("0 Wh")},
		{name: "goes down", says: []message{begins("90000"), at2(30, 1, "95000"), ends(60, 2, "91000")}, want: one("1000 Wh !meter-backwards")},
		{name: "goes down at the end", says: []message{begins("90000"), at2(30, 1, "95000"), ends(60, 2, "0")}, want: one("0 Wh !meter-backwards")},
		{name: "one reading is a slip of the meter", says: []message{begins("1000"), at2(20, 1, "9000"), at2(40, 2, "1600"), ends(60, 3, "1700")},
			want: one("700 Wh !meter-backwards")},
		{name: "begins again in the middle", says: []message{begins("90000"), at2(20, 1, "95000"), at2(40, 2, "10"), ends(60, 3, "3010")},
			want: one("8000 Wh !meter-restarted")},
		{name: "begins again twice", says: []message{begins("90000"), at2(20, 1, "10"), at2(30, 2, "500"), at2(40, 3, "5"), ends(60, 4, "700")},
			want: one("0 Wh !meter-backwards")},
		{name: "the odometer's start is missing", says: []message{begins("0"), ends(60, 1, "910031000")}, want: one("910031000 Wh !meter-odometer")},
		{name: "the odometer's start is missing, and then it counts", says: []message{begins("0"), at2(30, 1, "910031000"), ends(60, 2, "910031083")},
			want: one("910031083 Wh !meter-odometer")},
		{name: "a session's own meter begins at zero", says: []message{begins("0"), at2(30, 1, "11000"), ends(60, 2, "22000")}, want: one("22000 Wh")},
		{name: "kWh are given for Wh at the end", says: []message{begins("5000000"), at2(30, 1, "5005000"), ends(60, 2, "5010")},
			want: one("0 Wh !meter-units")},
		{name: "kWh are given for Wh at the start", says: []message{begins("5000"), at2(30, 1, "5005000"), ends(60, 2, "5010000")},
			want: one("5005000 Wh !meter-units")},
		{name: "kWh are given for Wh in between", says: []message{begins("5000000"), at2(30, 1, "5005"), ends(60, 2, "5010000")},
			want: one("10000 Wh !meter-units")},
		{name: "more than any EVSE delivers", says: []message{begins("1000"), ends(60, 1, "3001000")}, want: one("3000000 Wh !energy-implausible")},
		{name: "as much as the greatest EVSE delivers", says: []message{begins("1000"), ends(60, 1, "1501000")}, want: one("1500000 Wh")},
		{name: "more than its power allows", says: []message{begins("1000"), update(900, 1, "T", power("7000")), update(1800, 2, "T", power("7100")),
			update(2700, 3, "T", power("6900")), ends(60, 4, "101000")}, want: one("100000 Wh !energy-implausible")},
		{name: "transaction data repeat what was told before", says: []message{begins("1000"), at2(20, 1, "2000"), at2(40, 2, "3000"),
			end(3600, 3, "T", func(m *message) {
				m.request.MeterValue = []v21.MeterValue{values(0, "1000 begin"), values(20*60, "2000"), values(40*60, "3000"), values(3600, "4000 end")}
			})}, want: one("3000 Wh")},
	}
}

func values(seconds int, samples ...string) v21.MeterValue {
	m := update(seconds, 0, "", reads(samples...))
	return m.request.MeterValue[0]
}

func oddClocks() []odd {
	ten := func(how func(*message)) []message {
		says := []message{start(0, "T"), update(600, 1, "T", reads("1100")), end(1200, 2, "T", reads("1600"))}
		for i := range says {
			how(&says[i])
		}
		return says
	}
	shift := func(seconds int) func(*message) {
		return func(m *message) { setTime(m, m.request.Timestamp.Add(time.Duration(seconds)*time.Second)) }
	}
	kept := func(m *message) { m.received = noon.Add(2*time.Hour + time.Duration(m.request.SeqNo)*time.Second) }
	return []odd{
		{name: "right", says: ten(shift(-20)), want: []string{"T ended evse 1 CARD -20..+1180 600 Wh"}},
		{name: "1970", says: ten(in(1970)), want: []string{"T ended evse 1 CARD 1970-03-01..1970-03-01 600 Wh !clock-unset"}},
		{name: "2000", says: ten(in(2000)), want: []string{"T ended evse 1 CARD 2000-03-01..2000-03-01 600 Wh !clock-unset"}},
		{name: "the end of time", says: ten(in(9999)), want: []string{"T ended evse 1 CARD 9999-03-01..9999-03-01 600 Wh !clock-unset"}},
		{name: "a day ahead", says: ten(shift(86400)), want: []string{"T ended evse 1 CARD 2026-03-02..2026-03-02 600 Wh !clock-difference"}},
		{name: "two hours ahead", says: ten(shift(7200)), want: []string{"T ended evse 1 CARD +7200..+8400 600 Wh !clock-local-time"}},
		{name: "five hours behind", says: ten(shift(-5 * 3600)), want: []string{"T ended evse 1 CARD -18000..-16800 600 Wh !clock-local-time"}},
		{name: "five hours and three quarters ahead", says: ten(shift(5*3600 + 45*60)), want: []string{"T ended evse 1 CARD +20700..+21900 600 Wh !clock-local-time"}},
		{name: "ten minutes ahead", says: ten(shift(600)), want: []string{"T ended evse 1 CARD +600..+1800 600 Wh !clock-difference"}},
		{name: "ten minutes behind", says: ten(shift(-600)), want: []string{"T ended evse 1 CARD -600..+600 600 Wh !clock-difference"}},
		{name: "told two hours later is no wrong clock", says: ten(kept), want: []string{"T ended evse 1 CARD +0..+1200 600 Wh"}},
		{name: "ends before it starts", says: []message{start(0, "T"), end(30, 1, "T", clock(-120), reads("1600"))},
			want: []string{"T ended evse 1 CARD +0..-120 600 Wh !ends-before-start"}},
		{name: "eight days", says: []message{start(0, "T"), end(8*86400, 1, "T", reads("1600"))},
			want: []string{"T ended evse 1 CARD +0..2026-03-09 600 Wh !too-long"}},
	}
}

func oddIdentities() []odd {
	return []odd{
		{name: "start without stop", says: []message{start(0, "A"), update(600, 1, "A", reads("1500")), start(1200, "B")},
			want: []string{"A ended evse 1 CARD +0..+600 500 Wh !end-unknown", "B active evse 1 CARD +1200..… 0 Wh"}},
		{name: "stop without start", says: []message{end(600, 1, "LOST", on(1), reads("1500"))},
			want: []string{"LOST ended evse 1 nobody +600..+600 0 Wh !start-unknown"}},
		{name: "an unknown tag", says: []message{start(0, "T", refused("the token is not known")), end(600, 1, "T", reads("1500"))},
			want: []string{"T ended evse 1 CARD +0..+600 500 Wh !token-refused"}},
		{name: "stops with different values", says: []message{start(0, "T"), end(600, 1, "T", reads("1500")), end(600, 1, "T", reads("1700"))},
			want: []string{"T ended evse 1 CARD +0..+600 500 Wh !conflict"}},
		{name: "two at once", says: []message{start(0, "A"), start(600, "B", reads("2000")), end(900, 1, "B", reads("2500")), end(1200, 1, "A", reads("1600"))},
			want: []string{"A ended evse 1 CARD +0..+1200 600 Wh !overlapping", "B ended evse 1 CARD +600..+900 500 Wh !overlapping"}},
		{name: "one after the other, told the wrong way round", says: []message{start(600, "B", reads("2000")), end(900, 1, "B", reads("2500")),
			start(0, "A"), end(590, 1, "A", reads("1600"))},
			want: []string{"A ended evse 1 CARD +0..+590 600 Wh", "B ended evse 1 CARD +600..+900 500 Wh"}},
		{name: "a gap", only: "2", says: []message{start(0, "T"), end(600, 3, "T", reads("1500"))},
			want: []string{"T ended evse 1 CARD +0..+600 500 Wh !sequence-gap"}},
	}
}
