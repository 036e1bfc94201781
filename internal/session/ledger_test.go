package session_test

import (
	"testing"
	"time"

	"lumela/ocpp/v21"
)

// TestEnergy: what a session delivered is exact, however the meter says it.
func TestEnergy(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		meter := func(name, want string, first, last []string, flags string) story {
			return story{name, []message{start(0, "T", reads(first...)), end(60, 1, "T", reads(last...))},
				[]string{"T ended evse 1 CARD +0..+60 " + want + flags}}
		}
		tell(t, b, []story{
			meter("Wh", "12345 Wh", []string{"1000"}, []string{"13345"}, ""),
			meter("kWh", "12345 Wh", []string{"1 kWh"}, []string{"13.345 kWh"}, ""),
			meter("one in kWh, one in Wh", "12345 Wh", []string{"1 kWh"}, []string{"13345 Wh"}, ""),
			meter("multiplier", "12000 Wh", []string{"1 Wh x10^3"}, []string{"130 Wh x10^2"}, ""),
			meter("multiplier and kilo", "5000 Wh", []string{"1 kWh x10^-1"}, []string{"0.51 kWh x10^1"}, ""),
			meter("mWh that round down", "1 Wh", []string{"0.0004 kWh"}, []string{"0.0018 kWh"}, ""),
			meter("mWh that round up", "2 Wh", []string{"0.0004 kWh"}, []string{"0.0019 kWh"}, ""),
			meter("no float in between", "0 Wh", []string{"0.1 Wh"}, []string{"0.3 Wh"}, ""),
			meter("big registers", "1 Wh", []string{"9007199254740.991 kWh"}, []string{"9007199254740.992 kWh"}, ""),
			meter("phases are summed", "600 Wh", []string{"100 L1", "200 L2", "300 L3"}, []string{"200 L1", "400 L2", "600 L3"}, ""),
			meter("a sum beside the phases wins", "600 Wh", []string{"10 L1", "1000"}, []string{"1600", "20 L1"}, ""),
			meter("neutral and line-to-line are no parts of the sum", "600 Wh", []string{"100 L1", "77 N"}, []string{"700 L1", "99 L1-L2"}, ""),
			meter("the outlet counts, not the inlet", "600 Wh", []string{"5 inlet", "100"}, []string{"9999 inlet", "700"}, ""),
			meter("the inlet when there is no outlet", "600 Wh", []string{"100 inlet"}, []string{"700 inlet"}, ""),
			meter("other measurands do not count", "600 Wh", []string{"5 exported", "100"}, []string{"9 power", "99 exported", "700"}, ""),
			meter("a sample without a reading is none", "600 Wh", []string{"0 none", "100"}, []string{"0 none", "700"}, ""),
			meter("only samples without a reading", "0 Wh", []string{"0 none"}, []string{"0 none"}, " !meter-unknown"),
			meter("no register", "0 Wh", nil, []string{"7000 power"}, " !meter-unknown"),
			meter("only an end", "0 Wh", nil, []string{"7000"}, ""),
			meter("backwards", "0 Wh", []string{"1000"}, []string{"900"}, " !meter-backwards"),
			meter("a multiplier beyond all numbers", "0 Wh", []string{"100"}, []string{"0 Wh x10^2000000000"}, ""),
			meter("a multiplier below all numbers", "0 Wh", []string{"100"}, []string{"0 Wh x10^-2000000000"}, ""),
			meter("a number beyond all registers", "0 Wh", []string{"100"}, []string{"9999999999999999999 kWh"}, ""),
		})
	})
}

// TestStories: from the first message to the final reading, in all the ways in which stations tell it.
func TestStories(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		tell(t, b, orders())
		tell(t, b, identities())
		tell(t, b, oddities())
	})
}

// orders are stories of messages that come in another order than they should.
func orders() []story {
	var (
		first  = start(0, "T")
		second = update(10, 1, "T", reads("1500", "7000 power", "40 soc"), charging(v21.ChargingStateCharging))
		third  = update(20, 2, "T", reads("2000", "6000 power", "41 soc"), charging(v21.ChargingStateSuspendedEV))
		last   = end(30, 3, "T", reads("2500", "42 soc"))
		all    = []string{"T ended evse 1 CARD +0..+30 1500 Wh 42 %"}
	)
	return []story{
		{"in order", []message{first, second, third, last}, all},
		{"the start alone", []message{first}, []string{"T active evse 1 CARD +0..… 0 Wh"}},
		{"while it runs", []message{first, second}, []string{"T active evse 1 CARD +0..… 500 Wh Charging 7000 W 40 %"}},
		{"updates the wrong way round", []message{first, third, second}, []string{"T active evse 1 CARD +0..… 1000 Wh SuspendedEV 6000 W 41 %"}},
		{"updates before the start", []message{second, third, first, last}, all},
		{"only updates", []message{third, second}, []string{"T active evse 0 nobody +10..… 500 Wh SuspendedEV 6000 W 41 % !start-unknown"}},
		{"end before updates", []message{first, last, third, second}, all},
		{"late start after the end", []message{second, third, last, first}, all},
		{"only an end", []message{last}, []string{"T ended evse 0 nobody +30..+30 0 Wh 42 % !start-unknown"}},
		{"end, then start", []message{last, first}, []string{"T ended evse 1 CARD +0..+30 1500 Wh 42 % !sequence-gap"}},
		{"backwards from end to start", []message{last, third, second, first}, all},
		{"an end without a reading", []message{first, update(10, 1, "T", reads("1500")), update(11, 2, "T", reads("1700 L1", "40 soc")), end(30, 3, "T")},
			[]string{"T ended evse 1 CARD +0..+30 700 Wh 40 %"}},
		{"a gap", []message{first, third, last}, []string{"T ended evse 1 CARD +0..+30 1500 Wh 42 % !sequence-gap"}},
		{"a gap that is closed later", []message{first, third, last, second}, all},
		{"sequence numbers need not begin with 0", []message{
			at(0, v21.TransactionEventTypeStarted, 4711, "T", on(1), by("CARD"), reads("1000")), end(30, 4712, "T", reads("2500"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh"}},
		{"two messages of one second", []message{first, second, update(10, 2, "T", charging(v21.ChargingStateSuspendedEVSE)), end(30, 3, "T", reads("2500"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh 40 %"}},
		{"the latest of one second counts", []message{first, update(10, 2, "T", charging(v21.ChargingStateSuspendedEVSE)),
			update(10, 1, "T", charging(v21.ChargingStateCharging))}, []string{"T active evse 1 CARD +0..… 0 Wh SuspendedEVSE"}},
		{"a late start without a reading", []message{second, last, third, start(0, "T", reads())},
			[]string{"T ended evse 1 CARD +0..+30 1000 Wh 42 %"}},
		{"a reading comes after an end without one", []message{first, end(30, 2, "T"), second}, []string{"T ended evse 1 CARD +0..+30 500 Wh 40 %"}},
		{"the only reading comes after the end", []message{start(0, "T", reads()), end(30, 2, "T"), second},
			[]string{"T ended evse 1 CARD +0..+30 0 Wh 40 %"}},
		{"samples from before the start do not count", []message{first, update(10, 1, "T", readsAt(-15*time.Second, "900")), end(30, 2, "T", reads("2500"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh"}},
		{"samples from after the end do not count", []message{first, end(30, 1, "T", reads("2500")), update(40, 2, "T", reads("2600"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh"}},
		{"samples from after the end that came before it do not count", []message{first, update(40, 2, "T", reads("2600")), end(30, 1, "T", reads("2500"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh"}},
		{"a reading that contradicts later ones", []message{first, third, second, update(15, 5, "T", reads("9000"))},
			[]string{"T active evse 1 CARD +0..… 1000 Wh SuspendedEV 6000 W 41 % !meter-backwards"}},
	}
}

// identities are stories of which transaction a message belongs to.
func identities() []story {
	return []story{
		{"two starts of one moment for one id", []message{start(0, "T"), start(0, "T", by("OTHER")), end(30, 1, "T", reads("2500"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh !conflict"}},
		{"two ends for one id", []message{start(0, "T"), end(30, 1, "T", reads("2500")), end(40, 2, "T", reads("9000"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh !conflict"}},
		{"one place in the sequence, two contents", []message{start(0, "T"), update(10, 1, "T", reads("1500")), update(11, 1, "T", reads("1600"))},
			[]string{"T active evse 1 CARD +0..… 600 Wh !conflict"}},
		{"an id is used again after the end", []message{
			start(0, "T"), end(30, 1, "T", reads("2500")), start(100, "T", reads("2500")), end(130, 1, "T", reads("2600"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh", "T ended evse 1 CARD +100..+130 100 Wh !id-reused"}},
		{"an id is used again while it runs", []message{
			start(0, "T"), update(10, 1, "T", reads("1500")), start(100, "T", reads("1700")), end(130, 1, "T", reads("2600"))},
			[]string{"T ended evse 1 CARD +0..+10 500 Wh !end-unknown", "T ended evse 1 CARD +100..+130 900 Wh !id-reused"}},
		{"the end of the first use comes after the second start", []message{
			start(0, "T"), start(100, "T", reads("1700")), end(30, 1, "T", reads("1600")), end(130, 1, "T", reads("2600"))},
			[]string{"T ended evse 1 CARD +0..+30 600 Wh", "T ended evse 1 CARD +100..+130 900 Wh !id-reused"}},
		{"an id whose start never came is used again", []message{
			end(30, 1, "T", reads("1600")), start(100, "T", reads("1700")), end(130, 1, "T", reads("2600"))},
			[]string{"T ended evse 0 nobody +30..+30 0 Wh !start-unknown", "T ended evse 1 CARD +100..+130 900 Wh !id-reused"}},
		{"three uses of an id", []message{start(0, "T"), end(30, 1, "T", reads("2500")), start(100, "T"), start(200, "T")},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh", "T ended evse 1 CARD +100..+100 0 Wh !id-reused !end-unknown",
				"T active evse 1 CARD +200..… 0 Wh !id-reused"}},
		{"another transaction begins on the EVSE", []message{start(0, "A"), update(10, 1, "A", reads("1500")), start(100, "B")},
			[]string{"A ended evse 1 CARD +0..+10 500 Wh !end-unknown", "B active evse 1 CARD +100..… 0 Wh"}},
		{"and what the old one still says moves its end", []message{start(0, "A"), start(100, "B"), update(50, 1, "A", reads("1700"))},
			[]string{"A ended evse 1 CARD +0..+50 700 Wh !end-unknown", "B active evse 1 CARD +100..… 0 Wh"}},
		{"and the true end of the old one comes later", []message{
			start(0, "A"), update(10, 1, "A", reads("1500")), start(100, "B"), end(90, 2, "A", reads("1900"))},
			[]string{"A ended evse 1 CARD +0..+90 900 Wh", "B active evse 1 CARD +100..… 0 Wh"}},
		{"another EVSE is another matter", []message{start(0, "A"), start(100, "B", on(2))},
			[]string{"A active evse 1 CARD +0..… 0 Wh", "B active evse 2 CARD +100..… 0 Wh"}},
		{"a late start ends nothing that began after it", []message{start(100, "B"), start(0, "A")},
			[]string{"A active evse 1 CARD +0..… 0 Wh", "B active evse 1 CARD +100..… 0 Wh"}},
		{"of two messages of one second the later one is not undone by a repetition", []message{start(0, "17", v16),
			update(10, 1, "17", v16, charging(v21.ChargingStateCharging)), update(10, 2, "17", v16, charging(v21.ChargingStateSuspendedEV))},
			[]string{"17 active evse 1 CARD +0..… 0 Wh SuspendedEV"}},
		{"a token that is refused when the start is repeated was accepted", []message{start(0, "T"), start(0, "T", refused("the token is blocked"))},
			[]string{"T active evse 1 CARD +0..… 0 Wh"}},
		{"stop -1 finds the one that runs", []message{start(0, "17", v16), end(30, 0, "-1", v16, reads("1600"))},
			[]string{"17 ended evse 1 CARD +0..+30 600 Wh !matched-by-place"}},
		{"stop 0 finds the one that runs", []message{start(0, "17", v16), update(10, 0, "17", v16, reads("1100")), end(30, 0, "0", v16, by("card"), reads("1600"))},
			[]string{"17 ended evse 1 CARD +0..+30 600 Wh !matched-by-place"}},
		{"stop -1 finds the one of its token", []message{
			start(0, "17", v16), start(0, "18", v16, on(2), by("OTHER")), end(30, 0, "-1", v16, by("OTHER"), reads("1600"))},
			[]string{"17 active evse 1 CARD +0..… 0 Wh", "18 ended evse 2 OTHER +0..+30 600 Wh !matched-by-place"}},
		{"stop -1 that fits two is kept apart", []message{start(0, "17", v16), start(0, "18", v16, on(2)), end(30, 0, "-1", v16, reads("1600"))},
			[]string{"17 active evse 1 CARD +0..… 0 Wh", "18 active evse 2 CARD +0..… 0 Wh", "-1 ended evse 0 nobody +30..+30 0 Wh !start-unknown"}},
		{"stop -1 of another token is kept apart", []message{start(0, "17", v16), end(30, 0, "-1", v16, by("OTHER"), reads("1600"))},
			[]string{"17 active evse 1 CARD +0..… 0 Wh", "-1 ended evse 0 OTHER +30..+30 0 Wh !start-unknown"}},
		{"a stop -1 that was kept apart does not take the next", []message{
			end(0, 0, "-1", v16, reads("900")), start(10, "17", v16), end(30, 0, "-1", v16, reads("1600"))},
			[]string{"-1 ended evse 0 nobody +0..+0 0 Wh !start-unknown", "17 ended evse 1 CARD +10..+30 600 Wh !matched-by-place"}},
		{"the id 0 of a station that names its transactions is one like others", []message{start(0, "A"), start(10, "0", on(2)), end(30, 1, "0", reads("1600"))},
			[]string{"A active evse 1 CARD +0..… 0 Wh", "0 ended evse 2 CARD +10..+30 600 Wh"}},
	}
}

// oddities are stories of clocks, tokens and lost connections.
func oddities() []story {
	return []story{
		{"nobody's session", []message{start(0, "T", by(""))}, []string{"T active evse 1 nobody +0..… 0 Wh"}},
		{"free vending", []message{start(0, "T", func(m *message) { m.request.IDToken = &v21.IDToken{Type: "NoAuthorization"} })},
			[]string{"T active evse 1 nobody +0..… 0 Wh"}},
		{"the token comes later", []message{start(0, "T", by("")), update(10, 1, "T", by("CARD"))}, []string{"T active evse 1 CARD +0..… 0 Wh"}},
		{"a refused token", []message{start(0, "T", refused("the token is blocked")), end(30, 1, "T", reads("1600"))},
			[]string{"T ended evse 1 CARD +0..+30 600 Wh !token-refused"}},
		{"stopped by a card of the same group", []message{start(0, "T"), end(30, 1, "T", by("GROUP"), reads("1600"))},
			[]string{"T ended evse 1 CARD +0..+30 600 Wh"}},
		{"stopped by a card of the same group, end first", []message{end(30, 1, "T", by("GROUP"), reads("1600")), start(0, "T")},
			[]string{"T ended evse 1 CARD +0..+30 600 Wh"}},
		{"offline, told afterwards", []message{
			start(0, "T", offline, received(9000)), update(10, 1, "T", offline, received(9001), reads("1500", "7000 power")), end(30, 2, "T", offline, received(9002), reads("2500"))},
			[]string{"T ended evse 1 CARD +0..+30 1500 Wh"}},
		{"the power of an hour ago is not the present one", []message{
			start(0, "T", offline, received(9000)), update(10, 1, "T", offline, received(9001), reads("1500", "7000 power"))},
			[]string{"T active evse 1 CARD +0..… 500 Wh"}},
		{"sent again as offline", []message{start(0, "T"), update(10, 1, "T", reads("1500")), update(10, 1, "T", offline, reads("1500")), end(30, 2, "T", reads("1600"))},
			[]string{"T ended evse 1 CARD +0..+30 600 Wh"}},
		{"ten minutes ahead", []message{start(0, "T", received(-600)), end(30, 1, "T", received(-570), reads("1600"))},
			[]string{"T ended evse 1 CARD +0..+30 600 Wh !clock-difference"}},
		{"four minutes ahead", []message{start(0, "T", received(-240))}, []string{"T active evse 1 CARD +0..… 0 Wh"}},
		{"a clock that begins in 1970", []message{
			start(0, "T", func(m *message) { m.request.Timestamp = time.Unix(60, 0); reads("1000")(m) }), update(10, 1, "T", reads("1500")), end(30, 2, "T", reads("1600"))},
			[]string{"T ended evse 1 CARD 1970-01-01..+30 600 Wh !clock-unset !too-long"}},
		{"two hours ahead, then put right", []message{
			start(7200, "T", received(0)), update(10, 1, "T", reads("1500"), charging(v21.ChargingStateCharging)), end(30, 2, "T", reads("1600"))},
			[]string{"T ended evse 1 CARD +7200..+30 600 Wh !clock-local-time !ends-before-start"}},
		{"the translation forgot what it had added", []message{
			start(0, "17", v16, charging(v21.ChargingStateEVConnected)), start(0, "17", v16, func(m *message) { m.request.SeqNo = 5 }),
			end(30, 9, "17", v16, on(1), reads("1600")), end(30, 1<<30, "17", v16, reads("1600"))},
			[]string{"17 ended evse 1 CARD +0..+30 600 Wh"}},
	}
}

// TestStationsApart: one station cannot touch the session of another by its id.
func TestStationsApart(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		l := b.open()
		apply(t, l, "A", start(0, "T"))
		apply(t, l, "B", update(10, 1, "T", reads("9000")))
		apply(t, l, "B", end(20, 2, "T", reads("9999")))
		apply(t, l, "A", end(30, 1, "T", reads("1600")))
		for id, want := range map[string]string{"A": "T ended evse 1 CARD +0..+30 600 Wh", "B": "T ended evse 0 nobody +10..+20 999 Wh !start-unknown"} {
			if got := lines(sessions(t, b.open(), stationID(id))); len(got) != 1 || got[0] != want {
				t.Errorf("station %s: %q, want %q", id, got, want)
			}
		}
	})
}
