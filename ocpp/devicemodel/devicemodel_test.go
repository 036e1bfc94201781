package devicemodel

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyKey draws standard keys in any case, keys that look like standard ones,
// and vendors' keys.
func anyKey() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		spec := string(table[rapid.IntRange(0, len(table)-1).Draw(t, "spec")].Key)
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return spec
		case 1:
			return strings.ToUpper(spec)
		case 2:
			return indexed + rapid.StringMatching(`[0-9]{1,4}`).Draw(t, "n")
		case 3:
			return rapid.StringMatching(`[ -~]{1,50}`).Draw(t, "ascii")
		default:
			return rapid.StringN(1, MaxName, -1).Draw(t, "any")
		}
	})
}

func anyValue() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, MaxKeyValue, -1),
		rapid.SampledFrom([]string{"", "true", "True", "0", "3", "-1", "007", "99999999999999999999", "Core,SmartCharging,RemoteTrigger",
			"Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger", "Voltage.L1,Voltage.L2 , SoC,Temperature", "0.RST, 1.RST,2.RTS",
			"1.RST,1.RTS", "2.NotApplicable,1.RST", "Current,Power", "current", "A", `{"priceText":"0.40/kWh","chargingPrice":{"kWhPrice":0.4}}`, `{"priceText":1}`, "{"}),
		rapid.StringMatching(`([0-9]{1,3}\.(RST|Unknown|x)?,?){0,6}`),
		rapid.StringMatching(`((Voltage|SoC|RPM|Energy.Active.Import.Register)(\.L[12](-N)?)?,? ?){0,6}`),
	)
}

func TestKeyNamesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := anyKey().Draw(t, "key")
		target, ok := FromKey(key)
		if !ok {
			t.Fatalf("FromKey(%q) is false", key)
		}
		if n := utf8.RuneCountInString(target.Variable.Name); n > MaxName {
			t.Fatalf("variable name of %d characters", n)
		}
		back, ok := target.Key()
		if !ok || !back.Equal(Key(key)) {
			t.Fatalf("%q is %v.%v, which is %q", key, target.Component, target.Variable, back)
		}
		// The two languages share a variable; ToKey prefers the key of its value.
		if plain, ok := ToKey(target.Component, target.Variable); !ok || plain != back && !back.Equal("SupportedLanguages") {
			t.Fatalf("ToKey gives %q for %q", plain, key)
		}
		if _, standard := Spec(key); !standard && string(back) != key {
			t.Fatalf("vendor key %q came back as %q", key, back)
		}
	})
}

func TestValuesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, value := anyKey().Draw(t, "key"), anyValue().Draw(t, "value")
		lifted, err := Lift(key, value)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := Lower(lifted)
		if err != nil {
			t.Fatalf("Lower(%v): %v", lifted, err)
		}
		if diff := cmp.Diff([]KeyValue{{Key(key), value}}, keys); diff != "" {
			t.Fatalf("through %v (-want +got):\n%s", lifted, diff)
		}
	})
}

// Many keys at once do not disturb each other.
func TestConfigurationsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var want []KeyValue
		var lifted []Value
		for _, key := range rapid.SliceOfNDistinct(anyKey(), 0, 8, fold).Draw(t, "keys") {
			value := anyValue().Draw(t, "value")
			values, err := Lift(key, value)
			if err != nil {
				t.Fatal(err)
			}
			want, lifted = append(want, KeyValue{Key(key), value}), append(lifted, values...)
		}
		got, err := Lower(lifted)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// Nothing that a station or an operator says makes the package panic.
func TestTotal(t *testing.T) {
	t.Parallel()
	names := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"Connector", "ElectricalFeed", "FiscalMetering", LegacyComponent, "Available", "PhaseRotation", "PublicKey", "TariffCostCtrlr", "TariffFallbackMessage"}))
	rapid.Check(t, func(t *rapid.T) {
		var values []Value
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			values = append(values, Value{
				Component: Component{names.Draw(t, "component"), rapid.SampledFrom([]string{"", "x"}).Draw(t, "instance"), rapid.Int().Draw(t, "evse"), rapid.IntRange(-1, 3).Draw(t, "connector")},
				Variable:  Variable{Name: names.Draw(t, "variable")},
				Facet:     Facet(rapid.IntRange(-1, 3).Draw(t, "facet")),
				Value:     rapid.String().Draw(t, "value"),
			})
		}
		keys, err := Lower(values)
		if len(values) > 0 && len(keys) == 0 && err == nil {
			t.Fatalf("%v vanished", values)
		}
		for _, v := range values {
			ToKey(v.Component, v.Variable)
			FromKey(v.Value)
		}
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", strings.Repeat("k", 51)} {
		if _, ok := FromKey(key); ok {
			t.Errorf("FromKey accepts %q", key)
		}
		if _, err := Lift(key, "1"); !errors.Is(err, ErrName) {
			t.Errorf("Lift(%q): %v", key, err)
		}
		if _, ok := ToKey(Component{Name: LegacyComponent}, Variable{Name: key}); ok {
			t.Errorf("ToKey accepts %q", key)
		}
	}
	if _, err := Lift("VendorKey", strings.Repeat("é", 2500)); err != nil {
		t.Errorf("2500 characters: %v", err)
	}
	if _, err := Lift("VendorKey", strings.Repeat("é", 2501)); !errors.Is(err, ErrTooLong) {
		t.Errorf("2501 characters: %v", err)
	}
	values := []Value{raw("VendorKey", strings.Repeat("é", 501)), raw("Other", strings.Repeat("é", 500))}
	keys, err := Lower(values)
	var at *ValueError
	if !errors.Is(err, ErrTooLong) || !errors.As(err, &at) || at.Value != values[0] || len(keys) != 1 {
		t.Errorf("501 characters: %v, %v", keys, err)
	}
}

func value(component, variable, text string) Value {
	return Value{Component: Component{Name: component}, Variable: Variable{Name: variable}, Value: text}
}

func connector(evse, number int, variable, text string) Value {
	return Value{Component: Component{Name: "Connector", EVSE: evse, Connector: number}, Variable: Variable{Name: variable}, Value: text}
}

func TestLift(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, key, value string
		want             []Value
	}{
		{"as it is", "HeartbeatInterval", "300", []Value{value("OCPPCommCtrlr", "HeartbeatInterval", "300")}},
		{"another spelling is remembered", "WebsocketPingInterval", "30", []Value{value("OCPPCommCtrlr", "WebSocketPingInterval", "30"), raw("WebsocketPingInterval", "30")}},
		{"booleans in lower case", "LocalAuthListEnabled", "TRUE", []Value{value("LocalAuthListCtrlr", "Enabled", "true"), raw("LocalAuthListEnabled", "TRUE")}},
		{"nonsense passes", "LocalAuthListEnabled", "yes", []Value{value("LocalAuthListCtrlr", "Enabled", "yes")}},
		{"a vendor's key", "Vendor.Key, 2", "x", []Value{raw("Vendor.Key, 2", "x")}},
		{"no counterpart", "BlinkRepeat", "3", []Value{raw("BlinkRepeat", "3")}},
		{"measurands", "MeterValuesSampledData", "Energy.Active.Import.Register,SoC", []Value{value("SampledDataCtrlr", "TxUpdatedMeasurands", "Energy.Active.Import.Register,SoC")}},
		{"measurands that 2.1 does not have", "StopTxnSampledData", "Voltage.L1, Voltage.L1-N,Temperature,Power.Factor", []Value{
			value("SampledDataCtrlr", "TxEndedMeasurands", "Voltage,Power.Factor"), raw("StopTxnSampledData", "Voltage.L1, Voltage.L1-N,Temperature,Power.Factor")}},
		{"an interval of two uses", "MeterValueSampleInterval", "60", []Value{value("SampledDataCtrlr", "TxUpdatedInterval", "60"), value("SampledDataCtrlr", "TxEndedInterval", "60")}},
		{"rate units", "ChargingScheduleAllowedChargingRateUnit", "Current,Power", []Value{value("SmartChargingCtrlr", "RateUnit", "A,W")}},
		{"phase rotation", "ConnectorPhaseRotation", "0.RST,2.RTS", []Value{value("ElectricalFeed", "PhaseRotation", "RST"), connector(2, 1, "PhaseRotation", "RTS")}},
		{"phase rotation of another form", "ConnectorPhaseRotation", "RST", []Value{raw("ConnectorPhaseRotation", "RST")}},
		{"connectors", "NumberOfConnectors", "2", []Value{connector(1, 1, "Available", "true"), connector(2, 1, "Available", "true")}},
		{"too many connectors to believe", "NumberOfConnectors", "100000", []Value{raw("NumberOfConnectors", "100000")}},
		{"feature profiles", "SupportedFeatureProfiles", "Core,Reservation", []Value{value("LocalAuthListCtrlr", "Available", "false"),
			value("ReservationCtrlr", "Available", "true"), value("SmartChargingCtrlr", "Available", "false"), raw("SupportedFeatureProfiles", "Core,Reservation")}},
		{"price texts", "DefaultPrice", `{"priceText":"a","priceTextOffline":"b","chargingPrice":{}}`, []Value{raw("DefaultPrice", `{"priceText":"a","priceTextOffline":"b","chargingPrice":{}}`),
			value("TariffCostCtrlr", "TariffFallbackMessage", "a"), value("TariffCostCtrlr", "OfflineTariffFallbackMessage", "b")}},
		{"a meter's key", "MeterPublicKey2", "3059", []Value{{Component: Component{Name: "FiscalMetering", EVSE: 2}, Variable: Variable{Name: "PublicKey"}, Value: "3059"}}},
		{"an upper limit", "LocalAuthListMaxLength", "100", []Value{{Component: Component{Name: "LocalAuthListCtrlr"}, Variable: Variable{Name: "Entries"}, Facet: MaxLimit, Value: "100"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Lift(test.key, test.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Lift (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		values []Value
		want   []KeyValue
		err    error
	}{
		{"names in any case", []Value{value("heartbeatCTRLR", "x", "1"), value("ocppcommctrlr", "HEARTBEATINTERVAL", "60")}, []KeyValue{{"HeartbeatInterval", "60"}}, ErrNoKey},
		{"a literal that was overtaken", []Value{value("LocalAuthListCtrlr", "Enabled", "false"), raw("LocalAuthListEnabled", "TRUE")}, []KeyValue{{"LocalAuthListEnabled", "false"}}, nil},
		{"a standard key, literally", []Value{raw("heartbeatinterval", "60")}, []KeyValue{{"heartbeatinterval", "60"}}, nil},
		{"the one that follows, alone", []Value{value("SampledDataCtrlr", "TxEndedInterval", "60")}, nil, ErrFollows},
		{"the one that follows, with another value", []Value{value("SampledDataCtrlr", "TxUpdatedInterval", "30"), value("SampledDataCtrlr", "TxEndedInterval", "60")}, []KeyValue{{"MeterValueSampleInterval", "30"}}, ErrFollows},
		{"fallback message alone", []Value{value("TariffCostCtrlr", "TariffFallbackMessage", "free")}, nil, ErrFollows},
		{"rate units", []Value{value("SmartChargingCtrlr", "RateUnit", "W, A")}, []KeyValue{{"ChargingScheduleAllowedChargingRateUnit", "Power,Current"}}, nil},
		{"phase rotations in any order", []Value{connector(10, 1, "PhaseRotation", "RST"), connector(2, 1, "PhaseRotation", "TRS"), value("ElectricalFeed", "PhaseRotation", "RST")}, []KeyValue{{"ConnectorPhaseRotation", "0.RST,2.TRS,10.RST"}}, nil},
		{"a rotation that breaks the list", []Value{connector(1, 1, "PhaseRotation", "R,T")}, nil, ErrValue},
		{"a second connector", []Value{connector(1, 2, "PhaseRotation", "RST")}, nil, ErrNoKey},
		{"no connector in particular", []Value{value("Connector", "PhaseRotation", "RST")}, nil, ErrNoKey},
		{"EVSEs are counted, not plugs", []Value{connector(1, 1, "Available", "true"), connector(1, 2, "Available", "true"), connector(2, 1, "Available", "false")}, []KeyValue{{"NumberOfConnectors", "1"}}, nil},
		{"feature profiles of a 2.1 station", []Value{value("SmartChargingCtrlr", "Available", "true")}, []KeyValue{{"SupportedFeatureProfiles", "Core,FirmwareManagement,SmartCharging,RemoteTrigger"}}, nil},
		{"the value behind a limit", []Value{value("LocalAuthListCtrlr", "Entries", "7")}, nil, ErrNoKey},
		{"an EVSE's own setting", []Value{{Component: Component{Name: "OCPPCommCtrlr", EVSE: 1}, Variable: Variable{Name: "HeartbeatInterval"}, Value: "1"}}, nil, ErrNoKey},
		{"a password", []Value{value("SecurityCtrlr", "BasicAuthPassword", "00112233445566778899aabbccddeeff")}, []KeyValue{{"AuthorizationKey", "00112233445566778899aabbccddeeff"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Lower(test.values)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Lower (-want +got):\n%s", diff)
			}
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
		})
	}
}

func TestToKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		component Component
		variable  Variable
		want      Key
	}{
		{Component{Name: "SampledDataCtrlr"}, Variable{Name: "TxEndedInterval"}, "MeterValueSampleInterval"},
		{Component{Name: "LocalAuthListCtrlr"}, Variable{Name: "Entries"}, "LocalAuthListMaxLength"},
		{Component{Name: "DisplayMessageCtrlr"}, Variable{Name: "Language"}, "Language"},
		{Component{Name: "ClockCtrlr"}, Variable{Name: "TimeOffset", Instance: "nexttransition"}, "TimeOffsetNextTransition"},
		{Component{Name: "FiscalMetering", EVSE: 3}, Variable{Name: "PublicKey"}, "MeterPublicKey3"},
		{Component{Name: "FiscalMetering", EVSE: 1000}, Variable{Name: "PublicKey"}, ""},
		{Component{Name: "Connector", EVSE: 4, Connector: 1}, Variable{Name: "PhaseRotation"}, "ConnectorPhaseRotation"},
		{Component{Name: "EVSE", EVSE: 1}, Variable{Name: "MinimumStatusDuration"}, ""},
		{Component{Name: LegacyComponent}, Variable{Name: "Any key"}, "Any key"},
		{Component{Name: LegacyComponent, EVSE: 1}, Variable{Name: "Any key"}, ""},
		{Component{Name: "NoSuch"}, Variable{Name: "Thing"}, ""},
	}
	for _, test := range tests {
		got, ok := ToKey(test.component, test.variable)
		if ok != (test.want != "") || ok && got != test.want {
			t.Errorf("ToKey(%v, %v) = %q, %v, want %q", test.component, test.variable, got, ok, test.want)
		}
	}
}

// The table uses the spellings of the appendices, and says which names are
// not theirs.
func TestTableSpellings(t *testing.T) {
	t.Parallel()
	known := map[Variable]bool{}
	for _, s := range Standard(V21) {
		known[Variable{s.Component, s.Variable}] = true
	}
	components := StandardComponents(V21)
	notListed := []Key{"NumberOfDecimalsForCostValues"}
	for _, spec := range Keys() {
		if len(spec.Targets) == 0 || !validName(string(spec.Key)) {
			t.Errorf("%s: no target or no key", spec.Key)
		}
		for _, target := range spec.Targets {
			c, v := target.Component.Name, target.Variable.Name
			generic := known[Variable{AnyComponent, v}] && slices.Contains(components, c)
			if !target.Legacy() && !known[Variable{c, v}] && !generic && !slices.Contains(notListed, spec.Key) {
				t.Errorf("%s: the appendices know no %s.%s", spec.Key, c, v)
			}
		}
		if spec.Targets[0].Legacy() && spec.Loss == "" {
			t.Errorf("%s has no counterpart and does not say so", spec.Key)
		}
	}
}

// Every variable that a key speaks of leads back to that key and no other.
func TestTargetsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[place]Key{}
	for _, spec := range Keys() {
		for _, target := range spec.Targets {
			p := placeOf(target.Component, target.Variable, target.Facet)
			if other, ok := seen[p]; ok {
				t.Errorf("%s and %s share %v", spec.Key, other, p)
			}
			seen[p] = spec.Key
		}
	}
	if got := len(Keys()); got != len(table) || !slices.IsSortedFunc(Keys(), func(a, b KeySpec) int { return strings.Compare(fold(string(a.Key)), fold(string(b.Key))) }) {
		t.Errorf("Keys gives %d keys, sorted or not", got)
	}
}

func TestStandard(t *testing.T) {
	t.Parallel()
	want := StandardVariable{"SampledDataCtrlr", "TxUpdatedInterval", "", "integer", "s", Required}
	for _, v := range []Version{V201, V21} {
		if !slices.Contains(Standard(v), want) {
			t.Errorf("%s: no %v", v, want)
		}
		if !slices.Contains(StandardComponents(v), "SampledDataCtrlr") {
			t.Errorf("%s: no SampledDataCtrlr", v)
		}
	}
	if Standard("1.6") != nil || StandardComponents("1.6") != nil {
		t.Error("1.6 has a device model")
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	if got := (Component{"Connector", "left", 2, 1}).String(); got != "Connector[left]@2.1" {
		t.Error(got)
	}
	if got := (Variable{"MessageAttempts", "TransactionEvent"}).String(); got != "MessageAttempts[TransactionEvent]" {
		t.Error(got)
	}
}
